//! `entity`: one topic for each data item, as the reference agent's entity sink publishes them.

use guideway_contract::{Observation, Value};

use super::{Origin, Single};
use crate::device_model::{DataItem, DeviceModel};
use crate::northbound::mqtt::{json, topic};

/// Topic `<prefix>/Devices/<uuid>/Observations/<dataItemId>` and a flat JSON object.
pub(super) struct Entity {
    prefix: String,
    items: Vec<Prepared>,
}

struct Prepared {
    topic: String,
    /// The object's beginning, with all that is the same for each observation of the item.
    head: Vec<u8>,
}

impl Entity {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), items: Vec::new() }
    }

    fn prepared(&self, model: &DeviceModel, item: &DataItem) -> Prepared {
        let mut name = self.prefix.clone();
        topic::push_next_level(&mut name, "Devices");
        topic::push_next_level(&mut name, &model.device(item.device).uuid);
        topic::push_next_level(&mut name, "Observations");
        topic::push_next_level(&mut name, &item.id);
        let mut head = vec![b'{'];
        json::text_member(&mut head, "dataItemId", &item.id);
        json::text_member(&mut head, "name", &item.name);
        json::text_member(&mut head, "type", &item.item_type);
        json::text_member(&mut head, "subType", &item.sub_type);
        json::text_member(&mut head, "category", super::category(item.category));
        head.shrink_to_fit();
        Prepared { topic: name, head }
    }
}

impl Single for Entity {
    fn prepare(&mut self, model: &DeviceModel) {
        self.items = model.items().iter().map(|item| self.prepared(model, item)).collect();
    }

    fn write(&self, origin: Origin, observation: &Observation, topic: &mut String, payload: &mut Vec<u8>) {
        let Some(item) = self.items.get(observation.item.index()) else { return };
        topic.push_str(&item.topic);
        payload.extend_from_slice(&item.head);
        json::key(payload, "timestamp");
        json::time(payload, observation.time());
        json::key(payload, "arrival");
        json::time(payload, observation.arrival());
        result(payload, &observation.value);
        if let Some(duration) = observation.value.duration() {
            json::key(payload, "duration");
            json::number(payload, duration);
        }
        json::text_member(payload, "resetTriggered", observation.value.reset_triggered().unwrap_or(""));
        json::text_member(payload, "quality", json::quality(observation.quality, &observation.value));
        json::key(payload, "sequence");
        json::integer(payload, origin.sequence);
        json::key(payload, "instanceId");
        json::integer(payload, origin.instance);
        payload.push(b'}');
    }
}

/// The reference sink writes every simple result as a string; receivers made for it expect that.
fn result(payload: &mut Vec<u8>, value: &Value) {
    match value.plain() {
        Value::Condition(condition) => json::condition_members(payload, condition),
        Value::Message(message) => {
            json::text_member(payload, "nativeCode", &message.native_code);
            json::key(payload, "result");
            json::string(payload, &message.text);
        }
        structured @ (Value::DataSet(_) | Value::AssetEvent(_)) => {
            json::key(payload, "result");
            json::value(payload, structured);
        }
        Value::Text(text) => {
            json::key(payload, "result");
            json::string(payload, text);
        }
        simple => {
            // None of the others has a character that JSON wants escaped.
            json::key(payload, "result");
            payload.push(b'"');
            json::plain_text(payload, simple);
            payload.push(b'"');
        }
    }
}
