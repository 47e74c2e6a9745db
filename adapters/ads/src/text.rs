//! Texts of the PLC: STRING is Latin-1 (or UTF-8 where the program says so), WSTRING is UTF-16; a NUL ends both.

use smol_str::SmolStr;

/// A STRING's bytes up to its NUL: UTF-8 where it is that, else Latin-1.
pub fn latin(bytes: &[u8]) -> SmolStr {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    match std::str::from_utf8(text) {
        Ok(text) => SmolStr::new(text),
        Err(_) => text.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// A WSTRING's bytes up to its NUL.
pub fn wide(bytes: &[u8]) -> SmolStr {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Text as a STRING of `size` bytes, NUL included; `None` when it does not fit or has other letters than Latin-1.
pub fn to_latin(text: &str, size: usize) -> Option<Vec<u8>> {
    let mut bytes =
        text.chars().map(|c| u8::try_from(c).ok().filter(|byte| *byte != 0)).collect::<Option<Vec<_>>>()?;
    if bytes.len() >= size {
        return None;
    }
    bytes.resize(size, 0);
    Some(bytes)
}

/// Text as a WSTRING of `size` bytes, NUL included; `None` when it does not fit.
pub fn to_wide(text: &str, size: usize) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.len() + 2 > size || text.contains('\0') {
        return None;
    }
    bytes.resize(size, 0);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_at_their_nul_and_keep_their_letters() {
        assert_eq!(latin(b"Gr\xFC\xDFe\0xx"), "Grüße");
        assert_eq!(latin("Größe\0".as_bytes()), "Größe");
        assert_eq!(to_latin("Grüße", 8).unwrap(), b"Gr\xFC\xDFe\0\0\0");
        assert_eq!(wide(&to_wide("Größe €", 20).unwrap()), "Größe €");
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        assert_eq!(to_latin("abc", 3), None);
        assert!(to_latin("abc", 4).is_some());
        assert_eq!(to_latin("€", 9), None);
        assert_eq!(to_wide("ab", 5), None);
    }
}
