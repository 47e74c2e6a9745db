//! Frames of Modbus RTU: unit in front, checksum behind (Modbus over serial line 1.02, clause 2.5.1).
//!
//! A frame has no length of its own. How long the reply will be is known from the request; where a frame ends is not
//! told by silence, which an operating system cannot measure.

use super::{Error, Request};

/// Bytes around a request or reply.
pub const AROUND: usize = 3;

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The checksum of a frame's bytes.
pub fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| (crc >> 8) ^ TABLE[usize::from(crc.to_be_bytes()[1] ^ byte)])
}

/// Appends a frame around a request.
pub fn frame(unit: u8, pdu: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(unit);
    out.extend_from_slice(pdu);
    let crc = checksum(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The reply to `request` in what has arrived; `None` while it is not whole. Bytes after it are left alone: a
/// converter that releases the line late adds some, and the line is emptied before the next request.
///
/// # Errors
/// As soon as what has arrived cannot become the reply.
pub fn reply<'a>(arrived: &'a [u8], unit: u8, request: &Request) -> Result<Option<&'a [u8]>, Error> {
    if let Some(came) = arrived.first().copied().filter(|came| *came != unit) {
        return Err(Error::Unit { asked: unit, came });
    }
    let asked = request.function();
    let length = match arrived.get(1).copied() {
        None => return Ok(None),
        Some(came) if came == asked => request.reply_bytes(),
        Some(came) if came == asked | 0x80 => 2,
        Some(came) => return Err(Error::Function { asked, came }),
    };
    if request.is_read()
        && length > 2
        && let Some(came) =
            arrived.get(2).map(|count| usize::from(*count)).filter(|came| *came != request.data_bytes())
    {
        return Err(Error::ByteCount { asked: request.data_bytes(), came });
    }
    let Some(frame) = arrived.get(..length + AROUND) else { return Ok(None) };
    // Over a frame with its own checksum behind it the checksum is 0.
    if checksum(frame) != 0 {
        return Err(Error::Checksum);
    }
    Ok(frame.get(1..=length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;

    #[test]
    fn a_frame_has_the_checksum_of_the_standards_example() {
        let mut out = Vec::new();
        frame(2, &[7], &mut out);
        assert_eq!(out, [0x02, 0x07, 0x41, 0x12]);
    }

    #[test]
    fn a_reply_must_be_of_the_unit_function_and_length_and_be_whole() {
        let request = Request::Read { table: Table::Input, start: 0, count: 1 };
        let mut good = Vec::new();
        frame(5, &[4, 2, 1, 2], &mut good);
        assert_eq!(reply(&good, 5, &request), Ok(Some(&[4, 2, 1, 2][..])));
        assert_eq!(reply(&good, 6, &request), Err(Error::Unit { asked: 6, came: 5 }));
        let other = Request::Read { table: Table::Holding, start: 0, count: 1 };
        assert_eq!(reply(&good, 5, &other), Err(Error::Function { asked: 3, came: 4 }));
        let longer = Request::Read { table: Table::Input, start: 0, count: 2 };
        assert_eq!(reply(&good, 5, &longer), Err(Error::ByteCount { asked: 4, came: 2 }));
        for at in 3..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 0x10;
            assert_eq!(reply(&flipped, 5, &request), Err(Error::Checksum), "byte {at}");
        }
        let mut exception = Vec::new();
        frame(5, &[0x84, 2], &mut exception);
        assert_eq!(reply(&exception, 5, &request), Ok(Some(&[0x84, 2][..])));
    }
}
