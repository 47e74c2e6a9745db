//! Ids, names, texts and values as the tables write them.
//!
//! | literal | meaning |
//! |---|---|
//! | `58`, `1:58` | numeric NodeId, in namespace 0 or the one given |
//! | `1:s"…"`, `1:g"…"`, `1:b"…"` | NodeId with a string, GUID or (base64) opaque identifier |
//! | `"…"` | string; `\\`, `\"`, `\n`, `\r`, `\t` within |
//! | `"…"`, `en"…"` | localized text, without and with a locale |
//! | `i5`, `i[1,2]` | a value: its kind, then one item or a list of them |
//!
//! Kinds of values: `o` Boolean (0 or 1), `y` SByte, `Y` Byte, `h` Int16, `H` UInt16, `i` Int32, `I` UInt32,
//! `l` Int64, `L` UInt64, `f` Float, `d` Double, `s` String, `t` DateTime (ticks of 100 ns since 1601), `g` Guid,
//! `b` ByteString (base64), `x` XmlElement, `n` NodeId, `c` StatusCode, `q` QualifiedName (`1"…"`), `@`
//! localized text, and the structures `A` Argument (`"name"12`, then `r` and a rank, `a` and dimensions such as `2x3`), `E`
//! EnumValueType (`5"…"`), `U` EUInformation (`"namespace"id"display name""description"`), `R` Range (`low,high`).

use std::fmt::Write as _;
use std::str::FromStr;

use opcua_types::{
    Argument, Array, ByteString, DateTime, EUInformation, EnumValueType, ExtensionObject, Guid, Identifier,
    LocalizedText, NodeId, QualifiedName, Range, StatusCode, UAString, Variant, VariantScalarTypeId,
    XmlElement,
};

/// Items of one list, at most: more than any value of a published node set, and a bound on what a broken
/// line allocates.
const MAX_ITEMS: usize = 100_000;

/// Reads literals from the beginning of a text.
pub(super) struct Cursor<'t> {
    rest: &'t str,
}

/// What is wrong with a literal.
pub(super) type Fault = String;

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text }
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    /// Takes the next character, which must be ASCII.
    pub(super) fn take(&mut self) -> Result<u8, Fault> {
        match self.peek() {
            Some(byte) if byte.is_ascii() => {
                self.rest = &self.rest[1..];
                Ok(byte)
            }
            _ => Err(self.expected("a letter")),
        }
    }

    /// Takes `byte` if it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_next = byte.is_ascii() && self.peek() == Some(byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    pub(super) fn need(&mut self, byte: u8) -> Result<(), Fault> {
        if self.eat(byte) { Ok(()) } else { Err(self.expected(&format!("`{}`", char::from(byte)))) }
    }

    pub(super) fn expected(&self, what: &str) -> Fault {
        let found: String = self.rest.chars().take(20).collect();
        if found.is_empty() {
            format!("the line ends where {what} should be")
        } else {
            format!("`{found}` where {what} should be")
        }
    }

    fn while_matching(&mut self, matches: impl Fn(u8) -> bool) -> &'t str {
        let end = self.rest.bytes().position(|byte| !matches(byte)).unwrap_or(self.rest.len());
        // Only ASCII matches, so the end is a character boundary.
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// A whole number; letters may follow.
    pub(super) fn number<N: FromStr>(&mut self) -> Result<N, Fault> {
        let before = self.rest;
        self.eat(b'-');
        let digits = self.while_matching(|byte| byte.is_ascii_digit()).len();
        let text = &before[..before.len() - self.rest.len()];
        if digits == 0 {
            return Err(self.expected("a number"));
        }
        text.parse().map_err(|_| format!("the number {text} does not fit here"))
    }

    /// A number that may have a fraction and an exponent.
    pub(super) fn float<N: FromStr>(&mut self) -> Result<N, Fault> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let text = self.while_matching(is_part);
        text.parse().map_err(|_| format!("`{text}` where a number should be"))
    }

    pub(super) fn string(&mut self) -> Result<String, Fault> {
        self.need(b'"')?;
        let mut text = String::new();
        loop {
            let Some(end) = self.rest.find(['"', '\\']) else {
                return Err("a text without its closing quotation mark".to_owned());
            };
            text.push_str(&self.rest[..end]);
            let is_end = self.rest.as_bytes()[end] == b'"';
            self.rest = &self.rest[end + 1..];
            if is_end {
                return Ok(text);
            }
            text.push(match self.take()? {
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                mark @ (b'"' | b'\\') => char::from(mark),
                other => return Err(format!("`\\{}` is not known within a text", char::from(other))),
            });
        }
    }

    pub(super) fn text(&mut self) -> Result<LocalizedText, Fault> {
        let locale = self.while_matching(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let locale = if locale.is_empty() { UAString::null() } else { locale.into() };
        Ok(LocalizedText { locale, text: self.string()?.into() })
    }

    pub(super) fn id(&mut self) -> Result<NodeId, Fault> {
        let number: u32 = self.number()?;
        if !self.eat(b':') {
            return Ok(NodeId::new(0, number));
        }
        let namespace = u16::try_from(number).map_err(|_| format!("{number} is not a namespace index"))?;
        let identifier = match self.peek() {
            Some(b's') => {
                self.take()?;
                Identifier::from(self.string()?)
            }
            Some(b'g') => {
                self.take()?;
                Identifier::from(self.guid()?)
            }
            Some(b'b') => {
                self.take()?;
                Identifier::from(self.bytes()?)
            }
            _ => Identifier::Numeric(self.number()?),
        };
        Ok(NodeId { namespace, identifier })
    }

    fn guid(&mut self) -> Result<Guid, Fault> {
        let text = self.string()?;
        Guid::from_str(&text).map_err(|_| format!("`{text}` is not a GUID"))
    }

    fn bytes(&mut self) -> Result<ByteString, Fault> {
        let text = self.string()?;
        ByteString::from_base64(&text).ok_or_else(|| "a byte string that is not base64".to_owned())
    }

    /// Numbers, with `x` between.
    pub(super) fn dimensions(&mut self) -> Result<Vec<u32>, Fault> {
        let mut dimensions = vec![self.number()?];
        while self.eat(b'x') {
            dimensions.push(self.number()?);
            if dimensions.len() > 16 {
                return Err("more than 16 array dimensions".to_owned());
            }
        }
        Ok(dimensions)
    }

    /// A value with its kind.
    pub(super) fn value(&mut self) -> Result<Variant, Fault> {
        let kind = self.take()?;
        if !self.eat(b'[') {
            return self.item(kind);
        }
        let mut items = Vec::new();
        while !self.eat(b']') {
            if !items.is_empty() {
                self.need(b',')?;
            }
            if items.len() >= MAX_ITEMS {
                return Err(format!("more than {MAX_ITEMS} items in a list"));
            }
            items.push(self.item(kind)?);
        }
        let array = Array::new(scalar_type(kind)?, items);
        array.map(Variant::from).map_err(|error| format!("a list of mixed types: {error}"))
    }

    fn item(&mut self, kind: u8) -> Result<Variant, Fault> {
        Ok(match kind {
            b'o' => Variant::Boolean(match self.take()? {
                b'0' => false,
                b'1' => true,
                _ => return Err("a Boolean that is neither 0 nor 1".to_owned()),
            }),
            b'y' => Variant::SByte(self.number()?),
            b'Y' => Variant::Byte(self.number()?),
            b'h' => Variant::Int16(self.number()?),
            b'H' => Variant::UInt16(self.number()?),
            b'i' => Variant::Int32(self.number()?),
            b'I' => Variant::UInt32(self.number()?),
            b'l' => Variant::Int64(self.number()?),
            b'L' => Variant::UInt64(self.number()?),
            b'f' => Variant::Float(self.float()?),
            b'd' => Variant::Double(self.float()?),
            b's' => Variant::String(self.string()?.into()),
            b't' => Variant::from(DateTime::from(self.number::<i64>()?)),
            b'g' => Variant::from(self.guid()?),
            b'b' => Variant::from(self.bytes()?),
            b'x' => Variant::XmlElement(XmlElement::from(self.string()?)),
            b'n' => Variant::from(self.id()?),
            b'c' => Variant::StatusCode(StatusCode::from(self.number::<u32>()?)),
            b'q' => Variant::from(QualifiedName::new(self.number()?, self.string()?)),
            b'@' => Variant::from(self.text()?),
            b'A' => {
                let (name, data_type) = (self.string()?.into(), self.id()?);
                let value_rank = if self.eat(b'r') { self.number()? } else { -1 };
                let array_dimensions = if self.eat(b'a') { Some(self.dimensions()?) } else { None };
                let description = LocalizedText::null();
                structure(Argument { name, data_type, value_rank, array_dimensions, description })
            }
            b'E' => structure(EnumValueType {
                value: self.number()?,
                display_name: self.text()?,
                description: LocalizedText::null(),
            }),
            b'U' => structure(EUInformation {
                namespace_uri: self.string()?.into(),
                unit_id: self.number()?,
                display_name: self.text()?,
                description: self.text()?,
            }),
            b'R' => {
                let low = self.float()?;
                self.need(b',')?;
                structure(Range { low, high: self.float()? })
            }
            _ => return Err(format!("`{}` is not a kind of value", char::from(kind))),
        })
    }
}

fn structure<T: opcua_types::DynEncodable>(value: T) -> Variant {
    Variant::from(ExtensionObject::from_message(value))
}

fn scalar_type(kind: u8) -> Result<VariantScalarTypeId, Fault> {
    use VariantScalarTypeId as Type;
    Ok(match kind {
        b'o' => Type::Boolean,
        b'y' => Type::SByte,
        b'Y' => Type::Byte,
        b'h' => Type::Int16,
        b'H' => Type::UInt16,
        b'i' => Type::Int32,
        b'I' => Type::UInt32,
        b'l' => Type::Int64,
        b'L' => Type::UInt64,
        b'f' => Type::Float,
        b'd' => Type::Double,
        b's' => Type::String,
        b't' => Type::DateTime,
        b'g' => Type::Guid,
        b'b' => Type::ByteString,
        b'x' => Type::XmlElement,
        b'n' => Type::NodeId,
        b'c' => Type::StatusCode,
        b'q' => Type::QualifiedName,
        b'@' => Type::LocalizedText,
        b'A' | b'E' | b'U' | b'R' => Type::ExtensionObject,
        _ => return Err(format!("`{}` is not a kind of value", char::from(kind))),
    })
}

/// Writes a string literal.
pub(super) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
}

pub(super) fn write_text(out: &mut String, text: &LocalizedText) {
    out.push_str(text.locale.as_ref());
    write_string(out, text.text.as_ref());
}

pub(super) fn write_id(out: &mut String, id: &NodeId) {
    // Writing to a string does not fail.
    let _ = match &id.identifier {
        Identifier::Numeric(number) if id.namespace == 0 => write!(out, "{number}"),
        Identifier::Numeric(number) => write!(out, "{}:{number}", id.namespace),
        Identifier::String(text) => {
            let _ = write!(out, "{}:s", id.namespace);
            write_string(out, text.as_ref());
            Ok(())
        }
        Identifier::Guid(guid) => write!(out, "{}:g\"{guid}\"", id.namespace),
        Identifier::ByteString(bytes) => write!(out, "{}:b\"{}\"", id.namespace, bytes.as_base64()),
    };
}

pub(super) fn write_dimensions(out: &mut String, dimensions: &[u32]) {
    for (index, dimension) in dimensions.iter().enumerate() {
        if index > 0 {
            out.push('x');
        }
        let _ = write!(out, "{dimension}");
    }
}

/// Writes a value; `false` when the tables have no form for it.
pub(super) fn write_value(out: &mut String, value: &Variant) -> bool {
    let Variant::Array(array) = value else {
        return write_kind(out, value) && write_item(out, value);
    };
    if array.dimensions.as_ref().is_some_and(|dimensions| dimensions.len() > 1) {
        return false;
    }
    // The type of an empty list of structures is lost, and with it nothing that a client sees.
    let Some(first) = array.values.first() else { return false };
    if !write_kind(out, first) {
        return false;
    }
    out.push('[');
    for (index, item) in array.values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if !write_item(out, item) {
            return false;
        }
    }
    out.push(']');
    true
}

fn write_kind(out: &mut String, value: &Variant) -> bool {
    out.push(match value {
        Variant::Boolean(_) => 'o',
        Variant::SByte(_) => 'y',
        Variant::Byte(_) => 'Y',
        Variant::Int16(_) => 'h',
        Variant::UInt16(_) => 'H',
        Variant::Int32(_) => 'i',
        Variant::UInt32(_) => 'I',
        Variant::Int64(_) => 'l',
        Variant::UInt64(_) => 'L',
        Variant::Float(_) => 'f',
        Variant::Double(_) => 'd',
        Variant::String(_) => 's',
        Variant::DateTime(_) => 't',
        Variant::Guid(_) => 'g',
        Variant::ByteString(_) => 'b',
        Variant::XmlElement(_) => 'x',
        Variant::NodeId(_) => 'n',
        Variant::StatusCode(_) => 'c',
        Variant::QualifiedName(_) => 'q',
        Variant::LocalizedText(_) => '@',
        Variant::ExtensionObject(object) if object.inner_is::<Argument>() => 'A',
        Variant::ExtensionObject(object) if object.inner_is::<EnumValueType>() => 'E',
        Variant::ExtensionObject(object) if object.inner_is::<EUInformation>() => 'U',
        Variant::ExtensionObject(object) if object.inner_is::<Range>() => 'R',
        _ => return false,
    });
    true
}

fn write_item(out: &mut String, value: &Variant) -> bool {
    let _ = match value {
        Variant::Boolean(value) => write!(out, "{}", u8::from(*value)),
        Variant::SByte(value) => write!(out, "{value}"),
        Variant::Byte(value) => write!(out, "{value}"),
        Variant::Int16(value) => write!(out, "{value}"),
        Variant::UInt16(value) => write!(out, "{value}"),
        Variant::Int32(value) => write!(out, "{value}"),
        Variant::UInt32(value) => write!(out, "{value}"),
        Variant::Int64(value) => write!(out, "{value}"),
        Variant::UInt64(value) => write!(out, "{value}"),
        Variant::Float(value) => write!(out, "{value}"),
        Variant::Double(value) => write!(out, "{value}"),
        Variant::String(value) => {
            write_string(out, value.as_ref());
            Ok(())
        }
        Variant::DateTime(value) => write!(out, "{}", value.ticks()),
        Variant::Guid(value) => write!(out, "\"{value}\""),
        Variant::ByteString(value) => write!(out, "\"{}\"", value.as_base64()),
        Variant::XmlElement(value) => {
            write_string(out, &value.to_string());
            Ok(())
        }
        Variant::NodeId(value) => {
            write_id(out, value);
            Ok(())
        }
        Variant::StatusCode(value) => write!(out, "{}", value.bits()),
        Variant::QualifiedName(value) => {
            let _ = write!(out, "{}", value.namespace_index);
            write_string(out, value.name.as_ref());
            Ok(())
        }
        Variant::LocalizedText(value) => {
            write_text(out, value);
            Ok(())
        }
        Variant::ExtensionObject(object) => return write_structure(out, object),
        _ => return false,
    };
    true
}

fn write_structure(out: &mut String, object: &ExtensionObject) -> bool {
    if let Some(argument) = object.inner_as::<Argument>() {
        write_string(out, argument.name.as_ref());
        write_id(out, &argument.data_type);
        if argument.value_rank != -1 {
            let _ = write!(out, "r{}", argument.value_rank);
        }
        if let Some(dimensions) = argument.array_dimensions.as_ref().filter(|list| !list.is_empty()) {
            out.push('a');
            write_dimensions(out, dimensions);
        }
    } else if let Some(word) = object.inner_as::<EnumValueType>() {
        let _ = write!(out, "{}", word.value);
        write_text(out, &word.display_name);
    } else if let Some(unit) = object.inner_as::<EUInformation>() {
        write_string(out, unit.namespace_uri.as_ref());
        let _ = write!(out, "{}", unit.unit_id);
        write_text(out, &unit.display_name);
        write_text(out, &unit.description);
    } else if let Some(range) = object.inner_as::<Range>() {
        let _ = write!(out, "{},{}", range.low, range.high);
    } else {
        return false;
    }
    true
}
