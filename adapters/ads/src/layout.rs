//! How a variable's bytes are its value.

use std::sync::Arc;

use guideway_contract::{DataType, Kind, Native};
use smol_str::SmolStr;

use crate::calendar::Calendar;
use crate::text;

pub use crate::type_name::{TypeTable, Unfit};

/// A variable's bytes as a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Layout {
    /// One byte: 0 is false.
    Bool,
    /// A whole number.
    Int {
        /// 1, 2, 4 or 8.
        bytes: usize,
        /// Two's complement.
        signed: bool,
        /// Whether a profile may as well call it the other (bit strings, enumerations, times).
        either: bool,
    },
    /// REAL.
    F32,
    /// LREAL.
    F64,
    /// STRING in so many bytes, NUL included.
    Text(usize),
    /// WSTRING in so many bytes, NUL included.
    WideText(usize),
    /// DATE, DT, TOD and their long forms: a number of 4 or 8 bytes, each worth so many nanoseconds.
    Time {
        /// Which text it is shown as.
        calendar: Calendar,
        /// 4 or 8.
        bytes: usize,
        /// Nanoseconds in one.
        unit: i64,
    },
    /// So many bytes as they are.
    Raw(usize),
    /// Elements one after the other; several dimensions are one list, the last index fastest.
    Array {
        /// One of them.
        element: Box<Layout>,
        /// How many.
        count: usize,
        /// Bytes from one to the next.
        stride: usize,
    },
    /// A structure.
    Record {
        /// Its fields: name, first byte, value.
        fields: Vec<(SmolStr, usize, Layout)>,
        /// Its bytes.
        size: usize,
    },
}

impl Layout {
    /// Its bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int { bytes, .. } | Self::Time { bytes, .. } => *bytes,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Text(size) | Self::WideText(size) | Self::Raw(size) | Self::Record { size, .. } => *size,
            Self::Array { count, stride, .. } => count.saturating_mul(*stride),
        }
    }

    /// As a profile declares it; `None` for what ADS has not.
    pub fn declared(data_type: DataType) -> Option<Self> {
        let int = |bytes, signed| Self::Int { bytes, signed, either: false };
        let element = match data_type.kind {
            Kind::Auto | Kind::Fields | Kind::Bcd(_) => return None,
            Kind::Bool => Self::Bool,
            Kind::I8 => int(1, true),
            Kind::U8 => int(1, false),
            Kind::I16 => int(2, true),
            Kind::U16 => int(2, false),
            Kind::I32 => int(4, true),
            Kind::U32 => int(4, false),
            Kind::I64 => int(8, true),
            Kind::U64 => int(8, false),
            Kind::F32 => Self::F32,
            Kind::F64 => Self::F64,
            Kind::Text(length) => Self::Text(length as usize + 1),
            Kind::WideText(length) => Self::WideText(2 * (length as usize + 1)),
            Kind::Chars(length) => Self::Text(length as usize),
            Kind::Bits(bits) => Self::Raw(bits.div_ceil(8) as usize),
            Kind::Bytes(length) => Self::Raw(length as usize),
        };
        Some(match data_type.count {
            Some(count) => {
                let stride = element.size();
                Self::Array { element: Box::new(element), count: count as usize, stride }
            }
            None => element,
        })
    }

    /// What a profile's type makes of what the program has: the program's own for `auto`, else what the profile
    /// says where both agree.
    ///
    /// # Errors
    /// That they do not, for an operator.
    pub fn agreed(self, declared: DataType, type_name: &str) -> Result<Self, String> {
        if declared.kind == Kind::Auto {
            return Ok(self);
        }
        let wanted = Self::declared(declared).ok_or_else(|| format!("`{declared}` is no type of ADS"))?;
        let raw = declared.count.is_none()
            && matches!(declared.kind, Kind::Bits(_) | Kind::Bytes(_) | Kind::Chars(_))
            && wanted.size() == self.size();
        if raw {
            return Ok(wanted);
        }
        self.take_over(wanted).ok_or_else(|| {
            format!("the program has {type_name} here, the profile {declared}; leave `type` out to take the program's")
        })
    }

    fn take_over(self, wanted: Self) -> Option<Self> {
        match (self, wanted) {
            (Self::Array { element, count, stride }, Self::Array { element: wanted, count: asked, .. }) => {
                let element = element.take_over(*wanted)?;
                (count == asked).then(|| Self::Array { element: Box::new(element), count, stride })
            }
            (
                Self::Int { bytes, signed, either },
                wanted @ Self::Int { bytes: asked, signed: asked_signed, .. },
            ) => (bytes == asked && (either || signed == asked_signed)).then_some(wanted),
            (Self::Time { bytes, .. }, wanted @ Self::Int { bytes: asked, signed: false, .. }) => {
                (bytes == asked).then_some(wanted)
            }
            // The program's length is what is on the wire; a profile that expects no more is content with it.
            (own @ Self::Text(size), Self::Text(asked)) => (asked >= size).then_some(own),
            (own @ Self::WideText(size), Self::WideText(asked)) => (asked >= size).then_some(own),
            (own, wanted) => (own == wanted).then_some(own),
        }
    }

    /// The value of `bytes`; `None` when they are too few.
    pub fn decode(&self, bytes: &[u8]) -> Option<Native> {
        let bytes = bytes.get(..self.size())?;
        Some(match self {
            Self::Bool => Native::Bool(*bytes.first()? != 0),
            Self::Int { signed: true, .. } => Native::Int(signed(bytes)),
            Self::Int { signed: false, .. } => Native::unsigned(unsigned(bytes)),
            Self::F32 => Native::float32(f32::from_le_bytes(bytes.try_into().ok()?)),
            Self::F64 => Native::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            Self::Text(_) => Native::Text(text::latin(bytes)),
            Self::WideText(_) => Native::Text(text::wide(bytes)),
            Self::Time { calendar, unit, .. } => {
                let nanos = i64::try_from(unsigned(bytes)).ok()?.checked_mul(*unit)?;
                Native::Text(calendar.text(nanos))
            }
            Self::Raw(_) => Native::Bytes(Arc::from(bytes)),
            Self::Array { element, count, stride } => {
                let element_at = |index: usize| element.decode(bytes.get(index.checked_mul(*stride)?..)?);
                Native::List((0..*count).map(element_at).collect::<Option<_>>()?)
            }
            Self::Record { fields, .. } => {
                let field = |(name, at, layout): &(SmolStr, usize, Self)| {
                    Some((name.clone(), layout.decode(bytes.get(*at..)?)?))
                };
                Native::Record(fields.iter().map(field).collect::<Option<_>>()?)
            }
        })
    }

    /// The bytes of a value.
    ///
    /// # Errors
    /// That it does not fit, for an operator.
    pub fn encode(&self, value: &Native) -> Result<Vec<u8>, String> {
        let other = || Err(format!("{} ({value}) is not {}", value.kind(), self.words()));
        let too_large = || Err(format!("{value} does not fit {}", self.words()));
        match (self, value) {
            (Self::Bool, Native::Bool(set)) => Ok(vec![u8::from(*set)]),
            (Self::Bool, Native::Int(number @ 0..=1)) => Ok(vec![u8::from(*number == 1)]),
            (Self::Int { bytes, signed, .. }, _) => match whole(value) {
                Some(number) => integer(number, *bytes, *signed).map_or_else(too_large, Ok),
                None => other(),
            },
            (Self::F32, Native::Int(_) | Native::UInt(_) | Native::Float(_)) => {
                let number = value.number().unwrap_or_default();
                #[expect(clippy::cast_possible_truncation, reason = "a REAL has the digits that it has")]
                let narrow = number as f32;
                if number.is_finite() && narrow.is_infinite() {
                    too_large()
                } else {
                    Ok(narrow.to_le_bytes().into())
                }
            }
            (Self::F64, Native::Int(_) | Native::UInt(_) | Native::Float(_)) => {
                Ok(value.number().unwrap_or_default().to_le_bytes().into())
            }
            (Self::Text(size), Native::Text(text)) => text::to_latin(text, *size).map_or_else(too_large, Ok),
            (Self::WideText(size), Native::Text(text)) => {
                text::to_wide(text, *size).map_or_else(too_large, Ok)
            }
            (Self::Time { calendar, bytes, unit }, Native::Text(text)) => {
                let number = calendar
                    .nanos(text)
                    .filter(|nanos| nanos % unit == 0)
                    .map(|nanos| i128::from(nanos / unit));
                number.and_then(|number| integer(number, *bytes, false)).map_or_else(too_large, Ok)
            }
            (Self::Time { bytes, .. }, Native::Int(number)) => {
                integer(i128::from(*number), *bytes, false).map_or_else(too_large, Ok)
            }
            (Self::Raw(size), Native::Bytes(bytes)) if bytes.len() == *size => Ok(bytes.to_vec()),
            (Self::Array { element, count, stride }, Native::List(values)) if values.len() == *count => {
                let mut out = Vec::with_capacity(self.size());
                for value in values.iter() {
                    let at = out.len();
                    out.extend(element.encode(value)?);
                    out.resize(at + stride, 0);
                }
                Ok(out)
            }
            _ => other(),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Bool => "a BOOL".into(),
            Self::Int { bytes, signed, .. } => {
                format!("an integer of {} bits{}", 8 * bytes, if *signed { "" } else { " without a sign" })
            }
            Self::F32 => "a REAL".into(),
            Self::F64 => "an LREAL".into(),
            Self::Text(size) => format!("a STRING({}) in Latin-1", size.saturating_sub(1)),
            Self::WideText(size) => format!("a WSTRING({})", (size / 2).saturating_sub(1)),
            Self::Time { .. } => "a date or time".into(),
            Self::Raw(size) => format!("{size} bytes"),
            Self::Array { count, .. } => format!("a list of {count}"),
            Self::Record { .. } => "a structure, which is written member by member".into(),
        }
    }
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn signed(bytes: &[u8]) -> i64 {
    let unused = 64_u32.saturating_sub(8 * u32::try_from(bytes.len()).unwrap_or(8));
    (unsigned(bytes) << unused).cast_signed() >> unused
}

/// A value as a whole number, where it is one.
fn whole(value: &Native) -> Option<i128> {
    match value {
        Native::Int(number) => Some(i128::from(*number)),
        Native::UInt(number) => Some(i128::from(*number)),
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
        Native::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => Some(*number as i128),
        _ => None,
    }
}

fn integer(number: i128, bytes: usize, signed: bool) -> Option<Vec<u8>> {
    let bits = 8 * u32::try_from(bytes).ok()?;
    let (low, high) = if signed { (-(1 << (bits - 1)), 1 << (bits - 1)) } else { (0, 1_i128 << bits) };
    (low..high).contains(&number).then(|| number.to_le_bytes()[..bytes].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(name: &str, size: usize) -> Layout {
        Layout::of(name, 0, size, &TypeTable::default()).unwrap()
    }

    #[test]
    fn every_elementary_type_is_decoded_and_encoded() {
        let cases: [(&str, &[u8], Native); 19] = [
            ("BOOL", &[1], Native::Bool(true)),
            ("SINT", &[0xFE], Native::Int(-2)),
            ("USINT", &[0xFE], Native::Int(254)),
            ("INT", &[0, 0x80], Native::Int(-32_768)),
            ("WORD", &[0, 0x80], Native::Int(32_768)),
            ("DINT", &[0xFF; 4], Native::Int(-1)),
            ("UDINT", &[0xFF; 4], Native::Int(4_294_967_295)),
            ("LINT", &[0xFF; 8], Native::Int(-1)),
            ("ULINT", &[0xFF; 8], Native::UInt(u64::MAX)),
            ("REAL", &[0xCD, 0xCC, 0xCC, 0x3D], Native::Float(0.1)),
            ("LREAL", &[0, 0, 0, 0, 0, 0, 0xE0, 0x3F], Native::Float(0.5)),
            ("STRING(3)", b"ab\0\0", Native::text("ab")),
            ("WSTRING(2)", &[0xAC, 0x20, 0, 0, 0, 0], Native::text("€")),
            ("TIME", &[0xDC, 5, 0, 0], Native::Int(1_500)),
            ("LTIME", &[0, 0xCA, 0x9A, 0x3B, 0, 0, 0, 0], Native::Int(1_000_000_000)),
            ("DATE", &[0x80, 0x1A, 0xE1, 0x65], Native::text("2024-03-01")),
            ("DATE_AND_TIME", &[0xE8, 0x75, 0xE1, 0x65], Native::text("2024-03-01T06:30:00")),
            ("TIME_OF_DAY", &[0x3A, 0x0F, 0x65, 1], Native::text("06:30:00.250")),
            (
                "ARRAY [0..1,1..2] OF INT",
                &[1, 0, 2, 0, 3, 0, 4, 0],
                Native::List([1, 2, 3, 4].map(Native::Int).into()),
            ),
        ];
        for (name, bytes, value) in cases {
            let layout = layout(name, bytes.len());
            assert_eq!(layout.decode(bytes), Some(value.clone()), "{name}");
            assert_eq!(layout.encode(&value).as_deref(), Ok(bytes), "{name}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_words() {
        let refused = |name: &str, size, value: Native| layout(name, size).encode(&value).unwrap_err();
        assert_eq!(refused("INT", 2, Native::Int(40_000)), "40000 does not fit an integer of 16 bits");
        assert_eq!(
            refused("UINT", 2, Native::Int(-1)),
            "-1 does not fit an integer of 16 bits without a sign"
        );
        assert_eq!(refused("INT", 2, Native::Float(1.5)), "a float (1.5) is not an integer of 16 bits");
        assert_eq!(refused("REAL", 4, Native::Float(1e300)), "1e300 does not fit a REAL");
        assert_eq!(refused("BOOL", 1, Native::Int(2)), "an integer (2) is not a BOOL");
        assert!(refused("STRING(3)", 4, Native::text("abcd")).contains("STRING(3)"));
        assert!(refused("ARRAY [0..1] OF INT", 4, Native::Int(1)).contains("a list of 2"));
    }

    #[test]
    fn a_profiles_type_must_agree_with_the_programs() {
        let agree = |name: &str, size, declared: &str| {
            layout(name, size).agreed(declared.parse().unwrap(), name).map(|layout| layout.size())
        };
        for (name, size, declared) in [
            ("INT", 2, "i16"),
            ("WORD", 2, "i16"),
            ("WORD", 2, "bits[16]"),
            ("DATE", 4, "u32"),
            ("STRING(30)", 31, "string[30]"),
            ("STRING(30)", 31, "string[80]"),
            ("STRING(30)", 31, "bytes[31]"),
            ("ARRAY [1..4] OF REAL", 16, "f32[4]"),
            ("INT", 2, "auto"),
        ] {
            assert_eq!(agree(name, size, declared), Ok(size), "{name} as {declared}");
        }
        for (name, size, declared) in [
            ("INT", 2, "u16"),
            ("INT", 2, "i32"),
            ("REAL", 4, "i32"),
            ("BOOL", 1, "u8"),
            ("STRING(30)", 31, "string[20]"),
            ("ARRAY [1..4] OF REAL", 16, "f32[3]"),
            ("INT", 2, "bcd4"),
        ] {
            assert!(agree(name, size, declared).is_err(), "{name} as {declared}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_come_back(
            number: i64, bytes in prop::sample::select(vec![1_usize, 2, 4, 8]), is_signed: bool,
        ) {
            let layout = Layout::Int { bytes, signed: is_signed, either: false };
            if let Ok(encoded) = layout.encode(&Native::Int(number)) {
                prop_assert_eq!(layout.decode(&encoded), Some(Native::Int(number)));
            }
        }

        #[test]
        fn texts_come_back(text in "[ -~äöüß]{0,10}") {
            for layout in [Layout::Text(30), Layout::WideText(60)] {
                let encoded = layout.encode(&Native::text(&text)).unwrap();
                prop_assert_eq!(encoded.len(), layout.size());
                prop_assert_eq!(layout.decode(&encoded), Some(Native::text(&text)));
            }
        }
    }
}
