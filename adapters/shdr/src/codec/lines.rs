//! Lines out of whatever pieces the network delivers.

/// The room that is always offered for one read.
const SMALL: usize = 16 << 10;
/// The room that a busy source gets; buffers of this size are kept.
const LARGE: usize = 256 << 10;

/// A line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes; never longer than the cap.
    Bytes(&'a [u8]),
    /// It was longer than the cap and is thrown away up to its end. Told once for each such line.
    Oversized,
}

/// Cuts a stream of bytes into lines that end with `\n` or CRLF.
///
/// Memory: at most twice the cap and 256 KiB; a long line's buffer is given back afterwards.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where the line that is not yet handed out begins.
    start: usize,
    /// Up to where there is no line end.
    scanned: usize,
    /// Up to where the buffer holds bytes.
    end: usize,
    cap: usize,
    skipping: bool,
}

impl Lines {
    /// Lines of at most `cap` bytes, their ends not counted.
    pub fn new(cap: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, scanned: 0, end: 0, cap: cap.max(1), skipping: false }
    }

    /// Forgets everything: a new connection.
    pub fn clear(&mut self) {
        self.start = 0;
        self.scanned = 0;
        self.end = 0;
        self.skipping = false;
    }

    /// Room for the next read, never empty. Call it when [`Self::next_line`] has nothing more.
    pub fn room(&mut self) -> &mut [u8] {
        let held = self.end - self.start;
        if held == 0 {
            (self.start, self.scanned, self.end) = (0, 0, 0);
            if self.buffer.len() > LARGE {
                self.buffer = Vec::new();
            }
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.scanned -= self.start;
            (self.start, self.end) = (0, held);
        }
        if self.buffer.len() < self.end + SMALL / 4 {
            let size = (self.buffer.len() * 2).clamp(SMALL, held + self.cap.max(LARGE));
            self.buffer.resize(size.max(self.end + SMALL / 4), 0);
        }
        &mut self.buffer[self.end..]
    }

    /// Says that a read has put `count` bytes into the room it was given.
    pub fn filled(&mut self, count: usize) {
        let whole = self.end == 0 && count == self.buffer.len();
        self.end = (self.end + count).min(self.buffer.len());
        if whole && self.buffer.len() < LARGE {
            // The source sends faster than we read: larger reads cost less for each line. The new
            // room is used from the next read on.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// Puts bytes in as a read would; for tests and for what is already in memory.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while !bytes.is_empty() {
            let room = self.room();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.filled(count);
            bytes = &bytes[count..];
            while let Some(line) = self.next_line() {
                each(line);
            }
        }
    }

    /// The next whole line; `None` until more is read.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        loop {
            match memchr::memchr(b'\n', &self.buffer[self.scanned..self.end]) {
                Some(at) => {
                    let (from, to) = (self.start, self.scanned + at);
                    self.start = to + 1;
                    self.scanned = self.start;
                    if std::mem::take(&mut self.skipping) {
                        continue;
                    }
                    let line = &self.buffer[from..to];
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    if line.len() > self.cap {
                        return Some(Line::Oversized);
                    }
                    return Some(Line::Bytes(line));
                }
                None => {
                    self.scanned = self.end;
                    // One more than the cap may be the CR of a line that just fits.
                    let over = self.end - self.start > self.cap + 1;
                    if over || self.skipping {
                        self.start = self.end;
                        if !std::mem::replace(&mut self.skipping, true) {
                            return Some(Line::Oversized);
                        }
                    }
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(cap: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(cap);
        let mut seen = Vec::new();
        for piece in pieces {
            lines.push(piece, |line| {
                seen.push(match line {
                    Line::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Line::Oversized => "<oversized>".into(),
                });
            });
        }
        seen
    }

    #[test]
    fn a_line_may_come_in_any_number_of_pieces() {
        assert_eq!(cut(100, &[b"a|b", b"|c\r", b"\nd\n\nrest"]), ["a|b|c", "d", ""]);
    }

    #[test]
    fn a_line_over_the_cap_is_told_once_and_skipped_to_its_end() {
        assert_eq!(
            cut(4, &[b"12345\nok\n", b"123", b"456", b"789", b"0\nok\n"]),
            ["<oversized>", "ok", "<oversized>", "ok"]
        );
    }

    #[test]
    fn a_line_of_exactly_the_cap_fits_whatever_its_end() {
        assert_eq!(cut(4, &[b"1234", b"\r", b"\n1234\n12345\r\n1\n"]), ["1234", "1234", "<oversized>", "1"]);
    }

    #[test]
    fn the_buffer_of_a_long_line_is_given_back() {
        let mut lines = Lines::new(1 << 20);
        let mut longest = 0;
        lines.push(&[b'x'; 1 << 20], |_| {});
        lines.push(b"\n", |line| {
            if let Line::Bytes(bytes) = line {
                longest = bytes.len();
            }
        });
        assert_eq!(longest, 1 << 20);
        let _ = lines.room();
        assert!(lines.buffer.len() <= LARGE, "{}", lines.buffer.len());
    }

    #[test]
    fn a_line_without_an_end_never_holds_more_than_the_cap_allows() {
        let mut lines = Lines::new(1 << 20);
        for _ in 0..1_000 {
            lines.push(&[b'x'; 64 << 10], |line| assert_eq!(line, Line::Oversized));
        }
        assert!(lines.buffer.len() <= (2 << 20) + LARGE, "{}", lines.buffer.len());
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(
            bytes in prop::collection::vec(prop::sample::select(b"ab|\r\n".to_vec()), 0..200),
            cuts in prop::collection::vec(0_usize..200, 0..8),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(cut(7, &pieces), cut(7, &[&bytes]));
        }
    }
}
