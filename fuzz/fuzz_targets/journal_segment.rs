//! Bytes of a segment file to the journal's reader, as they are, and payloads without their
//! checksums, which random bytes never pass.
#![no_main]

use guideway::journal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = journal::inspect(bytes);
    journal::inspect_unchecked(bytes);
});
