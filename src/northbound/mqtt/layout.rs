//! How observations become topics and payloads.

mod entity;
mod mtconnect;
mod template;
mod uns;

use guideway_contract::Observation;

use super::{Layout, Options};
use crate::device_model::{Category, DataItem, DeviceModel};

pub(super) use mtconnect::{CONTENT_TYPE, Publisher, Sheaf};
pub(super) use template::Template;

/// A layout that makes one message of each observation.
pub(super) trait Single: Send + Sync {
    /// Prepares what does not change from message to message; called again for each new model.
    fn prepare(&mut self, model: &DeviceModel);

    /// Writes topic and payload of an observation whose item is in the prepared model. Both are
    /// empty when called.
    fn write(&self, origin: Origin, observation: &Observation, topic: &mut String, payload: &mut Vec<u8>);

    /// MQTT 5 content type of the payloads.
    fn content_type(&self) -> Option<&'static str> {
        Some("application/json")
    }

    /// Whether the broker keeps the last message of each topic.
    fn retain(&self) -> bool {
        false
    }
}

/// Where an observation has its place in the world: unique for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) instance: u64,
    pub(super) sequence: u64,
}

/// The layout of a destination: one message for each observation, or `None` for documents.
pub(super) fn single(options: &Options) -> Result<Option<Box<dyn Single>>, String> {
    Ok(match options.layout {
        Layout::Mtconnect => None,
        Layout::Entity => Some(Box::new(entity::Entity::new(prefix(options)))),
        Layout::Uns => Some(Box::new(uns::Uns::new(&options.uns, options.topic_prefix.as_deref()))),
        Layout::Template => Some(Box::new(template::Layout::new(&options.template)?)),
    })
}

/// First part of the topics of the `mtconnect` and `entity` layouts.
pub(super) fn prefix(options: &Options) -> &str {
    options.topic_prefix.as_deref().unwrap_or("MTConnect").trim_end_matches('/')
}

const fn category(category: Category) -> &'static str {
    match category {
        Category::Sample => "SAMPLE",
        Category::Event => "EVENT",
        Category::Condition => "CONDITION",
    }
}

/// What people call a data item: its name, or its id where it has none.
fn item_name(item: &DataItem) -> &str {
    if item.name.is_empty() { &item.id } else { &item.name }
}

/// Calls `each` with the names of the components from below the device down to the item's own.
fn component_path(model: &DeviceModel, item: &DataItem, mut each: impl FnMut(&str)) {
    let mut path = Vec::new();
    let mut at = Some(item.component);
    while let Some(index) = at {
        let component = model.component(index);
        at = component.parent;
        if at.is_some() {
            path.push(component);
        }
    }
    for component in path.into_iter().rev() {
        each(if component.name.is_empty() { &component.element_name } else { &component.name });
    }
}
