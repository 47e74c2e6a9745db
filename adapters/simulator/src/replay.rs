//! Plays recorded SHDR files on a socket, as the machine did that they were recorded from.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use guideway_contract::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{self, Sink};

/// Longer lines are cut: the file is not SHDR.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
/// Lines are sent together up to this many bytes, when they need not wait for each other.
const CHUNK: usize = 64 * 1024;

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// Lines follow each other by their timestamps, so many times as fast.
    Times(f64),
    /// As fast as the clients can take it.
    #[default]
    Max,
}

impl std::str::FromStr for Speed {
    type Err = String;

    /// `max` or `0`: as fast as possible; else a factor such as `1`, `10`, `0.5` or `10x`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("max") {
            return Ok(Self::Max);
        }
        match text.strip_suffix(['x', 'X']).unwrap_or(text).parse::<f64>() {
            Ok(0.0) => Ok(Self::Max),
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            _ => Err(format!("`{text}` is no speed; write a factor such as 1 or 10, or `max`")),
        }
    }
}

/// What to play, and how.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// The recordings, one after the other.
    pub files: Vec<PathBuf>,
    /// How fast.
    pub speed: Speed,
    /// Whether lines get the time at which they are sent instead of their own.
    pub restamp: bool,
    /// Whether it begins again at the end.
    pub repeat: bool,
}

/// How far a replay is; shared with whoever wants to know.
#[derive(Debug, Default)]
pub struct Progress {
    lines: AtomicU64,
    bytes: AtomicU64,
    total: AtomicU64,
    rounds: AtomicU64,
    done: AtomicBool,
}

impl Progress {
    /// Lines that were sent.
    pub fn lines(&self) -> u64 {
        self.lines.load(Relaxed)
    }

    /// Bytes of the files that were sent, in this round.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Bytes of all files; 0 until it has begun.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// How often everything was played to its end.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Relaxed)
    }

    /// Whether everything has been handed to the clients; never with `repeat`.
    pub fn is_done(&self) -> bool {
        self.done.load(Relaxed)
    }
}

/// Why a replay ended before its time.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", file.display())]
pub struct ReplayError {
    /// Which recording.
    pub file: PathBuf,
    /// What the system said.
    pub cause: std::io::Error,
}

/// Plays to whoever connects, until `cancel` fires. It begins with the first client; while nobody is
/// connected it waits where it is, and whoever comes then gets what follows. A client that takes
/// nothing for 30 s is let go; until then the others wait for it, so that nobody loses a line. At
/// the end connections stay open.
///
/// # Errors
/// When a file cannot be read; all are opened once before anything is played.
pub async fn replay(
    replay: Replay,
    listener: TcpListener,
    progress: Arc<Progress>,
    cancel: CancellationToken,
) -> Result<(), ReplayError> {
    let mut total = 0;
    for file in &replay.files {
        let data = tokio::fs::metadata(file).await;
        total += data.map_err(|cause| ReplayError { file: file.clone(), cause })?.len();
    }
    progress.total.store(total, Relaxed);
    let stage = Stage { replay, listener, progress, clients: Vec::new(), pending: String::new(), pace: None };
    tokio::select! {
        () = cancel.cancelled() => Ok(()),
        ended = stage.play() => ended,
    }
}

struct Stage {
    replay: Replay,
    listener: TcpListener,
    progress: Arc<Progress>,
    clients: Vec<Sink>,
    pending: String,
    /// When the first timed line was due, and its time.
    pace: Option<(Instant, Timestamp)>,
}

impl Stage {
    async fn play(mut self) -> Result<(), ReplayError> {
        loop {
            for file in self.replay.files.clone() {
                self.play_file(&file).await.map_err(|cause| ReplayError { file, cause })?;
            }
            self.flush().await;
            self.progress.rounds.fetch_add(1, Relaxed);
            if !self.replay.repeat || self.replay.files.is_empty() {
                break;
            }
            self.progress.bytes.store(0, Relaxed);
            self.pace = None;
        }
        self.progress.done.store(true, Relaxed);
        loop {
            self.accept().await;
        }
    }

    async fn play_file(&mut self, file: &PathBuf) -> std::io::Result<()> {
        let mut reader = BufReader::with_capacity(256 * 1024, File::open(file).await?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            if !text.is_empty() {
                self.line(text).await;
            }
            self.progress.bytes.fetch_add(read as u64, Relaxed);
        }
    }

    async fn line(&mut self, text: &str) {
        let (head, rest) = text.split_once('|').unwrap_or((text, ""));
        let (stamp, duration) = head.split_once('@').unwrap_or((head, ""));
        let time = Timestamp::parse(stamp);
        if let (Speed::Times(times), Some(time)) = (self.replay.speed, time) {
            self.wait_for(time, times).await;
        }
        if self.clients.is_empty() {
            self.accept().await;
        }
        match time {
            Some(_) if self.replay.restamp => {
                let at = if duration.is_empty() { "" } else { "@" };
                self.pending.push_str(&format!("{}{at}{duration}|{rest}\n", Timestamp::now()));
            }
            _ => {
                self.pending.push_str(text);
                self.pending.push('\n');
            }
        }
        self.progress.lines.fetch_add(1, Relaxed);
        if self.pending.len() >= CHUNK {
            self.flush().await;
        }
    }

    /// Waits until a line of that time is due. A line whose time lies before the last one's does not
    /// wait.
    async fn wait_for(&mut self, time: Timestamp, times: f64) {
        if self.clients.is_empty() {
            self.accept().await;
        }
        let (begun, first) = *self.pace.get_or_insert_with(|| (Instant::now(), time));
        let nanos = time.nanos().saturating_sub(first.nanos()).max(0);
        let due = begun + Duration::from_nanos(nanos as u64).div_f64(times.max(1e-6));
        if due > Instant::now() {
            self.flush().await;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => return,
                    () = take_up(&self.listener, &mut self.clients) => {}
                }
            }
        }
    }

    /// Hands what is pending to every client, and takes up those that have come meanwhile. Waits for
    /// a client when there is none (any more).
    async fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let chunk: Arc<str> = Arc::from(std::mem::take(&mut self.pending));
        loop {
            let mut alive = Vec::new();
            for client in self.clients.drain(..) {
                if client.send(chunk.clone()).await.is_ok() {
                    alive.push(client);
                }
            }
            self.clients = alive;
            if !self.clients.is_empty() {
                break;
            }
            // Nobody got it: it is for the next one who comes.
            self.accept().await;
        }
        // Anyone who knocked by now gets what follows.
        tokio::select! {
            biased;
            () = take_up(&self.listener, &mut self.clients) => {}
            () = std::future::ready(()) => {}
        }
    }

    async fn accept(&mut self) {
        take_up(&self.listener, &mut self.clients).await;
    }
}

/// Waits for the next client.
async fn take_up(listener: &TcpListener, clients: &mut Vec<Sink>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tracing::debug!(%peer, "client connected to the replay");
                clients.push(client::spawn(stream));
                return;
            }
            // Out of file handles, or the peer was gone again: others may still come.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::Lines;
    use tokio::net::TcpStream;

    /// A recording in a file of its own, gone with the test.
    struct Recording(PathBuf);

    impl Recording {
        fn new(name: &str, lines: &[String]) -> Self {
            let path =
                std::env::temp_dir().join(format!("guideway-replay-{}-{name}.shdr", std::process::id()));
            std::fs::write(&path, lines.join("\n") + "\n").expect("a writable folder");
            Self(path)
        }
    }

    impl Drop for Recording {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn lines(from: usize, to: usize) -> Vec<String> {
        (from..to).map(|n| format!("2020-01-01T00:{:02}:{:02}.000Z|n|{n}", n / 60 % 60, n % 60)).collect()
    }

    struct Show {
        address: std::net::SocketAddr,
        progress: Arc<Progress>,
        cancel: CancellationToken,
        task: tokio::task::JoinHandle<Result<(), ReplayError>>,
    }

    async fn start(what: Replay) -> Show {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
        let task = tokio::spawn(replay(what, listener, progress.clone(), cancel.clone()));
        Show { address, progress, cancel, task }
    }

    async fn connect(show: &Show) -> Lines<BufReader<TcpStream>> {
        BufReader::new(TcpStream::connect(show.address).await.expect("it listens")).lines()
    }

    async fn take(client: &mut Lines<BufReader<TcpStream>>, count: usize) -> Vec<String> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(client.next_line().await.expect("no error").expect("open"));
        }
        taken
    }

    #[test]
    fn a_speed_is_a_factor_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("0".parse(), Ok(Speed::Max));
        assert_eq!("10x".parse(), Ok(Speed::Times(10.0)));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        assert!("-1".parse::<Speed>().is_err());
        assert!("fast".parse::<Speed>().is_err());
    }

    #[tokio::test]
    async fn every_line_of_every_file_comes_in_order() {
        let (one, two) =
            (Recording::new("one", &lines(0, 9_000)), Recording::new("two", &lines(9_000, 9_005)));
        let show = start(Replay { files: vec![one.0.clone(), two.0.clone()], ..Replay::default() }).await;
        let mut client = connect(&show).await;
        assert_eq!(take(&mut client, 9_005).await, lines(0, 9_005));
        assert_eq!((show.progress.lines(), show.progress.rounds()), (9_005, 1));
        assert!(show.progress.is_done());
        assert_eq!(show.progress.bytes(), show.progress.total());
        show.cancel.cancel();
        assert!(show.task.await.expect("no panic").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_paced_by_their_times_and_the_speed() {
        let recording = Recording::new("paced", &lines(0, 61));
        let files = vec![recording.0.clone()];
        let show = start(Replay { files, speed: Speed::Times(10.0), ..Replay::default() }).await;
        let mut client = connect(&show).await;
        take(&mut client, 1).await;
        let begun = Instant::now();
        assert_eq!(take(&mut client, 60).await, lines(1, 61));
        let seconds = begun.elapsed().as_secs_f64();
        assert!((5.8..6.2).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn lines_from_before_do_not_wait_and_do_not_hurry_the_rest() {
        let text = ["2020-01-01T00:00:10Z|n|1", "2019-01-01T00:00:00Z|n|2", "2020-01-01T00:00:20Z|n|3"];
        let recording = Recording::new("backwards", &text.map(str::to_owned));
        let files = vec![recording.0.clone()];
        let show = start(Replay { files, speed: Speed::Times(1.0), ..Replay::default() }).await;
        let mut client = connect(&show).await;
        take(&mut client, 2).await;
        let begun = Instant::now();
        take(&mut client, 1).await;
        assert!((9.8..10.2).contains(&begun.elapsed().as_secs_f64()));
    }

    #[tokio::test]
    async fn restamped_lines_have_the_time_of_now_and_keep_their_duration() {
        let text = ["2020-01-01T00:00:00Z@100.0|a|1", "* device: x", "2020-01-01T00:00:01Z|a|2|b|3"];
        let recording = Recording::new("restamped", &text.map(str::to_owned));
        let before = Timestamp::now();
        let show =
            start(Replay { files: vec![recording.0.clone()], restamp: true, ..Replay::default() }).await;
        let mut client = connect(&show).await;
        let got = take(&mut client, 3).await;
        assert!(got[0].ends_with("@100.0|a|1") && got[2].ends_with("Z|a|2|b|3"), "{got:?}");
        assert_eq!(got[1], "* device: x");
        let stamp = got[2].split('|').next().and_then(Timestamp::parse).expect("a time");
        assert!(stamp >= before);
    }

    #[tokio::test(start_paused = true)]
    async fn while_nobody_listens_it_waits_where_it_is() {
        let recording = Recording::new("waits", &lines(0, 1_200));
        let files = vec![recording.0.clone()];
        let show = start(Replay { files, speed: Speed::Times(1.0), ..Replay::default() }).await;
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(show.progress.lines(), 0);
        let mut client = connect(&show).await;
        assert_eq!(take(&mut client, 3).await, lines(0, 3));
        drop(client);
        let mut client = connect(&show).await;
        let next = take(&mut client, 1).await;
        let number: usize = next[0].rsplit('|').next().and_then(|n| n.parse().ok()).expect("a number");
        assert!((3..1_200).contains(&number), "{number}");
    }

    #[tokio::test]
    async fn it_begins_again_where_that_is_asked_for() {
        let recording = Recording::new("again", &lines(0, 5));
        let show =
            start(Replay { files: vec![recording.0.clone()], repeat: true, ..Replay::default() }).await;
        let mut client = connect(&show).await;
        let got = take(&mut client, 15).await;
        assert_eq!(got, [lines(0, 5), lines(0, 5), lines(0, 5)].concat());
        assert!(!show.progress.is_done() && show.progress.rounds() >= 2);
        show.cancel.cancel();
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_said_at_once() {
        let show = start(Replay { files: vec!["/nowhere/x.shdr".into()], ..Replay::default() }).await;
        let error = show.task.await.expect("no panic").expect_err("no file");
        assert!(error.to_string().starts_with("/nowhere/x.shdr: "));
    }
}
