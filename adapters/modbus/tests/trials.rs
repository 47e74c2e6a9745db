//! What every adapter has to stand, with pymodbus as the peer.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

use std::time::Duration;

use guideway_contract::kit::{Peer, trials};
use guideway_contract::{Adapter, Native, Period, PointId, PointSpec, Protocol};
use guideway_modbus::{Config, Framing, Modbus, Point};

/// Three requests a turn, whose values all differ.
fn make(port: u16, framing: Framing) -> Box<dyn Adapter> {
    let points =
        ["holding:0", "holding:1", "holding:1000", "holding:1001", "input:5000"].into_iter().map(|address| {
            let mut spec = PointSpec::new(address, "u16".parse().unwrap(), Point::default());
            spec.period = Period::Every(Duration::from_millis(20));
            spec
        });
    let timeout = Duration::from_millis(300);
    let config =
        Config { address: "127.0.0.1".into(), port, timeout, framing: Some(framing), ..Config::default() };
    Modbus::adapter(config, points.collect())
}

fn is_true(point: PointId, value: &Native) -> bool {
    *value == Native::Int([1, 8, 7_001, 7_008, 35_001][point.index()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_killed_twenty_times_is_back_each_time() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    trials::restarts(|port| make(port, Framing::Tcp), &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_weather_makes_a_foreign_value() {
    let peer = Peer::python("modbus_peer.py", &[]).await;
    trials::weather(|port| make(port, Framing::Tcp), &peer, is_true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_weather_makes_a_foreign_value_of_rtu_frames_over_tcp() {
    let peer = Peer::python("modbus_peer.py", &["rtu"]).await;
    trials::weather(|port| make(port, Framing::Rtu), &peer, is_true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_of_mutated_replies_do_no_harm() {
    let peer = Peer::python("modbus_peer.py", &[]).await;
    trials::mutated(|port| make(port, Framing::Tcp), &peer, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_mutated_rtu_frames_do_no_harm() {
    let peer = Peer::python("modbus_peer.py", &["rtu"]).await;
    trials::mutated(|port| make(port, Framing::Rtu), &peer, 250).await;
}
