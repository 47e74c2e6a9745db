//! One thing that was observed, ready for the journal.

use crate::{Timestamp, Value};

/// The place of a data item in the device model's flat table. Stable while the process runs: a
/// changed model appends, it never renumbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemIndex(pub u32);

impl ItemIndex {
    /// As a slice index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the source thinks of a value (OPC UA's severity, a driver's per-point status).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Quality {
    /// To be trusted.
    #[default]
    Good = 0,
    /// Perhaps stale, substituted or out of range.
    Uncertain = 1,
    /// Not to be used; the value is UNAVAILABLE.
    Bad = 2,
}

/// What the standard's vocabulary says of a value (MTConnect >= 2.5, attribute `quality`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Validity {
    /// In the vocabulary, or nothing restricts it.
    #[default]
    Valid = 0,
    /// Not a value of the controlled vocabulary.
    Invalid = 1,
    /// The type is unknown (an extension), so nobody can tell.
    Unverifiable = 2,
}

/// A value of a data item at a time. Its sequence number is its place in the journal. 48 bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The result.
    pub value: Value,
    time_nanos: i64,
    arrival_nanos: i64,
    /// Which data item.
    pub item: ItemIndex,
    time_digits: u8,
    /// What the source thinks of it.
    pub quality: Quality,
    /// What the vocabulary says of it.
    pub validity: Validity,
}

impl Observation {
    /// A good and valid observation; `arrival` is kept to nanoseconds and printed in microseconds.
    pub fn new(item: ItemIndex, time: Timestamp, arrival: Timestamp, value: Value) -> Self {
        Self {
            value,
            time_nanos: time.nanos(),
            arrival_nanos: arrival.nanos(),
            item,
            time_digits: time.digits(),
            quality: Quality::Good,
            validity: Validity::Valid,
        }
    }

    /// When the source says it happened.
    pub const fn time(&self) -> Timestamp {
        Timestamp::from_nanos(self.time_nanos, self.time_digits)
    }

    /// When it reached the gateway.
    pub const fn arrival(&self) -> Timestamp {
        Timestamp::from_nanos(self.arrival_nanos, 6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_is_six_words() {
        assert_eq!(size_of::<Observation>(), 48);
    }
}
