//! S7: `DB1,INT0`, `DB1,X8.0`, `DB1,STRING10.30`, `DB1.DBW0`, `MREAL4`, `M0.1`, `E0.7`, `T5`, `VW100` (S7-200).

use guideway_contract::Kind;

use super::places::{Place, agree, dimensions, number};
use super::tag::{Base, Type};

const FORMS: &str =
    "S7 addresses are written DB1,INT0, DB1,X8.0, DB1,STRING10.30, DB1.DBW0, MREAL4, M0.1 or T5";
/// A STRING that does not say how long it may be.
const STRING_LENGTH: u32 = 210;

/// What the letters after the area say: how many bytes, and the type where the tag has none.
enum Word {
    Bit,
    Scalar { bytes: u32, kind: Kind },
    Text,
    Time { bytes: u32, format: &'static str },
}

fn word(letters: &str) -> Option<Word> {
    let scalar = |bytes, kind| Word::Scalar { bytes, kind };
    let time = |bytes, format| Word::Time { bytes, format };
    Some(match letters {
        "" | "X" => Word::Bit,
        "B" | "BYTE" | "USINT" => scalar(1, Kind::U8),
        "C" | "CHAR" | "SINT" => scalar(1, Kind::I8),
        "W" | "WORD" | "UINT" => scalar(2, Kind::U16),
        "I" | "INT" => scalar(2, Kind::I16),
        "D" | "DW" | "DWORD" | "UDINT" => scalar(4, Kind::U32),
        "DI" | "DINT" => scalar(4, Kind::I32),
        "R" | "REAL" => scalar(4, Kind::F32),
        "LREAL" => scalar(8, Kind::F64),
        "LINT" => scalar(8, Kind::I64),
        "LWORD" | "ULINT" => scalar(8, Kind::U64),
        "BCD" => scalar(2, Kind::Bcd(4)),
        "LBCD" => scalar(4, Kind::Bcd(8)),
        "S" | "STRING" => Word::Text,
        "DATE" => time(2, "date"),
        "DT" => time(8, "date_and_time"),
        "TIME" | "T" => time(4, "time"),
        "TOD" => time(4, "time_of_day"),
        "DTL" => time(12, "dtl"),
        _ => return None,
    })
}

/// An area, a type's letters, a byte, and maybe a bit or length.
pub(super) fn convert(address: &str, data_type: Type) -> Result<Place, String> {
    let bad = || format!("`{address}`: {FORMS}");
    let upper: String =
        address.to_ascii_uppercase().chars().filter(|c| !c.is_whitespace() && *c != '%').collect();
    let (whole, count) = dimensions(&upper)?;
    agree(address, data_type, count)?;
    let (area, rest) = area(whole).ok_or_else(bad)?.map_err(|why| format!("`{address}`: {why}"))?;
    if matches!(area.letters.as_str(), "T" | "C") {
        let number: u16 = number(rest).ok_or_else(bad)?;
        let mut place = Place::new(format!("{}{number}", area.letters), None, count);
        if area.letters == "T" {
            // A timer is seconds here, and was milliseconds.
            place.scale = Some(1_000.0);
            place.note = Some("in milliseconds, as before".into());
        }
        return Ok(place);
    }
    let split = rest.find(|c: char| c.is_ascii_digit()).ok_or_else(bad)?;
    let (letters, numbers) = rest.split_at(split);
    let (byte, suffix) = match numbers.split_once('.') {
        Some((byte, suffix)) => (byte, Some(suffix)),
        None => (numbers, None),
    };
    let byte: u32 = number(byte).ok_or_else(bad)?;
    let suffix: Option<u32> = suffix.map(|suffix| number(suffix).ok_or_else(bad)).transpose()?;
    let word = word(letters).ok_or_else(bad)?;
    let misfit =
        |bytes: u32| format!("`{address}` has {bytes} bytes: {} does not fit", data_type.base.name());
    match word {
        Word::Bit => match (suffix, data_type.base) {
            (Some(bit), Base::Boolean | Base::Default) if bit < 8 => {
                Ok(Place::new(area.bit(byte, bit), Some(Kind::Bool), count))
            }
            (Some(_), _) => Err(format!("`{address}` is a bit from 0 to 7, and a boolean")),
            (None, _) => Err(bad()),
        },
        Word::Text => {
            let length = suffix.unwrap_or(STRING_LENGTH);
            let mut place = Place::new(area.plain(byte), Some(Kind::Text(length)), count);
            if suffix.is_none() {
                place.note = Some(format!("the list does not say its length; {STRING_LENGTH} is the most"));
            }
            Ok(place)
        }
        Word::Scalar { bytes, kind } => match (suffix, data_type.base) {
            (Some(length), Base::String) => {
                Ok(Place::new(area.plain(byte), Some(Kind::Chars(length)), count))
            }
            (None, Base::String) => Err(format!("`{address}`: a text needs its length: DB1,STRING10.30")),
            // The lowest bit of a word is in its last byte.
            (Some(bit), Base::Boolean | Base::Default) if bit < 8 * bytes => {
                let byte = byte.checked_add(bytes - 1 - bit / 8).ok_or_else(bad)?;
                Ok(Place::new(area.bit(byte, bit % 8), Some(Kind::Bool), count))
            }
            (Some(_), _) => Err(bad()),
            (None, base) => {
                let kind =
                    if base == Base::Default { kind } else { base.kind().ok_or_else(|| misfit(bytes))? };
                if width(kind) != Some(bytes) {
                    return Err(misfit(bytes));
                }
                Ok(Place::new(area.sized(byte, bytes), Some(kind), count))
            }
        },
        Word::Time { bytes, format } => match data_type.base.kind() {
            Some(kind) if width(kind) == Some(bytes) => {
                Ok(Place::new(area.sized(byte, bytes), Some(kind), count))
            }
            Some(_) => Err(misfit(bytes)),
            None => Ok(Place::new(area.plain(byte), None, count).with("format", format)),
        },
    }
}

const fn width(kind: Kind) -> Option<u32> {
    match kind {
        Kind::Bool => None,
        kind => guideway_contract::DataType::one(kind).element_bytes(),
    }
}

/// `DB5`, `M`, `I`, `Q`, `T`, `C`.
struct Area {
    letters: String,
}

impl Area {
    fn new(letters: impl Into<String>) -> Self {
        Self { letters: letters.into() }
    }

    fn is_data(&self) -> bool {
        self.letters.starts_with("DB")
    }

    fn bit(&self, byte: u32, bit: u32) -> String {
        let infix = if self.is_data() { ".DBX" } else { "" };
        format!("{}{infix}{byte}.{bit}", self.letters)
    }

    fn sized(&self, byte: u32, bytes: u32) -> String {
        let letter = match bytes {
            1 => "B",
            2 => "W",
            4 => "D",
            _ => return self.plain(byte),
        };
        let infix = if self.is_data() { ".DB" } else { "" };
        format!("{}{infix}{letter}{byte}", self.letters)
    }

    fn plain(&self, byte: u32) -> String {
        let dot = if self.is_data() { "." } else { "" };
        format!("{}{dot}{byte}", self.letters)
    }
}

/// The area, and what follows it. The inner error says why Guideway does not read it.
fn area(text: &str) -> Option<Result<(Area, &str), String>> {
    if let Some(rest) = text.strip_prefix("DB") {
        let split = rest.find([',', '.', ':'])?;
        let db: u16 = number(&rest[..split]).filter(|db| *db > 0)?;
        let rest = &rest[split + 1..];
        let rest = rest.strip_prefix("DB").unwrap_or(rest);
        return Some(Ok((Area::new(format!("DB{db}")), rest)));
    }
    if ["PI", "PE", "PQ", "PA"].iter().any(|area| text.starts_with(area)) {
        return Some(Err("peripheral inputs and outputs are not read; take the process image (I, Q)".into()));
    }
    let letter = match text.chars().next()? {
        'M' | 'F' => "M",
        'I' | 'E' => "I",
        'Q' | 'A' => "Q",
        'T' => "T",
        'C' | 'Z' => "C",
        // The variable memory of S7-200 is its data block 1.
        'V' => "DB1",
        _ => return None,
    };
    Some(Ok((Area::new(letter), text[1..].trim_start_matches(','))))
}
