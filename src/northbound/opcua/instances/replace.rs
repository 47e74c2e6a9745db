//! From one tree to the next in the address space: what is alike stays as it is, with its value.

use opcua_nodes::NodeType;
use opcua_server::address_space::AddressSpace;
use opcua_types::{DateTime, NodeId, ReferenceTypeId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::node::{Held, Kind, Link, Node};
use super::{Change, Tree};

const NODE_ADDED: u8 = 1;
const NODE_DELETED: u8 = 2;
const REFERENCE_ADDED: u8 = 4;
const REFERENCE_DELETED: u8 = 8;
const DATA_TYPE_CHANGED: u8 = 16;

/// See [`Tree::replace`].
pub(super) fn replace(before: &Tree, after: &Tree, space: &mut AddressSpace) -> Vec<Change> {
    let now = DateTime::now();
    let old: FxHashMap<&NodeId, &Node> = before.nodes.iter().map(|node| (&node.id, node)).collect();
    let new: FxHashSet<&NodeId> = after.nodes.iter().map(|node| &node.id).collect();
    let mut changes = Changes::default();
    for node in before.nodes.iter().filter(|node| !new.contains(&node.id)) {
        space.delete(&node.id, true);
        changes.node(node, NODE_DELETED);
        changes.neighbours(&node.links, REFERENCE_DELETED);
    }
    for node in &after.nodes {
        match old.get(&node.id) {
            None => {
                let made = node.build(&after.version, now);
                if !space.insert::<_, ReferenceTypeId>(made, None) {
                    continue;
                }
                if !node.type_definition.is_null() {
                    let kind = ReferenceTypeId::HasTypeDefinition;
                    space.insert_reference(&node.id, &node.type_definition, kind);
                }
                for link in &node.links {
                    insert(space, &node.id, link);
                }
                changes.node(node, NODE_ADDED);
                changes.neighbours(&node.links, REFERENCE_ADDED);
            }
            Some(was) if *was == node => {}
            Some(was) => update(was, node, after, space, now, &mut changes),
        }
    }
    // What is gone or new is announced as such, and not also as changed.
    let neighbours = std::mem::take(&mut changes.neighbours);
    if !neighbours.is_empty() && !before.nodes.is_empty() {
        for node in after.nodes.iter().filter(|node| old.contains_key(&node.id)) {
            if let Some(verb) = neighbours.get(&node.id) {
                changes.add(node, *verb);
            }
        }
    }
    stamp(after, &changes, &old, space, now);
    changes.list
}

/// Changes a node in its place, so that references from others stay.
fn update(
    was: &Node,
    node: &Node,
    after: &Tree,
    space: &mut AddressSpace,
    now: DateTime,
    changes: &mut Changes,
) {
    if (&was.name, &was.kind) != (&node.name, &node.kind) {
        let mut made = node.build(&after.version, now);
        if let Some(place) = space.find_mut(&node.id) {
            if node.keeps_value_of(was)
                && let (NodeType::Variable(old), NodeType::Variable(new)) = (&*place, &mut made)
            {
                new.set_data_value(old.value(
                    opcua_types::TimestampsToReturn::Both,
                    &opcua_types::NumericRange::None,
                    &opcua_types::DataEncoding::Binary,
                    0.0,
                ));
            }
            *place = made;
        }
        if data_type(&was.kind) != data_type(&node.kind) {
            changes.node(node, DATA_TYPE_CHANGED);
        }
    }
    let (had, has) = (all_links(was), all_links(node));
    let gone: Vec<Link> = had.iter().filter(|link| !has.contains(link)).cloned().collect();
    let come: Vec<Link> = has.iter().filter(|link| !had.contains(link)).cloned().collect();
    for link in &gone {
        let (source, target) = ends(&node.id, link);
        space.delete_reference(source, target, &link.kind);
    }
    for link in &come {
        insert(space, &node.id, link);
    }
    for (links, verb) in [(&gone, REFERENCE_DELETED), (&come, REFERENCE_ADDED)] {
        if !links.is_empty() {
            changes.node(node, verb);
            changes.neighbours(links, verb);
        }
    }
}

/// Gives NodeVersion its new text, where its node has changed.
fn stamp(
    after: &Tree,
    changes: &Changes,
    old: &FxHashMap<&NodeId, &Node>,
    space: &mut AddressSpace,
    now: DateTime,
) {
    let is_version = |node: &&Node| matches!(&node.kind, Kind::Variable { value: Held::Version, .. });
    for node in after.nodes.iter().filter(is_version).filter(|node| old.contains_key(&node.id)) {
        let parent = node.links.first().map(|link| &link.other);
        if parent.is_some_and(|parent| changes.places.contains_key(parent))
            && let Some(place) = space.find_mut(&node.id)
        {
            *place = node.build(&after.version, now);
        }
    }
}

fn data_type(kind: &Kind) -> Option<(&NodeId, i32)> {
    match kind {
        Kind::Variable { data_type, rank, .. } => Some((data_type, *rank)),
        Kind::Object { .. } | Kind::ObjectType | Kind::Method { .. } => None,
    }
}

/// The references, that to the type definition among them.
fn all_links(node: &Node) -> Vec<Link> {
    let type_definition = Link {
        kind: ReferenceTypeId::HasTypeDefinition.into(),
        other: node.type_definition.clone(),
        is_forward: true,
    };
    let links = std::iter::once(type_definition).chain(node.links.iter().cloned());
    links.filter(|link| !link.other.is_null()).collect()
}

fn ends<'l>(node: &'l NodeId, link: &'l Link) -> (&'l NodeId, &'l NodeId) {
    if link.is_forward { (node, &link.other) } else { (&link.other, node) }
}

fn insert(space: &mut AddressSpace, node: &NodeId, link: &Link) {
    let (source, target) = ends(node, link);
    // The library takes a reference to itself for a fault of the program; a type that the node set does
    // not have is null.
    if source != target && !link.other.is_null() && !link.kind.is_null() {
        space.insert_reference(source, target, link.kind.clone());
    }
}

/// Changes in the order in which they are found, one for a node.
#[derive(Default)]
struct Changes {
    list: Vec<Change>,
    places: FxHashMap<NodeId, usize>,
    /// Nodes at the other end of references that came or went.
    neighbours: FxHashMap<NodeId, u8>,
}

impl Changes {
    /// Properties are parts of their nodes: they come and go without a word of their own.
    fn node(&mut self, node: &Node, verb: u8) {
        if !node.is_property() {
            self.add(node, verb);
        }
    }

    fn add(&mut self, node: &Node, verb: u8) {
        if let Some(place) = self.places.get(&node.id) {
            // Who is new or gone has all its references with it.
            let change = &mut self.list[*place];
            if change.verb & (NODE_ADDED | NODE_DELETED) == 0 {
                change.verb |= verb;
            }
            return;
        }
        self.places.insert(node.id.clone(), self.list.len());
        self.list.push(Change {
            affected: node.id.clone(),
            affected_type: node.type_definition.clone(),
            verb,
        });
    }

    fn neighbours(&mut self, links: &[Link], verb: u8) {
        for link in links {
            *self.neighbours.entry(link.other.clone()).or_default() |= verb;
        }
    }
}
