//! Elements of any kind as objects: descriptions, configurations, compositions, and what the gateway
//! does not know.
//!
//! The general form keeps everything an element says. An element that only holds text is a String
//! property of its parent, several of the same name are one property with an array; every other
//! element is an object, with a String property for each attribute and `Data` for its text.

use opcua_types::{DataTypeId, DateTime, NodeId, ObjectTypeId, ReferenceTypeId, Variant};
use rustc_hash::FxHashMap;
use smol_str::format_smolstr;

use super::builder::{Builder, inverse, strings};
use super::names::{Candidate, Scope, attributes, distinct, local, pascal, property, type_name};
use super::node::{Held, Kind, Node};
use crate::device_model::Element;

impl<'m> Builder<'m> {
    /// An element in the general form, below its parent.
    pub(super) fn any(&mut self, parent: &NodeId, name: &str, element: &'m Element, type_definition: NodeId) {
        let id = self.object(parent, name, ReferenceTypeId::HasComponent, type_definition);
        self.contents(&id, element, &mut Scope::default(), &[]);
    }

    /// Attributes, text and child elements in the general form, but for the child elements in `without`.
    pub(super) fn contents(
        &mut self,
        id: &NodeId,
        element: &'m Element,
        scope: &mut Scope,
        without: &[&str],
    ) {
        for (attribute, value) in attributes(element) {
            let name = scope.free(&property(attribute));
            self.text(id, &name, value);
        }
        let text = element.text();
        if !text.is_empty() {
            let name = scope.free("Data");
            self.text(id, &name, &text);
        }
        self.children(id, element, scope, without);
    }

    /// Child elements in the general form, but for those in `without`.
    pub(super) fn children(
        &mut self,
        id: &NodeId,
        element: &'m Element,
        scope: &mut Scope,
        without: &[&str],
    ) {
        let mut groups: Vec<(&str, Vec<&'m Element>)> = Vec::new();
        for child in element.elements().filter(|child| !without.contains(&child.name.as_str())) {
            match groups.iter_mut().find(|(name, _)| *name == child.name) {
                Some((_, group)) => group.push(child),
                None => groups.push((&child.name, vec![child])),
            }
        }
        for (name, group) in groups {
            let name = property(name);
            let is_text =
                |element: &&Element| element.attributes.is_empty() && element.elements().next().is_none();
            match &group[..] {
                [one] if is_text(one) => {
                    let name = scope.free(&name);
                    let value = Held::Fixed(opcua_types::UAString::from(one.text()).into());
                    self.property(id, &name, DataTypeId::String, value);
                }
                all if all.iter().all(is_text) => {
                    let name = scope.free(&name);
                    let texts: Vec<String> = all.iter().map(|element| element.text()).collect();
                    let value = Held::Fixed(strings(texts.iter().map(String::as_str)));
                    self.property(id, &name, DataTypeId::String, value);
                }
                [one] => {
                    let name = scope.free(&name);
                    self.any(id, &name, one, ObjectTypeId::BaseObjectType.into());
                }
                all => {
                    for (number, one) in all.iter().enumerate() {
                        let called = one.attribute("name").or_else(|| one.attribute("id"));
                        let name = match called {
                            Some(called) => format_smolstr!("{name}[{called}]"),
                            None => format_smolstr!("{name}[{}]", number + 1),
                        };
                        let name = scope.free(&name);
                        self.any(id, &name, one, ObjectTypeId::BaseObjectType.into());
                    }
                }
            }
        }
    }

    /// `<Description>`.
    pub(super) fn description(&mut self, parent: &NodeId, element: &'m Element) {
        let type_definition = self.companion("MTDescriptionType");
        self.any(parent, "Description", element, type_definition);
    }

    /// `<Configuration>`. What a sensor says has a place of its own in the companion specification;
    /// everything else is in the general form, in an object of a type of our own, for
    /// MTConfigurationType is abstract.
    pub(super) fn configuration(&mut self, parent: &NodeId, element: &'m Element) {
        let sensor = element.elements().find(|child| child.name == "SensorConfiguration");
        let type_definition = match sensor {
            Some(_) => self.companion("MTSensorConfigurationType"),
            None => self.own_type("Configuration", "MTConfigurationType"),
        };
        let id = self.object(parent, "Configuration", ReferenceTypeId::HasComponent, type_definition);
        let mut scope = Scope::default();
        if let Some(sensor) = sensor {
            self.sensor(&id, sensor, &mut scope);
        }
        self.contents(&id, element, &mut scope, &["SensorConfiguration"]);
    }

    fn sensor(&mut self, id: &NodeId, element: &'m Element, scope: &mut Scope) {
        // Spelled as in the node set.
        let firmware = element.child("FirmwareVersion").map(Element::text).unwrap_or_default();
        let value = Held::Fixed(opcua_types::UAString::from(firmware).into());
        self.property(id, &scope.free("FirwareVersion"), DataTypeId::String, value);
        self.calibration(id, element, scope);
        if let Some(channels) = element.child("Channels") {
            let folder = self.folder(id, &scope.free("Channels"));
            let all: Vec<&'m Element> = channels.elements().collect();
            let candidates: Vec<Candidate<'_>> = all
                .iter()
                .map(|channel| Candidate {
                    base: local(&channel.name).into(),
                    name: channel.attribute("number").unwrap_or_default(),
                    id: channel.attribute("name").unwrap_or_default(),
                    is_always_named: true,
                })
                .collect();
            let mut names = Scope::default();
            for (channel, name) in all.iter().zip(distinct(&candidates)) {
                let name = names.free(&name);
                self.channel(&folder, &name, channel);
            }
        }
        let without =
            ["FirmwareVersion", "Channels", "CalibrationDate", "NextCalibrationDate", "CalibrationInitials"];
        self.contents(id, element, scope, &without);
    }

    fn channel(&mut self, folder: &NodeId, name: &str, element: &'m Element) {
        let type_definition = self.companion("MTChannelType");
        let id = self.below(folder, name);
        self.nodes.push(Node {
            id: id.clone(),
            name: (self.machines, name.into()),
            type_definition,
            kind: Kind::Object { notifies: false },
            links: vec![inverse(ReferenceTypeId::Organizes, folder)],
        });
        let mut scope = Scope::default();
        let number = element.attribute("number").and_then(|number| number.trim().parse().ok());
        let value = Held::Fixed(Variant::Int32(number.unwrap_or_default()));
        self.property(&id, &scope.free("Number"), DataTypeId::Int32, value);
        self.text(&id, &scope.free("Name"), element.attribute("name").unwrap_or_default());
        let description = element.child("Description").map(Element::text).unwrap_or_default();
        self.text(&id, &scope.free("MTDescription"), &description);
        self.calibration(&id, element, &mut scope);
        for (attribute, value) in attributes(element) {
            if !matches!(attribute.as_str(), "number" | "name") {
                let name = scope.free(&property(attribute));
                self.text(&id, &name, value);
            }
        }
        let without = ["Description", "CalibrationDate", "NextCalibrationDate", "CalibrationInitials"];
        self.children(&id, element, &mut scope, &without);
    }

    fn calibration(&mut self, id: &NodeId, element: &Element, scope: &mut Scope) {
        for name in ["CalibrationDate", "NextCalibrationDate"] {
            let date = element.child(name).and_then(|child| date(&child.text()));
            if let Some(date) = date {
                let name = scope.free(name);
                self.property(id, &name, DataTypeId::UtcTime, Held::Fixed(Variant::from(date)));
            }
        }
        let initials = element.child("CalibrationInitials").map(Element::text).unwrap_or_default();
        self.text(id, &scope.free("CalibrationInitials"), &initials);
    }

    /// `<Compositions>`: a folder with an object for each.
    pub(super) fn compositions(&mut self, parent: &NodeId, element: &'m Element) {
        let folder = self.folder(parent, "Compositions");
        let all: Vec<&'m Element> = element.elements().filter(|child| child.name == "Composition").collect();
        let candidates: Vec<Candidate<'_>> = all
            .iter()
            .map(|composition| Candidate {
                base: pascal(local(composition.attribute("type").unwrap_or_default())),
                name: composition.attribute("name").unwrap_or_default(),
                id: composition.attribute("id").unwrap_or_default(),
                is_always_named: false,
            })
            .collect();
        let type_definition = self.companion("MTCompositionType");
        let mut names = Scope::default();
        for (composition, name) in all.iter().zip(distinct(&candidates)) {
            let name = names.free(if name.is_empty() { "Composition" } else { &name });
            let known = composition.attribute("id").and_then(|id| self.ids.get(id)).cloned();
            let id = known.unwrap_or_else(|| self.below(&folder, &name));
            self.nodes.push(Node {
                id: id.clone(),
                name: (self.machines, name),
                type_definition: type_definition.clone(),
                kind: Kind::Object { notifies: false },
                links: vec![inverse(ReferenceTypeId::Organizes, &folder)],
            });
            let mut scope = Scope::reserving(&["Description", "Configuration"]);
            let attribute = |name: &str| composition.attribute(name).unwrap_or_default();
            self.mandatory(&id, &scope.free("XmlId"), attribute("id"));
            self.mandatory(&id, &scope.free("MTTypeName"), &type_name(attribute("type")));
            for (attribute, value) in attributes(composition) {
                if !matches!(attribute.as_str(), "id" | "type") {
                    let name = scope.free(&property(attribute));
                    self.text(&id, &name, value);
                }
            }
            self.described(&id, composition, &mut scope, &[]);
        }
    }

    /// Description, configuration, and what else an element holds that is not in `without`.
    pub(super) fn described(
        &mut self,
        id: &NodeId,
        element: &'m Element,
        scope: &mut Scope,
        without: &[&str],
    ) {
        if let Some(description) = element.elements().find(|child| child.name == "Description") {
            self.description(id, description);
        }
        if let Some(configuration) = element.elements().find(|child| child.name == "Configuration") {
            self.configuration(id, configuration);
        }
        let without: Vec<&str> = without.iter().copied().chain(["Description", "Configuration"]).collect();
        self.children(id, element, scope, &without);
    }

    /// A String property that is there even when it is empty.
    pub(super) fn mandatory(&mut self, parent: &NodeId, name: &str, text: &str) {
        let value = Held::Fixed(opcua_types::UAString::from(text).into());
        self.property(parent, name, DataTypeId::String, value);
    }
}

/// A date with or without a time; without a zone it is that of Greenwich.
fn date(text: &str) -> Option<DateTime> {
    let text = text.trim();
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let parse = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    parse(&whole).or_else(|| parse(&format!("{whole}Z")))
}

/// Elements with an id, by it, without what configurations hold: those ids are in a world of their own.
pub(super) fn index<'m>(element: &'m Element, index: &mut FxHashMap<&'m str, &'m Element>) {
    if let Some(id) = element.attribute("id") {
        index.entry(id).or_insert(element);
    }
    for child in element.elements().filter(|child| child.name != "Configuration") {
        self::index(child, index);
    }
}
