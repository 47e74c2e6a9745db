//! Control over HTTP: a foreign Modbus peer behind the gateway, and clients that speak bytes before it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test says what it measured")]

mod support;

#[path = "control_http/asking.rs"]
mod asking;
#[path = "control_http/hall.rs"]
mod hall;
#[path = "control_http/hostile.rs"]
mod hostile;
#[path = "control_http/showing.rs"]
mod showing;
