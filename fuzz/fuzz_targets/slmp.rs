//! Any bytes as replies of a MELSEC controller, in both frames, and as values.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_slmp::codec::fuzz(bytes));
