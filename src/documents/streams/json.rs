//! Observations as JSON, in both forms.

use guideway_contract::{Cell, Condition, DataSet, Entry, Level, Qualifier, Validity, Value};

use crate::journal::Recorded;

use super::super::clock::Clock;
use super::super::number::{integer, number, numbers};
use super::super::text::json_string;
use super::super::version;
use super::order::order;
use super::prepared::{Form, HIDDEN, Item, LEVELS, List, Prepared, Result};

/// Bytes of an observation with its keys, about; for reserving room.
const TYPICAL: usize = 160;

/// What follows `"Streams":`. In the first form every list is an array of objects with one key
/// each, in order of sequence; in the second (`grouped`) observations are under the name of their
/// element.
pub(in crate::documents) fn json_body(
    prepared: &Prepared,
    grouped: bool,
    observations: &[Recorded],
) -> Vec<u8> {
    let order = order(observations, prepared.ranks.len(), |(_, observation)| {
        let Some(item) = prepared.items.get(observation.item.index()) else { return HIDDEN };
        if item.rank == HIDDEN {
            HIDDEN
        } else if !grouped {
            // The rank of its list's first name stands for the whole list.
            prepared.groups[item.group as usize].first_rank
        } else if item.form == Form::Condition {
            item.rank + level_index(observation.value.plain())
        } else {
            item.rank
        }
    });
    let mut writer = Writer {
        prepared,
        grouped,
        clock: Clock::new(),
        out: Vec::with_capacity(observations.len() * TYPICAL + 256),
    };
    writer.all(&order, observations);
    writer.out
}

fn level_index(value: &Value) -> u32 {
    match value {
        Value::Condition(condition) => match condition.level {
            Level::Normal => 1,
            Level::Warning => 2,
            Level::Fault => 3,
        },
        _ => 0,
    }
}

struct Writer<'p> {
    prepared: &'p Prepared,
    grouped: bool,
    clock: Clock,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn all(&mut self, order: &[(u32, u32)], observations: &[Recorded]) {
        if order.is_empty() {
            self.put(if self.grouped { "{}" } else { "[]" });
            return;
        }
        self.put(if self.grouped { "{\"DeviceStream\":[" } else { "[" });
        let mut before: Option<u32> = None;
        for (rank, at) in order {
            if before == Some(*rank) {
                self.out.push(b',');
            } else {
                self.step(before, Some(*rank));
                before = Some(*rank);
            }
            let (sequence, observation) = &observations[*at as usize];
            self.observation(*sequence, observation);
        }
        self.step(before, None);
        self.put(if self.grouped { "]}" } else { "]" });
    }

    /// Closes what the ranks do not share and opens what the second one needs.
    fn step(&mut self, from: Option<u32>, to: Option<u32>) {
        let prepared = self.prepared;
        let of = |rank: u32| {
            let rank = &prepared.ranks[rank as usize];
            (rank, &prepared.groups[rank.group as usize])
        };
        let (from, to) = (from.map(of), to.map(of));
        let both = from.zip(to);
        let same_device = both.is_some_and(|((_, from), (_, to))| from.device == to.device);
        let same_component = both.is_some_and(|((_, from), (_, to))| from.component == to.component);
        let same_list = both.is_some_and(|((from, _), (to, _))| from.group == to.group);
        if from.is_some() {
            self.put("]");
            if !same_list {
                self.put(if self.grouped { "}" } else { "" });
                if !same_component {
                    self.put(if self.grouped { "}" } else { "}}" });
                    if !same_device {
                        self.put(if self.grouped { "]}" } else { "]}}" });
                    }
                }
            }
            if to.is_some() {
                self.put(",");
            }
        }
        let Some((rank, group)) = to else { return };
        if !same_device {
            self.put(if self.grouped { "{" } else { "{\"DeviceStream\":{" });
            self.out.extend_from_slice(&prepared.devices[usize::from(group.device.0)].json);
            self.put(if self.grouped { ",\"ComponentStream\":[" } else { ",\"ComponentStreams\":[" });
        }
        if !same_component {
            self.put(if self.grouped { "{" } else { "{\"ComponentStream\":{" });
            self.out.extend_from_slice(&prepared.components[group.component.0 as usize].json);
            self.put(",");
        }
        if !same_list {
            self.put(match group.list {
                List::Samples => "\"Samples\":",
                List::Events => "\"Events\":",
                List::Condition => "\"Condition\":",
            });
            self.put(if self.grouped { "{" } else { "[" });
        }
        if self.grouped {
            json_string(&mut self.out, &rank.name);
            self.put(":[");
        }
    }

    fn observation(&mut self, sequence: u64, observation: &guideway_contract::Observation) {
        let prepared = self.prepared;
        let item = &prepared.items[observation.item.index()];
        let value = observation.value.plain();
        if !self.grouped {
            self.put("{");
            if item.form == Form::Condition {
                json_string(&mut self.out, LEVELS[level_index(value) as usize]);
            } else {
                json_string(&mut self.out, &prepared.ranks[item.rank as usize].name);
            }
            self.put(":");
        }
        self.put("{");
        self.out.extend_from_slice(&item.json);
        integer(&mut self.out, sequence);
        self.put(",\"timestamp\":\"");
        self.clock.write(&mut self.out, observation.time());
        self.put("\"");
        if observation.validity != Validity::Valid && prepared.version >= version::V2_5 {
            self.text(
                "quality",
                if observation.validity == Validity::Invalid { "INVALID" } else { "UNVERIFIABLE" },
            );
        }
        if let Some(duration) = observation.value.duration() {
            self.put(",\"duration\":");
            number(&mut self.out, duration);
        }
        if let Some(trigger) = observation.value.reset_triggered() {
            self.text("resetTriggered", trigger);
        }
        self.particulars(observation.item.index(), item, value);
        if item.form != Form::Condition || matches!(value, Value::Condition(c) if !c.message.is_empty()) {
            self.put(",\"value\":");
            self.value(item, value);
        }
        self.put(if self.grouped { "}" } else { "}}" });
    }

    /// `,"key":"text"`.
    fn text(&mut self, key: &str, text: &str) {
        self.put(",\"");
        self.put(key);
        self.put("\":");
        json_string(&mut self.out, text);
    }

    /// What belongs to some shapes only.
    fn particulars(&mut self, at: usize, item: &Item, value: &Value) {
        match (item.form, value) {
            (Form::TimeSeries, _) => {
                let (count, rate) = match value {
                    Value::TimeSeries(series) => (series.values.len(), series.rate),
                    _ => (0, None),
                };
                self.put(",\"sampleCount\":");
                integer(&mut self.out, count);
                if let Some(rate) = rate.or(item.sample_rate) {
                    self.put(",\"sampleRate\":");
                    number(&mut self.out, rate);
                }
            }
            (Form::Set, _) => {
                self.put(",\"count\":");
                integer(&mut self.out, if let Value::DataSet(set) = value { set.len() } else { 0 });
            }
            (_, Value::Message(message)) if !message.native_code.is_empty() => {
                self.text("nativeCode", &message.native_code);
            }
            (_, Value::AssetEvent(event)) if !event.asset_type.is_empty() => {
                self.text("assetType", &event.asset_type);
            }
            (Form::Condition, Value::Condition(condition)) => self.codes(at, condition),
            _ => {}
        }
    }

    fn codes(&mut self, at: usize, condition: &Condition) {
        if !condition.native_code.is_empty() {
            self.text("nativeCode", &condition.native_code);
        }
        if !condition.native_severity.is_empty() {
            self.text("nativeSeverity", &condition.native_severity);
        }
        match condition.qualifier {
            Some(Qualifier::High) => self.text("qualifier", "HIGH"),
            Some(Qualifier::Low) => self.text("qualifier", "LOW"),
            None => {}
        }
        if condition.level != Level::Normal && self.prepared.version >= version::V2_3 {
            let key = condition.key();
            self.text("conditionId", if key.is_empty() { &self.prepared.item_ids[at] } else { key });
        }
    }

    fn value(&mut self, item: &Item, value: &Value) {
        let out = &mut self.out;
        match value {
            Value::Number(value) => number(out, *value),
            Value::Text(text) => match item.result {
                Result::Text => json_string(out, text),
                result => written_number(out, result, text),
            },
            Value::Unavailable => json_string(out, "UNAVAILABLE"),
            Value::Vector3(vector) => list(out, &vector[..]),
            Value::TimeSeries(series) => list(out, &series.values),
            Value::Message(message) => json_string(out, &message.text),
            Value::AssetEvent(event) => json_string(out, &event.asset_id),
            Value::Condition(condition) => json_string(out, &condition.message),
            Value::DataSet(set) => data_set(out, set),
            Value::Annotated(annotated) => self.value(item, &annotated.value),
        }
    }
}

fn list(out: &mut Vec<u8>, values: &[f64]) {
    out.push(b'[');
    numbers(out, values, b",");
    out.push(b']');
}

/// Text of an event whose type says that it is a number; what is none stays text.
fn written_number(out: &mut Vec<u8>, result: Result, text: &str) {
    if result == Result::Integer
        && let Ok(whole) = text.parse::<i64>()
    {
        return integer(out, whole);
    }
    let digits =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(value) if digits && value.is_finite() => number(out, value),
        _ => json_string(out, text),
    }
}

fn data_set(out: &mut Vec<u8>, set: &DataSet) {
    entries(out, set.entries());
}

fn entries(out: &mut Vec<u8>, entries_of: &[Entry]) {
    out.push(b'{');
    for (at, entry) in entries_of.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json_string(out, &entry.key);
        out.push(b':');
        match &entry.cell {
            Cell::Removed => out.extend_from_slice(b"{\"removed\":true}"),
            Cell::Integer(value) => integer(out, *value),
            Cell::Number(value) => number(out, *value),
            Cell::Text(text) => json_string(out, text),
            Cell::Row(cells) => entries(out, cells),
        }
    }
    out.push(b'}');
}
