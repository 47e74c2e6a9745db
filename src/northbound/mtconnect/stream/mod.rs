//! Streams: `sample` and `current` with an `interval`.
//!
//! Clients that ask for the same and have caught up form a [`group`]: one task reads the journal and
//! encodes each part once, and every client gets the same bytes. A client that is behind (it began
//! further back, or reads too slowly) is not in the group: it reads from the buffer on its own,
//! part after part, until it has caught up again, or has fallen out of the buffer.

mod client;
mod group;
mod hub;
mod inbox;
mod part;

use std::time::Duration;

pub(super) use client::{Client, Next};
pub(super) use hub::Hub;
pub(super) use part::Part;

use super::edition::Scope;
use super::request::Style;

/// Least gap between two parts, and between two looks at the journal, whatever the client asks for:
/// observations that come within it share a part.
const LEAST_GAP: Duration = Duration::from_millis(10);

/// What a group sends. Clients with the same key get the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) subject: Subject,
    pub(super) style: Style,
}

/// The two kinds of stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// Every observation.
    Sample { scope: Scope, count: usize, interval: Duration, heartbeat: Duration },
    /// The state, again and again.
    Current { scope: Scope, interval: Duration },
}

impl Subject {
    pub(super) const fn scope(&self) -> &Scope {
        match self {
            Self::Sample { scope, .. } | Self::Current { scope, .. } => scope,
        }
    }
}
