//! Symbols: name, address, size and type of a variable.

use smol_str::SmolStr;

use super::reader::Reader;

/// One entry of a symbol table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolEntry {
    /// Index group of its value.
    pub group: u32,
    /// Index offset of its value.
    pub offset: u32,
    /// Bytes of its value.
    pub size: usize,
    /// ADS's number for its type, or for the base type of an enumeration or array.
    pub ads_type: u32,
    /// Flags.
    pub flags: u32,
    /// Its whole name.
    pub name: SmolStr,
    /// Its type's name, as the PLC program has it.
    pub type_name: SmolStr,
    /// Its comment.
    pub comment: SmolStr,
}

impl SymbolEntry {
    /// The flag of variables that may only be read.
    const READ_ONLY: u32 = 0x20;

    /// Whether it may only be read.
    pub const fn is_read_only(&self) -> bool {
        self.flags & Self::READ_ONLY != 0
    }

    /// Reads an entry; `None` when it is cut short.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self::next(bytes)?.0)
    }

    /// Reads an entry that others follow, and the bytes it takes. What comes after the texts (a GUID, attributes)
    /// is skipped.
    fn next(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut reader = Reader::new(bytes);
        let length = reader.size()?;
        let group = reader.u32()?;
        let offset = reader.u32()?;
        let size = reader.size()?;
        let ads_type = reader.u32()?;
        let flags = reader.u32()?;
        let [name, type_name, comment] = [reader.u16()?, reader.u16()?, reader.u16()?];
        let entry = Self {
            group,
            offset,
            size,
            ads_type,
            flags,
            name: reader.text(name)?,
            type_name: reader.text(type_name)?,
            comment: reader.text(comment)?,
        };
        Some((entry, length))
    }
}

/// All entries of an uploaded table; ends at the first that is not whole.
pub fn read_table(mut bytes: &[u8]) -> Vec<SymbolEntry> {
    let mut symbols = Vec::new();
    // An entry has at least its head of 30 bytes, so that each step goes on.
    while let Some((symbol, length)) = SymbolEntry::next(bytes)
        && length >= 30
    {
        symbols.push(symbol);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, type_name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [0_u32, 0x4040, 12, 2, 2, 8] {
            bytes.extend(number.to_le_bytes());
        }
        for text in [name, type_name, "c"] {
            bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        }
        for text in [name, type_name, "c"] {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
        bytes.extend([0xAA; 16]);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    #[test]
    fn a_table_is_read_entry_by_entry() {
        let table = [entry("GVL.a", "INT"), entry("MAIN.b", "ARRAY [0..1] OF INT")].concat();
        let symbols = read_table(&table);
        assert_eq!(symbols.len(), 2);
        assert_eq!((symbols[1].name.as_str(), symbols[1].offset), ("MAIN.b", 12));
        assert_eq!(symbols[0].type_name, "INT");
        assert!(!symbols[0].is_read_only());
    }

    #[test]
    fn an_entry_that_claims_to_take_nothing_ends_the_table() {
        let mut table = entry("GVL.a", "INT");
        table[..4].fill(0);
        assert!(read_table(&table).is_empty());
    }
}
