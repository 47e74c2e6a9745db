//! Where a reply begins and ends.

/// The longest reply; real ones have some 40 characters.
const MOST: usize = 1_024;
const STX: u8 = 0x02;
const ETB: u8 = 0x17;

/// A reply that does not end; what came so far was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reply of more than {MOST} bytes")]
pub struct Oversized;

/// Takes bytes as they come and gives what they hold: STX … ETB frames and plain lines, in their order.
///
/// Prompts (`>`), controls of flow and of punches (DC1 to DC4), NUL and the parity bit are taken away; what
/// stands before an STX on its line is an echo and dropped.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend(
            bytes.iter().map(|byte| byte & 0x7F).filter(|byte| !matches!(byte, 0 | 0x11..=0x14 | 0x7F)),
        );
    }

    /// Whether something has begun that has not ended.
    pub fn partial(&self) -> bool {
        self.buffer.iter().any(|byte| !matches!(byte, b'>' | b'\r' | b'\n' | b' '))
    }

    /// The next frame or line, trimmed, never empty; `None` until more bytes have come.
    ///
    /// # Errors
    /// [`Oversized`], once for each such reply.
    pub fn take(&mut self) -> Result<Option<String>, Oversized> {
        loop {
            let start =
                self.buffer.iter().take_while(|byte| matches!(byte, b'>' | b'\r' | b'\n' | b' ')).count();
            self.buffer.drain(..start);
            let Some(at) = memchr::memchr3(STX, b'\r', b'\n', &self.buffer) else { return self.wait() };
            if self.buffer[at] != STX {
                if at > MOST {
                    self.buffer.drain(..at);
                    return Err(Oversized);
                }
                let text = text(&self.buffer[..at]);
                self.buffer.drain(..=at);
                match text {
                    Some(text) => return Ok(Some(text)),
                    None => continue,
                }
            }
            self.buffer.drain(..at);
            let Some(end) =
                self.buffer[1..].iter().position(|byte| matches!(*byte, STX | ETB | b'\r' | b'\n'))
            else {
                return self.wait();
            };
            let end = end + 1;
            let whole = self.buffer[end] == ETB && end <= MOST;
            let text = if whole { text(&self.buffer[1..end]) } else { None };
            // A frame that is cut short is nothing; what cut it is looked at again.
            self.buffer.drain(..end + usize::from(self.buffer[end] == ETB));
            if text.is_some() {
                return Ok(text);
            }
        }
    }

    fn wait(&mut self) -> Result<Option<String>, Oversized> {
        if self.buffer.len() > MOST {
            self.buffer.clear();
            return Err(Oversized);
        }
        Ok(None)
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).filter(|c| !c.is_ascii_control()).collect();
    let text = text.trim().trim_start_matches('>').trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<String> {
        let mut frames = Frames::default();
        frames.push(bytes);
        std::iter::from_fn(|| frames.take().unwrap_or(Some("OVERSIZED".into()))).collect()
    }

    #[test]
    fn both_dialects_are_read() {
        assert_eq!(all(b"\x02MODE, (MDI)\x17\r\n>"), ["MODE, (MDI)"]);
        assert_eq!(all(b">MODE, ZERO\r\n>"), ["MODE, ZERO"]);
        assert_eq!(all(b">>MACRO, 1.5\r\n>>!\r\n>"), ["MACRO, 1.5", "!"]);
    }

    #[test]
    fn an_echo_in_front_of_a_frame_is_dropped_and_one_on_a_line_is_a_line() {
        assert_eq!(all(b"Q104 \x02MODE, JOG\x17 >"), ["MODE, JOG"]);
        assert_eq!(
            all(b"?\r\n>Q600 5021\r\r\n\x02MACRO, 5021,    -4.633600\x17\r\n>"),
            ["?", "Q600 5021", "MACRO, 5021,    -4.633600"]
        );
    }

    #[test]
    fn a_frame_that_is_cut_short_is_nothing() {
        assert_eq!(all(b"\x02MODE, (M\x02MODEL, VF2\x17\r\n>"), ["MODEL, VF2"]);
        assert_eq!(all(b"\x02MODE, (M\r\n>\x02MODEL, VF2\x17\r\n>"), ["MODEL, VF2"]);
        assert_eq!(all(b"\x02MODE, (M"), [""; 0]);
    }

    #[test]
    fn what_does_not_end_is_thrown_away_once() {
        let mut frames = Frames::default();
        frames.push(&[b'A'; 5_000]);
        assert_eq!(frames.take(), Err(Oversized));
        frames.push(b"\r\n>MODE, ZERO\r\n");
        assert_eq!(frames.take(), Ok(Some("MODE, ZERO".into())));
    }

    proptest::proptest! {
        #[test]
        fn it_does_not_matter_where_the_bytes_are_split(cuts in proptest::collection::vec(1_usize..9, 0..30)) {
            let bytes = b">\x02SERIAL NUMBER, 1234567\x17\r\n>Q500\r\r\n\x02PROGRAM, O00010, FEED HOLD, PARTS, 7\x17\r\n>!\r\n";
            let mut frames = Frames::default();
            let mut found = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.into_iter().chain([bytes.len()]) {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                frames.push(piece);
                rest = after;
                while let Ok(Some(text)) = frames.take() {
                    found.push(text);
                }
            }
            proptest::prop_assert_eq!(found, all(bytes));
        }
    }
}
