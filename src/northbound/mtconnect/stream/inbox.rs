//! What a group has for one of its clients.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::part::Part;

/// Parts that wait for a client, up to a number of bytes. The parts are shared with the other
/// clients, so most of these bytes exist once.
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    limit: usize,
}

#[derive(Default)]
struct Waiting {
    parts: VecDeque<Part>,
    bytes: usize,
    /// The group has let go of the client; nothing more will come.
    detached: bool,
}

impl Inbox {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: Mutex::default(), arrived: Notify::new(), limit }
    }

    /// Adds a part. When there is no room for it, the client is detached and this is false.
    pub(super) fn push(&self, part: &Part) -> bool {
        let mut waiting = self.waiting.lock();
        // One part always fits, however large: it is what is being sent to everybody.
        let fits = waiting.parts.is_empty() || waiting.bytes + part.size() <= self.limit;
        if fits {
            waiting.bytes += part.size();
            waiting.parts.push_back(part.clone());
        } else {
            waiting.detached = true;
        }
        drop(waiting);
        self.arrived.notify_one();
        fits
    }

    /// Puts a part in the place of all that wait.
    pub(super) fn replace(&self, part: &Part) {
        let mut waiting = self.waiting.lock();
        waiting.parts.clear();
        waiting.bytes = part.size();
        waiting.parts.push_back(part.clone());
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Nothing more will come.
    pub(super) fn detach(&self) {
        self.waiting.lock().detached = true;
        self.arrived.notify_one();
    }

    /// Whether nothing more will come.
    pub(super) fn is_detached(&self) -> bool {
        self.waiting.lock().detached
    }

    /// The next part; `None` once the client is detached and has taken everything. Cancel safe.
    pub(super) async fn next(&self) -> Option<Part> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if let Some(part) = waiting.parts.pop_front() {
                    waiting.bytes -= part.size();
                    return Some(part);
                }
                if waiting.detached {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(next: u64) -> Part {
        Part::new("B", "t", &[b'x'; 1_000], next)
    }

    #[tokio::test]
    async fn a_full_inbox_detaches_its_client_which_still_gets_what_waits() {
        let inbox = Inbox::new(2_500);
        assert!(inbox.push(&part(1)) && inbox.push(&part(2)));
        assert!(!inbox.push(&part(3)));
        assert_eq!(inbox.next().await.map(|part| part.next), Some(1));
        assert_eq!(inbox.next().await.map(|part| part.next), Some(2));
        assert!(inbox.next().await.is_none());
    }

    #[tokio::test]
    async fn a_part_larger_than_the_limit_fits_an_empty_inbox() {
        let inbox = Inbox::new(10);
        assert!(inbox.push(&part(1)));
        assert!(!inbox.push(&part(2)));
    }
}
