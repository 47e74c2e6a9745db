//! Data sets and tables.
//!
//! The companion specification has no form for them. OPC UA's own for keys with values is an array of
//! KeyValuePair (part 5, 12.21), which every client reads without knowing more: it is a type of
//! namespace 0.

use guideway_contract::{Cell, DataSet, Entry};
use opcua_types::{
    Array, ExtensionObject, KeyValuePair, QualifiedName, UAString, Variant, VariantScalarTypeId,
};

/// The whole set. Keys are names in the namespace of the machines.
pub(super) fn variant(set: &DataSet, namespace: u16) -> Variant {
    pairs(set.entries(), namespace)
}

fn pairs(entries: &[Entry], namespace: u16) -> Variant {
    let pair = |entry: &Entry| {
        let key = QualifiedName::new(namespace, entry.key.as_str());
        let value = cell(&entry.cell, namespace)?;
        Some(Variant::ExtensionObject(ExtensionObject::from_message(KeyValuePair { key, value })))
    };
    Variant::Array(Box::new(Array {
        value_type: VariantScalarTypeId::ExtensionObject,
        values: entries.iter().filter_map(pair).collect(),
        dimensions: None,
    }))
}

/// `None` for an entry that was taken away. A whole number is a Double, as all numbers are here, unless
/// it is too large for one.
fn cell(cell: &Cell, namespace: u16) -> Option<Variant> {
    Some(match cell {
        Cell::Removed => return None,
        Cell::Integer(whole) => integer(*whole),
        Cell::Number(number) => Variant::Double(*number),
        Cell::Text(text) => Variant::String(UAString::from(text.as_str())),
        Cell::Row(cells) => pairs(cells, namespace),
    })
}

fn integer(whole: i64) -> Variant {
    const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
    #[expect(clippy::cast_precision_loss, reason = "up to 2^53 nothing is lost")]
    if whole.unsigned_abs() <= EXACT { Variant::Double(whole as f64) } else { Variant::Int64(whole) }
}
