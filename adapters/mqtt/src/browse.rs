//! What is published at a broker: topics, and what their messages hold.

use std::collections::BTreeMap;
use std::time::Duration;

use guideway_contract::{DataType, Found, Kind};
use serde_json::Value;
use smol_str::SmolStr;
use tokio::time::{Instant, timeout_at};

use crate::address::filter_issue;
use crate::link::{Cause, Inbound, Link, Options};
use crate::plan::split;

/// How long it is listened.
const LISTEN: Duration = Duration::from_secs(3);
/// Most topics that are kept.
const MOST_TOPICS: usize = 2_000;
/// Most values of one message that are shown.
const MOST_VALUES: usize = 200;
/// Most values altogether.
const MOST_FOUND: usize = 20_000;
/// How much of a value is shown.
const SHOWN: usize = 80;
/// How deep it is looked into a message.
const DEEPEST: usize = 16;

/// Listens for some seconds to the topics of `address` (empty: all) and lists what their messages hold.
pub(crate) async fn browse(options: &Options, address: &str) -> Result<Vec<Found>, Cause> {
    let filter = match address.trim() {
        "" => "#",
        address => split(address).0,
    };
    if let Some(wrong) = filter_issue(filter) {
        return Err(wrong);
    }
    let mut link = Link::connect(options).await?;
    let until = Instant::now() + LISTEN;
    let mut subscribing = link.subscribe(vec![filter.to_owned()], 0);
    let mut topics: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    let mut count = 0;
    let mut subscribed = false;
    loop {
        let next = tokio::select! {
            result = &mut subscribing, if !subscribed => {
                subscribed = true;
                if let Some(Some(why)) = result?.first() {
                    return Err(format!("the broker refuses the subscription to {filter} ({why})"));
                }
                continue;
            }
            next = timeout_at(until, link.inbound.recv()) => next,
        };
        match next {
            Ok(Some(message)) => keep(&message, options.max_payload, &mut topics, &mut count),
            Ok(None) => return Err(link.over().await.cause),
            Err(_) => break,
        }
    }
    link.disconnect().await;
    Ok(topics.into_values().flatten().collect())
}

fn keep(message: &Inbound, max_payload: usize, topics: &mut BTreeMap<String, Vec<Found>>, count: &mut usize) {
    let Ok(topic) = std::str::from_utf8(&message.topic) else { return };
    let known = topics.contains_key(topic);
    if !known && (topics.len() >= MOST_TOPICS || *count >= MOST_FOUND) {
        return;
    }
    let mut found = if message.size > max_payload {
        vec![leaf(topic, "", None, &format!("({} bytes)", message.size))]
    } else {
        payload(topic, &message.payload)
    };
    found.truncate(MOST_VALUES);
    *count += found.len();
    if let Some(before) = topics.insert(topic.to_owned(), found) {
        *count = count.saturating_sub(before.len());
    }
}

/// What a payload holds.
fn payload(topic: &str, payload: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    match crate::codec::parse(payload) {
        Ok(json) => walk(topic, &mut String::new(), &json, 0, &mut found),
        Err(_) => found.push(match std::str::from_utf8(payload) {
            Ok(text) => {
                let mut found = leaf(topic, "", Some(Kind::Auto), text);
                found.note = "not JSON: format = \"text\"".into();
                found
            }
            Err(_) => {
                let hex: String = payload.iter().take(SHOWN / 2).map(|byte| format!("{byte:02X}")).collect();
                let mut found = leaf(topic, "", Some(Kind::Auto), &hex);
                found.note = "no text: format = \"bytes\"".into();
                found
            }
        }),
    }
    found
}

fn walk(topic: &str, pointer: &mut String, json: &Value, depth: usize, found: &mut Vec<Found>) {
    if found.len() >= MOST_VALUES || depth > DEEPEST {
        return;
    }
    let length = pointer.len();
    match json {
        Value::Object(members) if !members.is_empty() => {
            for (name, inner) in members {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                walk(topic, pointer, inner, depth + 1, found);
                pointer.truncate(length);
            }
        }
        Value::Array(elements) if elements.iter().any(|inner| inner.is_object() || inner.is_array()) => {
            for (place, inner) in elements.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&place.to_string());
                walk(topic, pointer, inner, depth + 1, found);
                pointer.truncate(length);
            }
        }
        Value::String(text) if text.starts_with(['{', '[']) && depth < DEEPEST => {
            // A text that is JSON itself is looked into as a pointer would.
            match serde_json::from_str::<Value>(text) {
                Ok(inner) if !inner.is_string() => walk(topic, pointer, &inner, depth + 1, found),
                _ => found.push(leaf(topic, pointer, Some(Kind::Auto), text)),
            }
        }
        Value::Array(_) | Value::Object(_) => {
            found.push(leaf(topic, pointer, Some(Kind::Auto), &json.to_string()));
        }
        scalar => {
            let kind = match scalar {
                Value::Bool(_) => Kind::Bool,
                Value::Number(number) if number.is_i64() => Kind::I64,
                Value::Number(number) if number.is_u64() => Kind::U64,
                Value::Number(_) => Kind::F64,
                _ => Kind::Auto,
            };
            let shown = scalar.as_str().map_or_else(|| scalar.to_string(), str::to_owned);
            found.push(leaf(topic, pointer, Some(kind), &shown));
        }
    }
}

fn leaf(topic: &str, pointer: &str, kind: Option<Kind>, value: &str) -> Found {
    let address = if pointer.is_empty() { topic.to_owned() } else { format!("{topic}#{pointer}") };
    let last = pointer.rsplit('/').next().filter(|last| !last.is_empty());
    let label =
        last.or_else(|| topic.rsplit('/').next()).unwrap_or(topic).replace("~1", "/").replace("~0", "~");
    Found {
        address: SmolStr::from(address),
        label,
        note: String::new(),
        data_type: kind.map(DataType::one),
        units: SmolStr::default(),
        value: value.chars().take(SHOWN).collect(),
        writable: false,
        folder: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> Vec<(String, String, String)> {
        let show = |found: Found| {
            let data_type = found.data_type.map(|it| it.to_string()).unwrap_or_default();
            (found.address.to_string(), data_type, found.value)
        };
        payload("a/b", bytes).into_iter().map(show).collect()
    }

    #[test]
    fn each_value_of_a_message_has_the_address_that_reads_it() {
        let found = shown(br#"{"t":1.5,"x/y":[{"n":1},{"n":"z"}],"in":"{\"ok\":true}","list":[1,2]}"#);
        let expect = |address: &str, kind: &str, value: &str| (address.into(), kind.into(), value.into());
        assert_eq!(
            found,
            [
                expect("a/b#/t", "f64", "1.5"),
                expect("a/b#/x~1y/0/n", "i64", "1"),
                expect("a/b#/x~1y/1/n", "auto", "z"),
                expect("a/b#/in/ok", "bool", "true"),
                expect("a/b#/list", "auto", "[1,2]"),
            ]
        );
        assert_eq!(shown(b"ON"), [expect("a/b", "auto", "ON")]);
        assert_eq!(shown(b"5"), [expect("a/b", "i64", "5")]);
        assert_eq!(shown(b"\xFF\x01"), [expect("a/b", "auto", "FF01")]);
    }

    #[test]
    fn a_message_with_too_much_in_it_is_cut() {
        let many = serde_json::to_vec(&(0..10_000).map(|n| [n]).collect::<Vec<_>>()).unwrap();
        assert!(shown(&many).len() <= MOST_VALUES + 1);
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(shown(deep.as_bytes()).len() <= 1);
    }
}
