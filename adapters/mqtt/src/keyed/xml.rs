//! JSON of devices and assets back to XML.
//!
//! In MTConnect's JSON, of either form, attributes are keys that begin small and elements are keys that begin large;
//! `value` is an element's text and `list` holds the children of a list that has attributes. Keys keep their order.

use serde_json::{Map, Value as Json};

use crate::codec::scalar_text;

/// The XML element of an object; `None` when the JSON is none, or a name in it cannot be one in XML.
pub(super) fn element(name: &str, json: &Json) -> Option<String> {
    let mut xml = String::new();
    json.as_object()?;
    write(&mut xml, name, json)?;
    Some(xml)
}

/// Writes an element; as deep as the parser let through.
fn write(xml: &mut String, name: &str, json: &Json) -> Option<()> {
    if !is_name(name) {
        return None;
    }
    xml.push('<');
    xml.push_str(name);
    match json {
        Json::Object(members) => object(xml, members)?,
        // A list of the first form.
        Json::Array(elements) if elements.iter().all(is_single) && !elements.is_empty() => {
            xml.push('>');
            for (name, inner) in elements.iter().filter_map(Json::as_object).flatten() {
                write(xml, name, inner)?;
            }
        }
        // Numbers that belong together, such as a vector's.
        Json::Array(elements) => {
            xml.push('>');
            let parts: Option<Vec<_>> = elements.iter().map(scalar_text).collect();
            escape(xml, &parts?.join(" "));
        }
        Json::Null => xml.push('>'),
        scalar => {
            xml.push('>');
            escape(xml, &scalar_text(scalar)?);
        }
    }
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
    Some(())
}

fn object(xml: &mut String, members: &Map<String, Json>) -> Option<()> {
    for (name, json) in members {
        if name == "value" || name == "list" || is_element(name) {
            continue;
        }
        // What is no scalar is no attribute.
        let Some(text) = scalar_text(json) else { continue };
        if !is_name(name) {
            return None;
        }
        xml.push(' ');
        xml.push_str(name);
        xml.push_str("=\"");
        escape(xml, &text);
        xml.push('"');
    }
    xml.push('>');
    for (name, json) in members {
        match json {
            _ if name == "value" => match json {
                Json::Array(_) => {
                    let parts: Option<Vec<_>> = json.as_array()?.iter().map(scalar_text).collect();
                    escape(xml, &parts?.join(" "));
                }
                scalar => escape(xml, &scalar_text(scalar).unwrap_or_default()),
            },
            _ if name == "list" => children(xml, json)?,
            Json::Array(elements) if is_element(name) && !is_one(elements) => {
                for inner in elements {
                    write(xml, name, inner)?;
                }
            }
            inner if is_element(name) => write(xml, name, inner)?,
            _ => {}
        }
    }
    Some(())
}

/// The children of a list, in either form.
fn children(xml: &mut String, json: &Json) -> Option<()> {
    match json {
        Json::Array(elements) => {
            for (name, inner) in elements.iter().filter_map(Json::as_object).flatten() {
                write(xml, name, inner)?;
            }
        }
        Json::Object(members) => {
            for (name, inner) in members {
                match inner {
                    Json::Array(elements) => elements.iter().try_for_each(|inner| write(xml, name, inner))?,
                    one => write(xml, name, one)?,
                }
            }
        }
        _ => {}
    }
    Some(())
}

/// Whether an array is one element: a list of the first form, or numbers that belong together.
fn is_one(elements: &[Json]) -> bool {
    !elements.is_empty() && (elements.iter().all(is_single) || elements.iter().all(Json::is_number))
}

/// Whether this is an element of a list of the first form: an object with one key, an element that is itself one.
fn is_single(json: &Json) -> bool {
    let Some(members) = json.as_object() else { return false };
    members.len() == 1 && members.iter().all(|(name, inner)| is_element(name) && inner.is_object())
}

fn is_element(name: &str) -> bool {
    let local = name.rsplit(':').next().unwrap_or(name);
    local.starts_with(|c: char| c.is_ascii_uppercase())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
}

fn escape(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '&' => xml.push_str("&amp;"),
            '"' => xml.push_str("&quot;"),
            '\n' => xml.push_str("&#10;"),
            '\t' => xml.push_str("&#9;"),
            '\r' => xml.push_str("&#13;"),
            // XML 1.0 cannot hold these.
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => xml.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DEVICE: &str = "<Device id=\"d\" uuid=\"u\"><Description manufacturer=\"A&amp;B\">the mill</Description>\
        <DataItems><DataItem category=\"EVENT\" id=\"avail\"></DataItem><DataItem id=\"x\"><Source>X</Source>\
        <Constraints><Value>A</Value><Value>B</Value></Constraints></DataItem></DataItems>\
        <Components><Axes id=\"a\"><Configuration><CoordinateSystems><CoordinateSystem id=\"c\">\
        <Origin>0 0 1.5</Origin></CoordinateSystem></CoordinateSystems></Configuration></Axes>\
        <Controller id=\"k\"></Controller></Components></Device>";

    #[test]
    fn either_form_of_a_device_is_the_same_element() {
        let first = json!({"id": "d", "uuid": "u",
            "Description": {"manufacturer": "A&B", "value": "the mill"},
            "DataItems": [{"DataItem": {"category": "EVENT", "id": "avail"}},
                {"DataItem": {"id": "x", "Source": "X",
                    "Constraints": [{"Value": {"value": "A"}}, {"Value": {"value": "B"}}]}}],
            "Components": [{"Axes": {"id": "a", "Configuration": {"CoordinateSystems":
                [{"CoordinateSystem": {"id": "c", "Origin": [0, 0, 1.5]}}]}}}, {"Controller": {"id": "k"}}]});
        let second = json!({"id": "d", "uuid": "u",
            "Description": {"manufacturer": "A&B", "value": "the mill"},
            "DataItems": {"DataItem": [{"category": "EVENT", "id": "avail"},
                {"id": "x", "Source": "X", "Constraints": {"Value": ["A", {"value": "B"}]}}]},
            "Components": {"Axes": [{"id": "a", "Configuration": {"CoordinateSystems":
                {"CoordinateSystem": [{"id": "c", "Origin": [0, 0, 1.5]}]}}}], "Controller": [{"id": "k"}]}});
        assert_eq!(element("Device", &first).as_deref(), Some(DEVICE));
        assert_eq!(element("Device", &second).as_deref(), Some(DEVICE));
    }

    #[test]
    fn a_list_with_attributes_keeps_both() {
        let expected = "<CuttingItems count=\"2\"><CuttingItem indices=\"1\"></CuttingItem></CuttingItems>";
        let first = json!({"count": 2, "list": [{"CuttingItem": {"indices": "1"}}]});
        let second = json!({"count": 2, "CuttingItem": [{"indices": "1"}]});
        assert_eq!(element("CuttingItems", &first).as_deref(), Some(expected));
        assert_eq!(element("CuttingItems", &second).as_deref(), Some(expected));
    }

    #[test]
    fn what_cannot_be_xml_is_refused_or_escaped() {
        assert_eq!(element("Device", &json!("text")), None);
        assert_eq!(element("Dev ice", &json!({})), None);
        assert_eq!(element("D", &json!({"a><b": 1})), None);
        assert_eq!(element("D", &json!({"A b": {}})), None);
        assert_eq!(
            element("D", &json!({"a": "<\"\u{0}\n"})).as_deref(),
            Some("<D a=\"&lt;&quot;&#10;\"></D>")
        );
    }
}
