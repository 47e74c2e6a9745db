//! The one thread between adapters and journal: signals in, observations out.
//!
//! It owns the pipeline and the journal's writer. Whatever has arrived by the time it looks is
//! appended in one batch, so that a burst costs one write.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use guideway_contract::{
    AdapterId, AssetChange, AssetEvent, Cell, ConnectionState, DataSet, Entry, Envelope, Fault, Health,
    ItemIndex, Observation, PointTable, Signal, Timestamp, Value,
};
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::assets;
use super::learned::Learned;
use crate::config::AdapterOptions;
use crate::control::{Live, Note};
use crate::device_model::{AgentAdapterItems, DeviceIndex, DeviceModel, SharedModel};
use crate::journal::{Asset, Journal, Writer};
use crate::pipeline::{AdapterRules, Pipeline};

/// Signals looked at before their observations are appended.
const SIGNALS_AT_ONCE: usize = 64;
/// Observations after which a batch is appended even if more signals wait.
const BATCH: usize = 8_192;
/// How often the Agent device's rates are taken.
const RATES_EVERY: Duration = Duration::from_secs(10);

/// What the ingest thread knows of an adapter.
pub(super) struct Feed {
    pub(super) options: AdapterOptions,
    pub(super) uri: String,
    pub(super) rules: AdapterRules,
    pub(super) points: Arc<ArcSwap<PointTable>>,
    pub(super) health: Arc<Health>,
    /// What control looks at, of a machine that permits commands.
    pub(super) live: Option<Arc<Live>>,
}

pub(super) struct Ingest {
    pub(super) pipeline: Pipeline,
    pub(super) writer: Writer,
    pub(super) journal: Journal,
    pub(super) model: SharedModel,
    pub(super) feeds: Vec<Feed>,
    /// Counts the batches; the supervisor sees by it that this thread is alive.
    pub(super) heartbeat: watch::Sender<u64>,
    pub(super) out: Vec<Observation>,
    pub(super) rates: Rates,
    pub(super) learned: Learned,
    /// Observations that control makes.
    pub(super) notes: mpsc::Receiver<Note>,
}

/// Readings and assets of each adapter when the rates were last taken.
#[derive(Default)]
pub(super) struct Rates {
    before: Vec<(u64, u64)>,
}

impl Ingest {
    /// Runs until nobody can send any more; gives the journal's writer back, flushed.
    pub(super) async fn run(mut self, mut signals: mpsc::Receiver<Envelope>) -> std::io::Result<Writer> {
        let mut waiting = Vec::with_capacity(SIGNALS_AT_ONCE);
        let mut noted = Vec::new();
        let mut rates_due = Instant::now() + RATES_EVERY;
        loop {
            let due = self.pipeline.due().map_or(rates_due, |due| at(due).min(rates_due));
            tokio::select! {
                biased;
                // Few, and control waits for each: they go before what machines say.
                Some(note) = self.notes.recv() => self.take_note(note, &mut noted),
                got = signals.recv_many(&mut waiting, SIGNALS_AT_ONCE) => {
                    if got == 0 {
                        break;
                    }
                }
                () = tokio::time::sleep_until(due) => {}
            }
            for Envelope { adapter, signal } in waiting.drain(..) {
                self.take(adapter, signal);
                if self.out.len() >= BATCH {
                    self.writer.append(&mut self.out);
                }
            }
            let now = Timestamp::now();
            self.pipeline.tick(now, &mut self.out);
            if Instant::now() >= rates_due {
                rates_due = Instant::now() + RATES_EVERY;
                self.take_rates(now);
            }
            self.append();
            for done in noted.drain(..) {
                // Whoever waits for it may have stopped waiting.
                let _: Result<(), ()> = oneshot::Sender::send(done, ());
            }
            self.heartbeat.send_modify(|count| *count += 1);
        }
        // What period filters still hold would be lost with them.
        self.pipeline.tick(Timestamp::from_nanos(i64::MAX, 0), &mut self.out);
        self.append();
        self.writer.flush().map(|()| self.writer)
    }

    /// Makes what was gathered visible.
    pub(super) fn append(&mut self) {
        if !self.out.is_empty() {
            self.writer.append(&mut self.out);
        }
    }

    /// The first observations of a run: what the journal does not know yet.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.pipeline.initial(now, &mut self.out);
        let model = self.model.load_full();
        if let Some(agent) = model.agent() {
            self.own(agent.availability, now, Value::text("AVAILABLE"));
            for (index, items) in agent.adapters.iter().enumerate() {
                if let Some(item) = items.adapter_uri {
                    self.own(item, now, Value::text(&self.feeds[index].uri));
                }
                self.connection_status(index, ConnectionState::Closed, now);
            }
        }
        self.append();
    }

    fn take(&mut self, adapter: AdapterId, signal: Signal) {
        let index = usize::from(adapter.0);
        match signal {
            Signal::Readings(batch) => self.pipeline.readings(adapter, batch, &mut self.out),
            Signal::Raw(batch) => {
                if let Some(live) = &self.feeds[index].live {
                    live.take(&batch);
                }
                self.pipeline.raw(adapter, batch, &mut self.out);
            }
            Signal::Connected { at } => {
                if let Some(live) = &self.feeds[index].live {
                    live.connected();
                }
                self.pipeline.connected(adapter, at, &mut self.out);
                self.connection_status(index, ConnectionState::Established, at);
            }
            Signal::Disconnected { at } => {
                if let Some(live) = &self.feeds[index].live {
                    live.disconnected();
                }
                self.pipeline.disconnected(adapter, at, &mut self.out);
                self.connection_status(index, ConnectionState::Closed, at);
            }
            Signal::Asset(change) => {
                // Events about an asset come after the asset itself is readable.
                self.append();
                self.change_asset(index, change);
            }
            Signal::Describe { device, name, value } => self.describe(index, &device, &name, &value),
        }
    }

    fn take_note(&mut self, note: Note, noted: &mut Vec<oneshot::Sender<()>>) {
        let index = self.model.load().find_item(&note.item).map(|item| item.index);
        if let Some(index) = index {
            self.own(index, note.time, note.value);
            noted.push(note.done);
        }
    }

    fn own(&mut self, item: ItemIndex, time: Timestamp, value: Value) {
        let observation = Observation::new(item, time, Timestamp::now(), value);
        self.pipeline.own(observation, &mut self.out);
    }

    fn agent_item(&self, feed: usize, which: impl Fn(&AgentAdapterItems) -> ItemIndex) -> Option<ItemIndex> {
        self.model.load().agent().and_then(|items| items.adapters.get(feed)).map(which)
    }

    /// Goes by the signals, in their order: the health may be a session ahead by now.
    fn connection_status(&mut self, feed: usize, state: ConnectionState, time: Timestamp) {
        if let Some(item) = self.agent_item(feed, |items| items.connection_status) {
            self.own(item, time, Value::text(state.as_str()));
        }
    }

    fn take_rates(&mut self, now: Timestamp) {
        let count = |feed: &Feed| {
            use std::sync::atomic::Ordering::Relaxed;
            let counters = &feed.health.counters;
            (counters.readings.load(Relaxed), counters.assets.load(Relaxed))
        };
        let counts: Vec<(u64, u64)> = self.feeds.iter().map(count).collect();
        let before = std::mem::replace(&mut self.rates.before, counts.clone());
        for (feed, (readings, assets)) in counts.into_iter().enumerate() {
            let (old_readings, old_assets) = before.get(feed).copied().unwrap_or_default();
            let rate = |new: u64, old: u64| Value::Number((new - old) as f64 / RATES_EVERY.as_secs_f64());
            if let Some(item) = self.agent_item(feed, |items| items.observation_update_rate) {
                self.own(item, now, rate(readings, old_readings));
            }
            if let Some(item) = self.agent_item(feed, |items| items.asset_update_rate) {
                self.own(item, now, rate(assets, old_assets));
            }
        }
    }

    /// The device a source means: by name, uuid or id; empty for its first one.
    fn device(&self, feed: usize, called: &str) -> Option<DeviceIndex> {
        if called.is_empty() {
            return self.feeds[feed].rules.devices.first().copied();
        }
        self.model.load().find_device(called).map(|device| device.index)
    }

    fn change_asset(&mut self, feed: usize, change: AssetChange) {
        let (AssetChange::Put { device, .. }
        | AssetChange::Update { device, .. }
        | AssetChange::Remove { device, .. }
        | AssetChange::RemoveAll { device, .. }) = &change;
        let Some(device) = self.device(feed, device) else {
            let called = device.clone();
            return self.refuse(feed, Fault::Unmapped, || format!("an asset of unknown device `{called}`"));
        };
        let uuid = self.model.load().device(device).uuid.clone();
        match change {
            AssetChange::Put { id, asset_type, body, time, .. } => {
                match assets::take(&id, &asset_type, &uuid, time, &body) {
                    Ok(asset) => self.put_asset(device, asset),
                    Err(error) => self.refuse(feed, Fault::Rejected, || error.to_string()),
                }
            }
            AssetChange::Update { id, changes, time, .. } => match self.journal.asset(&id) {
                Some(old) => match assets::update(&old, &changes, time) {
                    Ok(asset) => self.put_asset(device, asset),
                    Err(error) => self.refuse(feed, Fault::Rejected, || error.to_string()),
                },
                None => self.refuse(feed, Fault::Unmapped, || format!("an update of unknown asset `{id}`")),
            },
            AssetChange::Remove { id, time, .. } => self.remove_asset(device, &id, time),
            AssetChange::RemoveAll { asset_type, time, .. } => {
                let query = crate::journal::AssetQuery {
                    asset_type: (!asset_type.is_empty()).then_some(asset_type),
                    device_uuid: Some(uuid),
                    ..Default::default()
                };
                for asset in self.journal.assets(&query) {
                    self.remove_asset(device, &asset.id, time);
                }
            }
        }
    }

    fn put_asset(&mut self, device: DeviceIndex, asset: Asset) {
        let known = self.journal.asset(&asset.id).is_some_and(|old| !old.removed);
        let event = Value::AssetEvent(Arc::new(AssetEvent {
            asset_type: asset.asset_type.clone(),
            asset_id: asset.id.clone(),
        }));
        let time = asset.time;
        self.writer.put_asset(asset);
        let model = self.model.load_full();
        let items = model.device(device);
        // From 2.6 on a new asset is ASSET_ADDED, a known one ASSET_CHANGED; before, both are changes.
        let item = if known { None } else { items.asset_added }.or(items.asset_changed);
        if let Some(item) = item {
            self.own(item, time, event);
        }
        self.count_assets(&model, device, time);
    }

    fn remove_asset(&mut self, device: DeviceIndex, id: &str, time: Timestamp) {
        let Some(asset) = self.writer.remove_asset(id, time) else {
            return;
        };
        let model = self.model.load_full();
        if let Some(item) = model.device(device).asset_removed {
            let event = AssetEvent { asset_type: asset.asset_type.clone(), asset_id: asset.id.clone() };
            self.own(item, time, Value::AssetEvent(Arc::new(event)));
        }
        self.count_assets(&model, device, time);
    }

    fn count_assets(&mut self, model: &DeviceModel, device: DeviceIndex, time: Timestamp) {
        let Some(item) = model.device(device).asset_count else {
            return;
        };
        let query = crate::journal::AssetQuery {
            device_uuid: Some(model.device(device).uuid.clone()),
            ..Default::default()
        };
        let mut counts = std::collections::BTreeMap::<SmolStr, i64>::new();
        for asset in self.journal.assets(&query) {
            *counts.entry(asset.asset_type.clone()).or_default() += 1;
        }
        let entries =
            counts.into_iter().map(|(key, count)| Entry { key, cell: Cell::Integer(count) }).collect();
        self.own(item, time, Value::DataSet(Arc::new(DataSet::new(None, entries))));
    }

    fn describe(&mut self, feed: usize, called: &str, name: &str, value: &str) {
        self.feeds[feed].health.set_property(name, &value.chars().take(200).collect::<String>());
        let now = Timestamp::now();
        match name {
            "adapterVersion" | "mtconnectVersion" => {
                let version = name == "adapterVersion";
                let item = self.agent_item(feed, |items| {
                    if version { items.software_version } else { items.mtconnect_version }
                });
                if let Some(item) = item {
                    self.own(item, now, Value::text(value));
                }
            }
            "conversionRequired" => {
                self.pipeline.set_convert(adapter_id(feed), !value.eq_ignore_ascii_case("no"));
            }
            "calibration" => self.calibrate(feed, called, value),
            "shdrVersion" | "relativeTime" | "realTime" | "device" => {}
            "uuid" if self.feeds[feed].options.preserve_uuid => {}
            "deviceModel" if !self.feeds[feed].options.accept_device_model => {}
            "deviceModel" => self.take_device(feed, value),
            _ => self.change_model(feed, called, name, value),
        }
    }

    fn calibrate(&mut self, feed: usize, device: &str, value: &str) {
        let (_, refused) = self.pipeline.calibration(adapter_id(feed), device, value);
        for what in refused {
            self.refuse(feed, Fault::Rejected, || what);
        }
    }

    /// A source describes a device whole, perhaps one that nobody knew.
    fn take_device(&mut self, feed: usize, xml: &str) {
        let old = self.model.load_full();
        let name = format!("deviceModel of {}", self.feeds[feed].options.name);
        let (new, device) = match old.with_device_xml(Path::new(&name), xml) {
            Ok(changed) => changed,
            Err(findings) => {
                let first = findings.first().map(ToString::to_string).unwrap_or_default();
                return self.refuse(feed, Fault::Rejected, || format!("`deviceModel`: {first}"));
            }
        };
        let uuid = new.device(device).uuid.clone();
        let is_same =
            old.find_device(&uuid).is_some_and(|known| *known.element == *new.device(device).element);
        let is_fed = self.feeds[feed].rules.devices.contains(&device);
        if is_same && is_fed {
            // The source waits for a table that is newer than its description.
            let points = self.pipeline.routes_by_key(adapter_id(feed)).points;
            return self.feeds[feed].points.store(points);
        }
        self.learned.keep(&self.feeds[feed].options.name, &uuid, xml);
        if !is_fed {
            self.feeds[feed].rules.devices.push(device);
        }
        let new = if is_same { old.clone() } else { Arc::new(new) };
        self.adopt(&old, &new, device, Some(feed));
        tracing::info!(adapter = self.feeds[feed].options.name, device = %uuid, "the source described a device");
    }

    fn change_model(&mut self, feed: usize, called: &str, name: &str, value: &str) {
        let Some(device) = self.device(feed, called) else {
            return self.refuse(feed, Fault::Unmapped, || format!("`{name}` of unknown device `{called}`"));
        };
        let old = self.model.load_full();
        let new = match old.with_description(device, name, value) {
            Ok(Some(new)) => Arc::new(new),
            Ok(None) => return,
            Err(findings) => {
                let first = findings.first().map(ToString::to_string).unwrap_or_default();
                return self.refuse(feed, Fault::Rejected, || format!("`{name}`: {first}"));
            }
        };
        self.adopt(&old, &new, device, None);
        tracing::info!(adapter = self.feeds[feed].options.name, device = %called, what = name, "the source changed the device model");
    }

    /// From now on `new` is the model; `device` is what changed, fed by `feeder` from now on.
    fn adopt(
        &mut self,
        old: &DeviceModel,
        new: &Arc<DeviceModel>,
        device: DeviceIndex,
        feeder: Option<usize>,
    ) {
        let now = Timestamp::now();
        self.append();
        self.model.store(new.clone());
        self.pipeline.change_model(new.clone());
        if let Some(feed) = feeder {
            self.pipeline.add_device(adapter_id(feed), device);
        }
        for (index, feed) in self.feeds.iter().enumerate() {
            feed.points.store(self.pipeline.routes_by_key(adapter_id(index)).points);
        }
        self.pipeline.initial(now, &mut self.out);
        let is_new = old.find_device(&new.device(device).uuid).is_none();
        let item = new.agent().map(|items| if is_new { items.device_added } else { items.device_changed });
        if let Some(item) = item {
            let uuid = new.device(device).uuid.clone();
            self.own(item, now, Value::Text(uuid));
        }
        if let Some(feed) = feeder {
            // The session is up already: an AVAILABILITY that follows it has not been told for this device.
            if self.feeds[feed].health.state() == ConnectionState::Established {
                self.pipeline.connected(adapter_id(feed), now, &mut self.out);
            }
        }
    }

    fn refuse(&self, feed: usize, fault: Fault, detail: impl FnOnce() -> String) {
        self.feeds[feed].health.fault(&self.feeds[feed].options.name, fault, detail);
    }
}

pub(super) fn adapter_id(feed: usize) -> AdapterId {
    AdapterId(u16::try_from(feed).unwrap_or(u16::MAX))
}

/// A wall-clock time as a timer's instant; the past is now.
fn at(time: Timestamp) -> Instant {
    let ahead = time.nanos().saturating_sub(Timestamp::now().nanos()).max(0);
    Instant::now() + Duration::from_nanos(ahead.unsigned_abs())
}
