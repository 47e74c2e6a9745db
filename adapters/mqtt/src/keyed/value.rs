//! JSON to values, by the shape of their point.

use std::sync::Arc;

use guideway_contract::{
    Annotated, AssetEvent, Cell, Condition, DataSet, Entry, Level, Message, Qualifier, Shape, TimeSeries,
    Value, sort_unique,
};
use guideway_shdr::codec;
use serde_json::{Map, Value as Json};
use smol_str::{SmolStr, StrExt};

use crate::codec::scalar_text;

/// A value and what is wrong with it. What does not fit its shape comes as text, for the pipeline to make of it what
/// an item has that nobody knows.
#[derive(Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) wrong: Option<&'static str>,
}

impl Read {
    const fn good(value: Value) -> Self {
        Self { value, wrong: None }
    }
}

/// Reads `result` as a value of that shape. `element` is what the observation is called in a document (`Fault`,
/// `Position`); `about` is the object that holds the result, with what more is said of it.
pub(crate) fn read(
    shape: Shape,
    element: Option<&str>,
    about: Option<&Map<String, Json>>,
    result: &Json,
) -> Read {
    let plain = match shape {
        Shape::Condition => return condition(element, about, result),
        _ if is_unavailable(result) => return Read::good(Value::Unavailable),
        Shape::Number => number(result).map(Value::Number).ok_or("is not a number"),
        Shape::Text => Ok(Value::Text(text(result))),
        Shape::Vector3 => vector(result).ok_or("is not three numbers"),
        Shape::TimeSeries => series(about, result).ok_or("is not a time series"),
        Shape::DataSet => data_set(about, result, false).ok_or("is not a data set"),
        Shape::Table => data_set(about, result, true).ok_or("is not a table"),
        Shape::Message => Ok(message(about, result)),
        Shape::AssetEvent => asset_event(about, result).ok_or("is not an asset's id"),
    };
    match plain {
        Ok(value) => Read::good(annotated(value, about)),
        Err(wrong) => Read { value: Value::Text(text(result)), wrong: Some(wrong) },
    }
}

fn is_unavailable(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::String(text) => text.trim().eq_ignore_ascii_case("UNAVAILABLE"),
        _ => false,
    }
}

fn text(json: &Json) -> SmolStr {
    scalar_text(json).map_or_else(|| json.to_string().into(), SmolStr::from)
}

fn number(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => codec::number(text.trim()),
        _ => None,
    }
}

fn numbers(json: &Json) -> Option<Vec<f64>> {
    match json {
        Json::Array(elements) => elements.iter().map(number).collect(),
        Json::String(text) => text.split_ascii_whitespace().map(codec::number).collect(),
        _ => None,
    }
}

fn vector(json: &Json) -> Option<Value> {
    let numbers = match json {
        // Entity layouts may write a position as an object.
        Json::Object(members) => ["x", "y", "z"]
            .map(|axis| members.get(axis).or_else(|| members.get(&axis.to_uppercase())).and_then(number))
            .into_iter()
            .collect::<Option<Vec<f64>>>()?,
        _ => numbers(json)?,
    };
    <[f64; 3]>::try_from(numbers).ok().map(|three| Value::Vector3(Arc::new(three)))
}

fn series(about: Option<&Map<String, Json>>, result: &Json) -> Option<Value> {
    let (values, rate) = match result {
        Json::Object(members) => {
            (numbers(members.get("values").or_else(|| members.get("value"))?)?, members.get("rate"))
        }
        _ => (numbers(result)?, None),
    };
    let rate = rate.or_else(|| about?.get("sampleRate")).and_then(number).filter(|rate| *rate > 0.0);
    Some(Value::TimeSeries(Arc::new(TimeSeries { rate, values })))
}

fn data_set(about: Option<&Map<String, Json>>, result: &Json, table: bool) -> Option<Value> {
    let reset = said(about, "resetTriggered").map(|word| word.to_ascii_uppercase_smolstr());
    let set = match result {
        Json::Object(members) => DataSet::new(reset, entries(members, table)?),
        Json::String(text) if table => codec::table(text)?,
        Json::String(text) => codec::data_set(text)?,
        _ => return None,
    };
    Some(Value::DataSet(Arc::new(set)))
}

fn entries(members: &Map<String, Json>, rows: bool) -> Option<Vec<Entry>> {
    let mut entries = Vec::with_capacity(members.len());
    for (key, json) in members {
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let cell = match json {
            Json::Null => Cell::Removed,
            Json::Object(inner) if inner.get("removed") == Some(&Json::Bool(true)) => Cell::Removed,
            Json::Object(inner) if rows => {
                let mut cells = entries_of_row(inner)?;
                sort_unique(&mut cells);
                Cell::Row(cells)
            }
            _ if rows => return None,
            scalar => cell(scalar)?,
        };
        entries.push(Entry { key: SmolStr::new(key), cell });
    }
    Some(entries)
}

/// A row replaces the row before, so a cell that is removed is simply not in it.
fn entries_of_row(members: &Map<String, Json>) -> Option<Vec<Entry>> {
    let mut cells = entries(members, false)?;
    cells.retain(|entry| entry.cell != Cell::Removed);
    Some(cells)
}

fn cell(json: &Json) -> Option<Cell> {
    match json {
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Some(Cell::Integer(whole)),
            None => number.as_f64().map(Cell::Number),
        },
        _ => scalar_text(json).map(|text| Cell::Text(SmolStr::from(text))),
    }
}

fn message(about: Option<&Map<String, Json>>, result: &Json) -> Value {
    let (members, text_of) = match result {
        Json::Object(members) => (Some(members), first(members, &["text", "value", "message", "result"])),
        other => (about, Some(other)),
    };
    let text = text_of.map(text).unwrap_or_default();
    Value::Message(Arc::new(Message { native_code: said(members, "nativeCode").unwrap_or_default(), text }))
}

fn asset_event(about: Option<&Map<String, Json>>, result: &Json) -> Option<Value> {
    let (members, id) = match result {
        Json::Object(members) => (Some(members), first(members, &["assetId", "value", "result"])?),
        other => (about, other),
    };
    if is_unavailable(id) {
        return Some(Value::Unavailable);
    }
    let asset_id = SmolStr::from(scalar_text(id)?);
    Some(Value::AssetEvent(Arc::new(AssetEvent {
        asset_type: said(members, "assetType").unwrap_or_default(),
        asset_id,
    })))
}

fn condition(element: Option<&str>, about: Option<&Map<String, Json>>, result: &Json) -> Read {
    let members = result.as_object().or(about);
    let word = members
        .and_then(|members| first(members, &["level", "state"]))
        .and_then(Json::as_str)
        .or_else(|| element.filter(|element| level(element).is_some()))
        .or_else(|| result.as_str())
        .or_else(|| members.and_then(|members| first(members, &["result", "value"])).and_then(Json::as_str));
    let Some(word) = word else {
        return Read { value: Value::Unavailable, wrong: Some("is a condition without a level") };
    };
    let Some(found) = level(word) else {
        return Read { value: Value::Text(text(result)), wrong: Some("is not a level of a condition") };
    };
    let Found::Level(level) = found else { return Read::good(Value::Unavailable) };
    let message = members.and_then(|members| first(members, &["message", "text", "value"]));
    let message = message.or(Some(result).filter(|result| !result.is_object()));
    let message = message.and_then(Json::as_str).filter(|text| *text != word).unwrap_or_default();
    let qualifier = match said(members, "qualifier").map(|word| word.to_ascii_uppercase_smolstr()).as_deref()
    {
        Some("HIGH") => Some(Qualifier::High),
        Some("LOW") => Some(Qualifier::Low),
        _ => None,
    };
    Read::good(Value::Condition(Arc::new(Condition {
        level,
        native_code: said(members, "nativeCode").unwrap_or_default(),
        native_severity: said(members, "nativeSeverity").unwrap_or_default(),
        qualifier,
        message: SmolStr::new(message),
        condition_id: said(members, "conditionId").unwrap_or_default(),
    })))
}

enum Found {
    Level(Level),
    Unavailable,
}

fn level(word: &str) -> Option<Found> {
    let words = [
        ("NORMAL", Found::Level(Level::Normal)),
        ("WARNING", Found::Level(Level::Warning)),
        ("FAULT", Found::Level(Level::Fault)),
        ("UNAVAILABLE", Found::Unavailable),
    ];
    words.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(word.trim())).map(|(_, found)| found)
}

fn annotated(value: Value, about: Option<&Map<String, Json>>) -> Value {
    let duration =
        about.and_then(|about| about.get("duration")).and_then(number).filter(|seconds| *seconds >= 0.0);
    let reset = said(about, "resetTriggered").map(|word| word.to_ascii_uppercase_smolstr());
    let reset_triggered = reset.filter(|_| !matches!(value, Value::DataSet(_)));
    if (duration.is_none() && reset_triggered.is_none()) || value.is_unavailable() {
        return value;
    }
    Value::Annotated(Arc::new(Annotated { value, duration, reset_triggered }))
}

/// What an object says under that name, where it is not empty.
fn said(members: Option<&Map<String, Json>>, name: &str) -> Option<SmolStr> {
    scalar_text(members?.get(name)?).map(SmolStr::from).filter(|text| !text.is_empty())
}

fn first<'j>(members: &'j Map<String, Json>, names: &[&str]) -> Option<&'j Json> {
    names.iter().find_map(|name| members.get(*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(shape: Shape, about: &Json, result: &Json) -> Value {
        let read = read(shape, None, about.as_object(), result);
        assert_eq!(read.wrong, None);
        read.value
    }

    #[test]
    fn simple_values_come_as_json_or_as_text() {
        let nothing = json!({});
        assert_eq!(of(Shape::Number, &nothing, &json!(1.5)), Value::Number(1.5));
        assert_eq!(of(Shape::Number, &nothing, &json!("1.5")), Value::Number(1.5));
        assert_eq!(of(Shape::Text, &nothing, &json!(5)), Value::text("5"));
        assert_eq!(of(Shape::Text, &nothing, &json!("unavailable")), Value::Unavailable);
        let vector = Value::Vector3(Arc::new([1.0, 2.0, 3.0]));
        for written in [json!([1, 2, 3]), json!("1 2 3"), json!({"x": 1, "Y": 2, "z": "3"})] {
            assert_eq!(of(Shape::Vector3, &nothing, &written), vector);
        }
        let about = json!({"sampleRate": 100, "duration": 2, "resetTriggered": "day"});
        let Value::Annotated(found) = of(Shape::TimeSeries, &about, &json!("1 2")) else {
            panic!("not annotated")
        };
        assert_eq!((found.duration, found.reset_triggered.as_deref()), (Some(2.0), Some("DAY")));
        assert_eq!(
            found.value,
            Value::TimeSeries(Arc::new(TimeSeries { rate: Some(100.0), values: vec![1.0, 2.0] }))
        );
    }

    #[test]
    fn sets_and_tables_are_objects_or_text() {
        let about = json!({"resetTriggered": "MANUAL"});
        let Value::DataSet(set) =
            of(Shape::DataSet, &about, &json!({"a": 1, "b": {"removed": true}, "c": "x"}))
        else {
            panic!("no set")
        };
        assert_eq!((set.reset.as_deref(), set.len()), (Some("MANUAL"), 3));
        assert_eq!(set.get("b"), Some(&Cell::Removed));
        let nothing = json!({});
        assert_eq!(
            of(Shape::Table, &nothing, &json!({"r": {"b": 2.5, "a": "t"}})),
            of(Shape::Table, &nothing, &json!("r={b=2.5 a='t'}"))
        );
        assert_eq!(read(Shape::DataSet, None, None, &json!({"a b": 1})).wrong, Some("is not a data set"));
        assert_eq!(read(Shape::Table, None, None, &json!({"a": 1})).wrong, Some("is not a table"));
    }

    #[test]
    fn a_condition_is_named_by_its_element_its_level_or_its_result() {
        let fault = Condition {
            level: Level::Fault,
            native_code: "7".into(),
            qualifier: Some(Qualifier::High),
            message: "hot".into(),
            ..Condition::normal()
        };
        let fault = Value::Condition(Arc::new(fault));
        let document = json!({"nativeCode": "7", "qualifier": "HIGH", "value": "hot"});
        let read_it = read(Shape::Condition, Some("Fault"), document.as_object(), &document["value"]);
        assert_eq!(read_it, Read::good(fault.clone()));
        let entity = json!({"level": "FAULT", "nativeCode": "7", "qualifier": "HIGH", "message": "hot"});
        assert_eq!(of(Shape::Condition, &entity, &Json::Null), fault);
        assert_eq!(of(Shape::Condition, &json!({}), &entity), fault);
        assert_eq!(
            of(Shape::Condition, &json!({}), &json!("normal")),
            Value::Condition(Arc::new(Condition::normal()))
        );
        let gone = read(Shape::Condition, Some("Unavailable"), None, &Json::Null);
        assert_eq!(gone.value, Value::Unavailable);
        assert!(read(Shape::Condition, None, None, &json!({"x": 1})).wrong.is_some());
        assert!(read(Shape::Condition, None, None, &json!("bad")).wrong.is_some());
    }

    #[test]
    fn messages_and_assets_carry_their_code_and_type() {
        let message = Value::Message(Arc::new(Message { native_code: "m1".into(), text: "hello".into() }));
        assert_eq!(of(Shape::Message, &json!({"nativeCode": "m1"}), &json!("hello")), message);
        assert_eq!(of(Shape::Message, &json!({}), &json!({"nativeCode": "m1", "text": "hello"})), message);
        let asset =
            Value::AssetEvent(Arc::new(AssetEvent { asset_type: "File".into(), asset_id: "f1".into() }));
        assert_eq!(of(Shape::AssetEvent, &json!({"assetType": "File"}), &json!("f1")), asset);
        assert_eq!(of(Shape::AssetEvent, &json!({}), &json!({"assetType": "File", "assetId": "f1"})), asset);
    }

    #[test]
    fn what_does_not_fit_is_passed_as_text() {
        let found = read(Shape::Number, None, None, &json!("12abc"));
        assert_eq!(found, Read { value: Value::text("12abc"), wrong: Some("is not a number") });
        assert_eq!(read(Shape::Vector3, None, None, &json!([1, 2])).value, Value::text("[1,2]"));
    }
}
