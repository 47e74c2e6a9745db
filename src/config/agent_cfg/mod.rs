//! Reads the reference agent's `agent.cfg`.
//!
//! What it says becomes the same [`Configuration`] as a `guideway.toml`, so that a running agent can
//! be replaced without a change to its file. Keys that mean nothing here are told, with what happens
//! instead; docs/configuration.md lists them all.

mod adapters;
mod block;
mod rest;
mod sinks;
mod syntax;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::configuration::{Configuration, LogFormat, LogLevel};
use super::finding::Findings;
use super::places::Places;
use super::source::Source;
use crate::device_model::DuplicateIds;
use block::Block;

/// Keys at the top that have no effect, with what happens instead.
pub(super) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("AgentDeviceUUID", "the uuid of the Agent device is made from the gateway's name and stays the same"),
    ("CheckpointFrequency", "the journal chooses its own checkpoints"),
    ("ConfigPath", "files are looked for next to this one; write the whole path where they are elsewhere"),
    (
        "CorrectTimestamps",
        "an adapter of a guideway.toml has `correct_timestamps`, which moves all its times alike",
    ),
    ("DataPath", "files are looked for next to this one; write the whole path where they are elsewhere"),
    ("ExecDirectory", "paths are relative to this file"),
    ("LogStreams", "`guideway replay` plays recordings; streams are not written to a file"),
    ("MinimumConfigReloadAge", "changes of this file take effect at the next start"),
    ("MonitorConfigFiles", "changes of this file take effect at the next start"),
    ("MonitorInterval", "changes of this file take effect at the next start"),
    ("PidFile", "systemd, or whatever else starts the gateway, knows its process"),
    ("PluginPath", "there are no plug-ins"),
    ("Plugins", "there are no plug-ins"),
    ("Python", "there is no scripting"),
    ("Ruby", "there is no scripting"),
    ("ServiceName", "the service is called as its systemd unit"),
    ("Validation", "values are always checked against the standard's vocabularies"),
    ("VersionDeviceXml", "a device model that a source sends is kept in the journal's folder"),
    ("VersionDeviceXmlUpdates", "a device model that a source sends is kept in the journal's folder"),
    ("WorkerThreads", "there are as many threads as processors"),
    ("WorkingDirectory", "paths are relative to this file"),
];

/// Keys of `logger_config` that have no effect, with what happens instead.
pub(super) const LOGGER_WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("archive_pattern", "logrotate, or the journal of systemd, keeps old logs"),
    ("max_index", "logrotate, or the journal of systemd, keeps old logs"),
    ("max_size", "logrotate, or the journal of systemd, keeps old logs"),
    ("rotation_size", "logrotate, or the journal of systemd, keeps old logs"),
    ("schedule", "logrotate, or the journal of systemd, keeps old logs"),
];

/// What the file says, with all that is wrong in it put into `findings`; what is wrong is left out.
pub(super) fn read(source: &Arc<Source>, findings: &mut Findings) -> (Configuration, Places) {
    let (mut nodes, errors) = syntax::parse(source.text());
    for error in errors {
        findings.error(source, error.span, error.what, error.cure);
    }
    variables::put_in(&mut nodes, source, findings);
    let mut top = Block::new(String::new(), &nodes, 0..0, source);
    let mut read = Reader {
        configuration: Configuration::default(),
        places: Places::default(),
        findings,
        names: BTreeMap::new(),
    };
    read.model(&mut top);
    read.journal(&mut top);
    read.rest(&mut top);
    read.adapters(&mut top);
    read.sinks(&mut top);
    read.logger(&mut top);
    top.finish(WITHOUT_EFFECT, read.findings);
    (read.configuration, read.places)
}

/// What has been read so far.
struct Reader<'f> {
    configuration: Configuration,
    places: Places,
    findings: &'f mut Findings,
    /// Names of adapters, with the highest number that was put behind each.
    names: BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn model(&mut self, top: &mut Block<'_>) {
        let model = &mut self.configuration.model;
        if let Some((path, span)) = top.text("Devices", self.findings) {
            model.devices = vec![PathBuf::from(path)];
            self.places.insert("model.devices[0]", span);
        }
        if let Some((version, span)) = top.text("SchemaVersion", self.findings) {
            match version.parse() {
                Ok(version) => model.schema_version = Some(version),
                Err(what) => top.error(span.clone(), format!("SchemaVersion: {what}"), "", self.findings),
            }
            self.places.insert("model.schema_version", span);
        }
        if let Some((disabled, span)) = top.flag("DisableAgentDevice", self.findings) {
            model.agent_device = !disabled;
            self.places.insert("model.agent_device", span);
        }
        if let Some((true, span)) = top.flag("CreateUniqueIds", self.findings) {
            model.duplicate_ids = DuplicateIds::Prefix;
            let what = "`CreateUniqueIds`: only ids that clash are changed";
            let cure = "they get the id of their device in front; all others stay as they are";
            top.warning(span, what, cure, self.findings);
        }
    }

    fn journal(&mut self, top: &mut Block<'_>) {
        let journal = &mut self.configuration.journal;
        if let Some((exponent, span)) = top.number("BufferSize", 1..=24, self.findings) {
            journal.buffer_size = 1 << exponent;
            self.places.insert("journal.buffer_size", span);
        }
        if let Some((assets, span)) = top.number("MaxAssets", 1..=10_000_000, self.findings) {
            journal.max_assets = assets;
            self.places.insert("journal.max_assets", span);
        }
    }

    fn logger(&mut self, top: &mut Block<'_>) {
        let Some(mut logger) = top.block("logger_config", self.findings) else { return };
        let log = &mut self.configuration.log;
        log.format = LogFormat::Text;
        for key in ["logging_level", "level"] {
            let Some((level, span)) = logger.text(key, self.findings) else { continue };
            // The reference agent's older files write `LINFO`.
            let plain = level.to_ascii_lowercase();
            log.level = match plain.strip_prefix('l').unwrap_or(&plain) {
                "all" | "trace" => LogLevel::Trace,
                "debug" => LogLevel::Debug,
                "info" => LogLevel::Info,
                "warn" | "warning" => LogLevel::Warn,
                "error" | "fatal" => LogLevel::Error,
                "none" => LogLevel::Off,
                _ => {
                    let what = format!("{key}: `{level}` is no level");
                    let cure = "write trace, debug, info, warn, error or fatal";
                    logger.error(span, what, cure, self.findings);
                    continue;
                }
            };
            break;
        }
        let mut file = None;
        if let Some((output, span)) = logger.text("output", self.findings) {
            let mut words = output.split_whitespace();
            file = match (words.next(), words.next()) {
                (Some("cout" | "cerr"), _) => {
                    if output.starts_with("cout") {
                        let what = "the log is written to standard error";
                        logger.warning(span, what, "standard output is left free", self.findings);
                    }
                    None
                }
                (Some("file"), Some(path)) | (Some(path), _) => Some((path, span)),
                (None, _) => None,
            };
        }
        file = logger.text("file_name", self.findings).or(file);
        if let Some((path, span)) = file {
            log.file = Some(PathBuf::from(path));
            self.places.insert("log.file", span);
        }
        logger.finish(LOGGER_WITHOUT_EFFECT, self.findings);
    }
}

/// The reference agent looks for its devices file next to the configuration and in the working
/// directory, under two names.
pub(super) fn find_devices(configuration: &mut Configuration, folder: &Path) {
    let named = configuration.model.devices.first().cloned();
    let names = match &named {
        Some(path) if path.is_absolute() => return,
        Some(path) => vec![path.clone()],
        None => vec![PathBuf::from("Devices.xml"), PathBuf::from("probe.xml")],
    };
    for name in &names {
        if folder.join(name).is_file() {
            configuration.model.devices = vec![name.clone()];
            return;
        }
    }
    for name in &names {
        if name.is_file()
            && let Ok(absolute) = std::path::absolute(name)
        {
            configuration.model.devices = vec![absolute];
            return;
        }
    }
    configuration.model.devices = vec![names[0].clone()];
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read_text(text: &str) -> (Configuration, Vec<String>) {
        let source = Arc::new(Source::new("a.cfg", text));
        let mut findings = Findings::default();
        let (configuration, _) = read(&source, &mut findings);
        (configuration, findings.sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_keys_at_the_top_are_read() {
        let (read, findings) = read_text(
            "Devices = d.xml\nSchemaVersion = 1.3\nBufferSize = 10\nMaxAssets = 7\nPort = 5001\n\
             ServerIp = 127.0.0.1\nSender = me\nPretty = yes\nJsonVersion = 1\nDisableAgentDevice = true\n\
             Adapters { A { } }\nlogger_config { logging_level = LDEBUG\n output = file /x/y.log 10 }\n",
        );
        assert_eq!(findings, [""; 0]);
        assert_eq!(read.model.devices, [PathBuf::from("d.xml")]);
        assert_eq!(read.model.schema_version.map(|version| version.to_string()).as_deref(), Some("1.3"));
        assert!(!read.model.agent_device);
        assert_eq!((read.journal.buffer_size, read.journal.max_assets), (1_024, 7));
        let face = &read.mtconnect;
        assert_eq!((face.port, face.pretty, face.json_version), (5001, true, 1));
        assert_eq!((face.address.to_string().as_str(), face.sender.as_deref()), ("127.0.0.1", Some("me")));
        assert_eq!(read.log.level, LogLevel::Debug);
        assert_eq!(read.log.file, Some(PathBuf::from("/x/y.log")));
    }

    #[test]
    fn an_adapter_takes_the_defaults_from_the_top_and_its_device_from_its_name() {
        let (read, findings) = read_text(
            "ReconnectInterval = 1000\nLegacyTimeout = 60\nFilterDuplicates = yes\nUpcaseDataItemValue = false\n\
             Adapters {\n Mill { Host = h\n Port = 7879\n Heartbeat = 500\n FilterDuplicates = no }\n\
             shdr:Lathe { Device = L1\n AdditionalDevices = L2, L3\n UUID = u-1\n Station = s\n ShdrVersion = 2 }\n\
             Robot { Url = shdr://r:7999\n Device = * }\n}\n",
        );
        assert_eq!(findings, [""; 0]);
        let [mill, lathe, robot] = &read.adapters.shdr[..] else { panic!("three adapters") };
        assert_eq!((mill.config.host.as_str(), mill.config.port), ("h", 7879));
        assert_eq!(mill.config.reconnect_max.as_millis(), 1_000);
        assert_eq!(mill.config.legacy_timeout.as_secs(), 60);
        assert_eq!(mill.config.heartbeat.map(|every| every.as_millis()), Some(500));
        assert!(!mill.common.filter_duplicates && lathe.common.filter_duplicates);
        assert!(!mill.common.upcase && mill.common.convert && mill.common.preserve_uuid);
        assert_eq!((mill.common.name.as_str(), mill.common.devices.len()), ("Mill", 0));
        assert_eq!((lathe.config.host.as_str(), lathe.config.port), ("localhost", 7878));
        assert_eq!(lathe.common.devices, ["L1", "L2", "L3"]);
        assert_eq!((robot.config.host.as_str(), robot.config.port), ("r", 7999));
        assert!(robot.common.devices.is_empty());
        let [details] = &read.devices[..] else { panic!("one device") };
        assert_eq!((details.name.as_str(), details.uuid.as_deref()), ("L1", Some("u-1")));
        assert_eq!(details.station.as_deref(), Some("s"));
    }

    #[test]
    fn the_defaults_of_the_reference_agent_hold() {
        let (read, _) = read_text("Adapters { A { } }");
        let common = &read.adapters.shdr[0].common;
        assert!(!common.filter_duplicates && common.upcase && common.convert && common.preserve_uuid);
        let (read, findings) = read_text("Port = 5000\n");
        assert_eq!(read.adapters.shdr[0].config.endpoint(), "shdr://localhost:7878");
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn mqtt_sinks_become_destinations() {
        let (read, findings) = read_text(
            "Adapters { A { } }\nSinks {\n MqttService { MqttHost = b\n MqttPort = 8883\n MqttTls = true\n\
             MqttCaCert = ca.pem\n MqttUserName = u\n MqttPassword = p\n MqttQOS = exactly_once\n\
             MqttCurrentInterval = 5000ms\n MqttSampleCount = 10\n ProbeTopic = Plant/Probe/[device]\n\
             CurrentTopic = Plant/Current/[device]\n MqttLastWillTopic = Plant/Will }\n\
             MqttEntitySink:Flat { MqttClientId = me }\n}\n",
        );
        assert_eq!(findings, [""; 0]);
        let [service, flat] = &read.mqtt[..] else { panic!("two destinations") };
        assert_eq!((service.name.as_str(), service.url.as_str()), ("MqttService", "mqtts://b:8883"));
        assert_eq!(
            (service.layout, service.qos, service.sample_count),
            (crate::northbound::mqtt::Layout::Mtconnect, 2, 10)
        );
        assert_eq!(service.current_interval.as_secs(), 5);
        assert_eq!(service.topic_prefix.as_deref(), Some("Plant"));
        assert_eq!(service.tls.ca, Some(PathBuf::from("ca.pem")));
        assert_eq!(service.last_will.as_ref().map(|will| will.topic.as_str()), Some("Plant/Will"));
        assert_eq!((flat.name.as_str(), flat.url.as_str()), ("Flat", "mqtt://127.0.0.1:1883"));
        assert_eq!(flat.client_id.as_deref(), Some("me"));
        assert_eq!(flat.qos, 1);
    }

    #[test]
    fn files_namespaces_and_styles_become_those_of_the_http_face() {
        let (read, findings) = read_text(
            "Adapters { A { } }\nFiles { s { Path = p\n Location = /s/ } }\n\
             StreamsNamespaces { x { Urn = urn:x:1.3\n Location = /s/x.xsd\n Path = x.xsd } }\n\
             DevicesStyle { Location = /s/d.xsl }\nHttpHeaders { Access-Control-Allow-Origin = * }\n",
        );
        assert_eq!(findings, [""; 0]);
        let face = &read.mtconnect;
        let files: Vec<_> = face.files.iter().map(|file| file.location.as_str()).collect();
        assert_eq!(files, ["/s/", "/s/x.xsd"]);
        assert_eq!(face.streams.namespaces[0].prefix, "x");
        assert_eq!(face.streams.namespaces[0].urn, "urn:x:1.3");
        assert_eq!(face.devices.stylesheet.as_deref(), Some("/s/d.xsl"));
        assert_eq!(face.allow_origins, ["*"]);
    }

    #[test]
    fn what_has_no_effect_is_told_and_what_is_wrong_is_an_error() {
        let text = "AllowPut = true\nprot = 1\nPORT = 5001\nMonitorConfigFiles = true\nBufferSize = 30\n\
                    Pretty = maybe\nServerIp = here\nTlsOnly = yes\n\
                    Adapters { A { Prot = 1\n RealTime = yes\n Port = 99999 }\n B { Protocol = mqtt }\n A { } }\n\
                    Sinks { Kafka { } }\nSchemaVersion = 9.9\n";
        let (_, findings) = read_text(text);
        let expected = [
            "a.cfg:1:12: warning: `AllowPut` has no effect",
            "a.cfg:2:1: warning: unknown key `prot`; it has no effect (did you mean `Port`?)",
            "a.cfg:3:1: warning: `PORT` is taken for `Port`",
            "a.cfg:4:1: warning: `MonitorConfigFiles` has no effect",
            "a.cfg:5:14: error: BufferSize 30 is out of range (1-24)",
            "a.cfg:6:10: error: Pretty: `maybe` is neither yes nor no",
            "a.cfg:7:12: error: ServerIp: `here` is no IP address",
            "a.cfg:8:11: error: `TlsOnly` cannot be kept",
            "a.cfg:9:16: warning: adapter \"A\": unknown key `Prot`; it has no effect (did you mean `Port`?)",
            "a.cfg:10:2: warning: adapter \"A\": `RealTime` has no effect",
            "a.cfg:11:9: error: adapter \"A\": Port 99999 is out of range (1-65535)",
            "a.cfg:12:2: warning: adapter \"B\": a source of the kind `mqtt` is not supported; it is left out",
            "a.cfg:13:2: warning: adapter \"A\": another adapter has the same name; this one is called `A-2`",
            "a.cfg:14:9: warning: sink \"Kafka\": a sink of the kind `Kafka` is not supported",
            "a.cfg:15:17: error: SchemaVersion: `9.9` is not an MTConnect version",
        ];
        for (found, expected) in findings.iter().zip(expected) {
            assert!(found.starts_with(expected), "\n{found}\n{expected}\n{findings:#?}");
        }
        assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    }

    #[test]
    fn every_key_without_effect_is_in_the_documentation() {
        let documentation = include_str!("../../../docs/configuration.md");
        let lists = [
            WITHOUT_EFFECT,
            LOGGER_WITHOUT_EFFECT,
            adapters::WITHOUT_EFFECT,
            rest::WITHOUT_EFFECT,
            sinks::WITHOUT_EFFECT,
        ];
        for (key, instead) in lists.into_iter().flatten() {
            assert!(documentation.contains(&format!("`{key}`")), "{key}");
            assert!(!instead.is_empty(), "{key}");
        }
    }
}
