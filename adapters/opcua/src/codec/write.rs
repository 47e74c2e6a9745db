//! A raw value as the node's data type wants it.

use guideway_contract::Native;
use opcua_types::{
    Array, ByteString, DateTime, Guid, LocalizedText, NodeId, QualifiedName, StatusCode, Variant,
    VariantScalarTypeId, VariantTypeId,
};

use super::fit::whole;

/// What a node takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Its built-in type.
    pub kind: VariantScalarTypeId,
    /// Whether it takes an array.
    pub array: bool,
}

impl Target {
    /// As a value that the node has now.
    pub fn of(value: &Variant) -> Option<Self> {
        match value.type_id() {
            VariantTypeId::Empty => None,
            VariantTypeId::Scalar(kind) => Some(Self { kind, array: false }),
            VariantTypeId::Array(kind, _) => Some(Self { kind, array: true }),
        }
    }
}

/// The value for a write or a method's argument.
///
/// # Errors
/// The value does not fit; nothing may be sent then.
pub fn variant(value: &Native, target: Target) -> Result<Variant, String> {
    if !target.array {
        return scalar(value, target.kind);
    }
    let Native::List(values) = value else {
        return Err(format!("the node takes an array of {}, and this is {}", target.kind, value.kind()));
    };
    let values = values.iter().map(|value| scalar(value, target.kind)).collect::<Result<Vec<_>, _>>()?;
    Array::new(target.kind, values).map(Variant::from).map_err(|error| error.to_string())
}

fn scalar(value: &Native, kind: VariantScalarTypeId) -> Result<Variant, String> {
    let wrong = || {
        let shown: String = value.to_string().chars().take(40).collect();
        format!("the node takes {kind}, and this is {} ({shown})", value.kind())
    };
    // A text is never taken for a number on its way to a machine.
    let number = || match value {
        Native::Int(_) | Native::UInt(_) | Native::Float(_) => whole(value),
        _ => None,
    };
    macro_rules! integer {
        ($type:ty) => {
            number()
                .and_then(|number| <$type>::try_from(number).ok())
                .map(Variant::from)
                .ok_or_else(|| format!("{}; it is from {} to {}", wrong(), <$type>::MIN, <$type>::MAX))
        };
    }
    let text = || match value {
        Native::Text(text) => Some(text.as_str()),
        _ => None,
    };
    match kind {
        VariantScalarTypeId::Boolean => match value {
            Native::Bool(set) => Ok(Variant::from(*set)),
            Native::Int(0) => Ok(Variant::from(false)),
            Native::Int(1) => Ok(Variant::from(true)),
            _ => Err(wrong()),
        },
        VariantScalarTypeId::SByte => integer!(i8),
        VariantScalarTypeId::Byte => integer!(u8),
        VariantScalarTypeId::Int16 => integer!(i16),
        VariantScalarTypeId::UInt16 => integer!(u16),
        VariantScalarTypeId::Int32 => integer!(i32),
        VariantScalarTypeId::UInt32 => integer!(u32),
        VariantScalarTypeId::Int64 => integer!(i64),
        VariantScalarTypeId::UInt64 => integer!(u64),
        VariantScalarTypeId::Float => match value {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the nearest 32-bit float is what is asked for"
            )]
            Native::Int(_) | Native::UInt(_) | Native::Float(_) => match value.number() {
                Some(number) if !number.is_finite() || number.abs() <= f64::from(f32::MAX) => {
                    Ok(Variant::from(number as f32))
                }
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        },
        VariantScalarTypeId::Double => match value {
            Native::Int(_) | Native::UInt(_) | Native::Float(_) => {
                value.number().map(Variant::from).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        },
        VariantScalarTypeId::String => text().map(Variant::from).ok_or_else(wrong),
        VariantScalarTypeId::XmlElement => {
            text().map(|text| Variant::XmlElement(text.into())).ok_or_else(wrong)
        }
        VariantScalarTypeId::LocalizedText => {
            text().map(|text| Variant::from(LocalizedText::new("", text))).ok_or_else(wrong)
        }
        VariantScalarTypeId::QualifiedName => text().map(|text| name(text).into()).ok_or_else(wrong),
        VariantScalarTypeId::DateTime => {
            let time = text().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            time.map(Variant::from).ok_or_else(|| format!("{}; write 2026-11-22T10:30:00Z", wrong()))
        }
        VariantScalarTypeId::Guid => {
            text().and_then(|text| text.parse::<Guid>().ok()).map(Variant::from).ok_or_else(wrong)
        }
        VariantScalarTypeId::NodeId => {
            text().and_then(|text| text.parse::<NodeId>().ok()).map(Variant::from).ok_or_else(wrong)
        }
        VariantScalarTypeId::ByteString => match value {
            Native::Bytes(bytes) => Ok(Variant::from(ByteString::from(bytes.to_vec()))),
            _ => Err(wrong()),
        },
        VariantScalarTypeId::StatusCode => number()
            .and_then(|code| u32::try_from(code).ok())
            .map(|code| StatusCode::from(code).into())
            .ok_or_else(wrong),
        // A node of any type takes the value as it is.
        VariantScalarTypeId::Variant => any(value).ok_or_else(wrong),
        VariantScalarTypeId::ExpandedNodeId
        | VariantScalarTypeId::ExtensionObject
        | VariantScalarTypeId::DataValue
        | VariantScalarTypeId::DiagnosticInfo => Err(format!("the node takes {kind}, which is not written")),
    }
}

fn any(value: &Native) -> Option<Variant> {
    Some(match value {
        Native::Bool(set) => Variant::from(*set),
        Native::Int(number) => Variant::from(*number),
        Native::UInt(number) => Variant::from(*number),
        Native::Float(number) => Variant::from(*number),
        Native::Text(text) => Variant::from(text.as_str()),
        Native::Bytes(bytes) => Variant::from(ByteString::from(bytes.to_vec())),
        _ => return None,
    })
}

fn name(text: &str) -> QualifiedName {
    match text.split_once(':').map(|(index, name)| (index.parse(), name)) {
        Some((Ok(index), name)) => QualifiedName::new(index, name),
        _ => QualifiedName::new(0, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{structure::Shapes, value};

    fn write(value: &Native, kind: VariantScalarTypeId) -> Result<Variant, String> {
        variant(value, Target { kind, array: false })
    }

    #[test]
    fn a_value_becomes_what_the_node_takes() {
        use VariantScalarTypeId as Kind;
        assert_eq!(write(&Native::Int(7), Kind::Byte), Ok(Variant::Byte(7)));
        assert_eq!(write(&Native::Float(7.0), Kind::Int16), Ok(Variant::Int16(7)));
        assert_eq!(write(&Native::Int(7), Kind::Double), Ok(Variant::Double(7.0)));
        assert_eq!(write(&Native::Float(0.1), Kind::Float), Ok(Variant::Float(0.1)));
        assert_eq!(write(&Native::text("2:a"), Kind::QualifiedName), Ok(QualifiedName::new(2, "a").into()));
        let list = Native::List([Native::Int(1), Native::Int(2)].into());
        let target = Target { kind: Kind::UInt16, array: true };
        assert_eq!(variant(&list, target), Ok(Variant::from(vec![1_u16, 2])));
    }

    #[test]
    fn what_does_not_fit_is_refused_before_anything_is_sent() {
        use VariantScalarTypeId as Kind;
        assert!(write(&Native::Int(256), Kind::Byte).unwrap_err().contains("from 0 to 255"));
        for (value, kind) in [
            (Native::Float(1.5), Kind::Int32),
            (Native::text("7"), Kind::Int32),
            (Native::Int(2), Kind::Boolean),
            (Native::Float(1e300), Kind::Float),
            (Native::Int(1), Kind::String),
            (Native::text("yesterday"), Kind::DateTime),
            (Native::List([].into()), Kind::Int32),
            (Native::Null, Kind::Double),
        ] {
            assert!(write(&value, kind).is_err(), "{value} as {kind}");
        }
        assert!(variant(&Native::Int(1), Target { kind: Kind::Int32, array: true }).is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(whole: i32, float: f64, text in "\\PC{0,10}", set: bool) {
            use VariantScalarTypeId as Kind;
            for (native, kind) in [
                (Native::Int(whole.into()), Kind::Int32),
                (Native::Int(whole.into()), Kind::Int64),
                (Native::Float(float), Kind::Double),
                (Native::text(&text), Kind::String),
                (Native::text(&text), Kind::LocalizedText),
                (Native::Bool(set), Kind::Boolean),
            ] {
                let sent = write(&native, kind).unwrap();
                let same = value::native(&sent, &Shapes::default());
                proptest::prop_assert!(same == native || float.is_nan());
            }
        }
    }
}
