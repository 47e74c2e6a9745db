//! What comes from the broker on a connection that listens.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Ended;

/// Messages that the client reads from the socket before it hands the first one over. Small, so that what is
/// acknowledged meanwhile has room in the client.
pub(super) const READ_BATCH: usize = 16;

/// What a connection listens to, with quality of service 1 and acknowledged by hand.
#[derive(Clone, Debug)]
pub(in crate::northbound::mqtt) struct Listen {
    pub(in crate::northbound::mqtt) filters: Vec<String>,
    /// Messages that the broker sends without having the first acknowledged (MQTT 5), and that wait to be taken.
    pub(in crate::northbound::mqtt) window: u16,
    /// The largest packet that is read. MQTT 5 tells the broker, which drops larger ones; with 3.1.1 they end the
    /// connection.
    pub(in crate::northbound::mqtt) packet_bytes: u32,
    /// Whether the broker keeps messages while the connection is away.
    pub(in crate::northbound::mqtt) keep: bool,
    /// Whether what the broker has kept is thrown away.
    pub(in crate::northbound::mqtt) fresh: bool,
}

impl Listen {
    /// Whether the broker is to forget what was before.
    pub(super) const fn is_clean(&self) -> bool {
        self.fresh || !self.keep
    }
}

/// A message from the broker.
#[derive(Debug)]
pub(in crate::northbound::mqtt) struct Incoming {
    pub(in crate::northbound::mqtt) topic: String,
    pub(in crate::northbound::mqtt) payload: Bytes,
    pub(in crate::northbound::mqtt) retained: bool,
    pub(in crate::northbound::mqtt) response_topic: Option<String>,
    pub(in crate::northbound::mqtt) correlation: Option<Bytes>,
    pub(in crate::northbound::mqtt) receipt: Receipt,
}

/// What acknowledges a message.
#[derive(Debug)]
pub(in crate::northbound::mqtt) struct Receipt(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    /// Sent with quality of service 0: nobody waits.
    None,
    V4(rumqttc_v4::ManualAck),
    V5(rumqttc_v5::ManualAck),
}

/// What happens on a connection that listens.
#[derive(Debug)]
pub(in crate::northbound::mqtt) enum Event {
    /// The broker has taken the subscriptions: what is published from now on comes.
    Listening,
    /// A message came.
    Message(Box<Incoming>),
    /// It has ended.
    Over(Ended),
}

/// Where the driver of a connection hands over what comes.
pub(super) struct Door {
    events: mpsc::Sender<Event>,
    /// How long nothing may be read from the connection.
    patience: Duration,
}

impl Door {
    pub(super) fn new(listen: &Listen, keep_alive: Duration) -> (Self, mpsc::Receiver<Event>) {
        let (events, incoming) = mpsc::channel(usize::from(listen.window).max(1));
        (Self { events, patience: keep_alive / 2 }, incoming)
    }

    /// Hands over what came. Nothing is read from the socket while nobody takes it, so that a broker that knows no
    /// window is slowed down as well; but not for so long that it takes the connection for dead.
    ///
    /// # Errors
    /// How the connection has to end.
    pub(super) async fn hand_over(&self, event: Event) -> Result<(), Ended> {
        self.events.send_timeout(event, self.patience).await.map_err(|_| {
            Ended::closed(format!(
                "more requests come than can be taken: none was in {} s; the broker keeps the others",
                self.patience.as_secs()
            ))
        })
    }
}

/// The cause when the broker does not let the gateway listen.
pub(super) fn not_let(reason: impl std::fmt::Debug) -> Ended {
    Ended::closed(format!(
        "the broker does not let the gateway follow the request topics ({reason:?}); mend its access rules"
    ))
}
