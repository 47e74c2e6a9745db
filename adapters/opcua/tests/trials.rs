//! What every adapter has to stand, at an asyncua server.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{SOON, adapter, int, own, point};
use guideway_contract::kit::{Peer, Proxy, Running, Weather, trials};
use guideway_contract::{Adapter, Native, Outcome, PointId, Protocol as _};
use guideway_opcua::{Mode, OpcUa};

fn make(port: u16) -> Box<dyn Adapter> {
    adapter(
        port,
        vec![point("Tick"), own("Tick", |own| own.mode = Mode::Poll), point("Int16"), point("Nowhere")],
    )
}

fn is_true(point: PointId, value: &Native) -> bool {
    match point.0 {
        0 | 1 => matches!(value, Native::Int(_)),
        2 => *value == int(-30_000),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_restarts() {
    let mut peer = Peer::python("opcua_peer.py", &["plain"]).await;
    trials::restarts(make, &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_slowness_and_stale_answers() {
    let peer = Peer::python("opcua_peer.py", &["plain"]).await;
    trials::weather(make, &peer, is_true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_with_mutated_answers() {
    let peer = Peer::python("opcua_peer.py", &["plain"]).await;
    let hasty = |port| {
        let mut config = common::config(port);
        config.connect_timeout = Duration::from_millis(700);
        config.timeout = Duration::from_millis(400);
        OpcUa::adapter(config, vec![point("Tick"), own("Tick", |own| own.mode = Mode::Poll)])
    };
    trials::mutated(hasty, &peer, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_nobody_answers_is_unknown_and_ends_the_session() {
    let peer = Peer::python("opcua_peer.py", &["plain"]).await;
    let proxy = Proxy::start(peer.port()).await;
    let mut running = Running::start(adapter(proxy.port(), vec![common::writable("Int16")]));
    running.value(0, &int(-30_000), SOON).await;
    proxy.set(Weather::Silent);
    let outcome = running.write(&[(0, int(1))]).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    running.disconnected(SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_from_the_start_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut config = common::config(port);
    config.connect_timeout = Duration::from_millis(500);
    let running = Running::start(OpcUa::adapter(config, vec![point("Tick")]));
    let held: Vec<_> = [listener.accept().await.unwrap(), listener.accept().await.unwrap()].into();
    assert!(running.health().last_error().unwrap().contains("no session within 500 ms"));
    drop(held);
    running.stop().await;
}
