//! Modbus TCP against pymodbus: values, writes, large reads, refusals, browsing.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

use std::time::Duration;

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Fault, Native, Outcome, Period, PointSpec, Protocol, Quality};
use guideway_modbus::{ByteOrder, Config, Framing, HalfByte, Modbus, Point};

const SOON: Duration = Duration::from_secs(10);

fn config(port: u16) -> Config {
    Config { address: "127.0.0.1".into(), port, ..Config::default() }
}

fn point(address: &str, data_type: &str) -> PointSpec<Point> {
    let mut spec = PointSpec::new(address, data_type.parse().unwrap(), Point::default());
    spec.period = Period::Every(Duration::from_millis(50));
    spec.access = if address.starts_with("holding") || address.starts_with("coil") {
        Access::ReadWrite
    } else {
        Access::Read
    };
    spec
}

fn ordered(address: &str, data_type: &str, order: ByteOrder) -> PointSpec<Point> {
    let own = Point { byte_order: Some(order), ..Point::default() };
    PointSpec { own, ..point(address, data_type) }
}

fn start(config: Config, points: Vec<PointSpec<Point>>) -> Running {
    for point in &points {
        assert_eq!(Modbus::check_point(&config, point), [], "{}", point.address);
    }
    Running::start(Modbus::adapter(config, points))
}

async fn texts(running: &mut Running, count: usize) -> Vec<String> {
    running.all(count, SOON).await.into_iter().map(|reading| reading.value.to_string()).collect()
}

fn list(values: &[i64]) -> Native {
    Native::List(values.iter().map(|value| Native::Int(*value)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_type_are_read() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    for line in [
        "set 1 input 0 65535 17254 39322 39322 17254 39577 26179",
        "set 1 input 10 258 772 1286 1800",
        "set 1 input 20 4660 22136 18501 27756 28448",
        "set 1 input 30 16373 21845 21845 21845",
        "set 1 input 40 65535 65535 65535 65535 32769 2",
    ] {
        assert_eq!(peer.say(line).await, "ok");
    }
    let mut high = point("input:10", "u8");
    high.own.byte = Some(HalfByte::High);
    let cases = [
        (point("input:0", "i16"), "-1"),
        (point("input:0", "u16"), "65535"),
        (point("30002", "f32"), "230.6"),
        (ordered("input:3", "f32", ByteOrder::CDAB), "230.6"),
        (ordered("input:5", "f32", ByteOrder::DCBA), "230.6"),
        (point("input:10", "u32"), "16909060"),
        (ordered("input:10", "u32", ByteOrder::CDAB), "50594050"),
        (ordered("input:10", "u32", ByteOrder::BADC), "33620995"),
        (ordered("input:10", "u32", ByteOrder::DCBA), "67305985"),
        (point("input:10", "u64"), "72623859790382856"),
        (ordered("input:10", "i64", ByteOrder::DCBA), "578437695752307201"),
        (point("input:10", "u8"), "2"),
        (high, "1"),
        (point("input:10", "u8[8]"), "[1, 2, 3, 4, 5, 6, 7, 8]"),
        (point("input:10", "u16[4]"), "[258, 772, 1286, 1800]"),
        (point("input:10", "bytes[5]"), "0102030405"),
        (point("input:20", "bcd4"), "1234"),
        (point("input:20", "bcd8"), "12345678"),
        (point("input:22", "string[6]"), "HEllo"),
        (point("input:30", "f64"), "1.3333333333333333"),
        (point("input:40", "i64"), "-1"),
        (point("input:40", "u64"), "18446744073709551615"),
        (point("input:44.0", "bool"), "true"),
        (point("input:44.1", "bool"), "false"),
        (point("input:44.15", "bool[3]"), "[true, false, true]"),
        (point("input:44", "bits[20]"), "018002"),
        (point("input:0", "bool"), "true"),
        (point("coil:0", "bool"), "false"),
        (point("coil:0", "bool[6]"), "[false, false, true, false, false, true]"),
        (point("discrete:2", "bool"), "true"),
        (point("discrete:0", "bits[12]"), "2409"),
        (point("holding:9000", "auto"), "63001"),
    ];
    let (points, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let names: Vec<_> = points.iter().map(|point| format!("{} {}", point.address, point.data_type)).collect();
    let mut running = start(config(peer.port()), points);
    let found = texts(&mut running, expected.len()).await;
    for ((name, found), expected) in names.iter().zip(&found).zip(&expected) {
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(running.health().counters.faults(Fault::Rejected), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_arrive_as_they_are_and_are_acknowledged() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    let mut multiple = point("holding:300", "u16");
    multiple.own.write_single = Some(false);
    let mut high = point("holding:320", "i8");
    high.own.byte = Some(HalfByte::High);
    let points = vec![
        point("holding:100", "u16"),
        ordered("holding:110", "i32", ByteOrder::CDAB),
        point("holding:120", "f32"),
        point("holding:130", "string[7]"),
        point("holding:140", "u16[3]"),
        point("coil:30", "bool"),
        point("coil:40", "bool[10]"),
        multiple,
        point("holding:310.5", "bool"),
        high,
        point("holding:330", "bcd8"),
    ];
    let mut running = start(config(peer.port()), points);
    running.connected(SOON).await;
    let bits = Native::List((0..10).map(|at| Native::Bool(at % 2 == 0)).collect());
    for (at, value, question, wanted) in [
        (0, Native::Int(4711), "get 1 holding 100 1", "4711"),
        (1, Native::Int(-2), "get 1 holding 110 2", "65534 65535"),
        (2, Native::Float(230.6), "get 1 holding 120 2", "17254 39322"),
        (3, Native::text("Hello"), "get 1 holding 130 4", "18533 27756 28416 0"),
        (4, list(&[1, 2, 65_535]), "get 1 holding 140 3", "1 2 65535"),
        (5, Native::Bool(true), "get 1 coil 30 1", "true"),
        (6, bits, "get 1 coil 40 10", "true false true false true false true false true false"),
        (7, Native::Int(7), "get 1 holding 300 1", "7"),
        (8, Native::Bool(true), "get 1 holding 310 1", &((7 * 310 + 1) | 32).to_string()),
        (9, Native::Int(-1), "get 1 holding 320 1", &((7 * 320 + 1) | 0xFF00).to_string()),
        (10, Native::Int(12_345_678), "get 1 holding 330 2", "4660 22136"),
    ] {
        assert_eq!(running.write(&[(at, value.clone())]).await, Outcome::Done, "point {at}");
        assert_eq!(peer.say(question).await, wanted, "point {at}");
        running.value(at, &if at == 2 { Native::Float(230.6) } else { value }, SOON).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_refused_before_anything_is_sent() {
    let mut peer = Peer::python("modbus_peer.py", &["mask=no"]).await;
    peer.say("bad 1 holding 20").await;
    let points = vec![
        point("holding:0", "u16"),
        point("input:0", "u16"),
        point("holding:20", "u16"),
        point("holding:30.1", "bool"),
    ];
    let mut running = start(config(peer.port()), points);
    running.connected(SOON).await;
    for writes in [
        vec![(0, Native::Int(5)), (1, Native::Int(1))],
        vec![(0, Native::Int(5)), (0, Native::Int(65_536))],
        vec![(0, Native::Int(5)), (77, Native::Int(1))],
    ] {
        let Outcome::Refused(why) = running.write(&writes).await else { panic!("{writes:?}") };
        assert!(!why.is_empty());
        assert_eq!(peer.say("get 1 holding 0 1").await, "1", "{why}");
    }
    // The machine's own refusals.
    let Outcome::Refused(why) = running.write(&[(2, Native::Int(1))]).await else { panic!("not refused") };
    assert!(why.contains("exception 2"), "{why}");
    let Outcome::Refused(why) = running.write(&[(3, Native::Bool(true))]).await else {
        panic!("not refused")
    };
    assert!(why.contains("function 22"), "{why}");
    assert_eq!(running.write(&[(0, Native::Int(9))]).await, Outcome::Done);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_points_are_read_in_requests_within_the_limits() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    let points: Vec<_> = (0..4_000)
        .map(|at| {
            let mut spec = point(&format!("holding:{}", 2 * at), "u16");
            spec.period = Period::Once;
            spec
        })
        .collect();
    let mut running = start(Config { max_registers: 100, ..config(peer.port()) }, points);
    for (at, reading) in running.all(4_000, SOON).await.into_iter().enumerate() {
        let value = (14 * i64::try_from(at).unwrap() + 1) % 65_536;
        assert_eq!(reading.value, Native::Int(value), "point {at}");
    }
    assert!(peer.say("most").await.parse::<u16>().unwrap() <= 100);
    let requests: u32 = peer.say("requests").await.parse().unwrap();
    assert!(requests <= 81, "{requests} requests for 8,000 registers");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_point_does_not_keep_a_hundred_good_ones_from_being_read() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    peer.say("bad 1 holding 37").await;
    let mut points: Vec<_> = (0..101).map(|at| point(&format!("holding:{at}"), "u16")).collect();
    points.push(PointSpec { address: "nowhere:1".into(), ..point("holding:0", "u16") });
    let mut running = Running::start(Modbus::adapter(config(peer.port()), points));
    for (at, reading) in running.all(102, SOON).await.into_iter().enumerate() {
        match at {
            37 => assert!(reading.value.to_string().contains("does not have this address"), "{reading:?}"),
            101 => assert!(reading.value.to_string().contains("no such table"), "{reading:?}"),
            _ => assert_eq!(reading.value, Native::Int(7 * i64::try_from(at).unwrap() + 1)),
        }
        assert_eq!(reading.quality, if reading.value.is_bad() { Quality::Bad } else { Quality::Good });
    }
    // From now on each turn takes two requests: left and right of the bad one.
    running.latest(0).await;
    running.waiting(100);
    let before: usize = peer.say("requests").await.parse().unwrap();
    for _ in 0..10 {
        running.latest(100).await;
    }
    let after: usize = peer.say("requests").await.parse().unwrap();
    let turns = 10 + running.waiting(100);
    assert!(after - before <= 2 * turns + 6, "{} requests in {turns} turns", after - before);
    assert_eq!(running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_its_gateway_cannot_reach_is_dead_and_a_busy_one_is_not() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    let mut running = start(config(peer.port()), vec![point("holding:0", "u16")]);
    running.connected(SOON).await;
    peer.say("fail 1 6").await;
    let reading = running.reading(0, tokio::time::Instant::now() + SOON, Native::is_bad).await;
    assert!(reading.value.to_string().contains("busy"), "{reading:?}");
    peer.say("fail 1 0").await;
    running.value(0, &Native::Int(1), SOON).await;
    assert_eq!(running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
    peer.say("fail 1 11").await;
    running.disconnected(SOON).await;
    peer.say("fail 1 0").await;
    running.connected(SOON).await;
    running.value(0, &Native::Int(1), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_machine_is_noticed_though_nothing_is_to_be_read() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    let mut once = point("holding:0", "u16");
    once.period = Period::Once;
    let mut running = start(config(peer.port()), vec![once]);
    running.value(0, &Native::Int(1), SOON).await;
    peer.say("dead 1").await;
    running.disconnected(SOON).await;
    peer.say("alive 1").await;
    running.connected(SOON).await;
    running.value(0, &Native::Int(1), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_of_other_units_are_read_and_rtu_frames_go_over_tcp_too() {
    let peer = Peer::python("modbus_peer.py", &["units=1,2", "rtu"]).await;
    let mut other = point("holding:5", "u16");
    other.own.unit = Some(2);
    let config = Config { framing: Some(Framing::Rtu), ..config(peer.port()) };
    let mut running = start(config, vec![point("holding:5", "u16"), other]);
    assert_eq!(texts(&mut running, 2).await, ["36", "37"]);
    assert_eq!(running.write(&[(1, Native::Int(5))]).await, Outcome::Done);
    running.value(1, &Native::Int(5), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsing_a_range_lists_what_is_there() {
    let mut peer = Peer::python("modbus_peer.py", &["units=1,2"]).await;
    for bad in ["bad 2 holding 13", "bad 2 holding 14", "bad 2 holding 90"] {
        peer.say(bad).await;
    }
    peer.say("set 2 holding 0 17254 39322").await;
    let url = format!("modbus://127.0.0.1:{}?unit=2&range=holding:0-99", peer.port());
    let mut config = Config::default();
    Modbus::set_address(&mut config, &url).unwrap();
    let mut adapter = Modbus::adapter(config, Vec::new());
    let found = adapter.browse(&url).await.unwrap();
    assert_eq!(found.len(), 97);
    assert_eq!((found[0].address.as_str(), found[0].value.as_str()), ("holding:0", "17254"));
    assert!(found[0].note.contains("f32 230.6"), "{}", found[0].note);
    assert_eq!((found[13].address.as_str(), found[13].value.as_str()), ("holding:15", "107"));
    assert!(found[0].writable && !found[0].folder);
    let requests: u32 = peer.say("requests").await.parse().unwrap();
    assert!(requests <= 40, "{requests} requests");
    let tables = adapter.browse("").await.unwrap();
    assert_eq!(tables.len(), 4);
    assert!(tables.iter().all(|table| table.folder));
    let coils = adapter.browse(&tables[0].address).await.unwrap();
    assert_eq!((coils.len(), coils[1].value.as_str()), (200, "true"));
    assert!(adapter.browse("holding:7-1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_turn_does_not_hold_up_a_short_one() {
    let peer = Peer::python("modbus_peer.py", &[]).await;
    // 200 requests a second at most: the slow points take a second, again and again.
    let mut points = vec![point("holding:0", "u16")];
    points.extend((0..200).map(|at| {
        let mut slow = point(&format!("input:{}", 40 * at), "u16");
        slow.period = Period::Every(Duration::from_millis(500));
        slow
    }));
    let config = Config { min_gap: Duration::from_millis(5), ..config(peer.port()) };
    let mut running = start(config, points);
    let before = running.all(201, SOON).await;
    let mut fast = 0;
    let until = tokio::time::Instant::now() + Duration::from_secs(2);
    while let Ok(Some(signal)) = tokio::time::timeout_at(until, running.collector.next()).await {
        if let guideway_contract::Signal::Raw(batch) = signal {
            fast += batch.readings.iter().filter(|reading| reading.point.0 == 0).count();
        }
    }
    assert_eq!(before[200].value, Native::Int(7 * 7_960 + 1));
    assert!(fast > 5, "{fast} readings of a point that is due 40 times in two seconds");
    running.stop().await;
}
