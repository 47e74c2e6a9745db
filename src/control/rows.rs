//! What of requests and their ends stands in the audit.

use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::audit::Stamp;
use super::engine::Weight;
use super::{Claim, End};

/// Longest name of a device or command in the audit, in characters: a restart looks the device up by it.
const MOST_NAME: usize = 256;

/// How a row is named to those outside.
pub(super) fn stamped(stamp: &Stamp) -> (u64, SmolStr) {
    (stamp.number, stamp.hash.clone())
}

/// As much of somebody's text as a message needs.
pub(super) fn short(text: &str) -> String {
    clean(text, 64)
}

/// The same with another length, in characters.
pub(super) fn clean(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// The first row of a request.
pub(super) fn request_row(claim: &Claim) -> Map<String, Json> {
    let mut row = who(claim);
    row.insert(
        "roles".to_owned(),
        claim.requester.roles.iter().map(|role| role.as_str().into()).collect::<Vec<Json>>().into(),
    );
    row.insert("arguments".to_owned(), Json::Object(claim.arguments.clone()));
    row.insert("expires".to_owned(), claim.expires.to_string().into());
    row.insert("dryRun".to_owned(), claim.dry_run.into());
    if let Some(reply) = &claim.reply_to {
        let correlation = reply
            .correlation
            .as_ref()
            .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let reply = serde_json::json!({
            "destination": reply.destination.as_str(), "topic": reply.topic.as_str(), "correlation": correlation,
        });
        row.insert("reply".to_owned(), reply);
    }
    row
}

fn who(claim: &Claim) -> Map<String, Json> {
    let mut row = Map::new();
    row.insert("requester".to_owned(), claim.requester.name.as_str().into());
    row.insert("face".to_owned(), claim.requester.face.as_str().into());
    row.insert("device".to_owned(), clean(&claim.device, MOST_NAME).into());
    row.insert("command".to_owned(), clean(&claim.command, MOST_NAME).into());
    row
}

/// Its last row.
pub(super) fn end_row(claim: &Claim, end: &End, weight: Weight) -> Map<String, Json> {
    let mut row = who(claim);
    let Json::Object(said) = end.to_json() else { return row };
    for (key, value) in said {
        if !["id", "device", "command", "time", "audit"].contains(&key.as_str()) {
            row.insert(key, value);
        }
    }
    if weight != Weight::Counts {
        row.insert("counts".to_owned(), false.into());
    }
    row
}
