//! Devices and components.

use std::sync::Arc;

use opcua_types::{NodeId, ObjectId, ReferenceTypeId};
use smol_str::SmolStr;

use super::builder::{Builder, forward, inverse};
use super::element;
use super::names::{Candidate, Scope, attributes, distinct, local, property};
use super::node::{Kind, Link, Node};
use crate::device_model::{Component, ComponentIndex, Device, Element};
use crate::northbound::opcua::binding::Bindings;

/// Child elements with a place of their own.
const PLACED: [&str; 4] = ["References", "DataItems", "Components", "Compositions"];

/// Names of children that are not made of attributes.
const RESERVED: [&str; 4] = ["Description", "Configuration", "Components", "Compositions"];

impl<'m> Builder<'m> {
    /// All devices. Ids are given first, so that nothing else can take them and references can be made
    /// in any direction.
    pub(super) fn devices(&mut self, bindings: &mut Bindings) {
        let model = self.model;
        let shown = || model.devices().iter().filter(|device| !model.component(device.root).retired);
        for device in shown() {
            let id = self.fresh(device.uuid.to_string());
            self.ids.insert(&device.id, id);
        }
        for device in shown() {
            element::index(&device.element, &mut self.elements);
            self.give_ids(device, model.component(device.root));
        }
        for device in shown() {
            self.device(device, bindings);
        }
    }

    fn give_ids(&mut self, device: &'m Device, component: &'m Component) {
        let model = self.model;
        for item in component.items.iter().map(|index| model.item(*index)).filter(|item| !item.retired) {
            self.give_id(device, &item.id);
        }
        let element = self.elements.get(component.id.as_str()).copied();
        let compositions = element.and_then(|element| element.child("Compositions"));
        for composition in compositions.into_iter().flat_map(Element::elements) {
            if let Some(id) = composition.attribute("id") {
                self.give_id(device, id);
            }
        }
        for child in component.children.iter().map(|index| model.component(*index)) {
            if !child.retired {
                self.give_id(device, &child.id);
                self.give_ids(device, child);
            }
        }
    }

    fn give_id(&mut self, device: &Device, id: &'m str) {
        if !self.ids.contains_key(id) {
            let node = self.fresh(format!("{}/{id}", device.uuid));
            self.ids.insert(id, node);
        }
    }

    fn device(&mut self, device: &'m Device, bindings: &mut Bindings) {
        let Some(id) = self.ids.get(device.id.as_str()).cloned() else { return };
        let element: &'m Element = &device.element;
        let mut links = vec![
            inverse(ReferenceTypeId::Organizes, &ObjectId::ObjectsFolder.into()),
            inverse(ReferenceTypeId::HasNotifier, &ObjectId::Server.into()),
        ];
        links.extend(self.references(&id, element));
        self.nodes.push(Node {
            id: id.clone(),
            name: (self.machines, device.name.clone()),
            type_definition: self.companion("MTDeviceType"),
            kind: Kind::Object { notifies: true },
            links,
        });
        let mut scope = Scope::reserving(&RESERVED);
        for (name, text) in [("Name", &device.name), ("Uuid", &device.uuid), ("XmlId", &device.id)] {
            self.mandatory(&id, &scope.free(name), text);
        }
        let component = self.model.component(device.root);
        self.inside(component, element, &id, std::slice::from_ref(&id), scope, bindings);
    }

    fn component(
        &mut self,
        component: &'m Component,
        name: SmolStr,
        folder: &NodeId,
        above: &[NodeId],
        bindings: &mut Bindings,
    ) {
        let id = self.ids.get(component.id.as_str()).cloned();
        let element = self.elements.get(component.id.as_str()).copied();
        let (Some(id), Some(element), Some(parent)) = (id, element, above.first()) else { return };
        let type_definition = self.component_type(&component.element_name);
        let mut links =
            vec![inverse(ReferenceTypeId::Organizes, folder), inverse(ReferenceTypeId::HasNotifier, parent)];
        links.extend(self.references(&id, element));
        self.nodes.push(Node {
            id: id.clone(),
            name: (self.machines, name),
            type_definition,
            kind: Kind::Object { notifies: true },
            links,
        });
        let mut scope = Scope::reserving(&RESERVED);
        self.mandatory(&id, &scope.free("XmlId"), &component.id);
        let notifiers: Vec<NodeId> = std::iter::once(&id).chain(above).cloned().collect();
        self.inside(component, element, &id, &notifiers, scope, bindings);
    }

    /// The companion specification's type of a component; for an extension, and for what is newer than
    /// the specification, a type of our own derived from MTComponentType.
    fn component_type(&mut self, element_name: &str) -> NodeId {
        let known = self.companion_below(&format!("{element_name}Type"), "MTComponentType");
        known.unwrap_or_else(|| self.own_type(element_name, "MTComponentType"))
    }

    /// What devices and components have alike. `notifiers` are the objects that announce events from
    /// here, the nearest first.
    fn inside(
        &mut self,
        component: &'m Component,
        element: &'m Element,
        id: &NodeId,
        notifiers: &[NodeId],
        mut scope: Scope,
        bindings: &mut Bindings,
    ) {
        self.version(id);
        let is_device = component.parent.is_none();
        for (attribute, value) in attributes(element) {
            match attribute.as_str() {
                "id" => {}
                "name" | "uuid" if is_device => {}
                "sampleInterval" | "sampleRate" => {
                    if let Ok(number) = value.trim().parse() {
                        self.float(id, &scope.free(&property(attribute)), number);
                    }
                }
                "mtconnectVersion" => self.text(id, &scope.free("Version"), value),
                other => self.text(id, &scope.free(&property(other)), value),
            }
        }
        self.described(id, element, &mut scope, &PLACED);
        if let Some(compositions) = element.child("Compositions") {
            self.compositions(id, compositions);
        }
        let notifiers: Arc<[NodeId]> = notifiers.into();
        self.items(component, id, &notifiers, bindings);
        let model = self.model;
        let children: Vec<&'m Component> = component
            .children
            .iter()
            .map(|index: &ComponentIndex| model.component(*index))
            .filter(|child| !child.retired)
            .collect();
        if children.is_empty() {
            return;
        }
        let folder = self.folder(id, "Components");
        let candidates: Vec<Candidate<'_>> = children
            .iter()
            .map(|child| Candidate {
                base: local(&child.element_name).into(),
                name: &child.name,
                id: &child.id,
                is_always_named: matches!(child.element_name.as_str(), "Linear" | "Rotary"),
            })
            .collect();
        for (child, name) in children.iter().zip(distinct(&candidates)) {
            self.component(child, name, &folder, &notifiers, bindings);
        }
    }

    /// `<References>`: to components and data items anywhere in the model.
    fn references(&self, id: &NodeId, element: &Element) -> Vec<Link> {
        let all = element.child("References").into_iter().flat_map(Element::elements);
        let targets = all.filter_map(|reference| {
            let target = reference.attribute("idRef").or_else(|| reference.attribute("dataItemId"))?;
            self.ids.get(target.trim())
        });
        let kind = self.companion("HasMTReference");
        let mut links: Vec<Link> = Vec::new();
        for target in targets.filter(|target| *target != id) {
            let link = forward(kind.clone(), target.clone());
            if !links.contains(&link) {
                links.push(link);
            }
        }
        links
    }
}
