//! Monitored items that the library alone would not serve truly.
//!
//! **Newcomers.** The library reads an item's first value, and some time later registers the item. What
//! a variable is given in between reaches nobody: the client would be left with an old value until the
//! next change. So an item is noted here while its first value is read, under the lock that the feed
//! writes under; the feed keeps what it is to get, and delivers it in order once the item is registered.
//!
//! **Sampled items.** A sampling interval of -1 (the publishing interval; the default of some clients)
//! cannot be revised, and the library then gives each value the SourceTimestamp of the one before it. It
//! lets a value through untouched, though, when the one before has none. So such an item is given a queue
//! of one, as many values as a sample each publishing interval needs, and each value is preceded by a
//! spacer without time, which the value at once drives out of the queue. The price is the Overflow bit in
//! the status of what it gets. The same is done for an item that a client modifies to a positive interval
//! with a queue of one; with a longer queue the library's way stands.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opcua_server::node_manager::{MonitoredItemRef, MonitoredItemUpdateRef};
use opcua_server::{MonitoredItemHandle, SubscriptionCache};
use opcua_types::{AttributeId, DataValue, NodeId, StatusCode};
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashMap;

/// Values that are kept for an item that is not registered yet; of more the oldest go.
const MOST_PENDING: usize = 1_000;

/// How long an item may take to be registered. One that is created disabled does not show.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls back for every item that monitors the value of a node, with what sends values to it.
pub(super) type Listeners<'a> = dyn FnMut(&NodeId, &mut EachListener<'_>) + 'a;
type EachListener<'a> = dyn FnMut(&MonitoredItemHandle, &mut Send<'_>) + 'a;
type Send<'a> = dyn FnMut(DataValue) + 'a;

/// Does `work` with the items that are registered. None is registered meanwhile; what was sent is
/// handed to the items at the end.
pub(super) fn with_listeners<R>(
    subscriptions: &SubscriptionCache,
    work: impl FnOnce(&mut Listeners<'_>) -> R,
) -> R {
    let mut notifier = subscriptions.data_notifier();
    work(&mut |node, each| {
        if let Some(mut listeners) = notifier.notify_for(node, AttributeId::Value) {
            for (handle, _) in listeners.entries() {
                each(handle, &mut |value| listeners.data_value_to_item(value, handle));
            }
        }
    })
}

/// All such items, by node.
#[derive(Default)]
pub(super) struct Watch {
    items: Mutex<Items>,
    newcomers: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Items {
    by_node: FxHashMap<NodeId, Vec<Item>>,
    newcomers: Vec<(NodeId, MonitoredItemHandle)>,
}

struct Item {
    handle: MonitoredItemHandle,
    sampled: bool,
    /// What it is to get once it is registered; `None` when it is.
    pending: Option<Pending>,
    /// What a sampled item was told last.
    last: Option<DataValue>,
}

struct Pending {
    values: VecDeque<DataValue>,
    since: Instant,
}

impl Watch {
    /// Notes an item that is being created; called under the lock of the address space under which its
    /// first value was read.
    pub(super) fn enter(&self, node: &NodeId, handle: MonitoredItemHandle, sampled: bool, first: &DataValue) {
        let pending = Some(Pending { values: VecDeque::new(), since: Instant::now() });
        let last = sampled.then(|| first.clone());
        let mut items = self.items.lock();
        items.newcomers.push((node.clone(), handle));
        items.by_node.entry(node.clone()).or_default().push(Item { handle, sampled, pending, last });
        self.newcomers.store(items.newcomers.len(), Ordering::Relaxed);
    }

    /// Takes up what clients have changed.
    pub(super) fn modified(&self, changes: &[&MonitoredItemUpdateRef]) {
        let mut items = self.items.lock();
        for change in changes.iter().filter(|change| change.attribute() == AttributeId::Value) {
            if !change.status_code().is_good() {
                continue;
            }
            let (handle, update) = (change.handle(), change.update());
            // The library counts in microseconds.
            let interval = update.revised_sampling_interval;
            let sampled = !(0.0..0.001).contains(&interval) && update.revised_queue_size == 1;
            let of_node = items.by_node.entry(change.node_id().clone()).or_default();
            match of_node.iter_mut().find(|item| item.handle == handle) {
                Some(item) => item.sampled = sampled,
                None if sampled => of_node.push(Item { handle, sampled, pending: None, last: None }),
                None => {}
            }
            items.drop_idle(change.node_id());
        }
    }

    /// Forgets items.
    pub(super) fn forget(&self, gone: &[&MonitoredItemRef]) {
        let mut items = self.items.lock();
        for gone in gone {
            let handle = gone.handle();
            items.newcomers.retain(|(_, newcomer)| *newcomer != handle);
            if let Some(of_node) = items.by_node.get_mut(gone.node_id()) {
                of_node.retain(|item| item.handle != handle);
            }
            items.drop_idle(gone.node_id());
        }
        self.newcomers.store(items.newcomers.len(), Ordering::Relaxed);
    }

    /// Whether items wait for being registered.
    pub(super) fn has_newcomers(&self) -> bool {
        self.newcomers.load(Ordering::Relaxed) > 0
    }

    /// All items, for as long as values are told. First delivers what newcomers have missed that are
    /// registered by now.
    pub(super) fn begin(&self, listeners: &mut Listeners<'_>) -> MutexGuard<'_, Items> {
        let mut items = self.items.lock();
        if !items.newcomers.is_empty() {
            items.welcome(listeners);
            self.newcomers.store(items.newcomers.len(), Ordering::Relaxed);
        }
        items
    }
}

impl Items {
    fn welcome(&mut self, listeners: &mut Listeners<'_>) {
        for (node, handle) in std::mem::take(&mut self.newcomers) {
            let Some(of_node) = self.by_node.get_mut(&node) else { continue };
            let Some(item) = of_node.iter_mut().find(|item| item.handle == handle) else { continue };
            listeners(&node, &mut |other, send| {
                if *other == handle {
                    for value in item.pending.take().into_iter().flat_map(|pending| pending.values) {
                        item.tell(&value, send);
                    }
                }
            });
            if item.pending.as_ref().is_some_and(|pending| pending.since.elapsed() > PATIENCE) {
                item.pending = None;
            }
            if item.pending.is_some() {
                self.newcomers.push((node, handle));
            } else {
                self.drop_idle(&node);
            }
        }
    }

    /// Tells everybody who monitors the node.
    pub(super) fn tell(&mut self, node: &NodeId, value: &DataValue, listeners: &mut Listeners<'_>) {
        let of_node = if self.by_node.is_empty() { None } else { self.by_node.get_mut(node) };
        let Some(of_node) = of_node else {
            return listeners(node, &mut |_, send| send(value.clone()));
        };
        for pending in of_node.iter_mut().filter_map(|item| item.pending.as_mut()) {
            if pending.values.len() == MOST_PENDING {
                pending.values.pop_front();
            }
            pending.values.push_back(value.clone());
        }
        listeners(node, &mut |handle, send| match of_node.iter_mut().find(|item| item.handle == *handle) {
            None => send(value.clone()),
            Some(item) if item.pending.is_none() => item.tell(value, send),
            Some(_) => {}
        });
    }

    /// Items that are registered and not sampled are the library's.
    fn drop_idle(&mut self, node: &NodeId) {
        if let Some(of_node) = self.by_node.get_mut(node) {
            of_node.retain(|item| item.sampled || item.pending.is_some());
            if of_node.is_empty() {
                self.by_node.remove(node);
            }
        }
    }
}

impl Item {
    fn tell(&mut self, value: &DataValue, send: &mut Send<'_>) {
        if !self.sampled {
            send(value.clone());
        } else if self.last.as_ref() != Some(value) {
            self.last = Some(value.clone());
            send(spacer());
            send(value.clone());
        }
    }
}

/// Differs from every value in value and status, so that no filter holds it or the next one back, and
/// has no source time.
fn spacer() -> DataValue {
    DataValue {
        value: None,
        status: Some(StatusCode::BadShutdown),
        source_timestamp: None,
        source_picoseconds: None,
        server_timestamp: None,
        server_picoseconds: None,
    }
}
