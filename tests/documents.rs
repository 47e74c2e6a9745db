//! Every kind of document in every version, checked against the published schemas.
//!
//! The schemas are not part of the project; where they or `xmllint` are missing the checks say that
//! they were skipped, but on the build machine (`CI=true`) they fail.

#[path = "documents/fixture.rs"]
mod fixture;
#[path = "documents/schemas.rs"]
mod schemas;

use std::sync::Arc;

use fixture::{
    all_devices, condition, documents, entry, every_observation, every_type, header, model, observe, time,
};
use guideway::device_model::{DeviceModel, Namespace, SchemaVersion};
use guideway::documents::{Documents, Dressing, Format, Problem, ProblemKind};
use guideway::journal::{Asset, Recorded};
use guideway_contract::{Cell, DataSet, Level, Message, TimeSeries, Value};
use schemas::{Checker, VERSIONS};

/// A model with all that a device can say of itself by the newest version.
const RICH: &str = include_str!("documents/rich.xml");
/// A model as one was written in 2012.
const OLD: &str = include_str!("documents/old.xml");

fn check_devices_and_streams(name: &str, xml: &str) {
    let Some(mut checker) = Checker::new() else { return };
    for version in VERSIONS {
        let model = model(xml, version);
        let documents = documents(&model);
        let observations = every_observation(&model);
        for pretty in [false, true] {
            let probe = documents.devices(
                Format::Xml,
                pretty,
                &header(),
                &all_devices(&model),
                &[("CuttingTool".into(), 2)],
            );
            checker.add(name, "Devices", version, &probe);
            let streams = documents.streams(Format::Xml, pretty, &header(), &observations);
            checker.add(name, "Streams", version, &streams);
        }
        let nothing = documents.streams(Format::Xml, false, &header(), &[]);
        checker.add("empty", "Streams", version, &nothing);
    }
    checker.check();
}

#[test]
fn every_type_of_the_vocabulary_is_valid_in_every_version() {
    check_devices_and_streams("every type", &every_type());
}

#[test]
fn a_rich_model_is_valid_in_every_version() {
    check_devices_and_streams("rich", RICH);
}

#[test]
fn an_old_model_is_valid_in_every_version() {
    check_devices_and_streams("old", OLD);
}

#[test]
fn every_error_is_valid_in_every_version() {
    let Some(mut checker) = Checker::new() else { return };
    let problem = |kind| Problem {
        kind,
        message: "it is <wrong> & bad".to_owned(),
        uri: Some("http://host:5000/sample?count=a&from=1".to_owned()),
        request: Some("MTConnectSample"),
    };
    let range = |parameter| ProblemKind::OutOfRange { parameter, value: "9".into(), minimum: 1, maximum: 8 };
    let value = |parameter: &str| ProblemKind::InvalidParameterValue {
        parameter: parameter.into(),
        value: "10abc".into(),
        expected: "integer",
    };
    let kinds = [
        ProblemKind::NoDevice,
        range("from"),
        range("at"),
        range("to"),
        ProblemKind::TooMany,
        ProblemKind::InvalidUri,
        ProblemKind::InvalidRequest,
        ProblemKind::InternalError,
        ProblemKind::InvalidXPath,
        ProblemKind::Unsupported,
        ProblemKind::Unauthorized,
        ProblemKind::AssetNotFound { asset_id: "T 9".into() },
        value("count"),
        value("removed"),
        ProblemKind::QueryError,
    ];
    for version in VERSIONS {
        let documents = documents(&model(OLD, version));
        let all: Vec<Problem> = kinds.iter().cloned().map(problem).collect();
        checker.add("all", "Error", version, &documents.error(Format::Xml, true, &header(), &all));
        for kind in &kinds {
            let bare = Problem { uri: None, request: None, ..problem(kind.clone()) };
            checker.add("one", "Error", version, &documents.error(Format::Xml, false, &header(), &[bare]));
        }
    }
    checker.check();
}

#[test]
fn an_error_says_what_was_out_of_range() {
    let documents = documents(&model(OLD, SchemaVersion::NEWEST));
    let problem = Problem {
        kind: ProblemKind::OutOfRange { parameter: "from", value: "99".into(), minimum: 1, maximum: 8 },
        message: "`from` must be from 1 to 8".into(),
        uri: Some("/sample?from=99".into()),
        request: Some("MTConnectSample"),
    };
    let text = String::from_utf8(documents.error(Format::Xml, false, &header(), &[problem])).expect("UTF-8");
    let expected = "<Errors><OutOfRange><URI>/sample?from=99</URI><Request>MTConnectSample</Request>\
        <ErrorMessage>`from` must be from 1 to 8</ErrorMessage><QueryParameter name=\"from\"><Value>99</Value>\
        <Minimum>1</Minimum><Maximum>8</Maximum></QueryParameter></OutOfRange></Errors></MTConnectError>\n";
    assert!(text.ends_with(expected), "{text}");
}

const CUTTING_TOOL: &str = r#"<m:CuttingTool xmlns:m="urn:mtconnect.org:MTConnectAssets:1.3" serialNumber="1" toolId="T" hash="h="
    deviceUuid="other" timestamp="2011-05-11T13:55:22Z" assetId="x" manufacturers="KMT">
  <!-- as a tool presetter sends it -->
  <m:Description>A &lt;tool&gt; &#x26; more</m:Description>
  <m:CuttingToolLifeCycle>
    <m:Location type="POT" toolMagazine="1">5</m:Location>
    <m:CutterStatus><m:Status>NEW</m:Status></m:CutterStatus>
    <m:ToolLife type="PART_COUNT" countDirection="DOWN" limit="300">200</m:ToolLife>
    <m:ProcessSpindleSpeed maximum="13300" minimum="605">10000</m:ProcessSpindleSpeed>
    <m:Measurements><m:FunctionalLength code="LF" nominal="120.65">120.404</m:FunctionalLength></m:Measurements>
    <m:CuttingItems count="1"><m:CuttingItem indices="1" itemId="I1"><m:Measurements>
      <m:CornerRadius code="RE" nominal="0.8">0.8</m:CornerRadius></m:Measurements></m:CuttingItem></m:CuttingItems>
  </m:CuttingToolLifeCycle>
</m:CuttingTool>"#;

const RAW_MATERIAL: &str =
    "<RawMaterial assetId='r' timestamp='2020-01-01T00:00:00Z' deviceUuid='u'><Form>BAR</Form></RawMaterial>";

fn asset(id: &str, asset_type: &str, removed: bool, body: &str) -> Arc<Asset> {
    Arc::new(Asset {
        id: id.into(),
        asset_type: asset_type.into(),
        device_uuid: "old-1".into(),
        time: time("2026-01-02T03:04:05.6789Z"),
        removed,
        body: body.into(),
    })
}

#[test]
fn assets_are_valid_in_every_version_that_has_them() {
    let Some(mut checker) = Checker::new() else { return };
    let assets = [
        asset("T1", "CuttingTool", false, CUTTING_TOOL),
        asset("T2", "CuttingTool", true, CUTTING_TOOL),
        asset("R1", "RawMaterial", false, RAW_MATERIAL),
    ];
    for version in VERSIONS {
        let documents = documents(&model(OLD, version));
        for pretty in [false, true] {
            checker.add("all", "Assets", version, &documents.assets(Format::Xml, pretty, &header(), &assets));
        }
        checker.add("none", "Assets", version, &documents.assets(Format::Xml, false, &header(), &[]));
    }
    checker.check();
}

#[test]
fn an_asset_has_the_identity_that_the_journal_gave_it() {
    let documents = documents(&model(OLD, SchemaVersion::new(1, 3)));
    let assets =
        [asset("T1", "CuttingTool", true, CUTTING_TOOL), asset("R1", "RawMaterial", false, RAW_MATERIAL)];
    let text = String::from_utf8(documents.assets(Format::Xml, false, &header(), &assets)).expect("UTF-8");
    let start = "<Assets><CuttingTool serialNumber=\"1\" toolId=\"T\" deviceUuid=\"old-1\" \
        timestamp=\"2026-01-02T03:04:05.6789Z\" assetId=\"T1\" manufacturers=\"KMT\" removed=\"true\">\
        <Description>A &lt;tool&gt; &amp; more</Description><CuttingToolLifeCycle>";
    assert!(text.contains(start), "{text}");
    // 1.3 knows no raw material.
    assert!(!text.contains("RawMaterial"), "{text}");
}

#[test]
fn an_asset_of_an_extension_can_be_read_even_if_nobody_declared_its_prefix() {
    let documents = documents(&model(OLD, SchemaVersion::NEWEST));
    let body = "<y:Jig assetId='j' timestamp='2020-01-01T00:00:00Z' deviceUuid='u'><y:Bolt z:n='1'/></y:Jig>";
    let text = documents.assets(Format::Xml, false, &header(), &[asset("j", "y:Jig", false, body)]);
    let text = String::from_utf8(text).expect("UTF-8");
    let jig = text.split("<Assets>").nth(1).expect("assets");
    assert!(
        jig.contains(
            " xmlns:y=\"urn:guideway:extension:y\"><y:Bolt z:n=\"1\" xmlns:z=\"urn:guideway:extension:z\"/>"
        ),
        "{jig}"
    );
}

#[test]
fn a_body_that_is_no_xml_is_left_out() {
    let documents = documents(&model(OLD, SchemaVersion::NEWEST));
    let deep = "<a>".repeat(100);
    for body in ["", "T1", "<CuttingTool", "<CuttingTool></Other>", "<a b='&x;'/>", &deep] {
        let text =
            documents.assets(Format::Xml, false, &header(), &[asset("T1", "CuttingTool", false, body)]);
        assert!(String::from_utf8(text).expect("UTF-8").contains("<Assets/>"), "{body}");
    }
}

#[test]
fn what_a_version_lacks_is_said_and_left_out_of_streams_too() {
    let old = model(RICH, SchemaVersion::new(1, 3));
    let documents = documents(&old);
    let left_out: Vec<&str> = documents.left_out().map(|item| item.id.as_str()).collect();
    assert_eq!(left_out, ["xwav", "pcharge", "vars", "offsets", "power", "orient", "line"]);
    let streams = documents.streams(Format::Xml, false, &header(), &every_observation(&old));
    let streams = String::from_utf8(streams).expect("UTF-8");
    for id in left_out {
        assert!(!streams.contains(&format!("dataItemId=\"{id}\"")), "{id}");
    }
}

#[test]
fn items_of_a_component_that_a_version_lacks_belong_to_the_one_above() {
    let old = model(RICH, SchemaVersion::new(1, 3));
    let documents = documents(&old);
    let probe = documents.devices(Format::Xml, false, &header(), &all_devices(&old), &[]);
    let probe = String::from_utf8(probe).expect("UTF-8");
    let hydraulic = probe.split("<Hydraulic ").nth(1).and_then(|rest| rest.split("</Hydraulic>").next());
    let hydraulic = hydraulic.expect("it is there");
    assert!(hydraulic.contains("id=\"ppress\"") && hydraulic.contains("id=\"vtemp\""), "{hydraulic}");
    assert!(!probe.contains("<Pump") && !probe.contains("<Valve"), "{probe}");
    let streams = documents.streams(Format::Xml, false, &header(), &every_observation(&old));
    let streams = String::from_utf8(streams).expect("UTF-8");
    let hydraulic = streams.split("componentId=\"hydraulic\"").nth(1).expect("it is there");
    assert!(hydraulic.split("</ComponentStream>").next().is_some_and(|own| own.contains("\"vtemp\"")));
    assert!(!streams.contains("componentId=\"pump\""));
}

#[test]
fn every_item_in_streams_is_in_the_probe() {
    for version in VERSIONS {
        let model = model(RICH, version);
        let documents = documents(&model);
        let probe = documents.devices(Format::Xml, false, &header(), &all_devices(&model), &[]);
        let probe = String::from_utf8(probe).expect("UTF-8");
        let streams = documents.streams(Format::Xml, false, &header(), &every_observation(&model));
        let streams = String::from_utf8(streams).expect("UTF-8");
        for (key, in_probe) in
            [("dataItemId=\"", " id=\""), ("componentId=\"", " id=\""), ("compositionId=\"", " id=\"")]
        {
            for rest in streams.split(key).skip(1) {
                let id = rest.split('"').next().unwrap_or_default();
                assert!(probe.contains(&format!("{in_probe}{id}\"")), "{version}: {key}{id}");
            }
        }
    }
}

#[test]
fn a_document_around_a_shared_body_is_the_whole_document() {
    let model = model(RICH, SchemaVersion::NEWEST);
    let documents = documents(&model);
    let observations = every_observation(&model);
    for format in [Format::Xml, Format::JsonV1, Format::JsonV2] {
        for pretty in [false, true] {
            let body = documents.streams_body(format, pretty, &observations);
            assert_eq!(
                documents.streams_around(format, pretty, &header(), &body),
                documents.streams(format, pretty, &header(), &observations)
            );
        }
    }
}

/// The recorded machines' own model, in its own version and in others.
#[test]
fn the_testbed_model_is_valid_in_every_version() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/testbed/Devices.xml");
    let Ok(xml) = std::fs::read_to_string(&path) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is not there", path.display());
        return;
    };
    let Some(mut checker) = Checker::new() else { return };
    for version in VERSIONS {
        let model = model(&xml, version);
        let documents = documents(&model);
        let probe = documents.devices(Format::Xml, false, &header(), &all_devices(&model), &[]);
        checker.add("testbed", "Devices", version, &probe);
        // Elements of extensions are judged by schemas that are not at hand.
        let own: Vec<_> = every_observation(&model)
            .into_iter()
            .filter(|(_, observation)| !model.item(observation.item).item_type.contains(':'))
            .collect();
        checker.add("testbed", "Streams", version, &documents.streams(Format::Xml, false, &header(), &own));
    }
    checker.check();
}

const EXTENDED: &str = r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.0" xmlns:x="urn:example.com:ExampleDevices:2.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="urn:example.com:ExampleDevices:2.0 /schemas/ExampleDevices_2.0.xsd"><Devices>
  <Device id="d" name="dev" uuid="u"><DataItems><DataItem category="EVENT" id="avail" type="AVAILABILITY"/></DataItems><Components>
    <x:Gripper id="g" x:force="5"><DataItems><DataItem category="EVENT" id="grip" type="x:GRIP_STATE"/></DataItems></x:Gripper>
  </Components></Device></Devices></MTConnectDevices>"#;

#[test]
fn an_extension_keeps_its_prefix_and_namespace() {
    let model = model(EXTENDED, SchemaVersion::new(2, 0));
    let namespace = |prefix: &str, urn: &str, location: &str| Namespace {
        prefix: prefix.into(),
        urn: urn.into(),
        location: location.into(),
    };
    let dressing = Dressing {
        streams_namespaces: vec![
            namespace("x", "urn:example.com:ExampleStreams:2.0", "/schemas/ExampleStreams_2.0.xsd"),
            namespace("m", "urn:mtconnect.org:MTConnectStreams:2.0", "/schemas/MTConnectStreams_2.0.xsd"),
        ],
        streams_style: Some("/styles/streams.xsl".to_owned()),
        ..Dressing::default()
    };
    let documents = Documents::new(model.clone(), dressing);
    let grip = model.find_item("grip").expect("it is there").index;
    let streams = documents.streams(Format::Xml, false, &header(), &[observe(7, grip, Value::text("open"))]);
    let streams = String::from_utf8(streams).expect("UTF-8");
    let start = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <?xml-stylesheet type=\"text/xsl\" href=\"/styles/streams.xsl\"?>\n\
        <MTConnectStreams xmlns:m=\"urn:mtconnect.org:MTConnectStreams:2.0\" xmlns=\"urn:mtconnect.org:MTConnectStreams:2.0\" \
        xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:x=\"urn:example.com:ExampleStreams:2.0\" \
        xsi:schemaLocation=\"urn:mtconnect.org:MTConnectStreams:2.0 /schemas/MTConnectStreams_2.0.xsd \
        urn:example.com:ExampleStreams:2.0 /schemas/ExampleStreams_2.0.xsd\"><Header";
    assert!(streams.starts_with(start), "{streams}");
    let grip = "<x:GripState dataItemId=\"grip\" sequence=\"7\" timestamp=\"2026-01-02T03:04:05.4375000Z\">open</x:GripState>";
    assert!(streams.contains(grip), "{streams}");

    let probe = documents.devices(Format::Xml, false, &header(), &all_devices(&model), &[]);
    let probe = String::from_utf8(probe).expect("UTF-8");
    assert!(probe.contains("xmlns:x=\"urn:example.com:ExampleDevices:2.0\""), "{probe}");
    assert!(probe.contains("<x:Gripper id=\"g\" x:force=\"5\">"), "{probe}");

    // Nobody says what `x` is in streams: it is declared all the same, so that the document can be read.
    let bare = Documents::new(model, Dressing::default());
    let streams = String::from_utf8(bare.streams(Format::Xml, false, &header(), &[])).expect("UTF-8");
    assert!(streams.contains("xmlns:x=\"urn:example.com:ExampleStreams:2.0\""), "{streams}");
}

/// Observations of every shape, for the forms of JSON.
fn of_every_shape(model: &DeviceModel) -> Vec<Recorded> {
    let item = |id: &str| model.find_item(id).expect("it is there").index;
    let set =
        |reset: Option<&str>, entries| Value::DataSet(Arc::new(DataSet::new(reset.map(Into::into), entries)));
    let row = Cell::Row(vec![entry("x", Cell::Number(1.5)), entry("tool", Cell::Text("T 1".into()))]);
    let values = vec![
        ("avail", Value::text("AVAILABLE")),
        ("xpos", Value::Number(12.5)),
        ("xpos", Value::Number(13.0)),
        ("xload", Value::Unavailable),
        ("xwav", Value::TimeSeries(Arc::new(TimeSeries { rate: None, values: vec![1.0, 2.5] }))),
        ("xtravel", condition(Level::Fault, "E7", "c7")),
        ("xtravel", condition(Level::Normal, "", "")),
        ("sys", Value::Unavailable),
        ("vars", set(Some("DAY"), vec![entry("a", Cell::Integer(1)), entry("b", Cell::Text("two".into()))])),
        ("vars", set(None, vec![entry("a", Cell::Removed), entry("c", Cell::Number(0.5))])),
        ("offsets", set(None, vec![entry("G54", row)])),
        ("msg", Value::Message(Arc::new(Message { native_code: "M1".into(), text: "low \"oil\"".into() }))),
        ("pathpos", Value::Vector3(Arc::new([1.0, 2.5, -3.0]))),
        ("line", Value::text("42")),
        ("ovr", Value::Number(87.5)),
        ("exec", Value::text("ACTIVE")),
    ];
    (1..).zip(values).map(|(sequence, (id, value))| observe(sequence, item(id), value)).collect()
}

/// Compares JSON with what is kept in `tests/documents`; `UPDATE_GOLDEN=1` writes it anew.
fn assert_golden(name: &str, document: &[u8]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, document).expect("written");
    }
    let kept = std::fs::read_to_string(&path).expect("the golden file");
    let written = String::from_utf8(document.to_vec()).expect("UTF-8");
    assert_eq!(written, kept, "{name} has changed; if that is meant, run with UPDATE_GOLDEN=1");
    serde_json::from_str::<serde_json::Value>(&written).expect("it is JSON");
}

#[test]
fn json_has_the_form_of_the_reference() {
    let model = model(RICH, SchemaVersion::NEWEST);
    let documents = documents(&model);
    let observations = of_every_shape(&model);
    let mill: Vec<_> =
        model.devices().iter().filter(|device| !device.is_agent).map(|device| device.index).collect();
    let assets = [asset("T1", "CuttingTool", false, CUTTING_TOOL)];
    let problem = Problem {
        kind: ProblemKind::OutOfRange { parameter: "from", value: "99".into(), minimum: 1, maximum: 8 },
        message: "`from` must be from 1 to 8".into(),
        uri: Some("/sample?from=99".into()),
        request: Some("MTConnectSample"),
    };
    for (version, format) in [(1, Format::JsonV1), (2, Format::JsonV2)] {
        let streams = documents.streams(format, true, &header(), &observations);
        assert_golden(&format!("streams.v{version}.json"), &streams);
        assert_golden(
            &format!("devices.v{version}.json"),
            &documents.devices(format, true, &header(), &mill, &[]),
        );
        assert_golden(
            &format!("assets.v{version}.json"),
            &documents.assets(format, true, &header(), &assets),
        );
        assert_golden(
            &format!("error.v{version}.json"),
            &documents.error(format, true, &header(), std::slice::from_ref(&problem)),
        );
    }
}

#[test]
fn streams_without_observations_are_empty_in_json_too() {
    let documents = documents(&model(OLD, SchemaVersion::NEWEST));
    for (format, empty) in [(Format::JsonV1, serde_json::json!([])), (Format::JsonV2, serde_json::json!({}))]
    {
        let text = documents.streams(format, false, &header(), &[]);
        let read: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
        assert_eq!(read["MTConnectStreams"]["Streams"], empty);
    }
}
