//! How requests have ended since the process started.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{End, Reason, State};

/// Ends since the process started.
#[derive(Debug, Default)]
pub struct Counters {
    ends: [AtomicU64; 4],
    reasons: [AtomicU64; Reason::ALL.len()],
    pub(super) unaudited: AtomicU64,
}

impl Counters {
    /// Requests that ended so.
    pub fn ended(&self, state: State) -> u64 {
        self.ends[state as usize].load(Relaxed)
    }

    /// Requests that ended for that reason.
    pub fn reason(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize].load(Relaxed)
    }

    /// Requests, of strangers and of requesters who ask too often, that came so fast that they have no row in the audit.
    pub fn unaudited(&self) -> u64 {
        self.unaudited.load(Relaxed)
    }

    pub(super) fn count(&self, end: &End) {
        self.ends[end.state as usize].fetch_add(1, Relaxed);
        if let Some(reason) = end.reason {
            self.reasons[reason as usize].fetch_add(1, Relaxed);
        }
    }
}
