//! The OPC UA face, seen by foreign clients: asyncua and node-opcua.

#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

#[path = "opcua/access.rs"]
mod access;
#[path = "opcua/changes.rs"]
mod changes;
#[path = "opcua/events.rs"]
mod events;
#[path = "opcua/history.rs"]
mod history;
#[path = "opcua/neighbours.rs"]
mod neighbours;
#[path = "opcua/recordings.rs"]
mod recordings;
#[path = "opcua/values.rs"]
mod values;

/// The device file of a machine with a data item of every representation.
const MACHINE_XML: &str = include_str!("opcua/machine.xml");
