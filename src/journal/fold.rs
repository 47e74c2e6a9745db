//! How an observation changes the state of a condition or a data set: by the pipeline's rules.

use std::sync::Arc;

use guideway_contract::{Annotated, Observation, Value};

use super::ItemState;
use crate::pipeline::{condition_chain, data_set as sets};

/// Takes a condition entry, or the loss of a condition, into its chain.
pub(super) fn condition(state: &mut ItemState, sequence: u64, observation: &Observation) {
    let mut chain = match std::mem::take(state) {
        ItemState::Chain(chain) => chain,
        _ => Vec::new(),
    };
    condition_chain::fold(&mut chain, (sequence, observation.clone()));
    *state = ItemState::Chain(chain);
}

/// Takes the changed entries of a data set or table into the whole set.
pub(super) fn data_set(state: &mut ItemState, sequence: u64, observation: &Observation) {
    let Value::DataSet(change) = observation.value.plain() else { return };
    let before = match state {
        ItemState::Latest((_, before)) => match before.value.plain() {
            Value::DataSet(set) => Some(&**set),
            _ => None,
        },
        _ => None,
    };
    let whole = Value::DataSet(Arc::new(sets::merge(before, change)));
    let mut observation = observation.clone();
    observation.value = match &observation.value {
        Value::Annotated(annotated) => {
            Value::Annotated(Arc::new(Annotated { value: whole, ..(**annotated).clone() }))
        }
        _ => whole,
    };
    *state = ItemState::Latest((sequence, observation));
}
