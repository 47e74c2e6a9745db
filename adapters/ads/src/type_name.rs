//! From the name of a type to its layout.

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::calendar::Calendar;
use crate::codec::type_entry::TypeEntry;
use crate::layout::Layout;

/// How deep types may stand for or contain types.
const MOST_DEPTH: usize = 8;
/// The most fields, those of structures within included.
const MOST_FIELDS: usize = 1_000;
/// The largest variable that is read, in bytes.
pub(crate) const LARGEST: usize = 64 << 10;

/// Why a type has no layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The entry of this type has to be asked for first.
    Needs(SmolStr),
    /// It cannot be read as it is; why and what to do, for an operator.
    No(String),
}

/// Types that were asked for; names are looked up whatever their case, as the PLC does.
#[derive(Clone, Debug, Default)]
pub struct TypeTable(FxHashMap<SmolStr, Option<TypeEntry>>);

impl TypeTable {
    /// Keeps what the controller said about a type, which may be nothing.
    pub fn insert(&mut self, name: &str, entry: Option<TypeEntry>) {
        self.0.insert(name.to_lowercase().into(), entry);
    }

    /// What is known of a type; `None` where it was not asked for.
    pub fn get(&self, name: &str) -> Option<Option<&TypeEntry>> {
        self.0.get(&SmolStr::from(name.to_lowercase())).map(Option::as_ref)
    }
}

impl Layout {
    /// The layout of a variable of a type called `name`, with ADS's number `ads_type` for it (or for its base
    /// type), of `size` bytes.
    ///
    /// # Errors
    /// What else has to be known, or why there is none.
    pub fn of(name: &str, ads_type: u32, size: usize, types: &TypeTable) -> Result<Self, Unfit> {
        if size > LARGEST {
            return Err(Unfit::No(format!(
                "{name} has {size} bytes, {LARGEST} are the most; name an element or member"
            )));
        }
        let mut fields = 0;
        find(name, ads_type, size, types, 0, &mut fields)
    }
}

fn find(
    name: &str,
    ads_type: u32,
    size: usize,
    types: &TypeTable,
    depth: usize,
    fields: &mut usize,
) -> Result<Layout, Unfit> {
    let name = name.trim();
    let no = |why: &str| Err(Unfit::No(format!("{name} {why}")));
    if depth > MOST_DEPTH {
        return no("is nested too deep; name a member");
    }
    if size == 0 {
        return no("has no bytes of its own (a BIT or an empty structure)");
    }
    if let Some((count, of)) = array(name) {
        let Some(stride) = size.checked_div(count).filter(|stride| stride * count == size && *stride > 0)
        else {
            return no("does not have the size of its elements");
        };
        let element = Box::new(find(of, ads_type, stride, types, depth + 1, fields)?);
        return Ok(Layout::Array { element, count, stride });
    }
    let upper = name.to_ascii_uppercase();
    if ["POINTER TO", "REFERENCE TO", "PVOID"].iter().any(|word| upper.starts_with(word)) {
        return no("only says where something is; name the variable itself");
    }
    let plain = elementary(&upper, size).or_else(|| by_number(ads_type, size));
    if let Some(layout) = plain {
        if layout.size() == size {
            return Ok(layout);
        }
        // An alias of an array of numbers: the number tells the elements' type.
        let stride = layout.size();
        if !matches!(layout, Layout::Text(_) | Layout::WideText(_)) && size.is_multiple_of(stride) {
            return Ok(Layout::Array { element: Box::new(layout), count: size / stride, stride });
        }
        return no("does not have the size of its type");
    }
    match types.get(name) {
        None => Err(Unfit::Needs(name.into())),
        Some(None) => no("is a structure or an unknown type; name a member"),
        Some(Some(entry)) => structure(entry, size, types, depth, fields),
    }
}

fn structure(
    entry: &TypeEntry,
    size: usize,
    types: &TypeTable,
    depth: usize,
    count: &mut usize,
) -> Result<Layout, Unfit> {
    let name = &entry.name;
    let no = |why: &str| Err(Unfit::No(format!("{name} {why}")));
    if entry.fields.is_empty() {
        if entry.type_name.is_empty() || entry.type_name.eq_ignore_ascii_case(name) {
            return no("is no type that can be read; name a member");
        }
        return find(&entry.type_name, entry.ads_type, size, types, depth + 1, count);
    }
    let mut fields = Vec::with_capacity(entry.fields.len());
    for field in entry.fields.iter().filter(|field| !field.is_elsewhere()) {
        *count += 1;
        if *count > MOST_FIELDS {
            return no("has too many fields; name a member");
        }
        if field.is_bits() {
            return no("has bit fields; name a member");
        }
        if field.offset.checked_add(field.size).is_none_or(|end| end > size) {
            return no("has fields beyond its end");
        }
        let layout = find(&field.type_name, field.ads_type, field.size, types, depth + 1, count)?;
        fields.push((field.name.clone(), field.offset, layout));
    }
    Ok(Layout::Record { fields, size })
}

/// `ARRAY [0..3,1..2] OF INT`: how many elements, and of what.
pub(crate) fn array(name: &str) -> Option<(usize, &str)> {
    let head = name.get(..5).filter(|head| head.eq_ignore_ascii_case("ARRAY"))?;
    let (bounds, of) = name[head.len()..].trim_start().strip_prefix('[')?.split_once(']')?;
    let of = of.trim_start();
    let (word, element) = of.split_once(char::is_whitespace)?;
    let mut count = 1_usize;
    for bound in bounds.split(',') {
        let (low, high) = bound.split_once("..")?;
        let (low, high): (i64, i64) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
        let length = usize::try_from(high.checked_sub(low)?.checked_add(1)?).ok()?;
        count = count.checked_mul(length)?;
    }
    (word.eq_ignore_ascii_case("OF") && (1..=LARGEST).contains(&count)).then_some((count, element.trim()))
}

/// Types that need no look-up, by their names in upper case.
fn elementary(name: &str, size: usize) -> Option<Layout> {
    const SECOND: i64 = 1_000_000_000;
    let int = |bytes, signed| Layout::Int { bytes, signed, either: false };
    let bits = |bytes| Layout::Int { bytes, signed: false, either: true };
    let time = |calendar, bytes, unit| Layout::Time { calendar, bytes, unit };
    // Ranges and lengths follow in brackets: INT (0..100), STRING(80).
    let word = name.split(['(', ' ', '[']).next().unwrap_or_default();
    Some(match word {
        "BOOL" | "BIT" | "BIT8" => Layout::Bool,
        "SINT" | "INT8" => int(1, true),
        "USINT" | "UINT8" => int(1, false),
        "BYTE" | "BITARR8" => bits(1),
        "INT" | "INT16" => int(2, true),
        "UINT" | "UINT16" => int(2, false),
        "WORD" | "BITARR16" => bits(2),
        "DINT" | "INT32" => int(4, true),
        "UDINT" | "UINT32" => int(4, false),
        "DWORD" | "BITARR32" | "TIME" => bits(4),
        "LINT" | "INT64" => int(8, true),
        "ULINT" | "UINT64" => int(8, false),
        "LWORD" | "LTIME" => bits(8),
        "XINT" | "__XINT" if matches!(size, 4 | 8) => int(size, true),
        "UXINT" | "__UXINT" if matches!(size, 4 | 8) => int(size, false),
        "XWORD" | "__XWORD" if matches!(size, 4 | 8) => bits(size),
        "REAL" | "FLOAT" => Layout::F32,
        "LREAL" | "DOUBLE" => Layout::F64,
        "STRING" => Layout::Text(size),
        "WSTRING" => Layout::WideText(size),
        "DATE" => time(Calendar::Date, 4, SECOND),
        "DT" | "DATE_AND_TIME" => time(Calendar::DateTime, 4, SECOND),
        "TOD" | "TIME_OF_DAY" => time(Calendar::TimeOfDay, 4, SECOND / 1_000),
        "LDATE" => time(Calendar::Date, 8, 1),
        "LDT" | "LDATE_AND_TIME" => time(Calendar::DateTime, 8, 1),
        "LTOD" | "LTIME_OF_DAY" => time(Calendar::TimeOfDay, 8, 1),
        _ => return None,
    })
}

/// Types by ADS's number: what enumerations and aliases come down to.
fn by_number(ads_type: u32, size: usize) -> Option<Layout> {
    let int = |bytes, signed| Layout::Int { bytes, signed, either: true };
    Some(match ads_type {
        2 => int(2, true),
        3 => int(4, true),
        4 => Layout::F32,
        5 => Layout::F64,
        16 => int(1, true),
        17 => int(1, false),
        18 => int(2, false),
        19 => int(4, false),
        20 => int(8, true),
        21 => int(8, false),
        30 => Layout::Text(size),
        31 => Layout::WideText(size),
        33 => Layout::Bool,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::type_entry::tests::entry;
    use guideway_contract::Native;

    #[test]
    fn arrays_of_any_bounds_are_counted() {
        assert_eq!(array("ARRAY [0..9] OF INT"), Some((10, "INT")));
        assert_eq!(array("ARRAY [-1..1, 5..6] OF STRING(20)"), Some((6, "STRING(20)")));
        assert_eq!(array("array[1..2] of ARRAY [0..1] OF E_X"), Some((2, "ARRAY [0..1] OF E_X")));
        for name in ["ARRAY", "ARRAY [0..] OF INT", "ARRAY [1..0] OF INT", "ARRAY [0..9999999] OF INT", "INT"]
        {
            assert_eq!(array(name), None, "{name}");
        }
    }

    #[test]
    fn an_enumeration_is_read_as_its_base_type() {
        let types = TypeTable::default();
        assert_eq!(Layout::of("E_State", 2, 2, &types).unwrap().decode(&[3, 0]), Some(Native::Int(3)));
        let list = Layout::of("ARRAY [0..1] OF E_State", 2, 4, &types).unwrap();
        assert_eq!(list.decode(&[3, 0, 4, 0]), Some(Native::List([Native::Int(3), Native::Int(4)].into())));
        assert_eq!(Layout::of("INT (0..100)", 2, 2, &types).unwrap().size(), 2);
        assert_eq!(Layout::of("T_MaxString", 30, 256, &types), Ok(Layout::Text(256)));
        assert!(matches!(Layout::of("T_Four", 2, 8, &types), Ok(Layout::Array { count: 4, .. })));
    }

    #[test]
    fn a_structure_is_asked_for_and_then_is_a_record() {
        let mut types = TypeTable::default();
        assert_eq!(Layout::of("ST_X", 65, 12, &types), Err(Unfit::Needs("ST_X".into())));
        let fields = [
            entry("n", "INT", (2, 0, 2, 2), &[]),
            entry("s", "STRING(3)", (4, 2, 30, 2), &[]),
            entry("in", "ST_Y", (4, 8, 65, 2), &[]),
        ];
        types.insert("ST_X", TypeEntry::read(&entry("ST_X", "", (12, 0, 65, 1), &fields)));
        assert_eq!(Layout::of("st_x", 65, 12, &types), Err(Unfit::Needs("ST_Y".into())));
        let fields = [entry("r", "REAL", (4, 0, 4, 2), &[])];
        types.insert("ST_Y", TypeEntry::read(&entry("ST_Y", "", (4, 0, 65, 1), &fields)));
        let layout = Layout::of("ST_X", 65, 12, &types).unwrap();
        let value = layout.decode(b"\x07\x00ab\0\0\0\0\0\0\x00\x3F").unwrap();
        assert_eq!(value.to_string(), "{n: 7, s: ab, in: {r: 0.5}}");
    }

    #[test]
    fn what_cannot_be_read_whole_says_what_to_do() {
        let mut types = TypeTable::default();
        let fields = [entry("p", "POINTER TO INT", (8, 0, 65, 2), &[])];
        types.insert("FB_X", TypeEntry::read(&entry("FB_X", "", (8, 0, 65, 1), &fields)));
        let loops = [entry("again", "ST_Loop", (8, 0, 65, 2), &[])];
        types.insert("ST_Loop", TypeEntry::read(&entry("ST_Loop", "", (8, 0, 65, 1), &loops)));
        types.insert("ST_Gone", None);
        for (name, size) in
            [("FB_X", 8), ("ST_Gone", 8), ("ST_Loop", 8), ("STRING", 100_000), ("INT", 0), ("INT", 3)]
        {
            assert!(matches!(Layout::of(name, 65, size, &types), Err(Unfit::No(_))), "{name}");
        }
    }
}
