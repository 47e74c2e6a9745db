//! The machines as nodes, by the mapping of OPC 30070-1.
//!
//! [`Tree::of`] makes of a device model the nodes that show it ([`Node`]), light enough to be kept, so
//! that [`Tree::replace`] can tell what a change of the model means to the address space.
//!
//! **Ids** are in the machines' namespace: a device has its uuid, everything with an id in the model
//! `<uuid>/<id>`, everything below `<parent's id>/<BrowseName>`. They do not depend on order or time, so
//! they stay the same over restarts and changes of the model.
//!
//! **Names** that machines give (devices, components, compositions, data items, channels) are in the
//! machines' namespace too. Names that the companion specification gives are in its own, and those of
//! part 8 (EngineeringUnits, EURange, EnumStrings) in that of OPC UA.
//!
//! **Beyond the companion specification**, which is of MTConnect 1.4:
//! - A component it has no type for gets one of our own, `<Element>Type`, derived from MTComponentType,
//!   which is abstract.
//! - DATA_SET and TABLE are variables of BaseDataVariableType with an array of KeyValuePair.
//! - Words that a vocabulary has got since stand in EnumStrings after the specification's own.
//! - Elements it does not know are objects and String properties; see [`element`].

mod builder;
mod component;
mod element;
mod item;
mod names;
mod node;
mod replace;
#[cfg(test)]
mod tests;
mod units;

use opcua_server::address_space::AddressSpace;
use opcua_types::NodeId;

use super::binding::Bindings;
use super::nodeset::Types;
use crate::device_model::DeviceModel;
use builder::Builder;
pub(super) use node::{Held, Kind, Link, Node};

/// All nodes of a device model.
#[derive(Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    bindings: Bindings,
    /// When the model was last changed: NodeVersion of what is new or changed.
    version: String,
}

impl Tree {
    /// The nodes that show `model`. `namespace` is the index of the machines' namespace.
    pub(super) fn of(model: &DeviceModel, types: &Types, namespace: u16) -> Self {
        let mut bindings = Bindings(vec![None; model.items().len()]);
        let mut builder = Builder::new(model, types, namespace);
        builder.devices(&mut bindings);
        Self { nodes: builder.nodes, bindings, version: model.model_change_time().to_string() }
    }

    /// Adds a node of another view of the same machines.
    pub(super) fn add(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// The ids of all nodes.
    pub(super) fn ids(&self) -> impl Iterator<Item = &NodeId> {
        self.nodes.iter().map(|node| &node.id)
    }

    /// Lets the variable of a data item be written. False when there is no such variable.
    pub(super) fn bind(&mut self, variable: &NodeId) -> bool {
        let node = self.nodes.iter_mut().find(|node| node.id == *variable);
        match node.map(|node| &mut node.kind) {
            Some(Kind::Variable { value: held @ (Held::Item | Held::Bound), .. }) => {
                *held = Held::Bound;
                true
            }
            _ => false,
        }
    }

    /// By data item: where its observations go, to be added to.
    pub(super) fn bindings_mut(&mut self) -> &mut Bindings {
        &mut self.bindings
    }

    /// By data item: where its observations go.
    pub(super) fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Changes the address space from what `before` shows to what this one shows; nodes that are in
    /// both and alike are left alone, with their values.
    ///
    /// Properties are parts of their nodes and are not among the changes; that one came or went is a
    /// change of its node's references.
    pub(super) fn replace(&self, before: &Self, address_space: &mut AddressSpace) -> Vec<Change> {
        replace::replace(before, self, address_space)
    }
}

/// A difference between two trees, for a GeneralModelChangeEvent (part 3, 9.32).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Which node.
    pub(super) affected: NodeId,
    /// Its type definition; null when it has none.
    pub(super) affected_type: NodeId,
    /// The verb of ModelChangeStructureDataType: 1 NodeAdded, 2 NodeDeleted, 4 ReferenceAdded, 8
    /// ReferenceDeleted, 16 DataTypeChanged; combined by or.
    pub(super) verb: u8,
}
