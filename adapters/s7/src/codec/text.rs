//! Characters of S7 strings: Windows-1252, as TIA Portal and panels take them.

/// Bytes 0x80 to 0x9F; the five that have no character stand for themselves.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// The text that these bytes are.
pub fn decode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            0x80..=0x9F => HIGH[usize::from(byte - 0x80)],
            _ => char::from(byte),
        })
        .collect()
}

/// The bytes for a text.
///
/// # Errors
/// The first character that there is no byte for.
pub fn encode(text: &str) -> Result<Vec<u8>, char> {
    text.chars()
        .map(|character| match u8::try_from(u32::from(character)) {
            Ok(byte @ (0..=0x7F | 0xA0..)) => Ok(byte),
            _ => {
                let at = HIGH.iter().position(|&high| high == character).ok_or(character)?;
                u8::try_from(0x80 + at).map_err(|_| character)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_one_character_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(encode(&decode(&all)), Ok(all));
        assert_eq!(decode(&[0x80, 0xDF, b'A']), "€ßA");
        assert_eq!(encode("Preßkraft 5 €").unwrap().len(), 13);
        assert_eq!(encode("5 Ω"), Err('Ω'));
    }
}
