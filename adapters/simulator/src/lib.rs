//! Simulated machines, and recordings, served over real sockets: SHDR and native protocols.
//!
//! [`Fleet::standard`] has three machines that speak SHDR: a mill, a lathe and a robot cell. Their axes accelerate
//! and brake, their spindles warm up and cool down, their tools wear, their operators open doors and
//! clear alarms. Each is deterministic: the same seed and the same steps give the same lines.
//! [`serve`] gives a machine a socket; [`replay`] plays recorded lines on one.
//!
//! Beside them stand five [`NativeMachine`]s: a Haas mill (Q commands), a power meter (Modbus TCP), a press cell
//! (S7 communication), a robot (OPC UA) and a probing station (text).
//!
//! Nothing here is real, and the devices files say so.

mod alarm;
mod board;
mod client;
mod fleet;
mod machine_tool;
mod motion;
mod native;
mod program;
mod replay;
mod robot;
mod server;
mod thermal;
mod tool;

pub use fleet::{Fleet, Machine};
pub use native::NativeMachine;
pub use replay::{Progress, Replay, ReplayError, Speed, replay};
pub use server::{Clock, serve, serve_with};
