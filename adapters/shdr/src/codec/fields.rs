//! Fields between pipes.

use std::borrow::Cow;

/// The fields of a line, from left to right.
///
/// White space around a field is not part of it. A field that begins with `"` ends with the `"`
/// that a pipe or the line's end follows; within, `\|`, `\"` and `\\` stand for the second
/// character and white space is kept. Where no such end is found before the next bare pipe, the
/// quote is an ordinary character.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// The fields of `line`; an empty line has one empty field.
    pub const fn new(line: &'a str) -> Self {
        Self { rest: Some(line) }
    }

    /// What has not been read, pipes and all; `None` after the last field.
    pub const fn rest(&self) -> Option<&'a str> {
        self.rest
    }

    /// Whether nothing but empty fields is left.
    pub fn is_blank(&self) -> bool {
        self.rest.is_none_or(|rest| rest.bytes().all(|byte| byte == b'|' || byte.is_ascii_whitespace()))
    }

    fn quoted(&mut self, text: &'a str) -> Option<Cow<'a, str>> {
        let bytes = text.as_bytes();
        let mut at = 1;
        let mut escapes = false;
        let close = loop {
            at += memchr::memchr3(b'\\', b'"', b'|', bytes.get(at..)?)?;
            match bytes[at] {
                b'\\' => {
                    escapes = true;
                    at += 2;
                }
                b'|' => return None,
                _ => break at,
            }
        };
        let after = &text[close + 1..];
        let tail = after.trim_ascii_start();
        self.rest = match tail.as_bytes().first() {
            None => None,
            Some(b'|') => Some(&tail[1..]),
            Some(_) => return None,
        };
        let inner = &text[1..close];
        Some(if escapes { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Cow<'a, str>;

    #[inline]
    fn next(&mut self) -> Option<Cow<'a, str>> {
        let text = self.rest?;
        if text.as_bytes().first().is_some_and(|byte| *byte == b'"' || byte.is_ascii_whitespace()) {
            let text = text.trim_ascii_start();
            if text.starts_with('"')
                && let Some(field) = self.quoted(text)
            {
                return Some(field);
            }
        }
        // Fields are short: looking at each byte is faster than setting up a wide search.
        let field = match text.bytes().position(|byte| byte == b'|') {
            Some(at) => {
                self.rest = Some(&text[at + 1..]);
                &text[..at]
            }
            None => {
                self.rest = None;
                text
            }
        };
        Some(Cow::Borrowed(field.trim_ascii()))
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, chars.as_str().chars().next()) {
            ('\\', Some(escaped @ ('|' | '"' | '\\'))) => {
                out.push(escaped);
                chars.next();
            }
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(line: &str) -> Vec<String> {
        Fields::new(line).map(Cow::into_owned).collect()
    }

    #[test]
    fn white_space_around_a_field_is_not_part_of_it() {
        assert_eq!(fields("  |hello   |\tkitty| cat | "), ["", "hello", "kitty", "cat", ""]);
        assert_eq!(fields(""), [""]);
        assert_eq!(fields("a||b|"), ["a", "", "b", ""]);
    }

    #[test]
    fn a_quoted_field_keeps_its_pipes() {
        assert_eq!(fields(r#"y|"a\|b"|z"#), ["y", "a|b", "z"]);
        assert_eq!(fields(r#"y| "a\|" "#), ["y", "a|"]);
    }

    #[test]
    fn a_quoted_field_keeps_its_white_space_quotes_and_backslashes() {
        assert_eq!(fields(r#"" a "|"say \"hi\""|"C:\temp\\x""#), [" a ", "say \"hi\"", r"C:\temp\x"]);
    }

    #[test]
    fn a_quote_without_its_end_is_an_ordinary_character() {
        assert_eq!(fields(r#"x|"a\|"z"#), ["x", r#""a\"#, r#""z"#]);
        assert_eq!(fields(r#""a|b"|"ab"c|"d"#), ["\"a", "b\"", "\"ab\"c", "\"d"]);
        assert_eq!(fields(r#"5" pipe|"\"#), ["5\" pipe", "\"\\"]);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_the_fields_end(line in "\\PC*") {
            prop_assert!(Fields::new(&line).count() <= line.len() + 1);
        }

        #[test]
        fn what_is_quoted_is_read_back(texts in prop::collection::vec("[ -~]{0,12}", 1..6)) {
            let quoted: Vec<_> = texts
                .iter()
                .map(|text| {
                    let escaped = text.replace('\\', r"\\").replace('|', r"\|").replace('"', "\\\"");
                    format!("\"{escaped}\"")
                })
                .collect();
            prop_assert_eq!(fields(&quoted.join("|")), texts);
        }

        #[test]
        fn plain_fields_are_those_between_the_pipes(line in "[a-c| ]{0,40}") {
            let expected: Vec<_> = line.split('|').map(str::trim).collect();
            prop_assert_eq!(fields(&line), expected);
        }
    }
}
