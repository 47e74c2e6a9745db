//! What a node set holds, whichever form it was read from.

use opcua_nodes::ImportedReference;
use opcua_types::{
    Argument, EnumField, ExpandedNodeId, ExtensionObject, LocalizedText, NodeId, QualifiedName,
    StructureField, Variant,
};
use smol_str::SmolStr;

/// The namespace of the standard itself, always index 0.
pub(super) const UA: &str = "http://opcfoundation.org/UA/";

/// A node set. Namespace indices in it are its own: they index [`uris`](Self::uris).
#[derive(Debug, Default)]
pub struct File {
    /// By the index within this file; the first is [`UA`].
    pub(super) uris: Vec<SmolStr>,
    /// The models it defines; usually one.
    pub(super) models: Vec<Model>,
    pub(super) nodes: Vec<Node>,
    /// Values that were left out because their type is not known here.
    pub(super) omitted: Vec<Omitted>,
}

/// A model: a published set of nodes in a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// The namespace.
    pub uri: SmolStr,
    /// Such as `1.05.07`; empty when not said.
    pub version: SmolStr,
    /// When it was published, as written, such as `2026-05-01T00:00:00Z`; empty when not said.
    pub published: SmolStr,
    /// The models it builds on.
    pub required: Vec<Required>,
}

/// A model that another one builds on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Required {
    /// Its namespace.
    pub uri: SmolStr,
    /// The version it was written for; empty when not said.
    pub version: SmolStr,
    /// The date of that version; empty when not said.
    pub published: SmolStr,
}

/// A value that was left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Omitted {
    /// The line of the file.
    pub line: usize,
    /// The node, with the file's namespace index.
    pub node: NodeId,
    /// What the value was.
    pub what: String,
}

/// A node with its references.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) name: QualifiedName,
    pub(super) display_name: LocalizedText,
    pub(super) description: Option<LocalizedText>,
    pub(super) references: Vec<ImportedReference>,
    pub(super) class: Class,
}

/// The NodeClass with the attributes that it alone has (part 3, 5).
#[derive(Debug)]
pub(super) enum Class {
    Object { event_notifier: u8 },
    Variable(Variable),
    Method { executable: bool },
    ObjectType { is_abstract: bool },
    VariableType { is_abstract: bool, variable: Variable },
    ReferenceType { is_abstract: bool, symmetric: bool, inverse_name: Option<LocalizedText> },
    DataType { is_abstract: bool, definition: Option<Definition> },
    View { event_notifier: u8, contains_no_loops: bool },
}

/// What variables and variable types have; the types only the first four.
#[derive(Debug, PartialEq)]
pub(super) struct Variable {
    pub(super) data_type: NodeId,
    pub(super) rank: i32,
    pub(super) dimensions: Option<Vec<u32>>,
    pub(super) value: Option<Variant>,
    pub(super) access_level: u8,
    pub(super) historizing: bool,
    /// Milliseconds.
    pub(super) minimum_sampling_interval: Option<f64>,
}

impl Default for Variable {
    /// The defaults of UANodeSet.xsd.
    fn default() -> Self {
        Self {
            data_type: NodeId::new(0, 24),
            rank: -1,
            dimensions: None,
            value: None,
            access_level: 1,
            historizing: false,
            minimum_sampling_interval: None,
        }
    }
}

/// A DataTypeDefinition without what follows from elsewhere: inherited fields, base, encoding.
#[derive(Debug, PartialEq)]
pub(super) enum Definition {
    Structure {
        union: bool,
        /// Fields marked optional are those that allow subtypes (StructureType 3 and 4).
        subtyped: bool,
        fields: Vec<StructureField>,
    },
    /// Also for option sets: the values are numbers of bits there (part 3, 8.51).
    Enum(Vec<EnumField>),
}

impl File {
    /// The namespace of its first model.
    pub fn uri(&self) -> &str {
        self.models.first().map_or("", |model| model.uri.as_str())
    }

    /// The models it defines.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// What its models build on, apart from each other.
    pub fn required(&self) -> impl Iterator<Item = &Required> {
        let own = |required: &&Required| self.models.iter().all(|model| model.uri != required.uri);
        self.models.iter().flat_map(|model| &model.required).filter(own)
    }

    /// All namespaces it uses, by the index within the file; the first is that of the standard itself.
    pub fn uris(&self) -> &[SmolStr] {
        &self.uris
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Values that were left out because their type is not known to the reader.
    pub fn omitted(&self) -> &[Omitted] {
        &self.omitted
    }
}

/// The same id with the namespace index that `index` gives.
pub(super) fn moved(id: &NodeId, index: &impl Fn(u16) -> u16) -> NodeId {
    NodeId { namespace: index(id.namespace), identifier: id.identifier.clone() }
}

/// The same name with the namespace index that `index` gives.
pub(super) fn moved_name(name: &QualifiedName, index: &impl Fn(u16) -> u16) -> QualifiedName {
    QualifiedName { namespace_index: index(name.namespace_index), name: name.name.clone() }
}

/// The same value, with the namespace indices in it that `index` gives.
pub(super) fn moved_value(value: &Variant, index: &impl Fn(u16) -> u16) -> Variant {
    match value {
        Variant::NodeId(id) => Variant::from(moved(id, index)),
        Variant::ExpandedNodeId(id) => Variant::from(ExpandedNodeId {
            node_id: moved(&id.node_id, index),
            namespace_uri: id.namespace_uri.clone(),
            server_index: id.server_index,
        }),
        Variant::QualifiedName(name) => Variant::from(moved_name(name, index)),
        Variant::ExtensionObject(object) => match object.inner_as::<Argument>() {
            Some(argument) => {
                let data_type = moved(&argument.data_type, index);
                Variant::from(ExtensionObject::from_message(Argument { data_type, ..argument.clone() }))
            }
            None => value.clone(),
        },
        Variant::Array(array) => {
            let mut array = array.clone();
            for value in &mut array.values {
                *value = moved_value(value, index);
            }
            Variant::Array(array)
        }
        _ => value.clone(),
    }
}
