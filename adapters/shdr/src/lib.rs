//! SHDR, the line protocol between MTConnect adapters and agents.
//!
//! The adapter program listens (port 7878), the gateway connects and reads lines; `docs/shdr.md`
//! lists what they may hold. The codec is pure; the session owns the socket.

pub mod config;

pub use config::{Config, ShdrVersion};
