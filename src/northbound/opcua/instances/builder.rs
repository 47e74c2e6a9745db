//! Puts nodes together: their ids, their names, and what all of them have.

use opcua_types::{
    DataTypeId, Identifier, NodeId, ObjectTypeId, ReferenceTypeId, UAString, VariableTypeId, Variant,
    VariantScalarTypeId,
};
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::{SmolStr, format_smolstr};

use super::names::local;
use super::node::{Held, Kind, Link, Node};
use crate::device_model::{DeviceModel, Element};
use crate::northbound::opcua::nodeset::Types;

/// The nodes of a model so far.
pub(super) struct Builder<'m> {
    pub(super) model: &'m DeviceModel,
    types: &'m Types,
    /// The namespace of the companion specification: that of the names it gives.
    pub(super) mtconnect: u16,
    /// The namespace of the machines: that of node ids, and of the names the machines give.
    pub(super) machines: u16,
    pub(super) nodes: Vec<Node>,
    /// All ids that were given, so that none is given twice.
    taken: FxHashSet<NodeId>,
    /// Elements with an id, by it.
    pub(super) elements: FxHashMap<&'m str, &'m Element>,
    /// The nodes of devices, components, compositions and data items, by `id`.
    pub(super) ids: FxHashMap<&'m str, NodeId>,
    own_types: FxHashMap<SmolStr, NodeId>,
}

impl<'m> Builder<'m> {
    pub(super) fn new(model: &'m DeviceModel, types: &'m Types, machines: u16) -> Self {
        Self {
            model,
            types,
            mtconnect: types.namespace(),
            machines,
            nodes: Vec::new(),
            taken: FxHashSet::default(),
            elements: FxHashMap::default(),
            ids: FxHashMap::default(),
            own_types: FxHashMap::default(),
        }
    }

    /// The companion type of that name; null when the node set does not have it.
    pub(super) fn companion(&self, name: &str) -> NodeId {
        self.types.id(name).unwrap_or_else(NodeId::null)
    }

    /// The companion type of that name, when it is `ancestor` or derived from it.
    pub(super) fn companion_below(&self, name: &str, ancestor: &str) -> Option<NodeId> {
        self.types.id(name).filter(|_| self.types.is_a(name, ancestor))
    }

    pub(super) fn types(&self) -> &'m Types {
        self.types
    }

    /// A type that the companion specification does not have: `<name>Type` in the machines' namespace,
    /// made when it is first asked for (an abstract type such as MTComponentType can have no instances).
    pub(super) fn own_type(&mut self, name: &str, supertype: &str) -> NodeId {
        let name = format_smolstr!("{name}Type");
        if let Some(known) = self.own_types.get(&name) {
            return known.clone();
        }
        let id = self.fresh(format!("types/{name}"));
        let supertype = self.companion(supertype);
        self.nodes.push(Node {
            id: id.clone(),
            name: (self.machines, local(&name).into()),
            type_definition: NodeId::null(),
            kind: Kind::ObjectType,
            links: vec![inverse(ReferenceTypeId::HasSubtype, &supertype)],
        });
        self.own_types.insert(name, id.clone());
        id
    }

    /// An id of the machines' namespace that no other node has. Ids of the model hold what they like,
    /// so two texts may be the same; the later one then ends in apostrophes.
    pub(super) fn fresh(&mut self, mut text: String) -> NodeId {
        loop {
            let id = NodeId::new(self.machines, Identifier::String(UAString::from(text.as_str())));
            if self.taken.insert(id.clone()) {
                return id;
            }
            text.push('\'');
        }
    }

    /// The id of a child: the parent's, a slash, and the child's name.
    pub(super) fn below(&mut self, parent: &NodeId, name: &str) -> NodeId {
        let parent = match &parent.identifier {
            Identifier::String(text) => text.as_ref(),
            _ => "",
        };
        let mut text = String::with_capacity(parent.len() + 1 + name.len());
        text.push_str(parent);
        text.push('/');
        text.push_str(name);
        self.fresh(text)
    }

    /// An object of that name in the companion specification's namespace.
    pub(super) fn object(
        &mut self,
        parent: &NodeId,
        name: &str,
        reference: ReferenceTypeId,
        type_definition: NodeId,
    ) -> NodeId {
        let id = self.below(parent, name);
        self.nodes.push(Node {
            id: id.clone(),
            name: (self.mtconnect, name.into()),
            type_definition,
            kind: Kind::Object { notifies: false },
            links: vec![inverse(reference, parent)],
        });
        id
    }

    /// A folder, organised by its parent.
    pub(super) fn folder(&mut self, parent: &NodeId, name: &str) -> NodeId {
        let id = self.object(parent, name, ReferenceTypeId::Organizes, ObjectTypeId::FolderType.into());
        self.version(&id);
        id
    }

    /// A property of the companion specification's namespace.
    pub(super) fn property(
        &mut self,
        parent: &NodeId,
        name: &str,
        data_type: impl Into<NodeId>,
        value: Held,
    ) -> NodeId {
        self.property_in(self.mtconnect, parent, name, data_type, value)
    }

    /// A property of the namespace.
    pub(super) fn property_in(
        &mut self,
        namespace: u16,
        parent: &NodeId,
        name: &str,
        data_type: impl Into<NodeId>,
        value: Held,
    ) -> NodeId {
        let id = self.below(parent, name);
        let rank = if matches!(&value, Held::Fixed(Variant::Array(_))) { 1 } else { -1 };
        self.nodes.push(Node {
            id: id.clone(),
            name: (namespace, name.into()),
            type_definition: VariableTypeId::PropertyType.into(),
            kind: Kind::Variable { data_type: data_type.into(), rank, value },
            links: vec![inverse(ReferenceTypeId::HasProperty, parent)],
        });
        id
    }

    /// A String property; none when the text is empty.
    pub(super) fn text(&mut self, parent: &NodeId, name: &str, text: &str) {
        if !text.is_empty() {
            self.property(parent, name, DataTypeId::String, Held::Fixed(UAString::from(text).into()));
        }
    }

    /// A Float property, as the companion specification has it for what MTConnect has as a number.
    #[expect(clippy::cast_possible_truncation, reason = "the companion specification says Float")]
    pub(super) fn float(&mut self, parent: &NodeId, name: &str, number: f64) {
        self.property(parent, name, DataTypeId::Float, Held::Fixed(Variant::Float(number as f32)));
    }

    /// NodeVersion: says that changes of the node are announced (part 3, 9.32.1).
    pub(super) fn version(&mut self, parent: &NodeId) {
        self.property_in(0, parent, "NodeVersion", DataTypeId::String, Held::Version);
    }
}

/// A reference from `other` to the node.
pub(super) fn inverse(kind: impl Into<NodeId>, other: &NodeId) -> Link {
    Link { kind: kind.into(), other: other.clone(), is_forward: false }
}

/// A reference from the node to `other`.
pub(super) fn forward(kind: impl Into<NodeId>, other: NodeId) -> Link {
    Link { kind: kind.into(), other, is_forward: true }
}

/// Texts as an array of String.
pub(super) fn strings<'t>(texts: impl IntoIterator<Item = &'t str>) -> Variant {
    let texts: Vec<Variant> = texts.into_iter().map(|text| UAString::from(text).into()).collect();
    Variant::from((VariantScalarTypeId::String, texts))
}
