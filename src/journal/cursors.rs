//! How far durable readers have come.

use std::collections::BTreeMap;

/// Cursors by reader. A cursor never moves back.
#[derive(Default)]
pub(super) struct Cursors {
    next: BTreeMap<String, u64>,
    /// Whether there is something that is not on the disk yet.
    pub(super) dirty: bool,
}

impl Cursors {
    /// What a reader wants next; a new reader begins at `oldest`.
    pub(super) fn get(&mut self, name: &str, oldest: u64) -> u64 {
        if let Some(next) = self.next.get(name) {
            return *next;
        }
        self.dirty = true;
        self.next.insert(name.to_owned(), oldest);
        oldest
    }

    /// Moves a cursor on.
    pub(super) fn advance(&mut self, name: &str, next: u64) {
        match self.next.get_mut(name) {
            Some(before) if *before >= next => return,
            Some(before) => *before = next,
            None => {
                self.next.insert(name.to_owned(), next);
            }
        }
        self.dirty = true;
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.dirty |= self.next.remove(name).is_some();
    }
}
