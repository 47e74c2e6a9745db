//! `guideway.toml` and `agent.cfg`, typed, with positions.
//!
//! Both files become one [`Configuration`]. Everything that is wrong is found in one go; each
//! [`Finding`] names the place and the cure. Nothing here touches the network.

mod agent_cfg;
mod configuration;
pub mod duration;
mod expand;
mod explain;
mod fields;
mod finding;
mod format;
mod guideway_toml;
mod load;
mod machines;
mod paths;
mod places;
pub mod size;
mod source;
mod suggest;
mod validate;

pub use configuration::{
    Adapter, AdapterOptions, Adapters, Configuration, DeviceDetails, Gateway, Log, LogFormat, LogLevel,
    Telemetry, UnknownDevice,
};
pub use finding::{Finding, Report, Severity};
pub use load::{check, load, load_text};
pub use machines::errors_of;
pub use source::{MAX_BYTES, Source};

/// Tables of one list that are read: far beyond the machines that one gateway can serve.
const MOST_TABLES: usize = 4_096;
