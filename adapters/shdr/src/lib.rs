//! SHDR, the line protocol between MTConnect adapters and agents.
//!
//! The adapter program listens (port 7878), the gateway connects and reads lines; `docs/shdr.md`
//! lists what they may hold. [`codec`] is pure; the session owns the socket.

mod clock;
pub mod codec;
pub mod config;
mod protocol;
mod session;

pub use config::{Config, ShdrVersion};
pub use protocol::NoPoint;
pub use session::{Shdr, adapter};
