//! The encapsulation of EtherNet/IP (CIP Networks Library volume 2, chapter 2): a header of 24 bytes, and items in
//! the common packet format.

use super::{CodecError, Reader};

/// Bytes of the header.
pub const HEADER: usize = 24;
/// The most bytes after a header: a packet of a large connection and what is around it.
pub const MOST_PAYLOAD: usize = 8_192;

/// Opens a session.
pub const REGISTER_SESSION: u16 = 0x65;
/// Closes it; has no reply.
pub const UNREGISTER_SESSION: u16 = 0x66;
/// An unconnected message.
pub const SEND_RR_DATA: u16 = 0x6F;
/// A message over a connection.
pub const SEND_UNIT_DATA: u16 = 0x70;

const NULL_ADDRESS: u16 = 0x00;
const CONNECTED_ADDRESS: u16 = 0xA1;
const CONNECTED_DATA: u16 = 0xB1;
const UNCONNECTED_DATA: u16 = 0xB2;
/// The most items in a packet: address, data, and two addresses of sockets.
const MOST_ITEMS: u16 = 8;

/// What is in front of each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub command: u16,
    /// Bytes that follow.
    pub length: u16,
    /// The session, 0 before there is one.
    pub session: u32,
    /// 0 for success.
    pub status: u32,
    /// The sender's number, which the reply repeats.
    pub context: u64,
}

/// A packet.
pub fn packet(command: u16, session: u32, context: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&command.to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(&session.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&context.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads a header.
///
/// # Errors
/// A length that no packet of ours or of a controller has.
pub fn header(bytes: &[u8; HEADER]) -> Result<Header, CodecError> {
    let mut reader = Reader::new(bytes, "the encapsulation header");
    let (command, length) = (reader.u16()?, reader.u16()?);
    let header =
        Header { command, length, session: reader.u32()?, status: reader.u32()?, context: reader.u64()? };
    if usize::from(length) > MOST_PAYLOAD {
        return Err(CodecError::Wrong("a packet is longer than any that was asked for"));
    }
    Ok(header)
}

/// What a session begins with: protocol version 1, no options.
pub const REGISTRATION: [u8; 4] = [1, 0, 0, 0];

/// The payload of an unconnected message.
pub fn rr_data(cip: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 6];
    bytes.extend_from_slice(&2_u16.to_le_bytes());
    item(&mut bytes, NULL_ADDRESS, &[]);
    item(&mut bytes, UNCONNECTED_DATA, cip);
    bytes
}

/// The payload of a message over a connection.
pub fn unit_data(connection: u32, sequence: u16, cip: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 6];
    bytes.extend_from_slice(&2_u16.to_le_bytes());
    item(&mut bytes, CONNECTED_ADDRESS, &connection.to_le_bytes());
    item(&mut bytes, CONNECTED_DATA, &[&sequence.to_le_bytes()[..], cip].concat());
    bytes
}

fn item(bytes: &mut Vec<u8>, kind: u16, data: &[u8]) {
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(data);
}

/// The CIP message in the reply to an unconnected message.
///
/// # Errors
/// Items that are cut short, or none with the message.
pub fn rr_reply(payload: &[u8]) -> Result<&[u8], CodecError> {
    find(payload, UNCONNECTED_DATA)?.ok_or(CodecError::Wrong("a reply without an unconnected message"))
}

/// The connection, the sequence and the CIP message in a reply over a connection.
///
/// # Errors
/// Items that are cut short, or missing.
pub fn unit_reply(payload: &[u8]) -> Result<(u32, u16, &[u8]), CodecError> {
    let address =
        find(payload, CONNECTED_ADDRESS)?.ok_or(CodecError::Wrong("a reply without a connection"))?;
    let data =
        find(payload, CONNECTED_DATA)?.ok_or(CodecError::Wrong("a reply without a connected message"))?;
    let connection = Reader::new(address, "the connection's id").u32()?;
    let mut reader = Reader::new(data, "a connected message");
    let sequence = reader.u16()?;
    Ok((connection, sequence, reader.rest()))
}

fn find(payload: &[u8], wanted: u16) -> Result<Option<&[u8]>, CodecError> {
    let mut reader = Reader::new(payload, "a common packet");
    reader.take(6)?;
    let count = reader.u16()?;
    if count > MOST_ITEMS {
        return Err(CodecError::Wrong("a packet of more items than any reply has"));
    }
    for _ in 0..count {
        let (kind, length) = (reader.u16()?, reader.u16()?);
        let data = reader.take(usize::from(length))?;
        if kind == wanted {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// What a status in the header means.
pub const fn status_words(status: u32) -> &'static str {
    match status {
        0x01 => "the command is not supported",
        0x02 => "the device has no memory for it",
        0x03 => "the data is not understood",
        0x64 => "the session is not known any more",
        0x65 => "the length is wrong",
        0x69 => "the protocol version is not supported",
        _ => "an unknown status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_back() {
        let bytes = packet(SEND_RR_DATA, 0x1234_5678, 0xAABB, &[1, 2, 3]);
        let (head, payload) = bytes.split_first_chunk::<HEADER>().unwrap();
        let read = header(head).unwrap();
        assert_eq!(
            read,
            Header { command: SEND_RR_DATA, length: 3, session: 0x1234_5678, status: 0, context: 0xAABB }
        );
        assert_eq!(payload, [1, 2, 3]);
    }

    #[test]
    fn messages_are_found_among_the_items() {
        assert_eq!(rr_reply(&rr_data(&[9, 8])), Ok(&[9, 8][..]));
        assert_eq!(unit_reply(&unit_data(7, 3, &[9])), Ok((7, 3, &[9][..])));
        assert!(rr_reply(&unit_data(7, 3, &[9])).is_err());
        assert!(rr_reply(&rr_data(&[9, 8])[..15]).is_err());
    }

    #[test]
    fn a_length_that_nobody_asked_for_is_refused() {
        let mut bytes = packet(SEND_RR_DATA, 0, 0, &[]);
        bytes[2..4].copy_from_slice(&60_000_u16.to_le_bytes());
        assert!(header(bytes.first_chunk().unwrap()).is_err());
    }
}
