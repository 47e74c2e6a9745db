//! Simulated machines, and recordings, served over real SHDR sockets.
//!
//! [`Fleet::standard`] has three machines: a mill, a lathe and a robot cell. Their axes accelerate
//! and brake, their spindles warm up and cool down, their tools wear, their operators open doors and
//! clear alarms. Each is deterministic: the same seed and the same steps give the same lines.
//! [`serve`] gives a machine a socket; [`replay`] plays recorded lines on one.
//!
//! Nothing here is real, and the devices files say so.

mod alarm;
mod board;
mod client;
mod fleet;
mod machine_tool;
mod motion;
mod program;
mod replay;
mod robot;
mod server;
mod thermal;
mod tool;

pub use fleet::{Fleet, Machine};
pub use replay::{Progress, Replay, ReplayError, Speed, replay};
pub use server::{Clock, serve, serve_with};
