//! Layouts that are fed by key: the message names the data item, the model says what is expected there.

mod entity;
mod lines;
mod streams;
mod value;
mod xml;

use std::sync::Arc;

use guideway_contract::{
    Batch, Counters, Fault, Outlet, PointId, PointTable, Quality, Reading, Scope, Signal, Timestamp, Value,
};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::config::Layout;
use crate::reader::Message;

/// What a message said, in its order.
pub(crate) enum Step {
    /// Values.
    Readings(Vec<Reading>),
    /// Anything else.
    Signal(Signal),
}

/// Collects steps and hands faults on.
pub(crate) struct Sink<'o> {
    pub(crate) outlet: &'o Outlet,
    pub(crate) steps: Vec<Step>,
}

impl<'o> Sink<'o> {
    pub(crate) fn new(outlet: &'o Outlet) -> Self {
        Self { outlet, steps: Vec::new() }
    }

    fn reading(&mut self, point: PointId, value: Value, time: Timestamp) {
        self.extend(std::iter::once(Reading { point, value, time, quality: Quality::Good }));
    }

    fn extend(&mut self, more: impl IntoIterator<Item = Reading>) {
        match self.steps.last_mut() {
            Some(Step::Readings(readings)) => readings.extend(more),
            Some(Step::Signal(_)) | None => self.steps.push(Step::Readings(more.into_iter().collect())),
        }
    }

    fn signal(&mut self, signal: Signal) {
        if matches!(signal, Signal::Asset(_)) {
            Counters::add(&self.outlet.health().counters.assets, 1);
        }
        self.steps.push(Step::Signal(signal));
    }

    fn fault(&mut self, fault: Fault, detail: impl FnOnce() -> String) {
        self.outlet.fault(fault, detail);
    }

    /// Sends everything on, in order.
    pub(crate) async fn send(self, arrival: Timestamp) {
        for step in self.steps {
            match step {
                Step::Readings(readings) => self.outlet.readings(Batch { arrival, readings }).await,
                Step::Signal(signal) => self.outlet.send(signal).await,
            }
        }
    }

    /// How many readings wait.
    pub(crate) fn len(&self) -> usize {
        let count = |step: &Step| if let Step::Readings(readings) = step { readings.len() } else { 1 };
        self.steps.iter().map(count).sum()
    }
}

/// Reads messages of a layout that is fed by key. It remembers, for one session, what the source said before.
pub(crate) struct Keyed {
    layout: Layout,
    table: Arc<PointTable>,
    /// The last sequence of each point, so that a Current does not repeat what a Sample has told.
    sequences: FxHashMap<PointId, u64>,
    /// The instance of the agent whose sequences these are, for each device.
    instances: FxHashMap<SmolStr, u64>,
    /// What was last said of a device, as a hash.
    described: FxHashMap<SmolStr, u64>,
    /// The agent has said, or the broker for it, that it is gone.
    agent_gone: bool,
    lines: lines::Decoders,
}

impl Keyed {
    pub(crate) fn new(layout: Layout) -> Self {
        Self {
            layout,
            table: Arc::default(),
            sequences: FxHashMap::default(),
            instances: FxHashMap::default(),
            described: FxHashMap::default(),
            agent_gone: false,
            lines: lines::Decoders::default(),
        }
    }

    /// Takes up the points, where they are others than before.
    pub(crate) fn set_points(&mut self, table: Arc<PointTable>) {
        if !Arc::ptr_eq(&self.table, &table) {
            self.sequences.clear();
            self.table = table;
        }
    }

    /// Reads a message.
    pub(crate) fn read(&mut self, message: Message<'_>, sink: &mut Sink<'_>) {
        let payload = match message.payload {
            Ok(payload) => payload,
            // The session has counted it.
            Err(_) => return,
        };
        match self.layout {
            // A profile's points are read by the reader.
            Layout::Points => {}
            Layout::Mtconnect => self.document(message, payload, sink),
            Layout::Entity => self.entity(message, payload, sink),
            Layout::Shdr => self.lines.read(&self.table, message, payload, sink),
        }
    }

    /// The device that a level of the topic names, looked for from the end.
    fn device_in<'m>(&self, topic: &'m str) -> Option<(&'m str, Scope)> {
        device_in(&self.table, topic)
    }
}

fn device_in<'m>(table: &PointTable, topic: &'m str) -> Option<(&'m str, Scope)> {
    topic.rsplit('/').find_map(|level| table.scope(level).map(|scope| (level, scope)))
}

/// Reads JSON as every shape and document; for the fuzz target.
pub(crate) fn fuzz(json: &serde_json::Value) {
    use guideway_contract::Shape;

    for shape in [
        Shape::Number,
        Shape::Text,
        Shape::Vector3,
        Shape::TimeSeries,
        Shape::DataSet,
        Shape::Table,
        Shape::Condition,
        Shape::Message,
        Shape::AssetEvent,
    ] {
        let _ = value::read(shape, None, json.as_object(), json);
    }
    let _ = xml::element("Device", json);
    let mut found = Vec::new();
    streams::collect(json, None, None, &mut found);
}

/// Reads a payload as SHDR; for the fuzz target.
pub(crate) fn fuzz_payload(payload: &[u8]) {
    lines::fuzz(payload);
}

#[cfg(test)]
mod tests;
