//! The three scenarios of NIST AMS 400-2, end to end: machines, PLCs and twins are processes of other people's
//! libraries, and between them stands the gateway alone.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]
#![allow(missing_docs, unreachable_pub, reason = "only the tests beside it use this")]

#[path = "../support/mod.rs"]
mod support;

mod commissioning;
mod health;
mod scheduling;
