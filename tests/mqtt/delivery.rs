//! Nothing is lost, nothing comes twice after dropping duplicates, and all is in order.

use std::collections::HashSet;
use std::time::Duration;

use guideway::journal::GapCause;
use guideway::northbound::mqtt::State;
use guideway_contract::Value;

use crate::broker::{Broker, Received};
use crate::machine::{Machine, Running};

fn options(broker: &Broker, more: &str) -> String {
    format!("name = 'plant'\nurl = '{}'\nlayout = 'uns'\n{more}", broker.url())
}

/// What a receiver is told to do: drop what it has by `(instance, sequence)`.
fn without_duplicates(messages: &[Received]) -> Vec<u64> {
    let mut seen = HashSet::new();
    messages
        .iter()
        .map(Received::json)
        .map(|json| (json["instance"].as_u64().unwrap(), json["sequence"].as_u64().unwrap()))
        .filter(|key| seen.insert(*key))
        .map(|(_, sequence)| sequence)
        .collect()
}

/// The same as comparing with the range, with a message that can be read.
fn assert_contiguous(sequences: &[u64], range: std::ops::Range<u64>) {
    let wrong = sequences.iter().zip(range.clone()).position(|(found, expected)| *found != expected);
    if let Some(wrong) = wrong {
        let around = &sequences[wrong.saturating_sub(3)..sequences.len().min(wrong + 10)];
        panic!("the order is broken at place {wrong}: {around:?}");
    }
    assert_eq!(sequences.len() as u64, range.end - range.start);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_quality_of_service_of_both_versions_delivers_in_order() {
    let Some(broker) = Broker::start("") else { return };
    for version in ["3.1.1", "5"] {
        for qos in 0..=2 {
            let mut machine = Machine::new();
            let subscriber = broker.subscribe("#", &[]);
            let next = machine.count(500);
            let running = machine.start(&options(&broker, &format!("version = '{version}'\nqos = {qos}")));
            running.wait_until_sent().await;
            let received = subscriber.wait_for_count(500);
            let expected: Vec<u64> = (1..next).collect();
            assert_eq!(without_duplicates(&received), expected, "version {version}, qos {qos}");
            assert_eq!(received.len(), 500);
            assert!(received.iter().all(|message| message.qos == qos));
            let status = running.status();
            assert_eq!((status.published, status.acknowledged, status.backlog), (500, 500, 0));
            running.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_in_the_middle_of_a_stream_gets_everything() {
    for version in ["3.1.1", "5"] {
        let Some(mut broker) = Broker::start("") else { return };
        let mut machine = Machine::new();
        // mosquitto holds in memory what it has acknowledged, and SIGKILL costs that. What it got is
        // therefore taken from its log, where the topic names the sequence.
        let running = machine.start(&format!(
            "name = 'plant'\nurl = '{}'\nlayout = 'template'\nversion = '{version}'\nin_flight = 64\n\
             [template]\ntopic = 'sequence/{{sequence}}'\npayload = '{{value}}'",
            broker.url()
        ));
        let next = interrupt(&mut machine, &running, &mut broker, Broker::kill).await;
        running.wait_until_sent().await;
        // The broker has it before its log does.
        broker.wait_for_log(&format!("'sequence/{}'", next - 1));
        let mut seen = HashSet::new();
        let sequences: Vec<u64> = broker
            .log_lines("Received PUBLISH")
            .iter()
            .filter_map(|line| line.split("'sequence/").nth(1)?.split('\'').next()?.parse().ok())
            .filter(|sequence| seen.insert(*sequence))
            .collect();
        assert_contiguous(&sequences, 1..next);
        let status = running.status();
        assert_eq!((status.reconnects, status.gaps), (2, 0));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_restarted_in_the_middle_of_a_stream_costs_its_subscribers_nothing() {
    for version in ["3.1.1", "5"] {
        let Some(mut broker) = Broker::start("persistence true") else { return };
        let subscriber = broker.subscribe("#", &["-c", "-i", "receiver"]);
        let mut machine = Machine::new();
        let running = machine.start(&options(&broker, &format!("version = '{version}'\nin_flight = 64")));
        let next = interrupt(&mut machine, &running, &mut broker, Broker::stop).await;
        running.wait_until_sent().await;
        subscriber.wait_for("the last", |message| message.json()["sequence"] == next - 1);
        assert_contiguous(&without_duplicates(&subscriber.received()), 1..next);
        let status = running.status();
        assert_eq!((status.reconnects, status.gaps), (2, 0));
        running.stop().await;
    }
}

/// Records a stream of observations during which the broker goes away twice; gives the sequence
/// after the last.
async fn interrupt(
    machine: &mut Machine,
    running: &Running,
    broker: &mut Broker,
    end: impl Fn(&mut Broker),
) -> u64 {
    let mut pace = tokio::time::interval(Duration::from_millis(1));
    for round in 0..300 {
        pace.tick().await;
        machine.count(10);
        if round == 100 || round == 200 {
            running.wait("the connection", |status| status.state == State::Connected).await;
            end(broker);
            running.wait("the loss", |status| status.last_error.is_some()).await;
            machine.count(200);
            broker.run();
        }
    }
    machine.journal.bounds().next
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_goes_on_where_it_stopped() {
    let Some(broker) = Broker::start("") else { return };
    let subscriber = broker.subscribe("#", &[]);
    let mut machine = Machine::new();
    machine.count(100);
    let running = machine.start(&options(&broker, ""));
    running.wait_until_sent().await;
    running.stop().await;
    let next = machine.count(100);
    let running = machine.start(&options(&broker, ""));
    running.wait_until_sent().await;
    let received = subscriber.wait_for_count(200);
    assert_eq!(received.len(), 200, "a good-bye leaves nothing to be repeated");
    assert_contiguous(&without_duplicates(&received), 1..next);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_ended_abruptly_repeats_but_loses_nothing() {
    let Some(broker) = Broker::start("") else { return };
    let subscriber = broker.subscribe("#", &[]);
    let mut machine = Machine::new();
    let next = machine.count(5_000);
    for _ in 0..3 {
        let running = machine.start(&options(&broker, ""));
        let before = running.status().cursor;
        running.wait("some progress", |status| status.cursor > before + 500 || status.cursor >= next).await;
        running.destination.abort();
    }
    let running = machine.start(&options(&broker, ""));
    running.wait_until_sent().await;
    subscriber.wait_for("the last", |message| message.json()["sequence"] == next - 1);
    assert_contiguous(&without_duplicates(&subscriber.received()), 1..next);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_does_not_allow_waits_until_it_does() {
    let Some(broker) = Broker::prepare(|folder| {
        let file = folder.join("access");
        std::fs::write(&file, "topic read #\ntopic write other/#\n").unwrap();
        format!("acl_file {}", file.display())
    }) else {
        return;
    };
    let subscriber = broker.subscribe("#", &[]);
    let mut machine = Machine::new();
    let next = machine.count(50);
    let running = machine.start(&options(&broker, ""));
    let status = running.wait("a second refusal", |status| status.refused > 50).await;
    assert_eq!(status.cursor, 1, "nothing counts as sent");
    assert!(status.last_error.unwrap().contains("NotAuthorized"));
    std::fs::write(broker.path("access"), "topic readwrite #\n").unwrap();
    broker.signal("HUP", "Reloading config");
    running.wait_until_sent().await;
    let received = subscriber.wait_for_count(50);
    assert_contiguous(&without_duplicates(&received), 1..next);
    assert!(running.status().retried > 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_broker_can_never_take_is_entered_in_the_ledger_and_passed_over() {
    let Some(broker) = Broker::start("max_packet_size 2000") else { return };
    let subscriber = broker.subscribe("#", &[]);
    let mut machine = Machine::new();
    machine.count(10);
    let large = machine.say("m_prog", Value::text(&"x".repeat(3_000)));
    let next = machine.count(10);
    let running = machine.start(&options(&broker, ""));
    let status = running.wait_until_sent().await;
    let expected: Vec<u64> = (1..next).filter(|sequence| *sequence != large).collect();
    assert_eq!(without_duplicates(&subscriber.wait_for_count(20)), expected);
    assert_eq!((status.refused, status.gaps), (1, 1));
    let ledger = machine.journal.ledger();
    assert_eq!(ledger.len(), 1);
    assert_eq!((ledger[0].reader.as_str(), ledger[0].from, ledger[0].to), ("plant", large, large));
    assert_eq!(ledger[0].cause, GapCause::Refused);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_the_broker_makes_small_is_kept() {
    let Some(broker) = Broker::start("max_inflight_messages 3") else { return };
    let subscriber = broker.subscribe("#", &[]);
    let mut machine = Machine::new();
    let next = machine.count(1_000);
    let running = machine.start(&options(&broker, "qos = 2\nin_flight = 1000"));
    running.wait_until_sent().await;
    let received = subscriber.wait_for_count(1_000);
    assert_contiguous(&without_duplicates(&received), 1..next);
    assert_eq!(running.status().reconnects, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observations_that_retention_took_are_a_gap_and_the_rest_arrives() {
    let Some(mut broker) = Broker::start("persistence true") else { return };
    let subscriber = broker.subscribe("#", &["-c", "-i", "receiver"]);
    let mut machine = Machine::with_buffer(1_024);
    let running = machine.start(&options(&broker, ""));
    machine.count(10);
    running.wait_until_sent().await;
    broker.stop();
    running.wait("the loss", |status| status.last_error.is_some()).await;
    let ring = machine.journal.buffer_size();
    for _ in 0..3 {
        machine.count(ring / 2);
    }
    let first = machine.journal.bounds().first;
    assert!(first > 11, "the ring has moved on");
    let next = machine.count(0);
    broker.run();
    running.wait_until_sent().await;
    subscriber.wait_for("the last", |message| message.json()["sequence"] == next - 1);
    let expected: Vec<u64> = (1..11).chain(first..next).collect();
    assert_eq!(without_duplicates(&subscriber.received()), expected);
    let status = running.status();
    assert_eq!(status.gaps, 1);
    assert_eq!((machine.journal.ledger()[0].from, machine.journal.ledger()[0].to), (11, first - 1));
    running.stop().await;
}
