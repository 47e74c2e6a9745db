//! What control tells the journal.

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{Cell, DataSet, Entry, Timestamp, Value};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot};

use super::{Claim, End};

/// How long a note may take until it can be read: the ingest thread is behind then.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest arguments in an observation, in bytes; the audit has them whole.
const MOST_ARGUMENTS: usize = 2_048;

/// An observation that control makes.
#[derive(Debug)]
pub struct Note {
    /// The data item's id.
    pub item: SmolStr,
    /// When.
    pub time: Timestamp,
    /// What.
    pub value: Value,
    /// Told when it can be read.
    pub done: oneshot::Sender<()>,
}

/// Hands a note over and waits until it can be read, so that what the machine does comes after it in the sequence.
/// Whether that was soon.
pub(super) async fn send(notes: &mpsc::Sender<Note>, item: &SmolStr, value: Value) -> bool {
    let (done, taken) = oneshot::channel();
    let note = Note { item: item.clone(), time: Timestamp::now(), value, done };
    let sent = async {
        if notes.send(note).await.is_ok() {
            // Dropped without a word: there is no such data item.
            let _ = taken.await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, sent).await.is_ok();
    if !in_time {
        tracing::warn!(item = %item, "an observation of control was not taken in time");
    }
    in_time
}

/// A command that runs, as its observation tells it.
pub(super) fn running(claim: &Claim, arguments: &Map<String, Json>) -> Value {
    set(claim, arguments, "running", "", "", "")
}

/// How a command ended, as its observation tells it.
pub(super) fn ended(claim: &Claim, arguments: &Map<String, Json>, end: &End) -> Value {
    let reason = end.reason.map_or("", super::Reason::as_str);
    let (row, hash) = &end.audit;
    let audit = if *row > 0 { format!("{row}:{hash}") } else { String::new() };
    set(claim, arguments, end.state.as_str(), reason, &end.detail, &audit)
}

fn set(
    claim: &Claim,
    arguments: &Map<String, Json>,
    state: &str,
    reason: &str,
    detail: &str,
    audit: &str,
) -> Value {
    let mut text = serde_json::Value::Object(arguments.clone()).to_string();
    if text.len() > MOST_ARGUMENTS {
        "(long)".clone_into(&mut text);
    }
    // Each is told whole: it replaces what was told of the command before.
    let entries = [
        ("id", claim.id.as_str()),
        ("command", claim.command.as_str()),
        ("arguments", &text),
        ("requester", claim.requester.name.as_str()),
        ("face", claim.requester.face.as_str()),
        ("dryRun", if claim.dry_run { "true" } else { "false" }),
        ("state", state),
        ("reason", reason),
        ("detail", detail),
        ("audit", audit),
    ];
    let entries =
        entries.into_iter().map(|(key, text)| Entry { key: key.into(), cell: Cell::Text(text.into()) });
    Value::DataSet(Arc::new(DataSet::new(Some("ACTION_COMPLETE".into()), entries.collect())))
}
