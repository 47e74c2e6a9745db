//! What one face has said so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::reading::{Item, Reading};

/// Everything that one face said while it was watched.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// By item, in the order of arrival.
    pub(super) items: BTreeMap<Item, Vec<Reading>>,
    /// Readings of all items together.
    pub(super) readings: usize,
    /// Why the face can be watched no longer.
    pub(super) broken: Option<String>,
    /// Values that the face itself said it had lost.
    pub(super) lost: u64,
    /// Sequences before this one have been told.
    pub(super) next: u64,
}

impl Tape {
    pub(super) fn put(&mut self, item: Item, reading: Reading) {
        self.readings += 1;
        if let Some(sequence) = reading.sequence {
            self.next = self.next.max(sequence + 1);
        }
        self.items.entry(item).or_default().push(reading);
    }
}

/// A tape that is written by one task and read by another.
pub(super) type SharedTape = Arc<Mutex<Tape>>;
