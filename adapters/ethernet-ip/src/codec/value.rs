//! Values: the type codes of Logix tags, and bytes as values and back.

use guideway_contract::{DataType, Kind, Native};

use super::template::Templates;
use super::{CodecError, Reader};

/// A bit in a byte of its own.
pub const BOOL: u16 = 0xC1;
/// 8 bits with a sign.
pub const SINT: u16 = 0xC2;
/// 32 bits of a BOOL array.
pub const DWORD: u16 = 0xD3;
/// What stands before the handle of a structure.
const STRUCTURE: u16 = 0x02A0;
/// Micro800: one byte of length, then characters.
const SHORT_STRING: u16 = 0xDA;
/// Two bytes of length, then characters.
const CIP_STRING: u16 = 0xD0;

/// What kind of thing a reply holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A single value, or an array, of this type code.
    Atomic(u16),
    /// A structure with this handle, or an array of them.
    Structure(u16),
}

impl Shape {
    /// As it stands in front of written values.
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Self::Atomic(code) => code.to_le_bytes().to_vec(),
            Self::Structure(handle) => [STRUCTURE.to_le_bytes(), handle.to_le_bytes()].concat(),
        }
    }

    /// What an engineer calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Structure(_) => "a structure",
            Self::Atomic(code) => match code {
                0xC1 => "BOOL",
                0xC2 => "SINT",
                0xC3 => "INT",
                0xC4 => "DINT",
                0xC5 => "LINT",
                0xC6 => "USINT",
                0xC7 => "UINT",
                0xC8 => "UDINT",
                0xC9 => "ULINT",
                0xCA => "REAL",
                0xCB => "LREAL",
                0xD0 | 0xDA => "STRING",
                0xD1 => "BYTE",
                0xD2 => "WORD",
                0xD3 => "BOOL[32]",
                0xD4 => "LWORD",
                _ => "of a type that is not known",
            },
        }
    }
}

/// The type in front of read values, and the values.
///
/// # Errors
/// There is no type.
pub fn split_type(data: &[u8]) -> Result<(Shape, &[u8]), CodecError> {
    let mut reader = Reader::new(data, "a value");
    let shape = match reader.u16()? {
        STRUCTURE => Shape::Structure(reader.u16()?),
        code => Shape::Atomic(code),
    };
    Ok((shape, reader.rest()))
}

/// Bytes of one value of a type; `None` for texts and what is not known.
pub const fn size(code: u16) -> Option<usize> {
    Some(match code {
        0xC1 | 0xC2 | 0xC6 | 0xD1 => 1,
        0xC3 | 0xC7 | 0xD2 => 2,
        0xC4 | 0xC8 | 0xCA | 0xD3 => 4,
        0xC5 | 0xC9 | 0xCB | 0xD4 => 8,
        _ => return None,
    })
}

const fn is_signed(code: u16) -> bool {
    matches!(code, 0xC2..=0xC5)
}

const fn is_float(code: u16) -> bool {
    matches!(code, 0xCA | 0xCB)
}

/// One value of a type, from the front of `data`.
pub fn atomic(code: u16, data: &[u8]) -> Option<Native> {
    let mut bytes = [0; 8];
    let size = size(code)?;
    bytes.get_mut(..size)?.copy_from_slice(data.get(..size)?);
    let raw = u64::from_le_bytes(bytes);
    Some(match code {
        BOOL => Native::Bool(raw != 0),
        0xCA => Native::float32(f32::from_bits(u32::try_from(raw).ok()?)),
        0xCB => Native::Float(f64::from_bits(raw)),
        code if is_signed(code) => Native::Int(sign_extended(raw, size)),
        _ => Native::unsigned(raw),
    })
}

fn sign_extended(raw: u64, size: usize) -> i64 {
    let unused = 64 - 8 * size.clamp(1, 8);
    (raw << unused).cast_signed() >> unused
}

/// A text in a STRING structure: LEN, then DATA.
///
/// # Errors
/// There is no length, or one that is larger than the structure.
pub fn string(data: &[u8]) -> Result<Native, String> {
    let (length, text) = data.split_first_chunk::<4>().ok_or("a STRING without a length")?;
    let length = i32::from_le_bytes(*length);
    let text = usize::try_from(length).ok().and_then(|length| text.get(..length));
    text.map(text_of).ok_or_else(|| format!("the STRING's LEN is {length}, beyond its DATA"))
}

/// UTF-8 where it is that, else Latin-1.
fn text_of(bytes: &[u8]) -> Native {
    match std::str::from_utf8(bytes) {
        Ok(text) => Native::text(text),
        Err(_) => Native::text(&bytes.iter().copied().map(char::from).collect::<String>()),
    }
}

fn cut(value: Native, most: u32) -> Native {
    match value {
        Native::Text(text) if text.chars().count() > most as usize => {
            Native::text(&text.chars().take(most as usize).collect::<String>())
        }
        other => other,
    }
}

/// A bit of a whole number.
///
/// # Errors
/// It is no whole number, or has no such bit.
pub fn bit(shape: Shape, data: &[u8], bit: u8) -> Result<Native, String> {
    let Shape::Atomic(code) = shape else { return Err("a structure has no bits; name the member".into()) };
    let size = size(code).filter(|_| !is_float(code) && code != BOOL);
    let size = size.ok_or_else(|| format!("the tag is {}: it has no bit {bit}", shape.name()))?;
    let byte = data.get(usize::from(bit / 8)).filter(|_| usize::from(bit) < 8 * size);
    let byte = byte.ok_or_else(|| format!("the tag is {}: it has no bit {bit}", shape.name()))?;
    Ok(Native::Bool(byte >> (bit % 8) & 1 == 1))
}

/// Bits of a BOOL array as a list.
///
/// # Errors
/// It is no BOOL array, or a shorter one.
pub fn bools(shape: Shape, data: &[u8], first: usize, count: usize) -> Result<Native, String> {
    if shape != Shape::Atomic(DWORD) {
        return Err(format!("the tag is {}, not a BOOL array", shape.name()));
    }
    let one = |index: usize| data.get(index / 8).map(|byte| Native::Bool(byte >> (index % 8) & 1 == 1));
    let all = (first..first.saturating_add(count)).map(one).collect::<Option<Vec<_>>>();
    all.map(|all| Native::List(all.into())).ok_or_else(|| "the BOOL array is shorter than asked for".into())
}

/// Read values as a point's type.
///
/// # Errors
/// Why they are not of that type, in words.
pub fn decode(shape: Shape, data: &[u8], wanted: DataType, templates: &Templates) -> Result<Native, String> {
    match wanted.kind {
        Kind::Bytes(length) => {
            return raw(data, length, length as usize).map(|bytes| Native::Bytes(bytes.into()));
        }
        Kind::Bits(length) => {
            return raw(data, length, length.div_ceil(8) as usize).map(|bytes| Native::Bytes(bytes.into()));
        }
        Kind::Chars(length) => {
            let bytes = raw(data, length, length as usize)?;
            return Ok(text_of(bytes.split(|byte| *byte == 0).next().unwrap_or_default()));
        }
        _ => {}
    }
    let element = |data: &[u8]| one(shape, data, wanted.kind, templates);
    let Some(count) = wanted.count else { return element(data) };
    let count = count as usize;
    let size = match shape {
        Shape::Atomic(code) => {
            size(code).ok_or_else(|| format!("the tag is {}: no arrays of it", shape.name()))?
        }
        Shape::Structure(_) => data.len() / count.max(1),
    };
    let short = || format!("the reply holds {} bytes, less than {count} elements", data.len());
    if size == 0 || data.len() < size * count {
        return Err(short());
    }
    data.chunks_exact(size)
        .take(count)
        .map(element)
        .collect::<Result<Vec<_>, _>>()
        .map(|all| Native::List(all.into()))
}

fn raw(data: &[u8], length: u32, bytes: usize) -> Result<&[u8], String> {
    data.get(..bytes).ok_or_else(|| format!("the tag has {} bytes, less than {length} asked for", data.len()))
}

fn one(shape: Shape, data: &[u8], kind: Kind, templates: &Templates) -> Result<Native, String> {
    match shape {
        Shape::Structure(handle) => match kind {
            // Who asks for text of a structure knows that it is a string, described or not.
            Kind::Text(most) => string(data).map(|text| cut(text, most)),
            Kind::Auto => templates.record(handle, data),
            _ => Err("the tag is a structure; write type = \"auto\", or name one of its members".into()),
        },
        Shape::Atomic(code @ (SHORT_STRING | CIP_STRING)) => {
            let mut reader = Reader::new(data, "a STRING");
            let length = if code == SHORT_STRING { reader.u8().map(u16::from) } else { reader.u16() };
            let text =
                length.and_then(|length| reader.take(usize::from(length))).map_err(|error| error.to_string());
            match kind {
                Kind::Auto => text.map(text_of),
                Kind::Text(most) => text.map(|text| cut(text_of(text), most)),
                _ => Err("the tag is STRING; write type = \"string[N]\"".into()),
            }
        }
        Shape::Atomic(code) => {
            let value = atomic(code, data)
                .ok_or_else(|| format!("the tag is {} ({code:#06x}, {} bytes)", shape.name(), data.len()))?;
            converted(value, code, kind, shape)
        }
    }
}

fn converted(value: Native, code: u16, kind: Kind, shape: Shape) -> Result<Native, String> {
    let other = || format!("the tag is {}; it is not read as this type", shape.name());
    let whole = match value {
        Native::Int(number) => i128::from(number),
        Native::UInt(number) => i128::from(number),
        Native::Bool(_) | Native::Float(_) => {
            let fits = match kind {
                Kind::Auto => true,
                Kind::Bool => code == BOOL,
                Kind::F32 | Kind::F64 => is_float(code),
                _ => false,
            };
            return if fits { Ok(value) } else { Err(other()) };
        }
        _ => return Err(other()),
    };
    let (bits, signed) = match kind {
        Kind::Auto => return Ok(value),
        Kind::F32 | Kind::F64 => return value.number().map(Native::Float).ok_or_else(other),
        Kind::I8 => (8, true),
        Kind::U8 => (8, false),
        Kind::I16 => (16, true),
        Kind::U16 => (16, false),
        Kind::I32 => (32, true),
        Kind::U32 => (32, false),
        Kind::I64 => (64, true),
        Kind::U64 => (64, false),
        Kind::Bcd(digits) => return bcd(whole, digits),
        _ => return Err(other()),
    };
    // The same bits may be meant with or without a sign: Logix programs keep counters without one in a DINT.
    let same_width = size(code).is_some_and(|size| size * 8 == bits);
    let modulus = 1_i128 << bits;
    let whole = if same_width { whole.rem_euclid(modulus) } else { whole };
    let whole = if same_width && signed && whole >= modulus / 2 { whole - modulus } else { whole };
    let range = if signed { -modulus / 2..modulus / 2 } else { 0..modulus };
    if !range.contains(&whole) {
        return Err(format!("{whole} does not fit the type asked for; the tag is {}", shape.name()));
    }
    i64::try_from(whole)
        .map(Native::Int)
        .or_else(|_| u64::try_from(whole).map(Native::UInt))
        .map_err(|_| other())
}

fn bcd(raw: i128, digits: u32) -> Result<Native, String> {
    let mut number = 0;
    for place in (0..digits.min(8)).rev() {
        let digit = (raw >> (4 * place)) & 0xF;
        if digit > 9 {
            return Err(format!("{raw:#x} is not binary-coded decimal"));
        }
        number = number * 10 + digit;
    }
    i64::try_from(number).map(Native::Int).map_err(|error| error.to_string())
}

/// What to send after the type and the number of elements, for a tag whose value now has `present` bytes.
///
/// # Errors
/// Why the value does not fit the tag, in words.
///
/// `room` is how many bytes of text a structure has, where it is known to be a string.
pub fn encode(
    shape: Shape,
    present: usize,
    wanted: DataType,
    value: &Native,
    room: Option<usize>,
) -> Result<Vec<u8>, String> {
    let Some(count) = wanted.count.filter(|_| !matches!(wanted.kind, Kind::Chars(_) | Kind::Bytes(_))) else {
        return encode_one(shape, present, value, room);
    };
    let Native::List(values) = value else { return Err(format!("{} is no list of {count}", value.kind())) };
    if values.len() != count as usize {
        return Err(format!("a list of {} where {count} elements belong", values.len()));
    }
    let each = present / values.len().max(1);
    let all =
        values.iter().map(|value| encode_one(shape, each, value, room)).collect::<Result<Vec<_>, _>>()?;
    Ok(all.concat())
}

fn encode_one(shape: Shape, present: usize, value: &Native, room: Option<usize>) -> Result<Vec<u8>, String> {
    let code = match (shape, value) {
        (Shape::Structure(_), Native::Text(written)) if let Some(room) = room => {
            if written.len() > room.min(present.saturating_sub(4)) {
                return Err(format!("the text has {} bytes, the STRING room for {room}", written.len()));
            }
            let mut bytes = u32::try_from(written.len()).unwrap_or_default().to_le_bytes().to_vec();
            bytes.extend_from_slice(written.as_bytes());
            bytes.resize(present, 0);
            return Ok(bytes);
        }
        (Shape::Structure(_), _) => {
            return Err("a structure is not written as a whole; name one of its members".into());
        }
        (Shape::Atomic(code), _) => code,
    };
    let unfit = || format!("{} `{value}` does not fit a tag that is {}", value.kind(), shape.name());
    if let (SHORT_STRING | CIP_STRING, Native::Text(written)) = (code, value) {
        let mut bytes = match (code, u8::try_from(written.len()), u16::try_from(written.len())) {
            (SHORT_STRING, Ok(length), _) => vec![length],
            (CIP_STRING, _, Ok(length)) => length.to_le_bytes().to_vec(),
            _ => return Err(unfit()),
        };
        bytes.extend_from_slice(written.as_bytes());
        return Ok(bytes);
    }
    let size = size(code).ok_or_else(unfit)?;
    if is_float(code) {
        let number = value.number().filter(|_| !matches!(value, Native::Bool(_))).ok_or_else(unfit)?;
        if code == 0xCB {
            return Ok(number.to_le_bytes().to_vec());
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "rounding to 32 bits is meant; overflow is looked for"
        )]
        let narrow = number as f32;
        return if number.is_finite() && narrow.is_infinite() {
            Err(unfit())
        } else {
            Ok(narrow.to_le_bytes().to_vec())
        };
    }
    let whole = match value {
        Native::Bool(set) if code == BOOL => i128::from(*set),
        Native::Int(number) => i128::from(*number),
        Native::UInt(number) => i128::from(*number),
        #[expect(clippy::cast_possible_truncation, reason = "the number is whole and within 64 bits")]
        Native::Float(number) if number.fract() == 0.0 && number.abs() < 9.2e18 => i128::from(*number as i64),
        _ => return Err(unfit()),
    };
    let bits = 8 * size;
    let range = match code {
        BOOL => 0..2,
        code if is_signed(code) => -(1_i128 << (bits - 1))..1_i128 << (bits - 1),
        _ => 0..1_i128 << bits,
    };
    if !range.contains(&whole) {
        return Err(unfit());
    }
    Ok(whole.to_le_bytes().into_iter().take(size).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: u16, data: &[u8], wanted: &str) -> Result<Native, String> {
        decode(Shape::Atomic(code), data, wanted.parse().unwrap(), &Templates::default())
    }

    #[test]
    fn values_are_read_by_their_own_type() {
        assert_eq!(read(0xC1, &[0xFF], "auto"), Ok(Native::Bool(true)));
        assert_eq!(read(0xC2, &[0xFE], "auto"), Ok(Native::Int(-2)));
        assert_eq!(read(0xC3, &[0, 0x80], "auto"), Ok(Native::Int(-32_768)));
        assert_eq!(read(0xC8, &[0xFF; 4], "auto"), Ok(Native::Int(4_294_967_295)));
        assert_eq!(read(0xC9, &[0xFF; 8], "auto"), Ok(Native::UInt(u64::MAX)));
        assert_eq!(read(0xCA, &0.1_f32.to_le_bytes(), "auto"), Ok(Native::Float(0.1)));
        assert_eq!(read(0xCB, &0.1_f64.to_le_bytes(), "auto"), Ok(Native::Float(0.1)));
        assert_eq!(read(0xDA, &[2, b'h', b'i', b'x'], "auto"), Ok(Native::text("hi")));
    }

    #[test]
    fn a_declared_type_widens_or_takes_the_same_bits_otherwise() {
        assert_eq!(read(0xC4, &[0xFF; 4], "u32"), Ok(Native::Int(4_294_967_295)));
        assert_eq!(read(0xC3, &[7, 0], "i32"), Ok(Native::Int(7)));
        assert_eq!(read(0xC4, &[7, 0, 0, 0], "f64"), Ok(Native::Float(7.0)));
        assert_eq!(read(0xC3, &[0x34, 0x12], "bcd4"), Ok(Native::Int(1_234)));
        assert!(read(0xC4, &[0, 0, 1, 0], "i16").unwrap_err().contains("65536 does not fit"));
        assert!(read(0xCA, &[0; 4], "i32").unwrap_err().contains("REAL"));
        assert!(read(0xC4, &[0; 4], "bool").unwrap_err().contains("DINT"));
    }

    #[test]
    fn arrays_bits_and_characters() {
        let list = |values: &[i64]| Native::List(values.iter().map(|value| Native::Int(*value)).collect());
        assert_eq!(read(0xC3, &[1, 0, 2, 0, 3, 0], "auto[3]"), Ok(list(&[1, 2, 3])));
        assert!(read(0xC3, &[1, 0, 2, 0], "i16[3]").is_err());
        assert_eq!(read(0xC2, b"PART\0xyz", "chars[8]"), Ok(Native::text("PART")));
        assert_eq!(read(0xC4, &[5, 0, 0, 0x80], "bits[32]"), Ok(Native::Bytes(vec![5, 0, 0, 0x80].into())));
        assert_eq!(bit(Shape::Atomic(0xC4), &[0, 0, 0, 0x80], 31), Ok(Native::Bool(true)));
        assert!(bit(Shape::Atomic(0xC3), &[0, 0], 16).unwrap_err().contains("INT: it has no bit 16"));
        let flags = bools(Shape::Atomic(DWORD), &[0b10, 0, 0, 0], 1, 2).unwrap();
        assert_eq!(flags, Native::List([Native::Bool(true), Native::Bool(false)].into()));
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_sent() {
        let write = |code, value: Native| encode(Shape::Atomic(code), 4, DataType::default(), &value, None);
        assert_eq!(write(0xC3, Native::Int(-2)), Ok(vec![0xFE, 0xFF]));
        assert_eq!(write(0xC4, Native::Float(3.0)), Ok(vec![3, 0, 0, 0]));
        assert_eq!(write(0xC1, Native::Int(1)), Ok(vec![1]));
        assert!(write(0xC3, Native::Int(40_000)).unwrap_err().contains("INT"));
        assert!(write(0xC4, Native::Float(3.5)).is_err());
        assert!(write(0xC4, Native::Bool(true)).is_err());
        assert!(write(0xCA, Native::Float(1e300)).is_err());
        assert!(write(0xC4, Native::text("7")).is_err());
    }

    #[test]
    fn a_string_is_written_whole_and_never_longer_than_its_room() {
        let wanted = "string[82]".parse().unwrap();
        let shape = Shape::Structure(super::super::template::STRING);
        let bytes = encode(shape, 88, wanted, &Native::text("AB-1"), Some(82)).unwrap();
        assert_eq!((bytes.len(), &bytes[..8]), (88, &[4, 0, 0, 0, b'A', b'B', b'-', b'1'][..]));
        assert_eq!(decode(shape, &bytes, wanted, &Templates::default()), Ok(Native::text("AB-1")));
        assert!(encode(shape, 88, wanted, &Native::text(&"x".repeat(83)), Some(82)).is_err());
        assert!(string(&[9, 0, 0, 0, b'x']).unwrap_err().contains("LEN is 9"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(number in proptest::num::i64::ANY, code in 0xC2_u16..=0xC9) {
            let written = encode(Shape::Atomic(code), 8, DataType::default(), &Native::Int(number), None);
            if let Ok(bytes) = written {
                proptest::prop_assert_eq!(atomic(code, &bytes), Some(Native::Int(number)));
            }
        }
    }
}
