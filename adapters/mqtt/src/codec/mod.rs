//! Payloads as pure functions of bytes: JSON and pointers into it, times, bytes in text, types, templates.

mod bytes;
mod json;
mod template;
mod time;
mod typed;

pub(crate) use bytes::{base64, hex};
pub(crate) use json::{Pointer, native, scalar_text};
pub(crate) use template::Template;
pub(crate) use time::read as read_time;
pub(crate) use typed::{Cut, coerce, from_bytes};

/// A JSON payload; the error says where it ends to be one. Nesting deeper than 128 is refused.
pub(crate) fn parse(payload: &[u8]) -> Result<serde_json::Value, String> {
    let payload = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
    serde_json::from_slice(payload).map_err(|error| error.to_string())
}

/// Reads any bytes in every way there is; for the fuzz target.
pub fn fuzz(data: &[u8]) {
    use guideway_contract::{DataType, Kind};

    let (head, payload) = data.split_at(data.len().min(8));
    let text = String::from_utf8_lossy(payload);
    let _ = (hex(&text), base64(&text), Template::new(&text));
    let pick = usize::from(head.first().copied().unwrap_or_default());
    let kinds = [
        Kind::Auto,
        Kind::Bool,
        Kind::I16,
        Kind::U64,
        Kind::F32,
        Kind::Text(9),
        Kind::Bytes(3),
        Kind::Bits(9),
    ];
    let data_type = DataType { kind: kinds[pick % kinds.len()], count: (pick > 128).then_some(2) };
    let cut = Cut {
        start: u32::from(head.get(1).copied().unwrap_or_default()),
        little: pick % 2 == 1,
        bits: head
            .get(2)
            .map(|offset| (u32::from(*offset), u32::from(head.get(3).copied().unwrap_or_default()))),
    };
    let _ = from_bytes(payload, data_type, cut);
    if let Ok(value) = parse(payload) {
        let _ = coerce(native(&value), data_type);
        for format in
            [crate::config::TimeFormat::Auto, crate::config::TimeFormat::S, crate::config::TimeFormat::Ns]
        {
            let _ = read_time(&value, format);
        }
        let pointer = String::from_utf8_lossy(head);
        if let Ok(pointer) = Pointer::parse(&format!("/{pointer}")) {
            let _ = pointer.find(&value);
        }
        crate::keyed::fuzz(&value);
    }
    crate::keyed::fuzz_payload(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn deep_nesting_is_refused() {
        assert!(parse(&[b'['; 200_000]).unwrap_err().contains("recursion limit"));
        assert!(parse(b"\xEF\xBB\xBF{\"a\":1}").is_ok());
    }

    proptest! {
        #[test]
        fn no_payload_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz(&bytes);
        }

        #[test]
        fn no_json_panics(head in "[ -~]{8}", text in "[\\[\\]{}:,\"a-c0-9.eE+-]{0,60}") {
            fuzz(format!("{head}{text}").as_bytes());
        }
    }
}
