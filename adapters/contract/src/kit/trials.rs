//! What every adapter of raw points has to stand, whatever its protocol.

use std::time::Duration;

use tokio::time::Instant;

use super::{Peer, Proxy, Running, Weather};
use crate::{Adapter, Counters, Native, PointId, RawBatch, Signal};

/// How soon an adapter is back after its peer is, and how soon it has noticed that its peer is gone.
const SOON: Duration = Duration::from_secs(10);
/// How much more memory a trial of many connections may leave in use.
const MOST_GROWTH: u64 = 64 << 20;

/// The peer is killed and started again so many times: each time the session ends within 10 s, nothing is read
/// while it is down, and readings come again within 10 s.
pub async fn restarts(make: impl Fn(u16) -> Box<dyn Adapter>, peer: &mut Peer, times: usize) {
    let mut running = Running::start(make(peer.port()));
    running.connected(SOON).await;
    good(&mut running, SOON, &mut |_, _| true).await;
    for time in 1..=times {
        peer.kill().await;
        running.disconnected(SOON).await;
        let nothing = tokio::time::timeout(Duration::from_millis(300), running.collector.next()).await;
        assert!(nothing.is_err(), "round {time}: {nothing:?} while the peer was down");
        peer.restart().await;
        running.connected(SOON).await;
        good(&mut running, SOON, &mut |_, _| true).await;
    }
    assert_eq!(
        running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed),
        times as u64 + 1
    );
    running.stop().await;
}

/// The peer is silent, slow, and answers for the request before; each time with `is_true` said of every value that
/// arrives, and good readings within 10 s of clear weather. A silent peer's session ends within 10 s.
pub async fn weather(
    make: impl Fn(u16) -> Box<dyn Adapter>,
    peer: &Peer,
    mut is_true: impl FnMut(PointId, &Native) -> bool,
) {
    let proxy = Proxy::start(peer.port()).await;
    let mut running = Running::start(make(proxy.port()));
    running.connected(SOON).await;
    good(&mut running, SOON, &mut is_true).await;
    proxy.set(Weather::Silent);
    running.disconnected(SOON).await;
    let rough = [
        Weather::Slow(Duration::from_millis(150)),
        Weather::Stale,
        Weather::Slow(Duration::from_secs(4)),
        Weather::Stale,
    ];
    for weather in rough {
        proxy.set(weather);
        watch(&mut running, Duration::from_secs(4), &mut is_true).await;
        proxy.set(Weather::Clear);
        good(&mut running, SOON, &mut is_true).await;
    }
    running.stop().await;
}

/// Every reply is tampered with, over so many connections: nothing panics, memory stays bounded, and in clear
/// weather everything is read again.
pub async fn mutated(make: impl Fn(u16) -> Box<dyn Adapter>, peer: &Peer, connections: u64) {
    let proxy = Proxy::start(peer.port()).await;
    proxy.set(Weather::Mutate { seed: 7 });
    let mut before = None;
    let deadline = Instant::now() + Duration::from_secs(100);
    let adapters = 16;
    let start = || Running::with(make(proxy.port()), crate::PointTable::default(), Duration::from_millis(1));
    let mut all: Vec<Running> = (0..adapters).map(|_| start()).collect();
    while proxy.connections() < connections {
        assert!(Instant::now() < deadline, "only {} connections in time", proxy.connections());
        // A session that survives its weather is not what is looked for: take a new one.
        for running in &mut all {
            let until = Instant::now() + Duration::from_millis(20);
            let seen = running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed);
            while tokio::time::timeout_at(until, running.collector.next())
                .await
                .is_ok_and(|signal| signal.is_some())
            {}
            if seen > 0 {
                std::mem::replace(running, start()).stop().await;
            }
        }
        if proxy.connections() > connections / 5 {
            before.get_or_insert_with(resident);
        }
    }
    let grown = resident().saturating_sub(before.unwrap_or_default());
    assert!(grown < MOST_GROWTH, "{grown} bytes more in use after {connections} connections");
    proxy.set(Weather::Clear);
    for mut running in all {
        good(&mut running, SOON * 2, &mut |_, _| true).await;
        running.stop().await;
    }
}

/// Waits for a batch of good readings that is not older than this call.
async fn good(running: &mut Running, within: Duration, is_true: &mut impl FnMut(PointId, &Native) -> bool) {
    running.collector.drain();
    let deadline = Instant::now() + within;
    loop {
        if let Signal::Raw(batch) = running.signal(deadline, "good reading").await {
            judge(&batch, is_true);
            if batch.readings.iter().any(|reading| !reading.value.is_bad()) {
                return;
            }
        }
    }
}

async fn watch(running: &mut Running, long: Duration, is_true: &mut impl FnMut(PointId, &Native) -> bool) {
    let until = Instant::now() + long;
    while let Ok(signal) = tokio::time::timeout_at(until, running.collector.next()).await {
        if let Some(Signal::Raw(batch)) = signal {
            judge(&batch, is_true);
        }
    }
}

fn judge(batch: &RawBatch, is_true: &mut impl FnMut(PointId, &Native) -> bool) {
    for reading in &batch.readings {
        let foreign = !reading.value.is_bad() && !is_true(reading.point, &reading.value);
        assert!(!foreign, "{:?} has a value that is not its own: {:?}", reading.point, reading.value);
    }
}

/// Bytes of memory that this process has in use.
pub fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4_096
}

/// The readings counted so far; for trials of throughput.
pub fn readings(counters: &Counters) -> u64 {
    counters.readings.load(std::sync::atomic::Ordering::Relaxed)
}
