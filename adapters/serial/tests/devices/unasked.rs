//! Devices that send by themselves, over a serial line.

use std::time::Duration;

use guideway_contract::kit::{Peer, Pty, Running};
use guideway_contract::{Counters, Fault, Native, Protocol as _};
use guideway_serial::{Checksum, Config, Encoding, Frame, Serial};

use super::{SOON, adapter, config, matching, point, tcp};

#[tokio::test(flavor = "multi_thread")]
async fn a_dprnt_probe_report_is_read() {
    let line = Pty::pair().await;
    let mut peer = Peer::python_on("serial_peer.py", &line.a, &[]).await;
    let points = vec![
        matching("^PROBE", "key:FEAT", "string[20]"),
        matching("^PROBE", "key:ACT", "f64"),
        matching("^PROBE", "key:NOM", "f64"),
        matching("^PROBE", "key:DEV", "f64"),
        matching("^X", "word:X", "f64"),
        matching("^X", "word:Y", "f64"),
        matching("^X", "word:T", "u16"),
    ];
    let mut running = Running::start(adapter(&line.b, points));
    running.connected(SOON).await;
    peer.say(r"send \0\0\x12%\r\nPROBE,FEAT=BORE1,ACT=   25.0132,NOM=   25.0000,DEV=     .0132\r\n\x14")
        .await;
    peer.say(r"send \x12X   1.2340 Y-  2.500 T 12\r\n\x14").await;
    let values: Vec<_> = running.all(7, SOON).await.into_iter().map(|reading| reading.value).collect();
    let wanted = [
        Native::text("BORE1"),
        Native::Float(25.0132),
        Native::Float(25.0),
        Native::Float(0.0132),
        Native::Float(1.234),
        Native::Float(-2.5),
        Native::Int(12),
    ];
    assert_eq!(values, wanted);
    // Asterisks that a control leaves in, and a value that is none.
    peer.say(r"send X***7.5 Y***0.0 T 1\r\nPROBE,FEAT=BORE2,ACT=ERR\r\n").await;
    running.value(4, &Native::Float(7.5), SOON).await;
    let deadline = tokio::time::Instant::now() + SOON;
    let bad = running.reading(1, deadline, Native::is_bad).await;
    assert!(bad.value.to_string().contains("`ERR` is not a number"), "{}", bad.value);
    assert_eq!(running.health().counters.faults(Fault::Unmapped), 1, "the line with `%`");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gauge_a_scale_and_a_reader_are_read() {
    let line = Pty::pair().await;
    let mut peer = Peer::python_on("serial_peer.py", &line.a, &[]).await;
    let mut kilograms = matching("^(ST|US|OL),", "field:2", "f64");
    kilograms.own.strip_units = true;
    let mut stable = matching("^(ST|US|OL),", "field:0", "bool");
    stable.own.true_words = vec!["ST".into()];
    stable.own.false_words = vec!["US".into()];
    let mut code = matching("^(?:BC|\\[\\)>)", "line", "string[64]");
    code.own.query = String::new();
    let points = vec![
        matching("^0[0-9]A", "regex:^0[0-9]A(.*)$", "f64"),
        kilograms,
        stable,
        code,
        matching("^(ST|US|OL),", "line", "fields"),
        matching("^HEX", "key:HEX", "u16"),
        matching("^AUTO", "key:AUTO", "auto"),
    ];
    let mut points = points;
    points[5].own.radix = Some(16);
    let mut running = Running::start(adapter(&line.b, points));
    running.connected(SOON).await;
    peer.say(r"send 01A+00012.345\rST,GS,+  12.34kg\r\n").await;
    peer.say(r"send [)>\x1e06\x1dP4006381\x1e\x04\rHEX=0x1F\nAUTO=0042\n").await;
    let values: Vec<_> = running.all(7, SOON).await.into_iter().map(|reading| reading.value).collect();
    let wanted = [
        Native::Float(12.345),
        Native::Float(12.34),
        Native::Bool(true),
        Native::text("[)>\u{1e}06\u{1d}P4006381"),
        Native::List(["ST", "GS", "+  12.34kg"].map(Native::text).into()),
        Native::Int(0x1F),
        Native::text("0042"),
    ];
    assert_eq!(values, wanted);
    peer.say(r"send US,GS,- 0.01kg\r\n").await;
    running.value(1, &Native::Float(-0.01), SOON).await;
    peer.say(r"send US,GS,- 0.02kg\r\n").await;
    running.value(2, &Native::Bool(false), SOON).await;
    // The same code twice is two readings.
    for _ in 0..2 {
        peer.say(r"send BC123\r").await;
        running.value(3, &Native::text("BC123"), SOON).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_every_kind_are_read_over_a_line_that_delivers_in_pieces() {
    let frame = |start: &str, end: &str| Frame { start: start.into(), end: end.into(), ..Frame::default() };
    let gap = Frame { gap: Some(Duration::from_secs(2)), ..Frame::default() };
    let fixed = Frame { start: "*".into(), length: Some(6), ..Frame::default() };
    for (frame, checksum, pieces) in [
        (frame("\u{2}", "\u{3}"), Checksum::None, [r"noise\x02 12", r".50\x03\x02"]),
        (frame("\u{2}", "\r\n"), Checksum::Xor, [r"\x0212.50", r"28\r\n\x0299.9900\r\n"]),
        (fixed, Checksum::None, [r"--*12", r".500*"]),
        (gap, Checksum::None, ["12.", "50"]),
    ] {
        let peer = Peer::python("serial_peer.py", &[]).await;
        let mut peer = peer;
        let mut config =
            Config { frame: frame.clone(), checksum, encoding: Encoding::Ascii, ..config(&tcp(peer.port())) };
        config.max_frame = 64;
        let mut running = Running::start(Serial::adapter(config, vec![point("line", "f64")]));
        running.connected(SOON).await;
        while peer.say("get clients").await != "1" {}
        for piece in pieces {
            peer.say(&format!("send {piece}")).await;
        }
        running.value(0, &Native::Float(12.5), SOON).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_or_wrong_is_counted_and_passed_over() {
    let mut peer = Peer::python("serial_peer.py", &[]).await;
    let mut config = Config { checksum: Checksum::Sum, ..config(&tcp(peer.port())) };
    config.max_frame = 64;
    let mut running = Running::start(Serial::adapter(config, vec![point("line", "f64")]));
    running.connected(SOON).await;
    while peer.say("get clients").await != "1" {}
    peer.say(&format!("send {}", "7".repeat(10_000))).await;
    // 12.5 has the sum 0xC6; then a wrong one.
    peer.say(r"send 00\r\n12.500\r\n12.5C6\r\n").await;
    running.value(0, &Native::Float(12.5), SOON).await;
    let faults = &running.health().counters;
    assert_eq!((faults.faults(Fault::Oversized), faults.faults(Fault::Malformed)), (1, 1));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_falls_silent_is_lost_and_comes_back_without_losing_a_frame() {
    let line = Pty::pair().await;
    let mut peer = Peer::python_on("serial_peer.py", &line.a, &[]).await;
    let mut config = config(&line.b);
    config.stale = Some(Duration::from_millis(400));
    let mut running = Running::start(Serial::adapter(config, vec![point("line", "u32")]));
    // Nothing has come yet: told as such, and then waited for.
    running.disconnected(SOON).await;
    for round in 1..=3 {
        peer.say(&format!(r"send {round}\r\n")).await;
        running.value(0, &Native::Int(round), SOON).await;
        running.disconnected(SOON).await;
    }
    let sessions = &running.health().counters.sessions;
    assert_eq!(sessions.load(std::sync::atomic::Ordering::Relaxed), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_frames_arrive_whole_and_in_order() {
    let mut peer = Peer::python("serial_peer.py", &[]).await;
    let points: Vec<_> =
        (0..1_000).map(|index| matching(&format!("^P{index}="), "regex:=(.*)", "u32")).collect();
    let mut running = Running::start(adapter(&tcp(peer.port()), points));
    running.connected(SOON).await;
    while peer.say("get clients").await != "1" {}
    for block in 0..20 {
        let lines: String = (0..50).map(|line| format!(r"P{0}={0}\r\n", block * 50 + line)).collect();
        peer.say(&format!("send {lines}")).await;
    }
    for (index, reading) in (0_i64..).zip(running.all(1_000, SOON * 2).await) {
        assert_eq!(reading.value, Native::Int(index));
    }
    assert_eq!(guideway_contract::kit::trials::readings(&running.health().counters), 1_000);
    let frames = |counters: &Counters| counters.frames.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(frames(&running.health().counters), 1_000);
    running.stop().await;
}
