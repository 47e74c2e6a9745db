//! Events: conditions, messages, changes of the model; and how they reach clients whole.
//!
//! [`Conditions`] makes events of what the journal says of conditions, [`Desk`] brings them to the monitored
//! items that want them, and [`Loader`] makes the filters of clients fit for the library. An event has its
//! fields in [`Occurrence`].

mod clause;
mod condition;
mod delivery;
mod filter;
mod kind;
mod like;
mod occurrence;
mod operator;
mod refresh;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use guideway_contract::{ItemIndex, Message, Observation, Value};
use opcua_core::sync::Mutex;
use opcua_server::node_manager::{MethodCall, MonitoredItemRef, MonitoredItemUpdateRef, RequestContext};
use opcua_server::{CreateMonitoredItem, SubscriptionCache};
use opcua_types::{AttributeId, StatusCode, TypeLoaderCollection};
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

use super::Stats;
use super::binding::{Binding, Bindings, Shape};
use super::instances::Change;
use super::nodeset::Types;
use crate::journal::{ItemState, Snapshot};
use condition::{Conditions, Report};
use delivery::{Desk, Terms};
use filter::{Clauses, Loader};
use occurrence::{Occurrence, Source};

/// How often [`Announcer::deliver`] is to be called while [`Announcer::waiting`]: a client whose queue holds
/// one event gets one for each of its publishing intervals, if there is a new one by then.
pub(super) const PACE: Duration = Duration::from_millis(10);

/// The most changes that one event about the model names.
const MOST_CHANGES: usize = 10_000;

/// The verb NodeDeleted of ModelChangeStructureDataType.
const NODE_DELETED: u8 = 2;

/// Announces events to the clients that monitor them.
///
/// Locks are taken in this order: `states`, then those of [`Desk`], or `pending`.
#[derive(Default)]
pub(super) struct Announcer {
    clauses: Arc<Clauses>,
    terms: OnceLock<Known>,
    states: Mutex<States>,
    /// Events that are to be given to the desk.
    pending: Mutex<Vec<Arc<Occurrence>>>,
    desk: Desk,
}

/// What is known once the address space is made.
struct Known {
    terms: Terms,
    types: Arc<Types>,
    stats: Arc<Stats>,
}

#[derive(Default)]
struct States {
    conditions: Conditions,
    sources: FxHashMap<ItemIndex, Arc<Source>>,
    /// Whether the conditions were taken up before.
    restored: bool,
}

impl States {
    fn source(&mut self, item: ItemIndex, binding: &Binding, types: &Types) -> Arc<Source> {
        let new = || Arc::new(Source::of(binding, |name| types.id(name)));
        self.sources.entry(item).or_insert_with(new).clone()
    }
}

impl Announcer {
    /// Gives it what the address space's making has brought about. Until then it announces nothing.
    pub(super) fn begin(&self, types: Arc<Types>, stats: Arc<Stats>) {
        let terms = Terms::new(self.clauses.clone(), types.namespace());
        // Set once: there is one address space.
        let _ = self.terms.set(Known { terms, types, stats });
    }

    /// Puts the loader that makes event filters of clients fit for the server before all others. To be
    /// called before the server runs: connections take the loaders along.
    pub(super) fn install(&self, loaders: &mut TypeLoaderCollection) {
        let mut all = TypeLoaderCollection::new_empty();
        all.add_type_loader(Loader(self.clauses.clone()));
        for loader in loaders.iter() {
            all.add(loader.clone());
        }
        *loaders = all;
    }

    /// Takes up the conditions as they stand. The first time nobody is told; later, when observations were
    /// gone before they were read, the differences are announced.
    pub(super) fn restore(&self, snapshot: &Snapshot, bindings: &Bindings) {
        let Some(Known { terms, types, .. }) = self.terms.get() else { return };
        let mut states = self.states.lock();
        let silent = !std::mem::replace(&mut states.restored, true);
        let mut events = Vec::new();
        for (item, binding) in (0..).map(ItemIndex).zip(&bindings.0) {
            let Some(binding) = binding.as_ref().filter(|binding| binding.shape == Shape::Condition) else {
                continue;
            };
            let chain = match snapshot.get(item) {
                ItemState::Unknown => continue,
                ItemState::Latest(one) => std::slice::from_ref(one),
                ItemState::Chain(chain) => chain,
            };
            let report =
                |(_, observation): &'_ (u64, Observation)| (observation.time(), observation.arrival());
            let chain: Vec<_> =
                chain.iter().map(|one| Report { value: &one.1.value, at: report(one) }).collect();
            let source = states.source(item, binding, types);
            let tell = &mut |event| events.push(event);
            states.conditions.reconcile(&terms.ids, item, &source, &chain, tell);
        }
        if !silent {
            self.announce(events);
        }
    }

    /// Announces what an observation of a condition or a message tells.
    pub(super) fn observed(&self, item: ItemIndex, binding: &Binding, observation: &Observation) {
        let Some(Known { terms, types, .. }) = self.terms.get() else { return };
        let at = (observation.time(), observation.arrival());
        match (&binding.shape, observation.value.plain()) {
            (Shape::Condition, value) => {
                let mut states = self.states.lock();
                let source = states.source(item, binding, types);
                let mut events = Vec::new();
                let tell = &mut |event| events.push(event);
                states.conditions.take(&terms.ids, item, &source, &Report { value, at }, tell);
                self.announce(events);
            }
            (Shape::Message, Value::Message(message)) => self.message(item, binding, at, message),
            (Shape::Message, Value::Text(text)) => {
                let message = Message { native_code: SmolStr::default(), text: text.clone() };
                self.message(item, binding, at, &message);
            }
            _ => {}
        }
    }

    fn message(
        &self,
        item: ItemIndex,
        binding: &Binding,
        at: (guideway_contract::Timestamp, guideway_contract::Timestamp),
        message: &Message,
    ) {
        let Some(Known { terms, types, .. }) = self.terms.get() else { return };
        if self.desk.is_listening() {
            let source = self.states.lock().source(item, binding, types);
            self.announce(vec![Arc::new(Occurrence::message(&terms.ids, source, at, message))]);
        }
    }

    /// Announces a change of the address space. Conditions of data items that are gone end.
    pub(super) fn model_changed(&self, changes: &[Change]) {
        let Some(Known { terms, .. }) = self.terms.get() else { return };
        if changes.is_empty() {
            return;
        }
        let deleted = changes.iter().filter(|change| change.verb & NODE_DELETED != 0);
        let deleted: FxHashSet<_> = deleted.map(|change| &change.affected).collect();
        let mut states = self.states.lock();
        states.sources.clear();
        let mut events = vec![Arc::new(Occurrence::model_change(&terms.ids, changes, MOST_CHANGES))];
        let is_gone = |source: &Source| deleted.contains(&source.node);
        states.conditions.forget(&terms.ids, is_gone, &mut |event| events.push(event));
        self.announce(events);
    }

    /// Gives events to the next delivery; nothing is kept for clients that come later.
    fn announce(&self, events: Vec<Arc<Occurrence>>) {
        let Some(Known { stats, .. }) = self.terms.get() else { return };
        stats.events.fetch_add(events.len() as u64, Ordering::Relaxed);
        if !events.is_empty() && self.desk.is_listening() {
            self.pending.lock().extend(events);
        }
    }

    /// Whether something waits to be delivered.
    pub(super) fn waiting(&self) -> bool {
        self.desk.is_waiting() || !self.pending.lock().is_empty()
    }

    /// Delivers what was announced, as far as the clients' queues have room. To be called after each batch of
    /// observations, and every [`PACE`] while [`waiting`](Self::waiting). The caller holds no lock of the
    /// library.
    pub(super) fn deliver(&self, subscriptions: &SubscriptionCache) {
        let Some(Known { terms, stats, .. }) = self.terms.get() else { return };
        let lost = self.desk.deliver(terms, subscriptions, || std::mem::take(&mut *self.pending.lock()));
        stats.events_lost.fetch_add(lost, Ordering::Relaxed);
    }

    /// Takes note of event items; refuses those without an event filter (part 4, 7.22.3).
    pub(super) fn monitor(&self, context: &RequestContext, items: &mut [&mut &mut CreateMonitoredItem]) {
        for item in items {
            if is_no_event_filter(item.filter()) {
                item.set_status(StatusCode::BadEventFilterInvalid);
                continue;
            }
            let notifier = item.item_to_monitor().node_id.clone();
            self.desk.add(item.handle(), notifier, context.session_id, item.queue_size());
        }
    }

    /// Takes note of event items that were changed.
    pub(super) fn changed(&self, items: &[&MonitoredItemUpdateRef]) {
        for item in items.iter().filter(|item| item.attribute() == AttributeId::EventNotifier) {
            self.desk.change(item.handle());
        }
    }

    /// Forgets event items.
    pub(super) fn forget(&self, items: &[&MonitoredItemRef]) {
        for item in items.iter().filter(|item| item.attribute() == AttributeId::EventNotifier) {
            self.desk.remove(item.handle());
        }
    }

    /// Answers the methods of conditions; `None` when the method is another one.
    pub(super) fn call(&self, context: &RequestContext, call: &mut MethodCall) -> Option<StatusCode> {
        let wanted = refresh::Wanted::of(call)?;
        let Some(Known { terms, .. }) = self.terms.get() else { return Some(StatusCode::BadInvalidState) };
        let answer = wanted.and_then(|wanted| {
            wanted.check(context)?;
            // The states stay as they are until the refresh is in the queues: an end that came between would
            // be overtaken by the entry that it ended.
            let states = self.states.lock();
            let retained = states.conditions.retained();
            let refreshed = self.desk.refresh(terms, wanted.subscription, wanted.item, &retained);
            refreshed.map_err(|delivery::Refreshing| StatusCode::BadRefreshInProgress)
        });
        if answer.is_ok() {
            self.deliver(&context.subscriptions);
        }
        Some(answer.err().unwrap_or(StatusCode::Good))
    }
}

/// Whether a filter is none, or one for values. The library does not export the type, so this goes by the
/// first letters of what it shows of itself; of another wording it takes no offence.
fn is_no_event_filter(filter: &dyn fmt::Debug) -> bool {
    struct Head(String);

    impl fmt::Write for Head {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.push_str(text);
            // Filters can be long.
            if self.0.len() > 16 { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut head = Head(String::new());
    // The error is our own, when there is enough.
    let _ = fmt::Write::write_fmt(&mut head, format_args!("{filter:?}"));
    head.0 == "None" || head.0.starts_with("DataChangeFilter")
}
