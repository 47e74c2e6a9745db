//! What the machines are: devices, components and data items, in MTConnect's information model.
//!
//! The element tree ([`Element`]) is what `/probe` gives back, with everything the gateway does not
//! know kept as it came. The typed tables ([`Device`], [`Component`], [`DataItem`]) are made from it
//! and are what everything else works with.

mod additions;
mod agent;
mod assemble;
mod change;
mod corrections;
mod data_item;
mod element;
mod error;
mod findings;
mod ids;
mod item;
mod load;
mod model;
mod options;
mod shape;
mod source;
mod tables;
#[cfg(test)]
mod tests;
mod tree;
mod version;
pub mod vocabulary;

pub use agent::{AgentAdapter, AgentAdapterItems, AgentInfo, AgentItems};

pub use data_item::{Category, Constraints, DataItem, Filters, Representation, Source};
pub use element::{Element, Node};
pub use error::{ModelError, Position, Severity};
pub use model::{Component, ComponentIndex, Device, DeviceIndex, DeviceModel, Namespace};
pub use options::{DuplicateIds, Options};
pub use version::SchemaVersion;

/// The model as it is now, shared by all who need it; swapped whole when it changes.
pub type SharedModel = std::sync::Arc<arc_swap::ArcSwap<DeviceModel>>;
