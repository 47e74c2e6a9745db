//! How the face is doing at one broker.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use crate::northbound::mqtt::State;
use crate::northbound::mqtt::health::Link;

/// The face at a moment. The counts are since the process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name in the configuration.
    pub name: String,
    /// The broker's URL.
    pub url: String,
    /// Where it stands.
    pub state: State,
    /// Messages that came on the request topics.
    pub requests: u64,
    /// Those of them that came again while they were being carried out.
    pub duplicates: u64,
    /// Those of them that were not even read, or whose requester is not proved.
    pub refused: u64,
    /// Answers that the broker has.
    pub answers: u64,
    /// Answers that wait for the connection or the broker.
    pub waiting: u64,
    /// Answers that were given up: too many waited, or the broker does not take them.
    pub lost: u64,
    /// Sessions that were begun anew because the broker sent what cannot be read.
    pub renewed: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// What last went wrong; stays until the next connection.
    pub last_error: Option<String>,
}

/// The counters behind a [`Status`].
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) link: Link,
    pub(super) requests: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) answers: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) renewed: AtomicU64,
}

impl Health {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn status(&self, name: &str, url: &str) -> Status {
        Status {
            name: name.to_owned(),
            url: url.to_owned(),
            state: self.link.state(),
            requests: self.requests.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
            refused: self.refused.load(Relaxed),
            answers: self.answers.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            lost: self.lost.load(Relaxed),
            renewed: self.renewed.load(Relaxed),
            reconnects: self.link.reconnects(),
            last_error: self.link.last_error(),
        }
    }
}
