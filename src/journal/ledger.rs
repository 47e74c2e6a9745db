//! The loss ledger: what is missing, how much, and why.

use guideway_contract::Timestamp;
use serde::Serialize;

/// A hole that somebody met.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gap {
    /// Who missed it: a durable reader's name, or `journal` for all of them.
    pub reader: String,
    /// First missing sequence.
    pub from: u64,
    /// Last missing sequence.
    pub to: u64,
    /// How many observations: `to - from + 1`.
    pub count: u64,
    /// Why.
    pub cause: GapCause,
    /// When it was found.
    #[serde(serialize_with = "crate::journal::ledger::as_text")]
    pub time: Timestamp,
}

/// Why observations are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// Retention by bytes or age removed them before the reader came.
    Retention,
    /// A record on disk could not be read.
    Corruption,
    /// The disk refused to write; they were in memory only.
    WriteFailed,
    /// The data item is no longer in the device model.
    ItemRemoved,
    /// The peer refuses them for good, e.g. because they are larger than it takes.
    Refused,
}

pub(crate) fn as_text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
