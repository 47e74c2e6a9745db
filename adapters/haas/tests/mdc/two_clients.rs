//! A second client of the same control, whose answers arrive here too.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails the test")]

use std::time::Duration;

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Native, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{SOON, adapter, own, point};

/// Asks for variable 9999 at random times, whatever else is asked.
async fn rival(port: u16, most: u64) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4_096];
    for turn in 0_u64.. {
        stream.write_all(b"?Q600 9999\r\n").await.unwrap();
        let pause = Duration::from_millis((turn * 7_919) % most);
        let until = Instant::now() + pause;
        while let Ok(Ok(1..)) = timeout_at(until, stream.read(&mut buffer)).await {}
    }
}

async fn foreign_values_never_pass(dialect: &[&str], most: u64) -> (usize, usize) {
    let peer = Peer::python("haas_peer.py", dialect).await;
    let points: Vec<_> =
        (5_021..5_026).map(|variable| point(&format!("Q600 {variable}"), "f64", 20)).collect();
    let mut running = Running::start(adapter(peer.port(), points));
    running.connected(SOON).await;
    let rival = tokio::spawn(rival(peer.port(), most));
    let until = Instant::now() + Duration::from_secs(4);
    let (mut good, mut bad) = (0, 0);
    while let Ok(Some(signal)) = timeout_at(until, running.collector.next()).await {
        let Signal::Raw(batch) = signal else { panic!("{signal:?}") };
        for reading in batch.readings {
            if reading.value.is_bad() {
                bad += 1;
            } else {
                assert_eq!(reading.value, own(5_021 + reading.point.0), "another client's value");
                good += 1;
            }
        }
    }
    assert!(!rival.is_finished());
    rival.abort();
    running.stop().await;
    (good, bad)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_variables_are_named_a_second_client_costs_nothing() {
    let (good, bad) = foreign_values_never_pass(&["two", "numbered"], 10).await;
    assert!(good > 100 && bad == 0, "{good} good, {bad} bad");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_they_are_not_a_seldom_second_client_is_asked_around() {
    let (good, bad) = foreign_values_never_pass(&["two"], 200).await;
    assert!(good > 100 && bad < good / 2, "{good} good, {bad} bad");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_they_are_not_a_busy_second_client_makes_points_bad_and_never_wrong() {
    let (good, bad) = foreign_values_never_pass(&["two"], 8).await;
    assert!(bad > 0, "{good} good, {bad} bad");
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_other_keywords_are_passed_over() {
    let mut peer = Peer::python("haas_peer.py", &["two"]).await;
    let points = vec![point("Q104", "string[20]", 20), point("Q600 5021", "f64", 20)];
    let mut running = Running::start(adapter(peer.port(), points));
    running.connected(SOON).await;
    for foreign in ["MODEL, VF2", "PROGRAM, O1, IDLE, PARTS, 1", "!", "?, ?Q999", "Q500", "X"] {
        peer.say(&format!("foreign {foreign}")).await;
        running.collector.drain();
        running.value(0, &Native::text("(MDI)"), SOON).await;
        running.value(1, &own(5_021), SOON).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_connection_is_told_why() {
    let peer = Peer::python("haas_peer.py", &["two"]).await;
    let _others = [(); 2].map(|()| std::net::TcpStream::connect(("127.0.0.1", peer.port())).unwrap());
    let mut running = Running::start(adapter(peer.port(), vec![point("Q104", "auto", 100)]));
    running.disconnected(SOON).await;
    let deadline = Instant::now() + SOON;
    while running.health().last_error().is_none() {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    let cause = running.health().last_error().unwrap_or_default();
    assert!(cause.contains("two connections"), "{cause}");
    running.stop().await;
}
