//! Documents of MTConnect over MQTT: Probe, Current, Sample and Asset in JSON, of either form.

use std::hash::{BuildHasher, BuildHasherDefault};

use guideway_contract::{AssetChange, Fault, Signal, Timestamp, Value};
use rustc_hash::FxHasher;
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::{Keyed, Sink, value, xml};
use crate::codec::{parse, scalar_text};
use crate::reader::Message;

/// Devices whose description and instance are remembered.
const MOST_DEVICES: usize = 1_024;

/// An observation in a document.
pub(super) struct Found<'j> {
    /// The uuid of its device's stream.
    device: Option<&'j str>,
    /// The element it would be in XML.
    element: Option<&'j str>,
    members: &'j Map<String, Json>,
    sequence: Option<u64>,
}

impl Keyed {
    /// Reads one document, or what an agent's last will says of it.
    pub(super) fn document(&mut self, message: Message<'_>, payload: &[u8], sink: &mut Sink<'_>) {
        if message.topic.ends_with("/Availability") {
            return self.agent(payload, sink);
        }
        if payload.is_empty() {
            // A retained document was taken back.
            return;
        }
        let document = match parse(payload) {
            Ok(document) => document,
            Err(wrong) => {
                return sink.fault(Fault::Malformed, || format!("no JSON on {}: {wrong}", message.topic));
            }
        };
        let part = |name: &str| document.get(name).and_then(Json::as_object);
        if let Some(streams) = part("MTConnectStreams") {
            self.streams(message, streams, sink);
        } else if let Some(devices) = part("MTConnectDevices") {
            self.devices(devices, sink);
        } else if let Some(assets) = part("MTConnectAssets") {
            assets_of(assets, message.arrival, sink);
        } else {
            sink.fault(Fault::Malformed, || format!("no document of MTConnect on {}", message.topic));
        }
    }

    /// An agent that is gone leaves its retained documents behind: what it had said is not known any more, and what
    /// the broker still keeps of it does not count.
    fn agent(&mut self, payload: &[u8], sink: &mut Sink<'_>) {
        if payload.trim_ascii().eq_ignore_ascii_case(b"UNAVAILABLE") {
            if !self.agent_gone {
                let now = Timestamp::now();
                for point in self.table.points() {
                    sink.reading(point.id, Value::Unavailable, now);
                }
            }
            self.agent_gone = true;
            self.sequences.clear();
        } else if payload.trim_ascii().eq_ignore_ascii_case(b"AVAILABLE") {
            self.agent_gone = false;
        }
    }

    fn streams(&mut self, message: Message<'_>, document: &Map<String, Json>, sink: &mut Sink<'_>) {
        if message.retained && self.agent_gone {
            return;
        }
        self.agent_gone = false;
        let instance = document.get("Header").and_then(|header| header.get("instanceId")).and_then(whole);
        let mut found = Vec::new();
        if let Some(streams) = document.get("Streams") {
            collect(streams, None, None, &mut found);
        }
        // A document groups observations by component; what came first is to be told first.
        found.sort_by_key(|found| found.sequence);
        let in_topic = self.device_in(message.topic);
        for observation in found {
            let named = observation.device.or_else(|| message.topic.rsplit('/').next());
            if let (Some(device), Some(instance)) = (named, instance) {
                self.know(device, instance);
            }
            let scope =
                named.and_then(|device| self.table.scope(device)).or(in_topic.map(|(_, scope)| scope));
            self.observation(scope, named, &observation, message, sink);
        }
    }

    /// Sequences of another instance of the agent begin anew.
    fn know(&mut self, device: &str, instance: u64) {
        match self.instances.get_mut(device) {
            Some(known) if *known == instance => return,
            Some(known) => *known = instance,
            None => {
                if self.instances.len() >= MOST_DEVICES {
                    self.instances.clear();
                }
                self.instances.insert(device.into(), instance);
            }
        }
        // Sequences are an agent's, which may have several devices: all of them begin anew, and at worst something
        // is told twice.
        self.sequences.clear();
    }

    fn observation(
        &mut self,
        scope: Option<guideway_contract::Scope>,
        device: Option<&str>,
        found: &Found<'_>,
        message: Message<'_>,
        sink: &mut Sink<'_>,
    ) {
        let key = |name: &str| found.members.get(name).and_then(Json::as_str).filter(|key| !key.is_empty());
        let table = self.table.clone();
        let keys = [key("dataItemId"), key("name")];
        let point = scope.and_then(|scope| keys.into_iter().flatten().find_map(|key| table.find(scope, key)));
        let Some(point) = point else {
            return sink.fault(Fault::Unmapped, || {
                let item = keys.into_iter().flatten().next().unwrap_or_default();
                format!("no data item of {} is known as `{item}`", device.unwrap_or("the default device"))
            });
        };
        if let Some(sequence) = found.sequence {
            let last = self.sequences.entry(point.id).or_default();
            if sequence <= *last {
                return;
            }
            *last = sequence;
        }
        let result =
            found.members.get("value").or_else(|| found.members.get("result")).unwrap_or(&Json::Null);
        let read = value::read(point.shape, found.element, Some(found.members), result);
        if let Some(wrong) = read.wrong {
            sink.fault(Fault::Rejected, || format!("`{}`: `{result}` {wrong}", point.address));
        }
        let time = found.members.get("timestamp").and_then(Json::as_str).map(Timestamp::parse);
        let time = time.flatten().unwrap_or_else(|| {
            sink.fault(Fault::Timestamp, || {
                format!("`{}` without a time; taken is its arrival", point.address)
            });
            message.arrival
        });
        sink.reading(point.id, read.value, time);
    }

    fn devices(&mut self, document: &Map<String, Json>, sink: &mut Sink<'_>) {
        for device in named(document.get("Devices"), "Device") {
            let Some(uuid) = device.get("uuid").and_then(Json::as_str).filter(|uuid| !uuid.is_empty()) else {
                sink.fault(Fault::Malformed, || "a device without a uuid".into());
                continue;
            };
            let Some(xml) = xml::element("Device", device) else {
                sink.fault(Fault::Malformed, || format!("the description of device {uuid} is no device"));
                continue;
            };
            let hash = BuildHasherDefault::<FxHasher>::default().hash_one(&xml);
            if self.described.len() >= MOST_DEVICES {
                self.described.clear();
            }
            if self.described.insert(uuid.into(), hash) != Some(hash) {
                sink.signal(Signal::Describe { device: uuid.into(), name: "deviceModel".into(), value: xml });
            }
        }
    }
}

/// The objects of a list, in either form: `[{"Device":{…}}]` or `{"Device":[{…}]}`.
fn named<'j>(list: Option<&'j Json>, name: &str) -> Vec<&'j Json> {
    match list {
        Some(Json::Array(elements)) => elements.iter().filter_map(|element| element.get(name)).collect(),
        Some(Json::Object(members)) => match members.get(name) {
            Some(Json::Array(elements)) => elements.iter().collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Finds the observations in `Streams`: objects with a data item's id, under the name of their element. As deep as
/// the parser let through.
pub(super) fn collect<'j>(
    json: &'j Json,
    element: Option<&'j str>,
    device: Option<&'j str>,
    found: &mut Vec<Found<'j>>,
) {
    match json {
        Json::Array(elements) => elements.iter().for_each(|inner| collect(inner, element, device, found)),
        Json::Object(members) if members.contains_key("dataItemId") => {
            let sequence = members.get("sequence").and_then(whole);
            found.push(Found { device, element, members, sequence });
        }
        Json::Object(members) => {
            let device = if element == Some("DeviceStream") {
                members.get("uuid").and_then(Json::as_str).or(device)
            } else {
                device
            };
            for (name, inner) in members {
                collect(inner, Some(name), device, found);
            }
        }
        _ => {}
    }
}

fn whole(json: &Json) -> Option<u64> {
    json.as_u64().or_else(|| json.as_str()?.parse().ok())
}

fn assets_of(document: &Map<String, Json>, arrival: Timestamp, sink: &mut Sink<'_>) {
    let mut assets: Vec<(&String, &Json)> = Vec::new();
    match document.get("Assets") {
        Some(Json::Array(elements)) => assets.extend(elements.iter().filter_map(Json::as_object).flatten()),
        Some(Json::Object(types)) => {
            for (asset_type, some) in types {
                match some {
                    Json::Array(elements) => assets.extend(elements.iter().map(|asset| (asset_type, asset))),
                    one => assets.push((asset_type, one)),
                }
            }
        }
        _ => {}
    }
    for (asset_type, asset) in assets {
        let said = |name: &str| asset.get(name).and_then(scalar_text).map(SmolStr::from).unwrap_or_default();
        let (id, device) = (said("assetId"), said("deviceUuid"));
        let time = Timestamp::parse(&said("timestamp")).unwrap_or(arrival);
        if id.is_empty() {
            sink.fault(Fault::Malformed, || format!("a {asset_type} without an asset id"));
            continue;
        }
        let change = if said("removed") == "true" {
            AssetChange::Remove { device, id, time }
        } else {
            let Some(body) = xml::element(asset_type, asset) else {
                sink.fault(Fault::Malformed, || format!("the asset {id} is no {asset_type}"));
                continue;
            };
            AssetChange::Put { device, id, asset_type: asset_type.into(), body, time }
        };
        sink.signal(Signal::Asset(change));
    }
}
