//! Devices that answer questions.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use guideway_contract::kit::{Peer, Pty, Running};
use guideway_contract::{Native, Period, Protocol as _};
use guideway_serial::Serial;

use super::{SOON, adapter, asking, config, matching, own, point, register, tcp, weight};

#[tokio::test(flavor = "multi_thread")]
async fn a_scale_is_asked_over_tcp_and_over_a_serial_line() {
    let line = Pty::pair().await;
    for serial in [true, false] {
        let mut peer = if serial {
            Peer::python_on("serial_peer.py", &line.a, &[]).await
        } else {
            Peer::python("serial_peer.py", &[]).await
        };
        let address = if serial { line.b.clone() } else { tcp(peer.port()) };
        let mut once = asking("I4", "^I4 A", "regex:\"(.*)\"", "string[20]");
        once.period = Period::Once;
        let points = vec![
            weight(),
            asking("SI", "^S ", "field:1", "string[1]"),
            once,
            matching("^BTN", "field:1", "u8"),
        ];
        let mut running = Running::start(adapter(&address, points));
        running.connected(SOON).await;
        running.value(0, &Native::Float(100.0), SOON).await;
        running.value(1, &Native::text("S"), SOON).await;
        peer.say("set weight -12.5").await;
        peer.say("set state D").await;
        running.value(0, &Native::Float(-12.5), SOON).await;
        running.value(1, &Native::text("D"), SOON).await;
        // What comes unasked in between is heard too.
        peer.say(r"send BTN 3\r\n").await;
        running.value(3, &Native::Int(3), SOON).await;
        running.stop().await;
        let mut running = Running::start(adapter(
            &address,
            vec![weight(), {
                let mut once = asking("I4", "^I4 A", "regex:\"(.*)\"", "string[20]");
                once.period = Period::Once;
                once
            }],
        ));
        running.value(1, &Native::text("1234567"), SOON).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_several_frames_is_read_whole_each_time() {
    let mut peer = Peer::python("serial_peer.py", &[]).await;
    let mut points: Vec<_> =
        ["GROSS", "TARE", "NET"].map(|word| asking("P", &format!("^{word}"), "field:1", "f64")).into();
    points.push(register(7));
    let mut running = Running::start(adapter(&tcp(peer.port()), points));
    for round in 1..=20 {
        let net = f64::from(round);
        peer.say(&format!("set print GROSS {} kg|TARE 0.5 kg|NET {net} kg", net + 0.5)).await;
        running.value(2, &Native::Float(net), SOON).await;
        running.value(0, &Native::Float(net + 0.5), SOON).await;
        running.value(3, &own(7), SOON).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_with_one_question_are_asked_for_once() {
    let mut peer = Peer::python("serial_peer.py", &[]).await;
    let mut points: Vec<_> = (0..50).map(|_| weight()).collect();
    points.iter_mut().for_each(|point| point.period = Period::Once);
    let mut running = Running::start(adapter(&tcp(peer.port()), points));
    assert_eq!(running.all(50, SOON).await.len(), 50);
    // Once to see whether the device is there, and once for the points.
    while peer.say("get lines").await != "2" {}
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_point_among_a_hundred_is_bad_alone() {
    let peer = Peer::python("serial_peer.py", &[]).await;
    let mut points: Vec<_> = (0..98).map(register).collect();
    points.push(register(99));
    points.push(point("column:7", "f64"));
    let mut running = Running::start(adapter(&tcp(peer.port()), points));
    let readings = running.all(100, SOON).await;
    for (number, reading) in (0..).zip(&readings[..98]) {
        assert_eq!(reading.value, own(number));
    }
    assert!(readings[98].value.to_string().contains("`L` is not a number"), "{}", readings[98].value);
    assert!(readings[99].value.is_bad());
    assert_eq!(running.health().counters.sessions.load(Relaxed), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_registers_are_read() {
    let peer = Peer::python("serial_peer.py", &[]).await;
    let points: Vec<_> = (1_000..4_000).map(register).collect();
    let mut running = Running::start(adapter(&tcp(peer.port()), points));
    for (number, reading) in (1_000..).zip(running.all(3_000, SOON * 3).await) {
        assert_eq!(reading.value, own(number));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_never_answered_does_not_end_every_session() {
    let mut peer = Peer::python("serial_peer.py", &[]).await;
    peer.say("set mute I4").await;
    let points = vec![asking("I4", "^I4", "line", "string[20]"), weight()];
    let mut running = Running::start(adapter(&tcp(peer.port()), points));
    let deadline = tokio::time::Instant::now() + SOON * 2;
    let cause = running.reading(0, deadline, Native::is_bad).await.value.to_string();
    assert!(cause.contains("does not answer `I4`"), "{cause}");
    let sessions = running.health().counters.sessions.load(Relaxed);
    for _ in 0..10 {
        running.value(1, &Native::Float(100.0), SOON).await;
    }
    assert_eq!(running.health().counters.sessions.load(Relaxed), sessions);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_answers_on_a_serial_line_never_pass_for_others() {
    let line = Pty::pair().await;
    let mut peer = Peer::python_on("serial_peer.py", &line.a, &[]).await;
    // Without a `match`, so that only the order tells answers apart.
    let blind = |number: u32| {
        let mut point = register(number);
        point.own.matches = None;
        point
    };
    let mut slow = config(&line.b);
    slow.timeout = Duration::from_millis(500);
    let mut running = Running::start(Serial::adapter(slow, (0..5).map(blind).collect()));
    running.connected(SOON).await;
    for _ in 0..4 {
        peer.say("set delay 0.7").await;
        running.disconnected(SOON).await;
        peer.say("set delay 0").await;
        running.connected(SOON).await;
        for _ in 0..20 {
            let deadline = tokio::time::Instant::now() + SOON;
            if let guideway_contract::Signal::Raw(batch) = running.signal(deadline, "readings").await {
                for reading in batch.readings {
                    assert_eq!(reading.value, own(reading.point.0));
                }
            }
        }
    }
    running.stop().await;
}
