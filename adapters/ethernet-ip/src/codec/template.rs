//! Structures: what a template object (class 0x6C) says of a type's members, and values read with it (1756-PM020).

use std::collections::HashMap;
use std::sync::Arc;

use guideway_contract::Native;
use smol_str::SmolStr;

use super::symbols::SymbolType;
use super::value;
use super::{CodecError, Reader};

/// The most bytes that one structure's description or value may have.
pub const MOST_BYTES: u32 = 65_536;
/// How deep structures may be nested.
const MOST_DEPTH: usize = 16;
/// How many values one structure may have.
const MOST_VALUES: usize = 100_000;
/// The handle of the controller's own STRING.
pub const STRING: u16 = 0x0FCE;

/// The attributes of a template: handle (1), members (2), words of its description (4), bytes of its value (5).
pub const ATTRIBUTES: [u8; 10] = [4, 0, 1, 0, 2, 0, 4, 0, 5, 0];

/// What a template says of itself before its description is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The number that stands for the structure in replies.
    pub handle: u16,
    /// How many members it has.
    pub members: u16,
    /// Words of 32 bits of its description, and a little more.
    pub definition: u32,
    /// Bytes of a value.
    pub size: u32,
}

impl Attributes {
    /// Bytes to be read of the description: it is 23 less than the controller says (1756-PM020).
    pub const fn definition_bytes(self) -> u32 {
        self.definition.saturating_mul(4).saturating_sub(23)
    }
}

/// Reads the reply to [`ATTRIBUTES`].
///
/// # Errors
/// An attribute that is missing, or sizes that no structure has.
pub fn attributes(data: &[u8]) -> Result<Attributes, CodecError> {
    let mut reader = Reader::new(data, "a template's attributes");
    let count = reader.u16()?;
    let mut found = Attributes::default();
    for _ in 0..count.min(4) {
        let (id, status) = (reader.u16()?, reader.u16()?);
        if status != 0 {
            return Err(CodecError::Wrong("a template without handle, members or size"));
        }
        match id {
            1 => found.handle = reader.u16()?,
            2 => found.members = reader.u16()?,
            4 => found.definition = reader.u32()?,
            5 => found.size = reader.u32()?,
            _ => return Err(CodecError::Wrong("an attribute of a template that was not asked for")),
        }
    }
    if found.definition_bytes() > MOST_BYTES || found.size > MOST_BYTES {
        return Err(CodecError::Wrong("a structure is larger than 64 KiB"));
    }
    Ok(found)
}

/// A member of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: SmolStr,
    /// Its type.
    pub kind: SymbolType,
    /// Elements of an array; the bit of a BOOL.
    pub info: u16,
    /// Where it begins in the structure.
    pub offset: u32,
}

impl Member {
    /// Hosts of BOOLs and padding, which have no name that an engineer gave.
    fn is_hidden(&self) -> bool {
        self.name.is_empty() || self.name.starts_with("ZZZZZZZZZZ") || self.name.starts_with("__")
    }
}

/// A structure's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: SmolStr,
    /// The number that stands for it in replies.
    pub handle: u16,
    /// Bytes of a value.
    pub size: u32,
    /// Its members that have names.
    pub members: Vec<Member>,
}

/// Reads a description.
///
/// # Errors
/// One that is cut short, or has more members than bytes.
pub fn parse(attributes: &Attributes, definition: &[u8]) -> Result<Template, CodecError> {
    let mut reader = Reader::new(definition, "a template's description");
    let mut members = Vec::new();
    for _ in 0..attributes.members {
        let (info, kind, offset) = (reader.u16()?, SymbolType(reader.u16()?), reader.u32()?);
        members.push(Member { name: SmolStr::default(), kind, info, offset });
    }
    let mut names = reader.rest().split(|byte| *byte == 0).map(String::from_utf8_lossy);
    // The structure's name is followed by `;` and more that only the programming tool needs.
    let name = names.next().unwrap_or_default();
    let name = SmolStr::new(name.split(';').next().unwrap_or_default());
    for (member, name) in members.iter_mut().zip(names) {
        member.name = SmolStr::new(name);
    }
    members.retain(|member| !member.is_hidden());
    Ok(Template { name, handle: attributes.handle, size: attributes.size, members })
}

impl Template {
    /// The templates of its members.
    pub fn nested(&self) -> impl Iterator<Item = u16> {
        self.members.iter().filter_map(|member| member.kind.template())
    }

    /// Whether its values are texts: LEN and DATA.
    pub fn is_string(&self) -> bool {
        matches!(&self.members[..], [len, data] if len.name == "LEN" && data.name == "DATA"
            && len.offset == 0 && data.offset == 4 && data.kind.atomic() == Some(value::SINT))
    }
}

/// The descriptions read so far, by the numbers of their instances.
#[derive(Debug, Default)]
pub struct Templates {
    by_instance: HashMap<u16, Template>,
    by_handle: HashMap<u16, u16>,
}

impl Templates {
    /// Adds one.
    pub fn add(&mut self, instance: u16, template: Template) {
        self.by_handle.insert(template.handle, instance);
        self.by_instance.insert(instance, template);
    }

    /// The one of an instance.
    pub fn get(&self, instance: u16) -> Option<&Template> {
        self.by_instance.get(&instance)
    }

    /// The one that replies call by `handle`.
    pub fn by_handle(&self, handle: u16) -> Option<&Template> {
        self.by_instance.get(self.by_handle.get(&handle)?)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_instance.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_instance.is_empty()
    }

    /// Whether values of `handle` are texts, as far as is known.
    pub fn is_string(&self, handle: u16) -> bool {
        handle == STRING || self.by_handle(handle).is_some_and(Template::is_string)
    }

    /// The most bytes of text in values of `handle`; `None` where they are not known to be texts.
    pub fn string_room(&self, handle: u16) -> Option<usize> {
        match self.by_handle(handle).filter(|template| template.is_string()) {
            Some(template) => template.members.last().map(|data| usize::from(data.info)),
            None => (handle == STRING).then_some(82),
        }
    }

    /// A structure's value, members by name; a text where the structure is a string.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub fn record(&self, handle: u16, data: &[u8]) -> Result<Native, String> {
        if self.is_string(handle) {
            return value::string(data);
        }
        let template =
            self.by_handle(handle).ok_or_else(|| format!("structure {handle:#06x} is not described"))?;
        self.fields(template, data, 0, &mut 0)
    }

    fn fields(
        &self,
        template: &Template,
        data: &[u8],
        depth: usize,
        values: &mut usize,
    ) -> Result<Native, String> {
        if depth > MOST_DEPTH {
            return Err(format!("structure {} is nested deeper than {MOST_DEPTH}", template.name));
        }
        let mut fields = Vec::with_capacity(template.members.len());
        for member in &template.members {
            let field = self.member(member, data, depth, values)?;
            fields.push((member.name.clone(), field));
        }
        Ok(Native::Record(fields.into()))
    }

    fn member(
        &self,
        member: &Member,
        data: &[u8],
        depth: usize,
        values: &mut usize,
    ) -> Result<Native, String> {
        let short = || format!("member {} lies outside its structure", member.name);
        let offset = usize::try_from(member.offset).unwrap_or(usize::MAX);
        let data = data.get(offset..).ok_or_else(short)?;
        let is_array = member.kind.dimensions() > 0;
        let count = if is_array { usize::from(member.info) } else { 1 };
        *values += count;
        if *values > MOST_VALUES {
            return Err("the structure has too many values".into());
        }
        if let Some(nested) = member.kind.template() {
            let template = self
                .get(nested)
                .ok_or_else(|| format!("the type of member {} is not described", member.name))?;
            let size = usize::try_from(template.size).unwrap_or(usize::MAX);
            let one = |index: usize, values: &mut usize| {
                let start = index.checked_mul(size).ok_or_else(short)?;
                let data = start.checked_add(size).and_then(|end| data.get(start..end)).ok_or_else(short)?;
                if template.is_string() || template.handle == STRING {
                    value::string(data)
                } else {
                    self.fields(template, data, depth + 1, values)
                }
            };
            return if is_array {
                let all = (0..count).map(|index| one(index, values)).collect::<Result<Vec<_>, _>>()?;
                Ok(Native::List(Arc::from(all)))
            } else {
                one(0, values)
            };
        }
        let code = member.kind.atomic().unwrap_or_default();
        if code == value::BOOL && !is_array {
            let byte = data.get(usize::from(member.info / 8)).ok_or_else(short)?;
            return Ok(Native::Bool(byte >> (member.info % 8) & 1 == 1));
        }
        let size =
            value::size(code).ok_or_else(|| format!("member {} is of type {code:#06x}", member.name))?;
        let data = data.get(..size * count).ok_or_else(short)?;
        if code == value::DWORD && is_array {
            return value::bools(value::Shape::Atomic(code), data, 0, 32 * count);
        }
        let mut all = data.chunks_exact(size).filter_map(|data| value::atomic(code, data));
        if is_array { Ok(Native::List(all.collect())) } else { all.next().ok_or_else(short) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(members: &[(u16, u16, u32)], names: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (info, kind, offset) in members {
            bytes.extend_from_slice(&info.to_le_bytes());
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        bytes.extend_from_slice(names.replace('|', "\0").as_bytes());
        bytes.push(0);
        bytes
    }

    fn templates() -> Templates {
        let mut templates = Templates::default();
        let inner = Attributes { handle: 0x11, members: 2, definition: 40, size: 12 };
        let names = "Axis;n|Position|Limits";
        let inner = parse(&inner, &definition(&[(0, 0xCA, 0), (4, 0x20C3, 4)], names)).unwrap();
        let outer = Attributes { handle: 0x22, members: 5, definition: 60, size: 40 };
        let names = "Cell;n|State|ZZZZZZZZZZCell1|Running|Axes|Name";
        let members = [(0, 0xC4, 0), (0, 0xC2, 4), (3, 0xC1, 4), (2, 0xA101, 8), (0, 0x8103, 32)];
        let outer = parse(&outer, &definition(&members, names)).unwrap();
        let text = Attributes { handle: 0x33, members: 2, definition: 40, size: 8 };
        let text = parse(&text, &definition(&[(0, 0xC4, 0), (4, 0x20C2, 4)], "STRING4|LEN|DATA")).unwrap();
        templates.add(0x101, inner);
        templates.add(0x102, outer);
        templates.add(0x103, text);
        templates
    }

    fn cell() -> Vec<u8> {
        let mut data = 7_i32.to_le_bytes().to_vec();
        data.extend_from_slice(&[0b1000, 0, 0, 0]);
        for position in [1.5_f32, 2.5] {
            data.extend_from_slice(&position.to_le_bytes());
            [1_i16, -2, 3, -4].iter().for_each(|limit| data.extend_from_slice(&limit.to_le_bytes()));
        }
        data.extend_from_slice(&[2, 0, 0, 0, b'O', b'K', b'x', 0]);
        data
    }

    #[test]
    fn a_structure_is_read_with_its_members_by_name() {
        let record = templates().record(0x22, &cell()).unwrap();
        assert_eq!(
            record.to_string(),
            "{State: 7, Running: true, Axes: [{Position: 1.5, Limits: [1, -2, 3, -4]}, \
             {Position: 2.5, Limits: [1, -2, 3, -4]}], Name: OK}"
        );
    }

    #[test]
    fn a_value_that_is_shorter_than_its_structure_is_an_error() {
        for length in 0..cell().len() {
            assert!(templates().record(0x22, &cell()[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_structure_in_itself_ends() {
        let own = Attributes { handle: 1, members: 1, definition: 20, size: 0 };
        let template = parse(&own, &definition(&[(60_000, 0xA001, 0)], "Own|Own")).unwrap();
        let mut templates = Templates::default();
        templates.add(1, template);
        assert!(templates.record(1, &[0; 64]).is_err());
    }

    #[test]
    fn sizes_that_no_structure_has_are_refused() {
        let reply = |size: u32| {
            let mut bytes =
                vec![4, 0, 1, 0, 0, 0, 9, 0, 2, 0, 0, 0, 3, 0, 4, 0, 0, 0, 30, 0, 0, 0, 5, 0, 0, 0];
            bytes.extend_from_slice(&size.to_le_bytes());
            attributes(&bytes)
        };
        assert_eq!(reply(40), Ok(Attributes { handle: 9, members: 3, definition: 30, size: 40 }));
        assert_eq!(reply(40).unwrap().definition_bytes(), 97);
        assert!(reply(1 << 20).is_err());
    }
}
