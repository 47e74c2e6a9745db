//! How far durable readers have come.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;

/// Cursors by reader. A cursor never moves back.
#[derive(Default)]
pub(super) struct Cursors {
    next: BTreeMap<String, u64>,
    /// Whether there is something that is not on the disk yet.
    dirty: bool,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Saved {
    instance_id: u64,
    cursors: BTreeMap<String, u64>,
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

    /// The one that is farthest on.
    pub(super) fn farthest(&self) -> Option<u64> {
        self.next.values().copied().max()
    }

    /// Reads the file. One that makes no sense, or belongs to another instance, holds no cursor:
    /// readers then begin at the oldest observation, and receive again what they had.
    pub(super) fn load(path: &Path, instance_id: u64) -> io::Result<Self> {
        let saved = files::read(path)?.and_then(|bytes| serde_json::from_slice::<Saved>(&bytes).ok());
        let next = match saved {
            Some(saved) if saved.instance_id == instance_id => saved.cursors,
            _ => BTreeMap::new(),
        };
        Ok(Self { next, dirty: false })
    }

    /// What to write to the file, if anything has changed.
    pub(super) fn take_changes(&mut self, instance_id: u64) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.dirty) {
            return None;
        }
        serde_json::to_vec_pretty(&Saved { instance_id, cursors: self.next.clone() }).ok()
    }

    /// What was taken could not be written.
    pub(super) const fn not_saved(&mut self) {
        self.dirty = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_never_moves_back() {
        let mut cursors = Cursors::default();
        assert_eq!(cursors.get("broker", 5), 5);
        cursors.advance("broker", 9);
        cursors.advance("broker", 7);
        assert_eq!(cursors.get("broker", 5), 9);
        cursors.forget("broker");
        assert_eq!(cursors.get("broker", 6), 6);
    }

    #[test]
    fn cursors_of_another_instance_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursors.json");
        let mut cursors = Cursors::default();
        cursors.advance("broker", 9);
        std::fs::write(&path, cursors.take_changes(77).unwrap()).unwrap();
        assert!(cursors.take_changes(77).is_none());
        assert_eq!(Cursors::load(&path, 77).unwrap().get("broker", 1), 9);
        assert_eq!(Cursors::load(&path, 78).unwrap().get("broker", 1), 1);
    }
}
