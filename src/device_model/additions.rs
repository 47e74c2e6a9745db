//! Data items that every device has to have from some version on.

use smol_str::{SmolStr, format_smolstr};

use super::{Element, Node, SchemaVersion};

struct Required {
    item_type: &'static str,
    /// What is put after the device's id.
    suffix: &'static str,
    since: SchemaVersion,
    is_discrete: bool,
    is_data_set: bool,
}

/// In the order in which they are added; the ids are those of the reference agent.
const REQUIRED: [Required; 5] = [
    required("AVAILABILITY", "avail", SchemaVersion::new(1, 1), false, false),
    required("ASSET_CHANGED", "asset_chg", SchemaVersion::new(1, 2), true, false),
    required("ASSET_REMOVED", "asset_rem", SchemaVersion::new(1, 3), false, false),
    required("ASSET_COUNT", "asset_count", SchemaVersion::new(2, 0), false, true),
    required("ASSET_ADDED", "asset_add", SchemaVersion::new(2, 6), true, false),
];

const fn required(
    item_type: &'static str,
    suffix: &'static str,
    since: SchemaVersion,
    is_discrete: bool,
    is_data_set: bool,
) -> Required {
    Required { item_type, suffix, since, is_discrete, is_data_set }
}

/// Adds what the device lacks.
pub(super) fn add(device: &mut Element, version: SchemaVersion) {
    let id = SmolStr::new(device.attribute("id").unwrap_or_default());
    for wanted in REQUIRED.iter().filter(|wanted| wanted.since <= version) {
        let has_it = device.child("DataItems").is_some_and(|items| {
            items.elements().any(|item| item.attribute("type") == Some(wanted.item_type))
        });
        if has_it {
            continue;
        }
        let mut item_id = format_smolstr!("{id}_{}", wanted.suffix);
        while uses_id(device, &item_id) {
            item_id = format_smolstr!("{item_id}_");
        }
        let mut item = Element::new("DataItem")
            .with("category", "EVENT")
            .with("id", item_id)
            .with("type", wanted.item_type);
        if wanted.is_discrete && version >= SchemaVersion::new(1, 5) {
            item.set("discrete", "true");
        }
        if wanted.is_data_set {
            item.set("representation", "DATA_SET");
        }
        data_items(device).children.push(Node::Element(item));
    }
}

/// The device's `DataItems`, made in the place that the schema has for it when there is none.
fn data_items(device: &mut Element) -> &mut Element {
    if device.child("DataItems").is_none() {
        let before = |node: &Node| matches!(node, Node::Element(e) if matches!(e.name.as_str(), "Description" | "Configuration"));
        let at = device.children.iter().rposition(before).map_or(0, |last| last + 1);
        device.children.insert(at, Node::Element(Element::new("DataItems")));
    }
    device.child_or_new("DataItems")
}

fn uses_id(element: &Element, id: &str) -> bool {
    element.attribute("id") == Some(id) || element.elements().any(|child| uses_id(child, id))
}
