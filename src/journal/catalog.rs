//! What the journal needs to know of the device model: which items are conditions, and the names
//! under which items are found again after a restart.

use std::sync::Arc;

use guideway_contract::ItemIndex;

use crate::device_model::{Category, DataItem, DeviceModel, SharedModel};

/// Where the journal learns about data items.
#[derive(Clone)]
pub(super) enum Catalog {
    /// From the device model, as it is now.
    Model(SharedModel),
    /// A list made by a test.
    #[cfg(test)]
    Fixed(Arc<Vec<FixedItem>>),
}

/// An item of a test's own catalogue.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(super) struct FixedItem {
    pub(super) device_uuid: String,
    pub(super) id: String,
    pub(super) condition: bool,
}

impl Catalog {
    /// The catalogue as it is now.
    pub(super) fn view(&self) -> View {
        match self {
            Self::Model(model) => View::Model(model.load_full()),
            #[cfg(test)]
            Self::Fixed(items) => View::Fixed(items.clone()),
        }
    }
}

/// The catalogue at one moment.
#[derive(Clone)]
pub(super) enum View {
    Model(Arc<DeviceModel>),
    #[cfg(test)]
    Fixed(Arc<Vec<FixedItem>>),
}

impl View {
    /// Whether both are of the same moment.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Model(one), Self::Model(two)) => Arc::ptr_eq(one, two),
            #[cfg(test)]
            (Self::Fixed(one), Self::Fixed(two)) => Arc::ptr_eq(one, two),
            #[cfg(test)]
            _ => false,
        }
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Model(model) => model.items().len(),
            #[cfg(test)]
            Self::Fixed(items) => items.len(),
        }
    }

    /// By item: whether it is a condition.
    pub(super) fn conditions(&self) -> Vec<bool> {
        match self {
            Self::Model(model) => {
                model.items().iter().map(|item| item.category == Category::Condition).collect()
            }
            #[cfg(test)]
            Self::Fixed(items) => items.iter().map(|item| item.condition).collect(),
        }
    }

    /// Device uuid and id of an item.
    pub(super) fn name(&self, item: ItemIndex) -> Option<(&str, &str)> {
        match self {
            Self::Model(model) => {
                let found = model.items().get(item.index())?;
                Some((&model.device(found.device).uuid, &found.id))
            }
            #[cfg(test)]
            Self::Fixed(items) => {
                items.get(item.index()).map(|item| (item.device_uuid.as_str(), item.id.as_str()))
            }
        }
    }

    /// The indices that an item had before it went and came back. Rarely any.
    pub(super) fn former(&self, item: ItemIndex) -> Vec<ItemIndex> {
        match self {
            Self::Model(model) => {
                let Some((device_uuid, id)) = self.name(item) else { return Vec::new() };
                let is_former = |other: &&DataItem| {
                    other.retired
                        && other.index != item
                        && other.id == id
                        && model.device(other.device).uuid == device_uuid
                };
                model.items().iter().filter(is_former).map(|other| other.index).collect()
            }
            #[cfg(test)]
            Self::Fixed(_) => Vec::new(),
        }
    }

    /// The item of that id on that device, if it is still there.
    pub(super) fn find(&self, device_uuid: &str, id: &str) -> Option<ItemIndex> {
        match self {
            Self::Model(model) => {
                let item = model.find_item(id)?;
                (!item.retired && model.device(item.device).uuid == device_uuid).then_some(item.index)
            }
            #[cfg(test)]
            Self::Fixed(items) => items
                .iter()
                .position(|item| item.device_uuid == device_uuid && item.id == id)
                .and_then(|index| u32::try_from(index).ok())
                .map(ItemIndex),
        }
    }
}
