//! Any bytes as replies to every Modbus request, over TCP and on a serial line, and as values.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_modbus::codec::fuzz(bytes));
