//! What can be asked: `Q104`, `Q600 5021`, `E10600`.

use std::fmt;
use std::str::FromStr;

/// The largest number of a variable.
const MOST_VARIABLE: u32 = 99_999;

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A Q command with a keyword of its own, 100 to 999.
    Query(u16),
    /// A macro or system variable, read by `Q600` and written by `E`.
    Variable(u32),
}

impl Address {
    /// What the replies to this question start with; empty where that is not known here.
    pub const fn keywords(self) -> &'static [&'static str] {
        match self {
            Self::Query(100) => &["SERIAL NUMBER", "S/N"],
            Self::Query(101) => &["SOFTWARE"],
            Self::Query(102) => &["MODEL"],
            Self::Query(104) => &["MODE"],
            Self::Query(200) => &["TOOL CHANGES"],
            Self::Query(201) => &["USING TOOL"],
            Self::Query(300) => &["P.O. TIME", "P.O.TIME", "POWER ON TIME"],
            Self::Query(301) => &["C.S. TIME", "C.S.TIME", "MOTION TIME"],
            Self::Query(303) => &["LAST CYCLE"],
            Self::Query(304) => &["PREV"],
            Self::Query(402) => &["M30 #1"],
            Self::Query(403) => &["M30 #2"],
            Self::Query(500) => &["PROGRAM", "STATUS"],
            Self::Variable(_) => &["MACRO"],
            Self::Query(_) => &[],
        }
    }

    /// The questions that browsing asks, and what they are about.
    pub const KNOWN: [(u16, &'static str); 13] = [
        (100, "Serial number"),
        (101, "Control software"),
        (102, "Model"),
        (104, "Mode"),
        (200, "Tool changes"),
        (201, "Tool in use"),
        (300, "Power-on time"),
        (301, "Motion time"),
        (303, "Last cycle time"),
        (304, "Previous cycle time"),
        (402, "Parts, counter 1"),
        (403, "Parts, counter 2"),
        (500, "Program, status, parts"),
    ];
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = "write `Q104`, `Q600 5021` or `E10600`";
        let trimmed = text.trim();
        let trimmed = trimmed.strip_prefix('?').unwrap_or(trimmed);
        let variable = |number: &str| -> Result<Self, String> {
            let number = number.trim();
            let plain = number.bytes().all(|byte| byte.is_ascii_digit());
            match number.parse() {
                Ok(number @ 1..=MOST_VARIABLE) if plain => Ok(Self::Variable(number)),
                _ => Err(format!("`{text}`: the variable is a number from 1 to {MOST_VARIABLE}; {how}")),
            }
        };
        if let Some(number) = trimmed.strip_prefix(['E', 'e']) {
            return variable(number);
        }
        let Some(rest) = trimmed.strip_prefix(['Q', 'q']) else { return Err(format!("`{text}`: {how}")) };
        let (code, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let plain = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        match code.parse() {
            Ok(600) if plain => variable(argument),
            Ok(code @ 100..=999) if plain && argument.trim().is_empty() => Ok(Self::Query(code)),
            Ok(100..=999) if plain => Err(format!("`{text}`: only Q600 takes a variable; {how}")),
            _ => Err(format!("`{text}`: a Q code is a number from 100 to 999; {how}")),
        }
    }
}

/// As it is asked, without the question mark.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(code) => write!(f, "Q{code}"),
            Self::Variable(number) => write!(f, "Q600 {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Address>().ok();
        assert_eq!(read("Q104"), Some(Address::Query(104)));
        assert_eq!(read(" ?q500 "), Some(Address::Query(500)));
        assert_eq!(read("Q600 5021"), Some(Address::Variable(5021)));
        assert_eq!(read("E10600"), Some(Address::Variable(10_600)));
        for text in [
            "", "Q", "Q1", "Q1000", "Q600", "Q600 0", "Q600 x", "Q104 1", "E", "E-1", "Q+04", "X5", "E100000",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(code in 100_u16..600, number in 1..MOST_VARIABLE) {
            for address in [Address::Query(code), Address::Variable(number)] {
                proptest::prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Address>();
        }
    }
}
