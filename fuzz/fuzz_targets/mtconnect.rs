//! Any bytes as documents of an MTConnect agent, in XML and JSON, and as a stream of parts.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_mtconnect::codec::fuzz(bytes));
