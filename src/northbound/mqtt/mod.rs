//! MQTT destinations, each with a durable cursor.
//!
//! A destination reads the journal from its cursor, turns observations into messages as its layout
//! says and moves the cursor when the broker has acknowledged them. Nothing else is remembered: after
//! a lost connection or a restart everything from the cursor on is sent again, in order, and a
//! receiver drops what it has by `(instance, sequence)`. See docs/mqtt.md.

mod address;
mod check;
pub mod control;
mod course;
mod destination;
mod health;
mod json;
mod layout;
mod loopback_broker;
mod options;
mod pump;
mod secret;
mod session;
mod suspicion;
mod tls;
mod topic;
mod window;

pub use check::Finding;
pub use destination::{Context, Destination, StartError, Watch};
pub use health::{State, Status};
pub use loopback_broker::LoopbackBroker;
pub use options::{LastWill, Layout, Options, ProtocolVersion, TemplateLayout, Tls, UnsLayout};
