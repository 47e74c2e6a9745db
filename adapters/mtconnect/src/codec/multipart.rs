//! The parts of a `multipart/x-mixed-replace` or `multipart/mixed` stream, as agents in the field write it.
//!
//! A part is whole when its document ends, not when its `Content-length` says so: the length is missing in
//! some streams and wrong in others, and the boundary that ends a part comes with the next one, which may be
//! a heartbeat later.

use bytes::Bytes;
use memchr::memmem;

use super::Malformed;

/// Bytes between the boundary and a part's body.
const MAX_HEADERS: usize = 65_536;
/// Bytes of a boundary; the standard allows 70.
const MAX_BOUNDARY: usize = 256;

/// The boundary that a `Content-Type` names; `None` for other types than multipart.
pub fn boundary_of(content_type: &str) -> Option<String> {
    let lower = content_type.to_ascii_lowercase();
    if !lower.trim_start().starts_with("multipart/") {
        return None;
    }
    let at = lower.find("boundary")? + "boundary".len();
    let rest = content_type.get(at..)?.trim_start().strip_prefix('=')?.trim_start();
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([';', ',']).next(),
    };
    // Some servers write the dashes into the name already.
    let value = value?.trim();
    (!value.is_empty() && value.len() <= MAX_BOUNDARY).then(|| value.to_owned())
}

/// Takes bytes, gives bodies.
#[derive(Debug)]
pub struct Parts {
    /// `--` and the boundary; `None` until the stream has shown it.
    delimiter: Option<Vec<u8>>,
    buffer: Vec<u8>,
    state: State,
    most: usize,
}

#[derive(Debug)]
enum State {
    /// Before a boundary; what comes is thrown away.
    Between,
    /// Behind a boundary's line.
    Headers,
    /// In a body.
    Body { length: Option<usize>, end: End, searched: usize },
    /// Behind the last boundary.
    Over,
}

/// How the end of a body shows.
#[derive(Debug)]
enum End {
    /// Nothing but white space came yet.
    Unknown,
    /// By the closing tag of the root.
    Tag { closing: Option<Vec<u8>> },
    /// By the closing brace.
    Brace { at: usize, depth: usize, in_text: bool, escaped: bool },
    /// By length or boundary only.
    Outside,
}

impl Parts {
    /// A stream with that boundary (or with one that it will show), whose bodies have at most so many bytes.
    pub fn new(boundary: Option<String>, most: usize) -> Self {
        // Whether dashes belong to the name or are those in front of it differs: the stream shows it.
        let boundary = boundary.filter(|boundary| !boundary.starts_with("--"));
        let delimiter = boundary.map(|boundary| [b"--", boundary.as_bytes()].concat());
        Self { delimiter, buffer: Vec::new(), state: State::Between, most }
    }

    /// Takes bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether the last boundary has come.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The next whole body, where there is one.
    ///
    /// # Errors
    /// When headers or a body are longer than they may be; then the stream cannot be read any more.
    pub fn next_part(&mut self) -> Result<Option<Bytes>, Malformed> {
        loop {
            let goes_on = match self.state {
                State::Over => {
                    self.buffer.clear();
                    false
                }
                State::Between => self.boundary()?,
                State::Headers => self.headers()?,
                State::Body { .. } => match self.body()? {
                    Body::Whole(body) => return Ok(Some(body)),
                    Body::Empty => true,
                    Body::Open => false,
                },
            };
            if !goes_on {
                return Ok(None);
            }
        }
    }

    /// Looks for the boundary's line; whether it was there.
    fn boundary(&mut self) -> Result<bool, Malformed> {
        let found = match &self.delimiter {
            Some(delimiter) => line_with(&self.buffer, delimiter),
            None => line_with(&self.buffer, b"--"),
        };
        let Some(start) = found else {
            // Nothing of this is a boundary but perhaps its beginning at the end.
            let keep = self.delimiter.as_ref().map_or(4, |delimiter| delimiter.len() + 2);
            let drop_to = self.buffer.len().saturating_sub(keep);
            self.buffer.drain(..drop_to);
            return Ok(false);
        };
        let Some(length) = memchr::memchr(b'\n', &self.buffer[start..]) else {
            if self.buffer.len() - start > MAX_BOUNDARY + 8 {
                return Err(Malformed::new("a boundary's line does not end"));
            }
            // `--boundary--` may come without a line's end.
            if let Some(delimiter) = &self.delimiter
                && self.buffer[start + delimiter.len()..] == *b"--"
            {
                self.state = State::Over;
            }
            return Ok(false);
        };
        let line = self.buffer[start..start + length].trim_ascii();
        if self.delimiter.is_none() {
            if line.len() < 3 || line.len() > MAX_BOUNDARY {
                return Err(Malformed::new("no boundary comes where one is expected"));
            }
            self.delimiter = Some(line.to_vec());
            self.state = State::Headers;
        } else {
            let length = self.delimiter.as_ref().map_or(0, Vec::len);
            self.state = if line[length..].starts_with(b"--") { State::Over } else { State::Headers };
        }
        self.buffer.drain(..start + length + 1);
        Ok(true)
    }

    /// Takes the headers; whether they were whole.
    fn headers(&mut self) -> Result<bool, Malformed> {
        let mut from = 0;
        let mut content_length = None;
        while let Some(length) = memchr::memchr(b'\n', &self.buffer[from..]) {
            let line = self.buffer[from..from + length].trim_ascii();
            // A document where headers are expected: somebody has forgotten the empty line.
            if matches!(line.first(), Some(b'<' | b'{')) {
                break;
            }
            from += length + 1;
            if line.is_empty() {
                return Ok(self.begin(from, content_length));
            }
            if let Some(colon) = memchr::memchr(b':', line)
                && line[..colon].trim_ascii().eq_ignore_ascii_case(b"content-length")
            {
                let digits = std::str::from_utf8(&line[colon + 1..]).unwrap_or_default();
                content_length = digits.trim().parse().ok();
            }
        }
        let rest = self.buffer[from..].trim_ascii_start();
        if matches!(rest.first(), Some(b'<' | b'{')) {
            return Ok(self.begin(from, content_length));
        }
        if self.buffer.len() > MAX_HEADERS {
            return Err(Malformed::new(format!("the headers of a part have more than {MAX_HEADERS} bytes")));
        }
        Ok(false)
    }

    fn begin(&mut self, from: usize, length: Option<usize>) -> bool {
        self.buffer.drain(..from);
        self.state = State::Body { length, end: End::Unknown, searched: 0 };
        true
    }

    fn body(&mut self) -> Result<Body, Malformed> {
        let Self { delimiter, buffer, state, most } = self;
        let State::Body { length, end, searched } = state else { return Ok(Body::Open) };
        let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if matches!(end, End::Unknown) {
            // A byte order mark stands before the document.
            let begin = buffer[blank..].strip_prefix(b"\xEF\xBB\xBF".as_slice()).unwrap_or(&buffer[blank..]);
            *end = match begin.first() {
                None => End::Unknown,
                Some(b'<') => End::Tag { closing: None },
                Some(b'{') => End::Brace { at: 0, depth: 0, in_text: false, escaped: false },
                Some(_) => End::Outside,
            };
        }
        let boundary = delimiter.as_ref().and_then(|delimiter| {
            let from = searched.saturating_sub(delimiter.len() + 2);
            line_with(&buffer[from..], delimiter).map(|at| from + at)
        });
        *searched = buffer.len();
        let limit = boundary.unwrap_or(buffer.len());
        let finished = match end {
            End::Unknown => None,
            End::Tag { closing } => closed(&buffer[..limit], closing),
            End::Brace { at, depth, in_text, escaped } => {
                balanced(&buffer[..limit], at, depth, in_text, escaped)
            }
            End::Outside => (*length).filter(|length| *length <= limit),
        };
        let until = match (finished, boundary) {
            (Some(until), _) | (None, Some(until)) => until,
            (None, None) if buffer.len() > *most => {
                return Err(Malformed::new(format!("a part has more than {most} bytes")));
            }
            (None, None) => return Ok(Body::Open),
        };
        let rest = buffer.split_off(until);
        let body = std::mem::replace(buffer, rest);
        *state = State::Between;
        // What is left begins a line of its own, or the boundary in it would not be seen.
        if !buffer.starts_with(b"\n") && !buffer.starts_with(b"\r\n") {
            buffer.insert(0, b'\n');
        }
        if body.len() > *most {
            return Err(Malformed::new(format!("a part has more than {most} bytes")));
        }
        Ok(if body.trim_ascii().is_empty() { Body::Empty } else { Body::Whole(body.into()) })
    }
}

enum Body {
    Whole(Bytes),
    Empty,
    Open,
}

/// Where a line begins with this.
fn line_with(buffer: &[u8], delimiter: &[u8]) -> Option<usize> {
    if buffer.starts_with(delimiter) {
        return Some(0);
    }
    memmem::find_iter(buffer, delimiter).find(|&at| at > 0 && buffer[at - 1] == b'\n')
}

/// Where an XML document ends, when what is there ends with the closing tag of its root.
fn closed(bytes: &[u8], closing: &mut Option<Vec<u8>>) -> Option<usize> {
    if closing.is_none() {
        *closing = root_of(bytes).map(|name| [b"</", name, b">"].concat());
    }
    let trimmed = bytes.trim_ascii_end();
    closing.as_ref().filter(|closing| trimmed.ends_with(closing)).map(|_| trimmed.len())
}

/// The name of the first element, once its tag's name is whole.
fn root_of(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        at += memchr::memchr(b'<', &bytes[at..])?;
        match bytes.get(at + 1)? {
            b'?' => at += memmem::find(&bytes[at..], b"?>")?,
            b'!' => at += memmem::find(&bytes[at..], b"-->")?,
            _ => {
                let name = &bytes[at + 1..];
                let end =
                    name.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))?;
                return (end > 0).then_some(&name[..end]);
            }
        }
    }
}

/// Where a JSON object ends.
fn balanced(
    bytes: &[u8],
    at: &mut usize,
    depth: &mut usize,
    in_text: &mut bool,
    escaped: &mut bool,
) -> Option<usize> {
    while let Some(byte) = bytes.get(*at) {
        *at += 1;
        match byte {
            _ if *escaped => *escaped = false,
            b'\\' if *in_text => *escaped = true,
            b'"' => *in_text = !*in_text,
            b'{' if !*in_text => *depth += 1,
            b'}' if !*in_text => {
                *depth = depth.saturating_sub(1);
                if *depth == 0 {
                    return Some(*at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(stream: &[u8], boundary: Option<&str>, size: usize) -> Vec<String> {
        let mut parts = Parts::new(boundary.map(str::to_owned), 1 << 20);
        let mut bodies = Vec::new();
        for chunk in stream.chunks(size.max(1)) {
            parts.push(chunk);
            while let Some(body) = parts.next_part().unwrap() {
                bodies.push(String::from_utf8_lossy(&body).trim().to_owned());
            }
        }
        bodies
    }

    #[test]
    fn boundaries_are_named_in_many_ways() {
        for (text, expected) in [
            ("multipart/x-mixed-replace;boundary=abc", Some("abc")),
            ("Multipart/Mixed; Boundary=\"a b;c\"; charset=utf-8", Some("a b;c")),
            ("multipart/mixed; boundary = --abc ;x=y", Some("--abc")),
            ("multipart/mixed", None),
            ("multipart/mixed; boundary=", None),
            ("text/xml; boundary=abc", None),
        ] {
            assert_eq!(boundary_of(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_part_is_whole_as_soon_as_its_document_ends() {
        for length in [
            "Content-length: 8\r\n",
            "",
            "Content-length: 4\r\n",
            "Content-length: 900\r\n",
            "Content-length: x\r\n",
        ] {
            let first = format!("\r\n--b\r\nContent-type: text/xml\r\n{length}\r\n<a>1</a>");
            assert_eq!(all(first.as_bytes(), Some("b"), 3), ["<a>1</a>"], "{length}");
            let both = format!("{first}\r\n--b\r\n{length}\r\n<a>22</a>\r\n--b--\r\n");
            for size in [1, 2, 7, 64, 1_000] {
                assert_eq!(
                    all(both.as_bytes(), Some("b"), size),
                    ["<a>1</a>", "<a>22</a>"],
                    "{length}{size}"
                );
            }
        }
    }

    #[test]
    fn lines_may_end_without_carriage_return_and_headers_without_an_empty_line() {
        let text = "--b\nContent-type: text/xml\n\n<a/>\n--b\nContent-type: text/xml\n<c>2</c>\n--b\n\n{\"x\":\"}\\\"\"}\n--b--";
        for size in [1, 5, 200] {
            assert_eq!(all(text.as_bytes(), Some("b"), size), ["<a/>", "<c>2</c>", "{\"x\":\"}\\\"\"}"]);
        }
    }

    #[test]
    fn a_stream_shows_its_boundary_where_the_header_did_not() {
        let text = "\r\n--what-is-this\r\n\r\n<a>1</a>\r\n--what-is-this\r\n\r\n<a>2</a>\r\n";
        for size in [1, 200] {
            assert_eq!(all(text.as_bytes(), None, size), ["<a>1</a>", "<a>2</a>"]);
        }
        assert_eq!(all(b"----b\r\n\r\n<a>1</a>\r\n----b\r\n", Some("--b"), 4), ["<a>1</a>"]);
        assert_eq!(all(b"--b\r\n\r\n<a>1</a>\r\n--b\r\n", Some("--b"), 4), ["<a>1</a>"]);
    }

    #[test]
    fn a_part_that_is_cut_off_ends_at_the_next_boundary() {
        let text = "--b\r\nContent-length: 100\r\n\r\n<a><b>\r\n--b\r\n\r\n<a>2</a>";
        assert_eq!(all(text.as_bytes(), Some("b"), 9), ["<a><b>", "<a>2</a>"]);
    }

    #[test]
    fn what_does_not_end_is_bounded() {
        let mut parts = Parts::new(Some("b".into()), 1_000);
        parts.push(b"--b\r\n\r\n<a>");
        assert_eq!(parts.next_part(), Ok(None));
        parts.push(&[b'x'; 2_000]);
        assert!(parts.next_part().is_err());
        let mut parts = Parts::new(Some("b".into()), 1_000);
        parts.push(b"--b\r\nx: ");
        parts.push(&[b'x'; 70_000]);
        assert!(parts.next_part().is_err());
        let mut parts = Parts::new(Some("b".into()), 1_000);
        for _ in 0..100 {
            parts.push(&[b'x'; 10_000]);
            assert_eq!(parts.next_part(), Ok(None));
            assert!(parts.buffer.len() < 100);
        }
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            texts in prop::collection::vec("[a-z \\-\\r\\n]{0,30}", 1..5),
            size in 1_usize..40,
            crlf in any::<bool>(),
            lengths in any::<bool>(),
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let mut stream = String::new();
            let mut expected = Vec::new();
            for text in texts {
                let body = format!("<?xml version='1.0'?><a>{}</a>", text.replace("--", "-"));
                let length = if lengths { format!("Content-Length: {}{end}", body.len()) } else { String::new() };
                stream += &format!("{end}--b0und{end}Content-type: text/xml{end}{length}{end}{body}");
                expected.push(body);
            }
            prop_assert_eq!(all(stream.as_bytes(), Some("b0und"), size), expected);
        }
    }
}
