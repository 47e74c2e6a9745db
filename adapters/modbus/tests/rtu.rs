//! Modbus RTU on a serial line: pymodbus at its other end, and a unit that answers too late.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use guideway_contract::kit::{Peer, Pty, Running};
use guideway_contract::{Access, Native, Outcome, Period, PointSpec, Protocol, Signal};
use guideway_modbus::codec::rtu;
use guideway_modbus::{Bus, BusConfig, Config, Modbus, Parity, Point, Serial, adapter_on};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_serial::SerialPortBuilderExt;

const SOON: Duration = Duration::from_secs(10);

fn config(device: &str) -> Config {
    let serial = Serial { baud: 115_200, parity: Parity::None, ..Serial::default() };
    Config { address: device.into(), serial, timeout: Duration::from_millis(400), ..Config::default() }
}

fn point(address: &str, data_type: &str) -> PointSpec<Point> {
    let mut spec = PointSpec::new(address, data_type.parse().unwrap(), Point::default());
    spec.period = Period::Every(Duration::from_millis(50));
    spec.access = if address.starts_with("input") { Access::Read } else { Access::ReadWrite };
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_read_and_written_on_a_serial_line_and_a_silent_unit_is_found_again() {
    let line = Pty::pair().await;
    let mut peer = Peer::python_on("modbus_peer.py", &line.b, &[]).await;
    peer.say("bad 1 holding 9").await;
    let points = vec![
        point("holding:0", "u16"),
        point("holding:9", "u16"),
        point("holding:10", "u16[100]"),
        point("coil:5", "bool"),
        point("input:2", "u32"),
        point("holding:200.3", "bool"),
    ];
    let mut running = Running::start(Modbus::adapter(config(&line.a), points));
    let values: Vec<_> = running.all(6, SOON).await.into_iter().map(|reading| reading.value).collect();
    assert_eq!(values[0], Native::Int(1));
    assert!(values[1].is_bad());
    assert!(values[2].to_string().starts_with("[71, 78, 85"));
    assert_eq!((&values[3], &values[4]), (&Native::Bool(true), &Native::Int((15 << 16) + 22)));
    assert_eq!(
        running.write(&[(0, Native::Int(77)), (5, Native::Bool(false)), (3, Native::Bool(false))]).await,
        Outcome::Done
    );
    assert_eq!(peer.say("get 1 holding 0 1").await, "77");
    assert_eq!(peer.say("get 1 holding 200 1").await, (1401 & !8).to_string());
    running.value(3, &Native::Bool(false), SOON).await;
    for _ in 0..3 {
        peer.kill().await;
        running.disconnected(SOON).await;
        peer.restart().await;
        running.connected(SOON).await;
        running.value(0, &Native::Int(1), SOON).await;
    }
    running.stop().await;
}

/// What each register of a late answer says; no other answer does.
const LATE: u16 = 0xDEAD;

/// What each register of the answer to a request says: which request it was.
fn told(start: u16, count: u16) -> u16 {
    16 * start + count
}

/// The units of a line. Unit 1 holds an answer back now and then until anybody is asked again; then both answer. Each
/// third late answer is an exception.
async fn tardy(device: String, held: Arc<AtomicUsize>) {
    let mut port = tokio_serial::new(device, 115_200).open_native_async().unwrap();
    let mut late: Option<Vec<u8>> = None;
    let mut number = 0_usize;
    loop {
        let mut request = [0; 8];
        port.read_exact(&mut request).await.unwrap();
        number += 1;
        let (start, count) = (u16::from_be_bytes([request[2], request[3]]), request[5]);
        let framed = |pdu: &[u8]| {
            let mut out = Vec::new();
            rtu::frame(request[0], pdu, &mut out);
            out
        };
        let data = |word: u16| {
            let mut pdu = vec![request[1], 2 * count];
            (0..count).for_each(|_| pdu.extend_from_slice(&word.to_be_bytes()));
            framed(&pdu)
        };
        if let Some(late) = late.take() {
            port.write_all(&late).await.unwrap();
            // A unit takes its time between two answers: so much that the next request may come between.
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
        // Sometimes two requests in a row, sometimes after a while of good answers.
        if request[0] == 1 && (matches!(number % 11, 5 | 6) || number % 17 == 3) {
            let number = held.fetch_add(1, Relaxed);
            late = Some(if number % 3 == 1 { framed(&[request[1] | 0x80, 4]) } else { data(LATE) });
        } else {
            port.write_all(&data(told(start, count.into()))).await.unwrap();
        }
    }
}

/// Sees that every value is that of its own point; how many there were, and why sessions ended.
async fn watch(running: &mut Running, long: Duration) -> (usize, Vec<String>) {
    let until = Instant::now() + long;
    let expected = [told(0, 1), told(100, 1), told(200, 2)];
    let (mut good, mut ends) = (0, Vec::new());
    while let Ok(Some(signal)) = tokio::time::timeout_at(until, running.collector.next()).await {
        let batch = match signal {
            Signal::Raw(batch) => batch,
            Signal::Disconnected { .. } => {
                ends.extend(running.health().last_error());
                continue;
            }
            _ => continue,
        };
        for reading in batch.readings {
            let number = expected[reading.point.index()];
            let list = format!("[{number}, {number}]");
            let value = reading.value.to_string();
            assert!(value == number.to_string() || value == list, "{reading:?}");
            good += 1;
        }
    }
    (good, ends)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_on_a_serial_line_never_becomes_a_value() {
    let line = Pty::pair().await;
    let held = Arc::new(AtomicUsize::new(0));
    let unit = tokio::spawn(tardy(line.b.clone(), held.clone()));
    let points = vec![point("holding:0", "u16"), point("holding:100", "u16"), point("holding:200", "u16[2]")];
    let config = Config { timeout: Duration::from_millis(100), ..config(&line.a) };
    let mut running = Running::start(Modbus::adapter(config, points));
    let (good, _) = watch(&mut running, Duration::from_secs(12)).await;
    assert!(good > 50, "{good} good readings");
    assert!(held.load(Relaxed) > 10, "{} late answers", held.load(Relaxed));
    assert!(!unit.is_finished());
    running.stop().await;
    unit.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_of_one_unit_does_not_end_the_session_of_another() {
    let line = Pty::pair().await;
    let held = Arc::new(AtomicUsize::new(0));
    let units = tokio::spawn(tardy(line.b.clone(), held.clone()));
    let Config { serial, .. } = config(&line.a);
    let bus = Bus::new(&BusConfig { serial, ..BusConfig::new(&line.a) });
    let start = |unit| {
        let config = Config { unit, timeout: Duration::from_secs(1), ..Config::default() };
        Running::start(adapter_on(
            bus.clone(),
            config,
            &[point("holding:0", "u16"), point("holding:100", "u16")],
        ))
    };
    let (mut tardy, mut prompt) = (start(1), start(2));
    let long = Duration::from_secs(20);
    let ((of_tardy, _), (of_prompt, ends)) = tokio::join!(watch(&mut tardy, long), watch(&mut prompt, long));
    let counters = &prompt.health().counters;
    assert_eq!(counters.sessions.load(Relaxed), 1, "{ends:?}");
    assert!(of_tardy > 10 && of_prompt > 20, "{of_tardy} and {of_prompt} good readings");
    assert!(held.load(Relaxed) > 5 && !units.is_finished());
    tardy.stop().await;
    prompt.stop().await;
    units.abort();
}
