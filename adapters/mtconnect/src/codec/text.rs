//! From bytes to text, whatever their encoding.

use std::borrow::Cow;

use super::Malformed;

/// Text of UTF-8 or of UTF-16 with a byte order mark; of ISO 8859-1 where the document says so. In what only
/// claims to be UTF-8 the bytes that are none are replaced: one alarm text in a wrong code page must not cost
/// a document.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, _) = bytes.as_chunks::<2>();
        char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
            .collect::<Result<String, _>>()
            .map(Cow::Owned)
            .map_err(|_| Malformed::new("not valid UTF-16"))
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.into()),
            // In ISO 8859-1 each byte is the code point of the same number.
            Err(_) if declares_latin_1(bytes) => {
                Ok(bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into())
            }
            Err(_) => Ok(String::from_utf8_lossy(bytes)),
        },
    }
}

fn declares_latin_1(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(200)];
    let head = &head[..memchr::memchr(b'>', head).unwrap_or(head.len())];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    ["iso-8859-1", "latin1", "windows-1252"].iter().any(|name| head.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_in_the_field_are_read() {
        let xml = "<a b=\"Drehkräfte\"/>";
        let wide: Vec<u8> =
            [0xFF, 0xFE].into_iter().chain(xml.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let latin: Vec<u8> = "<?xml version='1.0' encoding='ISO-8859-1'?>"
            .bytes()
            .chain(xml.chars().map(|c| c as u8))
            .collect();
        assert_eq!(decode(xml.as_bytes()).unwrap(), xml);
        assert_eq!(decode(&wide).unwrap(), xml);
        assert!(decode(&latin).unwrap().ends_with(xml));
        assert_eq!(decode(b"<a>K\xFChlung</a>").unwrap(), "<a>K\u{FFFD}hlung</a>");
    }
}
