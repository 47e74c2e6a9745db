//! Any bytes as what a device sends on a serial line, framed and typed in several ways.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_serial::codec::fuzz(bytes));
