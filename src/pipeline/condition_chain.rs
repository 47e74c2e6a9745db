//! Conditions are chains of active entries.
//!
//! Pure functions over anything that holds a condition's value, so that the pipeline (bare values)
//! and the journal (observations with their sequence) fold in the same way.

use std::sync::Arc;

use guideway_contract::{Condition, Level, Observation, Value};

/// How many entries of one condition can be active; of more the oldest goes, so that a source
/// that never clears its alarms does not fill the memory.
pub const MOST_ACTIVE: usize = 1_024;

/// One entry of a chain: [`Value::Condition`] or [`Value::Unavailable`] with what belongs to it.
pub trait Entry {
    /// What the entry says.
    fn value(&self) -> &Value;
    /// The same entry (its time, its sequence) saying something else.
    #[must_use]
    fn saying(self, value: Value) -> Self;
}

impl Entry for Value {
    fn value(&self) -> &Value {
        self
    }

    fn saying(self, value: Value) -> Self {
        value
    }
}

impl Entry for (u64, Observation) {
    fn value(&self) -> &Value {
        &self.1.value
    }

    fn saying(mut self, value: Value) -> Self {
        self.1.value = value;
        self
    }
}

/// What is active once `new` has come: the new chain, oldest entry first. It is never empty: when
/// nothing is active, it is one Normal without a code, or Unavailable.
///
/// A Fault or Warning with a new key (conditionId, else nativeCode) joins the chain, one with a key
/// that is there takes that entry's place and becomes the newest. A Normal with a key takes that
/// entry away, one without clears all. Unavailable replaces everything, and is replaced by
/// anything. A value that is not a condition is taken as Unavailable.
///
/// Returns the entry that had to go because there were [`MOST_ACTIVE`].
pub fn fold<E: Entry>(chain: &mut Vec<E>, new: E) -> Option<E> {
    let Value::Condition(condition) = new.value() else {
        chain.clear();
        chain.push(new.saying(Value::Unavailable));
        return None;
    };
    let (key, is_normal) = (condition.key(), condition.level == Level::Normal);
    if is_normal && key.is_empty() {
        chain.clear();
        chain.push(new);
        return None;
    }
    // What is not a fault or warning stands for "nothing is active" and gives way.
    chain.retain(|entry| active(entry.value()).is_some_and(|old| old.key() != key));
    if is_normal {
        if chain.is_empty() {
            chain.push(new.saying(normal()));
        }
        return None;
    }
    let overflow = (chain.len() >= MOST_ACTIVE).then(|| chain.remove(0));
    chain.push(new);
    overflow
}

/// Whether `new` would change nothing in the chain: the same entry is active, the same state is
/// already there, or a Normal clears what is not active.
pub fn is_duplicate<E: Entry>(chain: &[E], new: &Value) -> bool {
    let Value::Condition(new) = new else {
        return chain.len() == 1 && chain.iter().all(|entry| entry.value().is_unavailable());
    };
    let key = new.key();
    if new.level != Level::Normal {
        return chain.iter().any(|entry| active(entry.value()).is_some_and(|old| **old == **new));
    }
    match chain.last().map(Entry::value) {
        None | Some(Value::Unavailable) => false,
        Some(Value::Condition(last)) if last.level == Level::Normal => !key.is_empty() || last == new,
        Some(_) if key.is_empty() => false,
        Some(_) => !chain.iter().any(|entry| active(entry.value()).is_some_and(|old| old.key() == key)),
    }
}

/// A Normal that says nothing else.
pub fn normal() -> Value {
    Value::Condition(Arc::new(Condition::normal()))
}

fn active(value: &Value) -> Option<&Arc<Condition>> {
    match value {
        Value::Condition(condition) if condition.level != Level::Normal => Some(condition),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use smol_str::SmolStr;

    use super::*;
    use guideway_contract::{ItemIndex, Timestamp};
    use proptest::prelude::*;

    fn entry(level: Level, code: &str, message: &str) -> Value {
        Value::Condition(Arc::new(Condition {
            level,
            native_code: code.into(),
            native_severity: SmolStr::default(),
            qualifier: None,
            message: message.into(),
            condition_id: SmolStr::default(),
        }))
    }

    fn folded(entries: &[Value]) -> Vec<Value> {
        let mut chain = Vec::new();
        for entry in entries {
            fold(&mut chain, entry.clone());
        }
        chain
    }

    #[test]
    fn a_new_code_joins_the_chain_and_the_same_code_replaces_its_entry() {
        let (a, b) = (entry(Level::Warning, "1", "low oil"), entry(Level::Fault, "2", "door"));
        let worse = entry(Level::Fault, "1", "no oil");
        assert_eq!(folded(&[a.clone(), b.clone()]), [a.clone(), b.clone()]);
        assert_eq!(folded(&[a, b.clone(), worse.clone()]), [b, worse]);
    }

    #[test]
    fn a_normal_with_a_code_takes_that_entry_away_and_the_last_leaves_a_bare_normal() {
        let (a, b) = (entry(Level::Warning, "1", ""), entry(Level::Fault, "2", ""));
        let (end_a, end_b) = (entry(Level::Normal, "1", "gone"), entry(Level::Normal, "2", "gone"));
        let both = [a.clone(), b.clone(), end_a.clone()];
        assert_eq!(folded(&both), both[1..2]);
        assert_eq!(folded(&[a, b, end_a, end_b]), [normal()]);
    }

    #[test]
    fn a_normal_without_a_code_clears_all() {
        let all = [entry(Level::Warning, "1", ""), entry(Level::Fault, "2", ""), normal()];
        assert_eq!(folded(&all), [normal()]);
    }

    #[test]
    fn unavailable_replaces_everything_and_is_replaced_by_anything() {
        let fault = entry(Level::Fault, "2", "");
        assert_eq!(folded(&[fault.clone(), Value::Unavailable]), [Value::Unavailable]);
        assert_eq!(folded(&[fault.clone(), Value::Unavailable, fault.clone()]), [fault]);
        assert_eq!(folded(&[Value::Unavailable, entry(Level::Normal, "7", "")]), [normal()]);
    }

    #[test]
    fn the_condition_id_tells_entries_with_one_native_code_apart() {
        let with_id = |id: &str| match entry(Level::Fault, "500", "overtravel") {
            Value::Condition(condition) => {
                Value::Condition(Arc::new(Condition { condition_id: id.into(), ..(*condition).clone() }))
            }
            other => other,
        };
        assert_eq!(folded(&[with_id("X"), with_id("Y")]).len(), 2);
        assert_eq!(folded(&[with_id("X"), with_id("X")]).len(), 1);
    }

    #[test]
    fn a_fault_without_a_code_is_an_entry_of_its_own() {
        let (bare, coded) = (entry(Level::Fault, "", "?"), entry(Level::Fault, "1", ""));
        assert_eq!(folded(&[bare.clone(), coded.clone()]), [bare, coded]);
    }

    #[test]
    fn the_bare_normal_has_the_sequence_and_time_of_what_cleared_the_chain() {
        let recorded = |sequence, value| {
            let at = Timestamp::from_nanos(i64::from(sequence), 0);
            (u64::from(sequence), Observation::new(ItemIndex(3), at, at, value))
        };
        let mut chain: Vec<(u64, Observation)> = Vec::new();
        fold(&mut chain, recorded(7_u32, entry(Level::Fault, "1", "")));
        fold(&mut chain, recorded(9_u32, entry(Level::Normal, "1", "gone")));
        assert_eq!(chain, [recorded(9, normal())]);
    }

    #[test]
    fn a_chain_that_is_full_loses_its_oldest_entry() {
        let mut chain = Vec::new();
        for code in 0..MOST_ACTIVE {
            assert_eq!(fold(&mut chain, entry(Level::Fault, &code.to_string(), "")), None);
        }
        assert_eq!(fold(&mut chain, entry(Level::Fault, "one more", "")), Some(entry(Level::Fault, "0", "")));
        assert_eq!(chain.len(), MOST_ACTIVE);
    }

    #[test]
    fn what_changes_nothing_is_a_duplicate() {
        let (a, b) = (entry(Level::Warning, "1", "low"), entry(Level::Fault, "2", ""));
        let chain = folded(&[a.clone(), b]);
        assert!(is_duplicate(&chain, &a));
        assert!(!is_duplicate(&chain, &entry(Level::Warning, "1", "lower")));
        assert!(!is_duplicate(&chain, &entry(Level::Normal, "1", "")));
        assert!(is_duplicate(&chain, &entry(Level::Normal, "9", "")));
        assert!(!is_duplicate(&chain, &normal()));
        assert!(is_duplicate(&[normal()], &normal()));
        assert!(is_duplicate(&[normal()], &entry(Level::Normal, "1", "")));
        assert!(!is_duplicate(&[Value::Unavailable], &normal()));
        assert!(is_duplicate(&[Value::Unavailable], &Value::Unavailable));
        assert!(!is_duplicate::<Value>(&[], &Value::Unavailable));
    }

    proptest! {
        #[test]
        fn no_sequence_of_entries_leaves_the_chain_empty_or_with_a_key_twice(
            steps in proptest::collection::vec((0..4_u8, 0..5_u8), 1..40)
        ) {
            let mut chain = Vec::new();
            for (kind, code) in steps {
                let code = if code == 0 { String::new() } else { code.to_string() };
                let new = match kind {
                    0 => Value::Unavailable,
                    1 => entry(Level::Normal, &code, ""),
                    2 => entry(Level::Warning, &code, ""),
                    _ => entry(Level::Fault, &code, ""),
                };
                let (before, duplicate) = (chain.clone(), is_duplicate(&chain, &new));
                fold(&mut chain, new);
                prop_assert!(!chain.is_empty());
                let resting = chain.iter().filter(|entry| active(entry).is_none()).count();
                prop_assert!(resting == 0 || chain.len() == 1);
                let mut keys: Vec<_> =
                    chain.iter().filter_map(active).map(|entry| entry.key().to_owned()).collect();
                let all = keys.len();
                keys.sort();
                keys.dedup();
                prop_assert_eq!(keys.len(), all);
                if duplicate {
                    prop_assert_eq!(chain.len(), before.len());
                    prop_assert!(chain.iter().all(|entry| before.contains(entry)));
                }
            }
        }
    }
}
