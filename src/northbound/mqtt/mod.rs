//! MQTT destinations, each with a durable cursor.

mod options;

pub use options::{LastWill, Layout, Options, ProtocolVersion, TemplateLayout, Tls, UnsLayout};
