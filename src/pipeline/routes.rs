//! Which points of an adapter feed which data items.

use std::sync::Arc;

use guideway_contract::{ItemIndex, PointTable, Shape};
use smol_str::SmolStr;

use super::{Routes, plan};
use crate::device_model::{DataItem, DeviceIndex, DeviceModel};

/// One point for every data item of these devices, found by id, name or source within its device,
/// and a device found by name, uuid or id. Ids go before names and names before sources.
///
/// Points are in order of their items, with an unreachable one for an item that went away. So a
/// model that only grew gives old points their old numbers, and readings that are still on their
/// way when the model changes find their items.
pub(super) fn by_key(model: &DeviceModel, devices: &[DeviceIndex]) -> Routes {
    let mut builder = PointTable::builder();
    let mut scopes = vec![None; model.devices().len()];
    for index in devices {
        let Some(device) = model.devices().get(usize::from(index.0)) else { continue };
        let names = [&device.name, &device.uuid, &device.id].map(SmolStr::as_str);
        let scope = *scopes[usize::from(index.0)].get_or_insert_with(|| builder.device(names));
        builder.uuid(scope, &device.uuid);
    }
    let fed: Vec<_> = model
        .items()
        .iter()
        .filter_map(|item| Some((item, scopes.get(usize::from(item.device.0)).copied().flatten()?)))
        .collect();
    let mut items: Vec<ItemIndex> = Vec::with_capacity(fed.len());
    let mut points = Vec::with_capacity(fed.len());
    for (item, scope) in &fed {
        let address = if item.retired { "" } else { item.id.as_str() };
        // Text that is kept as written has to come as it was written.
        let shape = if plan::keeps_text(item) { Shape::Text } else { item.shape };
        let point = builder.point(*scope, address, shape, []);
        if let Some(point) = builder.edit(point) {
            point.resets = !item.reset_trigger.is_empty();
        }
        points.push(point);
        items.push(item.index);
    }
    // Where ids were prefixed because two devices clash, the source still uses the one in its file.
    let keys: [fn(&DataItem) -> &str; 3] = [
        |item| &item.written_id,
        |item| &item.name,
        |item| item.source.as_ref().map_or("", |source| source.text.as_str()),
    ];
    for key in keys {
        for ((item, scope), point) in fed.iter().zip(&points) {
            if !item.retired {
                builder.alias(*scope, key(item), *point);
            }
        }
    }
    Routes { points: Arc::new(builder.build()), items }
}
