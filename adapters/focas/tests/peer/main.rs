//! The adapter with a control written in Python from published captures.

#![expect(clippy::unwrap_used, reason = "tests fail by it")]

mod trials;
mod values;

use std::time::Duration;

use guideway_contract::{Adapter, Period, PointSpec, Protocol};
use guideway_focas::{Config, Focas, Point};

/// Longer than anything here should take.
const SOON: Duration = Duration::from_secs(10);

/// Points read ten times a second.
fn points(addresses: &[(&str, &str)]) -> Vec<PointSpec<Point>> {
    let point = |(address, data_type): &(&str, &str)| {
        let mut point = PointSpec::new(address, data_type.parse().unwrap(), Point::default());
        point.period = Period::Every(Duration::from_millis(100));
        point
    };
    addresses.iter().map(point).collect()
}

fn config(port: u16) -> Config {
    Config { address: format!("127.0.0.1:{port}"), timeout: Duration::from_secs(1), ..Config::default() }
}

fn adapter(port: u16, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
    Focas::adapter(config(port), points)
}
