//! Query strings, read strictly.

use std::borrow::Cow;

use super::refusal::{Refusal, problem};
use crate::documents::{Problem, ProblemKind};

/// Most parameters in one request.
const MAX_PARAMETERS: usize = 32;

/// The parameters of one request, and everything that is wrong with them: a client sees all of it
/// at once.
pub(super) struct Query<'q> {
    pairs: Vec<(Cow<'q, str>, Cow<'q, str>)>,
    problems: Vec<Problem>,
}

impl<'q> Query<'q> {
    /// Splits and decodes; notes parameters that are not in `known`, and those given twice.
    pub(super) fn read(query: &'q str, known: &[&str]) -> Self {
        let mut read = Self { pairs: Vec::new(), problems: Vec::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if read.pairs.len() == MAX_PARAMETERS {
                let message = format!("there are more than {MAX_PARAMETERS} parameters");
                read.problems.push(problem(ProblemKind::InvalidRequest, message));
                break;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name, true), decode(value, true)) {
                (Some(name), Some(value)) => read.add(name, value, known),
                _ => read.problems.push(problem(
                    ProblemKind::InvalidRequest,
                    format!("`{pair}` is not percent-encoded UTF-8"),
                )),
            }
        }
        read
    }

    fn add(&mut self, name: Cow<'q, str>, value: Cow<'q, str>, known: &[&str]) {
        if !known.contains(&name.as_ref()) {
            let message = format!("there is no parameter '{name}' here; there are: {}", known.join(", "));
            self.problems.push(problem(ProblemKind::InvalidRequest, message));
        } else if self.pairs.iter().any(|(before, _)| *before == name) {
            let message = format!("'{name}' is given more than once");
            self.problems.push(problem(ProblemKind::InvalidRequest, message));
        } else {
            self.pairs.push((name, value));
        }
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// A whole number: digits, with a `-` before them where it is negative, and nothing else. What
    /// is larger than 128 bits is as large as they can say; every caller has narrower limits.
    pub(super) fn integer(&mut self, name: &str) -> Option<i128> {
        let text = self.text(name)?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.invalid(name, "integer", "must be a whole number, written in digits only");
            return None;
        }
        let limit = if text.starts_with('-') { i128::MIN } else { i128::MAX };
        Some(text.parse().unwrap_or(limit))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.text(name)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.invalid(name, "boolean", "must be true or false");
                None
            }
        }
    }

    /// One of these words.
    pub(super) fn word(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(name)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.invalid(name, "string", &format!("must be one of: {}", words.join(", ")));
        }
        found
    }

    /// Notes that a parameter's value is not of its type.
    fn invalid(&mut self, name: &str, expected: &'static str, must: &str) {
        let value = self.text(name).unwrap_or_default().to_owned();
        let message = format!("'{name}' is '{value}', but {must}");
        let kind = ProblemKind::InvalidParameterValue { parameter: name.to_owned(), value, expected };
        self.problems.push(problem(kind, message));
    }

    /// Notes something that is wrong.
    pub(super) fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Everything that is wrong, if anything is.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        if self.problems.is_empty() { Ok(()) } else { Err(Refusal { status: 400, problems: self.problems }) }
    }
}

/// Undoes percent-encoding; with `plus`, a `+` is a space, as forms write it. `None` when a `%` is
/// not followed by two hexadecimal digits, or when the result is not UTF-8 or holds a NUL.
pub(super) fn decode(text: &str, plus: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || byte == 0 || (plus && byte == b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    if decoded.contains(&0) {
        return None;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        for (text, number) in [("0", 0), ("-5", -5), ("007", 7), ("18446744073709551616", 1 << 64)] {
            let query = format!("count={text}");
            assert_eq!(Query::read(&query, &["count"]).integer("count"), Some(number), "{text}");
        }
        for text in ["", "-", "10abc", "1.5", "1e3", "2^64", "%2010", "10%20", "+10", "0x10", "--1", "%D9%A1"]
        {
            let query = format!("count={text}");
            let mut read = Query::read(&query, &["count"]);
            assert_eq!(read.integer("count"), None, "{text}");
            assert!(read.finish().is_err(), "{text}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let mut query = Query::read("cuont=1&from=x&from=1&pretty=maybe", &["count", "from", "pretty"]);
        assert_eq!((query.integer("from"), query.boolean("pretty")), (None, None));
        let problems = query.finish().expect_err("four things are wrong").problems;
        assert_eq!(problems.len(), 4);
        assert!(
            problems[0].message.contains("'cuont'") && problems[0].message.contains("count, from, pretty")
        );
    }

    #[test]
    fn encoded_text_is_decoded() {
        assert_eq!(decode("a%20b+c", true).as_deref(), Some("a b c"));
        assert_eq!(decode("a+c", false).as_deref(), Some("a+c"));
        assert_eq!(decode("%C3%A4", true).as_deref(), Some("ä"));
        for text in ["%", "%4", "%zz", "%ff", "%00"] {
            assert_eq!(decode(text, true), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(text in "\\PC*") {
            let mut query = Query::read(&text, &["a"]);
            let _ = query.integer("a");
            let _ = query.finish();
        }
    }
}
