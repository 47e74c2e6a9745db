//! How an adapter is doing: counters that the session moves and everyone may read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::Timestamp;

/// Where a connection stands (MTConnect CONNECTION_STATUS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ConnectionState {
    /// Not connected; the next attempt is due later.
    Closed = 0,
    /// Connecting, or waiting for the peer.
    Listen = 1,
    /// A session is up.
    Established = 2,
}

impl ConnectionState {
    /// The standard's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::Established => "ESTABLISHED",
        }
    }
}

/// What can be wrong with something that arrived. Each is counted; the first of each kind is logged
/// and kept as an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The frame or line is not of the protocol.
    Malformed,
    /// No point has this key or address.
    Unmapped,
    /// The value does not fit its point.
    Rejected,
    /// The time could not be read; the arrival time was taken.
    Timestamp,
    /// The frame or line is longer than the configured cap; it was thrown away.
    Oversized,
}

impl Fault {
    /// Every kind, in the order of [`Counters`].
    pub const ALL: [Self; 5] =
        [Self::Malformed, Self::Unmapped, Self::Rejected, Self::Timestamp, Self::Oversized];

    /// The word used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unmapped => "unmapped",
            Self::Rejected => "rejected",
            Self::Timestamp => "timestamp",
            Self::Oversized => "oversized",
        }
    }
}

/// Monotonic counts since the process started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Sessions that were established.
    pub sessions: AtomicU64,
    /// Connection attempts that failed.
    pub failed_attempts: AtomicU64,
    /// Bytes read.
    pub bytes: AtomicU64,
    /// Lines or frames read.
    pub frames: AtomicU64,
    /// Readings sent to the pipeline.
    pub readings: AtomicU64,
    /// Assets sent to the pipeline.
    pub assets: AtomicU64,
    faults: [AtomicU64; Fault::ALL.len()],
}

impl Counters {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, number: usize) {
        counter.fetch_add(number as u64, Relaxed);
    }

    /// How often that went wrong.
    pub fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault as usize].load(Relaxed)
    }
}

/// The state of one adapter, shared by its session, the telemetry and the faces.
#[derive(Debug, Default)]
pub struct Health {
    /// What was counted.
    pub counters: Counters,
    state: AtomicU8,
    clock_offset: AtomicI64,
    last_arrival: AtomicI64,
    examples: Mutex<BTreeMap<Fault, String>>,
    last_error: Mutex<Option<String>>,
    properties: Mutex<BTreeMap<SmolStr, SmolStr>>,
}

impl Health {
    /// Where the connection stands.
    pub fn state(&self) -> ConnectionState {
        match self.state.load(Relaxed) {
            2 => ConnectionState::Established,
            1 => ConnectionState::Listen,
            _ => ConnectionState::Closed,
        }
    }

    /// Sets where the connection stands.
    pub fn set_state(&self, state: ConnectionState) {
        self.state.store(state as u8, Relaxed);
    }

    /// Counts a fault. The first of its kind is logged under `adapter` and kept; `detail` is only
    /// called then, and is cut to 200 characters.
    pub fn fault(&self, adapter: &str, fault: Fault, detail: impl FnOnce() -> String) {
        // Only the first takes the lock, so that a source that sends nothing but faults stays cheap.
        if self.counters.faults[fault as usize].fetch_add(1, Relaxed) == 0 {
            let detail: String = detail().chars().take(200).collect();
            tracing::warn!(
                adapter,
                fault = fault.as_str(),
                detail,
                "first fault of its kind; later ones are counted"
            );
            self.examples.lock().insert(fault, detail);
        }
    }

    /// The first example of each kind of fault.
    pub fn examples(&self) -> BTreeMap<Fault, String> {
        self.examples.lock().clone()
    }

    /// The source's clock minus ours, in nanoseconds, as estimated; 0 until known.
    pub fn clock_offset(&self) -> i64 {
        self.clock_offset.load(Relaxed)
    }

    /// Sets the estimate of the source's clock minus ours, in nanoseconds.
    pub fn set_clock_offset(&self, nanos: i64) {
        self.clock_offset.store(nanos, Relaxed);
    }

    /// When something last arrived; `None` before the first.
    pub fn last_arrival(&self) -> Option<Timestamp> {
        match self.last_arrival.load(Relaxed) {
            0 => None,
            nanos => Some(Timestamp::from_nanos(nanos, 3)),
        }
    }

    /// Notes that something arrived.
    pub fn arrived(&self, at: Timestamp) {
        self.last_arrival.store(at.nanos(), Relaxed);
    }

    /// Why the last session ended, or the last attempt failed.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }

    /// Sets or clears why the last session ended.
    pub fn set_last_error(&self, error: Option<String>) {
        *self.last_error.lock() = error;
    }

    /// What the source said about itself, e.g. `adapterVersion`.
    pub fn property(&self, name: &str) -> Option<SmolStr> {
        self.properties.lock().get(name).cloned()
    }

    /// Keeps what the source said about itself; at most 64 names.
    pub fn set_property(&self, name: &str, value: &str) {
        let mut properties = self.properties.lock();
        if properties.len() < 64 || properties.contains_key(name) {
            properties.insert(name.into(), value.into());
        }
    }
}
