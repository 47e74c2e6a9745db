//! The state of data items: what `/current` shows.

use super::{Bounds, Recorded};

/// What is known of one data item.
#[derive(Clone, Debug, Default)]
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
    /// By [`ItemIndex`](guideway_contract::ItemIndex).
    pub items: Vec<ItemState>,
}
