//! One client of a simulated source: sends it lines and answers its heartbeat.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// What a PONG promises: a ping is answered, and silence is at most twice this long.
const HEARTBEAT: &[u8] = b"* PONG 10000\n";
/// A client that takes nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(30);
/// Chunks that wait for a client.
const BACKLOG: usize = 64;

/// The way to a client. It is gone when sending fails.
pub(crate) type Sink = mpsc::Sender<Arc<str>>;

/// Serves one connection until it ends or the sink is dropped.
pub(crate) fn spawn(stream: TcpStream) -> Sink {
    let (sink, chunks) = mpsc::channel(BACKLOG);
    // The task ends with its connection or with its sink; nobody waits for it.
    drop(tokio::spawn(run(stream, chunks)));
    sink
}

async fn run(mut stream: TcpStream, mut chunks: mpsc::Receiver<Arc<str>>) {
    let _ = stream.set_nodelay(true);
    let (mut reader, mut writer) = stream.split();
    let mut pings = Pings::default();
    let mut buffer = [0; 1_024];
    loop {
        let written = tokio::select! {
            chunk = chunks.recv() => match chunk {
                Some(chunk) => tokio::time::timeout(PATIENCE, writer.write_all(chunk.as_bytes())).await,
                None => break,
            },
            read = reader.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let pongs = HEARTBEAT.repeat(pings.count(&buffer[..count]));
                    tokio::time::timeout(PATIENCE, writer.write_all(&pongs)).await
                }
            },
        };
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
    }
    let _ = writer.shutdown().await;
}

/// Finds `* PING` lines in what a client says; everything else is passed over.
#[derive(Debug, Default)]
struct Pings {
    line: Vec<u8>,
}

impl Pings {
    fn count(&mut self, bytes: &[u8]) -> usize {
        let mut found = 0;
        for byte in bytes {
            if *byte == b'\n' {
                found += usize::from(self.line.trim_ascii().eq_ignore_ascii_case(b"* PING"));
                self.line.clear();
            } else if self.line.len() < 64 {
                self.line.push(*byte);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_found_however_they_are_cut() {
        let mut pings = Pings::default();
        assert_eq!(pings.count(b"* PI"), 0);
        assert_eq!(pings.count(b"NG\r\n* PING\nhello\n"), 2);
        assert_eq!(pings.count(&[b'x'; 10_000]), 0);
        assert!(pings.line.len() <= 64);
        assert_eq!(pings.count(b"\n* PING\n"), 1);
    }
}
