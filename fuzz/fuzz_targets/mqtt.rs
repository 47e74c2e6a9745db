//! Any bytes as the payload of a message, in every form that a point or a topic can have.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway_mqtt::fuzz(bytes));
