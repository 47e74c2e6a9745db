//! Logix: tags as they are, `Table[3] {10}` (an array), `Name.DATA/82` (a text).

use guideway_contract::Kind;

use super::places::{Place, agree, number};
use super::tag::{Base, Type};

/// A tag's name; the controller says its type where the list does not.
pub(super) fn convert(address: &str, data_type: Type) -> Result<Place, String> {
    let bad = |why: &str| format!("`{address}`: {why}");
    let bare: String = address.chars().filter(|c| !c.is_whitespace()).collect();
    let (name, count) = match bare.split_once('{') {
        None => (bare.as_str(), None),
        Some((name, sizes)) => {
            let sizes = sizes.strip_suffix('}').ok_or_else(|| bad("`{` is not closed"))?;
            let sizes = sizes.replace("}{", ",");
            let count = sizes
                .split(',')
                .try_fold(1_u32, |count, size| count.checked_mul(number(size)?).filter(|count| *count > 0));
            (name, Some(count.ok_or_else(|| bad("the size of an array is written {10} or {2}{5}"))?))
        }
    };
    let (name, length) = match name.rsplit_once('/') {
        None => (name, None),
        Some((name, length)) => {
            (name, Some(number::<u32>(length).ok_or_else(|| bad("after `/` comes the length of a text"))?))
        }
    };
    // Two indices are written [1,2] here.
    let mut name = name.replace("][", ",");
    const PROGRAM: &str = "Program:";
    if name.get(..PROGRAM.len()).is_some_and(|start| start.eq_ignore_ascii_case(PROGRAM)) {
        name.replace_range(..PROGRAM.len(), PROGRAM);
    }
    agree(address, data_type, count)?;
    let is_bit = name.rsplit_once('.').is_some_and(|(_, bit)| number::<u8>(bit).is_some());
    let kind = match (data_type.base, length) {
        (Base::String, Some(length)) => Some(Kind::Chars(length)),
        (_, Some(_)) => return Err(bad("after `/` comes the length of a text, and this is none")),
        (Base::Boolean, None) if is_bit => Some(Kind::Bool),
        (_, None) if is_bit => return Err(bad("a bit is a boolean")),
        (base, None) => base.kind(),
    };
    Ok(Place::new(name, kind, count))
}
