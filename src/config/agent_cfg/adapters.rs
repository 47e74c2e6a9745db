//! `Adapters { … }` and the defaults that stand at the top.

use std::time::Duration;

use super::Reader;
use super::block::Block;
use super::syntax::Node;
use crate::config::MOST_TABLES;
use crate::config::configuration::{Adapter, AdapterOptions, DeviceDetails};
use crate::config::finding::Findings;
use crate::device_model::SchemaVersion;
use guideway_shdr::{Config, ShdrVersion};

/// Keys of an adapter that have no effect, with what happens instead.
pub(in crate::config) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("AdapterIdentity", "ids in the Agent device are made from the adapter's name"),
    ("AllowPut", "data is never taken over HTTP"),
    ("RealTime", "every adapter has the same priority"),
    ("SuppressIPAddress", "ids in the Agent device are made from the adapter's name, never from its address"),
    ("logger_config", "there is one log for all; see `logger_config` at the top"),
];

/// What only sources other than SHDR have.
const OTHER_SOURCES: [&str; 12] = [
    "Count",
    "MqttCaCert",
    "MqttCert",
    "MqttClientId",
    "MqttHost",
    "MqttPassword",
    "MqttPort",
    "MqttPrivateKey",
    "PollingInterval",
    "SourceDevice",
    "Topics",
    "UsePolling",
];

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

impl Reader<'_> {
    pub(super) fn adapters(&mut self, top: &mut Block<'_>) {
        // The reference agent's own defaults, where they differ from those of a guideway.toml.
        let common = AdapterOptions { filter_duplicates: false, ..AdapterOptions::default() };
        let mut defaults = Adapter { common, config: Config::new("localhost", 7878) };
        // Older schemas have no conditionId, so a colon in a native code is a part of it.
        let version = self.configuration.model.schema_version;
        defaults.config.condition_ids = version.is_none_or(|version| version >= SchemaVersion::new(2, 3));
        defaults_of(top, &mut defaults, self.findings);
        for key in ["RealTime", "SuppressIPAddress"] {
            if let Some((_, span)) = top.text(key, self.findings) {
                let instead = WITHOUT_EFFECT.iter().find(|(name, _)| *name == key).map_or("", |(_, is)| is);
                top.warning(span, format!("`{key}` has no effect"), instead, self.findings);
            }
        }
        match top.block("Adapters", self.findings) {
            Some(mut adapters) => {
                self.places.insert("adapter", adapters.span.clone());
                for (number, node) in adapters.blocks(self.findings).into_iter().enumerate() {
                    if number == MOST_TABLES {
                        let what = format!("more than {MOST_TABLES} adapters");
                        let span = node.name_span.clone();
                        adapters.error(span, what, "spread them over several gateways", self.findings);
                        break;
                    }
                    self.adapter(&adapters, node, &defaults);
                }
            }
            None => {
                let what = "no `Adapters`: one is expected at localhost:7878, as by the reference agent";
                let cure = "write `Adapters { NAME { Host = … } }`";
                top.warning(0..0, what, cure, self.findings);
                defaults.common.name = "default".to_owned();
                self.configuration.adapters.shdr.push(defaults);
            }
        }
    }

    fn adapter<'a>(&mut self, adapters: &Block<'a>, node: &'a Node, defaults: &Adapter<Config>) {
        // `shdr:Mill`: a prefix names the kind of source.
        let (kind, name) = node.name.split_once(':').unwrap_or(("", node.name.as_str()));
        let mut block = adapters.inner(format!("adapter {name:?}"), node);
        let kind = match block.text("Protocol", self.findings) {
            Some((protocol, _)) if kind.is_empty() => protocol,
            _ => kind,
        };
        let mut adapter = defaults.clone();
        let url = block.text("Url", self.findings);
        let of_url = url.as_ref().and_then(|(url, _)| url.split_once("://"));
        let kind = of_url.map_or(kind, |(scheme, _)| scheme).to_ascii_lowercase();
        if !matches!(kind.as_str(), "" | "shdr") {
            let what = format!("a source of the kind `{kind}` is not supported; it is left out");
            let cure = "only SHDR adapters (`Host` and `Port`) are read";
            return block.warning(block.span.clone(), what, cure, self.findings);
        }
        let list = "adapter.shdr";
        let path = format!("{list}[{}]", self.configuration.adapters.shdr.len());
        self.places.insert(path.clone(), block.span.clone());

        if let Some((_, rest)) = of_url {
            let (address, _) = rest.split_once('/').unwrap_or((rest, ""));
            let (host, port) = host_and_port(address);
            adapter.config.host = host.to_owned();
            match port.map(str::parse) {
                Some(Ok(port)) => adapter.config.port = port,
                Some(Err(_)) => {
                    let span = url.map_or(0..0, |(_, span)| span);
                    let what = format!("Url: `{rest}` has no port from 1 to 65535");
                    block.error(span, what, "write `shdr://host:port`", self.findings);
                }
                None => {}
            }
        }
        if let Some((host, span)) = block.text("Host", self.findings) {
            adapter.config.host = host.to_owned();
            self.places.insert(format!("{path}.host"), span);
        }
        if let Some((port, span)) = block.number("Port", 1..=u16::MAX, self.findings) {
            adapter.config.port = port;
            self.places.insert(format!("{path}.port"), span);
        }
        defaults_of(&mut block, &mut adapter, self.findings);
        self.devices(&mut block, name, &path, &mut adapter.common);
        adapter.common.name = self.unused(&block, name);
        for key in OTHER_SOURCES {
            if let Some((_, span)) = block.text(key, self.findings) {
                let what = format!("`{key}` has no effect");
                block.warning(span, what, "only SHDR adapters (`Host` and `Port`) are read", self.findings);
            }
        }
        block.finish(WITHOUT_EFFECT, self.findings);
        self.places.element(list, path);
        self.configuration.adapters.shdr.push(adapter);
    }

    /// The devices of an adapter, and what its block says of them.
    fn devices(&mut self, block: &mut Block<'_>, name: &str, path: &str, common: &mut AdapterOptions) {
        if let Some((device, span)) = block.text("Device", self.findings) {
            // `*` is the default device, which is what naming none means here.
            if device != "*" {
                common.devices = vec![device.to_owned()];
            }
            self.places.insert(format!("{path}.devices[0]"), span);
        }
        if let Some((more, span)) = block.text("AdditionalDevices", self.findings) {
            if common.devices.is_empty() {
                common.devices = vec![name.to_owned()];
            }
            for device in more.split([',', ' ', '\t']).filter(|device| !device.is_empty()) {
                self.places.insert(format!("{path}.devices[{}]", common.devices.len()), span.clone());
                common.devices.push(device.to_owned());
            }
        }
        let uuid = if block.has("Uuid") { "Uuid" } else { "UUID" };
        let mut details = DeviceDetails::default();
        let mut place = None;
        let mut say = |into: &mut Option<String>, key: &'static str, findings: &mut Findings| {
            if let Some((text, span)) = block.text(key, findings) {
                *into = Some(text.to_owned());
                place = Some(span);
            }
        };
        say(&mut details.uuid, uuid, self.findings);
        say(&mut details.manufacturer, "Manufacturer", self.findings);
        say(&mut details.serial_number, "SerialNumber", self.findings);
        say(&mut details.station, "Station", self.findings);
        if let Some(span) = place {
            details.name = common.devices.first().cloned().unwrap_or_else(|| name.to_owned());
            let path = format!("device[{}]", self.configuration.devices.len());
            self.places.insert(path.clone(), span);
            self.places.element("device", path);
            self.configuration.devices.push(details);
        }
    }

    /// The block's name; with a number where another adapter has it already.
    fn unused(&mut self, block: &Block<'_>, name: &str) -> String {
        let mut free = name.to_owned();
        while self.names.contains_key(&free) {
            let count = self.names.entry(name.to_owned()).or_insert(1);
            *count += 1;
            free = format!("{name}-{count}");
        }
        self.names.insert(free.clone(), 1);
        if free != name {
            let what = format!("another adapter has the same name; this one is called `{free}`");
            let cure = "give it a name of its own and say `Device = …`";
            block.warning(block.span.clone(), what, cure, self.findings);
        }
        free
    }
}

/// The keys that may stand at the top, as a default, and in the block of an adapter.
fn defaults_of(block: &mut Block<'_>, adapter: &mut Adapter<Config>, findings: &mut Findings) {
    let Adapter { common, config } = adapter;
    let mut flag = |into: &mut bool, key: &'static str, findings: &mut Findings| {
        if let Some((on, _)) = block.flag(key, findings) {
            *into = on;
        }
    };
    flag(&mut common.upcase, "UpcaseDataItemValue", findings);
    flag(&mut common.convert, "ConversionRequired", findings);
    flag(&mut common.filter_duplicates, "FilterDuplicates", findings);
    flag(&mut common.preserve_uuid, "PreserveUUID", findings);
    flag(&mut common.accept_device_model, "EnableSourceDeviceModels", findings);
    flag(&mut config.ignore_timestamps, "IgnoreTimestamps", findings);
    flag(&mut config.relative_time, "RelativeTime", findings);
    if let Some((on, _)) = block.flag("AutoAvailable", findings) {
        common.auto_available = Some(on);
    }
    if let Some((interval, _)) = block.duration("ReconnectInterval", MILLISECOND, findings) {
        let least = Config::new("", 0).reconnect_min;
        config.reconnect_max = interval.max(MILLISECOND);
        config.reconnect_min = least.min(config.reconnect_max);
    }
    if let Some((timeout, _)) = block.duration("LegacyTimeout", SECOND, findings) {
        config.legacy_timeout = timeout.max(MILLISECOND);
    }
    if let Some((heartbeat, _)) = block.duration("Heartbeat", MILLISECOND, findings) {
        config.heartbeat = Some(heartbeat.max(MILLISECOND));
    }
    if let Some((version, _)) = block.number("ShdrVersion", 1..=2, findings) {
        config.shdr_version = ShdrVersion::try_from(version).unwrap_or_default();
    }
}

/// `host`, `host:port`, `[::1]` and `[::1]:port`.
fn host_and_port(address: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match address.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    }
}
