//! Load by machines of profiles: the gateway as a process of its own, with its CPU time and memory read from the system.
//!
//! ```sh
//! scripts/test --no-run; cargo build --release && cargo run --release --example machines_load
//! ```
//!
//! Three rows: 5 Modbus machines of 200 registers each, polled ten times a second, every register another value at
//! each poll; 50 of them, polled once a second; then 50 machines of four protocols (Modbus, S7, SLMP, EtherNet/IP)
//! with 200 points each. The Modbus machines are this process; the others are the tests' peers (.venv, tests/peers),
//! whose values stand still. Figures are in docs/performance.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that goes wrong has no figures")]
#![allow(clippy::print_stdout, reason = "figures go to standard output")]
#![allow(clippy::cast_precision_loss, reason = "figures are rounded anyway")]

mod gateway_process;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gateway_process::{cpu_time, free_port, next_sequence, pause, resident_mib, try_get};

const MACHINES: usize = 50;
const POINTS: usize = 200;
const TIME: Duration = Duration::from_secs(30);

fn main() {
    println!(
        "{:<44} {:>12} {:>14} {:>10} {:>10}",
        "machines", "points/s", "observations/s", "% of a core", "MiB"
    );
    let modbus = modbus_machines();
    let few: Vec<String> = (0..5).map(|machine| device(machine, "modbus-fast", modbus, "")).collect();
    measure("5 x Modbus, ten times a second, all change", &few);
    let all: Vec<String> = (0..MACHINES).map(|machine| device(machine, "modbus", modbus, "")).collect();
    measure("50 x Modbus, every value changes", &all);
    let peers = [peer("s7_peer.py", &[]), peer("slmp_peer.py", &["3e"]), peer("eip_fake.py", &[])];
    let mixed: Vec<String> = (0..MACHINES)
        .map(|machine| match machine % 5 {
            0 | 1 => device(machine, "modbus", modbus, ""),
            2 => device(machine, "s7", peers[0].1, ""),
            3 => device(machine, "slmp", peers[1].1, ""),
            _ => device(machine, "ethernet-ip", peers[2].1, ""),
        })
        .collect();
    measure("20 x Modbus, 10 x S7, SLMP, EtherNet/IP", &mixed);
}

fn device(machine: usize, kind: &str, port: u16, more: &str) -> String {
    format!(
        "[[device]]\nname = \"m{machine}\"\nprofile = \"./{kind}.toml\"\naddress = \"127.0.0.1:{port}\"\n{more}"
    )
}

fn profile(name: &str) -> String {
    let kind = name.trim_end_matches("-fast");
    let period = if kind == name { "1s" } else { "100ms" };
    let address = |point: usize| match kind {
        "modbus" => format!("holding:{point}"),
        "s7" => format!("DB2.DBW{}", 2 * point),
        "slmp" => format!("D{point}"),
        _ => format!("Curve[{point}]"),
    };
    let data_type = if kind == "ethernet-ip" { "f32" } else { "u16" };
    let mut text = format!(
        "schema = 1\nid = \"{kind}\"\nversion = \"1.0.0\"\ngroups = {{ default = \"{period}\" }}\n[adapter]\nkind = \"{kind}\"\n[points]\n"
    );
    for point in 0..POINTS {
        writeln!(text, "p{point} = {{ addr = \"{}\", type = \"{data_type}\" }}", address(point)).unwrap();
    }
    text.push_str("[items]\navail = { at = \".\", type = \"AVAILABILITY\", value = \"link\" }\n");
    for point in 0..POINTS {
        writeln!(
            text,
            "i{point} = {{ at = \"Systems/Electric[e{point}]\", type = \"VOLTAGE_DC\", units = \"VOLT\", from = \"p{point}\" }}"
        )
        .unwrap();
    }
    text
}

fn measure(label: &str, devices: &[String]) {
    let folder =
        std::env::temp_dir().join(format!("guideway-machines-{}-{}", std::process::id(), free_port()));
    std::fs::create_dir_all(&folder).unwrap();
    for kind in ["modbus", "modbus-fast", "s7", "slmp", "ethernet-ip"] {
        std::fs::write(folder.join(format!("{kind}.toml")), profile(kind)).unwrap();
    }
    let port = free_port();
    let text = format!(
        "[model]\nagent_device = false\n[mtconnect]\naddress = \"127.0.0.1\"\nport = {port}\n{}",
        devices.concat()
    );
    std::fs::write(folder.join("guideway.toml"), text).unwrap();
    let mut gateway = gateway_process::spawn(&folder);
    pause(Duration::from_secs(10));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (sequence, readings, cpu, begun) =
        (next_sequence(address), total(address), cpu_time(&gateway), Instant::now());
    pause(TIME);
    let seconds = begun.elapsed().as_secs_f64();
    let observed = (next_sequence(address) - sequence) as f64 / seconds;
    let read = (total(address) - readings) as f64 / seconds;
    let share = (cpu_time(&gateway) - cpu).as_secs_f64() / seconds * 100.0;
    println!("{label:<44} {read:>12.0} {observed:>14.0} {share:>10.1} {:>10.1}", resident_mib(&gateway));
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Readings of all adapters so far.
fn total(http: SocketAddr) -> u64 {
    let text = try_get(http, "/metrics").unwrap();
    let readings = text.lines().filter(|line| line.starts_with("guideway_adapter_readings"));
    readings.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// A peer of the tests, and its port.
fn peer(script: &str, arguments: &[&str]) -> (Peer, u16) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let port = free_port();
    let mut child = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("tests/peers").join(script))
        .arg(port.to_string())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    while line.trim() != "ready" {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "{script} ended");
    }
    (Peer(child), port)
}

/// Killed when dropped.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
    }
}

/// Modbus TCP machines, a thread for each connection, whose registers have another value each time.
fn modbus_machines() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut value = 0_u16;
    let mut request = [0; 12];
    loop {
        stream.read_exact(&mut request).ok()?;
        let count = u16::from_be_bytes([request[10], request[11]]);
        let mut reply = request[..4].to_vec();
        reply.extend_from_slice(&(3 + 2 * count).to_be_bytes());
        reply.extend_from_slice(&[request[6], request[7], u8::try_from(2 * count).ok()?]);
        for _ in 0..count {
            value = value.wrapping_add(1);
            reply.extend_from_slice(&value.to_be_bytes());
        }
        stream.write_all(&reply).ok()?;
    }
}
