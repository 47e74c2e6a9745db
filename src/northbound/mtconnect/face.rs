//! The listening socket and its connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::http::connection;
use super::http::reply::Reply;
use super::options::Options;
use super::service::Service;
use super::stats::Stats;
use crate::control::Control;
use crate::device_model::SharedModel;
use crate::documents::Dressing;
use crate::journal::Journal;

/// How long connections may take to end.
const DRAIN: Duration = Duration::from_secs(2);
/// Connections that are told at the same time that there are too many; others are just closed.
const TURNED_AWAY_AT_ONCE: u64 = 64;

/// Answers paths that are not the agent's own, given path and query as sent. `None`: not mine. It
/// is called for each request that is not in the cache, so it must be quick and must not block.
pub type Extra = Arc<dyn Fn(&str, &str) -> Option<Reply> + Send + Sync>;

/// What the face shows.
#[derive(Clone)]
pub struct Context {
    /// The device model, as it changes.
    pub model: SharedModel,
    /// The observations and assets.
    pub journal: Journal,
    /// Namespaces and style sheets.
    pub dressing: Dressing,
    /// Who the documents say they are from.
    pub sender: SmolStr,
    /// Whether they say that the data are simulated.
    pub test_indicator: bool,
    /// Further paths, such as `/health`.
    pub extra: Option<Extra>,
    /// Control, where a machine permits commands; whether it takes requests here, its options say.
    pub control: Option<Control>,
}

/// The address is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("the MTConnect face cannot listen on {address}: {source}; {cure}")]
pub struct BindError {
    /// Which address and port.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
    /// What to do about it.
    pub cure: &'static str,
}

/// The HTTP face, listening.
pub struct Face {
    listener: std::net::TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
}

impl Face {
    /// Takes the address. Clients can connect from now on, and are answered when
    /// [`serve`](Self::serve) runs.
    pub fn bind(options: &Options, context: Context) -> Result<Self, BindError> {
        let address = SocketAddr::new(options.address, options.port);
        let refused = |source: io::Error| BindError { address, cure: cure(&source), source };
        let listener = std::net::TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let service = Arc::new(Service::new(options, context, Arc::default()));
        Ok(Self { listener, address, service })
    }

    /// Where it listens; with port 0 in the options, the port it got.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What is counted.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.service.stats)
    }

    /// Serves until `cancel`. Then nobody is accepted any more, requests that are being answered
    /// are answered, streams end with their closing boundary, and after two seconds at most this
    /// returns.
    pub async fn serve(self, cancel: CancellationToken) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let service = self.service;
        let tasks = TaskTracker::new();
        let abort = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => {
                    let connection = attend(Arc::clone(&service), socket, peer, cancel.clone());
                    let abort = abort.clone();
                    tasks.spawn(async move { abort.run_until_cancelled(connection).await });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: those who are served will go.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        tasks.close();
        if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
            tracing::warn!(connections = tasks.len(), "connections did not end in time and are cut");
            abort.cancel();
            tasks.wait().await;
        }
        Ok(())
    }
}

/// Serves one connection, or says that there are too many.
async fn attend(service: Arc<Service>, socket: TcpStream, peer: SocketAddr, cancel: CancellationToken) {
    let stats = Arc::clone(&service.stats);
    stats.accepted.add(1);
    // Documents are written whole; waiting for more to send only delays them.
    let _ = socket.set_nodelay(true);
    let open = stats.connections.hold();
    let limit = service.options.max_connections as u64;
    let number = stats.connections.get();
    if number <= limit {
        // What comes over IPv4 to a socket of both has an address of IPv6.
        let is_local = peer.ip().to_canonical().is_loopback();
        connection::serve(socket, service, is_local, cancel).await;
    } else {
        stats.turned_away.add(1);
        if number <= limit + TURNED_AWAY_AT_ONCE {
            connection::turn_away(socket, &service).await;
        }
    }
    drop(open);
}

fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program has that port: stop it, or set another `port`",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are reserved: set a higher `port`, or grant CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address: set `address` to one it has, or to 0.0.0.0 for all"
        }
        _ => "set another `address` or `port`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named_with_a_cure() {
        let address = "127.0.0.1:5000".parse().expect("an address");
        let source = io::Error::from(io::ErrorKind::AddrInUse);
        let text = BindError { address, cure: cure(&source), source }.to_string();
        assert!(text.contains("127.0.0.1:5000") && text.contains("another program"), "{text}");
    }
}
