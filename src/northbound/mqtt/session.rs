//! One connection to a broker: connect, publish and learn what became of it; listen, where that is asked for.
//!
//! This is the only place that knows the client library. Each connection gets a client of its own
//! that is thrown away with it, because the journal is the only truth: what the client still held
//! is read from the journal again, and so nothing is repeated or lost behind our back.

mod incoming;
mod own_part;
mod v4;
mod v5;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::ProtocolVersion;
pub(super) use incoming::{Event, Incoming, Listen, Receipt};

/// The longest topic MQTT can carry, in bytes (MQTT 5, 1.5.4).
const MOST_TOPIC_BYTES: usize = 65_535;
/// The largest packet MQTT can carry, in bytes (MQTT 5, 2.1.4: remaining length and fixed header).
const MOST_PACKET_BYTES: u32 = 268_435_460;
/// Bytes of a PUBLISH apart from topic, payload and properties: fixed header, topic length, packet
/// identifier, properties' length.
const PUBLISH_OVERHEAD: usize = 5 + 2 + 2 + 4;
/// How long a connection may take until the broker has accepted it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages that are written before the socket is flushed.
const FLUSH_BATCH: usize = 256;

/// How to connect.
#[derive(Clone, Debug)]
pub(super) struct ConnectOptions {
    pub(super) version: ProtocolVersion,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) client_id: String,
    pub(super) credentials: Option<(String, String)>,
    pub(super) keep_alive: Duration,
    /// Seconds the broker keeps the session after the connection (MQTT 5); 0 for not at all.
    pub(super) session_expiry: u32,
    pub(super) in_flight: u16,
    pub(super) will: Option<Will>,
    /// What is listened to; a destination listens to nothing.
    pub(super) listen: Option<Listen>,
}

/// What the broker publishes when the connection is lost.
#[derive(Clone, Debug)]
pub(super) struct Will {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) qos: u8,
    pub(super) retain: bool,
}

/// What the broker said in its CONNACK; of MQTT 3.1.1 it is what the protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Messages it takes without having acknowledged the first.
    pub(super) in_flight: u16,
    /// Bytes of the largest packet it takes.
    pub(super) packet_bytes: u32,
    /// The highest quality of service.
    pub(super) qos: u8,
    /// Whether it keeps messages for later subscribers.
    pub(super) retain: bool,
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) properties: Properties,
}

/// What MQTT 5 says about a message beside its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) content_type: Option<&'static str>,
    /// User properties `instance` and `sequence`.
    pub(super) origin: Option<(u64, u64)>,
    /// What the request was sent with that this answers.
    pub(super) correlation: Option<Bytes>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The broker has it.
    Acknowledged,
    /// The broker does not want it; `permanent` when it never will.
    Refused { reason: String, permanent: bool },
    /// It was not sent, because this broker can never take it.
    Unfit { reason: String },
    /// The connection ended first: nobody knows.
    Unknown,
}

/// Resolves when the fate of a message is known.
pub(super) struct Ack(Pin<Box<dyn Future<Output = Delivery> + Send>>);

impl Ack {
    pub(super) fn new(delivery: impl Future<Output = Delivery> + Send + 'static) -> Self {
        Self(Box::pin(delivery))
    }

    /// One that another task tells; never told means unknown.
    #[cfg(test)]
    pub(super) fn when(told: tokio::sync::oneshot::Receiver<Delivery>) -> Self {
        Self::new(async { told.await.unwrap_or(Delivery::Unknown) })
    }

    /// One that is known already.
    pub(super) fn known(delivery: Delivery) -> Self {
        Self::new(std::future::ready(delivery))
    }
}

impl Future for Ack {
    type Output = Delivery;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Delivery> {
        self.0.as_mut().poll(context)
    }
}

/// Why a message was not even sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PublishError {
    /// No broker, or not this one, can ever take it.
    #[error("{0}")]
    Unfit(String),
    /// The connection is over, or more was given than fits in the window.
    #[error("the connection is over")]
    Over,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The broker was not reached, or something went wrong on the way.
    #[error("{0}")]
    Failed(String),
    /// The broker answered and said no.
    #[error(
        "the broker refused the connection: {0}; check client id, user name, password and its access rules"
    )]
    Refused(String),
    /// The broker was reached but did not accept in time.
    #[error("the broker did not accept the connection within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) cause: String,
    /// Whether it was given up because nothing came, and not closed by the broker.
    pub(super) silent: bool,
    /// Whether the broker sent what cannot be read, and will send it again.
    pub(super) choked: bool,
}

enum Client {
    V4(rumqttc_v4::AsyncClient),
    V5(rumqttc_v5::AsyncClient),
}

/// An open connection. Dropping it closes the socket at once, as a crash would.
pub(super) struct Session {
    client: Client,
    limits: Limits,
    driver: JoinHandle<Ended>,
    incoming: Option<mpsc::Receiver<Event>>,
}

impl Session {
    /// Connects and waits until the broker has accepted.
    pub(super) async fn connect(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let attempt = async {
            match options.version {
                ProtocolVersion::V311 => v4::connect(options).await,
                ProtocolVersion::V5 => v5::connect(options).await,
            }
        };
        tokio::time::timeout(CONNECT_TIMEOUT, attempt).await.map_err(|_| ConnectError::Timeout)?
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Hands a message over. The caller keeps count of what is unacknowledged: at most
    /// `in_flight` of the options.
    pub(super) fn publish(&self, message: Message) -> Result<Ack, PublishError> {
        check_fit(&message, &self.limits)?;
        match &self.client {
            Client::V4(client) => v4::publish(client, message),
            Client::V5(client) => v5::publish(client, message),
        }
    }

    /// Waits for the end of the connection and says why it ended.
    pub(super) async fn over(&mut self) -> Ended {
        (&mut self.driver).await.unwrap_or_else(|error| Ended::lost(&error))
    }

    /// Waits for the end of the connection or, while `listening`, for what comes. Not to be called again after the end.
    pub(super) async fn event(&mut self, listening: bool) -> Event {
        let Self { driver, incoming, .. } = self;
        let next = async {
            match incoming.as_mut().filter(|_| listening) {
                Some(incoming) => incoming.recv().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            ended = driver => Event::Over(ended.unwrap_or_else(|error| Ended::lost(&error))),
            Some(event) = next => event,
        }
    }

    /// Acknowledges a message. False when the connection cannot take that: then the broker sends it again.
    pub(super) fn acknowledge(&self, receipt: Receipt) -> bool {
        use incoming::Kind;
        match (&self.client, receipt.0) {
            (_, Kind::None) => true,
            (Client::V4(client), Kind::V4(ack)) => client.try_manual_ack(ack).is_ok(),
            (Client::V5(client), Kind::V5(ack)) => client.try_manual_ack(ack).is_ok(),
            // A receipt of another connection.
            (Client::V4(_), Kind::V5(_)) | (Client::V5(_), Kind::V4(_)) => false,
        }
    }

    /// Says good-bye, so that the last will is not published. Returns when the connection is
    /// closed; the caller sets the deadline.
    pub(super) async fn disconnect(mut self) {
        let asked = match &self.client {
            Client::V4(client) => client.disconnect().await.is_ok(),
            Client::V5(client) => client.disconnect().await.is_ok(),
        };
        if asked {
            self.over().await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// How long the driver may see nothing at all before it takes the connection for dead: a ping and
/// its answer fit twice.
fn patience(keep_alive: Duration) -> Duration {
    keep_alive * 5 / 2 + Duration::from_secs(5)
}

impl Ended {
    fn closed(cause: impl std::fmt::Display) -> Self {
        Self { cause: cause.to_string(), silent: false, choked: false }
    }

    fn silent(patience: Duration) -> Self {
        let cause = format!("nothing came from the broker for {} s", patience.as_secs());
        Self { cause, silent: true, choked: false }
    }

    fn lost(error: &tokio::task::JoinError) -> Self {
        Self { cause: format!("the connection's task ended: {error}"), silent: true, choked: false }
    }

    fn choked(cause: impl std::fmt::Display) -> Self {
        let cause = format!("what the broker sent cannot be read: {cause}");
        Self { cause, silent: false, choked: true }
    }
}

/// Packets that may wait in the client: messages, acknowledgements of what was read, and one for the rest.
fn capacity(options: &ConnectOptions) -> usize {
    let window =
        options.listen.as_ref().map_or(0, |listen| usize::from(listen.window) * 2 + incoming::READ_BATCH);
    usize::from(options.in_flight) + window + 1
}

fn keep_alive_seconds(options: &ConnectOptions) -> u16 {
    u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX).max(1)
}

fn check_fit(message: &Message, limits: &Limits) -> Result<(), PublishError> {
    let topic = message.topic.len();
    if topic == 0 || topic > MOST_TOPIC_BYTES || message.topic.contains(['+', '#', '\0']) {
        return Err(PublishError::Unfit(format!(
            "the topic is empty, has more than {MOST_TOPIC_BYTES} bytes or contains `+`, `#` or NUL"
        )));
    }
    // 16 and 20 bytes are the names and lengths of the user properties, 20 the digits of a u64.
    let properties = message.properties.content_type.map_or(0, |text| text.len() + 3)
        + message.properties.origin.map_or(0, |_| 16 + 20 + 2 * 20)
        + message.properties.correlation.as_ref().map_or(0, |data| data.len() + 3);
    let size = PUBLISH_OVERHEAD + topic + message.payload.len() + properties;
    if size > limits.packet_bytes as usize {
        return Err(PublishError::Unfit(format!(
            "the message has about {size} bytes and the broker takes {}",
            limits.packet_bytes
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(packet_bytes: u32) -> Limits {
        Limits { in_flight: 10, packet_bytes, qos: 2, retain: true }
    }

    fn message(topic: &str, bytes: usize) -> Message {
        Message {
            topic: topic.into(),
            payload: vec![b'x'; bytes].into(),
            qos: 1,
            retain: false,
            properties: Properties::default(),
        }
    }

    #[test]
    fn a_message_that_is_larger_than_the_broker_takes_is_not_sent() {
        assert!(check_fit(&message("a/b", 80), &limits(100)).is_ok());
        assert!(matches!(check_fit(&message("a/b", 100), &limits(100)), Err(PublishError::Unfit(_))));
    }

    #[test]
    fn a_topic_that_no_broker_takes_is_not_sent() {
        for topic in ["", "a/+/b", "a/#", "a\0b", &"x".repeat(65_536)] {
            assert!(check_fit(&message(topic, 1), &limits(1_000_000)).is_err());
        }
    }
}
