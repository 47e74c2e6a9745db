//! MQTT destinations against a real mosquitto and a real subscriber.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and say what is skipped"
)]

mod broker;
mod machine;

mod connection;
mod delivery;
mod layouts;
