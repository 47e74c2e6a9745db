//! What is written.

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Native, Outcome, Protocol as _};
use guideway_haas::{Acknowledge, Haas};

use super::{SOON, adapter, config, point, written};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_the_control_acknowledges_is_done_and_read_back() {
    for dialect in [&[][..], &["plain", "echo"]] {
        let mut peer = Peer::python("haas_peer.py", dialect).await;
        let points = vec![written("E10600"), written("Q600 10601"), point("Q104", "string[9]", 50)];
        let mut running = Running::start(adapter(peer.port(), points));
        running.connected(SOON).await;
        let outcome = running.write(&[(0, Native::Float(12.5)), (1, Native::Int(-3))]).await;
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(peer.say("get v10600").await, "12.5");
        assert_eq!(peer.say("get v10601").await, "-3.0");
        running.value(0, &Native::Float(12.5), SOON).await;
        running.value(1, &Native::Float(-3.0), SOON).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_not_written() {
    let mut peer = Peer::python("haas_peer.py", &[]).await;
    let points = vec![written("E10600"), written("E5021"), point("Q600 10602", "f64", 50)];
    let mut running = Running::start(adapter(peer.port(), points));
    running.connected(SOON).await;
    // By the adapter, before anything is sent.
    for writes in [
        [(0, Native::Int(7)), (2, Native::Int(7))],
        [(0, Native::Int(7)), (0, Native::text("seven"))],
        [(0, Native::Int(7)), (9, Native::Int(7))],
    ] {
        assert!(matches!(running.write(&writes).await, Outcome::Refused(_)));
        assert_eq!(peer.say("get v10600").await, "10.6");
    }
    // By the control, after what it did accept.
    let outcome = running.write(&[(0, Native::Int(7)), (1, Native::Int(7)), (0, Native::Int(8))]).await;
    assert!(matches!(&outcome, Outcome::Refused(why) if why.contains("BAD VARIABLE NUMBER")), "{outcome:?}");
    assert_eq!(peer.say("get v10600").await, "7.0");
    assert_eq!(peer.say("get v5021").await, "5.021");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_unknown_and_ends_the_session() {
    // With an echo that begins with a lone `?`, which is no no.
    for dialect in [&["mute-writes"][..], &["mute-writes", "split-echo"]] {
        let peer = Peer::python("haas_peer.py", dialect).await;
        let mut running = Running::start(adapter(peer.port(), vec![written("E10600")]));
        running.connected(SOON).await;
        let outcome = running.write(&[(0, Native::Int(7))]).await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
        running.disconnected(SOON).await;
        running.value(0, &Native::Float(7.0), SOON).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_that_says_nothing_to_writes_is_asked_what_it_has() {
    for dialect in [&["mute-writes"][..], &["mute-writes", "numbered"]] {
        let mut peer = Peer::python("haas_peer.py", dialect).await;
        let mut quiet = config(peer.port());
        quiet.acknowledge = Acknowledge::ReadBack;
        let mut running = Running::start(Haas::adapter(quiet, vec![written("E10600"), written("E5021")]));
        running.connected(SOON).await;
        assert_eq!(running.write(&[(0, Native::Float(0.1))]).await, Outcome::Done);
        assert_eq!(peer.say("get v10600").await, "0.1");
        assert!(matches!(running.write(&[(1, Native::Int(1))]).await, Outcome::Refused(_)));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_does_not_wait_for_the_turn_to_end() {
    let mut peer = Peer::python("haas_peer.py", &["numbered"]).await;
    peer.say("set delay 0.05").await;
    let mut points: Vec<_> =
        (1_000..1_200).map(|variable| point(&format!("Q600 {variable}"), "f64", 1_000)).collect();
    points.push(written("E10600"));
    let mut running = Running::start(adapter(peer.port(), points));
    running.connected(SOON).await;
    running.latest(0).await;
    let begun = std::time::Instant::now();
    assert_eq!(running.write(&[(200, Native::Int(1))]).await, Outcome::Done);
    assert!(begun.elapsed().as_millis() < 5_000, "{:?}", begun.elapsed());
    running.stop().await;
}
