//! Restarts, bad weather, mutated replies, silence.

use std::time::Duration;

use crate::points::{SOON, adapter, config, point};
use guideway_contract::kit::{Peer, Proxy, Running, Weather, trials};
use guideway_contract::{Native, Outcome, PointId, PointSpec, Protocol as _};
use guideway_s7::{Point, S7};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

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
async fn a_write_waits_for_one_request_and_not_for_the_turn() {
    let peer = Peer::node("s7_peer.js", &[]).await;
    let proxy = Proxy::start(peer.port()).await;
    let far: Vec<_> = (0..300).map(|index| point(&format!("DB2.{}", index * 150), "u8")).collect();
    let mut running = Running::start(adapter(proxy.port(), &far));
    running.connected(SOON).await;
    proxy.set(Weather::Slow(Duration::from_millis(200)));
    // A turn is fifteen requests, three seconds.
    running.collector.drain();
    running.latest(0).await;
    let start = tokio::time::Instant::now();
    assert_eq!(running.write(&[(299, Native::Int(5))]).await, Outcome::Done);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    running.stop().await;
}

/// A controller of few words: it confirms connections, grants PDUs of 240 bytes, answers jobs that read one word
/// with 0x1234, refuses those with more items, and does not answer user data at all.
async fn curt() -> (u16, tokio::task::AbortHandle) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("a port").port();
    let peer = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(converse(socket));
        }
    });
    (port, peer.abort_handle())
}

async fn converse(mut socket: TcpStream) -> std::io::Result<()> {
    loop {
        let mut frame = vec![0; 4];
        socket.read_exact(&mut frame).await?;
        frame.resize(usize::from(u16::from_be_bytes([frame[2], frame[3]])).max(18), 0);
        socket.read_exact(&mut frame[4..]).await?;
        let answer = |body: &[u8]| {
            let length = u8::try_from(13 + body.len()).unwrap_or(u8::MAX);
            [&[3, 0, 0, length, 2, 0xF0, 0x80, 0x32, 3, 0, 0, frame[11], frame[12]], body].concat()
        };
        let reply = match (frame[5], frame[8], frame[17], frame.get(18)) {
            (0xE0, ..) => vec![3, 0, 0, 11, 6, 0xD0, 0, 1, 0, 9, 0],
            (_, 1, 0xF0, _) => answer(&[0, 8, 0, 0, 0, 0, 0xF0, 0, 0, 1, 0, 1, 0, 240]),
            (_, 1, 4, Some(1)) => answer(&[0, 2, 0, 6, 0, 0, 4, 1, 0xFF, 4, 0, 16, 0x12, 0x34]),
            (_, 1, 4, _) => answer(&[0, 0, 0, 0, 0x85, 0]),
            _ => continue,
        };
        socket.write_all(&reply).await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_tells_nothing_of_itself_and_takes_single_items_only_is_read_all_the_same() {
    let (port, peer) = curt().await;
    let points = [point("DB1.DBW0", "u16"), point("DB1.DBW500", "u16"), point("DB2.DBW0", "u16")];
    let mut running = Running::start(adapter(port, &points));
    for reading in running.all(points.len(), SOON).await {
        assert_eq!(reading.value, Native::Int(0x1234));
    }
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
