//! `[[mqtt]]` in the configuration: one table for each destination.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// A broker, and what is sent to it in which layout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Unique among the destinations; names the durable cursor, so keep it.
    pub name: String,
    /// `mqtt://host:1883` or `mqtts://host:8883`.
    pub url: String,
    /// `3.1.1` or `5`.
    #[serde(default)]
    pub version: ProtocolVersion,
    /// Default: `guideway-` and the destination's name and a stable suffix.
    #[serde(default)]
    pub client_id: Option<String>,
    /// User name.
    #[serde(default)]
    pub username: Option<String>,
    /// Password; `$VAR` takes it from the environment.
    #[serde(default)]
    pub password: Option<String>,
    /// Certificates for `mqtts`.
    #[serde(default)]
    pub tls: Tls,
    /// How often the connection is checked when nothing is sent.
    #[serde(default = "defaults::keep_alive", with = "crate::config::duration")]
    pub keep_alive: Duration,
    /// Whether the broker forgets the session when the connection ends. The gateway always begins
    /// a clean one, because its journal knows better than the broker what is still to be sent, so
    /// `false` only asks an MQTT 5 broker to keep the client on its books for `session_expiry`.
    #[serde(default = "defaults::yes")]
    pub clean_session: bool,
    /// How long the broker keeps the session when `clean_session` is `false` (MQTT 5 only).
    #[serde(default = "defaults::session_expiry", with = "crate::config::duration")]
    pub session_expiry: Duration,
    /// 0, 1 or 2. With 0 nobody acknowledges, so a message counts as sent when it is written to
    /// the connection.
    #[serde(default = "defaults::qos")]
    pub qos: u8,
    /// Messages that may be on their way unacknowledged; 1 to 65,535.
    #[serde(default = "defaults::in_flight")]
    pub in_flight: u16,
    /// What the broker publishes when the gateway is lost. Default: none, but with the `mtconnect`
    /// and `entity` layouts `UNAVAILABLE` to `<prefix>/Probe/Agent_<uuid>/Availability`.
    #[serde(default)]
    pub last_will: Option<LastWill>,
    /// `mtconnect`, `entity`, `uns` or `template`.
    #[serde(default)]
    pub layout: Layout,
    /// First part of every topic, where the layout has one; `mtconnect` and `entity`: `MTConnect`.
    #[serde(default)]
    pub topic_prefix: Option<String>,
    /// `mtconnect` layout: how often a Current document is published.
    #[serde(default = "defaults::current_interval", with = "crate::config::duration")]
    pub current_interval: Duration,
    /// `mtconnect` layout: least time between two Sample documents of a device while the gateway is
    /// caught up. Zero sends every change at once.
    #[serde(default = "defaults::sample_interval", with = "crate::config::duration")]
    pub sample_interval: Duration,
    /// `mtconnect` layout: most observations in one Sample document.
    #[serde(default = "defaults::sample_count")]
    pub sample_count: usize,
    /// `uns` layout.
    #[serde(default)]
    pub uns: UnsLayout,
    /// `template` layout.
    #[serde(default)]
    pub template: TemplateLayout,
}

impl Options {
    /// A destination with every option at its default.
    pub fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            version: ProtocolVersion::default(),
            client_id: None,
            username: None,
            password: None,
            tls: Tls::default(),
            keep_alive: defaults::keep_alive(),
            clean_session: false,
            session_expiry: defaults::session_expiry(),
            qos: defaults::qos(),
            in_flight: defaults::in_flight(),
            last_will: None,
            layout: Layout::default(),
            topic_prefix: None,
            current_interval: defaults::current_interval(),
            sample_interval: defaults::sample_interval(),
            sample_count: defaults::sample_count(),
            uns: UnsLayout::default(),
            template: TemplateLayout::default(),
        }
    }
}

/// Which MQTT is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ProtocolVersion {
    /// 3.1.1.
    #[serde(rename = "3.1.1")]
    V311,
    /// 5.0.
    #[default]
    #[serde(rename = "5")]
    V5,
}

/// How observations become topics and payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Probe, Current, Sample and Asset documents, as the reference agent publishes them.
    #[default]
    Mtconnect,
    /// One topic for each data item, as the reference agent's entity sink publishes them.
    Entity,
    /// ISA-95 path, JSON value, timestamp and quality.
    Uns,
    /// Topic and payload of the user's own making.
    Template,
}

/// Certificates, as PEM files. Relative to the configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Authorities to trust. Default: those of the system.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain.
    pub certificate: Option<PathBuf>,
    /// The client's private key.
    pub key: Option<PathBuf>,
}

/// A message that the broker publishes when the connection is lost without a good-bye. On
/// connecting the gateway publishes `online` to the same topic.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastWill {
    /// Where.
    pub topic: String,
    /// What, when lost.
    #[serde(default = "defaults::unavailable")]
    pub payload: String,
    /// What, when connected.
    #[serde(default = "defaults::available")]
    pub online: String,
    /// Whether the broker keeps it.
    #[serde(default = "defaults::yes")]
    pub retain: bool,
}

/// Places above the machine in the unified namespace; empty parts are left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnsLayout {
    /// ISA-95 enterprise.
    pub enterprise: String,
    /// ISA-95 site.
    pub site: String,
    /// ISA-95 area.
    pub area: String,
    /// ISA-95 line.
    pub line: String,
    /// ISA-95 cell.
    pub cell: String,
}

/// Topic and payload with `{placeholders}`; docs/mqtt.md lists them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplateLayout {
    /// e.g. `plant/{device}/{component}/{name}`.
    pub topic: String,
    /// e.g. `{"v":{value_json},"t":{time_ms},"seq":{sequence},"inst":{instance}}`.
    pub payload: String,
    /// Whether the broker keeps the last message of each topic.
    pub retain: bool,
}

mod defaults {
    use std::time::Duration;

    pub(super) const fn keep_alive() -> Duration {
        Duration::from_secs(30)
    }
    pub(super) const fn session_expiry() -> Duration {
        Duration::from_secs(86_400)
    }
    pub(super) const fn qos() -> u8 {
        1
    }
    pub(super) const fn in_flight() -> u16 {
        256
    }
    pub(super) const fn current_interval() -> Duration {
        Duration::from_secs(10)
    }
    pub(super) const fn sample_interval() -> Duration {
        Duration::from_millis(500)
    }
    pub(super) const fn sample_count() -> usize {
        1_000
    }
    pub(super) fn unavailable() -> String {
        "UNAVAILABLE".into()
    }
    pub(super) fn available() -> String {
        "AVAILABLE".into()
    }
    pub(super) const fn yes() -> bool {
        true
    }
}
