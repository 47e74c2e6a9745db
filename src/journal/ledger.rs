//! The loss ledger: what is missing, how much, and why.
//!
//! On disk it is a file of JSON lines that is only ever added to; where a gap grew, a later line
//! takes the place of an earlier one. It is written anew when most lines have been replaced.

use std::io::Write as _;
use std::path::Path;

use guideway_contract::Timestamp;
use serde::{Deserialize, Serialize};

use super::files;

/// A hole that somebody met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Who missed it: a durable reader's name, or `journal` for all of them.
    pub reader: String,
    /// First missing sequence.
    pub from: u64,
    /// Last missing sequence.
    pub to: u64,
    /// How many observations: `to - from + 1`, or fewer where others lie between them.
    pub count: u64,
    /// Why.
    pub cause: GapCause,
    /// When it was found.
    #[serde(with = "crate::journal::ledger::as_text")]
    pub time: Timestamp,
}

impl Gap {
    /// All from `from` to `to`, found now.
    pub(super) fn new(reader: &str, from: u64, to: u64, cause: GapCause) -> Self {
        Self { reader: reader.to_owned(), from, to, count: to - from + 1, cause, time: Timestamp::now() }
    }
}

/// Why observations are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// Retention by bytes or age removed them before the reader came.
    Retention,
    /// A record on disk could not be read.
    Corruption,
    /// The disk refused to write; they were in memory only.
    WriteFailed,
    /// The machine went down before they were on the disk. How many there were is not known: the
    /// count is the most there can have been, and may be zero.
    PowerLoss,
    /// The data item is no longer in the device model.
    ItemRemoved,
    /// The peer refuses them for good, e.g. because they are larger than it takes.
    Refused,
}

/// Timestamps as their text.
pub(crate) mod as_text {
    use guideway_contract::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| D::Error::custom("not a timestamp"))
    }
}

/// Gaps that are kept. Of more, the oldest two of one reader become one.
const MOST: usize = 4_096;

/// How far back a gap is looked for that a new one goes on from.
const RECENT: usize = 256;

/// All gaps, oldest first.
#[derive(Default)]
pub(super) struct Ledger {
    gaps: Vec<Gap>,
    /// Not on the disk yet.
    unsaved: Vec<Gap>,
    /// Lines in the file.
    lines: usize,
}

impl Ledger {
    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Enters a gap; one that is known is not entered again, one that goes on from a known one of
    /// the same reader and cause makes that longer.
    pub(super) fn enter(&mut self, gap: Gap) {
        if let Some(changed) = self.merge(gap) {
            self.unsaved.retain(|other| (&other.reader, other.from) != (&changed.reader, changed.from));
            self.unsaved.push(changed);
        }
    }

    /// Returns the gap as it now stands in the ledger, `None` when nothing is new.
    fn merge(&mut self, gap: Gap) -> Option<Gap> {
        let known = self
            .gaps
            .iter_mut()
            .rev()
            .take(RECENT)
            .filter(|known| known.reader == gap.reader && known.cause == gap.cause)
            .find(|known| gap.from <= known.to.saturating_add(1) && known.from <= gap.to.saturating_add(1));
        let Some(known) = known else {
            self.gaps.push(gap.clone());
            self.shorten();
            return Some(gap);
        };
        if gap.from >= known.from && gap.to <= known.to {
            return None;
        }
        let adjacent = gap.from == known.to + 1 || known.from == gap.to + 1;
        let full = |gap: &Gap| gap.count == gap.to - gap.from + 1;
        let whole = full(&gap) && full(known);
        let sum = known.count.saturating_add(gap.count);
        let most = known.count.max(gap.count);
        known.from = known.from.min(gap.from);
        known.to = known.to.max(gap.to);
        known.count = match (adjacent, whole) {
            (true, _) => sum,
            (false, true) => known.to - known.from + 1,
            (false, false) => most,
        };
        Some(known.clone())
    }

    fn shorten(&mut self) {
        while self.gaps.len() > MOST {
            let oldest = self.gaps.remove(0);
            let alike = |gap: &&mut Gap| gap.reader == oldest.reader && gap.cause == oldest.cause;
            if let Some(next) = self.gaps.iter_mut().find(alike) {
                next.from = next.from.min(oldest.from);
                next.to = next.to.max(oldest.to);
                next.count = next.count.saturating_add(oldest.count);
            }
            // Lines of gaps that became one are still in the file.
            self.lines = usize::MAX;
        }
    }

    /// Why a sequence is missing for everybody, if that is known.
    pub(super) fn cause(&self, sequence: u64) -> Option<GapCause> {
        let covers = |gap: &&Gap| gap.reader == JOURNAL && (gap.from..=gap.to).contains(&sequence);
        self.gaps
            .iter()
            .rev()
            .filter(|gap| gap.cause != GapCause::ItemRemoved)
            .find(covers)
            .map(|gap| gap.cause)
    }

    /// Reads the file; lines that make no sense are passed over.
    pub(super) fn load(path: &Path) -> std::io::Result<Self> {
        let mut ledger = Self::default();
        if let Some(bytes) = files::read(path)? {
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                ledger.lines = ledger.lines.saturating_add(1);
                if let Ok(gap) = serde_json::from_slice(line) {
                    ledger.merge(gap);
                }
            }
        }
        Ok(ledger)
    }

    /// Whether there is something that is not on the disk.
    pub(super) fn is_dirty(&self) -> bool {
        !self.unsaved.is_empty()
    }

    /// Writes what is new.
    pub(super) fn save(&mut self, path: &Path) -> std::io::Result<()> {
        let anew = self.lines > 2 * self.gaps.len() + 1_000;
        let gaps = if anew { &self.gaps } else { &self.unsaved };
        let mut bytes = Vec::new();
        for gap in gaps {
            serde_json::to_writer(&mut bytes, gap)?;
            bytes.push(b'\n');
        }
        let lines = gaps.len();
        if anew {
            files::replace(path, &bytes)?;
            self.lines = lines;
        } else {
            let mut file = files::append(path)?;
            file.write_all(&bytes).map_err(|error| files::at(path, error))?;
            self.lines = self.lines.saturating_add(lines);
        }
        self.unsaved.clear();
        Ok(())
    }
}

/// The reader's name of gaps that are gaps for everybody.
pub(super) const JOURNAL: &str = "journal";

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(reader: &str, from: u64, to: u64) -> Gap {
        Gap::new(reader, from, to, GapCause::Retention)
    }

    fn ranges(ledger: &Ledger) -> Vec<(&str, u64, u64, u64)> {
        ledger.gaps().iter().map(|gap| (gap.reader.as_str(), gap.from, gap.to, gap.count)).collect()
    }

    #[test]
    fn a_gap_that_goes_on_is_one_gap_and_a_known_one_is_not_entered_again() {
        let mut ledger = Ledger::default();
        for (reader, from, to) in
            [("a", 1, 5), ("b", 1, 5), ("a", 6, 9), ("a", 2, 3), ("a", 8, 12), ("a", 20, 21)]
        {
            ledger.enter(gap(reader, from, to));
        }
        assert_eq!(ranges(&ledger), [("a", 1, 12, 12), ("b", 1, 5, 5), ("a", 20, 21, 2)]);
    }

    #[test]
    fn the_ledger_comes_back_from_its_file_and_the_file_stays_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = Ledger::default();
        for sequence in 1..5_000 {
            ledger.enter(gap("a", sequence, sequence));
            ledger.save(&path).unwrap();
        }
        ledger.enter(gap("b", 7, 9));
        ledger.save(&path).unwrap();
        let mut back = Ledger::load(&path).unwrap();
        assert_eq!(back.gaps(), ledger.gaps());
        assert!(std::fs::read_to_string(&path).unwrap().lines().count() < 1_100);
        back.enter(gap("a", 5, 6));
        assert!(!back.is_dirty());
    }

    #[test]
    fn a_damaged_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = Ledger::default();
        ledger.enter(gap("a", 1, 2));
        ledger.save(&path).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.insert_str(0, "{\"reader\":\n\u{0}\n");
        std::fs::write(&path, text).unwrap();
        assert_eq!(ranges(&Ledger::load(&path).unwrap()), [("a", 1, 2, 2)]);
    }

    #[test]
    fn of_too_many_gaps_the_oldest_become_one() {
        let mut ledger = Ledger::default();
        for number in 0..5_000 {
            ledger.enter(gap("a", number * 10, number * 10));
        }
        assert_eq!(ledger.gaps().len(), MOST);
        assert_eq!(ledger.gaps().iter().map(|gap| gap.count).sum::<u64>(), 5_000);
    }
}
