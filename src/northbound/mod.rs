//! The faces: each reads the journal and the device model and holds no truth of its own.

pub mod interfaces;
pub mod mqtt;
pub mod mtconnect;
pub mod opcua;
