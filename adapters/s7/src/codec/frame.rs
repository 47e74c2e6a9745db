//! TPKT (RFC 1006) and COTP class 0 (ISO 8073).

use super::{CodecError, Reader};

/// Bytes of a TPKT header.
pub const HEADER: usize = 4;
/// The longest frame that is taken: the largest PDU is 960 bytes.
pub const LONGEST: usize = 2_048;
/// Bytes of a COTP data header.
const DATA_HEADER: [u8; 3] = [2, 0xF0, 0x80];
/// Our reference of the connection; there is one connection per socket.
pub const REFERENCE: u16 = 1;
/// 2^10 = 1,024 bytes of COTP in one frame.
const FRAME_SIZE: u8 = 10;

/// Asks for a connection between two TSAPs.
pub fn connect([local, remote]: [u16; 2]) -> Vec<u8> {
    let [l0, l1] = local.to_be_bytes();
    let [r0, r1] = remote.to_be_bytes();
    let [own0, own1] = REFERENCE.to_be_bytes();
    let cotp = [
        17, 0xE0, 0, 0, own0, own1, 0, // length, CR, their reference, ours, class 0
        0xC0, 1, FRAME_SIZE, 0xC1, 2, l0, l1, 0xC2, 2, r0, r1,
    ];
    wrap(&cotp)
}

/// A frame around one S7 PDU.
pub fn data(pdu: &[u8]) -> Vec<u8> {
    wrap(&[&DATA_HEADER, pdu].concat())
}

fn wrap(cotp: &[u8]) -> Vec<u8> {
    // PDUs are far shorter than 64 KiB.
    let [high, low] = u16::try_from(HEADER + cotp.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[3, 0, high, low], cotp].concat()
}

/// How many bytes follow a TPKT header.
///
/// # Errors
/// When it is no TPKT header, or the frame is longer than [`LONGEST`].
pub fn length(header: &[u8]) -> Result<usize, CodecError> {
    let mut reader = Reader::new(header, "TPKT header");
    reader.expect("TPKT version", 3)?;
    reader.u8()?;
    let length = usize::from(reader.u16()?);
    match length {
        7..=LONGEST => Ok(length - HEADER),
        _ => Err(CodecError::Unexpected {
            what: "TPKT length",
            found: u32::try_from(length).unwrap_or(u32::MAX),
        }),
    }
}

/// Reads the answer to [`connect`]: the most bytes of S7 that fit one frame of the peer's.
///
/// # Errors
/// When it is another one, or a refusal.
pub fn confirmed(cotp: &[u8], reference: u16) -> Result<usize, CodecError> {
    let mut reader = Reader::new(cotp, "connection confirm");
    let length = usize::from(reader.u8()?);
    let mut reader = Reader::new(reader.bytes(length)?, "connection confirm");
    let code = reader.u8()?;
    let to = reader.u16()?;
    let _theirs = reader.u16()?;
    let reason = reader.u8()?;
    match code & 0xF0 {
        0xD0 => {}
        0x80 => return Err(CodecError::Refused(reason)),
        _ => return Err(CodecError::Unexpected { what: "COTP type", found: code.into() }),
    }
    if to != reference {
        return Err(CodecError::Foreign { sent: reference, found: to });
    }
    let mut most = LONGEST;
    while !reader.rest().is_empty() {
        let code = reader.u8()?;
        let size = reader.u8()?;
        let value = reader.bytes(size.into())?;
        if let (0xC0, &[size @ 7..=13]) = (code, value) {
            most = (1 << size) - DATA_HEADER.len();
        }
    }
    Ok(most)
}

/// The S7 bytes of a data frame, and whether the PDU ends with it.
///
/// # Errors
/// When it is no data frame.
pub fn payload(cotp: &[u8]) -> Result<(&[u8], bool), CodecError> {
    let mut reader = Reader::new(cotp, "COTP header");
    let length = reader.u8()?;
    let code = reader.u8()?;
    match code {
        0xF0 if length == 2 => {
            let last = reader.u8()? & 0x80 != 0;
            Ok((reader.rest(), last))
        }
        0x80 => Err(CodecError::Refused(cotp.get(6).copied().unwrap_or(0))),
        _ => Err(CodecError::Unexpected { what: "COTP type", found: code.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_connect_names_both_tsaps() {
        assert_eq!(
            connect([0x0100, 0x0102]),
            [3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC0, 1, 10, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2]
        );
    }

    #[test]
    fn a_confirmation_has_our_reference_and_may_limit_frames() {
        let confirm = [17, 0xD0, 0, 1, 0, 9, 0, 0xC0, 1, 9, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2];
        assert_eq!(confirmed(&confirm, 1), Ok(509));
        assert_eq!(confirmed(&[6, 0xD0, 0, 1, 0, 9, 0], 1), Ok(LONGEST));
        assert_eq!(confirmed(&confirm, 2), Err(CodecError::Foreign { sent: 2, found: 1 }));
        assert_eq!(confirmed(&[6, 0x80, 0, 1, 0, 9, 3], 1), Err(CodecError::Refused(3)));
        assert!(confirmed(&confirm[..12], 1).is_err());
    }

    #[test]
    fn only_frames_of_a_possible_length_are_taken() {
        assert_eq!(length(&[3, 0, 0, 22]), Ok(18));
        for header in [[3, 0, 0, 6], [3, 0, 0xFF, 0xFF], [2, 0, 0, 22]] {
            assert!(length(&header).is_err(), "{header:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_wrapped_is_unwrapped(pdu in proptest::collection::vec(proptest::num::u8::ANY, 0..960)) {
            let frame = data(&pdu);
            proptest::prop_assert_eq!(length(&frame[..HEADER]), Ok(frame.len() - HEADER));
            proptest::prop_assert_eq!(payload(&frame[HEADER..]), Ok((&pdu[..], true)));
        }
    }
}
