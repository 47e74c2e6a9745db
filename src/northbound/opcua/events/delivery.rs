//! How events reach the clients that monitor them: in order, and none lost while a client falls behind by
//! fewer than a thousand.
//!
//! The library's queue of a monitored item is as long as its client asked, and one long where the client left
//! it to the server. So events wait here while that queue is full, and go into it as the client empties it.
//!
//! Locks are taken in this order: [`Desk::items`], then the library's lock of one session's subscriptions,
//! then the cache of where clauses. The lock of the library's subscription cache is only held within
//! `get_session_subscriptions`, and never while a session's is: the library takes those two the other way
//! round.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use opcua_core::sync::Mutex;
use opcua_nodes::DefaultTypeTree;
use opcua_server::{MonitoredItemHandle, SessionSubscriptions, Subscription, SubscriptionCache};
use opcua_types::{MonitoringMode, NodeId};

use super::clause::Clause;
use super::filter::{Announced, Clauses};
use super::kind::Kind;
use super::occurrence::{Ids, Occurrence};

/// How many events wait for one monitored item.
pub(super) const MOST_WAITING: usize = 1_000;
/// How long an item is kept that the library does not have, or not yet.
const GRACE: Duration = Duration::from_secs(60);
/// How long after looking for a subscription that has moved it is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many sessions newer than the newest known one are looked at for a subscription that has moved.
const SESSIONS_AHEAD: u32 = 256;
/// How many older ones.
const SESSIONS_BEHIND: u32 = 4_096;

/// What the delivery needs to know of events in general.
pub(super) struct Terms {
    pub(super) ids: Ids,
    pub(super) clauses: Arc<Clauses>,
    /// The namespace index of the companion specification.
    pub(super) mtconnect: u16,
    /// By [`Kind::ALL`].
    types: HashMap<Kind, NodeId>,
    /// What the library asks for: nothing is looked up in it, see `filter`.
    tree: DefaultTypeTree,
}

impl Terms {
    /// With the namespace index of the companion specification.
    pub(super) fn new(clauses: Arc<Clauses>, mtconnect: u16) -> Self {
        let types = Kind::ALL.into_iter().map(|kind| (kind, kind.type_id(mtconnect))).collect();
        Self { ids: Ids::default(), clauses, mtconnect, types, tree: DefaultTypeTree::default() }
    }

    fn announced<'e>(&'e self, event: &'e Occurrence) -> Announced<'e> {
        Announced::new(event, &self.types[&event.kind], &self.clauses, self.mtconnect)
    }
}

/// The monitored items for events, and what waits for them.
#[derive(Default)]
pub(super) struct Desk {
    items: Mutex<HashMap<MonitoredItemHandle, Item>>,
    /// Whether anything waits for any item.
    waiting: AtomicBool,
    /// Whether there is any item.
    listening: AtomicBool,
    /// The newest session heard of; their numbers rise.
    newest_session: AtomicU32,
}

struct Item {
    /// What it monitors.
    notifier: NodeId,
    /// The session that had its subscription when last looked at.
    session: u32,
    /// How many of our events are in the library's queue, at most. The library only says whether it is empty.
    queued: usize,
    backlog: Backlog,
    /// Its where clause, as far as it is known: when the library asked for it last.
    clause: Option<Arc<Clause>>,
    /// Since when the library does not have it; from the beginning it has not.
    missing: Option<Instant>,
    /// When its subscription was looked for last.
    looked: Option<Instant>,
}

/// What waits for one item, in order.
#[derive(Default)]
struct Backlog {
    events: VecDeque<Waiting>,
    /// How many of them count towards [`MOST_WAITING`].
    counted: usize,
}

struct Waiting {
    event: Arc<Occurrence>,
    /// Not so for what answers a request of the client; that is bounded by what is active.
    counts: bool,
}

impl Backlog {
    /// Lets an event wait; `false` if one was lost for it. Then an overflow event stands where events are
    /// missing.
    fn push(&mut self, event: Arc<Occurrence>, discard_oldest: bool, ids: &Ids) -> bool {
        if self.counted < MOST_WAITING {
            self.counted += 1;
            self.events.push_back(Waiting { event, counts: true });
            return true;
        }
        let overflow = || {
            let event = Arc::new(Occurrence::notice(ids, Kind::Overflow));
            Waiting { event, counts: false }
        };
        let tells = |waiting: Option<&Waiting>| waiting.is_some_and(|it| it.event.kind == Kind::Overflow);
        if discard_oldest {
            if let Some(oldest) = self.events.iter().position(|waiting| waiting.counts) {
                self.events.remove(oldest);
                if !tells(oldest.checked_sub(1).and_then(|before| self.events.get(before))) {
                    self.events.insert(oldest, overflow());
                }
            }
            self.events.push_back(Waiting { event, counts: true });
        } else if !tells(self.events.back()) {
            self.events.push_back(overflow());
        }
        false
    }

    fn pop(&mut self) -> Option<Arc<Occurrence>> {
        let Waiting { event, counts } = self.events.pop_front()?;
        self.counted -= usize::from(counts);
        Some(event)
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn is_refreshing(&self) -> bool {
        self.events.iter().any(|waiting| waiting.event.kind == Kind::RefreshEnd)
    }
}

impl Desk {
    /// Takes note of an item that is about to be made.
    pub(super) fn add(&self, handle: MonitoredItemHandle, notifier: NodeId, session: u32, queue_size: usize) {
        self.newest_session.fetch_max(session, Ordering::Relaxed);
        let item = Item {
            notifier,
            session,
            // The library puts a data change into the queue of a new item, also of one for events. In a
            // queue of one the first event takes its place.
            queued: usize::from(queue_size > 1),
            backlog: Backlog::default(),
            clause: None,
            missing: Some(Instant::now()),
            looked: None,
        };
        self.items.lock().insert(handle, item);
        self.listening.store(true, Ordering::Release);
    }

    /// Takes note that an item may have another filter now.
    pub(super) fn change(&self, handle: MonitoredItemHandle) {
        if let Some(item) = self.items.lock().get_mut(&handle) {
            item.clause = None;
        }
    }

    /// Forgets an item.
    pub(super) fn remove(&self, handle: MonitoredItemHandle) {
        let mut items = self.items.lock();
        items.remove(&handle);
        self.listening.store(!items.is_empty(), Ordering::Release);
    }

    /// The session that an item's subscription was last found in.
    #[cfg(test)]
    pub(super) fn session_of(&self, handle: MonitoredItemHandle) -> Option<u32> {
        Some(self.items.lock().get(&handle)?.session)
    }

    /// Whether there is anybody to tell.
    pub(super) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Acquire)
    }

    /// Whether events wait until clients have room.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// Answers a request for a refresh of that subscription's items, or of one of them: start, what is
    /// active, end, behind what already waits. `Err` when one of them is being refreshed.
    pub(super) fn refresh(
        &self,
        terms: &Terms,
        subscription: u32,
        item: Option<u32>,
        retained: &[Arc<Occurrence>],
    ) -> Result<(), Refreshing> {
        let mut items = self.items.lock();
        let concerned = |handle: &MonitoredItemHandle| {
            handle.subscription_id == subscription && item.is_none_or(|id| id == handle.monitored_item_id)
        };
        if items.iter().any(|(handle, item)| concerned(handle) && item.backlog.is_refreshing()) {
            return Err(Refreshing);
        }
        for (_, item) in items.iter_mut().filter(|(handle, _)| concerned(handle)) {
            let notice = |kind| Arc::new(Occurrence::notice(&terms.ids, kind));
            let mut put = |event| item.backlog.events.push_back(Waiting { event, counts: false });
            put(notice(Kind::RefreshStart));
            for event in retained.iter().filter(|event| event.is_announced_by(&item.notifier)) {
                put(event.clone());
            }
            put(notice(Kind::RefreshEnd));
        }
        self.waiting.store(true, Ordering::Release);
        Ok(())
    }

    /// Gives the events that `pending` has to the items that monitor them, as far as there is room. Returns
    /// how many events were lost because too many wait, counted once for each item.
    pub(super) fn deliver(
        &self,
        terms: &Terms,
        subscriptions: &SubscriptionCache,
        pending: impl FnOnce() -> Vec<Arc<Occurrence>>,
    ) -> u64 {
        let mut items = self.items.lock();
        // Taken under the lock: of two deliveries at once, the first has the older events.
        let events = &*pending();
        if events.is_empty() && !self.is_waiting() {
            return 0;
        }
        let mut by_session: HashMap<u32, Vec<MonitoredItemHandle>> = HashMap::new();
        for (handle, item) in items.iter() {
            if !item.backlog.is_empty() || events.iter().any(|event| event.is_announced_by(&item.notifier)) {
                by_session.entry(item.session).or_default().push(*handle);
            }
        }
        let mut lost = 0;
        let mut strays: HashMap<u32, Vec<MonitoredItemHandle>> = HashMap::new();
        for (session, handles) in by_session {
            let subscriptions = subscriptions.get_session_subscriptions(session);
            let mut subscriptions = subscriptions.as_ref().map(|subscriptions| subscriptions.lock());
            for handle in handles {
                let Some(item) = items.get_mut(&handle) else { continue };
                let subscription = subscriptions.as_mut().and_then(|its| its.get_mut(handle.subscription_id));
                match subscription {
                    Some(subscription) => lost += item.deliver(handle, terms, subscription, events),
                    None => strays.entry(handle.subscription_id).or_default().push(handle),
                }
            }
        }
        for (subscription, handles) in strays {
            let mut place = None;
            for (at, handle) in handles.into_iter().enumerate() {
                let Some(item) = items.get_mut(&handle) else { continue };
                if at == 0 && item.looked.is_none_or(|looked| looked.elapsed() > LOOK_AGAIN) {
                    item.looked = Some(Instant::now());
                    place = self.find(subscriptions, subscription, item.session);
                }
                let Some((session, subscriptions)) = &place else {
                    lost += item.miss(terms, events);
                    continue;
                };
                item.session = *session;
                lost += match subscriptions.lock().get_mut(subscription) {
                    Some(subscription) => item.deliver(handle, terms, subscription, events),
                    None => item.miss(terms, events),
                };
            }
        }
        items.retain(|_, item| !item.is_gone());
        self.listening.store(!items.is_empty(), Ordering::Release);
        let waiting = items.values().any(|item| !item.backlog.is_empty());
        self.waiting.store(waiting, Ordering::Release);
        lost
    }

    /// Where a subscription has moved to: clients may take theirs along to a new session.
    fn find(
        &self,
        subscriptions: &SubscriptionCache,
        subscription: u32,
        before: u32,
    ) -> Option<(u32, Arc<Mutex<SessionSubscriptions>>)> {
        let newest = self.newest_session.load(Ordering::Relaxed).max(before);
        let oldest = newest.saturating_sub(SESSIONS_BEHIND);
        let found = (oldest..newest.saturating_add(SESSIONS_AHEAD)).rev().find_map(|session| {
            let subscriptions = subscriptions.get_session_subscriptions(session)?;
            let has = subscriptions.lock().contains(subscription);
            has.then_some((session, subscriptions))
        })?;
        self.newest_session.fetch_max(found.0, Ordering::Relaxed);
        Some(found)
    }
}

/// A refresh that was asked for before has not been delivered yet.
#[derive(Debug)]
pub(super) struct Refreshing;

impl Item {
    /// Puts what waits and then the new events into the library's queue, and lets wait what has no room.
    fn deliver(
        &mut self,
        handle: MonitoredItemHandle,
        terms: &Terms,
        subscription: &mut Subscription,
        events: &[Arc<Occurrence>],
    ) -> u64 {
        let id = handle.monitored_item_id;
        let Some(item) = subscription.get(&id) else { return self.miss(terms, events) };
        self.missing = None;
        if item.monitoring_mode() == MonitoringMode::Disabled {
            // Part 4, 5.13.1.3: nothing is queued, and what was is dropped.
            self.backlog = Backlog::default();
            return 0;
        }
        let (size, discard_oldest) = (item.queue_size(), item.discard_oldest());
        if !item.has_notifications() {
            self.queued = 0;
        }
        while self.queued < size {
            let Some(event) = self.backlog.pop() else { break };
            self.put(id, terms, subscription, &event);
        }
        let mut lost = 0;
        for event in events {
            if !event.is_announced_by(&self.notifier) {
                continue;
            }
            if self.queued < size && self.backlog.is_empty() {
                self.put(id, terms, subscription, event);
            } else if !self.wait(terms, event, discard_oldest) {
                lost += 1;
            }
        }
        lost
    }

    /// Puts an event into the library's queue if the client wants it.
    fn put(&mut self, id: u32, terms: &Terms, subscription: &mut Subscription, event: &Occurrence) {
        let announced = terms.announced(event);
        subscription.notify_event(&id, &announced, &terms.tree);
        let asked = announced.asked();
        if asked.as_ref().is_none_or(|(_, wanted)| *wanted) {
            self.queued += 1;
        }
        self.clause = asked.map(|(clause, _)| clause);
    }

    /// Lets an event wait if the client wants it; `false` if one was lost for it.
    fn wait(&mut self, terms: &Terms, event: &Arc<Occurrence>, discard_oldest: bool) -> bool {
        let unwanted = self.clause.as_ref().is_some_and(|clause| !clause.accepts(event, terms.mtconnect));
        unwanted || self.backlog.push(event.clone(), discard_oldest, &terms.ids)
    }

    /// Lets events wait for an item that the library does not have: not yet, or no more.
    fn miss(&mut self, terms: &Terms, events: &[Arc<Occurrence>]) -> u64 {
        self.missing.get_or_insert_with(Instant::now);
        let mut lost = 0;
        for event in events {
            if event.is_announced_by(&self.notifier) {
                lost += u64::from(!self.wait(terms, event, true));
            }
        }
        lost
    }

    fn is_gone(&self) -> bool {
        self.missing.is_some_and(|since| since.elapsed() > GRACE)
    }
}
