//! What is read.

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{DataType, Native, Period, PointSpec, Protocol as _, Quality};
use guideway_haas::{Format, Haas, Point};

use super::{SOON, adapter, config, own, point};

fn texts(fields: &[&str]) -> Native {
    Native::List(fields.iter().map(|field| Native::text(field)).collect())
}

async fn every_type(dialect: &[&str]) {
    let peer = Peer::python("haas_peer.py", dialect).await;
    let mut time = point("Q300", "f64", 100);
    time.own.format = Some(Format::Hms);
    let mut status = point("Q500", "string[20]", 100);
    status.own.field = Some(2);
    let mut whole = point("Q500", "string[60]", 100);
    whole.own.field = Some(-1);
    let once = PointSpec { period: Period::Once, ..point("Q100", "u32", 100) };
    let points = vec![
        point("Q104", "string[20]", 100),
        point("Q500", "fields", 100),
        status,
        whole,
        point("Q402", "u64", 100),
        point("Q600 5021", "f64", 100),
        point("Q600 10001", "auto", 100),
        time,
        once,
        point("Q600 98", "i32", 100),
        point("Q101", "string[20]", 100),
    ];
    let mut running = Running::start(adapter(peer.port(), points));
    running.connected(SOON).await;
    let values: Vec<Native> = running.all(11, SOON).await.into_iter().map(|reading| reading.value).collect();
    let wanted = [
        Native::text("(MDI)"),
        texts(&["PROGRAM", "O00110", "IDLE", "PARTS", "4523"]),
        Native::text("IDLE"),
        Native::text("PROGRAM, O00110, IDLE, PARTS, 4523"),
        Native::Int(380),
        own(5021),
        own(10_001),
        Native::Float(22_616_233.0),
        Native::Int(1_234_567),
        Native::Null,
        Native::text("100.24.000.1111"),
    ];
    assert_eq!(values, wanted, "{dialect:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_in_every_dialect() {
    for dialect in [
        &[][..],
        &["plain"],
        &["numbered", "echo"],
        &["deaf-first"],
        &["plain", "numbered", "deaf-first"],
        &["echo"],
        &["split-echo", "numbered"],
    ] {
        every_type(dialect).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_seen() {
    let mut peer = Peer::python("haas_peer.py", &[]).await;
    let mut program = point("Q500", "string[20]", 30);
    program.own.expect = vec!["PROGRAM".into()];
    let points = vec![program, point("Q500", "fields", 30), point("Q600 5021", "f64", 30)];
    let mut running = Running::start(adapter(peer.port(), points));
    running.value(0, &Native::text("O00110"), SOON).await;
    peer.say("set q500 STATUS, BUSY").await;
    peer.say("set v5021 -12.5").await;
    running.value(1, &texts(&["STATUS", "BUSY"]), SOON).await;
    running.value(2, &Native::Float(-12.5), SOON).await;
    // While the control is busy, the point that waits for a program keeps what it has.
    running.collector.drain();
    for _ in 0..5 {
        let deadline = tokio::time::Instant::now() + SOON;
        if let guideway_contract::Signal::Raw(batch) = running.signal(deadline, "a batch").await {
            assert!(batch.readings.iter().all(|reading| reading.point.index() != 0), "{batch:?}");
        }
    }
    peer.say("set q500 PROGRAM, O00111, ALARM ON, PARTS, 1").await;
    running.value(0, &Native::text("O00111"), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_point_among_a_hundred_is_bad_alone() {
    let peer = Peer::python("haas_peer.py", &["numbered"]).await;
    let mut points: Vec<_> =
        (1_000..1_097).map(|variable| point(&format!("Q600 {variable}"), "f64", 500)).collect();
    points.push(point("Q600 99", "f64", 500));
    points.push(point("Q104", "u16", 500));
    points.push(point("no address", "f64", 500));
    points.push(PointSpec::new(
        "Q777",
        DataType::default(),
        Point { expect: vec!["SEVEN".into()], ..Point::default() },
    ));
    let mut running = Running::start(adapter(peer.port(), points));
    let readings = running.all(101, SOON).await;
    for (index, reading) in readings.iter().enumerate() {
        if index < 97 {
            assert_eq!(reading.value, own(1_000 + u32::try_from(index).unwrap()));
        } else {
            assert_eq!((reading.quality, reading.value.is_bad()), (Quality::Bad, true), "{reading:?}");
        }
    }
    assert!(readings[97].value.to_string().contains("MACRO, ?, Q600-1"), "{}", readings[97].value);
    assert_eq!(running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_variables_are_read() {
    for dialect in [&["numbered"][..], &[]] {
        let peer = Peer::python("haas_peer.py", dialect).await;
        let points: Vec<_> =
            (10_000..12_000).map(|variable| point(&format!("Q600 {variable}"), "f64", 60_000)).collect();
        let mut fast = config(peer.port());
        fast.min_gap = std::time::Duration::ZERO;
        let mut running = Running::start(Haas::adapter(fast, points));
        for (reading, variable) in running.all(2_000, SOON * 3).await.iter().zip(10_000..) {
            assert_eq!(reading.value, own(variable));
        }
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_never_answered_does_not_end_every_session() {
    let mut peer = Peer::python("haas_peer.py", &[]).await;
    peer.say("set mute-code 303").await;
    let points = vec![point("Q104", "string[20]", 100), point("Q303", "string[20]", 100)];
    let mut running = Running::start(adapter(peer.port(), points));
    let deadline = tokio::time::Instant::now() + SOON;
    let cause = running.reading(1, deadline, Native::is_bad).await.value.to_string();
    assert!(cause.contains("does not answer Q303"), "{cause}");
    let sessions = running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed);
    for _ in 0..10 {
        running.value(0, &Native::text("(MDI)"), SOON).await;
    }
    assert_eq!(running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed), sessions);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_that_is_too_busy_for_a_question_makes_its_points_bad_for_the_while() {
    let mut peer = Peer::python("haas_peer.py", &[]).await;
    peer.say("set q201 STATUS, BUSY").await;
    let points = vec![point("Q201", "u32", 50), point("Q600 5021", "f64", 50)];
    let mut running = Running::start(adapter(peer.port(), points));
    let deadline = tokio::time::Instant::now() + SOON;
    let cause = running.reading(0, deadline, Native::is_bad).await.value.to_string();
    assert!(cause.contains("STATUS, BUSY"), "{cause}");
    running.value(1, &own(5_021), SOON).await;
    peer.say("set q201 USING TOOL, 12").await;
    running.value(0, &Native::Int(12), SOON).await;
    assert_eq!(running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsing_lists_what_the_control_answers() {
    let peer = Peer::python("haas_peer.py", &["deaf-first"]).await;
    let found = adapter(peer.port(), Vec::new()).browse("").await.unwrap();
    assert_eq!(found.len(), 13);
    assert_eq!((found[3].address.as_str(), found[3].value.as_str()), ("Q104", "(MDI)"));
    assert!(found.iter().all(|found| found.address.parse::<guideway_haas::Address>().is_ok()));
}
