//! What the nodes of a model are, what changes do to them, and whether they are what their types declare.

mod conformance;
mod mapping;
mod replacing;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use opcua_nodes::NodeType;
use opcua_server::address_space::AddressSpace;
use opcua_types::{DataEncoding, DataValue, NodeId, NumericRange, ObjectId, TimestampsToReturn, Variant};

use super::node::{Held, Kind, Node};
use super::{Change, Tree};
use crate::device_model::{AgentAdapter, AgentInfo, DeviceModel, DuplicateIds, Options};
use crate::northbound::opcua::binding::Binding;
use crate::northbound::opcua::nodeset::Types;

/// The companion specification's namespace, and the machines'.
const MTCONNECT: u16 = 2;
const MACHINES: u16 = 3;

/// A machine with something of everything.
const SHOP: &str = include_str!("shop.xml");

fn model(texts: &[&str]) -> DeviceModel {
    let sources: Vec<(PathBuf, String)> = texts
        .iter()
        .enumerate()
        .map(|(number, xml)| (PathBuf::from(format!("{number}.xml")), (*xml).to_owned()))
        .collect();
    let options = Options { duplicate_ids: DuplicateIds::Prefix, ..Options::default() };
    let agent = AgentInfo {
        uuid: "gateway-1".into(),
        adapters: vec![AgentAdapter { name: "mill 1".into(), uri: "shdr://10.0.0.1:7878".into() }],
        ..AgentInfo::default()
    };
    DeviceModel::from_xml(&sources, &options, Some(agent)).unwrap_or_else(|findings| panic!("{findings:?}"))
}

/// An address space with nothing but namespaces, and the types.
fn space() -> (AddressSpace, &'static Types) {
    static TYPES: OnceLock<Types> = OnceLock::new();
    (bare(), TYPES.get_or_init(|| Types::load(&mut bare(), MTCONNECT)))
}

fn bare() -> AddressSpace {
    let mut space = AddressSpace::new();
    for (index, uri) in
        ["http://opcfoundation.org/UA/", "urn:a", "urn:mtconnect", "urn:machines"].iter().enumerate()
    {
        space.add_namespace(uri, u16::try_from(index).expect("few"));
    }
    space
}

fn tree(texts: &[&str]) -> Tree {
    let (_, types) = space();
    Tree::of(&model(texts), types, MACHINES)
}

fn id(text: &str) -> NodeId {
    NodeId::new(MACHINES, text)
}

fn node<'t>(tree: &'t Tree, text: &str) -> &'t Node {
    let found = tree.nodes.iter().find(|node| node.id == id(text));
    found.unwrap_or_else(|| panic!("{text} is not there"))
}

fn name<'t>(tree: &'t Tree, text: &str) -> &'t str {
    &node(tree, text).name.1
}

/// The fixed value of a property.
fn value(tree: &Tree, text: &str) -> Variant {
    match &node(tree, text).kind {
        Kind::Variable { value: Held::Fixed(value), .. } => value.clone(),
        other => panic!("{text} is {other:?}"),
    }
}

fn text(tree: &Tree, of: &str) -> String {
    match value(tree, of) {
        Variant::String(text) => text.to_string(),
        other => panic!("{of} is {other:?}"),
    }
}

fn has(tree: &Tree, text: &str) -> bool {
    tree.nodes.iter().any(|node| node.id == id(text))
}

fn links(tree: &Tree, source: &str, target: &NodeId) -> Vec<(NodeId, bool)> {
    let links = node(tree, source).links.iter().filter(|link| link.other == *target);
    links.map(|link| (link.kind.clone(), link.is_forward)).collect()
}

fn binding<'t>(tree: &'t Tree, model: &DeviceModel, item: &str) -> &'t Binding {
    let item = model.find_item(item).unwrap_or_else(|| panic!("{item} is there"));
    tree.bindings().get(item.index).unwrap_or_else(|| panic!("{} has a binding", item.id))
}

fn insert(tree: &Tree, space: &mut AddressSpace) -> Vec<Change> {
    tree.replace(&Tree::default(), space)
}

fn set(space: &mut AddressSpace, node: &NodeId, number: f64) {
    match space.find_mut(node) {
        Some(NodeType::Variable(variable)) => variable.set_data_value(DataValue::new_now(number)),
        other => panic!("{node} is no variable: {}", other.is_some()),
    }
}

fn get(space: &AddressSpace, node: &NodeId) -> DataValue {
    match space.find(node) {
        Some(NodeType::Variable(variable)) => {
            variable.value(TimestampsToReturn::Both, &NumericRange::None, &DataEncoding::Binary, 0.0)
        }
        other => panic!("{node} is no variable: {}", other.is_some()),
    }
}

/// What holds of every tree: ids are unique, every parent is there, names tell siblings apart, every
/// item that is shown has a binding to a node that is there.
fn check(tree: &Tree, model: &DeviceModel) {
    let outside: [NodeId; 2] = [ObjectId::ObjectsFolder.into(), ObjectId::Server.into()];
    let ids: HashSet<&NodeId> = tree.nodes.iter().map(|node| &node.id).collect();
    assert_eq!(ids.len(), tree.nodes.len(), "two nodes have one id");
    let mut siblings: HashSet<(&NodeId, &(u16, smol_str::SmolStr))> = HashSet::new();
    for node in &tree.nodes {
        assert_eq!(node.id.namespace, MACHINES);
        for link in &node.links {
            let is_there = link.other.namespace != MACHINES || ids.contains(&link.other);
            assert!(is_there, "{} refers to {}, which is not there", node.id, link.other);
            assert!(node.id != link.other, "{} refers to itself", node.id);
        }
        if node.kind == Kind::ObjectType {
            continue;
        }
        let parent = node.links.first().filter(|link| !link.is_forward).map(|link| &link.other);
        let parent = parent.unwrap_or_else(|| panic!("{} has no parent", node.id));
        assert!(ids.contains(parent) || outside.contains(parent), "{} hangs in the air", node.id);
        assert!(siblings.insert((parent, &node.name)), "{parent} has two children {:?}", node.name);
    }
    for item in model.items() {
        match tree.bindings().get(item.index) {
            None => assert!(item.retired, "{} is not shown", item.id),
            Some(binding) => {
                assert!(!item.retired && ids.contains(&binding.node) && ids.contains(&binding.device));
                assert_eq!(binding.notifiers.last(), Some(&binding.device));
                assert_eq!(binding.data_item_id, item.id);
                assert!(binding.notifiers.iter().all(|notifier| ids.contains(notifier)));
                for node in binding.duration.iter().chain(&binding.reset_reason) {
                    assert!(ids.contains(node));
                }
            }
        }
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
