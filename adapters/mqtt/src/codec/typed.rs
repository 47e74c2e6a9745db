//! Values as their point's type wants them.

use std::sync::Arc;

use guideway_contract::{DataType, Kind, Native};

/// Where in bytes a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The first byte.
    pub(crate) start: u32,
    /// Whether the lowest byte comes first.
    pub(crate) little: bool,
    /// The lowest bit, counted from the lowest bit of the last byte, and how many bits.
    pub(crate) bits: Option<(u32, u32)>,
}

/// Makes of a value what its type says. The error says what it is instead.
pub(crate) fn coerce(value: Native, data_type: DataType) -> Result<Native, String> {
    if data_type == DataType::default() || matches!(value, Native::Null | Native::Bad(_)) {
        return Ok(value);
    }
    let Some(count) = data_type.count else { return one(value, data_type.kind) };
    let Native::List(elements) = value else { return Err(format!("{} where a list is", value.kind())) };
    if elements.len() != count as usize {
        return Err(format!("a list of {} where one of {count} is", elements.len()));
    }
    let elements: Result<Vec<_>, _> =
        elements.iter().map(|element| one(element.clone(), data_type.kind)).collect();
    Ok(Native::List(elements?.into()))
}

fn one(value: Native, kind: Kind) -> Result<Native, String> {
    let range = match kind {
        Kind::Auto | Kind::Fields => return Ok(value),
        Kind::Bool => {
            return match &value {
                Native::Bool(_) => Ok(value),
                Native::Int(0) => Ok(Native::Bool(false)),
                Native::Int(1) => Ok(Native::Bool(true)),
                Native::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                    "true" | "1" | "on" => Ok(Native::Bool(true)),
                    "false" | "0" | "off" => Ok(Native::Bool(false)),
                    _ => Err(format!("`{}` is neither true nor false", shown(&value))),
                },
                _ => Err(format!("`{}` is neither true nor false", shown(&value))),
            };
        }
        Kind::F32 | Kind::F64 => {
            let number = match &value {
                Native::Text(text) => guideway_shdr::codec::number(text.trim()),
                value => value.number(),
            };
            return number.map(Native::Float).ok_or_else(|| format!("`{}` is no number", shown(&value)));
        }
        Kind::Text(most) | Kind::WideText(most) | Kind::Chars(most) => {
            let text = match &value {
                Native::Text(text) => text.clone(),
                Native::Bool(_) | Native::Int(_) | Native::UInt(_) | Native::Float(_) => {
                    value.to_string().into()
                }
                _ => return Err(format!("{} where text is", value.kind())),
            };
            return if text.chars().count() > most as usize {
                Err(format!("text of more than {most} characters"))
            } else {
                Ok(Native::Text(text))
            };
        }
        Kind::I8 => (-0x80, 0x7F),
        Kind::U8 => (0, 0xFF),
        Kind::I16 => (-0x8000, 0x7FFF),
        Kind::U16 => (0, 0xFFFF),
        Kind::I32 => (-0x8000_0000, 0x7FFF_FFFF),
        Kind::U32 => (0, 0xFFFF_FFFF),
        Kind::I64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
        Kind::U64 => (0, i128::from(u64::MAX)),
        Kind::Bcd(_) | Kind::Bits(_) | Kind::Bytes(_) => {
            return Err(format!("{} where bytes are", value.kind()));
        }
    };
    let whole = match &value {
        Native::Bool(set) => Some(i128::from(*set)),
        Native::Int(number) => Some(i128::from(*number)),
        Native::UInt(number) => Some(i128::from(*number)),
        Native::Float(number) => exact(*number),
        Native::Text(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| guideway_shdr::codec::number(text).and_then(exact))
        }
        _ => None,
    };
    let Some(whole) = whole else { return Err(format!("`{}` is no whole number", shown(&value))) };
    if whole < range.0 || whole > range.1 {
        return Err(format!("{whole} is out of the type's range"));
    }
    Ok(match i64::try_from(whole) {
        Ok(number) => Native::Int(number),
        Err(_) => Native::UInt(u64::try_from(whole).unwrap_or(u64::MAX)),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
fn exact(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() < 1e30).then_some(number as i128)
}

fn shown(value: &Native) -> String {
    value.to_string().chars().take(40).collect()
}

/// Reads a value out of bytes. The error says what is missing.
pub(crate) fn from_bytes(bytes: &[u8], data_type: DataType, cut: Cut) -> Result<Native, String> {
    if let Some((offset, length)) = cut.bits {
        return bits(bytes, data_type.kind, offset, length);
    }
    let tail = bytes.get(cut.start as usize..).ok_or_else(|| short(bytes, cut.start, 1))?;
    let Some(size) = data_type.element_bytes() else { return Ok(Native::Bytes(tail.into())) };
    let whole = size.saturating_mul(data_type.elements());
    let mut elements = Vec::new();
    if matches!(data_type.kind, Kind::Text(_)) && data_type.count.is_none() {
        // A text may be shorter than it could be.
        return Ok(text(&tail[..tail.len().min(size as usize)]));
    }
    let tail = tail.get(..whole as usize).ok_or_else(|| short(bytes, cut.start, whole))?;
    for element in tail.chunks_exact(size.max(1) as usize) {
        elements.push(element_of(element, data_type.kind, cut.little)?);
    }
    match data_type.count {
        Some(_) => Ok(Native::List(elements.into())),
        None => elements.pop().ok_or_else(|| short(bytes, cut.start, whole)),
    }
}

fn short(bytes: &[u8], start: u32, length: u32) -> String {
    format!("{} bytes where {length} from byte {start} on are needed", bytes.len())
}

fn element_of(bytes: &[u8], kind: Kind, little: bool) -> Result<Native, String> {
    let mut eight = [0; 8];
    let width = bytes.len().min(8);
    let number = |sign: bool| {
        let mut value = 0_u64;
        for at in 0..width {
            value = value << 8 | u64::from(bytes[if little { width - 1 - at } else { at }]);
        }
        sign_extended(value, u32::try_from(width * 8).unwrap_or(64), sign)
    };
    Ok(match kind {
        Kind::Bool => Native::Bool(bytes.iter().any(|byte| *byte != 0)),
        Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 => number(true),
        Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => number(false),
        Kind::F32 | Kind::F64 => {
            eight[..width].copy_from_slice(&bytes[..width]);
            if little {
                eight[..width].reverse();
            }
            if width == 4 {
                Native::float32(f32::from_be_bytes([eight[0], eight[1], eight[2], eight[3]]))
            } else {
                Native::Float(f64::from_be_bytes(eight))
            }
        }
        Kind::Text(_) | Kind::Chars(_) => text(bytes),
        Kind::Bytes(_) | Kind::Bits(_) => Native::Bytes(Arc::from(bytes)),
        Kind::Auto | Kind::Fields | Kind::Bcd(_) | Kind::WideText(_) => {
            return Err("a type that bytes do not have".into());
        }
    })
}

fn text(bytes: &[u8]) -> Native {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Native::text(&String::from_utf8_lossy(&bytes[..end]))
}

fn bits(bytes: &[u8], kind: Kind, offset: u32, length: u32) -> Result<Native, String> {
    let held = bytes.len().saturating_mul(8);
    if length == 0 || length > 64 || (offset as usize).saturating_add(length as usize) > held {
        return Err(format!(
            "{held} bits where bits {offset} to {} are needed",
            u64::from(offset) + u64::from(length)
        ));
    }
    let mut value = 0_u64;
    for bit in (offset..offset + length).rev() {
        let byte = bytes[bytes.len() - 1 - (bit / 8) as usize];
        value = value << 1 | u64::from(byte >> (bit % 8) & 1);
    }
    Ok(match kind {
        Kind::Bool => Native::Bool(value != 0),
        Kind::F32 if length == 32 => {
            Native::float32(f32::from_bits(u32::try_from(value).unwrap_or_default()))
        }
        Kind::F64 if length == 64 => Native::Float(f64::from_bits(value)),
        Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 => sign_extended(value, length, true),
        _ => Native::unsigned(value),
    })
}

fn sign_extended(value: u64, bits: u32, sign: bool) -> Native {
    let above = 64_u32.saturating_sub(bits);
    if sign { Native::Int((value << above).cast_signed() >> above) } else { Native::unsigned(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(value: Native, data_type: &str) -> Result<String, String> {
        coerce(value, data_type.parse().unwrap()).map(|value| value.to_string())
    }

    #[test]
    fn numbers_and_truths_are_read_from_text() {
        assert_eq!(typed(Native::text(" 12 "), "i16"), Ok("12".into()));
        assert_eq!(typed(Native::text("1e3"), "u16"), Ok("1000".into()));
        assert_eq!(typed(Native::text("2.5"), "f64"), Ok("2.5".into()));
        assert_eq!(typed(Native::text("ON"), "bool"), Ok("true".into()));
        assert_eq!(typed(Native::Int(7), "string[4]"), Ok("7".into()));
        assert_eq!(typed(Native::UInt(u64::MAX), "u64"), Ok(u64::MAX.to_string()));
        assert_eq!(typed(Native::Null, "i16"), Ok("null".into()));
    }

    #[test]
    fn what_does_not_fit_its_type_is_said() {
        for (value, data_type, part) in [
            (Native::Int(40_000), "i16", "range"),
            (Native::Float(1.5), "i16", "whole"),
            (Native::text("x"), "f64", "no number"),
            (Native::Int(2), "bool", "neither"),
            (Native::text("abcde"), "string[4]", "more than 4"),
            (Native::Int(2), "i16[2]", "a list"),
            (Native::List([Native::Int(1)].into()), "i16[2]", "a list of 1"),
        ] {
            let error = typed(value, data_type).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn values_are_read_out_of_bytes() {
        let bytes = [0x03, 0xB9, 0xFF, 0xFE, 0x3D, 0xCC, 0xCC, 0xCD];
        let at = |start, little, data_type: &str| {
            from_bytes(&bytes, data_type.parse().unwrap(), Cut { start, little, bits: None })
                .map(|v| v.to_string())
        };
        assert_eq!(at(0, false, "u16"), Ok("953".into()));
        assert_eq!(at(0, true, "u16"), Ok("47363".into()));
        assert_eq!(at(2, false, "i16"), Ok("-2".into()));
        assert_eq!(at(4, false, "f32"), Ok("0.1".into()));
        assert_eq!(at(0, false, "u8[2]"), Ok("[3, 185]".into()));
        assert_eq!(at(6, false, "auto"), Ok("CCCD".into()));
        assert_eq!(at(0, false, "bytes[2]"), Ok("03B9".into()));
        assert!(at(7, false, "u16").unwrap_err().contains("8 bytes"));
        assert!(at(9, false, "auto").is_err());
    }

    #[test]
    fn bits_are_counted_as_an_iodd_does() {
        let bits = |offset, length, kind| {
            let cut = Cut { bits: Some((offset, length)), ..Cut::default() };
            from_bytes(&[0x03, 0xB9], DataType::one(kind), cut)
        };
        // A sensor of 14 bits above two switching bits.
        assert_eq!(bits(2, 14, Kind::I16), Ok(Native::Int(0x03B9 >> 2)));
        assert_eq!(bits(0, 1, Kind::Bool), Ok(Native::Bool(true)));
        assert_eq!(bits(1, 1, Kind::Bool), Ok(Native::Bool(false)));
        assert_eq!(bits(0, 4, Kind::I8), Ok(Native::Int(-7)));
        assert!(bits(10, 7, Kind::U8).is_err());
        assert!(bits(u32::MAX, 64, Kind::U8).is_err());
    }

    proptest! {
        #[test]
        fn whole_numbers_are_read_back(number in any::<i32>(), little in any::<bool>()) {
            let bytes = if little { number.to_le_bytes() } else { number.to_be_bytes() };
            let cut = Cut { little, ..Cut::default() };
            prop_assert_eq!(from_bytes(&bytes, DataType::one(Kind::I32), cut), Ok(Native::Int(i64::from(number))));
        }
    }
}
