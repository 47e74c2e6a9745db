//! Any bytes as what an S7 controller sends: frames, replies, lists of its own, values.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_s7::codec::fuzz(bytes));
