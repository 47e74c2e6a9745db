//! Addresses of devices: `D100`, `W1F`, `M10`, `X1A`, `D100.5`, `TN3`.

use guideway_contract::{DataType, Kind};

use crate::codec::value;
use crate::config::Series;

/// A kind of device.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its letters.
    pub(crate) name: &'static str,
    /// Its code in binary requests.
    pub(crate) code: u8,
    /// Whether one of it is a bit; 16 of them are read as a word.
    pub(crate) is_bit: bool,
    /// The base of its numbers.
    radix: u32,
    /// Whether Device Read Random takes it.
    pub(crate) random: bool,
}

const fn device(name: &'static str, code: u8, is_bit: bool, radix: u32, random: bool) -> Device {
    Device { name, code, is_bit, radix, random }
}

/// Every kind that is read and written in words of 16 bits. Longer names come before their beginnings.
static DEVICES: [Device; 27] = [
    device("STS", 0xC7, true, 10, false),
    device("STC", 0xC6, true, 10, false),
    device("STN", 0xC8, false, 10, true),
    device("SM", 0x91, true, 10, true),
    device("SD", 0xA9, false, 10, true),
    device("SB", 0xA1, true, 16, true),
    device("SW", 0xB5, false, 16, true),
    device("ZR", 0xB0, false, 10, true),
    device("TS", 0xC1, true, 10, false),
    device("TC", 0xC0, true, 10, false),
    device("TN", 0xC2, false, 10, true),
    device("CS", 0xC4, true, 10, false),
    device("CC", 0xC3, true, 10, false),
    device("CN", 0xC5, false, 10, true),
    device("DX", 0xA2, true, 16, false),
    device("DY", 0xA3, true, 16, false),
    device("X", 0x9C, true, 16, true),
    device("Y", 0x9D, true, 16, true),
    device("M", 0x90, true, 10, true),
    device("L", 0x92, true, 10, true),
    device("F", 0x93, true, 10, true),
    device("V", 0x94, true, 10, true),
    device("B", 0xA0, true, 16, true),
    device("D", 0xA8, false, 10, true),
    device("W", 0xB4, false, 16, true),
    device("R", 0xAF, false, 10, true),
    device("Z", 0xCC, false, 10, true),
];

/// A place in the controller's memory, with the type that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which kind.
    pub(crate) device: &'static Device,
    /// The first word; of bit devices, the number divided by 16.
    pub(crate) word: u32,
    /// Where in that word the value begins.
    pub(crate) bit: u8,
    /// How many words it touches.
    pub(crate) words: u32,
    /// Its type; never `auto`.
    pub(crate) data_type: DataType,
}

impl Place {
    /// The number of the first word, as requests name it.
    pub(crate) const fn number(&self) -> u32 {
        number(self.device, self.word)
    }

    /// The number of the first bit of a bit device.
    pub(crate) const fn first_bit(&self) -> u32 {
        self.word * 16 + self.bit as u32
    }

    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    pub(crate) fn parse(text: &str, data_type: DataType, series: Series) -> Result<Self, String> {
        let bad = |why: String| {
            format!("`{text}`: {why}; write a device such as D100, W1F, M10, X1A, D100.5 or TN3")
        };
        let whole = text.trim().to_ascii_uppercase();
        let (head, bit) = match whole.split_once('.') {
            None => (whole.as_str(), None),
            Some((head, bit)) => {
                let bit = u8::from_str_radix(bit, 16).ok().filter(|number| *number < 16 && bit.len() == 1);
                (head, Some(bit.ok_or_else(|| bad("after `.` comes a bit from 0 to F".into()))?))
            }
        };
        let is_bool = data_type.kind == Kind::Bool;
        let (device, digits) = find(head, is_bool).ok_or_else(|| bad("there is no such device".into()))?;
        let octal = matches!(device.name, "X" | "Y") && series == Series::IqF;
        let radix = if octal { 8 } else { device.radix };
        let number = u32::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
        let base = match radix {
            8 => "octal",
            16 => "hexadecimal",
            _ => "decimal",
        };
        let number = number.ok_or_else(|| bad(format!("the number of {} is {base}", device.name)))?;
        if number >= 1 << 24 {
            return Err(bad("the number is larger than any controller has".into()));
        }
        if bit.is_some() && device.is_bit {
            return Err(bad(format!("{} is a bit already", device.name)));
        }
        let is_bit = device.is_bit || bit.is_some();
        let kind = match data_type.kind {
            Kind::Auto if is_bit => Kind::Bool,
            Kind::Auto => Kind::I16,
            Kind::Bool if !is_bit => {
                return Err(bad(format!("{} is a word: name one of its bits", device.name)));
            }
            Kind::Fields => return Err("words have no fields".into()),
            kind => kind,
        };
        if bit.is_some() && !matches!(kind, Kind::Bool | Kind::Bits(_)) {
            return Err(bad("a bit of a word is a `bool`, or the first of `bits[N]`".into()));
        }
        let data_type = DataType { kind, ..data_type };
        let (word, bit) = if device.is_bit {
            (number / 16, u8::try_from(number % 16).unwrap_or_default())
        } else {
            (number, bit.unwrap_or_default())
        };
        let words = (u32::from(bit) + value::bits(data_type)).div_ceil(16);
        Ok(Self { device, word, bit, words, data_type })
    }
}

/// The number of a word, as requests name it.
pub(crate) const fn number(device: &Device, word: u32) -> u32 {
    if device.is_bit { word.saturating_mul(16) } else { word }
}

/// The device and what follows its letters. A timer or counter without a third letter is its contact as a bool, else
/// its present value.
fn find(text: &str, is_bool: bool) -> Option<(&'static Device, &str)> {
    let letters = ["ST", "T", "C"].into_iter().find(|name| {
        text.strip_prefix(name).is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
    });
    if let Some(letters) = letters {
        let last = if is_bool { 'S' } else { 'N' };
        let device = DEVICES.iter().find(|device| device.name.strip_suffix(last) == Some(letters))?;
        return Some((device, text.strip_prefix(letters)?));
    }
    // `SB1F` is special link relay 1F, but `B1F` and `D1F` are not `B`, `D` with other letters: the first that leaves
    // a digit of its own base.
    DEVICES.iter().find_map(|device| {
        let digits = text.strip_prefix(device.name)?;
        digits.chars().next().filter(|first| first.is_digit(device.radix)).map(|_| (device, digits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, data_type: &str) -> Result<(&'static str, u32, u8, u32), String> {
        let data_type = data_type.parse().unwrap();
        Place::parse(text, data_type, Series::IqR)
            .map(|place| (place.device.name, place.word, place.bit, place.words))
    }

    #[test]
    fn devices_have_numbers_of_their_own_base() {
        assert_eq!(place("D100", "auto"), Ok(("D", 100, 0, 1)));
        assert_eq!(place("W1F", "u32"), Ok(("W", 0x1F, 0, 2)));
        assert_eq!(place("M100", "bool"), Ok(("M", 6, 4, 1)));
        assert_eq!(place("M100", "bool[16]"), Ok(("M", 6, 4, 2)));
        assert_eq!(place("X1A", "auto"), Ok(("X", 1, 10, 1)));
        assert_eq!(place("BFF", "auto"), Ok(("B", 15, 15, 1)));
        assert_eq!(place("SB10", "auto"), Ok(("SB", 1, 0, 1)));
        assert_eq!(place("zr70000", "f64"), Ok(("ZR", 70_000, 0, 4)));
        assert_eq!(place("D100.A", "bool"), Ok(("D", 100, 10, 1)));
        assert_eq!(place("D0", "string[5]"), Ok(("D", 0, 0, 3)));
    }

    #[test]
    fn timers_and_counters_are_contacts_or_present_values() {
        assert_eq!(place("T3", "bool"), Ok(("TS", 0, 3, 1)));
        assert_eq!(place("T3", "u16"), Ok(("TN", 3, 0, 1)));
        assert_eq!(place("ST20", "auto"), Ok(("STN", 20, 0, 1)));
        assert_eq!(place("C5", "bool"), Ok(("CS", 0, 5, 1)));
        assert_eq!(place("TC5", "bool"), Ok(("TC", 0, 5, 1)));
        assert_eq!(place("CN5", "auto"), Ok(("CN", 5, 0, 1)));
    }

    #[test]
    fn inputs_of_fx5_are_octal() {
        let place =
            |text| Place::parse(text, DataType::one(Kind::Bool), Series::IqF).map(|place| place.first_bit());
        assert_eq!(place("Y20"), Ok(16));
        assert!(place("X18").unwrap_err().contains("octal"));
    }

    #[test]
    fn what_is_no_device_is_refused_with_the_form() {
        for text in
            ["", "D", "Q5", "D1F", "D100.G", "D100.10", "M5.1", "D-1", "D+1", "D99999999", "100", "D1 0"]
        {
            assert!(place(text, "auto").unwrap_err().contains("D100"), "{text}");
        }
        assert!(place("D100", "bool").unwrap_err().contains("name one of its bits"));
        assert!(place("D100.1", "u16").is_err());
        assert!(place("D100", "fields").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[A-Za-z0-9.]{0,12}") {
            let _ = place(&text, "u32[4]");
            let _ = place(&text, "bool");
        }
    }
}
