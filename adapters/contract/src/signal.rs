//! What an adapter tells the agent, and the way it does.

use std::sync::Arc;

use arc_swap::ArcSwap;
use smol_str::SmolStr;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    CommandRequest, Commands, ConnectionState, Counters, Fault, Health, PointId, PointTable, Quality,
    RawBatch, Timestamp, Value,
};

/// The place of an adapter in the agent's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AdapterId(pub u16);

/// One point's value as the source gave it, in native units.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which point.
    pub point: PointId,
    /// What; a value that does not fit the point's shape is passed as text, for the pipeline to
    /// reject and count.
    pub value: Value,
    /// When, by the source.
    pub time: Timestamp,
    /// What the source thinks of it.
    pub quality: Quality,
}

/// Readings that arrived together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// When they reached the gateway.
    pub arrival: Timestamp,
    /// In the order in which they arrived.
    pub readings: Vec<Reading>,
}

/// An asset as a source sends it. `device` is empty for the adapter's default device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssetChange {
    /// A new or a whole changed asset.
    Put {
        /// Device name, uuid or id.
        device: SmolStr,
        /// The asset's id.
        id: SmolStr,
        /// Its type, e.g. `CuttingTool`.
        asset_type: SmolStr,
        /// The XML element.
        body: String,
        /// When, by the source.
        time: Timestamp,
    },
    /// Changes to parts of an asset: element or attribute names with new values.
    Update {
        /// Device name, uuid or id.
        device: SmolStr,
        /// The asset's id.
        id: SmolStr,
        /// Names and values.
        changes: Vec<(SmolStr, SmolStr)>,
        /// When, by the source.
        time: Timestamp,
    },
    /// An asset is gone.
    Remove {
        /// Device name, uuid or id.
        device: SmolStr,
        /// The asset's id.
        id: SmolStr,
        /// When, by the source.
        time: Timestamp,
    },
    /// All assets of a type are gone; an empty type means every type.
    RemoveAll {
        /// Device name, uuid or id.
        device: SmolStr,
        /// The type, or empty.
        asset_type: SmolStr,
        /// When, by the source.
        time: Timestamp,
    },
}

/// What an adapter tells the agent.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// A session is up.
    Connected {
        /// Since when.
        at: Timestamp,
    },
    /// Values of data items' points, for adapters that are fed by key.
    Readings(Batch),
    /// Raw values of a profile's points; the pipeline maps them to data items.
    Raw(RawBatch),
    /// An asset came, changed or went.
    Asset(AssetChange),
    /// The source describes itself or its device (`manufacturer`, `calibration`, `deviceModel`,
    /// …; names as in the SHDR `*` commands).
    Describe {
        /// Device name, uuid or id; empty for the default device.
        device: SmolStr,
        /// What is described.
        name: SmolStr,
        /// How.
        value: String,
    },
    /// The session is over: what came from here is no longer known.
    Disconnected {
        /// Since when.
        at: Timestamp,
    },
}

/// A signal with its sender.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Who.
    pub adapter: AdapterId,
    /// What.
    pub signal: Signal,
}

/// An adapter's way to the agent: points in, signals out, commands in. Signals go through a
/// bounded channel, so a busy pipeline slows the source down and memory stays bounded.
#[derive(Debug)]
pub struct Outlet {
    id: AdapterId,
    name: SmolStr,
    points: Arc<ArcSwap<PointTable>>,
    signals: mpsc::Sender<Envelope>,
    commands: Commands,
    health: Arc<Health>,
    cancel: CancellationToken,
}

impl Outlet {
    /// An outlet for adapter `id`, called `name` in logs.
    pub fn new(
        id: AdapterId,
        name: &str,
        points: Arc<ArcSwap<PointTable>>,
        signals: mpsc::Sender<Envelope>,
        commands: mpsc::Receiver<CommandRequest>,
        health: Arc<Health>,
        cancel: CancellationToken,
    ) -> Self {
        let commands = Commands::new(commands);
        Self { id, name: name.into(), points, signals, commands, health, cancel }
    }

    /// The adapter's name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The points as they are now. Load anew for each batch: the model may change at run time.
    pub fn points(&self) -> Arc<PointTable> {
        self.points.load_full()
    }

    /// The adapter's health.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Fires when the adapter is to stop.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    /// The commands for this adapter.
    pub const fn commands(&mut self) -> &mut Commands {
        &mut self.commands
    }

    /// Counts a fault; see [`Health::fault`].
    pub fn fault(&self, fault: Fault, detail: impl FnOnce() -> String) {
        self.health.fault(&self.name, fault, detail);
    }

    /// Says that a session is up.
    pub async fn connected(&self) {
        self.health.set_state(ConnectionState::Established);
        self.health.set_last_error(None);
        Counters::add(&self.health.counters.sessions, 1);
        self.send(Signal::Connected { at: Timestamp::now() }).await;
    }

    /// Sends readings; an empty batch is passed over. Waits while the pipeline is busy.
    pub async fn readings(&self, batch: Batch) {
        if !batch.readings.is_empty() {
            self.health.arrived(batch.arrival);
            Counters::add(&self.health.counters.readings, batch.readings.len());
            self.send(Signal::Readings(batch)).await;
        }
    }

    /// Sends raw values of a profile's points; an empty batch is passed over. Waits while the pipeline is busy.
    pub async fn raw(&self, batch: RawBatch) {
        if !batch.readings.is_empty() {
            self.health.arrived(batch.arrival);
            Counters::add(&self.health.counters.readings, batch.readings.len());
            self.send(Signal::Raw(batch)).await;
        }
    }

    /// Sends any other signal.
    pub async fn send(&self, signal: Signal) {
        // The receiver is gone only while the agent shuts down: nobody is left to tell.
        let _ = self.signals.send(Envelope { adapter: self.id, signal }).await;
    }
}
