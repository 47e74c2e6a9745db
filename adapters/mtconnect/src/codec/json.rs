//! From JSON text to the elements that an XML document would have had, for both of the reference agent's
//! forms.
//!
//! In the first form a list is an array of objects with one key each, the element's name; in the second it is
//! an object that holds the elements by name. A key that begins with a capital letter is an element, any
//! other an attribute; `value` is the text, or the entries of a data set.

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::element::{Element, Node};
use super::{MAX_ELEMENTS, Malformed, Tree, is_name};

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Tree, Malformed> {
    let text = text.trim_start_matches('\u{FEFF}');
    // Each value but the first follows one of these: what this counts bounds what the text becomes in memory.
    if memchr::memchr3_iter(b',', b'{', b'[', text.as_bytes()).count() > 8 * MAX_ELEMENTS {
        return Err(Malformed::new("the document has too many values"));
    }
    let mut reader = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    // What follows a whole document is nobody's.
    let value = match reader.next() {
        Some(Ok(value)) => value,
        Some(Err(error)) => return Err(Malformed::new(format!("not well-formed JSON: {error}"))),
        None => return Err(Malformed::new("there is no document")),
    };
    let Value::Object(object) = &value else { return Err(Malformed::new("the document is no JSON object")) };
    let root = object.iter().find(|(key, _)| key.len() > 9 && key[..9].eq_ignore_ascii_case("MTConnect"));
    let Some((name, content)) = root else {
        return Err(Malformed::new("the JSON object is no MTConnect document"));
    };
    Ok(Tree { root: element(name, content), default: None, namespaces: Vec::new() })
}

/// `serde_json` has bounded the depth.
fn element(name: &str, content: &Value) -> Element {
    let mut element = Element::new(&name_of(name));
    match content {
        Value::Object(members) => fill(&mut element, members),
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(members) => fill(&mut element, members),
                    other => text(&mut element, other),
                }
            }
        }
        other => text(&mut element, other),
    }
    element
}

fn fill(element: &mut Element, members: &Map<String, Value>) {
    for (key, content) in members {
        match content {
            Value::Null => {}
            // Namespaces are XML's.
            _ if key.starts_with("xmlns") || key.starts_with("xsi:") => {}
            _ if key == "value" => value(element, content),
            Value::Object(_) => element.children.push(Node::Element(self::element(key, content))),
            Value::Array(items) => array(element, key, items),
            scalar if is_element(key) => element.children.push(Node::Element(self::element(key, scalar))),
            scalar => element.attributes.push((name_of(key), written(scalar))),
        }
    }
}

/// Either one element that holds those in the array, or an element for each.
fn array(parent: &mut Element, key: &str, items: &[Value]) {
    let wrapped = |item: &Value| match item {
        Value::Object(members) => members.len() == 1 && members.keys().all(|key| is_element(key)),
        _ => false,
    };
    if items.iter().all(wrapped) {
        let whole = Value::Array(Vec::new());
        let mut list = element(key, &whole);
        for item in items {
            if let Value::Object(members) = item {
                fill(&mut list, members);
            }
        }
        parent.children.push(Node::Element(list));
    } else if is_element(key) {
        parent.children.extend(items.iter().map(|item| Node::Element(element(key, item))));
    } else {
        let words: Vec<SmolStr> = items.iter().map(written).collect();
        parent.attributes.push((name_of(key), words.join(" ").into()));
    }
}

/// The text of an element: one value, several with spaces between, or the entries of a data set or table.
fn value(element: &mut Element, content: &Value) {
    match content {
        Value::Object(entries) => {
            for (key, cell) in entries {
                element.children.push(Node::Element(entry("Entry", key, cell)));
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                if let Value::Object(members) = item {
                    fill(element, members);
                }
            }
        }
        Value::Array(items) => {
            let words: Vec<SmolStr> = items.iter().map(written).collect();
            push_text(element, &words.join(" "));
        }
        other => text(element, other),
    }
}

fn entry(name: &str, key: &str, cell: &Value) -> Element {
    let mut element = Element::new(name);
    element.attributes.push(("key".into(), key.into()));
    match cell {
        Value::Object(cells) if cells.len() == 1 && cells.get("removed").is_some_and(|it| it == true) => {
            element.attributes.push(("removed".into(), "true".into()));
        }
        Value::Object(cells) if name == "Entry" => {
            for (key, cell) in cells {
                element.children.push(Node::Element(entry("Cell", key, cell)));
            }
        }
        other => text(&mut element, other),
    }
    element
}

fn text(element: &mut Element, value: &Value) {
    push_text(element, &written(value));
}

fn push_text(element: &mut Element, text: &str) {
    if !text.is_empty() {
        element.children.push(Node::Text(text.into()));
    }
}

fn written(value: &Value) -> SmolStr {
    match value {
        Value::String(text) => text.into(),
        Value::Null => SmolStr::default(),
        other => other.to_string().into(),
    }
}

/// Whether a key is an element's name; of `x:Name` the part behind the prefix counts.
fn is_element(key: &str) -> bool {
    let local = key.rsplit_once(':').map_or(key, |(_, local)| local);
    local.starts_with(|first: char| first.is_uppercase())
}

/// A name that XML can have.
fn name_of(key: &str) -> SmolStr {
    if is_name(key) {
        return key.into();
    }
    let is_good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut name: String = key.chars().map(|c| if is_good(c) { c } else { '_' }).collect();
    name.insert(0, '_');
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(json: &str) -> String {
        parse(json).unwrap().root.to_xml(None, &[])
    }

    #[test]
    fn both_forms_become_the_same_elements() {
        let first = r#"{"MTConnectStreams":{"Header":{"instanceId":5},"Streams":[{"DeviceStream":{"name":"M1",
            "ComponentStreams":[{"ComponentStream":{"component":"X","Samples":[{"Position":{"dataItemId":"x","value":1.5}},
            {"Position":{"dataItemId":"y","value":[1,2,3]}}],"Condition":[{"Normal":{"dataItemId":"c"}}]}}]}}]}}"#;
        let second = r#"{"MTConnectStreams":{"Header":{"instanceId":5},"Streams":{"DeviceStream":[{"name":"M1",
            "ComponentStream":[{"component":"X","Samples":{"Position":[{"dataItemId":"x","value":1.5},
            {"dataItemId":"y","value":[1,2,3]}]},"Condition":{"Normal":[{"dataItemId":"c"}]}}]}]}}}"#;
        let inner = "<ComponentStream component=\"X\"><Samples><Position dataItemId=\"x\">1.5</Position>\
            <Position dataItemId=\"y\">1 2 3</Position></Samples><Condition><Normal dataItemId=\"c\"/></Condition>\
            </ComponentStream>";
        let around = |inner: &str| {
            format!(
                "<MTConnectStreams><Header instanceId=\"5\"/><Streams><DeviceStream name=\"M1\">{inner}\
                 </DeviceStream></Streams></MTConnectStreams>"
            )
        };
        assert_eq!(xml(first), around(&format!("<ComponentStreams>{inner}</ComponentStreams>")));
        assert_eq!(xml(second), around(inner));
    }

    #[test]
    fn entries_of_a_table_are_elements() {
        let json = r#"{"MTConnectX":{"V":{"value":{"a":1,"b":{"removed":true},"c":{"x":"1","y":2.5}}}}}"#;
        assert_eq!(
            xml(json),
            "<MTConnectX><V><Entry key=\"a\">1</Entry><Entry key=\"b\" removed=\"true\"/>\
             <Entry key=\"c\"><Cell key=\"x\">1</Cell><Cell key=\"y\">2.5</Cell></Entry></V></MTConnectX>"
        );
    }

    #[test]
    fn keys_that_are_no_names_become_some() {
        assert_eq!(
            xml(r#"{"MTConnectX":{"a b":1,"X<":{},"x:Y":{}}}"#),
            "<MTConnectX xmlns:x=\"urn:extension:x\" _a_b=\"1\"><_X_/><x:Y/></MTConnectX>"
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in ["", "[]", "{}", "{\"a\":1}", "{\"MTConnectStreams\":", "nul"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
