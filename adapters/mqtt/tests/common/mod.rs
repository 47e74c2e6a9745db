//! What the tests share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::time::Duration;

use guideway_contract::{Access, Adapter, PointSpec, PointTable, Protocol, Shape};
use guideway_mqtt::{Config, Mqtt, Point};

/// How long anything may take that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

/// A configuration for a broker of this machine; `more` is JSON.
pub fn config(port: u16, more: &str) -> Config {
    let mut config: Config = serde_json::from_str(more).unwrap();
    if config.address.is_empty() {
        config.address = format!("mqtt://127.0.0.1:{port}");
    }
    let issues = Mqtt::check(&config);
    assert_eq!(issues, []);
    config
}

/// Points as a profile writes them: address, type, own keys as JSON.
pub fn points(list: &[(&str, &str, &str)]) -> Vec<PointSpec<Point>> {
    let point = |(address, data_type, own): &(&str, &str, &str)| {
        let own: Point = serde_json::from_str(own).unwrap();
        let written = own.write.is_some();
        let mut point = PointSpec::new(address, data_type.parse().unwrap(), own);
        if written {
            point.access = Access::Write;
        }
        point
    };
    list.iter().map(point).collect()
}

/// An adapter for layout `points`.
pub fn adapter(config: Config, list: &[(&str, &str, &str)]) -> Box<dyn Adapter> {
    let points = points(list);
    for point in &points {
        assert_eq!(Mqtt::check_point(&config, point), [], "{}", point.address);
    }
    Mqtt::adapter(config, points)
}

/// A mill with a number `x` and an event `exec`.
pub fn table() -> PointTable {
    let mut builder = PointTable::builder();
    let mill = builder.device(["mill", "uuid-1"]);
    builder.point(mill, "x", Shape::Number, ["Xact"]);
    builder.point(mill, "exec", Shape::Text, []);
    builder.build()
}
