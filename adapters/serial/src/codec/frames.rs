//! Where a frame begins and ends.

use memchr::memmem;

use crate::{Checksum, Frame};

/// A frame that was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It does not end.
    #[error("a frame of more than {0} bytes")]
    Oversized(usize),
    /// Its start is missing.
    #[error("a frame without its start")]
    NoStart,
    /// Its checksum is wrong or missing.
    #[error("a frame with a wrong checksum")]
    Checksum,
}

#[derive(Clone, Debug)]
enum Framing {
    Lines,
    Delimited { start: Vec<u8>, end: Vec<u8> },
    Fixed { start: Vec<u8>, length: usize },
    Gap,
}

/// Takes bytes as they come and gives whole frames, without start, end and checksum. Holds at most one
/// frame's length and one read.
#[derive(Debug)]
pub struct Frames {
    framing: Framing,
    checksum: Checksum,
    most: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been given already.
    given: usize,
    /// Whether what comes up to the next end belongs to a frame that was thrown away.
    skipping: bool,
}

impl Frames {
    /// Frames as configured, of at most so many bytes.
    pub fn new(frame: &Frame, checksum: Checksum, most: usize) -> Self {
        let start = frame.start.clone().into_bytes();
        let framing = match (frame.gap, frame.length, frame.end.as_bytes()) {
            (Some(_), ..) => Framing::Gap,
            (_, Some(length), _) => Framing::Fixed { start, length },
            (.., []) => Framing::Lines,
            (.., end) => Framing::Delimited { start, end: end.to_owned() },
        };
        Self { framing, checksum, most, buffer: Vec::new(), given: 0, skipping: false }
    }

    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.given);
        self.given = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether something has begun that has not ended.
    pub fn partial(&self) -> bool {
        self.given < self.buffer.len()
    }

    /// The next whole frame; `None` until more bytes have come. May be empty.
    ///
    /// # Errors
    /// A frame that was thrown away, once for each.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        let rest = &self.buffer[self.given..];
        let (frame, used) = match &self.framing {
            Framing::Lines => match memchr::memchr2(b'\r', b'\n', rest) {
                Some(end) => (&rest[..end], end + 1),
                None => return self.wait(0),
            },
            Framing::Delimited { start, end } => match memmem::find(rest, end) {
                Some(at) => {
                    let (frame, used) = (&rest[..at], at + end.len());
                    let begin = if start.is_empty() { Some(0) } else { memmem::rfind(frame, start) };
                    match begin {
                        Some(begin) => {
                            // What has its start is whole, whatever was thrown away before it.
                            self.skipping &= start.is_empty();
                            (&frame[begin + start.len()..], used)
                        }
                        None => {
                            self.given += used;
                            // The rest of a frame that was too long has been told of already.
                            return if std::mem::take(&mut self.skipping) {
                                self.take()
                            } else {
                                Err(Unreadable::NoStart)
                            };
                        }
                    }
                }
                None => {
                    let kept = end.len();
                    return self.wait(kept);
                }
            },
            Framing::Fixed { start, length } => {
                let Some(begin) = memmem::find(rest, start) else {
                    let kept = start.len().saturating_sub(1).min(rest.len());
                    self.given = self.buffer.len() - kept;
                    return Ok(None);
                };
                let (begin, end) = (begin + start.len(), begin + start.len() + length);
                if rest.len() < end {
                    return Ok(None);
                }
                (&rest[begin..end], end)
            }
            Framing::Gap => {
                if rest.len() > self.most {
                    self.given = self.buffer.len();
                    if !std::mem::replace(&mut self.skipping, true) {
                        return Err(Unreadable::Oversized(self.most));
                    }
                }
                return Ok(None);
            }
        };
        let frame = frame.to_vec();
        self.given += used;
        if std::mem::take(&mut self.skipping) {
            return self.take();
        }
        if frame.len() > self.most {
            return Err(Unreadable::Oversized(self.most));
        }
        self.checked(frame)
    }

    /// Nothing has come for the gap that ends a frame: gives what there is.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn flush(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        if !matches!(self.framing, Framing::Gap) || (self.buffer.len() == self.given && !self.skipping) {
            return Ok(None);
        }
        let frame = self.buffer.split_off(self.given);
        self.buffer.clear();
        self.given = 0;
        if std::mem::take(&mut self.skipping) { Ok(None) } else { self.checked(frame) }
    }

    fn checked(&self, mut frame: Vec<u8>) -> Result<Option<Vec<u8>>, Unreadable> {
        if self.checksum == Checksum::None || frame.is_empty() {
            return Ok(Some(frame));
        }
        let Some(end) = frame.len().checked_sub(2) else { return Err(Unreadable::Checksum) };
        let (text, digits) = frame.split_at(end);
        let sum = match self.checksum {
            Checksum::Xor => text.iter().fold(0_u8, |sum, byte| sum ^ byte),
            _ => text.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)),
        };
        let said = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if said != Some(sum) || digits.starts_with(b"+") {
            return Err(Unreadable::Checksum);
        }
        frame.truncate(end);
        Ok(Some(frame))
    }

    /// There is no end yet: throws away what has become too long, but for the last `kept` bytes.
    fn wait(&mut self, kept: usize) -> Result<Option<Vec<u8>>, Unreadable> {
        let length = self.buffer.len() - self.given;
        if length > self.most + kept {
            self.given = self.buffer.len() - kept;
            if !std::mem::replace(&mut self.skipping, true) {
                return Err(Unreadable::Oversized(self.most));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(start: &str, end: &str) -> Frame {
        Frame { start: start.into(), end: end.into(), ..Frame::default() }
    }

    fn all(frames: &mut Frames, bytes: &[u8]) -> Vec<Result<String, Unreadable>> {
        frames.push(bytes);
        std::iter::from_fn(|| frames.take().transpose())
            .map(|frame| frame.map(|frame| String::from_utf8_lossy(&frame).into_owned()))
            .collect()
    }

    fn whole(frames: &mut Frames, bytes: &[u8]) -> Vec<String> {
        all(frames, bytes).into_iter().filter_map(Result::ok).filter(|frame| !frame.is_empty()).collect()
    }

    #[test]
    fn lines_end_in_any_way() {
        let mut frames = Frames::new(&Frame::default(), Checksum::None, 64);
        assert_eq!(whole(&mut frames, b"a\r\nb\rc\n\nd"), ["a", "b", "c"]);
        assert!(frames.partial());
        assert_eq!(whole(&mut frames, b"e\r"), ["de"]);
        assert!(!frames.partial());
    }

    #[test]
    fn delimited_frames_begin_at_the_last_start() {
        let mut frames = Frames::new(&frame("\u{2}", "\u{3}"), Checksum::None, 64);
        let found = all(&mut frames, b"junk\x02one\x03\x02hal\x02two\x03three\x03");
        assert_eq!(found, [Ok("one".into()), Ok("two".into()), Err(Unreadable::NoStart)]);
    }

    #[test]
    fn fixed_frames_have_their_length() {
        let fixed = Frame { start: "*".into(), length: Some(3), ..Frame::default() };
        let mut frames = Frames::new(&fixed, Checksum::None, 64);
        assert_eq!(whole(&mut frames, b"x*abcy*d"), ["abc"]);
        assert_eq!(whole(&mut frames, b"ef"), ["def"]);
        let bare = Frame { length: Some(2), ..Frame::default() };
        assert_eq!(whole(&mut Frames::new(&bare, Checksum::None, 64), b"abcde"), ["ab", "cd"]);
    }

    #[test]
    fn a_gap_ends_a_frame() {
        let gap = Frame { gap: Some(Duration::from_millis(50)), ..Frame::default() };
        let mut frames = Frames::new(&gap, Checksum::None, 8);
        assert_eq!(whole(&mut frames, b"12."), [""; 0]);
        assert_eq!(whole(&mut frames, b"5"), [""; 0]);
        assert_eq!(frames.flush(), Ok(Some(b"12.5".to_vec())));
        assert_eq!(frames.flush(), Ok(None));
        assert_eq!(all(&mut frames, b"123456789"), [Err(Unreadable::Oversized(8))]);
        assert_eq!(all(&mut frames, b"0"), []);
        assert_eq!(frames.flush(), Ok(None));
        assert_eq!(whole(&mut frames, b"7"), [""; 0]);
        assert_eq!(frames.flush(), Ok(Some(b"7".to_vec())));
    }

    #[test]
    fn what_does_not_end_is_thrown_away_once_and_to_its_end() {
        for framing in [Frame::default(), frame("", "\r\n"), frame("<", "\r\n")] {
            let mut frames = Frames::new(&framing, Checksum::None, 16);
            let mut faults = 0;
            for _ in 0..50 {
                faults += all(&mut frames, &[b'A'; 100]).len();
                assert!(frames.buffer.len() < 200);
            }
            assert_eq!(faults, 1, "{framing:?}");
            assert_eq!(whole(&mut frames, b"tail\r\n<good\r\n").len(), 1, "{framing:?}");
        }
    }

    #[test]
    fn a_wrong_checksum_is_noticed() {
        for (kind, good) in [(Checksum::Xor, "AB03"), (Checksum::Sum, "AB83")] {
            let mut frames = Frames::new(&frame("", "\r\n"), kind, 64);
            assert_eq!(all(&mut frames, format!("{good}\r\n").as_bytes()), [Ok("AB".into())]);
            assert_eq!(all(&mut frames, b"AB04\r\nA\r\n").len(), 2);
            assert!(all(&mut frames, b"AC+3\r\n")[0].is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn it_does_not_matter_where_the_bytes_are_split(
            texts in proptest::collection::vec("[a-z ]{0,12}", 1..8),
            cuts in proptest::collection::vec(1_usize..7, 0..40),
        ) {
            let bytes: Vec<u8> = texts.iter().flat_map(|text| format!("<{text}>\r\n").into_bytes()).collect();
            for framing in [Frame::default(), frame("<", ">"), frame("", ">\r\n")] {
                let once = all(&mut Frames::new(&framing, Checksum::None, 64), &bytes);
                let mut frames = Frames::new(&framing, Checksum::None, 64);
                let (mut rest, mut found) = (&bytes[..], Vec::new());
                for cut in cuts.iter().copied().chain([bytes.len()]) {
                    let (piece, after) = rest.split_at(cut.min(rest.len()));
                    found.extend(all(&mut frames, piece));
                    rest = after;
                }
                proptest::prop_assert_eq!(found, once);
            }
        }
    }
}
