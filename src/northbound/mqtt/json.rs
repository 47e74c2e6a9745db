//! Values as JSON, the same in every layout that is not MTConnect's own.

pub(super) use crate::documents::json_escaped as escaped;
use guideway_contract::{Cell, Condition, Entry, Level, Qualifier, Quality, Timestamp, Value};

/// Writes a string with its quotes. Escapes what RFC 8259, 7 asks for.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Writes `"key":`, behind a comma unless it is the first of its object.
pub(super) fn key(out: &mut Vec<u8>, key: &str) {
    if !matches!(out.last(), Some(b'{')) {
        out.push(b',');
    }
    string(out, key);
    out.push(b':');
}

/// Writes `"key":"text"`, or nothing when the text is empty.
pub(super) fn text_member(out: &mut Vec<u8>, name: &str, text: &str) {
    if !text.is_empty() {
        key(out, name);
        string(out, text);
    }
}

/// Writes a time in quotes.
pub(super) fn time(out: &mut Vec<u8>, time: Timestamp) {
    out.push(b'"');
    time.write(out);
    out.push(b'"');
}

/// Writes a whole number.
pub(super) fn integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Writes the shortest number that reads back the same; whole numbers without a fraction.
pub(super) fn number(out: &mut Vec<u8>, number: f64) {
    /// Up to here every whole number is exact in an `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !number.is_finite() {
        out.extend_from_slice(b"null");
    } else if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        integer(out, number as i64);
    } else {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    }
}

/// Writes a value of a data item. Where the item is `numeric`, a text is a number as its source wrote
/// it, and a number in JSON too.
pub(super) fn item_value(out: &mut Vec<u8>, it: &Value, numeric: bool) {
    match it.plain() {
        Value::Text(text) if numeric => match text.parse::<f64>() {
            Ok(parsed) if parsed.is_finite() => number(out, parsed),
            _ => string(out, text),
        },
        _ => value(out, it),
    }
}

/// Writes a value: `null` when unavailable, a number, a string, an array of three, or an object.
pub(super) fn value(out: &mut Vec<u8>, value: &Value) {
    match value.plain() {
        Value::Unavailable | Value::Annotated(_) => out.extend_from_slice(b"null"),
        Value::Number(it) => number(out, *it),
        Value::Text(text) => string(out, text),
        Value::Vector3(vector) => numbers(out, &vector[..]),
        Value::TimeSeries(series) => {
            out.push(b'{');
            if let Some(rate) = series.rate {
                key(out, "rate");
                number(out, rate);
            }
            key(out, "values");
            numbers(out, &series.values);
            out.push(b'}');
        }
        Value::DataSet(set) => entries(out, set.entries()),
        Value::Condition(it) => condition(out, it),
        Value::Message(message) => {
            out.push(b'{');
            text_member(out, "nativeCode", &message.native_code);
            key(out, "text");
            string(out, &message.text);
            out.push(b'}');
        }
        Value::AssetEvent(event) => {
            out.push(b'{');
            text_member(out, "assetType", &event.asset_type);
            key(out, "assetId");
            string(out, &event.asset_id);
            out.push(b'}');
        }
    }
}

/// Writes a value as text: numbers and text as they are, `UNAVAILABLE`, three numbers or a series
/// with spaces between, everything else as JSON.
pub(super) fn plain_text(out: &mut Vec<u8>, given: &Value) {
    match given.plain() {
        Value::Unavailable | Value::Annotated(_) => out.extend_from_slice(b"UNAVAILABLE"),
        Value::Number(it) => number(out, *it),
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Vector3(vector) => spaced(out, &vector[..]),
        Value::TimeSeries(series) => spaced(out, &series.values),
        other => value(out, other),
    }
}

/// Writes the members of a condition: `"level":"FAULT"` and what else is known.
pub(super) fn condition_members(out: &mut Vec<u8>, condition: &Condition) {
    key(out, "level");
    string(out, level(condition.level));
    text_member(out, "nativeCode", &condition.native_code);
    text_member(out, "nativeSeverity", &condition.native_severity);
    match condition.qualifier {
        Some(Qualifier::High) => text_member(out, "qualifier", "HIGH"),
        Some(Qualifier::Low) => text_member(out, "qualifier", "LOW"),
        None => {}
    }
    text_member(out, "conditionId", &condition.condition_id);
    text_member(out, "message", &condition.message);
}

/// The word for a quality; a value that is not available is bad whatever the source says.
pub(super) fn quality(quality: Quality, value: &Value) -> &'static str {
    match quality {
        _ if value.is_unavailable() => "BAD",
        Quality::Good => "GOOD",
        Quality::Uncertain => "UNCERTAIN",
        Quality::Bad => "BAD",
    }
}

fn condition(out: &mut Vec<u8>, condition: &Condition) {
    out.push(b'{');
    condition_members(out, condition);
    out.push(b'}');
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::Normal => "NORMAL",
        Level::Warning => "WARNING",
        Level::Fault => "FAULT",
    }
}

fn numbers(out: &mut Vec<u8>, values: &[f64]) {
    out.push(b'[');
    for (place, it) in values.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        number(out, *it);
    }
    out.push(b']');
}

fn spaced(out: &mut Vec<u8>, values: &[f64]) {
    for (place, it) in values.iter().enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        number(out, *it);
    }
}

fn entries(out: &mut Vec<u8>, entries: &[Entry]) {
    out.push(b'{');
    for entry in entries {
        key(out, &entry.key);
        match &entry.cell {
            Cell::Removed => out.extend_from_slice(b"null"),
            Cell::Integer(it) => integer(out, *it),
            Cell::Number(it) => number(out, *it),
            Cell::Text(text) => string(out, text),
            // A row holds no rows, so this goes one level deep.
            Cell::Row(cells) => self::entries(out, cells),
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guideway_contract::{Annotated, DataSet, Message, TimeSeries};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(given: &Value) -> serde_json::Value {
        let mut out = Vec::new();
        value(&mut out, given);
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn every_kind_of_value_has_its_json() {
        assert_eq!(parsed(&Value::Unavailable), json!(null));
        assert_eq!(parsed(&Value::Number(12.0)), json!(12));
        assert_eq!(parsed(&Value::Number(-0.25)), json!(-0.25));
        assert_eq!(parsed(&Value::text("a \"b\"\n\u{1}")), json!("a \"b\"\n\u{1}"));
        assert_eq!(parsed(&Value::Vector3(Arc::new([1.0, 2.5, -3.0]))), json!([1, 2.5, -3]));
        let series = TimeSeries { rate: Some(100.0), values: vec![1.0, 2.0] };
        assert_eq!(parsed(&Value::TimeSeries(Arc::new(series))), json!({"rate": 100, "values": [1, 2]}));
        let message = Message { native_code: "7".into(), text: "door".into() };
        assert_eq!(parsed(&Value::Message(Arc::new(message))), json!({"nativeCode": "7", "text": "door"}));
        let row = Cell::Row(vec![Entry { key: "c".into(), cell: Cell::Text("x".into()) }]);
        let set = DataSet::new(
            None,
            vec![
                Entry { key: "a".into(), cell: Cell::Integer(1) },
                Entry { key: "b".into(), cell: Cell::Removed },
                Entry { key: "r".into(), cell: row },
            ],
        );
        assert_eq!(parsed(&Value::DataSet(Arc::new(set))), json!({"a": 1, "b": null, "r": {"c": "x"}}));
    }

    #[test]
    fn a_condition_says_only_what_is_known() {
        let condition = Condition {
            level: Level::Fault,
            native_code: "A17".into(),
            native_severity: "".into(),
            qualifier: Some(Qualifier::High),
            message: "too hot".into(),
            condition_id: "".into(),
        };
        assert_eq!(
            parsed(&Value::Condition(Arc::new(condition))),
            json!({"level": "FAULT", "nativeCode": "A17", "qualifier": "HIGH", "message": "too hot"})
        );
    }

    #[test]
    fn a_value_with_a_duration_is_written_as_the_value() {
        let annotated = Annotated { value: Value::Number(3.5), duration: Some(1.0), reset_triggered: None };
        assert_eq!(parsed(&Value::Annotated(Arc::new(annotated))), json!(3.5));
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_json(text in ".*") {
            prop_assert_eq!(parsed(&Value::text(&text)), json!(text));
        }

        #[test]
        fn any_number_comes_back_from_json(number in any::<f64>().prop_filter("finite", |it| it.is_finite())) {
            let mut out = Vec::new();
            super::number(&mut out, number);
            let text = std::str::from_utf8(&out).expect("ASCII");
            prop_assert!(serde_json::from_str::<f64>(text).is_ok());
            prop_assert_eq!(text.parse::<f64>(), Ok(number));
        }
    }

    #[test]
    fn a_number_that_stayed_text_is_a_number_in_json() {
        let written = |text: &str, numeric| {
            let mut out = Vec::new();
            item_value(&mut out, &Value::text(text), numeric);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(written("5.000000", true), "5");
        assert_eq!(written("-0.5", true), "-0.5");
        assert_eq!(written("5.000000", false), "\"5.000000\"");
    }
}
