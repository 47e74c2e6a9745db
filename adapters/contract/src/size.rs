//! Sizes as text: `"64 KiB"`, `"8GiB"`, `"500 MB"`. For `#[serde(with)]`.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserializer, Serializer};

/// Reads a size in bytes, into `u64` or `usize`.
pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<T, D::Error> {
    let bytes = deserializer.deserialize_str(Text)?;
    T::try_from(bytes).map_err(|_| D::Error::invalid_value(Unexpected::Unsigned(bytes), &Text))
}

/// Writes a size in the largest binary unit that holds it without a fraction.
pub fn serialize<S: Serializer, T: Copy + TryInto<u64>>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes = (*bytes).try_into().unwrap_or(u64::MAX);
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes > 0 && bytes.is_multiple_of(1 << shift) {
            return serializer.collect_str(&format_args!("{} {unit}", bytes >> shift));
        }
    }
    serializer.collect_str(&format_args!("{bytes} B"))
}

/// A whole number and a unit, with or without a space between.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..split].parse().ok()?;
    let unit: u64 = match text[split..].trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

struct Text;

impl Visitor<'_> for Text {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size: a whole number and B, KiB, MiB or GiB as text, such as \"64 MiB\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_and_a_unit() {
        assert_eq!(parse("64 KiB"), Some(65_536));
        assert_eq!(parse("8GiB"), Some(8 << 30));
        assert_eq!(parse("500 MB"), Some(500_000_000));
        for text in ["", "5", "KiB", "-1 B", "1.5 MiB", "99999999999999999 TiB", "5 kb"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
