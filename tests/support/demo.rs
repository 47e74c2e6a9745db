//! `guideway demo` as a process, which ends with the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::eventually;
use super::gateway::free_port;

pub struct Demo {
    process: Child,
    said: PathBuf,
    pub http: SocketAddr,
    pub opcua: SocketAddr,
    /// Port of its broker on loopback.
    pub broker: u16,
}

impl Demo {
    /// Starts it in that folder and waits until it says that it is there.
    pub fn start(folder: &Path) -> Self {
        let [http, opcua, broker] = [free_port(), free_port(), free_port()];
        let said = folder.join("said");
        let process = Command::new(env!("CARGO_BIN_EXE_guideway"))
            .args(["demo", "--port", &http.to_string(), "--opcua-port", &opcua.to_string()])
            .args(["--broker-port", &broker.to_string()])
            .current_dir(folder)
            .env_remove("STATE_DIRECTORY")
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let demo = Self { process, said, http: loopback(http), opcua: loopback(opcua), broker };
        // The first start makes keys, which takes its time where much else is going on.
        eventually("the demo says what to try", Duration::from_secs(120), || {
            demo.said().contains("Ctrl-C ends").then_some(())
        });
        demo
    }

    /// What it has told its terminal.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }

    /// Asks it to stop, as Ctrl-C does.
    pub fn stop(mut self) -> ExitStatus {
        assert!(Command::new("kill").arg(self.process.id().to_string()).status().unwrap().success());
        self.process.wait().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
