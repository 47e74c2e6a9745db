//! Assets as elements of MTConnectAssets.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use smol_str::SmolStr;

use crate::device_model::vocabulary::is_surely_missing;
use crate::device_model::{Element, Node, SchemaVersion};
use crate::journal::Asset;

use super::root::unknown_urn;
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
///
/// `declared` are the prefixes that the document declares.
pub(super) fn element(asset: &Asset, schema: SchemaVersion, declared: &[SmolStr]) -> Option<Element> {
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
    fit(&mut element, schema, true);
    declare(&mut element, declared);
    Some(element)
}

/// Declares prefixes that nobody declares, because otherwise the document could not be read.
fn declare(element: &mut Element, declared: &[SmolStr]) {
    let own = element.attributes.iter().filter_map(|(name, _)| name.strip_prefix("xmlns:")).map(SmolStr::new);
    let mut known: Vec<SmolStr> = declared.iter().cloned().chain(own).collect();
    let names = std::iter::once(&element.name).chain(element.attributes.iter().map(|(name, _)| name));
    let mut missing: Vec<SmolStr> = Vec::new();
    for (prefix, _) in names.filter_map(|name| name.split_once(':')) {
        if prefix != "xmlns" && !known.iter().chain(&missing).any(|known| known == prefix) {
            missing.push(prefix.into());
        }
    }
    for prefix in missing {
        element.set(&format!("xmlns:{prefix}"), unknown_urn(&prefix));
        known.push(prefix);
    }
    for child in element.elements_mut() {
        declare(child, &known);
    }
}

/// Parts of assets that not all versions have: the element they are in, their name, and whether a
/// version has them.
type Part = (&'static str, &'static str, fn(SchemaVersion) -> bool);

const ATTRIBUTES: [Part; 7] = [
    ("CuttingTool", "model", |schema| schema >= version::V2_6),
    ("CuttingTool", "station", |schema| schema >= version::V2_6),
    ("Location", "automaticToolChanger", |schema| schema > version::V1_3),
    ("Location", "toolBar", |schema| schema > version::V1_3),
    ("Location", "toolMagazine", |schema| schema > version::V1_3),
    ("Location", "toolRack", |schema| schema > version::V1_3),
    ("Location", "turret", |schema| schema > version::V1_3),
];

const ELEMENTS: [Part; 4] = [
    ("CuttingItem", "ProgramToolGroup", |schema| schema > version::V1_3),
    ("CuttingTool", "Configuration", |schema| schema >= version::V2_6),
    ("CuttingTool", "CuttingToolArchetypeReference", |schema| schema < version::V1_8),
    ("CuttingToolArchetype", "Configuration", |schema| schema >= version::V2_6),
];

/// What the schema of 1.3 demands, with what it means not to say it.
const DEMANDS_OF_1_3: [(&str, &str, &str); 6] = [
    ("ItemLife", "initial", "0"),
    ("ItemLife", "limit", "0"),
    ("Location", "negativeOverlap", "0"),
    ("Location", "positiveOverlap", "0"),
    ("ToolLife", "initial", "0"),
    ("ToolLife", "limit", "0"),
];

const LIFE_CYCLE: [&str; 11] = [
    "CutterStatus",
    "ReconditionCount",
    "ToolLife",
    "ProgramToolGroup",
    "ProgramToolNumber",
    "Location",
    "ProcessSpindleSpeed",
    "ProcessFeedRate",
    "ConnectionCodeMachineSide",
    "Measurements",
    "CuttingItems",
];
const ITEM: [&str; 6] =
    ["Description", "CutterStatus", "Locus", "ItemLife", "ProgramToolGroup", "Measurements"];
const TOOL_BEFORE_2_6: [&str; 4] =
    ["Description", "CuttingToolArchetypeReference", "CuttingToolDefinition", "CuttingToolLifeCycle"];
const TOOL: [&str; 4] = ["CuttingToolDefinition", "CuttingToolLifeCycle", "Description", "Configuration"];

/// Leaves out what the version does not have, and brings the rest into the order that it wants.
fn fit(element: &mut Element, schema: SchemaVersion, is_root: bool) {
    let name = element.name.clone();
    if is_root && (schema < version::V2_2 || schema >= version::V2_6) {
        element.attributes.retain(|(attribute, _)| attribute != "hash");
    }
    let has = |parts: &[Part], part: &str| {
        parts.iter().all(|(of, known, has)| *of != name || *known != part || has(schema))
    };
    element.attributes.retain(|(attribute, _)| has(&ATTRIBUTES, attribute));
    element.children.retain(|node| match node {
        Node::Element(child) => has(&ELEMENTS, &child.name),
        Node::Text(_) => true,
    });
    if schema <= version::V1_3 {
        for (_, attribute, value) in DEMANDS_OF_1_3.iter().filter(|(of, ..)| *of == name) {
            if element.attribute(attribute).is_none() {
                element.set(attribute, *value);
            }
        }
    }
    let order: &[&str] = match name.as_str() {
        "CuttingTool" | "CuttingToolArchetype" if schema < version::V2_6 => &TOOL_BEFORE_2_6,
        "CuttingTool" | "CuttingToolArchetype" => &TOOL,
        "CuttingToolLifeCycle" => &LIFE_CYCLE,
        "CuttingItem" => &ITEM,
        _ => &[],
    };
    if !order.is_empty() {
        element.children.sort_by_key(|node| match node {
            Node::Element(child) => order.iter().position(|name| *name == child.name).unwrap_or(order.len()),
            Node::Text(_) => 0,
        });
    }
    for child in element.elements_mut() {
        fit(child, schema, false);
    }
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
