//! What is known of a destination on one connection only: what is on its way, and what is next.

use std::collections::VecDeque;
use std::sync::Arc;

use smol_str::SmolStr;
use tokio::time::Instant;

use super::layout::Sheaf;
use super::session::{Ack, Delivery};
use super::window::Window;
use crate::device_model::DeviceIndex;
use crate::journal::{Recorded, Snapshot};

/// What is to be published beside the observations.
#[derive(Clone, Debug)]
pub(super) enum Errand {
    Online,
    Probe(DeviceIndex),
    Asset(SmolStr),
    Current(DeviceIndex, Arc<Snapshot>),
}

/// What is on its way.
pub(super) enum Sent {
    /// Observations from `first` to `last`. The cursor goes to `next` when all before and this are
    /// acknowledged; `None` when more messages of the same stretch follow.
    Observations { first: u64, last: u64, count: usize, next: Option<u64> },
    /// Nothing; the cursor goes to `next` when all before is acknowledged.
    Nothing { next: u64 },
    /// An errand.
    Errand(Errand),
}

/// What is known on one connection only.
pub(super) struct Course {
    pub(super) window: Window<Sent>,
    pub(super) errands: VecDeque<Errand>,
    /// Errands that the broker refused; tried again at the next tick.
    pub(super) deferred: Vec<Errand>,
    pub(super) stretch: std::vec::IntoIter<Recorded>,
    pub(super) sheaves: VecDeque<(Sheaf, Option<u64>)>,
    /// Everything before is acknowledged.
    pub(super) cursor: u64,
    /// What is read next.
    pub(super) read: u64,
    pub(super) caught_up: bool,
    /// Not before this is more read.
    pub(super) read_again: Instant,
    /// The broker refused what is at the cursor; everything from there on goes again.
    pub(super) refused: bool,
    /// When to begin again after a refusal.
    pub(super) resume: Option<Instant>,
    /// Up to here observations are sent one by one, to find the one that is refused.
    pub(super) one_by_one: u64,
    pub(super) last_progress: Instant,
    pub(super) progress: bool,
    /// The broker refused something: it can say no without closing the connection.
    pub(super) can_refuse: bool,
    pub(super) over: bool,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) most_payload: usize,
}

impl Course {
    pub(super) fn push(&mut self, sent: Sent, ack: Ack) {
        if self.window.is_empty() {
            self.last_progress = Instant::now();
        }
        self.window.push(sent, ack);
    }

    pub(super) fn send_nothing(&mut self, next: u64) {
        self.push(Sent::Nothing { next }, Ack::known(Delivery::Acknowledged));
    }

    pub(super) fn move_cursor(&mut self, next: Option<u64>) {
        if let (Some(next), false) = (next, self.refused) {
            self.cursor = next;
        }
    }

    /// The fate of the oldest message is unknown: the connection is over, and this is what it
    /// stopped at.
    pub(super) fn keep_oldest(&mut self, sent: Sent) {
        self.over = true;
        self.window.put_back(sent, Ack::new(std::future::pending()));
    }

    /// When something is to be done although nothing happens.
    pub(super) fn wake(&self) -> Option<Instant> {
        if self.refused {
            return if self.window.is_empty() { self.resume } else { None };
        }
        let idle = self.sheaves.is_empty() && self.stretch.len() == 0;
        (idle && !self.caught_up && self.window.has_room()).then_some(self.read_again)
    }

    /// After a refusal, when all others are settled, everything from the cursor on goes again.
    pub(super) fn resume_if_due(&mut self) {
        let due = self.resume.is_some_and(|at| at <= Instant::now());
        if self.refused && due && self.window.is_empty() {
            self.refused = false;
            self.resume = None;
            self.read = self.cursor;
            self.stretch = Vec::new().into_iter();
            self.sheaves.clear();
            self.caught_up = false;
            self.read_again = Instant::now();
        }
    }
}
