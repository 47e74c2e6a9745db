//! One ISO-on-TCP connection: frames out, frames in, one job at a time, deadlines.

use std::time::Duration;

use guideway_contract::SessionEnd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Config;
use crate::codec::{CodecError, frame, job};

/// An open connection whose PDU size is agreed.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    reference: u16,
    /// Bytes of the longest PDU.
    pub(crate) pdu: usize,
    /// Bytes read since the connection was opened.
    pub(crate) received: usize,
}

impl Link {
    /// Opens a connection within `connect_timeout`.
    pub(crate) async fn open(config: &Config) -> Result<Self, SessionEnd> {
        let not_connected = |cause: String| SessionEnd::NotConnected { endpoint: endpoint(config), cause };
        match timeout(config.connect_timeout, Self::negotiate(config)).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(cause)) => Err(not_connected(cause)),
            Err(_) => {
                Err(not_connected(format!("no answer within {} ms", config.connect_timeout.as_millis())))
            }
        }
    }

    async fn negotiate(config: &Config) -> Result<Self, String> {
        if config.address.is_empty() {
            return Err("no address is set".to_owned());
        }
        let host = config.address.trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, config.port)).await.map_err(|error| error.to_string())?;
        // A request is one small segment; waiting for company only makes it late.
        let _ = stream.set_nodelay(true);
        let mut link = Self { stream, reference: 0, pdu: usize::from(config.pdu), received: 0 };
        let closed = |end: SessionEnd| {
            match end {
            SessionEnd::Lost(_) => {
                "the controller closed the connection; rack, slot, link or tsap may be wrong, or all its connections \
                 are taken"
                    .to_owned()
            }
            end => end.to_string(),
        }
        };
        link.stream.write_all(&frame::connect(config.tsaps())).await.map_err(|error| error.to_string())?;
        let cotp = link.frame().await.map_err(closed)?;
        let most = frame::confirmed(&cotp, frame::REFERENCE).map_err(|error| error.to_string())?;
        let (reference, reply) =
            link.exchange(|reference| job::setup(reference, config.pdu)).await.map_err(closed)?;
        let granted = job::setup_reply(&reply, reference)
            .map_err(|error| error.to_string())?
            .map_err(|denial| format!("the controller refuses to set up communication ({denial:?})"))?;
        // Not more than asked for, whatever is granted.
        link.pdu = usize::from(granted).min(usize::from(config.pdu)).min(most);
        if link.pdu < 64 {
            return Err(format!("PDUs of {} bytes are too short to be of use", link.pdu));
        }
        Ok(link)
    }

    /// Sends a request and waits for the next PDU, at most `within`; after an error the link is of no more use.
    pub(crate) async fn ask(
        &mut self,
        within: Duration,
        request: impl FnOnce(u16) -> Vec<u8>,
    ) -> Result<(u16, Vec<u8>), SessionEnd> {
        timeout(within, self.exchange(request)).await.map_err(|_| SessionEnd::Silent(within))?
    }

    async fn exchange(&mut self, request: impl FnOnce(u16) -> Vec<u8>) -> Result<(u16, Vec<u8>), SessionEnd> {
        self.reference = self.reference.checked_add(1).unwrap_or(1);
        let request = frame::data(&request(self.reference));
        self.stream.write_all(&request).await.map_err(lost)?;
        let mut pdu = Vec::new();
        loop {
            let cotp = self.frame().await?;
            let (part, last) = frame::payload(&cotp).map_err(broken)?;
            if pdu.len() + part.len() > frame::LONGEST {
                return Err(SessionEnd::Protocol("a PDU is longer than any may be".to_owned()));
            }
            pdu.extend_from_slice(part);
            if last {
                return Ok((self.reference, pdu));
            }
            if part.is_empty() {
                return Err(SessionEnd::Protocol("an empty frame that is not the last".to_owned()));
            }
        }
    }

    async fn frame(&mut self) -> Result<Vec<u8>, SessionEnd> {
        let mut header = [0; frame::HEADER];
        self.stream.read_exact(&mut header).await.map_err(lost)?;
        let mut cotp = vec![0; frame::length(&header).map_err(broken)?];
        self.stream.read_exact(&mut cotp).await.map_err(lost)?;
        self.received += frame::HEADER + cotp.len();
        Ok(cotp)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn lost(error: std::io::Error) -> SessionEnd {
    SessionEnd::Lost(match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the controller closed it".to_owned(),
        _ => error.to_string(),
    })
}

/// The stream cannot be made sense of any more.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn broken(error: CodecError) -> SessionEnd {
    SessionEnd::Protocol(error.to_string())
}

/// The address as a URI.
pub(crate) fn endpoint(config: &Config) -> String {
    let host = config.address.trim_matches(['[', ']']);
    let host = guideway_contract::HostPort { host: host.to_owned(), port: Some(config.port) };
    format!("s7://{host}")
}
