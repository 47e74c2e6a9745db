//! Data sets and tables: `k=v k='q' k={b} gone=`, `row={c=1 d="x"}`, `:TRIGGER k=v`.

use guideway_contract::{Cell, DataSet, Entry};
use smol_str::{SmolStr, StrExt};

/// Reads a data set; `None` when the text is none.
pub fn data_set(text: &str) -> Option<DataSet> {
    read(text, Reader::cell)
}

/// Reads a table: every key has a row in braces or quotes, or is removed.
pub fn table(text: &str) -> Option<DataSet> {
    read(text, Reader::row)
}

fn read<'a>(text: &'a str, value: fn(&mut Reader<'a>) -> Option<Cell>) -> Option<DataSet> {
    let text = text.trim_ascii();
    let (reset, text) = match text.strip_prefix(':') {
        Some(text) => {
            let end = text.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(text.len());
            let trigger = &text[..end];
            (Some(trigger.to_ascii_uppercase_smolstr()).filter(|trigger| !trigger.is_empty()), &text[end..])
        }
        None => (None, text),
    };
    let mut reader = Reader { rest: text };
    let entries = reader.entries(None, value)?;
    reader.rest.is_empty().then(|| DataSet::new(reset, entries))
}

/// Reads from the left; what is read is gone from `rest`.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Entries up to `close`, which is taken, or to the end.
    fn entries(&mut self, close: Option<u8>, value: fn(&mut Self) -> Option<Cell>) -> Option<Vec<Entry>> {
        let mut entries = Vec::new();
        loop {
            self.rest = self.rest.trim_ascii_start();
            match (self.peek(), close) {
                (None, None) => return Some(entries),
                (None, Some(_)) => return None,
                (found, close) if found == close => {
                    self.rest = &self.rest[1..];
                    return Some(entries);
                }
                _ => {}
            }
            let key = self.take_while(|byte| {
                !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b'|' | b'{' | b'}' | b'\'' | b'"')
            });
            if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return None;
            }
            // White space after `=` means that nothing follows: the key is removed.
            let cell = if let Some(rest) = self.rest.strip_prefix('=') {
                self.rest = rest;
                let ends = |byte: u8| byte.is_ascii_whitespace() || Some(byte) == close;
                if self.peek().is_none_or(ends) { Cell::Removed } else { value(self)? }
            } else {
                Cell::Removed
            };
            entries.push(Entry { key: SmolStr::new(key), cell });
        }
    }

    fn row(&mut self) -> Option<Cell> {
        let close = match self.peek()? {
            b'{' => b'}',
            quote @ (b'"' | b'\'') => quote,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let mut cells = self.entries(Some(close), Self::cell)?;
        // A row replaces the row before, so a cell that is removed is simply not in it.
        cells.retain(|cell| cell.cell != Cell::Removed);
        guideway_contract::sort_unique(&mut cells);
        Some(Cell::Row(cells))
    }

    fn cell(&mut self) -> Option<Cell> {
        let close = match self.peek()? {
            b'{' => b'}',
            quote @ (b'"' | b'\'') => quote,
            _ => {
                let text = self.take_while(|byte| {
                    !byte.is_ascii_whitespace() && !matches!(byte, b'{' | b'}' | b'\'' | b'"')
                });
                return (!text.is_empty()).then(|| plain(text));
            }
        };
        let inner = &self.rest[1..];
        let bytes = inner.as_bytes();
        let mut text = String::new();
        let (mut from, mut at) = (0, 0);
        loop {
            at += memchr::memchr2(b'\\', close, bytes.get(at..)?)?;
            if bytes[at] == close {
                text.push_str(&inner[from..at]);
                self.rest = &inner[at + 1..];
                return Some(Cell::Text(SmolStr::new(text)));
            }
            // A backslash makes the closing character an ordinary one; before others it stands for
            // itself.
            if bytes.get(at + 1) == Some(&close) {
                text.push_str(&inner[from..at]);
                from = at + 1;
                at += 2;
            } else {
                at += 1;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    /// Takes bytes as long as `keep` says so; `keep` must keep or drop all bytes beyond ASCII.
    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|byte| !keep(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// A value without quotes: a whole number, a number with a fraction or exponent, else text. Numbers
/// with leading zeros are text, for they are names (`007`).
fn plain(text: &str) -> Cell {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text).as_bytes();
    let zeros = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    if !zeros {
        if digits.iter().all(u8::is_ascii_digit) {
            if let Ok(integer) = text.parse() {
                return Cell::Integer(integer);
            }
        } else if let Some(number) = super::number(text) {
            return Cell::Number(number);
        }
    }
    Cell::Text(SmolStr::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(key: &str, cell: Cell) -> Entry {
        Entry { key: key.into(), cell }
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    fn set(text: &str) -> Option<Vec<Entry>> {
        data_set(text).map(|set| set.entries().to_vec())
    }

    #[test]
    fn values_are_whole_numbers_numbers_or_text() {
        let read = set("a=1 b=-2.5 c=text d=1e3 e=007 f=99999999999999999999 g=0x10 h=nan i=1,5 j=0 k=0.5");
        assert_eq!(
            read,
            Some(vec![
                entry("a", Cell::Integer(1)),
                entry("b", Cell::Number(-2.5)),
                entry("c", text("text")),
                entry("d", Cell::Number(1_000.0)),
                entry("e", text("007")),
                entry("f", text("99999999999999999999")),
                entry("g", text("0x10")),
                entry("h", text("nan")),
                entry("i", text("1,5")),
                entry("j", Cell::Integer(0)),
                entry("k", Cell::Number(0.5)),
            ])
        );
    }

    #[test]
    fn quotes_and_braces_hold_white_space_and_their_escaped_ends() {
        assert_eq!(
            set(r#"a='x y' b="it's 5" c={1 \} 2} d='q\'q' e="a\b""#),
            Some(vec![
                entry("a", text("x y")),
                entry("b", text("it's 5")),
                entry("c", text("1 } 2")),
                entry("d", text("q'q")),
                entry("e", text(r"a\b")),
            ])
        );
    }

    #[test]
    fn a_key_without_a_value_is_removed() {
        assert_eq!(
            set("a b= c=1 d="),
            Some(vec![
                entry("a", Cell::Removed),
                entry("b", Cell::Removed),
                entry("c", Cell::Integer(1)),
                entry("d", Cell::Removed),
            ])
        );
    }

    #[test]
    fn a_trigger_in_front_resets_the_set() {
        let read = data_set(":manual a=1").unwrap();
        assert_eq!((read.reset.as_deref(), read.len()), (Some("MANUAL"), 1));
        let read = data_set(" :DAY ").unwrap();
        assert_eq!((read.reset.as_deref(), read.len()), (Some("DAY"), 0));
        assert_eq!(data_set("").map(|set| set.len()), Some(0));
    }

    #[test]
    fn a_table_has_rows_in_braces_or_quotes() {
        let read = table(r#":SHIFT r1={a=1 b='x' c={y z}} r2="d=2.5" r3 r4= r5={}"#).unwrap();
        assert_eq!(read.reset.as_deref(), Some("SHIFT"));
        assert_eq!(
            read.entries(),
            [
                entry(
                    "r1",
                    Cell::Row(vec![
                        entry("a", Cell::Integer(1)),
                        entry("b", text("x")),
                        entry("c", text("y z")),
                    ])
                ),
                entry("r2", Cell::Row(vec![entry("d", Cell::Number(2.5))])),
                entry("r3", Cell::Removed),
                entry("r4", Cell::Removed),
                entry("r5", Cell::Row(Vec::new())),
            ]
        );
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in
            ["=1", "a={b", "a='b", "{a=1}", "a=}", "a='x\\'", "a=b'c", "a=1 =", "a\u{b}b=1", "a\u{a0}b=1"]
        {
            assert_eq!(set(text), None, "{text}");
        }
        for text in ["r=1", "r={a=1", "r={=1}", "r={{a=1}}", "r='a=\"1'"] {
            assert_eq!(table(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", marks in "[ab=:'\"{}\\\\ 1.]*") {
            let _ = (data_set(&text), table(&text), data_set(&marks), table(&marks));
        }

        #[test]
        fn quoted_text_is_read_back(value in "[ -~&&[^\\\\]]{0,20}") {
            for (open, close) in [("{", "}"), ("'", "'"), ("\"", "\"")] {
                let written = format!("k={open}{}{close}", value.replace(close, &format!("\\{close}")));
                prop_assert_eq!(set(&written), Some(vec![entry("k", text(&value))]), "{}", written);
            }
        }
    }
}
