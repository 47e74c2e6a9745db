//! Monitored items that the library alone would not serve truly.
//!
//! **Newcomers.** The library reads an item's first value, and some time later registers the item. What
//! a variable is given in between reaches nobody: the client would be left with an old value until the
//! next change. So an item is noted here while its first value is read, under the lock that the feed
//! writes under; the feed keeps what it is to get, and delivers it in order once the item is registered.
//!
//! **Source times.** Where a client asks for a sampling interval other than 0, the library gives a value
//! that comes too soon after the one before, or that has an earlier source time, a SourceTimestamp which
//! is not its own. Intervals are revised to 0 as far as the library lets us (see `Space`), which leaves
//! steps back in time; the interval -1, the publishing interval, it does not let us revise at all, and
//! what a client modifies an item to neither. It lets a value through untouched, though, when the one
//! before has no source time. So a value that it would hold back
//! - is preceded, where the queue holds one value only, by a spacer without time, which the value at once
//!   drives out of that queue. The price is the Overflow bit in its status. An item of interval -1 is
//!   given such a queue: it holds what a sample each publishing interval needs.
//! - is otherwise sent without its source time. (To an item whose filter looks at the time, it is then
//!   sent with it.) No time rather than a false one; an item of interval 0 gets every time.

mod filter;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opcua_server::node_manager::{MonitoredItemRef, MonitoredItemUpdateRef};
use opcua_server::{CreateMonitoredItem, MonitoredItemHandle, SubscriptionCache};
use opcua_types::{AttributeId, DataValue, NodeId, NumericRange, StatusCode, Variant};
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashMap;

use filter::Filter;

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
    pace: Pace,
    /// Whether its queue holds one value only.
    single: bool,
    filter: Filter,
    range: NumericRange,
    /// The value that the library compares the next one with; `None` when that is not known.
    last: Option<Arc<DataValue>>,
    /// What it is to get once it is registered; `None` when it is.
    pending: Option<Pending>,
}

/// Which values the library lets through untouched.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    /// Every one.
    Every,
    /// Those that are so many ticks (100 ns) later than the one before.
    Apart(i64),
    /// None.
    Publishing,
}

struct Pending {
    values: VecDeque<Arc<DataValue>>,
    since: Instant,
}

impl Watch {
    /// Notes an item that is being created; called under the lock of the address space under which its
    /// first value was read, once its interval and queue are revised.
    pub(super) fn enter(&self, created: &CreateMonitoredItem, first: &DataValue) {
        let wanted = created.item_to_monitor();
        let item = Item {
            handle: created.handle(),
            pace: Pace::of(created.sampling_interval()),
            single: created.queue_size() == 1,
            filter: Filter::of(created.filter()),
            range: wanted.index_range.clone(),
            last: Some(Arc::new(first.clone())),
            pending: Some(Pending { values: VecDeque::new(), since: Instant::now() }),
        };
        self.add(&wanted.node_id, item);
    }

    fn add(&self, node: &NodeId, item: Item) {
        let mut items = self.items.lock();
        items.newcomers.push((node.clone(), item.handle));
        items.by_node.entry(node.clone()).or_default().push(item);
        self.newcomers.store(items.newcomers.len(), Ordering::Relaxed);
    }

    /// Takes up what a client of that session has changed.
    pub(super) fn modified(
        &self,
        changes: &[&MonitoredItemUpdateRef],
        subscriptions: &SubscriptionCache,
        session: u32,
    ) {
        let of_session = subscriptions.get_session_subscriptions(session);
        for change in changes.iter().filter(|change| change.attribute() == AttributeId::Value) {
            if !change.status_code().is_good() {
                continue;
            }
            let (handle, update) = (change.handle(), change.update());
            // Before the items are locked: while the library holds the subscriptions, it may wait for them.
            let found = of_session.as_ref().and_then(|session| {
                let session = session.lock();
                let item = session.get(handle.subscription_id)?.get(&handle.monitored_item_id)?;
                Some((Filter::inside(item), item.item_to_monitor().index_range.clone()))
            });
            let (filter, range) = found.unwrap_or((Filter::Unknown, NumericRange::None));
            let pace = Pace::of(update.revised_sampling_interval);
            let single = update.revised_queue_size == 1;
            let mut items = self.items.lock();
            let of_node = items.by_node.entry(change.node_id().clone()).or_default();
            match of_node.iter_mut().find(|item| item.handle == handle) {
                Some(item) => (item.pace, item.single, item.filter) = (pace, single, filter),
                None => of_node.push(Item { handle, pace, single, filter, range, last: None, pending: None }),
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
        let value = Arc::new(value.clone());
        for pending in of_node.iter_mut().filter_map(|item| item.pending.as_mut()) {
            if pending.values.len() == MOST_PENDING {
                pending.values.pop_front();
            }
            pending.values.push_back(value.clone());
        }
        listeners(node, &mut |handle, send| match of_node.iter_mut().find(|item| item.handle == *handle) {
            None => send((*value).clone()),
            Some(item) if item.pending.is_none() => item.tell(&value, send),
            Some(_) => {}
        });
    }

    /// Items that are registered and get every value are the library's.
    fn drop_idle(&mut self, node: &NodeId) {
        if let Some(of_node) = self.by_node.get_mut(node) {
            of_node.retain(|item| item.pace != Pace::Every || item.pending.is_some());
            if of_node.is_empty() {
                self.by_node.remove(node);
            }
        }
    }
}

impl Pace {
    /// `interval` in milliseconds, as the library has revised it; it counts in whole microseconds.
    fn of(interval: f64) -> Self {
        if interval == 0.0 {
            Self::Every
        } else if interval > 0.0 {
            #[expect(clippy::cast_possible_truncation, reason = "cut as the library cuts it; it saturates")]
            let micros = (interval * 1_000.0) as i64;
            Self::Apart(micros.saturating_mul(10))
        } else {
            Self::Publishing
        }
    }

    fn lets_through(self, last: Option<&DataValue>, value: &DataValue) -> bool {
        // What was before is not known: better assume the worst.
        let Some(last) = last else { return self == Self::Every || value.source_timestamp.is_none() };
        match (self, last.source_timestamp, value.source_timestamp) {
            (Self::Every, _, _) | (_, None, _) | (_, _, None) => true,
            (Self::Apart(ticks), Some(before), Some(now)) => now.ticks() - before.ticks() >= ticks,
            (Self::Publishing, Some(_), Some(_)) => false,
        }
    }
}

impl Item {
    fn tell(&mut self, value: &Arc<DataValue>, send: &mut Send<'_>) {
        if self.pace == Pace::Every {
            return send((**value).clone());
        }
        let part = part(value, &self.range);
        if self.last.as_ref().is_some_and(|last| !self.filter.is_changed(&part, last)) {
            // The library will find so too, before it looks at the time.
            return send((**value).clone());
        }
        if !self.pace.lets_through(self.last.as_deref(), &part) {
            if self.single {
                send(spacer());
            } else {
                let untimed = |value: &DataValue| DataValue {
                    source_timestamp: None,
                    source_picoseconds: None,
                    ..value.clone()
                };
                send(untimed(value));
                let sent = untimed(&part);
                if !self.filter.is_changed(&part, &sent) {
                    self.last = Some(Arc::new(sent));
                    return;
                }
            }
        }
        send((**value).clone());
        self.last = Some(part);
    }
}

/// What of a value an item gets that monitors a range of it: as the library makes it.
fn part(value: &Arc<DataValue>, range: &NumericRange) -> Arc<DataValue> {
    let Some(whole) = value.value.as_ref().filter(|_| range.has_range()) else { return value.clone() };
    let (part, status) = match whole.range_of(range) {
        Ok(part) => (part, value.status),
        Err(status) => (Variant::Empty, Some(status)),
    };
    Arc::new(DataValue { value: Some(part), status, ..(**value).clone() })
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

#[cfg(test)]
mod tests;
