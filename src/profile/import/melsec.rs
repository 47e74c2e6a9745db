//! Mitsubishi: `D100`, `D100.05`, `X1F`, `M10`, `TN3`, `DSL100.020` (a text), `D100[4]`.

use guideway_contract::Kind;

use super::places::{Place, agree, dimensions, number};
use super::tag::{Base, Type};

/// A device with its number; bits of words count in decimals there, and have one hexadecimal digit here.
pub(super) fn convert(address: &str, data_type: Type) -> Result<Place, String> {
    let upper = address.to_ascii_uppercase();
    let (whole, count) = dimensions(&upper)?;
    agree(address, data_type, count)?;
    let (head, suffix) = match whole.split_once('.') {
        Some((head, suffix)) => (head, Some(suffix)),
        None => (whole, None),
    };
    let device = head.trim_end_matches(|c: char| c.is_ascii_hexdigit() && !c.is_ascii_alphabetic());
    if data_type.base == Base::String {
        let text = |letter: char| {
            let split = device.len().checked_sub(2)?;
            let mark = device.get(split..)?;
            (mark.starts_with('S') && mark.ends_with(letter) && split > 0).then(|| &device[..split])
        };
        let length = suffix.and_then(number::<u32>).filter(|length| *length > 0);
        return match (text('L'), text('H'), length) {
            (_, Some(_), _) => {
                Err("texts with the high byte first cannot be read; DSL is the usual order".into())
            }
            (Some(device), None, Some(length)) => {
                let number = &head[device.len() + 2..];
                Ok(Place::new(format!("{device}{number}"), Some(Kind::Text(length)), count))
            }
            _ => Err(format!("`{address}`: a text is written DSL100.020, with its length")),
        };
    }
    let Some(suffix) = suffix else {
        return Ok(Place::new(head, data_type.base.kind(), count));
    };
    let bit = number::<u8>(suffix).filter(|bit| *bit < 16);
    let bit = bit.ok_or_else(|| format!("`{address}`: a word's bits are .0 to .15"))?;
    match data_type.base {
        Base::Boolean | Base::Default => Ok(Place::new(format!("{head}.{bit:X}"), Some(Kind::Bool), count)),
        _ => Err(format!("`{address}` is a bit, and a boolean")),
    }
}
