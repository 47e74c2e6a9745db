//! Models and observations to write documents of.

use std::sync::Arc;

use guideway::device_model::vocabulary::{self, ValueKind};
use guideway::device_model::{
    AgentAdapter, AgentInfo, Category, DataItem, DeviceIndex, DeviceModel, Options, Representation,
    SchemaVersion,
};
use guideway::documents::{Documents, Dressing, Header};
use guideway::journal::Recorded;
use guideway_contract::{
    Annotated, AssetEvent, Cell, Condition, DataSet, Entry, ItemIndex, Level, Message, Observation,
    Qualifier, Shape, TimeSeries, Timestamp, Validity, Value,
};

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a timestamp")
}

pub(crate) fn header() -> Header {
    Header {
        creation_time: time("2026-01-02T03:04:05.678901Z"),
        sender: "cell & hall".into(),
        instance_id: 1_700_000_000,
        device_model_change_time: time("2026-01-01T00:00:00Z"),
        asset_buffer_size: 1024,
        asset_count: 2,
        buffer_size: 131_072,
        first_sequence: 1,
        last_sequence: 4,
        next_sequence: 5,
        test_indicator: true,
    }
}

pub(crate) fn model(xml: &str, version: SchemaVersion) -> Arc<DeviceModel> {
    let options = Options { schema_version: Some(version), ..Options::default() };
    let agent = AgentInfo {
        uuid: "8c3b1f0a-0000-4000-8000-000000000001".into(),
        name: "Agent".into(),
        adapters: vec![AgentAdapter { name: "mill".into(), uri: "shdr://127.0.0.1:7878".into() }],
    };
    let agent = (version >= SchemaVersion::new(1, 7)).then_some(agent);
    let read = DeviceModel::from_xml(&[("fixture.xml".into(), xml.to_owned())], &options, agent);
    Arc::new(read.expect("the fixture is a model"))
}

pub(crate) fn documents(model: &Arc<DeviceModel>) -> Documents {
    Documents::new(model.clone(), Dressing::default())
}

pub(crate) fn all_devices(model: &DeviceModel) -> Vec<DeviceIndex> {
    model.devices().iter().map(|device| device.index).collect()
}

/// A device with an item for every type that the vocabulary knows, in every representation.
pub(crate) fn every_type() -> String {
    let mut items = String::new();
    let mut number = 0;
    let mut item = |category: &str, item_type: &str, more: &str| {
        number += 1;
        items.push_str(&format!(
            "<DataItem category=\"{category}\" id=\"i{number}\" name=\"n{number}\" type=\"{item_type}\"{more}/>\n"
        ));
    };
    for facts in vocabulary::data_item_types() {
        let units =
            if facts.units.is_empty() { String::new() } else { format!(" units=\"{}\"", facts.units) };
        match facts.category {
            Category::Sample => {
                item("SAMPLE", facts.name, &units);
                if facts.value == ValueKind::Float {
                    item(
                        "SAMPLE",
                        facts.name,
                        &format!("{units} representation=\"TIME_SERIES\" sampleRate=\"100\""),
                    );
                }
            }
            Category::Event => {
                item("EVENT", facts.name, &units);
                if facts.name != "ALARM" {
                    item("EVENT", facts.name, &format!("{units} representation=\"DATA_SET\""));
                    item("EVENT", facts.name, &format!("{units} representation=\"TABLE\""));
                }
                if matches!(facts.name, "BLOCK" | "MESSAGE" | "PART_COUNT" | "TOOL_ID") {
                    item("EVENT", facts.name, " representation=\"DISCRETE\"");
                }
            }
            Category::Condition => {}
        }
        item("CONDITION", facts.name, "");
    }
    format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.7\"><Devices>\
         <Device id=\"d\" name=\"every type\" uuid=\"every-type\"><DataItems>{items}</DataItems></Device>\
         </Devices></MTConnectDevices>"
    )
}

/// A value that the item may have in that version.
pub(crate) fn fitting_value(item: &DataItem, version: SchemaVersion) -> Value {
    let facts = vocabulary::data_item_type(&item.item_type);
    let word = || match facts.map(|facts| (facts.value, &facts.values)) {
        Some((ValueKind::Words, values)) => values
            .iter()
            .filter(|(_, since)| !vocabulary::is_surely_missing(*since, version))
            // Some types have changed all their words.
            .max_by_key(|(_, since)| *since)
            .map_or("UNAVAILABLE", |(word, _)| word),
        Some((ValueKind::Integer, _)) => "7",
        Some((ValueKind::Float, _)) => "1.5",
        Some((ValueKind::ThreeSpace, _)) => "1 2 3",
        Some((ValueKind::Time, _)) => "2024-02-29T12:00:00Z",
        _ if ["CLOSE_", "OPEN_", "MATERIAL_", "PART_CHANGE"]
            .iter()
            .any(|start| item.item_type.starts_with(start)) =>
        {
            "READY"
        }
        // A number in the schema of 1.8, text before and after.
        _ if item.item_type == "WORK_OFFSET" => "15",
        _ => "X1",
    };
    if item.category == Category::Condition {
        return condition(Level::Fault, "E7", "");
    }
    match item.representation {
        Representation::TimeSeries => {
            Value::TimeSeries(Arc::new(TimeSeries { rate: Some(100.0), values: vec![1.0, -2.5, 1e-7] }))
        }
        Representation::DataSet => {
            let set =
                vec![entry("a", Cell::Text(word().into())), entry("b", Cell::Text("UNAVAILABLE".into()))];
            Value::DataSet(Arc::new(DataSet::new(None, set)))
        }
        Representation::Table => {
            let row = Cell::Row(vec![entry("c", Cell::Text(word().into()))]);
            Value::DataSet(Arc::new(DataSet::new(
                Some("DAY".into()),
                vec![entry("r", row), entry("s", Cell::Removed)],
            )))
        }
        Representation::Value => match item.shape {
            Shape::Number if item.item_type != "CLOCK_TIME" => Value::Number(-12.25),
            Shape::Vector3 => Value::Vector3(Arc::new([1.0, -2.5, 0.0])),
            Shape::AssetEvent => Value::AssetEvent(Arc::new(AssetEvent {
                asset_type: "CuttingTool".into(),
                asset_id: "T1".into(),
            })),
            Shape::Message => Value::Message(Arc::new(Message {
                native_code: "M1".into(),
                text: "oil & water <low>".into(),
            })),
            _ => Value::text(word()),
        },
    }
}

pub(crate) fn entry(key: &str, cell: Cell) -> Entry {
    Entry { key: key.into(), cell }
}

pub(crate) fn condition(level: Level, code: &str, id: &str) -> Value {
    Value::Condition(Arc::new(Condition {
        level,
        native_code: code.into(),
        native_severity: "7".into(),
        qualifier: Some(Qualifier::High),
        message: "too \"hot\"".into(),
        condition_id: id.into(),
    }))
}

pub(crate) fn observe(sequence: u64, item: ItemIndex, value: Value) -> Recorded {
    let at = time("2026-01-02T03:04:05.4375000Z");
    (sequence, Observation::new(item, at, at, value))
}

/// For every item of the model: unavailable, then something that fits, then again with all that can
/// be said of how it came about.
pub(crate) fn every_observation(model: &DeviceModel) -> Vec<Recorded> {
    let mut recorded = Vec::new();
    let mut add = |item: &DataItem, value: Value, validity| {
        let (sequence, mut observation) = observe(recorded.len() as u64 + 1, item.index, value);
        observation.validity = validity;
        recorded.push((sequence, observation));
    };
    for item in model.items() {
        add(item, Value::Unavailable, Validity::Valid);
        let value = fitting_value(item, model.version());
        add(item, value.clone(), Validity::Unverifiable);
        if item.category == Category::Condition {
            add(item, condition(Level::Warning, "", ""), Validity::Valid);
            add(item, condition(Level::Fault, "", "c7"), Validity::Valid);
            add(item, condition(Level::Normal, "E7", "c7"), Validity::Valid);
            add(item, condition(Level::Normal, "", ""), Validity::Valid);
        } else {
            let annotated = Annotated { value, duration: Some(0.5), reset_triggered: Some("DAY".into()) };
            add(item, Value::Annotated(Arc::new(annotated)), Validity::Invalid);
        }
    }
    recorded
}
