//! How a destination is doing.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use serde::Serialize;

/// Where a destination stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum State {
    /// An attempt to connect is under way.
    #[default]
    Connecting = 0,
    /// The broker has accepted the connection.
    Connected = 1,
    /// Not connected; the next attempt is due after a pause.
    Waiting = 2,
    /// Ended, because the gateway ends.
    Stopped = 3,
}

/// A destination at a moment. The counts are since the process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name in the configuration.
    pub name: String,
    /// The broker's URL.
    pub url: String,
    /// Where it stands.
    pub state: State,
    /// The sequence it wants next: everything before is acknowledged.
    pub cursor: u64,
    /// Observations that are recorded but not acknowledged.
    pub backlog: u64,
    /// Messages handed to the connection, repetitions included.
    pub published: u64,
    /// Messages the broker has acknowledged.
    pub acknowledged: u64,
    /// Messages that were published again, because the fate of the first one is not known or the
    /// broker did not take it.
    pub retried: u64,
    /// Messages the broker refused.
    pub refused: u64,
    /// Gaps met or made: retention was faster, or the broker refuses for good. The ledger has them.
    pub gaps: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// What last went wrong; stays until the next connection.
    pub last_error: Option<String>,
}

/// How a connection that is kept up is doing.
#[derive(Debug, Default)]
pub(super) struct Link {
    state: AtomicU8,
    connections: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Link {
    pub(super) fn set_state(&self, state: State) {
        self.state.store(state as u8, Relaxed);
    }

    pub(super) fn state(&self) -> State {
        match self.state.load(Relaxed) {
            1 => State::Connected,
            2 => State::Waiting,
            3 => State::Stopped,
            _ => State::Connecting,
        }
    }

    /// There is a connection (again).
    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
        self.set_state(State::Connected);
        self.set_error(None);
    }

    pub(super) fn reconnects(&self) -> u64 {
        self.connections.load(Relaxed).saturating_sub(1)
    }

    /// Sets or clears what went wrong; true when it is news.
    pub(super) fn set_error(&self, error: Option<&str>) -> bool {
        let mut last = self.last_error.lock();
        let news = last.as_deref() != error;
        if news {
            *last = error.map(str::to_owned);
        }
        news
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }
}

/// The counters behind a [`Status`].
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) link: Link,
    pub(super) published: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) gaps: AtomicU64,
}

impl Health {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn status(&self, name: &str, url: &str, cursor: u64, next: u64) -> Status {
        Status {
            name: name.to_owned(),
            url: url.to_owned(),
            state: self.link.state(),
            cursor,
            backlog: next.saturating_sub(cursor),
            published: self.published.load(Relaxed),
            acknowledged: self.acknowledged.load(Relaxed),
            retried: self.retried.load(Relaxed),
            refused: self.refused.load(Relaxed),
            gaps: self.gaps.load(Relaxed),
            reconnects: self.link.reconnects(),
            last_error: self.link.last_error(),
        }
    }
}
