//! Text on its way into XML and JSON.

/// What a byte needs in XML: nothing, a look in text and attributes, or a look in attributes only.
const PLAIN: u8 = 0;
const ALWAYS: u8 = 1;
const IN_ATTRIBUTES: u8 = 2;
/// The first byte of U+FFFE and U+FFFF, which XML 1.0 does not allow.
const NONCHARACTER_LEAD: u8 = 0xEF;

static CLASS: [u8; 256] = {
    let mut class = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        class[byte] = ALWAYS;
        byte += 1;
    }
    class[b'\t' as usize] = IN_ATTRIBUTES;
    class[b'\n' as usize] = IN_ATTRIBUTES;
    class[b'"' as usize] = IN_ATTRIBUTES;
    class[b'<' as usize] = ALWAYS;
    class[b'>' as usize] = ALWAYS;
    class[b'&' as usize] = ALWAYS;
    class[NONCHARACTER_LEAD as usize] = ALWAYS;
    class
};

/// Writes text between two tags. What XML 1.0 cannot carry becomes U+FFFD.
pub(super) fn xml_text(out: &mut Vec<u8>, text: &str) {
    escape::<false>(out, text);
}

/// Writes the inside of a double-quoted attribute; white space survives normalization.
pub(super) fn xml_attribute(out: &mut Vec<u8>, text: &str) {
    escape::<true>(out, text);
}

fn escape<const ATTRIBUTE: bool>(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let class = CLASS[usize::from(*byte)];
        if class == PLAIN || (class == IN_ATTRIBUTES && !ATTRIBUTE) {
            continue;
        }
        let replacement: &[u8] = match byte {
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'&' => b"&amp;",
            b'"' => b"&quot;",
            b'\t' => b"&#9;",
            b'\n' => b"&#10;",
            b'\r' => b"&#13;",
            &NONCHARACTER_LEAD => {
                if !matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) {
                    continue;
                }
                out.extend_from_slice(&bytes[done..at]);
                out.extend_from_slice("\u{FFFD}".as_bytes());
                done = at + 3;
                continue;
            }
            _ => "\u{FFFD}".as_bytes(),
        };
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(replacement);
        done = at + 1;
    }
    out.extend_from_slice(&bytes[done..]);
}

/// Writes ` name="value"`.
pub(super) fn attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    xml_attribute(out, value);
    out.push(b'"');
}

/// Writes a JSON string with its quotes.
pub(super) fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    json_escaped(out, text);
    out.push(b'"');
}

/// Writes a JSON string's content, without the quotes. Escapes what RFC 8259, 7 asks for.
pub fn json_escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..0x20 => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&bytes[done..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(of: &str) -> String {
        let mut out = Vec::new();
        xml_text(&mut out, of);
        String::from_utf8(out).expect("escaping keeps UTF-8")
    }

    fn attribute_of(of: &str) -> String {
        let mut out = Vec::new();
        xml_attribute(&mut out, of);
        String::from_utf8(out).expect("escaping keeps UTF-8")
    }

    #[test]
    fn markup_is_escaped_and_what_xml_cannot_carry_is_replaced() {
        assert_eq!(
            text("a<b>&\"c\"\u{1}\u{FFFF}\u{FFFD}ü\r\n"),
            "a&lt;b&gt;&amp;\"c\"\u{FFFD}\u{FFFD}\u{FFFD}ü&#13;\n"
        );
        assert_eq!(attribute_of("a\t\"b\"\n"), "a&#9;&quot;b&quot;&#10;");
    }

    proptest! {
        #[test]
        fn json_strings_read_back_as_they_were(of in any::<String>()) {
            let mut out = Vec::new();
            json_string(&mut out, &of);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).ok(), Some(of));
        }

        #[test]
        fn escaped_text_reads_back_as_it_was(of in "[\\x20-\\x7E\\u{A0}-\\u{D7FF}\\t\\n]*") {
            let written = attribute_of(&of);
            let read = quick_xml::escape::unescape(&written).map(|text| text.into_owned()).ok();
            prop_assert_eq!(read, Some(of));
        }
    }
}
