//! The registry of protocols: an explicit table.
//!
//! A new protocol adds its crate to `Cargo.toml`, a field to [`Adapters`], and its lines to
//! [`sources`].

use guideway_contract::{Adapter, Backoff};

use crate::config::{AdapterOptions, Adapters};

/// An adapter that is ready to be supervised.
pub struct Source {
    /// What is configured for an adapter of any protocol.
    pub options: AdapterOptions,
    /// The protocol.
    pub adapter: Box<dyn Adapter>,
    /// The pauses between its sessions.
    pub backoff: Backoff,
}

/// An adapter for each source that is configured. Does not touch the network.
pub fn sources(adapters: &Adapters) -> Vec<Source> {
    let Adapters { shdr } = adapters;
    shdr.iter()
        .map(|settings| Source {
            options: settings.common.clone(),
            adapter: guideway_shdr::adapter(settings.config.clone()),
            backoff: Backoff::new(settings.config.reconnect_min, settings.config.reconnect_max),
        })
        .collect()
}

/// Condition ids came with version 2.3; before, a colon belongs to the native code.
pub fn without_condition_ids(adapters: &mut Adapters) {
    for source in &mut adapters.shdr {
        source.config.condition_ids = false;
    }
}
