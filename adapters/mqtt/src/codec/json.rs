//! JSON pointers and JSON values.

use std::borrow::Cow;
use std::sync::Arc;

use guideway_contract::Native;
use serde_json::Value;
use smol_str::SmolStr;

/// How often a pointer may go on inside a text that is JSON.
const MOST_TEXTS: u8 = 4;

/// A JSON pointer (RFC 6901), taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    segments: Vec<String>,
}

impl Pointer {
    /// Reads `/a/0/b`; empty is the whole document. The error says how it is written.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return if text.is_empty() {
                Ok(Self { segments: Vec::new() })
            } else {
                Err(format!("`{text}` is no JSON pointer; write for example \"/data/0/temp\""))
            };
        };
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            let mut tildes = segment.split('~');
            let mut read = tildes.next().unwrap_or_default().to_owned();
            for part in tildes {
                let (tilde, rest) = match part.as_bytes().first() {
                    Some(b'0') => ('~', &part[1..]),
                    Some(b'1') => ('/', &part[1..]),
                    _ => return Err(format!("`{text}`: in a JSON pointer `~` is written `~0` and `/` `~1`")),
                };
                read.push(tilde);
                read.push_str(rest);
            }
            segments.push(read);
        }
        Ok(Self { segments })
    }

    /// What it points at; `None` when there is nothing.
    pub(crate) fn find<'v>(&self, value: &'v Value) -> Option<Cow<'v, Value>> {
        find(&self.segments, value, 0)
    }
}

fn find<'v>(segments: &[String], value: &'v Value, texts: u8) -> Option<Cow<'v, Value>> {
    let mut at = value;
    for (depth, segment) in segments.iter().enumerate() {
        at = match at {
            Value::Object(members) => members.get(segment)?,
            Value::Array(elements) => {
                let plain = segment == "0" || !segment.starts_with(['0', '+']);
                elements.get(segment.parse::<usize>().ok().filter(|_| plain)?)?
            }
            Value::String(text) if texts < MOST_TEXTS => {
                let inner: Value = serde_json::from_str(text).ok()?;
                return find(&segments[depth..], &inner, texts + 1)
                    .map(|found| Cow::Owned(found.into_owned()));
            }
            _ => return None,
        };
    }
    Some(Cow::Borrowed(at))
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.segments
            .iter()
            .try_for_each(|segment| write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1")))
    }
}

/// A JSON value as a raw value. Numbers that fit 64 bits stay whole. Depth is what the parser let through.
pub(crate) fn native(value: &Value) -> Native {
    match value {
        Value::Null => Native::Null,
        Value::Bool(set) => Native::Bool(*set),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), ..) => Native::Int(whole),
            (_, Some(whole), _) => Native::UInt(whole),
            (.., Some(number)) => Native::Float(number),
            _ => Native::text(&number.to_string()),
        },
        Value::String(text) => Native::text(text),
        Value::Array(elements) => Native::List(elements.iter().map(native).collect()),
        Value::Object(members) => {
            let fields: Arc<[_]> =
                members.iter().map(|(name, value)| (SmolStr::new(name), native(value))).collect();
            Native::Record(fields)
        }
    }
}

/// A scalar as text: a text as it is, numbers and truths as JSON writes them. `None` for what holds others, and null.
pub(crate) fn scalar_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn at(pointer: &str, value: &Value) -> Option<Value> {
        Pointer::parse(pointer).unwrap().find(value).map(Cow::into_owned)
    }

    #[test]
    fn a_pointer_goes_by_names_and_places() {
        let value = json!({"a": [{"b": 1}, 2], "x/y": 3, "m~n": 4, "": 5});
        for (pointer, found) in [("/a/0/b", 1), ("/a/1", 2), ("/x~1y", 3), ("/m~0n", 4), ("/", 5)] {
            assert_eq!(at(pointer, &value), Some(json!(found)), "{pointer}");
        }
        assert_eq!(at("", &value), Some(value.clone()));
        for pointer in ["/b", "/a/2", "/a/-", "/a/00", "/a/+0", "/a/0/b/c", "/a/x"] {
            assert_eq!(at(pointer, &value), None, "{pointer}");
        }
    }

    #[test]
    fn a_pointer_goes_on_inside_text_that_is_json() {
        let inner = json!({"v": [7]}).to_string();
        let value = json!({"data": json!({"payload": inner}).to_string(), "text": "no json", "n": "5"});
        assert_eq!(at("/data/payload/v/0", &value), Some(json!(7)));
        assert_eq!(at("/text/v", &value), None);
        assert_eq!(at("/n", &value), Some(json!("5")));
        assert_eq!(at("/n/0", &value), None);
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["a", "a/b", "/a~", "/a~2"] {
            assert!(Pointer::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_keep_their_kind() {
        let value: Value = serde_json::from_str("[1,-1,18446744073709551615,1.5,1e400]").unwrap_or_default();
        assert_eq!(value, Value::Null, "a number beyond the range is not JSON to us");
        let value: Value = serde_json::from_str("[1,-1,18446744073709551615,1.5,{\"a\":null}]").unwrap();
        assert_eq!(native(&value).to_string(), "[1, -1, 18446744073709551615, 1.5, {a: null}]");
    }

    proptest! {
        #[test]
        fn a_pointer_is_read_back(segments in prop::collection::vec("[a-z~/0-9]{0,4}", 0..4)) {
            let pointer = Pointer { segments };
            prop_assert_eq!(Pointer::parse(&pointer.to_string()), Ok(pointer));
        }
    }
}
