//! The server: endpoints, limits, its life.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio_util::sync::CancellationToken;

use super::{Context, Options};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing can listen there.
    #[error("[opcua] cannot listen on {address}: {source}; is another server there? Set another `port`")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key, certificate or folder cannot be made or read.
    #[error("[opcua] {path}: {cause}")]
    Pki {
        /// Which file or folder.
        path: PathBuf,
        /// Why, and what helps.
        cause: String,
    },
    /// The library refused the settings.
    #[error("[opcua] {0}")]
    Server(String),
}

/// What the face has done so far.
#[derive(Debug, Default)]
pub struct Stats {
    /// Values given to variables.
    pub values: AtomicU64,
    /// Events announced.
    pub events: AtomicU64,
    /// Events that a client's full backlog lost.
    pub events_lost: AtomicU64,
    /// Observations that were gone from memory before they were shown.
    pub missed: AtomicU64,
}

/// The OPC UA server, listening.
pub struct Face {
    address: SocketAddr,
    stats: Arc<Stats>,
}

impl Face {
    /// Makes key and certificate where there are none, fills the address space, and listens.
    pub async fn start(_options: &Options, _context: Context) -> Result<Self, StartError> {
        Err(StartError::Server("not there yet".into()))
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its counters.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// Serves until `cancel`.
    pub async fn serve(self, cancel: CancellationToken) {
        cancel.cancelled().await;
    }
}
