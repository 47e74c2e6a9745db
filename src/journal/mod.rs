//! Everything that happened, once, in one sequence.
//!
//! One [`Writer`] appends; any number of readers hold a [`Journal`] (cheap to clone). A batch is
//! with the operating system before any reader can see it, so a killed process loses nothing that
//! was seen. The newest `buffer_size` observations are in memory (the ring), all that retention
//! keeps is on disk.

mod asset;
mod ledger;
mod options;
mod selection;
mod state;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use guideway_contract::Observation;
use tokio::sync::watch;

pub use asset::{Asset, AssetQuery};
pub use ledger::{Gap, GapCause};
pub use options::Options;
pub use selection::Selection;
pub use state::{ItemState, Snapshot};

use crate::device_model::SharedModel;

/// An observation with its sequence number.
pub type Recorded = (u64, Observation);

/// Where the ring stands. `first <= next`; empty when they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest sequence in memory.
    pub first: u64,
    /// The sequence the next observation will get.
    pub next: u64,
}

/// The sequence that was asked for is not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sequence {asked} is out of range ({} to {})", .bounds.first, .bounds.next)]
pub struct OutOfRange {
    /// What was asked for.
    pub asked: u64,
    /// What there is.
    pub bounds: Bounds,
}

/// The readers' end.
#[derive(Clone)]
pub struct Journal {
    // the owner of this module fills this in
}

/// The writer's end; there is one.
pub struct Writer {
    // the owner of this module fills this in
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{0} is in use by another process; stop it, or choose another --data-dir")]
    InUse(std::path::PathBuf),
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A stretch of the journal for a durable reader.
#[derive(Clone, Debug)]
pub enum Stretch {
    /// Observations in order, without a hole; never empty.
    Observations(Vec<Recorded>),
    /// What should be next is gone; reading goes on behind it.
    Gap(Gap),
    /// The reader has caught up.
    End,
}

impl Journal {
    /// Opens the journal in `directory` (`None`: in memory only), takes up what is there, or sets
    /// aside what cannot be read and begins a new instance.
    pub fn open(
        options: &Options,
        directory: Option<&Path>,
        model: SharedModel,
    ) -> Result<(Writer, Self), OpenError> {
        let _ = (options, directory, model);
        todo!()
    }

    /// Identifies this journal's sequence; unchanged over restarts unless the journal was lost.
    pub fn instance_id(&self) -> u64 {
        todo!()
    }

    /// How many observations the ring holds at most.
    pub fn buffer_size(&self) -> u32 {
        todo!()
    }

    /// Where the ring stands.
    pub fn bounds(&self) -> Bounds {
        todo!()
    }

    /// Follows `next`: changes whenever something was appended.
    pub fn changes(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// Up to `limit` observations of `selection` in the ring, from `from` on and before `until`, in
    /// order. The second value is the sequence to go on from: one past the last one looked at.
    pub fn read(
        &self,
        from: u64,
        until: Option<u64>,
        limit: usize,
        selection: &Selection,
    ) -> Result<(Vec<Recorded>, u64), OutOfRange> {
        let _ = (from, until, limit, selection);
        todo!()
    }

    /// Up to `limit` observations of `selection` at or before `from`, newest first (`count < 0`).
    pub fn read_back(
        &self,
        from: u64,
        limit: usize,
        selection: &Selection,
    ) -> Result<(Vec<Recorded>, u64), OutOfRange> {
        let _ = (from, limit, selection);
        todo!()
    }

    /// The state of every data item after observation `at`, or now.
    pub fn snapshot(&self, at: Option<u64>) -> Result<Snapshot, OutOfRange> {
        let _ = at;
        todo!()
    }

    /// Assets that fit, newest first.
    pub fn assets(&self, query: &AssetQuery) -> Vec<Arc<Asset>> {
        let _ = query;
        todo!()
    }

    /// The asset of that id, removed or not.
    pub fn asset(&self, id: &str) -> Option<Arc<Asset>> {
        let _ = id;
        todo!()
    }

    /// How many assets are not removed, in all and by type.
    pub fn asset_counts(&self) -> Vec<(smol_str::SmolStr, usize)> {
        todo!()
    }

    /// How many assets are kept at most.
    pub fn asset_buffer_size(&self) -> usize {
        todo!()
    }

    /// What durable reader `name` has acknowledged: the sequence it wants next. A new reader begins
    /// at the oldest observation that is kept.
    pub fn cursor(&self, name: &str) -> u64 {
        let _ = name;
        todo!()
    }

    /// Durable reader `name` has everything before `next`. Kept on disk within a second, and at
    /// shutdown; never moves back.
    pub fn acknowledge(&self, name: &str, next: u64) {
        let _ = (name, next);
        todo!()
    }

    /// Forgets a durable reader.
    pub fn forget(&self, name: &str) {
        let _ = name;
        todo!()
    }

    /// What follows `from` for durable reader `name`, from memory or disk, at most `limit`
    /// observations. A gap that retention made is entered in the ledger, once for each reader.
    /// Reads the disk: call it from a blocking task when `from` is below the ring.
    pub fn stretch(&self, name: &str, from: u64, limit: usize) -> Stretch {
        let _ = (name, from, limit);
        todo!()
    }

    /// Enters a gap that a reader found itself, such as observations that its peer refuses for good.
    pub fn note_gap(&self, gap: Gap) {
        let _ = gap;
        todo!()
    }

    /// Every gap that there ever was, oldest first.
    pub fn ledger(&self) -> Vec<Gap> {
        todo!()
    }
}

impl Writer {
    /// Appends observations in order and empties the vector. They are with the operating system,
    /// and then visible to readers, when this returns. If the disk refuses, they stay in memory
    /// only, the ledger says so, and the next append tries again.
    pub fn append(&mut self, observations: &mut Vec<Observation>) -> Range<u64> {
        let _ = observations;
        todo!()
    }

    /// Puts an asset in the place of the one with its id; the least recently changed one goes when
    /// there are too many. Returns what went.
    pub fn put_asset(&mut self, asset: Asset) -> Option<Arc<Asset>> {
        let _ = asset;
        todo!()
    }

    /// Marks an asset as removed. `None` when there is none or it was removed before.
    pub fn remove_asset(&mut self, id: &str, time: guideway_contract::Timestamp) -> Option<Arc<Asset>> {
        let _ = (id, time);
        todo!()
    }

    /// Writes everything to the disk: cursors, ledger, and the data itself (fsync).
    pub fn flush(&mut self) -> std::io::Result<()> {
        todo!()
    }
}
