//! Assets in memory: by id, and by when they last changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use guideway_contract::Timestamp;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::{Asset, AssetQuery};

/// At most `capacity` assets. Clones of what is in it are shared.
pub(super) struct AssetStore {
    capacity: usize,
    /// Counts changes: what orders the assets.
    change: u64,
    by_id: FxHashMap<SmolStr, (u64, Arc<Asset>)>,
    by_change: BTreeMap<u64, SmolStr>,
}

impl AssetStore {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, change: 0, by_id: FxHashMap::default(), by_change: BTreeMap::new() }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Puts an asset in; gives back the one that had to go for it.
    pub(super) fn put(&mut self, asset: Arc<Asset>) -> Option<Arc<Asset>> {
        self.change += 1;
        let id = asset.id.clone();
        if let Some((before, _)) = self.by_id.insert(id.clone(), (self.change, asset)) {
            self.by_change.remove(&before);
        }
        self.by_change.insert(self.change, id);
        if self.by_id.len() <= self.capacity {
            return None;
        }
        let (_, oldest) = self.by_change.pop_first()?;
        self.by_id.remove(&oldest).map(|(_, asset)| asset)
    }

    /// The asset as it is once marked as removed; it is not put in.
    pub(super) fn marked(&self, id: &str, time: Timestamp) -> Option<Asset> {
        let (_, asset) = self.by_id.get(id)?;
        (!asset.removed).then(|| Asset { removed: true, time, ..(**asset).clone() })
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Asset>> {
        self.by_id.get(id).map(|(_, asset)| asset.clone())
    }

    /// All assets, least recently changed first.
    pub(super) fn in_order(&self) -> impl DoubleEndedIterator<Item = &Arc<Asset>> {
        self.by_change.values().filter_map(|id| self.by_id.get(id).map(|(_, asset)| asset))
    }

    pub(super) fn find(&self, query: &AssetQuery) -> Vec<Arc<Asset>> {
        self.in_order()
            .rev()
            .filter(|asset| query.removed || !asset.removed)
            .filter(|asset| query.asset_type.as_ref().is_none_or(|wanted| *wanted == asset.asset_type))
            .filter(|asset| query.device_uuid.as_ref().is_none_or(|wanted| *wanted == asset.device_uuid))
            .take(query.count.unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    pub(super) fn counts(&self) -> Vec<(SmolStr, usize)> {
        let mut counts = BTreeMap::<SmolStr, usize>::new();
        for asset in self.in_order().filter(|asset| !asset.removed) {
            *counts.entry(asset.asset_type.clone()).or_default() += 1;
        }
        counts.into_iter().collect()
    }
}
