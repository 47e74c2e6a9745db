//! What holds for models as a whole.

use std::path::{Path, PathBuf};

use guideway_contract::Shape;

use super::*;

fn build(devices: &[&str], options: &Options) -> Result<DeviceModel, Vec<ModelError>> {
    let sources: Vec<(PathBuf, String)> = devices
        .iter()
        .enumerate()
        .map(|(number, xml)| (PathBuf::from(format!("{number}.xml")), (*xml).to_owned()))
        .collect();
    DeviceModel::from_xml(&sources, options, Some(agent("10.0.0.1")))
}

fn agent(address: &str) -> AgentInfo {
    let adapter =
        |name: &str| AgentAdapter { name: name.into(), uri: format!("shdr://{address}:7878").into() };
    AgentInfo {
        uuid: "gateway-1".into(),
        name: SmolStr::default(),
        adapters: vec![adapter("press-1"), adapter("press 2"), adapter("press_2")],
    }
}

fn version(text: &str) -> Options {
    Options {
        schema_version: Some(text.parse().expect("a version")),
        agent_device: false,
        ..Options::default()
    }
}

fn load(xml: &str) -> DeviceModel {
    build(&[xml], &version("2.7")).unwrap_or_else(|findings| panic!("{findings:?}"))
}

fn errors(devices: &[&str], options: &Options) -> Vec<String> {
    let findings = build(devices, options).map(|_| ()).expect_err("has errors");
    findings.iter().filter(|f| f.severity == Severity::Error).map(ToString::to_string).collect()
}

fn warnings(xml: &str, options: &Options) -> Vec<String> {
    let model = build(&[xml], options).unwrap_or_else(|findings| panic!("{findings:?}"));
    model.warnings().iter().map(ToString::to_string).collect()
}

use smol_str::SmolStr;

const MILL: &str = r#"<Device id="m" name="mill" uuid="u-mill"><DataItems>
 <DataItem id="avail" type="AVAILABILITY" category="EVENT"/></DataItems>
 <Components><Axes id="axes"><Components><Linear id="x" name="X"><DataItems>
  <DataItem id="xpos" name="Xabs" type="POSITION" subType="ACTUAL" category="SAMPLE" units="MILLIMETER"
    nativeUnits="INCH" nativeScale="10" significantDigits="4" sampleRate="5" compositionId="motor"
    coordinateSystemIdRef="cs"><Source componentId="axes" dataItemId="avail">X1</Source>
    <Constraints><Minimum>-10</Minimum><Maximum>10.5</Maximum><Nominal>0</Nominal></Constraints>
    <Filters><Filter type="MINIMUM_DELTA">0.1</Filter><Filter type="PERIOD">2</Filter></Filters>
    <InitialValue>1</InitialValue><ResetTrigger>MANUAL</ResetTrigger></DataItem>
  <DataItem id="xcond" type="POSITION" category="CONDITION"/></DataItems>
  <Compositions><Composition id="motor" type="MOTOR"/></Compositions></Linear></Components>
 </Axes></Components></Device>"#;

#[test]
fn a_data_item_carries_all_that_the_file_says_of_it() {
    let model = load(MILL);
    let item = model.find_item("xpos").expect("there");
    assert_eq!(item.shape, Shape::Number);
    assert_eq!((item.name.as_str(), item.sub_type.as_str()), ("Xabs", "ACTUAL"));
    assert_eq!((item.units.as_str(), item.native_units.as_str()), ("MILLIMETER", "INCH"));
    assert_eq!((item.native_scale, item.significant_digits), (Some(10.0), Some(4)));
    assert_eq!(item.sample_rate, Some(5.0));
    let source = item.source.as_ref().expect("has a source");
    assert_eq!((source.text.as_str(), source.component_id.as_str()), ("X1", "axes"));
    assert_eq!(item.constraints.minimum, Some(-10.0));
    assert_eq!(item.constraints.maximum, Some(10.5));
    assert_eq!(item.filters, Filters { minimum_delta: Some(0.1), period: Some(2.0) });
    assert_eq!(item.initial_value.as_deref(), Some("1"));
    assert_eq!(item.reset_trigger, "MANUAL");
    let component = model.component(item.component);
    assert_eq!((component.element_name.as_str(), component.name.as_str()), ("Linear", "X"));
    let axes = model.component(component.parent.expect("has a parent"));
    assert_eq!(axes.id, "axes");
    assert_eq!(axes.children, [component.index]);
    let device = model.device(item.device);
    assert_eq!(axes.parent, Some(device.root));
    let ids: Vec<&str> = device.items.iter().map(|item| model.item(*item).id.as_str()).collect();
    assert_eq!(ids, ["avail", "m_asset_chg", "m_asset_rem", "m_asset_count", "m_asset_add", "xpos", "xcond"]);
    assert_eq!(device.availability, model.find_item("avail").map(|item| item.index));
    assert!(device.asset_changed.is_some() && device.asset_count.is_some());
    assert_eq!(model.find_device("u-mill").map(|device| device.index), Some(device.index));
}

#[test]
fn what_is_not_known_is_kept() {
    let model = load(
        r#"<Device id="m" name="mill" uuid="u" x:color="red" xmlns:x="urn:x"><Description>An old one</Description>
        <Configuration><x:Deep a="1"><x:Er>text</x:Er></x:Deep></Configuration></Device>"#,
    );
    let element = &model.devices()[0].element;
    assert_eq!(element.attribute("x:color"), Some("red"));
    let deep = element.child("Configuration").and_then(|found| found.child("Deep")).expect("kept");
    assert_eq!(
        (deep.attribute("a"), deep.child("Er").map(Element::text)),
        (Some("1"), Some("text".to_owned()))
    );
    assert_eq!(model.namespaces().len(), 1);
}

#[test]
fn the_version_comes_from_the_configuration_then_the_namespace_then_the_header() {
    let device = r#"<Devices><Device id="d" name="d" uuid="d"/></Devices>"#;
    let spaced = format!(
        r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:1.4">{device}</MTConnectDevices>"#
    );
    let headed = format!(r#"<MTConnectDevices><Header version="1.6.0.1"/>{device}</MTConnectDevices>"#);
    let later =
        r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:3.1"><Devices/></MTConnectDevices>"#;
    let own = Options { agent_device: false, ..Options::default() };
    let of = |xml: &str, options| build(&[xml], options).expect("loads").version().to_string();
    assert_eq!(of(&spaced, &own), "1.4");
    assert_eq!(of(&headed, &own), "1.6");
    assert_eq!(of(device, &own), "2.7");
    assert_eq!(of(&spaced, &version("2.0")), "2.0");
    assert!(warnings(later, &own).iter().any(|warning| warning.contains("MTConnectDevices:3.1")));
}

#[test]
fn other_documents_are_refused_by_name() {
    for (xml, what) in [
        ("<MTConnectStreams/>", "0.xml:1:1: <MTConnectStreams> is not a devices document"),
        ("<MTConnectDevices/>", "0.xml:1:1: there is no <Devices>"),
        ("<a>\n</b>", "0.xml:2:1: not well-formed XML"),
    ] {
        let found = errors(&[xml], &version("2.7"));
        assert!(found[0].starts_with(what), "{found:?}");
    }
}

#[test]
fn every_error_is_told_at_once_with_its_place() {
    let found = errors(
        &[r#"<Device id="d">
  <DataItems>
    <DataItem id="a" category="EVENT"/>
    <DataItem type="POSITION" category="SAMPEL" units="MILLIMETER"/>
    <DataItem id="b" type="NO GOOD" category="EVENT"/>
    <DataItem id="c" type="LOAD" category="SAMPLE" units="PERCENT" representation="SET"/>
  </DataItems>
  <Components><Axes/></Components>
</Device>"#],
        &version("2.7"),
    );
    assert_eq!(
        found,
        [
            "0.xml:1:1: <Device> has no uuid",
            "0.xml:1:1: <Device> has no name",
            "0.xml:3:5: the data item `a` has no type",
            "0.xml:4:5: the data item `` has no id",
            "0.xml:4:31: `SAMPEL` is not a category",
            "0.xml:5:22: `NO GOOD` cannot be a type: it makes no element name",
            "0.xml:6:68: `SET` of the data item `c` is not a representation",
            "0.xml:8:15: the component <Axes> has no id",
        ]
    );
}

#[test]
fn oddities_are_warned_of_and_do_no_harm() {
    let found = warnings(
        r#"<Device id="d" name="d" uuid="d"><DataItems>
<DataItem id="a" type="PATH_FEEDRATE_OVERRIDE" category="SAMPLE" units="PERCENT"/>
<DataItem id="b" type="WOBBLE" category="EVENT"/>
<DataItem id="c" type="POSITION" category="SAMPLE" units="PARSEC"/>
<DataItem id="e" type="POSITION" category="SAMPLE"/>
<DataItem id="f" type="LOAD" category="SAMPLE" units="PERCENT" nativeScale="ten"/>
<DataItem id="2g" type="LOAD" category="SAMPLE" units="PERCENT" subType="SOMETIMES"/>
<DataItem id="h" type="x:OWN" category="SAMPLE"/>
<DataItem id="i" type="LOAD" category="SAMPLE" units="PERCENT"><Filters><Filter type="MAX">1</Filter></Filters></DataItem>
<DataItem id="j" type="LOAD" category="SAMPLE" units="PERCENT" nativeUnits="FURLONG"/>
</DataItems><Components><Spoon id="s"/></Components></Device>"#,
        &version("2.7"),
    );
    let said = [
        "0.xml:2:48: `PATH_FEEDRATE_OVERRIDE` is not of category SAMPLE; it is shown as EVENT",
        "0.xml:3:18: the standard has no data item type `WOBBLE`",
        "0.xml:4:52: the standard has no units `PARSEC`",
        "0.xml:5:1: the sample `POSITION` has no units",
        "0.xml:6:64: nativeScale of the data item `f` is `ten`, which is not a number",
        "0.xml:7:11: `2g` is not a valid XML id, so strict clients will refuse the documents",
        "0.xml:7:65: the standard has no subType `SOMETIMES`",
        "0.xml:9:81: `MAX` is not a filter and has no effect",
        "0.xml:11:25: the standard has no component <Spoon>",
    ];
    assert_eq!(found, said);
}

#[test]
fn a_category_that_contradicts_the_standard_is_put_right_in_table_and_tree() {
    let xml = r#"<Device id="d" name="d" uuid="d"><DataItems>
        <DataItem id="o" type="PATH_FEEDRATE_OVERRIDE" category="SAMPLE" units="PERCENT"/></DataItems></Device>"#;
    let model = load(xml);
    assert_eq!(
        model.find_item("o").map(|item| (item.category, item.shape)),
        Some((Category::Event, Shape::Number))
    );
    let items = model.devices()[0].element.child("DataItems").expect("there");
    assert_eq!(items.elements().next().and_then(|item| item.attribute("category")), Some("EVENT"));
}

#[test]
fn old_versions_want_names_to_be_one_word() {
    let xml = r#"<Device id="d" name="a b" uuid="d" nativeName="A B"><Description manufacturer="Acme Inc"/></Device>"#;
    let model = build(&[xml], &version("1.3")).unwrap_or_else(|findings| panic!("{findings:?}"));
    assert_eq!(model.warnings().len(), 3);
    let element = &model.devices()[0].element;
    assert_eq!((element.attribute("name"), element.attribute("nativeName")), (Some("a b"), Some("A_B")));
    assert_eq!(
        element.child("Description").and_then(|found| found.attribute("manufacturer")),
        Some("Acme_Inc")
    );
    let again =
        model.with_description(DeviceIndex(0), "manufacturer", "Acme & Co").expect("good").expect("changes");
    let description = again.devices()[0].element.child("Description").expect("there");
    assert_eq!(description.attribute("manufacturer"), Some("Acme___Co"));
    assert!(warnings(xml, &version("1.8")).is_empty());
}

#[test]
fn a_type_that_the_version_does_not_have_is_warned_of() {
    let xml = r#"<Device id="d" name="d" uuid="d"><DataItems>
<DataItem id="a" type="CONNECTION_STATUS" category="EVENT"/></DataItems></Device>"#;
    assert_eq!(
        warnings(xml, &version("1.3")),
        ["0.xml:2:18: MTConnect 1.3 has no data item type `CONNECTION_STATUS`"]
    );
    assert!(warnings(xml, &version("1.8")).is_empty());
}

#[test]
fn the_old_forms_of_filter_and_discrete_are_understood() {
    let model = load(
        r#"<Device id="d" name="d" uuid="d"><DataItems>
        <DataItem id="a" type="LOAD" category="SAMPLE" units="PERCENT"><Constraints><Filter>5</Filter></Constraints></DataItem>
        <DataItem id="b" type="PART_COUNT" category="EVENT" representation="DISCRETE"/>
        <DataItem id="c" type="PART_COUNT" category="EVENT" discrete="true"/></DataItems></Device>"#,
    );
    assert_eq!(model.find_item("a").and_then(|item| item.filters.minimum_delta), Some(5.0));
    assert!(["b", "c"].iter().all(|id| model.find_item(id).is_some_and(|item| item.discrete)));
}

#[test]
fn one_id_in_two_files_is_refused_with_both_places() {
    let other = MILL.replace("u-mill", "u-2").replace("\"mill\"", "\"mill2\"");
    let found = errors(&[MILL, &other], &version("2.7"));
    assert_eq!(found[0], "1.xml:1:9: the id `m` is already used at 0.xml:1:1");
    assert_eq!(found[1], "1.xml:2:12: the id `avail` is already used at 0.xml:2:2");
    let twice = r#"<Device id="d" name="d" uuid="d"><Components><Axes id="a"/>
<Axes id="a"/></Components></Device>"#;
    assert_eq!(errors(&[twice], &version("2.7")), ["0.xml:2:7: the id `a` is already used at 0.xml:1:46"]);
}

#[test]
fn names_and_uuids_are_unique() {
    let found = errors(
        &[r#"<Device id="a" name="n" uuid="u"/>"#, r#"<Device id="b" name="n" uuid="u"/>"#],
        &version("2.7"),
    );
    assert_eq!(
        found,
        [
            "1.xml:1:16: the name `n` is also that of the device at 0.xml:1:1",
            "1.xml:1:25: the uuid `u` is also that of the device at 0.xml:1:1",
        ]
    );
}

#[test]
fn a_prefix_goes_before_ids_and_all_that_refers_to_them() {
    let options = Options { duplicate_ids: DuplicateIds::Prefix, ..version("2.7") };
    let other = MILL.replace("u-mill", "u-2").replace("\"mill\"", "\"mill 2\"");
    let third = MILL.replace("u-mill", "u-3").replace("\"mill\"", "\"mill3\"");
    let model = build(&[MILL, &other, &third], &options).unwrap_or_else(|findings| panic!("{findings:?}"));
    let first = model.find_item("xpos").expect("keeps its id");
    assert!(first.written_id.is_empty());
    let second = model.find_item("m_xpos").expect("has a prefix");
    assert_eq!(second.written_id, "xpos");
    assert_eq!(second.composition_id, "m_motor");
    let source = second.source.as_ref().expect("has a source");
    assert_eq!((source.component_id.as_str(), source.data_item_id.as_str()), ("m_axes", "m_avail"));
    assert_eq!(source.text, "X1", "the key of the source stays");
    assert_eq!(model.device(second.device).id, "m_m");
    assert!(model.find_item("m_m_asset_chg").is_some());
    let third = model.find_item("mill3_xpos").expect("its id gave no free prefix, its name did");
    assert_eq!(model.device(third.device).uuid, "u-3");
    fn find<'e>(element: &'e Element, id: &str) -> Option<&'e Element> {
        if element.attribute("id") == Some(id) {
            return Some(element);
        }
        element.elements().find_map(|child| find(child, id))
    }
    let element = find(&model.device(second.device).element, "m_xpos").expect("in the tree");
    assert_eq!(element.attribute("coordinateSystemIdRef"), Some("cs"), "no id of this device");
}

fn agent_items(options: &Options, info: AgentInfo) -> (DeviceModel, AgentItems) {
    let sources = [(PathBuf::from("m.xml"), MILL.to_owned())];
    let model = DeviceModel::from_xml(&sources, options, Some(info))
        .unwrap_or_else(|findings| panic!("{findings:?}"));
    let items = model.agent().expect("has an agent").clone();
    (model, items)
}

#[test]
fn the_agent_is_the_first_device_with_the_items_of_its_adapters() {
    let options = Options { agent_device: true, ..version("2.7") };
    let (model, items) = agent_items(&options, agent("10.0.0.1"));
    let device = &model.devices()[0];
    assert!(device.is_agent && !model.devices()[1].is_agent);
    assert_eq!((device.name.as_str(), device.uuid.as_str()), ("Agent", "gateway-1"));
    assert_eq!(device.availability, Some(items.availability));
    assert_eq!(model.item(items.device_changed).item_type, "DEVICE_CHANGED");
    assert_eq!(items.adapters.len(), 3);
    let ids: Vec<&str> =
        items.adapters.iter().map(|adapter| model.item(adapter.connection_status).id.as_str()).collect();
    assert_eq!(ids[0], "agent_adapter_press-1_connection_status");
    assert!(ids[1].starts_with("agent_adapter_press_2_") && ids[1] != ids[2], "{ids:?}");
    assert!(model.warnings().is_empty(), "{:?}", model.warnings());
}

#[test]
fn the_agents_ids_do_not_change_with_addresses() {
    let options = Options { agent_device: true, ..version("2.7") };
    let ids = |address: &str| {
        let (model, _) = agent_items(&options, agent(address));
        model.items().iter().map(|item| item.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("10.0.0.1"), ids("10.0.0.99"));
}

#[test]
fn there_is_no_agent_before_1_7_or_when_it_is_switched_off() {
    for (options, has_agent) in [
        (Options { agent_device: true, ..version("1.6") }, false),
        (Options { agent_device: true, ..version("1.7") }, true),
        (version("2.7"), false),
    ] {
        let model = build(&[MILL], &options).expect("loads");
        assert_eq!(model.agent().is_some(), has_agent);
        assert_eq!(model.devices().len(), 1 + usize::from(has_agent));
    }
}

#[test]
fn an_agent_without_addresses_to_show_has_no_adapter_uri() {
    let options = Options { agent_device: true, ..version("2.7") };
    let mut info = agent("10.0.0.1");
    info.adapters[0].uri = SmolStr::default();
    let (_, items) = agent_items(&options, info);
    assert!(items.adapters[0].adapter_uri.is_none() && items.adapters[1].adapter_uri.is_some());
}

#[test]
fn the_agents_ids_stay_clear_of_those_of_devices() {
    let options = Options { agent_device: true, ..version("2.7") };
    let device = MILL.replace("\"xpos\"", "\"agent_avail\"");
    let model = build(&[&device], &options).unwrap_or_else(|findings| panic!("{findings:?}"));
    assert_eq!(model.devices()[0].id, "agent2");
    let named = MILL.replace("\"mill\"", "\"Agent\"");
    assert!(errors(&[&named], &options)[0].contains("the gateway's own Agent device"));
}

#[test]
fn an_agent_in_a_file_gives_way_to_the_gateways_own() {
    let file = format!(r#"<Devices>{MILL}<Agent id="other" name="other" uuid="other"/></Devices>"#);
    let own = build(&[&file], &Options { agent_device: true, ..version("2.7") }).expect("loads");
    assert_eq!(own.devices().len(), 2);
    assert!(own.warnings()[0].what.contains("<Agent> is left out"));
    let none = build(&[&file], &version("2.7")).expect("loads");
    assert_eq!(none.devices()[0].name, "other");
    assert!(none.devices()[0].is_agent && none.agent().is_none());
}

#[test]
fn a_replaced_device_keeps_the_indices_of_what_stays() {
    let options = Options { agent_device: true, ..version("2.7") };
    let lathe = r#"<Device id="l" name="lathe" uuid="u-lathe"/>"#;
    let old = build(&[MILL, lathe], &options).unwrap_or_else(|findings| panic!("{findings:?}"));
    let xml = MILL
        .replace(
            "<DataItem id=\"xcond\"",
            "<DataItem id=\"xload\" type=\"LOAD\" category=\"SAMPLE\" units=\"PERCENT\"/><DataItem id=\"xc\"",
        )
        .replace("units=\"MILLIMETER\"", "units=\"MILLIMETER\" statistic=\"AVERAGE\"");
    let (new, _) =
        old.with_device_xml(Path::new("wire"), &xml).unwrap_or_else(|findings| panic!("{findings:?}"));
    assert_eq!(new.devices().len(), old.devices().len());
    for item in old.items() {
        let now = new.item(item.index);
        assert_eq!(now.id, item.id);
        assert_eq!(now.retired, item.id == "xcond", "{}", item.id);
        assert_eq!(new.component(now.component).id, old.component(item.component).id);
        assert_eq!(new.device(now.device).uuid, old.device(item.device).uuid);
    }
    assert_eq!(new.find_item("xpos").expect("stays").statistic, "AVERAGE");
    assert!(new.find_item("xcond").is_none());
    assert!(new.find_item("xload").is_some_and(|item| item.index.index() >= old.items().len()));
    assert_eq!(new.agent(), old.agent());
    assert!(new.model_change_time().nanos() >= old.model_change_time().nanos());

    let back = new.with_device_xml(Path::new("wire"), MILL).expect("loads").0;
    let returned = back.find_item("xcond").expect("is back");
    assert!(!returned.retired && old.find_item("xcond").is_some_and(|item| item.index == returned.index));
    assert_eq!(back.items().len(), new.items().len(), "going back and forth adds nothing");
    assert_eq!(back.components().len(), old.components().len());
    assert!(back.item(new.find_item("xload").expect("there").index).retired);
}

#[test]
fn an_item_that_becomes_another_kind_begins_anew() {
    let old = load(MILL);
    let xml = MILL.replace(
        "id=\"xcond\" type=\"POSITION\" category=\"CONDITION\"",
        "id=\"xcond\" type=\"AXIS_STATE\" category=\"EVENT\"",
    );
    let new = old.with_device_xml(Path::new("wire"), &xml).expect("loads").0;
    let was = old.find_item("xcond").expect("there").index;
    assert!(new.item(was).retired);
    assert_ne!(new.find_item("xcond").expect("there").index, was);
}

#[test]
fn a_new_device_is_added_and_a_bad_one_refused() {
    let old = load(MILL);
    let lathe = r#"<Device id="l" name="lathe" uuid="u-lathe"/>"#;
    let new = old.with_device_xml(Path::new("wire"), lathe).expect("loads").0;
    assert_eq!(new.devices().len(), 2);
    assert!(new.find_item("l_avail").is_some());
    let clash = r#"<Device id="axes" name="lathe" uuid="u-lathe"/>"#;
    let found = old.with_device_xml(Path::new("wire"), clash).expect_err("refused");
    assert_eq!(found[0].to_string(), "wire:1:9: the id `axes` is already used at 0.xml:3:14");
    for bad in ["<Devices/>", "rubbish", "<Devices><Device id='a'/><Device id='b'/></Devices>"] {
        assert!(old.with_device_xml(Path::new("wire"), bad).is_err(), "{bad}");
    }
}

#[test]
fn only_the_device_that_comes_gives_way_to_the_others() {
    let options = Options { duplicate_ids: DuplicateIds::Prefix, ..version("2.7") };
    let other = MILL.replace("u-mill", "u-2").replace("\"mill\"", "\"mill2\"");
    let old = build(&[MILL, &other], &options).expect("loads");
    let again = old.with_device_xml(Path::new("wire"), &other).expect("loads").0;
    let ids = |model: &DeviceModel| model.items().iter().map(|item| item.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&old), "the same device again changes nothing");
    assert!(again.items().iter().all(|item| !item.retired));
    assert_eq!(again.find_item("m_xpos").map(|item| item.written_id.as_str()), Some("xpos"));
}

#[test]
fn a_source_can_describe_its_device() {
    let model = load(MILL);
    let device = model.devices()[0].index;
    let describe = |model: &DeviceModel, name: &str, value: &str| {
        model.with_description(device, name, value).expect("good")
    };
    let model = describe(&model, "manufacturer", "Acme").expect("changes");
    let model = describe(&model, "SERIALNUMBER", "12").expect("changes");
    let model = describe(&model, "description", "A mill").expect("changes");
    let model = describe(&model, "nativeName", "M1").expect("changes");
    assert!(describe(&model, "manufacturer", "Acme").is_none(), "nothing new");
    assert!(describe(&model, "calibration", "x|1|2").is_none());
    assert!(describe(&model, "station", "\u{1}").is_none());
    let model = describe(&model, "uuid", "u-new").expect("changes");
    let device = &model.devices()[0];
    let description = device.element.child("Description").expect("made");
    assert_eq!(description.attribute("manufacturer"), Some("Acme"));
    assert_eq!(description.attribute("serialNumber"), Some("12"));
    assert_eq!(description.text(), "A mill");
    assert_eq!((device.uuid.as_str(), device.element.attribute("uuid")), ("u-new", Some("u-new")));
    assert_eq!(model.component(device.root).native_name, "M1");
    assert!(model.with_description(device.index, "uuid", "").is_err());
}

mod mutations {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        /// Bytes taken away, put in and changed: whatever comes of it, the answer is a model or
        /// findings.
        #[test]
        fn no_change_to_a_good_file_makes_it_panic(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..20, "[ -~]{0,6}"), 1..8),
            prefix in any::<bool>(),
        ) {
            let mut xml = format!("<Devices>{MILL}{}</Devices>", MILL.replace("u-mill", "u-2"));
            for (at, gone, new) in changes {
                let at = at.index(xml.len());
                let end = (at + gone).min(xml.len());
                if xml.is_char_boundary(at) && xml.is_char_boundary(end) {
                    xml.replace_range(at..end, &new);
                }
            }
            let duplicate_ids = if prefix { DuplicateIds::Prefix } else { DuplicateIds::Refuse };
            let options = Options { duplicate_ids, agent_device: true, ..version("2.7") };
            match build(&[&xml], &options) {
                Ok(model) => {
                    for (id, index) in &model.items_by_id {
                        prop_assert_eq!(&model.item(*index).id, id);
                    }
                    let _ = model.with_device_xml(Path::new("wire"), &xml);
                    let _ = model.with_device_xml(Path::new("wire"), MILL);
                }
                Err(findings) => prop_assert!(findings.iter().any(|f| f.severity == Severity::Error)),
            }
        }
    }
}
