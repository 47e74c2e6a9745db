//! Bytes written as text.

/// Hexadecimal digits with or without spaces, `:`, `-` or `0x` in front; `None` for anything else.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for c in text.chars() {
        if high.is_none() && matches!(c, ' ' | ':' | '-') {
            continue;
        }
        let digit = u8::try_from(c.to_digit(16)?).ok()?;
        match high.take() {
            Some(high) => bytes.push(high << 4 | digit),
            None => high = Some(digit),
        }
    }
    high.is_none().then_some(bytes)
}

/// Base64 in either alphabet (RFC 4648, 4 and 5), with or without padding; white space is passed over.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits, mut padded) = (0_u32, 0_u32, false);
    for c in text.bytes().filter(|c| !c.is_ascii_whitespace()) {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                padded = true;
                continue;
            }
            _ => return None,
        };
        if padded {
            return None;
        }
        held = (held << 6 | u32::from(digit)) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xFF).ok()?);
        }
    }
    // Six bits that are left over belong to no byte.
    (bits < 6).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hexadecimal_may_have_gaps() {
        for text in ["03B9", "03 b9", "03:B9", "0x03B9", " 03-b9 "] {
            assert_eq!(hex(text), Some(vec![3, 0xB9]), "{text}");
        }
        for text in ["3", "0 3", "xyz", "03B", "é0"] {
            assert_eq!(hex(text), None, "{text}");
        }
        assert_eq!(hex(""), Some(vec![]));
    }

    #[test]
    fn base64_is_read_in_either_alphabet() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zg", "f"), ("Zm9v", "foo"), ("Zm9v\nYmFy", "foobar")]
        {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64("-_8="), base64("+/8="));
        for text in ["Z", "Zg==Zg", "Z*", "Zm9vY"] {
            assert_eq!(base64(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_as_hexadecimal_are_read_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(hex(&text), Some(bytes));
        }
    }
}
