//! The wire: 3E and 4E frames in binary code, commands and values, as pure functions of bytes (SLMP reference manual,
//! SH-080956ENG).

pub mod end_code;
pub mod frame;
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

/// For the fuzz target: reads any bytes as everything that a controller sends.
pub fn fuzz(data: &[u8]) {
    use guideway_contract::{DataType, Kind};
    for frame in [frame::Frame::E3, frame::Frame::E4] {
        let _ = frame::reply_head(frame, data);
    }
    if let Ok((code, rest)) = frame::reply_body(data) {
        let _ = end_code::words(code);
        let _ = frame::model(rest);
        let _ = frame::words(rest, rest.len() / 2);
    }
    let kinds = [
        Kind::Auto,
        Kind::Bool,
        Kind::I8,
        Kind::U16,
        Kind::I32,
        Kind::U64,
        Kind::F32,
        Kind::F64,
        Kind::Bcd(8),
        Kind::Text(5),
        Kind::WideText(5),
        Kind::Chars(3),
        Kind::Bits(19),
        Kind::Bytes(7),
    ];
    for kind in kinds {
        for count in [None, Some(2)] {
            for bit in [0, 3] {
                let _ = value::decode(data, bit, DataType { kind, count });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            super::fuzz(&data);
        }
    }
}
