//! The gateway as a process that is measured: what the loads have in common.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Runs the gateway with the `guideway.toml` of a folder, its data beside it.
pub(crate) fn spawn(folder: &Path) -> Child {
    Command::new(binary())
        .arg("run")
        .arg(folder.join("guideway.toml"))
        .arg("--data-dir")
        .arg(folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn binary() -> PathBuf {
    // target/release/examples/load → target/release/guideway
    let here = std::env::current_exe().unwrap();
    let path = here.parent().and_then(Path::parent).unwrap().join("guideway");
    assert!(path.exists(), "build it first: cargo build --release");
    path
}

/// User and system CPU time so far.
pub(crate) fn cpu_time(process: &Child) -> Duration {
    let stat = proc_file(process, "stat");
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // The kernel counts in hundredths of a second for everybody who asks this way.
    Duration::from_millis(ticks * 10)
}

/// Resident memory.
pub(crate) fn resident_mib(process: &Child) -> f64 {
    let status = proc_file(process, "status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

fn proc_file(process: &Child, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{name}", process.id())).unwrap()
}

/// The sequence of the next observation, as the gateway's health says it.
pub(crate) fn next_sequence(http: SocketAddr) -> u64 {
    let health = try_get(http, "/health").unwrap();
    let at = health.find("\"nextSequence\": ").unwrap() + 16;
    health[at..].split([',', '\n', '}']).next().unwrap().trim().parse().unwrap()
}

/// The answer to a GET with its head; `None` when there is none, or none that is good.
pub(crate) fn try_get(address: SocketAddr, target: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Asking without a pause would use up the ports of loopback.
pub(crate) fn pause(time: Duration) {
    // A receiver that nobody sends to is a timer.
    let (_keep, timer) = std::sync::mpsc::channel::<()>();
    let _ = timer.recv_timeout(time);
}
