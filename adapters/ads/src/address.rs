//! Native addresses: symbols, and index group with offset.

use std::str::FromStr;

use smol_str::SmolStr;

/// The longest name of a symbol.
const MOST_NAME: usize = 255;

/// Where a point's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A variable by its name in the PLC program: `MAIN.nCount`, `GVL.stCell.fForce`, `GVL.aLimits[3]`, `.gOld`.
    Symbol(SmolStr),
    /// Bytes at an index group and offset: `0x4020:12`.
    Index {
        /// The group; decimal, or hexadecimal with `0x`.
        group: u32,
        /// The offset, likewise.
        offset: u32,
    },
    /// `ads:state`: RUN, STOP, CONFIG, … as text, readable whatever the state is.
    State,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "ads:state" {
            return Ok(Self::State);
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let read =
                text.split_once(':').and_then(|(group, offset)| Some((number(group)?, number(offset)?)));
            let (group, offset) =
                read.ok_or_else(|| format!("`{text}`: index group and offset are written 0x4020:12"))?;
            return Ok(Self::Index { group, offset });
        }
        match is_symbol(text) {
            true => Ok(Self::Symbol(text.into())),
            false => Err(format!(
                "`{text}` is no address; write a symbol such as MAIN.nCount or GVL.aLimits[3], index group and \
                 offset as 0x4020:12, or ads:state"
            )),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Names with dots between; after a name may come indices in brackets and `^`. A dot in front is TwinCAT 2's global.
fn is_symbol(text: &str) -> bool {
    let names = text.strip_prefix('.').unwrap_or(text);
    text.len() <= MOST_NAME && names.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    let end = part.find(['[', '^']).unwrap_or(part.len());
    let (name, mut rest) = part.split_at(end);
    let named = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    while !rest.is_empty() {
        let after = rest.strip_prefix('^').or_else(|| {
            let (indices, after) = rest.strip_prefix('[')?.split_once(']')?;
            indices.split(',').all(|index| index.trim().parse::<i32>().is_ok()).then_some(after)
        });
        match after {
            Some(after) => rest = after,
            None => return false,
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_indices_and_the_state_are_addresses() {
        for text in
            ["MAIN.nCounter", "GVL.arr[3]", "MAIN.st.fValue", ".gOld", "A.b[-1,2].c", "A.pt^.x", "G.ä_1"]
        {
            assert_eq!(text.parse(), Ok(Address::Symbol(text.into())));
        }
        assert_eq!("0x4020:12".parse(), Ok(Address::Index { group: 0x4020, offset: 12 }));
        assert_eq!("16416:0x10".parse(), Ok(Address::Index { group: 0x4020, offset: 16 }));
        assert_eq!("ads:state".parse(), Ok(Address::State));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "MAIN.", "MAIN..x", "MAIN.x y", "MAIN.x[", "MAIN.x[a]", "0x4020", "0xZZ:1", "1:2:3", "a:b"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert!("x".repeat(300).parse::<Address>().is_err());
    }
}
