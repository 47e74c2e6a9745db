//! A device as one version of the standard can show it.
//!
//! The device model keeps everything that the files said. A document of an older version cannot say
//! all of it, and one of a newer version not all that was once allowed. What an older version lacks
//! is left out or said in its own way; what no version knows stays as it is.

mod facts;

use std::collections::HashSet;

use smol_str::SmolStr;

pub(super) use facts::{category, component_name, shows, statistic, sub_type};

use crate::device_model::{Category, Device, DeviceModel, Element, Node, SchemaVersion};

use super::streams::nmtoken;
use super::version;

/// Fits the device's element to the model's version.
pub(super) fn device(device: &Device, model: &DeviceModel) -> Element {
    let mut fitting = Fitting { model, schema: model.version(), gone: HashSet::new() };
    let mut element = (*device.element).clone();
    fitting.component(&mut element);
    drop_references(&mut element, &fitting.gone);
    element
}

struct Fitting<'m> {
    model: &'m DeviceModel,
    schema: SchemaVersion,
    /// Ids of what was left out.
    gone: HashSet<SmolStr>,
}

impl Fitting<'_> {
    /// A device or component, with all below it.
    fn component(&mut self, element: &mut Element) {
        let is_device = matches!(element.local_name(), "Device" | "Agent");
        if !is_device
            && !element.is_extension()
            && let Some(name) = component_name(&element.name, self.schema)
            && name != element.name
        {
            element.name = name.into();
        }
        let schema = self.schema;
        let element_name = element.name.clone();
        element.attributes.retain(|(name, _)| facts::has_attribute(&element_name, name, schema));
        for name in ["name", "nativeName"] {
            self.token(element, name);
        }
        element.children.retain(|node| self.stays(node));
        let mut raised = Vec::new();
        for child in element.elements_mut() {
            match child.local_name() {
                "Components" => self.components(child, &mut raised),
                "DataItems" => self.data_items(child),
                _ => self.other(child),
            }
        }
        for list in raised {
            let own = element.child_or_new(&list.name);
            own.children.extend(list.children);
        }
        close_up(element, &facts::COMPONENT_ORDER);
    }

    /// Fits a list of components. What is in components that the version does not have is put
    /// into `raised`, list by list, for the component above.
    fn components(&mut self, list: &mut Element, raised: &mut Vec<Element>) {
        let mut kept = Vec::with_capacity(list.children.len());
        for node in std::mem::take(&mut list.children) {
            let Node::Element(mut component) = node else {
                kept.push(node);
                continue;
            };
            let known = component.is_extension() || component_name(&component.name, self.schema).is_some();
            self.component(&mut component);
            if known {
                kept.push(Node::Element(component));
                continue;
            }
            if let Some(id) = component.attribute("id") {
                self.gone.insert(id.into());
            }
            for child in component.children {
                match child {
                    Node::Element(inner) if inner.name == "Components" => kept.extend(inner.children),
                    Node::Element(inner) if matches!(inner.name.as_str(), "DataItems" | "Compositions") => {
                        raised.push(inner);
                    }
                    _ => {}
                }
            }
        }
        list.children = kept;
    }

    fn data_items(&mut self, list: &mut Element) {
        list.children.retain_mut(|node| {
            let Node::Element(item) = node else { return true };
            if item.local_name() != "DataItem" || item.is_extension() {
                return true;
            }
            let id = SmolStr::new(item.attribute("id").unwrap_or_default());
            let shown = self.model.find_item(&id).is_none_or(|typed| shows(typed, self.schema));
            if shown {
                self.data_item(item, &id);
            } else {
                self.gone.insert(id);
            }
            shown
        });
    }

    fn data_item(&self, item: &mut Element, id: &str) {
        let schema = self.schema;
        if let Some(typed) = self.model.find_item(id) {
            let shown = match category(typed, schema) {
                Category::Sample => "SAMPLE",
                Category::Event => "EVENT",
                Category::Condition => "CONDITION",
            };
            item.set("category", shown);
        }
        self.token(item, "name");
        adapt(item, "subType", |value| sub_type(value, schema));
        adapt(item, "statistic", |value| statistic(value, schema));
        adapt(item, "units", |value| facts::units(value, schema));
        adapt(item, "nativeUnits", |value| facts::native_units(value, schema));
        if schema < version::V1_8 {
            filter_into_constraints(item);
        }
        self.other(item);
        if schema <= version::V1_3 {
            whole_limits(item);
        }
    }

    /// Any other element: leaves out what the version does not have.
    fn other(&self, element: &mut Element) {
        if element.is_extension() {
            return;
        }
        let (schema, name) = (self.schema, element.name.clone());
        element.attributes.retain(|(attribute, _)| facts::has_attribute(&name, attribute, schema));
        if name == "Description" {
            self.token(element, "manufacturer");
        } else if matches!(name.as_str(), "Composition" | "Channel" | "Reference") {
            self.token(element, "name");
        }
        for child in element.elements_mut() {
            self.in_words_of_the_version(child);
        }
        element.children.retain(|node| self.stays(node));
        if name == "Configuration" && schema < version::V1_8 {
            // One kind of configuration, once.
            let mut first = true;
            element.children.retain(|node| matches!(node, Node::Element(_)) && std::mem::take(&mut first));
        }
        for child in element.elements_mut() {
            self.other(child);
        }
        let order = facts::ORDER.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, order)| order);
        close_up(element, order);
    }

    /// Says the same thing as the version says it.
    fn in_words_of_the_version(&self, element: &mut Element) {
        match element.name.as_str() {
            "Reference" if self.schema >= version::V1_8 => {
                if let Some(id) = element.attribute("dataItemId").map(SmolStr::new) {
                    element.name = "DataItemRef".into();
                    element.attributes.retain(|(name, _)| name != "dataItemId");
                    element.set("idRef", id);
                }
            }
            "DataItemRelationship" | "SpecificationRelationship"
                if self.schema <= version::V1_8 && element.attribute("name").is_none() =>
            {
                // Required there.
                if let Some(id) = element.attribute("idRef").map(SmolStr::new) {
                    element.set("name", id);
                }
            }
            // Their entries are of an abstract type in every schema, so they are never valid.
            "AxisDataSet" | "OriginDataSet" | "RotationDataSet" | "ScaleDataSet" | "TranslationDataSet" => {
                as_vector(element);
            }
            "Transformation" if self.schema < version::V2_5 => {
                // Both are required there.
                for part in ["Translation", "Rotation"] {
                    if element
                        .elements()
                        .all(|child| child.name.strip_suffix("DataSet").unwrap_or(&child.name) != part)
                    {
                        element.children.push(Node::Element(Element::new(part).with_text("0 0 0")));
                    }
                }
            }
            "CalibrationDate" | "NextCalibrationDate" => calibration_date(element, self.schema),
            "PowerSource" => power_source(element, self.schema),
            _ => {}
        }
    }

    fn stays(&self, node: &Node) -> bool {
        match node {
            Node::Element(child) => child.is_extension() || facts::has_element(&child.name, self.schema),
            Node::Text(_) => true,
        }
    }

    fn token(&self, element: &mut Element, name: &str) {
        if self.schema < version::V1_8
            && let Some(value) = element.attribute(name)
        {
            let fitting = nmtoken(value, self.schema);
            element.set(name, fitting);
        }
    }
}

/// Changes an attribute to what the version has for it, or takes it away.
fn adapt(element: &mut Element, name: &str, to: impl Fn(&str) -> Option<&str>) {
    let Some(value) = element.attribute(name).map(SmolStr::new) else { return };
    match to(&value) {
        Some(new) if new == value => {}
        Some(new) => element.set(name, new),
        None => element.attributes.retain(|(attribute, _)| attribute != name),
    }
}

/// Brings children into order and takes away lists with nothing in them.
fn close_up(element: &mut Element, order: &[&str]) {
    element.children.retain(|node| match node {
        Node::Element(child) => {
            !child.children.is_empty() || !facts::CONTAINERS.contains(&child.name.as_str())
        }
        Node::Text(_) => true,
    });
    if !order.is_empty() {
        element.children.sort_by_key(|node| match node {
            Node::Element(child) => order.iter().position(|name| *name == child.name).unwrap_or(order.len()),
            Node::Text(_) => 0,
        });
    }
}

/// Before 1.4 the least change was a part of the constraints.
fn filter_into_constraints(item: &mut Element) {
    let filter = item.child("Filters").and_then(|filters| {
        filters.elements().find(|filter| filter.attribute("type") == Some("MINIMUM_DELTA")).cloned()
    });
    if let Some(filter) = filter {
        let constraints = item.child_or_new("Constraints");
        if constraints.child("Filter").is_none() {
            constraints.children.push(Node::Element(filter));
        }
    }
}

/// In 1.3 a range has both ends or is none.
fn whole_limits(item: &mut Element) {
    for constraints in item.elements_mut().filter(|child| child.name == "Constraints") {
        let half = constraints.child("Minimum").is_some() != constraints.child("Maximum").is_some();
        let values = constraints.child("Value").is_some();
        if half || values {
            constraints.children.retain(|node| {
                !matches!(node, Node::Element(child) if matches!(child.name.as_str(), "Minimum" | "Maximum"))
            });
        }
    }
    close_up(item, &[]);
}

/// `<OriginDataSet>` with entries X, Y and Z (or A, B and C) as `<Origin>` with three numbers.
fn as_vector(element: &mut Element) {
    let entry = |keys: [&str; 2]| {
        let found =
            element.elements().find(|entry| entry.attribute("key").is_some_and(|key| keys.contains(&key)));
        found.map_or_else(|| "0".to_owned(), Element::text)
    };
    let text = [["X", "A"], ["Y", "B"], ["Z", "C"]].map(entry).join(" ");
    element.name = element.name.trim_end_matches("DataSet").into();
    element.children = vec![Node::Text(text.into())];
}

/// A date before 2.6, a date with its time from then on.
fn calibration_date(element: &mut Element, schema: SchemaVersion) {
    let text = element.text();
    let fitting = match text.split_once('T') {
        Some((date, _)) if schema < version::V2_6 => date.to_owned(),
        None if schema >= version::V2_6 && !text.is_empty() => format!("{text}T00:00:00Z"),
        _ => return,
    };
    element.children = vec![Node::Text(fitting.into())];
}

/// Order and value of a power source are elements in 2.5 and an attribute and text afterwards.
fn power_source(element: &mut Element, schema: SchemaVersion) {
    if schema >= version::V2_6 {
        let part = |name| element.child(name).map(Element::text);
        let (order, value) = (part("Order"), part("Value"));
        if let Some(order) = order {
            element.set("order", order);
        }
        if let Some(value) = value {
            element.children = vec![Node::Text(value.into())];
        }
    } else if element.child("Value").is_none() {
        let value = element.text();
        element.children = Vec::new();
        if let Some(order) = element.attribute("order").map(SmolStr::new) {
            element.attributes.retain(|(name, _)| name != "order");
            element.children.push(Node::Element(Element::new("Order").with_text(order)));
        }
        element.children.push(Node::Element(Element::new("Value").with_text(value)));
    }
}

/// Takes away what refers to something that was left out.
fn drop_references(element: &mut Element, gone: &HashSet<SmolStr>) {
    if gone.is_empty() {
        return;
    }
    element.children.retain(|node| {
        let Node::Element(child) = node else { return true };
        let refers = child.attribute("idRef").is_some_and(|id| gone.contains(id));
        child.is_extension() || !refers
    });
    if element.name == "Source" {
        element.attributes.retain(|(_, value)| !gone.contains(value));
    }
    for child in element.elements_mut() {
        drop_references(child, gone);
    }
    element.children.retain(|node| {
        !matches!(node, Node::Element(child)
            if child.children.is_empty() && facts::CONTAINERS.contains(&child.name.as_str()))
    });
}
