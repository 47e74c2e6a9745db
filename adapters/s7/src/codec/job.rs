//! S7 jobs: setup communication, read var, write var.

use super::cause::Denial;
use super::{CodecError, Reader};
use crate::address::{Area, Place};

/// The most items in one job.
pub const MOST_ITEMS: usize = 20;
/// Bytes of a reading job before its items.
pub const READ_HEAD: usize = 12;
/// Bytes of one item's address.
pub const ITEM: usize = 12;
/// Bytes of the reply to a reading job before its items' data.
pub const REPLY_HEAD: usize = 14;
/// Bytes before one item's data.
pub const DATA_HEAD: usize = 4;
/// Bytes of a job that writes one item, without the value.
pub const WRITE_HEAD: usize = READ_HEAD + ITEM + DATA_HEAD;

const PROTOCOL: u8 = 0x32;
const JOB: u8 = 1;
const ACK: u8 = 2;
const ACK_DATA: u8 = 3;
const SETUP: u8 = 0xF0;
const READ: u8 = 4;
const WRITE: u8 = 5;
const DONE: u8 = 0xFF;

/// So many bytes from a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where they begin.
    pub place: Place,
    /// How many.
    pub length: u16,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// One bit of the byte at the place.
    Bit(u8, bool),
    /// Bytes from the place on.
    Bytes(Vec<u8>),
}

/// What a controller says to a job: yes with something, or no.
pub type Answer<T> = Result<T, Denial>;

fn job(reference: u16, parameters: &[u8], data: &[u8]) -> Vec<u8> {
    let mut pdu = Vec::with_capacity(10 + parameters.len() + data.len());
    pdu.extend([PROTOCOL, JOB, 0, 0]);
    pdu.extend(reference.to_be_bytes());
    pdu.extend(length(parameters.len()));
    pdu.extend(length(data.len()));
    pdu.extend(parameters);
    pdu.extend(data);
    pdu
}

/// Lengths are bounded by the PDU, which is far below 64 KiB.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// Asks for PDUs of so many bytes, one job at a time.
pub fn setup(reference: u16, pdu: u16) -> Vec<u8> {
    let [high, low] = pdu.to_be_bytes();
    job(reference, &[SETUP, 0, 0, 1, 0, 1, high, low], &[])
}

/// Asks for spans.
pub fn read(reference: u16, spans: &[Span]) -> Vec<u8> {
    let mut parameters = vec![READ, u8::try_from(spans.len()).unwrap_or(u8::MAX)];
    for span in spans {
        let Place { area, start, .. } = span.place;
        let (transport, count, address) = match area {
            Area::Timers | Area::Counters => (area as u8, span.length / 2, start / 2),
            _ => (2, span.length, start * 8),
        };
        item(&mut parameters, transport, count, span.place, address);
    }
    job(reference, &parameters, &[])
}

/// Writes one value.
pub fn write(reference: u16, place: Place, payload: &Payload) -> Vec<u8> {
    let mut parameters = vec![WRITE, 1];
    let mut data = Vec::new();
    match payload {
        Payload::Bit(bit, set) => {
            item(&mut parameters, 1, 1, place, place.start * 8 + u32::from(*bit));
            data.extend([0, 3, 0, 1, u8::from(*set)]);
        }
        Payload::Bytes(bytes) => {
            let count = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            item(&mut parameters, 2, count, place, place.start * 8);
            data.extend([0, 4]);
            data.extend(length(bytes.len() * 8));
            data.extend(bytes);
        }
    }
    job(reference, &parameters, &data)
}

fn item(parameters: &mut Vec<u8>, transport: u8, count: u16, place: Place, address: u32) {
    parameters.extend([0x12, 10, 0x10, transport]);
    parameters.extend(count.to_be_bytes());
    parameters.extend(place.db.to_be_bytes());
    parameters.push(place.area as u8);
    parameters.extend(&address.to_be_bytes()[1..]);
}

/// A reply's parameters and data.
struct Reply<'a> {
    parameters: Reader<'a>,
    data: Reader<'a>,
}

fn reply(pdu: &[u8], sent: u16) -> Result<Answer<Reply<'_>>, CodecError> {
    let mut reader = Reader::new(pdu, "S7 header");
    reader.expect("S7 protocol", PROTOCOL)?;
    let kind = reader.u8()?;
    if kind != ACK && kind != ACK_DATA {
        return Err(CodecError::Unexpected { what: "S7 message type", found: kind.into() });
    }
    reader.u16()?;
    let found = reader.u16()?;
    if found != sent {
        return Err(CodecError::Foreign { sent, found });
    }
    let parameters = usize::from(reader.u16()?);
    let data = usize::from(reader.u16()?);
    let [class, code] = reader.array()?;
    let parameters = Reader::new(reader.bytes(parameters)?, "S7 parameters");
    let data = Reader::new(reader.bytes(data)?, "S7 data");
    if let Some(&found) = reader.rest().first() {
        return Err(CodecError::Unexpected { what: "byte after the S7 data", found: found.into() });
    }
    Ok(if class == 0 && code == 0 {
        Ok(Reply { parameters, data })
    } else {
        Err(Denial::Request(class, code))
    })
}

/// The PDU size that the controller grants.
///
/// # Errors
/// When it is no answer to request `sent`.
pub fn setup_reply(pdu: &[u8], sent: u16) -> Result<Answer<u16>, CodecError> {
    let mut parameters = match reply(pdu, sent)? {
        Ok(reply) => reply.parameters,
        Err(denial) => return Ok(Err(denial)),
    };
    parameters.expect("function", SETUP)?;
    parameters.bytes(5)?;
    let size = parameters.u16()?;
    // With less not even one value of eight bytes could be had.
    if size < 64 {
        return Err(CodecError::Unexpected { what: "PDU size", found: size.into() });
    }
    Ok(Ok(size))
}

/// Each span's bytes, or why it has none.
///
/// # Errors
/// When it is no answer to request `sent` for spans of these `lengths`.
pub fn read_reply<'a>(
    pdu: &'a [u8],
    sent: u16,
    lengths: &[u16],
) -> Result<Answer<Vec<Answer<&'a [u8]>>>, CodecError> {
    let Reply { mut parameters, mut data } = match reply(pdu, sent)? {
        Ok(reply) => reply,
        Err(denial) => return Ok(Err(denial)),
    };
    parameters.expect("function", READ)?;
    let count = parameters.u8()?;
    if usize::from(count) != lengths.len() {
        return Err(CodecError::Unexpected { what: "item count", found: count.into() });
    }
    let mut items = Vec::with_capacity(lengths.len());
    for &wanted in lengths {
        let code = data.u8()?;
        let transport = data.u8()?;
        let length = usize::from(data.u16()?);
        // Behind a no there is no data, though Snap7 says a length.
        if code != DONE {
            items.push(Err(Denial::Item(code)));
            continue;
        }
        // Bits, bytes and integers count in bits; the others in bytes.
        let bytes = if matches!(transport, 3..=5) { length.div_ceil(8) } else { length };
        let value = data.bytes(bytes)?;
        // Each item but the last is filled up to an even length.
        if bytes % 2 == 1 && !data.rest().is_empty() {
            data.u8()?;
        }
        if bytes == usize::from(wanted) {
            items.push(Ok(value));
        } else {
            let found = u32::try_from(bytes).unwrap_or(u32::MAX);
            return Err(CodecError::Unexpected { what: "length of an item", found });
        }
    }
    Ok(Ok(items))
}

/// Whether the value was written.
///
/// # Errors
/// When it is no answer to request `sent`.
pub fn write_reply(pdu: &[u8], sent: u16) -> Result<Answer<()>, CodecError> {
    let Reply { mut parameters, mut data } = match reply(pdu, sent)? {
        Ok(reply) => reply,
        Err(denial) => return Ok(Err(denial)),
    };
    parameters.expect("function", WRITE)?;
    parameters.expect("item count", 1)?;
    let code = data.u8()?;
    Ok(if code == DONE { Ok(()) } else { Err(Denial::Item(code)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(area: Area, db: u16, start: u32, length: u16) -> Span {
        Span { place: Place { area, db, start }, length }
    }

    #[test]
    fn a_reading_job_has_the_bytes_of_the_protocol() {
        let job = read(7, &[span(Area::Data, 10, 4, 8), span(Area::Timers, 0, 10, 2)]);
        let mut expected = vec![0x32, 1, 0, 0, 0, 7, 0, 26, 0, 0, 4, 2];
        expected.extend([0x12, 10, 0x10, 2, 0, 8, 0, 10, 0x84, 0, 0, 32]);
        expected.extend([0x12, 10, 0x10, 0x1D, 0, 1, 0, 0, 0x1D, 0, 0, 5]);
        assert_eq!(job, expected);
        assert_eq!(job.len(), READ_HEAD + 2 * ITEM);
    }

    #[test]
    fn writing_jobs_have_the_bytes_of_the_protocol() {
        let place = Place { area: Area::Data, db: 1, start: 2 };
        let bytes = write(9, place, &Payload::Bytes(vec![1, 2]));
        let mut expected = vec![0x32, 1, 0, 0, 0, 9, 0, 14, 0, 6, 5, 1];
        expected.extend([0x12, 10, 0x10, 2, 0, 2, 0, 1, 0x84, 0, 0, 16, 0, 4, 0, 16, 1, 2]);
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), WRITE_HEAD + 2);
        let bit = write(9, place, &Payload::Bit(3, true));
        assert_eq!(bit[12..], [0x12, 10, 0x10, 1, 0, 1, 0, 1, 0x84, 0, 0, 19, 0, 3, 0, 1, 1]);
    }

    fn answer(parameters: &[u8], data: &[u8]) -> Vec<u8> {
        let mut pdu = vec![0x32, 3, 0, 0, 0, 7];
        pdu.extend(length(parameters.len()));
        pdu.extend(length(data.len()));
        pdu.extend([0, 0]);
        pdu.extend(parameters);
        pdu.extend(data);
        pdu
    }

    #[test]
    fn one_bad_item_leaves_the_others_good() {
        for length in [0, 4] {
            let data = [0xFF, 4, 0, 8, 0x11, 0, 0x05, 0, 0, length, 0xFF, 9, 0, 2, 0xAB, 0xCD];
            let answer = answer(&[4, 3], &data);
            let items = read_reply(&answer, 7, &[1, 4, 2]).unwrap().unwrap();
            assert_eq!(items, [Ok(&[0x11][..]), Err(Denial::Item(5)), Ok(&[0xAB, 0xCD][..])]);
        }
    }

    #[test]
    fn a_reply_that_does_not_match_its_request_is_an_error() {
        let good = answer(&[4, 1], &[0xFF, 4, 0, 16, 1, 2]);
        assert!(read_reply(&good, 7, &[2]).is_ok());
        assert_eq!(read_reply(&good, 8, &[2]), Err(CodecError::Foreign { sent: 8, found: 7 }));
        assert!(read_reply(&good, 7, &[3]).is_err(), "another length");
        assert!(read_reply(&good, 7, &[2, 2]).is_err(), "another number of items");
        assert!(write_reply(&good, 7).is_err(), "another function");
        assert!(read_reply(&good[..good.len() - 1], 7, &[2]).is_err(), "cut short");
        assert!(read_reply(&[&good[..], &[0]].concat(), 7, &[2]).is_err(), "too long");
    }

    #[test]
    fn a_refused_job_is_a_denial() {
        let refused = [0x32, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0x81, 4];
        assert_eq!(read_reply(&refused, 7, &[2]), Ok(Err(Denial::Request(0x81, 4))));
        assert_eq!(write_reply(&refused, 7), Ok(Err(Denial::Request(0x81, 4))));
        assert_eq!(write_reply(&answer(&[5, 1], &[0x05]), 7), Ok(Err(Denial::Item(5))));
        assert_eq!(write_reply(&answer(&[5, 1], &[0xFF]), 7), Ok(Ok(())));
    }

    #[test]
    fn the_pdu_size_is_what_the_controller_grants() {
        assert_eq!(setup(1, 960)[10..], [0xF0, 0, 0, 1, 0, 1, 3, 0xC0]);
        assert_eq!(setup_reply(&answer(&[0xF0, 0, 0, 1, 0, 1, 0, 240], &[]), 7), Ok(Ok(240)));
        assert!(setup_reply(&answer(&[0xF0, 0, 0, 1, 0, 1, 0, 10], &[]), 7).is_err());
    }
}
