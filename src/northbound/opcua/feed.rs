//! From the journal into the address space and to the clients.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use guideway_contract::{Annotated, DataSet, ItemIndex, Observation, Timestamp, Value};
use opcua_core::sync::RwLock;
use opcua_server::SubscriptionCache;
use opcua_server::address_space::{AddressSpace, NodeType};
use opcua_types::{DataValue, DateTime, NodeId, StatusCode, Variant};
use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::binding::{Binding, Shape};
use super::events::PACE;
use super::instances::{Change, Tree};
use super::nodeset::Types;
use super::space::Shared;
use super::value;
use super::watch::{Items, Listeners, with_listeners};
use crate::control::Switch;
use crate::device_model::DeviceModel;
use crate::journal::{Gap, GapCause, ItemState, OutOfRange, Recorded, Selection, Snapshot};
use crate::pipeline::data_set;

/// Observations that are read at a time: the address space is locked for about 2 ms.
const BATCH: usize = 4_096;

/// Values after which the locks are given back, for an observation can be a series of many.
const MOST_VALUES: usize = 16_384;

/// How long observations are gathered before they are shown. Small beside any publishing interval; a
/// steady trickle would otherwise cost a pass over the locks for each observation.
const GATHER: Duration = Duration::from_millis(2);

/// How often newcomers and changes of the model are looked for.
const TICK: Duration = Duration::from_millis(50);

/// The verb of ModelChangeStructureDataType for a node that is gone (part 3, 9.32.5).
const NODE_DELETED: u8 = 2;

/// Follows the journal and the device model.
///
/// It holds no lock of the journal while it works, and no lock of the server while it waits; what a
/// client does not fetch piles up in the library's bounded queues, not here.
pub(super) struct Feed {
    shared: Arc<Shared>,
    address_space: Arc<RwLock<AddressSpace>>,
    subscriptions: Arc<SubscriptionCache>,
    model: Arc<DeviceModel>,
    tree: Arc<Tree>,
    /// The sequence to go on from.
    next: u64,
    /// Data sets and tables as they stand: the journal carries changes, the variables show the whole.
    sets: FxHashMap<ItemIndex, Arc<DataSet>>,
    /// Whether falling behind was told in the log, until the feed has caught up.
    told: bool,
    /// The panic switch, where there is control.
    switch: Option<watch::Receiver<Switch>>,
}

impl Feed {
    /// Puts the machines and their values as they stand into the address space.
    pub(super) fn begin(
        shared: Arc<Shared>,
        address_space: Arc<RwLock<AddressSpace>>,
        subscriptions: Arc<SubscriptionCache>,
    ) -> Self {
        let model = shared.context.model.load_full();
        let tree = Arc::new(tree(&shared, &model));
        let next = shared.context.journal.bounds().next;
        let sets = FxHashMap::default();
        let switch = shared.desk.as_ref().map(|desk| desk.switch());
        let told = false;
        let mut feed = Self { shared, address_space, subscriptions, model, tree, next, sets, told, switch };
        // The present is always in range.
        if let Ok(snapshot) = feed.shared.context.journal.snapshot(None) {
            feed.adopt(&Tree::default(), &snapshot);
            feed.next = snapshot.bounds.next;
        }
        feed
    }

    /// Runs until `cancel`.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut changes = self.shared.context.journal.changes();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut writer_gone = false;
        while !cancel.is_cancelled() {
            changes.borrow_and_update();
            self.follow_switch();
            if self.step().await {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                changed = changes.changed(), if !writer_gone => {
                    writer_gone = changed.is_err();
                    tokio::time::sleep(GATHER).await;
                }
                () = tokio::time::sleep(PACE), if self.shared.announcer.waiting() => {}
                _ = tick.tick() => {}
            }
        }
    }

    /// Shows the next observations. Returns whether there are more.
    async fn step(&mut self) -> bool {
        let journal = &self.shared.context.journal;
        let (batch, next) = match journal.read(self.next, None, BATCH, &Selection::All) {
            Ok(read) => read,
            Err(gone) => {
                self.skip(&gone);
                return true;
            }
        };
        // After the read: whoever wrote an observation of a new item has changed the model before.
        self.follow_model().await;
        if !batch.is_empty() || self.shared.watch.has_newcomers() {
            self.show(&batch);
        }
        self.next = next;
        let more = batch.len() == BATCH;
        self.told &= more;
        for (_, observation) in &batch {
            self.announce(observation);
        }
        self.shared.announcer.deliver(&self.subscriptions);
        more
    }

    /// Gives all variables their new values, and tells who monitors them.
    fn show(&mut self, batch: &[Recorded]) {
        let mut rest = batch;
        loop {
            let Self { shared, address_space, subscriptions, tree, sets, .. } = self;
            let mut address_space = address_space.write();
            let values = with_listeners(subscriptions, |listeners| {
                let items = &mut *shared.watch.begin(listeners);
                let mut target = Target { address_space: &mut address_space, listeners, items, values: 0 };
                while let Some(((_, observation), others)) = rest.split_first()
                    && target.values < MOST_VALUES
                {
                    rest = others;
                    if let Some(binding) = tree.bindings().get(observation.item)
                        && let Some(types) = shared.types.get()
                    {
                        let whole = fold(sets, binding, observation);
                        value::values(binding, &whole, types, &mut |node, value| target.put(node, value));
                    }
                }
                target.values
            });
            shared.stats.values.fetch_add(values as u64, Ordering::Relaxed);
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Shows the panic switch when it was moved.
    fn follow_switch(&mut self) {
        let moved = self.switch.as_mut().is_some_and(|switch| switch.has_changed().unwrap_or(false));
        if !moved {
            return;
        }
        if let Some(switch) = &mut self.switch {
            switch.mark_unchanged();
        }
        let Self { shared, address_space, subscriptions, .. } = self;
        let mut address_space = address_space.write();
        with_listeners(subscriptions, |listeners| {
            let items = &mut *shared.watch.begin(listeners);
            Target { address_space: &mut address_space, listeners, items, values: 0 }.put_switch(shared);
        });
    }

    /// Hands on what is told by events. No lock is held: the announcer takes its own.
    fn announce(&self, observation: &Observation) {
        if let Some(binding) = self.tree.bindings().get(observation.item)
            && matches!(binding.shape, Shape::Condition | Shape::Message)
        {
            self.shared.announcer.observed(observation.item, binding, observation);
        }
    }

    /// Takes up a new device model, if there is one.
    async fn follow_model(&mut self) {
        let model = self.shared.context.model.load_full();
        if Arc::ptr_eq(&model, &self.model) {
            return;
        }
        let (shared, built) = (self.shared.clone(), model.clone());
        // A large model takes some milliseconds, which the runtime's tasks need not wait for.
        let Ok(tree) = tokio::task::spawn_blocking(move || tree(&shared, &built)).await else { return };
        let before = std::mem::replace(&mut self.tree, Arc::new(tree));
        self.model = model;
        let journal = &self.shared.context.journal;
        // As they stand where the feed is, so that what follows is told in order.
        let here = journal.snapshot(Some(self.next.saturating_sub(1)));
        let Ok(snapshot) = here.or_else(|_| journal.snapshot(None)) else { return };
        let changes = self.adopt(&before, &snapshot);
        self.shared.announcer.model_changed(&changes);
    }

    /// Goes on from where there still is something: from the middle of what is in memory, for at its
    /// edge the next observation would be gone too.
    fn skip(&mut self, gone: &OutOfRange) {
        let journal = self.shared.context.journal.clone();
        let bounds = gone.bounds;
        let middle = bounds.first + (bounds.next - bounds.first) / 2;
        let (snapshot, next) = match journal.snapshot(Some(middle)) {
            Ok(snapshot) => (snapshot, middle + 1),
            Err(_) => match journal.snapshot(None) {
                Ok(snapshot) => {
                    let next = snapshot.bounds.next;
                    (snapshot, next)
                }
                // The present is always in range.
                Err(_) => return,
            },
        };
        if next > self.next {
            let missed = next - self.next;
            self.shared.stats.missed.fetch_add(missed, Ordering::Relaxed);
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!(
                    missed,
                    from = self.next,
                    "[opcua] fell behind the buffer: clients miss observations; a larger [journal] buffer_size helps"
                );
            }
            journal.note_gap(Gap {
                reader: "opcua".to_owned(),
                from: self.next,
                to: next - 1,
                count: missed,
                cause: GapCause::Retention,
                time: Timestamp::now(),
            });
        }
        let same = self.tree.clone();
        self.adopt(&same, &snapshot);
        self.next = next;
    }

    /// Puts the nodes of the present tree in the place of those of `before`, and gives every variable
    /// its value in `snapshot`. A client is told of what is new to it only: the library's filters hold
    /// back what an item has already.
    fn adopt(&mut self, before: &Tree, snapshot: &Snapshot) -> Vec<Change> {
        let Self { shared, address_space, subscriptions, tree, sets, .. } = self;
        let bindings = tree.bindings();
        let changes = {
            let mut address_space = address_space.write();
            let changes = tree.replace(before, &mut address_space);
            with_listeners(subscriptions, |listeners| {
                let items = &mut *shared.watch.begin(listeners);
                let mut target = Target { address_space: &mut address_space, listeners, items, values: 0 };
                for change in changes.iter().filter(|change| change.verb & NODE_DELETED != 0) {
                    target.bury(&change.affected);
                }
                target.put_switch(shared);
                sets.clear();
                let Some(types) = shared.types.get() else { return };
                for (item, binding) in bindings.iter() {
                    let state = snapshot.get(item);
                    if let ItemState::Latest((_, observation)) = state
                        && let Value::DataSet(set) = observation.value.plain()
                    {
                        sets.insert(item, set.clone());
                    }
                    target.restore(binding, state, types);
                }
            });
            changes
        };
        shared.bindings.store(Arc::new(bindings.clone()));
        shared.announcer.restore(snapshot, bindings);
        changes
    }
}

/// The nodes of a model; none before the types are there.
fn tree(shared: &Shared, model: &DeviceModel) -> Tree {
    match (shared.types.get(), shared.machines.get()) {
        (Some(types), Some(machines)) => {
            let mut tree = Tree::of(model, types, *machines);
            if let Some(machine_tool) = shared.machine_tool.get() {
                machine_tool.extend(&mut tree, model, *machines);
            }
            if let Some(desk) = &shared.desk {
                desk.extend(&mut tree, model, *machines);
            }
            tree
        }
        _ => Tree::default(),
    }
}

/// The observation with the whole of a data set in the place of its change.
fn fold<'o>(
    sets: &mut FxHashMap<ItemIndex, Arc<DataSet>>,
    binding: &Binding,
    observation: &'o Observation,
) -> Cow<'o, Observation> {
    if !matches!(binding.shape, Shape::DataSet | Shape::Table) {
        return Cow::Borrowed(observation);
    }
    let Value::DataSet(change) = observation.value.plain() else {
        sets.remove(&observation.item);
        return Cow::Borrowed(observation);
    };
    let before = sets.get(&observation.item);
    let whole = Arc::new(data_set::merge(before.map(|set| &**set), change));
    sets.insert(observation.item, whole.clone());
    let whole = Value::DataSet(whole);
    let mut observation = observation.clone();
    observation.value = match &observation.value {
        Value::Annotated(annotated) => {
            Value::Annotated(Arc::new(Annotated { value: whole, ..(**annotated).clone() }))
        }
        _ => whole,
    };
    Cow::Owned(observation)
}

/// Where values go, with the locks they go there under.
struct Target<'a, 'l> {
    address_space: &'a mut AddressSpace,
    listeners: &'a mut Listeners<'l>,
    items: &'a mut Items,
    values: usize,
}

impl Target<'_, '_> {
    fn put(&mut self, node: &NodeId, value: DataValue) {
        self.values += 1;
        self.items.tell(node, &value, self.listeners);
        if let Some(NodeType::Variable(variable)) = self.address_space.find_mut(node) {
            variable.set_data_value(value);
        }
    }

    /// What the panic switch shows.
    fn put_switch(&mut self, shared: &Shared) {
        for (node, value) in shared.desk.iter().flat_map(|desk| desk.switch_values()) {
            self.put(&node, value);
        }
    }

    /// The value of a state. What was never observed keeps what the node began with.
    fn restore(&mut self, binding: &Binding, state: &ItemState, types: &Types) {
        if let ItemState::Latest((_, observation)) = state {
            value::values(binding, observation, types, &mut |node, value| self.put(node, value));
        }
    }

    /// Tells who monitors the node that it is gone.
    fn bury(&mut self, node: &NodeId) {
        self.items.tell(node, &timed(StatusCode::BadNodeIdUnknown), self.listeners);
    }
}

/// No value, as of now.
fn timed(status: StatusCode) -> DataValue {
    let now = DateTime::now();
    DataValue {
        value: Some(Variant::Empty),
        status: Some(status),
        source_timestamp: Some(now),
        source_picoseconds: None,
        server_timestamp: Some(now),
        server_picoseconds: None,
    }
}

#[cfg(test)]
mod tests;
