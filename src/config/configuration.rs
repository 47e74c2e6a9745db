//! The whole configuration, typed. Both file formats produce it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use smol_str::SmolStr;

use crate::northbound::{mqtt, mtconnect, opcua};
use crate::pipeline::AdapterRules;
use crate::profile::Machine;
use crate::profile::file::Scalar;
use crate::protocols::BusConfig;
use crate::{control, device_model, journal};

use device_model::DeviceModel;

/// Everything that is configured. [`Default`] is what an empty `guideway.toml` means.
///
/// Paths are absolute or relative to the working directory of the process: those that were written
/// relative to the configuration file have been joined with its folder.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// The file it was read from; empty when there was none.
    pub path: PathBuf,
    /// `[gateway]`
    pub gateway: Gateway,
    /// `[model]`
    pub model: device_model::Options,
    /// `[[device]]`
    pub devices: Vec<DeviceDetails>,
    /// `[[device]]` with a profile.
    pub machines: Vec<Instance>,
    /// `[bus]`: lines that several devices share.
    pub buses: BTreeMap<String, BusConfig>,
    /// `[adapter]`
    pub adapters: Adapters,
    /// `[journal]`
    pub journal: journal::Options,
    /// `[mtconnect]`
    pub mtconnect: mtconnect::Options,
    /// `[opcua]`; without it there is no OPC UA server.
    pub opcua: Option<opcua::Options>,
    /// `[[mqtt]]`
    pub mqtt: Vec<mqtt::Options>,
    /// `[control]`; without it nothing can be controlled.
    pub control: Option<control::Options>,
    /// `[[control.mqtt]]`
    pub control_mqtt: Vec<mqtt::control::Options>,
    /// `[log]`
    pub log: Log,
    /// `[telemetry]`
    pub telemetry: Telemetry,
}

/// `[gateway]`: the process itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// What this gateway is called among others; part of what names an observation in the world
    /// (gateway, instance, sequence). Default: the host's name.
    pub name: Option<String>,
    /// Where the journal lives. Relative to the configuration file. Default: `$STATE_DIRECTORY`
    /// where systemd sets it, else `guideway-data` in the working directory.
    pub data_dir: Option<PathBuf>,
    /// How long the parts may take to stop after SIGTERM before those that are late are named and
    /// left behind.
    #[serde(with = "super::duration")]
    pub shutdown_timeout: Duration,
}

impl Gateway {
    /// What the gateway is called: as configured, else the host's name.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(host_name)
    }

    /// Where the journal lives: as configured, else `$STATE_DIRECTORY`, else `guideway-data` in the
    /// working directory.
    pub fn data_dir(&self) -> PathBuf {
        // systemd separates several folders by colons; the unit asks for one.
        let state = std::env::var("STATE_DIRECTORY").unwrap_or_default();
        let state = state.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from);
        self.data_dir.clone().or(state).unwrap_or_else(|| PathBuf::from("guideway-data"))
    }
}

fn host_name() -> String {
    let read = |path| std::fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"));
    let name = name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control() && !"/+#".contains(*c)).collect();
    if name.is_empty() { "guideway".to_owned() } else { name }
}

impl Default for Gateway {
    fn default() -> Self {
        Self { name: None, data_dir: None, shutdown_timeout: Duration::from_secs(5) }
    }
}

/// A machine of a profile, as the configuration has it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// What the profile makes of it.
    pub machine: Machine,
    /// What holds for an adapter of any protocol.
    pub options: AdapterOptions,
    /// The bus it is on.
    pub bus: Option<String>,
    /// The commands that are permitted.
    pub commands: Vec<SmolStr>,
    /// The interfaces that it answers, each with the REQUEST that it follows.
    pub interfaces: BTreeMap<SmolStr, SmolStr>,
}

/// `[[device]]`: a machine of a profile; or what is said of a device in place of what its devices file says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceDetails {
    /// Its name; without a profile its name or uuid in the devices file.
    pub name: String,
    /// The profile that describes it: `id`, `id@major`, or the path of a file. The keys of the profile's
    /// `[adapter]` may stand here too, put over what it says.
    #[serde(default)]
    pub profile: Option<String>,
    /// Where it is: `host`, `host:port`, a device file, or a URL of its protocol.
    #[serde(default)]
    pub address: Option<String>,
    /// Values of the profile's parameters.
    #[serde(default)]
    pub params: BTreeMap<SmolStr, Scalar>,
    /// The `[bus.NAME]` that it is on, instead of an address of its own.
    #[serde(default)]
    pub bus: Option<String>,
    /// Commands of the profile that are permitted. Default: none.
    #[serde(default)]
    pub commands: Vec<SmolStr>,
    /// Interfaces of the profile that the machine answers, each with the REQUEST that it follows: a device's name or
    /// uuid, a colon, and a data item's id or name.
    #[serde(default)]
    pub interfaces: BTreeMap<SmolStr, SmolStr>,
    /// Replaces its uuid. Of a machine of a profile: its uuid; default: made of the gateway's and its name.
    #[serde(default)]
    pub uuid: Option<String>,
    /// Replaces the manufacturer in its description.
    #[serde(default)]
    pub manufacturer: Option<String>,
    /// Replaces the serial number in its description.
    #[serde(default)]
    pub serial_number: Option<String>,
    /// Replaces the station in its description.
    #[serde(default)]
    pub station: Option<String>,
    /// Replaces the text of its description.
    #[serde(default)]
    pub description: Option<String>,
}

/// `[adapter]`: the sources, by protocol. The key is the name of the protocol's crate.
#[derive(Clone, Debug, Default)]
pub struct Adapters {
    /// `[[adapter.shdr]]`
    pub shdr: Vec<Adapter<guideway_shdr::Config>>,
}

/// A source: what holds for every protocol, and the protocol's own configuration. In the file both
/// stand in one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter<C> {
    /// What holds for every protocol.
    pub common: AdapterOptions,
    /// What holds for this one.
    pub config: C,
}

impl<C> Adapter<C> {
    /// Gives it the name that it has by default.
    pub(super) fn settle_name(&mut self, endpoint: String) {
        if self.common.name.is_empty() {
            self.common.name = self.common.devices.first().cloned().unwrap_or(endpoint);
        }
    }
}

/// What is configured for an adapter of any protocol.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdapterOptions {
    /// Unique among the adapters; names it in logs, metrics and in the Agent device, so keep it
    /// when the address changes. Default: its first device, else its endpoint.
    pub name: String,
    /// Names, uuids or ids of the devices that it feeds; the first is meant where the source names
    /// none. Default: the device called like the adapter, else the only device that there is.
    pub devices: Vec<String>,
    /// Texts of events become upper case, as the standard's vocabularies want it.
    pub upcase: bool,
    /// Values in native units are converted to the units of the data item.
    pub convert: bool,
    /// Values that are the same as before are dropped; items with `discrete="true"` are exempt.
    pub filter_duplicates: bool,
    /// AVAILABILITY follows the connection. Default: where the devices file has no AVAILABILITY
    /// item and the gateway has added one.
    pub auto_available: Option<bool>,
    /// A uuid that the source sends for its device is passed over.
    pub preserve_uuid: bool,
    /// A device model that the source sends replaces the one in the devices file.
    pub accept_device_model: bool,
}

impl Default for AdapterOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            devices: Vec::new(),
            upcase: true,
            convert: true,
            filter_duplicates: true,
            auto_available: None,
            preserve_uuid: true,
            accept_device_model: false,
        }
    }
}

impl AdapterOptions {
    /// The pipeline's rules for this adapter: its devices looked up in `model`, its defaults
    /// settled.
    ///
    /// # Errors
    /// The devices that are not in the model, or that none is named where there are several.
    pub fn rules(&self, model: &DeviceModel) -> Result<AdapterRules, Vec<UnknownDevice>> {
        let machines = || model.devices().iter().filter(|device| !device.is_agent);
        let mut devices = Vec::new();
        let mut unknown = Vec::new();
        for called in &self.devices {
            match model.find_device(called) {
                Some(device) => devices.push(device.index),
                None => unknown.push(UnknownDevice::NoSuch(called.clone())),
            }
        }
        if self.devices.is_empty() {
            let only = if machines().count() == 1 { machines().next() } else { None };
            match model.find_device(&self.name).or(only) {
                Some(device) => devices.push(device.index),
                None => unknown.push(UnknownDevice::Undecided),
            }
        }
        if !unknown.is_empty() {
            return Err(unknown);
        }
        Ok(self.rules_for(devices, model))
    }

    /// The pipeline's rules for an adapter that feeds these devices.
    pub fn rules_for(&self, devices: Vec<device_model::DeviceIndex>, model: &DeviceModel) -> AdapterRules {
        let own = devices.first().is_some_and(|device| model.device(*device).has_own_availability());
        AdapterRules {
            devices,
            upcase: self.upcase,
            convert: self.convert,
            filter_duplicates: self.filter_duplicates,
            auto_available: self.auto_available.unwrap_or(!own),
        }
    }
}

/// Why an adapter has no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownDevice {
    /// It names one that is not in the model.
    #[error("there is no device `{0}` in the devices files")]
    NoSuch(String),
    /// It names none, none is called like it, and there is not just one.
    #[error("which device it feeds is not said, and there is not just one")]
    Undecided,
}

/// `[log]`: what is logged, how and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Least severity that is logged: `error`, `warn`, `info`, `debug` or `trace`; `off` for
    /// nothing.
    pub level: LogLevel,
    /// The same for single modules, such as `"guideway::journal" = "debug"`.
    pub modules: BTreeMap<String, LogLevel>,
    /// `text` or `json`.
    pub format: LogFormat,
    /// A file to append to. Relative to the configuration file. Default: standard error.
    pub file: Option<PathBuf>,
}

/// How severe a log event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What an operator wants to have seen.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As it is written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How a log event is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// A line to read.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// `[telemetry]`: what the gateway tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Whether `/metrics` is served, for Prometheus.
    pub metrics: bool,
    /// An address and port of its own for `/health` and `/metrics`, such as `127.0.0.1:9464`.
    /// Default: they are served with the MTConnect documents.
    pub listen: Option<SocketAddr>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { metrics: true, listen: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICES: &str = "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:1.8\"><Devices>\
        <Device id=\"a\" name=\"Mill\" uuid=\"u-a\"><DataItems><DataItem category=\"EVENT\" id=\"a_avail\" \
        type=\"AVAILABILITY\"/></DataItems></Device>\
        <Device id=\"b\" name=\"Lathe\" uuid=\"u-b\"><DataItems><DataItem category=\"EVENT\" id=\"b_x\" \
        type=\"EXECUTION\"/></DataItems></Device></Devices></MTConnectDevices>";

    fn model(xml: &str) -> DeviceModel {
        let source = [(PathBuf::from("Devices.xml"), xml.to_owned())];
        DeviceModel::from_xml(&source, &device_model::Options::default(), None).expect("a valid model")
    }

    fn adapter(name: &str, devices: &[&str]) -> AdapterOptions {
        let devices = devices.iter().map(|device| (*device).to_owned()).collect();
        AdapterOptions { name: name.to_owned(), devices, ..AdapterOptions::default() }
    }

    #[test]
    fn an_adapter_feeds_the_device_that_is_called_like_it() {
        let model = model(DEVICES);
        let rules = adapter("Lathe", &[]).rules(&model).expect("found");
        assert_eq!(model.device(rules.devices[0]).name, "Lathe");
        let rules = adapter("any", &["u-b", "Mill"]).rules(&model).expect("found");
        assert_eq!(rules.devices.len(), 2);
        assert_eq!(adapter("any", &[]).rules(&model).expect_err("two"), [UnknownDevice::Undecided]);
        let unknown = adapter("any", &["Mil", "Mill"]).rules(&model).expect_err("unknown");
        assert_eq!(unknown, [UnknownDevice::NoSuch("Mil".into())]);
    }

    #[test]
    fn availability_follows_the_connection_where_the_file_has_none() {
        let model = model(DEVICES);
        assert!(!adapter("Mill", &[]).rules(&model).expect("found").auto_available);
        assert!(adapter("Lathe", &[]).rules(&model).expect("found").auto_available);
        let always = AdapterOptions { auto_available: Some(true), ..adapter("Mill", &[]) };
        assert!(always.rules(&model).expect("found").auto_available);
    }

    #[test]
    fn a_gateway_without_a_name_is_called_as_its_host() {
        assert!(!Gateway::default().name().is_empty());
        let named = Gateway { name: Some("hall-2".into()), ..Gateway::default() };
        assert_eq!(named.name(), "hall-2");
    }
}
