//! The broker goes away for a minute; everything arrives afterwards, in order.

#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use support::broker::Broker;
use support::counting::{Receiver, configure};
use support::eventually;
use support::gateway::{Gateway, free_port};
use support::source::Counting;

const OUTAGE: Duration = Duration::from_secs(60);

#[test]
fn after_a_minute_without_a_broker_everything_arrives_in_order_and_memory_is_flat() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(folder.path());
    let mut receiver = Receiver::start(&broker);
    let source = Counting::start(1_000);
    let port = free_port();
    let configuration = configure(folder.path(), port, source.port, broker.port);
    let gateway = Gateway::start(&configuration, folder.path(), port);
    receiver.until(1_000, Duration::from_secs(30));
    let before = gateway.resident_kib();

    broker.stop();
    let stopped = Instant::now();
    let mut most = 0;
    eventually("the outage is over", OUTAGE + Duration::from_secs(5), || {
        most = most.max(gateway.resident_kib());
        (stopped.elapsed() >= OUTAGE).then_some(())
    });
    let backlog = gateway.health()["destinations"][0]["backlog"].as_u64().unwrap();
    assert!(backlog >= 50_000, "a minute of 1,000 observations/s waits: {backlog}");
    broker.resume();
    let resumed = Instant::now();
    let caught_up = eventually("the destination has caught up", Duration::from_secs(120), || {
        most = most.max(gateway.resident_kib());
        let backlog = gateway.health()["destinations"][0]["backlog"].as_u64().unwrap();
        (backlog < 1_000).then(|| resumed.elapsed())
    });
    source.stop();
    let next = eventually("the source is silent", Duration::from_secs(10), || {
        let before = gateway.next_sequence();
        (0..20).all(|_| gateway.next_sequence() == before).then_some(before)
    });
    receiver.until(next, Duration::from_secs(60));
    receiver.assert_complete(next);
    println!(
        "{OUTAGE:?} without a broker: {backlog} waited, caught up in {caught_up:?}; {} in all, {} twice; \
         resident memory {before} KiB before, {most} KiB at most",
        next - 1,
        receiver.duplicates
    );
    // The ring fills meanwhile (48 bytes for each observation) and nothing else grows.
    let ring = next * 48 / 1_024;
    assert!(most < before + ring + 8 * 1_024, "memory is flat: {before} KiB before, {most} KiB at most");
}
