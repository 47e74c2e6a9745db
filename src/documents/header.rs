//! The header of every document.

use guideway_contract::Timestamp;
use smol_str::SmolStr;

use crate::device_model::SchemaVersion;

use super::number::integer;
use super::root::Kind;
use super::text::{attribute, json_string};
use super::version;

/// What a header says; which of it a document shows depends on its kind and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// When the document was made.
    pub creation_time: Timestamp,
    /// Who made it: the host's or the gateway's name.
    pub sender: SmolStr,
    /// The journal's instance.
    pub instance_id: u64,
    /// When the device model last changed.
    pub device_model_change_time: Timestamp,
    /// How many assets can be kept.
    pub asset_buffer_size: usize,
    /// How many assets are there.
    pub asset_count: usize,
    /// How many observations the ring can hold.
    pub buffer_size: u32,
    /// The oldest sequence in the ring.
    pub first_sequence: u64,
    /// The newest.
    pub last_sequence: u64,
    /// Where to go on reading.
    pub next_sequence: u64,
    /// Whether the data are simulated or replayed (`testIndicator`).
    pub test_indicator: bool,
}

/// One attribute of a header: a text, a number or a truth.
enum Field {
    Text(String),
    Number(u64),
    Truth(bool),
}

impl Header {
    /// The attributes that this kind of document has in this version, in the order in which they
    /// are written. Numbers that the schemas want to be at least 1 are at least 1.
    fn fields(&self, kind: Kind, schema: SchemaVersion) -> Vec<(&'static str, Field)> {
        let at_least_one = |number: u64| Field::Number(number.max(1));
        let mut fields = vec![
            ("creationTime", Field::Text(self.creation_time.to_string())),
            ("sender", Field::Text(self.sender.to_string())),
            ("instanceId", at_least_one(self.instance_id)),
            // The version of the standard that the document follows; clients read it as such.
            ("version", Field::Text(format!("{schema}.0.0"))),
        ];
        let change_time_since = if kind == Kind::Error { version::V2_6 } else { version::V1_7 };
        if schema >= change_time_since {
            let time = self.device_model_change_time.to_string();
            fields.push(("deviceModelChangeTime", Field::Text(time)));
        }
        if self.test_indicator {
            fields.push(("testIndicator", Field::Truth(true)));
        }
        if kind != Kind::Assets {
            fields.push(("bufferSize", at_least_one(self.buffer_size.into())));
        }
        if matches!(kind, Kind::Devices | Kind::Assets) {
            fields.push(("assetBufferSize", at_least_one(self.asset_buffer_size as u64)));
            fields.push(("assetCount", Field::Number(self.asset_count as u64)));
        }
        if kind == Kind::Streams {
            fields.push(("nextSequence", at_least_one(self.next_sequence)));
            fields.push(("firstSequence", at_least_one(self.first_sequence)));
            fields.push(("lastSequence", at_least_one(self.last_sequence)));
        }
        fields
    }

    /// Writes `<Header …` without its end.
    pub(super) fn write_xml(&self, out: &mut Vec<u8>, kind: Kind, schema: SchemaVersion) {
        out.extend_from_slice(b"<Header");
        for (name, field) in self.fields(kind, schema) {
            match field {
                Field::Text(text) => attribute(out, name, &text),
                Field::Number(number) => attribute(out, name, itoa::Buffer::new().format(number)),
                Field::Truth(truth) => attribute(out, name, if truth { "true" } else { "false" }),
            }
        }
    }

    /// Writes the header's JSON object. JSON says more than XML: there is no schema that forbids it.
    pub(super) fn write_json(&self, out: &mut Vec<u8>, kind: Kind, schema: SchemaVersion) {
        out.extend_from_slice(b"{\"schemaVersion\":");
        json_string(out, &schema.to_string());
        if !self.test_indicator {
            out.extend_from_slice(b",\"testIndicator\":false");
        }
        for (name, field) in self.fields(kind, schema) {
            out.push(b',');
            json_string(out, name);
            out.push(b':');
            match field {
                Field::Text(text) => json_string(out, &text),
                Field::Number(number) => integer(out, number),
                Field::Truth(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
            }
        }
        out.push(b'}');
    }
}
