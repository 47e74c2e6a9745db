//! Sizes as text: `"64 KiB"`, `"8GiB"`, `"500 MB"`. For `#[serde(with)]`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Reads a size in bytes.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is not a size; write a number and B, KiB, MiB or GiB, such as \"64 MiB\""
        ))
    })
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
