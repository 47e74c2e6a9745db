//! From one model to the next.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use opcua_nodes::{DefaultTypeTree, NodeType};
use opcua_server::address_space::AddressSpace;
use opcua_types::{BrowseDirection, NodeId, ObjectId, StatusCode, Variant};
use proptest::prelude::*;

use super::{MACHINES, SHOP, bare, check, get, id, insert, model, set, space};
use crate::northbound::opcua::instances::{Change, Tree};

#[test]
fn a_tree_that_is_alike_changes_nothing_and_leaves_values_alone() {
    let (mut space, types) = space();
    let first = Tree::of(&model(&[SHOP]), types, MACHINES);
    assert!(!insert(&first, &mut space).is_empty());
    set(&mut space, &id("mill-1/xpos"), 12.5);
    let second = Tree::of(&model(&[SHOP]), types, MACHINES);
    assert_eq!(second.replace(&first, &mut space), []);
    assert_eq!(get(&space, &id("mill-1/xpos")).value, Some(Variant::Double(12.5)));
}

#[test]
fn a_variable_without_an_observation_says_that_it_waits_for_one() {
    let (mut space, types) = space();
    insert(&Tree::of(&model(&[SHOP]), types, MACHINES), &mut space);
    for item in ["mill-1/xpos", "mill-1/counts", "mill-1/where"] {
        let value = get(&space, &id(item));
        assert_eq!(value.status, Some(StatusCode::BadWaitingForInitialData), "{item}");
        assert_eq!(value.value, Some(Variant::Empty));
        assert!(value.source_timestamp.is_some() && value.server_timestamp.is_some());
    }
    let Some(NodeType::Variable(variable)) = space.find(&id("mill-1/xpos")) else { panic!("no variable") };
    assert!(variable.historizing());
    assert_eq!(variable.access_level().bits(), 5);
    let Some(NodeType::Variable(property)) = space.find(&id("mill-1/xpos/Units")) else { panic!("none") };
    assert_eq!((property.access_level().bits(), property.historizing()), (1, false));
}

/// The verb with which each node is affected.
fn verbs(changes: &[Change]) -> HashMap<String, u8> {
    changes.iter().map(|change| (change.affected.identifier.to_string(), change.verb)).collect()
}

#[test]
fn a_change_of_the_model_touches_only_what_it_says() {
    let (mut space, types) = space();
    let before = model(&[SHOP]);
    let first = Tree::of(&before, types, MACHINES);
    insert(&first, &mut space);
    set(&mut space, &id("mill-1/xpos"), 12.5);
    set(&mut space, &id("mill-1/ohms"), 3.0);
    // `line` goes, `temp` comes, `l1` is no longer one of two, `p2` goes.
    let device = SHOP
        .replace(r#"<DataItem id="line" category="EVENT" type="LINE_LABEL"/>"#, "")
        .replace(r#"<Path id="p2" name="P2"/>"#, "")
        .replace(
            r#"<DataItem id="ph" category="SAMPLE" type="PH" units="PH"/>"#,
            r#"<DataItem id="temp" category="SAMPLE" type="TEMPERATURE" units="CELSIUS"/>"#,
        )
        .replace(
            r#"<DataItem id="l2" name="low_reserve" category="SAMPLE" type="FILL_LEVEL" units="PERCENT" compositionId="t2"/>"#,
            "",
        );
    let after = before.with_device_xml(Path::new("new"), &device).expect("a model").0;
    let second = Tree::of(&after, types, MACHINES);
    check(&second, &after);
    let changes = second.replace(&first, &mut space);
    let verbs = verbs(&changes);
    assert_eq!(verbs.get("s=mill-1/line"), Some(&2));
    assert_eq!(verbs.get("s=mill-1/p2"), Some(&2));
    assert_eq!(verbs.get("s=mill-1/temp"), Some(&1));
    assert_eq!(verbs.get("s=mill-1/p1"), Some(&8));
    assert_eq!(verbs.get("s=mill-1/low"), Some(&12));
    assert_eq!(verbs.get("s=mill-1/cnc/Components"), Some(&8));
    assert!(!verbs.contains_key("s=mill-1/xpos") && !verbs.contains_key("s=mill-1/temp/Units"));
    assert_eq!(get(&space, &id("mill-1/xpos")).value, Some(Variant::Double(12.5)));
    assert!(space.find(&id("mill-1/line")).is_none() && space.find(&id("mill-1/line/XmlId")).is_none());
    // Names change where they stand.
    let path = space.find(&id("mill-1/p1")).expect("there");
    assert_eq!(path.as_node().browse_name().name.as_ref(), "Path");
    assert_eq!(
        space.find(&id("mill-1/l1")).expect("there").as_node().browse_name().name.as_ref(),
        "TankFillLevel"
    );
    assert!(
        matches!(get(&space, &id("mill-1/low/NodeVersion")).value, Some(Variant::String(text)) if text.as_ref() == second.version)
    );
    assert!(
        matches!(get(&space, &id("mill-1/axes/NodeVersion")).value, Some(Variant::String(text)) if text.as_ref() == first.version)
    );
    same_as_made_afresh(&space, &second);
}

#[test]
fn an_item_that_becomes_another_kind_loses_its_value_and_keeps_its_references() {
    let (mut space, types) = space();
    let before = model(&[SHOP]);
    let first = Tree::of(&before, types, MACHINES);
    insert(&first, &mut space);
    set(&mut space, &id("mill-1/xpos"), 12.5);
    let device = SHOP.replace(
        r#"id="xpos" name="Xpos" category="SAMPLE""#,
        r#"id="xpos" name="Xpos" category="CONDITION""#,
    );
    let after = before.with_device_xml(Path::new("new"), &device).expect("a model").0;
    let second = Tree::of(&after, types, MACHINES);
    let changes = second.replace(&first, &mut space);
    assert!(matches!(space.find(&id("mill-1/xpos")), Some(NodeType::Object(_))));
    assert!(verbs(&changes).contains_key("s=mill-1/xpos"));
    same_as_made_afresh(&space, &second);
    let back = before.with_device_xml(Path::new("new"), SHOP).expect("a model").0;
    let third = Tree::of(&back, types, MACHINES);
    third.replace(&second, &mut space);
    assert_eq!(get(&space, &id("mill-1/xpos")).status, Some(StatusCode::BadWaitingForInitialData));
    same_as_made_afresh(&space, &third);
}

#[test]
fn a_model_without_machines_leaves_nothing_behind() {
    let (mut space, types) = space();
    let first = Tree::of(&model(&[SHOP]), types, MACHINES);
    insert(&first, &mut space);
    Tree::default().replace(&first, &mut space);
    for node in &first.nodes {
        assert!(space.find(&node.id).is_none(), "{} is still there", node.id);
    }
    let objects: NodeId = ObjectId::ObjectsFolder.into();
    assert!(references(&space, &objects).iter().all(|(_, other, _)| other.namespace != MACHINES));
}

/// References of a node in either direction: type, other end, whether forward.
fn references(space: &AddressSpace, node: &NodeId) -> HashSet<(String, NodeId, bool)> {
    let types = DefaultTypeTree::new();
    [(BrowseDirection::Forward, true), (BrowseDirection::Inverse, false)]
        .into_iter()
        .flat_map(|(direction, is_forward)| {
            let found = space.find_references(node, None::<(NodeId, bool)>, &types, direction);
            found
                .map(|reference| {
                    (reference.reference_type.to_string(), reference.target_node.clone(), is_forward)
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The address space shows the tree as it would when nothing had been there before.
fn same_as_made_afresh(space: &AddressSpace, tree: &Tree) {
    let mut fresh = bare();
    insert(tree, &mut fresh);
    for node in &tree.nodes {
        assert_eq!(references(space, &node.id), references(&fresh, &node.id), "{}", node.id);
        let (one, other) = (space.find(&node.id).expect("there"), fresh.find(&node.id).expect("there"));
        assert_eq!(one.as_node().browse_name(), other.as_node().browse_name());
        assert_eq!(one.node_class(), other.node_class(), "{}", node.id);
    }
}

fn xml_text() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "",
        "X",
        "a",
        "a/b",
        "Name",
        "Components",
        "Data",
        "d/XmlId",
        "Block",
        "'",
        "u",
        "u2",
        "1",
    ])
    .prop_map(str::to_owned)
}

/// A device in which everything may be called as anything else; ids differ, as the model sees to.
fn devices() -> impl Strategy<Value = String> {
    let kind = proptest::sample::select(vec!["Linear", "Rotary", "Path", "x:Path", "Gripper", "Systems"]);
    let item = (
        proptest::sample::select(vec!["POSITION", "EXECUTION", "x:MOOD", "MESSAGE", "PROGRAM"]),
        proptest::sample::select(vec!["EVENT", "CONDITION", "SAMPLE"]),
        xml_text(),
        xml_text(),
    );
    let component = (kind, xml_text(), proptest::collection::vec(item, 0..4));
    proptest::collection::vec((component, 0usize..4, xml_text()), 0..8).prop_map(|components| {
        let mut number = 0;
        let mut fresh = |prefix: &str| {
            number += 1;
            format!("{prefix}{number}")
        };
        let mut ids = HashSet::new();
        let mut pick = move |wanted: &str, fresh: &mut dyn FnMut(&str) -> String| {
            if !wanted.is_empty() && ids.insert(wanted.to_owned()) { wanted.to_owned() } else { fresh("n") }
        };
        let mut xml =
            String::from(r#"<Devices xmlns:x="urn:x"><Device id="root" name="M" uuid="u"><Components>"#);
        let mut open = Vec::new();
        for ((kind, name, items), depth, id) in components {
            while open.len() > depth {
                let kind: &str = open.pop().expect("not empty");
                xml.push_str(&format!("</Components></{kind}>"));
            }
            let id = pick(&id, &mut fresh);
            xml.push_str(&format!(r#"<{kind} id="{id}" name="{name}"><DataItems>"#));
            for (item_type, category, name, id) in items {
                let id = pick(&id, &mut fresh);
                xml.push_str(&format!(
                    r#"<DataItem id="{id}" name="{name}" type="{item_type}" category="{category}"/>"#
                ));
            }
            xml.push_str("</DataItems><Components>");
            open.push(kind);
        }
        while let Some(kind) = open.pop() {
            xml.push_str(&format!("</Components></{kind}>"));
        }
        xml.push_str("</Components></Device></Devices>");
        xml
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_things_are_called_ids_are_unique_and_changes_lead_where_they_should(
        one in devices(), other in devices(),
    ) {
        let (mut space, types) = space();
        let before = model(&[&one]);
        let first = Tree::of(&before, types, MACHINES);
        check(&first, &before);
        insert(&first, &mut space);
        let device = other.replace("<Devices xmlns:x=\"urn:x\">", "").replace("</Devices>", "");
        let device = device.replacen("<Device ", "<Device xmlns:x=\"urn:x\" ", 1);
        if let Ok((after, _)) = before.with_device_xml(Path::new("new"), &device) {
            let second = Tree::of(&after, types, MACHINES);
            check(&second, &after);
            second.replace(&first, &mut space);
            same_as_made_afresh(&space, &second);
        }
    }
}
