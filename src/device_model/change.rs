//! Changes at run time: each makes a new model in which the old indices keep their meaning.

use std::path::Path;
use std::sync::Arc;

use guideway_contract::Timestamp;
use smol_str::SmolStr;

use super::assemble::{Parts, Sourced, assemble};
use super::corrections::as_token;
use super::element::Place;
use super::findings::Findings;
use super::load::read;
use super::{Device, DeviceIndex, DeviceModel, Element, ModelError, Node, Severity, tree};

/// Warnings that outlive a change.
const MAX_WARNINGS: usize = 1000;

impl DeviceModel {
    /// A model in which one device is replaced by what `xml` says of it, or added. `xml` is a
    /// `<Device>`, alone or in a document. The device is known by its uuid, else by its name.
    ///
    /// Items that are still there, and of the same kind, keep their indices; new ones are
    /// appended; those that are gone are `retired`.
    ///
    /// Also tells which device it is.
    ///
    /// # Errors
    /// All findings, when one of them is an error; `name` is what they call the text.
    pub fn with_device_xml(&self, name: &Path, xml: &str) -> Result<(Self, DeviceIndex), Vec<ModelError>> {
        let file: Arc<Path> = name.into();
        let mut findings = Findings::default();
        findings.add_text(&file, xml.into());
        let mut namespaces = self.namespaces.clone();
        let found =
            read(&file, xml, &mut namespaces, &mut findings).map(|found| found.devices).unwrap_or_default();
        let mut devices: Vec<Element> = found.into_iter().filter(|device| device.name == "Device").collect();
        let (Some(element), true) = (devices.pop(), devices.is_empty()) else {
            let what = "exactly one <Device> is needed".to_owned();
            let cure = "send the <Device> element of one machine".to_owned();
            findings.push(Severity::Error, &file, Place::default(), what, cure);
            return Err(findings.finish().err().unwrap_or_default());
        };
        let is = |attribute: &str, of: fn(&Device) -> &str| {
            let value = element.attribute(attribute).unwrap_or_default();
            self.devices
                .iter()
                .find(|device| !value.is_empty() && of(device) == value && device.element.name == "Device")
        };
        let known = is("uuid", |device| &device.uuid).or_else(|| is("name", |device| &device.name));
        let known = known.map(|device| device.index);
        let mut parts = self.sourced();
        let uuid = SmolStr::new(element.attribute("uuid").unwrap_or_default());
        match known {
            Some(index) => {
                let mut new = Sourced::new(file, element);
                new.previous = Some(index);
                parts[usize::from(index.0)] = new;
            }
            None => parts.push(Sourced::new(file, element)),
        }
        let model = self.changed(parts, namespaces, findings)?;
        let found = model.find_device(&uuid).map(|device| device.index).or(known);
        let index =
            found.or_else(|| model.devices.last().map(|device| device.index)).unwrap_or(DeviceIndex(0));
        Ok((model, index))
    }

    /// A model in which a device describes itself otherwise: `manufacturer`, `station`,
    /// `serialNumber`, `model`, `description`, `nativeName` or `uuid`, in any letter case. `None` when that changes
    /// nothing, when `name` is none of these, or when XML cannot hold the value.
    ///
    /// # Errors
    /// When the new uuid is that of another device, or empty.
    pub fn with_description(
        &self,
        device: DeviceIndex,
        name: &str,
        value: &str,
    ) -> Result<Option<Self>, Vec<ModelError>> {
        const DESCRIPTIONS: [&str; 4] = ["manufacturer", "station", "serialNumber", "model"];
        let value = value.trim();
        let Some(old) = self.devices.get(usize::from(device.0)) else { return Ok(None) };
        let mut element = (*old.element).clone();
        if let Some(attribute) = DESCRIPTIONS.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            let token = as_token(value, self.version).filter(|_| *attribute == "manufacturer");
            description(&mut element).set(attribute, token.as_deref().unwrap_or(value));
        } else if name.eq_ignore_ascii_case("description") {
            let description = description(&mut element);
            description.children.retain(|node| matches!(node, Node::Element(_)));
            if !value.is_empty() {
                description.children.push(Node::Text(value.into()));
            }
        } else if name.eq_ignore_ascii_case("nativeName") {
            let token = as_token(value, self.version);
            element.set("nativeName", token.as_deref().unwrap_or(value));
        } else if name.eq_ignore_ascii_case("uuid") {
            self.check_uuid(device, &element, value)?;
            element.set("uuid", value);
        } else {
            return Ok(None);
        }
        if element == *old.element || !value.chars().all(tree::allowed) {
            return Ok(None);
        }
        // Nothing but the texts of one device changes, so the tables stay as they are.
        let mut model = self.clone();
        model.change_time = Some(Timestamp::now());
        if let Some(device) = model.devices.get_mut(usize::from(device.0)) {
            let text = |name: &str| element.attribute(name).unwrap_or_default().into();
            device.uuid = text("uuid");
            if let Some(root) = model.components.get_mut(device.root.0 as usize) {
                root.uuid = text("uuid");
                root.native_name = text("nativeName");
            }
            device.element = Arc::new(element);
        }
        Ok(Some(model))
    }

    fn check_uuid(&self, device: DeviceIndex, element: &Element, uuid: &str) -> Result<(), Vec<ModelError>> {
        let other = self.devices.iter().find(|other| other.index != device && other.uuid == uuid);
        let what = match other {
            Some(other) => format!("the source gives the uuid `{uuid}`, which is that of `{}`", other.name),
            None if uuid.is_empty() => "the source gives an empty uuid".to_owned(),
            None => return Ok(()),
        };
        let mut findings = Findings::default();
        let (file, _) = &self.origins[usize::from(device.0)];
        let cure = "correct the `* uuid:` command of the source; the uuid stays as it was".to_owned();
        findings.push(Severity::Error, file, element.place, what, cure);
        findings.finish().map(|_| ())
    }

    fn sourced(&self) -> Vec<Sourced> {
        let with_origin = self.devices.iter().zip(&self.origins);
        let sourced = with_origin.map(|(device, (origin, prefix))| Sourced {
            origin: origin.clone(),
            element: device.element.clone(),
            prefix: prefix.clone(),
            previous: Some(device.index),
            is_new: false,
        });
        sourced.collect()
    }

    fn changed(
        &self,
        devices: Vec<Sourced>,
        namespaces: Vec<super::Namespace>,
        findings: Findings,
    ) -> Result<Self, Vec<ModelError>> {
        let mut model = assemble(Parts {
            version: self.version,
            namespaces,
            devices,
            duplicate_ids: self.duplicate_ids,
            agent: self.agent_info.clone(),
            change_time: Timestamp::now(),
            previous: Some(self),
            findings,
        })?;
        // What the same source said before is superseded; without end they would pile up.
        let is_news =
            |old: &&ModelError| model.warnings.iter().all(|new| new.position.file != old.position.file);
        let kept: Vec<ModelError> =
            self.warnings.iter().filter(is_news).take(MAX_WARNINGS).cloned().collect();
        model.warnings.splice(..0, kept);
        Ok(model)
    }
}

/// The `<Description>`, made at the front when there is none.
fn description(element: &mut Element) -> &mut Element {
    if element.child("Description").is_none() {
        element.children.insert(0, Node::Element(Element::new("Description")));
    }
    element.child_or_new("Description")
}
