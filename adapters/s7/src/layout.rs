//! Where a point lies and how its bytes are laid out: its address, type and format, checked against each other.

use guideway_contract::{DataType, Issue, Kind, PointSpec};

use crate::address::{Address, Area, Hint, LAST_BYTE, Place};
use crate::{Format, Point};

/// One value's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// One bit; arrays of them are packed.
    Bool,
    /// A whole number with a sign, of so many bytes.
    Signed(u32),
    /// A whole number without a sign, of so many bytes.
    Unsigned(u32),
    /// REAL.
    F32,
    /// LREAL.
    F64,
    /// Binary-coded decimal of so many digits.
    Bcd(u32),
    /// STRING of at most so many characters, with its two bytes of lengths.
    Text(u32),
    /// WSTRING of at most so many UTF-16 units, with its two words of lengths.
    WideText(u32),
    /// An array of CHAR.
    Chars(u32),
    /// So many bits, counted as bit addresses count: bit 8 is bit 0 of the second byte.
    Bits(u32),
    /// So many bytes.
    Bytes(u32),
    /// A time.
    Time(Format),
}

impl Element {
    /// From one to the next in an array, in bytes. Strings in an array begin at even bytes.
    pub const fn stride(self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::Signed(bytes) | Self::Unsigned(bytes) | Self::Bytes(bytes) | Self::Chars(bytes) => bytes,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Bcd(digits) => digits.div_ceil(2),
            Self::Text(most) => (2 + most).next_multiple_of(2),
            Self::WideText(most) => 4 + 2 * most,
            Self::Bits(bits) => bits.div_ceil(8),
            Self::Time(format) => format.bytes(),
        }
    }

    /// Bytes of one.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Text(most) => 2 + most,
            _ => self.stride(),
        }
    }

    /// Bytes of a number or time; `None` for what has no width of its own.
    const fn width(self) -> Option<u32> {
        match self {
            Self::Signed(_) | Self::Unsigned(_) | Self::F32 | Self::F64 | Self::Bcd(_) | Self::Time(_) => {
                Some(self.stride())
            }
            _ => None,
        }
    }
}

/// A point's place and encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Its first byte.
    pub place: Place,
    /// Its first bit; 0 for all but bools.
    pub bit: u8,
    /// Of what it consists.
    pub element: Element,
    /// How many; `None` for a single value.
    pub count: Option<u32>,
}

impl Layout {
    /// The layout of a point.
    ///
    /// # Errors
    /// What is wrong with its address, type, format or access.
    pub fn new(point: &PointSpec<Point>) -> Result<Self, Issue> {
        let address = Address::parse(&point.address).map_err(|what| Issue::new("addr", what))?;
        let element = element(&address, point.data_type, point.own.format)?;
        agree(&address, element, point.data_type, &point.address)?;
        let bit = address.bit.unwrap_or(0);
        let layout = Self { place: address.place, bit, element, count: point.data_type.count };
        if layout.place.start + layout.bytes() > LAST_BYTE + 1 {
            return Err(Issue::new("addr", format!("`{}` ends beyond byte {LAST_BYTE}", point.address)));
        }
        if let (Some(why), true) = (layout.unwritable(), point.access.writes()) {
            return Err(Issue::new("access", format!("{why}; write access = \"r\"")));
        }
        Ok(layout)
    }

    /// Elements: 1 for a single value.
    pub fn elements(&self) -> u32 {
        self.count.unwrap_or(1)
    }

    /// Bytes from the first to the last.
    pub fn bytes(&self) -> u32 {
        let elements = self.elements();
        match self.element {
            Element::Bool => (u32::from(self.bit) + elements).div_ceil(8),
            element => element.stride() * (elements - 1) + element.bytes(),
        }
    }

    /// Why it cannot be written, where it cannot.
    fn unwritable(&self) -> Option<&'static str> {
        match self.element {
            _ if self.place.area.counted() => Some("timers and counters are only read"),
            Element::Text(_) | Element::WideText(_) | Element::Chars(_) if self.count.is_some() => {
                Some("of an array of texts each one is written by a point of its own")
            }
            Element::Bits(bits) if bits % 8 != 0 => {
                Some("bits that share a byte with others are written one by one, as bool")
            }
            Element::Time(Format::S5time) => Some("S5TIME is only read"),
            _ => None,
        }
    }
}

/// What the type and the format say; where they leave it open, what the address says.
fn element(address: &Address, data_type: DataType, format: Option<Format>) -> Result<Element, Issue> {
    let wrong = |what: &str| Err(Issue::new("type", what));
    if let Some(format) = format {
        return match data_type.kind {
            Kind::Auto if address.place.area == Area::Counters => {
                Err(Issue::new("format", "a counter is no time; leave `format` out"))
            }
            Kind::Auto if address.place.area == Area::Timers && format != Format::S5time => {
                Err(Issue::new("format", "a timer is S5TIME: write format = \"s5time\" or nothing"))
            }
            Kind::Auto => Ok(Element::Time(format)),
            _ => wrong("`format` says how the value is encoded; leave `type` out"),
        };
    }
    Ok(match data_type.kind {
        Kind::Auto => match (address.hint, address.place.area) {
            (_, Area::Timers) => Element::Time(Format::S5time),
            (Hint::Bit, _) => Element::Bool,
            (Hint::Byte, _) => Element::Unsigned(1),
            (Hint::Word, _) => Element::Unsigned(2),
            (Hint::Double, _) => Element::Unsigned(4),
            (Hint::None, _) => {
                return wrong("the address does not tell the width; write the type, such as \"u16\"");
            }
        },
        Kind::Fields => return wrong("an S7 controller has no `fields`; write \"string[N]\""),
        Kind::Bool => Element::Bool,
        Kind::I8 => Element::Signed(1),
        Kind::U8 => Element::Unsigned(1),
        Kind::I16 => Element::Signed(2),
        Kind::U16 => Element::Unsigned(2),
        Kind::I32 => Element::Signed(4),
        Kind::U32 => Element::Unsigned(4),
        Kind::I64 => Element::Signed(8),
        Kind::U64 => Element::Unsigned(8),
        Kind::F32 => Element::F32,
        Kind::F64 => Element::F64,
        Kind::Bcd(digits) => Element::Bcd(digits),
        Kind::Text(most @ ..=254) => Element::Text(most),
        Kind::Text(_) => {
            return wrong("an S7 STRING has at most 254 characters; longer ones are wstring[N]");
        }
        Kind::WideText(most @ ..=16_382) => Element::WideText(most),
        Kind::WideText(_) => return wrong("an S7 WSTRING has at most 16382 characters"),
        Kind::Chars(count) => Element::Chars(count),
        Kind::Bits(bits) => Element::Bits(bits),
        Kind::Bytes(bytes) => Element::Bytes(bytes),
    })
}

/// The width of an address is a hint: it has to agree with the type, so that a slip of the pen is noticed.
fn agree(address: &Address, element: Element, data_type: DataType, text: &str) -> Result<(), Issue> {
    let issue = |what: String| Err(Issue::new("type", what));
    let dot = if address.place.area == Area::Data { "." } else { "" };
    let plain = format!("{}{dot}{}", address.place, address.place.start);
    if address.place.area.counted() {
        return match element.width() {
            Some(2) => Ok(()),
            _ => issue(format!("`{text}` has 2 bytes; write \"u16\", or nothing for a timer's seconds")),
        };
    }
    if element == Element::Bool {
        return match (address.hint, address.bit) {
            (Hint::Bit | Hint::None, Some(_)) => Ok(()),
            (Hint::Byte | Hint::None, None) if data_type.count.is_some() => Ok(()),
            _ => issue(format!("a bool needs its bit: `{plain}.0` in place of `{text}`")),
        };
    }
    match (address.hint, element.width()) {
        (Hint::Bit, _) => issue(format!("`{text}` is a bit, and only a bool fits it; write `{plain}`")),
        (Hint::None, _)
        | (Hint::Byte, None | Some(1 | 8 | 12))
        | (Hint::Word, Some(2))
        | (Hint::Double, Some(4)) => Ok(()),
        (hint, Some(bytes)) => {
            let name = match hint {
                Hint::Byte => "a byte",
                Hint::Word => "a word (2 bytes)",
                _ => "a double word (4 bytes)",
            };
            issue(format!("`{text}` is {name}, the type has {bytes}; write `{plain}`"))
        }
        (_, None) => {
            issue(format!("`{text}` is a number, the type is a row of bytes or bits; write `{plain}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use guideway_contract::Access;

    use super::*;

    fn point(address: &str, data_type: &str) -> PointSpec<Point> {
        PointSpec::new(address, data_type.parse().unwrap(), Point::default())
    }

    fn layout(address: &str, data_type: &str) -> Layout {
        Layout::new(&point(address, data_type)).unwrap()
    }

    #[test]
    fn the_type_decides_how_much_is_read() {
        let bytes = [
            ("DB1.DBX2.1", "bool", 1),
            ("DB1.DBX2.6", "bool[4]", 2),
            ("DB1.2", "bool[16]", 2),
            ("DB1.DBW2", "i16", 2),
            ("DB1.DBD2", "f32[10]", 40),
            ("DB1.2", "f64", 8),
            ("DB1.DBB2", "string[30]", 32),
            ("DB1.DBB2", "string[5][3]", 2 * 8 + 7),
            ("DB1.DBB2", "wstring[5]", 14),
            ("DB1.2.0", "chars[5]", 5),
            ("DB1.DBB2", "bits[12]", 2),
            ("MW4", "bcd4", 2),
            ("MD4", "bcd8", 4),
            ("T5", "auto", 2),
            ("T5", "auto[4]", 8),
            ("C5", "u16", 2),
        ];
        for (address, data_type, expected) in bytes {
            assert_eq!(layout(address, data_type).bytes(), expected, "{address} {data_type}");
        }
    }

    #[test]
    fn an_address_alone_is_enough_where_it_tells_the_width() {
        assert_eq!(layout("DB1.DBX2.1", "auto").element, Element::Bool);
        assert_eq!(layout("MB4", "auto").element, Element::Unsigned(1));
        assert_eq!(layout("DB1.DBD4", "auto").element, Element::Unsigned(4));
        assert_eq!(layout("T1", "auto").element, Element::Time(Format::S5time));
        assert_eq!(layout("Z1", "auto").element, Element::Unsigned(2));
        assert_eq!(Layout::new(&point("DB1.4", "auto")).unwrap_err().key, "type");
    }

    #[test]
    fn a_width_that_does_not_agree_is_an_issue_with_the_address_to_write() {
        for (address, data_type, cure) in [
            ("DB1.DBW4", "f32", "`DB1.4`"),
            ("DB1.DBD4", "u16", "`DB1.4`"),
            ("DB1.DBD4", "f64", "`DB1.4`"),
            ("DB1.DBB4", "u16", "`DB1.4`"),
            ("DB1.DBX4.1", "u8", "`DB1.4`"),
            ("DB1.DBB4", "bool", "`DB1.4.0`"),
            ("DB1.4", "bool", "`DB1.4.0`"),
            ("MW4", "bool", "`M4.0`"),
            ("MW4", "string[4]", "`M4`"),
            ("DB1.DBW42", "bits[16]", "`DB1.42`"),
            ("T4", "f32", "\"u16\""),
        ] {
            let issue = Layout::new(&point(address, data_type)).unwrap_err();
            assert_eq!(issue.key, "type", "{address} {data_type}");
            assert!(issue.what.contains(cure), "{address} {data_type}: {}", issue.what);
        }
    }

    #[test]
    fn a_format_goes_with_no_type_and_its_own_width() {
        let time = |address, data_type, format| {
            let own = Point { format: Some(format) };
            Layout::new(&PointSpec::new(address, str::parse(data_type).unwrap(), own))
        };
        assert_eq!(time("DB1.DBD4", "auto", Format::Time).unwrap().bytes(), 4);
        assert_eq!(time("DB1.4", "auto[3]", Format::Dtl).unwrap().bytes(), 36);
        assert_eq!(time("DB1.DBD4", "i32", Format::Time).unwrap_err().key, "type");
        assert_eq!(time("DB1.DBD4", "auto", Format::Date).unwrap_err().key, "type");
        assert_eq!(time("T4", "auto", Format::Date).unwrap_err().key, "format");
        assert_eq!(time("C4", "auto", Format::S5time).unwrap_err().key, "format");
    }

    #[test]
    fn what_no_controller_has_is_refused() {
        for (address, data_type, key) in [
            ("DB1.4", "string[255]", "type"),
            ("DB1.4", "wstring[16383]", "type"),
            ("DB1.4", "fields", "type"),
            ("DB1.2097150", "u32", "addr"),
            ("DX1.4", "u32", "addr"),
        ] {
            assert_eq!(
                Layout::new(&point(address, data_type)).unwrap_err().key,
                key,
                "{address} {data_type}"
            );
        }
    }

    #[test]
    fn what_cannot_be_written_is_said_before_anyone_tries() {
        for (address, data_type) in
            [("T4", "auto"), ("DB1.4", "string[4][2]"), ("DB1.4", "bits[12]"), ("C4", "u16")]
        {
            let mut point = point(address, data_type);
            point.access = Access::ReadWrite;
            assert_eq!(Layout::new(&point).unwrap_err().key, "access", "{address} {data_type}");
        }
    }
}
