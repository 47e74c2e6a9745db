//! One TCP connection to one controller, one request in flight.

use guideway_contract::SessionEnd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::codec::frame::{self, Frame, Route};
use crate::codec::{CodecError, end_code};
use crate::config::Config;

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    frame: Frame,
    route: Route,
    timer: u16,
    patience: std::time::Duration,
    serial: u16,
    /// Bytes and frames read since they were last asked for.
    pub(crate) read: (usize, usize),
    /// When the last reply came.
    pub(crate) heard: Instant,
}

/// The controller's no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndCode(pub(crate) u16);

impl std::fmt::Display for EndCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&end_code::words(self.0))
    }
}

pub(crate) fn broken(error: CodecError) -> SessionEnd {
    SessionEnd::Protocol(error.to_string())
}

impl Link {
    pub(crate) async fn open(config: &Config) -> Result<Self, SessionEnd> {
        let not_connected = |cause: String| SessionEnd::NotConnected { endpoint: config.endpoint(), cause };
        if config.address.is_empty() {
            return Err(not_connected("no address is configured".into()));
        }
        let connecting = TcpStream::connect((config.address.as_str(), config.port));
        let stream = match timeout(config.connect_timeout, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(not_connected(error.to_string())),
            Err(_) => {
                return Err(not_connected(format!(
                    "no answer within {} ms",
                    config.connect_timeout.as_millis()
                )));
            }
        };
        // Requests are small, and each waits for its reply.
        let _ = stream.set_nodelay(true);
        Ok(Self {
            stream,
            frame: config.frame,
            route: config.route(),
            timer: config.timer(),
            patience: config.timeout,
            serial: 0,
            read: (0, 0),
            heard: Instant::now(),
        })
    }

    /// One request, and what follows the end code of its reply.
    pub(crate) async fn call(
        &mut self,
        command: (u16, u16),
        data: &[u8],
    ) -> Result<Result<Vec<u8>, EndCode>, SessionEnd> {
        self.serial = self.serial.wrapping_add(1);
        let request = frame::request(self.frame, self.serial, self.route, self.timer, command, data);
        let deadline = Instant::now() + self.patience;
        let silent = |_| SessionEnd::Silent(self.patience);
        let lost = |error: std::io::Error| SessionEnd::Lost(error.to_string());
        timeout_at(deadline, self.stream.write_all(&request)).await.map_err(silent)?.map_err(lost)?;
        let mut head = [0; 13];
        let head = &mut head[..self.frame.head()];
        timeout_at(deadline, self.stream.read_exact(head)).await.map_err(silent)?.map_err(lost)?;
        let found = frame::reply_head(self.frame, head).map_err(broken)?;
        let mut body = vec![0; found.length];
        timeout_at(deadline, self.stream.read_exact(&mut body)).await.map_err(silent)?.map_err(lost)?;
        self.read.0 += head.len() + body.len();
        self.read.1 += 1;
        self.heard = Instant::now();
        if found.serial.is_some_and(|serial| serial != self.serial) {
            return Err(SessionEnd::Protocol("a reply to another request".into()));
        }
        // With 3E frames there is nothing else to tell whose answer it is.
        if found.route != self.route {
            return Err(SessionEnd::Protocol("a reply from another station".into()));
        }
        match frame::reply_body(&body).map_err(broken)? {
            (0, rest) => Ok(Ok(rest.to_vec())),
            (code, _) => Ok(Err(EndCode(code))),
        }
    }
}
