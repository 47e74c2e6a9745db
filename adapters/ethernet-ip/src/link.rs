//! One TCP connection to one controller: a session, maybe a connection for messages, one request in flight.

use std::time::Duration;

use guideway_contract::SessionEnd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::Config;
use crate::codec::cip::{self, Opening, Reply, service};
use crate::codec::{CodecError, encapsulation as eip};
use crate::plan::Limits;

/// CIP messages of this size are carried without a connection by every controller and bridge.
const UNCONNECTED: usize = 500;
/// Sizes of connections that are asked for, in this order.
const CONNECTED: [u16; 2] = [4_002, 504];
/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_millis(300);

/// A session with a controller.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    route: Vec<u8>,
    patience: Duration,
    session: u32,
    context: u64,
    connection: Option<Connection>,
    /// Bytes and packets read since they were last asked for.
    pub(crate) read: (usize, usize),
    /// When the last reply came.
    pub(crate) heard: Instant,
}

#[derive(Debug)]
struct Connection {
    opening: Opening,
    to_them: u32,
    to_us: u32,
    sequence: u16,
    size: usize,
}

pub(crate) fn broken(error: CodecError) -> SessionEnd {
    SessionEnd::Protocol(error.to_string())
}

impl Link {
    /// Connects, registers a session, and opens a connection for messages where that is wanted and granted.
    pub(crate) async fn open(config: &Config) -> Result<Self, SessionEnd> {
        let not_connected = |cause: String| SessionEnd::NotConnected { endpoint: config.endpoint(), cause };
        if config.address.is_empty() {
            return Err(not_connected("no address is configured".into()));
        }
        let route = config.route().map_err(not_connected)?;
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
        let mut link = Self {
            stream,
            route,
            patience: config.timeout,
            session: 0,
            context: rand_seed(),
            connection: None,
            read: (0, 0),
            heard: Instant::now(),
        };
        let (header, _) = link.exchange(eip::REGISTER_SESSION, &eip::REGISTRATION, true).await?;
        if header.session == 0 {
            return Err(SessionEnd::Protocol("the device registered no session".into()));
        }
        link.session = header.session;
        if config.connected {
            link.connect().await?;
        }
        Ok(link)
    }

    /// What requests and replies may be.
    pub(crate) fn limits(&self, items: u16) -> Limits {
        let items = usize::from(items);
        match &self.connection {
            // Two bytes of the connection's size are the sequence.
            Some(connection) => {
                let bytes = connection.size.saturating_sub(2);
                Limits { request: bytes, reply: bytes, items }
            }
            // The Unconnected Send around a request takes room for its path, its lengths and the route.
            None => {
                let around = if self.route.is_empty() { 0 } else { 14 + self.route.len() };
                Limits { request: UNCONNECTED.saturating_sub(around), reply: UNCONNECTED, items }
            }
        }
    }

    /// Whether messages go over a connection.
    pub(crate) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// One request to the controller, and its reply.
    pub(crate) async fn call(&mut self, service: u8, path: &[u8], data: &[u8]) -> Result<Reply, SessionEnd> {
        let request = cip::request(service, path, data);
        self.send(service, &request).await
    }

    /// The same for a request that is built already.
    pub(crate) async fn send(&mut self, service: u8, request: &[u8]) -> Result<Reply, SessionEnd> {
        let reply = if self.connection.is_some() {
            self.over_connection(request).await?
        } else if self.route.is_empty() {
            self.unconnected(request).await?
        } else {
            let wrapped = cip::unconnected_send(request, &self.route, self.patience);
            let wrapped = cip::request(service::UNCONNECTED_SEND, &cip::CONNECTION_MANAGER, &wrapped);
            let reply = self.unconnected(&wrapped).await?;
            // The router on the way answers for itself when it cannot pass the request on.
            let lost = reply.answers(service::UNCONNECTED_SEND) && !reply.status.is_success();
            if lost && service != service::UNCONNECTED_SEND {
                return Err(SessionEnd::Protocol(format!(
                    "the route to the controller fails: {}",
                    reply.status
                )));
            }
            reply
        };
        if reply.answers(service) {
            Ok(reply)
        } else {
            let answered = reply.service & 0x7F;
            Err(SessionEnd::Protocol(format!(
                "asked for service {service:#04x}, {answered:#04x} was answered"
            )))
        }
    }

    async fn unconnected(&mut self, message: &[u8]) -> Result<Reply, SessionEnd> {
        let (_, payload) = self.exchange(eip::SEND_RR_DATA, &eip::rr_data(message), true).await?;
        cip::reply(eip::rr_reply(&payload).map_err(broken)?).map_err(broken)
    }

    async fn over_connection(&mut self, message: &[u8]) -> Result<Reply, SessionEnd> {
        let Some(connection) = &mut self.connection else {
            return Err(SessionEnd::Protocol("there is no connection for messages".into()));
        };
        connection.sequence = connection.sequence.wrapping_add(1);
        let (to_us, sequence) = (connection.to_us, connection.sequence);
        let payload = eip::unit_data(connection.to_them, sequence, message);
        let (_, payload) = self.exchange(eip::SEND_UNIT_DATA, &payload, false).await?;
        let (id, answered, message) = eip::unit_reply(&payload).map_err(broken)?;
        if (id, answered) != (to_us, sequence) {
            return Err(SessionEnd::Protocol(format!(
                "a reply to message {answered} where {sequence} was sent"
            )));
        }
        cip::reply(message).map_err(broken)
    }

    /// Sends a packet and takes the next one, which has to be its answer.
    async fn exchange(
        &mut self,
        command: u16,
        payload: &[u8],
        has_context: bool,
    ) -> Result<(eip::Header, Vec<u8>), SessionEnd> {
        self.context = self.context.wrapping_add(1);
        let packet = eip::packet(command, self.session, self.context, payload);
        let deadline = Instant::now() + self.patience;
        let silent = |_| SessionEnd::Silent(self.patience);
        let lost = |error: std::io::Error| SessionEnd::Lost(error.to_string());
        timeout_at(deadline, self.stream.write_all(&packet)).await.map_err(silent)?.map_err(lost)?;
        let mut head = [0; eip::HEADER];
        timeout_at(deadline, self.stream.read_exact(&mut head)).await.map_err(silent)?.map_err(lost)?;
        let header = eip::header(&head).map_err(broken)?;
        let mut reply = vec![0; usize::from(header.length)];
        timeout_at(deadline, self.stream.read_exact(&mut reply)).await.map_err(silent)?.map_err(lost)?;
        self.read.0 += eip::HEADER + reply.len();
        self.read.1 += 1;
        self.heard = Instant::now();
        if header.command != command {
            return Err(SessionEnd::Protocol(format!(
                "command {command:#06x} was sent, {:#06x} answered",
                header.command
            )));
        }
        if header.status != 0 {
            let words = eip::status_words(header.status);
            return Err(SessionEnd::Protocol(format!("{words} (status {:#x})", header.status)));
        }
        // Over a connection the sequence is what matches; controllers leave the context empty there.
        if has_context && header.context != self.context {
            return Err(SessionEnd::Protocol("a reply to another request".into()));
        }
        if self.session != 0 && header.session != self.session {
            return Err(SessionEnd::Protocol("a reply of another session".into()));
        }
        Ok((header, reply))
    }

    /// Asks for a connection, a large one first. Without one, messages are sent unconnected.
    async fn connect(&mut self) -> Result<(), SessionEnd> {
        for size in CONNECTED {
            let number = rand_seed();
            let opening = Opening {
                to_us: u32::try_from(number & 0xFFFF_FFFF).unwrap_or(1) | 1,
                serial: u16::try_from((number >> 32) & 0xFFFF).unwrap_or(1),
                originator: std::process::id(),
            };
            let service = if size > 511 { service::LARGE_FORWARD_OPEN } else { service::FORWARD_OPEN };
            let data = cip::forward_open(opening, size, &self.route);
            let request = cip::request(service, &cip::CONNECTION_MANAGER, &data);
            let reply = self.unconnected(&request).await?;
            if !reply.answers(service) {
                return Err(SessionEnd::Protocol("a Forward Open was answered by something else".into()));
            }
            if reply.status.is_success() {
                let (to_them, to_us) = cip::forward_open_reply(&reply.data).map_err(broken)?;
                if to_us != opening.to_us {
                    return Err(SessionEnd::Protocol(
                        "a connection was opened that was not asked for".into(),
                    ));
                }
                let size = usize::from(size);
                self.connection = Some(Connection { opening, to_them, to_us, sequence: 0, size });
                return Ok(());
            }
            tracing::debug!(size, status = %reply.status, "no connection of this size");
        }
        Ok(())
    }

    /// Closes the connection and the session, if the controller still listens.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            if let Some(connection) = self.connection.take() {
                let data = cip::forward_close(connection.opening, &self.route);
                let request = cip::request(service::FORWARD_CLOSE, &cip::CONNECTION_MANAGER, &data);
                self.unconnected(&request).await?;
            }
            let packet = eip::packet(eip::UNREGISTER_SESSION, self.session, 0, &[]);
            self.stream.write_all(&packet).await.map_err(|error| SessionEnd::Lost(error.to_string()))
        };
        // Whoever does not hear it finds the connection closed.
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

/// A number that the last process did not use: replies that are late from its time match nothing.
fn rand_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
