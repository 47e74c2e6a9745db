//! Whether a value is what the profile says it is.

use std::sync::Arc;

use guideway_contract::{DataType, Kind, Native};

/// Whether a profile's type is one that values of OPC UA can be held against.
pub fn is_known(kind: Kind) -> bool {
    !matches!(kind, Kind::Bcd(_) | Kind::Bits(_) | Kind::Fields)
}

/// The value as the type that the profile asks for: numbers written as text are read, and numbers asked for as text
/// are written out.
///
/// # Errors
/// Why the value is not of the type.
pub fn fit(data_type: DataType, value: Native) -> Result<Native, String> {
    if matches!(value, Native::Bad(_) | Native::Null) || data_type == DataType::default() {
        return Ok(value);
    }
    let Some(count) = data_type.count else { return one(data_type.kind, value) };
    match &value {
        Native::List(values) if values.len() == count as usize => {
            let values = values.iter().map(|value| one(data_type.kind, value.clone()));
            Ok(Native::List(values.collect::<Result<Vec<_>, _>>()?.into()))
        }
        Native::List(values) => {
            Err(format!("an array of {} where the profile says {data_type}", values.len()))
        }
        other => Err(format!("{} where the profile says {data_type}", other.kind())),
    }
}

fn one(kind: Kind, value: Native) -> Result<Native, String> {
    let wrong = |value: &Native| {
        let shown: String = value.to_string().chars().take(40).collect();
        Err(format!("{} ({shown}) where the profile says {}", value.kind(), DataType::one(kind)))
    };
    match kind {
        Kind::Auto => Ok(value),
        Kind::Bool => match &value {
            Native::Bool(_) => Ok(value),
            Native::Int(0) => Ok(Native::Bool(false)),
            Native::Int(1) => Ok(Native::Bool(true)),
            Native::Text(text) if text.eq_ignore_ascii_case("true") => Ok(Native::Bool(true)),
            Native::Text(text) if text.eq_ignore_ascii_case("false") => Ok(Native::Bool(false)),
            _ => wrong(&value),
        },
        Kind::F32 | Kind::F64 => match &value {
            Native::Float(_) => Ok(value),
            Native::Int(_) | Native::UInt(_) => Ok(value.number().map_or(Native::Null, Native::Float)),
            Native::Text(text) => match text.trim().parse() {
                Ok(number) => Ok(Native::Float(number)),
                Err(_) => wrong(&value),
            },
            _ => wrong(&value),
        },
        Kind::Text(most) | Kind::WideText(most) | Kind::Chars(most) => {
            let text = match &value {
                Native::Text(_) => value,
                Native::Bool(_) | Native::Int(_) | Native::UInt(_) | Native::Float(_) => {
                    Native::text(&value.to_string())
                }
                _ => return wrong(&value),
            };
            match &text {
                Native::Text(text) if text.chars().count() > most as usize => Err(format!(
                    "a text of {} characters where the profile says {most}",
                    text.chars().count()
                )),
                _ => Ok(text),
            }
        }
        Kind::Bytes(length) => match &value {
            Native::Bytes(bytes) if bytes.len() == length as usize => Ok(value),
            Native::Text(text) if text.len() == length as usize => {
                Ok(Native::Bytes(Arc::from(text.as_bytes())))
            }
            _ => wrong(&value),
        },
        Kind::I8 | Kind::U8 | Kind::I16 | Kind::U16 | Kind::I32 | Kind::U32 | Kind::I64 | Kind::U64 => {
            let number = match &value {
                Native::Bool(set) => Some(i128::from(*set)),
                other => whole(other),
            };
            match number.filter(|number| is_in(kind, *number)) {
                Some(number) => Ok(i64::try_from(number)
                    .map_or_else(|_| u64::try_from(number).map_or(Native::Null, Native::UInt), Native::Int)),
                None => wrong(&value),
            }
        }
        Kind::Bcd(_) | Kind::Bits(_) | Kind::Fields => wrong(&value),
    }
}

/// A whole number, if the value is one.
pub(super) fn whole(value: &Native) -> Option<i128> {
    match value {
        Native::Int(number) => Some(i128::from(*number)),
        Native::UInt(number) => Some(i128::from(*number)),
        #[expect(clippy::cast_possible_truncation, reason = "whole and far within the range")]
        Native::Float(number) if number.fract() == 0.0 && number.abs() < 1e19 => Some(*number as i128),
        Native::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn is_in(kind: Kind, number: i128) -> bool {
    let (low, high): (i128, i128) = match kind {
        Kind::I8 => (i8::MIN.into(), i8::MAX.into()),
        Kind::U8 => (0, u8::MAX.into()),
        Kind::I16 => (i16::MIN.into(), i16::MAX.into()),
        Kind::U16 => (0, u16::MAX.into()),
        Kind::I32 => (i32::MIN.into(), i32::MAX.into()),
        Kind::U32 => (0, u32::MAX.into()),
        Kind::I64 => (i64::MIN.into(), i64::MAX.into()),
        _ => (0, u64::MAX.into()),
    };
    (low..=high).contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(data_type: &str, value: Native) -> Result<Native, String> {
        fit(data_type.parse().unwrap(), value)
    }

    #[test]
    fn numbers_and_texts_become_what_is_asked_for() {
        assert_eq!(fits("f64", Native::Int(3)), Ok(Native::Float(3.0)));
        assert_eq!(fits("f64", Native::text(" 1.5 ")), Ok(Native::Float(1.5)));
        assert_eq!(fits("u16", Native::Float(7.0)), Ok(Native::Int(7)));
        assert_eq!(fits("u64", Native::UInt(u64::MAX)), Ok(Native::UInt(u64::MAX)));
        assert_eq!(fits("bool", Native::Int(1)), Ok(Native::Bool(true)));
        assert_eq!(fits("i64", Native::Bool(true)), Ok(Native::Int(1)));
        assert_eq!(fits("string[8]", Native::Int(12)), Ok(Native::text("12")));
        assert_eq!(
            fits("i8[2]", Native::List([Native::Int(1), Native::Int(2)].into())).unwrap().to_string(),
            "[1, 2]"
        );
        assert_eq!(fits("auto", Native::text("x")), Ok(Native::text("x")));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_sides() {
        assert_eq!(fits("u8", Native::Int(256)), Err("an integer (256) where the profile says u8".into()));
        for (data_type, value) in [
            ("i16", Native::Float(1.5)),
            ("i16", Native::text("x")),
            ("bool", Native::Int(2)),
            ("string[2]", Native::text("abc")),
            ("f32[2]", Native::List([Native::Int(1)].into())),
            ("f32[2]", Native::Int(1)),
            ("bytes[2]", Native::Bytes(Arc::from([1]))),
        ] {
            assert!(fits(data_type, value).is_err(), "{data_type}");
        }
    }
}
