//! The same over a serial line.

use std::time::Duration;

use guideway_contract::kit::{Peer, Pty, Running};
use guideway_contract::{Adapter, Native, Outcome, Protocol as _};
use guideway_haas::{Config, Flow, Haas, Parity, SerialLine};

use super::{SOON, own, point, written};

fn on_line(path: &str) -> Box<dyn Adapter> {
    // A pseudo-terminal has 8 bits and no parity.
    let serial = SerialLine { parity: Parity::None, data_bits: 8, flow: Flow::None, ..SerialLine::default() };
    let mut config = Config {
        serial,
        timeout: Duration::from_millis(500),
        min_gap: Duration::from_millis(2),
        ..Config::default()
    };
    Haas::set_address(&mut config, path).unwrap();
    Haas::adapter(
        config,
        vec![point("Q104", "string[20]", 50), point("Q600 5021", "f64", 50), written("E10600")],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_line_reads_and_writes_and_comes_back_after_silence() {
    let line = Pty::pair().await;
    for flags in [&["echo"][..], &["numbered", "echo", "deaf-first"]] {
        let mut peer = Peer::python_on("haas_peer.py", &line.a, flags).await;
        let mut running = Running::start(on_line(&line.b));
        running.connected(SOON).await;
        running.value(0, &Native::text("(MDI)"), SOON).await;
        running.value(1, &own(5_021), SOON).await;
        assert_eq!(running.write(&[(2, Native::Int(9))]).await, Outcome::Done);
        assert_eq!(peer.say("get v10600").await, "9.0");
        for _ in 0..3 {
            peer.kill().await;
            running.disconnected(SOON).await;
            peer.restart().await;
            running.connected(SOON).await;
            running.value(1, &own(5_021), SOON).await;
        }
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_replies_of_the_session_before_never_pass_for_answers() {
    let line = Pty::pair().await;
    let mut peer = Peer::python_on("haas_peer.py", &line.a, &[]).await;
    let points: Vec<_> =
        (5_021..5_025).map(|variable| point(&format!("Q600 {variable}"), "f64", 20)).collect();
    let serial = SerialLine { parity: Parity::None, data_bits: 8, flow: Flow::None, ..SerialLine::default() };
    let mut config = Config { serial, timeout: Duration::from_millis(200), ..Config::default() };
    Haas::set_address(&mut config, &line.b).unwrap();
    let mut running = Running::start(Haas::adapter(config, points));
    running.connected(SOON).await;
    for _ in 0..5 {
        // Slower than the adapter's patience, then in time again.
        peer.say("set delay 0.45").await;
        running.disconnected(SOON).await;
        peer.say("set delay 0").await;
        running.connected(SOON).await;
        for _ in 0..20 {
            let deadline = tokio::time::Instant::now() + SOON;
            if let guideway_contract::Signal::Raw(batch) = running.signal(deadline, "readings").await {
                for reading in batch.readings {
                    assert_eq!(reading.value, own(5_021 + reading.point.0));
                }
            }
        }
    }
    running.stop().await;
}
