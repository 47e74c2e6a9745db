//! What the journal says about itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::Shared;
use super::disk::Disk;

/// Whether all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether the journal is on disk at all.
    pub durable: bool,
    /// What the disk last refused, while it does; everything goes on in memory then.
    pub problem: Option<String>,
    /// Where the journal is now that could not be read when this one was begun.
    pub set_aside: Option<PathBuf>,
}

/// Counts since the journal was opened, unless they say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Observations that were appended.
    pub appended: u64,
    /// Observations that were refused because their data item is not in the device model.
    pub unknown_items: u64,
    /// Observations that are in memory only, because the disk refused them.
    pub not_written: u64,
    /// How often the disk refused a batch or an asset.
    pub write_failures: u64,
    /// Segments on disk now.
    pub segments: usize,
    /// Bytes of all segments on disk now.
    pub bytes: u64,
    /// For how long data has been waiting to be synced to the disk; zero when none does.
    pub sync_lag: Duration,
    /// How long opening took.
    pub recovery: Duration,
    /// Observations that were read from disk when it was opened.
    pub recovered: u64,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) appended: AtomicU64,
    pub(super) unknown_items: AtomicU64,
    pub(super) not_written: AtomicU64,
    pub(super) write_failures: AtomicU64,
    pub(super) recovery: Duration,
    pub(super) recovered: u64,
}

/// Counts are for people: no order between them is needed.
pub(super) fn add(count: &AtomicU64, by: usize) {
    count.fetch_add(by as u64, Ordering::Relaxed);
}

pub(super) fn health(shared: &Shared) -> Health {
    Health {
        durable: shared.disk.is_some(),
        problem: shared.disk.as_ref().and_then(Disk::problem),
        set_aside: shared.set_aside.clone(),
    }
}

pub(super) fn stats(shared: &Shared) -> Stats {
    let counts = &shared.counts;
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (bytes, segments) = shared.disk.as_ref().map_or((0, 0), Disk::size);
    Stats {
        appended: get(&counts.appended),
        unknown_items: get(&counts.unknown_items),
        not_written: get(&counts.not_written),
        write_failures: get(&counts.write_failures),
        segments,
        bytes,
        sync_lag: shared.disk.as_ref().map_or(Duration::ZERO, Disk::lag),
        recovery: counts.recovery,
        recovered: counts.recovered,
    }
}
