//! `[opcua]` in the configuration.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The OPC UA server. Without `[opcua]` in the file there is none.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether the server runs.
    pub enabled: bool,
    /// Where it listens.
    pub address: IpAddr,
    /// TCP port; 0 takes a free one.
    pub port: u16,
    /// The names and addresses under which clients reach it, the first one in its endpoint URLs, all
    /// of them in its certificate. Default: the host's name.
    pub hostnames: Vec<String>,
    /// Own key and certificate, `trusted/` and `rejected/` certificates of clients. Default: `opcua`
    /// in the data directory.
    pub pki_dir: Option<PathBuf>,
    /// Security policies of the encrypted endpoints.
    pub policies: Vec<Policy>,
    /// Message security modes of the encrypted endpoints.
    pub modes: Vec<Mode>,
    /// Offers an endpoint without security too: anonymous, read-only.
    pub allow_none: bool,
    /// Anonymous clients may read over the encrypted endpoints.
    pub anonymous: bool,
    /// Takes every client certificate, known or not. For try-outs.
    pub trust_all: bool,
    /// Who may log in.
    pub users: Vec<User>,
    /// A folder with the node set files of DI, IA, Machinery and MachineTool, whatever their names:
    /// machines are shown in those terms too.
    pub nodesets: Option<PathBuf>,
    /// A discovery server to register at, such as `opc.tcp://localhost:4840`.
    pub discovery_url: Option<String>,
    /// What one client, and all together, may ask for.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 4840,
            hostnames: Vec::new(),
            pki_dir: None,
            policies: vec![Policy::Basic256Sha256, Policy::Aes128Sha256RsaOaep, Policy::Aes256Sha256RsaPss],
            modes: vec![Mode::Sign, Mode::SignAndEncrypt],
            allow_none: false,
            anonymous: false,
            trust_all: false,
            users: Vec::new(),
            nodesets: None,
            discovery_url: None,
            limits: Limits::default(),
        }
    }
}

/// A security policy of OPC UA (part 7). The older ones are broken and not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Policy {
    /// RSA with SHA-256, AES-256.
    Basic256Sha256,
    /// RSA-OAEP with SHA-256, AES-128.
    #[serde(rename = "Aes128_Sha256_RsaOaep", alias = "Aes128Sha256RsaOaep")]
    Aes128Sha256RsaOaep,
    /// RSA-PSS with SHA-256, AES-256.
    #[serde(rename = "Aes256_Sha256_RsaPss", alias = "Aes256Sha256RsaPss")]
    Aes256Sha256RsaPss,
}

/// A message security mode (part 4, 7.20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Mode {
    /// Messages are signed, and can be read by others.
    Sign,
    /// Messages are signed and encrypted.
    SignAndEncrypt,
}

/// `[[opcua.users]]`: somebody who may log in, by password, by certificate, or either.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: String,
    /// An argon2 hash in PHC form, as `guideway opcua hash` makes it. `$VAR` takes it from the
    /// environment.
    #[serde(default)]
    pub password: Option<String>,
    /// The user's certificate, DER or PEM.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// What the user may do.
    #[serde(default)]
    pub role: Role,
}

/// What somebody may do. Each may do what the one before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Browse, read, subscribe, read history.
    #[default]
    Viewer,
    /// Issue the commands that are permitted to operators.
    Operator,
    /// Read the server's diagnostics too, and issue the commands that are permitted to engineers.
    Engineer,
}

/// `[opcua.limits]`: everything a client can make grow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections of all clients together. One address gets at most three quarters of them.
    pub connections: usize,
    /// Sessions of all clients together. Over the endpoint without security at most three quarters of
    /// them are taken.
    pub sessions: usize,
    /// How long a session is kept over which nothing is asked. Clients may ask for less; most ask for
    /// an hour, and then keep alive what they get.
    #[serde(with = "crate::config::duration")]
    pub session_timeout: Duration,
    /// Subscriptions of one session.
    pub subscriptions: usize,
    /// Monitored items of one subscription.
    pub items: usize,
    /// Values or events that wait in the queue of one monitored item.
    pub queue: usize,
    /// Notification messages that wait for a client to fetch them.
    pub notifications: usize,
    /// Largest request, in bytes.
    #[serde(with = "crate::config::size")]
    pub request_size: usize,
    /// Largest answer, in bytes.
    #[serde(with = "crate::config::size")]
    pub message_size: usize,
    /// Most elements in an array that a client sends.
    pub array_length: usize,
    /// Most values in one answer to a history request.
    pub history_values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 200,
            sessions: 100,
            session_timeout: Duration::from_secs(120),
            subscriptions: 100,
            items: 20_000,
            queue: 1_000,
            notifications: 1_000,
            request_size: 4 << 20,
            message_size: 64 << 20,
            array_length: 100_000,
            history_values: 10_000,
        }
    }
}
