//! What the operators of a content filter make of values (part 4, 7.7.3).
//!
//! The library compares only numbers and Booleans. Here every type that has an order or an equality is
//! compared, and null is the third truth value.

use std::cmp::Ordering;

use opcua_types::{NodeId, NumericRange, UAString, Variant, VariantScalarTypeId, VariantTypeId};

use super::like;

/// TRUE, FALSE, or null for `None`.
pub(super) fn truth(value: Option<bool>) -> Variant {
    value.map_or(Variant::Empty, Variant::Boolean)
}

/// The truth that a value stands for; `None`, which is null, for one that is not a Boolean and cannot be
/// converted to one.
pub(super) fn is_true(value: &Variant) -> Option<bool> {
    match value {
        Variant::Boolean(truth) => Some(*truth),
        other => match other.convert(VariantScalarTypeId::Boolean) {
            Variant::Boolean(truth) => Some(truth),
            _ => None,
        },
    }
}

/// AND of three truth values (part 4, table 127).
pub(super) fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// OR of three truth values (part 4, table 128).
pub(super) fn or(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    and(left.map(|left| !left), right.map(|right| !right)).map(|neither| !neither)
}

/// Whether a value is null: nothing at all, or the null value of its type (part 6, 5.1.11).
pub(super) fn is_null(value: &Variant) -> bool {
    match value {
        Variant::Empty => true,
        Variant::String(text) => text.is_null(),
        Variant::ByteString(bytes) => bytes.is_null(),
        Variant::NodeId(id) => id.is_null(),
        Variant::ExpandedNodeId(id) => id.node_id.is_null(),
        Variant::QualifiedName(name) => name.is_null(),
        Variant::LocalizedText(text) => text.locale.is_null() && text.text.is_null(),
        Variant::DateTime(time) => time.is_null(),
        Variant::ExtensionObject(object) => object.is_null(),
        Variant::Variant(inner) => is_null(inner),
        _ => false,
    }
}

/// Whether two values are equal, after conversion to the type of higher precedence (part 4, table 126)
/// where their types differ. FALSE where one is null or no conversion exists.
pub(super) fn equal(left: &Variant, right: &Variant) -> bool {
    match (left, right) {
        (Variant::NodeId(left), Variant::NodeId(right)) => left == right,
        (Variant::String(left), Variant::String(right)) => !left.is_null() && left == right,
        (Variant::LocalizedText(left), Variant::LocalizedText(right)) => {
            // A text without a locale is the same text.
            let free = left.locale.is_empty() || right.locale.is_empty();
            left.text == right.text && (free || left.locale == right.locale)
        }
        (Variant::Array(left), Variant::Array(right)) => {
            left.values.len() == right.values.len()
                && left.values.iter().zip(&right.values).all(|(left, right)| equal(left, right))
        }
        (Variant::ExtensionObject(left), Variant::ExtensionObject(right)) => left == right,
        (Variant::XmlElement(left), Variant::XmlElement(right)) => left == right,
        _ => order(left, right) == Some(Ordering::Equal),
    }
}

/// How two values are ordered, after the conversion of [`equal`]; `None` where they have no order. NodeIds
/// and other types that only have an equality are `Equal` or nothing.
pub(super) fn order(left: &Variant, right: &Variant) -> Option<Ordering> {
    let same = |equal: bool| equal.then_some(Ordering::Equal);
    match (left, right) {
        (Variant::Variant(left), _) => order(left, right),
        (_, Variant::Variant(right)) => order(left, right),
        (Variant::Boolean(left), Variant::Boolean(right)) => Some(left.cmp(right)),
        (Variant::SByte(left), Variant::SByte(right)) => Some(left.cmp(right)),
        (Variant::Byte(left), Variant::Byte(right)) => Some(left.cmp(right)),
        (Variant::Int16(left), Variant::Int16(right)) => Some(left.cmp(right)),
        (Variant::UInt16(left), Variant::UInt16(right)) => Some(left.cmp(right)),
        (Variant::Int32(left), Variant::Int32(right)) => Some(left.cmp(right)),
        (Variant::UInt32(left), Variant::UInt32(right)) => Some(left.cmp(right)),
        (Variant::Int64(left), Variant::Int64(right)) => Some(left.cmp(right)),
        (Variant::UInt64(left), Variant::UInt64(right)) => Some(left.cmp(right)),
        (Variant::Float(left), Variant::Float(right)) => left.partial_cmp(right),
        (Variant::Double(left), Variant::Double(right)) => left.partial_cmp(right),
        (Variant::DateTime(left), Variant::DateTime(right)) => Some(left.ticks().cmp(&right.ticks())),
        (Variant::StatusCode(left), Variant::StatusCode(right)) => Some(left.bits().cmp(&right.bits())),
        (Variant::String(left), Variant::String(right)) => match (left.value(), right.value()) {
            (Some(left), Some(right)) => Some(left.cmp(right)),
            _ => None,
        },
        (Variant::ByteString(left), Variant::ByteString(right)) => match (&left.value, &right.value) {
            (Some(left), Some(right)) => Some(left.cmp(right)),
            _ => None,
        },
        (Variant::Guid(left), Variant::Guid(right)) => same(left == right),
        (Variant::NodeId(left), Variant::NodeId(right)) => same(left == right),
        (Variant::ExpandedNodeId(left), Variant::ExpandedNodeId(right)) => same(left == right),
        (Variant::QualifiedName(left), Variant::QualifiedName(right)) => same(left == right),
        (Variant::LocalizedText(_), Variant::LocalizedText(_)) => same(equal(left, right)),
        _ => {
            let (left_type, right_type) = (left.type_id(), right.type_id());
            let (VariantTypeId::Scalar(left_type), VariantTypeId::Scalar(right_type)) =
                (left_type, right_type)
            else {
                return None;
            };
            // The lower number has the higher precedence. Types of one precedence that are not the same
            // type have no conversion.
            match left_type.precedence().cmp(&right_type.precedence()) {
                Ordering::Less => converted(right, left_type).and_then(|right| order(left, &right)),
                Ordering::Greater => converted(left, right_type).and_then(|left| order(&left, right)),
                Ordering::Equal => None,
            }
        }
    }
}

/// The implicit conversion to that very type.
fn converted(value: &Variant, to: VariantScalarTypeId) -> Option<Variant> {
    let value = value.convert(to);
    (value.type_id() == VariantTypeId::Scalar(to)).then_some(value)
}

/// Like: FALSE where one of the two is no text.
pub(super) fn is_like(text: &Variant, pattern: &Variant) -> bool {
    match (as_text(text), as_text(pattern)) {
        (Some(text), Some(pattern)) => like::matches(text.as_ref(), pattern.as_ref()),
        _ => false,
    }
}

fn as_text(value: &Variant) -> Option<UAString> {
    let text = match value {
        Variant::String(text) => text.clone(),
        Variant::LocalizedText(text) => text.text.clone(),
        other => match other.convert(VariantScalarTypeId::String) {
            Variant::String(text) => text,
            _ => return None,
        },
    };
    (!text.is_null()).then_some(text)
}

/// The NodeId that a value is.
pub(super) fn as_node_id(value: &Variant) -> Option<&NodeId> {
    match value {
        Variant::NodeId(id) => Some(id),
        Variant::ExpandedNodeId(id) => Some(&id.node_id),
        Variant::Variant(inner) => as_node_id(inner),
        _ => None,
    }
}

/// Cast: the value as the data type with that NodeId; null where it cannot be.
pub(super) fn cast(value: &Variant, to: &Variant) -> Variant {
    let Some(to) = as_node_id(to).filter(|id| id.namespace == 0) else { return Variant::Empty };
    // The library's own table leaves SByte out.
    let to = match to.as_u32() {
        Some(2) => VariantScalarTypeId::SByte,
        _ => match VariantScalarTypeId::try_from(to) {
            Ok(to) => to,
            Err(_) => return Variant::Empty,
        },
    };
    value.cast(to)
}

/// BitwiseAnd and BitwiseOr on integers; null for anything else.
pub(super) fn bits(left: &Variant, right: &Variant, or: bool) -> Variant {
    macro_rules! combine {
        ($left:expr, $right:expr) => {
            if or { $left | $right } else { $left & $right }
        };
    }
    match (left, right) {
        (Variant::SByte(left), Variant::SByte(right)) => Variant::SByte(combine!(left, right)),
        (Variant::Byte(left), Variant::Byte(right)) => Variant::Byte(combine!(left, right)),
        (Variant::Int16(left), Variant::Int16(right)) => Variant::Int16(combine!(left, right)),
        (Variant::UInt16(left), Variant::UInt16(right)) => Variant::UInt16(combine!(left, right)),
        (Variant::Int32(left), Variant::Int32(right)) => Variant::Int32(combine!(left, right)),
        (Variant::UInt32(left), Variant::UInt32(right)) => Variant::UInt32(combine!(left, right)),
        (Variant::Int64(left), Variant::Int64(right)) => Variant::Int64(combine!(left, right)),
        (Variant::UInt64(left), Variant::UInt64(right)) => Variant::UInt64(combine!(left, right)),
        _ => {
            let (VariantTypeId::Scalar(left_type), VariantTypeId::Scalar(right_type)) =
                (left.type_id(), right.type_id())
            else {
                return Variant::Empty;
            };
            let both = match left_type.precedence().cmp(&right_type.precedence()) {
                Ordering::Less => (Some(left.clone()), converted(right, left_type)),
                Ordering::Greater => (converted(left, right_type), Some(right.clone())),
                Ordering::Equal => return Variant::Empty,
            };
            match both {
                (Some(left), Some(right)) => bits(&left, &right, or),
                _ => Variant::Empty,
            }
        }
    }
}

/// The part of a value that an index range names; null where there is no such part. Ranges of a text count
/// characters: the library counts bytes, and panics within a character.
pub(super) fn part(value: Variant, range: &NumericRange) -> Variant {
    let (low, high) = match range {
        NumericRange::None => return value,
        NumericRange::Index(at) => (*at as usize, *at as usize),
        NumericRange::Range(low, high) => (*low as usize, *high as usize),
        NumericRange::MultipleRanges(_) => return Variant::Empty,
    };
    match value {
        Variant::String(text) => {
            let length = high.saturating_sub(low).saturating_add(1);
            let part: String = text.as_ref().chars().skip(low).take(length).collect();
            if part.is_empty() { Variant::Empty } else { Variant::String(part.into()) }
        }
        value @ (Variant::Array(_) | Variant::ByteString(_)) => value.range_of(range).unwrap_or_default(),
        _ => Variant::Empty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opcua_types::{DateTime, ExpandedNodeId, Guid, LocalizedText, QualifiedName};

    fn text(text: &str) -> Variant {
        Variant::from(text)
    }

    fn id(namespace: u16, number: u32) -> Variant {
        Variant::from(NodeId::new(namespace, number))
    }

    #[test]
    fn values_of_every_type_are_compared() {
        let at = |ticks: i64| Variant::from(DateTime::from(ticks));
        let guid = Variant::from(Guid::new());
        let words = |locale, text| Variant::from(LocalizedText::new(locale, text));
        let equals = [
            (text("a"), text("a"), true),
            (text("a"), text("A"), false),
            (id(2, 4326), id(2, 4326), true),
            (id(2, 4326), id(0, 4326), false),
            (id(0, 2041), Variant::from(ExpandedNodeId::from(NodeId::new(0, 2041_u32))), true),
            (Variant::UInt16(500), Variant::Int32(500), true),
            (Variant::UInt16(500), Variant::Double(500.0), true),
            (Variant::UInt16(500), Variant::Byte(5), false),
            (Variant::UInt16(500), text("500"), true),
            (Variant::Boolean(true), Variant::Boolean(true), true),
            (Variant::Boolean(true), Variant::Boolean(false), false),
            (at(100), at(100), true),
            (guid.clone(), guid, true),
            (words("en", "Active"), words("", "Active"), true),
            (words("en", "Active"), words("de", "Active"), false),
            (words("en", "Active"), text("Active"), true),
            (Variant::from(QualifiedName::new(1, "x")), Variant::from(QualifiedName::new(1, "x")), true),
            (Variant::from(vec![1_i32, 2]), Variant::from(vec![1_i32, 2]), true),
            (Variant::from(vec![1_i32, 2]), Variant::from(vec![1_i32, 3]), false),
            (Variant::Empty, Variant::Empty, false),
            (Variant::Empty, Variant::UInt16(0), false),
            (Variant::Double(f64::NAN), Variant::Double(f64::NAN), false),
            (id(0, 2041), Variant::UInt32(2041), false),
        ];
        for (left, right, is) in equals {
            assert_eq!(equal(&left, &right), is, "{left:?} = {right:?}");
            assert_eq!(equal(&right, &left), is, "{right:?} = {left:?}");
        }
        assert_eq!(order(&at(1), &at(2)), Some(Ordering::Less));
        assert_eq!(order(&text("a"), &text("b")), Some(Ordering::Less));
        assert_eq!(order(&Variant::Int16(-1), &Variant::UInt16(1)), Some(Ordering::Less));
        assert_eq!(order(&Variant::Empty, &Variant::UInt16(1)), None);
    }

    #[test]
    fn three_truth_values_combine_as_the_standard_has_it() {
        let (yes, no, null) = (Some(true), Some(false), None);
        for (left, right, both, either) in [
            (yes, yes, yes, yes),
            (yes, no, no, yes),
            (yes, null, null, yes),
            (no, no, no, no),
            (no, null, no, null),
            (null, null, null, null),
        ] {
            assert_eq!((and(left, right), and(right, left)), (both, both), "{left:?} {right:?}");
            assert_eq!((or(left, right), or(right, left)), (either, either), "{left:?} {right:?}");
        }
    }

    #[test]
    fn null_is_nothing_or_the_null_of_a_type() {
        for null in [
            Variant::Empty,
            Variant::String(UAString::null()),
            Variant::from(NodeId::null()),
            Variant::from(LocalizedText::null()),
        ] {
            assert!(is_null(&null), "{null:?}");
        }
        for value in [text(""), Variant::Boolean(false), Variant::UInt16(0), id(0, 1)] {
            assert!(!is_null(&value), "{value:?}");
        }
    }

    #[test]
    fn values_are_cast_and_their_bits_combined() {
        let double = id(0, 11);
        assert_eq!(cast(&Variant::UInt16(500), &double), Variant::Double(500.0));
        assert_eq!(cast(&text("7"), &id(0, 6)), Variant::Int32(7));
        assert_eq!(cast(&Variant::Int16(7), &id(0, 2)), Variant::SByte(7));
        assert_eq!(cast(&Variant::UInt16(500), &id(0, 1_000_000)), Variant::Empty);
        assert_eq!(cast(&Variant::UInt16(500), &text("Double")), Variant::Empty);
        assert_eq!(bits(&Variant::UInt16(6), &Variant::UInt16(3), false), Variant::UInt16(2));
        assert_eq!(bits(&Variant::UInt16(6), &Variant::UInt32(1), true), Variant::UInt32(7));
        assert_eq!(bits(&Variant::Double(6.0), &Variant::UInt32(1), true), Variant::Empty);
    }

    #[test]
    fn a_range_of_a_text_counts_characters() {
        assert_eq!(part(text("Öl"), &NumericRange::Index(0)), text("Ö"));
        assert_eq!(part(text("Öl fehlt"), &NumericRange::Range(1, 3)), text("l f"));
        assert_eq!(part(text("Öl"), &NumericRange::Index(9)), Variant::Empty);
        assert_eq!(part(Variant::UInt16(1), &NumericRange::Index(0)), Variant::Empty);
    }
}
