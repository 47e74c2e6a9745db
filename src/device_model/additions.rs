//! Data items that every device has to have from some version on.

use smol_str::{SmolStr, format_smolstr};

use super::{Element, Node, SchemaVersion};

/// A data item that devices have from some version on.
struct Required {
    item_type: &'static str,
    /// What is put after the device's id.
    suffix: &'static str,
    since: SchemaVersion,
    /// One asset can change twice without anything between, and both count. The attribute came
    /// with 1.5.
    is_discrete: bool,
    is_data_set: bool,
}

/// In the order in which they are added; the ids are those of the reference agent.
const REQUIRED: [Required; 5] = [
    required("AVAILABILITY", "avail", SchemaVersion::new(1, 1), false, false),
    required("ASSET_CHANGED", "asset_chg", SchemaVersion::new(1, 2), true, false),
    required("ASSET_REMOVED", "asset_rem", SchemaVersion::new(1, 3), true, false),
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
        let is_discrete = wanted.is_discrete && version >= SchemaVersion::new(1, 5);
        if let Some(item) = existing(device, wanted.item_type) {
            if is_discrete && item.attribute("discrete").is_none() {
                item.set("discrete", "true");
            }
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
        if is_discrete {
            item.set("discrete", "true");
        }
        if wanted.is_data_set {
            item.set("representation", "DATA_SET");
        }
        data_items(device).children.push(Node::Element(item));
    }
}

/// The device's own data item of that type.
fn existing<'d>(device: &'d mut Element, item_type: &str) -> Option<&'d mut Element> {
    let lists = device.elements_mut().filter(|child| child.name == "DataItems");
    lists.flat_map(Element::elements_mut).find(|item| {
        item.attribute("type") == Some(item_type) && item.attribute("category") != Some("CONDITION")
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn added(version: SchemaVersion) -> Vec<String> {
        let mut device = Element::new("Device").with("id", "d").with_child(Element::new("Components"));
        add(&mut device, version);
        assert_eq!(device.elements().next().map(|first| first.name.as_str()), Some("DataItems"));
        let again = {
            let mut again = device.clone();
            add(&mut again, version);
            again
        };
        assert_eq!(again, device, "nothing is added twice");
        let items = device.child("DataItems").into_iter().flat_map(Element::elements);
        items
            .map(|item| {
                format!(
                    "{}{}",
                    item.attribute("id").unwrap_or("?"),
                    if item.attribute("discrete").is_some() { "!" } else { "" }
                )
            })
            .collect()
    }

    #[test]
    fn each_version_gets_what_it_wants() {
        for (version, expected) in [
            ("1.1", vec!["d_avail"]),
            ("1.2", vec!["d_avail", "d_asset_chg"]),
            ("1.3", vec!["d_avail", "d_asset_chg", "d_asset_rem"]),
            ("1.8", vec!["d_avail", "d_asset_chg!", "d_asset_rem!"]),
            ("2.5", vec!["d_avail", "d_asset_chg!", "d_asset_rem!", "d_asset_count"]),
            ("2.7", vec!["d_avail", "d_asset_chg!", "d_asset_rem!", "d_asset_count", "d_asset_add!"]),
        ] {
            assert_eq!(added(version.parse().expect("a version")), expected, "{version}");
        }
        let mut earliest = Element::new("Device").with("id", "d");
        add(&mut earliest, SchemaVersion::new(1, 0));
        assert!(earliest.children.is_empty(), "1.0 asks for nothing");
    }

    #[test]
    fn what_is_there_is_used_and_made_discrete() {
        let item = Element::new("DataItem")
            .with("id", "mine")
            .with("type", "ASSET_CHANGED")
            .with("category", "EVENT");
        let mut device =
            Element::new("Device").with("id", "d").with_child(Element::new("DataItems").with_child(item));
        add(&mut device, SchemaVersion::new(1, 5));
        let items: Vec<&Element> = device.child("DataItems").expect("there").elements().collect();
        assert_eq!(items.len(), 3);
        assert_eq!(items[0].attribute("discrete"), Some("true"));
    }

    #[test]
    fn an_id_that_is_taken_is_not_taken_again() {
        let mut device = Element::new("Device")
            .with("id", "d")
            .with_child(Element::new("Components").with_child(Element::new("Axes").with("id", "d_avail")));
        add(&mut device, SchemaVersion::new(1, 1));
        let item = device.child("DataItems").and_then(|items| items.elements().next()).expect("added");
        assert_eq!(item.attribute("id"), Some("d_avail_"));
    }
}
