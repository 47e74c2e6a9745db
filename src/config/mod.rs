//! `guideway.toml` and `agent.cfg`, typed, with positions.

pub mod duration;
pub mod size;
