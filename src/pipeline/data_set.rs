//! Data sets and tables: what a state becomes with a change, and what a change really changes.
//!
//! A *state* holds every key and no [`Cell::Removed`]; a *change* holds the keys that changed. Rows
//! of tables are replaced whole: the standard sends a row with all its cells. Pure functions, used
//! by the pipeline and by the journal's state.

use std::cmp::Ordering;

use guideway_contract::{Cell, DataSet, Entry};

/// How many keys a state holds at most; keys beyond that are not taken up, so that a source that
/// invents keys does not fill the memory.
pub const MOST_KEYS: usize = 65_536;

/// The state after `change`. A change with a reset trigger replaces the state before it, which
/// keeps the trigger until the next change.
pub fn merge(state: Option<&DataSet>, change: &DataSet) -> DataSet {
    let old = match state {
        Some(state) if change.reset.is_none() => state.entries(),
        _ => &[],
    };
    let mut entries = joined(old, change.entries());
    entries.retain(|entry| entry.cell != Cell::Removed);
    entries.truncate(MOST_KEYS);
    DataSet::new(change.reset.clone(), entries)
}

/// One change that does what `first` and then `second` do.
pub fn compose(first: &DataSet, second: &DataSet) -> DataSet {
    if second.reset.is_some() {
        return second.clone();
    }
    DataSet::new(first.reset.clone(), joined(first.entries(), second.entries()))
}

/// The part of `incoming` that changes `state`: keys with another value, new keys, and removals of
/// keys that are there. `None` when nothing changes. A reset always counts and is kept whole, but
/// for its removals, which mean nothing.
pub fn difference(state: Option<&DataSet>, incoming: &DataSet) -> Option<DataSet> {
    if incoming.reset.is_some() {
        return Some(merge(None, incoming));
    }
    let changed = |entry: &&Entry| match (state.and_then(|state| state.get(&entry.key)), &entry.cell) {
        (None, Cell::Removed) => false,
        (old, new) => old != Some(new),
    };
    let entries: Vec<Entry> = incoming.entries().iter().filter(changed).cloned().collect();
    // The very first set may be empty: that is news too.
    (state.is_none() || !entries.is_empty()).then(|| DataSet::new(None, entries))
}

/// Both lists in order of their keys; of a key that is in both, the entry of `new`.
fn joined(old: &[Entry], new: &[Entry]) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(old.len() + new.len());
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(a), Some(b)) => a.key.cmp(&b.key),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return entries,
        };
        match order {
            Ordering::Less => entries.extend(old.next().cloned()),
            Ordering::Greater => entries.extend(new.next().cloned()),
            Ordering::Equal => {
                old.next();
                entries.extend(new.next().cloned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(reset: Option<&str>, entries: &[(&str, Option<i64>)]) -> DataSet {
        let entries = entries.iter().map(|(key, number)| Entry {
            key: (*key).into(),
            cell: number.map_or(Cell::Removed, Cell::Integer),
        });
        DataSet::new(reset.map(Into::into), entries.collect())
    }

    #[test]
    fn a_change_adds_replaces_and_removes_keys() {
        let state = set(None, &[("a", Some(1)), ("b", Some(2))]);
        let change = set(None, &[("a", None), ("b", Some(3)), ("c", Some(4))]);
        assert_eq!(merge(Some(&state), &change), set(None, &[("b", Some(3)), ("c", Some(4))]));
    }

    #[test]
    fn a_reset_replaces_the_state() {
        let state = set(None, &[("a", Some(1)), ("b", Some(2))]);
        let reset = set(Some("MANUAL"), &[("c", Some(4)), ("d", None)]);
        let merged = merge(Some(&state), &reset);
        assert_eq!(merged, set(Some("MANUAL"), &[("c", Some(4))]));
        assert_eq!(difference(Some(&state), &reset), Some(merged.clone()));
        let later = merge(Some(&merged), &set(None, &[("e", Some(5))]));
        assert_eq!(later, set(None, &[("c", Some(4)), ("e", Some(5))]));
    }

    #[test]
    fn only_what_changes_is_left_of_an_incoming_set() {
        let state = set(None, &[("a", Some(1)), ("b", Some(2))]);
        let incoming = set(None, &[("a", Some(1)), ("b", Some(3)), ("c", Some(4)), ("d", None)]);
        assert_eq!(difference(Some(&state), &incoming), Some(set(None, &[("b", Some(3)), ("c", Some(4))])));
        assert_eq!(difference(Some(&state), &set(None, &[("a", Some(1)), ("z", None)])), None);
        assert_eq!(difference(Some(&state), &set(None, &[("a", None)])), Some(set(None, &[("a", None)])));
    }

    #[test]
    fn the_first_set_is_news_even_when_it_is_empty() {
        assert_eq!(difference(None, &set(None, &[])), Some(set(None, &[])));
        assert_eq!(difference(Some(&set(None, &[])), &set(None, &[])), None);
    }

    #[test]
    fn a_row_is_replaced_whole() {
        let row = |cells: &[(&str, i64)]| {
            let cells = cells.iter().map(|(k, n)| Entry { key: (*k).into(), cell: Cell::Integer(*n) });
            DataSet::new(None, vec![Entry { key: "G54".into(), cell: Cell::Row(cells.collect()) }])
        };
        let (old, new) = (row(&[("X", 1), ("Y", 2)]), row(&[("X", 5)]));
        assert_eq!(difference(Some(&old), &new), Some(new.clone()));
        assert_eq!(merge(Some(&old), &new), new);
        assert_eq!(difference(Some(&old), &old), None);
    }

    #[test]
    fn a_state_takes_up_no_more_than_its_most_keys() {
        let many = (0..MOST_KEYS + 10).map(|n| Entry { key: n.to_string().into(), cell: Cell::Integer(0) });
        assert_eq!(merge(None, &DataSet::new(None, many.collect())).len(), MOST_KEYS);
    }

    fn any_set() -> impl Strategy<Value = DataSet> {
        let entry = ("[a-e]", proptest::option::of(0..3_i64));
        (proptest::option::weighted(0.2, Just("MANUAL")), proptest::collection::vec(entry, 0..6)).prop_map(
            |(reset, entries)| {
                let entries: Vec<_> = entries.iter().map(|(key, n)| (key.as_str(), *n)).collect();
                set(reset, &entries)
            },
        )
    }

    proptest! {
        #[test]
        fn the_difference_leads_to_the_same_state(first in any_set(), second in any_set()) {
            let state = merge(None, &first);
            let merged = merge(Some(&state), &second);
            match difference(Some(&state), &second) {
                Some(change) => prop_assert_eq!(merge(Some(&state), &change), merged),
                None => prop_assert_eq!(state.entries(), merged.entries()),
            }
        }

        #[test]
        fn composed_changes_do_what_they_do_one_after_the_other(
            state in any_set(), first in any_set(), second in any_set()
        ) {
            let state = merge(None, &state);
            let stepwise = merge(Some(&merge(Some(&state), &first)), &second);
            let at_once = merge(Some(&state), &compose(&first, &second));
            prop_assert_eq!(stepwise.entries(), at_once.entries());
        }
    }
}
