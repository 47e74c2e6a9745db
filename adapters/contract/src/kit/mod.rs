//! A test kit: an outlet whose signals a test can read, foreign peers as processes, a proxy that makes bad
//! weather, and trials that every adapter has to stand.
//!
//! Only for tests: it panics where a test fails.

#![expect(clippy::panic, clippy::unwrap_used, reason = "only tests use this")]

mod peer;
mod proxy;
mod pty;
mod running;
pub mod trials;

pub use peer::{Peer, free_port};
pub use proxy::{Proxy, Weather};
pub use pty::Pty;
pub use running::Running;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{AdapterId, CommandRequest, Envelope, Health, Outlet, PointTable, Reading, Signal};

/// The agent's end of an [`Outlet`].
#[derive(Debug)]
pub struct Collector {
    /// What the adapter sent.
    pub signals: mpsc::Receiver<Envelope>,
    /// The way for commands.
    pub commands: mpsc::Sender<CommandRequest>,
    /// The adapter's health.
    pub health: Arc<Health>,
    /// Fires the end of the session.
    pub cancel: CancellationToken,
    /// The points, to be swapped for others.
    pub points: Arc<ArcSwap<PointTable>>,
}

impl Collector {
    /// The next signal; `None` when the adapter is gone.
    pub async fn next(&mut self) -> Option<Signal> {
        self.signals.recv().await.map(|envelope| envelope.signal)
    }

    /// Everything that is waiting now, without what is still to come.
    pub fn drain(&mut self) -> Vec<Signal> {
        std::iter::from_fn(|| self.signals.try_recv().ok()).map(|envelope| envelope.signal).collect()
    }

    /// Waits for signals until `count` readings have come, and gives those.
    pub async fn readings(&mut self, count: usize) -> Vec<Reading> {
        let mut readings = Vec::new();
        while readings.len() < count {
            match self.next().await {
                Some(Signal::Readings(batch)) => readings.extend(batch.readings),
                Some(_) => {}
                None => break,
            }
        }
        readings
    }
}

/// An outlet for an adapter under test, named `test`, with room for 1,024 signals.
pub fn outlet(points: PointTable) -> (Outlet, Collector) {
    let (signals, received) = mpsc::channel(1_024);
    let (commands, requests) = mpsc::channel(16);
    let points = Arc::new(ArcSwap::from_pointee(points));
    let health = Arc::new(Health::default());
    let cancel = CancellationToken::new();
    let outlet =
        Outlet::new(AdapterId(0), "test", points.clone(), signals, requests, health.clone(), cancel.clone());
    (outlet, Collector { signals: received, commands, health, cancel, points })
}
