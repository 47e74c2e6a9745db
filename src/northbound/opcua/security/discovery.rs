//! Registration at a discovery server (part 12, 4.2.3; part 4, 5.5.5).

use std::time::Duration;

use opcua_client::ClientBuilder;
use opcua_server::ServerConfig;
use opcua_types::{ApplicationType, LocalizedText, RegisteredServer, UAString};
use tokio_util::sync::CancellationToken;

/// How often a server says that it is still there; the standard's most is ten minutes.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// How soon it is tried again after a failure.
const AGAIN: Duration = Duration::from_secs(30);

/// The most that one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the last word may take.
const FAREWELL: Duration = Duration::from_millis(400);

/// Keeps the server registered until `cancel`, and then takes it off the list.
pub(crate) async fn keep_registered(url: String, config: ServerConfig, cancel: CancellationToken) {
    let mut registered = None;
    loop {
        let attempt = tokio::select! {
            () = cancel.cancelled() => break,
            attempt = tokio::time::timeout(PATIENCE, register(&url, &config, true)) => attempt,
        };
        let result = attempt.unwrap_or_else(|_| Err("it does not answer".to_owned()));
        if registered != Some(result.is_ok()) {
            match &result {
                Ok(()) => tracing::info!(discovery = url, "OPC UA: registered at the discovery server"),
                Err(error) => tracing::warn!(
                    discovery = url,
                    error,
                    "OPC UA: cannot register at the discovery server; is it there, do both trust each other?"
                ),
            }
        }
        registered = Some(result.is_ok());
        let pause = if result.is_ok() { EVERY } else { AGAIN };
        tokio::select! {
            () = cancel.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    if registered == Some(true) {
        // It would forget us by itself after a while.
        let _ = tokio::time::timeout(FAREWELL, register(&url, &config, false)).await;
    }
}

async fn register(url: &str, config: &ServerConfig, is_online: bool) -> Result<(), String> {
    let builder = ClientBuilder::new()
        .application_name(&config.application_name)
        .application_uri(&config.application_uri)
        .pki_dir(config.pki_dir.clone())
        .session_retry_limit(0);
    let builder = match (&config.certificate_path, &config.private_key_path) {
        (Some(certificate), Some(key)) => builder.certificate_path(certificate).private_key_path(key),
        _ => builder,
    };
    let client = builder.client().map_err(|errors| errors.join(", "))?;
    let endpoint = client.get_best_endpoint(url).await.map_err(|error| error.to_string())?;
    let server = RegisteredServer {
        server_uri: UAString::from(&config.application_uri),
        product_uri: UAString::from(&config.product_uri),
        server_names: Some(vec![LocalizedText::new("en", &config.application_name)]),
        server_type: ApplicationType::Server,
        gateway_server_uri: UAString::null(),
        discovery_urls: Some(config.discovery_urls.iter().map(UAString::from).collect()),
        semaphore_file_path: UAString::null(),
        is_online,
    };
    // The name that it gives itself may not lead there; the one that was configured does.
    client.register_server(url, &endpoint, server).await.map_err(|error| error.to_string())
}
