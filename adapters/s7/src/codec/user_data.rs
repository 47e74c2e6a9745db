//! S7 user data: the system status list and lists of blocks.

use super::{CodecError, Reader};

/// A function group with the one function of it that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Block functions: list the blocks of a type.
    Blocks,
    /// Block functions: tell of one block.
    BlockInfo,
    /// System status list: read.
    Szl,
}

impl Group {
    const fn codes(self) -> (u8, u8) {
        match self {
            Self::Blocks => (3, 2),
            Self::BlockInfo => (3, 3),
            Self::Szl => (4, 1),
        }
    }
}

/// Module identification in the system status list.
pub const MODULE: [u8; 4] = [0x00, 0x11, 0, 0];
/// Data blocks in a list of blocks.
pub const DATA_BLOCKS: [u8; 2] = *b"0A";

/// What identifies one data block: type, number in five digits, passive and active.
pub fn data_block(number: u16) -> Vec<u8> {
    format!("0A{number:05}A").into_bytes()
}

/// Asks for something.
pub fn request(reference: u16, group: Group, data: &[u8]) -> Vec<u8> {
    let (group, function) = group.codes();
    let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
    let mut body = vec![0xFF, 9, 0, length];
    body.extend(data);
    message(reference, &[0, 1, 0x12, 4, 0x11, 0x40 | group, function, 0], &body)
}

/// Asks for what comes after a part that was not the last.
pub fn next(reference: u16, group: Group, sequence: u8) -> Vec<u8> {
    let (group, function) = group.codes();
    let parameters = [0, 1, 0x12, 8, 0x12, 0x40 | group, function, sequence, 0, 0, 0, 0];
    message(reference, &parameters, &[0x0A, 0, 0, 0])
}

fn message(reference: u16, parameters: &[u8], data: &[u8]) -> Vec<u8> {
    let mut pdu = vec![0x32, 7, 0, 0];
    pdu.extend(reference.to_be_bytes());
    for part in [parameters, data] {
        pdu.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
    }
    pdu.extend(parameters);
    pdu.extend(data);
    pdu
}

/// A part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its bytes; empty when the controller refuses.
    pub data: &'a [u8],
    /// Error code, and item return code where it is none of success; 0 is success.
    pub error: u16,
    /// The sequence number to ask for more, where this is not the last part.
    pub more: Option<u8>,
}

/// Reads an answer.
///
/// # Errors
/// When it is no answer to request `sent` of that group.
pub fn reply(pdu: &[u8], sent: u16, group: Group) -> Result<Part<'_>, CodecError> {
    let mut reader = Reader::new(pdu, "S7 user data");
    reader.expect("S7 protocol", 0x32)?;
    reader.expect("S7 message type", 7)?;
    reader.u16()?;
    let found = reader.u16()?;
    if found != sent {
        return Err(CodecError::Foreign { sent, found });
    }
    let parameters = usize::from(reader.u16()?);
    let data = usize::from(reader.u16()?);
    let mut parameters = Reader::new(reader.bytes(parameters)?, "S7 user data parameters");
    let mut data = Reader::new(reader.bytes(data)?, "S7 user data");
    parameters.bytes(5)?;
    let (code, function) = group.codes();
    parameters.expect("function group", 0x80 | code)?;
    parameters.expect("function", function)?;
    let sequence = parameters.u8()?;
    parameters.u8()?;
    let more = (parameters.u8()? != 0).then_some(sequence);
    let error = parameters.u16()?;
    if data.rest().is_empty() {
        return Ok(Part { data: &[], error: error.max(1), more: None });
    }
    let code = data.u8()?;
    data.u8()?;
    let length = usize::from(data.u16()?);
    let data = data.bytes(length)?;
    let error = if error == 0 && code != 0xFF { u16::from(code) } else { error };
    Ok(Part { data, error, more })
}

/// Order number and firmware out of the module identification: `6ES7 516-3AN02-0AB0 V2.9.4`.
pub fn order_number(szl: &[u8]) -> Option<String> {
    let mut reader = Reader::new(szl, "module identification");
    reader.u16().and_then(|_| reader.u16()).ok()?;
    let size = usize::from(reader.u16().ok()?);
    let _count = reader.u16().ok()?;
    if size < 26 {
        return None;
    }
    let records = || reader.rest().chunks_exact(size);
    let module = records().find(|record| record[..2] == [0, 1])?;
    let text = |bytes: &[u8]| {
        let cut = bytes.iter().take_while(|byte| (0x20..0x7F).contains(*byte)).copied().collect();
        String::from_utf8(cut).unwrap_or_default().trim().to_owned()
    };
    let mut order = text(&module[2..22]);
    if order.is_empty() {
        return None;
    }
    if let Some([b'V', major, minor, patch]) =
        records().find(|record| record[..2] == [0, 7]).and_then(|record| record.get(24..28))
    {
        order.push_str(&format!(" V{major}.{minor}.{patch}"));
    }
    Some(order)
}

/// Numbers in a list of blocks.
pub fn block_numbers(data: &[u8]) -> Vec<u16> {
    data.chunks_exact(4).map(|entry| u16::from_be_bytes([entry[0], entry[1]])).collect()
}

/// Bytes of a data block out of its description.
pub fn block_size(data: &[u8]) -> Option<u16> {
    let mut reader = Reader::new(data, "block information");
    reader.bytes(40).ok()?;
    reader.u16().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(group: u8, function: u8, last: u8, error: u16, data: &[u8]) -> Vec<u8> {
        let [high, low] = error.to_be_bytes();
        let parameters = [0, 1, 0x12, 8, 0x12, 0x80 | group, function, 5, 0, last, high, low];
        message(7, &parameters, data)
    }

    #[test]
    fn requests_have_the_bytes_of_the_protocol() {
        assert_eq!(
            request(1, Group::Szl, &MODULE)[10..],
            [0, 1, 0x12, 4, 0x11, 0x44, 1, 0, 0xFF, 9, 0, 4, 0, 0x11, 0, 0]
        );
        assert_eq!(data_block(12), b"0A00012A");
        assert_eq!(next(1, Group::Blocks, 5)[10..18], [0, 1, 0x12, 8, 0x12, 0x43, 2, 5]);
    }

    #[test]
    fn a_module_says_its_order_number_and_firmware() {
        let mut szl = vec![0, 0x11, 0, 0, 0, 28, 0, 2, 0, 1];
        szl.extend(b"6ES7 516-3AN02-0AB0 \0\xC0\0\x01\0\x01");
        szl.extend([0, 7]);
        szl.extend([b' '; 20]);
        szl.extend([0, 0, b'V', 2, 9, 4]);
        assert_eq!(order_number(&szl).unwrap(), "6ES7 516-3AN02-0AB0 V2.9.4");
        assert_eq!(order_number(&szl[..20]), None);
    }

    #[test]
    fn a_list_may_come_in_parts() {
        let part = answer(3, 2, 1, 0, &[0xFF, 9, 0, 8, 0, 1, 0, 0, 1, 0, 0, 0]);
        let part = reply(&part, 7, Group::Blocks).unwrap();
        assert_eq!((part.error, part.more), (0, Some(5)));
        assert_eq!(block_numbers(part.data), [1, 256]);
        let refused = answer(3, 2, 0, 0xD209, &[0x0A, 0, 0, 0]);
        assert_eq!(reply(&refused, 7, Group::Blocks).unwrap().error, 0xD209);
        assert!(reply(&refused, 7, Group::Szl).is_err());
        assert!(reply(&refused, 8, Group::Blocks).is_err());
    }
}
