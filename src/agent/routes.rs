//! Routes of the HTTP face that are about the gateway itself.

use std::sync::Arc;

use bytes::Bytes;

use crate::northbound::mtconnect::{Extra, Reply};
use crate::telemetry::{View, health, metrics, server};

const JSON: &str = "application/json";

/// Status, content type and body of `/health`, `/ledger` and, where wanted, `/metrics`.
fn answer(view: &View, with_metrics: bool, path: &str) -> Option<(u16, &'static str, Bytes)> {
    match path.trim_end_matches('/') {
        "/health" => {
            let (ready, report) = health::report(view);
            Some((if ready { 200 } else { 503 }, JSON, pretty(&report)))
        }
        "/ledger" => {
            let ledger = serde_json::json!({
                "instanceId": view.journal.instance_id(),
                "gaps": view.journal.ledger(),
            });
            Some((200, JSON, pretty(&ledger)))
        }
        "/metrics" if with_metrics => Some((200, metrics::CONTENT_TYPE, metrics::encode(view).into())),
        _ => None,
    }
}

/// The routes beside the MTConnect documents.
pub(super) fn extra(view: View, with_metrics: bool) -> Extra {
    Arc::new(move |path, _query| {
        answer(&view, with_metrics, path).map(|(status, kind, body)| Reply::new(status, kind, body))
    })
}

/// The routes at an address of their own.
pub(super) fn own(view: View, with_metrics: bool) -> server::Answers {
    Arc::new(move |path| answer(&view, with_metrics, path))
}

fn pretty(value: &serde_json::Value) -> Bytes {
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into()
}
