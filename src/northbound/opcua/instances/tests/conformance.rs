//! Instances against the declarations of their types in the node set.

use std::collections::HashMap;
use std::path::Path;

use opcua_nodes::{DefaultTypeTree, NodeType, TypeTree};
use opcua_server::address_space::AddressSpace;
use opcua_types::{BrowseDirection, DataTypeId, NamespaceMap, NodeId, ObjectId, ReferenceTypeId, Variant};

use super::{MACHINES, MTCONNECT, SHOP, bare, insert, model, read};
use crate::northbound::opcua::instances::Tree;
use crate::northbound::opcua::instances::node::{Held, Kind, Node};
use crate::northbound::opcua::nodeset::Types;

/// What a type says of its instances' children, the supertypes' words included: name, whether it must
/// be there, reference, class, data type, rank.
fn declarations<'s>(
    space: &'s AddressSpace,
    types: &DefaultTypeTree,
    of: &NodeId,
) -> Vec<(&'s NodeType, NodeId, bool)> {
    let mut at = Some(of.clone());
    let mut all = Vec::new();
    while let Some(this) = at {
        for child in space.find_references(
            &this,
            Some((ReferenceTypeId::HierarchicalReferences, true)),
            types,
            BrowseDirection::Forward,
        ) {
            if *child.reference_type == ReferenceTypeId::HasSubtype {
                continue;
            }
            let rules = space.find_references(
                child.target_node,
                Some((ReferenceTypeId::HasModellingRule, false)),
                types,
                BrowseDirection::Forward,
            );
            let is_mandatory =
                rules.into_iter().any(|rule| *rule.target_node == ObjectId::ModellingRule_Mandatory);
            let node = space.find(child.target_node).expect("the node set is whole");
            all.push((node, child.reference_type.clone(), is_mandatory));
        }
        at = space
            .find_references(
                &this,
                Some((ReferenceTypeId::HasSubtype, false)),
                types,
                BrowseDirection::Inverse,
            )
            .next()
            .map(|reference| reference.target_node.clone());
    }
    all
}

#[test]
fn instances_are_what_their_types_declare() {
    let mut space = bare();
    let types = Types::load(&mut space, MTCONNECT);
    let simulated = ["mill", "lathe", "cell"].map(|machine| {
        let path = format!("{}/adapters/simulator/devices/{machine}.xml", env!("CARGO_MANIFEST_DIR"));
        read(Path::new(&path)).expect("there")
    });
    let mut texts = vec![SHOP];
    texts.extend(simulated.iter().map(String::as_str));
    let tree = Tree::of(&model(&texts), &types, MACHINES);
    insert(&tree, &mut space);
    let mut type_tree = DefaultTypeTree::new();
    space.load_into_type_tree(&mut type_tree);
    let is_a = |child: &NodeId, ancestor: &NodeId| {
        *ancestor == DataTypeId::BaseDataType || type_tree.is_subtype_of(child, ancestor)
    };
    let form = |node: &NodeType| match node {
        NodeType::Variable(variable) => Some((variable.data_type(), variable.value_rank())),
        NodeType::VariableType(variable) => Some((variable.data_type().clone(), variable.value_rank())),
        _ => None,
    };
    let mut checked = 0;
    for node in tree.nodes.iter().filter(|node| node.kind != Kind::ObjectType) {
        let type_node = space.find(&node.type_definition);
        let type_node = type_node.unwrap_or_else(|| panic!("{} has no type", node.id));
        let is_abstract = match type_node {
            NodeType::ObjectType(object) => object.is_abstract(),
            NodeType::VariableType(variable) => variable.is_abstract(),
            _ => panic!("{} is of a type that is none", node.id),
        };
        assert!(!is_abstract, "{} is of the abstract type {}", node.id, node.type_definition);
        let own = space.find(&node.id).expect("there");
        if let (Some((data_type, rank)), Some((allowed, allowed_rank))) = (form(own), form(type_node)) {
            assert!(is_a(&data_type, &allowed), "{}: {data_type} is no {allowed}", node.id);
            assert!(allowed_rank == rank || allowed_rank == -2, "{}: rank {rank}", node.id);
        }
        let children: HashMap<_, _> = space
            .find_references(
                &node.id,
                Some((ReferenceTypeId::HierarchicalReferences, true)),
                &type_tree,
                BrowseDirection::Forward,
            )
            .map(|reference| (reference.target_node, reference.reference_type))
            .map(|(target, reference)| (space.find(target).expect("there"), reference))
            .map(|(child, reference)| (child.as_node().browse_name().clone(), (child, reference.clone())))
            .collect();
        for (declared, reference, is_mandatory) in declarations(&space, &type_tree, &node.type_definition) {
            let name = declared.as_node().browse_name();
            let Some((child, used)) = children.get(name) else {
                assert!(!is_mandatory, "{} lacks its {name}", node.id);
                continue;
            };
            checked += 1;
            assert_eq!(child.node_class(), declared.node_class(), "{} {name}", node.id);
            assert_eq!(*used, reference, "{} {name}", node.id);
            if let (Some((data_type, rank)), Some((allowed, allowed_rank))) = (form(child), form(declared)) {
                assert!(is_a(&data_type, &allowed), "{} {name}: {data_type} is no {allowed}", node.id);
                assert!(allowed_rank == rank || allowed_rank == -2, "{} {name}: rank {rank}", node.id);
            }
        }
    }
    assert!(checked > 500, "only {checked} children were looked at");
    for node in tree.nodes.iter() {
        if let (Kind::Variable { value: Held::Fixed(value), data_type, .. }, Some(own)) =
            (&node.kind, value_type(node))
        {
            // On the wire an enumeration is an Int32, and a UtcTime a DateTime.
            let is_enumeration = own == DataTypeId::Int32 && is_a(data_type, &DataTypeId::Enumeration.into());
            let fits = is_enumeration || is_a(&own, data_type) || is_a(data_type, &own);
            assert!(fits, "{}: {value:?} is no {data_type}", node.id);
        }
    }
}

/// The data type of a fixed value.
fn value_type(node: &Node) -> Option<NodeId> {
    match &node.kind {
        Kind::Variable { value: Held::Fixed(Variant::ExtensionObject(object)), .. } => {
            object.data_type().and_then(|id| id.try_resolve(&NamespaceMap::new()).map(|id| id.into_owned()))
        }
        Kind::Variable { value: Held::Fixed(value), .. } => value.data_type().map(|id| id.node_id),
        _ => None,
    }
}
