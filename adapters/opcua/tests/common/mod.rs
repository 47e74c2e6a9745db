//! What the tests with foreign servers share.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Adapter, Native, Period, PointSpec, Protocol};
use guideway_opcua::{Config, OpcUa, Point, Security};

pub const SOON: Duration = Duration::from_secs(10);
pub const URI: &str = "nsu=urn:guideway:peer";

pub fn config(port: u16) -> Config {
    Config { address: format!("opc.tcp://127.0.0.1:{port}"), security: Security::None, ..Config::default() }
}

/// A point by its name in the peer's namespace, or by a whole address.
pub fn point(address: &str) -> PointSpec<Point> {
    let address = if address.contains('=') || address.starts_with('/') {
        address.to_owned()
    } else {
        format!("{URI};s={address}")
    };
    let mut spec = PointSpec::new(&address, "auto".parse().unwrap(), Point::default());
    spec.period = Period::Every(Duration::from_millis(100));
    spec
}

pub fn own(address: &str, change: impl FnOnce(&mut Point)) -> PointSpec<Point> {
    let mut spec = point(address);
    change(&mut spec.own);
    spec
}

pub fn writable(address: &str) -> PointSpec<Point> {
    PointSpec { access: Access::ReadWrite, ..point(address) }
}

pub fn adapter(port: u16, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
    OpcUa::adapter(config(port), points)
}

/// A peer and the adapter that reads these points of it.
pub async fn start(words: &[&str], points: Vec<PointSpec<Point>>) -> (Peer, Running) {
    let peer = Peer::python("opcua_peer.py", words).await;
    let mut running = Running::start(adapter(peer.port(), points));
    running.connected(SOON).await;
    (peer, running)
}

pub fn int(number: i64) -> Native {
    Native::Int(number)
}
