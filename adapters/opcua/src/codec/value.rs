//! A value of OPC UA as a raw value (OPC 10000-6, 5.1 and 5.2).

use std::sync::Arc;

use guideway_contract::{Native, Timestamp};
use opcua_types::type_loader::ByteStringBody;
use opcua_types::{
    Argument, Array, DateTime, EUInformation, ExtensionObject, LocalizedText, QualifiedName, Range,
    StatusCode, UAString, Variant,
};
use smol_str::SmolStr;

use super::structure::Shapes;

/// Dimensions of an array, and variants in variants, are followed so deep.
const DEEPEST: usize = 8;
/// Seconds from 1601, where OPC UA's time begins, to 1970.
const EPOCH_GAP: i64 = 11_644_473_600;

/// The raw value of a variant; what cannot be said is [`Native::Bad`] with why.
pub fn native(value: &Variant, shapes: &Shapes) -> Native {
    at(value, shapes, 0)
}

pub(super) fn at(value: &Variant, shapes: &Shapes, depth: usize) -> Native {
    if depth > DEEPEST {
        return Native::bad("the value is nested too deep");
    }
    match value {
        Variant::Empty => Native::Null,
        Variant::Boolean(set) => Native::Bool(*set),
        Variant::SByte(number) => Native::Int(i64::from(*number)),
        Variant::Byte(number) => Native::Int(i64::from(*number)),
        Variant::Int16(number) => Native::Int(i64::from(*number)),
        Variant::UInt16(number) => Native::Int(i64::from(*number)),
        Variant::Int32(number) => Native::Int(i64::from(*number)),
        Variant::UInt32(number) => Native::Int(i64::from(*number)),
        Variant::Int64(number) => Native::Int(*number),
        Variant::UInt64(number) => Native::unsigned(*number),
        Variant::Float(number) => Native::float32(*number),
        Variant::Double(number) => Native::Float(*number),
        Variant::String(text) => string(text),
        Variant::XmlElement(text) => Native::text(&text.to_string()),
        Variant::DateTime(time) => {
            self::time(time, shapes.ahead).map_or(Native::Null, |time| Native::text(&time.to_string()))
        }
        Variant::Guid(guid) => Native::text(&guid.to_string()),
        Variant::StatusCode(status) => Native::text(&status.to_string()),
        Variant::ByteString(bytes) => match &bytes.value {
            Some(bytes) => Native::Bytes(Arc::from(bytes.as_slice())),
            None => Native::Null,
        },
        Variant::QualifiedName(name) => qualified(name),
        Variant::LocalizedText(text) => localized(text),
        Variant::NodeId(node) => Native::text(&node.to_string()),
        Variant::ExpandedNodeId(node) => Native::text(&node.to_string()),
        Variant::ExtensionObject(object) => structure(object, shapes),
        Variant::Variant(inner) => at(inner, shapes, depth + 1),
        Variant::DataValue(inner) => {
            inner.value.as_ref().map_or(Native::Null, |inner| at(inner, shapes, depth + 1))
        }
        Variant::DiagnosticInfo(_) => Native::bad("diagnostic information is no value"),
        Variant::Array(array) => list(array, shapes, depth),
    }
}

/// A time as the server wrote it, unless it is the null time or out of range; 100 ns are the finest. `ahead` is
/// [`Shapes::ahead`].
pub fn time(time: &DateTime, ahead: i64) -> Option<Timestamp> {
    let ticks = time.ticks().checked_add(ahead / 100)?;
    if ticks <= 0 {
        return None;
    }
    let nanos = ticks.checked_sub(EPOCH_GAP * 10_000_000)?.checked_mul(100)?;
    let digits = match nanos {
        nanos if nanos % 1_000_000 == 0 => 3,
        nanos if nanos % 1_000 == 0 => 6,
        _ => 7,
    };
    Some(Timestamp::from_nanos(nanos, digits))
}

/// A status as an operator reads it: its name and what it means.
pub fn words(status: StatusCode) -> String {
    let meaning = status.sub_code().description().trim().trim_end_matches('.');
    let name = status.sub_code().name();
    if meaning.is_empty() { name.to_owned() } else { format!("{name}: {meaning}") }
}

pub(super) fn string(text: &UAString) -> Native {
    text.value().as_deref().map_or(Native::Null, Native::text)
}

pub(super) fn localized(text: &LocalizedText) -> Native {
    string(&text.text)
}

pub(super) fn qualified(name: &QualifiedName) -> Native {
    match (name.namespace_index, name.name.value()) {
        (_, None) => Native::Null,
        (0, Some(name)) => Native::text(name),
        (index, Some(name)) => Native::text(&format!("{index}:{name}")),
    }
}

fn list(array: &Array, shapes: &Shapes, depth: usize) -> Native {
    let values: Vec<Native> = array.values.iter().map(|value| at(value, shapes, depth + 1)).collect();
    match &array.dimensions {
        Some(dimensions) if dimensions.len() > 1 && dimensions.len() <= DEEPEST => {
            let product = dimensions.iter().try_fold(1_usize, |all, one| all.checked_mul(*one as usize));
            if product == Some(values.len()) && !values.is_empty() {
                return nested(values, dimensions);
            }
            Native::List(values.into())
        }
        _ => Native::List(values.into()),
    }
}

/// Lists of lists; the last dimension runs fastest.
fn nested(values: Vec<Native>, dimensions: &[u32]) -> Native {
    let mut values = values;
    for length in dimensions.iter().skip(1).rev() {
        let length = (*length as usize).max(1);
        values = values.chunks(length).map(|row| Native::List(row.into())).collect();
    }
    Native::List(values.into())
}

/// A structure: known ones of OPC UA itself, or by the definition that the server gave of it.
fn structure(object: &ExtensionObject, shapes: &Shapes) -> Native {
    if object.is_null() {
        return Native::Null;
    }
    if let Some(body) = object.inner_as::<ByteStringBody>() {
        return match shapes.decode(body.encoding_id(), body.raw_body().as_ref()) {
            Ok(value) => value,
            Err(cause) => Native::bad(cause),
        };
    }
    let record = |fields: Vec<(&str, Native)>| {
        Native::Record(fields.into_iter().map(|(name, value)| (SmolStr::new(name), value)).collect())
    };
    if let Some(range) = object.inner_as::<Range>() {
        return record(vec![("Low", Native::Float(range.low)), ("High", Native::Float(range.high))]);
    }
    if let Some(unit) = object.inner_as::<EUInformation>() {
        return record(vec![
            ("NamespaceUri", string(&unit.namespace_uri)),
            ("UnitId", Native::Int(i64::from(unit.unit_id))),
            ("DisplayName", localized(&unit.display_name)),
            ("Description", localized(&unit.description)),
        ]);
    }
    if let Some(argument) = object.inner_as::<Argument>() {
        return record(vec![
            ("Name", string(&argument.name)),
            ("Description", localized(&argument.description)),
        ]);
    }
    Native::bad(format!(
        "a structure `{}`, which is no value of a point",
        object.type_name().unwrap_or("without a name")
    ))
}

#[cfg(test)]
mod tests {
    use opcua_types::{ByteString, NodeId, VariantScalarTypeId};

    use super::*;

    fn plain(value: impl Into<Variant>) -> Native {
        native(&value.into(), &Shapes::default())
    }

    #[test]
    fn every_scalar_has_a_raw_value() {
        assert_eq!(plain(Variant::Boolean(true)), Native::Bool(true));
        assert_eq!(plain(Variant::SByte(-1)), Native::Int(-1));
        assert_eq!(plain(Variant::UInt64(u64::MAX)), Native::UInt(u64::MAX));
        assert_eq!(plain(Variant::Float(0.1)), Native::Float(0.1));
        assert_eq!(plain("text"), Native::text("text"));
        assert_eq!(plain(Variant::String(UAString::null())), Native::Null);
        assert_eq!(plain(ByteString::from(vec![1, 2])), Native::Bytes(Arc::from([1, 2])));
        assert_eq!(plain(LocalizedText::new("en", "Hello")), Native::text("Hello"));
        assert_eq!(plain(QualifiedName::new(2, "Name")), Native::text("2:Name"));
        assert_eq!(plain(NodeId::new(2, "x")), Native::text("ns=2;s=x"));
        assert_eq!(plain(StatusCode::BadNodeIdUnknown), Native::text("BadNodeIdUnknown"));
        let time = DateTime::ymd_hms_nano(2026, 11, 22, 10, 30, 0, 123_456_700);
        assert_eq!(plain(time), Native::text("2026-11-22T10:30:00.1234567Z"));
        assert_eq!(plain(DateTime::null()), Native::Null);
        let range = ExtensionObject::from_message(Range { low: 0.0, high: 9.0 });
        assert_eq!(plain(Variant::from(range)).to_string(), "{Low: 0, High: 9}");
    }

    #[test]
    fn arrays_are_lists_and_tables_are_lists_of_lists() {
        assert_eq!(plain(vec![1_i32, 2]).to_string(), "[1, 2]");
        let values: Vec<Variant> = (0..6_i32).map(Variant::from).collect();
        let table = Array::new_multi(VariantScalarTypeId::Int32, values, vec![2, 3]).unwrap();
        assert_eq!(plain(table).to_string(), "[[0, 1, 2], [3, 4, 5]]");
    }

    #[test]
    fn a_status_says_what_it_means() {
        assert!(words(StatusCode::BadNodeIdUnknown).starts_with("BadNodeIdUnknown: "));
    }
}
