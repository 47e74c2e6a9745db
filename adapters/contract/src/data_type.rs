//! How a point's value is encoded on the wire, as a profile writes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most elements, characters or bytes that a type may ask for.
pub const MOST_ELEMENTS: u32 = 65_536;

/// One value's encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// As the protocol itself says (OPC UA, Logix, ADS, JSON), or text that may be a number.
    #[default]
    Auto,
    /// One bit.
    Bool,
    /// Whole number with a sign, 8 bits.
    I8,
    /// Whole number without a sign, 8 bits.
    U8,
    /// Whole number with a sign, 16 bits.
    I16,
    /// Whole number without a sign, 16 bits.
    U16,
    /// Whole number with a sign, 32 bits.
    I32,
    /// Whole number without a sign, 32 bits.
    U32,
    /// Whole number with a sign, 64 bits.
    I64,
    /// Whole number without a sign, 64 bits.
    U64,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 64 bits.
    F64,
    /// Binary-coded decimal of so many digits (4 or 8).
    Bcd(u32),
    /// Text of at most so many characters, in the protocol's own string form (S7 STRING, Logix STRING, registers).
    Text(u32),
    /// Text of at most so many UTF-16 characters (S7 WSTRING, ADS WSTRING).
    WideText(u32),
    /// Exactly so many characters without a length in front; what follows a NUL is cut off.
    Chars(u32),
    /// So many bits, as bytes.
    Bits(u32),
    /// So many bytes.
    Bytes(u32),
    /// A line's or reply's fields, as a list.
    Fields,
}

/// A type as a profile writes it: `u16`, `f32[8]`, `string[30]`, `bits[64]`, `bcd4`, `fields`.
///
/// A number in brackets after a scalar makes an array; after `string`, `wstring`, `chars`, `bits` and
/// `bytes` it is their length, and a second one makes an array of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DataType {
    /// One element's encoding.
    pub kind: Kind,
    /// How many elements; `None` for a single value.
    pub count: Option<u32>,
}

impl DataType {
    /// A single value.
    pub const fn one(kind: Kind) -> Self {
        Self { kind, count: None }
    }

    /// Elements: 1 for a single value.
    pub fn elements(self) -> u32 {
        self.count.unwrap_or(1)
    }

    /// How many bits a value has that can be asked for one by one; `None` where it has none or the protocol decides.
    pub const fn bits(self) -> Option<u32> {
        let element = match self.kind {
            Kind::Bool => 1,
            Kind::I8 | Kind::U8 => 8,
            Kind::I16 | Kind::U16 => 16,
            Kind::I32 | Kind::U32 => 32,
            Kind::I64 | Kind::U64 => 64,
            Kind::Bits(bits) => bits,
            Kind::Bytes(length) => length.saturating_mul(8),
            _ => return None,
        };
        let elements = match self.count {
            Some(count) => count,
            None => 1,
        };
        Some(element.saturating_mul(elements))
    }

    /// Bytes of one element in memory-mapped protocols; `None` where the protocol decides. An S7 STRING's
    /// two bytes of lengths are not counted.
    pub const fn element_bytes(self) -> Option<u32> {
        Some(match self.kind {
            Kind::Auto | Kind::Fields => return None,
            Kind::Bool | Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
            Kind::Bcd(digits) => digits.div_ceil(2),
            Kind::Text(length) | Kind::Chars(length) | Kind::Bytes(length) => length,
            Kind::WideText(length) => 2 * length,
            Kind::Bits(bits) => bits.div_ceil(8),
        })
    }
}

/// The words that start a type.
const WORDS: &str = "auto, bool, i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, bcd4, bcd8, string[N], wstring[N], \
                     chars[N], bits[N], bytes[N], fields; and arrays such as u16[10]";

impl FromStr for DataType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is no type; there are {WORDS}");
        let text = text.trim();
        let (word, mut rest) = text.split_at(text.find('[').unwrap_or(text.len()));
        let mut numbers = Vec::new();
        while let Some(inner) = rest.strip_prefix('[') {
            let (number, after) = inner.split_once(']').ok_or_else(unknown)?;
            let number: u32 = number.trim().parse().map_err(|_| unknown())?;
            if number == 0 || number > MOST_ELEMENTS {
                return Err(format!("`{text}`: a length is from 1 to {MOST_ELEMENTS}"));
            }
            numbers.push(number);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(unknown());
        }
        let mut numbers = numbers.into_iter();
        let kind = match word {
            "auto" => Kind::Auto,
            "bool" => Kind::Bool,
            "i8" => Kind::I8,
            "u8" => Kind::U8,
            "i16" => Kind::I16,
            "u16" => Kind::U16,
            "i32" => Kind::I32,
            "u32" => Kind::U32,
            "i64" => Kind::I64,
            "u64" => Kind::U64,
            "f32" => Kind::F32,
            "f64" => Kind::F64,
            "bcd4" => Kind::Bcd(4),
            "bcd8" => Kind::Bcd(8),
            "fields" => Kind::Fields,
            "string" | "wstring" | "chars" | "bits" | "bytes" => {
                let length =
                    numbers.next().ok_or_else(|| format!("`{word}` needs its length: `{word}[16]`"))?;
                match word {
                    "string" => Kind::Text(length),
                    "wstring" => Kind::WideText(length),
                    "chars" => Kind::Chars(length),
                    "bits" => Kind::Bits(length),
                    _ => Kind::Bytes(length),
                }
            }
            _ => return Err(unknown()),
        };
        let count = numbers.next();
        if numbers.next().is_some() {
            return Err(unknown());
        }
        let data_type = Self { kind, count };
        let bytes = u64::from(data_type.element_bytes().unwrap_or(1)) * u64::from(data_type.elements());
        if bytes > u64::from(MOST_ELEMENTS) {
            return Err(format!("`{text}` is larger than {MOST_ELEMENTS} bytes"));
        }
        Ok(data_type)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Auto => f.write_str("auto"),
            Kind::Bool => f.write_str("bool"),
            Kind::I8 => f.write_str("i8"),
            Kind::U8 => f.write_str("u8"),
            Kind::I16 => f.write_str("i16"),
            Kind::U16 => f.write_str("u16"),
            Kind::I32 => f.write_str("i32"),
            Kind::U32 => f.write_str("u32"),
            Kind::I64 => f.write_str("i64"),
            Kind::U64 => f.write_str("u64"),
            Kind::F32 => f.write_str("f32"),
            Kind::F64 => f.write_str("f64"),
            Kind::Bcd(digits) => write!(f, "bcd{digits}"),
            Kind::Text(length) => write!(f, "string[{length}]"),
            Kind::WideText(length) => write!(f, "wstring[{length}]"),
            Kind::Chars(length) => write!(f, "chars[{length}]"),
            Kind::Bits(length) => write!(f, "bits[{length}]"),
            Kind::Bytes(length) => write!(f, "bytes[{length}]"),
            Kind::Fields => f.write_str("fields"),
        }?;
        self.count.map_or(Ok(()), |count| write!(f, "[{count}]"))
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for DataType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for DataType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DataType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": format!("How the value is encoded: {WORDS}."),
            "pattern": r"^(auto|bool|[iu](8|16|32|64)|f(32|64)|bcd[48]|fields|(string|wstring|chars|bits|bytes)\[\d+\])(\[\d+\])?$",
            "examples": ["u16", "f32", "string[30]", "bits[64]", "i16[8]"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in
            ["auto", "bool", "u16", "f32[8]", "string[30]", "string[30][4]", "bits[64]", "bcd8", "fields"]
        {
            assert_eq!(text.parse::<DataType>().unwrap().to_string(), text);
        }
        assert_eq!("string[30][4]".parse::<DataType>().unwrap().count, Some(4));
    }

    #[test]
    fn what_is_no_type_is_refused_with_what_there_is() {
        for text in
            ["", "int", "u16[", "u16[0]", "u16[x]", "string", "u16[1][2]", "u16]", "f64[65536]", "u16[70000]"]
        {
            assert!(text.parse::<DataType>().is_err(), "{text}");
        }
        assert!("word".parse::<DataType>().unwrap_err().contains("u16"));
        assert_eq!("string".parse::<DataType>().unwrap_err(), "`string` needs its length: `string[16]`");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_prints_as_itself(text in "[a-z0-9]{0,8}(\\[[0-9a]{0,7}\\]?){0,3}") {
            if let Ok(data_type) = text.parse::<DataType>() {
                proptest::prop_assert_eq!(data_type.to_string().parse::<DataType>(), Ok(data_type));
            }
        }
    }
}
