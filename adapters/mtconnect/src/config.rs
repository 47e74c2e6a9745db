//! `[adapter]` of an MTConnect agent that is followed.

use std::path::PathBuf;
use std::time::Duration;

use guideway_contract::{Issue, duration, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Base;

/// An MTConnect agent that is followed over HTTP. Its device model is taken over as it is, so that there
/// are neither points nor data items to write.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the agent is: `http://HOST:5000`, `https://HOST`, `HOST` or `HOST:PORT`, with `/DEVICE` (or the
    /// folder of a proxy) behind it where wanted.
    pub address: String,
    /// The port of an address that is no URL and names none.
    pub port: u16,
    /// Names or uuids of the devices to follow. Left out: all but the agent's own device.
    pub devices: Vec<String>,
    /// Whether the agent's own device (MTConnect 1.7 and later: its adapters and their connections) is
    /// followed too.
    pub agent_device: bool,
    /// How documents are asked for: `xml`, `json`, or `auto`, which prefers XML. What comes is read in either
    /// form.
    pub format: Format,
    /// `stream`: the agent sends what changed as it changes; where it turns out that it cannot, it is polled.
    /// `poll`: it is asked for what changed again and again.
    pub mode: Mode,
    /// How often it is asked when it is polled. No change is lost in between.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub poll: Duration,
    /// The least time between two parts of a stream; 0 for each change at once.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// How often the agent says that it is alive while nothing changes. Twice as long without a word ends the
    /// session.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub heartbeat: Duration,
    /// The most observations in one document; less where the agent's buffer is smaller.
    pub count: u32,
    /// How long one attempt to connect may take.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long a document may take, from its request to its last byte.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// The largest document that is read, unpacked.
    #[serde(with = "size")]
    #[schemars(with = "String")]
    pub max_document: usize,
    /// Whether assets are taken over: all at the beginning, then each that is added, changed or removed.
    pub assets: bool,
    /// File of the authorities (PEM) that the agent's certificate is verified by. Left out: those the system
    /// trusts.
    pub ca: Option<PathBuf>,
    /// File of our own certificate (PEM), for agents that want one; with `key`.
    pub certificate: Option<PathBuf>,
    /// File of our own certificate's private key (PEM, not encrypted).
    pub key: Option<PathBuf>,
    /// User name, where the agent or the proxy before it wants one; with `password`. Use `https`: over `http`
    /// anyone on the way can read both.
    pub user: Option<String>,
    /// The user's password; `$NAME` takes it from the environment, `$$…` is a password that begins with a
    /// dollar sign.
    pub password: Option<String>,
    /// A bearer token, where the agent or the proxy before it wants one; `$NAME` takes it from the
    /// environment.
    pub token: Option<String>,
}

/// How documents are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// XML is preferred.
    #[default]
    Auto,
    /// XML only.
    Xml,
    /// JSON for observations; the device model and assets are asked for in XML all the same.
    Json,
}

/// How changes come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As they happen.
    #[default]
    Stream,
    /// When they are asked for.
    Poll,
}

/// Why an agent has no points.
pub(crate) const NO_POINTS: &str =
    "an MTConnect agent has no points: its device model is taken over as it is; remove them";

/// What a point of this protocol would have beside its address: there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoPoint {}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: 5000,
            devices: Vec::new(),
            agent_device: false,
            format: Format::Auto,
            mode: Mode::Stream,
            poll: Duration::from_secs(1),
            interval: Duration::from_millis(100),
            heartbeat: Duration::from_secs(10),
            count: 1_000,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            max_document: 64 << 20,
            assets: true,
            ca: None,
            certificate: None,
            key: None,
            user: None,
            password: None,
            token: None,
        }
    }
}

impl Config {
    /// The agent's address.
    pub(crate) fn base(&self) -> Result<Base, String> {
        Base::parse(&self.address, self.port)
    }

    /// Everything wrong with it.
    pub(crate) fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if !self.address.is_empty()
            && let Err(what) = self.base()
        {
            issues.push(Issue::new("address", what));
        }
        if self.port == 0 {
            issues.push(Issue::new("port", "0 is out of range (1-65535)"));
        }
        for (key, value, least, most) in [
            ("poll", self.poll, 10, 3_600_000),
            ("interval", self.interval, 0, 3_600_000),
            ("heartbeat", self.heartbeat, 100, 3_600_000),
            ("connect_timeout", self.connect_timeout, 10, 600_000),
            ("timeout", self.timeout, 10, 600_000),
        ] {
            if !(Duration::from_millis(least)..=Duration::from_millis(most)).contains(&value) {
                issues.push(Issue::new(key, format!("is from {least}ms to {}s", most / 1_000)));
            }
        }
        if !(1..=1_000_000).contains(&self.count) {
            issues.push(Issue::new("count", "is from 1 to 1000000"));
        }
        if !(64 << 10..=1 << 30).contains(&self.max_document) {
            issues.push(Issue::new("max_document", "is from \"64 KiB\" to \"1 GiB\""));
        }
        if self.devices.iter().any(|device| device.trim().is_empty()) {
            issues.push(Issue::new("devices", "holds an empty name; write names or uuids, or leave it out"));
        }
        match (&self.certificate, &self.key) {
            (Some(_), None) => {
                issues.push(Issue::new("certificate", "is given without `key`; both are needed"));
            }
            (None, Some(_)) => {
                issues.push(Issue::new("key", "is given without `certificate`; both are needed"));
            }
            _ => {}
        }
        match (&self.user, &self.password) {
            (None, Some(_)) => issues.push(Issue::new("password", "is given without `user`")),
            (Some(_), _) if self.token.is_some() => {
                issues.push(Issue::new("token", "is given beside `user`; an agent takes one or the other"));
            }
            _ => {}
        }
        if self.token.as_ref().is_some_and(|token| token.bytes().any(|byte| !(33..127).contains(&byte))) {
            issues.push(Issue::new("token", "holds characters that no token has"));
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default_and_what_is_written_is_read_back() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert!(config == Config::default());
        assert_eq!(config.issues(), []);
        let text = r#"{"address":"https://a/b","devices":["M1"],"format":"json","mode":"poll","poll":"2s","interval":"0ms",
            "max_document":"1 MiB","assets":false,"user":"me","password":"secret"}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.issues(), []);
        let again: Config = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert!(again == config);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"adress":"a"}"#).is_err());
        assert!(serde_json::from_str::<NoPoint>(r#"{"scale":1}"#).is_err());
    }

    #[test]
    fn everything_that_is_wrong_is_found_at_once() {
        let config = Config {
            address: "ftp://a".into(),
            port: 0,
            poll: Duration::ZERO,
            heartbeat: Duration::ZERO,
            count: 0,
            max_document: 1,
            devices: vec![" ".into()],
            certificate: Some("a".into()),
            password: Some("b".into()),
            token: Some("a b".into()),
            ..Config::default()
        };
        let keys: Vec<_> = config.issues().into_iter().map(|issue| issue.key).collect();
        let expected = [
            "address",
            "port",
            "poll",
            "heartbeat",
            "count",
            "max_document",
            "devices",
            "certificate",
            "password",
            "token",
        ];
        assert_eq!(keys, expected);
    }
}
