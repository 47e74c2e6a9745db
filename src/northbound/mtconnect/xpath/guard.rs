//! Bounds on the shape of an expression, checked before it is parsed: parser and evaluator recurse
//! once for each nesting and for each operator of a chain.

/// Deepest nesting of brackets and parentheses.
const MAX_DEPTH: usize = 16;
/// Most operators outside of quotes.
const MAX_OPERATORS: usize = 256;

/// Says what is too much.
pub(super) fn check(expression: &str) -> Result<(), String> {
    let (mut depth, mut operators) = (0_usize, 0);
    let mut quote = None;
    // Where the name begins that is being read. A `-` inside a name is no operator, one behind a
    // digit is.
    let mut name: Option<usize> = None;
    let bytes = expression.as_bytes();
    for (at, byte) in bytes.iter().copied().chain(std::iter::once(b' ')).enumerate() {
        if let Some(open) = quote {
            if byte == open {
                quote = None;
            }
            continue;
        }
        let begins = byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80;
        if begins || (name.is_some() && (byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))) {
            name.get_or_insert(at);
            continue;
        }
        if let Some(from) = name.take()
            && matches!(&bytes[from..at], b"and" | b"or" | b"div" | b"mod")
        {
            operators += 1;
        }
        match byte {
            b'"' | b'\'' if at < bytes.len() => quote = Some(byte),
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'|' | b'=' | b'<' | b'>' | b'!' | b'+' | b'-' | b'*' => operators += 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("the path is nested deeper than {MAX_DEPTH} brackets"));
        }
        if operators > MAX_OPERATORS {
            return Err(format!("the path has more than {MAX_OPERATORS} operators"));
        }
    }
    if quote.is_some() { Err("the path has a quote that is not closed".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_and_long_expressions_are_refused() {
        for expression in [
            "(".repeat(17),
            "-".repeat(4_000),
            "1-".repeat(1_000),
            "a|".repeat(1_000),
            "1or ".repeat(500),
            "(1)or".repeat(500),
            "'a'or".repeat(500),
            "1 div ".repeat(500),
            "//a[@b='".to_owned(),
        ] {
            assert!(check(&expression).is_err(), "{expression}");
        }
        assert!(check("//a[@b='((((((((((((((((((((']").is_ok());
        assert!(check(&"//DataItem[@id='a']|".repeat(128)).is_ok());
        assert!(check(&"descendant-or-self::node()/".repeat(100)).is_ok());
    }

    /// On a test's thread, whose stack is as small as that of the threads that evaluate.
    #[test]
    fn what_is_just_allowed_fits_the_stack() {
        let deep = |inner: &str| format!("{}{inner}{}", "//*[not(".repeat(7), ")]".repeat(7));
        for expression in [
            format!("{}//a", "//a|".repeat(MAX_OPERATORS)),
            format!("{}1", "-".repeat(MAX_OPERATORS)),
            format!("{}1", "(1)or".repeat(MAX_OPERATORS)),
            deep(&format!("{}1", "1=".repeat(MAX_OPERATORS - 14))),
            deep(&format!("{}//a", "//a|".repeat(MAX_OPERATORS - 14))),
            format!("{}1{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH)),
        ] {
            assert_eq!(check(&expression), Ok(()), "{expression}");
            let model = crate::device_model::DeviceModel::default();
            let tree = crate::northbound::mtconnect::xpath::Tree::new(&model);
            assert!(crate::northbound::mtconnect::xpath::select(&expression, &tree, &model, None).is_err());
        }
    }
}
