//! Everything that happened, once, in one sequence.
//!
//! One [`Writer`] appends; any number of readers hold a [`Journal`] (cheap to clone). A batch is
//! with the operating system before any reader can see it, so a killed process loses nothing that
//! was seen. The newest `buffer_size` observations are in memory (the ring), all that retention
//! keeps is on disk.

mod active;
mod asset;
mod asset_file;
mod asset_store;
mod bytes;
mod catalog;
mod catch_up;
mod cursors;
mod digest;
mod disk;
mod files;
mod fold;
mod health;
mod history;
mod keeper;
mod ledger;
mod observation_codec;
mod open;
mod options;
mod record;
mod recovery;
mod ring;
mod segment;
mod selection;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod value_codec;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use guideway_contract::Observation;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

pub use asset::{Asset, AssetQuery};
pub use health::{Health, Stats};
pub use history::{Continuation, HistoryGone, HistoryPage, HistoryQuery};
pub use ledger::{Gap, GapCause};
pub use options::Options;
pub use segment::{SegmentSummary, inspect, inspect_unchecked};
pub use selection::Selection;
pub use state::{ItemState, Snapshot};
pub use writer::Writer;

use crate::device_model::SharedModel;
use asset_store::AssetStore;
use catalog::Catalog;
use catch_up::CatchUp;
use cursors::Cursors;
use digest::Digests;
use disk::Disk;
use health::Counts;
use ledger::Ledger;
use ring::SharedRing;

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
    shared: Arc<Shared>,
}

/// What the writer and the readers have in common.
struct Shared {
    instance_id: u64,
    buffer_size: u32,
    catalog: Catalog,
    ring: SharedRing,
    changes: watch::Sender<u64>,
    assets: RwLock<AssetStore>,
    cursors: Mutex<Cursors>,
    ledger: Mutex<Ledger>,
    /// `None` in memory only.
    disk: Option<Disk>,
    catch_up: CatchUp,
    digests: Digests,
    counts: Counts,
    /// Where a journal is now that could not be read when this one was opened.
    set_aside: Option<PathBuf>,
}

/// The name of an item that has none.
const NO_NAME: (&str, &str) = ("", "");

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
        open::open(options, directory, Catalog::Model(model))
    }

    /// Identifies this journal's sequence; unchanged over restarts unless the journal was lost.
    pub fn instance_id(&self) -> u64 {
        self.shared.instance_id
    }

    /// How many observations the ring holds at most.
    pub fn buffer_size(&self) -> u32 {
        self.shared.buffer_size
    }

    /// Where the ring stands.
    pub fn bounds(&self) -> Bounds {
        self.shared.ring.bounds()
    }

    /// Follows `next`: changes whenever something was appended.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Up to `limit` observations of `selection` in the ring, from `from` on and before `until`, in
    /// order. `from` is at least `first` and at most `next`. The second value is the sequence to go
    /// on from: one past the last one looked at.
    pub fn read(
        &self,
        from: u64,
        until: Option<u64>,
        limit: usize,
        selection: &Selection,
    ) -> Result<(Vec<Recorded>, u64), OutOfRange> {
        self.shared.ring.read(from, until, limit, selection)
    }

    /// Up to `limit` observations of `selection` at or before `from`, newest first (`count < 0`).
    /// `from` is at least `first` and at most `next`. The second value is one before the last one
    /// looked at: where to go on backward, below `first` when nothing is left.
    pub fn read_back(
        &self,
        from: u64,
        limit: usize,
        selection: &Selection,
    ) -> Result<(Vec<Recorded>, u64), OutOfRange> {
        self.shared.ring.read_back(from, limit, selection)
    }

    /// The state of every data item after observation `at` (`first` to `next - 1`), or now.
    pub fn snapshot(&self, at: Option<u64>) -> Result<Snapshot, OutOfRange> {
        self.snapshot_of(at, &Selection::All)
    }

    /// As [`snapshot`](Self::snapshot), with the items outside `selection` left `Unknown`: cheaper
    /// for a narrow path.
    pub fn snapshot_of(&self, at: Option<u64>, selection: &Selection) -> Result<Snapshot, OutOfRange> {
        let (states, bounds, count) = self.shared.ring.states(at, selection)?;
        Ok(Snapshot { bounds, items: states.to_vec(count, selection) })
    }

    /// Assets that fit, newest first.
    pub fn assets(&self, query: &AssetQuery) -> Vec<Arc<Asset>> {
        self.shared.assets.read().find(query)
    }

    /// The asset of that id, removed or not.
    pub fn asset(&self, id: &str) -> Option<Arc<Asset>> {
        self.shared.assets.read().get(id)
    }

    /// How many assets are not removed, by type, in order of their types.
    pub fn asset_counts(&self) -> Vec<(smol_str::SmolStr, usize)> {
        self.shared.assets.read().counts()
    }

    /// How many assets are kept at most.
    pub fn asset_buffer_size(&self) -> usize {
        self.shared.assets.read().capacity()
    }

    /// What durable reader `name` has acknowledged: the sequence it wants next. A new reader begins
    /// at the oldest observation that is kept.
    pub fn cursor(&self, name: &str) -> u64 {
        let first = self.bounds().first;
        let oldest = self.shared.disk.as_ref().and_then(Disk::oldest).map_or(first, |kept| kept.min(first));
        self.shared.cursors.lock().get(name, oldest)
    }

    /// Durable reader `name` has everything before `next`. Kept on disk within a second, and at
    /// shutdown; never moves back.
    pub fn acknowledge(&self, name: &str, next: u64) {
        let next = next.min(self.bounds().next);
        self.shared.cursors.lock().advance(name, next);
    }

    /// Forgets a durable reader.
    pub fn forget(&self, name: &str) {
        self.shared.cursors.lock().forget(name);
        self.shared.catch_up.forget(name);
    }

    /// What follows `from` for durable reader `name`, from memory or disk, at most `limit`
    /// observations. A gap that retention made is entered in the ledger, once for each reader.
    /// Reads the disk: call it from a blocking task when `from` is below the ring.
    pub fn stretch(&self, name: &str, from: u64, limit: usize) -> Stretch {
        catch_up::stretch(&self.shared, name, from, limit)
    }

    /// A page of the history of one data item; the first, or the one behind `query.after`. Reads the
    /// disk: call it from a blocking task.
    ///
    /// # Errors
    /// When retention has removed some of what was to come after the page before.
    pub fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, HistoryGone> {
        self.histories(std::slice::from_ref(query)).pop().unwrap_or(Err(HistoryGone))
    }

    /// As [`history`](Self::history) for several queries at once, which reads what they have in common
    /// once. The pages are in the order of the queries, and share the memory that one may take.
    pub fn histories(&self, queries: &[HistoryQuery]) -> Vec<Result<HistoryPage, HistoryGone>> {
        history::histories(&self.shared, queries)
    }

    /// Enters a gap that a reader found itself, such as observations that its peer refuses for good.
    pub fn note_gap(&self, gap: Gap) {
        self.shared.ledger.lock().enter(gap);
    }

    /// Every gap that there ever was, oldest first.
    pub fn ledger(&self) -> Vec<Gap> {
        self.shared.ledger.lock().gaps().to_vec()
    }

    /// Whether all is well on the disk.
    pub fn health(&self) -> Health {
        health::health(&self.shared)
    }

    /// What was done so far, and what it takes.
    pub fn stats(&self) -> Stats {
        health::stats(&self.shared)
    }
}
