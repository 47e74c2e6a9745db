//! `Sinks { … }`: the MQTT destinations.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::Reader;
use super::block::Block;
use super::syntax::Node;
use crate::northbound::mqtt::{LastWill, Layout, Options, ProtocolVersion};

/// Keys of an MQTT sink that have no effect, with what happens instead.
pub(in crate::config) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("MqttConnectInterval", "attempts to connect wait 500 ms to 10 s"),
    ("MqttMaxTopicDepth", "topics are as deep as their layout makes them"),
    ("MqttRetain", "each layout retains what it needs: Probe, Current and the last value of an item"),
    ("MqttXPath", "everything is published"),
    ("logger_config", "there is one log for all; see `logger_config` at the top"),
];

/// A destination with every option at its default. Fails only if more than these two are needed,
/// which a test rules out.
fn destination(name: &str, url: &str) -> Result<Options, serde::de::value::Error> {
    let needed = [("name", name), ("url", url)];
    Options::deserialize(serde::de::value::MapDeserializer::new(needed.into_iter()))
}

const MILLISECOND: Duration = Duration::from_millis(1);

impl Reader<'_> {
    pub(super) fn sinks(&mut self, top: &mut Block<'_>) {
        let Some(mut sinks) = top.block("Sinks", self.findings) else { return };
        for node in sinks.blocks(self.findings) {
            // `MqttService:Plant`: the second part is the name.
            let (kind, name) = node.name.split_once(':').unwrap_or((&node.name, &node.name));
            let mut sink = sinks.inner(format!("sink {name:?}"), node);
            match kind {
                "RestService" => {
                    self.rest(&mut sink);
                    sink.finish(super::WITHOUT_EFFECT, self.findings);
                }
                "MqttService" | "Mqtt2Service" => self.mqtt(sink, node, name, Layout::Mtconnect),
                "MqttEntitySink" => self.mqtt(sink, node, name, Layout::Entity),
                _ => {
                    let what = format!("a sink of the kind `{kind}` is not supported; it is left out");
                    let cure = "MqttService, MqttEntitySink and RestService are";
                    sink.warning(sink.span.clone(), what, cure, self.findings);
                }
            }
        }
    }

    fn mqtt(&mut self, mut sink: Block<'_>, node: &Node, name: &str, layout: Layout) {
        let path = format!("mqtt[{}]", self.configuration.mqtt.len());
        self.places.insert(path.clone(), node.name_span.clone());
        let text = |sink: &mut Block<'_>, key, reader: &mut Self| {
            sink.text(key, reader.findings).map(|(text, _)| text.to_owned())
        };
        let file = |sink: &mut Block<'_>, key, at: &str, reader: &mut Self| {
            sink.text(key, reader.findings).map(|(text, span)| {
                reader.places.insert(format!("{path}.tls.{at}"), span);
                PathBuf::from(text)
            })
        };
        let host = match sink.text("MqttHost", self.findings) {
            Some((host, span)) => {
                self.places.insert(format!("{path}.url"), span);
                host.to_owned()
            }
            None => "127.0.0.1".to_owned(),
        };
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        let port = sink.number("MqttPort", 1..=u16::MAX, self.findings).map_or(1883, |(port, _)| port);
        let tls = sink.flag("MqttTls", self.findings).is_some_and(|(on, _)| on);
        if let Some((true, span)) = sink.flag("MqttWs", self.findings) {
            let what = "MQTT over web sockets is not supported";
            sink.error(span, what, "name the broker's port for MQTT itself", self.findings);
        }
        let scheme = if tls { "mqtts" } else { "mqtt" };
        let Ok(mut options) = destination(name, &format!("{scheme}://{host}:{port}")) else { return };
        options.layout = layout;
        // The reference agent's client speaks 3.1.1.
        options.version = ProtocolVersion::V311;
        if let Some(name) = text(&mut sink, "Name", self) {
            options.name = name;
        }
        options.client_id = text(&mut sink, "MqttClientId", self);
        options.username = text(&mut sink, "MqttUserName", self);
        if let Some((password, span)) = sink.text("MqttPassword", self.findings) {
            options.password = Some(password.to_owned());
            self.places.insert(format!("{path}.password"), span);
        }
        options.tls.ca = file(&mut sink, "MqttCaCert", "ca", self);
        options.tls.certificate = file(&mut sink, "MqttCert", "certificate", self);
        options.tls.key = file(&mut sink, "MqttPrivateKey", "key", self);
        if let Some((interval, span)) = sink.duration("MqttCurrentInterval", MILLISECOND, self.findings) {
            options.current_interval = interval;
            self.places.insert(format!("{path}.current_interval"), span);
        }
        if let Some((interval, span)) = sink.duration("MqttSampleInterval", MILLISECOND, self.findings) {
            options.sample_interval = interval;
            self.places.insert(format!("{path}.sample_interval"), span);
        }
        if let Some((count, _)) = sink.number("MqttSampleCount", 1..=1_000_000, self.findings) {
            options.sample_count = count;
        }
        self.quality(&mut sink, &mut options);
        if let Some((topic, span)) = sink.text("MqttLastWillTopic", self.findings) {
            self.last_will(&sink, topic, span, &path, &mut options);
        }
        self.topics(&mut sink, layout, &mut options);
        sink.finish(WITHOUT_EFFECT, self.findings);
        self.places.element("mqtt", path);
        self.configuration.mqtt.push(options);
    }

    fn quality(&mut self, sink: &mut Block<'_>, options: &mut Options) {
        let Some((qos, span)) = sink.text("MqttQOS", self.findings) else { return };
        options.qos = match qos {
            "at_most_once" | "0" => 0,
            "at_least_once" | "1" => 1,
            "exactly_once" | "2" => 2,
            _ => {
                let what = format!("MqttQOS: `{qos}` is none of the three");
                let cure = "write at_most_once, at_least_once or exactly_once";
                return sink.error(span, what, cure, self.findings);
            }
        };
    }

    fn last_will(
        &mut self,
        sink: &Block<'_>,
        topic: &str,
        span: std::ops::Range<usize>,
        path: &str,
        options: &mut Options,
    ) {
        if topic.contains("[device]") {
            // The layouts have this will by default, with the Agent device's uuid in the place.
            if topic != "MTConnect/Probe/[device]/Availability" {
                let what = "MqttLastWillTopic: `[device]` is not filled in here";
                let cure = "the will goes to PREFIX/Probe/Agent_UUID/Availability; write a topic without it for another";
                sink.warning(span, what, cure, self.findings);
            }
            return;
        }
        self.places.insert(format!("{path}.last_will.topic"), span);
        options.last_will = Some(LastWill {
            topic: topic.to_owned(),
            payload: "UNAVAILABLE".to_owned(),
            online: "AVAILABLE".to_owned(),
            retain: true,
        });
    }

    /// Topics that only differ in their first part become the prefix; others cannot be had.
    fn topics(&mut self, sink: &mut Block<'_>, layout: Layout, options: &mut Options) {
        let keys: &[(&str, &str)] = match layout {
            Layout::Entity => &[
                ("ObservationTopicPrefix", "/Devices/[device]/Observations"),
                ("DeviceTopicPrefix", "/Probe/[device]"),
                ("AssetTopicPrefix", "/Asset/[device]"),
            ],
            _ => &[
                ("ProbeTopic", "/Probe/[device]"),
                ("DeviceTopic", "/Probe/[device]"),
                ("CurrentTopic", "/Current/[device]"),
                ("SampleTopic", "/Sample/[device]"),
                ("AssetTopic", "/Asset/[device]"),
            ],
        };
        let mut prefix: Option<&str> = None;
        for (key, end) in keys {
            let Some((topic, span)) = sink.text(key, self.findings) else { continue };
            // `MTConnect/Probe` is taken as `MTConnect/Probe/[device]`, as the reference agent does.
            let bare = end.trim_end_matches("/[device]");
            match topic.strip_suffix(end).or_else(|| topic.strip_suffix(bare)) {
                Some(found) if !found.is_empty() && prefix.is_none_or(|prefix| prefix == found) => {
                    prefix = Some(found);
                }
                _ => {
                    let first = prefix.unwrap_or("MTConnect");
                    let what = format!("{key}: this topic cannot be had; it is `{first}{end}`");
                    let cure = "`layout = \"template\"` of a guideway.toml makes topics of your own";
                    sink.warning(span, what, cure, self.findings);
                }
            }
        }
        options.topic_prefix = prefix.map(str::to_owned);
    }
}
