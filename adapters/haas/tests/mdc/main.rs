//! The adapter against a control written from the published descriptions, over TCP and over a serial line.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

mod profile;
mod serial;
mod trials;
mod two_clients;
mod values;
mod writes;

use std::time::Duration;

use guideway_contract::{Access, Adapter, Native, Period, PointSpec, Protocol as _};
use guideway_haas::{Config, Haas, Point};

/// How long anything may take that is not a trial.
const SOON: Duration = Duration::from_secs(10);

/// A point that is read every so many milliseconds.
fn point(address: &str, data_type: &str, millis: u64) -> PointSpec<Point> {
    PointSpec {
        period: Period::Every(Duration::from_millis(millis)),
        ..PointSpec::new(address, data_type.parse().unwrap(), Point::default())
    }
}

/// A point that is read fast, and written.
fn written(address: &str) -> PointSpec<Point> {
    PointSpec { access: Access::ReadWrite, ..point(address, "f64", 50) }
}

fn config(port: u16) -> Config {
    let mut config =
        Config { min_gap: Duration::from_millis(2), timeout: Duration::from_secs(1), ..Config::default() };
    Haas::set_address(&mut config, &format!("127.0.0.1:{port}")).unwrap();
    config
}

fn adapter(port: u16, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
    Haas::adapter(config(port), points)
}

/// The value that the peer gives a variable that was never set.
fn own(variable: u32) -> Native {
    Native::Float(f64::from(variable) / 1_000.0)
}
