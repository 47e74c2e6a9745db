//! Routes of the HTTP face that are about the gateway itself.

use std::sync::Arc;

use crate::northbound::mtconnect::{Extra, Reply};
use crate::telemetry::{View, health, metrics};

const JSON: &str = "application/json";

/// `/health`, `/ledger` and, where wanted, `/metrics`.
pub(super) fn extra(view: View, with_metrics: bool) -> Extra {
    Arc::new(move |path, _query| match path.trim_end_matches('/') {
        "/health" => {
            let (ready, report) = health::report(&view);
            Some(Reply::new(if ready { 200 } else { 503 }, JSON, pretty(&report)))
        }
        "/ledger" => {
            let ledger = serde_json::json!({
                "instanceId": view.journal.instance_id(),
                "gaps": view.journal.ledger(),
            });
            Some(Reply::new(200, JSON, pretty(&ledger)))
        }
        "/metrics" if with_metrics => Some(Reply::new(200, metrics::CONTENT_TYPE, metrics::encode(&view))),
        _ => None,
    })
}

fn pretty(value: &serde_json::Value) -> bytes::Bytes {
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into()
}
