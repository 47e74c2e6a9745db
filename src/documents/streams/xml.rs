//! Observations as XML.

use guideway_contract::{Cell, Condition, DataSet, Entry, Level, Qualifier, TimeSeries, Validity, Value};

use crate::device_model::DeviceIndex;
use crate::journal::Recorded;

use super::super::clock::Clock;
use super::super::number::{integer, number, numbers};
use super::super::text::{attribute, xml_attribute, xml_text};
use super::super::version;
use super::order::order;
use super::prepared::{Form, HIDDEN, Item, List, Prepared};

/// Bytes of an observation with its attributes, about; for reserving room.
const TYPICAL: usize = 160;

/// The inside of `<Streams>`.
pub(in crate::documents) fn xml_body(
    prepared: &Prepared,
    pretty: bool,
    observations: &[Recorded],
) -> Vec<u8> {
    if pretty { body::<true>(prepared, observations) } else { body::<false>(prepared, observations) }
}

fn body<const PRETTY: bool>(prepared: &Prepared, observations: &[Recorded]) -> Vec<u8> {
    let mut out = Vec::with_capacity(observations.len() * TYPICAL + 512);
    let order = order(observations, prepared.groups.len(), |(_, observation)| {
        let item = &prepared.items.get(observation.item.index());
        item.map_or(HIDDEN, |item| {
            if item.never_unavailable && observation.value.is_unavailable() { HIDDEN } else { item.group }
        })
    });
    if order.is_empty() {
        no_observations::<PRETTY>(prepared, &mut out);
        return out;
    }
    let mut writer = Writer::<PRETTY> { prepared, clock: Clock::new(), out };
    let mut now: Option<u32> = None;
    for (key, at) in order {
        if now != Some(key) {
            writer.group(now, Some(key));
            now = Some(key);
        }
        let (sequence, observation) = &observations[at as usize];
        writer.observation(*sequence, observation);
    }
    writer.group(now, None);
    writer.out
}

/// Before 1.8 a document needs at least one DeviceStream; later ones are just empty.
fn no_observations<const PRETTY: bool>(prepared: &Prepared, out: &mut Vec<u8>) {
    if prepared.version < version::V1_8 {
        for device in &prepared.devices {
            line::<PRETTY>(out, 2);
            out.extend_from_slice(&device.xml);
            out.extend_from_slice(b"/>");
        }
    }
}

fn line<const PRETTY: bool>(out: &mut Vec<u8>, depth: usize) {
    const SPACES: &[u8; 17] = b"\n                ";
    if PRETTY {
        out.extend_from_slice(&SPACES[..(1 + depth * 2).min(SPACES.len())]);
    }
}

const fn list_name(list: List) -> &'static str {
    match list {
        List::Samples => "Samples>",
        List::Events => "Events>",
        List::Condition => "Condition>",
    }
}

struct Writer<'p, const PRETTY: bool> {
    prepared: &'p Prepared,
    clock: Clock,
    out: Vec<u8>,
}

impl<const PRETTY: bool> Writer<'_, PRETTY> {
    /// Closes what `from` does not share with `to`, and opens what `to` needs.
    fn group(&mut self, from: Option<u32>, to: Option<u32>) {
        let group = |key: u32| &self.prepared.groups[key as usize];
        let (from, to) = (from.map(group), to.map(group));
        let same_device = matches!((from, to), (Some(from), Some(to)) if from.device == to.device);
        let same_component = matches!((from, to), (Some(from), Some(to)) if from.component == to.component);
        let out = &mut self.out;
        if let Some(from) = from {
            line::<PRETTY>(out, 4);
            out.extend_from_slice(b"</");
            out.extend_from_slice(list_name(from.list).as_bytes());
            if !same_component {
                line::<PRETTY>(out, 3);
                out.extend_from_slice(b"</ComponentStream>");
            }
            if !same_device {
                line::<PRETTY>(out, 2);
                out.extend_from_slice(b"</DeviceStream>");
            }
        }
        if let Some(to) = to {
            if !same_device {
                line::<PRETTY>(out, 2);
                out.extend_from_slice(device_open(self.prepared, to.device));
                out.push(b'>');
            }
            if !same_component {
                line::<PRETTY>(out, 3);
                out.extend_from_slice(&self.prepared.components[to.component.0 as usize].xml);
            }
            line::<PRETTY>(out, 4);
            out.push(b'<');
            out.extend_from_slice(list_name(to.list).as_bytes());
        }
    }

    fn observation(&mut self, sequence: u64, observation: &guideway_contract::Observation) {
        let item = &self.prepared.items[observation.item.index()];
        line::<PRETTY>(&mut self.out, 5);
        let value = observation.value.plain();
        let level = if item.form == Form::Condition { level_name(value) } else { "" };
        if item.form == Form::Condition {
            self.out.push(b'<');
            self.out.extend_from_slice(level.as_bytes());
        }
        self.out.extend_from_slice(&item.open);
        integer(&mut self.out, sequence);
        self.out.extend_from_slice(b"\" timestamp=\"");
        self.clock.write(&mut self.out, observation.time());
        self.out.push(b'"');
        if observation.validity != Validity::Valid && self.prepared.version >= version::V2_5 {
            self.out.extend_from_slice(match observation.validity {
                Validity::Invalid => b" quality=\"INVALID\"".as_slice(),
                _ => b" quality=\"UNVERIFIABLE\"",
            });
        }
        if !matches!(observation.value, Value::Number(_) | Value::Text(_) | Value::Unavailable) {
            self.circumstances(item, &observation.value);
        }
        match item.form {
            Form::Sample | Form::Event => self.plain(value),
            Form::TimeSeries => self.time_series(item, value),
            Form::Set => self.set(value),
            Form::Asset => self.asset(value),
            Form::Condition => {
                self.condition(observation.item.index(), value);
                self.out.extend_from_slice(b"</");
                self.out.extend_from_slice(level.as_bytes());
                self.out.push(b'>');
            }
        }
        self.out.extend_from_slice(&item.close);
    }

    /// `duration` (samples only, says the schema) and `resetTriggered`.
    fn circumstances(&mut self, item: &Item, value: &Value) {
        if matches!(item.form, Form::Sample | Form::TimeSeries)
            && let Some(duration) = value.duration()
        {
            self.out.extend_from_slice(b" duration=\"");
            number(&mut self.out, duration);
            self.out.push(b'"');
        }
        if item.form != Form::Condition
            && self.prepared.version >= version::V1_4
            && let Some(trigger) = value.reset_triggered()
        {
            attribute(&mut self.out, "resetTriggered", trigger);
        }
    }

    fn plain(&mut self, value: &Value) {
        if let Value::Message(message) = value
            && !message.native_code.is_empty()
            && self.prepared.version < version::V1_8
        {
            attribute(&mut self.out, "nativeCode", &message.native_code);
        }
        self.out.push(b'>');
        self.text(value);
    }

    /// The value as text, whatever its shape.
    fn text(&mut self, value: &Value) {
        let out = &mut self.out;
        match value {
            Value::Number(value) => number(out, *value),
            Value::Text(text) => xml_text(out, text),
            Value::Unavailable => out.extend_from_slice(b"UNAVAILABLE"),
            Value::Vector3(vector) => numbers(out, &vector[..], b" "),
            Value::TimeSeries(series) => numbers(out, &series.values, b" "),
            Value::Message(message) => xml_text(out, &message.text),
            Value::AssetEvent(event) => xml_text(out, &event.asset_id),
            Value::Condition(condition) => xml_text(out, &condition.message),
            Value::DataSet(set) => self.entries(set),
            Value::Annotated(annotated) => self.text(&annotated.value),
        }
    }

    fn time_series(&mut self, item: &Item, value: &Value) {
        let series = match value {
            Value::TimeSeries(series) => Some(series.as_ref()),
            _ => None,
        };
        let count = series.map_or(0, |series: &TimeSeries| series.values.len());
        self.out.extend_from_slice(b" sampleCount=\"");
        integer(&mut self.out, count);
        self.out.push(b'"');
        if let Some(rate) = series.and_then(|series| series.rate).or(item.sample_rate) {
            self.out.extend_from_slice(b" sampleRate=\"");
            number(&mut self.out, rate);
            self.out.push(b'"');
        }
        self.out.push(b'>');
        // From 1.8 on the content is a list of numbers and nothing else: UNAVAILABLE is an empty one.
        if series.is_some() || self.prepared.version < version::V1_8 {
            self.text(value);
        }
    }

    fn set(&mut self, value: &Value) {
        let count = if let Value::DataSet(set) = value { set.len() } else { 0 };
        self.out.extend_from_slice(b" count=\"");
        integer(&mut self.out, count);
        self.out.extend_from_slice(b"\">");
        self.text(value);
        if count > 0 {
            line::<PRETTY>(&mut self.out, 5);
        }
    }

    fn entries(&mut self, set: &DataSet) {
        for entry in set.entries() {
            line::<PRETTY>(&mut self.out, 6);
            self.entry(entry);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.out.extend_from_slice(b"<Entry key=\"");
        xml_attribute(&mut self.out, &entry.key);
        match &entry.cell {
            Cell::Removed => {
                self.out.extend_from_slice(b"\" removed=\"true\"/>");
                return;
            }
            Cell::Row(cells) => {
                self.out.extend_from_slice(b"\">");
                for cell in cells {
                    line::<PRETTY>(&mut self.out, 7);
                    self.out.extend_from_slice(b"<Cell key=\"");
                    xml_attribute(&mut self.out, &cell.key);
                    self.out.extend_from_slice(b"\">");
                    self.cell(&cell.cell);
                    self.out.extend_from_slice(b"</Cell>");
                }
                if !cells.is_empty() {
                    line::<PRETTY>(&mut self.out, 6);
                }
            }
            cell => {
                self.out.extend_from_slice(b"\">");
                self.cell(cell);
            }
        }
        self.out.extend_from_slice(b"</Entry>");
    }

    fn cell(&mut self, cell: &Cell) {
        match cell {
            Cell::Integer(value) => integer(&mut self.out, *value),
            Cell::Number(value) => number(&mut self.out, *value),
            Cell::Text(text) => xml_text(&mut self.out, text),
            Cell::Removed | Cell::Row(_) => {}
        }
    }

    fn asset(&mut self, value: &Value) {
        let asset_type = if let Value::AssetEvent(event) = value { event.asset_type.as_str() } else { "" };
        // Required from 2.0 to 2.5, also where there is no asset.
        let required = self.prepared.version >= version::V2_0 && self.prepared.version < version::V2_6;
        if required || !asset_type.is_empty() {
            attribute(&mut self.out, "assetType", asset_type);
        }
        self.out.push(b'>');
        self.text(value);
    }

    fn condition(&mut self, item: usize, value: &Value) {
        if let Value::Condition(condition) = value {
            self.codes(item, condition);
        }
        self.out.push(b'>');
        if let Value::Condition(condition) = value {
            xml_text(&mut self.out, &condition.message);
        }
    }

    fn codes(&mut self, item: usize, condition: &Condition) {
        let out = &mut self.out;
        if !condition.native_code.is_empty() {
            attribute(out, "nativeCode", &condition.native_code);
        }
        if !condition.native_severity.is_empty() {
            attribute(out, "nativeSeverity", &condition.native_severity);
        }
        match condition.qualifier {
            Some(Qualifier::High) => out.extend_from_slice(b" qualifier=\"HIGH\""),
            Some(Qualifier::Low) => out.extend_from_slice(b" qualifier=\"LOW\""),
            None => {}
        }
        // Warnings and faults must have an id, and a Normal must not.
        if condition.level != Level::Normal && self.prepared.version >= version::V2_3 {
            let key = condition.key();
            let id = if key.is_empty() { &self.prepared.item_ids[item] } else { key };
            attribute(out, "conditionId", id);
        }
    }
}

fn device_open(prepared: &Prepared, device: DeviceIndex) -> &[u8] {
    &prepared.devices[usize::from(device.0)].xml
}

/// The element of a condition; whatever is not a condition entry is taken as UNAVAILABLE.
fn level_name(value: &Value) -> &'static str {
    match value {
        Value::Condition(condition) => match condition.level {
            Level::Normal => "Normal",
            Level::Warning => "Warning",
            Level::Fault => "Fault",
        },
        _ => "Unavailable",
    }
}
