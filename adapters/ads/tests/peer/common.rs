//! Adapters for a peer on this machine.

use std::time::Duration;

use guideway_ads::{Ads, Config, Mode, Point};
use guideway_contract::{Access, Adapter, Period, PointSpec, Protocol};

/// Longer than anything here should take.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A point read ten times a second, and written.
pub(crate) fn point(address: &str, data_type: &str) -> PointSpec<Point> {
    let mut point = PointSpec::new(address, data_type.parse().unwrap(), Point::default());
    point.period = Period::Every(Duration::from_millis(100));
    point.access = Access::ReadWrite;
    point
}

/// Points of the program's own types.
pub(crate) fn points(addresses: &[&str]) -> Vec<PointSpec<Point>> {
    addresses.iter().map(|address| point(address, "auto")).collect()
}

/// A configuration for a peer on that port.
pub(crate) fn config(port: u16, mode: Mode) -> Config {
    Config {
        address: format!("127.0.0.1:{port}"),
        mode,
        timeout: Duration::from_secs(1),
        ..Config::default()
    }
}

/// An adapter.
pub(crate) fn adapter(port: u16, mode: Mode, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
    Ads::adapter(config(port, mode), points)
}
