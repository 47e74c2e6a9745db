//! Observations as bytes: each says only how it differs from the one before.

use guideway_contract::{ItemIndex, Observation, Quality, Timestamp, Validity};

use super::bytes::{Bytes, put_varint, unzigzag, zigzag};
use super::value_codec::{self, put_value};

// The first byte of an observation: the kind of its value and these.
const KIND: u8 = 0x0f;
const SAME_TIME: u8 = 0x10;
const SAME_ARRIVAL: u8 = 0x20;
const MARKS: u8 = 0x40;

const MICROSECOND: i64 = 1_000;

/// What the observation before said. Both sides begin a record with [`Before::new`].
#[derive(Clone, Debug)]
pub(super) struct Before {
    time: i64,
    arrival: Option<i64>,
    digits: u8,
}

impl Before {
    /// At the beginning of a record; `base` is the segment's own time.
    pub(super) const fn new(base: i64) -> Self {
        Self { time: base, arrival: None, digits: 6 }
    }
}

/// Writes an observation of the item that has number `local` in the segment's dictionary.
pub(super) fn put_observation(out: &mut Vec<u8>, before: &mut Before, local: u32, observation: &Observation) {
    let place = out.len();
    out.push(0);
    let mut head = 0;
    let time = observation.time();
    let marks =
        time.digits() | quality_bits(observation.quality) << 4 | validity_bits(observation.validity) << 6;
    if marks == before.digits {
        // As before, good and valid.
    } else {
        head |= MARKS;
        out.push(marks);
        before.digits = time.digits();
    }
    put_varint(out, local.into());
    if time.nanos() == before.time {
        head |= SAME_TIME;
    } else {
        put_step(out, before.time, time.nanos(), unit(time.digits()));
        before.time = time.nanos();
    }
    let arrival = observation.arrival().nanos();
    if before.arrival == Some(arrival) {
        head |= SAME_ARRIVAL;
    } else {
        put_step(out, before.arrival.unwrap_or(time.nanos()), arrival, MICROSECOND);
        before.arrival = Some(arrival);
    }
    out[place] = head | put_value(out, &observation.value);
}

/// An observation but for its value, which comes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) item: ItemIndex,
    pub(super) time: Timestamp,
    arrival: Timestamp,
    quality: Quality,
    validity: Validity,
    kind: u8,
}

impl Head {
    /// Reads the value.
    pub(super) fn value(self, bytes: &mut Bytes<'_>) -> Option<Observation> {
        let value = value_codec::value(self.kind, bytes)?;
        let mut observation = Observation::new(self.item, self.time, self.arrival, value);
        observation.quality = self.quality;
        observation.validity = self.validity;
        Some(observation)
    }

    /// Goes over the value.
    pub(super) fn pass(self, bytes: &mut Bytes<'_>) -> Option<()> {
        value_codec::pass(self.kind, bytes)
    }
}

/// Reads an observation; `item` finds the item of a number in the dictionary.
pub(super) fn observation(
    bytes: &mut Bytes<'_>,
    before: &mut Before,
    item: impl FnOnce(u64) -> Option<ItemIndex>,
) -> Option<Observation> {
    head(bytes, before, item)?.value(bytes)
}

/// Reads an observation up to its value.
pub(super) fn head(
    bytes: &mut Bytes<'_>,
    before: &mut Before,
    item: impl FnOnce(u64) -> Option<ItemIndex>,
) -> Option<Head> {
    let head = bytes.byte()?;
    let (mut quality, mut validity) = (Quality::Good, Validity::Valid);
    if head & MARKS != 0 {
        let marks = bytes.byte()?;
        before.digits = marks & 0x0f;
        quality =
            [Quality::Good, Quality::Uncertain, Quality::Bad].get(usize::from(marks >> 4 & 3)).copied()?;
        validity = [Validity::Valid, Validity::Invalid, Validity::Unverifiable]
            .get(usize::from(marks >> 6))
            .copied()?;
    }
    if head & !(KIND | SAME_TIME | SAME_ARRIVAL | MARKS) != 0 || before.digits > 9 {
        return None;
    }
    let item = item(bytes.varint()?)?;
    if head & SAME_TIME == 0 {
        before.time = step(bytes, before.time, unit(before.digits))?;
    }
    let arrival = if head & SAME_ARRIVAL == 0 {
        step(bytes, before.arrival.unwrap_or(before.time), MICROSECOND)?
    } else {
        before.arrival?
    };
    before.arrival = Some(arrival);
    Some(Head {
        item,
        time: Timestamp::from_nanos(before.time, before.digits),
        arrival: Timestamp::from_nanos(arrival, 6),
        quality,
        validity,
        kind: head & KIND,
    })
}

const fn quality_bits(quality: Quality) -> u8 {
    quality as u8
}

const fn validity_bits(validity: Validity) -> u8 {
    validity as u8
}

/// The time between two instants that a source with so many fraction digits can tell apart.
const fn unit(digits: u8) -> i64 {
    10_i64.pow(9 - if digits > 9 { 9 } else { digits } as u32)
}

// The two low bits of a step say what it counts.
const UNITS: u64 = 0;
const MICROSECONDS: u64 = 1;
const NANOSECONDS: u64 = 2;
const ABSOLUTE: u64 = 3;

fn put_step(out: &mut Vec<u8>, from: i64, to: i64, unit: i64) {
    if let Some(step) = to.checked_sub(from) {
        let (scaled, mode) = if step % unit == 0 {
            (step / unit, UNITS)
        } else if step % MICROSECOND == 0 {
            (step / MICROSECOND, MICROSECONDS)
        } else {
            (step, NANOSECONDS)
        };
        let bits = zigzag(scaled);
        if bits < 1 << 62 {
            put_varint(out, bits << 2 | mode);
            return;
        }
    }
    put_varint(out, ABSOLUTE);
    out.extend_from_slice(&to.to_le_bytes());
}

fn step(bytes: &mut Bytes<'_>, from: i64, unit: i64) -> Option<i64> {
    let packed = bytes.varint()?;
    let steps = unzigzag(packed >> 2);
    let step = match packed & 3 {
        UNITS => steps.checked_mul(unit)?,
        MICROSECONDS => steps.checked_mul(MICROSECOND)?,
        NANOSECONDS => steps,
        _ => return bytes.i64(),
    };
    from.checked_add(step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing;
    use super::*;

    proptest! {
        #[test]
        fn every_history_comes_back(history in testing::history(0..30), base in any::<i64>()) {
            let mut out = Vec::new();
            let mut before = Before::new(base);
            for observation in &history {
                put_observation(&mut out, &mut before, observation.item.0, observation);
            }
            let mut bytes = Bytes::new(&out);
            let mut before = Before::new(base);
            for expected in &history {
                let item = |local| u32::try_from(local).ok().map(ItemIndex);
                let back = observation(&mut bytes, &mut before, item).unwrap();
                // Debug text also tells how many fraction digits a time has.
                prop_assert_eq!(format!("{back:?}"), format!("{expected:?}"));
            }
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), base in any::<i64>()) {
            let mut bytes = Bytes::new(&bytes);
            let mut before = Before::new(base);
            while observation(&mut bytes, &mut before, |_| Some(ItemIndex(0))).is_some() {}
        }
    }

    #[test]
    fn samples_of_one_line_share_its_times() {
        let mut out = Vec::new();
        let mut before = Before::new(testing::number(0, 0.0).time().nanos() - 60_000_000_000);
        put_observation(&mut out, &mut before, 1, &testing::number(1, 0.5));
        let first = out.len();
        put_observation(&mut out, &mut before, 2, &testing::number(2, 103.25));
        assert!(first <= 12, "{first} bytes");
        assert_eq!(out.len() - first, 5);
    }
}
