//! Any bytes as a signed request, as the header of one, and as claims behind a signature that fits.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guideway::control::token::fuzz(bytes));
