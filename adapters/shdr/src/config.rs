//! `[[adapter.shdr]]` in the configuration: one table for each SHDR source.

use std::time::Duration;

use guideway_contract::{Backoff, duration, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An SHDR source: the adapter listens there, the gateway connects.
///
/// The keys that all protocols share (name, devices, filters) are the agent's and not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Host name or address.
    #[serde(default)]
    pub host: String,
    /// TCP port.
    #[serde(default = "defaults::port")]
    pub port: u16,
    /// How long one attempt to connect may take.
    #[serde(default = "defaults::connect_timeout", with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// Pause before the first new attempt after a connection was lost; it doubles, with jitter, up
    /// to `reconnect_max`.
    #[serde(default = "defaults::reconnect_min", with = "duration")]
    #[schemars(with = "String")]
    pub reconnect_min: Duration,
    /// Longest pause between attempts.
    #[serde(default = "defaults::reconnect_max", with = "duration")]
    #[schemars(with = "String")]
    pub reconnect_max: Duration,
    /// How often the source is pinged, whatever interval its PONG asks for. Default: as it asks.
    #[serde(default, with = "duration::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub heartbeat: Option<Duration>,
    /// After how long without a byte the connection is given up where the source never answered a
    /// PING. With PONG it is twice the heartbeat.
    #[serde(default = "defaults::legacy_timeout", with = "duration")]
    #[schemars(with = "String")]
    pub legacy_timeout: Duration,
    /// Timestamps count from the first one seen, which is taken as the time of its arrival; for
    /// sources without a clock. Bare numbers (milliseconds) are read so in any case.
    #[serde(default)]
    pub relative_time: bool,
    /// Every value gets the time of its arrival.
    #[serde(default)]
    pub ignore_timestamps: bool,
    /// Timestamps are moved by the estimated difference between the source's clock and ours. The
    /// estimate is shown in either case.
    #[serde(default)]
    pub correct_timestamps: bool,
    /// 1: an item of several fields (condition, message, time series) ends its line. 2: more may
    /// follow.
    #[serde(default)]
    pub shdr_version: ShdrVersion,
    /// A condition's native code may carry a conditionId, as `code:conditionId` (MTConnect 2.3 and
    /// later). Switch it off where native codes hold colons of their own.
    #[serde(default = "defaults::condition_ids")]
    pub condition_ids: bool,
    /// Longer lines are thrown away and counted.
    #[serde(default = "defaults::max_line_length", with = "size")]
    #[schemars(with = "String")]
    pub max_line_length: usize,
    /// Longer multi-line bodies (assets, device models) are thrown away and counted.
    #[serde(default = "defaults::max_body_length", with = "size")]
    #[schemars(with = "String")]
    pub max_body_length: usize,
}

impl Config {
    /// A source with every option at its default.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            connect_timeout: defaults::connect_timeout(),
            reconnect_min: defaults::reconnect_min(),
            reconnect_max: defaults::reconnect_max(),
            heartbeat: None,
            legacy_timeout: defaults::legacy_timeout(),
            relative_time: false,
            ignore_timestamps: false,
            correct_timestamps: false,
            shdr_version: ShdrVersion::default(),
            condition_ids: defaults::condition_ids(),
            max_line_length: defaults::max_line_length(),
            max_body_length: defaults::max_body_length(),
        }
    }

    /// The pauses between attempts, for [`guideway_contract::supervise`].
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.reconnect_min, self.reconnect_max)
    }

    /// The source's address as a URI.
    pub fn endpoint(&self) -> String {
        if self.host.contains(':') && !self.host.starts_with('[') {
            format!("shdr://[{}]:{}", self.host, self.port)
        } else {
            format!("shdr://{}:{}", self.host, self.port)
        }
    }

    /// What no source can be run with: the key and what is wrong with it.
    pub fn findings(&self) -> Vec<(&'static str, String)> {
        let mut findings = Vec::new();
        if self.host.trim().is_empty() {
            findings.push(("host", "is empty; write the name or address of the source".into()));
        }
        if self.port == 0 {
            findings.push(("port", "0 is out of range (1-65535)".into()));
        }
        let durations = [
            ("connect_timeout", Some(self.connect_timeout)),
            ("reconnect_min", Some(self.reconnect_min)),
            ("reconnect_max", Some(self.reconnect_max)),
            ("heartbeat", self.heartbeat),
            ("legacy_timeout", Some(self.legacy_timeout)),
        ];
        for (key, duration) in durations {
            if duration.is_some_and(|duration| duration < Duration::from_millis(1)) {
                findings.push((key, "must be at least 1ms".into()));
            }
        }
        if self.reconnect_max < self.reconnect_min {
            findings.push(("reconnect_max", "is less than reconnect_min".into()));
        }
        for (key, length) in
            [("max_line_length", self.max_line_length), ("max_body_length", self.max_body_length)]
        {
            if !(1_024..=1 << 30).contains(&length) {
                findings.push((key, format!("{length} B is out of range (1 KiB to 1 GiB)")));
            }
        }
        findings
    }
}

/// Which version of the line protocol a source speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(with = "u8")]
pub enum ShdrVersion {
    /// An item of several fields ends its line.
    #[default]
    V1,
    /// Anything may follow anything.
    V2,
}

impl TryFrom<u8> for ShdrVersion {
    type Error = &'static str;

    fn try_from(version: u8) -> Result<Self, Self::Error> {
        match version {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            _ => Err("the SHDR version is 1 or 2"),
        }
    }
}

impl From<ShdrVersion> for u8 {
    fn from(version: ShdrVersion) -> Self {
        match version {
            ShdrVersion::V1 => 1,
            ShdrVersion::V2 => 2,
        }
    }
}

mod defaults {
    use std::time::Duration;

    pub(super) const fn port() -> u16 {
        7878
    }
    pub(super) const fn connect_timeout() -> Duration {
        Duration::from_secs(10)
    }
    pub(super) const fn reconnect_min() -> Duration {
        Duration::from_millis(500)
    }
    pub(super) const fn reconnect_max() -> Duration {
        Duration::from_secs(10)
    }
    pub(super) const fn legacy_timeout() -> Duration {
        Duration::from_secs(600)
    }
    pub(super) const fn condition_ids() -> bool {
        true
    }
    pub(super) const fn max_line_length() -> usize {
        4 << 20
    }
    pub(super) const fn max_body_length() -> usize {
        16 << 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_str, to_string};

    #[test]
    fn only_the_host_is_needed() {
        let config: Config = from_str(r#"{"host":"mill-1"}"#).unwrap();
        assert_eq!(config, Config::new("mill-1", 7878));
        assert_eq!(config.endpoint(), "shdr://mill-1:7878");
        assert_eq!(config.findings(), []);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut config = Config::new("fe80::1", 7879);
        config.heartbeat = Some(Duration::from_millis(1_500));
        config.shdr_version = ShdrVersion::V2;
        let text = to_string(&config).unwrap();
        assert_eq!(from_str::<Config>(&text).unwrap(), config, "{text}");
        assert_eq!(config.endpoint(), "shdr://[fe80::1]:7879");
    }

    #[test]
    fn an_unknown_key_and_a_bad_value_are_refused_with_the_cure() {
        let error = |text: &str| from_str::<Config>(text).unwrap_err().to_string();
        assert!(error(r#"{"host":"a","hots":"b"}"#).contains("unknown field `hots`"));
        assert!(error(r#"{"host":"a","heartbeat":"soon"}"#).contains("such as \"500ms\""));
        assert!(error(r#"{"host":"a","shdr_version":3}"#).contains("1 or 2"));
        assert_eq!(from_str::<Config>("{}").unwrap().findings()[0].0, "host");
    }

    #[test]
    fn every_setting_that_cannot_work_is_found_at_once() {
        let mut config = Config::new(" ", 0);
        config.heartbeat = Some(Duration::ZERO);
        config.reconnect_max = Duration::from_millis(1);
        config.max_line_length = 10;
        let keys: Vec<_> = config.findings().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["host", "port", "heartbeat", "reconnect_max", "max_line_length"]);
    }
}
