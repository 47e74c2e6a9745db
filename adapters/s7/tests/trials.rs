//! Restarts, bad weather, mutated replies, silence.

mod common;

use std::time::Duration;

use common::{SOON, adapter, config, point};
use guideway_contract::kit::{Peer, Proxy, Running, Weather, trials};
use guideway_contract::{Native, Outcome, PointId, PointSpec, Protocol as _};
use guideway_s7::{Point, S7};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Bytes of DB2, which hold their own numbers, far enough apart for several requests.
fn points() -> Vec<PointSpec<Point>> {
    (0..60).map(|index| point(&format!("DB2.{}", index * 120), "u8")).collect()
}

fn is_true(point: PointId, value: &Native) -> bool {
    *value == Native::Int(i64::from(point.0) * 120 * 7 % 251)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_back_after_each_of_twenty_restarts() {
    let mut peer = Peer::python("s7_peer.py", &[]).await;
    trials::restarts(|port| adapter(port, &points()), &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_slowness_and_stale_answers_never_become_values() {
    let peer = Peer::node("s7_peer.js", &[]).await;
    trials::weather(|port| adapter(port, &points()), &peer, is_true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_replies_over_a_thousand_connections_do_no_harm() {
    let peer = Peer::node("s7_peer.js", &[]).await;
    trials::mutated(|port| adapter(port, &points()), &peer, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_peer_is_noticed_though_nothing_is_polled() {
    let mut peer = Peer::python("s7_peer.py", &[]).await;
    let proxy = Proxy::start(peer.port()).await;
    let mut only_written = point("DB1.DBW0", "u16");
    only_written.access = guideway_contract::Access::Write;
    let mut running = Running::start(adapter(proxy.port(), &[only_written]));
    running.connected(SOON).await;
    proxy.set(Weather::Silent);
    running.disconnected(SOON).await;
    proxy.set(Weather::Clear);
    running.connected(SOON).await;
    assert_eq!(running.write(&[(0, Native::Int(5))]).await, Outcome::Done);
    assert_eq!(peer.say("get DB1 0 2").await, "0005");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_unknown_and_ends_the_session() {
    let peer = Peer::node("s7_peer.js", &[]).await;
    let proxy = Proxy::start(peer.port()).await;
    let mut only_written = point("DB1.DBW0", "u16");
    only_written.access = guideway_contract::Access::Write;
    let mut running = Running::start(adapter(proxy.port(), &[only_written]));
    running.connected(SOON).await;
    proxy.set(Weather::Silent);
    let outcome = running.write(&[(0, Native::Int(5))]).await;
    assert!(matches!(&outcome, Outcome::Unknown(why) if why.contains("no answer came")), "{outcome:?}");
    running.disconnected(SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_does_not_say_who_it_is_is_read_all_the_same() {
    // It confirms the connection, sets up communication, answers jobs that read, and leaves user data alone.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                loop {
                    let mut frame = vec![0; 4];
                    if socket.read_exact(&mut frame).await.is_err() {
                        return;
                    }
                    let length = usize::from(u16::from_be_bytes([frame[2], frame[3]]));
                    frame.resize(length, 0);
                    socket.read_exact(&mut frame[4..]).await.unwrap();
                    let reply: Vec<u8> = match (frame[5], frame.get(8), frame.get(17)) {
                        (0xE0, ..) => vec![3, 0, 0, 11, 6, 0xD0, 0, 1, 0, 9, 0],
                        (0xF0, Some(1), Some(0xF0)) => {
                            let mut reply =
                                vec![3, 0, 0, 27, 2, 0xF0, 0x80, 0x32, 3, 0, 0, frame[11], frame[12]];
                            reply.extend([0, 8, 0, 0, 0, 0, 0xF0, 0, 0, 1, 0, 1, 0, 240]);
                            reply
                        }
                        (0xF0, Some(1), Some(4)) => {
                            let mut reply =
                                vec![3, 0, 0, 27, 2, 0xF0, 0x80, 0x32, 3, 0, 0, frame[11], frame[12]];
                            reply.extend([0, 2, 0, 6, 0, 0, 4, 1, 0xFF, 4, 0, 16, 0x12, 0x34]);
                            reply
                        }
                        _ => continue,
                    };
                    socket.write_all(&reply).await.unwrap();
                }
            });
        }
    });
    let mut running = Running::start(adapter(port, &[point("DB1.DBW0", "u16")]));
    running.value(0, &Native::Int(0x1234), SOON).await;
    running.stop().await;
    peer.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_and_a_missing_address_are_said() {
    for (address, why) in [("127.0.0.1", "refused"), ("", "no address")] {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut configured = config(free);
        configured.address = address.to_owned();
        let mut running = Running::start(S7::adapter(configured, points()));
        running.disconnected(SOON).await;
        tokio::time::timeout(Duration::from_secs(5), async {
            while running.health().last_error().is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        let error = running.health().last_error().unwrap();
        assert!(error.contains(why), "{error}");
        running.stop().await;
    }
}
