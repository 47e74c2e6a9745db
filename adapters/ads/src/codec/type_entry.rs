//! Data types of the PLC program: structures with their fields, aliases, arrays.

use smol_str::SmolStr;

use super::reader::Reader;

/// How deep entries may be nested in entries.
const MOST_DEPTH: usize = 4;

/// A data type, or a field of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeEntry {
    /// The type's or field's name.
    pub name: SmolStr,
    /// Of what type a field is; what an alias stands for.
    pub type_name: SmolStr,
    /// Bytes.
    pub size: usize,
    /// Where the field starts in its structure, in bytes (or bits, with [`TypeEntry::is_bits`]).
    pub offset: usize,
    /// ADS's number for the type.
    pub ads_type: u32,
    flags: u32,
    /// How many elements each of its dimensions has.
    pub dimensions: Vec<u32>,
    /// A structure's fields.
    pub fields: Vec<TypeEntry>,
}

impl TypeEntry {
    /// Whether size and offset count bits.
    pub const fn is_bits(&self) -> bool {
        self.flags & 0x20 != 0
    }

    /// Whether the field is not in the structure's own memory: a static member or a property.
    pub const fn is_elsewhere(&self) -> bool {
        self.flags & (0x40 | 0x2_0000) != 0
    }

    /// Reads an entry; `None` when it is cut short.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self::next(bytes, 0)?.0)
    }

    fn next(bytes: &[u8], depth: usize) -> Option<(Self, usize)> {
        if depth > MOST_DEPTH {
            return None;
        }
        let mut reader = Reader::new(bytes);
        let length = reader.size()?;
        let (_version, _hash, _type_hash) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let size = reader.size()?;
        let offset = reader.size()?;
        let ads_type = reader.u32()?;
        let flags = reader.u32()?;
        let [name, type_name, comment] = [reader.u16()?, reader.u16()?, reader.u16()?];
        let [dimensions, fields] = [reader.u16()?, reader.u16()?];
        let name = reader.text(name)?;
        let type_name = reader.text(type_name)?;
        reader.text(comment)?;
        let dimensions = (0..dimensions)
            .map(|_| {
                let _lowest = reader.u32()?;
                reader.u32()
            })
            .collect::<Option<Vec<_>>>()?;
        let mut rest = reader.rest();
        let mut found = Vec::new();
        for _ in 0..fields {
            let (field, length) = Self::next(rest, depth + 1)?;
            // A head has 42 bytes: each step goes on.
            if length < 42 {
                return None;
            }
            rest = rest.get(length..)?;
            found.push(field);
        }
        Some((Self { name, type_name, size, offset, ads_type, flags, dimensions, fields: found }, length))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An entry as a controller writes it.
    pub(crate) fn entry(
        name: &str,
        type_name: &str,
        numbers: (u32, u32, u32, u32),
        fields: &[Vec<u8>],
    ) -> Vec<u8> {
        let (size, offset, ads_type, flags) = numbers;
        let mut bytes = Vec::new();
        for number in [0, 1, 0, 0, size, offset, ads_type, flags] {
            bytes.extend(u32::to_le_bytes(number));
        }
        for length in [name.len(), type_name.len(), 0, 0, fields.len()] {
            bytes.extend(u16::try_from(length).unwrap().to_le_bytes());
        }
        for text in [name, type_name, ""] {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
        bytes.extend(fields.concat());
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    #[test]
    fn a_structure_has_its_fields() {
        let fields = [entry("a", "INT", (2, 0, 2, 2), &[]), entry("b", "REAL", (4, 4, 4, 2), &[])];
        let read = TypeEntry::read(&entry("ST_X", "", (8, 0, 65, 1), &fields)).unwrap();
        assert_eq!(read.fields.len(), 2);
        assert_eq!((read.fields[1].name.as_str(), read.fields[1].offset), ("b", 4));
        let cut = entry("ST_X", "", (8, 0, 65, 1), &fields);
        assert_eq!(TypeEntry::read(&cut[..cut.len() - 8]), None);
    }

    #[test]
    fn entries_within_entries_end_somewhere() {
        let mut deep = entry("x", "", (1, 0, 65, 0), &[]);
        for _ in 0..MOST_DEPTH + 1 {
            deep = entry("x", "", (1, 0, 65, 0), &[deep]);
        }
        assert_eq!(TypeEntry::read(&deep), None);
    }
}
