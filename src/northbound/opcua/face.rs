//! The server: endpoints, limits, its life.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opcua_server::diagnostics::DiagnosticsNodeManagerBuilder;
use opcua_server::node_manager::ServerContext;
use opcua_server::{Server, ServerBuilder, ServerHandle, ServerInfo};
use opcua_types::{ServerState, VariableId, Variant};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::Calls;
use super::events::Announcer;
use super::feed::Feed;
use super::security::{Access, Gate, Keeper, keep_registered, settings};
use super::space::Shared;
use super::{Context, Options};

/// How long the server may take to say goodbye to its clients.
const FAREWELL: Duration = Duration::from_millis(500);

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
    /// Connections that are open.
    pub connections: AtomicU64,
    /// Connections for which there was no room.
    pub turned_away: AtomicU64,
    /// Connections that were ended because of what came over them, or because nothing did.
    pub cut_off: AtomicU64,
    /// Sessions that are open.
    pub sessions: AtomicU64,
    /// Subscriptions of all sessions.
    pub subscriptions: AtomicU64,
}

/// The OPC UA server, listening.
pub struct Face {
    address: SocketAddr,
    stats: Arc<Stats>,
    /// Where clients come.
    listener: TcpListener,
    /// Where the server takes what the gate lets through.
    inner: TcpListener,
    gate: Arc<Gate>,
    keeper: Keeper,
    discovery: Option<String>,
    server: Server,
    handle: ServerHandle,
    feed: Feed,
}

impl Face {
    /// Makes key and certificate where there are none, fills the address space, and listens.
    ///
    /// Clients may connect as soon as this returns; they are answered from the first poll of
    /// [`serve`](Self::serve) on, by a server whose address space is complete.
    pub async fn start(options: &Options, context: Context) -> Result<Self, StartError> {
        let wanted = SocketAddr::new(options.address, options.port);
        let bind = |source| StartError::Bind { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;

        prepare(options, &context).await?;
        let stats = Arc::<Stats>::default();
        let announcer = Arc::new(Announcer::default());
        let shared = Shared::new(context, announcer, options, stats.clone());
        let shared = Arc::new(shared);
        let (server, handle) = build(options, address.port(), &shared)?;
        shared.announcer.install(&mut handle.info().type_loaders.write());
        let nodes = handle
            .node_managers()
            .get_of_type::<Calls>()
            .and_then(|nodes| nodes.address_space())
            .ok_or_else(|| StartError::Server("the node manager is not there".into()))?;
        let keeper = Keeper::new(options.pki(&shared.context.data_dir), options.trust_all);
        let feed = Feed::begin(shared, nodes, handle.subscriptions().clone());
        let inner = loopback().map_err(|error| {
            StartError::Server(format!("cannot listen on loopback, where the gate hands over: {error}"))
        })?;
        let behind = inner.local_addr().map_err(|error| StartError::Server(error.to_string()))?;
        let gate = Arc::new(Gate::new(options, behind, stats.clone()));
        let discovery = options.discovery_url.clone();
        Ok(Self { address, stats, listener, inner, gate, keeper, discovery, server, handle, feed })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its counters.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// Serves until `cancel`; ends within a second then, with every task that it started.
    pub async fn serve(self, cancel: CancellationToken) {
        let Self { address, stats, listener, inner, gate, keeper, discovery, server, handle, feed } = self;
        let (cut, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut server = tokio::spawn(server.run_with(inner));
        if !listens(&handle, &server).await {
            let why = server.await;
            tracing::error!(?why, "the OPC UA server did not start");
            return cancel.cancelled().await;
        }
        // The server takes the port where the gate hands over for its own, and would tell it to clients.
        handle.info().port.store(address.port(), Ordering::Relaxed);

        let config = handle.info().config.as_ref().clone();
        let registration = discovery.map(|url| keep_registered(url, config, cancel.clone()));
        tasks.spawn(feed.run(cancel.clone()));
        tasks.spawn(keeper.run(cancel.clone()));
        tasks.spawn(count(handle.info().clone(), stats, cancel.clone()));
        if let Some(registration) = registration {
            tasks.spawn(registration);
        }
        tasks.spawn(gate.serve(listener, cancel.clone(), cut.clone(), tasks.clone()));
        tokio::select! {
            () = cancel.cancelled() => {}
            ended = &mut server => {
                tracing::error!(?ended, "the OPC UA server ended by itself");
                cut.cancel();
                return cancel.cancelled().await;
            }
        }
        // Clients are told that the server stops; who does not listen is cut off.
        handle.set_server_state(ServerState::Shutdown);
        handle.cancel();
        if tokio::time::timeout(FAREWELL, &mut server).await.is_err() {
            server.abort();
        }
        cut.cancel();
        tasks.close();
        tasks.wait().await;
    }
}

/// A listener that only this host reaches, on a free port.
fn loopback() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // The sockets that it accepts have this from it. Without it, answers in more than one part would
    // wait for each other.
    socket.set_nodelay(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(1_024)
}

/// Waits until the server takes connections: then its address space is complete. False when it has
/// ended instead.
async fn listens(handle: &ServerHandle, server: &JoinHandle<Result<(), String>>) -> bool {
    // Set once, when it begins to take connections.
    while handle.info().port.load(Ordering::Relaxed) == 0 {
        if server.is_finished() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    true
}

/// Keeps count of what the server has open.
async fn count(info: Arc<ServerInfo>, stats: Arc<Stats>, cancel: CancellationToken) {
    const SESSIONS: VariableId =
        VariableId::Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSessionCount;
    const SUBSCRIPTIONS: VariableId =
        VariableId::Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSubscriptionCount;
    let read = |variable| match info.diagnostics.get(variable).and_then(|value| value.value) {
        Some(Variant::UInt32(count)) => u64::from(count),
        _ => 0,
    };
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        stats.sessions.store(read(SESSIONS), Ordering::Relaxed);
        stats.subscriptions.store(read(SUBSCRIPTIONS), Ordering::Relaxed);
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
    }
}

/// Key, certificate and trust list, as they have to be.
async fn prepare(options: &Options, context: &Context) -> Result<(), StartError> {
    let pki = options.pki(&context.data_dir);
    let subject = settings::subject(options, &context.gateway);
    let trust_all = options.trust_all;
    let blocking = tokio::task::spawn_blocking(move || {
        if trust_all {
            pki.unchecked().make_folders()?;
        }
        pki.prepare(&subject)
    });
    // It does not panic; and this task is not cancelled.
    let own = blocking.await.map_err(|error| StartError::Server(error.to_string()))??;
    let fingerprint = own.certificate.fingerprint();
    if let Some(remark) = own.remark {
        tracing::warn!(fingerprint, "OPC UA: {remark}");
    } else if own.made {
        tracing::info!(fingerprint, "OPC UA: made a certificate; clients have to trust it");
    }
    if trust_all {
        tracing::warn!("OPC UA: `trust_all` is on: every client certificate is let in");
    }
    Ok(())
}

/// The server with its node managers and everything in them but the machines.
fn build(options: &Options, port: u16, shared: &Arc<Shared>) -> Result<(Server, ServerHandle), StartError> {
    if (options.policies.is_empty() || options.modes.is_empty()) && !options.allow_none {
        let cause = "there is no endpoint: `policies` or `modes` is empty, and `allow_none` is false";
        return Err(StartError::Server(cause.into()));
    }
    let config = settings::config(options, &shared.context, port);
    let access = Arc::new(Access::of(options, shared.desk.clone())?);
    let space = shared.clone();
    ServerBuilder::from_config(config)
        .without_node_managers()
        .with_node_manager(move |context: ServerContext| Calls::build(space, context))
        .with_node_manager(DiagnosticsNodeManagerBuilder)
        .with_authenticator(access)
        .build_info(settings::build_info())
        .build()
        .map_err(StartError::Server)
}
