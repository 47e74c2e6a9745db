//! CIP messages: requests to an object and their replies, several in one packet, routes, connections.

use std::fmt;

use super::{CodecError, Reader};

/// Services that Guideway asks for.
pub mod service {
    /// Get Attribute List.
    pub const GET_ATTRIBUTE_LIST: u8 = 0x03;
    /// Multiple Service Packet.
    pub const MULTIPLE: u8 = 0x0A;
    /// Get Attribute Single.
    pub const GET_ATTRIBUTE: u8 = 0x0E;
    /// Read Tag; of a template object: Read Template.
    pub const READ: u8 = 0x4C;
    /// Write Tag.
    pub const WRITE: u8 = 0x4D;
    /// Read Modify Write Tag; of the connection manager: Forward Close.
    pub const READ_MODIFY_WRITE: u8 = 0x4E;
    /// Forward Close, of the connection manager.
    pub const FORWARD_CLOSE: u8 = 0x4E;
    /// Read Tag Fragmented.
    pub const READ_FRAGMENTED: u8 = 0x52;
    /// Unconnected Send, of the connection manager.
    pub const UNCONNECTED_SEND: u8 = 0x52;
    /// Forward Open, of the connection manager.
    pub const FORWARD_OPEN: u8 = 0x54;
    /// Get Instance Attribute List.
    pub const INSTANCE_ATTRIBUTES: u8 = 0x55;
    /// Large Forward Open, of the connection manager.
    pub const LARGE_FORWARD_OPEN: u8 = 0x5B;
}

/// The path of the message router, which takes packets of several requests.
pub const MESSAGE_ROUTER: [u8; 4] = [0x20, 0x02, 0x24, 0x01];
/// The path of the connection manager.
pub const CONNECTION_MANAGER: [u8; 4] = [0x20, 0x06, 0x24, 0x01];
/// The path of the identity object.
pub const IDENTITY: [u8; 4] = [0x20, 0x01, 0x24, 0x01];

/// The most requests that one packet of several may have.
pub const MOST_REQUESTS: u16 = 1_024;

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// 0 for success, 6 for "there is more".
    pub general: u8,
    /// The first word of the extended status.
    pub extended: Option<u16>,
}

impl Status {
    /// Done.
    pub const SUCCESS: u8 = 0x00;
    /// Done, but not everything fitted.
    pub const PARTIAL: u8 = 0x06;
    /// One of several requests failed.
    pub const EMBEDDED: u8 = 0x1E;
    /// The object has no such service.
    pub const NO_SERVICE: u8 = 0x08;

    /// Whether all of it was done.
    pub const fn is_success(self) -> bool {
        self.general == Self::SUCCESS
    }

    /// Whether there is more to come.
    pub const fn is_partial(self) -> bool {
        self.general == Self::PARTIAL
    }

    /// Whether the path leads nowhere: no such tag, member or element.
    pub const fn is_path(self) -> bool {
        matches!(self.general, 0x04 | 0x05) || matches!((self.general, self.extended), (0xFF, Some(0x2105)))
    }
}

/// In words for an operator, with the numbers for whoever looks them up.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match (self.general, self.extended) {
            (0x01, Some(0x0100)) => "the connection is in use already",
            (0x01, Some(0x0107)) => "the connection is not known",
            (0x01, Some(0x0109)) => "the connection's size is not supported",
            (0x01, Some(0x0113)) => "no more connections are free",
            (0x01, Some(0x0203)) => "the connection timed out",
            (0x01, Some(0x0204)) => "nobody answered at the end of the route",
            (0x01, Some(0x0311)) => "the route names a port that is not there",
            (0x01, Some(0x0312)) => "nothing is at that slot or address of the route",
            (0x01, Some(0x0315)) => "the route or path is not understood",
            (0x01, _) => "the connection failed",
            (0x02, _) => "the controller has no resources for it now",
            (0x03, _) => "a parameter is not valid",
            (0x04, _) => "the path is not understood",
            (0x05, _) => "the path leads nowhere",
            (0x06, _) => "there is more than fits a reply",
            (0x07, _) => "the connection was lost",
            (0x08, _) => "the controller does not support this service",
            (0x09, _) => "the value is not valid",
            (0x0A, _) => "an attribute is not there",
            (0x0B, _) => "the controller is in that mode or state already",
            (0x0C, _) => "the object's state does not allow it now",
            (0x0E, _) => "it cannot be set",
            (0x0F, _) => {
                "no permission: External Access of the tag, or the controller's security, forbids it"
            }
            (0x10, _) => "the controller's mode does not allow it now",
            (0x11, _) => "the reply would be too large",
            (0x13, _) => "not enough data was sent",
            (0x14, _) => "the attribute is not supported",
            (0x15, _) => "too much data was sent",
            (0x16, _) => "the object is not there",
            (0x1C | 0x1D, _) => "the list of attributes is not right",
            (0x1E, _) => "one of several requests failed",
            (0x20, _) => "a parameter is not valid",
            (0x26, _) => "the path's length does not fit its contents",
            (0xFF, Some(0x2104)) => "the offset is beyond the end of the tag",
            (0xFF, Some(0x2105)) => "the index or the number of elements is beyond the end of the tag",
            (0xFF, Some(0x2107)) => "the tag is of another type",
            (0xFF, _) => "the controller refused",
            _ => "the controller refused",
        };
        write!(f, "{words} (CIP status {:#04x}", self.general)?;
        self.extended.map_or(Ok(()), |extended| write!(f, "/{extended:#06x}"))?;
        f.write_str(")")
    }
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The service asked for, with its highest bit set.
    pub service: u8,
    /// How it went.
    pub status: Status,
    /// What came with it.
    pub data: Vec<u8>,
}

impl Reply {
    /// Whether it answers a request for `service`.
    pub const fn answers(&self, service: u8) -> bool {
        self.service == service | 0x80
    }
}

/// A request to the object at `path`, whose length is even.
pub fn request(service: u8, path: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 + path.len() + data.len());
    bytes.push(service);
    bytes.push(u8::try_from(path.len() / 2).unwrap_or(u8::MAX));
    bytes.extend_from_slice(path);
    bytes.extend_from_slice(data);
    bytes
}

/// Reads a reply.
///
/// # Errors
/// Bytes that are no reply.
pub fn reply(bytes: &[u8]) -> Result<Reply, CodecError> {
    let mut reader = Reader::new(bytes, "a CIP reply");
    let (service, _reserved, general, words) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?);
    if service & 0x80 == 0 {
        return Err(CodecError::Wrong("a request where a reply belongs"));
    }
    let extended = reader.take(2 * usize::from(words))?;
    let extended = extended.first_chunk().map(|first| u16::from_le_bytes(*first));
    Ok(Reply { service, status: Status { general, extended }, data: reader.rest().to_vec() })
}

/// The data of a Multiple Service Packet.
pub fn multiple(requests: &[&[u8]]) -> Vec<u8> {
    let word = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes();
    let mut offset = 2 + 2 * requests.len();
    let mut bytes = Vec::with_capacity(offset + requests.iter().map(|request| request.len()).sum::<usize>());
    bytes.extend_from_slice(&word(requests.len()));
    for request in requests {
        bytes.extend_from_slice(&word(offset));
        offset += request.len();
    }
    requests.iter().for_each(|request| bytes.extend_from_slice(request));
    bytes
}

/// The replies in the reply to a Multiple Service Packet.
///
/// # Errors
/// Offsets that do not ascend or lead outside.
pub fn multiple_replies(data: &[u8]) -> Result<Vec<&[u8]>, CodecError> {
    let mut reader = Reader::new(data, "a packet of replies");
    let count = reader.u16()?;
    if count > MOST_REQUESTS {
        return Err(CodecError::Wrong("a packet of more replies than requests"));
    }
    let offsets: Vec<usize> =
        (0..count).map(|_| reader.u16().map(usize::from)).collect::<Result<_, CodecError>>()?;
    let ends = offsets.iter().skip(1).copied().chain([data.len()]);
    offsets
        .iter()
        .zip(ends)
        .map(|(&start, end)| data.get(start..end).ok_or(CodecError::Wrong("an offset that leads outside")))
        .collect()
}

/// The data of an Unconnected Send of `message` along `route`; `patience` is how long the last hop may take.
pub fn unconnected_send(message: &[u8], route: &[u8], patience: std::time::Duration) -> Vec<u8> {
    // A tick of 2^7 ms.
    let ticks = u8::try_from((patience.as_millis() / 128).max(1)).unwrap_or(u8::MAX);
    let mut bytes = vec![0x07, ticks];
    bytes.extend_from_slice(&u16::try_from(message.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(message);
    if message.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes.extend_from_slice(&[u8::try_from(route.len() / 2).unwrap_or(u8::MAX), 0]);
    bytes.extend_from_slice(route);
    bytes
}

/// A connection as its two ends know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Our id for what comes to us.
    pub to_us: u32,
    /// A number of ours for this connection.
    pub serial: u16,
    /// A number of ours for this originator.
    pub originator: u32,
}

/// Vendor id of the originator; there is none for software that is no registered product.
const VENDOR: u16 = 0x4757;
/// How often each end promises to send at least, in microseconds. The connection ends after 32 times as long.
const INTERVAL: u32 = 2_000_000;

/// The data of a Forward Open, or of a Large Forward Open for sizes above 511: messages (class 3) to the message
/// router at the end of `route`.
pub fn forward_open(opening: Opening, size: u16, route: &[u8]) -> Vec<u8> {
    let large = size > 511;
    // Point to point, low priority, variable size.
    let parameters = |bytes: &mut Vec<u8>| {
        if large {
            bytes.extend_from_slice(&(0x4200_0000 | u32::from(size)).to_le_bytes());
        } else {
            bytes.extend_from_slice(&(0x4200 | size).to_le_bytes());
        }
    };
    let mut bytes = vec![0x07, 0x20];
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    bytes.extend_from_slice(&opening.to_us.to_le_bytes());
    triad(&mut bytes, opening);
    bytes.extend_from_slice(&[3, 0, 0, 0]);
    bytes.extend_from_slice(&INTERVAL.to_le_bytes());
    parameters(&mut bytes);
    bytes.extend_from_slice(&INTERVAL.to_le_bytes());
    parameters(&mut bytes);
    bytes.push(0xA3);
    let path = [route, &MESSAGE_ROUTER].concat();
    bytes.push(u8::try_from(path.len() / 2).unwrap_or(u8::MAX));
    bytes.extend_from_slice(&path);
    bytes
}

/// The data of a Forward Close.
pub fn forward_close(opening: Opening, route: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x07, 0x20];
    triad(&mut bytes, opening);
    let path = [route, &MESSAGE_ROUTER].concat();
    bytes.extend_from_slice(&[u8::try_from(path.len() / 2).unwrap_or(u8::MAX), 0]);
    bytes.extend_from_slice(&path);
    bytes
}

fn triad(bytes: &mut Vec<u8>, opening: Opening) {
    bytes.extend_from_slice(&opening.serial.to_le_bytes());
    bytes.extend_from_slice(&VENDOR.to_le_bytes());
    bytes.extend_from_slice(&opening.originator.to_le_bytes());
}

/// The ids in the reply to a Forward Open: what we send to, what comes to us.
///
/// # Errors
/// A reply that is cut short.
pub fn forward_open_reply(data: &[u8]) -> Result<(u32, u32), CodecError> {
    let mut reader = Reader::new(data, "the reply to a Forward Open");
    Ok((reader.u32()?, reader.u32()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_requests_are_found_again_in_their_packet() {
        let packet = multiple(&[&[1, 2, 3], &[4], &[]]);
        assert_eq!(packet[..8], [3, 0, 8, 0, 11, 0, 12, 0]);
        assert_eq!(multiple_replies(&packet).unwrap(), [&[1_u8, 2, 3][..], &[4], &[]]);
    }

    #[test]
    fn offsets_that_lead_outside_or_back_are_refused() {
        assert!(multiple_replies(&[1, 0, 200, 0]).is_err());
        assert!(multiple_replies(&[2, 0, 8, 0, 6, 0, 1, 1, 1]).is_err());
        assert!(multiple_replies(&[255, 255]).is_err());
    }

    #[test]
    fn a_reply_has_its_status_in_words() {
        let reply = reply(&[0xCC, 0, 0xFF, 1, 0x05, 0x21]).unwrap();
        assert!(reply.answers(service::READ) && reply.status.is_path());
        assert_eq!(
            reply.status.to_string(),
            "the index or the number of elements is beyond the end of the tag (CIP status 0xff/0x2105)"
        );
        assert!(super::reply(&[0x4C, 0, 0, 0]).is_err());
        assert!(super::reply(&[0xCC, 0, 0, 9]).is_err());
    }

    #[test]
    fn a_message_along_a_route_is_padded_to_words() {
        let sent = unconnected_send(&[1, 2, 3], &[1, 0], std::time::Duration::from_secs(2));
        assert_eq!(sent, [7, 15, 3, 0, 1, 2, 3, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn a_large_connection_has_wide_parameters() {
        let opening = Opening { to_us: 5, serial: 6, originator: 7 };
        let (small, large) = (forward_open(opening, 500, &[1, 0]), forward_open(opening, 4_002, &[1, 0]));
        assert_eq!((small.len(), large.len()), (36 + 6, 40 + 6));
        assert_eq!(small[26..28], (0x4200_u16 | 500).to_le_bytes());
        assert_eq!(large[26..30], (0x4200_0000_u32 | 4_002).to_le_bytes());
    }
}
