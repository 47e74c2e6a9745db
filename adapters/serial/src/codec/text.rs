//! Bytes to text and back.

use crate::Encoding;

/// The text of a frame: decoded; without NUL, DEL and the controls of punches (DC1 to DC4) that Fanuc
/// controls send around a DPRNT; without blanks and controls at both ends.
pub fn decode(bytes: &[u8], encoding: Encoding) -> String {
    let kept = bytes.iter().copied().filter(|byte| !matches!(byte, 0 | 0x11..=0x14 | 0x7F));
    let text: String = match encoding {
        Encoding::Ascii => kept
            .map(|byte| if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER })
            .collect(),
        Encoding::Latin1 => kept.map(char::from).collect(),
        Encoding::Utf8 => String::from_utf8_lossy(&kept.collect::<Vec<u8>>()).into_owned(),
    };
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if trimmed.len() == text.len() { text } else { trimmed.to_owned() }
}

/// The bytes of a text; `None` if a character is not of the encoding.
pub fn encode(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
        Encoding::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
        Encoding::Utf8 => Some(text.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_punches_need_is_taken_away() {
        assert_eq!(decode(b"\0\0\x12  X   1.234\0\x14 ", Encoding::Utf8), "X   1.234");
        assert_eq!(decode(b"[)>\x1E06\x1DP1\x1E\x04", Encoding::Utf8), "[)>\u{1E}06\u{1D}P1");
    }

    #[test]
    fn each_encoding_is_read_and_written() {
        assert_eq!(decode(b"20\xB0C", Encoding::Latin1), "20°C");
        assert_eq!(decode(b"20\xB0C", Encoding::Ascii), "20\u{FFFD}C");
        assert_eq!(decode("20°C".as_bytes(), Encoding::Utf8), "20°C");
        assert_eq!(encode("20°C", Encoding::Latin1), Some(b"20\xB0C".to_vec()));
        assert_eq!(encode("20°C", Encoding::Ascii), None);
        assert_eq!(encode("€", Encoding::Latin1), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "[!-~¡-ÿ]([ -~¡-ÿ]{0,20}[!-~¡-ÿ])?") {
            for encoding in [Encoding::Latin1, Encoding::Utf8] {
                let bytes = encode(&text, encoding).unwrap_or_default();
                proptest::prop_assert_eq!(decode(&bytes, encoding), text.clone());
            }
        }
    }
}
