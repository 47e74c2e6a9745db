//! The whole: devices with their components and data items, and how to find them.

use std::sync::Arc;

use guideway_contract::{ItemIndex, Timestamp};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::{AgentInfo, AgentItems, DataItem, DuplicateIds, Element, ModelError, SchemaVersion};

/// The place of a device in [`DeviceModel::devices`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceIndex(pub u16);

/// The place of a component in [`DeviceModel::components`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentIndex(pub u32);

/// A namespace declaration of an extension.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// The prefix, e.g. `x`.
    pub prefix: SmolStr,
    /// The name, e.g. `urn:example.com:ExampleDevices:1.3`.
    pub urn: SmolStr,
    /// Where its schema is; empty when unknown.
    #[serde(default)]
    pub location: SmolStr,
}

/// A machine, or the gateway itself (`is_agent`).
#[derive(Clone, Debug)]
pub struct Device {
    /// Its place in the model.
    pub index: DeviceIndex,
    /// Unique in the world.
    pub uuid: SmolStr,
    /// Unique in the gateway.
    pub name: SmolStr,
    /// Unique in the model.
    pub id: SmolStr,
    /// Whether it is the Agent device.
    pub is_agent: bool,
    /// The element as `/probe` shows it, for the newest version, with added data items.
    pub element: Arc<Element>,
    /// The device as the root of its components.
    pub root: ComponentIndex,
    /// All its data items, in document order; retired ones are left out.
    pub items: Vec<ItemIndex>,
    /// AVAILABILITY of the device, when it has one. The same for the asset items.
    pub availability: Option<ItemIndex>,
    /// ASSET_CHANGED.
    pub asset_changed: Option<ItemIndex>,
    /// ASSET_REMOVED.
    pub asset_removed: Option<ItemIndex>,
    /// ASSET_ADDED.
    pub asset_added: Option<ItemIndex>,
    /// ASSET_COUNT.
    pub asset_count: Option<ItemIndex>,
}

impl Device {
    /// Whether its file gave it an AVAILABILITY item, and not the gateway.
    pub fn has_own_availability(&self) -> bool {
        let items = self.element.child("DataItems");
        items.is_some_and(|items| {
            let availability = |item: &&Element| item.attribute("type") == Some("AVAILABILITY");
            // What the gateway has added came from no file.
            items.elements().filter(availability).any(|item| item.place.line > 0)
        })
    }
}

/// A component, or a device as the root of its components.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its place in the model.
    pub index: ComponentIndex,
    /// The element's name as written: `Linear`, `x:Gripper`, `Device`.
    pub element_name: SmolStr,
    /// Unique in the model.
    pub id: SmolStr,
    /// Empty when it has none.
    pub name: SmolStr,
    /// Empty when it has none.
    pub native_name: SmolStr,
    /// Empty when it has none.
    pub uuid: SmolStr,
    /// The device it belongs to.
    pub device: DeviceIndex,
    /// The component above; `None` for a device.
    pub parent: Option<ComponentIndex>,
    /// The components below, in document order.
    pub children: Vec<ComponentIndex>,
    /// Its own data items, in document order.
    pub items: Vec<ItemIndex>,
    /// Whether it went away with a model change; its old observations stay.
    pub retired: bool,
}

/// All machines. Immutable; a change makes a new one in which old [`ItemIndex`]es keep their
/// meaning.
#[derive(Clone, Debug, Default)]
pub struct DeviceModel {
    pub(super) version: SchemaVersion,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) devices: Vec<Device>,
    pub(super) components: Vec<Component>,
    pub(super) items: Vec<DataItem>,
    pub(super) items_by_id: FxHashMap<SmolStr, ItemIndex>,
    pub(super) agent: Option<AgentItems>,
    pub(super) change_time: Option<Timestamp>,
    pub(super) warnings: Vec<ModelError>,
    /// What a change of the model needs to make the next one.
    pub(super) duplicate_ids: DuplicateIds,
    pub(super) agent_info: Option<AgentInfo>,
    /// By device: the file it was read from, and what was put before its ids.
    pub(super) origins: Vec<(Arc<std::path::Path>, SmolStr)>,
}

impl DeviceModel {
    /// Version of the documents.
    pub fn version(&self) -> SchemaVersion {
        self.version
    }

    /// Extension namespaces that the devices files declared.
    pub fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }

    /// All devices, in order; the Agent device, where there is one, is the first.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The device of that index.
    pub fn device(&self, index: DeviceIndex) -> &Device {
        &self.devices[usize::from(index.0)]
    }

    /// The device called that: name first, then uuid, then id.
    pub fn find_device(&self, called: &str) -> Option<&Device> {
        let by = |key: fn(&Device) -> &SmolStr| self.devices.iter().find(|device| key(device) == called);
        by(|device| &device.name).or_else(|| by(|device| &device.uuid)).or_else(|| by(|device| &device.id))
    }

    /// What the gateway says about itself; `None` without an Agent device.
    pub fn agent(&self) -> Option<&AgentItems> {
        self.agent.as_ref()
    }

    /// When the devices were last changed (`deviceModelChangeTime`): the time of the youngest
    /// devices file, or that of the last change at run time.
    pub fn model_change_time(&self) -> Timestamp {
        self.change_time.unwrap_or(Timestamp::EPOCH)
    }

    /// What was wrong, but not so wrong that the model could not be made.
    pub fn warnings(&self) -> &[ModelError] {
        &self.warnings
    }

    /// All components, devices included, in order of their indices; some may be retired.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The component of that index.
    pub fn component(&self, index: ComponentIndex) -> &Component {
        &self.components[index.0 as usize]
    }

    /// All data items, retired ones included, in order of their indices.
    pub fn items(&self) -> &[DataItem] {
        &self.items
    }

    /// The data item of that index.
    pub fn item(&self, index: ItemIndex) -> &DataItem {
        &self.items[index.index()]
    }

    /// The data item of that id.
    pub fn find_item(&self, id: &str) -> Option<&DataItem> {
        self.items_by_id.get(id).map(|index| self.item(*index))
    }
}
