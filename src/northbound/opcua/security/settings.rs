//! From our options to those of the library.

use std::path::Path;
use std::time::Duration;

use opcua_crypto::SecurityPolicy;
use opcua_server::{Limits, OperationalLimits, ServerConfig, ServerEndpoint, SubscriptionLimits};
use opcua_types::{BuildInfo, DateTime, MessageSecurityMode};

use super::super::{Context, Mode, Options, Policy};
use super::Pki;
use super::certificate::Subject;

/// How often subscriptions are looked after, in milliseconds: also the shortest publishing interval.
const TICK: u64 = 20;

/// Largest chunk, either way, in bytes.
const CHUNK: usize = 65_535;

/// The product, whatever the installation.
const PRODUCT_URI: &str = "urn:guideway";

/// The library's configuration. `port` is the one that clients connect to.
pub(crate) fn config(options: &Options, context: &Context, port: u16) -> ServerConfig {
    let hostnames = options.hostnames();
    let url = |host: &String| format!("opc.tcp://{}:{port}/", bracketed(host));
    let pki = options.pki(&context.data_dir);
    // The library puts what `trust_all` lets in into `trusted`; it is not to stay trusted after that.
    let clients = if options.trust_all { pki.unchecked() } else { pki.clone() };
    let mut config = ServerConfig {
        application_name: application_name(&context.gateway),
        application_uri: application_uri(&context.gateway),
        product_uri: PRODUCT_URI.into(),
        // Relative paths would be sought in `pki_dir`.
        certificate_path: std::path::absolute(pki.certificate()).ok(),
        private_key_path: std::path::absolute(pki.key()).ok(),
        pki_dir: clients.folder().to_path_buf(),
        discovery_urls: hostnames.iter().map(url).collect(),
        limits: limits(options),
        subscription_poll_interval_ms: TICK,
        diagnostics: true,
        max_session_timeout_ms: milliseconds(options.limits.session_timeout),
        // What clients ask for most often; the keys of a channel are made anew then.
        max_secure_channel_token_lifetime_ms: 3_600_000,
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

/// The name that clients show.
fn application_name(gateway: &str) -> String {
    format!("Guideway {gateway}")
}

/// The URI that tells this server from every other one; in its certificate, too. The same wherever
/// the gateway of that name runs.
pub(crate) fn application_uri(gateway: &str) -> String {
    let mut uri = "urn:guideway:".to_owned();
    for byte in gateway.bytes() {
        // RFC 8141: what is not in here is written in hexadecimal digits.
        if byte.is_ascii_alphanumeric() || b"-._~()+,:=@;$!*'".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// What the server's certificate has to say.
pub(crate) fn subject(options: &Options, gateway: &str) -> Subject {
    let mut hosts = options.hostnames();
    // Whoever sits at the host itself, such as a test, need not know its name.
    hosts.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    let mut seen = std::collections::BTreeSet::new();
    hosts.retain(|host| seen.insert(host.to_ascii_lowercase()));
    Subject { common_name: application_name(gateway), application_uri: application_uri(gateway), hosts }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
        max_browse_continuation_points: 100,
        max_history_continuation_points: 100,
        max_query_continuation_points: 10,
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
            // Each may bring `history_values` values.
            max_nodes_per_history_read_data: 20,
            max_nodes_per_translate_browse_paths_to_node_ids: 1_000,
            ..OperationalLimits::default()
        },
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
    pub(crate) fn hostnames(&self) -> Vec<String> {
        if !self.hostnames.is_empty() {
            return self.hostnames.clone();
        }
        if !self.address.is_unspecified() {
            return vec![self.address.to_string()];
        }
        let name = opcua_crypto::hostname().unwrap_or_default();
        let fit = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        vec![if fit { name } else { "localhost".to_owned() }]
    }

    /// Where key and certificates are. `data_dir` is the gateway's.
    pub fn pki(&self, data_dir: &Path) -> Pki {
        Pki::at(self.pki_dir.clone().unwrap_or_else(|| data_dir.join("opcua")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_uri_is_a_uri_whatever_the_gateway_is_called() {
        assert_eq!(application_uri("hall-3"), "urn:guideway:hall-3");
        assert_eq!(application_uri("Halle 3 Süd"), "urn:guideway:Halle%203%20S%C3%BCd");
    }

    #[test]
    fn urls_name_what_is_configured_or_where_it_listens() {
        let options = |address: &str, hostnames: &[&str]| Options {
            address: address.parse().unwrap(),
            hostnames: hostnames.iter().map(|name| (*name).to_owned()).collect(),
            ..Options::default()
        };
        assert_eq!(options("0.0.0.0", &["a", "b"]).hostnames(), ["a", "b"]);
        assert_eq!(options("10.0.0.7", &[]).hostnames(), ["10.0.0.7"]);
        assert_eq!(options("0.0.0.0", &[]).hostnames().len(), 1);
        assert_eq!(bracketed("fe80::1"), "[fe80::1]");
        let hosts = subject(&options("127.0.0.1", &[]), "g").hosts;
        assert_eq!(hosts, ["127.0.0.1", "localhost", "::1"]);
    }

    #[test]
    fn a_message_of_the_largest_size_has_chunks_enough() {
        let limits = limits(&Options::default());
        assert!(limits.max_chunk_count >= 1_025, "{}", limits.max_chunk_count);
    }
}
