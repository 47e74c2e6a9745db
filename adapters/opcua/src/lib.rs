//! An OPC UA client: subscriptions, browse paths, security, writes, method calls.
//!
//! One session of the adapter is one session with the server. The namespace table, the limits and the nodes of all
//! points are looked up after each connect; points that the server does not know are tried again later and keep no
//! other from being read.

mod address;
mod browse;
pub mod codec;
mod command;
mod config;
mod link;
mod nodes;
mod pki;
mod plan;
mod reading;
mod server;
mod session;
mod subscription;
mod types;
mod wanted;

use guideway_contract::{Adapter, HostPort, Issue, PointSpec, Protocol};

pub use address::{Address, Namespace, NodeRef, Step};
pub use config::{Config, Mode, Point, Policy, Security, Times, Trust};
pub use plan::{Limits, requests};

use crate::session::Client;
use crate::wanted::Wanted;

/// OPC UA over `opc.tcp` (OPC 10000-6).
#[derive(Clone, Copy, Debug)]
pub struct OpcUa;

impl Protocol for OpcUa {
    const KIND: &'static str = "opcua";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        HostPort::parse(link::split(address.trim()).0, &["opc.tcp"])?;
        config.address = address.trim().to_owned();
        Ok(())
    }

    fn check(config: &Config) -> Vec<Issue> {
        let mut issues = Vec::new();
        let mut note = |key: &'static str, what: &str| issues.push(Issue::new(key, what));
        if !config.address.trim().is_empty()
            && let Err(what) = HostPort::parse(link::split(config.address.trim()).0, &["opc.tcp"])
        {
            note("address", &what);
        }
        if config.port == 0 {
            note("port", "a port is from 1 to 65535");
        }
        if config.password.is_some() && config.user.is_none() {
            note("user", "a password is somebody's: set `user`");
        }
        if config.user_certificate.is_some() && config.user_key.is_none() {
            note("user_key", "a certificate needs its key: set `user_key`");
        }
        if config.user_certificate.is_some() && config.user.is_some() {
            note("user", "log in with `user` or with `user_certificate`, not with both");
        }
        if config.security == Security::None && config.policy != Policy::Auto {
            note("policy", "without security there is no policy: leave it out, or set `security`");
        }
        if config.application_uri.trim().is_empty() {
            note("application_uri", "a URI such as urn:company:gateway names the gateway");
        }
        for (key, time) in [
            ("connect_timeout", config.connect_timeout),
            ("timeout", config.timeout),
            ("keep_alive", config.keep_alive),
            ("session_timeout", config.session_timeout),
            ("retry", config.retry),
        ] {
            if time.is_zero() {
                note(key, "a time is more than nothing");
            }
        }
        if config.max_nodes == 0 {
            note("max_nodes", "a request holds at least 1 node");
        }
        for alias in config.namespaces.keys() {
            if alias.is_empty() || alias.contains(['/', ':', ';', '&', '=']) || alias.parse::<u16>().is_ok() {
                note(
                    "namespaces",
                    &format!("`{alias}` is no short name: letters, digits and `_`, not a number alone"),
                );
            }
        }
        issues
    }

    fn check_point(config: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        Wanted::parse(config, 0, point).err().unwrap_or_default()
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        Box::new(Client::new(config, &points))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_or_urls_with_a_path() {
        let mut config = Config::default();
        for address in ["plc", "plc:4841", "opc.tcp://plc:4840/path/a", "[::1]:4840"] {
            OpcUa::set_address(&mut config, address).unwrap();
            assert_eq!(config.address, address);
        }
        for address in ["", "http://plc", "opc.tcp://plc:x/", "plc:0"] {
            assert!(OpcUa::set_address(&mut config, address).is_err(), "{address}");
        }
    }

    #[test]
    fn everything_wrong_with_a_configuration_is_told() {
        assert_eq!(OpcUa::check(&Config::default()), []);
        let config = Config {
            address: "http://x".into(),
            password: Some("p".into()),
            user_certificate: Some("u.der".into()),
            security: Security::None,
            policy: Policy::Basic256Sha256,
            max_nodes: 0,
            namespaces: [("1".to_owned(), "urn:x".to_owned())].into(),
            ..Config::default()
        };
        let keys: Vec<_> = OpcUa::check(&config).into_iter().map(|issue| issue.key).collect();
        assert_eq!(keys, ["address", "user", "user_key", "policy", "max_nodes", "namespaces"]);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"sekurity": "none"}"#).is_err());
        assert!(serde_json::from_str::<Point>(r#"{"samplin": "1s"}"#).is_err());
        let config: Config =
            serde_json::from_str(r#"{"security": "sign", "policy": "auto", "timeout": "1s"}"#).unwrap();
        assert_eq!(config.security, Security::Sign);
    }
}
