//! The state of data items: what `/current` shows.

use std::sync::Arc;

use guideway_contract::{ItemIndex, Observation, Value};

use super::fold;
use super::{Bounds, Recorded, Selection};

/// What is known of one data item.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ItemState {
    /// Nothing was ever observed.
    #[default]
    Unknown,
    /// The last observation; of a data set or table the whole set, with the sequence and time of
    /// its last change.
    Latest(Recorded),
    /// A condition: its active entries, oldest first; or one Normal or Unavailable. Never empty.
    Chain(Vec<Recorded>),
}

/// The state of all data items at one sequence.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Where the ring stood.
    pub bounds: Bounds,
    /// By [`ItemIndex`]; as long as the device model has items, or longer.
    pub items: Vec<ItemState>,
}

impl Snapshot {
    /// The state of an item; `Unknown` for one that the journal has not heard of.
    pub fn get(&self, item: ItemIndex) -> &ItemState {
        self.items.get(item.index()).unwrap_or(&ItemState::Unknown)
    }
}

/// Items in one block. A block is what a writer copies when a snapshot still holds the old one:
/// small enough to cost little, large enough that a snapshot of 20,000 items is 625 pointers.
const BLOCK: usize = 32;

type Block = [ItemState; BLOCK];

/// The states of all items, cheap to clone: clones share blocks until one side changes them.
#[derive(Clone, Default)]
pub(super) struct States {
    blocks: Vec<Arc<Block>>,
}

impl States {
    /// Takes an observation into the state of its item.
    pub(super) fn apply(&mut self, sequence: u64, observation: &Observation, condition: bool) {
        let state = self.slot(observation.item);
        match &observation.value {
            Value::Condition(_) => fold::condition(state, sequence, observation),
            Value::Unavailable if condition => fold::condition(state, sequence, observation),
            value if matches!(value.plain(), Value::DataSet(_)) => {
                fold::data_set(state, sequence, observation);
            }
            _ => *state = ItemState::Latest((sequence, observation.clone())),
        }
    }

    /// Puts a state in place.
    pub(super) fn set(&mut self, item: ItemIndex, state: ItemState) {
        *self.slot(item) = state;
    }

    fn slot(&mut self, item: ItemIndex) -> &mut ItemState {
        let block = item.index() / BLOCK;
        if block >= self.blocks.len() {
            self.blocks.resize_with(block + 1, || Arc::new(std::array::from_fn(|_| ItemState::Unknown)));
        }
        &mut Arc::make_mut(&mut self.blocks[block])[item.index() % BLOCK]
    }

    /// All states in order of their items.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ItemIndex, &ItemState)> {
        (0..).map(ItemIndex).zip(self.blocks.iter().flat_map(|block| block.iter()))
    }

    /// The states of selected items, `Unknown` elsewhere, for `count` items at least.
    pub(super) fn to_vec(&self, count: usize, selection: &Selection) -> Vec<ItemState> {
        let mut items = Vec::with_capacity(count.max(self.blocks.len() * BLOCK));
        items.extend(
            self.iter().map(
                |(item, state)| {
                    if selection.contains(item) { state.clone() } else { ItemState::Unknown }
                },
            ),
        );
        if items.len() < count {
            items.resize(count, ItemState::Unknown);
        }
        items
    }
}
