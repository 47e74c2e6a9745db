//! Any bytes as frames and answers of a FANUC control.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_focas::codec::fuzz(bytes));
