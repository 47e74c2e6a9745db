//! Observations one by one: the message or its topic names the data item.

use guideway_contract::{Fault, PointTable, Scope, Shape, Timestamp};
use serde_json::{Map, Value as Json};

use super::{Keyed, Sink, value};
use crate::codec::read_time;
use crate::config::TimeFormat;
use crate::reader::Message;

/// Names under which the time of an observation goes.
const TIMES: [&str; 3] = ["timestamp", "time", "ts"];
/// Names under which its value goes.
const RESULTS: [&str; 2] = ["result", "value"];

impl Keyed {
    /// Reads an object, an array of objects, or a bare value whose topic ends in the data item's name.
    pub(super) fn entity(&self, message: Message<'_>, payload: &[u8], sink: &mut Sink<'_>) {
        let scope =
            self.device_in(message.topic).map(|(_, scope)| scope).or_else(|| self.table.default_scope());
        let json = match crate::codec::parse(payload) {
            Ok(json) => json,
            Err(wrong) => match std::str::from_utf8(payload) {
                // A text without quotes may be meant, but not something that was to be an object.
                Ok(text) if !text.trim_start().starts_with(['{', '[', '"']) && !text.is_empty() => {
                    Json::String(text.trim().to_owned())
                }
                _ => {
                    return sink.fault(Fault::Malformed, || format!("no JSON on {}: {wrong}", message.topic));
                }
            },
        };
        match &json {
            Json::Array(elements) if elements.iter().all(Json::is_object) => {
                for members in elements.iter().filter_map(Json::as_object) {
                    self.object(scope, members, message, sink);
                }
            }
            Json::Object(members) => self.object(scope, members, message, sink),
            bare => self.put(scope, last_level(message.topic), None, bare, message.arrival, sink),
        }
    }

    fn object(
        &self,
        scope: Option<Scope>,
        members: &Map<String, Json>,
        message: Message<'_>,
        sink: &mut Sink<'_>,
    ) {
        let time = TIMES.iter().find_map(|name| Some((*name, members.get(*name)?)));
        let time = time.filter(|(name, _)| *name == "timestamp" || self.find(scope, name).is_none());
        let (time_name, time) = match time {
            Some((name, json)) => (name, read_time(json, TimeFormat::Auto)),
            None => ("", Some(message.arrival)),
        };
        let time = time.unwrap_or_else(|| {
            sink.fault(Fault::Timestamp, || format!("no time in `{time_name}` on {}", message.topic));
            message.arrival
        });
        let scope = ["deviceUuid", "device"]
            .iter()
            .find_map(|name| self.table.scope(members.get(*name)?.as_str()?))
            .or(scope);
        let text = |name: &str| members.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
        if let Some(id) = text("dataItemId") {
            // The item's name is another key for it, where its id is not known here.
            let key =
                [Some(id), text("name")].into_iter().flatten().find(|key| self.find(scope, key).is_some());
            return self.put(scope, key.unwrap_or(id), Some(members), result_of(members), time, sink);
        }
        let level = last_level(message.topic);
        let is_result = |name: &str| members.contains_key(name) && self.find(scope, name).is_none();
        if (RESULTS.into_iter().any(is_result) || is_result("level")) && self.find(scope, level).is_some() {
            return self.put(scope, level, Some(members), result_of(members), time, sink);
        }
        for (key, json) in members {
            let about = matches!(key.as_str(), "device" | "deviceUuid") && json.is_string();
            if key == time_name || (about && self.find(scope, key).is_none()) {
                continue;
            }
            self.put(scope, key, None, json, time, sink);
        }
    }

    fn find<'t>(&'t self, scope: Option<Scope>, key: &str) -> Option<&'t guideway_contract::Point> {
        find(&self.table, scope, key)
    }

    fn put(
        &self,
        scope: Option<Scope>,
        key: &str,
        about: Option<&Map<String, Json>>,
        json: &Json,
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        let Some(point) = self.find(scope, key) else {
            return sink.fault(Fault::Unmapped, || format!("no data item is known as `{key}`"));
        };
        // `key: {"value": …, "duration": …}`, but for what is an object itself.
        let wrapped = match (json, point.shape) {
            (Json::Object(members), Shape::Number | Shape::Text | Shape::Vector3 | Shape::TimeSeries) => {
                RESULTS.iter().find_map(|name| members.get(*name)).map(|result| (Some(members), result))
            }
            _ => None,
        };
        let (about, result) = wrapped.unwrap_or((about, json));
        let read = value::read(point.shape, None, about, result);
        if let Some(wrong) = read.wrong {
            sink.fault(Fault::Rejected, || format!("`{key}`: `{result}` {wrong}"));
        }
        sink.reading(point.id, read.value, time);
    }
}

/// The point meant by `[device:]key`.
fn find<'t>(table: &'t PointTable, scope: Option<Scope>, key: &str) -> Option<&'t guideway_contract::Point> {
    let named = || {
        let (device, key) = key.split_once(':')?;
        table.find(table.scope(device)?, key)
    };
    scope.and_then(|scope| table.find(scope, key)).or_else(named)
}

fn result_of(members: &Map<String, Json>) -> &Json {
    RESULTS.iter().find_map(|name| members.get(*name)).unwrap_or(&Json::Null)
}

fn last_level(topic: &str) -> &str {
    topic.rsplit('/').next().unwrap_or(topic)
}
