//! The machines as nodes.

use opcua_server::address_space::AddressSpace;

use super::binding::Bindings;
use super::nodeset::Types;
use crate::device_model::DeviceModel;

/// All nodes of a device model.
#[derive(Default)]
pub(super) struct Tree {
    bindings: Bindings,
}

impl Tree {
    /// The nodes that show `model`. `namespace` is the index of the machines' namespace.
    pub(super) fn of(_model: &DeviceModel, _types: &Types, _namespace: u16) -> Self {
        Self::default()
    }

    /// By data item: where its observations go.
    pub(super) fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Changes the address space from what `before` shows to what this one shows; nodes that are in
    /// both and alike are left alone, with their values.
    pub(super) fn replace(&self, _before: &Self, _address_space: &mut AddressSpace) -> Vec<Change> {
        Vec::new()
    }
}

/// A difference between two trees, for a GeneralModelChangeEvent (part 3, 9.32).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Which node.
    pub(super) affected: opcua_types::NodeId,
    /// Its type definition; null when it has none.
    pub(super) affected_type: opcua_types::NodeId,
    /// The verb of ModelChangeStructureDataType: 1 NodeAdded, 2 NodeDeleted, 4 ReferenceAdded, 8
    /// ReferenceDeleted, 16 DataTypeChanged; combined by or.
    pub(super) verb: u8,
}
