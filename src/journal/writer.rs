//! The writer's end of the journal.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

use guideway_contract::{Observation, Timestamp};

use super::active::Active;
use super::asset_file::AssetFile;
use super::catalog::View;
use super::disk::What;
use super::ledger::{GapCause, JOURNAL};
use super::{Asset, Gap, Shared, health, keeper};

/// Observations that become visible together. Readers wait no longer than it takes to move so many
/// into the ring.
const SLICE: usize = 2_048;

/// Observations that are written together; a larger batch is several writes.
const WRITE: usize = 16_384;

/// The writer's end; there is one. Dropping it closes the journal in order.
pub struct Writer {
    shared: Arc<Shared>,
    view: View,
    /// `None` in memory only.
    durable: Option<Durable>,
}

/// What the writer needs for the disk.
pub(super) struct Durable {
    pub(super) active: Active,
    pub(super) asset_file: AssetFile,
    pub(super) keeper: Option<JoinHandle<()>>,
    pub(super) _lock: File,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, durable: Option<Durable>) -> Self {
        let view = shared.catalog.view();
        shared.ring.change(|ring| ring.set_conditions(view.conditions()));
        Self { shared, view, durable }
    }

    /// Appends observations in order and empties the vector. They are with the operating system,
    /// and then visible to readers, when this returns. If the disk refuses, they stay in memory
    /// only, the ledger says so, and the next append tries again (after several failures, only
    /// once a second). Observations of items that are not in the device model are left out and
    /// counted.
    pub fn append(&mut self, observations: &mut Vec<Observation>) -> Range<u64> {
        self.follow_model();
        let known = self.view.len();
        if observations.iter().any(|observation| observation.item.index() >= known) {
            let before = observations.len();
            observations.retain(|observation| observation.item.index() < known);
            health::add(&self.shared.counts.unknown_items, before - observations.len());
        }
        let first = self.shared.ring.bounds().next;
        let mut next = first;
        health::add(&self.shared.counts.appended, observations.len());
        while observations.len() > WRITE {
            let rest = observations.split_off(WRITE);
            next = self.append_part(next, observations);
            *observations = rest;
        }
        if !observations.is_empty() {
            next = self.append_part(next, observations);
        }
        first..next
    }

    fn append_part(&mut self, first: u64, observations: &mut Vec<Observation>) -> u64 {
        self.write(first, observations);
        let mut next = first;
        let mut waiting = observations.drain(..);
        while waiting.len() > 0 {
            next = self.shared.ring.change(|ring| {
                for observation in waiting.by_ref().take(SLICE) {
                    ring.push(observation);
                }
                ring.bounds().next
            });
            self.shared.changes.send_replace(next);
        }
        next
    }

    fn write(&mut self, first: u64, observations: &[Observation]) {
        let (Some(durable), Some(disk)) = (&mut self.durable, &self.shared.disk) else { return };
        let states = || self.shared.ring.latest();
        let failed = match durable.active.write(disk, first, observations, &self.view, states) {
            Some(Ok(())) => return,
            Some(Err(_)) => 1,
            None => 0,
        };
        health::add(&self.shared.counts.write_failures, failed);
        health::add(&self.shared.counts.not_written, observations.len());
        let last = first + observations.len() as u64 - 1;
        self.shared.ledger.lock().enter(Gap::new(JOURNAL, first, last, GapCause::WriteFailed));
    }

    /// Puts an asset in the place of the one with its id; the least recently changed one goes when
    /// there are too many. Returns what went.
    pub fn put_asset(&mut self, asset: Asset) -> Option<Arc<Asset>> {
        let asset = Arc::new(asset);
        let gone = self.shared.assets.write().put(asset.clone());
        self.write_asset(&asset);
        gone
    }

    /// Marks an asset as removed; its body stays as it was (to change that too, put the asset with
    /// `removed` set). `None` when there is none or it was removed before.
    pub fn remove_asset(&mut self, id: &str, time: Timestamp) -> Option<Arc<Asset>> {
        let asset = {
            let mut assets = self.shared.assets.write();
            let asset = Arc::new(assets.marked(id, time)?);
            assets.put(asset.clone());
            asset
        };
        self.write_asset(&asset);
        Some(asset)
    }

    fn write_asset(&mut self, asset: &Asset) {
        let (Some(durable), Some(disk)) = (&mut self.durable, &self.shared.disk) else { return };
        match durable.asset_file.put(asset, &self.shared.assets.read()) {
            Ok(file) => {
                disk.written(&file, 0);
                disk.works(What::Assets);
            }
            Err(error) => {
                health::add(&self.shared.counts.write_failures, 1);
                disk.trouble(What::Assets, &error);
            }
        }
    }

    /// Writes everything to the disk: cursors, ledger, and the data itself (fsync).
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(disk) = &self.shared.disk else { return Ok(()) };
        disk.sync_now().and(keeper::save(&self.shared, disk, true))
    }

    /// Takes notice of a changed device model.
    fn follow_model(&mut self) {
        let view = self.shared.catalog.view();
        if !view.same(&self.view) {
            self.shared.ring.change(|ring| ring.set_conditions(view.conditions()));
            self.view = view;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let (Some(durable), Some(disk)) = (&mut self.durable, &self.shared.disk) else { return };
        disk.stop();
        if let Some(keeper) = durable.keeper.take() {
            let _ = keeper.join();
        }
        let next = self.shared.ring.bounds().next;
        if let Err(error) = durable.active.close(disk, next) {
            disk.trouble(What::Segments, &error);
        }
        // What goes wrong here has been said; the next start finds what was written.
        let _ = self.flush();
    }
}
