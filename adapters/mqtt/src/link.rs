//! One connection to a broker: connect, subscribe, receive, publish.
//!
//! This is the only place that knows the client library. A task of its own drives the connection and is never
//! interrupted; what it receives waits in a channel that is bounded in messages and bytes. When that is full nothing
//! more is read from the socket, so the broker has to wait.

mod v4;
mod v5;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::config::Version;

/// Messages that may wait to be taken.
const WAITING: usize = 1_024;
/// Messages of quality 1 or 2 that a broker may have sent without an acknowledgement (MQTT 5 lets the client say so).
const RECEIVE_MAXIMUM: u16 = 512;
/// Requests that may wait to be sent. As many messages as have ids can be unacknowledged at once, so that there is
/// always room for an acknowledgement.
const REQUESTS: usize = 70_000;
/// Messages that may be published without an acknowledgement; commands come one after the other.
const IN_FLIGHT: u16 = 16;
/// The largest packet MQTT can carry, in bytes.
const MOST_PACKET_BYTES: usize = 268_435_460;
/// Packets that are read before those that wait are handed over.
const READ_BATCH: usize = 64;
/// Filters in one SUBSCRIBE packet.
const FILTERS: usize = 50;
/// How long a good-bye may take.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// How to connect.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) version: Version,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) client_id: String,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) keep_alive: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) clean: bool,
    /// Seconds (MQTT 5).
    pub(crate) session_expiry: u32,
    pub(crate) max_payload: usize,
}

impl Options {
    /// The largest packet that is read at all.
    fn most_packet_bytes(&self) -> usize {
        (4 * self.max_payload).clamp(16 << 20, MOST_PACKET_BYTES)
    }

    fn keep_alive_seconds(&self) -> u16 {
        u16::try_from(self.keep_alive.as_secs()).unwrap_or(u16::MAX).max(1)
    }

    /// The library's own patience with connecting: more than ours, which says better what has happened.
    fn librarys_timeout(&self) -> Duration {
        self.connect_timeout + Duration::from_secs(5)
    }

    /// How long nothing at all may happen before the connection is taken for dead: a ping and its answer.
    fn patience(&self) -> Duration {
        self.keep_alive * 2 + Duration::from_secs(1)
    }
}

/// Why there is no connection, in words for an operator.
pub(crate) type Cause = String;

/// A message that arrived.
pub(crate) struct Inbound {
    pub(crate) topic: Bytes,
    /// Empty when it was too large.
    pub(crate) payload: Bytes,
    /// Bytes of the payload as it came.
    pub(crate) size: usize,
    /// Whether the broker had kept it.
    pub(crate) retained: bool,
    /// What says that it was taken; `None` at quality 0.
    pub(crate) ack: Option<Ack>,
    /// Its share of the bytes that may wait.
    _room: Option<OwnedSemaphorePermit>,
}

/// What acknowledges a message.
pub(crate) enum Ack {
    V4(rumqttc_v4::ManualAck),
    V5(rumqttc_v5::ManualAck),
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outbound {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

/// What became of a published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The broker has it.
    Acknowledged,
    /// The broker does not want it.
    Refused(Cause),
    /// It never left.
    NotSent(Cause),
    /// Nobody knows.
    Unknown(Cause),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) cause: Cause,
    /// How long nothing had come, when it was given up for that.
    pub(crate) silent: Option<Duration>,
}

#[derive(Clone)]
enum Client {
    V4(rumqttc_v4::AsyncClient),
    V5(rumqttc_v5::AsyncClient),
}

/// Something that is on its way and needs nothing more of the connection's owner.
pub(crate) type Coming<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An open connection. Dropping it closes the socket at once.
pub(crate) struct Link {
    client: Client,
    pub(crate) inbound: mpsc::Receiver<Inbound>,
    driver: JoinHandle<Ended>,
}

impl Link {
    /// Connects and waits until the broker has accepted.
    pub(crate) async fn connect(options: &Options) -> Result<Self, Cause> {
        let attempt = async {
            match options.version {
                Version::V311 => v4::connect(options).await,
                Version::V5 => v5::connect(options).await,
            }
        };
        match tokio::time::timeout(options.connect_timeout, attempt).await {
            Ok(connected) => connected,
            Err(_) => {
                Err(format!("the broker did not accept within {} ms", options.connect_timeout.as_millis()))
            }
        }
    }

    /// Subscribes; tells of each filter why the broker refused it, if it did. An error says that the connection ended
    /// first.
    pub(crate) fn subscribe(
        &self,
        filters: Vec<String>,
        qos: u8,
    ) -> Coming<Result<Vec<Option<Cause>>, Cause>> {
        let client = self.client.clone();
        Box::pin(async move {
            let mut refused = Vec::with_capacity(filters.len());
            for some in filters.chunks(FILTERS) {
                let codes = match &client {
                    Client::V4(client) => v4::subscribe(client, some, qos).await?,
                    Client::V5(client) => v5::subscribe(client, some, qos).await?,
                };
                if codes.len() != some.len() {
                    return Err(format!(
                        "{} answers to a subscription of {} topics",
                        codes.len(),
                        some.len()
                    ));
                }
                refused.extend(codes);
            }
            Ok(refused)
        })
    }

    /// What publishes without the connection's owner.
    pub(crate) fn publisher(&self) -> Publisher {
        Publisher(self.client.clone())
    }

    /// Says that a message was taken. When the connection is over the broker sends it again.
    pub(crate) fn acknowledge(&self, ack: Ack) {
        let sent = match (&self.client, ack) {
            (Client::V4(client), Ack::V4(ack)) => client.try_manual_ack(ack).is_ok(),
            (Client::V5(client), Ack::V5(ack)) => client.try_manual_ack(ack).is_ok(),
            _ => false,
        };
        if !sent {
            tracing::debug!("an acknowledgement could not be sent: the connection is over");
        }
    }

    /// Waits for the end of the connection and says why it ended.
    pub(crate) async fn over(&mut self) -> Ended {
        (&mut self.driver).await.unwrap_or_else(|error| Ended {
            cause: format!("the connection's task ended: {error}"),
            silent: None,
        })
    }

    /// Says good-bye and closes the connection.
    pub(crate) async fn disconnect(mut self) {
        // What still waits is not acknowledged; nobody reads it any more.
        self.inbound.close();
        let asked = match &self.client {
            Client::V4(client) => client.try_disconnect_now().is_ok(),
            Client::V5(client) => client.try_disconnect_now().is_ok(),
        };
        if asked {
            // A broker that does not take the good-bye is left without one.
            let _ = tokio::time::timeout(GOOD_BYE, self.over()).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Publishes on a connection.
pub(crate) struct Publisher(Client);

impl Publisher {
    /// Publishes and waits for the acknowledgement, as long as it takes.
    pub(crate) async fn publish(&self, message: Outbound) -> Delivery {
        match &self.0 {
            Client::V4(client) => v4::publish(client, message).await,
            Client::V5(client) => v5::publish(client, message).await,
        }
    }
}

/// The driver's end of the channel.
struct Inbox {
    sender: mpsc::Sender<Inbound>,
    room: Arc<Semaphore>,
    most_waiting: u32,
    max_payload: usize,
}

impl Inbox {
    fn new(options: &Options) -> (Self, mpsc::Receiver<Inbound>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let most_waiting = u32::try_from((4 * options.max_payload).max(4 << 20)).unwrap_or(u32::MAX);
        let room = Arc::new(Semaphore::new(most_waiting as usize));
        (Self { sender, room, most_waiting, max_payload: options.max_payload }, receiver)
    }

    /// Hands a message over, and waits for room. `false` when nobody wants one any more.
    async fn put(&self, topic: Bytes, payload: Bytes, retained: bool, ack: Option<Ack>) -> bool {
        let size = payload.len();
        // What is too large is let go at once: it is told, and never held a second time.
        let payload = if size > self.max_payload { Bytes::new() } else { payload };
        let share = u32::try_from(payload.len()).unwrap_or(u32::MAX).min(self.most_waiting);
        let room = self.room.clone().acquire_many_owned(share).await.ok();
        self.sender.send(Inbound { topic, payload, size, retained, ack, _room: room }).await.is_ok()
    }
}

impl Ended {
    fn closed(cause: impl std::fmt::Display) -> Self {
        Self { cause: cause.to_string(), silent: None }
    }

    fn silent(patience: Duration) -> Self {
        Self { cause: "nothing came from the broker".into(), silent: Some(patience) }
    }
}

/// What the client library says of a refused connection, with the cure.
fn refused(code: &impl std::fmt::Debug) -> Cause {
    format!(
        "the broker refused the connection ({code:?}); check user, password and client id, and who the broker lets in"
    )
}

/// What went wrong with a connection, with the cause behind it where the library hides it.
fn failed(error: &dyn std::error::Error) -> Cause {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    if text.contains("UnknownIssuer") {
        text.push_str("; name the authority that signed the broker's certificate with `ca`");
    }
    text
}
