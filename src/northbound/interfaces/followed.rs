//! The REQUEST that an interface follows.

use guideway_contract::ItemIndex;
use smol_str::SmolStr;

use crate::device_model::DeviceModel;

/// A REQUEST, found in the device model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The data item.
    pub item: ItemIndex,
    /// The name of the device that asks.
    pub requester: SmolStr,
}

/// A REQUEST that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is wrong.
    pub what: String,
    /// It may still come, with a source that describes itself.
    pub may_come: bool,
}

impl Followed {
    /// Finds `device:item`: the device by name, uuid or id, the data item by id or name.
    ///
    /// # Errors
    /// What is missing, or is not what it should be.
    pub fn find(model: &DeviceModel, request: &str, item_type: &str) -> Result<Self, Missing> {
        let missing = |may_come, what: String| Err(Missing { what, may_come });
        let Some((called, item)) = request.rsplit_once(':') else {
            return missing(false, format!("{request:?} names no data item"));
        };
        let Some(device) = model.find_device(called).filter(|device| !device.is_agent) else {
            return missing(true, format!("there is no device `{called}`"));
        };
        let items = || model.items().iter().filter(|known| known.device == device.index && !known.retired);
        let by_id = items().find(|known| known.id == item || known.written_id == item);
        let Some(found) = by_id.or_else(|| items().find(|known| known.name == item)) else {
            return missing(true, format!("{called} has no data item `{item}`"));
        };
        if found.item_type != item_type || found.sub_type != "REQUEST" {
            let what = format!("`{item}` of {called} is no {item_type} with sub-type REQUEST");
            return missing(false, what);
        }
        Ok(Self { item: found.index, requester: device.name.clone() })
    }
}
