//! What the gateway publishes over MQTT, read: the layouts `entity`, `uns` and `mtconnect` (JSON,
//! version 2 of the standard's form).

use std::fmt;

use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::reading::{Cell, Condition, Entries, Item, Level, Reading, Value, parse_time};

/// How observations become messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Layout {
    Entity,
    Uns,
    Mtconnect,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entity => "entity",
            Self::Uns => "uns",
            Self::Mtconnect => "mtconnect",
        })
    }
}

/// What a message says, and of which journal.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) layout: Layout,
    pub(super) instance: u64,
    pub(super) readings: Vec<(Item, Reading)>,
}

/// Reads a message; `None` when it is none of the gateway's observations.
pub(super) fn read(topic: &str, payload: &[u8]) -> Option<Said> {
    if payload.first() != Some(&b'{') {
        return None;
    }
    let Ok(Json::Object(object)) = serde_json::from_slice(payload) else { return None };
    if let Some(Json::Object(document)) = object.get("MTConnectStreams") {
        // A Current document says again what is known.
        return if topic.split('/').any(|level| level == "Current") { None } else { mtconnect(document) };
    }
    if object.contains_key("dataItemId") {
        entity(topic, &object)
    } else if object.contains_key("data_item") {
        uns(&object)
    } else {
        None
    }
}

fn entity(topic: &str, object: &Map<String, Json>) -> Option<Said> {
    // <prefix>/Devices/<uuid>/Observations/<dataItemId>
    let mut levels = topic.rsplit('/').skip(1);
    if levels.next() != Some("Observations") {
        return None;
    }
    let item = Item { device: levels.next()?.into(), id: text(object, "dataItemId") };
    let value = match object.get("result") {
        Some(Json::String(it)) if it == "UNAVAILABLE" => Value::Unavailable,
        _ if text(object, "category") == "CONDITION" => condition(object, "message"),
        Some(Json::String(it)) if text(object, "type") == "MESSAGE" => {
            Value::Message { native_code: text(object, "nativeCode"), text: it.into() }
        }
        Some(Json::String(it)) => Value::Text(it.into()),
        Some(Json::Object(it)) => structured(it, object.contains_key("resetTriggered")),
        other => Value::Strange(format!("{other:?}")),
    };
    single(Layout::Entity, object, "instanceId", item, value)
}

fn uns(object: &Map<String, Json>) -> Option<Said> {
    let item = Item { device: text(object, "device_uuid"), id: text(object, "data_item") };
    let value = match object.get("value") {
        Some(Json::Null) => Value::Unavailable,
        Some(Json::Object(it)) if text(object, "category") == "CONDITION" => condition(it, "message"),
        Some(Json::Object(it)) if text(object, "type") == "MESSAGE" => {
            Value::Message { native_code: text(it, "nativeCode"), text: text(it, "text") }
        }
        Some(Json::Object(it)) => structured(it, object.contains_key("reset_triggered")),
        Some(other) => simple(other),
        None => return None,
    };
    // Null and BAD have to go together.
    let bad = object.get("quality").is_some_and(|it| it == "BAD");
    let value = match (bad, value) {
        (true, Value::Unavailable) => Value::Unavailable,
        (true, other) => Value::Strange(format!("{other}, but quality BAD")),
        (false, Value::Unavailable) => Value::Strange("null, but quality is not BAD".into()),
        (false, value) => value,
    };
    single(Layout::Uns, object, "instance", item, value)
}

fn single(
    layout: Layout,
    object: &Map<String, Json>,
    instance: &str,
    item: Item,
    value: Value,
) -> Option<Said> {
    let time = parse_time(&text(object, "timestamp"))?;
    let sequence = Some(object.get("sequence")?.as_u64()?);
    let instance = object.get(instance)?.as_u64()?;
    Some(Said { layout, instance, readings: vec![(item, Reading { time, sequence, value })] })
}

fn mtconnect(document: &Map<String, Json>) -> Option<Said> {
    let instance = document.get("Header")?.get("instanceId")?.as_u64()?;
    let mut readings = Vec::new();
    let list = |of: &Json, name: &str| match of.get(name) {
        Some(Json::Array(list)) => list.clone(),
        _ => Vec::new(),
    };
    for device in list(document.get("Streams")?, "DeviceStream") {
        let uuid = device.get("uuid")?.as_str()?;
        for component in list(&device, "ComponentStream") {
            for category in ["Samples", "Events", "Condition"] {
                let Some(Json::Object(elements)) = component.get(category) else { continue };
                for (element, observations) in elements {
                    for observation in observations.as_array()? {
                        let reading = streamed(category, element, observation.as_object()?)?;
                        let id = text(observation.as_object()?, "dataItemId");
                        readings.push((Item { device: uuid.into(), id }, reading));
                    }
                }
            }
        }
    }
    readings.sort_by_key(|(_, reading)| reading.sequence);
    Some(Said { layout: Layout::Mtconnect, instance, readings })
}

fn streamed(category: &str, element: &str, object: &Map<String, Json>) -> Option<Reading> {
    let value = match object.get("value") {
        Some(Json::String(it)) if it == "UNAVAILABLE" => Value::Unavailable,
        _ if element == "Unavailable" => Value::Unavailable,
        _ if category == "Condition" => {
            let mut condition = condition(object, "value");
            if let Value::Condition(condition) = &mut condition {
                condition.level = level(&element.to_ascii_uppercase())?;
            }
            condition
        }
        Some(Json::String(it)) if element == "Message" => {
            Value::Message { native_code: text(object, "nativeCode"), text: it.into() }
        }
        Some(Json::String(it)) if object.contains_key("assetType") => {
            Value::Asset { asset_type: text(object, "assetType"), asset_id: it.into() }
        }
        Some(Json::Object(it)) => structured(it, object.contains_key("resetTriggered")),
        Some(other) => simple(other),
        None if element.ends_with("DataSet") || element.ends_with("Table") => {
            structured(&Map::new(), object.contains_key("resetTriggered"))
        }
        None => Value::Text("".into()),
    };
    let sequence = Some(object.get("sequence")?.as_u64()?);
    Some(Reading { time: parse_time(&text(object, "timestamp"))?, sequence, value })
}

fn simple(json: &Json) -> Value {
    match json {
        Json::String(it) => Value::Text(it.into()),
        Json::Number(it) => it.as_f64().map_or_else(|| Value::Strange(it.to_string()), Value::Number),
        Json::Array(list) => {
            let number = |it: &Json| match it {
                Json::String(text) => text.parse().ok(),
                other => other.as_f64(),
            };
            let numbers: Option<Vec<f64>> = list.iter().map(number).collect();
            numbers.map_or_else(|| Value::Strange(json.to_string()), Value::Numbers)
        }
        other => Value::Strange(other.to_string()),
    }
}

/// A series, an asset event, or entries.
fn structured(object: &Map<String, Json>, reset: bool) -> Value {
    if let Some(series @ Json::Array(_)) = object.get("values") {
        return simple(series);
    }
    if object.contains_key("assetType") && object.contains_key("assetId") {
        return Value::Asset { asset_type: text(object, "assetType"), asset_id: text(object, "assetId") };
    }
    let plain = |json: &Json| match json {
        Json::String(it) => SmolStr::from(it.as_str()),
        other => SmolStr::from(other.to_string()),
    };
    let cell = |json: &Json| match json {
        Json::Null => Cell::Removed,
        Json::Object(row) if row.get("removed") == Some(&Json::Bool(true)) => Cell::Removed,
        Json::Object(row) => Cell::Row(row.iter().map(|(key, it)| (key.into(), plain(it))).collect()),
        other => Cell::Plain(plain(other)),
    };
    let entries: Entries = object.iter().map(|(key, it)| (key.into(), cell(it))).collect();
    Value::Change { entries, reset }
}

fn condition(object: &Map<String, Json>, message: &str) -> Value {
    Value::Condition(Box::new(Condition {
        level: match level(&text(object, "level")) {
            Some(level) => level,
            // In a document the element's name says it.
            None if !object.contains_key("level") => Level::Normal,
            None => return Value::Strange(format!("level {:?}", object.get("level"))),
        },
        native_code: text(object, "nativeCode"),
        condition_id: text(object, "conditionId"),
        native_severity: text(object, "nativeSeverity"),
        qualifier: text(object, "qualifier"),
        message: text(object, message),
    }))
}

fn level(word: &str) -> Option<Level> {
    match word {
        "NORMAL" => Some(Level::Normal),
        "WARNING" => Some(Level::Warning),
        "FAULT" => Some(Level::Fault),
        _ => None,
    }
}

fn text(object: &Map<String, Json>, key: &str) -> SmolStr {
    object.get(key).and_then(Json::as_str).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(topic: &str, payload: &str) -> (Layout, Item, Value) {
        let mut said = read(topic, payload.as_bytes()).expect("an observation");
        assert_eq!((said.instance, said.readings.len()), (9, 1));
        let (item, reading) = said.readings.remove(0);
        assert_eq!((reading.time, reading.sequence), (1_000_000_000, Some(3)));
        (said.layout, item, reading.value)
    }

    const ENTITY: &str = "MTConnect/Devices/u1/Observations/x";

    fn entity_of(rest: &str) -> Value {
        let payload = format!(
            r#"{{"dataItemId":"x","timestamp":"1970-01-01T00:00:01Z","sequence":3,"instanceId":9,{rest}}}"#
        );
        let (layout, item, value) = one(ENTITY, &payload);
        assert_eq!((layout, item.device.as_str(), item.id.as_str()), (Layout::Entity, "u1", "x"));
        value
    }

    fn uns_of(rest: &str) -> Value {
        let payload = format!(
            r#"{{"data_item":"x","device_uuid":"u1","timestamp":"1970-01-01T00:00:01Z","sequence":3,"instance":9,{rest}}}"#
        );
        let (layout, item, value) = one("a/b", &payload);
        assert_eq!((layout, item.device.as_str(), item.id.as_str()), (Layout::Uns, "u1", "x"));
        value
    }

    #[test]
    fn every_kind_of_entity_message_is_read() {
        assert_eq!(entity_of(r#""result":"1.5""#), Value::Text("1.5".into()));
        assert_eq!(entity_of(r#""result":"UNAVAILABLE""#), Value::Unavailable);
        let message = entity_of(r#""type":"MESSAGE","nativeCode":"7","result":"door""#);
        assert_eq!(message, Value::Message { native_code: "7".into(), text: "door".into() });
        let set = entity_of(r#""result":{"a":1,"b":null,"r":{"x":"2"}},"resetTriggered":"DAY""#);
        let row = Cell::Row([("x".into(), "2".into())].into());
        let entries = [("a".into(), Cell::Plain("1".into())), ("b".into(), Cell::Removed), ("r".into(), row)];
        assert_eq!(set, Value::Change { entries: entries.into(), reset: true });
        let Value::Condition(it) = entity_of(r#""category":"CONDITION","level":"FAULT","nativeCode":"E1""#)
        else {
            panic!("a condition")
        };
        assert_eq!((it.level, it.native_code.as_str()), (Level::Fault, "E1"));
    }

    #[test]
    fn every_kind_of_uns_message_is_read() {
        assert_eq!(uns_of(r#""value":1.5,"quality":"GOOD""#), Value::Number(1.5));
        assert_eq!(uns_of(r#""value":null,"quality":"BAD""#), Value::Unavailable);
        assert_eq!(uns_of(r#""value":[1,2.5],"quality":"GOOD""#), Value::Numbers(vec![1.0, 2.5]));
        let series = uns_of(r#""value":{"rate":100,"values":[1,2]},"quality":"GOOD""#);
        assert_eq!(series, Value::Numbers(vec![1.0, 2.0]));
        let asset = uns_of(r#""value":{"assetType":"Tool","assetId":"T1"},"quality":"GOOD""#);
        assert_eq!(asset, Value::Asset { asset_type: "Tool".into(), asset_id: "T1".into() });
    }

    #[test]
    fn a_quality_that_contradicts_the_value_is_strange() {
        assert!(matches!(uns_of(r#""value":1,"quality":"BAD""#), Value::Strange(_)));
        assert!(matches!(uns_of(r#""value":null,"quality":"GOOD""#), Value::Strange(_)));
    }

    #[test]
    fn a_sample_document_is_read_in_order() {
        let document = r#"{"MTConnectStreams":{"Header":{"instanceId":9,"nextSequence":7},"Streams":{"DeviceStream":[
          {"uuid":"u1","ComponentStream":[{"Samples":{"Position":[
             {"dataItemId":"x","sequence":5,"timestamp":"1970-01-01T00:00:01Z","value":1.5},
             {"dataItemId":"x","sequence":3,"timestamp":"1970-01-01T00:00:01Z","value":"UNAVAILABLE"}]},
            "Condition":{"Fault":[{"dataItemId":"f","sequence":4,"timestamp":"1970-01-01T00:00:01Z","nativeCode":"E1","value":"hot"}]}}]}]}}}"#;
        let said = read("MTConnect/Sample/u1", document.as_bytes()).expect("a document");
        assert_eq!((said.layout, said.instance), (Layout::Mtconnect, 9));
        let values: Vec<&Value> = said.readings.iter().map(|(_, reading)| &reading.value).collect();
        assert_eq!((values[0], values[2]), (&Value::Unavailable, &Value::Number(1.5)));
        let Value::Condition(condition) = values[1] else { panic!("a condition") };
        assert_eq!((condition.level, condition.message.as_str()), (Level::Fault, "hot"));
        assert_eq!(read("MTConnect/Current/u1", document.as_bytes()), None);
    }

    #[test]
    fn what_is_not_the_gateways_is_left_alone() {
        for (topic, payload) in [
            ("a", ""),
            ("a", "12"),
            ("a", "{"),
            ("a", "{}"),
            ("other/x", r#"{"dataItemId":"x","result":"1"}"#),
            (ENTITY, r#"{"dataItemId":"x","result":"1"}"#),
        ] {
            assert_eq!(read(topic, payload.as_bytes()), None, "{topic} {payload}");
        }
    }
}
