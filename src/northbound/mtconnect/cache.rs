//! Replies that can be given again.
//!
//! A document depends on the request, on what the journal holds and on the second it was made in
//! (`creationTime` is in whole seconds). While none of these changes, everybody who asks the same
//! gets the same bytes.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::http::reply::Ready;

/// Most replies that are kept.
const MAX_ENTRIES: usize = 128;
/// Most bytes that are kept.
const MAX_BYTES: usize = 32 << 20;
/// Longest request target that is remembered.
const MAX_TARGET: usize = 2_048;

/// What a reply depends on besides the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The sequence the next observation will get.
    pub(super) next: u64,
    /// Seconds since the Unix epoch.
    pub(super) second: i64,
    /// Number of the device model's edition.
    pub(super) edition: u64,
}

struct Slot {
    stamp: Stamp,
    ready: Arc<Ready>,
    used: u64,
}

#[derive(Default)]
struct Slots {
    /// By target; those asked for in JSON by `Accept` apart from the others.
    by_target: [FxHashMap<Box<str>, Slot>; 2],
    bytes: usize,
    clock: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Cache(Mutex<Slots>);

impl Cache {
    /// The reply to `target`, if it still holds.
    pub(super) fn get(&self, target: &str, json: bool, stamp: Stamp) -> Option<Arc<Ready>> {
        let mut slots = self.0.lock();
        slots.clock += 1;
        let clock = slots.clock;
        let slot = slots.by_target[usize::from(json)].get_mut(target).filter(|slot| slot.stamp == stamp)?;
        slot.used = clock;
        Some(Arc::clone(&slot.ready))
    }

    /// Keeps a reply; what is out of date goes first, then what was not asked for the longest.
    pub(super) fn put(&self, target: &str, json: bool, stamp: Stamp, ready: &Arc<Ready>) {
        let size = ready.body.len() + ready.head.len();
        if target.len() > MAX_TARGET || size > MAX_BYTES / 4 {
            return;
        }
        let mut slots = self.0.lock();
        slots.remove(target, usize::from(json));
        if slots.by_target.iter().map(FxHashMap::len).sum::<usize>() >= MAX_ENTRIES
            || slots.bytes + size > MAX_BYTES
        {
            slots.retain(|slot| slot.stamp == stamp);
        }
        while slots.by_target.iter().map(FxHashMap::len).sum::<usize>() >= MAX_ENTRIES
            || slots.bytes + size > MAX_BYTES
        {
            let Some((used, _)) = slots.oldest() else { break };
            slots.retain(|slot| slot.used != used);
        }
        slots.clock += 1;
        slots.bytes += size;
        let slot = Slot { stamp, ready: Arc::clone(ready), used: slots.clock };
        slots.by_target[usize::from(json)].insert(target.into(), slot);
    }
}

impl Slots {
    fn remove(&mut self, target: &str, map: usize) {
        if let Some(slot) = self.by_target[map].remove(target) {
            self.bytes -= slot.ready.body.len() + slot.ready.head.len();
        }
    }

    fn retain(&mut self, keep: impl Fn(&Slot) -> bool) {
        let mut bytes = 0;
        for map in &mut self.by_target {
            map.retain(|_, slot| keep(slot));
            bytes += map.values().map(|slot| slot.ready.body.len() + slot.ready.head.len()).sum::<usize>();
        }
        self.bytes = bytes;
    }

    fn oldest(&self) -> Option<(u64, usize)> {
        let all = self.by_target.iter().flat_map(FxHashMap::values);
        all.map(|slot| (slot.used, slot.ready.body.len())).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::northbound::mtconnect::http::reply::Reply;

    const STAMP: Stamp = Stamp { next: 7, second: 1, edition: 1 };

    fn ready(size: usize) -> Arc<Ready> {
        Arc::new(Ready::new(&Reply::new(200, "text/plain", vec![b'x'; size]), "now"))
    }

    #[test]
    fn a_reply_holds_until_something_changes() {
        let cache = Cache::default();
        cache.put("/current", false, STAMP, &ready(3));
        assert!(cache.get("/current", false, STAMP).is_some());
        assert!(cache.get("/current", true, STAMP).is_none());
        assert!(cache.get("/current", false, Stamp { next: 8, ..STAMP }).is_none());
        assert!(cache.get("/current", false, Stamp { second: 2, ..STAMP }).is_none());
        assert!(cache.get("/current", false, Stamp { edition: 2, ..STAMP }).is_none());
    }

    #[test]
    fn entries_and_bytes_are_bounded_and_the_least_used_goes_first() {
        let cache = Cache::default();
        cache.put("/kept", false, STAMP, &ready(1));
        for number in 0..1_000 {
            cache.put(&format!("/{number}"), false, STAMP, &ready(1 << 20));
            assert!(cache.get("/kept", false, STAMP).is_some(), "{number}");
        }
        let slots = cache.0.lock();
        assert!(slots.by_target[0].len() <= MAX_ENTRIES && slots.bytes <= MAX_BYTES);
    }

    #[test]
    fn a_reply_that_would_push_out_all_others_is_not_kept() {
        let cache = Cache::default();
        cache.put("/large", false, STAMP, &ready(MAX_BYTES / 2));
        assert!(cache.get("/large", false, STAMP).is_none());
    }
}
