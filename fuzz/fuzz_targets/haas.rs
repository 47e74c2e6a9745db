//! Any bytes as what a Haas control says on its port for machine data.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_haas::codec::fuzz(bytes));
