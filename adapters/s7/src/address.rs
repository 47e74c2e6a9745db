//! S7 addresses: `DB1.DBX2.1`, `DB1.2.1`, `MW10`, `EB4`, `A0.3`, `T5`, `Z7`.

use std::fmt;

/// The highest byte that an S7 address can name: bit addresses have 24 bits.
pub const LAST_BYTE: u32 = (1 << 21) - 1;

/// A memory area, by its code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Area {
    /// Counters, two bytes each.
    Counters = 0x1C,
    /// Timers, two bytes each.
    Timers = 0x1D,
    /// Inputs (the process image): `I`, German `E`.
    Inputs = 0x81,
    /// Outputs (the process image): `Q`, German `A`.
    Outputs = 0x82,
    /// Bit memory: `M`.
    Memory = 0x83,
    /// A data block.
    Data = 0x84,
}

impl Area {
    /// Whether its elements are words that are counted, not bytes that are addressed.
    pub const fn counted(self) -> bool {
        matches!(self, Self::Counters | Self::Timers)
    }
}

/// Where bytes begin. Timers and counters are counted as two bytes each, so `T5` begins at byte 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// In which area.
    pub area: Area,
    /// The data block's number; 0 in other areas.
    pub db: u16,
    /// The first byte.
    pub start: u32,
}

/// The area as a TIA Portal user names it, for messages: `DB5`, `M`, `I`, `Q`, `T`, `C`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.area {
            Area::Counters => f.write_str("C"),
            Area::Timers => f.write_str("T"),
            Area::Inputs => f.write_str("I"),
            Area::Outputs => f.write_str("Q"),
            Area::Memory => f.write_str("M"),
            Area::Data => write!(f, "DB{}", self.db),
        }
    }
}

/// What an address says of the width; the type decides, and has to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// `DBX`, or a bit that is not 0.
    Bit,
    /// `DBB`, `MB`.
    Byte,
    /// `DBW`, `MW`, a timer or counter.
    Word,
    /// `DBD`, `MD`.
    Double,
    /// Nothing: `DB1.2`, `DB1.2.0`, `M4`.
    None,
}

/// An address as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where its first byte is.
    pub place: Place,
    /// The bit in it, where one is written.
    pub bit: Option<u8>,
    /// The width that its letters name.
    pub hint: Hint,
}

const HOW: &str = "write DB1.DBX2.1, DB1.DBB2, DB1.DBW2, DB1.DBD2, DB1.2, DB1.2.1, M0.1, MB4, MW4, MD4, the same with \
                   I (E) and Q (A), T5 or C5 (Z5)";

impl Address {
    /// Reads an address; upper or lower case, with or without `%` in front.
    ///
    /// # Errors
    /// What is wrong, and how it is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let bad = |why: &str| format!("`{text}`: {why}; {HOW}");
        let rest = upper.strip_prefix('%').unwrap_or(&upper);
        let (area, db, rest) = if let Some(rest) = rest.strip_prefix("DB") {
            let (number, rest) = rest
                .split_once('.')
                .ok_or_else(|| bad("after the data block's number comes `.` and the place in it"))?;
            let db = number
                .parse()
                .ok()
                .filter(|db| *db > 0)
                .ok_or_else(|| bad("a data block's number is 1 to 65535"))?;
            (Area::Data, db, rest.strip_prefix("DB").unwrap_or(rest))
        } else {
            let area = match rest.chars().next() {
                Some('M') => Area::Memory,
                Some('I' | 'E') => Area::Inputs,
                Some('Q' | 'A') => Area::Outputs,
                Some('T') => Area::Timers,
                Some('C' | 'Z') => Area::Counters,
                _ => return Err(bad("there is no such area")),
            };
            (area, 0, &rest[1..])
        };
        if area.counted() {
            let number: u16 = digits(rest).ok_or_else(|| bad("a timer or counter has a number"))?;
            let place = Place { area, db, start: u32::from(number) * 2 };
            return Ok(Self { place, bit: None, hint: Hint::Word });
        }
        let (hint, rest) = match rest.chars().next() {
            Some('X') => (Hint::Bit, &rest[1..]),
            Some('B') => (Hint::Byte, &rest[1..]),
            Some('W') => (Hint::Word, &rest[1..]),
            Some('D') => (Hint::Double, &rest[1..]),
            _ => (Hint::None, rest),
        };
        let (byte, bit) = match rest.split_once('.') {
            Some((byte, bit)) => {
                let bit = digits::<u8>(bit).filter(|bit| *bit < 8);
                (byte, Some(bit.ok_or_else(|| bad("a bit is 0 to 7"))?))
            }
            None => (rest, None),
        };
        let start = digits(byte)
            .filter(|start| *start <= LAST_BYTE)
            .ok_or_else(|| bad("the byte is a number from 0 to 2097151"))?;
        let hint = match (hint, bit) {
            (Hint::Bit, None) => return Err(bad("a bit address ends in `.` and the bit")),
            (Hint::Byte | Hint::Word | Hint::Double, Some(_)) => {
                return Err(bad("a byte, word or double word has no bit"));
            }
            (Hint::None, Some(1..)) => Hint::Bit,
            _ => hint,
        };
        Ok(Self { place: Place { area, db, start }, bit, hint })
    }
}

/// A number without sign or blanks.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Area, u16, u32, Option<u8>, Hint) {
        let address = Address::parse(text).unwrap();
        (address.place.area, address.place.db, address.place.start, address.bit, address.hint)
    }

    #[test]
    fn addresses_are_read_in_english_and_german() {
        assert_eq!(read("DB1.DBX2.1"), (Area::Data, 1, 2, Some(1), Hint::Bit));
        assert_eq!(read("db10.dbw4"), (Area::Data, 10, 4, None, Hint::Word));
        assert_eq!(read("%DB10.DBD4"), (Area::Data, 10, 4, None, Hint::Double));
        assert_eq!(read("DB10.DBB4"), (Area::Data, 10, 4, None, Hint::Byte));
        assert_eq!(read("DB1.X2.1"), (Area::Data, 1, 2, Some(1), Hint::Bit));
        assert_eq!(read("DB1.2.1"), (Area::Data, 1, 2, Some(1), Hint::Bit));
        assert_eq!(read("DB1.2.0"), (Area::Data, 1, 2, Some(0), Hint::None));
        assert_eq!(read("DB1.2"), (Area::Data, 1, 2, None, Hint::None));
        assert_eq!(read("M0.1"), (Area::Memory, 0, 0, Some(1), Hint::Bit));
        assert_eq!(read("MD8"), (Area::Memory, 0, 8, None, Hint::Double));
        assert_eq!(read("E0.7"), read("I0.7"));
        assert_eq!(read("AW2"), read("QW2"));
        assert_eq!(read("EW2"), (Area::Inputs, 0, 2, None, Hint::Word));
        assert_eq!(read("T5"), (Area::Timers, 0, 10, None, Hint::Word));
        assert_eq!(read("Z5"), read("C5"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_how_to_write_it() {
        for text in [
            "",
            "DB1",
            "DB0.DBB1",
            "DB70000.DBB1",
            "DB1.DBX2",
            "DB1.DBX2.8",
            "DB1.DBW2.0",
            "DB1.DBB",
            "DB1.",
            "DB1.DBB-1",
            "DB1.DBB+1",
            "M",
            "MB 4",
            "X4",
            "T",
            "T70000",
            "DB1.2097152",
            "M1.2.3",
            "Ü1",
            "%",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.contains("DB1.DBX2.1"), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "%?(DB)?[0-9DBXWMIEQATCZ.é ]{0,12}") {
            let _ = Address::parse(&text);
        }
    }
}
