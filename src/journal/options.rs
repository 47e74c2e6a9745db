//! `[journal]` in the configuration.

use serde::Deserialize;

/// How much is kept, where and how safely. Durations and sizes are text: `"1s"`, `"8 GiB"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Observations in memory (the MTConnect buffer); 1 to 16,777,216.
    pub buffer_size: u32,
    /// Whether the journal is on disk too.
    pub durable: bool,
    /// How long data may be with the operating system before it is synced to the disk: what a
    /// power loss can cost. A killed process loses nothing either way. Zero syncs every batch.
    #[serde(with = "crate::config::duration")]
    pub sync_interval: std::time::Duration,
    /// Disk space after which the oldest segments go, even if a reader still wants them.
    #[serde(with = "crate::config::size")]
    pub retention_bytes: u64,
    /// Age after which the oldest segments go, even if a reader still wants them.
    #[serde(with = "crate::config::duration")]
    pub retention_age: std::time::Duration,
    /// Assets that are kept; the least recently changed one goes first.
    pub max_assets: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            buffer_size: 131_072,
            durable: true,
            sync_interval: std::time::Duration::from_secs(1),
            retention_bytes: 8 << 30,
            retention_age: std::time::Duration::from_secs(30 * 86_400),
            max_assets: 1_024,
        }
    }
}
