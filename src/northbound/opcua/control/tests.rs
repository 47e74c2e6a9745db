//! What nodes there are for commands, what they mean, and what calls and writes are made of.
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use guideway_contract::{Native, Timestamp};
use opcua_nodes::{AccessLevel, Method as MethodNode, NodeBase as _, NodeType};
use opcua_server::address_space::AddressSpace;
use opcua_types::{
    Argument as UaArgument, BrowseDirection, DataEncoding, DataTypeId, NodeId, NumericRange, ObjectId,
    ReferenceTypeId, StatusCode, TimestampsToReturn, Variant,
};
use serde_json::json;

use super::asked::Asked;
use super::nodes::{Act, Targets, extend};
use super::{argument, describe, status};
use crate::control::{Argument, Controlled, Definition, End, Kind, Reason, Risk, State};
use crate::device_model::DeviceModel;
use crate::northbound::opcua::instances::Tree;
use crate::northbound::opcua::nodeset::Types;
use crate::pipeline::mapping::Mapping;

const MTCONNECT: u16 = 2;
const MACHINES: u16 = 3;

const ITEMS: &str = r#"
    <DataItem id="avail" category="EVENT" type="AVAILABILITY"/>
    <DataItem id="mode" category="EVENT" type="CONTROLLER_MODE"/>
    <DataItem id="feed" category="EVENT" type="PATH_FEEDRATE_OVERRIDE"/>
    <DataItem id="line" category="EVENT" type="LINE_LABEL"/>
    <DataItem id="vars" category="EVENT" type="VARIABLE" representation="DATA_SET"/>"#;

fn model(items: &str) -> DeviceModel {
    let xml = format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.0\"><Devices>\
         <Device id=\"d\" name=\"Mill\" uuid=\"mill-1\"><DataItems>{items}</DataItems></Device>\
         </Devices></MTConnectDevices>"
    );
    let options =
        crate::device_model::Options { agent_device: false, ..crate::device_model::Options::default() };
    DeviceModel::from_xml(&[("shop.xml".into(), xml)], &options, None).unwrap()
}

fn bare() -> AddressSpace {
    let mut space = AddressSpace::new();
    for (index, uri) in
        (0_u16..).zip(["http://opcfoundation.org/UA/", "urn:a", "urn:mtconnect", "urn:machines"])
    {
        space.add_namespace(uri, index);
    }
    space
}

fn types() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(|| Types::load(&mut bare(), MTCONNECT))
}

fn of_kind(name: &str, kind: Kind) -> Argument {
    Argument {
        name: name.into(),
        kind,
        min: None,
        max: None,
        max_len: 4_096,
        pattern: None,
        one_of: Vec::new(),
        units: "".into(),
        about: String::new(),
    }
}

fn definition(name: &str, arguments: Vec<Argument>, bound: Option<&str>) -> Definition {
    Definition {
        name: name.into(),
        about: "Sets something".to_owned(),
        risk: Risk::Setpoint,
        arguments,
        require: None,
        items: Vec::new(),
        max_age: Duration::from_secs(2),
        writes: Vec::new(),
        verify: None,
        release: Vec::new(),
        bound: bound.map(Into::into),
    }
}

fn machine(uuid: &str, commands: Vec<Definition>) -> Arc<Controlled> {
    Arc::new(Controlled {
        name: "Mill".into(),
        uuid: uuid.into(),
        told: "command".into(),
        state: "control".into(),
        commands: commands.into_iter().map(Arc::new).collect(),
        mapping: Arc::new(Mapping::new(Vec::new(), Vec::new())),
        subscribed: false,
    })
}

fn id(text: &str) -> NodeId {
    NodeId::new(MACHINES, text)
}

fn built(model: &DeviceModel, machines: &[Arc<Controlled>]) -> (Tree, Targets) {
    let mut tree = Tree::of(model, types(), MACHINES);
    let targets = extend(&mut tree, model, machines, MACHINES);
    (tree, targets)
}

fn method<'s>(space: &'s AddressSpace, node: &str) -> &'s MethodNode {
    match space.find(&id(node)) {
        Some(NodeType::Method(method)) => method,
        other => panic!("{node} is no method: {}", other.is_some()),
    }
}

fn held(space: &AddressSpace, node: &str) -> Variant {
    let Some(NodeType::Variable(variable)) = space.find(&id(node)) else { panic!("{node} is no variable") };
    let value = variable.value(TimestampsToReturn::Both, &NumericRange::None, &DataEncoding::Binary, 0.0);
    value.value.unwrap()
}

fn arguments(space: &AddressSpace, node: &str) -> Vec<UaArgument> {
    let Variant::Array(array) = held(space, node) else { panic!("{node} is no array") };
    let argument = |value| match value {
        Variant::ExtensionObject(object) => object.into_inner_as::<UaArgument>().map(|argument| *argument),
        _ => None,
    };
    array.values.into_iter().map(|value| argument(value).unwrap()).collect()
}

fn children(space: &AddressSpace, node: &NodeId, reference: ReferenceTypeId) -> Vec<String> {
    let types = opcua_nodes::DefaultTypeTree::new();
    let found = space.find_references(node, Some((reference, false)), &types, BrowseDirection::Forward);
    let mut found: Vec<String> =
        found.map(|reference| reference.target_node.identifier.to_string()).collect();
    found.sort();
    found
}

fn override_of(limits: (f64, f64)) -> Argument {
    Argument {
        min: Some(limits.0),
        max: Some(limits.1),
        units: "PERCENT".into(),
        about: "Feed override".to_owned(),
        ..of_kind("value", Kind::Float)
    }
}

#[test]
fn each_permitted_command_is_a_method_that_describes_its_arguments() {
    let model = model(ITEMS);
    let mode = Argument {
        one_of: vec![Native::text("AUTOMATIC"), Native::text("MANUAL")],
        max_len: 20,
        ..of_kind("mode", Kind::Text)
    };
    let program = Argument {
        pattern: Some(regex::Regex::new("O[0-9]{4}").unwrap()),
        max_len: 5,
        ..of_kind("program", Kind::Text)
    };
    let all = vec![
        mode,
        override_of((0.0, 150.0)),
        of_kind("count", Kind::Int),
        of_kind("now", Kind::Bool),
        program,
    ];
    let machines =
        [machine("mill-1", vec![definition("load", all, None), definition("stop", Vec::new(), None)])];
    let (tree, targets) = built(&model, &machines);
    let mut space = bare();
    tree.replace(&Tree::default(), &mut space);

    let device = children(&space, &id("mill-1"), ReferenceTypeId::HasComponent);
    assert!(device.contains(&"s=mill-1/Commands".to_owned()), "{device:?}");
    let commands = children(&space, &id("mill-1/Commands"), ReferenceTypeId::HasComponent);
    assert_eq!(commands, ["s=mill-1/Commands/load", "s=mill-1/Commands/stop"]);
    let load = method(&space, "mill-1/Commands/load");
    assert_eq!(load.browse_name().name.as_ref(), "load");
    assert_eq!(load.description().unwrap().text.as_ref(), "Sets something (risk: setpoint)");
    assert!(load.executable());

    let inputs = arguments(&space, "mill-1/Commands/load/InputArguments");
    let said: Vec<(&str, NodeId, &str)> = inputs
        .iter()
        .map(|argument| {
            (argument.name.as_ref(), argument.data_type.clone(), argument.description.text.as_ref())
        })
        .collect();
    let kind = |kind: DataTypeId| NodeId::from(kind);
    assert_eq!(
        said[..5],
        [
            ("mode", kind(DataTypeId::String), "up to 20 characters; one of: AUTOMATIC, MANUAL"),
            ("value", kind(DataTypeId::Double), "Feed override; 0 to 150 PERCENT"),
            ("count", kind(DataTypeId::Int64), ""),
            ("now", kind(DataTypeId::Boolean), ""),
            ("program", kind(DataTypeId::String), "up to 5 characters; matches O[0-9]{4}"),
        ]
    );
    assert_eq!((said[5].0, said[6].0, said.len()), ("RequestId", "DryRun", 7));
    let outputs = arguments(&space, "mill-1/Commands/stop/OutputArguments");
    let outputs: Vec<&str> = outputs.iter().map(|argument| argument.name.as_ref()).collect();
    assert_eq!(outputs, ["State", "Reason", "Detail", "RequestId", "ReadBack"]);
    assert_eq!(arguments(&space, "mill-1/Commands/stop/InputArguments").len(), 2);

    let target = &targets.methods[&id("mill-1/Commands/load")];
    assert_eq!(target.object, id("mill-1/Commands"));
    assert!(matches!(&target.act, Act::Run(command) if command.definition.name == "load"));
}

#[test]
fn there_is_no_command_of_a_machine_that_the_model_does_not_have() {
    let (tree, targets) =
        built(&model(ITEMS), &[machine("lathe-1", vec![definition("stop", Vec::new(), None)])]);
    let mut space = bare();
    tree.replace(&Tree::default(), &mut space);
    assert!(space.find(&id("lathe-1/Commands")).is_none());
    assert_eq!(targets.methods.len(), 2, "those of the switch");
}

#[test]
fn the_switch_is_an_object_with_four_variables_and_two_methods() {
    let (tree, targets) = built(&model(ITEMS), &[]);
    let mut space = bare();
    tree.replace(&Tree::default(), &mut space);
    let objects = children(&space, &ObjectId::ObjectsFolder.into(), ReferenceTypeId::Organizes);
    assert!(objects.contains(&"s=Control".to_owned()), "{objects:?}");
    let parts = children(&space, &id("Control"), ReferenceTypeId::HasComponent);
    let expected = ["Enabled", "Reason", "Since", "SwitchOff", "SwitchOn", "SwitchedBy"];
    assert_eq!(parts, expected.map(|name| format!("s=Control/{name}")));
    assert_eq!(targets.switch[0], id("Control/Enabled"));
    assert_eq!(arguments(&space, "Control/SwitchOff/InputArguments").len(), 1);
    assert!(space.find(&id("Control/SwitchOn/InputArguments")).is_none(), "no arguments");
    assert!(matches!(targets.methods[&id("Control/SwitchOn")].act, Act::Switch { on: true }));
}

#[test]
fn methods_stay_when_the_model_changes_and_go_with_their_machine() {
    let before = model(ITEMS);
    let machines = [machine("mill-1", vec![definition("stop", Vec::new(), None)])];
    let (first, _) = built(&before, &machines);
    let mut space = bare();
    first.replace(&Tree::default(), &mut space);

    let after = model(&format!(
        "{ITEMS}<DataItem id=\"temp\" category=\"SAMPLE\" type=\"TEMPERATURE\" units=\"CELSIUS\"/>"
    ));
    let (second, targets) = built(&after, &machines);
    let changes = second.replace(&first, &mut space);
    let touched: Vec<String> = changes.iter().map(|change| change.affected.identifier.to_string()).collect();
    assert!(
        touched.contains(&"s=mill-1/temp".to_owned()) && !touched.iter().any(|id| id.contains("Commands")),
        "{touched:?}"
    );
    method(&space, "mill-1/Commands/stop");
    assert!(targets.methods.contains_key(&id("mill-1/Commands/stop")));

    let (third, targets) = built(&after, &[]);
    let changes = third.replace(&second, &mut space);
    assert!(
        space.find(&id("mill-1/Commands/stop")).is_none() && space.find(&id("mill-1/Commands")).is_none()
    );
    let gone = changes.iter().find(|change| change.affected == id("mill-1/Commands/stop")).unwrap();
    assert_eq!(gone.verb, 2);
    assert_eq!(targets.methods.len(), 2);
}

#[test]
fn an_id_that_the_model_has_taken_is_not_given_twice() {
    let xml = "<DataItem id=\"Commands\" category=\"EVENT\" type=\"BLOCK\"/>";
    let (tree, targets) =
        built(&model(xml), &[machine("mill-1", vec![definition("stop", Vec::new(), None)])]);
    let mut space = bare();
    tree.replace(&Tree::default(), &mut space);
    assert!(matches!(space.find(&id("mill-1/Commands")), Some(NodeType::Variable(_))));
    assert!(matches!(space.find(&id("mill-1/Commands'")), Some(NodeType::Object(_))));
    assert!(targets.methods.contains_key(&id("mill-1/Commands'/stop")));
}

#[test]
fn only_a_variable_that_a_command_is_bound_to_can_be_written() {
    let bound =
        |name: &str, kind: Kind, item: &str| definition(name, vec![of_kind("value", kind)], Some(item));
    let machines = [machine(
        "mill-1",
        vec![
            bound("feed", Kind::Int, "feed"),
            bound("mode", Kind::Text, "mode"),
            bound("line", Kind::Text, "line"),
            // A number is no word, a data set no argument, and this one is not there.
            bound("avail", Kind::Int, "avail"),
            bound("vars", Kind::Text, "vars"),
            bound("nothing", Kind::Int, "nothing"),
        ],
    )];
    let (tree, targets) = built(&model(ITEMS), &machines);
    let mut space = bare();
    tree.replace(&Tree::default(), &mut space);
    let level = |item: &str| match space.find(&id(&format!("mill-1/{item}"))) {
        Some(NodeType::Variable(variable)) => variable.access_level(),
        _ => panic!("{item} is no variable"),
    };
    for item in ["feed", "mode", "line"] {
        assert_eq!(
            level(item).bits(),
            (AccessLevel::CURRENT_READ | AccessLevel::CURRENT_WRITE | AccessLevel::HISTORY_READ).bits(),
            "{item}"
        );
    }
    for item in ["avail", "vars"] {
        assert!(!level(item).contains(AccessLevel::CURRENT_WRITE), "{item}");
    }
    assert_eq!(targets.variables.len(), 3);

    let argument =
        |item: &str, value: Variant| targets.variables[&id(&format!("mill-1/{item}"))].argument(&value);
    assert_eq!(argument("feed", Variant::Double(80.0)), Ok(("value".into(), json!(80))));
    assert_eq!(argument("line", "L7".into()), Ok(("value".into(), json!("L7"))));
    assert_eq!(argument("line", Variant::UInt32(1)), Err(StatusCode::BadTypeMismatch));
    // The words of the vocabulary, by their place as the variable shows it; and as they are.
    let Variant::Array(words) = held(&space, "mill-1/mode/EnumStrings") else { panic!("no words") };
    let Variant::LocalizedText(second) = &words.values[1] else { panic!("no word") };
    assert_eq!(argument("mode", Variant::UInt32(1)), Ok(("value".into(), json!(second.text.as_ref()))));
    assert_eq!(argument("mode", "MANUAL".into()), Ok(("value".into(), json!("MANUAL"))));
    assert_eq!(argument("mode", Variant::UInt32(99)), Err(StatusCode::BadOutOfRange));
    assert_eq!(argument("mode", Variant::Int32(-1)), Err(StatusCode::BadOutOfRange));
    assert_eq!(argument("mode", Variant::Empty), Err(StatusCode::BadTypeMismatch));
}

#[test]
fn a_value_is_an_argument_when_nothing_of_it_is_lost() {
    let mismatch = Err(StatusCode::BadTypeMismatch);
    let range = Err(StatusCode::BadOutOfRange);
    for (kind, value, expected) in [
        (Kind::Int, Variant::SByte(-5), Ok(json!(-5))),
        (Kind::Int, Variant::UInt64(7), Ok(json!(7))),
        (Kind::Int, Variant::UInt64(1 << 63), range.clone()),
        (Kind::Int, Variant::Double(12.0), Ok(json!(12))),
        (Kind::Int, Variant::Double(12.5), range.clone()),
        (Kind::Int, Variant::Double(9.3e18), range.clone()),
        (Kind::Int, Variant::Double(f64::NAN), range.clone()),
        (Kind::Int, "12".into(), mismatch.clone()),
        (Kind::Int, Variant::Boolean(true), mismatch.clone()),
        (Kind::Int, Variant::Empty, mismatch.clone()),
        (Kind::Int, Variant::from(vec![1_i64]), mismatch.clone()),
        (Kind::Float, Variant::Int32(3), Ok(json!(3.0))),
        (Kind::Float, Variant::Int64((1 << 53) + 1), range.clone()),
        (Kind::Float, Variant::Float(0.1), Ok(json!(0.1))),
        (Kind::Float, Variant::Double(f64::INFINITY), range.clone()),
        (Kind::Float, "1".into(), mismatch.clone()),
        (Kind::Bool, Variant::Boolean(true), Ok(json!(true))),
        (Kind::Bool, Variant::Byte(1), mismatch.clone()),
        (Kind::Text, "O1000".into(), Ok(json!("O1000"))),
        (Kind::Text, Variant::String(opcua_types::UAString::null()), Ok(json!(""))),
        (Kind::Text, "x".repeat(4_097).as_str().into(), range),
        (Kind::Text, Variant::Int32(1), mismatch),
    ] {
        assert_eq!(argument::of(kind, &value), expected, "{kind:?} {value:?}");
    }
}

#[test]
fn the_request_id_and_the_dry_run_may_be_left_out() {
    let definition = definition("set", vec![of_kind("value", Kind::Int)], None);
    let value = Variant::Int64(12);
    let read = |more: &[Variant]| {
        let given: Vec<Variant> = std::iter::once(value.clone()).chain(more.iter().cloned()).collect();
        Asked::read(&definition, &given)
    };
    for more in [&[][..], &["".into()], &[Variant::Empty, Variant::Empty]] {
        let asked = read(more).unwrap();
        assert_eq!((asked.id.len(), asked.dry_run), (36, false), "{more:?}");
        assert_eq!(json!(asked.arguments), json!({ "value": 12 }));
    }
    let asked = read(&["job-7".into(), Variant::Boolean(true)]).unwrap();
    assert_eq!((asked.id.as_str(), asked.dry_run), ("job-7", true));
    assert_ne!(read(&[]).unwrap().id, read(&[]).unwrap().id);
}

#[test]
fn arguments_that_do_not_fit_are_told_one_by_one() {
    let definition = definition("set", vec![of_kind("value", Kind::Int), of_kind("name", Kind::Text)], None);
    let read = |given: &[Variant]| Asked::read(&definition, given).unwrap_err();
    let one = Variant::Int64(1);
    assert_eq!(read(&[]).status, StatusCode::BadArgumentsMissing);
    assert_eq!(read(std::slice::from_ref(&one)).status, StatusCode::BadArgumentsMissing);
    let many: Vec<Variant> = vec![one.clone(); 5];
    assert_eq!(read(&many).status, StatusCode::BadTooManyArguments);
    let wrong = read(&["x".into(), one.clone()]);
    assert_eq!(wrong.status, StatusCode::BadInvalidArgument);
    assert_eq!(wrong.results, [StatusCode::BadTypeMismatch; 2]);
    assert!(wrong.detail.contains("value: ") && wrong.detail.contains("name: "), "{}", wrong.detail);
    let (good, mismatch, range) = (StatusCode::Good, StatusCode::BadTypeMismatch, StatusCode::BadOutOfRange);
    for (id, dry_run, expected) in [
        (Variant::Int32(1), Variant::Boolean(true), [mismatch, good]),
        ("a b".into(), Variant::Boolean(true), [range, good]),
        ("x".repeat(65).as_str().into(), Variant::Boolean(true), [range, good]),
        ("a".into(), Variant::Int32(1), [good, mismatch]),
    ] {
        let wrong = read(&[one.clone(), "n".into(), id, dry_run]);
        assert_eq!(wrong.results, [&[good, good][..], &expected[..]].concat());
    }
}

fn end(state: State, reason: Option<Reason>) -> End {
    End { state, reason, ..End::rejected("7", "Mill", "set", Reason::Busy, "why") }
}

#[test]
fn every_way_a_request_can_end_has_a_status() {
    assert_eq!(status::of_write(&end(State::Done, None)), StatusCode::Good);
    for reason in Reason::ALL {
        let denied = matches!(reason, Reason::NotPermitted | Reason::Unauthenticated);
        let rejected = end(State::Rejected, Some(*reason));
        assert!(status::of_write(&rejected).is_bad(), "{reason:?}");
        assert_eq!(status::of_call(&rejected) == StatusCode::BadUserAccessDenied, denied, "{reason:?}");
        assert_eq!(status::of_write(&rejected) == StatusCode::BadUserAccessDenied, denied, "{reason:?}");
        assert_eq!(status::of_write(&end(State::TimedOut, Some(*reason))), StatusCode::BadTimeout);
        assert_eq!(status::of_write(&end(State::Failed, Some(*reason))), StatusCode::BadUnexpectedError);
    }
    let rejected = |reason| status::of_write(&end(State::Rejected, Some(reason)));
    assert_eq!(rejected(Reason::BadArgument), StatusCode::BadOutOfRange);
    assert_eq!(rejected(Reason::Interlock), StatusCode::BadInvalidState);
    assert_eq!(rejected(Reason::ControlOff), StatusCode::BadInvalidState);
    assert_eq!(rejected(Reason::RateLimited), StatusCode::BadResourceUnavailable);
}

#[test]
fn the_answer_has_a_value_for_each_output_argument() {
    let done = End {
        read_back: Some(("echo".into(), Native::UInt(12))),
        time: Timestamp::now(),
        detail: String::new(),
        ..end(State::Done, None)
    };
    let answer = describe::answer(&done);
    assert_eq!(answer, ["done".into(), "".into(), "".into(), "7".into(), Variant::UInt64(12)]);
    assert_eq!(describe::outputs().len(), answer.len());
    let answer = describe::answer(&end(State::Rejected, Some(Reason::Busy)));
    assert_eq!(answer, ["rejected".into(), "busy".into(), "why".into(), "7".into(), Variant::Empty]);
}
