//! The mapping, rule by rule.

use std::collections::HashSet;
use std::path::Path;

use opcua_types::{DataTypeId, DateTime, NodeId, ObjectId, ReferenceTypeId, Variant};

use super::{
    MACHINES, MTCONNECT, SHOP, binding, check, has, id, links, model, name, node, read, space, text, tree,
    value,
};
use crate::northbound::opcua::binding::Shape;
use crate::northbound::opcua::instances::Tree;
use crate::northbound::opcua::instances::builder::strings;
use crate::northbound::opcua::instances::node::{Held, Kind};

#[test]
#[expect(clippy::print_stderr, reason = "whoever reads the test's output shall know what was not looked at")]
fn every_node_has_an_id_of_its_own_and_a_parent_in_every_model_at_hand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = vec![SHOP.to_owned(), read(&root.join("examples/Devices.xml")).expect("there")];
    for machine in ["mill", "lathe", "cell"] {
        texts.push(read(&root.join(format!("adapters/simulator/devices/{machine}.xml"))).expect("there"));
    }
    match read(&root.join("../shared/testbed/Devices.xml")) {
        Some(text) => texts.push(text),
        None => eprintln!("skipped: ../shared/testbed/Devices.xml is not there"),
    }
    for text in &texts {
        let model = model(&[text]);
        let (_, types) = space();
        check(&Tree::of(&model, types, MACHINES), &model);
    }
}

#[test]
fn ids_are_made_of_uuid_and_id_and_of_nothing_that_changes() {
    let tree = tree(&[SHOP]);
    for known in [
        "mill-1",
        "mill-1/Components",
        "mill-1/x",
        "mill-1/xpos",
        "mill-1/xpos/Constraints/Maximum",
        "mill-1/motor",
        "mill-1/c/Compositions",
        "mill-1/Description/Manufacturer",
        "gateway-1",
    ] {
        assert!(has(&tree, known), "{known}");
    }
    assert!(!has(&tree, "mill-1/axes/Compositions"), "folders are there for what they hold");
}

#[test]
fn components_are_called_by_their_element_and_axes_by_their_name_too() {
    let tree = tree(&[SHOP]);
    for (node, expected) in [
        ("mill-1", "Shop"),
        ("mill-1/axes", "Axes"),
        ("mill-1/x", "Linear[X]"),
        ("mill-1/c", "Rotary[C]"),
        ("mill-1/p1", "Path[P1]"),
        ("mill-1/p2", "Path[P2]"),
        ("mill-1/low", "Coolant"),
        ("mill-1/r1", "Robot"),
        ("mill-1/motor", "Motor"),
        ("mill-1/t1", "Tank[main]"),
        ("gateway-1", "Agent"),
    ] {
        assert_eq!(name(&tree, node), expected);
        assert_eq!(self::node(&tree, node).name.0, MACHINES, "{node}");
    }
    assert_eq!(self::node(&tree, "mill-1/Components").name, (MTCONNECT, "Components".into()));
}

#[test]
fn data_items_are_called_by_what_they_are() {
    let tree = tree(&[SHOP]);
    for (node, expected) in [
        ("mill-1/xpos", "ActualPosition"),
        ("mill-1/xtravel", "PositionCondition"),
        ("mill-1/amps", "AverageMotorAmperageTimeSeries"),
        ("mill-1/overload", "MotorAmperageCondition"),
        ("mill-1/l1", "TankFillLevel[low_main]"),
        ("mill-1/l2", "TankFillLevel[low_reserve]"),
        ("mill-1/ph", "PH"),
        ("mill-1/counts", "AssetCountDataSet"),
        ("mill-1/offsets", "WorkOffsetsTable"),
        ("mill-1/own", "GoodMood"),
    ] {
        assert_eq!(name(&tree, node), expected);
    }
}

#[test]
fn attributes_and_what_stands_within_a_data_item_are_its_properties() {
    let tree = tree(&[SHOP]);
    let of = |property: &str| value(&tree, &format!("mill-1/xpos/{property}"));
    for (property, expected) in [
        ("Name", "Xpos"),
        ("XmlId", "xpos"),
        ("MTTypeName", "Position"),
        ("MTSubTypeName", "Actual"),
        ("Units", "MILLIMETER"),
        ("NativeUnits", "INCH"),
        ("SourceData", "X|pos"),
    ] {
        assert_eq!(text(&tree, &format!("mill-1/xpos/{property}")), expected);
    }
    assert_eq!(of("Category"), Variant::Int32(2));
    assert_eq!(of("CoordinateSystem"), Variant::Int32(0));
    assert_eq!(of("NativeScale"), Variant::Double(10.0));
    assert_eq!(of("SignificantDigits"), Variant::Int16(6));
    assert_eq!(of("Constraints/Maximum"), Variant::Float(500.0));
    assert_eq!(of("MinimumDeltaFilter"), Variant::Float(0.01));
    assert_eq!(of("PeriodFilter"), Variant::Float(10.0));
    assert!(has(&tree, "mill-1/xpos/EURange") && has(&tree, "mill-1/xpos/EngineeringUnits"));
    assert!(!has(&tree, "mill-1/ohms/EURange"), "a range needs both ends");
    assert_eq!(value(&tree, "mill-1/amps/SampleRate"), Variant::Double(100.0));
    assert_eq!(value(&tree, "mill-1/amps/Representation"), Variant::Int32(1));
    assert_eq!(value(&tree, "mill-1/amps/Statistic"), Variant::Int32(0));
    assert_eq!(value(&tree, "mill-1/amps/ResetTrigger"), Variant::Int32(0));
    assert_eq!(text(&tree, "mill-1/counts/Representation"), "DATA_SET");
    assert_eq!(value(&tree, "mill-1/estop/Discrete"), Variant::Boolean(true));
    assert_eq!(value(&tree, "mill-1/parts/InitialValue"), Variant::Double(1.0));
    assert_eq!(text(&tree, "mill-1/own/MTTypeName"), "x:Mood");
    let values = value(&tree, "mill-1/mode/Constraints/Values");
    assert_eq!(values, strings(["SPINDLE"]));
}

#[test]
fn what_describes_a_machine_is_kept_whole() {
    let tree = tree(&[SHOP]);
    for (property, expected) in [
        ("mill-1/Iso841Class", "6"),
        ("mill-1/Hall", "7"),
        ("mill-1/Description/Model", "M1"),
        ("mill-1/Description/Data", "A mill."),
        ("mill-1/Configuration/CoordinateSystems/CoordinateSystem[base]/ParentIdRef", "world"),
        ("mill-1/Configuration/CoordinateSystems/CoordinateSystem[base]/Origin", "1 2 3"),
        ("mill-1/Configuration/Motion/Axis", "0 0 1"),
        ("mill-1/motor/MTTypeName", "Motor"),
        ("mill-1/motor/Uuid", "u9"),
        ("mill-1/motor/Description/SerialNumber", "77"),
        ("mill-1/x/NativeName", "X1"),
        ("mill-1/r1/Reach", "2"),
        ("mill-1/r1/Note", "n"),
        ("mill-1/r1/Tool[2]/Kind", "b"),
        ("mill-1/probe/Configuration/FirwareVersion", "23"),
        ("mill-1/probe/Configuration/Channels/Channel[1]/MTDescription", "Probe"),
    ] {
        assert_eq!(text(&tree, property), expected, "{property}");
    }
    assert_eq!(value(&tree, "mill-1/SampleInterval"), Variant::Float(10.0));
    let date = DateTime::parse_from_rfc3339("2018-08-12T00:00:00Z").expect("a date");
    assert_eq!(value(&tree, "mill-1/probe/Configuration/CalibrationDate"), Variant::from(date));
    assert_eq!(value(&tree, "mill-1/probe/Configuration/Channels/Channel[2]/Number"), Variant::Int32(2));
}

#[test]
fn events_flow_from_their_sources_up_to_the_server() {
    let tree = tree(&[SHOP]);
    let notifier = (ReferenceTypeId::HasNotifier.into(), false);
    let source = (ReferenceTypeId::HasEventSource.into(), false);
    assert!(links(&tree, "mill-1", &ObjectId::Server.into()).contains(&notifier));
    assert!(links(&tree, "mill-1/axes", &id("mill-1")).contains(&notifier));
    assert!(links(&tree, "mill-1/x", &id("mill-1/axes")).contains(&notifier));
    assert!(links(&tree, "mill-1/xtravel", &id("mill-1/x")).contains(&source));
    assert!(links(&tree, "mill-1/message", &id("mill-1/cnc")).contains(&source));
    assert_eq!(node(&tree, "mill-1/x").kind, Kind::Object { notifies: true });
    let model = model(&[SHOP]);
    assert_eq!(
        *binding(&tree, &model, "xtravel").notifiers,
        [id("mill-1/x"), id("mill-1/axes"), id("mill-1")]
    );
}

#[test]
fn an_id_that_looks_like_a_path_takes_no_other_nodes_id() {
    let text = r#"<Device id="d" name="A" uuid="u"><DataItems>
        <DataItem id="Components" category="EVENT" type="BLOCK"/>
        <DataItem id="Name" category="EVENT" type="LINE"/>
        <DataItem id="Block" category="EVENT" type="PROGRAM"/>
        </DataItems><Components><Axes id="NodeVersion"/></Components></Device>"#;
    let model = model(&[text]);
    let (_, types) = space();
    let tree = Tree::of(&model, types, MACHINES);
    check(&tree, &model);
    assert_eq!(name(&tree, "u/Components"), "Block");
    assert_eq!(name(&tree, "u/Components'"), "Components");
}

#[test]
fn every_item_has_the_type_that_the_companion_specification_gives_it() {
    let model = model(&[SHOP]);
    let (_, types) = space();
    let tree = Tree::of(&model, types, MACHINES);
    let double: NodeId = DataTypeId::Double.into();
    let mtconnect = |name: &str| types.id(name).unwrap_or_else(|| panic!("{name} is not in the node set"));
    for (item, type_name, data_type) in [
        ("xpos", "MTSampleType", double.clone()),
        ("amps", "MTSampleType", double.clone()),
        ("where", "MTThreeSpaceSampleType", mtconnect("ThreeSpaceSampleDataType")),
        ("parts", "MTNumericEventType", double.clone()),
        ("override", "MTNumericEventType", double),
        ("line", "MTStringEventType", DataTypeId::String.into()),
        ("own", "MTStringEventType", DataTypeId::String.into()),
        ("newer", "MTStringEventType", DataTypeId::String.into()),
        ("exec", "MTControlledVocabEventType", DataTypeId::UInt32.into()),
        ("message", "MTMessageType", mtconnect("MessageDataType")),
        ("changed", "MTAssetEventType", mtconnect("AssetEventDataType")),
        ("counts", "BaseDataVariableType", DataTypeId::KeyValuePair.into()),
        ("offsets", "BaseDataVariableType", DataTypeId::KeyValuePair.into()),
    ] {
        let node = node(&tree, &format!("mill-1/{item}"));
        assert_eq!(node.type_definition, mtconnect(type_name), "{item}");
        let rank = if type_name == "BaseDataVariableType" { 1 } else { -1 };
        assert_eq!(node.kind, Kind::Variable { data_type, rank, value: Held::Item }, "{item}");
    }
    assert_eq!(node(&tree, "mill-1/xtravel").type_definition, mtconnect("MTConditionType"));
    assert_eq!(node(&tree, "mill-1/x").type_definition, mtconnect("LinearType"));
    assert_eq!(node(&tree, "mill-1/probe").type_definition, mtconnect("SensorType"));
    assert_eq!(node(&tree, "gateway-1").type_definition, mtconnect("MTDeviceType"));
    for own in ["types/GripperType", "types/x:RobotType"] {
        assert_eq!(
            links(&tree, own, &mtconnect("MTComponentType")),
            [(ReferenceTypeId::HasSubtype.into(), false)]
        );
    }
    assert_eq!(node(&tree, "mill-1/g1").type_definition, id("types/GripperType"));
    assert_eq!(name(&tree, "types/x:RobotType"), "RobotType");
    let shape = |item: &str| binding(&tree, &model, item).shape.clone();
    assert_eq!(shape("parts"), Shape::Number);
    assert_eq!(shape("amps"), Shape::TimeSeries { rate: Some(100.0) });
    assert_eq!(shape("offsets"), Shape::Table);
}

#[test]
fn references_say_what_an_item_means_and_where_it_comes_from() {
    let (_, types) = space();
    let tree = tree(&[SHOP]);
    let refers = |source: &str, reference: &str, target: NodeId| {
        let reference = types.id(reference).expect("in the node set");
        assert!(links(&tree, source, &target).contains(&(reference, true)), "{source} to {target}");
    };
    let class = |name: &str| types.id(name).expect("in the node set");
    refers("mill-1/xpos", "HasMTClassType", class("PositionClassType"));
    refers("mill-1/xpos", "HasMTSubClassType", class("ActualSubClassType"));
    refers("mill-1/ohms", "HasMTClassType", class("ResistenceClassType"));
    refers("mill-1/xtravel", "HasMTClassType", class("PositionClassType"));
    refers("mill-1/parts", "HasMTSubClassType", class("AllSubClassType"));
    refers("mill-1/amps", "HasMTComposition", id("mill-1/motor"));
    refers("mill-1/xpos", "HasMTSource", id("mill-1/probe"));
    refers("mill-1/xtravel", "HasMTSource", id("mill-1/xpos"));
    refers("mill-1/cnc", "HasMTReference", id("mill-1/xpos"));
    refers("mill-1/cnc", "HasMTReference", id("mill-1/x"));
    let own = &node(&tree, "mill-1/own").links;
    assert_eq!(own.len(), 1, "an extension's GOOD is not the standard's");
}

#[test]
fn a_vocabulary_keeps_its_numbers_and_newer_words_come_after_them() {
    let model = model(&[SHOP]);
    let (_, types) = space();
    let tree = Tree::of(&model, types, MACHINES);
    let Shape::Vocabulary { words, as_text } = &binding(&tree, &model, "exec").shape else {
        panic!("no words")
    };
    let specified = types.words("ExecutionClassType").expect("has words");
    assert_eq!(words[..specified.len()], specified[..]);
    assert!(words.len() > specified.len() && words.contains(&"WAIT".into()));
    assert_eq!(*as_text, id("mill-1/exec/ValueAsText"));
    let Variant::Array(strings) = value(&tree, "mill-1/exec/EnumStrings") else { panic!("no array") };
    assert_eq!(strings.values.len(), words.len());
    let distinct: HashSet<_> = words.iter().collect();
    assert_eq!(distinct.len(), words.len());
}
