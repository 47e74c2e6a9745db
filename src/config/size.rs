//! Sizes as text; see [`guideway_contract::size`].

pub use guideway_contract::size::{deserialize, parse, serialize};
