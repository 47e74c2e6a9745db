//! Frames in binary code.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CodecError;

/// Which frames are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Frame {
    /// Without a serial number: every controller knows them.
    #[default]
    #[serde(rename = "3e")]
    E3,
    /// With a serial number, so that a late answer is told from the one waited for.
    #[serde(rename = "4e")]
    E4,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Network number; 0 for the controller connected to.
    pub network: u8,
    /// Station number; 255 for the controller connected to.
    pub station: u8,
    /// Module I/O number; 0x3FF for the CPU.
    pub module_io: u16,
    /// Multidrop station; 0 for none.
    pub multidrop: u8,
}

/// Commands and their subcommands.
pub mod command {
    /// Read Type Name.
    pub const TYPE_NAME: (u16, u16) = (0x0101, 0);
    /// Device Read, in words.
    pub const READ: (u16, u16) = (0x0401, 0);
    /// Device Read Random, in words.
    pub const READ_RANDOM: (u16, u16) = (0x0403, 0);
    /// Device Write, in words.
    pub const WRITE: (u16, u16) = (0x1401, 0);
    /// Device Write, in bits.
    pub const WRITE_BITS: (u16, u16) = (0x1401, 1);
}

/// The longest reply that is taken: 960 words need 1,922 bytes, and what a controller may be set to send is not more
/// than twice that.
pub const MOST_REPLY: usize = 4_096;

impl Frame {
    /// Bytes of a reply up to and with its length.
    pub const fn head(self) -> usize {
        match self {
            Self::E3 => 9,
            Self::E4 => 13,
        }
    }
}

/// A request. `serial` travels in 4E frames only; `timer` is in units of 250 ms.
pub fn request(
    frame: Frame,
    serial: u16,
    route: Route,
    timer: u16,
    (command, subcommand): (u16, u16),
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(19 + data.len());
    match frame {
        Frame::E3 => bytes.extend_from_slice(&[0x50, 0]),
        Frame::E4 => {
            bytes.extend_from_slice(&[0x54, 0]);
            bytes.extend_from_slice(&serial.to_le_bytes());
            bytes.extend_from_slice(&[0, 0]);
        }
    }
    bytes.extend_from_slice(&[route.network, route.station]);
    bytes.extend_from_slice(&route.module_io.to_le_bytes());
    bytes.push(route.multidrop);
    bytes.extend_from_slice(&u16::try_from(6 + data.len()).unwrap_or(u16::MAX).to_le_bytes());
    for word in [timer, command, subcommand] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(data);
    bytes
}

/// What is in front of a reply's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHead {
    /// The request's, in a 4E frame.
    pub serial: Option<u16>,
    /// Who answers.
    pub route: Route,
    /// Bytes that follow.
    pub length: usize,
}

/// Reads the first [`Frame::head`] bytes of a reply.
///
/// # Errors
/// Another frame, or a length that no reply has.
pub fn reply_head(frame: Frame, bytes: &[u8]) -> Result<ReplyHead, CodecError> {
    const SHORT: CodecError = CodecError::Short("a reply");
    let (serial, rest) = match frame {
        Frame::E3 => (
            None,
            bytes
                .strip_prefix(&[0xD0, 0])
                .ok_or(CodecError::Wrong("the reply is no 3E frame; see `frame`"))?,
        ),
        Frame::E4 => {
            let rest = bytes
                .strip_prefix(&[0xD4, 0])
                .ok_or(CodecError::Wrong("the reply is no 4E frame; see `frame`"))?;
            let (serial, rest) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
            (Some(u16::from_le_bytes([serial[0], serial[1]])), rest)
        }
    };
    let [network, station, low, high, multidrop, length, more, ..] = *rest else { return Err(SHORT) };
    let module_io = u16::from_le_bytes([low, high]);
    let length = usize::from(u16::from_le_bytes([length, more]));
    if !(2..=MOST_REPLY).contains(&length) {
        return Err(CodecError::Wrong("a reply of a length that no reply has"));
    }
    Ok(ReplyHead { serial, route: Route { network, station, module_io, multidrop }, length })
}

/// The end code and what follows it.
///
/// # Errors
/// There is no end code.
pub fn reply_body(bytes: &[u8]) -> Result<(u16, &[u8]), CodecError> {
    let (code, rest) = bytes.split_first_chunk::<2>().ok_or(CodecError::Short("a reply"))?;
    Ok((u16::from_le_bytes(*code), rest))
}

/// A device as requests name it: three bytes of its number, one of its code.
pub fn device(number: u32, code: u8) -> [u8; 4] {
    let [low, middle, high, _] = number.to_le_bytes();
    [low, middle, high, code]
}

/// The data of a Device Read, and the beginning of that of a Device Write.
pub fn block(number: u32, code: u8, points: u16) -> Vec<u8> {
    [&device(number, code)[..], &points.to_le_bytes()].concat()
}

/// The data of a Device Read Random of words.
pub fn random(devices: &[(u32, u8)]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(devices.len()).unwrap_or(u8::MAX), 0];
    devices.iter().for_each(|&(number, code)| bytes.extend_from_slice(&device(number, code)));
    bytes
}

/// The bytes of exactly so many words.
///
/// # Errors
/// There are more or less.
pub fn words(data: &[u8], count: usize) -> Result<&[u8], CodecError> {
    if data.len() == 2 * count {
        Ok(data)
    } else {
        Err(CodecError::Wrong("a reply of more or fewer words than asked for"))
    }
}

/// The controller's name in the reply to Read Type Name.
pub fn model(data: &[u8]) -> Option<String> {
    let name = data.get(..16)?;
    let name: String = name
        .iter()
        .copied()
        .filter(|byte| byte.is_ascii_graphic() || *byte == b' ')
        .map(char::from)
        .collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Route = Route { network: 0, station: 255, module_io: 0x3FF, multidrop: 0 };

    #[test]
    fn a_read_of_d100_is_as_the_manual_prints_it() {
        let data = block(100, 0xA8, 3);
        let sent = request(Frame::E3, 0, CPU, 16, command::READ, &data);
        let wanted = [0x50, 0, 0, 0xFF, 0xFF, 3, 0, 12, 0, 16, 0, 1, 4, 0, 0, 100, 0, 0, 0xA8, 3, 0];
        assert_eq!(sent, wanted);
        let sent = request(Frame::E4, 0x1234, CPU, 16, command::READ, &data);
        assert_eq!((&sent[..6], &sent[6..]), (&[0x54, 0, 0x34, 0x12, 0, 0][..], &wanted[2..]));
    }

    #[test]
    fn replies_are_read_with_their_serial_and_route() {
        let bytes = [0xD4, 0, 0x34, 0x12, 0, 0, 0, 0xFF, 0xFF, 3, 0, 4, 0];
        let head = reply_head(Frame::E4, &bytes).unwrap();
        assert_eq!(head, ReplyHead { serial: Some(0x1234), route: CPU, length: 4 });
        let head = reply_head(Frame::E3, &[0xD0, 0, 0, 0xFF, 0xFF, 3, 0, 4, 0]).unwrap();
        assert_eq!((head.serial, head.length), (None, 4));
        assert_eq!(reply_body(&[0x59, 0xC0, 1]), Ok((0xC059, &[1][..])));
    }

    #[test]
    fn other_frames_and_lengths_that_no_reply_has_are_refused() {
        assert!(reply_head(Frame::E3, &[0xD4, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(reply_head(Frame::E3, &[0xD0, 0, 0, 0xFF, 0xFF, 3, 0, 0xFF, 0xFF]).is_err());
        assert!(reply_head(Frame::E3, &[0xD0, 0, 0, 0xFF, 0xFF, 3, 0, 1, 0]).is_err());
        assert!(reply_head(Frame::E4, &[0xD4, 0, 1]).is_err());
        assert!(words(&[0; 5], 2).is_err());
    }

    #[test]
    fn random_reads_name_each_word() {
        assert_eq!(random(&[(100, 0xA8), (0x10, 0xB4)]), [2, 0, 100, 0, 0, 0xA8, 0x10, 0, 0, 0xB4]);
    }
}
