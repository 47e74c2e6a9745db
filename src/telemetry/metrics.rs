//! `/metrics`: everything that is counted, for Prometheus.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use guideway_contract::{AdapterId, ConnectionState, Fault};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{AdapterView, View};
use crate::control::{self, Control};
use crate::northbound::mqtt::{self, State, Status, Watch};
use crate::northbound::mtconnect::Stats;
use crate::northbound::opcua;
use crate::pipeline::Reason;

/// The text of OpenMetrics, and its content type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted, as OpenMetrics text.
pub fn encode(view: &View) -> String {
    let mut registry = Registry::with_prefix("guideway");
    registry.register_collector(Box::new(Counts(view.clone())));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

struct Counts(View);

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counts")
    }
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Counts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let view = &self.0;
        adapters(&mut encoder, &view.adapters)?;
        pipeline(&mut encoder, view)?;
        journal(&mut encoder, view)?;
        destinations(&mut encoder, view)?;
        view.control.as_ref().map_or(Ok(()), |control| of_control(&mut encoder, control))?;
        control_mqtt(&mut encoder, view)?;
        view.http.get().map_or(Ok(()), |stats| http(&mut encoder, stats))?;
        view.opcua.get().map_or(Ok(()), |stats| opc_ua(&mut encoder, stats))
    }
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: &[(Labels<'_>, u64)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in rows {
        ConstCounter::new(*count).encode(family.encode_family(&labels.as_slice())?)?;
    }
    Ok(())
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: &[(Labels<'_>, f64)],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        ConstGauge::new(*value).encode(family.encode_family(&labels.as_slice())?)?;
    }
    Ok(())
}

fn adapters(encoder: &mut DescriptorEncoder<'_>, adapters: &[AdapterView]) -> fmt::Result {
    type Count = fn(&guideway_contract::Counters) -> u64;
    let counts: [(&str, &str, Count); 6] = [
        ("adapter_sessions", "Sessions that were established", |c| c.sessions.load(Relaxed)),
        ("adapter_failed_attempts", "Connection attempts that failed", |c| c.failed_attempts.load(Relaxed)),
        ("adapter_bytes", "Bytes read", |c| c.bytes.load(Relaxed)),
        ("adapter_frames", "Lines or frames read", |c| c.frames.load(Relaxed)),
        ("adapter_readings", "Readings sent to the pipeline", |c| c.readings.load(Relaxed)),
        ("adapter_assets", "Assets sent to the journal", |c| c.assets.load(Relaxed)),
    ];
    let label = |adapter: &'_ AdapterView| -> String { adapter.name.clone() };
    let names: Vec<String> = adapters.iter().map(label).collect();
    for (name, help, count) in counts {
        let rows: Vec<_> = adapters
            .iter()
            .zip(&names)
            .map(|(adapter, label)| (vec![("adapter", label.as_str())], count(&adapter.health.counters)))
            .collect();
        counters(encoder, name, help, &rows)?;
    }
    let faults: Vec<_> = adapters
        .iter()
        .zip(&names)
        .flat_map(|(adapter, label)| {
            Fault::ALL.map(|fault| {
                let labels = vec![("adapter", label.as_str()), ("fault", fault.as_str())];
                (labels, adapter.health.counters.faults(fault))
            })
        })
        .collect();
    counters(encoder, "adapter_faults", "What arrived and could not be used", &faults)?;
    let connected: Vec<_> = adapters
        .iter()
        .zip(&names)
        .map(|(adapter, label)| {
            let up = adapter.health.state() == ConnectionState::Established;
            (vec![("adapter", label.as_str())], f64::from(u8::from(up)))
        })
        .collect();
    gauges(encoder, "adapter_connected", "1 while a session is up", &connected)?;
    let offsets: Vec<_> = adapters
        .iter()
        .zip(&names)
        .map(|(adapter, label)| {
            (vec![("adapter", label.as_str())], adapter.health.clock_offset() as f64 / 1e9)
        })
        .collect();
    gauges(encoder, "adapter_clock_offset_seconds", "The source's clock minus ours", &offsets)
}

fn pipeline(encoder: &mut DescriptorEncoder<'_>, view: &View) -> fmt::Result {
    let mut rows: Vec<(Labels<'_>, u64)> = Vec::new();
    let own = view.pipeline.own();
    let named = (0_u16..).map(AdapterId).zip(view.adapters.iter());
    let tallies = named
        .filter_map(|(id, adapter)| Some((adapter.name.as_str(), view.pipeline.adapter(id)?)))
        .chain([("", own)]);
    for (adapter, tally) in tallies {
        for reason in Reason::ALL {
            let labels = vec![("adapter", adapter), ("stage", reason.stage()), ("reason", reason.as_str())];
            rows.push((labels, tally.get(reason)));
        }
    }
    counters(encoder, "pipeline", "What became of values; without an adapter: the gateway's own", &rows)
}

fn http(encoder: &mut DescriptorEncoder<'_>, stats: &Stats) -> fmt::Result {
    let counts = [
        ("accepted", &stats.accepted),
        ("turned_away", &stats.turned_away),
        ("requests", &stats.requests),
        ("cached", &stats.cached),
        ("refused", &stats.refused),
        ("commands", &stats.commands),
        ("malformed", &stats.malformed),
        ("timeouts", &stats.timeouts),
        ("encoded", &stats.encoded),
        ("shared_parts", &stats.shared_parts),
        ("own_parts", &stats.own_parts),
        ("sent_parts", &stats.sent_parts),
        ("lagged", &stats.lagged),
        ("cut_off", &stats.cut_off),
    ];
    let rows: Vec<_> = counts.iter().map(|(what, count)| (vec![("what", *what)], count.get())).collect();
    counters(encoder, "http", "What the HTTP face did", &rows)?;
    let open = [("connections", &stats.connections), ("streams", &stats.streams), ("groups", &stats.groups)];
    let rows: Vec<_> = open.iter().map(|(what, count)| (vec![("what", *what)], count.get() as f64)).collect();
    gauges(encoder, "http_open", "What is open at the HTTP face", &rows)
}

fn control_mqtt(encoder: &mut DescriptorEncoder<'_>, view: &View) -> fmt::Result {
    let statuses: Vec<_> = view.control_mqtt.iter().map(mqtt::control::Watch::status).collect();
    let counts = statuses.iter().flat_map(|status| {
        [
            ("requests", status.requests),
            ("duplicates", status.duplicates),
            ("refused", status.refused),
            ("answers", status.answers),
            ("lost", status.lost),
            ("renewed", status.renewed),
            ("reconnects", status.reconnects),
        ]
        .map(|(what, count)| (vec![("broker", status.name.as_str()), ("what", what)], count))
    });
    let counts: Vec<(Labels<'_>, u64)> = counts.collect();
    counters(encoder, "control_mqtt", "What came on the request topics of each broker", &counts)?;
    let connected = statuses.iter().map(|status| {
        let is = status.state == State::Connected;
        (vec![("broker", status.name.as_str())], f64::from(u8::from(is)))
    });
    let connected: Vec<(Labels<'_>, f64)> = connected.collect();
    gauges(encoder, "control_mqtt_connected", "1 while the broker is connected", &connected)?;
    let waiting: Vec<(Labels<'_>, f64)> = statuses
        .iter()
        .map(|status| (vec![("broker", status.name.as_str())], status.waiting as f64))
        .collect();
    gauges(encoder, "control_mqtt_waiting", "Answers that wait for the broker", &waiting)
}

fn of_control(encoder: &mut DescriptorEncoder<'_>, control: &Control) -> fmt::Result {
    let counters_of = control.counters();
    let ends: Vec<_> = control::State::ALL
        .iter()
        .map(|state| (vec![("state", state.as_str())], counters_of.ended(*state)))
        .collect();
    counters(encoder, "control_ends", "Requests for commands, by how they ended", &ends)?;
    let reasons: Vec<_> = control::Reason::ALL
        .iter()
        .map(|reason| (vec![("reason", reason.as_str())], counters_of.reason(*reason)))
        .collect();
    counters(encoder, "control_reasons", "Requests that did not end well, by the reason", &reasons)?;
    let unaudited = [(Vec::new(), counters_of.unaudited())];
    counters(
        encoder,
        "control_unaudited",
        "Refusals, of strangers and of those who ask too often, that came too fast for a row each",
        &unaudited,
    )?;
    let on = f64::from(u8::from(control.switch().borrow().on));
    gauges(encoder, "control_enabled", "Whether commands are carried out", &[(Vec::new(), on)])
}

fn opc_ua(encoder: &mut DescriptorEncoder<'_>, stats: &opcua::Stats) -> fmt::Result {
    let counts = [
        ("values", &stats.values),
        ("events", &stats.events),
        ("events_lost", &stats.events_lost),
        ("missed", &stats.missed),
        ("turned_away", &stats.turned_away),
        ("cut_off", &stats.cut_off),
    ];
    let rows: Vec<_> =
        counts.iter().map(|(what, count)| (vec![("what", *what)], count.load(Relaxed))).collect();
    counters(encoder, "opcua", "What the OPC UA server did", &rows)?;
    let open = [
        ("connections", &stats.connections),
        ("sessions", &stats.sessions),
        ("subscriptions", &stats.subscriptions),
    ];
    let rows: Vec<_> =
        open.iter().map(|(what, count)| (vec![("what", *what)], count.load(Relaxed) as f64)).collect();
    gauges(encoder, "opcua_open", "What is open at the OPC UA server", &rows)
}

fn journal(encoder: &mut DescriptorEncoder<'_>, view: &View) -> fmt::Result {
    let (bounds, stats) = (view.journal.bounds(), view.journal.stats());
    let counts = [
        ("journal_observations", "Observations appended since the start", stats.appended),
        ("journal_unknown_items", "Observations of items that are not in the model", stats.unknown_items),
        ("journal_not_written", "Observations in memory only, because the disk refused", stats.not_written),
        ("journal_write_failures", "Batches that the disk refused", stats.write_failures),
    ];
    for (name, help, count) in counts {
        counters(encoder, name, help, &[(Vec::new(), count)])?;
    }
    let lost: u64 = view.journal.ledger().iter().map(|gap| gap.count).sum();
    let values = [
        ("journal_first_sequence", "The oldest sequence in memory", bounds.first as f64),
        ("journal_next_sequence", "The sequence the next observation gets", bounds.next as f64),
        ("journal_segments", "Segments on disk", stats.segments as f64),
        ("journal_disk_bytes", "Bytes of all segments on disk", stats.bytes as f64),
        ("journal_sync_lag_seconds", "Age of what is not yet synced", stats.sync_lag.as_secs_f64()),
        ("journal_recovery_seconds", "How long opening took", stats.recovery.as_secs_f64()),
        ("journal_lost_observations", "Observations in the loss ledger", lost as f64),
    ];
    for (name, help, value) in values {
        gauges(encoder, name, help, &[(Vec::new(), value)])?;
    }
    Ok(())
}

fn destinations(encoder: &mut DescriptorEncoder<'_>, view: &View) -> fmt::Result {
    let statuses: Vec<Status> = view.destinations.iter().map(Watch::status).collect();
    let label = |status: &'_ Status, what: &'static str| -> Vec<(&'static str, String)> {
        vec![("destination", status.name.clone()), ("what", what.to_owned())]
    };
    let mut counts = Vec::new();
    for status in &statuses {
        counts.push((label(status, "published"), status.published));
        counts.push((label(status, "acknowledged"), status.acknowledged));
        counts.push((label(status, "retried"), status.retried));
        counts.push((label(status, "refused"), status.refused));
        counts.push((label(status, "gaps"), status.gaps));
        counts.push((label(status, "reconnects"), status.reconnects));
    }
    let counts: Vec<(Labels<'_>, u64)> = counts
        .iter()
        .map(|(labels, count)| (labels.iter().map(|(key, text)| (*key, text.as_str())).collect(), *count))
        .collect();
    counters(encoder, "destination", "What each MQTT destination did", &counts)?;
    let each = |of: fn(&Status) -> f64| -> Vec<(Labels<'_>, f64)> {
        statuses.iter().map(|status| (vec![("destination", status.name.as_str())], of(status))).collect()
    };
    let backlog = each(|status| status.backlog as f64);
    gauges(encoder, "destination_backlog", "Observations not yet acknowledged", &backlog)?;
    let connected = each(|status| f64::from(u8::from(status.state == State::Connected)));
    gauges(encoder, "destination_connected", "1 while the broker is connected", &connected)
}
