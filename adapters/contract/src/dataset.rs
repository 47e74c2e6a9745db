//! Data sets and tables.

use smol_str::SmolStr;

/// A DATA_SET or TABLE result. Entries are sorted by key and keys are unique.
///
/// As an observation it holds the entries that changed ([`Cell::Removed`] for those that went); as
/// a state it holds all entries and none is `Removed`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataSet {
    /// The reset trigger (e.g. `MANUAL`): this set replaces the one before instead of changing it.
    pub reset: Option<SmolStr>,
    entries: Vec<Entry>,
}

/// One key of a data set with its value, or of a table with its row.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key; never empty, no white space.
    pub key: SmolStr,
    /// The value.
    pub cell: Cell,
}

/// The value of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// The key was taken away.
    Removed,
    /// A whole number.
    Integer(i64),
    /// A number with a fraction; finite.
    Number(f64),
    /// Text.
    Text(SmolStr),
    /// A table's row: its cells, sorted by key; never `Removed`, never nested rows.
    Row(Vec<Entry>),
}

impl DataSet {
    /// A set of these entries; the last one of a key wins.
    pub fn new(reset: Option<SmolStr>, mut entries: Vec<Entry>) -> Self {
        sort_unique(&mut entries);
        Self { reset, entries }
    }

    /// The entries, sorted by key.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of that key.
    pub fn get(&self, key: &str) -> Option<&Cell> {
        let found = self.entries.binary_search_by(|entry| entry.key.as_str().cmp(key)).ok()?;
        Some(&self.entries[found].cell)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Sorts a row's or set's entries by key; of several with one key the last stays.
pub fn sort_unique(entries: &mut Vec<Entry>) {
    entries.reverse();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries.dedup_by(|later, kept| later.key == kept.key);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_entries_with_one_key_the_last_wins() {
        let entry = |key: &str, number| Entry { key: key.into(), cell: Cell::Integer(number) };
        let set = DataSet::new(None, vec![entry("b", 1), entry("a", 2), entry("b", 3)]);
        assert_eq!(set.entries(), [entry("a", 2), entry("b", 3)]);
        assert_eq!(set.get("b"), Some(&Cell::Integer(3)));
    }
}
