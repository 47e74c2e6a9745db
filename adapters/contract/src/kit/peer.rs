//! A foreign peer as a process: a script in `tests/peers` that speaks a protocol by somebody else's library.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a peer may take to start or to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running peer. It is killed when dropped.
///
/// Its first argument is a port (or what [`Peer::spawn`] was given). It prints `ready` once it listens, then answers
/// each line on its standard input with one line.
#[derive(Debug)]
pub struct Peer {
    program: PathBuf,
    script: PathBuf,
    first: String,
    arguments: Vec<String>,
    process: Option<(Child, ChildStdin, Lines<BufReader<ChildStdout>>)>,
}

impl Peer {
    /// A Python peer on a free port of 127.0.0.1.
    pub async fn python(script: &str, arguments: &[&str]) -> Self {
        let port = free_port().to_string();
        Self::spawn(&root().join(".venv/bin/python"), script, &port, arguments).await
    }

    /// A JavaScript peer on a free port of 127.0.0.1.
    pub async fn node(script: &str, arguments: &[&str]) -> Self {
        let port = free_port().to_string();
        Self::spawn(&PathBuf::from("node"), script, &port, arguments).await
    }

    /// A Python peer whose first argument is no port but, for example, a serial line.
    pub async fn python_on(script: &str, first: &str, arguments: &[&str]) -> Self {
        Self::spawn(&root().join(".venv/bin/python"), script, first, arguments).await
    }

    /// A peer run by any interpreter.
    pub async fn spawn(program: &std::path::Path, script: &str, first: &str, arguments: &[&str]) -> Self {
        let mut peer = Self {
            program: program.to_owned(),
            script: root().join("tests/peers").join(script),
            first: first.to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            process: None,
        };
        peer.start().await;
        peer
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.first.parse().unwrap()
    }

    /// Its process, for a look at its memory.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(|(child, ..)| child.id())
    }

    /// Asks it one line and gives its answer.
    pub async fn say(&mut self, line: &str) -> String {
        let script = self.script.display().to_string();
        let Some((_, stdin, lines)) = &mut self.process else { panic!("{script} is not running") };
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        match timeout(PATIENCE, lines.next_line()).await {
            Ok(Ok(Some(answer))) => answer,
            other => panic!("{script} does not answer `{line}`: {other:?}"),
        }
    }

    /// Kills it, as `kill -9` does.
    pub async fn kill(&mut self) {
        if let Some((mut child, ..)) = self.process.take() {
            child.kill().await.unwrap();
        }
    }

    /// Kills it where it runs, and starts it again at the same place.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.start().await;
    }

    async fn start(&mut self) {
        let mut child = Command::new(&self.program)
            .arg(&self.script)
            .arg(&self.first)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run {}: {error}; scripts/test installs the peers", self.program.display())
            });
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            match timeout(PATIENCE, lines.next_line()).await {
                Ok(Ok(Some(line))) if line.trim() == "ready" => break,
                Ok(Ok(Some(_))) => {}
                other => panic!("{} did not get ready: {other:?}", self.script.display()),
            }
        }
        self.process = Some((child, stdin, lines));
    }
}

/// A port of loopback on which nobody listens at the moment, and that no other test gets meanwhile.
///
/// The system's own choice may be the next connection's port by the time that somebody listens there. These are below
/// those, and each of the tests that nextest runs at a time has some for itself.
///
/// # Panics
/// When none of them is free.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const EACH: u16 = 200;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok());
    // Who runs tests without nextest has one process at a time.
    let slot: u16 = slot.unwrap_or(59) % 60;
    // What the test before had may still be on its way out.
    let offset = u16::try_from(std::process::id() % u32::from(EACH)).unwrap_or_default();
    (0..EACH)
        .map(|_| FIRST + slot * EACH + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % EACH)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// The project's root, from whichever crate's test runs.
fn root() -> PathBuf {
    let own = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    own.ancestors().find(|folder| folder.join("tests/peers").is_dir()).unwrap().to_owned()
}
