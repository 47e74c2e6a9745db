//! `[mtconnect]` in the configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::device_model::Namespace;

/// The HTTP face.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether there is one.
    pub enabled: bool,
    /// Address to listen on. `0.0.0.0` is every IPv4 interface, `::` every interface.
    pub address: std::net::IpAddr,
    /// Port; 0 takes any free one.
    pub port: u16,
    /// Who the documents say they are from. Default: the host's name.
    pub sender: Option<String>,
    /// Indented documents unless the client says otherwise.
    pub pretty: bool,
    /// JSON documents are of version 1 (arrays) or 2 (grouped by type).
    pub json_version: u8,
    /// Clients that may be connected at once; more are answered 503.
    pub max_connections: usize,
    /// How many bytes may wait for a client that reads too slowly before it is cut off.
    #[serde(with = "crate::config::size")]
    pub max_client_backlog: u64,
    /// How long a client may take to send a request head.
    #[serde(with = "crate::config::duration")]
    pub header_timeout: Duration,
    /// Origins that browsers may read from (CORS); `*` for all.
    pub allow_origins: Vec<String>,
    /// Files to serve.
    pub files: Vec<FileMount>,
    /// Namespaces and style sheet of MTConnectDevices documents.
    pub devices: Style,
    /// The same of MTConnectStreams.
    pub streams: Style,
    /// The same of MTConnectAssets.
    pub assets: Style,
    /// The same of MTConnectError.
    pub error: Style,
}

/// A folder or file served under a location.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMount {
    /// Where it appears: `/schemas/`.
    pub location: String,
    /// Where it is. Relative to the configuration file.
    pub path: PathBuf,
}

/// What a kind of document carries besides its content.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Style {
    /// Extension namespaces.
    pub namespaces: Vec<Namespace>,
    /// Location of an XSL style sheet.
    pub stylesheet: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            address: std::net::Ipv4Addr::UNSPECIFIED.into(),
            port: 5000,
            sender: None,
            pretty: false,
            json_version: 2,
            max_connections: 1_024,
            max_client_backlog: 16 << 20,
            header_timeout: Duration::from_secs(10),
            allow_origins: Vec::new(),
            files: Vec::new(),
            devices: Style::default(),
            streams: Style::default(),
            assets: Style::default(),
            error: Style::default(),
        }
    }
}
