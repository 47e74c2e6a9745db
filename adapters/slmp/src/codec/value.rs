//! Values in words: the low word first, in each word the low byte first; bits from the lowest up.

use guideway_contract::{DataType, Kind, Native};

/// How many bits of device memory a value takes.
pub const fn bits(data_type: DataType) -> u32 {
    let each = match data_type.kind {
        Kind::Bool => 1,
        Kind::Bits(length) => length,
        kind => match DataType::one(kind).element_bytes() {
            Some(bytes) => 8 * bytes,
            None => 16,
        },
    };
    each.saturating_mul(match data_type.count {
        Some(count) => count,
        None => 1,
    })
}

/// A value from the bytes of words, beginning at `bit` of the first.
///
/// # Errors
/// There are too few bytes, or they are no such value.
pub fn decode(words: &[u8], bit: u8, wanted: DataType) -> Result<Native, String> {
    let length = bits(wanted);
    let all = cut_out(words, u32::from(bit), length).ok_or("the reply is too short")?;
    let Some(count) = wanted.count else { return one(&all, wanted.kind) };
    let each = length / count.max(1);
    let element = |index: u32| match cut_out(&all, index * each, each) {
        Some(bytes) => one(&bytes, wanted.kind),
        None => Err("the reply is too short".to_owned()),
    };
    (0..count).map(element).collect::<Result<Vec<_>, _>>().map(|all| Native::List(all.into()))
}

/// So many bits from a place, moved down to bit 0; the rest of the last byte is 0.
fn cut_out(bytes: &[u8], start: u32, length: u32) -> Option<Vec<u8>> {
    let (first, shift) = (usize::try_from(start / 8).ok()?, start % 8);
    let count = usize::try_from(length.div_ceil(8)).ok()?;
    let end = usize::try_from(start.checked_add(length)?.div_ceil(8)).ok()?;
    let source = bytes.get(first..end)?;
    let mut cut: Vec<u8> = if shift == 0 {
        source.get(..count)?.to_vec()
    } else {
        let high = |at: usize| source.get(at + 1).map_or(0, |next| next << (8 - shift));
        (0..count).map(|at| source.get(at).map_or(0, |byte| byte >> shift) | high(at)).collect()
    };
    if let (Some(last), used @ 1..) = (cut.last_mut(), length % 8) {
        *last &= (1 << used) - 1;
    }
    Some(cut)
}

fn one(bytes: &[u8], kind: Kind) -> Result<Native, String> {
    let short = || "the reply is too short".to_owned();
    macro_rules! number {
        ($type:ty) => {
            <$type>::from_le_bytes(*bytes.first_chunk().ok_or_else(short)?)
        };
    }
    Ok(match kind {
        Kind::Bool => Native::Bool(bytes.first().ok_or_else(short)? & 1 == 1),
        Kind::I8 => Native::Int(number!(i8).into()),
        Kind::U8 => Native::Int(number!(u8).into()),
        Kind::I16 | Kind::Auto => Native::Int(number!(i16).into()),
        Kind::U16 => Native::Int(number!(u16).into()),
        Kind::I32 => Native::Int(number!(i32).into()),
        Kind::U32 => Native::Int(number!(u32).into()),
        Kind::I64 => Native::Int(number!(i64)),
        Kind::U64 => Native::unsigned(number!(u64)),
        Kind::F32 => Native::float32(number!(f32)),
        Kind::F64 => Native::Float(number!(f64)),
        Kind::Bcd(_) => bcd(bytes)?,
        Kind::Text(_) | Kind::Chars(_) => text(bytes.split(|byte| *byte == 0).next().unwrap_or_default()),
        Kind::WideText(_) => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
            Native::text(&String::from_utf16_lossy(&units))
        }
        Kind::Bits(_) | Kind::Bytes(_) => Native::Bytes(bytes.into()),
        Kind::Fields => return Err("words have no fields".into()),
    })
}

/// UTF-8 where it is that, else Latin-1.
fn text(bytes: &[u8]) -> Native {
    match std::str::from_utf8(bytes) {
        Ok(text) => Native::text(text),
        Err(_) => Native::text(&bytes.iter().copied().map(char::from).collect::<String>()),
    }
}

fn bcd(bytes: &[u8]) -> Result<Native, String> {
    let mut number = 0_i64;
    for byte in bytes.iter().rev().take(8) {
        for digit in [byte >> 4, byte & 0xF] {
            if digit > 9 {
                return Err(format!("{} is not binary-coded decimal", Native::Bytes(bytes.into())));
            }
            number = number * 10 + i64::from(digit);
        }
    }
    Ok(Native::Int(number))
}

/// The bytes of the words that a value is written as; for bools, a byte of 0 or 1 for each.
///
/// # Errors
/// Why the value does not fit the type.
pub fn encode(wanted: DataType, value: &Native) -> Result<Vec<u8>, String> {
    let Some(count) = wanted.count else { return encode_one(wanted.kind, value) };
    let Native::List(values) = value else { return Err(format!("{} is no list of {count}", value.kind())) };
    if values.len() != count as usize {
        return Err(format!("a list of {} where {count} elements belong", values.len()));
    }
    let all = values.iter().map(|value| encode_one(wanted.kind, value)).collect::<Result<Vec<_>, _>>()?;
    Ok(all.concat())
}

fn encode_one(kind: Kind, value: &Native) -> Result<Vec<u8>, String> {
    let unfit = || format!("{} `{value}` does not fit the point's type", value.kind());
    let number = || value.number().filter(|_| !matches!(value, Native::Bool(_))).ok_or_else(unfit);
    macro_rules! whole {
        ($type:ty) => {
            <$type>::try_from(whole(value).ok_or_else(unfit)?).map_err(|_| unfit())?.to_le_bytes().to_vec()
        };
    }
    Ok(match kind {
        Kind::Bool => match value {
            Native::Bool(set) => vec![u8::from(*set)],
            Native::Int(number @ 0..=1) => vec![u8::from(*number == 1)],
            _ => return Err(unfit()),
        },
        Kind::I16 | Kind::Auto => whole!(i16),
        Kind::U16 => whole!(u16),
        Kind::I32 => whole!(i32),
        Kind::U32 => whole!(u32),
        Kind::I64 => whole!(i64),
        Kind::U64 => whole!(u64),
        Kind::F32 => {
            let number = number()?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounding to 32 bits is meant; overflow is looked for"
            )]
            let narrow = number as f32;
            if number.is_finite() && narrow.is_infinite() {
                return Err(unfit());
            }
            narrow.to_le_bytes().to_vec()
        }
        Kind::F64 => number()?.to_le_bytes().to_vec(),
        Kind::Text(room) | Kind::Chars(room) => {
            let Native::Text(text) = value else { return Err(unfit()) };
            if text.len() > room as usize {
                return Err(format!("the text has {} bytes, the point room for {room}", text.len()));
            }
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(room.next_multiple_of(2) as usize, 0);
            bytes
        }
        Kind::WideText(room) => {
            let Native::Text(text) = value else { return Err(unfit()) };
            let units: Vec<u16> = text.encode_utf16().collect();
            if units.len() > room as usize {
                return Err(format!("the text has {} characters, the point room for {room}", units.len()));
            }
            let mut bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            bytes.resize(2 * room as usize, 0);
            bytes
        }
        Kind::I8 | Kind::U8 | Kind::Bcd(_) | Kind::Bits(_) | Kind::Bytes(_) | Kind::Fields => {
            return Err("points of this type are only read; write whole words".into());
        }
    })
}

fn whole(value: &Native) -> Option<i128> {
    match value {
        Native::Int(number) => Some(i128::from(*number)),
        Native::UInt(number) => Some(i128::from(*number)),
        #[expect(clippy::cast_possible_truncation, reason = "the number is whole and within 64 bits")]
        Native::Float(number) if number.fract() == 0.0 && number.abs() < 9.2e18 => {
            Some(i128::from(*number as i64))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], bit: u8, wanted: &str) -> String {
        decode(bytes, bit, wanted.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn numbers_have_their_low_word_first() {
        assert_eq!(read(&[0xFE, 0xFF], 0, "auto"), "-2");
        assert_eq!(read(&[0xFE, 0xFF], 0, "u16"), "65534");
        assert_eq!(read(&[0x78, 0x56, 0x34, 0x12], 0, "u32"), "305419896");
        assert_eq!(read(&[0, 0x50, 0x9A, 0x44], 0, "f32"), "1234.5");
        assert_eq!(read(&0.1_f64.to_le_bytes(), 0, "f64"), "0.1");
        assert_eq!(read(&[0x34, 0x12], 0, "bcd4"), "1234");
        assert_eq!(read(&[0x78, 0x56, 0x34, 0x12], 0, "bcd8"), "12345678");
        assert_eq!(read(&[0xFF; 8], 0, "u64"), "18446744073709551615");
        assert_eq!(read(&[1, 0, 2, 0, 3, 0], 0, "i16[3]"), "[1, 2, 3]");
    }

    #[test]
    fn bits_begin_anywhere_in_a_word() {
        assert_eq!(read(&[0b1000, 0], 3, "bool"), "true");
        assert_eq!(read(&[0, 0x80, 1, 0], 15, "bool[2]"), "[true, true]");
        assert_eq!(read(&[0xF0, 0xFF, 0x0F, 0], 4, "bits[16]"), "FFFF");
        assert_eq!(read(&[0xF0, 0xFF, 0x0F, 0], 4, "bits[12]"), "FF0F");
        assert_eq!(read(&[0xF0, 0x12, 0x03, 0], 4, "u16"), format!("{}", 0x312F));
    }

    #[test]
    fn texts_end_at_the_first_nul() {
        assert_eq!(read(b"ABC\0XY", 0, "string[6]"), "ABC");
        assert_eq!(read(b"ABCDEF", 0, "string[5]"), "ABCDE");
        assert_eq!(read(b"A\0\xE9\0\0\0", 0, "wstring[3]"), "Aé");
        assert_eq!(read(b"ABCDEFGH", 0, "string[4][2]"), "[ABCD, EFGH]");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let write = |wanted: &str, value: Native| encode(wanted.parse().unwrap(), &value);
        assert_eq!(write("i16", Native::Int(-2)), Ok(vec![0xFE, 0xFF]));
        assert_eq!(write("u32", Native::Float(5.0)), Ok(vec![5, 0, 0, 0]));
        assert_eq!(write("f32", Native::Float(1_234.5)), Ok(vec![0, 0x50, 0x9A, 0x44]));
        assert_eq!(write("string[5]", Native::text("AB")), Ok(b"AB\0\0\0\0".to_vec()));
        assert_eq!(
            write("bool[2]", Native::List([Native::Bool(true), Native::Int(0)].into())),
            Ok(vec![1, 0])
        );
        assert!(write("i16", Native::Int(40_000)).is_err());
        assert!(write("u16", Native::Float(1.5)).is_err());
        assert!(write("i16", Native::Bool(true)).is_err());
        assert!(write("string[2]", Native::text("ABC")).is_err());
        assert!(write("i16[2]", Native::List([Native::Int(1)].into())).is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(number in proptest::num::i64::ANY, kind in proptest::sample::select(vec!["i16", "u16", "i32", "u32", "i64", "f64"])) {
            let wanted: DataType = kind.parse().unwrap();
            if let Ok(bytes) = encode(wanted, &Native::Int(number)) && kind != "f64" {
                proptest::prop_assert_eq!(decode(&bytes, 0, wanted), Ok(Native::Int(number)));
            }
        }

        #[test]
        fn bits_are_cut_out_as_one_by_one(bytes in proptest::collection::vec(proptest::num::u8::ANY, 8), start in 0_u32..20, length in 1_u32..40) {
            let cut = cut_out(&bytes, start, length).unwrap();
            let bit = |bytes: &[u8], at: u32| bytes[(at / 8) as usize] >> (at % 8) & 1;
            for at in 0..length {
                proptest::prop_assert_eq!(bit(&cut, at), bit(&bytes, start + at));
            }
        }
    }
}
