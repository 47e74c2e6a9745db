//! The adapter with foreign peers: pyads' test server, and one written in Python from the protocol's description.

#![expect(clippy::unwrap_used, reason = "tests fail by it")]

mod changes;
mod common;
mod oracle;
mod pyads;
mod trials;
mod values;
