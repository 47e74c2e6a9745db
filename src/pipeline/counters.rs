//! What became of every reading, counted by adapter and reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use guideway_contract::AdapterId;
use parking_lot::Mutex;

/// Something that a stage did or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Went on to the journal.
    Observed,
    /// Route: no data item is fed by that point.
    Unrouted,
    /// Route: the data item is constant by its constraints, or went away with a model change.
    Fixed,
    /// Shape: not a value of the data item's kind; it became UNAVAILABLE.
    Rejected,
    /// Text: characters that XML cannot carry were replaced by U+FFFD.
    Characters,
    /// Upcase: lower case became upper case.
    Upcased,
    /// Units: converted from native units.
    Converted,
    /// Units: passed on as it came, for the native units do not convert.
    Inconvertible,
    /// Duplicate filter: the same as before.
    Duplicate,
    /// Delta filter: too close to the last value sent.
    Delta,
    /// Period filter: held until the end of the period.
    Held,
    /// Period filter: a held value that gave way to a newer one.
    Replaced,
    /// Conditions: an old entry dropped from a chain that was full.
    Overflow,
    /// Validation: not in the controlled vocabulary, or outside the constraints.
    Invalid,
    /// Validation: an extension type, which nobody can check.
    Unverifiable,
    /// Connection: became UNAVAILABLE because its adapter lost its source.
    Lost,
    /// Mapping: could not be computed from the machine's points; it became UNAVAILABLE.
    Uncomputed,
}

impl Reason {
    /// How many there are.
    pub const COUNT: usize = 17;

    /// Every reason, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Observed,
        Self::Unrouted,
        Self::Fixed,
        Self::Rejected,
        Self::Characters,
        Self::Upcased,
        Self::Converted,
        Self::Inconvertible,
        Self::Duplicate,
        Self::Delta,
        Self::Held,
        Self::Replaced,
        Self::Overflow,
        Self::Invalid,
        Self::Unverifiable,
        Self::Lost,
        Self::Uncomputed,
    ];

    /// The stage it belongs to, as metrics name it.
    pub const fn stage(self) -> &'static str {
        match self {
            Self::Observed => "out",
            Self::Unrouted | Self::Fixed => "route",
            Self::Rejected => "shape",
            Self::Characters => "text",
            Self::Upcased => "upcase",
            Self::Converted | Self::Inconvertible => "units",
            Self::Duplicate => "duplicate",
            Self::Delta => "delta",
            Self::Held | Self::Replaced => "period",
            Self::Overflow => "condition",
            Self::Invalid | Self::Unverifiable => "validate",
            Self::Lost => "connection",
            Self::Uncomputed => "mapping",
        }
    }

    /// The reason, as metrics and logs name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Unrouted => "unrouted",
            Self::Fixed => "fixed",
            Self::Rejected => "rejected",
            Self::Characters => "characters",
            Self::Upcased => "upcased",
            Self::Converted => "converted",
            Self::Inconvertible => "inconvertible",
            Self::Duplicate => "duplicate",
            Self::Delta => "delta",
            Self::Held => "held",
            Self::Replaced => "replaced",
            Self::Overflow => "overflow",
            Self::Invalid => "invalid",
            Self::Unverifiable => "unverifiable",
            Self::Lost => "lost",
            Self::Uncomputed => "uncomputed",
        }
    }
}

/// The counts of one source. One thread writes, any may read.
#[derive(Debug)]
pub struct Tally {
    counts: [AtomicU64; Reason::COUNT],
    examples: Mutex<BTreeMap<Reason, String>>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), examples: Mutex::default() }
    }
}

impl Tally {
    /// How often that happened since the process started.
    pub fn get(&self, reason: Reason) -> u64 {
        self.counts[reason as usize].load(Relaxed)
    }

    /// The first example of each kind of trouble.
    pub fn examples(&self) -> BTreeMap<Reason, String> {
        self.examples.lock().clone()
    }

    /// Only the pipeline's thread counts, so a load and a store do, without a locked instruction.
    #[inline]
    pub(super) fn add(&self, reason: Reason, number: usize) {
        let count = &self.counts[reason as usize];
        count.store(count.load(Relaxed) + number as u64, Relaxed);
    }

    /// Counts trouble; the first of its kind is logged and kept. `detail` is only called then.
    #[cold]
    pub(super) fn trouble(&self, reason: Reason, detail: impl FnOnce() -> String) {
        let first = self.get(reason) == 0;
        self.add(reason, 1);
        if first {
            let detail: String = detail().chars().take(200).collect();
            tracing::warn!(
                stage = reason.stage(),
                reason = reason.as_str(),
                detail,
                "first trouble of its kind from this source; later ones are counted"
            );
            self.examples.lock().insert(reason, detail);
        }
    }
}

/// The counts of all sources; shared with the telemetry.
#[derive(Debug)]
pub struct Counters {
    adapters: Vec<Tally>,
    own: Tally,
}

impl Counters {
    pub(super) fn new(adapters: usize) -> Self {
        Self { adapters: (0..adapters).map(|_| Tally::default()).collect(), own: Tally::default() }
    }

    /// What came from an adapter.
    pub fn adapter(&self, adapter: AdapterId) -> Option<&Tally> {
        self.adapters.get(usize::from(adapter.0))
    }

    /// What the gateway says itself.
    pub fn own(&self) -> &Tally {
        &self.own
    }

    /// The sum over all sources.
    pub fn total(&self, reason: Reason) -> u64 {
        self.adapters.iter().chain([&self.own]).map(|tally| tally.get(reason)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_in_order_and_named_once() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert!(Reason::ALL.iter().enumerate().all(|(place, reason)| *reason as usize == place));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::COUNT);
    }

    #[test]
    fn the_first_example_of_trouble_is_kept_and_cut() {
        let counters = Counters::new(1);
        let tally = counters.adapter(AdapterId(0)).expect("one adapter");
        tally.trouble(Reason::Rejected, || "x".repeat(500));
        tally.trouble(Reason::Rejected, || unreachable!("only the first is described"));
        counters.own().add(Reason::Rejected, 3);
        assert_eq!(tally.examples()[&Reason::Rejected].len(), 200);
        assert_eq!((tally.get(Reason::Rejected), counters.total(Reason::Rejected)), (2, 5));
        assert!(counters.adapter(AdapterId(1)).is_none());
    }
}
