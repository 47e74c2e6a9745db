//! Streams that are odd, broken or hostile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails the test")]

mod common;

use std::time::Duration;

use common::{Gateway, SOON, Said, config, pair};
use guideway_contract::{Fault, kit::trials::resident};
use guideway_mtconnect::Mode;
use tokio::time::Instant;

/// Everything arrives once and in order, before and after the connect, with streams sent that way. Gives
/// whether the agent was polled in the end, and what it was asked.
async fn whole(mode: &str) -> String {
    let (mut peer, mut gateway) = pair(&["--stream", mode], |config| config.max_document = 256 << 10).await;
    gateway.text("avail", "AVAILABLE").await;
    let mut expected = 0;
    for number in [1, 700, 3, 400, 1] {
        expected += number;
        peer.say(&format!("burst x {number}")).await;
        gateway.number("x", expected).await;
    }
    assert_eq!(gateway.numbers("x"), (1..=expected).collect::<Vec<_>>(), "{mode}");
    assert!(!gateway.said.contains(&Said::Down), "{mode}: {:?}", gateway.running.health().last_error());
    let stat = peer.say("stat").await;
    gateway.stop().await;
    stat
}

fn is_polled(stat: &str) -> bool {
    stat.contains("\"sample\": \"/sample?from=") && !stat.contains("heartbeat")
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_read_whatever_their_lengths_lines_and_boundaries_look_like() {
    let modes = [
        "good",
        "nolength",
        "short",
        "long",
        "wronglength",
        "lf",
        "split",
        "nocontenttype",
        "noboundary",
        "dashes",
        "plain",
    ];
    for mode in modes {
        let stat = whole(mode).await;
        assert!(!is_polled(&stat), "{mode}: {stat}");
        assert!(stat.contains("\"streams\": 1,"), "{mode}: {stat}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_stream_is_polled_and_nothing_is_lost() {
    for mode in ["single", "html", "refuse", "garbage", "cut", "once"] {
        let stat = whole(mode).await;
        assert!(is_polled(&stat), "{mode}: {stat}");
    }
}

/// As when an idle connection is closed just before the next request arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_a_connection_that_was_just_closed_is_made_again() {
    let (mut peer, mut gateway) = pair(&["--forgetful"], |config| config.mode = Mode::Poll).await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say("burst x 10").await;
    gateway.number("x", 10).await;
    peer.say("burst x 10").await;
    gateway.number("x", 20).await;
    assert_eq!(gateway.numbers("x"), (1..=20).collect::<Vec<_>>());
    assert!(!gateway.said.contains(&Said::Down), "{:?}", gateway.running.health().last_error());
    let stat = peer.say("stat").await;
    assert!(stat.contains("\"forgotten\": "), "{stat}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_without_an_end_are_bounded_and_the_agent_is_polled() {
    let before = resident();
    for mode in ["endless", "header"] {
        let stat = whole(mode).await;
        assert!(is_polled(&stat), "{mode}: {stat}");
    }
    assert!(resident().saturating_sub(before) < 64 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unreadable_part_costs_nothing() {
    let (mut peer, mut gateway) = pair(&[], |_| {}).await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say("burst x 10").await;
    gateway.number("x", 10).await;
    peer.say("stream garbage").await;
    peer.say("burst x 10").await;
    while gateway.faults(Fault::Malformed) == 0 {
        tokio::task::yield_now().await;
    }
    peer.say("stream good").await;
    peer.say("burst x 10").await;
    gateway.number("x", 30).await;
    assert_eq!(gateway.numbers("x"), (1..=30).collect::<Vec<_>>());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_streams_say_nothing_is_polled() {
    for mode in ["silent", "hang", "junk"] {
        let stat = whole(mode).await;
        assert!(is_polled(&stat), "{mode}: {stat}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_keep_a_quiet_stream_alive() {
    let (mut peer, mut gateway) = pair(&[], |config| config.heartbeat = Duration::from_secs(1)).await;
    gateway.text("avail", "AVAILABLE").await;
    let frames = || gateway.running.health().counters.frames.load(std::sync::atomic::Ordering::Relaxed);
    let deadline = Instant::now() + SOON;
    while frames() < 4 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(frames() >= 4);
    let stat = peer.say("stat").await;
    assert!(stat.contains("\"streams\": 1,"), "{stat}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_too_slow_goes_on_with_the_state_and_says_what_it_lost() {
    let (mut peer, mut gateway) = pair(&["--buffer", "50"], |config| {
        config.interval = Duration::from_secs(2);
        config.heartbeat = Duration::from_secs(5);
    })
    .await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say(r#"obs {"id":"sys","level":"Fault","value":"Hot","attrs":{"nativeCode":"1"}}"#).await;
    peer.say(r#"obs {"id":"sys","level":"Fault","value":"Oil","attrs":{"nativeCode":"2"}}"#).await;
    gateway.value("sys", &common::condition(guideway_contract::Level::Fault, "2", "Oil")).await;
    gateway.said.clear();
    peer.say(r#"obs {"id":"sys","level":"Normal","attrs":{"nativeCode":"1"}}"#).await;
    peer.say(r#"obs {"id":"vars","value":{"a":1}}"#).await;
    peer.say("burst x 500").await;
    gateway.number("x", 500).await;
    assert!(!gateway.said.contains(&Said::Down), "{:?}", gateway.running.health().last_error());
    assert_eq!(gateway.numbers("x"), [500]);
    // What ended in the gap is no longer there, and what lasts is.
    let unknown = guideway_contract::Value::Unavailable;
    let expected = [unknown.clone(), common::condition(guideway_contract::Level::Fault, "2", "Oil")];
    assert_eq!(gateway.told("sys"), expected);
    assert_eq!(gateway.told("vars")[0], unknown);
    assert_eq!(gateway.told("avail"), [], "nothing new was said of it");
    let lost = gateway.running.health().examples().get(&Fault::Rejected).cloned().unwrap_or_default();
    assert!(lost.contains("observations from sequence") && lost.contains("were lost"), "{lost}");
    peer.say("burst x 10").await;
    gateway.number("x", 510).await;
    assert_eq!(gateway.numbers("x").len(), 11);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_too_long_is_asked_for_in_pieces() {
    let (mut peer, mut gateway) =
        pair(&["--stream", "refuse"], |config| config.max_document = 64 << 10).await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say("burst x 1000").await;
    gateway.number("x", 1_000).await;
    assert_eq!(gateway.numbers("x").len(), 1_000);
    assert!(gateway.faults(Fault::Oversized) > 0);
    assert!(!gateway.said.contains(&Said::Down));
    gateway.stop().await;
    // The state cannot be asked for in pieces; the cure is named.
    let mut small = config(peer.port());
    small.max_document = 64 << 10;
    let entries: Vec<String> = (0..6_000).map(|at| format!("\"k{at}\":{at}")).collect();
    peer.say(&format!(r#"obs {{"id":"vars","value":{{{}}}}}"#, entries.join(","))).await;
    let mut gateway = Gateway::start(small);
    gateway.down().await;
    let error = common::last_error(&mut gateway).await;
    assert!(error.contains("max_document"), "{error}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_document_that_swells_is_refused() {
    let before = resident();
    let (_peer, mut gateway) = pair(&["--bomb"], |config| config.max_document = 1 << 20).await;
    gateway.down().await;
    let error = common::last_error(&mut gateway).await;
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    assert!(resident().saturating_sub(before) < 64 << 20);
    gateway.stop().await;
}
