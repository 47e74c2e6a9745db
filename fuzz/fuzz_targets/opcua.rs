//! Any bytes as a value of an OPC UA server, and as a structure that nests in itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_opcua::codec::fuzz(bytes));
