//! Values: bytes of a layout to [`Native`] and back.

use guideway_contract::Native;

use super::job::Payload;
use super::{text, time};
use crate::address::Place;
use crate::layout::{Element, Layout};

/// The value of a point's bytes.
///
/// # Errors
/// Why they are no such value.
pub fn decode(layout: &Layout, bytes: &[u8]) -> Result<Native, String> {
    let short = || "the reply is too short".to_owned();
    let stride = layout.element.stride() as usize;
    let width = layout.element.bytes() as usize;
    let one = |index: usize| {
        if layout.element == Element::Bool {
            let bit = usize::from(layout.bit) + index;
            let byte = bytes.get(bit / 8).ok_or_else(short)?;
            return Ok(Native::Bool(byte >> (bit % 8) & 1 != 0));
        }
        let start = index * stride;
        element(layout.element, bytes.get(start..start + width).ok_or_else(short)?)
    };
    match layout.count {
        None => one(0),
        Some(count) => {
            (0..count as usize).map(one).collect::<Result<Vec<_>, _>>().map(|all| Native::List(all.into()))
        }
    }
}

fn element(element: Element, bytes: &[u8]) -> Result<Native, String> {
    Ok(match element {
        Element::Bool => Native::Bool(bytes.first().is_some_and(|byte| byte & 1 != 0)),
        Element::Signed(width) => {
            let shift = 64 - 8 * width;
            Native::Int((unsigned(bytes) << shift).cast_signed() >> shift)
        }
        Element::Unsigned(_) => Native::unsigned(unsigned(bytes)),
        Element::F32 => Native::float32(f32::from_bits(u32::try_from(unsigned(bytes)).unwrap_or(0))),
        Element::F64 => Native::Float(f64::from_bits(unsigned(bytes))),
        Element::Bcd(_) => {
            let mut number = 0_i64;
            for byte in bytes {
                let (high, low) = (byte >> 4, byte & 0x0F);
                if high > 9 || low > 9 {
                    return Err(format!("{} is no BCD number", Native::Bytes(bytes.into())));
                }
                number = number * 100 + i64::from(high * 10 + low);
            }
            Native::Int(number)
        }
        Element::Text(most) => {
            let [longest, length] = [bytes[0], bytes[1]].map(usize::from);
            header("STRING", longest, length, most)?;
            Native::text(&text::decode(&bytes[2..2 + length]))
        }
        Element::WideText(most) => {
            let [longest, length] =
                [[bytes[0], bytes[1]], [bytes[2], bytes[3]]].map(u16::from_be_bytes).map(usize::from);
            header("WSTRING", longest, length, most)?;
            let units =
                bytes[4..4 + 2 * length].chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            Native::text(
                &char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{FFFD}')).collect::<String>(),
            )
        }
        Element::Chars(_) => {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            Native::text(&text::decode(&bytes[..end]))
        }
        Element::Bits(bits) => {
            let mut bytes = bytes.to_vec();
            if let (Some(last), 1..) = (bytes.last_mut(), bits % 8) {
                *last &= (1 << (bits % 8)) - 1;
            }
            Native::Bytes(bytes.into())
        }
        Element::Bytes(_) => Native::Bytes(bytes.into()),
        Element::Time(format) => return time::decode(format, bytes),
    })
}

/// Whether a string's lengths are possible, and its characters all there.
fn header(name: &str, longest: usize, length: usize, most: u32) -> Result<(), String> {
    if length > longest {
        return Err(format!(
            "this is no {name}: its length is {length} of at most {longest}; is the address right, is `chars[{most}]` meant?"
        ));
    }
    if length > most as usize {
        return Err(format!(
            "the {name} has {length} characters of at most {longest}, the profile reads {most}; write {}[{longest}]",
            name.to_ascii_lowercase()
        ));
    }
    Ok(())
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A string in the controller, whose maximum length has to be known before its characters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StringLength {
    /// Where its maximum length is.
    pub place: Place,
    /// WSTRING: words in place of bytes.
    pub wide: bool,
    /// How many characters are to be written.
    pub length: u16,
}

impl StringLength {
    /// Bytes that hold the maximum length.
    pub const fn bytes(self) -> u16 {
        if self.wide { 2 } else { 1 }
    }

    /// Whether the characters fit the string whose maximum length these bytes are.
    ///
    /// # Errors
    /// Why not.
    pub fn fits(self, bytes: &[u8]) -> Result<(), String> {
        let longest = unsigned(bytes);
        let (name, last) = if self.wide { ("WSTRING", 16_382) } else { ("STRING", 254) };
        if longest == 0 || longest > last {
            return Err(format!(
                "this is no {name}: its maximum length is {longest}; is the address right, has the program set it up?"
            ));
        }
        if u64::from(self.length) > longest {
            return Err(format!(
                "{} characters are too many for the controller's {name}[{longest}]",
                self.length
            ));
        }
        Ok(())
    }
}

/// What has to be sent for one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writing {
    /// For strings: what has to be looked up first.
    pub string: Option<StringLength>,
    /// What is written, in order.
    pub parts: Vec<(Place, Payload)>,
}

/// What to send so that a point has a value.
///
/// # Errors
/// Why the value does not fit.
pub fn encode(layout: &Layout, value: &Native) -> Result<Writing, String> {
    let after = |bytes| Place { start: layout.place.start + bytes, ..layout.place };
    let whole = |bytes| Writing { string: None, parts: vec![(layout.place, Payload::Bytes(bytes))] };
    let values = match (layout.count, value) {
        (None, value) => std::slice::from_ref(value),
        (Some(count), Native::List(values)) if values.len() == count as usize => values,
        (Some(count), Native::List(values)) => {
            return Err(format!("{} values are not the {count} of the array", values.len()));
        }
        (Some(count), value) => return Err(format!("{} is no list of {count} values", value.kind())),
    };
    match layout.element {
        Element::Bool => {
            let mut parts = Vec::with_capacity(values.len());
            for (index, value) in values.iter().enumerate() {
                let Native::Bool(set) = value else { return Err(misfit(value, "a bool")) };
                let bit = u32::from(layout.bit) + u32::try_from(index).unwrap_or(0);
                let in_byte = u8::try_from(bit % 8).unwrap_or(0);
                parts.push((after(bit / 8), Payload::Bit(in_byte, *set)));
            }
            // Whole bytes need not be written bit by bit.
            if layout.bit == 0 && parts.len() % 8 == 0 {
                let byte = |bits: &[(Place, Payload)]| {
                    bits.iter()
                        .rev()
                        .fold(0, |byte, (_, bit)| byte << 1 | u8::from(matches!(bit, Payload::Bit(_, true))))
                };
                return Ok(whole(parts.chunks_exact(8).map(byte).collect()));
            }
            Ok(Writing { string: None, parts })
        }
        Element::Text(most) => {
            let Native::Text(string) = value else { return Err(misfit(value, "text")) };
            let bytes = text::encode(string).map_err(|none| format!("a STRING has no character `{none}`"))?;
            let length = u8::try_from(bytes.len()).ok().filter(|length| u32::from(*length) <= most);
            let length = length.ok_or_else(|| too_long(bytes.len(), most))?;
            let bytes = [&[length], &bytes[..]].concat();
            let string = StringLength { place: layout.place, wide: false, length: length.into() };
            Ok(Writing { string: Some(string), parts: vec![(after(1), Payload::Bytes(bytes))] })
        }
        Element::WideText(most) => {
            let Native::Text(string) = value else { return Err(misfit(value, "text")) };
            let units: Vec<u16> = string.encode_utf16().collect();
            let length = u16::try_from(units.len()).ok().filter(|length| u32::from(*length) <= most);
            let length = length.ok_or_else(|| too_long(units.len(), most))?;
            let bytes = std::iter::once(length).chain(units).flat_map(u16::to_be_bytes).collect();
            let string = StringLength { place: layout.place, wide: true, length };
            Ok(Writing { string: Some(string), parts: vec![(after(2), Payload::Bytes(bytes))] })
        }
        element => {
            let mut bytes = Vec::with_capacity(layout.bytes() as usize);
            for value in values {
                bytes.extend(encode_element(element, value)?);
            }
            Ok(whole(bytes))
        }
    }
}

fn encode_element(element: Element, value: &Native) -> Result<Vec<u8>, String> {
    match element {
        Element::Signed(width) => {
            let number = integer(value)?;
            let limit = 1_i128 << (8 * width - 1);
            if !(-limit..limit).contains(&number) {
                return Err(format!("{number} is out of range ({} to {})", -limit, limit - 1));
            }
            Ok(last_bytes(number, width))
        }
        Element::Unsigned(width) => {
            let number = integer(value)?;
            let limit = 1_i128 << (8 * width);
            if !(0..limit).contains(&number) {
                return Err(format!("{number} is out of range (0 to {})", limit - 1));
            }
            Ok(last_bytes(number, width))
        }
        Element::F32 => {
            let number = float(value)?;
            if number.abs() > f64::from(f32::MAX) {
                return Err(format!("{number} is out of range for a REAL"));
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "its range was checked; digits are lost as asked"
            )]
            let short = number as f32;
            Ok(short.to_be_bytes().into())
        }
        Element::F64 => Ok(float(value)?.to_be_bytes().into()),
        Element::Bcd(digits) => {
            let number = integer(value)?;
            let limit = 10_i128.pow(digits.min(18));
            if !(0..limit).contains(&number) {
                return Err(format!("{number} is out of range (0 to {})", limit - 1));
            }
            let text = format!("{number:0width$}", width = digits.next_multiple_of(2) as usize);
            let digits: Vec<u8> = text.bytes().map(|digit| digit & 0x0F).collect();
            Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        Element::Chars(count) => {
            let Native::Text(string) = value else { return Err(misfit(value, "text")) };
            let mut bytes = text::encode(string).map_err(|none| format!("a CHAR cannot be `{none}`"))?;
            if bytes.len() > count as usize {
                return Err(too_long(bytes.len(), count));
            }
            bytes.resize(count as usize, 0);
            Ok(bytes)
        }
        Element::Bits(_) | Element::Bytes(_) => match value {
            Native::Bytes(bytes) if bytes.len() == element.bytes() as usize => Ok(bytes.to_vec()),
            Native::Bytes(bytes) => {
                Err(format!("{} bytes are not the {} of the point", bytes.len(), element.bytes()))
            }
            value => Err(misfit(value, "bytes")),
        },
        Element::Time(format) => time::encode(format, value),
        Element::Bool | Element::Text(_) | Element::WideText(_) => Err(misfit(value, "a single value")),
    }
}

fn last_bytes(number: i128, width: u32) -> Vec<u8> {
    number.to_be_bytes()[16 - width as usize..].to_vec()
}

fn misfit(value: &Native, wanted: &str) -> String {
    format!("`{value}` is {}, not {wanted}", value.kind())
}

fn too_long(length: usize, most: u32) -> String {
    format!("{length} characters are more than the {most} of the point")
}

/// A whole number; one of an expression may come as a float without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "checked to be well inside the range")]
fn integer(value: &Native) -> Result<i128, String> {
    match value {
        Native::Int(number) => Ok(i128::from(*number)),
        Native::UInt(number) => Ok(i128::from(*number)),
        Native::Float(number) if number.fract() == 0.0 && number.abs() < 1e19 => Ok(*number as i128),
        _ => Err(misfit(value, "a whole number")),
    }
}

fn float(value: &Native) -> Result<f64, String> {
    match value {
        Native::Int(_) | Native::UInt(_) | Native::Float(_) => {
            value.number().filter(|number| number.is_finite()).ok_or_else(|| misfit(value, "a finite number"))
        }
        _ => Err(misfit(value, "a number")),
    }
}

#[cfg(test)]
mod tests {
    use guideway_contract::PointSpec;

    use super::*;
    use crate::Point;

    fn layout(address: &str, data_type: &str) -> Layout {
        Layout::new(&PointSpec::new(address, data_type.parse().unwrap(), Point::default())).unwrap()
    }

    fn read(data_type: &str, bytes: &[u8]) -> Result<Native, String> {
        decode(&layout("DB1.0.0", data_type), bytes)
    }

    fn write(data_type: &str, value: &Native) -> Result<Vec<(u32, Payload)>, String> {
        let writing = encode(&layout("DB1.0.0", data_type), value)?;
        Ok(writing.parts.into_iter().map(|(place, payload)| (place.start, payload)).collect())
    }

    fn ints(numbers: &[i64]) -> Native {
        Native::List(numbers.iter().map(|number| Native::Int(*number)).collect())
    }

    #[test]
    fn numbers_are_big_endian() {
        assert_eq!(read("i8", &[0xFF]), Ok(Native::Int(-1)));
        assert_eq!(read("u8", &[0xFF]), Ok(Native::Int(255)));
        assert_eq!(read("i16", &[0xFF, 0xFE]), Ok(Native::Int(-2)));
        assert_eq!(read("u16", &[0x12, 0x34]), Ok(Native::Int(0x1234)));
        assert_eq!(read("i32", &[0x80, 0, 0, 0]), Ok(Native::Int(i64::from(i32::MIN))));
        assert_eq!(read("u32", &[0xFF; 4]), Ok(Native::Int(i64::from(u32::MAX))));
        assert_eq!(read("i64", &[0xFF; 8]), Ok(Native::Int(-1)));
        assert_eq!(read("u64", &[0xFF; 8]), Ok(Native::UInt(u64::MAX)));
        assert_eq!(read("f32", &0.1_f32.to_be_bytes()), Ok(Native::Float(0.1)));
        assert_eq!(read("f64", &0.1_f64.to_be_bytes()), Ok(Native::Float(0.1)));
        assert_eq!(read("bcd4", &[0x12, 0x34]), Ok(Native::Int(1234)));
        assert_eq!(read("bcd8", &[0x12, 0x34, 0x56, 0x78]), Ok(Native::Int(12_345_678)));
        assert!(read("bcd4", &[0x12, 0x3A]).is_err());
        assert_eq!(read("i16[3]", &[0, 1, 0, 2, 0xFF, 0xFF]), Ok(ints(&[1, 2, -1])));
    }

    #[test]
    fn bools_are_packed() {
        let bools = |bits: &[u8]| Native::List(bits.iter().map(|bit| Native::Bool(*bit == 1)).collect());
        assert_eq!(read("bool", &[0x01]), Ok(Native::Bool(true)));
        assert_eq!(decode(&layout("DB1.DBX0.6", "bool[4]"), &[0x40, 0x02]), Ok(bools(&[1, 0, 0, 1])));
        assert_eq!(read("bits[10]", &[0xFF, 0xFF]), Ok(Native::Bytes([0xFF, 0x03][..].into())));
    }

    #[test]
    fn strings_are_checked_by_their_header() {
        assert_eq!(read("string[4]", &[4, 2, b'O', b'K', b'?', b'?']), Ok(Native::text("OK")));
        assert_eq!(read("string[4]", &[20, 3, b'a', b'b', 0xDF, 0]), Ok(Native::text("abß")));
        assert_eq!(read("string[4]", &[0; 6]), Ok(Native::text("")));
        assert!(read("string[4]", &[4, 5, 0, 0, 0, 0]).unwrap_err().contains("no STRING"));
        assert!(read("string[4]", &[20, 5, 0, 0, 0, 0]).unwrap_err().contains("write string[20]"));
        assert_eq!(read("wstring[2]", &[0, 2, 0, 1, 0x03, 0xA9, 0, 0]), Ok(Native::text("Ω")));
        assert!(read("wstring[2]", &[0, 1, 0, 2, 0, 0, 0, 0]).is_err());
        assert_eq!(read("chars[4]", &[b'a', b'b', 0, b'c']), Ok(Native::text("ab")));
        let two = [3, 1, b'x', 0, 0, 0, 3, 1, b'y', 0, 0];
        assert_eq!(
            read("string[3][2]", &two),
            Ok(Native::List([Native::text("x"), Native::text("y")].into()))
        );
    }

    #[test]
    fn a_string_is_written_without_its_maximum_and_only_where_it_fits() {
        let writing = encode(&layout("DB1.10", "string[4]"), &Native::text("OK")).unwrap();
        assert_eq!(writing.parts[0].0.start, 11);
        assert_eq!(writing.parts[0].1, Payload::Bytes(vec![2, b'O', b'K']));
        let string = writing.string.unwrap();
        assert_eq!((string.place.start, string.bytes()), (10, 1));
        assert_eq!(string.fits(&[2]), Ok(()));
        assert!(string.fits(&[1]).unwrap_err().contains("STRING[1]"));
        assert!(string.fits(&[0]).unwrap_err().contains("no STRING"));
        assert!(string.fits(&[255]).is_err());
        assert_eq!(
            write("wstring[4]", &Native::text("Ω")).unwrap(),
            [(2, Payload::Bytes(vec![0, 1, 0x03, 0xA9]))]
        );
        assert!(write("string[4]", &Native::text("12345")).is_err());
        assert!(write("string[4]", &Native::text("Ω")).is_err());
        assert!(write("string[4]", &Native::Int(1)).is_err());
    }

    #[test]
    fn a_bool_is_written_as_a_bit_and_whole_bytes_of_them_as_bytes() {
        let bit = encode(&layout("DB1.DBX3.5", "bool"), &Native::Bool(true)).unwrap();
        assert_eq!((bit.parts[0].0.start, &bit.parts[0].1), (3, &Payload::Bit(5, true)));
        let list = |bits: &[bool]| Native::List(bits.iter().map(|bit| Native::Bool(*bit)).collect());
        let three = encode(&layout("DB1.DBX0.7", "bool[2]"), &list(&[true, false])).unwrap();
        let parts: Vec<_> =
            three.parts.iter().map(|(place, payload)| (place.start, payload.clone())).collect();
        assert_eq!(parts, [(0, Payload::Bit(7, true)), (1, Payload::Bit(0, false))]);
        let eight = [true, false, false, false, false, false, false, true];
        assert_eq!(write("bool[8]", &list(&eight)).unwrap(), [(0, Payload::Bytes(vec![0x81]))]);
        assert!(write("bool", &Native::Int(1)).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (data_type, value) in [
            ("u8", Native::Int(256)),
            ("u8", Native::Int(-1)),
            ("i8", Native::Int(128)),
            ("i16", Native::Int(-32_769)),
            ("u32", Native::UInt(u64::MAX)),
            ("i64", Native::UInt(u64::MAX)),
            ("u16", Native::Float(1.5)),
            ("u16", Native::text("1")),
            ("u16", Native::Bool(true)),
            ("f32", Native::Float(1e39)),
            ("f64", Native::Float(f64::NAN)),
            ("bcd4", Native::Int(10_000)),
            ("i16[2]", ints(&[1])),
            ("i16[2]", Native::Int(1)),
            ("bytes[2]", Native::Bytes([1][..].into())),
            ("chars[2]", Native::text("abc")),
        ] {
            assert!(write(data_type, &value).is_err(), "{data_type} {value}");
        }
        assert_eq!(write("u16", &Native::Float(7.0)).unwrap(), [(0, Payload::Bytes(vec![0, 7]))]);
    }

    proptest::proptest! {
        #[test]
        fn numbers_written_are_read_back(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 16),
            kind in 0_usize..12,
        ) {
            let kinds =
                ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f64", "i16[4]", "bytes[5]", "bits[16]"];
            let layout = layout("DB1.0", kinds[kind]);
            let bytes = &bytes[..layout.bytes() as usize];
            let value = decode(&layout, bytes).unwrap();
            if let Ok(writing) = encode(&layout, &value) {
                proptest::prop_assert_eq!(&writing.parts[0].1, &Payload::Bytes(bytes.to_vec()));
            } else {
                proptest::prop_assert!(!value.number().unwrap().is_finite());
            }
        }
    }
}
