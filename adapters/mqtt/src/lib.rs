//! MQTT as a source of machine data.
//!
//! The gateway subscribes at a broker and reads what machines, gateways and other agents publish there. Four
//! layouts are known: `points` (foreign JSON, text or bytes, described by a device profile), `mtconnect` (the JSON
//! documents of MTConnect over MQTT), `entity` (one observation or a handful of keys in a message) and `shdr` (lines
//! of SHDR). The first yields raw values of a profile's points; the others are fed by key, as SHDR is.
//!
//! Messages are acknowledged when the pipeline has them, so with quality of service 1 or 2 a broker that keeps the
//! session (`clean = false`) repeats what the gateway had not taken.

mod address;
mod browse;
mod codec;
pub mod config;
mod keyed;
mod link;
mod plan;
mod reader;
mod session;
mod stale;
mod tls;

pub use codec::fuzz;
pub use config::{Config, Layout, Point};
use guideway_contract::{Adapter, Issue, PointSpec, Protocol};

/// The protocol, as the registry knows it.
#[derive(Clone, Copy, Debug)]
pub struct Mqtt;

impl Protocol for Mqtt {
    const KIND: &'static str = "mqtt";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        address::Broker::parse(address)?;
        address.trim().clone_into(&mut config.address);
        Ok(())
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.issues()
    }

    fn check_point(config: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        plan::issues(config, point)
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        Box::new(session::Session::new(config, points))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_says_where_its_broker_is() {
        let mut config = Config::default();
        assert_eq!(Mqtt::set_address(&mut config, " mqtts://broker "), Ok(()));
        assert_eq!(Mqtt::adapter(config.clone(), Vec::new()).endpoint(), "mqtts://broker:8883");
        assert!(Mqtt::set_address(&mut config, "http://broker").is_err());
        assert_eq!(config.address, "mqtts://broker");
    }

    #[test]
    fn the_schemas_know_every_key() {
        let config = serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default();
        assert_eq!(config["properties"].as_object().map(serde_json::Map::len), Some(17));
        let point = serde_json::to_value(schemars::schema_for!(Point)).unwrap_or_default();
        assert_eq!(point["properties"]["where"]["anyOf"][0]["$ref"], "#/$defs/Where");
        assert_eq!(point["additionalProperties"], false);
    }
}
