//! What can be written of an observation before it happens: everything that its data item says.

use guideway_contract::Shape;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::device_model::{
    Category, ComponentIndex, DataItem, DeviceIndex, DeviceModel, Element, Representation, SchemaVersion,
};

use super::super::text::{attribute, xml_attribute};
use super::super::version;

/// The group of an item that the version does not show.
pub(super) const HIDDEN: u32 = u32::MAX;

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

/// A data item's share of its observations.
pub(super) struct Item {
    pub(super) group: u32,
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
    /// By `ComponentIndex`: `<ComponentStream …>`.
    pub(super) components: Vec<Box<[u8]>>,
    /// By `DeviceIndex`: `<DeviceStream …` without its end.
    pub(super) devices: Vec<Box<[u8]>>,
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
        let (groups, places) = groups(model);
        let mut prefixes: Vec<String> = Vec::new();
        let items = model
            .items()
            .iter()
            .map(|item| {
                let written = representations.get(item.id.as_str()).map_or("", String::as_str);
                let name = element_name(item, written);
                if let Some((prefix, _)) = name.split_once(':')
                    && item.category != Category::Condition
                    && !prefixes.iter().any(|known| known == prefix)
                {
                    prefixes.push(prefix.to_owned());
                }
                let place = (item.component, list(item.category) as u8);
                prepare(item, &name, version, places.get(&place).copied().unwrap_or(HIDDEN))
            })
            .collect();
        let item_ids = model.items().iter().map(|item| item.id.clone()).collect();
        let components = model
            .components()
            .iter()
            .map(|component| {
                let mut open = b"<ComponentStream".to_vec();
                attribute(&mut open, "component", &component.element_name);
                attribute(&mut open, "componentId", &component.id);
                if !component.name.is_empty() {
                    attribute(&mut open, "name", &nmtoken(&component.name, version));
                }
                if !component.native_name.is_empty() {
                    attribute(&mut open, "nativeName", &nmtoken(&component.native_name, version));
                }
                if !component.uuid.is_empty() && component.parent.is_some() {
                    attribute(&mut open, "uuid", &component.uuid);
                }
                open.push(b'>');
                open.into_boxed_slice()
            })
            .collect();
        let devices = model
            .devices()
            .iter()
            .map(|device| {
                let mut open = b"<DeviceStream".to_vec();
                attribute(&mut open, "name", &nmtoken(&device.name, version));
                attribute(&mut open, "uuid", &device.uuid);
                open.into_boxed_slice()
            })
            .collect();
        Self { version, items, item_ids, groups, components, devices, prefixes }
    }
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

/// Groups in document order, and where each list of each component is.
fn groups(model: &DeviceModel) -> (Vec<Group>, FxHashMap<(ComponentIndex, u8), u32>) {
    let mut used: FxHashMap<ComponentIndex, u8> = FxHashMap::default();
    for item in model.items() {
        *used.entry(item.component).or_default() |= 1 << list(item.category) as u8;
    }
    let mut groups = Vec::new();
    let mut places = FxHashMap::default();
    let mut place = |component: ComponentIndex| {
        let Some(lists) = used.remove(&component) else { return };
        for list in [List::Samples, List::Events, List::Condition] {
            if lists >> list as u8 & 1 == 1 {
                let at = u32::try_from(groups.len()).unwrap_or(HIDDEN);
                places.insert((component, list as u8), at);
                groups.push(Group { device: model.component(component).device, component, list });
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
    let condition = item.category == Category::Condition;
    let form = match (item.category, item.representation) {
        (Category::Condition, _) => Form::Condition,
        (_, Representation::TimeSeries) => Form::TimeSeries,
        (_, Representation::DataSet | Representation::Table) => Form::Set,
        (Category::Sample, _) => Form::Sample,
        _ if item.shape == Shape::AssetEvent => Form::Asset,
        _ => Form::Event,
    };
    let mut open = Vec::with_capacity(96);
    if !condition {
        open.push(b'<');
        xml_attribute(&mut open, name);
    }
    attribute(&mut open, "dataItemId", &item.id);
    if !item.name.is_empty() {
        attribute(&mut open, "name", &nmtoken(&item.name, version));
    }
    if !item.sub_type.is_empty() {
        attribute(&mut open, "subType", &item.sub_type);
    }
    // In the 1.8 schema this is an IDREF, but what it refers to is not in the document.
    if !item.composition_id.is_empty() && version >= version::V1_4 && version != version::V1_8 {
        attribute(&mut open, "compositionId", &item.composition_id);
    }
    if !item.statistic.is_empty() && item.category != Category::Event {
        attribute(&mut open, "statistic", &item.statistic);
    }
    if condition {
        attribute(&mut open, "type", &item.item_type);
    }
    if name == "Alarm" {
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
    Item {
        group,
        form,
        open: open.into_boxed_slice(),
        close: close.into_boxed_slice(),
        never_unavailable: name == "PathMode" && version < version::V1_8,
        sample_rate: item.sample_rate,
    }
}
