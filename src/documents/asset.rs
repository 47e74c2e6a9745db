//! Assets as elements of MTConnectAssets.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::device_model::vocabulary::is_surely_missing;
use crate::device_model::{Element, Node, SchemaVersion};
use crate::journal::Asset;

use super::version;

/// Deeper elements are not read; no asset of the standard comes near.
const MAX_DEPTH: usize = 64;

/// Since which of the known schemas there are assets of a type; extensions are not listed.
const SINCE: [(&str, SchemaVersion); 14] = [
    ("AbstractFile", version::V1_8),
    ("ComponentConfigurationParameters", version::V2_2),
    ("File", version::V1_8),
    ("FileArchetype", version::V1_8),
    ("Fixture", version::V2_5),
    ("Pallet", version::V2_5),
    ("Part", version::V2_7),
    ("PartArchetype", version::V2_7),
    ("Process", version::V2_7),
    ("ProcessArchetype", version::V2_7),
    ("QIFDocumentWrapper", version::V2_2),
    ("RawMaterial", version::V2_2),
    ("Task", version::V2_7),
    ("TaskArchetype", version::V2_7),
];

/// The asset as that version can show it; `None` when the version has no such asset, or when the
/// body cannot be read.
pub(super) fn element(asset: &Asset, schema: SchemaVersion) -> Option<Element> {
    let since = SINCE.iter().find(|(name, _)| *name == asset.asset_type).map(|(_, since)| *since);
    if since.is_some_and(|since| is_surely_missing(since, schema)) {
        return None;
    }
    let mut element = read(&asset.body)?;
    element.set("assetId", asset.id.clone());
    element.set("timestamp", asset.time.to_string());
    element.set("deviceUuid", asset.device_uuid.clone());
    if asset.removed {
        element.set("removed", "true");
    } else {
        element.attributes.retain(|(name, _)| name != "removed");
    }
    // A part of the schemas from 2.2 to 2.5.
    if schema < version::V2_2 || schema >= version::V2_6 {
        element.attributes.retain(|(name, _)| name != "hash");
    }
    Some(element)
}

/// Reads an asset's XML. Names in MTConnect's own namespaces lose their prefix, because the
/// document they go into has a default namespace of its own; declarations of other namespaces stay
/// where they are.
fn read(body: &str) -> Option<Element> {
    let mut reader = Reader::from_str(body);
    let mut open: Vec<Element> = Vec::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() >= MAX_DEPTH {
                    return None;
                }
                open.push(start_tag(&start)?);
            }
            Event::Empty(start) => {
                let element = start_tag(&start)?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(Node::Element(element)),
                    None => return Some(unprefixed(element)),
                }
            }
            Event::End(_) => {
                let element = open.pop()?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(Node::Element(element)),
                    None => return Some(unprefixed(element)),
                }
            }
            Event::Text(text) => add_text(&mut open, &text.xml10_content()),
            Event::CData(text) => add_text(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&reference)?.to_owned(),
                };
                add_text(&mut open, &character);
            }
            Event::Eof => return None,
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {}
        }
    }
}

fn start_tag(start: &BytesStart<'_>) -> Option<Element> {
    let mut element = Element::new(start.name().into_inner());
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let name = attribute.key.into_inner();
        element.set(name, attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.as_ref());
    }
    Some(element)
}

/// Adds text to the innermost element; white space between elements is not kept.
fn add_text(open: &mut [Element], text: &str) {
    let Some(element) = open.last_mut() else { return };
    if let Some(Node::Text(before)) = element.children.last_mut() {
        *before = format!("{before}{text}").into();
    } else if !text.trim().is_empty() {
        element.children.push(Node::Text(text.into()));
    }
}

/// Takes MTConnect's own namespaces off the tree.
fn unprefixed(mut element: Element) -> Element {
    let mut own = vec!["m".to_owned()];
    for (name, value) in &element.attributes {
        if let Some(prefix) = name.strip_prefix("xmlns:")
            && value.starts_with("urn:mtconnect.org:MTConnect")
        {
            own.push(prefix.to_owned());
        }
    }
    strip(&mut element, &own);
    element
}

fn strip(element: &mut Element, own: &[String]) {
    if let Some((prefix, local)) = element.name.split_once(':')
        && own.iter().any(|known| known == prefix)
    {
        element.name = local.into();
    }
    element.attributes.retain(|(name, value)| {
        let default = name == "xmlns" && value.starts_with("urn:mtconnect.org:MTConnect");
        let prefixed =
            name.strip_prefix("xmlns:").is_some_and(|prefix| own.iter().any(|known| known == prefix));
        !default && !prefixed && name != "xmlns:xsi" && name != "xsi:schemaLocation"
    });
    for child in element.elements_mut() {
        strip(child, own);
    }
}
