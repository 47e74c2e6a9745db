//! How an observation changes the state of a condition or a data set.

use std::sync::Arc;

use guideway_contract::{Annotated, Cell, Condition, DataSet, Level, Observation, Value};
use smol_str::SmolStr;

use super::{ItemState, Recorded};

/// Takes a condition entry, or the loss of a condition, into its chain.
pub(super) fn condition(state: &mut ItemState, sequence: u64, observation: &Observation) {
    let mut chain = match std::mem::take(state) {
        ItemState::Chain(chain) => chain,
        _ => Vec::new(),
    };
    match &observation.value {
        Value::Condition(entry) if entry.level == Level::Normal && !entry.key().is_empty() => {
            chain.retain(|other| active_key(other).is_some_and(|key| key != entry.key()));
            if chain.is_empty() {
                chain.push((sequence, bare_normal(observation)));
            }
        }
        Value::Condition(entry) if entry.level != Level::Normal => {
            chain.retain(|other| active_key(other).is_some());
            let recorded = (sequence, observation.clone());
            match chain.iter().position(|other| active_key(other) == Some(entry.key())) {
                Some(place) => chain[place] = recorded,
                None => chain.push(recorded),
            }
        }
        _ => {
            chain.clear();
            chain.push((sequence, observation.clone()));
        }
    }
    *state = ItemState::Chain(chain);
}

/// The key of a warning or fault; `None` for Normal and Unavailable.
fn active_key(recorded: &Recorded) -> Option<&str> {
    match &recorded.1.value {
        Value::Condition(entry) if entry.level != Level::Normal => Some(entry.key()),
        _ => None,
    }
}

/// What remains when the last active entry is gone: Normal, about the condition as a whole.
fn bare_normal(observation: &Observation) -> Observation {
    let mut normal = observation.clone();
    normal.value = Value::Condition(Arc::new(Condition {
        level: Level::Normal,
        native_code: SmolStr::default(),
        native_severity: SmolStr::default(),
        qualifier: None,
        message: SmolStr::default(),
        condition_id: SmolStr::default(),
    }));
    normal
}

/// Takes the changed entries of a data set or table into the whole set.
pub(super) fn data_set(state: &mut ItemState, sequence: u64, observation: &Observation) {
    let Value::DataSet(change) = observation.value.plain() else { return };
    let before = match state {
        ItemState::Latest((_, before)) => match before.value.plain() {
            Value::DataSet(set) => Some(set.clone()),
            _ => None,
        },
        _ => None,
    };
    let whole = Value::DataSet(Arc::new(merge(before.as_deref(), change)));
    let mut observation = observation.clone();
    observation.value = match &observation.value {
        Value::Annotated(annotated) => {
            Value::Annotated(Arc::new(Annotated { value: whole, ..(**annotated).clone() }))
        }
        _ => whole,
    };
    *state = ItemState::Latest((sequence, observation));
}

/// The whole set after a change.
fn merge(before: Option<&DataSet>, change: &DataSet) -> DataSet {
    let mut entries = match before {
        Some(set) if change.reset.is_none() => set.entries().to_vec(),
        _ => Vec::new(),
    };
    entries.extend_from_slice(change.entries());
    let mut whole = DataSet::new(None, entries);
    if whole.entries().iter().any(|entry| entry.cell == Cell::Removed) {
        let kept = whole.entries().iter().filter(|entry| entry.cell != Cell::Removed).cloned().collect();
        whole = DataSet::new(None, kept);
    }
    whole.reset.clone_from(&change.reset);
    whole
}
