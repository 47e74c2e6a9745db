//! From element trees to the typed tables.

use std::path::Path;
use std::sync::Arc;

use guideway_contract::ItemIndex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::assemble::Sourced;
use super::findings::Findings;
use super::{
    Category, Component, ComponentIndex, DataItem, Device, DeviceIndex, DeviceModel, Element, SchemaVersion,
    item,
};

/// Data items beyond this are refused; the aim is 20,000. Changes at run time only ever append.
const MAX_ITEMS: usize = 500_000;

/// The tables of a model in the making. Elements are no deeper than the reader allows, so walking
/// them may recurse.
pub(super) struct Tables<'p> {
    version: SchemaVersion,
    previous: Option<&'p DeviceModel>,
    pub(super) devices: Vec<Device>,
    pub(super) components: Vec<Component>,
    pub(super) items: Vec<DataItem>,
    pub(super) items_by_id: FxHashMap<SmolStr, ItemIndex>,
    is_full: bool,
}

/// The device whose elements are being walked.
struct Context<'d> {
    device: DeviceIndex,
    origin: &'d Arc<Path>,
    prefix: &'d str,
    /// Only what is new is complained about.
    is_new: bool,
    old_items: FxHashMap<&'d str, Vec<&'d DataItem>>,
    old_components: FxHashMap<&'d str, ComponentIndex>,
    document_order: Vec<ItemIndex>,
}

impl<'p> Tables<'p> {
    /// Empty tables; with a model before, all its items and components, retired until they are
    /// met again.
    pub(super) fn new(version: SchemaVersion, previous: Option<&'p DeviceModel>) -> Self {
        let mut tables = Self {
            version,
            previous,
            devices: Vec::new(),
            components: Vec::new(),
            items: Vec::new(),
            items_by_id: FxHashMap::default(),
            is_full: false,
        };
        if let Some(previous) = previous {
            tables.items.clone_from(&previous.items);
            tables.components.clone_from(&previous.components);
            for item in &mut tables.items {
                item.retired = true;
            }
            for component in &mut tables.components {
                component.retired = true;
            }
        }
        tables
    }

    /// Adds a device with all that is in it.
    pub(super) fn add_device(&mut self, sourced: &Sourced, findings: &mut Findings) {
        let element = &*sourced.element;
        let index = DeviceIndex(u16::try_from(self.devices.len()).unwrap_or(u16::MAX));
        let previous = self.previous.zip(sourced.previous);
        let mut old_items: FxHashMap<&str, Vec<&DataItem>> = FxHashMap::default();
        let mut old_components = FxHashMap::default();
        if let Some((model, device)) = previous {
            // Retired ones too: a source that goes back and forth between two models must not make
            // the tables grow.
            for item in model.items.iter().filter(|item| item.device == device) {
                old_items.entry(&item.id).or_default().push(item);
            }
            let own = model.components.iter().filter(|component| component.device == device);
            old_components.extend(own.map(|component| (component.id.as_str(), component.index)));
        }
        let mut context = Context {
            device: index,
            origin: &sourced.origin,
            prefix: &sourced.prefix,
            is_new: sourced.is_new,
            old_items,
            old_components,
            document_order: Vec::new(),
        };
        let root = self.add_component(&mut context, element, None, findings);
        let text = |name: &str| SmolStr::new(element.attribute(name).unwrap_or_default());
        let find = |wanted: &str| {
            let mut own = self.components[root.0 as usize].items.iter().copied();
            own.find(|item| {
                let item = &self.items[item.index()];
                item.item_type == wanted && item.category == Category::Event
            })
        };
        self.devices.push(Device {
            index,
            uuid: text("uuid"),
            name: text("name"),
            id: text("id"),
            is_agent: element.name == "Agent",
            element: sourced.element.clone(),
            root,
            availability: find("AVAILABILITY"),
            asset_changed: find("ASSET_CHANGED"),
            asset_removed: find("ASSET_REMOVED"),
            asset_added: find("ASSET_ADDED"),
            asset_count: find("ASSET_COUNT"),
            items: context.document_order,
        });
    }

    fn add_component(
        &mut self,
        context: &mut Context<'_>,
        element: &Element,
        parent: Option<ComponentIndex>,
        findings: &mut Findings,
    ) -> ComponentIndex {
        let text = |name: &str| SmolStr::new(element.attribute(name).unwrap_or_default());
        let id = text("id");
        if context.is_new && id.is_empty() && parent.is_some() {
            findings.error(
                context.origin,
                element,
                "id",
                format!("the component <{}> has no id", element.name),
                "give it an id that no other element has",
            );
        }
        let next = ComponentIndex(u32::try_from(self.components.len()).unwrap_or(u32::MAX));
        let index = context.old_components.get(id.as_str()).copied().unwrap_or(next);
        let component = Component {
            index,
            element_name: element.name.clone(),
            name: text("name"),
            native_name: text("nativeName"),
            uuid: text("uuid"),
            id,
            device: context.device,
            parent,
            children: Vec::new(),
            items: Vec::new(),
            retired: false,
        };
        match self.components.get_mut(index.0 as usize) {
            Some(old) => *old = component,
            None => self.components.push(component),
        }
        for child in element.elements() {
            match child.name.as_str() {
                "DataItems" => {
                    for element in child.elements().filter(|item| item.name == "DataItem") {
                        self.add_item(context, element, index, findings);
                    }
                }
                "Components" => {
                    for element in child.elements() {
                        let below = self.add_component(context, element, Some(index), findings);
                        self.components[index.0 as usize].children.push(below);
                    }
                }
                _ => {}
            }
        }
        index
    }

    fn add_item(
        &mut self,
        context: &mut Context<'_>,
        element: &Element,
        component: ComponentIndex,
        findings: &mut Findings,
    ) {
        let mut discarded = Findings::default();
        let told = if context.is_new { findings } else { &mut discarded };
        let Some(mut item) = item::read(element, self.version, context.origin, told) else { return };
        if let Some(written) = item.id.strip_prefix(context.prefix)
            && !context.prefix.is_empty()
        {
            item.written_id = written.into();
        }
        item.component = component;
        item.device = context.device;
        let old = context.old_items.get(item.id.as_str()).into_iter().flatten();
        let old = old.copied().find(|old| is_same(old, &item));
        if old.is_none() && self.items.len() >= MAX_ITEMS {
            if !std::mem::replace(&mut self.is_full, true) {
                let what = format!("more than {MAX_ITEMS} data items, those that went away included");
                let cure = "spread the devices over several gateways, or restart this one";
                told.error(context.origin, element, "", what, cure);
            }
            return;
        }
        item.index = match old {
            Some(old) => old.index,
            None => ItemIndex(u32::try_from(self.items.len()).unwrap_or(u32::MAX)),
        };
        let index = item.index;
        self.items_by_id.insert(item.id.clone(), index);
        self.components[component.0 as usize].items.push(index);
        context.document_order.push(index);
        match self.items.get_mut(index.index()) {
            Some(old) => *old = item,
            None => self.items.push(item),
        }
    }
}

/// Whether observations of the old item are still true of the new one. An item of another kind
/// begins anew, even if it has the id of one that was there.
fn is_same(old: &DataItem, new: &DataItem) -> bool {
    old.category == new.category
        && old.shape == new.shape
        && old.item_type == new.item_type
        && old.sub_type == new.sub_type
        && old.units == new.units
}
