//! `guideway.toml` and `agent.cfg`, typed, with positions.
//!
//! Both files become one [`Configuration`]. Everything that is wrong is found in one go; each
//! [`Finding`] names the place and the cure. Nothing here touches the network.

mod agent_cfg;
mod configuration;
pub mod duration;
mod format;
mod guideway_toml;
mod instances;
mod load;
mod machines;
mod paths;
pub mod size;
mod validate;

use crate::reading::{expand, fields, finding, places, source, suggest};

pub use crate::reading::{Finding, MAX_BYTES, Report, Severity, Source};
pub use configuration::{
    Adapter, AdapterOptions, Adapters, Configuration, DeviceDetails, Gateway, Instance, Log, LogFormat,
    LogLevel, Telemetry, UnknownDevice,
};
pub use load::{check, load, load_for_switch, load_text};
pub use machines::errors_of;

/// Tables of one list that are read: far beyond the machines that one gateway can serve.
const MOST_TABLES: usize = 4_096;
