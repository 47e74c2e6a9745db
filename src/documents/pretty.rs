//! Compact JSON made readable.

/// The same JSON with line breaks and two spaces a level. Expects what this module's siblings
/// wrote: valid JSON without white space outside of strings.
pub(super) fn pretty(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 2);
    let mut depth = 0_usize;
    let mut bytes = compact.iter().copied().peekable();
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', depth * 2));
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                out.push(byte);
                while let Some(inside) = bytes.next() {
                    out.push(inside);
                    match inside {
                        b'\\' => out.extend(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'{' | b'[' => {
                out.push(byte);
                if let Some(end @ (b'}' | b']')) = bytes.peek().copied() {
                    out.push(end);
                    bytes.next();
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_json_says_the_same_as_compact_json() {
        let compact = br#"{"a":[1,{"b":"x\"{,:"},[],{}],"c":null}"#;
        let written = pretty(compact);
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(compact).ok(),
            serde_json::from_slice::<serde_json::Value>(&written).ok()
        );
        assert!(written.starts_with(b"{\n  \"a\": [\n    1,\n"));
    }
}
