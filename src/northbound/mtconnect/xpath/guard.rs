//! Bounds on the shape of an expression, checked before it is parsed: parser and evaluator recurse
//! once for each nesting and for each operator of a chain.

/// Deepest nesting of brackets and parentheses.
const MAX_DEPTH: usize = 16;
/// Most operators outside of quotes.
const MAX_OPERATORS: usize = 128;

/// Says what is too much.
pub(super) fn check(expression: &str) -> Result<(), String> {
    let (mut depth, mut operators) = (0_usize, 0);
    let mut quote = None;
    // Words are counted as operators too (`and`, `or`, `div`, `mod` stand between blanks), and so is
    // the `-` of a name: the bound is generous.
    for byte in expression.bytes() {
        match (quote, byte) {
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("the path is nested deeper than {MAX_DEPTH} brackets"));
                }
            }
            (None, b')' | b']') => depth = depth.saturating_sub(1),
            (None, b'|' | b'=' | b'<' | b'>' | b'!' | b'+' | b'-' | b'*' | b' ' | b'\t' | b'\r' | b'\n') => {
                operators += 1;
            }
            (None, _) => {}
        }
    }
    // What is between two operands counts twice at most (`!=`, `<=`), or thrice with blanks.
    if operators > 3 * MAX_OPERATORS {
        return Err(format!("the path has more than {MAX_OPERATORS} operators"));
    }
    if quote.is_some() { Err("the path has a quote that is not closed".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_and_long_expressions_are_refused() {
        assert!(check(&"(".repeat(17)).is_err());
        assert!(check(&"-".repeat(4_000)).is_err());
        assert!(check(&"a|".repeat(1_000)).is_err());
        assert!(check(&"1or ".repeat(500)).is_err());
        assert!(check("//a[@b='").is_err());
        assert!(check("//a[@b='((((((((((((((((((((']").is_ok());
    }
}
