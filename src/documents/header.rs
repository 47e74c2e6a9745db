//! The header of every document.

use guideway_contract::Timestamp;
use smol_str::SmolStr;

/// What a header says; which of it a document shows depends on its kind and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// When the document was made.
    pub creation_time: Timestamp,
    /// Who made it: the host's or the gateway's name.
    pub sender: SmolStr,
    /// The journal's instance.
    pub instance_id: u64,
    /// When the device model last changed.
    pub device_model_change_time: Timestamp,
    /// How many assets can be kept.
    pub asset_buffer_size: usize,
    /// How many assets are there.
    pub asset_count: usize,
    /// How many observations the ring can hold.
    pub buffer_size: u32,
    /// The oldest sequence in the ring.
    pub first_sequence: u64,
    /// The newest.
    pub last_sequence: u64,
    /// Where to go on reading.
    pub next_sequence: u64,
    /// Whether the data are simulated or replayed (`testIndicator`).
    pub test_indicator: bool,
}
