//! A connection to a control: one request at a time.

use std::time::Duration;

use bytes::BytesMut;
use guideway_contract::{Counters, Health, SessionEnd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::codec::{ASK, Answer, CLOSE, CodecError, Frame, OPEN, Query, next_frame};
use crate::codec::{read_answers, write_frame, write_queries};
use crate::config::Config;

/// Type of a response by which a control refuses a request as a whole.
const REFUSED: u16 = 0x2103;

pub(crate) struct Link {
    stream: TcpStream,
    buffer: BytesMut,
    patience: Duration,
    cancel: CancellationToken,
    bytes: usize,
    frames: usize,
}

impl Link {
    /// Connects and opens a FOCAS connection.
    pub(crate) async fn open(config: &Config, cancel: CancellationToken) -> Result<Self, SessionEnd> {
        let failed = |cause: String| SessionEnd::NotConnected { endpoint: config.address.clone(), cause };
        let (host, port) = config.host().map_err(failed)?;
        let stream = tokio::select! {
            () = cancel.cancelled() => return Err(SessionEnd::Stopped),
            stream = timeout(config.connect_timeout, TcpStream::connect((host.as_str(), port))) => stream,
        };
        let stream = match stream {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed(format!("no answer in {} ms", config.connect_timeout.as_millis()))),
        };
        // Questions are small and wanted at once; without this they are only later.
        let _ = stream.set_nodelay(true);
        let buffer = BytesMut::with_capacity(4 << 10);
        let mut link = Self { stream, buffer, patience: config.timeout, cancel, bytes: 0, frames: 0 };
        match link.request(OPEN, &2_u16.to_be_bytes()).await {
            Ok(_) => Ok(link),
            Err(SessionEnd::Stopped) => Err(SessionEnd::Stopped),
            Err(end) => Err(failed(format!(
                "{end}; is FOCAS (Ethernet function) switched on at the control, with this TCP port, and is it not \
                 in use by too many clients?"
            ))),
        }
    }

    /// Asks; each question has its own answer. `None`: the control refused the request as a whole.
    pub(crate) async fn ask(&mut self, queries: &[Query]) -> Result<Option<Vec<Answer>>, SessionEnd> {
        let frame = self.request(ASK, &write_queries(queries)).await?;
        if frame.kind == REFUSED {
            return Ok(None);
        }
        read_answers(&frame.payload, queries).map(Some).map_err(|error| broken(&error))
    }

    /// After an error the link is dead: a late response could not be told from the next.
    async fn request(&mut self, kind: u16, payload: &[u8]) -> Result<Frame, SessionEnd> {
        if !self.buffer.is_empty() {
            return Err(broken(&CodecError::Foreign));
        }
        let frame = write_frame(kind, payload);
        let cancel = self.cancel.clone();
        let patience = self.patience;
        let frame = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(SessionEnd::Stopped),
            frame = timeout(patience, self.exchange(&frame)) => match frame {
                Ok(frame) => frame?,
                Err(_) => return Err(SessionEnd::Silent(patience)),
            },
        };
        let refused = kind == ASK && frame.kind == REFUSED;
        if frame.kind == kind + 1 || refused { Ok(frame) } else { Err(broken(&CodecError::Foreign)) }
    }

    async fn exchange(&mut self, frame: &[u8]) -> Result<Frame, SessionEnd> {
        self.stream.write_all(frame).await.map_err(|error| SessionEnd::Lost(error.to_string()))?;
        loop {
            if let Some(frame) = next_frame(&mut self.buffer).map_err(|error| broken(&error))? {
                self.frames += 1;
                return Ok(frame);
            }
            self.buffer.reserve(4 << 10);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(SessionEnd::Lost("closed by the control".into())),
                Ok(count) => self.bytes += count,
                Err(error) => return Err(SessionEnd::Lost(error.to_string())),
            }
        }
    }

    /// Adds what went over the line to the counters.
    pub(crate) fn count(&mut self, health: &Health) {
        Counters::add(&health.counters.bytes, std::mem::take(&mut self.bytes));
        Counters::add(&health.counters.frames, std::mem::take(&mut self.frames));
    }

    /// Ends the connection in the protocol, so that the control has room for another at once.
    pub(crate) async fn close(mut self) {
        let _ = timeout(Duration::from_millis(500), async {
            self.stream.write_all(&write_frame(CLOSE, &[])).await?;
            self.stream.read_buf(&mut self.buffer).await?;
            self.stream.shutdown().await
        })
        .await;
    }
}

fn broken(error: &CodecError) -> SessionEnd {
    SessionEnd::Protocol(error.to_string())
}
