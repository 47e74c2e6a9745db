//! From readings to observations: routes, conversion, filters, conditions, data sets.
//!
//! Single-threaded and free of I/O: the agent's ingest thread owns it. Everything that it does to a
//! reading is counted in [`Counters`], by adapter and reason. Values keep the order in which they
//! arrived and the times their source gave them, also when those go backwards.

mod calibration;
pub mod condition_chain;
mod convert;
mod counters;
pub mod data_set;
pub mod mapping;
mod memory;
mod period;
mod plan;
mod routes;
mod shape;
mod text;
pub mod units;
mod validate;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use guideway_contract::{
    AdapterId, Batch, ItemIndex, Observation, PointTable, Quality, RawBatch, Reading, Timestamp, Validity,
    Value,
};
use rustc_hash::FxHashMap;

use crate::device_model::{DataItem, DeviceIndex, DeviceModel, SchemaVersion};
use counters::Tally;
pub use counters::{Counters, Reason, Tally as SourceCounters};
use mapping::{Mapper, Mapping};
use memory::{Known, Memory, owner};
use plan::{Plan, Units};
use units::Conversion;

/// What holds for the values of one adapter.
#[derive(Clone, Debug)]
pub struct AdapterRules {
    /// The devices whose items it feeds; the first is its default one.
    pub devices: Vec<DeviceIndex>,
    /// Text of events becomes upper case (`UpcaseDataItemValue`).
    pub upcase: bool,
    /// Values in native units are converted (`ConversionRequired`).
    pub convert: bool,
    /// Values that are the same as before are dropped, discrete items excepted (`FilterDuplicates`).
    pub filter_duplicates: bool,
    /// AVAILABILITY follows the connection.
    pub auto_available: bool,
}

/// The points of an adapter and where their values go.
#[derive(Clone, Debug)]
pub struct Routes {
    /// What the adapter is given.
    pub points: Arc<PointTable>,
    /// By [`PointId`](guideway_contract::PointId): the data items that a point feeds.
    pub items: Vec<ItemIndex>,
}

/// The stages in order: route, shape, text, upcase, convert, duplicate, delta, period, validate.
pub struct Pipeline {
    model: Arc<DeviceModel>,
    adapters: Vec<Source>,
    /// By item: what to do with its values.
    plans: Vec<Plan>,
    /// By item: what is known of it.
    memories: Vec<Memory>,
    /// What sources told about their own conversions.
    calibrations: FxHashMap<ItemIndex, Conversion>,
    periods: period::Periods,
    counters: Arc<Counters>,
}

/// An adapter as the pipeline sees it.
struct Source {
    rules: AdapterRules,
    points: Arc<PointTable>,
    items: Arc<[ItemIndex]>,
    connected: bool,
    /// For adapters whose raw points a profile maps.
    mapper: Option<Mapper>,
}

impl Source {
    fn take(&mut self, routes: Routes, model: &DeviceModel) {
        (self.points, self.items) = (routes.points, routes.items.into());
        self.aim(model);
    }

    fn aim(&mut self, model: &DeviceModel) {
        if let Some(mapper) = &mut self.mapper {
            let items = &self.items;
            mapper.set_targets(&self.points, |point| {
                items.get(point.index()).is_some_and(|item| model.item(*item).discrete)
            });
        }
    }
}

/// What one reading needs to know of its adapter; small enough for registers.
#[derive(Clone, Copy)]
struct Passage {
    source: u16,
    upcase: bool,
    convert: bool,
    filter_duplicates: bool,
    arrival: Timestamp,
}

impl Pipeline {
    /// A pipeline for `model` and these adapters (by [`AdapterId`]), each fed by key until
    /// [`set_routes`](Self::set_routes) says otherwise.
    pub fn new(model: Arc<DeviceModel>, adapters: Vec<AdapterRules>) -> Self {
        let counters = Arc::new(Counters::new(adapters.len()));
        let source = |rules: AdapterRules| {
            let Routes { points, items } = routes::by_key(&model, &rules.devices);
            Source { rules, points, items: items.into(), connected: false, mapper: None }
        };
        let adapters = adapters.into_iter().map(source).collect();
        let plans: Vec<_> = model.items().iter().map(|item| planned(item, model.version())).collect();
        let memories = vec![Memory::default(); plans.len()];
        let (calibrations, periods) = Default::default();
        Self { model, adapters, plans, memories, calibrations, periods, counters }
    }

    /// The counts; they go on counting while others read them.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Points and routes of an adapter that is fed by key (id, name, source), such as SHDR. The
    /// same for the life of a model; old points keep their numbers when a model grows.
    pub fn routes_by_key(&self, adapter: AdapterId) -> Routes {
        match self.adapters.get(usize::from(adapter.0)) {
            Some(source) => routes::by_key(&self.model, &source.rules.devices),
            None => routes::by_key(&self.model, &[]),
        }
    }

    /// Other routes than those by key, for adapters with points of their own.
    pub fn set_routes(&mut self, adapter: AdapterId, routes: Routes) {
        if let Some(source) = self.adapters.get_mut(usize::from(adapter.0)) {
            source.take(routes, &self.model);
        }
    }

    /// From now on raw values of that adapter become readings by this mapping.
    pub fn set_mapping(&mut self, adapter: AdapterId, mapping: Arc<Mapping>) {
        if let Some(source) = self.adapters.get_mut(usize::from(adapter.0)) {
            source.mapper = Some(Mapper::new(mapping));
            source.aim(&self.model);
        }
    }

    /// A device that an adapter feeds from now on beside those it fed before. Where its source has no AVAILABILITY
    /// for it, that follows the connection.
    pub fn add_device(&mut self, adapter: AdapterId, device: DeviceIndex) {
        if let Some(source) = self.adapters.get_mut(usize::from(adapter.0)) {
            if !source.rules.devices.contains(&device) {
                source.rules.devices.push(device);
            }
            source.rules.auto_available = !self.model.device(device).has_own_availability();
            source.take(routes::by_key(&self.model, &source.rules.devices), &self.model);
        }
    }

    /// Raw values of a profile's points become observations, at the end of `out`, in order. Without a mapping they
    /// are counted as unrouted.
    pub fn raw(&mut self, adapter: AdapterId, batch: RawBatch, out: &mut Vec<Observation>) {
        let counters = self.counters.clone();
        let (Some(source), Some(tally)) =
            (self.adapters.get_mut(usize::from(adapter.0)), counters.adapter(adapter))
        else {
            return;
        };
        let Some(mapper) = &mut source.mapper else {
            tally.add(Reason::Unrouted, batch.readings.len());
            return;
        };
        let batch = mapper.map(batch, |failed| {
            tally.trouble(Reason::Uncomputed, || format!("{}: {}", failed.item, failed.cause));
        });
        self.readings(adapter, batch, out);
    }

    /// Whether values of that adapter are converted from now on (`* conversionRequired: no`).
    pub fn set_convert(&mut self, adapter: AdapterId, convert: bool) {
        if let Some(source) = self.adapters.get_mut(usize::from(adapter.0)) {
            source.rules.convert = convert;
        }
    }

    /// From now on the values of that item are converted by `(value + offset) * factor` instead of
    /// by their units. A factor that is zero or not finite is passed over.
    pub fn calibrate(&mut self, item: ItemIndex, factor: f64, offset: f64) {
        let (Some(plan), Some(memory)) =
            (self.plans.get_mut(item.index()), self.memories.get_mut(item.index()))
        else {
            return;
        };
        if factor == 0.0 || !factor.is_finite() || !offset.is_finite() {
            return;
        }
        let conversion = Conversion { offset, factor };
        memory.stale |= self.calibrations.insert(item, conversion) != Some(conversion);
        plan.units = Units::Convert(conversion);
    }

    /// Takes the `calibration` of an adapter's device (empty: its default one):
    /// `key|factor|offset|key|factor|offset…`. Returns how many items were calibrated, and the
    /// triples that were not: those that name no item or hold no numbers.
    pub fn calibration(&mut self, adapter: AdapterId, device: &str, text: &str) -> (usize, Vec<String>) {
        let Some(source) = self.adapters.get(usize::from(adapter.0)) else { return (0, Vec::new()) };
        let (points, items) = (source.points.clone(), source.items.clone());
        let scope = if device.is_empty() { points.default_scope() } else { points.scope(device) };
        let (mut done, mut refused) = (0, Vec::new());
        for triple in calibration::read(text) {
            let found = triple.map(|(key, conversion)| {
                let point = scope.and_then(|scope| points.find(scope, key));
                (key, conversion, point.and_then(|point| items.get(point.id.index()).copied()))
            });
            match found {
                Ok((_, Conversion { offset, factor }, Some(item))) => {
                    self.calibrate(item, factor, offset);
                    done += 1;
                }
                Ok((key, ..)) => refused.push(key.to_owned()),
                Err(triple) => refused.push(triple),
            }
        }
        (done, refused)
    }

    /// Takes up what the journal knew of an item before a restart: its last value, or the entries
    /// of its condition.
    pub fn restore(&mut self, item: ItemIndex, values: &[Value]) {
        let (Some(plan), Some(last)) = (self.plans.get(item.index()), values.last()) else { return };
        let owner = if self.is_own(item) { owner::SELF } else { owner::BEFORE };
        let memory = &mut self.memories[item.index()];
        memory.set(plan, last);
        if let Known::Chain(chain) = &mut memory.known {
            *chain = values.to_vec();
        }
        memory.owner = owner;
    }

    /// An item that the gateway itself tells, as it does what became of commands: that is no less so when the session
    /// with the machine is over. To be called after [`restore`](Self::restore).
    pub fn adopt(&mut self, item: ItemIndex) {
        if let Some(memory) =
            self.memories.get_mut(item.index()).filter(|memory| memory.owner == owner::BEFORE)
        {
            memory.owner = owner::SELF;
        }
    }

    /// The first observation of every item that has none yet: its initial or only value, else
    /// UNAVAILABLE. Also of an item whose only value is another than was restored.
    pub fn initial(&mut self, now: Timestamp, out: &mut Vec<Observation>) {
        let before = out.len();
        for (item, (plan, memory)) in self.model.items().iter().zip(self.plans.iter().zip(&mut self.memories))
        {
            let known = match &memory.known {
                Known::Nothing => false,
                Known::Value(value) => !plan.fixed || *value == plan.initial,
                Known::Chain(_) => true,
            };
            if !known && !item.retired {
                memory.set(plan, &plan.initial);
                out.push(Observation::new(item.index, now, now, plan.initial.clone()));
            }
        }
        self.counters.own().add(Reason::Observed, out.len() - before);
    }

    /// A session is up: AVAILABILITY, where that is automatic.
    pub fn connected(&mut self, adapter: AdapterId, at: Timestamp, out: &mut Vec<Observation>) {
        let Some(source) = self.adapters.get_mut(usize::from(adapter.0)) else { return };
        source.connected = true;
        if source.rules.auto_available {
            for item in self.availabilities(adapter) {
                let available = Value::text("AVAILABLE");
                self.say(adapter.0, Observation::new(item, at, at, available), out);
            }
        }
    }

    /// A session is over: everything whose last value came from this adapter is UNAVAILABLE (and,
    /// after a restart of the gateway, everything restored that this adapter feeds). What a period
    /// filter still holds goes before that. An automatic AVAILABILITY stays while another adapter
    /// of its device, that is automatic too, is connected.
    pub fn disconnected(&mut self, adapter: AdapterId, at: Timestamp, out: &mut Vec<Observation>) {
        let Some(source) = self.adapters.get_mut(usize::from(adapter.0)) else { return };
        source.connected = false;
        if let Some(mapper) = &mut source.mapper {
            mapper.reset();
        }
        for item in source.items.iter() {
            if let Some(memory) = self.memories.get_mut(item.index())
                && memory.owner == owner::BEFORE
            {
                memory.owner = adapter.0;
            }
        }
        let automatic = if source.rules.auto_available { self.availabilities(adapter) } else { Vec::new() };
        for item in automatic {
            let other = self.other_automatic(adapter, self.model.item(item).device);
            self.memories[item.index()].owner = other.unwrap_or(adapter.0);
        }
        let lost: Vec<_> = (0_u32..)
            .map(ItemIndex)
            .zip(self.plans.iter().zip(&self.memories))
            .filter(|(_, (plan, memory))| {
                memory.owner == adapter.0 && !plan.fixed && !memory.is_unavailable()
            })
            .map(|(item, _)| item)
            .collect();
        for item in &lost {
            self.say(adapter.0, Observation::new(*item, at, at, Value::Unavailable), out);
        }
        if let Some(tally) = self.counters.adapter(adapter) {
            tally.add(Reason::Lost, lost.len());
        }
    }

    /// Readings become observations, at the end of `out`, in order.
    pub fn readings(&mut self, adapter: AdapterId, batch: Batch, out: &mut Vec<Observation>) {
        let counters = self.counters.clone();
        let (Some(source), Some(tally)) =
            (self.adapters.get(usize::from(adapter.0)), counters.adapter(adapter))
        else {
            return;
        };
        let passage = Passage {
            source: adapter.0,
            upcase: source.rules.upcase,
            convert: source.rules.convert,
            filter_duplicates: source.rules.filter_duplicates,
            arrival: batch.arrival,
        };
        let items = source.items.clone();
        let before = out.len();
        out.reserve(batch.readings.len());
        for reading in batch.readings {
            let Some(item) = items.get(reading.point.index()) else {
                tally.trouble(Reason::Unrouted, || format!("point {}", reading.point.0));
                continue;
            };
            self.reading(*item, reading, passage, tally, out);
        }
        tally.add(Reason::Observed, out.len() - before);
    }

    /// An observation that the agent makes itself (asset events, the Agent device's items); goes
    /// through the duplicate filter only.
    pub fn own(&mut self, observation: Observation, out: &mut Vec<Observation>) {
        self.say(owner::SELF, observation, out);
    }

    /// When a period filter next holds something that is due.
    pub fn due(&self) -> Option<Timestamp> {
        self.periods.due()
    }

    /// What period filters held and is due by `now`.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Observation>) {
        let counters = &self.counters;
        self.periods.tick(now, out, |source, reason| {
            counters.adapter(AdapterId(source)).unwrap_or(counters.own()).add(reason, 1);
        });
    }

    /// The model has changed; states of items that stay are kept. Items that are new have no value
    /// until [`initial`](Self::initial) is called. Routes by key are made anew; other routes are to
    /// be set again.
    pub fn change_model(&mut self, model: Arc<DeviceModel>) {
        let old = std::mem::replace(&mut self.model, model);
        let version = self.model.version();
        self.plans = self.model.items().iter().map(|item| planned(item, version)).collect();
        self.memories.resize_with(self.plans.len(), Memory::default);
        for (was, is) in old.items().iter().zip(self.model.items()) {
            let memory = &mut self.memories[is.index.index()];
            if was.shape != is.shape {
                *memory = Memory::default();
            }
            memory.stale |= was.units != is.units
                || was.native_units != is.native_units
                || was.native_scale != is.native_scale;
            if is.retired || was.filters != is.filters || was.shape != is.shape {
                self.periods.forget(is.index);
            }
        }
        for (item, conversion) in &self.calibrations {
            if let Some(plan) = self.plans.get_mut(item.index()) {
                plan.units = Units::Convert(*conversion);
            }
        }
        for source in &mut self.adapters {
            source.take(routes::by_key(&self.model, &source.rules.devices), &self.model);
        }
    }

    #[inline]
    fn reading(
        &mut self,
        item: ItemIndex,
        reading: Reading,
        passage: Passage,
        tally: &Tally,
        out: &mut Vec<Observation>,
    ) {
        let (Some(plan), Some(memory)) = (self.plans.get(item.index()), self.memories.get_mut(item.index()))
        else {
            return;
        };
        if plan.fixed {
            tally.add(Reason::Fixed, 1);
            return;
        }
        memory.owner = passage.source;
        let Reading { value, time, quality, .. } = reading;
        let value = if quality == Quality::Bad { Value::Unavailable } else { value };
        let name = || self.model.item(item).id.as_str();
        let value = take_shape(plan, value, passage, tally, name);
        let value = match plan.units {
            Units::Convert(conversion) if passage.convert => in_units(conversion, value, tally, name),
            Units::Unknown if passage.convert && !value.is_unavailable() => {
                tally.add(Reason::Inconvertible, 1);
                value
            }
            _ => value,
        };
        let Some(value) =
            memory.admit(plan, value, (quality, time.nanos()), passage.filter_duplicates, tally)
        else {
            return;
        };
        let validity = plan.validity(&value);
        if validity != Validity::Valid {
            note(validity, &value, tally, name);
        }
        let mut observation = Observation::new(item, time, passage.arrival, value);
        observation.quality = quality;
        observation.validity = validity;
        if plan.period > 0 {
            let origin = (passage.source, passage.filter_duplicates);
            self.periods.offer(observation, plan.period, origin, tally, out);
        } else {
            out.push(observation);
        }
    }

    /// Something the gateway says itself, in an adapter's name or its own.
    fn say(&mut self, source: u16, observation: Observation, out: &mut Vec<Observation>) {
        let item = observation.item;
        let (Some(plan), Some(memory)) = (self.plans.get(item.index()), self.memories.get_mut(item.index()))
        else {
            return;
        };
        let tally = self.counters.adapter(AdapterId(source)).unwrap_or(self.counters.own());
        let before = out.len();
        self.periods.release(item, out);
        memory.owner = source;
        let about = (observation.quality, observation.time().nanos());
        let mut observation = observation;
        let value = std::mem::replace(&mut observation.value, Value::Unavailable);
        if let Some(value) = memory.admit(plan, value, about, true, tally) {
            observation.value = value;
            if plan.period > 0 {
                self.periods.offer(observation, plan.period, (source, true), tally, out);
            } else {
                out.push(observation);
            }
        }
        tally.add(Reason::Observed, out.len() - before);
    }

    /// Whether the gateway itself says what this item is.
    fn is_own(&self, item: ItemIndex) -> bool {
        let device = self.model.device(self.model.item(item).device);
        device.is_agent
            || [device.asset_added, device.asset_changed, device.asset_removed, device.asset_count]
                .contains(&Some(item))
    }

    /// The AVAILABILITY items of an adapter's devices.
    fn availabilities(&self, adapter: AdapterId) -> Vec<ItemIndex> {
        let devices = self.adapters.get(usize::from(adapter.0)).map(|source| &source.rules.devices);
        let device = |index: &DeviceIndex| self.model.devices().get(usize::from(index.0))?.availability;
        devices.into_iter().flatten().filter_map(device).collect()
    }

    /// Another adapter that is connected and keeps that device available.
    fn other_automatic(&self, adapter: AdapterId, device: DeviceIndex) -> Option<u16> {
        (0_u16..).zip(&self.adapters).find_map(|(id, source)| {
            let keeps = source.connected && source.rules.auto_available;
            (id != adapter.0 && keeps && source.rules.devices.contains(&device)).then_some(id)
        })
    }
}

/// An item's plan; what cannot be converted is said once, here, and counted with every value.
fn planned(item: &DataItem, version: SchemaVersion) -> Plan {
    let plan = Plan::new(item, version);
    if plan.units == Units::Unknown && !item.retired {
        tracing::warn!(
            item = item.id.as_str(),
            native_units = item.native_units.as_str(),
            units = item.units.as_str(),
            "these native units do not convert; values are passed on as they come"
        );
    }
    plan
}

/// The stages that look at the value alone: shape, text, upper case.
#[inline]
fn take_shape<'n>(
    plan: &Plan,
    value: Value,
    passage: Passage,
    tally: &Tally,
    name: impl Fn() -> &'n str,
) -> Value {
    use guideway_contract::Shape;
    if let Value::Number(number) = value
        && plan.shape == Shape::Number
        && number.is_finite()
    {
        return value;
    }
    let is_word = matches!(&value, Value::Text(text) if plan.shape == Shape::Text
        && plan.reset.is_none()
        && !text.eq_ignore_ascii_case("UNAVAILABLE"));
    let mut value = if is_word {
        value
    } else {
        let was = value.clone();
        let Some(value) = shape::fit(plan.shape, plan.reset.as_ref(), value) else {
            tally.trouble(Reason::Rejected, || format!("{}: {was:?} is no {:?}", name(), plan.shape));
            return Value::Unavailable;
        };
        match (&was, &value) {
            (Value::Text(_), Value::Number(_)) if plan.keeps_text() => was,
            _ => value,
        }
    };
    if text::clean_value(&mut value) {
        tally.trouble(Reason::Characters, || format!("{}: {value:?}", name()));
    }
    let Value::Text(text) = &value else { return value };
    if text.is_empty() && plan.checks.has_words() {
        tally.trouble(Reason::Rejected, || format!("{}: an empty text is none of its words", name()));
        return Value::Unavailable;
    }
    if passage.upcase
        && plan.is_event_text
        && let Some(upper) = text::upcase(text)
    {
        tally.add(Reason::Upcased, 1);
        return Value::Text(upper);
    }
    value
}

#[inline]
fn in_units<'n>(conversion: Conversion, value: Value, tally: &Tally, name: impl Fn() -> &'n str) -> Value {
    if value.is_unavailable() {
        return value;
    }
    if let Some(converted) = convert::convert(conversion, value) {
        tally.add(Reason::Converted, 1);
        return converted;
    }
    tally.trouble(Reason::Rejected, || format!("{}: too large once converted", name()));
    Value::Unavailable
}

#[cold]
fn note<'n>(validity: Validity, value: &Value, tally: &Tally, name: impl Fn() -> &'n str) {
    match validity {
        Validity::Valid => {}
        Validity::Unverifiable => tally.add(Reason::Unverifiable, 1),
        Validity::Invalid => tally.trouble(Reason::Invalid, || format!("{}: {value:?}", name())),
    }
}
