//! What a point takes from a frame: `line`, `field:2`, `key:TEMP`, `word:X`, `regex:…`.

use regex::{Regex, RegexBuilder};

use crate::Decimal;

/// How much memory one pattern may take once compiled.
const MOST_PATTERN: usize = 1 << 20;

/// What a point takes from a frame.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// All of it.
    Line,
    /// One of its fields, from 0, or from the end at -1.
    Field(i32),
    /// What the pattern's group `value` (else its first group, else the whole pattern) finds.
    Pattern(Regex),
}

impl Address {
    /// Reads an address, for numbers whose fraction comes after `decimal`.
    pub(crate) fn read(text: &str, decimal: Decimal) -> Result<Self, String> {
        let (point, end) = match decimal {
            Decimal::Point => (r"\.", r"\s,;"),
            Decimal::Comma => (",", r"\s;"),
        };
        let how = "write `line`, `field:2`, `key:NAME`, `word:X` or `regex:PATTERN`";
        let (word, rest) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        match word {
            "" | "line" if rest.is_empty() => Ok(Self::Line),
            "field" => match rest.trim().parse() {
                Ok(number @ -1_000..=1_000) => Ok(Self::Field(number)),
                _ => Err(format!("`{text}`: a field is a number from 0, or from the end at -1; {how}")),
            },
            "key" if !rest.trim().is_empty() => {
                let name = regex::escape(rest.trim());
                pattern(&format!(
                    r#"(?:^|[^A-Za-z0-9_])(?:{name})[ \t*]*[=:][ \t*]*(?:"([^"]*)"|(?P<value>[+-]?[ \t*]*[^{end}]*))"#
                ))
                .map(Self::Pattern)
            }
            "word" if !rest.trim().is_empty() => {
                let name = regex::escape(rest.trim());
                pattern(&format!(
                    r"(?:^|[^A-Za-z0-9_.])(?:{name})[ \t*]*(?P<value>[+-]?[ \t*]*(?:[0-9]+(?:{point}[0-9]*)?|{point}[0-9]+))"
                ))
                .map(Self::Pattern)
            }
            "regex" if !rest.is_empty() => pattern(rest).map(Self::Pattern),
            _ => Err(format!("`{text}`: {how}")),
        }
    }
}

/// Compiles a regular expression.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MOST_PATTERN).build().map_err(|error| {
        let why = error.to_string();
        format!("`{text}` is no regular expression: {}", why.lines().last().unwrap_or_default().trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Address, String> {
        Address::read(text, Decimal::Point)
    }

    #[test]
    fn addresses_are_read_and_what_is_none_is_refused() {
        for text in ["", "line", "field:0", "field:-1", "key:TEMP", "key:A+B", "word:X", "regex:^S (.*)$"] {
            assert!(read(text).is_ok(), "{text}");
        }
        for text in
            ["x", "field:", "field:x", "field:9999999999", "key:", "word: ", "regex:", "regex:(", "line:2"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("regex:(").unwrap_err().contains("unclosed group"));
        assert!(pattern("(a{1000}){1000}").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "((line|field|key|word|regex):)?\\PC{0,20}") {
            let _ = (Address::read(&text, Decimal::Point), Address::read(&text, Decimal::Comma));
        }
    }
}
