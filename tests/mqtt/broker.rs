//! A real mosquitto, and a real subscriber to it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// Lines of a process's output, as they come.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    fn follow(&self, output: impl std::io::Read + Send + 'static) {
        let lines = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                lines.0.0.lock().unwrap().push(line);
                lines.0.1.notify_all();
            }
        });
    }

    /// Waits until the lines satisfy `enough`; gives the value it returns.
    fn wait<T>(&self, what: &str, mut enough: impl FnMut(&[String]) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = enough(&lines) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain for {what}; {} lines, the last: {:#?}",
                lines.len(),
                &lines[lines.len().saturating_sub(20)..]
            );
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// A mosquitto of the test's own, on a free port, with its files in a temporary folder.
pub(crate) struct Broker {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    child: Option<Child>,
    log: Lines,
}

impl Broker {
    /// Starts one with these lines in its configuration. `None`, and a line that says so, where
    /// there is no mosquitto; in CI that is a failure.
    pub(crate) fn start(extra: &str) -> Option<Self> {
        Self::prepare(|_| extra.to_owned())
    }

    /// The same, when the lines name files that have to be written into the folder first.
    pub(crate) fn prepare(extra: impl FnOnce(&Path) -> String) -> Option<Self> {
        if program("mosquitto").is_none() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "mosquitto is not installed");
            println!("SKIPPED: mosquitto is not installed; apt-get install mosquitto mosquitto-clients");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let extra = extra(folder.path());
        let port = guideway_contract::kit::free_port();
        let access = if extra.contains("allow_anonymous") { "" } else { "allow_anonymous true" };
        let window = if extra.contains("max_inflight_messages") { "" } else { "max_inflight_messages 0" };
        // Not `max_queued_messages 0` (unlimited): with that mosquitto 2.0.11 ends a connection after
        // it has refused a message on it.
        let configuration = format!(
            "listener {port} 127.0.0.1\nuser root\nlog_dest stderr\nlog_type all\n\
             {window}\nmax_queued_messages 1000000\npersistence_location {}/\n{access}\n{extra}\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("mosquitto.conf"), configuration).unwrap();
        let mut broker = Self { port, folder, child: None, log: Lines::default() };
        broker.run();
        Some(broker)
    }

    /// Runs it (again), and waits until it listens.
    pub(crate) fn run(&mut self) {
        let mut child = Command::new(program("mosquitto").unwrap())
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let before = self.log_lines("running").len();
        self.log.follow(child.stderr.take().unwrap());
        self.child = Some(child);
        self.log.wait("the broker", |lines| {
            (lines.iter().filter(|line| line.contains("running")).count() > before).then_some(())
        });
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM; what it holds is saved when its configuration says so.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let id = child.id().to_string();
            assert!(Command::new("kill").arg(id).status().unwrap().success());
            child.wait().unwrap();
        }
    }

    /// SIGHUP makes it read its access rules again.
    pub(crate) fn signal(&self, name: &str, answer: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
        self.wait_for_log(answer);
    }

    pub(crate) fn wait_for_log(&self, part: &str) {
        let found = |lines: &[String]| lines.iter().any(|line| line.contains(part)).then_some(());
        self.log.wait(&format!("{part:?} in the broker's log"), found);
    }

    /// The lines of its log that contain this.
    pub(crate) fn log_lines(&self, part: &str) -> Vec<String> {
        self.log.0.0.lock().unwrap().iter().filter(|line| line.contains(part)).cloned().collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Subscribes, and waits until the broker has said so.
    pub(crate) fn subscribe(&self, filter: &str, more: &[&str]) -> Subscriber {
        let before = self.log_lines("Sending SUBACK").len();
        let subscriber = Subscriber::start(self.port, filter, more);
        let subscribed = |lines: &[String]| {
            (lines.iter().filter(|line| line.contains("Sending SUBACK")).count() > before).then_some(())
        };
        self.log.wait("the subscription", subscribed);
        subscriber
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A `mosquitto_sub`.
pub(crate) struct Subscriber {
    child: Child,
    lines: Lines,
}

/// A message as the subscriber got it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) retained: bool,
    pub(crate) qos: u64,
    pub(crate) properties: Value,
}

impl Received {
    fn of(line: &str) -> Self {
        let line: Value = serde_json::from_str(line).unwrap();
        Self {
            topic: line["topic"].as_str().unwrap().to_owned(),
            payload: line["payload"].as_str().unwrap_or_default().to_owned(),
            retained: line["retain"] == 1,
            qos: line["qos"].as_u64().unwrap(),
            properties: line["properties"].clone(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap_or_else(|error| panic!("{error}: {}", self.payload))
    }
}

impl Subscriber {
    pub(crate) fn start(port: u16, filter: &str, more: &[&str]) -> Self {
        let mut child = Command::new(program("mosquitto_sub").expect("mosquitto-clients"))
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-t", filter, "-q", "2", "-F", "%j"])
            .args(["-V", "5", "-D", "connect", "receive-maximum", "65535"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::default();
        lines.follow(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Everything that came.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.lines.0.0.lock().unwrap().iter().map(|line| Received::of(line)).collect()
    }

    /// Waits for a message.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&Received) -> bool) -> Received {
        let mut seen = 0;
        self.lines.wait(what, |lines| {
            let new = lines[seen..].iter().map(|line| Received::of(line)).find(|message| wanted(message));
            seen = lines.len();
            new
        })
    }

    /// Waits until at least so many messages came.
    pub(crate) fn wait_for_count(&self, count: usize) -> Vec<Received> {
        self.lines.wait(&format!("{count} messages"), |lines| (lines.len() >= count).then_some(()));
        self.received()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // It may have ended with the broker.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let sbin = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")];
    std::env::split_paths(&path).chain(sbin).map(|folder| folder.join(name)).find(|file| file.is_file())
}
