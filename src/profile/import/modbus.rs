//! Modbus: `400001`, `40001`, `41`, `400001.5`, `H40001`, `400100.20H` (a text), `400001[10]`.

use guideway_contract::Kind;

use super::Encoding;
use super::places::{Place, agree, dimensions, number};
use super::tag::{Base, Type};

const FORMS: &str = "Modbus addresses are written 400001, 300012.5, H40001, 400100.20H (text) or 400001[10]";

/// The table's digit, then a number that counts from one; KEPServerEX takes any count of digits.
pub(super) fn convert(address: &str, data_type: Type, encoding: &Encoding) -> Result<Place, String> {
    let bad = || format!("`{address}`: {FORMS}");
    let upper = address.to_ascii_uppercase();
    let (whole, count) = dimensions(&upper)?;
    agree(address, data_type, count)?;
    let (digits, radix) = match whole.strip_prefix('H') {
        Some(digits) => (digits, 16),
        None => (whole, 10),
    };
    let (place, suffix) = match digits.split_once('.') {
        Some((place, suffix)) => (place, Some(suffix)),
        None => (digits, None),
    };
    if !(2..=6).contains(&place.len()) || !place.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(bad());
    }
    let (table, is_bits) = match place.as_bytes()[0] {
        b'0' => ("coil", true),
        b'1' => ("discrete", true),
        b'3' => ("input", false),
        b'4' => ("holding", false),
        _ => return Err(bad()),
    };
    let start = u32::from_str_radix(&place[1..], radix).map_err(|_| bad())?;
    let start = if encoding.subtract_one { start.checked_sub(1).ok_or_else(bad)? } else { start };
    if start > 65_535 {
        return Err(format!("`{address}` is beyond the last of 65536"));
    }
    if data_type.base == Base::String {
        let suffix = suffix.ok_or_else(|| format!("`{address}`: a text needs its length: 400100.20H"))?;
        let low_first = suffix.ends_with('L');
        let length = number::<u32>(suffix.trim_end_matches(['H', 'L'])).filter(|length| *length > 0);
        let length = length.ok_or_else(bad)?;
        let place = Place::new(format!("{table}:{start}"), Some(Kind::Text(length)), count);
        return Ok(match (low_first, encoding.high_byte_first) {
            (true, true) => place.with("byte_order", "BADC"),
            (false, false) => place.with("byte_order", "ABCD"),
            _ => place,
        });
    }
    let Some(suffix) = suffix else {
        let kind = match (data_type.base, is_bits) {
            (Base::Default, true) => Kind::Bool,
            (Base::Default, false) => Kind::U16,
            (base, _) => base.kind().ok_or_else(bad)?,
        };
        let halves = matches!(kind, Kind::I64 | Kind::U64 | Kind::F64);
        if halves && encoding.low_word_first != encoding.low_double_first {
            return Err("the halves of its 64 bits and their registers are in different orders".into());
        }
        return Ok(Place::new(format!("{table}:{start}"), Some(kind), count));
    };
    let bit = number::<u8>(suffix).ok_or_else(bad)?;
    let bit = if encoding.zero_based_bits { Some(bit) } else { bit.checked_sub(1) };
    let bit = bit.filter(|bit| *bit < 16).ok_or_else(|| format!("`{address}`: a register has 16 bits"))?;
    let kind = if data_type.base == Base::Default { Some(Kind::Bool) } else { data_type.base.kind() };
    Ok(Place::new(format!("{table}:{start}.{bit}"), kind, count))
}
