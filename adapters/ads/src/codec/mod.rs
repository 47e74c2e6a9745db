//! Bytes of ADS: frames, the payloads of commands, symbol tables, data types, notifications.
//!
//! Everything is little endian. A frame is an AMS/TCP header of 6 bytes (2 reserved, 4 length), an AMS header of 32
//! bytes and the payload of a command.

pub mod command;
pub mod notification;
mod reader;
pub mod return_code;
pub mod symbol;
pub mod type_entry;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::net_id::NetId;
use reader::Reader;

/// Bytes in front of each frame's AMS header.
const TCP_HEADER: usize = 6;
/// Bytes of an AMS header.
const AMS_HEADER: usize = 32;
/// Set in the flags of a response.
const RESPONSE: u16 = 0x0001;
/// Set in the flags of every ADS command.
const ADS_COMMAND: u16 = 0x0004;

/// A device and a port within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AmsAddress {
    /// Which device.
    pub net_id: NetId,
    /// Which of its servers: 851 is the first PLC runtime of TwinCAT 3.
    pub port: u16,
}

impl std::fmt::Display for AmsAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.net_id, self.port)
    }
}

/// The AMS header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who is to get it.
    pub target: AmsAddress,
    /// Who sent it.
    pub source: AmsAddress,
    /// Which command; see [`command`].
    pub command: u16,
    /// State flags.
    pub flags: u16,
    /// A return code of the router; 0 in requests.
    pub error: u32,
    /// Chosen by the requester, repeated in the response.
    pub invoke_id: u32,
}

impl Header {
    /// Whether this answers a request.
    pub const fn is_response(&self) -> bool {
        self.flags & RESPONSE != 0
    }
}

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// What the command carries.
    pub payload: Bytes,
}

/// What makes a stream of frames unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The two bytes in front of the length are not 0.
    #[error("no AMS frame starts here")]
    NotAms,
    /// Shorter than its own header, or longer than the cap.
    #[error("a frame of {0} bytes")]
    Length(u32),
    /// The two lengths that a frame states do not agree.
    #[error("a frame whose lengths do not agree")]
    Lengths,
}

/// Takes the next whole frame off `buffer`; `None` while it is not whole. `most` bytes after the TCP header are the
/// longest that is taken.
///
/// # Errors
/// What is there is no frame; nothing after it can be read.
pub fn next_frame(buffer: &mut BytesMut, most: usize) -> Result<Option<Frame>, FrameError> {
    let mut reader = Reader::new(buffer);
    let (Some(reserved), Some(length)) = (reader.u16(), reader.u32()) else { return Ok(None) };
    if reserved != 0 {
        return Err(FrameError::NotAms);
    }
    let whole = usize::try_from(length).ok().filter(|length| (AMS_HEADER..=most).contains(length));
    let whole = whole.ok_or(FrameError::Length(length))?;
    let Some(body) = reader.take(whole) else { return Ok(None) };
    let (header, stated) = read_header(body).ok_or(FrameError::Lengths)?;
    if stated as usize != whole - AMS_HEADER {
        return Err(FrameError::Lengths);
    }
    buffer.advance(TCP_HEADER + AMS_HEADER);
    Ok(Some(Frame { header, payload: buffer.split_to(whole - AMS_HEADER).freeze() }))
}

fn read_header(body: &[u8]) -> Option<(Header, u32)> {
    let mut reader = Reader::new(body);
    let mut address = || Some(AmsAddress { net_id: NetId(reader.array()?), port: reader.u16()? });
    let target = address()?;
    let source = address()?;
    let command = reader.u16()?;
    let flags = reader.u16()?;
    let length = reader.u32()?;
    let error = reader.u32()?;
    let invoke_id = reader.u32()?;
    Some((Header { target, source, command, flags, error, invoke_id }, length))
}

/// Writes a request at the end of `out`.
pub fn write_request(
    out: &mut Vec<u8>,
    target: AmsAddress,
    source: AmsAddress,
    command: u16,
    invoke_id: u32,
    payload: &[u8],
) {
    let header = Header { target, source, command, flags: ADS_COMMAND, error: 0, invoke_id };
    write_frame(out, &header, payload);
}

/// Writes any frame at the end of `out`. Payloads are far below 4 GiB: requests are planned that way.
pub fn write_frame(out: &mut Vec<u8>, header: &Header, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&length.saturating_add(32).to_le_bytes());
    for address in [header.target, header.source] {
        out.extend_from_slice(&address.net_id.0);
        out.extend_from_slice(&address.port.to_le_bytes());
    }
    out.extend_from_slice(&header.command.to_le_bytes());
    out.extend_from_slice(&header.flags.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&header.error.to_le_bytes());
    out.extend_from_slice(&header.invoke_id.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Reads bytes as everything that may come from a controller: for the fuzz target.
pub fn fuzz(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(frame)) = next_frame(&mut buffer, 1 << 20) {
        fuzz_payload(&frame.payload);
    }
    fuzz_payload(&Bytes::copy_from_slice(data));
}

fn fuzz_payload(payload: &Bytes) {
    let _ = command::read_result(payload);
    if let Ok(data) = command::read_data(payload) {
        let _ = command::sum_read(&data, &[4, 8, 1]);
        let _ = command::sum_read_write(&data, 3);
    }
    let _ = command::read_handle(payload);
    let _ = command::DeviceInfo::read(payload);
    let _ = notification::read(payload);
    let _ = symbol::SymbolEntry::read(payload);
    let symbols = symbol::read_table(payload);
    let mut types = crate::layout::TypeTable::default();
    if let Some(entry) = type_entry::TypeEntry::read(payload) {
        types.insert("ST_Fuzz", Some(entry));
    }
    let text = String::from_utf8_lossy(payload);
    let names = symbols.iter().map(|symbol| symbol.type_name.as_str()).chain([&*text, "ST_Fuzz"]);
    for name in names {
        for ads_type in [0, 2, 30, 65] {
            if let Ok(layout) = crate::layout::Layout::of(name, ads_type, payload.len(), &types) {
                let _ = layout.decode(payload).map(|value| layout.encode(&value));
            }
        }
    }
    let _ = text.parse::<crate::address::Address>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(bytes: [u8; 6], port: u16) -> AmsAddress {
        AmsAddress { net_id: NetId(bytes), port }
    }

    #[test]
    fn a_request_has_the_bytes_of_the_description() {
        let mut out = Vec::new();
        let target = address([5, 23, 91, 12, 1, 1], 851);
        write_request(&mut out, target, address([10, 0, 0, 2, 1, 1], 40_000), 4, 0x0102_0304, &[]);
        let wanted = [
            &[0, 0, 32, 0, 0, 0][..],
            &[5, 23, 91, 12, 1, 1, 0x53, 0x03],
            &[10, 0, 0, 2, 1, 1, 0x40, 0x9C],
            &[4, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1],
        ];
        assert_eq!(out, wanted.concat());
    }

    #[test]
    fn what_is_no_frame_is_refused_before_room_is_made_for_it() {
        let next = |bytes: &[u8]| next_frame(&mut BytesMut::from(bytes), 1_000);
        assert_eq!(next(&[1, 0, 32, 0, 0, 0]), Err(FrameError::NotAms));
        assert_eq!(next(&[0, 0, 31, 0, 0, 0]), Err(FrameError::Length(31)));
        assert_eq!(next(&[0, 0, 0xFF, 0xFF, 0xFF, 0xFF]), Err(FrameError::Length(u32::MAX)));
        let mut long = vec![0, 0, 33, 0, 0, 0];
        long.extend([0; 33]);
        assert_eq!(next(&long), Err(FrameError::Lengths));
    }

    proptest! {
        #[test]
        fn frames_are_read_back_however_they_are_cut(
            invoke_id: u32, error: u32, command: u16, flags: u16,
            payload in prop::collection::vec(any::<u8>(), 0..100), cut in 0_usize..100,
        ) {
            let header = Header {
                target: address([1, 2, 3, 4, 5, 6], 851), source: address([6, 5, 4, 3, 2, 1], 9),
                command, flags, error, invoke_id,
            };
            let mut out = Vec::new();
            write_frame(&mut out, &header, &payload);
            write_frame(&mut out, &header, &[]);
            let mut buffer = BytesMut::from(&out[..cut.min(37 + payload.len())]);
            prop_assert_eq!(next_frame(&mut buffer, 1_000), Ok(None));
            buffer.extend_from_slice(&out[buffer.len()..]);
            let frame = next_frame(&mut buffer, 1_000).unwrap().unwrap();
            prop_assert_eq!(frame, Frame { header, payload: payload.into() });
            prop_assert_eq!(next_frame(&mut buffer, 1_000).unwrap().unwrap().payload.len(), 0);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_panic(data in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&data);
        }
    }
}
