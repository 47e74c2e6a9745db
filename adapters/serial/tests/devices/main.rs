//! The adapter against devices that speak text: asked and unasked, over serial lines, TCP, and TCP the other
//! way round.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

mod asked;
mod listening;
mod profile;
mod trials;
mod unasked;
mod writes;

use std::time::Duration;

use guideway_contract::{Adapter, Native, Period, PointSpec, Protocol as _};
use guideway_serial::{Config, Point, Serial};

/// How long anything may take that is not a trial.
const SOON: Duration = Duration::from_secs(10);

/// A point that listens.
fn point(address: &str, data_type: &str) -> PointSpec<Point> {
    PointSpec::new(address, data_type.parse().unwrap(), Point::default())
}

/// A point that listens to some frames only.
fn matching(pattern: &str, address: &str, data_type: &str) -> PointSpec<Point> {
    let mut point = point(address, data_type);
    point.own.matches = Some(pattern.into());
    point
}

/// A point that is asked for each 50 ms.
fn asking(query: &str, pattern: &str, address: &str, data_type: &str) -> PointSpec<Point> {
    let mut point = matching(pattern, address, data_type);
    point.own.query = format!("{query}\r\n");
    point.period = Period::Every(Duration::from_millis(50));
    point
}

fn weight() -> PointSpec<Point> {
    asking("SI", "^S [SD+-]", "regex:([-+]?[0-9.]+) *g", "f64")
}

/// Register `number` of the peer, whose value is a thousandth of its number.
fn register(number: u32) -> PointSpec<Point> {
    asking(&format!("R {number}"), &format!("^R {number} "), "field:2", "f64")
}

fn own(number: u32) -> Native {
    Native::Float(f64::from(number) / 1_000.0)
}

fn config(address: &str) -> Config {
    let mut config = Config { timeout: Duration::from_secs(1), ..Config::default() };
    Serial::set_address(&mut config, address).unwrap();
    config
}

fn adapter(address: &str, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
    Serial::adapter(config(address), points)
}

fn tcp(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
