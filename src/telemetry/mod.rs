//! How the gateway is doing: logs, health and metrics.

pub mod health;
pub mod logs;
pub mod metrics;
pub mod server;

use std::sync::{Arc, OnceLock};

use guideway_contract::Health;

use crate::device_model::SharedModel;
use crate::journal::Journal;
use crate::northbound::{mqtt, mtconnect, opcua};
use crate::pipeline;

/// One adapter as health and metrics see it.
#[derive(Clone)]
pub struct AdapterView {
    /// Its name in the configuration.
    pub name: String,
    /// Its protocol's configuration word.
    pub protocol: &'static str,
    /// Its address, without secrets.
    pub endpoint: String,
    /// Its counters and state.
    pub health: Arc<Health>,
}

/// Everything that can be asked about a running gateway. Cheap to clone.
#[derive(Clone)]
pub struct View {
    /// The gateway's name.
    pub gateway: Arc<str>,
    /// When it started.
    pub started: guideway_contract::Timestamp,
    /// The adapters, in the configuration's order.
    pub adapters: Arc<[AdapterView]>,
    /// Control, where a machine permits commands.
    pub control: Option<crate::control::Control>,
    /// The brokers whose request topics are followed, in the configuration's order.
    pub control_mqtt: Arc<[mqtt::control::Watch]>,
    /// The MQTT destinations, in the configuration's order.
    pub destinations: Arc<[mqtt::Watch]>,
    /// The HTTP face's counters, once it listens.
    pub http: Arc<OnceLock<Arc<mtconnect::Stats>>>,
    /// The OPC UA face's counters, once it listens.
    pub opcua: Arc<OnceLock<Arc<opcua::Stats>>>,
    /// The pipeline's counters.
    pub pipeline: Arc<pipeline::Counters>,
    /// The journal.
    pub journal: Journal,
    /// The device model.
    pub model: SharedModel,
    /// Whether every face listens.
    pub ready: Arc<std::sync::atomic::AtomicBool>,
}
