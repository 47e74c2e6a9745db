//! One open link: bytes in, texts out, texts sent.

use std::time::Duration;

use guideway_contract::{Counters, Fault, Outlet, SessionEnd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use crate::codec::{Frames, Unreadable, decode};
use crate::config::{Config, Encoding};
use crate::link::Stream;

pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    frames: Frames,
    encoding: Encoding,
    gap: Option<Duration>,
    /// When the last byte came, or the link was opened.
    heard: Instant,
    /// Bytes that were read and not yet counted.
    uncounted: usize,
}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>, config: &Config) -> Self {
        Self {
            stream,
            frames: Frames::new(&config.frame, config.checksum, config.max_frame),
            encoding: config.encoding,
            gap: config.frame.gap,
            heard: Instant::now(),
            uncounted: 0,
        }
    }

    /// Waits until bytes have come, or the gap that ends a frame is over; then [`take`](Self::take). Can be
    /// cancelled.
    ///
    /// # Errors
    /// The link broke.
    pub(crate) async fn wait(&mut self) -> Result<(), SessionEnd> {
        let mut buffer = [0; 4_096];
        let end = self.gap.filter(|_| self.frames.partial()).map(|gap| self.heard + gap);
        let read = tokio::select! {
            biased;
            read = self.stream.read(&mut buffer) => read,
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => return Ok(()),
        };
        match read {
            Ok(0) => Err(SessionEnd::Lost("closed by the device".into())),
            Ok(count) => {
                self.frames.push(&buffer[..count]);
                self.heard = Instant::now();
                self.uncounted += count;
                Ok(())
            }
            Err(error) => Err(SessionEnd::Lost(error.to_string())),
        }
    }

    /// The next text of what has been read; never empty.
    pub(crate) fn take(&mut self, outlet: &Outlet) -> Option<String> {
        Counters::add(&outlet.health().counters.bytes, std::mem::take(&mut self.uncounted));
        loop {
            let over = self.gap.is_some_and(|gap| self.heard.elapsed() >= gap);
            let frame = match self.frames.take() {
                Ok(None) if over => self.frames.flush(),
                frame => frame,
            };
            match frame {
                Ok(None) => return None,
                Ok(Some(frame)) => {
                    let text = decode(&frame, self.encoding);
                    if !text.is_empty() {
                        Counters::add(&outlet.health().counters.frames, 1);
                        return Some(text);
                    }
                }
                Err(why @ Unreadable::Oversized(_)) => outlet.fault(Fault::Oversized, || why.to_string()),
                Err(why) => outlet.fault(Fault::Malformed, || why.to_string()),
            }
        }
    }

    /// The next text; `None` when none came before the deadline.
    ///
    /// # Errors
    /// The link broke.
    pub(crate) async fn next(
        &mut self,
        deadline: Instant,
        outlet: &Outlet,
    ) -> Result<Option<String>, SessionEnd> {
        loop {
            if let Some(text) = self.take(outlet) {
                return Ok(Some(text));
            }
            // What has arrived is read even when the deadline is past.
            tokio::select! {
                biased;
                waited = self.wait() => waited?,
                () = sleep_until(deadline) => return Ok(None),
            }
            // A source that never pauses does not move the deadline.
            if Instant::now() > deadline {
                return Ok(self.take(outlet));
            }
        }
    }

    /// Sends bytes within `limit`.
    ///
    /// # Errors
    /// The link broke, or takes no more.
    pub(crate) async fn send(&mut self, bytes: &[u8], limit: Duration) -> Result<(), SessionEnd> {
        match timeout(limit, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SessionEnd::Lost(error.to_string())),
            Err(_) => Err(SessionEnd::Lost("the device takes no more bytes".into())),
        }
    }

    /// Throws away what comes until nothing has come for `quiet`.
    ///
    /// # Errors
    /// The link broke, or does not become quiet.
    pub(crate) async fn drain(&mut self, quiet: Duration, outlet: &Outlet) -> Result<(), SessionEnd> {
        let latest = Instant::now() + quiet * 10;
        let begun = Instant::now();
        loop {
            let until = self.heard.max(begun) + quiet;
            tokio::select! {
                biased;
                waited = self.wait() => waited?,
                () = sleep_until(until) => {
                    while self.take(outlet).is_some() {}
                    return Ok(());
                }
            }
            while self.take(outlet).is_some() {}
            if Instant::now() > latest {
                return Err(SessionEnd::Protocol(
                    "the line does not become quiet before the first question".into(),
                ));
            }
        }
    }
}
