//! From files to text: whatever the encoding, at most so long.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The longest file that is read. A device with 5,000 data items takes about 1 MB.
const MAX_BYTES: u64 = 256 << 20;

/// The text of a file, or what is wrong with it and the cure.
pub(super) fn read(path: &Path) -> Result<String, (String, String)> {
    let mut bytes = Vec::new();
    let refused = |what: String, cure: &str| (what, cure.to_owned());
    let file = File::open(path).map_err(|error| {
        refused(format!("cannot be opened: {error}"), "check the path and its permissions")
    })?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| {
        refused(format!("cannot be read: {error}"), "check that it is a file, and the disk")
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refused(
            format!("is longer than {} MB", MAX_BYTES >> 20),
            "split the devices over several files",
        ));
    }
    decode(bytes)
}

/// Text of XML bytes: UTF-8, UTF-16 with a byte order mark, or ISO 8859-1 where declared.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, (String, String)> {
    let refused = |what: &str| (what.to_owned(), "save the file as UTF-8".to_owned());
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(refused("is UTF-16 with half a character at its end"));
        }
        let units = pairs.iter().map(|pair| unit(*pair));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| refused("is not valid UTF-16"))
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Err(refused("is UTF-32")),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [b'<', 0, ..] => wide(&bytes, u16::from_le_bytes),
        [0, b'<', ..] => wide(&bytes, u16::from_be_bytes),
        _ => match String::from_utf8(bytes) {
            Ok(mut text) => {
                if text.starts_with('\u{FEFF}') {
                    text.drain(..'\u{FEFF}'.len_utf8());
                }
                Ok(text)
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let bytes = error.into_bytes();
                // In ISO 8859-1 each byte is the code point of the same number.
                if declares_latin_1(&bytes) {
                    return Ok(bytes.iter().map(|byte| char::from(*byte)).collect());
                }
                let line = 1 + memchr::memchr_iter(b'\n', &bytes[..at]).count();
                Err(refused(&format!("is not UTF-8 (line {line}) and does not say what else it is")))
            }
        },
    }
}

fn declares_latin_1(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(200)];
    let head = &head[..memchr::memchr(b'>', head).unwrap_or(head.len())];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    ["iso-8859-1", "latin1", "windows-1252"].iter().any(|name| head.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_in_the_field_are_read() {
        let xml = "<a b=\"Drehkräfte\"/>";
        let units: Vec<u16> = xml.encode_utf16().collect();
        let little = units.iter().flat_map(|unit| unit.to_le_bytes());
        let big = units.iter().flat_map(|unit| unit.to_be_bytes());
        let latin = "<?xml version='1.0' encoding='ISO-8859-1'?>".bytes().chain(xml.chars().map(|c| c as u8));
        for bytes in [
            xml.as_bytes().to_vec(),
            [b"\xEF\xBB\xBF", xml.as_bytes()].concat(),
            [0xFF, 0xFE].into_iter().chain(little.clone()).collect(),
            [0xFE, 0xFF].into_iter().chain(big.clone()).collect(),
            little.collect(),
            big.collect(),
        ] {
            assert_eq!(decode(bytes).expect("reads"), xml);
        }
        assert!(decode(latin.collect()).expect("reads").ends_with(xml));
    }

    #[test]
    fn other_encodings_are_named_and_refused() {
        for (bytes, what) in [
            (b"<a>\n\xE4</a>".to_vec(), "line 2"),
            (vec![0xFF, 0xFE, 0, 0, b'<', 0, 0, 0], "UTF-32"),
            (vec![0xFF, 0xFE, b'<'], "half a character"),
            (vec![0xFF, 0xFE, 0, 0xD8], "UTF-16"),
        ] {
            let (found, cure) = decode(bytes).expect_err("refused");
            assert!(found.contains(what), "{found}");
            assert!(cure.contains("UTF-8"));
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told() {
        let (what, _) = read(Path::new("/no/such/file.xml")).expect_err("refused");
        assert!(what.contains("cannot be opened"), "{what}");
    }
}
