//! Several units on one line.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper that cannot go on fails the test"
)]

use std::time::Duration;

use guideway_contract::kit::{Peer, Pty, Running};
use guideway_contract::{Access, Native, Outcome, Period, PointSpec, PointTable, Signal};
use guideway_modbus::{Bus, BusConfig, Config, Parity, Point, Serial, adapter_on};
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_millis(1_500);

fn bus(address: &str) -> Bus {
    let serial = Serial { baud: 115_200, parity: Parity::None, ..Serial::default() };
    let config = BusConfig { serial, ..BusConfig::new(address) };
    assert_eq!(config.check(), []);
    Bus::new(&config)
}

/// A unit with two points, read each 50 ms; a dead one is tried again after half a second and then less often.
fn unit(bus: &Bus, unit: u8) -> Running {
    let points: Vec<_> = ["holding:0", "holding:500"]
        .into_iter()
        .map(|address| {
            let mut spec = PointSpec::new(address, "u16".parse().unwrap(), Point::default());
            spec.period = Period::Every(Duration::from_millis(50));
            spec.access = Access::ReadWrite;
            spec
        })
        .collect();
    let config = Config { unit, timeout: TIMEOUT, ..Config::default() };
    Running::with(adapter_on(bus.clone(), config, &points), PointTable::default(), Duration::from_millis(500))
}

async fn is_read(running: &mut Running, unit: u8) {
    running.value(0, &Native::Int(unit.into()), SOON).await;
    running.value(1, &Native::Int(3_500 + i64::from(unit)), SOON).await;
}

/// The longest time between two readings of point 0, and how many took longer than half a time-out.
async fn gaps(running: &mut Running, long: Duration) -> (Duration, usize) {
    running.collector.drain();
    let until = Instant::now() + long;
    let (mut last, mut longest, mut slow) = (Instant::now(), Duration::ZERO, 0);
    while let Ok(Some(signal)) = tokio::time::timeout_at(until, running.collector.next()).await {
        let Signal::Raw(batch) = signal else {
            panic!("{signal:?} of a unit that is well: {:?}", running.health().last_error())
        };
        if batch.readings.iter().any(|reading| reading.point.0 == 0) {
            longest = longest.max(last.elapsed());
            slow += usize::from(last.elapsed() > TIMEOUT / 2);
            last = Instant::now();
        }
    }
    (longest.max(last.elapsed()), slow)
}

async fn one_dead_unit_costs_one_time_out(mut peer: Peer, bus: Bus) {
    let mut units: Vec<_> = (1..=4).map(|number| (number, unit(&bus, number))).collect();
    for (number, running) in &mut units {
        is_read(running, *number).await;
    }
    peer.say("dead 3").await;
    let (_, mut dead) = units.remove(2);
    dead.disconnected(SOON).await;
    let tries = |running: &Running| {
        running.health().counters.failed_attempts.load(std::sync::atomic::Ordering::Relaxed)
    };
    let before = tries(&dead);
    let (longest, slow) = gaps(&mut units[0].1, Duration::from_secs(8)).await;
    let tried = tries(&dead) - before;
    println!("longest gap {longest:?}, {slow} slow turns, dead unit tried {tried} times");
    // One, not two; what is left is for a machine that is busy with other tests.
    assert!(longest < 2 * TIMEOUT, "{longest:?}");
    assert!(tried >= 2 && slow as u64 <= tried + 1, "{slow} slow turns, tried {tried} times");
    for (number, running) in &mut units {
        assert_eq!(running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
        running.collector.drain();
        is_read(running, *number).await;
    }
    peer.say("alive 3").await;
    dead.connected(SOON).await;
    is_read(&mut dead, 3).await;
    assert_eq!(dead.write(&[(0, Native::Int(33))]).await, Outcome::Done);
    assert_eq!(peer.say("get 3 holding 0 1").await, "33");
    assert_eq!(peer.say("get 2 holding 0 1").await, "2");
    dead.stop().await;
    for (_, running) in units {
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_unit_on_a_serial_line_slows_the_others_by_one_time_out_each_time_it_is_tried() {
    let line = Pty::pair().await;
    let peer = Peer::python_on("modbus_peer.py", &line.b, &["units=1,2,3,4"]).await;
    one_dead_unit_costs_one_time_out(peer, bus(&line.a)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_unit_behind_a_gateway_slows_the_others_by_one_time_out_each_time_it_is_tried() {
    let peer = Peer::python("modbus_peer.py", &["units=1,2,3,4"]).await;
    let bus = bus(&format!("127.0.0.1:{}", peer.port()));
    one_dead_unit_costs_one_time_out(peer, bus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_goes_down_ends_the_sessions_of_all_units_and_comes_back() {
    let mut peer = Peer::python("modbus_peer.py", &["units=1,2"]).await;
    let bus = bus(&format!("127.0.0.1:{}", peer.port()));
    let (mut first, mut second) = (unit(&bus, 1), unit(&bus, 2));
    for _ in 0..3 {
        is_read(&mut first, 1).await;
        is_read(&mut second, 2).await;
        peer.kill().await;
        first.disconnected(SOON).await;
        second.disconnected(SOON).await;
        peer.restart().await;
        first.connected(SOON).await;
        second.connected(SOON).await;
    }
    first.stop().await;
    second.stop().await;
}
