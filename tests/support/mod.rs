//! What tests of the whole gateway need: the gateway as a process, sources for it to read, a
//! broker, and a plain HTTP client.

#![allow(dead_code, reason = "each test file uses the part that it needs")]
#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(missing_docs, unreachable_pub, reason = "only the tests beside it use this")]

pub mod broker;
pub mod cell;
pub mod control;
pub mod counting;
pub mod demo;
pub mod gateway;
pub mod http;
pub mod opcua;
pub mod schema;
pub mod source;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Waits for something to become true, looking every few milliseconds; fails after `within`.
pub fn eventually<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        // A receiver that nobody sends to is a timer.
        let _ = never.recv_timeout(Duration::from_millis(5));
    }
}

/// The folder with shared facts, schemas and recordings. `None`, said clearly, where it is absent;
/// CI always has it.
pub fn shared(test: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "CI has ../shared");
    println!("SKIPPED {test}: there is no ../shared beside the project");
    None
}
