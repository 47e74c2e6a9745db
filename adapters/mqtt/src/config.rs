//! `[adapter] kind = "mqtt"` in a device profile or in the configuration: the broker, and how messages are read.

use std::path::PathBuf;
use std::time::Duration;

use guideway_contract::{Issue, duration, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::{Broker, filter_issue};

/// A broker, and what is read there.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the broker is: `mqtt://host:1883`, `mqtts://host:8883` (encrypted), or a host.
    pub address: String,
    /// Which MQTT is spoken: `"5"` or `"3.1.1"`.
    pub version: Version,
    /// Who the gateway is to the broker. Two clients with one id throw each other out again and again, so the default
    /// is the adapter's name with something random behind it. With `clean = false` it has to be given.
    pub client_id: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// Password; `$NAME` takes it from the environment, `$$…` is a password that begins with a dollar sign.
    pub password: Option<String>,
    /// The authorities to trust with `mqtts`, a PEM file. Default: those of the system.
    pub ca: Option<PathBuf>,
    /// The gateway's own certificate chain for brokers that ask for one, a PEM file; with `key`.
    pub certificate: Option<PathBuf>,
    /// The private key of `certificate`, a PEM file, not encrypted.
    pub key: Option<PathBuf>,
    /// How often the connection is checked while nothing is sent. A broker that went silent is noticed after twice
    /// this time. 1 s to 1 h.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_alive: Duration,
    /// How long it may take until the broker has accepted the connection.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// `true`: each connection begins anew; what was published while the gateway was away is seen only where it is
    /// retained. `false`: the broker keeps messages for the gateway meanwhile (with `qos` 1 or 2), as far as its own
    /// limits go; readings then arrive late, with the times that they carry.
    pub clean: bool,
    /// With `clean = false` and MQTT 5: how long the broker keeps the session of a gateway that is away.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub session_expiry: Duration,
    /// The quality of service that is asked for: 0 (may be lost), 1 (may come twice), 2 (comes once as long
    /// as the connection lasts).
    pub qos: u8,
    /// What messages look like.
    pub layout: Layout,
    /// The topics to read, with wildcards; for the layouts `mtconnect` (default: Probe, Current, Sample and Asset below
    /// `MTConnect`), `entity` and `shdr`. The topics of layout `points` are the points' addresses.
    pub topics: Vec<String>,
    /// Larger payloads are refused and counted. 1 KiB to 64 MiB. What is more than four times as large, and more than
    /// 16 MiB, ends the connection before it is read.
    #[serde(with = "size")]
    #[schemars(with = "String")]
    pub max_payload: usize,
    /// After how long without any message the connection is given up and all is UNAVAILABLE. Default: never; a broker
    /// that is alive but has nothing to say is no fault. Points have a `stale` of their own.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub stale: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            version: Version::default(),
            client_id: None,
            user: None,
            password: None,
            ca: None,
            certificate: None,
            key: None,
            keep_alive: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            clean: true,
            session_expiry: Duration::from_secs(3_600),
            qos: 1,
            layout: Layout::default(),
            topics: Vec::new(),
            max_payload: 1 << 20,
            stale: None,
        }
    }
}

impl Config {
    /// Everything that is wrong with it; an address that is not set yet is none of it.
    pub(crate) fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        let mut issue = |key, what: String| issues.push(Issue::new(key, what));
        if !self.address.is_empty() {
            match Broker::parse(&self.address) {
                Err(what) => issue("address", what),
                Ok(broker) if !broker.tls && (self.ca.is_some() || self.certificate.is_some()) => issue(
                    "address",
                    format!("{broker} is not encrypted, so certificates mean nothing; write mqtts://"),
                ),
                Ok(_) => {}
            }
        }
        if self.qos > 2 {
            issue("qos", format!("{} is out of range (0-2)", self.qos));
        }
        if !self.clean && self.client_id.as_deref().unwrap_or_default().is_empty() {
            issue(
                "client_id",
                "a session that the broker keeps (`clean = false`) needs a client id of its own".into(),
            );
        }
        if !self.clean && self.qos == 0 {
            issue(
                "qos",
                "with `clean = false` the broker keeps messages of qos 1 and 2 only; 0 loses them".into(),
            );
        }
        if self.password.is_some() && self.user.is_none() {
            issue("password", "there is a password but no `user`".into());
        }
        if self.certificate.is_some() != self.key.is_some() {
            issue("certificate", "`certificate` and `key` belong together; give both or none".into());
        }
        let between = |value: Duration, least: Duration, most: Duration| (least..=most).contains(&value);
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
        if !between(self.keep_alive, second, hour) || self.keep_alive.subsec_nanos() != 0 {
            issue("keep_alive", "whole seconds from 1s to 1h".into());
        }
        if !between(self.connect_timeout, Duration::from_millis(10), hour) {
            issue("connect_timeout", "from 10ms to 1h".into());
        }
        if self.stale.is_some_and(|stale| stale < Duration::from_millis(100)) {
            issue("stale", "must be at least 100ms".into());
        }
        if !(1_024..=64 << 20).contains(&self.max_payload) {
            issue("max_payload", format!("{} B is out of range (1 KiB to 64 MiB)", self.max_payload));
        }
        for what in self.topics.iter().filter_map(|topic| filter_issue(topic)) {
            issue("topics", what);
        }
        match self.layout {
            Layout::Points if !self.topics.is_empty() => {
                issue("topics", "layout `points` reads the topics of its points; leave `topics` out".into());
            }
            Layout::Entity | Layout::Shdr if self.topics.is_empty() => {
                issue("topics", "there are none; write for example topics = [\"plant/#\"]".into());
            }
            _ => {}
        }
        issues
    }

    /// The topics of a layout that is fed by key.
    pub(crate) fn keyed_topics(&self) -> Vec<String> {
        if self.topics.is_empty() && self.layout == Layout::Mtconnect {
            ["Probe", "Current", "Sample", "Asset"].map(|kind| format!("MTConnect/{kind}/#")).to_vec()
        } else {
            self.topics.clone()
        }
    }
}

/// Which MQTT is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Version {
    /// 3.1.1.
    #[serde(rename = "3.1.1")]
    V311,
    /// 5.0.
    #[default]
    #[serde(rename = "5")]
    V5,
}

/// What messages look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Anything: the points of a device profile say which topic holds what, and where in the message it is.
    #[default]
    Points,
    /// JSON documents of an MTConnect agent: Probe, Current, Sample and Asset, in either form (version 1 or 2). The
    /// device is told by its uuid.
    Mtconnect,
    /// JSON objects of observations: `{"dataItemId":…,"timestamp":…,"result":…}`, `{"timestamp":…,"key":value,…}`,
    /// arrays of these, or a bare value whose topic ends in the data item's name. A level of the topic may be the
    /// name, id or uuid of the device.
    Entity,
    /// Lines of SHDR, one or several in a message. A level of the topic may be the device.
    Shdr,
}

/// What a point has beside `addr`, `type`, `group` and `access`. `addr` is a topic, or a filter with `+` and `#`;
/// `topic#/pointer` is the same as `pointer = "/pointer"`.
///
/// A point's period is not used: a value comes when it is published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Point {
    /// Where in the message the value is: a JSON pointer (RFC 6901) such as `/data/0/temp`; `/` in a name is written
    /// `~1` and `~` is written `~0`. Where it meets a text that is JSON itself and has still further to go, it goes on
    /// inside that JSON. Absent: the whole payload.
    pub pointer: Option<String>,
    /// What the value is: `json` as JSON says it; `text`; `number` in text; `hex` or `base64` (bytes as text);
    /// `bytes` (the payload itself). With `pointer`, `each`, `where` or `time` the payload is JSON and this is said of
    /// the value in it; else it is said of the payload.
    pub format: Format,
    /// Where in the message its time is: a JSON pointer. Absent or `"message"`: the time of arrival.
    pub time: Option<String>,
    /// How the time is written.
    pub time_format: TimeFormat,
    /// The value is this level of the topic, counted from 0 (`plant` in `plant/mill/temp`), or from the end (-1 is the
    /// last).
    pub topic_segment: Option<i32>,
    /// Only messages (with `each`: elements) where the value at `pointer` is `equals` are the point's.
    #[serde(rename = "where")]
    pub only: Option<Where>,
    /// After how long without a message for it the point is bad. Default: never.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub stale: Option<Duration>,
    /// A JSON pointer to an array whose elements are readings of their own, in the order of their times; `pointer`,
    /// `time` and `where` are then meant within the element. `""` is the message itself.
    pub each: Option<String>,
    /// What of messages that the broker had kept and sends at the beginning: `use` or `ignore`.
    pub retained: Retained,
    /// What a message without the value means: `keep` (another message may bring it; until the first has, the point
    /// is bad) or `bad`.
    pub missing: Missing,
    /// In values that are bytes: where the value begins, in bytes.
    pub start: u32,
    /// In values that are bytes: the order of a number's bytes.
    pub byte_order: ByteOrder,
    /// In values that are bytes: the value's lowest bit, counted as an IODD does, from the lowest bit of the last
    /// byte. With `bit_length`.
    pub bit_offset: Option<u32>,
    /// How many bits the value has, 1 to 64; `type` says whether it has a sign.
    pub bit_length: Option<u32>,
    /// How a value is written.
    pub write: Option<WriteTo>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON: numbers, texts, true and false; arrays are lists, objects are records.
    #[default]
    Json,
    /// Text as it is.
    Text,
    /// A number written as text, with white space around it allowed.
    Number,
    /// Bytes as hexadecimal digits, with or without spaces, `:` or `-` between.
    Hex,
    /// Bytes as base64, with or without padding, either alphabet.
    Base64,
    /// The payload's own bytes.
    Bytes,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// Texts are ISO 8601; numbers count since 1970 in s, ms, us or ns, whichever comes out between 1973 and 2286.
    #[default]
    Auto,
    /// ISO 8601; without a zone it is UTC.
    Iso,
    /// Seconds since 1970, with or without a fraction.
    S,
    /// Milliseconds since 1970.
    Ms,
    /// Microseconds since 1970.
    Us,
    /// Nanoseconds since 1970.
    Ns,
}

/// Which messages are meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Where {
    /// A JSON pointer.
    pub pointer: String,
    /// What has to be there: a text, number, or true or false. `3` and `"3"` are the same.
    pub equals: serde_json::Value,
}

/// What of retained messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retained {
    /// They are current values, at the time that they carry.
    #[default]
    Use,
    /// Only what is published from now on counts.
    Ignore,
}

/// What a message without the value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Nothing.
    #[default]
    Keep,
    /// The value is not known any more.
    Bad,
}

/// The order of a number's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ByteOrder {
    /// The highest byte first.
    #[default]
    Big,
    /// The lowest byte first.
    Little,
}

/// How a value is written: a message is published and the broker's acknowledgement waited for. That says that the
/// broker has it, not that the machine has obeyed: read back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteTo {
    /// Where to; default: `addr`, for points that are only written.
    #[serde(default)]
    pub topic: Option<String>,
    /// The message. `{value}` stands for the value as JSON, `{text}` for the value as plain text, `{time}` for the
    /// time in ISO 8601 and `{time_ms}` for milliseconds since 1970. Default: `{value}` in format `json`, else
    /// `{text}`.
    #[serde(default)]
    pub payload: Option<String>,
    /// 1 or 2: without an acknowledgement nobody knows.
    #[serde(default = "one")]
    pub qos: u8,
    /// Whether the broker keeps it for those who subscribe later. A machine that starts will then get the command
    /// again.
    #[serde(default)]
    pub retain: bool,
}

const fn one() -> u8 {
    1
}

impl Default for WriteTo {
    fn default() -> Self {
        Self { topic: None, payload: None, qos: 1, retain: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issues(text: &str) -> Vec<&'static str> {
        serde_json::from_str::<Config>(text).unwrap().issues().iter().map(|issue| issue.key).collect()
    }

    #[test]
    fn nothing_has_to_be_given_and_what_is_written_is_read_back() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert!(config.issues().is_empty());
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Config>(&text).unwrap()).unwrap(), text);
    }

    #[test]
    fn every_setting_that_cannot_work_is_found_at_once() {
        assert_eq!(
            issues(
                r#"{"address":"mqtt://a","ca":"x","qos":3,"clean":false,"password":"p","key":"k","keep_alive":"10ms",
                    "connect_timeout":"1ms","stale":"1ms","max_payload":"1 B","layout":"shdr"}"#
            ),
            [
                "address",
                "qos",
                "client_id",
                "password",
                "certificate",
                "keep_alive",
                "connect_timeout",
                "stale",
                "max_payload",
                "topics"
            ]
        );
        assert_eq!(issues(r#"{"topics":["a/#/b"]}"#), ["topics", "topics"]);
        assert_eq!(issues(r#"{"client_id":"g","clean":false,"qos":0}"#), ["qos"]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"reconnect":"1s"}"#).is_err());
        assert!(serde_json::from_str::<Point>(r#"{"where":{"pointer":"/a","equals":1,"x":1}}"#).is_err());
    }

    #[test]
    fn the_mtconnect_layout_has_its_own_topics() {
        let config: Config = serde_json::from_str(r#"{"layout":"mtconnect"}"#).unwrap();
        assert_eq!(config.keyed_topics()[2], "MTConnect/Sample/#");
    }
}
