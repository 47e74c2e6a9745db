//! Brokers that die, are silent, slow, or send nonsense; floods.

#![expect(clippy::unwrap_used, reason = "tests fail that way")]

mod common;

use std::time::Duration;

use common::{SOON, adapter, config};
use guideway_contract::kit::{Peer, Running, trials};
use guideway_contract::{Adapter, Native, Signal};

fn ticking(port: u16, version: &str) -> Box<dyn Adapter> {
    let keys = format!(r#"{{"version":"{version}","keep_alive":"1s","connect_timeout":"2s"}}"#);
    adapter(config(port, &keys), &[("tick", "auto", "{}"), ("tick", "string[20]", r#"{"topic_segment":0}"#)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_may_be_killed_twenty_times() {
    let mut peer = Peer::python("mqtt_peer.py", &["tick", "quiet"]).await;
    trials::restarts(|port| ticking(port, "5"), &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_3_1_1_may_be_killed_too() {
    let mut peer = Peer::python("mqtt_peer.py", &["tick", "quiet"]).await;
    trials::restarts(|port| ticking(port, "3.1.1"), &mut peer, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_may_be_silent_slow_or_late() {
    let peer = Peer::python("mqtt_peer.py", &["tick", "quiet"]).await;
    let is_true = |point: guideway_contract::PointId, value: &Native| match point.0 {
        0 => matches!(value, Native::Int(0..)),
        _ => *value == Native::text("tick"),
    };
    trials::weather(|port| ticking(port, "5"), &peer, is_true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_from_a_broker_harms_nothing() {
    let peer = Peer::python("mqtt_peer.py", &["tick", "quiet"]).await;
    trials::mutated(|port| ticking(port, "5"), &peer, 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_from_a_broker_of_3_1_1_harms_nothing() {
    let peer = Peer::python("mqtt_peer.py", &["tick", "quiet"]).await;
    trials::mutated(|port| ticking(port, "3.1.1"), &peer, 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_into_a_busy_pipeline_stays_bounded_and_loses_nothing() {
    const MESSAGES: i64 = 100_000;
    for version in ["3.1.1", "5"] {
        let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
        let keys = format!(r#"{{"version":"{version}","qos":1,"clean":false,"client_id":"flooded"}}"#);
        let mut running = Running::start(adapter(config(peer.port(), &keys), &[("flood", "auto", "{}")]));
        running.connected(SOON).await;
        let before = trials::resident();
        // Nobody reads: the channel to the pipeline fills, then the session waits, then the broker.
        assert_eq!(peer.say(&format!("flood 1 {MESSAGES} flood")).await, "ok");
        let grown = trials::resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more in use");
        let mut seen = vec![false; usize::try_from(MESSAGES).unwrap()];
        let mut last = -1;
        let mut missing = seen.len();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
        while missing > 0 {
            let Signal::Raw(batch) = running.signal(deadline, "rest of the flood").await else { continue };
            for reading in batch.readings {
                let Native::Int(number) = reading.value else { panic!("{reading:?}") };
                assert!(number <= last + 1, "{number} after {last}");
                last = last.max(number);
                let seen = &mut seen[usize::try_from(number).unwrap()];
                missing -= usize::from(!std::mem::replace(seen, true));
            }
        }
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_kept_meanwhile_comes_after_the_next_connect() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    let proxy = guideway_contract::kit::Proxy::start(peer.port()).await;
    for (version, qos) in [("3.1.1", 1), ("5", 1), ("5", 2), ("3.1.1", 2)] {
        proxy.set(guideway_contract::kit::Weather::Clear);
        let keys = format!(
            r#"{{"version":"{version}","qos":{qos},"clean":false,"client_id":"kept-{version}-{qos}","keep_alive":"1s"}}"#
        );
        let mut running = Running::start(adapter(config(proxy.port(), &keys), &[("kept", "auto", "{}")]));
        running.connected(SOON).await;
        proxy.set(guideway_contract::kit::Weather::Silent);
        running.disconnected(SOON).await;
        proxy.set(guideway_contract::kit::Weather::Refuse);
        for number in 0..30 {
            assert_eq!(peer.say(&format!("pub {qos} 0 kept {number}")).await, "ok");
        }
        proxy.set(guideway_contract::kit::Weather::Clear);
        let mut next = 0;
        let deadline = tokio::time::Instant::now() + 2 * SOON;
        while next < 30 {
            let Signal::Raw(batch) = running.signal(deadline, "kept message").await else { continue };
            for reading in batch.readings {
                let Native::Int(number) = reading.value else { panic!("{reading:?}") };
                assert!(number <= next, "{number} where {next} is, MQTT {version}, quality {qos}");
                next = next.max(number + 1);
            }
        }
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_retained_messages_come_before_the_subscription_is_acknowledged() {
    const TOPICS: usize = 20_000;
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    assert_eq!(peer.say(&format!("spread 1 {TOPICS} s")).await, "ok");
    for version in ["3.1.1", "5"] {
        let keys = format!(r#"{{"version":"{version}","qos":0}}"#);
        let mut running = Running::start(adapter(config(peer.port(), &keys), &[("s/+", "u32", "{}")]));
        let mut missing: std::collections::BTreeSet<i64> = (0..).take(TOPICS).collect();
        let deadline = tokio::time::Instant::now() + 2 * SOON;
        while !missing.is_empty() {
            let Signal::Raw(batch) = running.signal(deadline, "retained message").await else { continue };
            for reading in batch.readings {
                let Native::Int(number) = reading.value else { panic!("{reading:?}") };
                missing.remove(&number);
            }
        }
        running.stop().await;
    }
}
