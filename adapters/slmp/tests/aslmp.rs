//! Against aslmp's simulator of controllers (PyPI), another implementation of SLMP, with 3E and 4E frames.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use guideway_contract::kit::{Peer, Proxy, Running, Weather, trials};
use guideway_contract::{Access, Adapter, Native, Outcome, Period, PointId, PointSpec, Protocol as _};
use guideway_slmp::{Config, Frame, Point, Series, Slmp};

const SOON: Duration = Duration::from_secs(10);

fn config(port: u16, frame: Frame) -> Config {
    let timeout = Duration::from_millis(800);
    let monitoring_timer = Duration::from_millis(250);
    Config { address: "127.0.0.1".into(), port, frame, timeout, monitoring_timer, ..Config::default() }
}

fn point(address: &str, data_type: &str) -> PointSpec<Point> {
    let period = Period::Every(Duration::from_millis(50));
    PointSpec { period, ..PointSpec::new(address, data_type.parse().unwrap(), Point::default()) }
}

fn writable(address: &str, data_type: &str) -> PointSpec<Point> {
    PointSpec { access: Access::ReadWrite, ..point(address, data_type) }
}

/// Words whose value is the number of their point: neighbours, and scattered ones.
fn numbered(config: Config) -> Box<dyn Adapter> {
    let address =
        |index: usize| if index < 20 { format!("D{index}") } else { format!("D{}", (index - 19) * 200) };
    Slmp::adapter(config, (0..30).map(|index| point(&address(index), "u16")).collect())
}

async fn numbered_peer(frame: &str) -> Peer {
    let mut peer = Peer::python("slmp_peer.py", &[frame]).await;
    fill(&mut peer).await;
    peer
}

async fn fill(peer: &mut Peer) {
    let row: Vec<String> = (0..20).map(|index| index.to_string()).collect();
    assert_eq!(peer.say(&format!("set D 0 {}", row.join(" "))).await, "ok");
    for index in 20..30 {
        assert_eq!(peer.say(&format!("set D {} {index}", (index - 19) * 200)).await, "ok");
    }
}

fn is_its_number(point: PointId, value: &Native) -> bool {
    *value == Native::Int(i64::from(point.0))
}

/// Why the session ended; it is noted just after the end was told.
async fn ended(running: &mut Running) -> String {
    running.disconnected(SOON).await;
    let noted = async {
        loop {
            if let Some(why) = running.health().last_error() {
                return why;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, noted).await.unwrap()
}

const EACH: [(&str, &str, &str); 22] = [
    ("D100", "auto", "-2"),
    ("D100", "u16", "65534"),
    ("D101", "i32", "-305419896"),
    ("D103", "u32", "4000000000"),
    ("D105", "f32", "1234.5"),
    ("D107", "f64", "0.1"),
    ("D111", "bcd4", "1234"),
    ("D112", "string[10]", "PART-77"),
    ("D117", "i16[3]", "[1, -1, 7]"),
    ("D120.A", "bool", "true"),
    ("D120.B", "bool", "false"),
    ("D120", "bits[16]", "0104"),
    ("W1F", "u16", "31"),
    ("ZR5", "auto", "(`ZR5`: this device cannot be read or written here (end code C05B))"),
    ("M100", "bool", "true"),
    ("M100", "bool[3]", "[true, false, true]"),
    ("M96", "u16", "80"),
    ("X1A", "bool", "true"),
    ("B1F", "bool", "true"),
    ("TN3", "u16", "42"),
    ("T3", "bool", "true"),
    ("SD203", "auto", "0"),
];

async fn preset(peer: &mut Peer) {
    let f64_words: Vec<String> = 0.1_f64
        .to_le_bytes()
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]).to_string())
        .collect();
    let lines = [
        "set D 100 -2",
        "set D 101 0xA988 0xEDCB",
        "set D 103 0x2800 0xEE6B",
        "set D 105 0x5000 0x449A",
        &format!("set D 107 {}", f64_words.join(" ")),
        "set D 111 0x1234",
        "set D 112 0x4150 0x5452 0x372D 0x0037 0",
        "set D 117 1 -1 7",
        "set D 120 0x0401",
        "set W 31 31",
        "on M 100",
        "on M 102",
        "on X 26",
        "on B 31",
        "set TN 3 42",
        "on TS 3",
    ];
    for line in lines {
        assert_eq!(peer.say(line).await, "ok", "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_each_type_with_either_frame() {
    for (name, frame) in [("3e", Frame::E3), ("4e", Frame::E4)] {
        let mut peer = Peer::python("slmp_peer.py", &[name]).await;
        preset(&mut peer).await;
        for max_random in [0, 96] {
            let config = Config { max_random, ..config(peer.port(), frame) };
            let points = EACH.iter().map(|(address, kind, _)| point(address, kind)).collect();
            let mut running = Running::start(Slmp::adapter(config, points));
            let readings = running.all(EACH.len(), SOON).await;
            for (reading, (address, kind, wanted)) in readings.iter().zip(EACH) {
                assert_eq!(reading.value.to_string(), wanted, "{address} as {kind}, {name}, {max_random}");
            }
            assert_eq!(running.health().property("model").as_deref(), Some("R04CPU"));
            running.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_an_fx5_are_octal() {
    let mut peer = Peer::python("slmp_peer.py", &["3e", "fx5u-32mt-ds"]).await;
    assert_eq!(peer.say("on Y 16").await, "ok");
    assert_eq!(peer.say("set R 100 7").await, "ok");
    let config = Config { series: Series::IqF, ..config(peer.port(), Frame::E3) };
    let points = vec![point("Y20", "bool"), point("Y17", "bool"), point("R100", "u16"), point("V0", "bool")];
    let mut running = Running::start(Slmp::adapter(config, points));
    let readings = running.all(4, SOON).await;
    let values: Vec<String> = readings.iter().map(|reading| reading.value.to_string()).collect();
    assert_eq!(values[..3], ["true", "false", "7"]);
    assert!(values[3].contains("C05C"), "{values:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn six_thousand_words_are_read_in_rows_of_960() {
    let mut peer = Peer::python("slmp_peer.py", &["4e"]).await;
    for start in (0..6_000).step_by(500) {
        let row: Vec<String> = (start..start + 500).map(|value| value.to_string()).collect();
        assert_eq!(peer.say(&format!("set D {start} {}", row.join(" "))).await, "ok");
    }
    let mut points: Vec<_> = (0..6_000).map(|index| point(&format!("D{index}"), "u16")).collect();
    points.push(point("D0", "u16[5000]"));
    points.iter_mut().for_each(|point| point.period = Period::Once);
    let mut running = Running::start(Slmp::adapter(config(peer.port(), Frame::E4), points));
    let readings = running.all(6_001, SOON).await;
    assert!(readings[..6_000].iter().all(|reading| is_its_number(reading.point, &reading.value)));
    let Native::List(all) = &readings[6_000].value else { panic!("{:?}", readings[6_000].value) };
    assert_eq!((all.len(), &all[4_999]), (5_000, &Native::Int(4_999)));
    let seen: Vec<usize> =
        peer.say("requests").await.split(' ').map(|number| number.parse().unwrap()).collect();
    // 7 for the row, 6 for the array, 1 for the name; 960 words and what is around them.
    assert_eq!(seen[0], 14, "{seen:?}");
    assert!(seen[1] <= 960 * 2 + 15, "{seen:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_takes_less_than_its_family_is_asked_for_less() {
    let mut peer = Peer::python("slmp_peer.py", &["4e", "r04cpu", "little"]).await;
    let mut points: Vec<_> = (0..400).map(|index| point(&format!("D{index}"), "u16")).collect();
    points.extend((0..30).map(|index| point(&format!("D{}", 1_000 + 100 * index), "u16")));
    points.push(point("D5000", "u16[300]"));
    let count = points.len();
    let row: Vec<String> = (0..400).map(|index| index.to_string()).collect();
    assert_eq!(peer.say(&format!("set D 0 {}", row.join(" "))).await, "ok");
    let mut running = Running::start(Slmp::adapter(config(peer.port(), Frame::E4), points));
    for _ in 0..4 {
        let readings = running.all(count, SOON).await;
        assert!(readings[..400].iter().all(|reading| is_its_number(reading.point, &reading.value)));
        assert!(readings[400..].iter().all(|reading| !reading.value.is_bad()), "{:?}", &readings[400..]);
    }
    running.waiting(0);
    peer.say("requests").await;
    for _ in 0..5 {
        running.latest(0).await;
    }
    // 4 rows of 100 words, 3 of the array, 5 times 7 scattered words or less: no request is in vain any more.
    let asked: usize = peer.say("requests").await.split(' ').next().unwrap().parse().unwrap();
    let turns = 5 + running.waiting(0);
    assert!(asked <= (turns + 2) * 12, "{asked} in {turns} turns");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scattered_words_are_read_with_one_request() {
    let mut peer = numbered_peer("3e").await;
    let mut points: Vec<_> =
        (20..30).map(|index| point(&format!("D{}", (index - 19) * 200), "u16")).collect();
    points.iter_mut().for_each(|point| point.period = Period::Once);
    let mut running = Running::start(Slmp::adapter(config(peer.port(), Frame::E3), points));
    for reading in running.all(10, SOON).await {
        assert_eq!(reading.value, Native::Int(20 + i64::from(reading.point.0)));
    }
    assert!(peer.say("requests").await.starts_with("2 "));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_device_among_a_hundred_is_bad_alone_and_is_not_asked_for_each_time() {
    let mut peer = Peer::python("slmp_peer.py", &["3e"]).await;
    let mut points: Vec<_> = (0..100).map(|index| point(&format!("D{}", 18_332 + index), "u16")).collect();
    // The last of this controller's words is D18431.
    points.push(point("D18432", "u16"));
    points.push(point("no device", "u16"));
    let mut running = Running::start(Slmp::adapter(config(peer.port(), Frame::E3), points));
    let readings = running.all(102, SOON).await;
    assert!(readings[..100].iter().all(|reading| reading.value == Native::Int(0)));
    assert!(readings[100].value.to_string().contains("beyond the range of the device (end code C056)"));
    assert!(readings[101].value.to_string().contains("write a device such as D100"));
    running.all(101 - 1, SOON).await;
    running.waiting(100);
    peer.say("requests").await;
    for _ in 0..10 {
        let next = running.latest(100).await;
        assert!(next.value.is_bad(), "{next:?}");
    }
    let asked: usize = peer.say("requests").await.split(' ').next().unwrap().parse().unwrap();
    let turns = 10 + running.waiting(100);
    assert!(asked <= turns + 3, "one request a turn, not {asked} for {turns}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_acknowledged_and_found_in_the_peer() {
    for (name, frame) in [("3e", Frame::E3), ("4e", Frame::E4)] {
        let mut peer = Peer::python("slmp_peer.py", &[name]).await;
        let points = vec![
            writable("D10", "i16"),
            writable("D11", "f32"),
            writable("D13", "string[5]"),
            writable("M100", "bool"),
            writable("M110", "bool[3]"),
            writable("D20", "u32[2]"),
            writable("M160", "u16"),
        ];
        let mut running = Running::start(Slmp::adapter(config(peer.port(), frame), points));
        running.connected(SOON).await;
        let outcome = running
            .write(&[
                (0, Native::Int(-7)),
                (1, Native::Float(1_234.5)),
                (2, Native::text("OK")),
                (3, Native::Bool(true)),
                (4, Native::List([true, false, true].map(Native::Bool).into())),
                (5, Native::List([Native::Int(1), Native::Int(4_000_000_000)].into())),
                (6, Native::Int(5)),
            ])
            .await;
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(peer.say("get D 10 6").await, "65529 20480 17562 19279 0 0");
        assert_eq!(peer.say("get D 20 4").await, "1 0 10240 61035");
        assert_eq!(peer.say("get M 160 1").await, "5");
        for (bit, set) in [(100, "1"), (101, "0"), (110, "1"), (111, "0"), (112, "1")] {
            assert_eq!(peer.say(&format!("bit M {bit}")).await, set, "M{bit}");
        }
        running.value(0, &Native::Int(-7), SOON).await;
        running.value(2, &Native::text("OK"), SOON).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_refused() {
    let mut peer = Peer::python("slmp_peer.py", &["3e"]).await;
    let points = vec![
        writable("D10", "i16"),
        point("D11", "i16"),
        writable("D12.3", "bool"),
        writable("D99999", "i16"),
    ];
    let mut running = Running::start(Slmp::adapter(config(peer.port(), Frame::E3), points));
    running.connected(SOON).await;
    for (write, why) in [
        ((0, Native::Int(40_000)), "does not fit"),
        ((1, Native::Int(1)), "not writable"),
        ((2, Native::Bool(true)), "no single bit"),
        ((7, Native::Int(1)), "no point"),
    ] {
        let outcome = running.write(&[(0, Native::Int(1)), write]).await;
        assert!(matches!(&outcome, Outcome::Refused(found) if found.contains(why)), "{outcome:?}");
    }
    assert_eq!(peer.say("get D 10 1").await, "0");
    let outcome = running.write(&[(0, Native::Int(1)), (3, Native::Int(1))]).await;
    assert!(
        matches!(&outcome, Outcome::Refused(why) if why.contains("C056") && why.contains("1 of 2")),
        "{outcome:?}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_not_answered_has_an_unknown_outcome() {
    let peer = Peer::python("slmp_peer.py", &["3e"]).await;
    let proxy = Proxy::start(peer.port()).await;
    let mut once = writable("D10", "i16");
    once.period = Period::Once;
    let mut running = Running::start(Slmp::adapter(config(proxy.port(), Frame::E3), vec![once]));
    running.value(0, &Native::Int(0), SOON).await;
    proxy.set(Weather::Silent);
    let outcome = running.write(&[(0, Native::Int(1))]).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    running.disconnected(SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_link_that_dies_is_noticed() {
    let peer = Peer::python("slmp_peer.py", &["3e"]).await;
    let proxy = Proxy::start(peer.port()).await;
    let mut once = point("D10", "i16");
    once.period = Period::Once;
    let mut running = Running::start(Slmp::adapter(config(proxy.port(), Frame::E3), vec![once]));
    running.value(0, &Native::Int(0), SOON).await;
    proxy.set(Weather::Silent);
    running.disconnected(SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_restarts_of_the_controller() {
    let mut peer = Peer::python("slmp_peer.py", &["3e"]).await;
    trials::restarts(|port| numbered(config(port, Frame::E3)), &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_slowness_and_answers_to_the_previous_request_with_3e_frames() {
    let peer = numbered_peer("3e").await;
    trials::weather(|port| numbered(config(port, Frame::E3)), &peer, is_its_number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_slowness_and_answers_to_the_previous_request_with_4e_frames() {
    let peer = numbered_peer("4e").await;
    trials::weather(|port| numbered(config(port, Frame::E4)), &peer, is_its_number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_with_mutated_replies() {
    let peer = numbered_peer("4e").await;
    let make = |port| numbered(Config { timeout: Duration::from_millis(300), ..config(port, Frame::E4) });
    trials::mutated(make, &peer, 1_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_set_otherwise_is_told_with_the_cure() {
    let peer = Peer::python("slmp_peer.py", &["4e"]).await;
    let mut running = Running::start(numbered(config(peer.port(), Frame::E3)));
    let why = ended(&mut running).await;
    assert!(why.contains("no 3E frame; see `frame`"), "{why}");
    running.stop().await;
    let proxy = Proxy::start(peer.port()).await;
    proxy.set(Weather::Silent);
    let mut running = Running::start(numbered(config(proxy.port(), Frame::E4)));
    let why = ended(&mut running).await;
    assert!(why.contains("no answer to a 4E frame"), "{why}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_somebody_else_holds_is_told_with_the_cure_and_taken_when_it_is_free() {
    let mut peer = Peer::python("slmp_peer.py", &["3e", "fx5u-32mt-ds", "measured"]).await;
    assert_eq!(peer.say("set D 0 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19").await, "ok");
    let mut holder = Running::start(numbered(config(peer.port(), Frame::E3)));
    holder.value(3, &Native::Int(3), SOON).await;
    let mut second = Running::start(numbered(config(peer.port(), Frame::E3)));
    let why = ended(&mut second).await;
    assert!(why.contains("takes one connection"), "{why}");
    holder.value(3, &Native::Int(3), SOON).await;
    holder.stop().await;
    second.value(3, &Native::Int(3), SOON).await;
    second.stop().await;
}

/// The profile that ships, read with what its own file says.
#[tokio::test(flavor = "multi_thread")]
async fn the_profile_of_an_iq_r_cell_reads_and_commands_its_block_of_words() {
    let text = include_str!("../../../device-profiles/mitsubishi-iq-r-cell.toml").replace("${area}", "10");
    let profile: toml::Table = text.parse().unwrap();
    let mut adapter = profile["adapter"].as_table().unwrap().clone();
    assert_eq!(adapter.remove("kind").unwrap().as_str(), Some(Slmp::KIND));
    let mut peer = Peer::python("slmp_peer.py", &["4e"]).await;
    for line in
        ["set D 1000 1 1 3 0 120 0 3 0 12500 0 0 0x4461", "set D 1026 1 0 2 0 0x4552 0x4943 0x4550 0x312D"]
    {
        assert_eq!(peer.say(line).await, "ok");
    }
    let mut config: Config = adapter.try_into().unwrap();
    Slmp::set_address(&mut config, &format!("127.0.0.1:{}", peer.port())).unwrap();
    assert_eq!(Slmp::check(&config), []);
    let (names, points): (Vec<&str>, Vec<_>) = profile["points"]
        .as_table()
        .unwrap()
        .iter()
        .map(|(name, spec)| {
            let text = |key: &str| spec.get(key).and_then(toml::Value::as_str);
            let mut point = point(text("addr").unwrap(), text("type").unwrap());
            point.access = match text("access") {
                Some("w") => Access::Write,
                Some("rw") => Access::ReadWrite,
                _ => Access::Read,
            };
            assert_eq!(Slmp::check_point(&config, &point), [], "{name}");
            (name.as_str(), point)
        })
        .unzip();
    let index = |name: &str| u32::try_from(names.iter().position(|other| *other == name).unwrap()).unwrap();
    let mut running = Running::start(Slmp::adapter(config, points));
    for (name, wanted) in [
        ("state", "1"),
        ("estop_ok", "true"),
        ("door", "true"),
        ("recipe", "RECIPE-1"),
        ("good", "120"),
        ("cycle", "12500"),
        ("force", "900"),
        ("messages", "0100000002000000"),
        ("cpu_error", "false"),
        ("cpu_status", "0"),
    ] {
        assert_eq!(running.latest(index(name)).await.value.to_string(), wanted, "{name}");
    }
    let outcome =
        running.write(&[(index("cmd_recipe"), Native::text("NEXT")), (index("cmd"), Native::Int(11))]).await;
    assert_eq!(outcome, Outcome::Done);
    running.value(index("cmd"), &Native::Int(11), SOON).await;
    assert_eq!(peer.say("get D 1070 3").await, "17742 21592 0");
    running.stop().await;
}
