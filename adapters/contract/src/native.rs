//! What a machine says before anyone has said what it means: raw values of points.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::{PointId, Quality, Timestamp};

/// A value as the machine's protocol carries it. 24 bytes; clones never allocate.
///
/// Scale, offset, enumeration and expressions are the pipeline's (`src/pipeline/mapping`); what an
/// adapter decodes is only the wire: byte order, width, text encoding, arrays, fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Native {
    /// The point could not be read; why, in words for an operator. Such a reading is of bad quality.
    Bad(Arc<str>),
    /// There is nothing: JSON null, an empty field.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number up to 64 bits with a sign.
    Int(i64),
    /// A whole number of 64 bits without a sign; smaller ones are [`Native::Int`].
    UInt(u64),
    /// A number; `f32` is widened by its shortest decimal, so that 0.1 stays 0.1. May be NaN or infinite if the
    /// machine says so.
    Float(f64),
    /// Text.
    Text(SmolStr),
    /// Bytes that are no text, and bit fields: bit 0 is the lowest bit of the first byte.
    Bytes(Arc<[u8]>),
    /// An array, or the fields of a line.
    List(Arc<[Native]>),
    /// A structure: its fields by name, in order.
    Record(Arc<[(SmolStr, Native)]>),
}

impl Native {
    /// Text of any length.
    pub fn text(text: &str) -> Self {
        Self::Text(SmolStr::new(text))
    }

    /// A value that could not be read, and why.
    pub fn bad(cause: impl AsRef<str>) -> Self {
        Self::Bad(cause.as_ref().into())
    }

    /// A number of 32 bits, widened to the value its shortest decimal stands for.
    pub fn float32(number: f32) -> Self {
        let exact = f64::from(number);
        if !number.is_finite() || number.fract() == 0.0 {
            return Self::Float(exact);
        }
        let shortest = fast_float2::parse(zmij::Buffer::new().format_finite(number));
        Self::Float(shortest.unwrap_or(exact))
    }

    /// A whole number without a sign.
    pub fn unsigned(number: u64) -> Self {
        i64::try_from(number).map_or(Self::UInt(number), Self::Int)
    }

    /// Whether the point could not be read.
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Bad(_))
    }

    /// As a number, where it is one; true is 1.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a number is what is asked for; 64-bit counters may round"
    )]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(set) => Some(f64::from(u8::from(*set))),
            Self::Int(number) => Some(*number as f64),
            Self::UInt(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// What it is called in messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Bad(_) => "nothing readable",
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::UInt(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Record(_) => "a record",
        }
    }
}

/// As people read it: `[1, 2]`, `{a: 1}`, bytes in hexadecimal, texts as they are.
impl std::fmt::Display for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bad(cause) => write!(f, "({cause})"),
            Self::Null => f.write_str("null"),
            Self::Bool(set) => write!(f, "{set}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::UInt(number) => write!(f, "{number}"),
            // A whole number without a fraction, what is very small or large with an exponent.
            Self::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => write!(f, "{number:.0}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}")),
            Self::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Record(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}: {value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// One point's raw value.
#[derive(Clone, Debug, PartialEq)]
pub struct RawReading {
    /// Which point: its place in the list of points that the adapter was made with.
    pub point: PointId,
    /// What; [`Native::Bad`] where it could not be read.
    pub value: Native,
    /// When: by the source where it says so, else when the reply came.
    pub time: Timestamp,
    /// What the source thinks of it.
    pub quality: Quality,
}

impl RawReading {
    /// A good value.
    pub const fn good(point: PointId, value: Native, time: Timestamp) -> Self {
        Self { point, value, time, quality: Quality::Good }
    }

    /// A point that could not be read, and why.
    pub fn bad(point: PointId, cause: impl AsRef<str>, time: Timestamp) -> Self {
        Self { point, value: Native::bad(cause), time, quality: Quality::Bad }
    }
}

/// Raw values that arrived together.
#[derive(Clone, Debug, PartialEq)]
pub struct RawBatch {
    /// When they reached the gateway.
    pub arrival: Timestamp,
    /// In the order in which they arrived.
    pub readings: Vec<RawReading>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_value_is_three_words() {
        assert_eq!(size_of::<Native>(), 24);
    }

    #[test]
    fn a_float_of_32_bits_keeps_its_shortest_decimal() {
        assert_eq!(Native::float32(0.1), Native::Float(0.1));
        assert_eq!(Native::float32(f32::INFINITY), Native::Float(f64::INFINITY));
        assert_eq!(Native::float32(16_777_216.0), Native::Float(16_777_216.0));
    }

    #[test]
    fn only_what_does_not_fit_is_unsigned() {
        assert_eq!(Native::unsigned(7), Native::Int(7));
        assert_eq!(Native::unsigned(u64::MAX), Native::UInt(u64::MAX));
    }
}
