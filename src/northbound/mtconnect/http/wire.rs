//! A socket with deadlines: no peer can hold a connection by doing nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// How long a peer may refuse to take any byte of a reply.
const STALLED: Duration = Duration::from_secs(60);
/// How much is still read from a peer that was told to go away, so that it sees why.
const LINGER_BYTES: usize = 256 * 1_024;
const LINGER: Duration = Duration::from_secs(1);

/// What came of reading.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Some,
    End,
    TooLate,
}

/// One connection's socket and its input.
pub(crate) struct Wire<S> {
    socket: S,
    /// What was read and not yet used.
    pub(crate) input: BytesMut,
    timer: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self {
            socket,
            input: BytesMut::with_capacity(4_096),
            timer: Box::pin(sleep_until(Instant::now() + Duration::from_secs(60))),
        }
    }

    /// Waits for more input, until `deadline`. Cancel safe.
    pub(crate) async fn read(&mut self, deadline: Instant) -> io::Result<Read> {
        if self.input.capacity() - self.input.len() < 1_024 {
            self.input.reserve(4_096);
        }
        // The timer is only ever moved back here; it is moved on when it fires too early. So a busy
        // connection does not touch the timer wheel at every request.
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        loop {
            tokio::select! {
                biased;
                read = self.socket.read_buf(&mut self.input) => {
                    return read.map(|length| if length == 0 { Read::End } else { Read::Some });
                }
                () = self.timer.as_mut() => {
                    if Instant::now() >= deadline {
                        self.timer.as_mut().reset(deadline + STALLED);
                        return Ok(Read::TooLate);
                    }
                    self.timer.as_mut().reset(deadline);
                }
            }
        }
    }

    /// Writes both, one after the other, as few system calls as it takes.
    pub(crate) async fn write(&mut self, mut first: &[u8], mut second: &[u8]) -> io::Result<()> {
        while !first.is_empty() || !second.is_empty() {
            let slices = [IoSlice::new(first), IoSlice::new(second)];
            let from = usize::from(first.is_empty());
            let until = if second.is_empty() { 1 } else { 2 };
            let written = timeout(STALLED, self.socket.write_vectored(&slices[from..until]))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let of_first = written.min(first.len());
            first = &first[of_first..];
            second = &second[written - of_first..];
        }
        Ok(())
    }

    /// Writes some of it and says how much, without a deadline. Cancel safe.
    pub(crate) async fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.socket.write(bytes).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }

    /// Says that nothing more will come, and reads on for a moment: a socket that is closed with
    /// unread input resets the connection, and the peer may lose the reply that says why.
    pub(crate) async fn close(mut self) {
        if self.socket.shutdown().await.is_err() {
            return;
        }
        let mut read = 0;
        let mut scrap = [0; 4_096];
        let drained = async {
            while read < LINGER_BYTES {
                match self.socket.read(&mut scrap).await {
                    Ok(0) | Err(_) => break,
                    Ok(length) => read += length,
                }
            }
        };
        let _ = timeout(LINGER, drained).await;
    }
}
