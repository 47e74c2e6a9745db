//! The view with the node sets as the OPC Foundation publishes them, which the tests install.

use std::collections::HashMap;

use guideway_contract::{Observation, Timestamp, Value};
use opcua_nodes::{DefaultTypeTree, NodeType};
use opcua_server::address_space::AddressSpace;
use opcua_types::{
    BrowseDirection, DataValue, EUInformation, LocalizedText, NodeId, ObjectId, Range, ReferenceTypeId,
    StatusCode, TimestampsToReturn, Variant,
};

use super::{NodeSets, Types};
use crate::device_model::{AgentInfo, DeviceModel, Options};
use crate::northbound::opcua::instances::Tree;
use crate::northbound::opcua::nodeset;
use crate::northbound::opcua::value;
use std::path::{Path, PathBuf};

const MTCONNECT: u16 = 2;
const MACHINES: u16 = 3;

const SHOP: &str = r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.2"><Devices>
<Device id="m" name="Mill" uuid="mill-1">
  <Description manufacturer="Example" model="M1" serialNumber="12">A mill.</Description>
  <DataItems><DataItem id="avail" category="EVENT" type="AVAILABILITY"/></DataItems>
  <Components>
    <Axes id="axes"><Components>
      <Linear id="x" name="X"/>
      <Rotary id="s" name="S"><DataItems>
        <DataItem id="speed" category="SAMPLE" type="ROTARY_VELOCITY" subType="ACTUAL" units="REVOLUTION/MINUTE"/>
        <DataItem id="sovr" category="EVENT" type="ROTARY_VELOCITY_OVERRIDE" units="PERCENT">
          <Constraints><Minimum>50</Minimum><Maximum>120</Maximum></Constraints>
        </DataItem>
        <DataItem id="rmode" category="EVENT" type="ROTARY_MODE"/>
      </DataItems></Rotary>
      <Rotary id="c" name="C"/>
    </Components></Axes>
    <Controller id="cn">
      <DataItems><DataItem id="mode" category="EVENT" type="CONTROLLER_MODE"/></DataItems>
      <Components>
        <Path id="p1" name="path"><DataItems>
          <DataItem id="exec" category="EVENT" type="EXECUTION"/>
          <DataItem id="pgm" category="EVENT" type="PROGRAM"/>
          <DataItem id="fovr" category="EVENT" type="PATH_FEEDRATE_OVERRIDE" subType="PROGRAMMED" units="PERCENT"/>
          <DataItem id="rovr" category="EVENT" type="PATH_FEEDRATE_OVERRIDE" subType="RAPID" units="PERCENT"/>
          <DataItem id="alarm" category="CONDITION" type="SYSTEM"/>
        </DataItems></Path>
        <Path id="p2" name="path"/>
      </Components>
    </Controller>
  </Components>
</Device>
<Device id="r" name="Robot" uuid="robot-1">
  <DataItems><DataItem id="ravail" category="EVENT" type="AVAILABILITY"/></DataItems>
</Device>
</Devices></MTConnectDevices>"#;

/// Where the tests' peers are installed; `None`, and a word about it, where they are not.
#[expect(clippy::print_stdout, reason = "a test that was skipped says so")]
fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/peers/node_modules/node-opcua-nodesets/nodesets");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: {} is not there; scripts/test installs it", folder.display());
    None
}

/// A server's address space with the view's types.
struct Stage {
    space: AddressSpace,
    tree: DefaultTypeTree,
    base: nodeset::Types,
    types: Option<Types>,
}

impl Stage {
    fn with(folder: &Path) -> Self {
        let mut space = AddressSpace::new();
        let mut tree = DefaultTypeTree::new();
        for (uri, index) in [("urn:server", 1), (nodeset::MTCONNECT, MTCONNECT), ("urn:machines", MACHINES)] {
            assert_eq!(tree.namespaces_mut().add_namespace(uri), index);
            space.add_namespace(uri, index);
        }
        let base = nodeset::Types::load(&mut space, MTCONNECT);
        let sets = NodeSets::load(folder, &mut space, tree.namespaces_mut());
        space.load_into_type_tree(&mut tree);
        let types = sets.types(&space, &tree);
        Self { space, tree, base, types }
    }

    /// The tree of a model, in the address space in the place of `before`.
    fn show(&mut self, model: &DeviceModel, before: &Tree) -> Tree {
        let mut tree = Tree::of(model, &self.base, MACHINES);
        if let Some(types) = &self.types {
            types.extend(&mut tree, model, MACHINES);
        }
        tree.replace(before, &mut self.space);
        tree
    }

    fn value(&self, path: &str) -> DataValue {
        let id = NodeId::new(MACHINES, path);
        match self.space.find(&id) {
            Some(NodeType::Variable(variable)) => variable.value(
                TimestampsToReturn::Both,
                &opcua_types::NumericRange::None,
                &opcua_types::DataEncoding::Binary,
                0.0,
            ),
            other => panic!("{path}: {other:?}"),
        }
    }

    fn good(&self, path: &str) -> Variant {
        let value = self.value(path);
        assert_eq!(value.status(), StatusCode::Good, "{path}");
        value.value.unwrap()
    }

    fn targets(&self, node: &NodeId, reference: ReferenceTypeId, direction: BrowseDirection) -> Vec<NodeId> {
        let found = self.space.find_references(node, Some((reference, true)), &self.tree, direction);
        found.map(|reference| reference.target_node.clone()).collect()
    }

    /// Gives the variables what the observation says, as the feed does.
    fn observe(&mut self, model: &DeviceModel, tree: &Tree, item: &str, value: Value) {
        let time = Timestamp::parse("2026-11-22T18:00:00Z").unwrap();
        let item = model.find_item(item).unwrap().index;
        let observation = Observation::new(item, time, time, value);
        let binding = tree.bindings().get(item).unwrap();
        let mut values = Vec::new();
        value::values(binding, &observation, &self.base, &mut |node, value| {
            values.push((node.clone(), value));
        });
        for (node, value) in values {
            let Some(NodeType::Variable(variable)) = self.space.find_mut(&node) else { panic!("{node}") };
            variable.set_data_value(value);
        }
    }
}

fn model(xml: &str) -> DeviceModel {
    let agent = AgentInfo { uuid: "agent-1".into(), name: "Agent".into(), adapters: Vec::new() };
    DeviceModel::from_xml(&[(PathBuf::from("Devices.xml"), xml.to_owned())], &Options::default(), Some(agent))
        .unwrap()
}

fn text(word: &str) -> Value {
    Value::text(word)
}

#[test]
fn every_machine_but_the_gateway_is_a_machine_tool_with_its_nameplate() {
    let Some(folder) = folder() else { return };
    let mut stage = Stage::with(&folder);
    stage.show(&model(SHOP), &Tree::default());
    let machines = stage.types.as_ref().unwrap().machines.clone();
    let mut shown: Vec<_> = stage
        .targets(&machines, ReferenceTypeId::Organizes, BrowseDirection::Forward)
        .iter()
        .map(|id| stage.space.find(id).unwrap().as_node().browse_name().name.to_string())
        .collect();
    shown.sort();
    assert_eq!(shown, ["Mill", "Robot"]);
    let nameplate = "MachineTool/mill-1/Identification";
    for (property, value) in [
        ("Manufacturer", Variant::from(LocalizedText::from("Example"))),
        ("Model", Variant::from(LocalizedText::from("M1"))),
        ("ComponentName", Variant::from(LocalizedText::from("Mill"))),
        ("SerialNumber", Variant::from("12")),
        ("ProductInstanceUri", Variant::from("urn:guideway:machine:mill-1")),
    ] {
        assert_eq!(stage.good(&format!("{nameplate}/{property}")), value, "{property}");
    }
    let absent = NodeId::new(MACHINES, "MachineTool/robot-1/Identification/Model");
    assert!(!stage.space.node_exists(&absent), "nobody knows the robot's model");
}

#[test]
fn whatever_is_mandatory_in_a_type_is_there_in_each_instance() {
    let Some(folder) = folder() else { return };
    let mut stage = Stage::with(&folder);
    stage.show(&model(SHOP), &Tree::default());
    let mut next =
        vec![NodeId::new(MACHINES, "MachineTool/mill-1"), NodeId::new(MACHINES, "MachineTool/robot-1")];
    let mut checked = 0;
    while let Some(node) = next.pop() {
        let children = stage.targets(&node, ReferenceTypeId::Aggregates, BrowseDirection::Forward);
        let names: HashMap<_, _> = children
            .iter()
            .map(|child| (stage.space.find(child).unwrap().as_node().browse_name().clone(), child.clone()))
            .collect();
        let mut types = stage.targets(&node, ReferenceTypeId::HasTypeDefinition, BrowseDirection::Forward);
        assert_eq!(types.len(), 1, "{node} has one type");
        while let Some(of_type) = types.pop() {
            for declared in stage.targets(&of_type, ReferenceTypeId::Aggregates, BrowseDirection::Forward) {
                let rules =
                    stage.targets(&declared, ReferenceTypeId::HasModellingRule, BrowseDirection::Forward);
                if rules == [NodeId::from(ObjectId::ModellingRule_Mandatory)] {
                    let name = stage.space.find(&declared).unwrap().as_node().browse_name();
                    assert!(names.contains_key(name), "{node} has no {name:?}");
                    checked += 1;
                }
            }
            types.extend(stage.targets(&of_type, ReferenceTypeId::HasSubtype, BrowseDirection::Inverse));
        }
        next.extend(children.into_iter().filter(|child| child.namespace == MACHINES));
    }
    assert!(checked > 50, "{checked} mandatory nodes");
}

#[test]
fn channels_and_spindles_show_what_their_data_items_say() {
    let Some(folder) = folder() else { return };
    let mut stage = Stage::with(&folder);
    let model = model(SHOP);
    let tree = stage.show(&model, &Tree::default());
    for (item, value) in [
        ("mode", text("AUTOMATIC")),
        ("exec", text("ACTIVE")),
        ("pgm", text("O1234")),
        ("fovr", Value::Number(80.0)),
        ("rovr", text("25")),
        ("speed", Value::Number(1_200.0)),
        ("sovr", Value::Number(100.0)),
        ("rmode", text("SPINDLE")),
    ] {
        stage.observe(&model, &tree, item, value);
    }
    let monitoring = "MachineTool/mill-1/Monitoring";
    let program = "MachineTool/mill-1/Production/ActiveProgram";
    for (path, value) in [
        (format!("{monitoring}/MachineTool/OperationMode"), Variant::Int32(1)),
        (format!("{monitoring}/path/Name"), Variant::from("path")),
        (format!("{monitoring}/path/ChannelMode"), Variant::Int32(0)),
        (format!("{monitoring}/path/ChannelState"), Variant::Int32(0)),
        (format!("{monitoring}/path/FeedOverride"), Variant::Double(80.0)),
        (format!("{monitoring}/path/RapidOverride"), Variant::Double(25.0)),
        // CONTROLLER_MODE is the controller's, so it holds for both paths.
        (format!("{monitoring}/path[p2]/ChannelMode"), Variant::Int32(0)),
        (format!("{monitoring}/S/IsRotating"), Variant::Boolean(true)),
        (format!("{monitoring}/S/IsUsedAsAxis"), Variant::Boolean(false)),
        (format!("{monitoring}/S/Override"), Variant::Double(100.0)),
        (format!("{program}/Name"), Variant::from("O1234")),
        (format!("{program}/NumberInList"), Variant::UInt16(0)),
        (format!("{program}/State/CurrentState"), Variant::from(LocalizedText::new("en", "Running"))),
        (format!("{program}/State/CurrentState/Number"), Variant::UInt32(1)),
    ] {
        assert_eq!(stage.good(&path), value, "{path}");
    }
    let Variant::NodeId(state) = stage.good(&format!("{program}/State/CurrentState/Id")) else { panic!() };
    let state = stage.space.find(&*state).unwrap().as_node().browse_name();
    assert_eq!(state.name.as_ref(), "Running", "the id is that of the state in the type");
    for absent in ["C", "X", "path[p2]/RapidOverride"] {
        let id = NodeId::new(MACHINES, format!("{monitoring}/{absent}"));
        assert!(!stage.space.node_exists(&id), "{absent}");
    }
    assert_eq!(
        stage.value(&format!("{monitoring}/path[p2]/ChannelState")).status(),
        StatusCode::BadNotConnected,
        "nothing says it"
    );

    stage.observe(&model, &tree, "exec", Value::Unavailable);
    stage.observe(&model, &tree, "mode", text("DANCING"));
    let state = stage.value(&format!("{monitoring}/path/ChannelState"));
    assert_eq!(state.status(), StatusCode::BadNotConnected);
    assert!(state.source_timestamp.is_some());
    let mode = stage.value(&format!("{monitoring}/MachineTool/OperationMode"));
    assert_eq!(mode.status(), StatusCode::BadOutOfRange);
}

#[test]
fn an_override_has_its_limits_and_is_in_percent() {
    let Some(folder) = folder() else { return };
    let mut stage = Stage::with(&folder);
    stage.show(&model(SHOP), &Tree::default());
    let structure = |path: &str| match stage.good(&format!("MachineTool/mill-1/Monitoring/{path}")) {
        Variant::ExtensionObject(object) => object,
        other => panic!("{path}: {other:?}"),
    };
    let range = |path: &str| structure(path).inner_as::<Range>().cloned().unwrap();
    assert_eq!(range("S/Override/EURange"), Range { low: 50.0, high: 120.0 });
    assert_eq!(range("path/FeedOverride/EURange"), Range { low: 0.0, high: 200.0 });
    for path in ["S/Override", "path/FeedOverride", "path/RapidOverride"] {
        let units = structure(&format!("{path}/EngineeringUnits"));
        assert_eq!(units.inner_as::<EUInformation>().unwrap().unit_id, 20_529, "{path}");
    }
}

#[test]
fn messages_announce_what_the_device_announces() {
    let Some(folder) = folder() else { return };
    let mut stage = Stage::with(&folder);
    let model = model(SHOP);
    let tree = stage.show(&model, &Tree::default());
    let messages = NodeId::new(MACHINES, "MachineTool/mill-1/Notification/Messages");
    let Some(NodeType::Object(object)) = stage.space.find(&messages) else { panic!("there are no messages") };
    assert!(object.event_notifier().contains(opcua_nodes::EventNotifier::SUBSCRIBE_TO_EVENTS));
    let alarm = model.find_item("alarm").unwrap().index;
    let binding = tree.bindings().get(alarm).unwrap();
    assert!(binding.notifiers.contains(&messages), "{:?}", binding.notifiers);
    assert!(binding.notifiers.contains(&binding.device));
    let below = stage.targets(&messages, ReferenceTypeId::HasNotifier, BrowseDirection::Forward);
    assert_eq!(below, [NodeId::new(MACHINES, "mill-1")]);
}

#[test]
fn a_machine_that_goes_takes_its_view_along_and_leaves_the_others_with_their_values() {
    let Some(folder) = folder() else { return };
    let mut stage = Stage::with(&folder);
    let both = model(SHOP);
    let before = stage.show(&both, &Tree::default());
    stage.observe(&both, &before, "exec", text("READY"));
    let (head, rest) = SHOP.split_once("<Device id=\"r\"").unwrap();
    let (_, tail) = rest.split_once("</Device>").unwrap();
    stage.show(&model(&format!("{head}{tail}")), &before);
    assert!(!stage.space.node_exists(&NodeId::new(MACHINES, "MachineTool/robot-1")));
    assert!(!stage.space.node_exists(&NodeId::new(MACHINES, "MachineTool/robot-1/Monitoring")));
    assert_eq!(stage.good("MachineTool/mill-1/Monitoring/path/ChannelState"), Variant::Int32(2));
}

#[test]
fn without_whole_node_sets_the_server_has_its_machines_all_the_same() {
    let Some(folder) = folder() else { return };
    let broken = tempfile::tempdir().unwrap();
    for name in ["Di", "IA", "Machinery", "MachineTool"] {
        let name = format!("Opc.Ua.{name}.NodeSet2.xml");
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        let text = if name.contains("MachineTool") { &text[..text.len() / 2] } else { &text };
        std::fs::write(broken.path().join(name), text).unwrap();
    }
    for folder in [broken.path(), Path::new("/nowhere")] {
        let mut stage = Stage::with(folder);
        assert!(stage.types.is_none());
        stage.show(&model(SHOP), &Tree::default());
        assert!(stage.space.node_exists(&NodeId::new(MACHINES, "mill-1")));
        assert!(!stage.space.node_exists(&NodeId::new(MACHINES, "MachineTool/mill-1")));
    }
}
