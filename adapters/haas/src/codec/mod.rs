//! Bytes to replies to values; pure.

mod frames;
mod reply;
mod value;

pub use frames::{Frames, Oversized};
pub use reply::{Reply, Verdict};
pub use value::{Want, decode, write};

/// Reads bytes as a control might send them; for the fuzz target.
pub fn fuzz(data: &[u8]) {
    use guideway_contract::{DataType, Kind};
    let mut frames = Frames::default();
    for piece in data.chunks(7) {
        frames.push(piece);
        loop {
            match frames.take() {
                Ok(Some(text)) => {
                    let reply = Reply::read(&text);
                    for address in [crate::Address::Query(500), crate::Address::Variable(5021)] {
                        let _ = reply.judge(address, &[]);
                    }
                    for kind in
                        [Kind::Auto, Kind::F64, Kind::I16, Kind::U64, Kind::Bool, Kind::Text(4), Kind::Fields]
                    {
                        for hms in [false, true] {
                            let want = Want { data_type: DataType::one(kind), field: None, hms };
                            let _ = decode(&want, &reply);
                        }
                    }
                }
                Ok(None) => break,
                Err(Oversized) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..3_000)) {
            super::fuzz(&data);
        }

        #[test]
        fn nothing_near_a_reply_panics(data in "(\\x02|\\x17|>|\r|\n|MACRO|, |[0-9.:?Q-]|NaN){0,60}") {
            super::fuzz(data.as_bytes());
        }
    }
}
