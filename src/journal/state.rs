//! The state of data items: what `/current` shows.

use std::sync::Arc;

use guideway_contract::{ItemIndex, Observation, Value};

use super::fold;
use super::ring::NO_ITEM;
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
    /// By [`ItemIndex`]. Of all items it is as long as the device model has items, or longer; of a
    /// selection it ends with the last selected one that has a state, or later.
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

    /// Takes stretches of observations, each with the sequence of its first one, in order. What a
    /// later observation replaces is not looked at twice, so this goes from back to front; only
    /// conditions and data sets are then folded in order.
    pub(super) fn roll<'o, I>(&mut self, stretches: I, conditions: &[bool], selection: &Selection)
    where
        I: DoubleEndedIterator<Item = (u64, &'o [Observation])>,
    {
        let mut done = vec![0_u64; conditions.len().div_ceil(64)];
        let mut folds = Vec::new();
        for (first, observations) in stretches.rev() {
            for (place, observation) in observations.iter().enumerate().rev() {
                let sequence = first + place as u64;
                let item = observation.item;
                let (word, bit) = (item.index() / 64, 1 << (item.index() % 64));
                if done.get(word).is_some_and(|word| word & bit != 0) || item == NO_ITEM {
                    continue;
                }
                if !selection.contains(item) {
                    continue;
                }
                let condition = conditions.get(item.index()).copied().unwrap_or(false);
                if condition || matches!(observation.value.plain(), Value::Condition(_) | Value::DataSet(_)) {
                    folds.push((sequence, observation, condition));
                    continue;
                }
                if word >= done.len() {
                    done.resize(word + 1, 0);
                }
                done[word] |= bit;
                self.set(item, ItemState::Latest((sequence, observation.clone())));
            }
        }
        for (sequence, observation, condition) in folds.into_iter().rev() {
            self.apply(sequence, observation, condition);
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

    /// The state of an item.
    pub(super) fn get(&self, item: ItemIndex) -> &ItemState {
        self.blocks
            .get(item.index() / BLOCK)
            .map_or(&ItemState::Unknown, |block| &block[item.index() % BLOCK])
    }

    /// All states in order of their items.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ItemIndex, &ItemState)> {
        (0..).map(ItemIndex).zip(self.blocks.iter().flat_map(|block| block.iter()))
    }

    /// The states of selected items, `Unknown` elsewhere; up to the last selected one, or for `count`
    /// items when all are.
    pub(super) fn to_vec(&self, count: usize, selection: &Selection) -> Vec<ItemState> {
        let Selection::Items(words) = selection else {
            let mut items = Vec::with_capacity(count.max(self.blocks.len() * BLOCK));
            items.extend(self.iter().map(|(_, state)| state.clone()));
            items.resize(count.max(items.len()), ItemState::Unknown);
            return items;
        };
        let highest = words.iter().enumerate().rev().find(|(_, word)| **word != 0);
        let end = highest.map_or(0, |(place, word)| place * 64 + word.ilog2() as usize + 1);
        let mut items = vec![ItemState::Unknown; end.min(self.blocks.len() * BLOCK)];
        for ((item, state), place) in self.iter().zip(&mut items) {
            if selection.contains(item) {
                place.clone_from(state);
            }
        }
        items
    }
}
