//! `uns`: a unified namespace after ISA-95, with a JSON value, time and quality in each message.

use guideway_contract::Observation;
use rustc_hash::FxHashMap;

use super::{Origin, Single};
use crate::device_model::{DataItem, DeviceModel};
use crate::northbound::mqtt::{UnsLayout, json, topic};

/// Topic `<enterprise>/<site>/<area>/<line>/<cell>/<device>/<component>/…/<data item>`.
pub(super) struct Uns {
    above: String,
    items: Vec<Prepared>,
}

struct Prepared {
    topic: String,
    numeric: bool,
    /// The object's end, with all that is the same for each observation of the item.
    tail: Vec<u8>,
}

impl Uns {
    pub(super) fn new(options: &UnsLayout, prefix: Option<&str>) -> Self {
        let mut above = prefix.unwrap_or("").trim_end_matches('/').to_owned();
        for place in [&options.enterprise, &options.site, &options.area, &options.line, &options.cell] {
            topic::push_next_level(&mut above, place);
        }
        Self { above, items: Vec::new() }
    }

    fn prepared(&self, model: &DeviceModel, item: &DataItem) -> Prepared {
        let mut name = self.above.clone();
        topic::push_next_level(&mut name, &model.device(item.device).name);
        super::component_path(model, item, |component| topic::push_next_level(&mut name, component));
        topic::push_next_level(&mut name, super::item_name(item));
        let mut tail = Vec::new();
        json::text_member(&mut tail, "units", &item.units);
        json::text_member(&mut tail, "type", &item.item_type);
        json::text_member(&mut tail, "sub_type", &item.sub_type);
        json::text_member(&mut tail, "category", super::category(item.category));
        json::text_member(&mut tail, "data_item", &item.id);
        json::text_member(&mut tail, "device_uuid", &model.device(item.device).uuid);
        tail.push(b'}');
        tail.shrink_to_fit();
        Prepared { topic: name, numeric: item.is_numeric(), tail }
    }
}

impl Single for Uns {
    fn prepare(&mut self, model: &DeviceModel) {
        self.items = model.items().iter().map(|item| self.prepared(model, item)).collect();
        // Two items of one name in one place (allowed, ids are what has to be unique) get their ids
        // added, both of them, so that the topic of one does not depend on the order of the file.
        let mut owners: FxHashMap<&str, u32> = FxHashMap::default();
        for item in &self.items {
            *owners.entry(&item.topic).or_default() += 1;
        }
        let shared: Vec<bool> = self.items.iter().map(|item| owners[item.topic.as_str()] > 1).collect();
        for ((prepared, item), shared) in self.items.iter_mut().zip(model.items()).zip(shared) {
            if shared {
                prepared.topic.push('.');
                topic::push_level(&mut prepared.topic, &item.id);
            }
        }
    }

    fn write(&self, origin: Origin, observation: &Observation, topic: &mut String, payload: &mut Vec<u8>) {
        let Some(item) = self.items.get(observation.item.index()) else { return };
        topic.push_str(&item.topic);
        payload.extend_from_slice(b"{\"value\":");
        json::item_value(payload, &observation.value, item.numeric);
        payload.extend_from_slice(b",\"timestamp\":");
        json::time(payload, observation.time());
        payload.extend_from_slice(b",\"timestamp_ms\":");
        json::integer(payload, observation.time().nanos().div_euclid(1_000_000));
        payload.extend_from_slice(b",\"arrival\":");
        json::time(payload, observation.arrival());
        payload.extend_from_slice(b",\"quality\":\"");
        payload.extend_from_slice(json::quality(observation.quality, &observation.value).as_bytes());
        payload.extend_from_slice(b"\",\"sequence\":");
        json::integer(payload, origin.sequence);
        payload.extend_from_slice(b",\"instance\":");
        json::integer(payload, origin.instance);
        if let Some(duration) = observation.value.duration() {
            json::key(payload, "duration");
            json::number(payload, duration);
        }
        json::text_member(payload, "reset_triggered", observation.value.reset_triggered().unwrap_or(""));
        payload.extend_from_slice(&item.tail);
    }
}
