//! `[adapter]` with `kind = "ethernet-ip"` in a device profile.

use std::time::Duration;

use guideway_contract::{HostPort, Issue, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Logix controller (ControlLogix, CompactLogix, GuardLogix, SoftLogix, Micro800) by EtherNet/IP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Host name or address of the controller, or of the EtherNet/IP module in its chassis. The device's instance says
    /// it: `10.0.0.5`, `10.0.0.5:44818`, `ethernet-ip://10.0.0.5`, or with the route to the controller `10.0.0.5/1,3`.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// The controller's slot in the chassis: the route is the backplane and this slot. CompactLogix and most
    /// ControlLogix are in slot 0. `"none"` sends no route: Micro800, and controllers that take no routed messages.
    pub slot: Slot,
    /// The whole route where one slot does not say it: pairs of port and address, such as `"1,0"` (backplane, slot 0) or
    /// `"1,3,2,192.168.1.5,1,0"` (through the bridge in slot 3 to the chassis at 192.168.1.5, slot 0). It replaces `slot`.
    pub path: String,
    /// How long one attempt to connect may take.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the answer to one request may take; after that the session is over.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Open a connection for messages (Forward Open), which carries packets of 4000 bytes, or of 500 where the
    /// controller knows no large ones. Where it refuses both, and with `false`, unconnected messages of 500 bytes are used.
    pub connected: bool,
    /// The most requests in one packet. 1 sends each on its own.
    pub max_batch: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: 44_818,
            slot: Slot::Number(0),
            path: String::new(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            connected: true,
            max_batch: 200,
        }
    }
}

/// Where in the chassis the controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Slot {
    /// In this slot.
    Number(u8),
    /// There is no chassis.
    None(NoSlot),
}

/// The word for no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum NoSlot {
    /// No route.
    #[serde(rename = "none")]
    None,
}

/// A point has no keys of its own: `addr` and `type` say everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Point {}

impl Config {
    /// Takes `host`, `host:port`, `host/route` or one of these as a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set_address(&mut self, address: &str) -> Result<(), String> {
        let (scheme, rest) =
            address.trim().split_once("://").map_or(("", address.trim()), |(scheme, rest)| (scheme, rest));
        let (host, route) = rest.split_once('/').unwrap_or((rest, ""));
        let host = if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") };
        let host = HostPort::parse(&host, &["ethernet-ip", "eip"])?;
        if !route.is_empty() {
            read_route(route)?;
            self.path = route.to_owned();
        }
        self.port = host.port.unwrap_or(self.port);
        self.address = host.host;
        Ok(())
    }

    /// The route as port segments of CIP; empty for none.
    ///
    /// # Errors
    /// What is wrong with `path`.
    pub fn route(&self) -> Result<Vec<u8>, String> {
        match (self.path.trim(), self.slot) {
            ("", Slot::Number(slot)) => Ok(vec![1, slot]),
            ("", Slot::None(_)) => Ok(Vec::new()),
            (path, _) => read_route(path),
        }
    }

    /// As a URI.
    pub fn endpoint(&self) -> String {
        let host = HostPort { host: self.address.clone(), port: Some(self.port) };
        format!("ethernet-ip://{host}")
    }

    /// Everything wrong with it.
    pub fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.port == 0 {
            issues.push(Issue::new("port", "is from 1 to 65535; controllers listen on 44818"));
        }
        if let Err(what) = self.route() {
            issues.push(Issue::new("path", what));
        }
        for (key, duration) in [("connect_timeout", self.connect_timeout), ("timeout", self.timeout)] {
            if duration < Duration::from_millis(10) || duration > Duration::from_secs(60) {
                issues.push(Issue::new(key, "is from 10ms to 60s"));
            }
        }
        if !(1..=crate::codec::cip::MOST_REQUESTS).contains(&self.max_batch) {
            issues
                .push(Issue::new("max_batch", format!("is from 1 to {}", crate::codec::cip::MOST_REQUESTS)));
        }
        issues
    }
}

fn read_route(path: &str) -> Result<Vec<u8>, String> {
    let bad = |why: &str| format!("`{path}`: {why}; write pairs of port and address such as \"1,0\"");
    let parts: Vec<&str> = path.split(',').map(str::trim).collect();
    let mut route = Vec::new();
    for pair in parts.chunks(2) {
        let [port, link] = *pair else { return Err(bad("a port without an address")) };
        let port = port.parse::<u8>().ok().filter(|port| (1..=14).contains(port));
        let port = port.ok_or_else(|| bad("a port is from 1 to 14"))?;
        if let Ok(slot) = link.parse::<u8>() {
            route.extend_from_slice(&[port, slot]);
        } else if link.parse::<std::net::Ipv4Addr>().is_ok() {
            route.extend_from_slice(&[0x10 | port, u8::try_from(link.len()).unwrap_or(u8::MAX)]);
            route.extend_from_slice(link.as_bytes());
            if link.len() % 2 == 1 {
                route.push(0);
            }
        } else {
            return Err(bad("an address is a slot from 0 to 255 or an IPv4 address"));
        }
    }
    if route.len() > 128 { Err(bad("that is too long")) } else { Ok(route) }
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
        assert!(config(r#"{"slott": 1}"#).unwrap_err().contains("unknown field"));
        assert!(config(r#"{"slot": "some"}"#).is_err());
        assert!(serde_json::from_str::<Point>(r#"{"offset": 1}"#).is_err());
    }

    #[test]
    fn routes_are_read() {
        let route = |text| config(text).unwrap().route();
        assert_eq!(route("{}"), Ok(vec![1, 0]));
        assert_eq!(route(r#"{"slot": 3}"#), Ok(vec![1, 3]));
        assert_eq!(route(r#"{"slot": "none"}"#), Ok(vec![]));
        assert_eq!(route(r#"{"path": "1,3,2,10.0.0.5,1,0"}"#).unwrap()[..6], [1, 3, 0x12, 8, b'1', b'0']);
        assert!(route(r#"{"path": "1"}"#).is_err());
        assert!(route(r#"{"path": "1,plc"}"#).is_err());
    }

    #[test]
    fn an_address_may_have_a_port_and_a_route() {
        let mut config = Config::default();
        config.set_address("ethernet-ip://10.0.0.5:4000/1,2").unwrap();
        assert_eq!(
            (config.address.as_str(), config.port, config.route()),
            ("10.0.0.5", 4000, Ok(vec![1, 2]))
        );
        assert_eq!(config.endpoint(), "ethernet-ip://10.0.0.5:4000");
        assert!(config.set_address("http://10.0.0.5").is_err());
        assert!(config.set_address("10.0.0.5/x").is_err());
        config.timeout = Duration::ZERO;
        config.max_batch = 0;
        assert_eq!(
            config.issues().iter().map(|issue| issue.key).collect::<Vec<_>>(),
            ["timeout", "max_batch"]
        );
    }
}
