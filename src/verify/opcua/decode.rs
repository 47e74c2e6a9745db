//! Values and events of the companion specification, read.

use opcua_types::{
    ByteStringBody, DataValue, ExtensionObject, Identifier, KeyValuePair, StatusCode, Variant,
};
use smol_str::SmolStr;

use crate::verify::expect::Shape;
use crate::verify::reading::{Cell, Condition, Entries, Level, Reading, Value};

/// Ticks of 100 ns from 1601 to 1970.
const UNIX_EPOCH: i64 = 116_444_736_000_000_000;

/// Binary encodings of the companion specification's structures.
const THREE_SPACE: u32 = 2909;
const MESSAGE: u32 = 2903;
const ASSET_EVENT: u32 = 2745;

/// A notification as a reading; `None` for one that says that there is no value yet. The second is
/// whether values before it were lost.
pub(super) fn reading(data: DataValue, shape: &Shape) -> (Option<Reading>, bool) {
    let status = data.status.unwrap_or(StatusCode::Good);
    let lost = status.overflow();
    let Some(time) = data.source_timestamp else { return (None, lost) };
    // 10 ps each.
    let rest = i64::from(data.source_picoseconds.unwrap_or(0)) / 100;
    let time = time.ticks().saturating_sub(UNIX_EPOCH).saturating_mul(100).saturating_add(rest);
    let code = StatusCode::from(status.bits() & 0xFFFF_0000).set_semantics_changed(false);
    let value = match code {
        StatusCode::BadWaitingForInitialData => return (None, lost),
        StatusCode::BadNotConnected => match data.value {
            None | Some(Variant::Empty) => Value::Unavailable,
            Some(other) => Value::Strange(format!("{other:?} beside {status}")),
        },
        StatusCode::BadOutOfRange | StatusCode::BadTypeMismatch => Value::Unfit,
        _ if status.is_bad() => Value::Strange(format!("status {status}")),
        _ => value(data.value.unwrap_or(Variant::Empty), shape),
    };
    (Some(Reading { time, sequence: None, value }), lost)
}

fn value(variant: Variant, shape: &Shape) -> Value {
    match (variant, shape) {
        (Variant::UInt32(place), Shape::Vocabulary(words)) => match words.get(place as usize) {
            Some(word) => Value::Text(word.clone()),
            None => Value::Strange(format!("place {place} of {} words", words.len())),
        },
        (Variant::Double(number), Shape::Number) => Value::Number(number),
        (Variant::String(text), Shape::Other | Shape::Word) => Value::Text(text.as_ref().into()),
        (Variant::Empty, _) => Value::Numbers(Vec::new()),
        (Variant::ExtensionObject(object), _) => structure(&object),
        (Variant::Array(array), _) => match entries(&array.values) {
            Some(entries) => Value::Whole(entries),
            None => Value::Strange(format!("{array:?}")),
        },
        (other, _) => Value::Strange(format!("{other:?}")),
    }
}

fn entries(values: &[Variant]) -> Option<Entries> {
    let pair = |value: &Variant| {
        let Variant::ExtensionObject(object) = value else { return None };
        let pair = object.inner_as::<KeyValuePair>()?;
        let cell = match &pair.value {
            Variant::Array(row) => {
                let cells = entries(&row.values)?.into_iter().map(|(key, cell)| match cell {
                    Cell::Plain(text) => Some((key, text)),
                    _ => None,
                });
                Cell::Row(cells.collect::<Option<_>>()?)
            }
            other => Cell::Plain(plain(other)?),
        };
        Some((SmolStr::from(pair.key.name.as_ref()), cell))
    };
    let found: Entries = values.iter().map(pair).collect::<Option<_>>()?;
    // A key that is there twice is no set.
    (found.len() == values.len()).then_some(found)
}

fn plain(variant: &Variant) -> Option<SmolStr> {
    Some(match variant {
        Variant::Double(it) => it.to_string().into(),
        Variant::Int64(it) => it.to_string().into(),
        Variant::String(it) => it.as_ref().into(),
        _ => return None,
    })
}

/// Part 6, 5.2.6 and 5.2.7.
fn structure(object: &ExtensionObject) -> Value {
    let Some(body) = object.inner_as::<ByteStringBody>() else {
        return Value::Strange(format!("{object:?}"));
    };
    let Identifier::Numeric(kind) = body.encoding_id().identifier else {
        return Value::Strange(format!("{object:?}"));
    };
    let mut bytes = body.raw_body().as_ref();
    let read = match kind {
        THREE_SPACE => {
            (|| Some(Value::Numbers(vec![double(&mut bytes)?, double(&mut bytes)?, double(&mut bytes)?])))()
        }
        MESSAGE => (|| {
            let mask = u32::from_le_bytes(take(&mut bytes)?);
            let native_code = if mask & 1 == 1 { string(&mut bytes)? } else { SmolStr::default() };
            Some(Value::Message { native_code, text: string(&mut bytes)? })
        })(),
        ASSET_EVENT => (|| {
            let asset_id = string(&mut bytes)?;
            Some(Value::Asset { asset_type: string(&mut bytes)?, asset_id })
        })(),
        _ => None,
    };
    match read {
        Some(value) if bytes.is_empty() => value,
        _ => Value::Strange(format!("{object:?}")),
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn double(bytes: &mut &[u8]) -> Option<f64> {
    take(bytes).map(f64::from_le_bytes)
}

fn string(bytes: &mut &[u8]) -> Option<SmolStr> {
    let length = i32::from_le_bytes(take(bytes)?);
    let Ok(length) = usize::try_from(length) else { return Some(SmolStr::default()) };
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok().map(SmolStr::from)
}

/// The fields of a condition's event that are asked for, as (namespace of the companion specification,
/// path).
pub(super) const FIELDS: [(bool, &[&str]); 9] = [
    (false, &["SourceNode"]),
    (false, &["Time"]),
    (false, &["Message"]),
    (false, &["Quality"]),
    (true, &["MTSeverity"]),
    (true, &["NativeCode"]),
    (true, &["NativeSeverity"]),
    (true, &["Qualifier"]),
    (false, &["EventType"]),
];

/// An event as the node of its source and a reading; `None` for one that is none of a condition.
pub(super) fn event(fields: &[Variant], mtconnect: u16) -> Option<(String, Reading)> {
    const CONDITION_EVENT: u32 = 4326;
    let [source, time, message, quality, severity, code, native_severity, qualifier, kind] = fields else {
        return None;
    };
    let (Variant::NodeId(source), Variant::NodeId(kind), Variant::DateTime(time)) = (source, kind, time)
    else {
        return None;
    };
    if kind.namespace != mtconnect || kind.identifier != Identifier::Numeric(CONDITION_EVENT) {
        return None;
    }
    let time = time.ticks().saturating_sub(UNIX_EPOCH).saturating_mul(100);
    let text = |variant: &Variant| match variant {
        Variant::String(it) => SmolStr::from(it.as_ref()),
        Variant::LocalizedText(it) => SmolStr::from(it.text.as_ref()),
        _ => SmolStr::default(),
    };
    let number = |variant: &Variant| match variant {
        Variant::Int32(it) => Some(*it),
        _ => None,
    };
    let value = match (quality, number(severity)) {
        (Variant::StatusCode(StatusCode::BadNotConnected), _) => Value::Unavailable,
        (_, Some(severity @ 0..=2)) => Value::Condition(Box::new(Condition {
            level: [Level::Fault, Level::Normal, Level::Warning][severity as usize],
            native_code: text(code),
            condition_id: SmolStr::default(),
            native_severity: text(native_severity),
            qualifier: match number(qualifier) {
                Some(0) => "HIGH".into(),
                Some(1) => "LOW".into(),
                _ => SmolStr::default(),
            },
            message: text(message),
        })),
        (_, other) => Value::Strange(format!("MTSeverity {other:?}")),
    };
    Some((source.to_string(), Reading { time, sequence: None, value }))
}
