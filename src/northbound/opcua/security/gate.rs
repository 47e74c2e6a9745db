//! The gate: what every connection passes before it reaches the server.
//!
//! The library believes the size that a chunk claims (up to 4 GiB), keeps connections that have
//! opened a channel for days, takes sessions of anybody who opens a channel without security, decrypts
//! for policies that are not offered, and knows no limit to connections or to requests under way. None
//! of that can be set. So the server listens on loopback only, and the gate in front of it relays chunk by
//! chunk what is fit to be relayed.
//!
//! It neither decrypts nor holds keys. What it looks at is never encrypted: kind and size of chunks, the
//! security policy of a channel, and, over channels without security, which service is called.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opcua_core::comms::tcp_types::ErrorMessage;
use opcua_crypto::SecurityPolicy;
use opcua_types::{BinaryEncodable, ContextOwned, ServiceFault, SimpleBinaryEncodable, StatusCode};
use parking_lot::Mutex;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::face::Stats;
use super::super::{Limits, Options};
use super::chunk::{Broken, Chunk, Kind};

/// How long a client may take from the connection to the open channel.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Requests of one connection that may be under way; a client that sends more waits. PublishRequests
/// count: clients keep some twenty of them.
const UNDER_WAY: usize = 64;

/// Largest HEL: an endpoint URL has at most 4,096 bytes.
const LARGEST_HELLO: usize = 4_096 + 64;

/// Services by the ids of their binary encodings.
mod service {
    pub(super) const FIND_SERVERS: u32 = 422;
    pub(super) const GET_ENDPOINTS: u32 = 428;
    pub(super) const CREATE_SESSION: u32 = 461;
    pub(super) const CLOSE_SESSION: u32 = 473;
    pub(super) const FIND_SERVERS_ON_NETWORK: u32 = 12_208;
}

/// What is let through.
pub(crate) struct Gate {
    /// Where the server is.
    inner: SocketAddr,
    /// URIs of the policies that channels may be opened with.
    policies: Vec<&'static str>,
    /// Sessions are taken over channels without security.
    allow_none: bool,
    connections: usize,
    /// Of one address, so that no host can take all.
    of_one_address: usize,
    request_size: usize,
    /// A connection over which nothing comes for so long has no session any more.
    idle: Duration,
    stats: Arc<Stats>,
    open: Mutex<HashMap<IpAddr, usize>>,
    /// Sessions over channels without security; a part of all, so that some are left for others.
    plain_sessions: Arc<Semaphore>,
    /// Those whose connection has gone, and until when the server keeps them.
    left_behind: Mutex<Vec<(Instant, OwnedSemaphorePermit)>>,
}

impl Gate {
    /// Before the server at `inner`.
    pub(crate) fn new(options: &Options, inner: SocketAddr, stats: Arc<Stats>) -> Self {
        let limits: &Limits = &options.limits;
        let offered = options.policies.iter().map(|policy| SecurityPolicy::from(*policy).to_uri());
        Self {
            inner,
            // Everybody may ask which endpoints there are.
            policies: offered.chain([SecurityPolicy::None.to_uri()]).collect(),
            allow_none: options.allow_none,
            connections: limits.connections,
            of_one_address: (limits.connections * 3 / 4).max(1),
            request_size: limits.request_size,
            idle: limits.session_timeout + Duration::from_secs(5),
            stats,
            open: Mutex::default(),
            plain_sessions: Arc::new(Semaphore::new((limits.sessions * 3 / 4).max(1))),
            left_behind: Mutex::default(),
        }
    }

    /// Takes connections until `cancel`. Their tasks are in `tasks`, and end with `cut`.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        cancel: CancellationToken,
        cut: CancellationToken,
        tasks: TaskTracker,
    ) {
        loop {
            let accepted = tokio::select! {
                () = cancel.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (client, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Such as too many open files: trying again at once would only burn the processor.
                    tracing::warn!(%error, "OPC UA: cannot take a connection");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let address = network(peer.ip());
            if !self.enter(address) {
                self.stats.turned_away.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%peer, "OPC UA connection turned away: too many");
                turn_away(&client);
                continue;
            }
            let (gate, cut) = (self.clone(), cut.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = cut.cancelled() => {}
                    () = gate.pass(client, peer) => {}
                }
                gate.leave(address);
            });
        }
    }

    fn enter(&self, address: IpAddr) -> bool {
        let mut open = self.open.lock();
        let all: usize = open.values().sum();
        let own = open.get(&address).copied().unwrap_or(0);
        if all >= self.connections || own >= self.of_one_address {
            return false;
        }
        open.insert(address, own + 1);
        self.stats.connections.store(all as u64 + 1, Ordering::Relaxed);
        true
    }

    fn leave(&self, address: IpAddr) {
        let mut open = self.open.lock();
        if let Some(own) = open.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                open.remove(&address);
            }
        }
        self.stats.connections.store(open.values().sum::<usize>() as u64, Ordering::Relaxed);
    }

    async fn pass(&self, client: TcpStream, peer: SocketAddr) {
        let server = match TcpStream::connect(self.inner).await {
            Ok(server) => server,
            Err(error) => return tracing::warn!(%error, "OPC UA: the server does not answer the gate"),
        };
        // Answers are written whole; waiting for more to send would only make them late.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let mut sessions = Vec::new();
        let (from_client, mut to_client) = client.into_split();
        let (from_server, mut to_server) = server.into_split();
        let mut upward = BufReader::new(from_client);
        let mut downward = BufReader::new(from_server);
        let flow = Flow::default();
        let opened =
            timeout(HANDSHAKE, self.handshake(&mut upward, &mut to_server, &mut downward, &mut to_client));
        let ended = match opened.await {
            Err(_) => Err(Refusal::because(StatusCode::BadTimeout, "no channel was opened in time")),
            Ok(Err(refusal)) => Err(refusal),
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(channel))) => {
                tokio::select! {
                    ended = self.up(&mut upward, &mut to_server, &channel, &flow, &mut sessions) => ended,
                    () = self.down(&mut downward, &mut to_client, &channel, &flow) => Ok(()),
                }
            }
        };
        if let Err(refusal) = ended {
            self.stats.cut_off.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%peer, status = %refusal.status, refusal.reason, "OPC UA connection cut off");
            // In the middle of a chunk nothing can be said.
            if !flow.writing.load(Ordering::Relaxed) {
                let _ = timeout(Duration::from_secs(1), to_client.write_all(&refusal.words())).await;
            }
        }
        let until = Instant::now() + self.idle;
        self.left_behind.lock().extend(sessions.into_iter().map(|session| (until, session)));
    }

    /// HEL, ACK, OPN and its answer, one after the other. `None` when the server has said no.
    async fn handshake(
        &self,
        upward: &mut BufReader<OwnedReadHalf>,
        to_server: &mut OwnedWriteHalf,
        downward: &mut BufReader<OwnedReadHalf>,
        to_client: &mut OwnedWriteHalf,
    ) -> Result<Option<Channel>, Refusal> {
        let Some(hello) = Chunk::read(upward).await? else { return Ok(None) };
        if hello.kind != Kind::Hello {
            return Err(Refusal::because(StatusCode::BadTcpMessageTypeInvalid, "HEL comes first"));
        }
        if hello.bytes.len() > LARGEST_HELLO {
            return Err(Refusal::because(StatusCode::BadTcpMessageTooLarge, "the endpoint URL is too long"));
        }
        to_server.write_all(&hello.bytes).await?;
        let Some(answer) = Chunk::read(downward).await? else { return Ok(None) };
        to_client.write_all(&answer.bytes).await?;
        if answer.kind != Kind::Acknowledge {
            return Ok(None);
        }
        let Some(open) = Chunk::read(upward).await? else { return Ok(None) };
        if open.kind != Kind::Open {
            return Err(Refusal::because(StatusCode::BadTcpMessageTypeInvalid, "OPN comes after HEL"));
        }
        let policy = open.policy().unwrap_or_default();
        let Some(policy) = self.policies.iter().find(|offered| **offered == policy) else {
            return Err(Refusal::because(
                StatusCode::BadSecurityPolicyRejected,
                "that security policy is not offered",
            ));
        };
        to_server.write_all(&open.bytes).await?;
        // Until it is there, the client knows no channel to send a message over. That is why what is
        // decided by the policy holds: the server has agreed to it.
        let Some(answer) = Chunk::read(downward).await? else { return Ok(None) };
        to_client.write_all(&answer.bytes).await?;
        if answer.kind != Kind::Open {
            return Ok(None);
        }
        let plain = *policy == SecurityPolicy::None.to_uri();
        let sequence = if plain { answer.sequence().unwrap_or(0) } else { 0 };
        Ok(Some(Channel {
            policy,
            plain,
            sequence: AtomicUsize::new(usize::try_from(sequence).unwrap_or(0)),
        }))
    }

    /// From the client to the server.
    async fn up(
        &self,
        upward: &mut BufReader<OwnedReadHalf>,
        to_server: &mut OwnedWriteHalf,
        channel: &Channel,
        flow: &Flow,
        sessions: &mut Vec<OwnedSemaphorePermit>,
    ) -> Result<(), Refusal> {
        let mut message = 0;
        loop {
            flow.wait().await;
            let next = timeout(self.idle, Chunk::read(upward)).await;
            let next = next.map_err(|_| Refusal::because(StatusCode::BadTimeout, "nothing came for long"))?;
            let Some(chunk) = next? else { return Ok(()) };
            match chunk.kind {
                Kind::Message => {
                    if channel.plain && message == 0 {
                        self.plain_service(&chunk, channel, sessions)?;
                    }
                    message += chunk.bytes.len();
                    if message > self.request_size {
                        return Err(Refusal::because(
                            StatusCode::BadTcpMessageTooLarge,
                            "the request is larger than `request_size`",
                        ));
                    }
                    if chunk.last {
                        message = 0;
                        flow.asked();
                    }
                }
                Kind::Open if chunk.policy() == Some(channel.policy) => {}
                Kind::Open => {
                    return Err(Refusal::because(
                        StatusCode::BadSecurityPolicyRejected,
                        "a channel keeps its security policy",
                    ));
                }
                Kind::Close => {
                    to_server.write_all(&chunk.bytes).await?;
                    // The server closes the connection; that ends the other direction, and with it this.
                    tokio::time::sleep(HANDSHAKE).await;
                    return Ok(());
                }
                Kind::Hello | Kind::Acknowledge | Kind::Error => {
                    return Err(Refusal::because(
                        StatusCode::BadTcpMessageTypeInvalid,
                        "this does not come over an open channel",
                    ));
                }
            }
            let sent = timeout(self.idle, to_server.write_all(&chunk.bytes)).await;
            sent.map_err(|_| Refusal::because(StatusCode::BadTimeout, "the server takes nothing"))??;
        }
    }

    /// Over a channel without security: what may be asked, and by how many.
    fn plain_service(
        &self,
        chunk: &Chunk,
        channel: &Channel,
        sessions: &mut Vec<OwnedSemaphorePermit>,
    ) -> Result<(), Refusal> {
        let refuse = |status, reason| Refusal { fault: channel.fault(chunk, status), status, reason };
        let Some(asked) = chunk.service() else {
            return Err(Refusal::because(StatusCode::BadDecodingError, "this is no request"));
        };
        match asked {
            service::FIND_SERVERS | service::GET_ENDPOINTS | service::FIND_SERVERS_ON_NETWORK => Ok(()),
            _ if !self.allow_none => Err(refuse(
                StatusCode::BadSecurityModeRejected,
                "sessions are taken over encrypted endpoints only",
            )),
            service::CREATE_SESSION => {
                let now = Instant::now();
                self.left_behind.lock().retain(|(until, _)| *until > now);
                let permit = self.plain_sessions.clone().try_acquire_owned();
                let permit = permit.map_err(|_| {
                    refuse(StatusCode::BadTooManySessions, "too many sessions without security")
                })?;
                sessions.push(permit);
                Ok(())
            }
            service::CLOSE_SESSION => {
                sessions.pop();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// From the server to the client.
    async fn down(
        &self,
        downward: &mut BufReader<OwnedReadHalf>,
        to_client: &mut OwnedWriteHalf,
        channel: &Channel,
        flow: &Flow,
    ) {
        while let Ok(Some(chunk)) = Chunk::read(downward).await {
            if channel.plain
                && let Some(sequence) = chunk.sequence()
            {
                channel.sequence.store(sequence as usize, Ordering::Relaxed);
            }
            flow.writing.store(true, Ordering::Relaxed);
            let sent = timeout(self.idle, to_client.write_all(&chunk.bytes)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
            flow.written(chunk.kind == Kind::Message && chunk.last);
        }
    }
}

/// An open channel.
struct Channel {
    policy: &'static str,
    /// Without security.
    plain: bool,
    /// The server's last sequence number; known without security only.
    sequence: AtomicUsize,
}

impl Channel {
    /// A fault as the server would have answered. Nothing but the end of the connection may follow: the
    /// server does not know of it.
    fn fault(&self, request: &Chunk, status: StatusCode) -> Option<Vec<u8>> {
        let [channel, token, id, handle] = request.addressee()?;
        let fault = ServiceFault::new(handle, status);
        let context = ContextOwned::default();
        let mut body = vec![1, 0];
        // ServiceFault_Encoding_DefaultBinary
        body.extend_from_slice(&397_u16.to_le_bytes());
        BinaryEncodable::encode(&fault, &mut body, &context.context()).ok()?;
        let sequence = u32::try_from(self.sequence.load(Ordering::Relaxed)).ok()?.wrapping_add(1);
        let size = u32::try_from(24 + body.len()).ok()?;
        let mut bytes = b"MSGF".to_vec();
        for word in [size, channel, token, sequence, id] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&body);
        Some(bytes)
    }
}

/// How much is under way between a client and the server.
#[derive(Default)]
struct Flow {
    requests: AtomicUsize,
    /// Something is being written to the client.
    writing: AtomicBool,
    changed: Notify,
}

impl Flow {
    /// Returns when one more request may go to the server: not while the client owes us the reading of
    /// answers. So what waits for it in the server's memory is bounded by what it had asked before.
    async fn wait(&self) {
        while self.requests.load(Ordering::Relaxed) >= UNDER_WAY || self.writing.load(Ordering::Relaxed) {
            // One task waits, and a notification before that is kept: none is missed.
            self.changed.notified().await;
        }
    }

    fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn written(&self, answered: bool) {
        if answered {
            // An answer that nobody asked for does not count.
            let less = |requests: usize| Some(requests.saturating_sub(1));
            let _ = self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        self.writing.store(false, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

/// Why a connection is cut off.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    reason: &'static str,
    /// What the client is told in place of an ERR.
    fault: Option<Vec<u8>>,
}

impl Refusal {
    fn because(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason, fault: None }
    }

    fn words(self) -> Vec<u8> {
        self.fault.unwrap_or_else(|| error_message(self.status, self.reason))
    }
}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Connection => Self::because(StatusCode::BadConnectionClosed, "the connection broke"),
            Broken::Bytes(status) => Self::because(status, "this is no chunk of OPC UA"),
        }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(_: std::io::Error) -> Self {
        Broken::Connection.into()
    }
}

fn error_message(status: StatusCode, reason: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = SimpleBinaryEncodable::encode(&ErrorMessage::new(status, reason), &mut bytes);
    bytes
}

/// Says that there is no room, if that can be said without waiting.
fn turn_away(client: &TcpStream) {
    let words = error_message(StatusCode::BadTcpNotEnoughResources, "too many connections");
    let _ = client.try_write(&words);
}

/// What counts as one host: an IPv4 address, or the 64 bits of IPv6 that one subscriber has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connections: usize) -> Gate {
        let mut options = Options::default();
        options.limits.connections = connections;
        Gate::new(&options, ([127, 0, 0, 1], 1).into(), Arc::default())
    }

    #[test]
    fn one_address_cannot_take_every_connection() {
        let gate = gate(4);
        let (one, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        assert!(gate.enter(one) && gate.enter(one) && gate.enter(one) && !gate.enter(one));
        assert!(gate.enter(other) && !gate.enter(other));
        gate.leave(one);
        assert!(gate.enter(one));
        for _ in 0..3 {
            gate.leave(one);
        }
        gate.leave(other);
        assert!(gate.open.lock().is_empty());
        assert_eq!(gate.stats.connections.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_host() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
    }

    #[test]
    fn broken_policies_are_not_among_those_let_through() {
        let gate = gate(1);
        for broken in [SecurityPolicy::Basic128Rsa15, SecurityPolicy::Basic256] {
            assert!(!gate.policies.contains(&broken.to_uri()));
        }
        assert_eq!(gate.policies.len(), 4);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_asks_no_more() {
        use std::future::Future as _;
        let flow = Flow::default();
        for _ in 0..UNDER_WAY {
            flow.asked();
        }
        let mut waiting = std::pin::pin!(flow.wait());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        flow.written(false);
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        flow.written(true);
        assert!(waiting.as_mut().poll(&mut context).is_ready());
    }
}
