//! Values, ranges and refusals.

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Native, Outcome, Period, Protocol};
use guideway_focas::{Config, Focas};

use crate::{SOON, adapter, config, points};

fn floats(numbers: &[f64]) -> Native {
    Native::List(numbers.iter().copied().map(Native::Float).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_read_from_both_generations_of_controls() {
    for kind in ["31", "16"] {
        let mut peer = Peer::python("focas_peer.py", &[kind]).await;
        peer.say("alarm 1004 DOOR OPEN").await;
        let wanted = [
            ("sysinfo.type", "auto", Native::text(kind)),
            ("sysinfo.series", "auto", Native::text("G301")),
            ("stat.aut", "auto", Native::Int(1)),
            ("stat.run", "auto", Native::Int(3)),
            ("position.absolute.3", "auto", Native::Float(311.1657)),
            ("position.machine.1", "auto", Native::Float(10.5)),
            ("position.relative.2", "auto", Native::Float(0.25)),
            ("position.distance.1", "auto", Native::Float(0.0)),
            (
                "position.absolute.4",
                "auto",
                Native::bad("the control has no value here (vacant, or no such axis)"),
            ),
            ("load.axis.2", "auto", Native::Float(-3.0)),
            ("load.spindle.1", "auto", Native::Float(42.0)),
            ("speed", "auto", Native::Float(1_200.0)),
            ("feed", "auto", Native::Float(350.5)),
            ("program.number", "auto", Native::Int(3_001)),
            ("program.main", "auto", Native::Int(3_000)),
            ("program.name", "auto", Native::text("SUB3001")),
            ("program.sequence", "auto", Native::Int(120)),
            ("alarm.bits", "auto", Native::Int(1)),
            ("alarm.count", "auto", Native::Int(1)),
            ("alarm.text", "auto", Native::text("1004 DOOR OPEN")),
            ("axes", "auto", Native::List(["X", "Y", "Z"].map(Native::text).into())),
            ("time.cutting", "auto", Native::Float(300.0)),
            ("macro:500", "auto", Native::Float(62.5)),
            ("macro:501", "f64[2]", floats(&[62.625, 62.75])),
            ("macro:700", "auto", Native::bad("the control has no value here (vacant, or no such axis)")),
            ("param:6711", "auto", Native::Int(17)),
            ("param:3401", "auto", Native::Int(0x21)),
            ("param:99", "auto", Native::bad("FOCAS 3: no such number")),
            ("pmc:R100", "auto", Native::Int(135)),
            ("pmc:R100.0", "bool", Native::Bool(true)),
            ("pmc:D1000", "u16", Native::Int(0x2827)),
            ("pmc:X8", "bits[8]", Native::Bytes([29].into())),
        ];
        let addresses: Vec<_> = wanted.iter().map(|(address, data_type, _)| (*address, *data_type)).collect();
        let mut running = Running::start(adapter(peer.port(), points(&addresses)));
        let readings = running.all(wanted.len(), SOON).await;
        for ((address, _, value), reading) in wanted.iter().zip(readings) {
            assert_eq!(reading.value, *value, "{address} of a control {kind}");
        }
        assert_eq!(running.health().property("series").as_deref(), Some("G301"));
        let outcome = running.write(&[(22, Native::Float(1.0))]).await;
        assert_eq!(outcome, Outcome::NotSent("this adapter only reads".into()));
        peer.say("macro 500 -0.5").await;
        running.value(22, &Native::Float(-0.5), SOON).await;
        running.stop().await;
        assert_eq!(peer.say("count writes").await, "0");
        // The peer counts it when it has read it.
        let closed = async { while peer.say("count closed").await != "1" {} };
        assert!(tokio::time::timeout(SOON, closed).await.is_ok(), "a stop gives the connection back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_points_are_read_within_the_limits() {
    let mut peer = Peer::python("focas_peer.py", &[]).await;
    let pmc: Vec<_> = (0..1_100).map(|byte| (format!("pmc:D{byte}"), "u8")).collect();
    let more: Vec<_> = (0..1_000).map(|byte| (format!("pmc:R{byte}.3"), "bool")).collect();
    let macros: Vec<_> = (500..600).map(|number| (format!("macro:{number}"), "auto")).collect();
    let all: Vec<_> =
        pmc.iter().chain(&more).chain(&macros).map(|(address, kind)| (address.as_str(), *kind)).collect();
    let mut running = Running::start(adapter(peer.port(), points(&all)));
    let readings = running.all(all.len(), SOON).await;
    for (index, reading) in readings.iter().enumerate() {
        let value = match index {
            0..1_100 => Native::Int((9 * 7 + index as i64) % 256),
            1_100..2_100 => Native::Bool(((5 * 7 + index - 1_100) % 256) & 8 != 0),
            _ => Native::Float((index as f64 - 2_100.0 + 500.0) / 8.0),
        };
        assert_eq!(reading.value, value, "{}", all[index].0);
    }
    running.stop().await;
    let largest = peer.say("largest").await;
    let (questions, bytes) = largest.split_once(' ').unwrap();
    assert!(questions.parse::<usize>().unwrap() <= 8, "{largest}");
    assert!(bytes.parse::<usize>().unwrap() <= 1_400, "{largest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_point_among_a_hundred_is_alone_bad() {
    let mut peer = Peer::python("focas_peer.py", &[]).await;
    peer.say("refuse pmc D 40").await;
    peer.say("refuse macro 533").await;
    let pmc: Vec<_> = (0..50).map(|byte| format!("pmc:D{byte}")).collect();
    let macros: Vec<_> = (500..550).map(|number| format!("macro:{number}")).collect();
    let all: Vec<_> = pmc.iter().chain(&macros).map(|address| (address.as_str(), "auto")).collect();
    let mut running = Running::start(adapter(peer.port(), points(&all)));
    for _ in 0..2 {
        for (index, reading) in running.all(100, SOON).await.iter().enumerate() {
            match index {
                40 | 83 => assert_eq!(reading.value, Native::bad("FOCAS 3: no such number")),
                0..50 => assert_eq!(reading.value, Native::Int((63 + index as i64) % 256)),
                _ => assert_eq!(reading.value, Native::Float((450.0 + index as f64) / 8.0)),
            }
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_without_a_function_or_without_several_questions_is_read_all_the_same() {
    let mut peer = Peer::python("focas_peer.py", &[]).await;
    peer.say("refuse frames").await;
    peer.say("refuse function 0x40").await;
    let all = [
        ("stat.run", "auto"),
        ("load.spindle.1", "auto"),
        ("speed", "auto"),
        ("bogus", "auto"),
        ("feed", "u8"),
    ];
    let mut all = points(&all);
    all[2].period = Period::Once;
    for batch in [8, 1] {
        let config = Config { batch, ..config(peer.port()) };
        let mut running = Running::start(Focas::adapter(config, all.clone()));
        let readings = running.all(5, SOON).await;
        assert_eq!(readings[0].value, Native::Int(3));
        let why = "FOCAS 6: the control does not have the option for this";
        assert_eq!(readings[1].value, Native::bad(why));
        assert_eq!(readings[2].value, Native::Float(1_200.0));
        assert!(readings[3].value.is_bad() && readings[4].value.is_bad());
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_asked_for_in_the_form_that_the_control_has_whatever_its_series() {
    let peer = Peer::python("focas_peer.py", &["0", "long"]).await;
    let all = [("param:6711", "auto"), ("param:1320/2", "auto"), ("param:99", "auto")];
    let mut running = Running::start(adapter(peer.port(), points(&all)));
    for _ in 0..2 {
        let readings = running.all(3, SOON).await;
        assert_eq!(readings[0].value, Native::Int(17));
        assert_eq!(readings[1].value, Native::Float(500.5));
        assert_eq!(readings[2].value, Native::bad("FOCAS 3: no such number"));
    }
    running.stop().await;
}
