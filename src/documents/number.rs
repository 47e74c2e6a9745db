//! Numbers: the shortest text that reads back as the same number.

/// Whole numbers below this are written without exponent.
const WHOLE: f64 = 1e15;

/// Writes a finite number. Whole numbers have no `.0`; exponents are written with `E`, which every
/// schema version and JSON accept. A number that is not finite (which no value can be) is left out.
pub(super) fn number(out: &mut Vec<u8>, value: f64) {
    if value.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "below 1e15 the whole part fits 64 bits")]
        let whole = value as i64;
        #[expect(clippy::cast_precision_loss, reason = "below 1e15 nothing is lost")]
        if whole as f64 == value {
            integer(out, whole);
            return;
        }
    } else if !value.is_finite() {
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    match text.iter().rposition(|byte| *byte == b'e') {
        None => out.extend_from_slice(text.strip_suffix(b".0").unwrap_or(text)),
        Some(at) => {
            out.extend_from_slice(text[..at].strip_suffix(b".0").unwrap_or(&text[..at]));
            out.push(b'E');
            out.extend_from_slice(&text[at + 1..]);
        }
    }
}

/// Writes a whole number.
pub(super) fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes numbers with a separator between them.
pub(super) fn numbers(out: &mut Vec<u8>, values: &[f64], separator: &[u8]) {
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(separator);
        }
        number(out, *value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: f64) -> String {
        let mut out = Vec::new();
        number(&mut out, value);
        String::from_utf8(out).expect("numbers are ASCII")
    }

    #[test]
    fn numbers_are_short_and_schema_valid() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-12.5, "-12.5"),
            (0.1, "0.1"),
            (1e15, "1000000000000000"),
            (1e21, "1E+21"),
            (1.5e300, "1.5E+300"),
            (5e-324, "5E-324"),
            (123_456_789.25, "123456789.25"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    proptest! {
        #[test]
        fn a_written_number_reads_back_as_the_same_number(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let text = written(value);
            prop_assert_eq!(text.parse::<f64>().ok(), Some(value));
            prop_assert_eq!(serde_json::from_str::<f64>(&text).is_ok(), true);
        }
    }
}
