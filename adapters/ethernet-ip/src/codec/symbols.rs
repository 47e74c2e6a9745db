//! The list of tags: instances of the symbol object (class 0x6B), by Get Instance Attribute List (1756-PM020).

use smol_str::SmolStr;

use super::{CodecError, Reader};

/// What is asked of each tag: name (1), type (2), dimensions (8).
pub const ATTRIBUTES: [u8; 8] = [3, 0, 1, 0, 2, 0, 8, 0];
/// The same, and External Access (10), which controllers know from version 18 on.
pub const ATTRIBUTES_WITH_ACCESS: [u8; 10] = [4, 0, 1, 0, 2, 0, 8, 0, 10, 0];
/// The longest name that is believed: `Program:` and 40 characters, and what modules are called.
const MOST_NAME: usize = 256;

/// A tag as the controller lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its number in the list.
    pub instance: u32,
    /// Its name.
    pub name: SmolStr,
    /// Its type, dimensions and whether the system made it.
    pub kind: SymbolType,
    /// Elements in each dimension, 0 where there is none.
    pub dimensions: [u32; 3],
    /// Whether others than the controller may write it; `None` where the controller does not say.
    pub access: Option<ExternalAccess>,
}

/// The word that says what a tag or a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolType(pub u16);

impl SymbolType {
    /// The template, for a structure.
    pub const fn template(self) -> Option<u16> {
        if self.0 & 0x8000 != 0 { Some(self.0 & 0x0FFF) } else { None }
    }

    /// The code of its type, where it is no structure.
    pub const fn atomic(self) -> Option<u16> {
        if self.0 & 0x8000 == 0 { Some(self.0 & 0x00FF) } else { None }
    }

    /// Whether the system made it.
    pub const fn is_system(self) -> bool {
        self.0 & 0x1000 != 0
    }

    /// How many dimensions it has, 0 to 3.
    pub const fn dimensions(self) -> u16 {
        (self.0 >> 13) & 3
    }
}

/// What others than the controller may do with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalAccess {
    /// Read and write.
    ReadWrite,
    /// Read.
    ReadOnly,
    /// Nothing.
    None,
}

impl Symbol {
    /// Whether it is a program, below which there are more tags.
    pub fn is_program(&self) -> bool {
        self.name.starts_with("Program:") && !self.name.contains('.')
    }

    /// Whether an engineer made it, or a module's data: what is worth showing.
    pub fn is_shown(&self) -> bool {
        let hidden = ["__", "Map:", "Task:", "Routine:", "Cxn:", "Program:"];
        !self.kind.is_system() && !hidden.iter().any(|start| self.name.starts_with(start))
    }
}

/// The path of a page of the list: tags from `instance` on, of a program where one is named.
pub fn page_path(program: Option<&str>, instance: u32) -> Vec<u8> {
    let mut path = Vec::new();
    if let Some(program) = program {
        crate::address::symbol(&mut path, program);
    }
    path.extend_from_slice(&[0x20, 0x6B]);
    match u16::try_from(instance) {
        Ok(instance) => {
            path.extend_from_slice(&[0x25, 0]);
            path.extend_from_slice(&instance.to_le_bytes());
        }
        Err(_) => {
            path.extend_from_slice(&[0x26, 0]);
            path.extend_from_slice(&instance.to_le_bytes());
        }
    }
    path
}

/// The tags of a page; `with_access` as they were asked for.
///
/// # Errors
/// A page that is cut short.
pub fn page(data: &[u8], with_access: bool) -> Result<Vec<Symbol>, CodecError> {
    let mut reader = Reader::new(data, "a page of tags");
    let mut symbols = Vec::new();
    while !reader.rest().is_empty() {
        let instance = reader.u32()?;
        let length = usize::from(reader.u16()?);
        if length > MOST_NAME {
            return Err(CodecError::Wrong("a tag's name is longer than names are"));
        }
        let name = SmolStr::new(String::from_utf8_lossy(reader.take(length)?));
        let kind = SymbolType(reader.u16()?);
        let dimensions = [reader.u32()?, reader.u32()?, reader.u32()?];
        let access = match if with_access { Some(reader.u8()? & 3) } else { None } {
            Some(0) => Some(ExternalAccess::ReadWrite),
            Some(2) => Some(ExternalAccess::ReadOnly),
            Some(3) => Some(ExternalAccess::None),
            _ => None,
        };
        symbols.push(Symbol { instance, name, kind, dimensions, access });
    }
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_tags_is_read() {
        let mut bytes = Vec::new();
        for (instance, name, kind, first) in [(1_u32, "Rate", 0x00C4_u16, 0_u32), (70_000, "Cell", 0xA123, 8)]
        {
            bytes.extend_from_slice(&instance.to_le_bytes());
            bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&kind.to_le_bytes());
            [first, 0, 0].iter().for_each(|size| bytes.extend_from_slice(&size.to_le_bytes()));
        }
        let symbols = page(&bytes, false).unwrap();
        assert_eq!(symbols[0].kind.atomic(), Some(0xC4));
        assert_eq!((symbols[1].kind.template(), symbols[1].kind.dimensions()), (Some(0x123), 1));
        assert_eq!(symbols[1].instance, 70_000);
        assert!(page(&bytes[..bytes.len() - 1], false).is_err());
    }

    #[test]
    fn what_the_system_made_is_not_shown() {
        let symbol = |name: &str, kind| Symbol {
            instance: 1,
            name: name.into(),
            kind: SymbolType(kind),
            dimensions: [0; 3],
            access: None,
        };
        assert!(symbol("Rate", 0xC4).is_shown());
        assert!(symbol("Local:1:I", 0x8123).is_shown());
        assert!(!symbol("__hidden", 0xC4).is_shown());
        assert!(!symbol("Rate", 0x10C4).is_shown());
        assert!(symbol("Program:Main", 0x1068).is_program());
    }

    #[test]
    fn pages_begin_where_the_last_one_ended() {
        assert_eq!(page_path(None, 258), [0x20, 0x6B, 0x25, 0, 2, 1]);
        assert_eq!(page_path(None, 65_536), [0x20, 0x6B, 0x26, 0, 0, 0, 1, 0]);
        assert_eq!(page_path(Some("ab"), 0), [0x91, 2, b'a', b'b', 0x20, 0x6B, 0x25, 0, 0, 0]);
    }
}
