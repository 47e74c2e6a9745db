//! Durations as text; see [`guideway_contract::duration`].

pub use guideway_contract::duration::{deserialize, optional, parse, serialize};
