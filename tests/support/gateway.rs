//! The gateway as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub use guideway_contract::kit::free_port;

use super::{eventually, http};

pub struct Gateway {
    child: Child,
    pub address: SocketAddr,
    pub log: PathBuf,
}

impl Gateway {
    /// Starts `guideway run CONFIGURATION --data-dir FOLDER/data` and waits until it is ready on
    /// `port` of loopback.
    pub fn start(configuration: &Path, folder: &Path, port: u16) -> Self {
        Self::start_halting(configuration, folder, port, None)
    }

    /// The same; it kills itself after that row of its audit.
    pub fn start_halting(configuration: &Path, folder: &Path, port: u16, halt: Option<&str>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let log = folder.join("gateway.log");
        let out = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_guideway"));
        if let Some(row) = halt {
            command.env("GUIDEWAY_HALT_AFTER", row);
        }
        let child = command
            .arg("run")
            .arg(configuration)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .current_dir(folder)
            .env_remove("STATE_DIRECTORY")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .spawn()
            .unwrap();
        let mut gateway = Self { child, address, log };
        eventually("the gateway is ready", Duration::from_secs(120), || {
            if let Some(status) = gateway.child.try_wait().unwrap() {
                // The row may come before anybody has looked whether it is ready.
                if halt.is_some() {
                    return Some(());
                }
                panic!("the gateway ended with {status}:\n{}", gateway.said());
            }
            http::try_get(address, "/health").filter(|answer| answer.status == 200).map(drop)
        });
        gateway
    }

    pub fn get(&self, target: &str) -> String {
        let answer = http::get(self.address, target);
        assert_eq!(answer.status, 200, "GET {target}: {}", answer.body);
        answer.body
    }

    pub fn health(&self) -> serde_json::Value {
        serde_json::from_str(&self.get("/health")).unwrap()
    }

    /// The sequence that the next observation gets.
    pub fn next_sequence(&self) -> u64 {
        self.health()["journal"]["nextSequence"].as_u64().unwrap()
    }

    /// What it has written to its log so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits until it has been killed by somebody else.
    pub fn dies(mut self) {
        use std::os::unix::process::ExitStatusExt as _;
        let status =
            eventually("the gateway is killed", Duration::from_secs(20), || self.child.try_wait().unwrap());
        assert_eq!(status.signal(), Some(9), "{status}:\n{}", self.said());
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the exit status, and how long it took.
    pub fn terminate(mut self) -> (ExitStatus, Duration) {
        let begun = std::time::Instant::now();
        let sent = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        let status =
            eventually("the gateway ends", Duration::from_secs(20), || self.child.try_wait().unwrap());
        (status, begun.elapsed())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
