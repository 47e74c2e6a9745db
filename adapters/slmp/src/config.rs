//! `[adapter]` with `kind = "slmp"` in a device profile.

use std::time::Duration;

use guideway_contract::{HostPort, Issue, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::frame::{Frame, Route};

/// A Mitsubishi controller by SLMP (MC protocol, binary code, TCP).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Host name or address of the controller's Ethernet port; the device's instance says it: `10.0.0.5`,
    /// `10.0.0.5:5007`, `slmp://10.0.0.5`.
    pub address: String,
    /// TCP port: the one of an SLMP connection ("host station port") in the controller's parameters. There is none that
    /// all controllers have; 5007, 5010, 5000 to 5002 (Ethernet modules of Q) and 1025 are often met. Each such port
    /// takes one connection: give Guideway its own. Older tools show ports in hexadecimal: 1388 is 5000.
    pub port: u16,
    /// Frames: `3e` is known to all, `4e` has a serial number, by which a late answer is told from the right one
    /// (iQ-R, Q, L; FX5 by its firmware).
    pub frame: Frame,
    /// The family: `iq-r`, `iq-l`, `q`, `l`, `iq-f` (FX5). Inputs and outputs of FX5 (X, Y) are numbered in octal,
    /// of all others in hexadecimal.
    pub series: Series,
    /// Network number of the controller; 0 for the one connected to.
    pub network: u8,
    /// Station number in that network; 255 for the one connected to.
    pub station: u8,
    /// Module I/O number: 1023 (0x3FF) for the CPU connected to, 992 to 995 for CPU 1 to 4 of a multiple CPU system.
    pub module_io: u16,
    /// Multidrop station behind a serial module; 0 for none.
    pub multidrop: u8,
    /// How long one attempt to connect may take.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the answer to one request may take; after that the session is over.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// How long the Ethernet port waits for the CPU before it answers with an error; in steps of 250 ms, less than
    /// `timeout`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub monitoring_timer: Duration,
    /// Words that nobody asked for are read over if there are at most so many between two points. 0 never reads over.
    pub max_gap: u16,
    /// The most words in one request.
    pub max_words: u16,
    /// The most words that are read one by one in one request (Device Read Random); 0 never reads so.
    pub max_random: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: 5007,
            frame: Frame::E3,
            series: Series::IqR,
            network: 0,
            station: 255,
            module_io: 0x3FF,
            multidrop: 0,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            monitoring_timer: Duration::from_secs(1),
            max_gap: 32,
            max_words: MOST_WORDS,
            max_random: 96,
        }
    }
}

/// The most words that SLMP reads or writes with one request.
pub(crate) const MOST_WORDS: u16 = 960;
/// The most words that SLMP reads one by one with one request.
pub(crate) const MOST_RANDOM: u8 = 192;

/// A family of controllers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Series {
    /// MELSEC iQ-R, and iQ-L.
    #[default]
    #[serde(alias = "iq-l")]
    IqR,
    /// MELSEC Q, and L.
    #[serde(alias = "l", alias = "q-l")]
    Q,
    /// MELSEC iQ-F: FX5U, FX5UC, FX5UJ, FX5S.
    #[serde(alias = "fx5")]
    IqF,
}

/// A point has no keys of its own: `addr` and `type` say everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Point {}

impl Config {
    /// Takes `host`, `host:port` or `slmp://host:port`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set_address(&mut self, address: &str) -> Result<(), String> {
        let host = HostPort::parse(address, &["slmp", "mc"])?;
        self.port = host.port.unwrap_or(self.port);
        self.address = host.host;
        Ok(())
    }

    /// As a URI.
    pub fn endpoint(&self) -> String {
        let host = HostPort { host: self.address.clone(), port: Some(self.port) };
        format!("slmp://{host}")
    }

    /// Where requests go.
    pub const fn route(&self) -> Route {
        let Self { network, station, module_io, multidrop, .. } = *self;
        Route { network, station, module_io, multidrop }
    }

    /// The monitoring timer in units of 250 ms.
    pub fn timer(&self) -> u16 {
        u16::try_from((self.monitoring_timer.as_millis() / 250).max(1)).unwrap_or(u16::MAX)
    }

    /// Everything wrong with it.
    pub fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.port == 0 {
            issues.push(Issue::new("port", "is from 1 to 65535"));
        }
        for (key, duration) in [("connect_timeout", self.connect_timeout), ("timeout", self.timeout)] {
            if duration < Duration::from_millis(10) || duration > Duration::from_secs(60) {
                issues.push(Issue::new(key, "is from 10ms to 60s"));
            }
        }
        if self.monitoring_timer < Duration::from_millis(250)
            || self.monitoring_timer > Duration::from_secs(60)
        {
            issues.push(Issue::new("monitoring_timer", "is from 250ms to 60s"));
        } else if self.monitoring_timer >= self.timeout {
            issues.push(Issue::new(
                "monitoring_timer",
                "has to be less than `timeout`, or its answer comes too late",
            ));
        }
        if !(1..=MOST_WORDS).contains(&self.max_words) {
            issues.push(Issue::new("max_words", format!("is from 1 to {MOST_WORDS}")));
        }
        if self.max_random > MOST_RANDOM {
            issues.push(Issue::new("max_random", format!("is from 0 to {MOST_RANDOM}")));
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_has_a_default_and_unknown_keys_are_refused() {
        assert_eq!(config("{}"), Ok(Config::default()));
        assert!(Config::default().issues().is_empty());
        assert!(config(r#"{"fram": "3e"}"#).unwrap_err().contains("unknown field"));
        assert!(config(r#"{"frame": "1e"}"#).unwrap_err().contains("3e"));
        assert_eq!(config(r#"{"series": "iq-f", "frame": "4e"}"#).unwrap().series, Series::IqF);
        assert_eq!(config(r#"{"series": "q-l"}"#).unwrap().series, Series::Q);
    }

    #[test]
    fn settings_that_cannot_work_are_found_at_once() {
        let text =
            r#"{"port": 0, "timeout": "1s", "monitoring_timer": "1s", "max_words": 961, "max_random": 193}"#;
        let issues = config(text).unwrap().issues();
        let keys: Vec<_> = issues.iter().map(|issue| issue.key).collect();
        assert_eq!(keys, ["port", "monitoring_timer", "max_words", "max_random"]);
    }

    #[test]
    fn an_address_may_have_a_port() {
        let mut config = Config::default();
        config.set_address("slmp://10.0.0.5:5000").unwrap();
        assert_eq!(config.endpoint(), "slmp://10.0.0.5:5000");
        assert!(config.set_address("modbus://10.0.0.5").is_err());
    }
}
