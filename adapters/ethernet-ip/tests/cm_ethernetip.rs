//! Against cm-ethernetip's tag server (PyPI), another implementation of EtherNet/IP: connected and unconnected messages,
//! packets, values, writes, and every kind of bad weather.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use guideway_contract::kit::{Peer, Running, trials};
use guideway_contract::{Access, Adapter, Native, Outcome, Period, PointId, PointSpec, Protocol as _};
use guideway_ethernet_ip::{Config, EthernetIp, Point};

const SOON: Duration = Duration::from_secs(10);

fn config(port: u16) -> Config {
    Config { address: "127.0.0.1".into(), port, ..Config::default() }
}

fn point(address: &str, data_type: &str) -> PointSpec<Point> {
    let period = Period::Every(Duration::from_millis(50));
    let access = if data_type.starts_with(['c', 'b']) && data_type != "bool" {
        Access::Read
    } else {
        Access::ReadWrite
    };
    PointSpec { period, access, ..PointSpec::new(address, data_type.parse().unwrap(), Point::default()) }
}

fn adapter(config: Config, points: &[(&str, &str)]) -> Box<dyn Adapter> {
    EthernetIp::adapter(config, points.iter().map(|(address, kind)| point(address, kind)).collect())
}

/// Tags T0, T1, ... whose value is their number.
fn numbered(config: Config, count: usize) -> Box<dyn Adapter> {
    EthernetIp::adapter(config, (0..count).map(|index| point(&format!("T{index}"), "auto")).collect())
}

fn is_its_number(point: PointId, value: &Native) -> bool {
    *value == Native::Int(i64::from(point.0))
}

const EACH: [(&str, &str, &str); 14] = [
    ("Flag", "auto", "true"),
    ("Small", "auto", "-5"),
    ("Short", "i16", "-1234"),
    ("Rate", "auto", "1500"),
    ("Long", "i64", "-1099511627776"),
    ("Temperature", "f32", "72.5"),
    ("Precise", "auto", "0.1"),
    ("Counts[7]", "auto", "7"),
    ("Counts", "i16[3]", "[0, 1, 2]"),
    ("Rate.2", "bool", "true"),
    ("Flags[37]", "bool", "true"),
    ("Flags", "bool[3]", "[true, false, false]"),
    ("Flags", "bits[64]", "0100008020000000"),
    ("Program:Main.Cycle", "auto", "77"),
];

async fn reads_each_type(config: Config) {
    let points = EACH.map(|(address, kind, _)| (address, kind));
    let mut running = Running::start(adapter(config, &points));
    let readings = running.all(points.len(), SOON).await;
    for (reading, (address, kind, wanted)) in readings.iter().zip(EACH) {
        assert_eq!(reading.value.to_string(), wanted, "{address} as {kind}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_each_type_over_a_connection_and_without() {
    let peer = Peer::python("eip_peer.py", &[]).await;
    reads_each_type(config(peer.port())).await;
    reads_each_type(Config { connected: false, ..config(peer.port()) }).await;
    reads_each_type(Config { max_batch: 1, ..config(peer.port()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_larger_than_a_reply_is_read_in_pieces() {
    let peer = Peer::python("eip_peer.py", &[]).await;
    let mut running =
        Running::start(adapter(config(peer.port()), &[("Curve", "f32[600]"), ("Rate", "auto")]));
    let readings = running.all(2, SOON).await;
    let Native::List(curve) = &readings[0].value else { panic!("{:?}", readings[0]) };
    assert_eq!(curve.len(), 600);
    assert_eq!((&curve[0], &curve[599]), (&Native::Float(0.0), &Native::Float(149.75)));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_acknowledged_and_found_in_the_peer() {
    let mut peer = Peer::python("eip_peer.py", &[]).await;
    let points = [
        ("Rate", "auto"),
        ("Temperature", "f32"),
        ("Flag", "bool"),
        ("Short.3", "bool"),
        ("Counts", "i16[100]"),
    ];
    let mut running = Running::start(adapter(config(peer.port()), &points));
    running.connected(SOON).await;
    let outcome = running
        .write(&[
            (0, Native::Int(42)),
            (1, Native::Float(1.25)),
            (2, Native::Bool(false)),
            (3, Native::Bool(true)),
        ])
        .await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(peer.say("get Rate").await, "42");
    assert_eq!(peer.say("get Temperature").await, "1.25");
    assert_eq!(peer.say("get Flag").await, "0");
    // -1234 has bit 3 set already: 0xFB2E.
    assert_eq!(peer.say("get Short").await, "-1234");
    assert_eq!(running.write(&[(3, Native::Bool(false))]).await, Outcome::Done);
    assert_eq!(peer.say("get Short").await, "-1242");
    running.value(0, &Native::Int(42), SOON).await;
    let ninety: Native = Native::List((0..100).map(|index| Native::Int(90 - index)).collect());
    assert_eq!(running.write(&[(4, ninety)]).await, Outcome::Done);
    assert!(peer.say("get Counts").await.starts_with("90 89 88"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_before_anything_is_written() {
    let mut peer = Peer::python("eip_peer.py", &[]).await;
    let mut points =
        vec![point("Rate", "auto"), point("Short", "auto"), point("Nothing", "auto"), point("Flag", "auto")];
    points[3].access = Access::Read;
    let mut running = Running::start(EthernetIp::adapter(config(peer.port()), points));
    running.connected(SOON).await;
    for second in
        [(1, Native::Int(40_000)), (2, Native::Int(1)), (3, Native::Bool(true)), (9, Native::Int(1))]
    {
        let outcome = running.write(&[(0, Native::Int(1)), second.clone()]).await;
        assert!(matches!(outcome, Outcome::Refused(_)), "{second:?}: {outcome:?}");
    }
    assert_eq!(peer.say("get Rate").await, "1500");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_tags_are_read_in_few_requests() {
    let mut peer = Peer::python("eip_peer.py", &["2000"]).await;
    let mut running = Running::start(numbered(config(peer.port()), 2_000));
    for reading in running.all(2_000, SOON).await {
        assert!(is_its_number(reading.point, &reading.value), "{reading:?}");
    }
    running.stop().await;
    let requests: usize = peer.say("requests").await.parse().unwrap();
    assert!(requests >= 2_000, "each is counted in its packet: {requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_tag_among_a_hundred_is_bad_alone_and_comes_back() {
    let peer = Peer::python("eip_peer.py", &["100"]).await;
    let mut points: Vec<_> = (0..100).map(|index| point(&format!("T{index}"), "auto")).collect();
    points.push(point("Missing", "auto"));
    points.push(point("not a tag", "auto"));
    let mut running = Running::start(EthernetIp::adapter(config(peer.port()), points));
    let readings = running.all(102, SOON).await;
    assert!(readings[..100].iter().all(|reading| is_its_number(reading.point, &reading.value)));
    let Native::Bad(cause) = &readings[100].value else { panic!("{:?}", readings[100]) };
    assert!(cause.starts_with("no tag, member or element `Missing`"), "{cause}");
    let Native::Bad(cause) = &readings[101].value else { panic!("{:?}", readings[101]) };
    assert!(cause.contains("write a tag such as"), "{cause}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_listed_with_their_types() {
    // This server answers for the first page of its tags only; `controller.rs` has more than one.
    let peer = Peer::python("eip_peer.py", &[]).await;
    let mut adapter = EthernetIp::adapter(config(peer.port()), Vec::new());
    let found = adapter.browse("").await.unwrap();
    let of = |name: &str| found.iter().find(|found| found.address == name).and_then(|found| found.data_type);
    assert_eq!(of("Rate"), "i32".parse().ok());
    assert_eq!(of("Counts"), "i16[100]".parse().ok());
    assert_eq!(of("Flags"), "bool[64]".parse().ok());
    assert_eq!(of("Precise"), "f64".parse().ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_told_with_the_address() {
    let mut running = Running::start(numbered(config(1), 1));
    running.disconnected(SOON).await;
    let outcome = running.write(&[(0, Native::Int(1))]).await;
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_restarts_of_the_controller() {
    let mut peer = Peer::python("eip_peer.py", &["20"]).await;
    trials::restarts(|port| numbered(config(port), 20), &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_slowness_and_answers_to_the_previous_request() {
    let peer = Peer::python("eip_peer.py", &["20"]).await;
    let make = |port| numbered(Config { timeout: Duration::from_millis(500), ..config(port) }, 20);
    trials::weather(make, &peer, is_its_number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_without_a_connection() {
    let peer = Peer::python("eip_peer.py", &["20"]).await;
    let make = |port| {
        let timeout = Duration::from_millis(500);
        numbered(Config { connected: false, max_batch: 4, timeout, ..config(port) }, 20)
    };
    trials::weather(make, &peer, is_its_number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_with_mutated_replies() {
    let peer = Peer::python("eip_peer.py", &["20"]).await;
    let make = |port| numbered(Config { timeout: Duration::from_millis(200), ..config(port) }, 20);
    trials::mutated(make, &peer, 1_000).await;
}
