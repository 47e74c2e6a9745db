//! Bytes of FOCAS over Ethernet, as published captures have them: frames, questions and answers.
//!
//! Everything is big endian. A frame is `A0 A0 A0 A0`, who sent it (2 bytes), its type (2), the length of what
//! follows (2), and that. A request holds several questions, its response an answer to each in the same order; there
//! is no number by which a response is told from another, only the questions' functions are repeated.

pub mod answer;

use bytes::{Buf as _, Bytes, BytesMut};

/// What every frame starts with.
const SYNC: [u8; 4] = [0xA0; 4];
/// Bytes in front of a frame's payload.
const HEADER: usize = 10;
/// The longest payload that is taken; answers are planned to stay far below.
const MOST: usize = 16 << 10;

/// Asks for a connection.
pub const OPEN: u16 = 0x0101;
/// Asks for data.
pub const ASK: u16 = 0x2101;
/// Ends a connection.
pub const CLOSE: u16 = 0x0201;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type; a response's is its request's and 1.
    pub kind: u16,
    /// What it carries.
    pub payload: Bytes,
}

/// What makes a stream or a response unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The four bytes are others.
    #[error("no frame starts here")]
    Sync,
    /// Longer than the cap.
    #[error("a frame of {0} bytes")]
    Length(u16),
    /// Counts and lengths within it do not agree.
    #[error("a response whose lengths do not agree")]
    Lengths,
    /// It answers something else.
    #[error("a response to another question")]
    Foreign,
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// 1: the control, 2: the PMC.
    pub device: u16,
    /// Which data.
    pub function: u16,
    /// Which of them.
    pub arguments: [i32; 5],
}

impl Query {
    /// Macro variables from `first`.
    pub fn macros(first: u32, count: u16) -> Self {
        let first = i32::try_from(first).unwrap_or(i32::MAX);
        let last = first.saturating_add(i32::from(count.max(1)) - 1);
        Self { device: 1, function: 0x15, arguments: [first, last, 0, 0, 0] }
    }

    /// PMC bytes from `first`.
    pub fn pmc(area: u8, first: u16, count: u16) -> Self {
        let first = i32::from(first);
        let last = first + i32::from(count.max(1)) - 1;
        Self { device: 2, function: 0x8001, arguments: [first, last, i32::from(area), 0, 0] }
    }
}

/// What the control says to one question: data, or its return code.
pub type Answer = Result<Bytes, i16>;

/// Takes the next whole frame off `buffer`; `None` while it is not whole.
///
/// # Errors
/// What is there is no frame; nothing after it can be read.
pub fn next_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
    let Some((head, rest)) = buffer.split_at_checked(HEADER) else { return Ok(None) };
    if head[..4] != SYNC {
        return Err(CodecError::Sync);
    }
    let kind = u16::from_be_bytes([head[6], head[7]]);
    let length = u16::from_be_bytes([head[8], head[9]]);
    let bytes = usize::from(length);
    if bytes > MOST {
        return Err(CodecError::Length(length));
    }
    if rest.len() < bytes {
        return Ok(None);
    }
    buffer.advance(HEADER);
    Ok(Some(Frame { kind, payload: buffer.split_to(bytes).freeze() }))
}

/// A frame from us.
pub fn write_frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut out = Vec::with_capacity(HEADER + payload.len());
    out.extend(SYNC);
    for number in [1, kind, length] {
        out.extend(number.to_be_bytes());
    }
    out.extend_from_slice(payload);
    out
}

/// The payload of a request.
pub fn write_queries(queries: &[Query]) -> Vec<u8> {
    let mut out = u16::try_from(queries.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    for query in queries {
        // Its own length, device, 1, function, and five numbers.
        for number in [28, query.device, 1, query.function] {
            out.extend(number.to_be_bytes());
        }
        query.arguments.iter().for_each(|argument| out.extend(argument.to_be_bytes()));
    }
    out
}

/// The answers of a response, one for each question and in their order.
///
/// # Errors
/// It is not whole, or answers other questions.
pub fn read_answers(payload: &Bytes, queries: &[Query]) -> Result<Vec<Answer>, CodecError> {
    let number = |at: usize| {
        let bytes = payload.get(at..at + 2).ok_or(CodecError::Lengths)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    if usize::from(number(0)?) != queries.len() {
        return Err(CodecError::Foreign);
    }
    let mut at = 2;
    let mut answers = Vec::with_capacity(queries.len());
    for query in queries {
        let length = usize::from(number(at)?);
        let end = at + length;
        if length < 16 || end > payload.len() {
            return Err(CodecError::Lengths);
        }
        if (number(at + 2)?, number(at + 4)?, number(at + 6)?) != (query.device, 1, query.function) {
            return Err(CodecError::Foreign);
        }
        let code = number(at + 8)?.cast_signed();
        let data = usize::from(number(at + 14)?);
        if data > length - 16 {
            return Err(CodecError::Lengths);
        }
        answers.push(if code == 0 { Ok(payload.slice(at + 16..at + 16 + data)) } else { Err(code) });
        at = end;
    }
    if at == payload.len() { Ok(answers) } else { Err(CodecError::Lengths) }
}

/// A return code with words.
pub fn code_words(code: i16) -> String {
    let words = match code {
        -1 => "the control is busy",
        -2 => "reset or stop was pressed",
        1 => "the control has no such function, or is not ready for it",
        2 => "wrong length",
        3 => "no such number",
        4 => "wrong kind of data, or no such axis",
        5 => "wrong data",
        6 => "the control does not have the option for this",
        7 => "protected",
        8 => "overflow",
        9 => "a parameter of the control does not allow it",
        10 => "the buffer is empty or full",
        11 => "no such path",
        12 => "not in this mode",
        13 => "rejected: see the control's screen",
        14 => "data server error",
        15 => "not while there is an alarm",
        16 => "stopped",
        17 => "protected by a password",
        _ => "see FANUC's list of FOCAS return codes",
    };
    format!("FOCAS {code}: {words}")
}

/// Reads bytes as everything that may come from a control: for the fuzz target.
pub fn fuzz(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(frame)) = next_frame(&mut buffer) {
        fuzz_payload(&frame.payload);
    }
    fuzz_payload(&Bytes::copy_from_slice(data));
}

fn fuzz_payload(payload: &Bytes) {
    let query = Query { device: 1, function: 0x18, arguments: [0; 5] };
    for count in 0..3 {
        let _ = read_answers(payload, &vec![query; count]);
    }
    for text in answer::EVERY {
        if let Ok(address) = text.parse::<crate::address::Address>() {
            let _ = answer::decode(address, payload, guideway_contract::DataType::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let (pairs, _) = digits.as_chunks::<2>();
        pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn a_request_has_the_bytes_of_published_captures() {
        let asked = [
            Query { device: 1, function: 0xA4, arguments: [2, 0, 0, 0, 0] },
            Query { device: 1, function: 0x89, arguments: [0; 5] },
        ];
        let wanted = "a0a0a0a0 0001 2101 003a 0002
            001c 0001 0001 00a4 00000002 00000000 00000000 00000000 00000000
            001c 0001 0001 0089 00000000 00000000 00000000 00000000 00000000";
        assert_eq!(write_frame(ASK, &write_queries(&asked)), hex(wanted));
    }

    #[test]
    fn answers_and_codes_are_read_as_published_captures_have_them() {
        let asked = [0x1A, 0x1C, 0x25].map(|function| Query { device: 1, function, arguments: [0; 5] });
        let captured = "a0a0a0a0 0002 2102 003e 0003
            0014 0001 0001 001a 000000000000 0004 00000000
            0018 0001 0001 001c 000000000000 0008 00000bb8 00000bb8
            0010 0001 0001 0025 000100000000 0000";
        let frame = next_frame(&mut BytesMut::from(&hex(captured)[..])).unwrap().unwrap();
        assert_eq!(frame.kind, ASK + 1);
        let answers = read_answers(&frame.payload, &asked).unwrap();
        assert_eq!(answers[0].as_ref().unwrap()[..], [0; 4]);
        assert_eq!(answers[1].as_ref().unwrap()[..], [0, 0, 0x0B, 0xB8, 0, 0, 0x0B, 0xB8]);
        assert_eq!(answers[2], Err(1));
        assert_eq!(read_answers(&frame.payload, &asked[..2]), Err(CodecError::Foreign));
        let other = [asked[1], asked[0], asked[2]];
        assert_eq!(read_answers(&frame.payload, &other), Err(CodecError::Foreign));
        let cut = frame.payload.slice(..frame.payload.len() - 1);
        assert_eq!(read_answers(&cut, &asked), Err(CodecError::Lengths));
    }

    #[test]
    fn what_is_no_frame_is_refused_before_room_is_made_for_it() {
        let next = |text: &str| next_frame(&mut BytesMut::from(&hex(text)[..]));
        assert_eq!(next("a0a0a0a1 0002 2102 0000"), Err(CodecError::Sync));
        assert_eq!(next("a0a0a0a0 0002 2102 ffff"), Err(CodecError::Length(0xFFFF)));
        assert_eq!(next("a0a0a0a0 0002 2102 0004 0000"), Ok(None));
    }

    proptest! {
        #[test]
        fn frames_are_read_back_however_they_are_cut(
            kind: u16, payload in prop::collection::vec(any::<u8>(), 0..100), cut in 0_usize..100,
        ) {
            let out = [write_frame(kind, &payload), write_frame(kind, &[])].concat();
            let mut buffer = BytesMut::from(&out[..cut.min(9 + payload.len())]);
            prop_assert_eq!(next_frame(&mut buffer), Ok(None));
            buffer.extend_from_slice(&out[buffer.len()..]);
            prop_assert_eq!(next_frame(&mut buffer), Ok(Some(Frame { kind, payload: payload.into() })));
            prop_assert_eq!(next_frame(&mut buffer).unwrap().unwrap().payload.len(), 0);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_panic(data in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&data);
        }
    }
}
