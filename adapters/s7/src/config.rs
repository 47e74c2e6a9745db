//! `[adapter]` of a device profile with `kind = "s7"`, and a point's own key.

use std::time::Duration;

use guideway_contract::{HostPort, Issue, duration};
use schemars::JsonSchema;
use serde::Deserialize;

/// How the gateway introduces itself, which decides on the connection resource that the CPU spends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// As a programming device.
    Pg,
    /// As an operator panel.
    #[default]
    Op,
    /// As any other partner.
    Basic,
}

impl Link {
    const fn code(self) -> u16 {
        match self {
            Self::Pg => 1,
            Self::Op => 2,
            Self::Basic => 3,
        }
    }
}

/// A Siemens controller by S7 communication: S7-300, 400, 1200, 1500, ET 200SP CPU, LOGO! and what speaks like them.
///
/// S7-1200 and S7-1500 answer only where PUT/GET is permitted in the CPU's properties (Protection & Security >
/// Connection mechanisms), and give out only data blocks without "Optimized block access".
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Host name or address; usually the instance says it.
    #[serde(default)]
    pub address: String,
    /// TCP port.
    #[serde(default = "defaults::port")]
    pub port: u16,
    /// Rack of the CPU, 0 to 7.
    #[serde(default)]
    pub rack: u8,
    /// Slot of the CPU, 0 to 31: 1 for S7-1200 and S7-1500, 2 for S7-300; S7-400 as in the hardware configuration.
    #[serde(default = "defaults::slot")]
    pub slot: u8,
    /// Which of the CPU's connection resources is used: `op` (operator panel), `pg` (programming device) or
    /// `basic` (anything else).
    #[serde(default)]
    pub link: Link,
    /// Local and remote TSAP in place of `rack`, `slot` and `link`, for LOGO! and S7-200, such as
    /// `tsap = [0x0300, 0x0200]`.
    #[serde(default)]
    pub tsap: Option<[u16; 2]>,
    /// Largest telegram asked for, 112 to 960 bytes; the controller may allow less.
    #[serde(default = "defaults::pdu")]
    pub pdu: u16,
    /// How long one attempt to connect may take, negotiation included.
    #[serde(default = "defaults::connect_timeout", with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the controller may take to answer one request; then the connection is made anew.
    #[serde(default = "defaults::timeout", with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Points that lie at most so many bytes apart are read as one range, the bytes between them too.
    #[serde(default = "defaults::max_gap")]
    pub max_gap: u16,
}

mod defaults {
    use std::time::Duration;

    pub(super) const fn port() -> u16 {
        102
    }
    pub(super) const fn slot() -> u8 {
        1
    }
    pub(super) const fn pdu() -> u16 {
        960
    }
    pub(super) const fn connect_timeout() -> Duration {
        Duration::from_secs(5)
    }
    pub(super) const fn timeout() -> Duration {
        Duration::from_secs(2)
    }
    pub(super) const fn max_gap() -> u16 {
        32
    }
}

impl Config {
    /// Local and remote TSAP.
    pub(crate) fn tsaps(&self) -> [u16; 2] {
        let remote = (self.link.code() << 8) | u16::from(self.rack) << 5 | u16::from(self.slot);
        self.tsap.unwrap_or([0x0100, remote])
    }

    /// Takes `host`, `host:port` or `s7://host:port`.
    pub(crate) fn set_address(&mut self, address: &str) -> Result<(), String> {
        let found = HostPort::parse(address, &["s7"])?;
        self.address = found.host;
        self.port = found.port.unwrap_or(self.port);
        Ok(())
    }

    /// Everything that is wrong.
    pub(crate) fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if !self.address.is_empty()
            && let Err(what) = HostPort::parse(&self.address, &[])
        {
            issues.push(Issue::new("address", what));
        }
        if self.port == 0 {
            issues.push(Issue::new("port", "port 0 is out of range (1-65535); S7 controllers listen on 102"));
        }
        if self.rack > 7 {
            issues.push(Issue::new("rack", format!("rack {} is out of range (0-7)", self.rack)));
        }
        if self.slot > 31 {
            issues.push(Issue::new("slot", format!("slot {} is out of range (0-31)", self.slot)));
        }
        if !(112..=960).contains(&self.pdu) {
            issues.push(Issue::new("pdu", format!("{} bytes are out of range (112-960)", self.pdu)));
        }
        for (key, time) in [("connect_timeout", self.connect_timeout), ("timeout", self.timeout)] {
            if time.is_zero() {
                issues.push(Issue::new(key, "a time-out of nothing lets nobody answer; write \"2s\""));
            }
        }
        if self.timeout > Duration::from_secs(8) {
            issues.push(Issue::new(
                "timeout",
                "a controller that is gone is noticed too late; write at most \"8s\"",
            ));
        }
        issues
    }
}

/// Everything by default.
impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: defaults::port(),
            rack: 0,
            slot: defaults::slot(),
            link: Link::default(),
            tsap: None,
            pdu: defaults::pdu(),
            connect_timeout: defaults::connect_timeout(),
            timeout: defaults::timeout(),
            max_gap: defaults::max_gap(),
        }
    }
}

/// A time of the S7 world.
///
/// Durations become seconds, dates and times of day become text as in ISO 8601; controllers know no time zone.
/// The same forms are taken for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// TIME, 4 bytes: seconds, with milliseconds.
    Time,
    /// LTIME, 8 bytes: seconds, with nanoseconds.
    Ltime,
    /// S5TIME, 2 bytes: seconds, 0 to 9990; read only.
    S5time,
    /// DATE, 2 bytes: `2026-11-22`.
    Date,
    /// TIME_OF_DAY, 4 bytes: `13:45:00.250`.
    TimeOfDay,
    /// LTIME_OF_DAY, 8 bytes: `13:45:00.250000001`.
    LtimeOfDay,
    /// DATE_AND_TIME, 8 bytes in BCD: `2026-11-22T13:45:00.250`.
    DateAndTime,
    /// LDT, 8 bytes: `2026-11-22T13:45:00.250000001`.
    Ldt,
    /// DTL, 12 bytes: `2026-11-22T13:45:00.250000001`.
    Dtl,
}

impl Format {
    /// Bytes of one value.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::S5time | Self::Date => 2,
            Self::Time | Self::TimeOfDay => 4,
            Self::Ltime | Self::LtimeOfDay | Self::DateAndTime | Self::Ldt => 8,
            Self::Dtl => 12,
        }
    }
}

/// What an S7 point has beside `addr`, `type`, `group` and `access`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The value is one of S7's times; leave `type` out (or write `auto[8]` for an array of them).
    #[serde(default)]
    pub format: Option<Format>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn everything_has_a_default() {
        let config = read("{}").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.tsaps(), [0x0100, 0x0201]);
        assert!(config.issues().is_empty());
    }

    #[test]
    fn rack_slot_and_link_make_the_remote_tsap() {
        let config = read(r#"{"rack": 1, "slot": 2, "link": "pg"}"#).unwrap();
        assert_eq!(config.tsaps(), [0x0100, 0x0122]);
        let config = read(r#"{"link": "basic"}"#).unwrap();
        assert_eq!(config.tsaps(), [0x0100, 0x0301]);
        let config = read(r#"{"tsap": [768, 512]}"#).unwrap();
        assert_eq!(config.tsaps(), [0x0300, 0x0200]);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(read(r#"{"rak": 1}"#).unwrap_err().to_string().contains("rak"));
        assert!(serde_json::from_str::<Point>(r#"{"formt": "time"}"#).is_err());
        assert!(serde_json::from_str::<Point>(r#"{"format": "date_and_time"}"#).is_ok());
    }

    #[test]
    fn what_is_out_of_range_is_an_issue_with_its_key() {
        let config =
            read(r#"{"rack": 8, "slot": 32, "pdu": 100, "timeout": "0s", "port": 0, "address": "a b"}"#);
        let keys: Vec<_> = config.unwrap().issues().iter().map(|issue| issue.key).collect();
        assert_eq!(keys, ["address", "port", "rack", "slot", "pdu", "timeout"]);
    }

    #[test]
    fn an_instance_says_the_address_with_or_without_port() {
        let mut config = Config::default();
        config.set_address("10.0.0.5").unwrap();
        assert_eq!((config.address.as_str(), config.port), ("10.0.0.5", 102));
        config.set_address("s7://plc:1102").unwrap();
        assert_eq!((config.address.as_str(), config.port), ("plc", 1102));
        assert!(config.set_address("http://plc").is_err());
    }
}
