//! Reading and writing, against python-snap7 and against the real Snap7.

use crate::points::{SOON, adapter, config, ints, point, time};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Native, Outcome, Period, PointSpec, Protocol, RawReading};
use guideway_s7::{Format, Point, S7};

/// Both peers, one after the other where the test is not about one of them.
async fn peers() -> [Peer; 2] {
    [Peer::python("s7_peer.py", &[]).await, Peer::node("s7_peer.js", &[]).await]
}

fn values(readings: Vec<RawReading>) -> Vec<Native> {
    readings.into_iter().map(|reading| reading.value).collect()
}

fn hex(bytes: &[u8]) -> String {
    Native::Bytes(bytes.into()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_from_both_peers() {
    for mut peer in peers().await {
        let mut memory = Vec::new();
        let mut cases: Vec<(PointSpec<Point>, Native)> = Vec::new();
        {
            let mut case = |data_type: &str, bytes: &[u8], value: Native| {
                cases.push((point(&format!("DB1.{}.0", memory.len()), data_type), value));
                memory.extend_from_slice(bytes);
                memory.resize(memory.len().next_multiple_of(2), 0xEE);
            };
            case("bool", &[0b1], Native::Bool(true));
            case("i8", &[0xFE], Native::Int(-2));
            case("u8", &[0xFE], Native::Int(254));
            case("i16", &(-1_234_i16).to_be_bytes(), Native::Int(-1_234));
            case("u16", &54_321_u16.to_be_bytes(), Native::Int(54_321));
            case("i32", &(-123_456_i32).to_be_bytes(), Native::Int(-123_456));
            case("u32", &4_000_000_000_u32.to_be_bytes(), Native::Int(4_000_000_000));
            case("i64", &i64::MIN.to_be_bytes(), Native::Int(i64::MIN));
            case("u64", &u64::MAX.to_be_bytes(), Native::UInt(u64::MAX));
            case("f32", &12.7_f32.to_be_bytes(), Native::Float(12.7));
            case("f64", &(-0.1_f64).to_be_bytes(), Native::Float(-0.1));
            case("bcd4", &[0x98, 0x76], Native::Int(9_876));
            case("bcd8", &[0x12, 0x34, 0x56, 0x78], Native::Int(12_345_678));
            case("string[8]", &[8, 3, b'O', 0xDF, b'1', 0, 0, 0, 0, 0], Native::text("Oß1"));
            case("wstring[3]", &[0, 3, 0, 2, 0x03, 0xA9, 0, b'!', 0, 0], Native::text("Ω!"));
            case("chars[4]", b"AB\0\0", Native::text("AB"));
            case("bits[12]", &[0x01, 0xF8], Native::Bytes([0x01, 0x08][..].into()));
            case("bytes[3]", &[1, 2, 3], Native::Bytes([1, 2, 3][..].into()));
            case("i16[3]", &[0, 1, 0xFF, 0xFF, 0, 3], ints([1, -1, 3]));
            case("bool[10]", &[0x01, 0x02], {
                Native::List((0..10).map(|bit| Native::Bool(bit == 0 || bit == 9)).collect())
            });
            let texts = Native::List([Native::text("a"), Native::text("bc")].into());
            case("string[3][2]", &[3, 1, b'a', 0, 0, 0, 3, 2, b'b', b'c', 0], texts);
        }
        let formats: [(Format, &[u8], Native); 7] = [
            (Format::Time, &1_250_i32.to_be_bytes(), Native::Float(1.25)),
            (Format::Ltime, &1_500_000_000_i64.to_be_bytes(), Native::Float(1.5)),
            (Format::S5time, &[0x21, 0x27], Native::Float(127.0)),
            (Format::Date, &13_474_u16.to_be_bytes(), Native::text("2026-11-22")),
            (Format::TimeOfDay, &49_500_250_u32.to_be_bytes(), Native::text("13:45:00.250")),
            (
                Format::DateAndTime,
                &[0x26, 0x11, 0x22, 0x13, 0x45, 0, 0x25, 1],
                Native::text("2026-11-22T13:45:00.250"),
            ),
            (
                Format::Dtl,
                &[7, 0xEA, 11, 22, 1, 13, 45, 0, 0, 0, 0, 7],
                Native::text("2026-11-22T13:45:00.000000007"),
            ),
        ];
        for (format, bytes, value) in formats {
            cases.push((time(&format!("DB1.{}", memory.len()), format), value));
            memory.extend_from_slice(bytes);
        }
        assert_eq!(peer.say(&format!("set DB1 0 {}", hex(&memory))).await, "ok");
        assert_eq!(peer.say("set M 4 40C80000").await, "ok");
        assert_eq!(peer.say("set I 0 02").await, "ok");
        assert_eq!(peer.say("set Q 2 0BB8").await, "ok");
        assert_eq!(peer.say("set T 0 2127").await, "ok");
        assert_eq!(peer.say("set C 0 0012").await, "ok");
        cases.push((point("MD4", "f32"), Native::Float(6.25)));
        cases.push((point("E0.1", "bool"), Native::Bool(true)));
        cases.push((point("QW2", "i16"), Native::Int(3_000)));
        cases.push((point("T0", "auto"), Native::Float(127.0)));
        cases.push((point("Z0", "bcd4"), Native::Int(12)));
        let (points, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        let mut running = Running::start(adapter(peer.port(), &points));
        let readings = running.all(points.len(), SOON).await;
        for ((point, expected), reading) in points.iter().zip(expected).zip(readings) {
            assert_eq!(reading.value, expected, "{} {}", point.address, point.data_type);
        }
        assert!(running.health().property("plc").is_some_and(|plc| plc.starts_with("6ES7 315-2EH14-0AB0")));
        running.stop().await;
    }
}

/// Only python-snap7: Snap7's server finds timer 5 at byte 2, where its own client means byte 10.
#[tokio::test(flavor = "multi_thread")]
async fn timers_and_counters_are_addressed_by_number() {
    let mut peer = Peer::python("s7_peer.py", &[]).await;
    peer.say("set T 10 212701250099").await;
    peer.say("set C 10 00120345").await;
    let seconds = |all: &[f64]| Native::List(all.iter().map(|second| Native::Float(*second)).collect());
    let cases = [
        (point("T5", "auto"), Native::Float(127.0)),
        (point("T5", "auto[3]"), seconds(&[127.0, 1.25, 0.99])),
        (time("T6", Format::S5time), Native::Float(1.25)),
        (point("C5", "bcd4[2]"), ints([12, 345])),
        (point("C6", "u16"), Native::Int(0x345)),
    ];
    let (points, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let mut running = Running::start(adapter(peer.port(), &points));
    assert_eq!(values(running.all(points.len(), SOON).await), expected);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_in_the_peer_and_read_back() {
    for mut peer in peers().await {
        peer.say("set DB1 40 0802").await;
        peer.say("set DB1 60 00050000").await;
        let cases = [
            ("DB1.DBB0", "u8", Native::Int(7), 0, "07"),
            ("DB1.DBB1", "i8", Native::Int(-1), 1, "FF"),
            ("DB1.DBW2", "i16", Native::Int(-2), 2, "FFFE"),
            ("DB1.DBD4", "u32", Native::Int(4_000_000_000), 4, "EE6B2800"),
            ("DB1.8", "f64", Native::Float(0.5), 8, "3FE0000000000000"),
            ("DB1.DBD16", "f32", Native::Int(3), 16, "40400000"),
            ("DB1.DBW20", "bcd4", Native::Int(1_234), 20, "1234"),
            ("DB1.22", "i16[3]", ints([1, 2, -3]), 22, "00010002FFFD"),
            ("DB1.DBB28", "chars[4]", Native::text("AB"), 28, "41420000"),
            ("DB1.DBB40", "string[20]", Native::text("Größe 5"), 40, "08074772F6DF652035"),
            ("DB1.DBB60", "wstring[5]", Native::text("Ω"), 60, "0005000103A9"),
            ("MW10", "u16", Native::Int(500), -1, "01F4"),
            ("DB1.80", "bool[8]", Native::List((0..8).map(|bit| Native::Bool(bit == 1)).collect()), 80, "02"),
        ];
        let mut points: Vec<_> =
            cases.iter().map(|(address, data_type, ..)| point(address, data_type)).collect();
        points.push(time("DB1.90", Format::Dtl));
        let mut running = Running::start(adapter(peer.port(), &points));
        running.connected(SOON).await;
        for (index, (address, _, value, place, expected)) in cases.iter().enumerate() {
            let index = u32::try_from(index).unwrap();
            assert_eq!(running.write(&[(index, value.clone())]).await, Outcome::Done, "{address}");
            let (area, start) = if *place < 0 { ("M", 10) } else { ("DB1", *place) };
            let read = peer.say(&format!("get {area} {start} {}", expected.len() / 2)).await;
            assert_eq!(read.to_uppercase(), *expected, "{address}");
            let suits = |found: &Native| {
                found.number() == value.number() && (value.number().is_some() || found == value)
            };
            running.reading(index, tokio::time::Instant::now() + SOON, suits).await;
        }
        let moment = Native::text("2026-11-22T13:45:00.250000000");
        assert_eq!(running.write(&[(13, moment.clone())]).await, Outcome::Done);
        running.value(13, &moment, SOON).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_is_written_without_its_neighbours() {
    let mut peer = Peer::node("s7_peer.js", &[]).await;
    peer.say("set DB1 3 A5").await;
    let points = [point("DB1.DBX3.1", "bool"), point("DB1.DBX3.7", "bool"), point("DB1.DBX3.3", "bool[3]")];
    let mut running = Running::start(adapter(peer.port(), &points));
    running.connected(SOON).await;
    let on = Native::Bool(true);
    let writes = [(0, on.clone()), (1, Native::Bool(false))];
    assert_eq!(running.write(&writes).await, Outcome::Done);
    assert_eq!(peer.say("get DB1 2 3").await, "002700");
    let three = Native::List([on.clone(), Native::Bool(false), on].into());
    assert_eq!(running.write(&[(2, three.clone())]).await, Outcome::Done);
    assert_eq!(peer.say("get DB1 3 1").await, "2f");
    running.value(2, &three, SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_longer_than_a_telegram_is_written_and_read_in_parts() {
    for mut peer in peers().await {
        let numbers = Native::List((0..900).map(|number| Native::Int(number * 70)).collect());
        let text = Native::text(&"Stück 7 ".repeat(50));
        peer.say("set DB2 30000 01900000").await;
        let points = [point("DB2.20000", "u16[900]"), point("DB2.30000", "wstring[400]")];
        let mut configured = config(peer.port());
        configured.pdu = 240;
        let mut running = Running::start(S7::adapter(configured, points.to_vec()));
        running.connected(SOON).await;
        assert_eq!(running.write(&[(0, numbers.clone()), (1, text.clone())]).await, Outcome::Done);
        running.value(0, &numbers, SOON).await;
        running.value(1, &text, SOON).await;
        assert_eq!(running.health().property("pduSize").unwrap(), "240");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_before_anything_is_sent() {
    let mut peer = Peer::node("s7_peer.js", &[]).await;
    peer.say("set DB1 40 0400").await;
    let mut points = vec![
        point("DB1.DBW0", "u16"),
        point("DB1.DBB40", "string[20]"),
        point("DB1.DBW2", "u16"),
        point("DB3.DBW99", "u16"),
        point("DB1.DBB100", "string[20]"),
        point("DB9.DBW0", "u16"),
        point("DBx", "u16"),
    ];
    points[2].access = Access::Read;
    let mut running = Running::start(adapter(peer.port(), &points));
    running.connected(SOON).await;
    let first = (0, Native::Int(1));
    for (second, why) in [
        ((0, Native::Int(65_536)), "out of range"),
        ((0, Native::text("1")), "not a whole number"),
        ((1, Native::text("12345")), "STRING[4]"),
        ((4, Native::text("1")), "no STRING"),
        ((2, Native::Int(1)), "read only"),
        ((6, Native::Int(1)), "data block"),
    ] {
        match running.write(&[first.clone(), second.clone()]).await {
            Outcome::Refused(found) => assert!(found.contains(why), "{second:?}: {found}"),
            outcome => panic!("{second:?}: {outcome:?}"),
        }
        assert_eq!(peer.say("get DB1 0 2").await, "0000", "the first write must not have been sent");
    }
    for (point, why) in [(3, "DB3 is shorter than 101 bytes"), (5, "no DB9")] {
        match running.write(&[first.clone(), (point, Native::Int(1))]).await {
            Outcome::Refused(found) => {
                assert!(found.contains(why) && found.contains("1 of 2 writes"), "{found}");
            }
            outcome => panic!("{outcome:?}"),
        }
    }
    assert!(matches!(running.write(&[(99, Native::Int(1))]).await, Outcome::NotSent(_)));
    assert_eq!(running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_points_are_read_in_requests_that_fit() {
    for peer in peers().await {
        let points: Vec<_> = (0..6_000_u32)
            .map(|index| point(&format!("DB2.{}", index * 9), if index % 2 == 0 { "u16" } else { "u8" }))
            .collect();
        let byte = |place: u32| i64::from(place * 7 % 251);
        for pdu in [240, 480] {
            let mut configured = config(peer.port());
            configured.pdu = pdu;
            let mut running = Running::start(S7::adapter(configured, points.clone()));
            let readings = running.all(points.len(), SOON).await;
            for (index, value) in (0..).zip(values(readings)) {
                let place = index * 9;
                let expected = if index % 2 == 0 { byte(place) * 256 + byte(place + 1) } else { byte(place) };
                assert_eq!(value, Native::Int(expected), "point {index} in PDUs of {pdu}");
            }
            running.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_point_among_a_hundred_good_ones_is_bad_alone_and_comes_back() {
    for mut peer in peers().await {
        let mut points: Vec<_> =
            (0..50).map(|index| point(&format!("DB3.DBW{}", index * 2), "u16")).collect();
        points.push(point("DB3.DBW100", "u16"));
        points.extend((0..50).map(|index| point(&format!("DB1.DBD{}", index * 4), "f32")));
        points.extend([point("DB77.DBW0", "u16"), point("DB77.DBW2", "u16"), point("nonsense", "u16")]);
        let mut running = Running::start(adapter(peer.port(), &points));
        let readings = running.all(points.len(), SOON).await;
        let bad: Vec<_> = readings
            .iter()
            .filter(|reading| reading.value.is_bad())
            .map(|reading| reading.point.index())
            .collect();
        assert_eq!(bad, [50, 101, 102, 103]);
        assert!(
            readings[50].value.to_string().contains("DB3 is shorter than 102 bytes"),
            "{}",
            readings[50].value
        );
        assert!(readings[101].value.to_string().contains("has no DB77"), "{}", readings[101].value);
        assert!(readings[103].value.to_string().contains("no such area"), "{}", readings[103].value);
        peer.say("drop DB3").await;
        peer.say("make DB3 200").await;
        peer.say("make DB77 4").await;
        for index in [50, 101, 102] {
            running.value(index, &Native::Int(0), SOON * 2).await;
        }
        assert_eq!(running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn points_read_once_and_points_only_written_are_not_polled() {
    let mut peer = Peer::python("s7_peer.py", &[]).await;
    peer.say("set DB1 0 0001000200030004").await;
    let mut points = [point("DB1.DBW0", "u16"), point("DB1.DBW2", "u16"), point("DB1.DBW4", "u16")];
    points[0].period = Period::Once;
    points[1].access = Access::Write;
    let mut running = Running::start(adapter(peer.port(), &points));
    running.value(2, &Native::Int(3), SOON).await;
    for _ in 0..3 {
        running.latest(2).await;
    }
    peer.say("set DB1 0 0009").await;
    assert_eq!(running.write(&[(1, Native::Int(8))]).await, Outcome::Done);
    assert_eq!(peer.say("get DB1 2 2").await, "0008");
    running.collector.drain();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        if let Some(guideway_contract::Signal::Raw(batch)) = running.collector.next().await {
            seen.extend(batch.readings.into_iter().map(|reading| reading.point.index()));
        }
    }
    assert_eq!(seen, [2, 2, 2, 2]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsing_lists_the_data_blocks() {
    for peer in peers().await {
        let mut adapter = adapter(peer.port(), &[]);
        assert!(adapter.capabilities().browsable);
        let found = adapter.browse("").await.unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|found| (found.address.as_str(), found.label.as_str(), found.data_type.unwrap().to_string()))
            .collect();
        let expected = [
            ("DB1.DBB0", "DB1", "bytes[2000]".to_owned()),
            ("DB2.DBB0", "DB2", "bytes[60000]".to_owned()),
            ("DB3.DBB0", "DB3", "bytes[100]".to_owned()),
        ];
        assert_eq!(told, expected);
        assert!(adapter.browse("DB1").await.is_err());
        let data_type = found[2].data_type.unwrap();
        let points = [PointSpec::new(&found[2].address, data_type, Point::default())];
        assert!(S7::check_point(&config(1), &points[0]).is_empty());
    }
}
