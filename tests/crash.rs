//! `kill -9` in the middle, again and again: nothing that anybody has seen is missing afterwards.

#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use support::broker::Broker;
use support::counting::{Receiver, configure};
use support::gateway::{Gateway, free_port};
use support::source::Counting;
use support::{eventually, http};

/// Sequence → (data item, timestamp, value) of everything in the ring.
type Seen = BTreeMap<u64, (String, String, String)>;

fn instance_of(document: &str) -> u64 {
    let at = document.find("instanceId=\"").unwrap() + 12;
    document[at..].split('"').next().unwrap().parse().unwrap()
}

fn collect(document: &str, seen: &mut Seen) {
    let tree = roxmltree::Document::parse(document).unwrap();
    for node in tree.descendants().filter(|node| node.attribute("sequence").is_some()) {
        let attribute = |name| node.attribute(name).unwrap().to_owned();
        let said = (attribute("dataItemId"), attribute("timestamp"), node.text().unwrap_or_default().into());
        let sequence = attribute("sequence").parse().unwrap();
        if let Some(before) = seen.insert(sequence, said.clone()) {
            assert_eq!(before, said, "sequence {sequence} says something else than before");
        }
    }
}

#[test]
fn after_ten_kills_every_sequence_is_there_once_and_says_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let mut receiver = Receiver::start(&broker);
    let source = Counting::start(2_000);
    let port = free_port();
    let configuration = configure(folder.path(), port, source.port, broker.port);

    let mut seen = Seen::new();
    let mut instance = None;
    for round in 0..10 {
        let gateway = Gateway::start(&configuration, folder.path(), port);
        // Everything that a reader saw before is still there.
        let before = seen.clone();
        let document = gateway.get("/sample?count=100000");
        let mut now = Seen::new();
        collect(&document, &mut now);
        let id = instance_of(&document);
        assert_eq!(*instance.get_or_insert(id), id, "the instance is unchanged");
        for (sequence, said) in &before {
            assert_eq!(now.get(sequence), Some(said), "round {round}: sequence {sequence}");
        }
        // Read on while observations come in, up to the moment of the kill.
        let enough = before.len() + 300 + 70 * round;
        eventually("observations come in", Duration::from_secs(20), || {
            let from = seen.last_key_value().map_or(1, |(last, _)| last + 1);
            let answer = http::try_get(gateway.address, &format!("/sample?from={from}&count=10000"))?;
            if answer.status == 200 {
                collect(&answer.body, &mut seen);
            }
            (seen.len() > enough).then_some(())
        });
        gateway.kill();
    }

    let gateway = Gateway::start(&configuration, folder.path(), port);
    source.stop();
    let next = eventually("the source is silent", Duration::from_secs(10), || {
        let before = gateway.next_sequence();
        std::thread::yield_now();
        let mut quiet = true;
        for _ in 0..20 {
            quiet &= gateway.next_sequence() == before;
        }
        quiet.then_some(before)
    });
    collect(&gateway.get("/sample?count=100000"), &mut seen);
    assert!(seen.keys().copied().eq(1..next), "sequences are contiguous");
    assert_eq!(gateway.health()["journal"]["gaps"], 0);

    receiver.until(next, Duration::from_secs(60));
    receiver.assert_complete(next);
    println!(
        "10 kills: {} observations, each once; {} came to the broker twice and were dropped by (instance, sequence)",
        next - 1,
        receiver.duplicates
    );
}
