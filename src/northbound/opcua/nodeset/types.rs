//! The companion types by name.

use std::sync::Arc;

use opcua_nodes::ImportedReference;
use opcua_server::address_space::AddressSpace;
use opcua_types::{NamespaceMap, NodeId, Variant};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::file::{Class, Definition, File, Node, UA, moved};

/// The namespace of the companion specification's types.
pub(in crate::northbound::opcua) const MTCONNECT: &str = "http://opcfoundation.org/UA/MTConnect/v2/";

/// Namespace 0 (OPC 10000, version 1.05.07).
pub(super) const UA_TABLE: &str = include_str!("ua.table");
/// OPC 30070-1, version 2.00.01.
pub(super) const MTCONNECT_TABLE: &str = include_str!("mtconnect.table");

/// The types of namespace 0 and of the companion specification, by BrowseName. Where both have a name, it
/// is that of the companion specification.
pub(in crate::northbound::opcua) struct Types {
    namespace: u16,
    types: FxHashMap<SmolStr, Type>,
}

#[derive(Default)]
struct Type {
    id: NodeId,
    /// The name of the type it derives from.
    base: Option<SmolStr>,
    /// The texts of its EnumStrings.
    words: Option<Arc<[SmolStr]>>,
    /// The names of an enumeration's values.
    members: Vec<(SmolStr, i64)>,
}

impl Types {
    /// Puts namespace 0 and the companion types into the address space. `namespace` is the index of
    /// [`MTCONNECT`].
    pub(in crate::northbound::opcua) fn load(address_space: &mut AddressSpace, namespace: u16) -> Self {
        let known = [(UA.to_owned(), 0), (MTCONNECT.to_owned(), namespace)];
        let mut namespaces = NamespaceMap::new_full(known.into_iter().collect());
        let mut types = FxHashMap::default();
        for table in [UA_TABLE, MTCONNECT_TABLE] {
            let file =
                File::from_table(table).expect("the tables are part of the program, and a test reads them");
            file.import(address_space, &mut namespaces);
            let index = |index: u16| if index == 0 { 0 } else { namespace };
            collect(&file, &index, &mut types);
        }
        Self { namespace, types }
    }

    /// The namespace index of the companion specification.
    pub(in crate::northbound::opcua) fn namespace(&self) -> u16 {
        self.namespace
    }

    /// The type of that BrowseName, such as `MTSampleType`, `LinearType`, `HasMTClassType`.
    pub(in crate::northbound::opcua) fn id(&self, name: &str) -> Option<NodeId> {
        self.types.get(name).map(|found| found.id.clone())
    }

    /// Whether `child` is `ancestor` or one of its subtypes; both are BrowseNames.
    pub(in crate::northbound::opcua) fn is_a(&self, child: &str, ancestor: &str) -> bool {
        let mut at = self.types.get_key_value(child);
        // Types in a circle end the way.
        for _ in 0..64 {
            match at {
                Some((name, _)) if name == ancestor => return true,
                Some((_, Type { base: Some(base), .. })) => at = self.types.get_key_value(base),
                _ => return false,
            }
        }
        false
    }

    /// EnumStrings of a class type or an enumeration, such as `ExecutionClassType`, in the order of the
    /// companion specification: the value is the position.
    pub(in crate::northbound::opcua) fn words(&self, type_name: &str) -> Option<Arc<[SmolStr]>> {
        self.types.get(type_name)?.words.clone()
    }

    /// The value of a name of an enumeration, such as `AVERAGE` of `MTStatisticType`.
    pub(in crate::northbound::opcua) fn member(&self, data_type: &str, name: &str) -> Option<i32> {
        let members = &self.types.get(data_type)?.members;
        let (_, value) = members.iter().find(|(known, _)| known == name)?;
        i32::try_from(*value).ok()
    }
}

fn is_type(node: &Node) -> bool {
    matches!(
        node.class,
        Class::ObjectType { .. }
            | Class::VariableType { .. }
            | Class::ReferenceType { .. }
            | Class::DataType { .. }
    )
}

/// Adds the types of a file; a name that is there already is replaced.
fn collect(file: &File, index: &impl Fn(u16) -> u16, types: &mut FxHashMap<SmolStr, Type>) {
    let name_of = |node: &Node| SmolStr::new(node.name.name.as_ref());
    // Of types of this file, and of the ones that were there before.
    let mut names: FxHashMap<NodeId, SmolStr> =
        types.iter().map(|(name, found)| (found.id.clone(), name.clone())).collect();
    let own: FxHashMap<&NodeId, &Node> = file.nodes.iter().map(|node| (&node.id, node)).collect();
    for node in file.nodes.iter().filter(|node| is_type(node)) {
        names.insert(moved(&node.id, index), name_of(node));
    }
    let mut children: FxHashMap<&NodeId, Vec<&Node>> = FxHashMap::default();
    for node in &file.nodes {
        for ImportedReference { target_id, type_id, is_forward } in &node.references {
            if [46, 47].map(|id| NodeId::new(0, id)).contains(type_id) {
                if !is_forward {
                    children.entry(target_id).or_default().push(node);
                } else if let Some(child) = own.get(target_id) {
                    children.entry(&node.id).or_default().push(child);
                }
            }
        }
    }
    for node in file.nodes.iter().filter(|node| is_type(node)) {
        let subtype = |reference: &&ImportedReference| reference.type_id == NodeId::new(0, 45);
        let base = node.references.iter().filter(subtype).find(|reference| !reference.is_forward);
        let below = children.get(&node.id).map(Vec::as_slice).unwrap_or_default();
        let strings = below.iter().find(|child| child.name.name.as_ref() == "EnumStrings");
        let found = Type {
            id: moved(&node.id, index),
            base: base.and_then(|base| names.get(&moved(&base.target_id, index)).cloned()),
            words: strings.and_then(|strings| words(strings)),
            members: match &node.class {
                Class::DataType { definition: Some(Definition::Enum(fields)), .. } => {
                    fields.iter().map(|field| (SmolStr::new(field.name.as_ref()), field.value)).collect()
                }
                _ => Vec::new(),
            },
        };
        types.insert(name_of(node), found);
    }
}

fn words(strings: &Node) -> Option<Arc<[SmolStr]>> {
    let Class::Variable(variable) = &strings.class else { return None };
    let Some(Variant::Array(array)) = &variable.value else { return None };
    let word = |value: &Variant| match value {
        Variant::LocalizedText(text) => Some(SmolStr::new(text.text.as_ref())),
        _ => None,
    };
    array.values.iter().map(word).collect()
}
