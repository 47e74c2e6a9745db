//! The wire: encapsulation, CIP messages, values, symbols and templates, as pure functions of bytes.

pub mod cip;
pub mod encapsulation;
pub mod symbols;
pub mod template;
pub mod value;

/// Bytes that are not of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is less than its own lengths promise.
    #[error("{0} is cut short")]
    Short(&'static str),
    /// It is something else than what belongs there.
    #[error("{0}")]
    Wrong(&'static str),
}

/// Takes little-endian numbers off the front of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Over `bytes`, which are called `what` in errors.
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CodecError::Short(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(CodecError::Short(self.what))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CodecError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, CodecError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// For the fuzz target: reads any bytes as everything that a controller sends.
pub fn fuzz(data: &[u8]) {
    let _ = encapsulation::rr_reply(data);
    let _ = encapsulation::unit_reply(data);
    let _ = cip::forward_open_reply(data);
    if let Ok(reply) = cip::reply(data)
        && let Ok(replies) = cip::multiple_replies(&reply.data)
    {
        replies.iter().for_each(|reply| drop(cip::reply(reply)));
    }
    let _ = symbols::page(data, false);
    let _ = symbols::page(data, true);
    let mut templates = template::Templates::default();
    if let Ok(attributes) = template::attributes(data) {
        let _ = template::parse(&attributes, data);
    }
    for members in [1, 3, 9] {
        let attributes = template::Attributes { handle: 7, members, definition: 64, size: 64 };
        if let Ok(template) = template::parse(&attributes, data) {
            let _ = template.nested().count();
            templates.add(1, template);
        }
    }
    if let Ok((shape, body)) = value::split_type(data) {
        use guideway_contract::{DataType, Kind};
        let kinds = [
            Kind::Auto,
            Kind::Bool,
            Kind::I8,
            Kind::U32,
            Kind::F64,
            Kind::Bcd(8),
            Kind::Text(9),
            Kind::Chars(3),
            Kind::Bits(70),
            Kind::Bytes(9),
        ];
        for kind in kinds {
            for count in [None, Some(3)] {
                let _ = value::decode(shape, body, DataType { kind, count }, &templates);
            }
        }
        let _ = value::bit(shape, body, 17);
        let _ = value::bools(shape, body, 5, 40);
    }
    let _ = templates.record(7, data);
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            super::fuzz(&data);
        }

        #[test]
        fn no_bytes_behind_a_type_panic(
            code in proptest::sample::select(vec![0xC1_u16, 0xC4, 0xCA, 0xD0, 0xD3, 0xDA, 0x02A0]),
            data in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        ) {
            super::fuzz(&[&code.to_le_bytes()[..], &data].concat());
        }
    }
}
