//! What the face counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One number that only grows, or one that goes up and down with what is open.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(super) fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Relaxed);
    }

    /// Adds one for as long as the guard lives.
    pub(super) fn hold(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }
}

/// See [`Count::hold`].
pub(super) struct Held<'c>(&'c Count);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// Counters of the HTTP face, since it was bound.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections that are open.
    pub connections: Count,
    /// Connections that were accepted.
    pub accepted: Count,
    /// Connections that were answered 503 because there were too many.
    pub turned_away: Count,
    /// Requests that were answered, streams included.
    pub requests: Count,
    /// Requests that were answered from the cache.
    pub cached: Count,
    /// Requests that got an error document.
    pub refused: Count,
    /// Requests to control something, whatever came of them.
    pub commands: Count,
    /// Heads that could not be read.
    pub malformed: Count,
    /// Clients that were too slow to send a head or to take a reply.
    pub timeouts: Count,
    /// Documents that were encoded, those of streams included.
    pub encoded: Count,
    /// Streams that are open.
    pub streams: Count,
    /// Groups of clients that share a stream.
    pub groups: Count,
    /// Parts that were encoded for a group.
    pub shared_parts: Count,
    /// Parts that were encoded for one client that was behind.
    pub own_parts: Count,
    /// Parts that were sent.
    pub sent_parts: Count,
    /// Times a client was too slow for its group and went on reading from the buffer.
    pub lagged: Count,
    /// Streams that ended with OUT_OF_RANGE because the client fell out of the buffer.
    pub cut_off: Count,
}
