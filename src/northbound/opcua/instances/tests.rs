use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use opcua_nodes::{DefaultTypeTree, NodeType, TypeTree};
use opcua_server::address_space::AddressSpace;
use opcua_types::{
    BrowseDirection, DataEncoding, DataTypeId, DataValue, DateTime, NodeId, NumericRange, ObjectId,
    ReferenceTypeId, StatusCode, TimestampsToReturn, Variant,
};
use proptest::prelude::*;

use super::node::{Held, Kind, Node};
use super::{Change, Tree};
use crate::device_model::{AgentAdapter, AgentInfo, DeviceModel, DuplicateIds, Options};
use crate::northbound::opcua::binding::{Binding, Shape};
use crate::northbound::opcua::nodeset::Types;

/// The companion specification's namespace, and the machines'.
const MTCONNECT: u16 = 2;
const MACHINES: u16 = 3;

/// A machine with something of everything.
const SHOP: &str = r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.2" xmlns:x="urn:example.com:Shop:2.2">
<Devices>
<Device id="d" name="Shop" uuid="mill-1" iso841Class="6" sampleInterval="10" x:hall="7">
  <Description manufacturer="Example" model="M1" serialNumber="12" station="3">A mill.</Description>
  <Configuration>
    <CoordinateSystems>
      <CoordinateSystem id="world" type="WORLD"><Origin>0 0 0</Origin></CoordinateSystem>
      <CoordinateSystem id="base" type="BASE" parentIdRef="world"><Origin>1 2 3</Origin></CoordinateSystem>
    </CoordinateSystems>
    <Motion id="m" type="PRISMATIC" actuation="DIRECT"><Axis>0 0 1</Axis></Motion>
  </Configuration>
  <DataItems>
    <DataItem id="avail" category="EVENT" type="AVAILABILITY"/>
    <DataItem id="changed" category="EVENT" type="ASSET_CHANGED"/>
    <DataItem id="counts" category="EVENT" type="ASSET_COUNT" representation="DATA_SET"/>
  </DataItems>
  <Components>
    <Axes id="axes">
      <Components>
        <Linear id="x" name="X" nativeName="X1">
          <DataItems>
            <DataItem id="xpos" name="Xpos" category="SAMPLE" type="POSITION" subType="ACTUAL" units="MILLIMETER" nativeUnits="INCH" nativeScale="10" coordinateSystem="MACHINE" significantDigits="6">
              <Source componentId="probe">X|pos</Source>
              <Constraints><Minimum>0</Minimum><Maximum>500</Maximum></Constraints>
              <Filters><Filter type="MINIMUM_DELTA">0.01</Filter><Filter type="PERIOD">10</Filter></Filters>
            </DataItem>
            <DataItem id="xtravel" category="CONDITION" type="POSITION"><Source dataItemId="xpos"/></DataItem>
          </DataItems>
        </Linear>
        <Rotary id="c" name="C">
          <DataItems>
            <DataItem id="mode" category="EVENT" type="ROTARY_MODE"><Constraints><Value>SPINDLE</Value></Constraints></DataItem>
            <DataItem id="amps" category="SAMPLE" type="AMPERAGE" units="AMPERE" statistic="AVERAGE" representation="TIME_SERIES" sampleRate="100" compositionId="motor">
              <ResetTrigger>ACTION_COMPLETE</ResetTrigger>
            </DataItem>
            <DataItem id="overload" category="CONDITION" type="AMPERAGE" compositionId="motor"/>
            <DataItem id="ohms" category="SAMPLE" type="RESISTANCE" units="OHM"/>
          </DataItems>
          <Compositions><Composition id="motor" type="MOTOR" name="main" uuid="u9"><Description serialNumber="77"/></Composition></Compositions>
        </Rotary>
      </Components>
    </Axes>
    <Controller id="cnc">
      <DataItems>
        <DataItem id="estop" category="EVENT" type="EMERGENCY_STOP" discrete="true"/>
        <DataItem id="message" category="EVENT" type="MESSAGE"/>
      </DataItems>
      <References><DataItemRef idRef="xpos" name="pos"/><ComponentRef idRef="x"/></References>
      <Components>
        <Path id="p1" name="P1">
          <DataItems>
            <DataItem id="exec" category="EVENT" type="EXECUTION"/>
            <DataItem id="parts" category="EVENT" type="PART_COUNT" subType="ALL"><InitialValue>1</InitialValue></DataItem>
            <DataItem id="line" category="EVENT" type="LINE_LABEL"/>
            <DataItem id="where" category="SAMPLE" type="PATH_POSITION" units="MILLIMETER_3D"/>
            <DataItem id="override" category="EVENT" type="PATH_FEEDRATE_OVERRIDE" units="PERCENT"/>
            <DataItem id="offsets" category="EVENT" type="WORK_OFFSETS" representation="TABLE"/>
            <DataItem id="own" category="EVENT" type="x:MOOD" subType="x:GOOD"/>
            <DataItem id="newer" category="EVENT" type="LOCK_STATE"/>
          </DataItems>
        </Path>
        <Path id="p2" name="P2"/>
      </Components>
    </Controller>
    <Systems id="systems">
      <Components>
        <Coolant id="low" name="low">
          <DataItems>
            <DataItem id="l1" name="low_main" category="SAMPLE" type="FILL_LEVEL" units="PERCENT" compositionId="t1"/>
            <DataItem id="l2" name="low_reserve" category="SAMPLE" type="FILL_LEVEL" units="PERCENT" compositionId="t2"/>
            <DataItem id="ph" category="SAMPLE" type="PH" units="PH"/>
          </DataItems>
          <Compositions><Composition id="t1" type="TANK" name="main"/><Composition id="t2" type="TANK" name="reserve"/></Compositions>
        </Coolant>
      </Components>
    </Systems>
    <Auxiliaries id="aux">
      <Components>
        <Sensor id="probe">
          <Configuration><SensorConfiguration>
            <FirmwareVersion>23</FirmwareVersion>
            <CalibrationDate>2018-08-12</CalibrationDate>
            <Channels>
              <Channel number="1" name="A:1"><Description>Probe</Description><CalibrationDate>2018-09-11</CalibrationDate></Channel>
              <Channel number="2"/>
            </Channels>
          </SensorConfiguration></Configuration>
        </Sensor>
        <Gripper id="g1"/>
        <x:Robot id="r1" x:reach="2"><x:Tool kind="a"/><x:Tool kind="b"/><x:Note>n</x:Note></x:Robot>
      </Components>
    </Auxiliaries>
  </Components>
</Device>
</Devices></MTConnectDevices>"#;

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

#[test]
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
    assert_eq!(values, super::builder::strings(["SPINDLE"]));
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
    let after = before.with_device_xml(Path::new("new"), &device).expect("a model");
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
    let after = before.with_device_xml(Path::new("new"), &device).expect("a model");
    let second = Tree::of(&after, types, MACHINES);
    let changes = second.replace(&first, &mut space);
    assert!(matches!(space.find(&id("mill-1/xpos")), Some(NodeType::Object(_))));
    assert!(verbs(&changes).contains_key("s=mill-1/xpos"));
    same_as_made_afresh(&space, &second);
    let back = before.with_device_xml(Path::new("new"), SHOP).expect("a model");
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
        Kind::Variable { value: Held::Fixed(Variant::ExtensionObject(object)), .. } => object
            .data_type()
            .and_then(|id| id.try_resolve(&opcua_types::NamespaceMap::new()).map(|id| id.into_owned())),
        Kind::Variable { value: Held::Fixed(value), .. } => value.data_type().map(|id| id.node_id),
        _ => None,
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
        if let Ok(after) = before.with_device_xml(Path::new("new"), &device) {
            let second = Tree::of(&after, types, MACHINES);
            check(&second, &after);
            second.replace(&first, &mut space);
            same_as_made_afresh(&space, &second);
        }
    }
}

/// Twenty machines with two hundred items each.
fn hall() -> DeviceModel {
    let mut xml = String::from("<Devices>");
    for machine in 0..20 {
        xml.push_str(&format!(
            r#"<Device id="m{machine}" name="M{machine}" uuid="uuid-of-machine-{machine}"><Components>"#
        ));
        for part in 0..20 {
            xml.push_str(&format!(r#"<Linear id="m{machine}_{part}" name="A{part}"><DataItems>"#));
            for item in 0..10 {
                let (kind, rest) = [
                    ("POSITION", r#"category="SAMPLE" units="MILLIMETER""#),
                    ("EXECUTION", r#"category="EVENT""#),
                    ("PROGRAM", r#"category="EVENT""#),
                    ("TEMPERATURE", r#"category="SAMPLE" units="CELSIUS""#),
                    ("SYSTEM", r#"category="CONDITION""#),
                ][item % 5];
                xml.push_str(&format!(
                    r#"<DataItem id="m{machine}_{part}_{item}" name="n{item}" type="{kind}" {rest}/>"#
                ));
            }
            xml.push_str("</DataItems></Linear>");
        }
        xml.push_str("</Components></Device>");
    }
    xml.push_str("</Devices>");
    model(&[&xml])
}

#[test]
#[ignore = "a measurement, to be run with --release"]
fn a_hall_of_twenty_machines_is_built_within_a_tenth_of_a_second() {
    let (mut space, types) = space();
    let model = hall();
    let start = std::time::Instant::now();
    let tree = Tree::of(&model, types, MACHINES);
    let built = start.elapsed();
    insert(&tree, &mut space);
    let inserted = start.elapsed();
    let again = Tree::of(&model, types, MACHINES);
    let start = std::time::Instant::now();
    assert_eq!(again.replace(&tree, &mut space), []);
    let compared = start.elapsed();
    eprintln!(
        "{} nodes: built {built:?}, in the address space {inserted:?}, compared {compared:?}",
        tree.nodes.len()
    );
    assert!(inserted.as_millis() < 100, "{inserted:?}");
}
