//! Load for the whole gateway, as a process of its own, with its CPU time read from the system.
//!
//! ```sh
//! cargo build --release && cargo run --release --example load
//! cargo run --release --example load -- ingest http     # only these parts
//! ```
//!
//! Parts: `start`, `ingest`, `http` (needs wrk), `streams`. Figures are in docs/performance.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that goes wrong has no figures")]
#![allow(clippy::print_stdout, reason = "figures go to standard output")]
#![allow(clippy::cast_precision_loss, reason = "figures are rounded anyway")]

mod gateway_process;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gateway_process::{cpu_time, free_port, next_sequence, pause, resident_mib, try_get};

/// Data items of the loaded device.
const ITEMS: usize = 20;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runs = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    if runs("start") {
        start();
    }
    if runs("ingest") {
        for durable in [false, true] {
            for values in [10, 1] {
                ingest(values, durable);
            }
        }
    }
    if runs("http") {
        http();
    }
    if runs("streams") {
        streams();
    }
}

/// A gateway with one device of twenty samples.
struct Gateway {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Gateway {
    fn start(source: u16, durable: bool) -> (Self, Duration) {
        let folder = std::env::temp_dir().join(format!("guideway-load-{}", std::process::id()));
        // What an earlier run left behind; there may be nothing.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut items = String::new();
        for item in 0..ITEMS {
            writeln!(
                items,
                r#"<DataItem id="i{item}" category="SAMPLE" type="TEMPERATURE" units="CELSIUS"/>"#
            )
            .unwrap();
        }
        let devices = format!(
            r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.7"><Devices>
            <Device id="d" name="load" uuid="load-1"><DataItems>{items}</DataItems></Device>
            </Devices></MTConnectDevices>"#
        );
        std::fs::write(folder.join("Devices.xml"), devices).unwrap();
        let port = free_port();
        let configuration = format!(
            "[model]\ndevices = [\"Devices.xml\"]\nagent_device = false\n\
             [journal]\ndurable = {durable}\n\
             [mtconnect]\naddress = \"127.0.0.1\"\nport = {port}\n\
             [[adapter.shdr]]\nname = \"load\"\nhost = \"127.0.0.1\"\nport = {source}\n"
        );
        std::fs::write(folder.join("guideway.toml"), configuration).unwrap();
        let begun = Instant::now();
        let child = gateway_process::spawn(&folder);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        while try_get(address, "/current").is_none() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the gateway does not answer");
            std::thread::yield_now();
        }
        let elapsed = begun.elapsed();
        while try_get(address, "/health").is_none() {
            pause(Duration::from_millis(1));
        }
        (Self { child, address, folder }, elapsed)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Lines with changing values for one item after the other; a chunk that is sent over and over.
fn lines(values: usize, observations: usize) -> String {
    let mut text = String::new();
    let mut number = 0_u32;
    for line in 0..observations / values {
        write!(text, "2026-01-01T00:{:02}:{:02}.{:06}Z", line / 60 % 60, line % 60, line % 1_000_000)
            .unwrap();
        for _ in 0..values {
            // No item says the same twice in a row, so that nothing is dropped as a duplicate.
            write!(text, "|i{}|{}.{:03}", number as usize % ITEMS, number / 1_000, number % 1_000).unwrap();
            number += 1;
        }
        text.push('\n');
    }
    text
}

fn start() {
    let idle = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut times: Vec<Duration> =
        (0..10).map(|_| Gateway::start(idle.local_addr().unwrap().port(), true).1).collect();
    times.sort();
    println!("start to first answer: {:?} (median of 10), {:?} at most", times[5], times[9]);
}

fn ingest(values: usize, durable: bool) {
    const CHUNK: usize = 100_000;
    const CHUNKS: usize = 80;
    let text = lines(values, CHUNK);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let go = Arc::new(AtomicBool::new(false));
    let gone = go.clone();
    let feeder = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        while !gone.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        for _ in 0..CHUNKS {
            stream.write_all(text.as_bytes()).unwrap();
        }
        stream
    });
    let (gateway, _) = Gateway::start(port, durable);
    let (before, cpu) = (next_sequence(gateway.address), cpu_time(&gateway.child));
    let begun = Instant::now();
    go.store(true, Ordering::Relaxed);
    let stream = feeder.join().unwrap();
    let wanted = before + (CHUNK * CHUNKS) as u64;
    while next_sequence(gateway.address) < wanted {
        assert!(begun.elapsed() < Duration::from_secs(120), "{} of {wanted}", next_sequence(gateway.address));
        pause(Duration::from_millis(2));
    }
    let (wall, cpu) = (begun.elapsed(), cpu_time(&gateway.child) - cpu);
    let observations = (CHUNK * CHUNKS) as f64;
    println!(
        "ingest, {values} values a line, {}: {:.2} M observations/s, {:.2} M per CPU second; {:.1} MiB resident",
        if durable { "journal on disk" } else { "in memory" },
        observations / wall.as_secs_f64() / 1e6,
        observations / cpu.as_secs_f64() / 1e6,
        resident_mib(&gateway.child),
    );
    drop(stream);
}

/// A gateway whose ring is full, and that is then left alone.
fn filled() -> (Gateway, TcpStream) {
    let text = lines(10, 200_000);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let feeder = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(text.as_bytes()).unwrap();
        stream
    });
    let (gateway, _) = Gateway::start(port, true);
    let stream = feeder.join().unwrap();
    while next_sequence(gateway.address) < 200_000 {
        pause(Duration::from_millis(2));
    }
    println!("full buffer: {:.1} MiB resident", resident_mib(&gateway.child));
    (gateway, stream)
}

fn http() {
    let (gateway, _stream) = filled();
    for target in ["/current", "/sample?count=1000", "/probe"] {
        let url = format!("http://{}{target}", gateway.address);
        let (cpu, begun) = (cpu_time(&gateway.child), Instant::now());
        let output = Command::new("wrk").args(["-t1", "-c16", "-d5s", &url]).output();
        let output = output.expect("wrk is installed");
        let (cpu, wall) = (cpu_time(&gateway.child) - cpu, begun.elapsed());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:")).unwrap().trim();
        let rate: f64 = rate.parse().unwrap();
        println!(
            "{target} over 16 keep-alive connections: {rate:.0} requests/s, {:.0} per CPU second{}",
            rate * wall.as_secs_f64() / cpu.as_secs_f64(),
            if said.contains("Non-2xx") { " (with errors!)" } else { "" },
        );
    }
    println!("after that: {:.1} MiB resident", resident_mib(&gateway.child));
}

fn streams() {
    const CLIENTS: usize = 100;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let feeder = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let begun = Instant::now();
        let mut sent = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            let due = (begun.elapsed().as_secs_f64() * 1_000.0) as u64;
            let mut text = String::new();
            while sent < due {
                sent += 1;
                writeln!(text, "|i{}|{}.5", sent % ITEMS as u64, sent).unwrap();
            }
            stream.write_all(text.as_bytes()).unwrap();
            pause(Duration::from_millis(10));
        }
    });
    let (gateway, _) = Gateway::start(port, true);
    let bytes = Arc::new(AtomicU64::new(0));
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        write!(stream, "GET /sample?interval=100&count=10000 HTTP/1.1\r\nHost: load\r\n\r\n").unwrap();
        let bytes = bytes.clone();
        std::thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(move || {
                let mut buffer = vec![0; 16 << 10];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    bytes.fetch_add(read as u64, Ordering::Relaxed);
                }
            })
            .unwrap();
    }
    pause(Duration::from_secs(2));
    let (cpu, begun, before) = (cpu_time(&gateway.child), Instant::now(), bytes.load(Ordering::Relaxed));
    pause(Duration::from_secs(10));
    let (cpu, wall) = (cpu_time(&gateway.child) - cpu, begun.elapsed());
    println!(
        "{CLIENTS} streaming clients, 1,000 observations/s, interval 100 ms: {:.1} % of a core, {:.1} MB/s sent; \
         {:.1} MiB resident",
        cpu.as_secs_f64() / wall.as_secs_f64() * 100.0,
        (bytes.load(Ordering::Relaxed) - before) as f64 / wall.as_secs_f64() / 1e6,
        resident_mib(&gateway.child),
    );
    stop.store(true, Ordering::Relaxed);
    feeder.join().unwrap();
}
