//! What the machines are: devices, components and data items, in MTConnect's information model.
//!
//! The element tree ([`Element`]) is what `/probe` gives back, with everything the gateway does not
//! know kept as it came. The typed tables ([`Device`], [`Component`], [`DataItem`]) are made from it
//! and are what everything else works with.

mod data_item;
mod element;
mod error;
mod model;
mod options;
mod version;

pub use data_item::{Category, Constraints, DataItem, Filters, Representation, Source};
pub use element::{Element, Node};
pub use error::{ModelError, Position};
pub use model::{Component, ComponentIndex, Device, DeviceIndex, DeviceModel, Namespace};
pub use options::{DuplicateIds, Options};
pub use version::SchemaVersion;

/// The model as it is now, shared by all who need it; swapped whole when it changes.
pub type SharedModel = std::sync::Arc<arc_swap::ArcSwap<DeviceModel>>;
