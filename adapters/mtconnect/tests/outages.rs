//! Agents and networks that go away and come back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails the test")]

mod common;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use common::{Gateway, SOON, Said, adapter, config, latest, pair};
use guideway_contract::kit::{Peer, Proxy, Running, Weather, trials::resident};
use guideway_contract::{Fault, PointTable, Value};
use tokio::time::{Instant, timeout};

/// A peer behind a proxy that has broken its connections, after some values were told.
async fn broken(arguments: &[&str]) -> (Peer, Proxy, Gateway) {
    let mut peer = Peer::python("mtconnect_agent.py", arguments).await;
    let proxy = Proxy::start(peer.port()).await;
    let mut gateway = Gateway::start(config(proxy.port()));
    peer.say(r#"obs {"id":"exec","value":"READY"}"#).await;
    peer.say(r#"obs {"id":"sys","level":"Fault","value":"Hot","attrs":{"nativeCode":"1"}}"#).await;
    peer.say(r#"obs {"id":"vars","value":{"a":1}}"#).await;
    peer.say("burst x 10").await;
    gateway.number("x", 10).await;
    gateway.until("vars", |said| matches!(latest(said, "vars"), Some(Value::DataSet(_)))).await;
    proxy.set(Weather::Refuse);
    peer.say("burst x 5").await;
    gateway.down().await;
    (peer, proxy, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_network_was_down_is_told_afterwards() {
    let (mut peer, proxy, mut gateway) = broken(&[]).await;
    peer.say("burst x 300").await;
    gateway.said.clear();
    proxy.set(Weather::Clear);
    gateway.number("x", 315).await;
    assert_eq!(gateway.numbers("x"), (11..=315).collect::<Vec<_>>(), "each once, in order");
    // What did not change is told again: it has been UNAVAILABLE meanwhile.
    assert_eq!(gateway.told("exec"), [Value::text("READY")]);
    assert_eq!(gateway.told("sys"), [common::condition(guideway_contract::Level::Fault, "1", "Hot")]);
    assert_eq!(gateway.told("vars").len(), 1);
    assert_eq!(gateway.faults(Fault::Rejected), 0);
    assert!(!gateway.said.iter().any(|said| matches!(said, Said::Model(_))), "the model is known");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_whole_again_after_it_changed_while_the_network_was_down() {
    for (arguments, at) in [(&[][..], "\"at\": 1"), (&["--plain"][..], "\"current\": 3")] {
        let (mut peer, proxy, mut gateway) = broken(arguments).await;
        peer.say(r#"obs {"id":"vars","value":{"b":2}}"#).await;
        peer.say(r#"obs {"id":"sys","level":"Normal","attrs":{"nativeCode":"1"}}"#).await;
        peer.say("burst x 1").await;
        gateway.said.clear();
        proxy.set(Weather::Clear);
        gateway.number("x", 16).await;
        let mut keys = std::collections::BTreeSet::new();
        assert_eq!(gateway.numbers("x"), (11..=16).collect::<Vec<_>>());
        for value in gateway.told("vars") {
            let Value::DataSet(set) = value else { panic!("{value:?}") };
            keys.extend(set.entries().iter().map(|entry| entry.key.clone()));
        }
        assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["a", "b"], "{arguments:?}");
        let last = gateway.told("sys").pop();
        assert_eq!(last, Some(common::condition(guideway_contract::Level::Normal, "1", "")));
        let stat = peer.say("stat").await;
        assert!(stat.contains(at), "{stat}");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_has_forgotten_meanwhile_is_counted() {
    let (mut peer, proxy, mut gateway) = broken(&["--buffer", "64"]).await;
    peer.say("burst x 300").await;
    gateway.said.clear();
    proxy.set(Weather::Clear);
    gateway.number("x", 315).await;
    assert_eq!(gateway.numbers("x"), [315]);
    assert_eq!(gateway.told("exec"), [Value::text("READY")]);
    let lost = gateway.running.health().examples().get(&Fault::Rejected).cloned().unwrap_or_default();
    // 5 and 300 were said after the last one read, 64 of them are there.
    assert!(lost.starts_with("241 observations from sequence"), "{lost}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_of_the_agent_begins_anew() {
    let (mut peer, mut gateway) = pair(&[], |_| {}).await;
    peer.say("burst x 30").await;
    gateway.number("x", 30).await;
    peer.say("restart").await;
    peer.say("burst x 3").await;
    gateway.number("x", 3).await;
    assert_eq!(gateway.said.iter().filter(|said| **said == Said::Down).count(), 1);
    let error = gateway.running.health().last_error();
    assert_eq!(error, None, "a session that is up has no error");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_twenty_times_is_followed_again_each_time() {
    let (mut peer, mut gateway) = pair(&[], |_| {}).await;
    gateway.text("avail", "AVAILABLE").await;
    for round in 1..=20 {
        peer.kill().await;
        gateway.said.clear();
        gateway.down().await;
        assert!(!gateway.said.iter().any(|said| matches!(said, Said::Told { .. })), "round {round}");
        let nothing = timeout(Duration::from_millis(100), gateway.running.collector.next()).await;
        assert!(nothing.is_err(), "round {round}: {nothing:?} while the agent was down");
        peer.restart().await;
        gateway.said.clear();
        gateway.up().await;
        gateway.text("avail", "AVAILABLE").await;
        peer.say("burst x 2").await;
        gateway.number("x", 2).await;
        assert_eq!(gateway.numbers("x"), [1, 2], "round {round}");
    }
    assert_eq!(gateway.running.health().counters.sessions.load(Relaxed), 21);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_weather_ends_sessions_and_loses_nothing() {
    let mut peer = Peer::python("mtconnect_agent.py", &["--buffer", "20000"]).await;
    let proxy = Proxy::start(peer.port()).await;
    let mut slow = config(proxy.port());
    slow.timeout = Duration::from_secs(1);
    let mut gateway = Gateway::start(slow);
    gateway.text("avail", "AVAILABLE").await;
    proxy.set(Weather::Silent);
    gateway.down().await;
    let mut said = 0;
    for weather in [
        Weather::Slow(Duration::from_millis(150)),
        Weather::Stale,
        Weather::Slow(Duration::from_secs(3)),
        Weather::Silent,
        Weather::Stale,
    ] {
        proxy.set(weather);
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            peer.say("burst x 20").await;
            said += 20;
            // Whatever comes is looked at below.
            let _ = timeout(Duration::from_millis(50), gateway.step(until + SOON, "anything")).await;
        }
        proxy.set(Weather::Clear);
        gateway.number("x", said).await;
    }
    let mut expected = 1;
    for number in gateway.numbers("x") {
        // The state after a connect may repeat the last value that was told, and nothing else.
        assert!(number == expected || number + 1 == expected, "{number} after {}", expected - 1);
        expected = number + 1;
    }
    assert_eq!(expected, said + 1);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_tampered_with_break_nothing() {
    let mut peer = Peer::python("mtconnect_agent.py", &["--buffer", "2000"]).await;
    peer.say("burst x 200").await;
    let proxy = Proxy::start(peer.port()).await;
    proxy.set(Weather::Mutate { seed: 11 });
    let start = |number: u64| {
        let mut config = config(proxy.port());
        config.timeout = Duration::from_millis(300);
        config.heartbeat = Duration::from_millis(100);
        config.poll = Duration::from_millis(10);
        config.format = if number.is_multiple_of(2) {
            guideway_mtconnect::Format::Xml
        } else {
            guideway_mtconnect::Format::Json
        };
        Gateway::with(Running::with(adapter(config), PointTable::default(), Duration::from_millis(1)))
    };
    let deadline = Instant::now() + Duration::from_secs(100);
    let mut before = None;
    let mut all: Vec<Gateway> = (0..12).map(start).collect();
    let mut number = 0;
    while proxy.connections() < 1_000 {
        assert!(Instant::now() < deadline, "only {} connections in time", proxy.connections());
        for gateway in &mut all {
            let until = Instant::now() + Duration::from_millis(15);
            while let Ok(Some(signal)) =
                tokio::time::timeout_at(until, gateway.running.collector.next()).await
            {
                gateway.take_anything(signal);
            }
            gateway.said.clear();
            // A session that survives its weather is not what is looked for: take a new one.
            if gateway.running.health().counters.sessions.load(Relaxed) > 0 {
                number += 1;
                std::mem::replace(gateway, start(number)).stop().await;
            }
        }
        if proxy.connections() > 200 {
            before.get_or_insert_with(resident);
        }
    }
    let grown = resident().saturating_sub(before.unwrap_or_default());
    assert!(grown < 64 << 20, "{grown} bytes more in use");
    proxy.set(Weather::Clear);
    for mut gateway in all {
        gateway.said.clear();
        gateway.models.clear();
        peer.say("burst x 1").await;
        let wanted: f64 = peer.say("next").await.parse().unwrap();
        assert!(wanted > 0.0);
        gateway
            .until(
                "number in clear weather",
                |said| matches!(latest(said, "x"), Some(Value::Number(it)) if *it >= 201.0),
            )
            .await;
        gateway.stop().await;
    }
}
