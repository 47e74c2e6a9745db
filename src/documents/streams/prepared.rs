//! What can be written of an observation before it happens: everything that its data item says.

use guideway_contract::{ItemIndex, Shape};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::device_model::vocabulary::{self, ValueKind};
use crate::device_model::{
    Category, Component, ComponentIndex, DataItem, Device, DeviceIndex, DeviceModel, Element, Representation,
    SchemaVersion,
};

use super::super::fit;
use super::super::text::{attribute, json_string, xml_attribute};
use super::super::version;

/// The group of an item that the version does not show.
pub(super) const HIDDEN: u32 = u32::MAX;

/// The elements of conditions.
pub(super) const LEVELS: [&str; 4] = ["Unavailable", "Normal", "Warning", "Fault"];

/// The three lists of a ComponentStream, in the order in which the schemas before 1.8 want them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Samples,
    Events,
    Condition,
}

/// Observations that stand together: one list of one component.
pub(super) struct Group {
    pub(super) device: DeviceIndex,
    pub(super) component: ComponentIndex,
    pub(super) list: List,
    /// The first of its [`Rank`]s.
    pub(super) first_rank: u32,
}

/// Observations that the second JSON form puts together: one element name in one group.
pub(super) struct Rank {
    pub(super) group: u32,
    pub(super) name: String,
}

/// The same opening in XML and in JSON.
pub(super) struct Opening {
    pub(super) xml: Box<[u8]>,
    pub(super) json: Box<[u8]>,
}

/// What observations of an item look like, as far as the item decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One value; `duration` is shown.
    Sample,
    /// One value.
    Event,
    /// A list of numbers with `sampleCount`.
    TimeSeries,
    /// Entries with `count`.
    Set,
    /// The element is named by the level.
    Condition,
    /// An asset's id with `assetType`.
    Asset,
}

/// What the text of an event stands for; JSON writes numbers as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Result {
    Text,
    Integer,
    Number,
}

/// A data item's share of its observations.
pub(super) struct Item {
    pub(super) group: u32,
    /// Its [`Rank`]; of a condition the first of four, one for each level.
    pub(super) rank: u32,
    pub(super) result: Result,
    /// `"dataItemId":"x",…,"sequence":`.
    pub(super) json: Box<[u8]>,
    pub(super) form: Form,
    /// `<Position dataItemId="x" … sequence="`; of a condition without `<` and name.
    pub(super) open: Box<[u8]>,
    /// `</Position>`; empty for a condition.
    pub(super) close: Box<[u8]>,
    /// Whether the schema has no way to say UNAVAILABLE (PATH_MODE of 1.3): nothing is said then.
    pub(super) never_unavailable: bool,
    /// A rate for time series that do not bring their own.
    pub(super) sample_rate: Option<f64>,
}

/// Everything prepared for one model and version.
pub(in crate::documents) struct Prepared {
    pub(super) version: SchemaVersion,
    /// By `ItemIndex`.
    pub(super) items: Vec<Item>,
    /// By `ItemIndex`: what a condition without a code is called.
    pub(super) item_ids: Vec<SmolStr>,
    /// In document order.
    pub(super) groups: Vec<Group>,
    /// In document order.
    pub(super) ranks: Vec<Rank>,
    /// By `ComponentIndex`: `<ComponentStream …>`, and the object's first keys.
    pub(super) components: Vec<Opening>,
    /// By `DeviceIndex`: `<DeviceStream …` without its end, and the object's first keys.
    pub(super) devices: Vec<Opening>,
    /// Prefixes of element names.
    pub(in crate::documents) prefixes: Vec<String>,
}

impl Prepared {
    /// Prepares what the model's items have in common with each of their observations.
    pub(in crate::documents) fn new(model: &DeviceModel) -> Self {
        let version = model.version();
        let mut representations = FxHashMap::default();
        for device in model.devices() {
            collect_representations(&device.element, &mut representations);
        }
        let (mut groups, places) = groups(model);
        let mut prefixes: Vec<String> = Vec::new();
        let mut items = Vec::with_capacity(model.items().len());
        let mut names: Vec<Vec<(String, u32)>> = Vec::new();
        names.resize_with(groups.len(), Vec::new);
        for item in model.items() {
            let written = representations.get(item.id.as_str()).map_or("", String::as_str);
            let name = element_name(item, written);
            let condition = item.category == Category::Condition;
            if let Some((prefix, _)) = name.split_once(':')
                && !condition
                && !prefixes.iter().any(|known| known == prefix)
            {
                prefixes.push(prefix.to_owned());
            }
            let group = place(model, item).and_then(|place| places.get(&place)).copied().unwrap_or(HIDDEN);
            let mut prepared = prepare(item, &name, version, group);
            if let Some(names) = names.get_mut(group as usize) {
                // The rank within the group; where the group begins is known afterwards.
                let known = names.iter().position(|(known, _)| *known == name || condition);
                prepared.rank = u32::try_from(known.unwrap_or(names.len())).unwrap_or(HIDDEN);
                if known.is_none() {
                    names.push((name, group));
                }
            }
            items.push(prepared);
        }
        let ranks = ranks(&mut groups, names);
        for item in &mut items {
            if let Some(group) = groups.get(item.group as usize) {
                item.rank += group.first_rank;
            }
        }
        let item_ids = model.items().iter().map(|item| item.id.clone()).collect();
        let components =
            model.components().iter().map(|component| component_opening(component, version)).collect();
        let devices = model.devices().iter().map(|device| device_opening(device, version)).collect();
        Self { version, items, item_ids, groups, ranks, components, devices, prefixes }
    }
}

impl Prepared {
    /// Whether no document shows the item.
    pub(in crate::documents) fn hides(&self, item: ItemIndex) -> bool {
        self.items.get(item.index()).is_none_or(|item| item.group == HIDDEN)
    }
}

/// Lays the names of all groups in a row; conditions have one for each level.
fn ranks(groups: &mut [Group], names: Vec<Vec<(String, u32)>>) -> Vec<Rank> {
    let mut ranks = Vec::new();
    for (group, names) in groups.iter_mut().zip(names) {
        group.first_rank = u32::try_from(ranks.len()).unwrap_or(HIDDEN);
        if group.list == List::Condition {
            let of_group = names.first().map_or(HIDDEN, |(_, group)| *group);
            ranks.extend(LEVELS.map(|name| Rank { group: of_group, name: name.to_owned() }));
        } else {
            ranks.extend(names.into_iter().map(|(name, group)| Rank { group, name }));
        }
    }
    ranks
}

fn component_opening(component: &Component, version: SchemaVersion) -> Opening {
    let mut xml = b"<ComponentStream".to_vec();
    let mut json = Vec::new();
    let name = fit::component_name(&component.element_name, version).unwrap_or(&component.element_name);
    attribute(&mut xml, "component", name);
    key(&mut json, "component", name);
    attribute(&mut xml, "componentId", &component.id);
    key(&mut json, "componentId", &component.id);
    let mut optional = |name: &str, written: &str, value: &str| {
        if !value.is_empty() {
            attribute(&mut xml, name, written);
            key(&mut json, name, value);
        }
    };
    optional("name", &nmtoken(&component.name, version), &component.name);
    optional("nativeName", &nmtoken(&component.native_name, version), &component.native_name);
    if component.parent.is_some() {
        optional("uuid", &component.uuid, &component.uuid);
    }
    xml.push(b'>');
    Opening { xml: xml.into_boxed_slice(), json: json.into_boxed_slice() }
}

fn device_opening(device: &Device, version: SchemaVersion) -> Opening {
    let mut xml = b"<DeviceStream".to_vec();
    let mut json = Vec::new();
    attribute(&mut xml, "name", &nmtoken(&device.name, version));
    key(&mut json, "name", &device.name);
    attribute(&mut xml, "uuid", &device.uuid);
    key(&mut json, "uuid", &device.uuid);
    Opening { xml: xml.into_boxed_slice(), json: json.into_boxed_slice() }
}

/// `"name":"value"`, after a comma where something stands before it.
fn key(json: &mut Vec<u8>, name: &str, value: &str) {
    if !json.is_empty() {
        json.push(b',');
    }
    json_string(json, name);
    json.push(b':');
    json_string(json, value);
}

/// Names are tokens without white space in the older schemas; what does not fit becomes `_`.
pub(in crate::documents) fn nmtoken(name: &str, version: SchemaVersion) -> String {
    if version >= version::V1_8 {
        return name.to_owned();
    }
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    name.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

const fn list(category: Category) -> List {
    match category {
        Category::Sample => List::Samples,
        Category::Event => List::Events,
        Category::Condition => List::Condition,
    }
}

/// Under which component, and in which of its lists, the version shows the item; `None` when it
/// does not. A component that the version does not have gives its items to the one above it.
fn place(model: &DeviceModel, item: &DataItem) -> Option<(ComponentIndex, u8)> {
    let version = model.version();
    let agent = model.device(item.device).is_agent && version < version::V1_7;
    if agent || !fit::shows(item, version) {
        return None;
    }
    let mut component = model.component(item.component);
    while let Some(parent) = component.parent
        && !component.element_name.contains(':')
        && fit::component_name(&component.element_name, version).is_none()
    {
        component = model.component(parent);
    }
    Some((component.index, list(fit::category(item, version)) as u8))
}

/// Groups in document order, and where each list of each component is.
fn groups(model: &DeviceModel) -> (Vec<Group>, FxHashMap<(ComponentIndex, u8), u32>) {
    let mut used: FxHashMap<ComponentIndex, u8> = FxHashMap::default();
    for (component, list) in model.items().iter().filter_map(|item| place(model, item)) {
        *used.entry(component).or_default() |= 1 << list;
    }
    let mut groups = Vec::new();
    let mut places = FxHashMap::default();
    let mut place = |component: ComponentIndex| {
        let Some(lists) = used.remove(&component) else { return };
        for list in [List::Samples, List::Events, List::Condition] {
            if lists >> list as u8 & 1 == 1 {
                let at = u32::try_from(groups.len()).unwrap_or(HIDDEN);
                places.insert((component, list as u8), at);
                let device = model.component(component).device;
                groups.push(Group { device, component, list, first_rank: 0 });
            }
        }
    };
    for device in model.devices() {
        let mut open = vec![device.root];
        while let Some(component) = open.pop() {
            place(component);
            open.extend(model.component(component).children.iter().rev());
        }
        // Components that a changed model no longer has, but whose observations are still there.
        for component in model.components() {
            if component.device == device.index {
                place(component.index);
            }
        }
    }
    (groups, places)
}

/// The representation as it stands in the file, by data item id: the typed model does not keep
/// DISCRETE, which the older schemas make visible in element names.
fn collect_representations(element: &Element, into: &mut FxHashMap<String, String>) {
    if element.local_name() == "DataItem" {
        if let (Some(id), Some(representation)) =
            (element.attribute("id"), element.attribute("representation"))
        {
            into.insert(id.to_owned(), representation.to_owned());
        }
        return;
    }
    for child in element.elements() {
        collect_representations(child, into);
    }
}

/// Types that have an element of their own for the deprecated representation DISCRETE.
const DISCRETE: [&str; 7] =
    ["Block", "Message", "PalletId", "PartCount", "ToolAssetId", "ToolId", "ToolNumber"];

/// The element's name with its suffix.
fn element_name(item: &DataItem, representation: &str) -> String {
    let name = item.element_name.as_str();
    let suffix = match item.representation {
        Representation::TimeSeries => "TimeSeries",
        Representation::DataSet => "DataSet",
        Representation::Table => "Table",
        Representation::Value if representation == "DISCRETE" && DISCRETE.contains(&name) => "Discrete",
        Representation::Value => "",
    };
    format!("{name}{suffix}")
}

fn prepare(item: &DataItem, name: &str, version: SchemaVersion, group: u32) -> Item {
    let category = fit::category(item, version);
    let condition = category == Category::Condition;
    let sub_type = fit::sub_type(&item.sub_type, version).unwrap_or_default();
    let statistic = fit::statistic(&item.statistic, version).unwrap_or_default();
    let form = match (category, item.representation) {
        (Category::Condition, _) => Form::Condition,
        (_, Representation::TimeSeries) => Form::TimeSeries,
        (_, Representation::DataSet | Representation::Table) => Form::Set,
        (Category::Sample, _) => Form::Sample,
        _ if item.shape == Shape::AssetEvent => Form::Asset,
        _ => Form::Event,
    };
    let mut open = Vec::with_capacity(96);
    let mut json = Vec::with_capacity(96);
    key(&mut json, "dataItemId", &item.id);
    for (name, value) in [
        ("name", item.name.as_str()),
        ("subType", sub_type),
        ("compositionId", &item.composition_id),
        ("statistic", statistic),
    ] {
        if !value.is_empty() {
            key(&mut json, name, value);
        }
    }
    if condition {
        key(&mut json, "type", &item.item_type);
    }
    json.extend_from_slice(b",\"sequence\":");
    if !condition {
        open.push(b'<');
        xml_attribute(&mut open, name);
    }
    attribute(&mut open, "dataItemId", &item.id);
    if !item.name.is_empty() {
        attribute(&mut open, "name", &nmtoken(&item.name, version));
    }
    if !sub_type.is_empty() {
        attribute(&mut open, "subType", sub_type);
    }
    // In the 1.8 schema this is an IDREF, but what it refers to is not in the document.
    if !item.composition_id.is_empty() && version >= version::V1_4 && version != version::V1_8 {
        attribute(&mut open, "compositionId", &item.composition_id);
    }
    if !statistic.is_empty() && category != Category::Event {
        attribute(&mut open, "statistic", statistic);
    }
    if condition {
        attribute(&mut open, "type", &item.item_type);
    }
    if name == "Alarm" && !condition {
        // Deprecated since 1.1; the schemas demand these, and no source says them apart.
        open.extend_from_slice(b" code=\"OTHER\" nativeCode=\"\"");
    }
    open.extend_from_slice(b" sequence=\"");
    let mut close = Vec::with_capacity(24);
    if !condition {
        close.extend_from_slice(b"</");
        close.extend_from_slice(name.as_bytes());
        close.push(b'>');
    }
    let result = match vocabulary::data_item_type(&item.item_type).map(|facts| facts.value) {
        Some(ValueKind::Integer) if form == Form::Event => Result::Integer,
        Some(ValueKind::Float) if form == Form::Event => Result::Number,
        _ => Result::Text,
    };
    Item {
        group,
        rank: HIDDEN,
        result,
        json: json.into_boxed_slice(),
        form,
        open: open.into_boxed_slice(),
        close: close.into_boxed_slice(),
        never_unavailable: name == "PathMode" && version < version::V1_8,
        sample_rate: item.sample_rate,
    }
}
