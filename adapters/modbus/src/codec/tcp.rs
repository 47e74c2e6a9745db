//! Frames of Modbus TCP: transaction, protocol, length and unit in front (Modbus messaging on TCP/IP 1.0b, clause 3.1.3).

use super::{Error, MOST_PDU};

/// Bytes in front of request and reply.
pub const HEADER: usize = 7;

/// Appends a frame around a request.
pub fn frame(transaction: u16, unit: u8, pdu: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX);
    out.extend_from_slice(&transaction.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(unit);
    out.extend_from_slice(pdu);
}

/// The reply in what has arrived; `None` while it is not whole.
///
/// # Errors
/// As soon as what has arrived cannot become the reply.
pub fn reply(arrived: &[u8], transaction: u16, unit: u8) -> Result<Option<&[u8]>, Error> {
    let word = |at: usize| arrived.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    if let Some(came) = word(0).filter(|came| *came != transaction) {
        return Err(Error::Transaction { asked: transaction, came });
    }
    if let Some(protocol) = word(2).filter(|protocol| *protocol != 0) {
        return Err(Error::Protocol(protocol));
    }
    let Some(length) = word(4).map(usize::from) else { return Ok(None) };
    // The unit, and of the reply at least a function and a byte.
    if !(3..=MOST_PDU + 1).contains(&length) {
        return Err(Error::Length(length));
    }
    if let Some(came) = arrived.get(6).copied().filter(|came| *came != unit) {
        return Err(Error::Unit { asked: unit, came });
    }
    let end = HEADER - 1 + length;
    match arrived.get(HEADER..end) {
        Some(_) if arrived.len() > end => Err(Error::Excess(arrived.len() - end)),
        whole => Ok(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_must_be_of_the_transaction_protocol_and_unit() {
        let good = [0, 9, 0, 0, 0, 3, 1, 0x83, 2];
        assert_eq!(reply(&good, 9, 1), Ok(Some(&[0x83, 2][..])));
        assert_eq!(reply(&good, 8, 1), Err(Error::Transaction { asked: 8, came: 9 }));
        assert_eq!(reply(&good, 9, 2), Err(Error::Unit { asked: 2, came: 1 }));
        assert_eq!(reply(&[0, 9, 0, 1], 9, 1), Err(Error::Protocol(1)));
        assert_eq!(reply(&[0, 9, 0, 0, 0, 2], 9, 1), Err(Error::Length(2)));
        assert_eq!(reply(&[0, 9, 0, 0, 0xFF, 0xFF], 9, 1), Err(Error::Length(65_535)));
        assert_eq!(reply(&[0, 9, 0, 0, 0, 3, 1, 0x83, 2, 0], 9, 1), Err(Error::Excess(1)));
    }
}
