//! Dies right after a row of the audit, where a test asks for it.
//!
//! Some steps of a command pass too fast to be hit from outside, and each of them has to be survived: with
//! `GUIDEWAY_HALT_AFTER=write:2` the process is killed (SIGKILL, nothing is tidied up) when the row of the second write
//! stands in the audit. Debug builds only: a release has nothing of this.

use std::sync::OnceLock;

use rustix::process::{Signal, getpid, kill_process};

use super::audit::What;

/// The row that is waited for; with a colon, of that step.
const VARIABLE: &str = "GUIDEWAY_HALT_AFTER";

static WANTED: OnceLock<Option<String>> = OnceLock::new();

/// A row was written.
pub(super) fn after(what: What, step: Option<u64>) {
    let Some(wanted) = WANTED.get_or_init(|| std::env::var(VARIABLE).ok()) else { return };
    let (word, of) = wanted.split_once(':').map_or((wanted.as_str(), None), |(word, of)| (word, Some(of)));
    if word == what.as_str() && of.is_none_or(|of| of.parse().ok() == step) {
        tracing::warn!(wanted, "killed as {VARIABLE} says");
        // There is nobody left to tell when this fails.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
