//! mosquitto, and a subscriber to it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::eventually;
use super::gateway::free_port;

/// A real broker on loopback that keeps sessions and messages over a restart.
pub struct Broker {
    pub port: u16,
    configuration: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Broker {
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, "allow_anonymous true")
    }

    /// One with these lines in its configuration that say who may do what.
    pub fn start_with(folder: &Path, access: &str) -> Self {
        let port = free_port();
        let configuration = folder.join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nuser {}\n{access}\npersistence true\n\
             persistence_location {}/\nmax_queued_messages 0\nmax_inflight_messages 0\n\
             autosave_interval 1\nset_tcp_nodelay true\nlog_dest stderr\nlog_type subscribe\n",
            own_name(),
            folder.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let log = folder.join("mosquitto.log");
        let mut broker = Self { port, configuration, log, child: None };
        broker.resume();
        broker
    }

    /// Starts it (again) and waits until it listens.
    pub fn resume(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(&self.log).unwrap();
        let child = Command::new(program("mosquitto"))
            .arg("-c")
            .arg(&self.configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mosquitto is installed (scripts/test installs it)");
        self.child = Some(child);
        eventually("mosquitto listens", Duration::from_secs(10), || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    /// Stops it with SIGTERM, so that it keeps its sessions.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
            child.wait().unwrap();
        }
    }

    /// Everything that is published to `topic` from now on, as `topic payload` lines. Its session
    /// outlives a restart of the broker.
    pub fn subscribe(&self, topic: &str, id: &str) -> Subscriber {
        let mut child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", topic, "-q", "1"])
            .args(["-i", id, "-c", "-F", "%t %p"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub is installed (scripts/test installs it)");
        let lines = BufReader::new(child.stdout.take().unwrap());
        let subscribed = format!("{id} 1 {topic}");
        eventually("the broker has taken the subscription", Duration::from_secs(10), || {
            std::fs::read_to_string(&self.log).unwrap().contains(&subscribed).then_some(())
        });
        Subscriber { child, lines }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already; then there is nothing to do.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub struct Subscriber {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Subscriber {
    /// The next message: topic and payload. Waits for it.
    pub fn next(&mut self) -> (String, String) {
        let mut line = String::new();
        assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "mosquitto_sub ended");
        let (topic, payload) = line.trim_end().split_once(' ').unwrap();
        (topic.to_owned(), payload.to_owned())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who runs the test: another user could not read the files of its folder.
fn own_name() -> String {
    let said = Command::new("id").arg("-un").output().unwrap().stdout;
    String::from_utf8(said).unwrap().trim().to_owned()
}

/// Debian keeps servers out of a user's path.
fn program(name: &str) -> PathBuf {
    let sbin = PathBuf::from("/usr/sbin").join(name);
    if sbin.exists() { sbin } else { name.into() }
}
