//! The agent's place, taken by a test: device models become points, readings are written down.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{
    Adapter, AssetChange, Condition, Level, PointTable, Protocol, Shape, Signal, Timestamp, Value,
};
use guideway_mtconnect::codec::{Document, Element, document};
use guideway_mtconnect::{Config, MtConnect};
use tokio::time::Instant;

/// What most things may take.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Something that the adapter said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Up,
    Down,
    Model(String),
    Told { id: String, value: Value, time: Timestamp },
    Asset(AssetChange),
}

/// A running adapter with its readings.
pub(crate) struct Gateway {
    pub(crate) running: Running,
    pub(crate) models: BTreeMap<String, String>,
    pub(crate) said: Vec<Said>,
    /// Whether device models are taken over.
    pub(crate) takes: bool,
}

/// A configuration for a peer on that port, with deadlines for tests.
pub(crate) fn config(port: u16) -> Config {
    Config {
        address: format!("http://127.0.0.1:{port}"),
        interval: Duration::from_millis(10),
        heartbeat: Duration::from_secs(1),
        poll: Duration::from_millis(50),
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_secs(3),
        ..Config::default()
    }
}

pub(crate) fn adapter(config: Config) -> Box<dyn Adapter> {
    assert_eq!(MtConnect::check(&config), []);
    MtConnect::adapter(config, Vec::new())
}

/// A peer and an adapter that follows it.
pub(crate) async fn pair(arguments: &[&str], change: impl FnOnce(&mut Config)) -> (Peer, Gateway) {
    let peer = Peer::python("mtconnect_agent.py", arguments).await;
    let mut config = config(peer.port());
    change(&mut config);
    let gateway = Gateway::start(config);
    (peer, gateway)
}

impl Gateway {
    pub(crate) fn start(config: Config) -> Self {
        Self::with(Running::start(adapter(config)))
    }

    pub(crate) fn with(running: Running) -> Self {
        Self { running, models: BTreeMap::new(), said: Vec::new(), takes: true }
    }

    /// Takes the next signal.
    pub(crate) async fn step(&mut self, deadline: Instant, what: &str) {
        let signal = self.running.signal(deadline, what).await;
        self.take(signal);
    }

    fn take(&mut self, signal: Signal) {
        match signal {
            Signal::Connected { .. } => self.said.push(Said::Up),
            Signal::Disconnected { .. } => self.said.push(Said::Down),
            Signal::Asset(change) => self.said.push(Said::Asset(change)),
            Signal::Describe { name, value, .. } => {
                assert_eq!(name, "deviceModel");
                self.describe(value);
            }
            Signal::Readings(batch) => {
                let points = self.running.collector.points.load_full();
                for reading in batch.readings {
                    let id = points.get(reading.point).unwrap().address.to_string();
                    self.said.push(Said::Told { id, value: reading.value, time: reading.time });
                }
            }
            Signal::Raw(_) => panic!("no points, no raw values"),
        }
    }

    /// Takes a signal of an agent that may say anything.
    pub(crate) fn take_anything(&mut self, signal: Signal) {
        match signal {
            Signal::Describe { value, .. } => {
                let whole = format!("<MTConnectDevices><Devices>{value}</Devices></MTConnectDevices>");
                assert!(document(whole.as_bytes()).is_ok(), "what is told is well-formed: {value}");
                if value.contains("uuid=\"") && value.contains(" id=\"") {
                    self.describe(value);
                }
            }
            other => self.take(other),
        }
    }

    fn describe(&mut self, xml: String) {
        let device = parse(&xml);
        let uuid = device.attribute("uuid").unwrap().to_owned();
        self.models.insert(uuid.clone(), xml);
        self.said.push(Said::Model(uuid));
        if self.takes {
            self.running.collector.points.store(Arc::new(table(&self.models)));
        }
    }

    /// Takes signals until something is the case.
    pub(crate) async fn until(&mut self, what: &str, mut is: impl FnMut(&[Said]) -> bool) {
        self.until_by(Instant::now() + SOON, what, &mut is).await;
    }

    pub(crate) async fn until_by(
        &mut self,
        deadline: Instant,
        what: &str,
        is: &mut dyn FnMut(&[Said]) -> bool,
    ) {
        while !is(&self.said) {
            self.step(deadline, what).await;
        }
    }

    /// Waits until the latest value of an item is this one.
    pub(crate) async fn value(&mut self, id: &str, value: &Value) {
        let what = format!("{id} = {value:?}");
        self.until(&what, |said| latest(said, id) == Some(value)).await;
    }

    pub(crate) async fn number(&mut self, id: &str, number: u32) {
        self.value(id, &Value::Number(f64::from(number))).await;
    }

    pub(crate) async fn text(&mut self, id: &str, text: &str) {
        self.value(id, &Value::text(text)).await;
    }

    pub(crate) async fn up(&mut self) {
        self.until("connection", |said| said.contains(&Said::Up)).await;
    }

    pub(crate) async fn down(&mut self) {
        self.until("end of the session", |said| said.contains(&Said::Down)).await;
    }

    /// The values of an item, in order.
    pub(crate) fn told(&self, id: &str) -> Vec<Value> {
        let of = |said: &Said| match said {
            Said::Told { id: of, value, .. } if of == id => Some(value.clone()),
            _ => None,
        };
        self.said.iter().filter_map(of).collect()
    }

    /// The numbers of an item, in order; UNAVAILABLE left out.
    pub(crate) fn numbers(&self, id: &str) -> Vec<u32> {
        let of = |value: &Value| match value {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
            Value::Number(number) => Some(*number as u32),
            _ => None,
        };
        self.told(id).iter().filter_map(of).collect()
    }

    pub(crate) fn faults(&self, fault: guideway_contract::Fault) -> u64 {
        self.running.health().counters.faults(fault)
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }
}

/// Why the last session ended, once that is known.
pub(crate) async fn last_error(gateway: &mut Gateway) -> String {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(error) = gateway.running.health().last_error() {
            return error;
        }
        assert!(Instant::now() < deadline, "no error");
        tokio::task::yield_now().await;
    }
}

/// The latest value of an item.
pub(crate) fn latest<'s>(said: &'s [Said], id: &str) -> Option<&'s Value> {
    said.iter().rev().find_map(|said| match said {
        Said::Told { id: of, value, .. } if of == id => Some(value),
        _ => None,
    })
}

pub(crate) fn condition(level: Level, code: &str, message: &str) -> Value {
    let (native_code, message) = (code.into(), message.into());
    Value::Condition(Arc::new(Condition { level, native_code, message, ..Condition::normal() }))
}

fn parse(xml: &str) -> Element {
    let whole = format!("<MTConnectDevices><Devices>{xml}</Devices></MTConnectDevices>");
    match document(whole.as_bytes()) {
        Ok(Document::Devices(_, tree)) => tree.root.find("Device").unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

/// The points of device models, as the agent makes them.
fn table(models: &BTreeMap<String, String>) -> PointTable {
    let mut builder = PointTable::builder();
    for (uuid, xml) in models {
        let device = parse(xml);
        let scope = builder.device([uuid.as_str(), device.attribute("name").unwrap_or_default()]);
        let mut items = Vec::new();
        collect(&device, &mut items);
        for item in items {
            builder.point(scope, item.attribute("id").unwrap_or_default(), shape(item), []);
        }
    }
    builder.build()
}

fn collect<'e>(element: &'e Element, items: &mut Vec<&'e Element>) {
    for child in element.elements() {
        if child.is("DataItem") {
            items.push(child);
        }
        collect(child, items);
    }
}

fn shape(item: &Element) -> Shape {
    let of = |name: &str| item.attribute(name).unwrap_or_default();
    match (of("category"), of("representation"), of("type")) {
        ("CONDITION", ..) => Shape::Condition,
        (_, "DATA_SET", _) => Shape::DataSet,
        (_, "TABLE", _) => Shape::Table,
        (_, "TIME_SERIES", _) => Shape::TimeSeries,
        (_, _, "MESSAGE") => Shape::Message,
        (_, _, "ASSET_CHANGED" | "ASSET_REMOVED" | "ASSET_ADDED") => Shape::AssetEvent,
        _ if of("units").ends_with("_3D") => Shape::Vector3,
        ("SAMPLE", ..) => Shape::Number,
        _ => Shape::Text,
    }
}
