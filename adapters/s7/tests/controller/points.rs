//! What the tests share: points and adapters.

#![expect(clippy::panic, reason = "only tests use this")]

use std::time::Duration;

use guideway_contract::{Access, Adapter, Native, Period, PointSpec, Protocol};
use guideway_s7::{Config, Format, Point, S7};

/// How long anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A point that is read five times a second and may be written.
pub(crate) fn point(address: &str, data_type: &str) -> PointSpec<Point> {
    made(address, data_type, Point::default())
}

fn made(address: &str, data_type: &str, own: Point) -> PointSpec<Point> {
    let data_type = data_type.parse().unwrap_or_else(|why| panic!("{why}"));
    let mut point = PointSpec::new(address, data_type, own);
    point.period = Period::Every(Duration::from_millis(200));
    if S7::check_point(&Config::default(), &PointSpec { access: Access::ReadWrite, ..point.clone() })
        .is_empty()
    {
        point.access = Access::ReadWrite;
    }
    point
}

/// A time.
pub(crate) fn time(address: &str, format: Format) -> PointSpec<Point> {
    made(address, "auto", Point { format: Some(format) })
}

/// An adapter for a peer on this computer.
pub(crate) fn adapter(port: u16, points: &[PointSpec<Point>]) -> Box<dyn Adapter> {
    S7::adapter(config(port), points.to_vec())
}

/// The configuration of it.
pub(crate) fn config(port: u16) -> Config {
    let timeout = Duration::from_millis(1_000);
    Config { address: "127.0.0.1".into(), port, timeout, connect_timeout: timeout, ..Config::default() }
}

/// A list of whole numbers.
pub(crate) fn ints(numbers: impl IntoIterator<Item = i64>) -> Native {
    Native::List(numbers.into_iter().map(Native::Int).collect())
}
