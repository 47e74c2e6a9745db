//! Bytes to frames to texts to values, and values to texts; pure.

mod frames;
mod text;
mod value;

pub use frames::{Frames, Unreadable};
pub use text::{decode, encode};
pub use value::{Want, read, split};

pub(crate) use value::{pick, range};

use guideway_contract::Kind;

use crate::{Checksum, Encoding, Frame};

/// Reads bytes as a device might send them, framed and typed in several ways; for the fuzz target.
pub fn fuzz(data: &[u8]) {
    let frame = |start: &str, end: &str, length, gap: Option<u64>| Frame {
        start: start.into(),
        end: end.into(),
        length,
        gap: gap.map(std::time::Duration::from_millis),
    };
    let framings = [
        (frame("", "", None, None), Checksum::None),
        (frame("\u{2}", "\u{3}", None, None), Checksum::Xor),
        (frame("", "\r\n", None, None), Checksum::Sum),
        (frame("\u{2}", "", Some(9), None), Checksum::None),
        (frame("", "", None, Some(50)), Checksum::None),
    ];
    for (framing, checksum) in framings {
        let mut frames = Frames::new(&framing, checksum, 64);
        for piece in data.chunks(11) {
            frames.push(piece);
            loop {
                match frames.take() {
                    Ok(Some(bytes)) => typed(&bytes),
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
        }
        if let Ok(Some(bytes)) = frames.flush() {
            typed(&bytes);
        }
    }
}

fn typed(bytes: &[u8]) {
    for encoding in [Encoding::Ascii, Encoding::Latin1, Encoding::Utf8] {
        let text = decode(bytes, encoding);
        for kind in
            [Kind::Auto, Kind::F64, Kind::F32, Kind::I16, Kind::U64, Kind::Bool, Kind::Text(3), Kind::Fields]
        {
            let want = Want { radix: 16, strip_units: true, ..Want::new(kind) };
            let _ = (read(&want, &text), read(&Want::new(kind), &text));
        }
    }
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            super::fuzz(&data);
        }

        #[test]
        fn nothing_near_a_frame_panics(data in "(\\x02|\\x03|\r|\n|[0-9.,+*ErX-]| |é|kg|00){0,80}") {
            super::fuzz(data.as_bytes());
        }
    }
}
