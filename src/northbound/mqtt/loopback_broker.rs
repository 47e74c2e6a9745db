//! A small broker inside the gateway, for the demonstration: loopback only, everyone may come in.

use std::net::SocketAddr;
use std::time::Duration;

use mqtt5::broker::config::{AuthConfig, StorageBackend, StorageConfig};
use mqtt5::broker::{BrokerConfig, BrokerShutdownHandle, MqttBroker};
use tokio::task::JoinHandle;

/// A running broker; dropping it ends it.
pub struct LoopbackBroker {
    address: SocketAddr,
    shutdown: BrokerShutdownHandle,
    task: JoinHandle<()>,
}

impl LoopbackBroker {
    /// Listens on `address`, port 0 for any free one. It keeps nothing on disk.
    ///
    /// # Errors
    /// When the address is not a loopback address, because there is no access control, or is in
    /// use.
    pub async fn start(address: SocketAddr) -> Result<Self, String> {
        if !address.ip().is_loopback() {
            return Err(format!(
                "the built-in broker lets everyone in, so it listens on loopback only, not on {address}; \
                 use a broker of your own with --broker"
            ));
        }
        let mut auth = AuthConfig::new().with_allow_anonymous(true);
        // Nobody has to log in, so there are no attempts to limit.
        auth.rate_limit.enabled = false;
        let storage = StorageConfig::new().with_backend(StorageBackend::Memory).with_persistence(false);
        let config = BrokerConfig::new()
            .with_bind_address(address)
            .with_max_clients(100)
            .with_max_packet_size(16 << 20)
            .with_session_expiry(Duration::from_secs(600))
            .with_auth(auth)
            .with_storage(storage)
            .with_sys_topics_enabled(false);
        let mut broker = MqttBroker::with_config(config)
            .await
            .map_err(|error| format!("the built-in broker cannot listen on {address}: {error}"))?;
        let address = broker.local_addr().unwrap_or(address);
        let shutdown = broker.shutdown_handle();
        let mut ready = broker.ready_receiver();
        let task = tokio::spawn(async move {
            if let Err(error) = broker.run().await {
                tracing::error!(%error, "the built-in broker has ended");
            }
        });
        // An error means that the broker ended before it was ready, and that was logged.
        let _ = ready.wait_for(|ready| *ready).await;
        Ok(Self { address, shutdown, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it and waits until it has.
    pub async fn stop(mut self) {
        self.shutdown.shutdown();
        // A task that was cancelled has ended as well.
        let _ = (&mut self.task).await;
    }
}

impl Drop for LoopbackBroker {
    fn drop(&mut self) {
        self.shutdown.shutdown();
        self.task.abort();
    }
}
