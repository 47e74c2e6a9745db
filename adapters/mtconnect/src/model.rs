//! The peer's device model: which of its devices are followed, and what the agent is told of them.

use guideway_contract::{DataType, Found};
use smol_str::SmolStr;

use crate::codec::{Element, Node, Tree};

/// A device that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its uuid; its name or id where it says none.
    pub(crate) uuid: SmolStr,
    /// Its name; may be empty.
    pub(crate) name: SmolStr,
    /// The ids of its data items.
    pub(crate) ids: Vec<SmolStr>,
    /// Its element as the gateway's model takes it.
    pub(crate) xml: String,
}

/// What a probe says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    /// The devices to follow.
    pub(crate) followed: Vec<Device>,
    /// Names and uuids of the others.
    pub(crate) others: Vec<(SmolStr, SmolStr)>,
}

impl Model {
    /// Sorts the devices of a probe.
    ///
    /// # Errors
    /// Names the devices that are asked for and not there, and those that are there.
    pub(crate) fn read(tree: &Tree, wanted: &[String], agent_device: bool) -> Result<Self, String> {
        let mut model = Self::default();
        let mut missing: Vec<&str> = wanted.iter().map(String::as_str).collect();
        for element in devices(tree) {
            let of = |name: &str| element.attribute(name).map(SmolStr::new).unwrap_or_default();
            let (name, id) = (of("name"), of("id"));
            let uuid = [of("uuid"), name.clone(), id.clone()].into_iter().find(|it| !it.is_empty());
            let uuid = uuid.unwrap_or_default();
            let is_called =
                |called: &str| !called.is_empty() && (called == name || called == uuid || called == id);
            let is_followed = if wanted.is_empty() {
                agent_device || !element.is("Agent")
            } else {
                wanted.iter().any(|wanted| is_called(wanted)) || (agent_device && element.is("Agent"))
            };
            missing.retain(|wanted| !is_called(wanted));
            if is_followed && !uuid.is_empty() {
                model.followed.push(taken(tree, element, uuid, name));
            } else {
                model.others.push((name, uuid));
            }
        }
        if !missing.is_empty() || model.followed.is_empty() {
            let there: Vec<String> =
                devices(tree).take(20).map(|device| format!("`{}`", called(device))).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            return Err(match missing.first() {
                Some(first) => format!("the agent has no device `{first}`; it has {there}"),
                None => format!("the agent has no device to follow; it has {there}"),
            });
        }
        Ok(model)
    }

    /// The followed device of a stream, by its uuid or its name.
    pub(crate) fn followed(&self, name: &str, uuid: &str) -> Option<&Device> {
        let by_uuid = self.followed.iter().find(|device| !uuid.is_empty() && device.uuid == uuid);
        by_uuid.or_else(|| {
            let named = |device: &&Device| !name.is_empty() && (device.name == name || device.uuid == name);
            // A uuid that is another device's says more than a name.
            let foreign = !uuid.is_empty() && self.others.iter().any(|(_, other)| other == uuid);
            self.followed.iter().find(named).filter(|_| !foreign)
        })
    }

    /// Whether the peer has a device of that name or uuid that is not followed.
    pub(crate) fn is_other(&self, name: &str, uuid: &str) -> bool {
        self.others
            .iter()
            .any(|(known, id)| (!uuid.is_empty() && id == uuid) || (!name.is_empty() && known == name))
    }
}

fn devices(tree: &Tree) -> impl Iterator<Item = &Element> {
    let list = tree.root.child("Devices").unwrap_or(&tree.root);
    // The first form of JSON may hold a list of lists.
    list.elements().filter(|element| element.is("Device") || element.is("Agent"))
}

fn called(device: &Element) -> &str {
    ["name", "uuid", "id"].into_iter().find_map(|name| device.attribute(name)).unwrap_or("?")
}

/// The device as the gateway takes it: values come in its units and filtered already, so nothing in it may
/// convert or filter them again.
fn taken(tree: &Tree, element: &Element, uuid: SmolStr, name: SmolStr) -> Device {
    let mut device = element.clone();
    // The peer's Agent device is an ordinary one here; the gateway has its own.
    device.name = "Device".into();
    device.set("uuid", &uuid);
    if name.is_empty() {
        device.set("name", device.attribute("id").unwrap_or(&uuid).to_owned().as_str());
    }
    if device.attribute("id").is_none() {
        let part = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        device.set("id", &format!("d_{}", uuid.chars().map(part).collect::<String>()));
    }
    // It stands for the content as the peer has it.
    device.unset("hash");
    let mut ids = Vec::new();
    clean(&mut device, &mut ids);
    let xml = device.to_xml(tree.default.as_deref(), &tree.namespaces);
    Device { uuid, name, ids, xml }
}

fn clean(element: &mut Element, ids: &mut Vec<SmolStr>) {
    if element.is("DataItem") {
        // Without units nothing is converted, and those of the machine are all that is known.
        if element.attribute("units").is_some() {
            element.unset("nativeUnits");
        }
        element.unset("nativeScale");
        let is_filter = |node: &Node| match node {
            Node::Element(child) => child.is("Filters") || child.is("Filter"),
            Node::Text(_) => false,
        };
        element.children.retain(|node| !is_filter(node));
        ids.extend(element.attribute("id").map(SmolStr::new));
    }
    for node in &mut element.children {
        if let Node::Element(child) = node {
            clean(child, ids);
        }
    }
}

/// Lists the data items of a probe.
pub(crate) fn found(tree: &Tree) -> Vec<Found> {
    let mut found = Vec::new();
    for device in devices(tree) {
        items(device, called(device), &mut found);
    }
    found
}

fn items(component: &Element, path: &str, found: &mut Vec<Found>) {
    let of = |element: &Element, name: &str| element.attribute(name).unwrap_or_default().to_owned();
    for child in component.elements() {
        if child.is("DataItems") {
            for item in child.elements().filter(|item| item.is("DataItem")) {
                let name = item.attribute("name").or_else(|| item.attribute("id")).unwrap_or("?");
                let kinds =
                    [of(item, "category"), of(item, "type"), of(item, "subType"), of(item, "representation")];
                let kinds: Vec<String> = kinds.into_iter().filter(|kind| !kind.is_empty()).collect();
                found.push(Found {
                    address: item.attribute("id").unwrap_or_default().into(),
                    label: format!("{path}/{name}"),
                    note: kinds.join(" "),
                    data_type: Some(DataType::default()),
                    units: of(item, "units").into(),
                    value: String::new(),
                    writable: false,
                    folder: false,
                });
            }
        } else if child.is("Components") {
            for part in child.elements() {
                let name = part.attribute("name").map_or_else(String::new, |name| format!("[{name}]"));
                items(part, &format!("{path}/{}{name}", part.local()), found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Document, document};

    const PROBE: &str = "<MTConnectDevices xmlns='urn:mtconnect.org:MTConnectDevices:2.2' xmlns:x='urn:x'><Header/>\
        <Devices><Agent id='agent' name='Agent' uuid='a'/><Device id='d' name='M1' uuid='u1' hash='h'><DataItems>\
        <DataItem id='avail' category='EVENT' type='AVAILABILITY'/></DataItems><Components><Axes id='ax'><Components>\
        <Linear id='x' name='X'><DataItems><DataItem id='xp' name='Xpos' category='SAMPLE' type='POSITION' \
        subType='ACTUAL' units='MILLIMETER' nativeUnits='INCH' nativeScale='10'><Filters><Filter type='PERIOD'>5</Filter>\
        </Filters></DataItem></DataItems></Linear></Components></Axes></Components></Device>\
        <Device name='M2' x:color='red'><DataItems><DataItem id='t' category='SAMPLE' type='TEMPERATURE' \
        nativeUnits='FAHRENHEIT'/></DataItems></Device></Devices></MTConnectDevices>";

    fn tree() -> Tree {
        match document(PROBE.as_bytes()) {
            Ok(Document::Devices(_, tree)) => tree,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_devices_but_the_agent_are_followed_unless_some_are_named() {
        let names = |wanted: &[&str], agent| {
            let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
            let model = Model::read(&tree(), &wanted, agent)?;
            Ok::<_, String>(model.followed.iter().map(|device| device.uuid.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(names(&[], false).unwrap(), ["u1", "M2"]);
        assert_eq!(names(&[], true).unwrap(), ["a", "u1", "M2"]);
        assert_eq!(names(&["M1"], false).unwrap(), ["u1"]);
        assert_eq!(names(&["u1"], true).unwrap(), ["a", "u1"]);
        assert_eq!(
            names(&["M3"], false).unwrap_err(),
            "the agent has no device `M3`; it has `Agent`, `M1`, `M2`"
        );
    }

    #[test]
    fn the_model_that_is_told_neither_converts_nor_filters() {
        let model = Model::read(&tree(), &[], false).unwrap();
        let device = &model.followed[0];
        assert_eq!(device.ids, ["avail", "xp"]);
        for gone in ["native", "Filter", "hash"] {
            assert!(!device.xml.contains(gone), "{}", device.xml);
        }
        assert!(device.xml.starts_with("<Device xmlns=\"urn:mtconnect.org:MTConnectDevices:2.2\" id=\"d\""));
        assert!(device.xml.contains("units=\"MILLIMETER\""));
        assert!(model.followed[1].xml.contains("xmlns:x=\"urn:x\""));
        assert!(model.followed[1].xml.contains("uuid=\"M2\" id=\"d_M2\""), "{}", model.followed[1].xml);
        assert!(model.followed[1].xml.contains("nativeUnits=\"FAHRENHEIT\""));
    }

    #[test]
    fn a_stream_belongs_to_the_device_of_its_uuid_or_else_of_its_name() {
        let model = Model::read(&tree(), &["M1".into()], false).unwrap();
        assert_eq!(model.followed("M1", "u1").map(|device| device.name.as_str()), Some("M1"));
        assert!(model.followed("M1", "").is_some());
        assert!(model.followed("M1", "changed").is_some());
        assert!(model.followed("M1", "M2").is_none());
        assert!(model.is_other("M2", ""));
        assert!(model.is_other("", "a"));
        assert!(!model.is_other("M9", "u9"));
    }

    #[test]
    fn browsing_tells_ids_paths_and_units() {
        let found = found(&tree());
        assert_eq!(found.len(), 3);
        assert_eq!(found[1].address, "xp");
        assert_eq!(found[1].label, "M1/Axes/Linear[X]/Xpos");
        assert_eq!(found[1].note, "SAMPLE POSITION ACTUAL");
        assert_eq!(found[1].units, "MILLIMETER");
    }
}
