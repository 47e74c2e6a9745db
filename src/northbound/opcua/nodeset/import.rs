//! From a node set into the address space.

use opcua_nodes::{
    Base, DataType, EventNotifier, ImportedItem, ImportedReference, Method, NodeSetImport,
    NodeSetNamespaceMapper, NodeType, Object, ObjectType, ReferenceType, Variable as UaVariable,
    VariableType, View,
};
use opcua_server::address_space::AddressSpace;
use opcua_types::{
    DataTypeDefinition, DataValue, EnumDefinition, NamespaceMap, NodeClass, NodeId, StatusCode,
    StructureDefinition, StructureField, StructureType,
};
use rustc_hash::FxHashMap;

use super::file::{Class, Definition, File, Node, Variable, moved, moved_name, moved_value};

const HAS_SUBTYPE: u32 = 45;
const HAS_ENCODING: u32 = 38;
const STRUCTURE: u32 = 22;

/// Types derived from types: a bound on the way up, should a file go in a circle.
const MAX_BASES: usize = 64;

impl File {
    /// Puts all its nodes into the address space, and its namespaces into the map where they are not there
    /// yet. The node sets that it builds on come before it.
    pub fn import(&self, address_space: &mut AddressSpace, namespaces: &mut NamespaceMap) {
        for uri in &self.uris {
            let index = namespaces.add_namespace(uri);
            address_space.add_namespace(uri, index);
        }
        let import = Import::new(self, address_space, namespaces);
        address_space.import_node_set(&import, namespaces);
    }
}

/// A file on its way into the address space, with what its nodes do not say themselves.
struct Import<'f> {
    file: &'f File,
    /// By the id of a data type: its base.
    bases: FxHashMap<&'f NodeId, &'f NodeId>,
    /// By the id of a data type: its binary encoding.
    encodings: FxHashMap<&'f NodeId, &'f NodeId>,
    /// By the id of a data type: its own fields, and whether it has optional or subtyped ones.
    definitions: FxHashMap<&'f NodeId, &'f Definition>,
    /// Fields of structures of other node sets that data types of this one derive from; the ids of the
    /// structures are this file's, those in the fields the server's.
    foreign: FxHashMap<&'f NodeId, Vec<StructureField>>,
}

impl<'f> Import<'f> {
    fn new(file: &'f File, address_space: &AddressSpace, namespaces: &NamespaceMap) -> Self {
        let subtype = NodeId::new(0, HAS_SUBTYPE);
        let encoding = NodeId::new(0, HAS_ENCODING);
        let mut bases = FxHashMap::default();
        let mut encodings = FxHashMap::default();
        let mut definitions = FxHashMap::default();
        let binary: FxHashMap<&NodeId, ()> = file
            .nodes
            .iter()
            .filter(|node| node.name.namespace_index == 0 && node.name.name.as_ref() == "Default Binary")
            .map(|node| (&node.id, ()))
            .collect();
        for node in &file.nodes {
            let is_binary = binary.contains_key(&node.id);
            for reference in &node.references {
                let target = &reference.target_id;
                if is_binary && reference.type_id == encoding && !reference.is_forward {
                    encodings.insert(target, &node.id);
                }
                let Class::DataType { .. } = &node.class else { continue };
                if reference.type_id == encoding && reference.is_forward && binary.contains_key(target) {
                    encodings.insert(&node.id, target);
                } else if reference.type_id == subtype {
                    let (child, base) =
                        if reference.is_forward { (target, &node.id) } else { (&node.id, target) };
                    bases.insert(child, base);
                }
            }
            if let Class::DataType { definition: Some(definition), .. } = &node.class {
                definitions.insert(&node.id, definition);
            }
        }
        let index = |index: u16| file.index(index, namespaces);
        let mut foreign = FxHashMap::default();
        for base in bases.values().filter(|base| !definitions.contains_key(**base)) {
            if let Some(NodeType::DataType(data_type)) = address_space.find(&moved(base, &index))
                && let Some(DataTypeDefinition::Structure(definition)) = data_type.data_type_definition()
            {
                foreign.insert(*base, definition.fields.clone().unwrap_or_default());
            }
        }
        Self { file, bases, encodings, definitions, foreign }
    }

    fn item(&self, node: &Node, index: &impl Fn(u16) -> u16) -> ImportedItem {
        let base = |class| {
            let name = moved_name(&node.name, index);
            let (display_name, description) = (node.display_name.clone(), node.description.clone());
            Base::new_full(moved(&node.id, index), class, name, display_name, description, Some(0), Some(0))
        };
        let events = EventNotifier::from_bits_truncate;
        let made: NodeType = match &node.class {
            Class::Object { event_notifier } => {
                Object::new_full(base(NodeClass::Object), events(*event_notifier)).into()
            }
            Class::Variable(variable) => {
                let Variable { rank, dimensions, access_level, historizing, .. } = variable;
                UaVariable::new_full(
                    base(NodeClass::Variable),
                    moved(&variable.data_type, index),
                    *historizing,
                    *rank,
                    value(variable, index).unwrap_or_default(),
                    *access_level,
                    *access_level,
                    dimensions.clone(),
                    variable.minimum_sampling_interval,
                )
                .into()
            }
            Class::Method { executable } => {
                Method::new_full(base(NodeClass::Method), *executable, *executable).into()
            }
            Class::ObjectType { is_abstract } => {
                ObjectType::new_full(base(NodeClass::ObjectType), *is_abstract).into()
            }
            Class::VariableType { is_abstract, variable } => VariableType::new_full(
                base(NodeClass::VariableType),
                moved(&variable.data_type, index),
                *is_abstract,
                variable.rank,
                value(variable, index),
                variable.dimensions.clone(),
            )
            .into(),
            Class::ReferenceType { is_abstract, symmetric, inverse_name } => ReferenceType::new_full(
                base(NodeClass::ReferenceType),
                *symmetric,
                *is_abstract,
                inverse_name.clone(),
            )
            .into(),
            Class::DataType { is_abstract, definition } => {
                let definition = definition.as_ref();
                let definition = definition.and_then(|own| self.definition(node, own, *is_abstract, index));
                DataType::new_full(base(NodeClass::DataType), *is_abstract, definition).into()
            }
            Class::View { event_notifier, contains_no_loops } => {
                View::new_full(base(NodeClass::View), events(*event_notifier), *contains_no_loops).into()
            }
        };
        let reference = |reference: &ImportedReference| ImportedReference {
            target_id: moved(&reference.target_id, index),
            type_id: moved(&reference.type_id, index),
            is_forward: reference.is_forward,
        };
        // A namespace that a file names twice is one for the server, and with it two of its nodes; the
        // address space takes no reference of a node to itself.
        let id = made.as_node().node_id();
        let references = node.references.iter().map(reference).filter(|reference| reference.target_id != *id);
        let references = references.collect();
        ImportedItem { node: made, references }
    }

    fn definition(
        &self,
        node: &Node,
        own: &Definition,
        is_abstract: bool,
        index: &impl Fn(u16) -> u16,
    ) -> Option<DataTypeDefinition> {
        let (union, mut subtyped) = match own {
            Definition::Enum(fields) => {
                return Some(DataTypeDefinition::Enum(EnumDefinition { fields: Some(fields.clone()) }));
            }
            Definition::Structure { union, subtyped, .. } => (*union, *subtyped),
        };
        // From the type upwards; the fields of the base come first (part 3, 8.49).
        let mut fields: Vec<StructureField> = Vec::new();
        let mut id = &node.id;
        let structure = NodeId::new(0, STRUCTURE);
        let mut is_structure = false;
        for _ in 0..MAX_BASES {
            if let Some(Definition::Structure { fields: more, subtyped: with_subtypes, .. }) =
                self.definitions.get(id)
            {
                subtyped |= with_subtypes;
                let more = more.iter().map(|field| StructureField {
                    data_type: moved(&field.data_type, index),
                    ..field.clone()
                });
                fields.splice(0..0, more);
            } else if let Some(more) = self.foreign.get(id) {
                fields.splice(0..0, more.iter().cloned());
                is_structure = true;
            }
            is_structure |= *id == structure;
            match self.bases.get(id) {
                Some(base) => id = base,
                None => break,
            }
        }
        // Enumeration itself has an empty definition.
        if fields.is_empty() && !is_structure {
            return None;
        }
        let structure_type = match (union, subtyped) {
            (true, true) => StructureType::UnionWithSubtypedValues,
            (true, false) => StructureType::Union,
            (false, true) => StructureType::StructureWithSubtypedValues,
            (false, false) if fields.iter().any(|field| field.is_optional) => {
                StructureType::StructureWithOptionalFields
            }
            (false, false) => StructureType::Structure,
        };
        let encoding = self.encodings.get(&node.id).filter(|_| !is_abstract);
        Some(DataTypeDefinition::Structure(StructureDefinition {
            default_encoding_id: encoding.map_or_else(NodeId::null, |id| moved(id, index)),
            base_data_type: self.bases.get(&node.id).map_or_else(NodeId::null, |id| moved(id, index)),
            structure_type,
            fields: Some(fields),
        }))
    }
}

/// Values of a node set never change, so they have no time of their own.
fn value(variable: &Variable, index: &impl Fn(u16) -> u16) -> Option<DataValue> {
    let value = moved_value(variable.value.as_ref()?, index);
    Some(DataValue { value: Some(value), status: Some(StatusCode::Good), ..DataValue::default() })
}

impl File {
    /// The server's index for an index of this file. Whoever reads a file checks that its indices are ones
    /// it names, and whoever imports it has put these names into the map.
    fn index(&self, index: u16, namespaces: &NamespaceMap) -> u16 {
        self.uris.get(usize::from(index)).and_then(|uri| namespaces.get_index(uri)).unwrap_or(0)
    }
}

impl NodeSetImport for Import<'_> {
    fn register_namespaces(&self, namespaces: &mut NodeSetNamespaceMapper<'_>) {
        for (index, uri) in (0..).zip(&self.file.uris) {
            namespaces.add_namespace(uri, index);
        }
    }

    fn get_own_namespaces(&self) -> Vec<String> {
        let models = self.file.models.iter().map(|model| &model.uri);
        models.filter(|uri| self.file.uris.contains(uri)).map(ToString::to_string).collect()
    }

    fn load<'a>(
        &'a self,
        namespaces: &'a NodeSetNamespaceMapper<'_>,
    ) -> Box<dyn Iterator<Item = ImportedItem> + 'a> {
        let index = |index: u16| namespaces.get_index(index).unwrap_or(0);
        Box::new(self.file.nodes.iter().map(move |node| self.item(node, &index)))
    }
}
