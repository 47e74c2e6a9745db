//! `[adapter]` with `kind = "opcua"`, and what a point has of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use guideway_contract::duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An OPC UA server and the way to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The server: `host`, `host:port` or `opc.tcp://host:port/path`.
    pub address: String,
    /// TCP port, where `address` names none.
    pub port: u16,
    /// How messages are protected. With anything but `none` the server has to trust the gateway's certificate
    /// (`own/cert.der` in `pki`), and the gateway the server's: move it from `rejected` to `trusted` in `pki`.
    pub security: Security,
    /// The security policy. `auto` takes the strongest that the server offers.
    pub policy: Policy,
    /// The user's name, where the server wants one.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// Sends the password even where neither the connection nor the server's rules for passwords encrypt it. Anyone
    /// on the network can read it then.
    pub plain_password: bool,
    /// A certificate to log in with in place of a password (DER or PEM file).
    pub user_certificate: Option<PathBuf>,
    /// The private key of `user_certificate` (PEM file).
    pub user_key: Option<PathBuf>,
    /// The folder of certificates: `own/cert.der` and `private/private.pem` are the gateway's (made when missing, or
    /// put there by you), `trusted` holds those of servers that it talks to, `rejected` those it does not.
    pub pki: PathBuf,
    /// Which servers are trusted: `listed` are those whose certificate is in `trusted`; `all` asks nobody, which
    /// is for a closed network and for trying out.
    pub trust: Trust,
    /// Refuses a server's certificate that has ended or has not begun. Switch it off for a machine whose clock or
    /// certificate nobody can put right; its certificate still has to be trusted.
    pub check_time: bool,
    /// The gateway's application URI, which has to be the one in its certificate.
    pub application_uri: String,
    /// How long an attempt to connect may take, up to the session.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long one request may take.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// After how long without a word from the server it is asked whether it still lives. A server that does not
    /// answer within `timeout` is given up.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub keep_alive: Duration,
    /// How long the server keeps the session of a gateway that has gone without a word.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub session_timeout: Duration,
    /// How often the server sends what has changed. Default: as often as the fastest point is sampled, from 50 ms
    /// to 1 s.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub publishing_interval: Option<Duration>,
    /// Most nodes in one request. What the server says of its limits is kept too.
    pub max_nodes: u32,
    /// After how long a node that was not there is looked for again.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub retry: Duration,
    /// Which time a value gets.
    pub timestamps: Times,
    /// Short names for namespace URIs, to be used in addresses: with `di = "http://opcfoundation.org/UA/DI/"` the
    /// path `/Objects/di:DeviceSet` and the node `nsu=di;i=5001` can be written.
    pub namespaces: BTreeMap<String, String>,
    /// Languages for texts, best first, such as `["en", "de"]`.
    pub locales: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: 4840,
            security: Security::default(),
            policy: Policy::default(),
            user: None,
            password: None,
            plain_password: false,
            user_certificate: None,
            user_key: None,
            pki: PathBuf::from("pki/opcua-client"),
            trust: Trust::default(),
            check_time: true,
            application_uri: "urn:guideway:opcua-client".into(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(3),
            keep_alive: Duration::from_secs(3),
            session_timeout: Duration::from_secs(30),
            publishing_interval: None,
            max_nodes: 1_000,
            retry: Duration::from_secs(30),
            timestamps: Times::default(),
            namespaces: BTreeMap::new(),
            locales: Vec::new(),
        }
    }
}

/// How messages are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// Not at all: anyone on the network can read and change them.
    None,
    /// Signed: nobody can change them.
    Sign,
    /// Signed and encrypted: nobody can change or read them.
    #[default]
    SignAndEncrypt,
}

/// A security policy of OPC 10000-7. Those that are held to be broken (`Basic128Rsa15`, `Basic256`) are not offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Policy {
    /// The strongest that the server offers.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// `Basic256Sha256`.
    Basic256Sha256,
    /// `Aes128_Sha256_RsaOaep`.
    #[serde(alias = "Aes128_Sha256_RsaOaep")]
    Aes128Sha256RsaOaep,
    /// `Aes256_Sha256_RsaPss`.
    #[serde(alias = "Aes256_Sha256_RsaPss")]
    Aes256Sha256RsaPss,
}

/// Which servers are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Those whose certificate is in `trusted`.
    #[default]
    Listed,
    /// Every server.
    All,
}

/// Which time a value gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// The source's; where it gives none the server's, else that of its arrival.
    #[default]
    Source,
    /// The server's, else that of its arrival.
    Server,
    /// That of its arrival: for machines whose clock is wrong.
    Arrival,
}

/// How a point is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The server samples it and sends its changes. A node that cannot be subscribed to is polled.
    #[default]
    Subscribe,
    /// The gateway reads it at each turn of its group.
    Poll,
}

/// What a point has beside `addr`, `type`, `group` and `access`.
///
/// `addr` is a node, `nsu=http://vendor.com/UA/;s=Name`, `ns=2;s=Name` or `i=2258` (also `g=` and `b=`), or a path of
/// browse names from the root, `/Objects/2:DeviceSet/nsu=http://vendor.com/UA/;Robot/2:State`: a name without a
/// namespace is one of OPC UA itself, and `&` in front of `/`, `:` or `&` takes the character for what it is.
/// Indices of namespaces may change when a server is set up anew; URIs do not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Point {
    /// How often the server looks at the value. Default: the group's period.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub sampling: Option<Duration>,
    /// How many changes the server keeps between two publishings; the oldest are lost first. More than sampling
    /// intervals in a publishing interval are never needed.
    pub queue: u32,
    /// The server only sends changes larger than this, in the value's own units.
    pub deadband: Option<f64>,
    /// Whether the server sends changes or the gateway polls.
    pub mode: Mode,
    /// The node where the path in `addr` starts in place of the root.
    pub start: Option<String>,
    /// An element or a stretch of an array: `"3"`, `"0:4"` (both ends included), `"1,2"` in two dimensions. From 0.
    pub index: Option<String>,
    /// A field of a structure, or of a structure in it: `"Position.X"`. Of an array of structures it gives the field
    /// of each.
    pub field: Option<String>,
    /// Makes the point a method that commands call: the node or path of the object whose method `addr` is. The value
    /// written is its argument, or the list of its arguments.
    pub method: Option<String>,
}

impl Default for Point {
    fn default() -> Self {
        Self {
            sampling: None,
            queue: 10,
            deadband: None,
            mode: Mode::default(),
            start: None,
            index: None,
            field: None,
            method: None,
        }
    }
}
