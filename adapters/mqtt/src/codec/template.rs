//! What a write publishes.

use guideway_contract::{Native, Timestamp};
use serde_json::{Map, Number, Value};

/// A payload with places for the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Plain(String),
    Value,
    Text,
    Time,
    TimeMillis,
}

const PLACES: [(&str, Part); 4] = [
    ("{value}", Part::Value),
    ("{text}", Part::Text),
    ("{time}", Part::Time),
    ("{time_ms}", Part::TimeMillis),
];

impl Template {
    /// Everything but the four places stands for itself, other braces too.
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let (mut plain, mut rest) = (0, 0);
        while let Some(at) = text[rest..].find('{').map(|at| rest + at) {
            match PLACES.iter().find(|(name, _)| text[at..].starts_with(name)) {
                Some((name, part)) => {
                    if at > plain {
                        parts.push(Part::Plain(text[plain..at].to_owned()));
                    }
                    parts.push(part.clone());
                    rest = at + name.len();
                    plain = rest;
                }
                None => rest = at + 1,
            }
        }
        if plain < text.len() {
            parts.push(Part::Plain(text[plain..].to_owned()));
        }
        Self { parts }
    }

    /// Whether the value is in it at all.
    pub(crate) fn has_value(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value | Part::Text))
    }

    /// The payload for a value. The error says why it cannot be written.
    pub(crate) fn fill(&self, value: &Native, now: Timestamp) -> Result<String, String> {
        let mut payload = String::new();
        for part in &self.parts {
            match part {
                Part::Plain(text) => payload.push_str(text),
                Part::Value => payload.push_str(&json(value)?.to_string()),
                Part::Text => {
                    json(value)?;
                    payload.push_str(&value.to_string());
                }
                Part::Time => payload.push_str(&now.to_string()),
                Part::TimeMillis => payload.push_str(&(now.nanos() / 1_000_000).to_string()),
            }
        }
        Ok(payload)
    }
}

/// A raw value as JSON; bytes as hexadecimal text.
fn json(value: &Native) -> Result<Value, String> {
    Ok(match value {
        Native::Bad(cause) => return Err(format!("there is no value to write: {cause}")),
        Native::Null => Value::Null,
        Native::Bool(set) => Value::Bool(*set),
        Native::Int(number) => Value::from(*number),
        Native::UInt(number) => Value::from(*number),
        Native::Float(number) => {
            Value::Number(Number::from_f64(*number).ok_or_else(|| format!("JSON has no number {number}"))?)
        }
        Native::Text(text) => Value::from(text.as_str()),
        Native::Bytes(_) => Value::from(value.to_string()),
        Native::List(values) => Value::Array(values.iter().map(json).collect::<Result<_, _>>()?),
        Native::Record(fields) => {
            let mut members = Map::new();
            for (name, value) in fields.iter() {
                members.insert(name.to_string(), json(value)?);
            }
            Value::Object(members)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, value: &Native) -> Result<String, String> {
        Template::new(template).fill(value, Timestamp::from_nanos(1_700_000_000_123_000_000, 3))
    }

    #[test]
    fn the_value_is_put_in_as_json_or_as_text() {
        let text = Native::text("a\"b");
        assert_eq!(fill(r#"{"v": {value}}"#, &text).unwrap(), r#"{"v": "a\"b"}"#);
        assert_eq!(fill("{text}", &text).unwrap(), "a\"b");
        assert_eq!(fill("set {value}", &Native::Float(1.5)).unwrap(), "set 1.5");
        let list = Native::List([Native::Int(1), Native::Bool(true), Native::Null].into());
        assert_eq!(fill("{value}", &list).unwrap(), "[1,true,null]");
    }

    #[test]
    fn other_braces_stand_for_themselves() {
        assert_eq!(
            fill(r#"{{"t":{time_ms},"x":"{time}","{no}"#, &Native::Null).unwrap(),
            r#"{{"t":1700000000123,"x":"2023-11-14T22:13:20.123Z","{no}"#
        );
        assert!(!Template::new("{time} on").has_value());
        assert!(Template::new("{{text}}").has_value());
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        assert!(fill("{value}", &Native::Float(f64::NAN)).is_err());
        assert!(fill("{text}", &Native::Float(f64::INFINITY)).is_err());
        assert!(fill("{value}", &Native::bad("gone")).unwrap_err().contains("gone"));
    }
}
