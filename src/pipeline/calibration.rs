//! `* calibration: name|factor|offset|name|factor|offset…`: a source tells how to convert its values.

use super::shape;
use super::units::Conversion;

/// The triples of a calibration: a data item's key, and its conversion `(value + offset) * factor`.
/// A triple that is cut short or holds no numbers is `Err` with its text.
pub(super) fn read(text: &str) -> impl Iterator<Item = Result<(&str, Conversion), String>> {
    let mut fields = text.split('|').map(str::trim);
    std::iter::from_fn(move || {
        let key = fields.next().filter(|key| !key.is_empty())?;
        let (factor, offset) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        Some(match (shape::number(factor), shape::number(offset)) {
            (Some(factor), Some(offset)) if factor != 0.0 => Ok((key, Conversion { offset, factor })),
            _ => Err(format!("{key}|{factor}|{offset}")),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibration_is_read_in_triples() {
        let found: Vec<_> = read("Xpos|0.01|200.0|Zpos|0.02|300|Ypos|x|1|Wpos|3").collect();
        assert_eq!(found.len(), 4);
        assert_eq!(found[0], Ok(("Xpos", Conversion { offset: 200.0, factor: 0.01 })));
        assert_eq!(found[1], Ok(("Zpos", Conversion { offset: 300.0, factor: 0.02 })));
        assert_eq!(found[2], Err("Ypos|x|1".to_owned()));
        assert_eq!(found[3], Err("Wpos|3|".to_owned()));
        assert_eq!(read("").count(), 0);
    }
}
