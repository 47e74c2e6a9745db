//! Values in registers and bits.

use std::sync::Arc;

use guideway_contract::{Kind, Native};
use smol_str::SmolStr;

use crate::{ByteOrder, HalfByte};

/// How a value lies in its registers or bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// One element.
    pub kind: Kind,
    /// How many elements; `None` for a single value.
    pub count: Option<u16>,
    /// Where the bytes lie.
    pub order: ByteOrder,
    /// The first bit of the first register, for bits in registers.
    pub bit: Option<u8>,
    /// The half of a register that a single 8-bit value is in.
    pub half: HalfByte,
}

/// A value on its way to registers or bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// Whole registers.
    Words(Vec<u16>),
    /// Coils.
    Bits(Vec<bool>),
    /// Some bits of one register.
    Mask {
        /// The bits that stay.
        and: u16,
        /// What the others become.
        or: u16,
    },
}

impl Layout {
    fn elements(&self) -> usize {
        usize::from(self.count.unwrap_or(1))
    }

    /// Bits of a table of bits that it takes; `None` where the type does not exist there.
    pub fn bits(&self) -> Option<usize> {
        match self.kind {
            Kind::Bool | Kind::Auto => Some(self.elements()),
            Kind::Bits(bits) if self.count.is_none() => Some(bits as usize),
            _ => None,
        }
    }

    /// Registers of one element; `None` where there is no such number.
    fn words(&self) -> Option<usize> {
        Some(match self.kind {
            Kind::I16 | Kind::U16 | Kind::Auto | Kind::Bcd(4) => 1,
            Kind::I32 | Kind::U32 | Kind::F32 | Kind::Bcd(8) => 2,
            Kind::I64 | Kind::U64 | Kind::F64 => 4,
            Kind::Text(bytes) | Kind::Chars(bytes) | Kind::Bytes(bytes) => (bytes as usize).div_ceil(2),
            Kind::WideText(units) => units as usize,
            Kind::I8 | Kind::U8 | Kind::Bool | Kind::Bits(_) | Kind::Fields | Kind::Bcd(_) => return None,
        })
    }

    /// Registers that it takes; `None` where the type does not exist in registers.
    pub fn registers(&self) -> Option<usize> {
        let from_bit = |bits: usize| Some((usize::from(self.bit.unwrap_or(0)) + bits).div_ceil(16));
        match self.kind {
            Kind::Bool => from_bit(self.elements()),
            Kind::Bits(bits) if self.count.is_none() => from_bit(bits as usize),
            Kind::I8 | Kind::U8 => Some(self.elements().div_ceil(2)),
            _ => self.words()?.checked_mul(self.elements()),
        }
    }

    /// Reads a value out of its registers' bytes, as many as [`registers`](Self::registers) says.
    ///
    /// # Errors
    /// Why the bytes are no such value.
    pub fn decode(&self, bytes: &[u8]) -> Result<Native, SmolStr> {
        if self.registers().is_none_or(|registers| bytes.len() != 2 * registers) {
            return Err("the reply does not have the point's registers".into());
        }
        let first = usize::from(self.bit.unwrap_or(0));
        let bit = |at: usize| self.register_bit(bytes, first + at);
        match (self.kind, self.count) {
            (Kind::Bool, None) if self.bit.is_none() => Ok(Native::Bool(bytes.iter().any(|byte| *byte != 0))),
            (Kind::Bool, None) => Ok(Native::Bool(bit(0))),
            (Kind::Bool, Some(count)) => Ok(list((0..usize::from(count)).map(|at| Native::Bool(bit(at))))),
            (Kind::Bits(bits), _) => Ok(packed(bits as usize, bit)),
            (Kind::I8 | Kind::U8, None) => Ok(self.byte(bytes, usize::from(self.half == HalfByte::Low))),
            (Kind::I8 | Kind::U8, Some(count)) => {
                Ok(list((0..usize::from(count)).map(|at| self.byte(bytes, at))))
            }
            (_, None) => self.element(bytes),
            (_, Some(_)) => {
                let size = 2 * self.words().unwrap_or(1);
                bytes
                    .chunks_exact(size)
                    .map(|chunk| self.element(chunk))
                    .collect::<Result<_, _>>()
                    .map(Native::List)
            }
        }
    }

    /// Reads a value out of a table of bits, from the bit `first` on.
    ///
    /// # Errors
    /// Why the bytes are no such value.
    pub fn decode_bits(&self, bytes: &[u8], first: usize) -> Result<Native, SmolStr> {
        let Some(wanted) = self.bits().filter(|wanted| first + wanted <= 8 * bytes.len()) else {
            return Err("the reply does not have the point's bits".into());
        };
        let bit = |at: usize| bytes[(first + at) / 8] >> ((first + at) % 8) & 1 == 1;
        Ok(match (self.kind, self.count) {
            (Kind::Bits(_), _) => packed(wanted, bit),
            (_, None) => Native::Bool(bit(0)),
            (_, Some(_)) => list((0..wanted).map(|at| Native::Bool(bit(at)))),
        })
    }

    /// The byte at `at`, counted as texts count: the high one of a register first unless the order says otherwise.
    fn at(&self, bytes: &[u8], at: usize) -> u8 {
        bytes[if self.order.swaps_bytes() { at ^ 1 } else { at }]
    }

    fn byte(&self, bytes: &[u8], at: usize) -> Native {
        let byte = self.at(bytes, at);
        Native::Int(if self.kind == Kind::I8 { i64::from(byte.cast_signed()) } else { i64::from(byte) })
    }

    fn register_bit(&self, bytes: &[u8], at: usize) -> bool {
        let register = at / 16 * 2;
        let byte = self.at(bytes, register + usize::from(at % 16 < 8));
        byte >> (at % 8) & 1 == 1
    }

    /// The bytes of one number, highest first. Its own inverse.
    fn ordered<const N: usize>(&self, bytes: &[u8]) -> [u8; N] {
        std::array::from_fn(|at| {
            let (word, half) = (at / 2, at % 2);
            let word = if self.order.swaps_words() { N / 2 - 1 - word } else { word };
            let half = if self.order.swaps_bytes() { 1 - half } else { half };
            bytes[2 * word + half]
        })
    }

    fn element(&self, bytes: &[u8]) -> Result<Native, SmolStr> {
        Ok(match self.kind {
            Kind::I16 => Native::Int(i16::from_be_bytes(self.ordered(bytes)).into()),
            Kind::U16 | Kind::Auto => Native::Int(u16::from_be_bytes(self.ordered(bytes)).into()),
            Kind::I32 => Native::Int(i32::from_be_bytes(self.ordered(bytes)).into()),
            Kind::U32 => Native::Int(u32::from_be_bytes(self.ordered(bytes)).into()),
            Kind::I64 => Native::Int(i64::from_be_bytes(self.ordered(bytes))),
            Kind::U64 => Native::unsigned(u64::from_be_bytes(self.ordered(bytes))),
            Kind::F32 => Native::float32(f32::from_be_bytes(self.ordered(bytes))),
            Kind::F64 => Native::Float(f64::from_be_bytes(self.ordered(bytes))),
            Kind::Bcd(4) => decimal(&self.ordered::<2>(bytes))?,
            Kind::Bcd(_) => decimal(&self.ordered::<4>(bytes))?,
            Kind::Bytes(length) => Native::Bytes((0..length as usize).map(|at| self.at(bytes, at)).collect()),
            Kind::Text(length) | Kind::Chars(length) => {
                let is_exact = matches!(self.kind, Kind::Chars(_));
                if self.order.swaps_bytes() {
                    // No text is longer than what one request carries.
                    let mut straight = [0; 256];
                    let length = straight.len().min(length as usize);
                    straight[..length]
                        .iter_mut()
                        .enumerate()
                        .for_each(|(at, byte)| *byte = self.at(bytes, at));
                    text(&straight[..length], is_exact)
                } else {
                    text(&bytes[..length as usize], is_exact)
                }
            }
            Kind::WideText(length) => {
                let unit =
                    |at: usize| u16::from_be_bytes([self.at(bytes, 2 * at), self.at(bytes, 2 * at + 1)]);
                let units = (0..length as usize).map(unit).take_while(|unit| *unit != 0);
                Native::Text(
                    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect(),
                )
            }
            _ => return Err("registers do not have this type".into()),
        })
    }

    /// Puts a value into whole registers, or some bits of one.
    ///
    /// # Errors
    /// Why the value does not fit, in words for an operator.
    pub fn encode(&self, value: &Native) -> Result<Encoded, String> {
        let mut out = Vec::new();
        match (self.kind, self.count) {
            (Kind::Bool, None) => {
                let on = boolean(value)?;
                let Some(bit) = self.bit else { return Ok(Encoded::Words(vec![u16::from(on)])) };
                let bit = self.swapped(1 << bit);
                return Ok(Encoded::Mask { and: !bit, or: if on { bit } else { 0 } });
            }
            (Kind::I8 | Kind::U8, None) => {
                let byte = u16::from(self.byte_of(value)?);
                let (mask, byte) = match self.half {
                    HalfByte::High => (0xFF00, byte << 8),
                    HalfByte::Low => (0x00FF, byte),
                };
                return Ok(Encoded::Mask { and: !self.swapped(mask), or: self.swapped(byte) });
            }
            (Kind::I8 | Kind::U8, Some(count)) if count % 2 == 0 => {
                for value in self.items(value)? {
                    out.push(self.byte_of(value)?);
                }
            }
            (Kind::Bits(bits), _) if bits % 16 == 0 && self.bit.is_none() => {
                for pair in bytes_of(value, bits as usize / 8)?.chunks_exact(2) {
                    out.extend_from_slice(&[pair[1], pair[0]]);
                }
            }
            (Kind::Bool | Kind::I8 | Kind::U8 | Kind::Bits(_), _) => {
                return Err("this would overwrite what else is in its registers".into());
            }
            (_, None) => self.put(value, &mut out)?,
            (_, Some(_)) => {
                for value in self.items(value)? {
                    self.put(value, &mut out)?;
                }
            }
        }
        if self.order.swaps_bytes() && !self.is_number() {
            out.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        }
        Ok(Encoded::Words(out.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()))
    }

    /// Puts a value into coils.
    ///
    /// # Errors
    /// Why the value does not fit, in words for an operator.
    pub fn encode_bits(&self, value: &Native) -> Result<Encoded, String> {
        Ok(Encoded::Bits(match (self.kind, self.count) {
            (Kind::Bits(bits), _) => {
                let bytes = bytes_of(value, (bits as usize).div_ceil(8))?;
                (0..bits as usize).map(|at| bytes[at / 8] >> (at % 8) & 1 == 1).collect()
            }
            (_, None) => vec![boolean(value)?],
            (_, Some(_)) => self.items(value)?.iter().map(boolean).collect::<Result<_, _>>()?,
        }))
    }

    fn is_number(&self) -> bool {
        !matches!(
            self.kind,
            Kind::I8
                | Kind::U8
                | Kind::Bits(_)
                | Kind::Text(_)
                | Kind::Chars(_)
                | Kind::Bytes(_)
                | Kind::WideText(_)
        )
    }

    fn swapped(&self, word: u16) -> u16 {
        if self.order.swaps_bytes() { word.swap_bytes() } else { word }
    }

    fn items<'v>(&self, value: &'v Native) -> Result<&'v [Native], String> {
        match value {
            Native::List(items) if items.len() == self.elements() => Ok(items),
            Native::List(items) => {
                Err(format!("{} values are needed, there are {}", self.elements(), items.len()))
            }
            other => Err(format!("a list of {} is needed, not {}", self.elements(), other.kind())),
        }
    }

    fn byte_of(&self, value: &Native) -> Result<u8, String> {
        if self.kind == Kind::I8 {
            integer(value, i8::MIN.into(), i8::MAX.into(), i8::try_from).map(i8::cast_unsigned)
        } else {
            integer(value, 0, u8::MAX.into(), u8::try_from)
        }
    }

    fn put(&self, value: &Native, out: &mut Vec<u8>) -> Result<(), String> {
        macro_rules! whole {
            ($kind:ty) => {{
                let number = integer(value, <$kind>::MIN.into(), <$kind>::MAX.into(), <$kind>::try_from)?;
                out.extend_from_slice(&self.ordered::<{ size_of::<$kind>() }>(&number.to_be_bytes()));
            }};
        }
        match self.kind {
            Kind::I16 => whole!(i16),
            Kind::U16 | Kind::Auto => whole!(u16),
            Kind::I32 => whole!(i32),
            Kind::U32 => whole!(u32),
            Kind::I64 => whole!(i64),
            Kind::U64 => whole!(u64),
            Kind::F32 => {
                let number = float(value)?;
                #[expect(clippy::cast_possible_truncation, reason = "what does not fit is refused below")]
                let narrow = number as f32;
                if number.is_finite() && !narrow.is_finite() {
                    return Err(format!("{number} does not fit f32"));
                }
                out.extend_from_slice(&self.ordered::<4>(&narrow.to_be_bytes()));
            }
            Kind::F64 => out.extend_from_slice(&self.ordered::<8>(&float(value)?.to_be_bytes())),
            Kind::Bcd(4) => {
                let number = integer(value, 0, 9_999, u16::try_from)?;
                out.extend_from_slice(&self.ordered::<2>(&to_decimal(number.into()).to_be_bytes()[2..]));
            }
            Kind::Bcd(_) => {
                let number = integer(value, 0, 99_999_999, u32::try_from)?;
                out.extend_from_slice(&self.ordered::<4>(&to_decimal(number).to_be_bytes()));
            }
            Kind::Bytes(length) => {
                out.extend_from_slice(bytes_of(value, length as usize)?);
                out.resize(out.len() + length as usize % 2, 0);
            }
            Kind::Text(length) | Kind::Chars(length) => {
                let Native::Text(text) = value else {
                    return Err(format!("text is needed, not {}", value.kind()));
                };
                pad(text.as_bytes(), length as usize, out)?;
            }
            Kind::WideText(length) => {
                let Native::Text(text) = value else {
                    return Err(format!("text is needed, not {}", value.kind()));
                };
                let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
                pad(&units, 2 * length as usize, out)?;
            }
            _ => return Err("registers do not have this type".into()),
        }
        Ok(())
    }
}

fn list(values: impl Iterator<Item = Native>) -> Native {
    Native::List(values.collect())
}

/// So many bits as bytes, the first in the lowest bit of the first byte.
fn packed(bits: usize, bit: impl Fn(usize) -> bool) -> Native {
    let byte =
        |at: usize| (8 * at..bits.min(8 * at + 8)).fold(0_u8, |byte, b| byte | (u8::from(bit(b)) << (b % 8)));
    Native::Bytes((0..bits.div_ceil(8)).map(byte).collect::<Arc<[u8]>>())
}

/// Digits of four bits each.
fn decimal(bytes: &[u8]) -> Result<Native, SmolStr> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .into_iter()
        .try_fold(0_i64, |number, digit| (digit < 10).then_some(number * 10 + i64::from(digit)))
        .map(Native::Int)
        .ok_or_else(|| "is not binary-coded decimal".into())
}

fn to_decimal(mut number: u32) -> u32 {
    let mut out = 0;
    for digit in 0..8 {
        out |= (number % 10) << (4 * digit);
        number /= 10;
    }
    out
}

/// Text up to a NUL; UTF-8, or Latin-1 where it is none. Blanks behind it are fill unless the length is exact.
fn text(bytes: &[u8], is_exact: bool) -> Native {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text: SmolStr = std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), SmolStr::new);
    Native::Text(if is_exact { text } else { SmolStr::new(text.trim_end_matches(' ')) })
}

/// Fills a text up with NUL to `length` bytes and a whole register.
fn pad(text: &[u8], length: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if text.len() > length {
        return Err(format!("the text has {} bytes, there is room for {length}", text.len()));
    }
    let start = out.len();
    out.extend_from_slice(text);
    out.resize(start + length + length % 2, 0);
    Ok(())
}

fn bytes_of(value: &Native, length: usize) -> Result<&[u8], String> {
    match value {
        Native::Bytes(bytes) if bytes.len() == length => Ok(bytes),
        Native::Bytes(bytes) => Err(format!("{length} bytes are needed, there are {}", bytes.len())),
        other => Err(format!("{length} bytes are needed, not {}", other.kind())),
    }
}

fn boolean(value: &Native) -> Result<bool, String> {
    match value {
        Native::Bool(on) => Ok(*on),
        Native::Int(0) => Ok(false),
        Native::Int(1) => Ok(true),
        other => Err(format!("true or false is needed, not {other}")),
    }
}

fn float(value: &Native) -> Result<f64, String> {
    value.number().ok_or_else(|| format!("a number is needed, not {}", value.kind()))
}

fn integer<T, E>(
    value: &Native,
    least: i128,
    most: i128,
    fit: fn(i128) -> Result<T, E>,
) -> Result<T, String> {
    let number = match value {
        Native::Bool(on) => i128::from(*on),
        Native::Int(number) => i128::from(*number),
        Native::UInt(number) => i128::from(*number),
        #[expect(clippy::cast_possible_truncation, reason = "whole, and as large as any type here at most")]
        Native::Float(number) if number.fract() == 0.0 && number.abs() < 2e19 => *number as i128,
        Native::Float(number) => return Err(format!("a whole number is needed, not {number}")),
        other => return Err(format!("a whole number is needed, not {}", other.kind())),
    };
    if !(least..=most).contains(&number) {
        return Err(format!("{number} is out of range ({least} to {most})"));
    }
    fit(number).map_err(|_| format!("{number} is out of range ({least} to {most})"))
}

/// Reads bytes as every type, and writes back what was read; for the fuzz target.
pub(super) fn fuzz(choice: u8, bytes: &[u8]) {
    let size = u32::from(choice % 9) + 1;
    let kinds = [
        Kind::Bool,
        Kind::I8,
        Kind::U8,
        Kind::I16,
        Kind::U16,
        Kind::I32,
        Kind::U32,
        Kind::I64,
        Kind::U64,
        Kind::F32,
        Kind::F64,
        Kind::Bcd(4),
        Kind::Bcd(8),
        Kind::Text(size),
        Kind::Chars(size),
        Kind::WideText(size),
        Kind::Bits(size * 8),
        Kind::Bytes(size),
        Kind::Auto,
        Kind::Fields,
    ];
    let orders = [ByteOrder::ABCD, ByteOrder::CDAB, ByteOrder::BADC, ByteOrder::DCBA];
    for kind in kinds {
        let layout = Layout {
            kind,
            count: (choice & 4 != 0).then_some(u16::from(choice >> 4) + 1),
            order: orders[usize::from(choice & 3)],
            bit: (choice & 8 != 0 && matches!(kind, Kind::Bool | Kind::Bits(_))).then_some(choice >> 4),
            half: if choice & 16 == 0 { HalfByte::Low } else { HalfByte::High },
        };
        let _ = layout.decode_bits(bytes, usize::from(choice));
        let Some(registers) = layout.registers() else { continue };
        let Some(own) = bytes.get(..2 * registers) else { continue };
        if let Ok(value) = layout.decode(own)
            && let Ok(Encoded::Words(words)) = layout.encode(&value)
        {
            let again: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let same = layout.decode(&again).map(|again| again.to_string());
            assert_eq!(same, Ok(value.to_string()), "{layout:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(kind: &str, order: ByteOrder) -> Layout {
        let data_type: guideway_contract::DataType = kind.parse().unwrap();
        let count = data_type.count.map(|count| u16::try_from(count).unwrap());
        Layout { kind: data_type.kind, count, order, bit: None, half: HalfByte::Low }
    }

    fn read(kind: &str, order: ByteOrder, bytes: &[u8]) -> String {
        layout(kind, order).decode(bytes).map_or_else(|why| format!("! {why}"), |value| value.to_string())
    }

    use ByteOrder::{ABCD, BADC, CDAB, DCBA};

    #[test]
    fn numbers_are_read_in_every_byte_order() {
        for (order, bytes) in [
            (ABCD, [0x11, 0x22, 0x33, 0x44]),
            (CDAB, [0x33, 0x44, 0x11, 0x22]),
            (BADC, [0x22, 0x11, 0x44, 0x33]),
            (DCBA, [0x44, 0x33, 0x22, 0x11]),
        ] {
            assert_eq!(read("u32", order, &bytes), 0x1122_3344.to_string());
        }
        for (order, bytes) in [
            (ABCD, [1, 2, 3, 4, 5, 6, 7, 8]),
            (CDAB, [7, 8, 5, 6, 3, 4, 1, 2]),
            (BADC, [2, 1, 4, 3, 6, 5, 8, 7]),
            (DCBA, [8, 7, 6, 5, 4, 3, 2, 1]),
        ] {
            assert_eq!(read("u64", order, &bytes), 0x0102_0304_0506_0708_u64.to_string());
        }
        assert_eq!(read("i16", BADC, &[0xFE, 0xFF]), "-2");
        assert_eq!(read("f32", CDAB, &[0x99, 0x9A, 0x43, 0x66]), "230.6");
    }

    #[test]
    fn every_type_is_read() {
        assert_eq!(read("bool", ABCD, &[0, 0]), "false");
        assert_eq!(read("bool", ABCD, &[1, 0]), "true");
        assert_eq!(read("u8", ABCD, &[1, 2]), "2");
        assert_eq!(read("i8[3]", ABCD, &[255, 2, 3, 4]), "[-1, 2, 3]");
        assert_eq!(read("u16[2]", ABCD, &[1, 0, 0, 1]), "[256, 1]");
        assert_eq!(read("i64", ABCD, &[255; 8]), "-1");
        assert_eq!(read("u64", ABCD, &[255; 8]), u64::MAX.to_string());
        assert_eq!(read("f64", ABCD, &1.5_f64.to_be_bytes()), "1.5");
        assert_eq!(read("bcd4", ABCD, &[0x12, 0x34]), "1234");
        assert_eq!(read("bcd8", CDAB, &[0x56, 0x78, 0x12, 0x34]), "12345678");
        assert_eq!(read("bcd4", ABCD, &[0x1A, 0x34]), "! is not binary-coded decimal");
        assert_eq!(read("string[5]", ABCD, b"AB C\0D"), "AB C");
        assert_eq!(read("string[6]", BADC, b"BADC  "), "ABCD");
        assert_eq!(read("chars[4]", ABCD, b"AB  "), "AB  ");
        assert_eq!(read("string[2]", ABCD, &[0xE9, b'a']), "éa");
        assert_eq!(read("wstring[2]", ABCD, &[0, b'a', 0x20, 0xAC]), "a€");
        assert_eq!(read("bytes[3]", ABCD, &[1, 2, 3, 4]), "010203");
        assert_eq!(read("bits[20]", ABCD, &[0x12, 0x34, 0xFF, 0xFF]), "34120F");
        assert_eq!(read("fields", ABCD, &[0, 0]), "! the reply does not have the point's registers");
    }

    #[test]
    fn bits_of_registers_count_from_the_lowest() {
        let mut one = layout("bool", ABCD);
        one.bit = Some(5);
        assert_eq!(one.decode(&[0, 0x20]), Ok(Native::Bool(true)));
        assert_eq!(one.decode(&[0xFF, 0xDF]), Ok(Native::Bool(false)));
        let mut some = layout("bool[4]", ABCD);
        some.bit = Some(14);
        assert_eq!(some.registers(), Some(2));
        assert_eq!(some.decode(&[0x80, 0, 0, 1]).unwrap().to_string(), "[false, true, true, false]");
    }

    #[test]
    fn a_bit_or_byte_is_written_by_mask_and_never_by_its_whole_register() {
        let mut one = layout("bool", ABCD);
        one.bit = Some(5);
        assert_eq!(one.encode(&Native::Bool(true)), Ok(Encoded::Mask { and: 0xFFDF, or: 0x20 }));
        assert_eq!(one.encode(&Native::Bool(false)), Ok(Encoded::Mask { and: 0xFFDF, or: 0 }));
        assert_eq!(layout("u8", ABCD).encode(&Native::Int(7)), Ok(Encoded::Mask { and: 0xFF00, or: 7 }));
        assert!(layout("bool[4]", ABCD).encode(&Native::Null).is_err());
        assert!(layout("bits[8]", ABCD).encode(&Native::Bytes([1].into())).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (kind, value) in [
            ("u16", Native::Int(-1)),
            ("u16", Native::Int(65_536)),
            ("i16", Native::Float(0.5)),
            ("u8", Native::Int(256)),
            ("u16", Native::text("1")),
            ("f32", Native::Float(1e39)),
            ("f32", Native::Null),
            ("bcd4", Native::Int(10_000)),
            ("string[3]", Native::text("abcd")),
            ("u16[2]", Native::Int(1)),
            ("u16[2]", Native::List([Native::Int(1)].into())),
            ("i64", Native::UInt(u64::MAX)),
            ("bytes[2]", Native::Bytes([1].into())),
            ("bool", Native::Int(2)),
        ] {
            assert!(layout(kind, ABCD).encode(&value).is_err(), "{kind} {value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn numbers_are_written_as_they_are_read(number: i64, order in 0..4_usize) {
            let order = [ABCD, CDAB, BADC, DCBA][order];
            let layout = layout("i64", order);
            let Ok(Encoded::Words(words)) = layout.encode(&Native::Int(number)) else { panic!("words") };
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            proptest::prop_assert_eq!(layout.decode(&bytes), Ok(Native::Int(number)));
        }
    }
}
