//! Addresses of tags: `Speed`, `Cell.Axes[2].Position`, `Table[1,2]`, `Program:Main.Count`, `Status.5`.

use std::str::FromStr;

/// The longest address that is read.
const MOST_CHARACTERS: usize = 500;
/// The longest name of a tag or member, and `Program:` in front of it.
const MOST_NAME: usize = 48;

/// A tag, a member or an element, and maybe one of its bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Names from the outside to the inside, each with its indices.
    pub steps: Vec<Step>,
    /// The bit of a whole number.
    pub bit: Option<u8>,
}

/// One name with its indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `Speed`, `Program:Main`, `Local:1:I`.
    pub name: String,
    /// Up to three.
    pub indices: Vec<u32>,
}

impl Address {
    /// The program that the tag belongs to.
    pub fn program(&self) -> Option<&str> {
        self.steps.first().map(|step| step.name.as_str()).filter(|name| name.starts_with("Program:"))
    }

    /// The tag, as the controller lists it.
    pub fn tag(&self) -> Option<&str> {
        self.steps.get(usize::from(self.program().is_some())).map(|step| step.name.as_str())
    }

    /// The last index, where the address ends in just one.
    pub fn last_index(&self) -> Option<u32> {
        match self.steps.last()?.indices[..] {
            [index] => Some(index),
            _ => None,
        }
    }

    /// The same with another last index.
    pub fn with_last_index(&self, index: u32) -> Self {
        let mut other = self.clone();
        if let Some(last) = other.steps.last_mut().and_then(|step| step.indices.last_mut()) {
            *last = index;
        }
        other
    }

    /// As a path of CIP, without the bit.
    pub fn path(&self) -> Vec<u8> {
        let mut path = Vec::new();
        for step in &self.steps {
            symbol(&mut path, &step.name);
            for &index in &step.indices {
                match (u8::try_from(index), u16::try_from(index)) {
                    (Ok(index), _) => path.extend_from_slice(&[0x28, index]),
                    (_, Ok(index)) => {
                        path.extend_from_slice(&[0x29, 0]);
                        path.extend_from_slice(&index.to_le_bytes());
                    }
                    _ => {
                        path.extend_from_slice(&[0x2A, 0]);
                        path.extend_from_slice(&index.to_le_bytes());
                    }
                }
            }
        }
        path
    }
}

/// A name as an extended symbolic segment.
pub(crate) fn symbol(path: &mut Vec<u8>, name: &str) {
    path.extend_from_slice(&[0x91, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
    path.extend_from_slice(name.as_bytes());
    if name.len() % 2 == 1 {
        path.push(0);
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bad = |why: &str| {
            format!(
                "`{text}`: {why}; write a tag such as Speed, Cell.State, Table[3], Program:Main.Count or Status.5"
            )
        };
        if text.is_empty() {
            return Err(bad("there is no tag"));
        }
        if text.len() > MOST_CHARACTERS {
            return Err(bad("that is too long"));
        }
        let mut steps: Vec<Step> = Vec::new();
        let mut bit = None;
        for part in text.split('.') {
            if bit.is_some() {
                return Err(bad("nothing comes after a bit"));
            }
            if !steps.is_empty() && !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
                bit = Some(
                    part.parse().ok().filter(|bit| *bit < 64).ok_or_else(|| bad("bits are from 0 to 63"))?,
                );
                continue;
            }
            steps.push(step(part, steps.is_empty()).map_err(bad)?);
        }
        let address = Self { steps, bit };
        if address.program().is_some() && address.steps.len() < 2 {
            return Err(bad("after the program comes `.` and a tag"));
        }
        // The length of a path is one byte, in words.
        if address.path().len() > 508 {
            return Err(bad("that is too long"));
        }
        Ok(address)
    }
}

fn step(part: &str, first: bool) -> Result<Step, &'static str> {
    let (name, indices) = match part.split_once('[') {
        None => (part, None),
        Some((name, rest)) => (name, Some(rest.strip_suffix(']').ok_or("`[` is not closed")?)),
    };
    let mut bytes = name.bytes();
    if !bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
        return Err("a name begins with a letter or `_`");
    }
    if !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || (first && byte == b':')) {
        return Err("a name has letters, digits and `_` only");
    }
    if name.len() > MOST_NAME {
        return Err("a name has at most 40 characters");
    }
    let indices = match indices {
        None => Vec::new(),
        Some(indices) => indices
            .split(',')
            .map(|index| index.trim().parse().map_err(|_| "an index is a number"))
            .collect::<Result<Vec<_>, _>>()?,
    };
    if indices.len() > 3 {
        return Err("an array has at most three dimensions");
    }
    Ok(Step { name: name.to_owned(), indices })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<u8> {
        text.parse::<Address>().unwrap().path()
    }

    #[test]
    fn names_members_and_indices_become_segments() {
        assert_eq!(path("Rate"), [0x91, 4, b'R', b'a', b't', b'e']);
        assert_eq!(path("abc.de"), [0x91, 3, b'a', b'b', b'c', 0, 0x91, 2, b'd', b'e']);
        assert_eq!(path("ab[3]"), [0x91, 2, b'a', b'b', 0x28, 3]);
        assert_eq!(path("ab[1, 300]"), [0x91, 2, b'a', b'b', 0x28, 1, 0x29, 0, 0x2C, 1]);
        assert_eq!(path("ab[70000]"), [0x91, 2, b'a', b'b', 0x2A, 0, 0x70, 0x11, 1, 0]);
    }

    #[test]
    fn bits_programs_and_modules() {
        let address: Address = "Program:Main.Status.5".parse().unwrap();
        assert_eq!(
            (address.program(), address.tag(), address.bit),
            (Some("Program:Main"), Some("Status"), Some(5))
        );
        assert_eq!("Local:1:I.Data.3".parse::<Address>().unwrap().tag(), Some("Local:1:I"));
        assert_eq!("Flags[37]".parse::<Address>().unwrap().last_index(), Some(37));
        assert_eq!("T[1,2]".parse::<Address>().unwrap().last_index(), None);
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_form() {
        for text in
            ["", "1a", "a..b", "a[", "a[x]", "a[1,2,3,4]", "a.64", "a.5.b", "a b", "Program:Main", "a.b:c"]
        {
            assert!(text.parse::<Address>().unwrap_err().contains("Speed"), "{text}");
        }
        assert!("x".repeat(60).parse::<Address>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_paths_are_whole_words(text in "[a-zP:_.\\[\\],0-9]{0,40}") {
            if let Ok(address) = text.parse::<Address>() {
                proptest::prop_assert_eq!(address.path().len() % 2, 0);
            }
        }
    }
}
