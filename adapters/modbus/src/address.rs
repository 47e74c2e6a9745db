//! Where in a unit a point lies: `holding:40`, `holding:40.5`, `coil:3`, or the traditional 40041.

use std::fmt;
use std::str::FromStr;

/// One of the four tables of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Bits that can be written (functions 1, 5, 15).
    Coil,
    /// Bits that can be read only (function 2).
    Discrete,
    /// Registers that can be read only (function 4).
    Input,
    /// Registers that can be written (functions 3, 6, 16, 22).
    Holding,
}

impl Table {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Coil, Self::Discrete, Self::Input, Self::Holding];

    /// The word in addresses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Coil => "coil",
            Self::Discrete => "discrete",
            Self::Input => "input",
            Self::Holding => "holding",
        }
    }

    /// Whether it holds bits, not registers.
    pub const fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }

    /// Whether it can be written.
    pub const fn is_writable(self) -> bool {
        matches!(self, Self::Coil | Self::Holding)
    }

    /// The most that the protocol lets one request read: bits or registers.
    pub const fn most_read(self) -> u16 {
        if self.is_bits() { 2000 } else { 125 }
    }

    /// The most that the protocol lets one request write: bits or registers.
    pub const fn most_written(self) -> u16 {
        if self.is_bits() { 1968 } else { 123 }
    }

    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "coil" | "co" => Self::Coil,
            "discrete" | "di" => Self::Discrete,
            "input" | "ir" => Self::Input,
            "holding" | "hr" => Self::Holding,
            _ => return None,
        })
    }
}

/// An address within a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The table.
    pub table: Table,
    /// The bit or register, from zero, as it goes over the wire.
    pub start: u16,
    /// A bit of the register, 0 being the lowest.
    pub bit: Option<u8>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bad = |why: &str| {
            format!(
                "`{text}`: {why}; write `holding:40`, `holding:40.5` for a bit, `input:12`, `coil:3` or `discrete:3`, \
                     from zero, or the traditional 40041"
            )
        };
        let (place, bit) = match text.split_once('.') {
            None => (text, None),
            Some((place, bit)) => match bit.parse::<u8>() {
                Ok(bit) if bit < 16 && bit_is_plain(text) => (place, Some(bit)),
                _ => return Err(bad("the bit of a register is from 0 to 15")),
            },
        };
        let (table, start) = match place.find(|c: char| c.is_ascii_digit()) {
            Some(0) => traditional(place)
                .ok_or_else(|| bad("traditional addresses have 5 or 6 digits, starting with 0, 1, 3 or 4"))?,
            _ => {
                let split = place.find(':').or_else(|| place.find(|c: char| c.is_ascii_digit()));
                let (word, number) = place.split_at(split.ok_or_else(|| bad("there is no number"))?);
                let table = Table::from_word(word).ok_or_else(|| bad("there is no such table"))?;
                let start = number_of(number.strip_prefix(':').unwrap_or(number));
                (table, start.ok_or_else(|| bad("the number is from 0 to 65535"))?)
            }
        };
        if bit.is_some() && table.is_bits() {
            return Err(bad("only registers have bits"));
        }
        Ok(Self { table, start, bit })
    }
}

/// Whether what follows the point is digits only: `u8` would take a sign.
fn bit_is_plain(text: &str) -> bool {
    text.rsplit('.').next().is_some_and(|bit| bit.bytes().all(|b| b.is_ascii_digit()))
}

/// A decimal number, or a hexadecimal one after `0x`.
pub(crate) fn number_of(text: &str) -> Option<u16> {
    if !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `40001` or `400001`: the table's digit and a number from one.
fn traditional(text: &str) -> Option<(Table, u16)> {
    if !matches!(text.len(), 5 | 6) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let table = match text.as_bytes()[0] {
        b'0' => Table::Coil,
        b'1' => Table::Discrete,
        b'3' => Table::Input,
        b'4' => Table::Holding,
        _ => return None,
    };
    let number: u32 = text[1..].parse().ok()?;
    Some((table, u16::try_from(number.checked_sub(1)?).ok()?))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.table.word(), self.start)?;
        self.bit.map_or(Ok(()), |bit| write!(f, ".{bit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        text.parse::<Address>().map_or_else(|_| "-".into(), |address| address.to_string())
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        for (text, same) in [
            ("holding:40", "holding:40"),
            ("hr40", "holding:40"),
            ("hr:40", "holding:40"),
            ("ir12", "input:12"),
            ("holding:40.5", "holding:40.5"),
            ("coil:0", "coil:0"),
            ("discrete:65535", "discrete:65535"),
            ("holding:0x3A", "holding:58"),
            ("40001", "holding:0"),
            ("400001", "holding:0"),
            ("465536", "holding:65535"),
            ("30013", "input:12"),
            ("10001", "discrete:0"),
            ("00001", "coil:0"),
            ("40001.15", "holding:0.15"),
        ] {
            assert_eq!(read(text), same, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "40",
            "holding",
            "holding:",
            "holding:65536",
            "holding:-1",
            "holding:+1",
            "holding:1.16",
            "holding:1.+3",
            "coil:1.0",
            "40000",
            "20001",
            "465537",
            "4000001",
            "register:1",
            "holding:1:2",
            "holding:x",
            "hr 40",
            "holding:0x",
        ] {
            assert_eq!(read(text), "-", "{text}");
        }
        assert!("coil:1.0".parse::<Address>().unwrap_err().contains("only registers have bits"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_prints_as_itself(text in "(coil|holding|hr|ir|4|0x|)[:.]?[0-9a-fé]{0,7}(\\.[0-9]{0,3})?") {
            if let Ok(address) = text.parse::<Address>() {
                proptest::prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
            }
        }
    }
}
