//! `[model]` in the configuration.

use std::path::PathBuf;

use serde::Deserialize;

use super::SchemaVersion;

/// Which machines there are and how they are described.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Options {
    /// MTConnectDevices files; several are put together. Relative to the configuration file.
    pub devices: Vec<PathBuf>,
    /// Folders with device profiles, looked at before those that ship. Relative to the configuration file.
    /// Default: `device-profiles` beside it.
    pub profiles: Vec<PathBuf>,
    /// Version of the documents. Default: that of the first devices file, else 2.7.
    pub schema_version: Option<SchemaVersion>,
    /// Whether the gateway describes itself as an Agent device (needs 1.7 or later).
    pub agent_device: bool,
    /// What to do when two devices use the same id.
    pub duplicate_ids: DuplicateIds,
}

/// What to do when two devices use the same id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateIds {
    /// Refuse to start, naming both places.
    #[default]
    Refuse,
    /// Put the device's id and `_` before every id of a device that clashes.
    Prefix,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            devices: Vec::new(),
            profiles: Vec::new(),
            schema_version: None,
            agent_device: true,
            duplicate_ids: DuplicateIds::Refuse,
        }
    }
}
