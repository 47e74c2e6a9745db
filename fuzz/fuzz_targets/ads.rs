//! Any bytes as frames, symbol tables, types and notifications of a TwinCAT controller.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_ads::codec::fuzz(bytes));
