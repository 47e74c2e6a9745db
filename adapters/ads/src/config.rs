//! `[adapter]` of a profile with `kind = "ads"`.

use std::time::Duration;

use guideway_contract::{HostPort, Issue, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::net_id::NetId;

/// A TwinCAT controller, or any other ADS device.
///
/// The controller needs a *route* to the gateway: it closes the connection of, or gives no answer to, a net id that
/// it does not know. TwinCAT keeps one connection for each address, and closes the older one when a second comes:
/// one gateway, and nothing else that speaks ADS by itself (such as a second gateway, or TwinCAT XAE), per computer
/// and controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Host name or address of the controller, with its port where that is not 48898. The device's `address`.
    pub address: String,
    /// TCP port of the controller's router.
    pub port: u16,
    /// AMS net id of the controller, as TwinCAT shows it under *System > Routes > NetId Management*. Default: its
    /// IPv4 address and `.1.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_id: Option<NetId>,
    /// AMS port of the server within the controller: 851 is the first PLC runtime of TwinCAT 3 (852 the second), 801
    /// that of TwinCAT 2.
    pub ams_port: u16,
    /// Our own AMS net id: what the controller's route names. Default: our IPv4 address towards the controller and
    /// `.1.1`. Behind NAT or in a container it has to be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_net_id: Option<NetId>,
    /// Our own AMS port. Default: the TCP port of the connection, so that samples asked for by an earlier connection
    /// find nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// How long one attempt to connect may take.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the controller may take to answer one request.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Whether the controller tells changes by itself, or is asked.
    pub mode: Mode,
    /// In mode `notify`: the most points the controller is to watch; the others are polled. Beckhoff advises against
    /// more than 550 in all for a controller.
    pub max_notifications: u16,
    /// The most variables in one sum read (1 to 500). 1 means that sum reads are not used at all, for small
    /// controllers that have none.
    pub batch: u16,
    /// In mode `notify`: whether values carry the time at which the controller saw them. Switch it off where the
    /// controller's clock is not set.
    pub source_times: bool,
}

/// How values get here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The controller looks at each point once a period and sends it when it has changed, with its own time.
    #[default]
    Notify,
    /// Points are read once a period, many at a time.
    Poll,
}

/// What a point has beside `addr`, `type`, `group` and `access`. `type` may be left out: the program says it; where
/// it is given it is checked against the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Point {
    /// In mode `notify`: `false` has this point polled all the same, such as a value that changes in every cycle.
    pub notify: bool,
}

impl Default for Point {
    fn default() -> Self {
        Self { notify: true }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: 48_898,
            net_id: None,
            ams_port: 851,
            source_net_id: None,
            source_port: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            mode: Mode::Notify,
            max_notifications: 500,
            batch: 500,
            source_times: true,
        }
    }
}

impl Config {
    /// Host and port, where the address is set and can be read.
    pub fn host(&self) -> Result<(String, u16), String> {
        let found = HostPort::parse(&self.address, &["ads"])?;
        Ok((found.host, found.port.unwrap_or(self.port)))
    }

    /// Everything wrong with it.
    pub fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if !self.address.is_empty()
            && let Err(why) = self.host()
        {
            issues.push(Issue::new("address", why));
        }
        for (key, port) in [("port", self.port), ("ams_port", self.ams_port)] {
            if port == 0 {
                issues.push(Issue::new(key, "0 is out of range (1-65535)"));
            }
        }
        if !(1..=500).contains(&self.batch) {
            issues.push(Issue::new("batch", format!("{} is out of range (1-500)", self.batch)));
        }
        for (key, time) in [("connect_timeout", self.connect_timeout), ("timeout", self.timeout)] {
            if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&time) {
                issues.push(Issue::new(key, "write a time from 10ms to 60s"));
            }
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_is_a_whole_configuration() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        assert!(config.issues().is_empty());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let text = r#"{"address":"a b","ams_port":0,"batch":501,"timeout":"0ms"}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        let keys: Vec<_> = config.issues().iter().map(|issue| issue.key).collect();
        assert_eq!(keys, ["address", "ams_port", "batch", "timeout"]);
        assert!(serde_json::from_str::<Config>(r#"{"net_id":"1.2.3"}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"netid":"1.2.3.4.1.1"}"#).is_err());
    }
}
