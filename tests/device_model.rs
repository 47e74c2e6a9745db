//! The device model on files as they occur, and against the published schemas.
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use guideway::device_model::{AgentAdapter, AgentInfo, Category, DeviceModel, Options, Severity};
use guideway::documents::{Documents, Dressing, Format, Header};
use guideway_contract::{Shape, Timestamp};

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn agent() -> AgentInfo {
    let adapter = |name: &str| AgentAdapter { name: name.into(), uri: "shdr://127.0.0.1:7878".into() };
    AgentInfo {
        uuid: "5d5c86f1-5b5c-4e3b-93c3-1d8d2c9d3c5b".into(),
        name: "Agent".into(),
        adapters: vec![adapter("Mazak01"), adapter("GF Agie 01")],
    }
}

fn test_bed(version: Option<&str>) -> Option<DeviceModel> {
    let options = Options {
        devices: vec![shared("testbed/Devices.xml")?],
        schema_version: version.map(|version| version.parse().expect("a version")),
        ..Options::default()
    };
    Some(DeviceModel::load(&options, Path::new("/"), Some(agent())).expect("loads"))
}

#[test]
fn the_test_beds_own_file_loads_without_an_error() {
    let Some(model) = test_bed(None) else { return };
    assert!(model.warnings().iter().all(|warning| warning.severity == Severity::Warning));
    assert_eq!(model.version().to_string(), "1.3");
    assert_eq!(model.devices().len(), 8);
    assert!(model.agent().is_none(), "1.3 knows no Agent");
    let item = model.find_item("GFAgie01-path_basic_7").expect("there");
    assert_eq!(item.shape, Shape::Vector3);
    assert!(model.find_item("GFAgie01_asset_chg").is_some(), "1.2 asks for ASSET_CHANGED");
    let r#override = model.find_item("Hurco06-path_10").expect("there");
    assert_eq!((r#override.category, r#override.shape), (Category::Event, Shape::Number));
}

#[test]
fn devices_and_agent_are_valid_in_every_version() {
    let Some(schemas) = shared("mtconnect/schemas") else { return };
    if Command::new("xmllint").arg("--version").output().is_err() {
        println!("skipped: xmllint is not installed (libxml2-utils)");
        return;
    }
    for version in ["1.3", "1.8", "2.0", "2.2", "2.5", "2.7"] {
        let Some(model) = test_bed(Some(version)) else { return };
        assert_eq!(model.agent().is_some(), version != "1.3");
        let devices: Vec<_> = model.devices().iter().map(|device| device.index).collect();
        let header = Header {
            creation_time: Timestamp::now(),
            sender: "test".into(),
            instance_id: 1,
            device_model_change_time: model.model_change_time(),
            asset_buffer_size: 1024,
            asset_count: 0,
            buffer_size: 131_072,
            first_sequence: 1,
            last_sequence: 1,
            next_sequence: 2,
            test_indicator: false,
        };
        let documents = Documents::new(Arc::new(model), Dressing::default());
        let xml = documents.devices(Format::Xml, true, &header, &devices, &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("devices.xml");
        std::fs::write(&file, xml).expect("written");
        let verdict = Command::new("xmllint")
            .args(["--noout", "--nonet", "--schema"])
            .arg(schemas.join(format!("MTConnectDevices_{version}_1.0.xsd")))
            .arg(&file)
            .output()
            .expect("xmllint runs");
        assert!(verdict.status.success(), "{version}: {}", String::from_utf8_lossy(&verdict.stderr));
    }
}

/// Every type, component and unit that a schema knows is in the tables, and the tables know the
/// element that the schema gives each type.
#[test]
fn the_vocabulary_says_what_the_schemas_say() {
    use guideway::device_model::vocabulary;
    let Some(schemas) = shared("mtconnect/schemas") else { return };
    let read = |name: &str| std::fs::read_to_string(schemas.join(name)).expect("reads");
    for version in ["1.3", "1.8", "2.0", "2.2", "2.5", "2.7"] {
        let devices = read(&format!("MTConnectDevices_{version}_1.0.xsd"));
        let streams = read(&format!("MTConnectStreams_{version}_1.0.xsd"));
        let version = version.parse().expect("a version");
        for unit in enumeration(&devices, &["UnitsEnum", "UnitsTypeEnum"]) {
            let since = vocabulary::units(unit).unwrap_or_else(|| panic!("no unit {unit}"));
            assert!(!vocabulary::is_surely_missing(since, version), "{unit} in {version}");
        }
        for unit in enumeration(&devices, &["NativeUnitsEnum", "NativeUnitsTypeEnum"]) {
            assert!(vocabulary::native_units(unit).is_some(), "{unit}");
        }
        for sub_type in enumeration(&devices, &["DataItemSubEnumEnum", "DataItemSubEnumTypeEnum"]) {
            assert!(vocabulary::sub_type(sub_type).is_some(), "{sub_type}");
        }
        let mut checked = 0;
        for item_type in enumeration(&devices, &["DataItemEnumEnum", "DataItemEnumTypeEnum"]) {
            let Some(facts) = vocabulary::data_item_type(item_type) else { continue };
            assert!(!vocabulary::is_surely_missing(facts.since, version), "{item_type} in {version}");
            assert!(facts.until >= version, "{item_type} in {version}");
            if facts.category == Category::Condition {
                continue;
            }
            checked += 1;
            let is_there = ["name='", "name=\""].iter().any(|quote| {
                let (open, close) = quote.split_at(5);
                streams.contains(&format!("{open}{close}{}{close}", facts.element))
            });
            // Two schemas list types that they have no element for.
            assert!(
                is_there || matches!(item_type, "CLOCK_TIME" | "MASS" | "HARDWARE"),
                "{item_type} as {} in {version}",
                facts.element
            );
        }
        assert!(checked > 90, "{version}: {checked}");
    }
}

/// The values of the first simple type of one of these names.
fn enumeration<'s>(schema: &'s str, names: &[&str]) -> Vec<&'s str> {
    let start = names.iter().find_map(|name| {
        let single = format!("simpleType name='{name}'");
        let double = format!("simpleType name=\"{name}\"");
        schema.find(&single).or_else(|| schema.find(&double))
    });
    let body = &schema[start.expect("the schema has the type")..];
    let body = &body[..body.find("</xs:simpleType>").expect("the type ends")];
    let values = body.split("<xs:enumeration value=").skip(1);
    values.filter_map(|rest| rest[1..].split(['\'', '"']).next()).collect()
}
