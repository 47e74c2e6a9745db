//! Any bytes as what a Logix controller sends: encapsulation, CIP, symbols, templates, values.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_ethernet_ip::codec::fuzz(bytes));
