//! From our options to those of the library.

use opcua_crypto::SecurityPolicy;
use opcua_server::{Limits, OperationalLimits, ServerConfig, ServerEndpoint, SubscriptionLimits};
use opcua_types::{BuildInfo, DateTime, MessageSecurityMode};

use super::super::{Context, Mode, Options, Policy};

/// How often subscriptions are looked after, in milliseconds: also the shortest publishing interval.
const TICK: u64 = 20;

/// Largest chunk, either way, in bytes.
const CHUNK: usize = 65_535;

/// The product, whatever the installation.
const PRODUCT_URI: &str = "urn:guideway";

/// The library's configuration. `port` is the one that clients connect to.
pub(crate) fn config(options: &Options, context: &Context, port: u16) -> ServerConfig {
    let hostnames = options.hostnames(&context.gateway);
    let url = |host: &String| format!("opc.tcp://{}:{port}/", bracketed(host));
    let mut config = ServerConfig {
        application_name: format!("Guideway {}", context.gateway),
        application_uri: application_uri(&context.gateway),
        product_uri: PRODUCT_URI.into(),
        pki_dir: options.pki_dir.clone().unwrap_or_else(|| context.data_dir.join("opcua")),
        create_sample_keypair: true,
        discovery_server_url: options.discovery_url.clone(),
        discovery_urls: hostnames.iter().map(url).collect(),
        limits: limits(options),
        subscription_poll_interval_ms: TICK,
        diagnostics: true,
        ..ServerConfig::default()
    };
    config.certificate_validation.trust_client_certs = options.trust_all;
    config.tcp_config.host = hostnames.first().map(|host| bracketed(host)).unwrap_or_default();
    config.tcp_config.port = port;
    if options.allow_none {
        config.add_endpoint("None", ServerEndpoint::new_none("/", &[]));
    }
    for policy in &options.policies {
        for mode in &options.modes {
            let endpoint = ServerEndpoint::new("/", (*policy).into(), (*mode).into(), &[]);
            config.add_endpoint(&format!("{policy:?} {mode:?}"), endpoint);
        }
    }
    config
}

/// What ServerStatus says of the product.
pub(crate) fn build_info() -> BuildInfo {
    BuildInfo {
        product_uri: PRODUCT_URI.into(),
        manufacturer_name: "Guideway".into(),
        product_name: "Guideway".into(),
        software_version: env!("CARGO_PKG_VERSION").into(),
        build_number: env!("CARGO_PKG_VERSION").into(),
        build_date: DateTime::null(),
    }
}

/// The URI that tells this server from every other one; in its certificate, too. The same wherever
/// the gateway of that name runs.
pub(crate) fn application_uri(gateway: &str) -> String {
    format!("urn:guideway:{gateway}")
}

/// An IPv6 address as it stands in a URL.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn limits(options: &Options) -> Limits {
    let wanted = &options.limits;
    Limits {
        max_array_length: wanted.array_length,
        max_message_size: wanted.message_size,
        // A chunk carries a little less than its size.
        max_chunk_count: wanted.message_size.div_ceil(CHUNK - 1_024).max(5),
        max_string_length: CHUNK,
        max_byte_string_length: CHUNK,
        send_buffer_size: CHUNK,
        receive_buffer_size: CHUNK,
        max_sessions: wanted.sessions,
        subscriptions: SubscriptionLimits {
            max_subscriptions_per_session: wanted.subscriptions,
            max_monitored_items_per_sub: wanted.items,
            max_monitored_item_queue_size: wanted.queue,
            max_queued_notifications: wanted.notifications,
            min_publishing_interval_ms: TICK as f64,
            min_sampling_interval_ms: 0.0,
            ..SubscriptionLimits::default()
        },
        operational: OperationalLimits {
            max_monitored_items_per_call: 10_000,
            max_nodes_per_translate_browse_paths_to_node_ids: 1_000,
            ..OperationalLimits::default()
        },
        ..Limits::default()
    }
}

impl From<Policy> for SecurityPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Basic256Sha256 => Self::Basic256Sha256,
            Policy::Aes128Sha256RsaOaep => Self::Aes128Sha256RsaOaep,
            Policy::Aes256Sha256RsaPss => Self::Aes256Sha256RsaPss,
        }
    }
}

impl From<Mode> for MessageSecurityMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Sign => Self::Sign,
            Mode::SignAndEncrypt => Self::SignAndEncrypt,
        }
    }
}

impl Options {
    /// The names under which clients reach the server, the first one in its URLs.
    pub(crate) fn hostnames(&self, _gateway: &str) -> Vec<String> {
        if !self.hostnames.is_empty() {
            return self.hostnames.clone();
        }
        vec![opcua_crypto::hostname().unwrap_or_else(|_| "localhost".into())]
    }
}
