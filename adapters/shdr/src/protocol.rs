//! SHDR in device profiles: items name their keys, there are no points.

use guideway_contract::{Adapter, HostPort, Issue, PointSpec, Protocol};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Config, Shdr};

/// SHDR has no points: an item names its key in the stream (`shdr = "KEY"`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoPoint {}

impl Protocol for Shdr {
    const KIND: &'static str = "shdr";
    type Config = Config;
    type Point = NoPoint;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        let HostPort { host, port } = HostPort::parse(address, &["shdr"])?;
        config.host = host;
        config.port = port.unwrap_or(config.port);
        Ok(())
    }

    fn check(config: &Config) -> Vec<Issue> {
        let findings = config.findings().into_iter();
        let wrong = findings.filter(|(key, _)| *key != "host" || !config.host.is_empty());
        wrong.map(|(key, what)| Issue::new(key, what)).collect()
    }

    fn check_point(_: &Config, _: &PointSpec<NoPoint>) -> Vec<Issue> {
        vec![Issue::new("addr", "SHDR has no points; write `shdr = \"KEY\"` at the item")]
    }

    fn adapter(config: Config, _: Vec<PointSpec<NoPoint>>) -> Box<dyn Adapter> {
        crate::adapter(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_sets_the_host_and_perhaps_the_port() {
        let mut config = Config::new("", 7_879);
        assert!(Shdr::check(&config).is_empty());
        Shdr::set_address(&mut config, "mill-1").unwrap();
        assert_eq!(config.endpoint(), "shdr://mill-1:7879");
        Shdr::set_address(&mut config, "shdr://10.0.0.5:7000").unwrap();
        assert_eq!(config.endpoint(), "shdr://10.0.0.5:7000");
        assert!(Shdr::set_address(&mut config, "http://mill").is_err());
    }
}
