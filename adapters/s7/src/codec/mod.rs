//! Bytes of S7 communication: RFC 1006 and ISO 8073 frames, S7 jobs, user data, values. Pure functions.

pub mod cause;
pub mod frame;
pub mod job;
pub mod text;
pub mod time;
pub mod user_data;
pub mod value;

/// What came is not what the protocol allows; the connection is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// It ends too early.
    #[error("{0} is cut short")]
    Short(&'static str),
    /// It says what it must not.
    #[error("{what} is {found:#x}, which cannot be")]
    Unexpected {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u32,
    },
    /// It answers another request.
    #[error("the answer is for request {found}, not {sent}")]
    Foreign {
        /// The number of the request.
        sent: u16,
        /// The number in the answer.
        found: u16,
    },
    /// The controller refuses the connection.
    #[error(
        "the controller refuses the connection (reason {0}); rack, slot, link or tsap are wrong, or all its connections are taken"
    )]
    Refused(u8),
}

/// Takes bytes off the front of a slice; never beyond its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`, which are called `what` in errors.
    pub(crate) const fn new(left: &'a [u8], what: &'static str) -> Self {
        Self { left, what }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(CodecError::Short(self.what))?;
        self.left = left;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, left) = self.left.split_first_chunk().ok_or(CodecError::Short(self.what))?;
        self.left = left;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CodecError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, CodecError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A byte that has to be `wanted`.
    pub(crate) fn expect(&mut self, what: &'static str, wanted: u8) -> Result<(), CodecError> {
        let found = self.u8()?;
        if found == wanted { Ok(()) } else { Err(CodecError::Unexpected { what, found: found.into() }) }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.left
    }
}

/// For the fuzz target: every decoder on the same bytes.
pub fn fuzz(data: &[u8]) {
    use guideway_contract::Kind;

    let _ = frame::length(data);
    let _ = frame::confirmed(data, 1);
    let _ = frame::payload(data);
    let _ = job::setup_reply(data, 1);
    for lengths in [&[4_u16][..], &[1, 2, 7], &[222]] {
        let _ = job::read_reply(data, 1, lengths);
    }
    let _ = job::write_reply(data, 1);
    if let Ok(part) = user_data::reply(data, 1, user_data::Group::Szl) {
        let _ = user_data::order_number(part.data);
        let _ = user_data::block_numbers(part.data);
        let _ = user_data::block_size(part.data);
    }
    let kinds = [Kind::Text(30), Kind::WideText(30), Kind::Chars(8), Kind::Bcd(8), Kind::Bits(12), Kind::F32];
    for kind in kinds {
        let data_type = guideway_contract::DataType { kind, count: Some(2) };
        let point = guideway_contract::PointSpec::new("DB1.0", data_type, crate::Point::default());
        if let Ok(layout) = crate::layout::Layout::new(&point) {
            let _ = value::decode(&layout, data);
        }
    }
    for format in time::ALL {
        let _ = time::decode(format, data);
    }
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            super::fuzz(&data);
        }

        #[test]
        fn no_bytes_behind_a_good_beginning_panic(
            kind in 0_usize..4,
            data in proptest::collection::vec(proptest::num::u8::ANY, 0..60),
        ) {
            let begins: [&[u8]; 4] = [
                &[0x32, 3, 0, 0, 0, 1, 0, 2, 0, 24, 0, 0, 4, 1],
                &[0x32, 3, 0, 0, 0, 1, 0, 2, 0, 24, 0, 0, 4, 3, 0xFF, 4],
                &[0x32, 7, 0, 0, 0, 1, 0, 12, 0, 24, 0, 1, 0x12, 8, 0x12, 0x84, 1, 1, 0, 0, 0, 0, 0xFF, 9],
                &[3, 0, 0, 22, 17, 0xD0, 0, 1],
            ];
            super::fuzz(&[begins[kind], &data].concat());
        }
    }
}
