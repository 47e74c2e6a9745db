//! An observation as a value of OPC UA.
//!
//! | MTConnect | value of the data item's node | and beside it |
//! |---|---|---|
//! | SAMPLE, numeric EVENT | Double | |
//! | EVENT, text | String | |
//! | EVENT, controlled vocabulary | UInt32, the place in EnumStrings | `ValueAsText`: the word |
//! | position in space | ThreeSpaceSampleDataType; a missing axis is NaN | |
//! | TIME_SERIES | Double, one update for each value of the series | |
//! | DATA_SET | KeyValuePair\[\]: the whole set, a Double, Int64 or String for each key | |
//! | TABLE | KeyValuePair\[\]: the whole table, a KeyValuePair\[\] for each row | |
//! | MESSAGE | MessageDataType | the event |
//! | ASSET_CHANGED and the like | AssetEventDataType | |
//! | `UNAVAILABLE` | null, Bad_NotConnected | the same in every property |
//! | `duration` | | `Duration`, in milliseconds (part 3, 8.13); null when not given |
//! | `resetTriggered` | status bit SemanticsChanged (0x4000) on the value that starts anew | `ResetTriggeredReason`: MTResetTriggerType of the last reset |
//!
//! The SourceTimestamp is the observation's `timestamp`, the ServerTimestamp its arrival; what 100 ns
//! do not hold is in the picoseconds. The source's quality is the severity of the status. What the
//! vocabulary says (`quality` of MTConnect: VALID, INVALID, UNVERIFIABLE) changes no status.
//!
//! A value that does not fit its node is null with a status that says why, for the standard wants null
//! beside a bad status (part 4, 7.11): a word that is not in EnumStrings is Bad_OutOfRange, with
//! `ValueAsText` good and carrying the word; a text where the node is a number is Bad_TypeMismatch.

mod data_set;
mod structure;
mod time;

use std::sync::Arc;

use guideway_contract::{Observation, Quality, TimeSeries, Timestamp, Value};
use opcua_types::{DataValue, DateTime, NodeId, StatusCode, UAString, Variant};
use smol_str::SmolStr;

use super::binding::{Binding, Shape};
use super::nodeset::Types;
use structure::Structure;
pub(super) use time::date_time;

/// Calls `put` for every value that the observation gives to a variable, in order: the item's own
/// node, once or (time series) several times, and properties that go with it. Conditions give none.
///
/// An observation of a data set or table is to hold the whole set (`journal::ItemState`), for that is
/// what the variable shows.
pub(super) fn values(
    binding: &Binding,
    observation: &Observation,
    types: &Types,
    put: &mut dyn FnMut(&NodeId, DataValue),
) {
    let value = observation.value.plain();
    let frame = Frame::of(observation);
    match (&binding.shape, value) {
        (Shape::Condition, _) => return,
        (Shape::TimeSeries { rate }, Value::TimeSeries(series)) => {
            time_series(&binding.node, observation.time(), series, *rate, &frame, put);
        }
        (Shape::Vocabulary { words, as_text }, value) => {
            let word = text(value);
            let place = word.as_ref().map_err(|status| *status).and_then(|word| place(words, word.as_ref()));
            put(&binding.node, frame.hold(place.map(Variant::UInt32)));
            put(as_text, frame.without_reset().hold(word.map(Variant::String)));
        }
        (shape, value) => put(&binding.node, frame.hold(single(shape, value, binding, types))),
    }
    for extra in &binding.extra {
        let meant = extra.meaning.of(value).ok_or(StatusCode::BadOutOfRange);
        put(&extra.node, frame.without_reset().hold(meant));
    }
    if let Some(duration) = &binding.duration {
        let millis = observation.value.duration().map_or(Variant::Empty, |s| Variant::Double(s * 1_000.0));
        put(duration, frame.without_reset().hold(Ok(millis)));
    }
    if let Some(reason) = &binding.reset_reason {
        if let Some(word) = observation.value.reset_triggered() {
            put(reason, frame.without_reset().hold(reset_reason(word, types)));
        } else if value.is_unavailable() {
            put(reason, frame.hold(Ok(Variant::Empty)));
        }
    }
}

/// What is told beside a value.
#[derive(Clone, Copy)]
struct Frame {
    status: StatusCode,
    source: (DateTime, Option<u16>),
    server: (DateTime, Option<u16>),
}

impl Frame {
    fn of(observation: &Observation) -> Self {
        let status = match observation.quality {
            _ if observation.value.is_unavailable() => StatusCode::BadNotConnected,
            Quality::Good => StatusCode::Good,
            Quality::Uncertain => StatusCode::Uncertain,
            Quality::Bad => StatusCode::Bad,
        };
        let reset = observation.value.reset_triggered().is_some();
        Self {
            status: status.set_semantics_changed(reset),
            source: time::split(observation.time()),
            server: time::split(observation.arrival()),
        }
    }

    fn without_reset(self) -> Self {
        Self { status: self.status.set_semantics_changed(false), ..self }
    }

    fn at(self, time: Timestamp) -> Self {
        Self { source: time::split(time), ..self }
    }

    /// Null is written as a value, not left out: the library takes a value that is left out for a good
    /// one.
    fn hold(self, value: Result<Variant, StatusCode>) -> DataValue {
        let (value, status) = match value {
            _ if self.status.is_bad() => (Variant::Empty, self.status),
            Ok(value) => (value, self.status),
            Err(status) => (Variant::Empty, status.set_semantics_changed(self.status.semantics_changed())),
        };
        DataValue {
            value: Some(value),
            status: Some(status),
            source_timestamp: Some(self.source.0),
            source_picoseconds: self.source.1,
            server_timestamp: Some(self.server.0),
            server_picoseconds: self.server.1,
        }
    }
}

/// The one value that an observation is in that shape; the status that says why it is none.
fn single(shape: &Shape, value: &Value, binding: &Binding, types: &Types) -> Result<Variant, StatusCode> {
    let structure = |structure| Ok(structure::variant(types.namespace(), structure));
    match (shape, value) {
        (_, Value::Unavailable) => Err(StatusCode::BadNotConnected),
        (Shape::Number | Shape::TimeSeries { .. }, Value::Number(number)) => Ok(Variant::Double(*number)),
        (Shape::Number, Value::Text(text)) => {
            let number = fast_float2::parse::<f64, _>(text.trim()).ok().filter(|number| number.is_finite());
            number.map(Variant::Double).ok_or(StatusCode::BadTypeMismatch)
        }
        (Shape::Text, value) => text(value).map(Variant::String),
        (Shape::ThreeSpace, Value::Vector3(axes)) => structure(Structure::ThreeSpace(**axes)),
        (Shape::DataSet | Shape::Table, Value::DataSet(set)) => {
            Ok(data_set::variant(set, binding.node.namespace))
        }
        (Shape::Message, Value::Message(message)) => structure(Structure::Message {
            native_code: given(&message.native_code),
            text: UAString::from(message.text.as_str()),
        }),
        (Shape::Message, Value::Text(text)) => structure(Structure::Message {
            native_code: UAString::null(),
            text: UAString::from(text.as_str()),
        }),
        (Shape::AssetEvent, Value::AssetEvent(event)) => structure(Structure::AssetEvent {
            asset_id: UAString::from(event.asset_id.as_str()),
            asset_type: UAString::from(event.asset_type.as_str()),
        }),
        _ => Err(StatusCode::BadTypeMismatch),
    }
}

fn given(text: &SmolStr) -> UAString {
    if text.is_empty() { UAString::null() } else { UAString::from(text.as_str()) }
}

/// The value as MTConnect writes it.
fn text(value: &Value) -> Result<UAString, StatusCode> {
    match value {
        Value::Unavailable => Err(StatusCode::BadNotConnected),
        Value::Text(text) => Ok(UAString::from(text.as_str())),
        Value::Number(number) => Ok(number_text(*number).into()),
        Value::Vector3(axes) => Ok(axes.map(number_text).join(" ").into()),
        Value::Message(message) => Ok(UAString::from(message.text.as_str())),
        Value::AssetEvent(event) => Ok(UAString::from(event.asset_id.as_str())),
        Value::TimeSeries(_) | Value::DataSet(_) | Value::Condition(_) | Value::Annotated(_) => {
            Err(StatusCode::BadTypeMismatch)
        }
    }
}

/// The shortest text that reads back as the same number, whole numbers without a point.
fn number_text(number: f64) -> String {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(number);
    text.strip_suffix(".0").unwrap_or(text).replace('e', "E")
}

/// The place of a word in EnumStrings. Sources differ in letter case, and the standard's words do not.
fn place(words: &Arc<[SmolStr]>, word: &str) -> Result<u32, StatusCode> {
    let exact = words.iter().position(|known| known == word);
    let found = exact.or_else(|| words.iter().position(|known| known.eq_ignore_ascii_case(word)));
    found.and_then(|place| u32::try_from(place).ok()).ok_or(StatusCode::BadOutOfRange)
}

/// MTResetTriggerType of the companion specification, which does not know every word of the standard
/// (LIFE).
fn reset_reason(word: &str, types: &Types) -> Result<Variant, StatusCode> {
    types.member("MTResetTriggerType", word).map(Variant::Int32).ok_or(StatusCode::BadOutOfRange)
}

/// Each value of a series at its own time: the observation's timestamp is that of the last one, and the
/// rate says how far apart they are. Without a rate nobody knows, and all have that timestamp.
fn time_series(
    node: &NodeId,
    time: Timestamp,
    series: &TimeSeries,
    rate: Option<f64>,
    frame: &Frame,
    put: &mut dyn FnMut(&NodeId, DataValue),
) {
    let rate = series.rate.or(rate).filter(|rate| rate.is_finite() && *rate > 0.0);
    let Some(last) = series.values.len().checked_sub(1) else {
        put(node, frame.hold(Err(StatusCode::GoodNoData)));
        return;
    };
    for (at, value) in series.values.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a series is far shorter than 2^52")]
        let before = rate.map_or(0.0, |rate| (last - at) as f64 * 1e9 / rate);
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as the shift does")]
        let before = before.round() as i64;
        put(node, frame.at(time.shifted(-before)).hold(Ok(Variant::Double(*value))));
    }
}

#[cfg(test)]
mod tests;
