//! A configuration file as text, and places in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Longest file that is read, in bytes. A configuration of a thousand machines is a tenth of it.
pub const MAX_BYTES: u64 = 4 << 20;

/// The text of a file, with its name.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// A text that is at hand. A byte order mark is taken off.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Self { path: path.into(), text }
    }

    /// The file's name as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset; both count from 1, the column in characters. An offset
    /// behind the end is the end.
    pub fn position(&self, offset: usize) -> (u32, u32) {
        let before = &self.text[..self.floor(offset)];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// The byte offset of a line and column that count from 1; what is outside becomes the nearest
    /// place inside.
    pub fn offset(&self, line: u32, column: u32) -> usize {
        let mut start = 0;
        for _ in 1..line {
            match self.text[start..].find('\n') {
                Some(end) => start += end + 1,
                None => break,
            }
        }
        let line = self.text[start..].split('\n').next().unwrap_or_default();
        let column = usize::try_from(column.max(1) - 1).unwrap_or(usize::MAX);
        start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
    }

    /// The span cut down to what is in the text, at character boundaries, and to its first line.
    pub fn clip(&self, span: Range<usize>) -> Range<usize> {
        let start = self.floor(span.start);
        let end = self.floor(span.end).max(start);
        let line = self.text[start..end].find(['\r', '\n']).map_or(end, |at| start + at);
        start..line
    }

    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new("f", "\u{feff}ä = 1\nb = 2\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(2), (1, 2));
        assert_eq!(source.position(7), (2, 1));
        assert_eq!(source.position(1_000), (3, 1));
        assert_eq!(source.offset(2, 1), 7);
        assert_eq!(source.offset(1, 2), 2);
        assert_eq!(source.offset(99, 99), source.text().len());
    }
}
