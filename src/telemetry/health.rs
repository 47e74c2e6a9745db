//! `/health`: the state of the gateway as one JSON object.

use std::sync::atomic::Ordering::Relaxed;

use guideway_contract::{AdapterId, ConnectionState, Fault, Timestamp};
use serde_json::{Map, Value, json};

use super::{AdapterView, View};
use crate::control::{Control, End, Reason, State};
use crate::northbound::{mqtt, opcua};
use crate::pipeline::{self, SourceCounters};

/// The report, and whether the gateway is ready.
pub fn report(view: &View) -> (bool, Value) {
    let ready = view.ready.load(Relaxed);
    let bounds = view.journal.bounds();
    let (journal, stats) = (view.journal.health(), view.journal.stats());
    let now = Timestamp::now();
    let adapters: Vec<Value> = (0_u16..)
        .map(AdapterId)
        .zip(view.adapters.iter())
        .map(|(id, adapter)| describe(adapter, view.pipeline.adapter(id), now))
        .collect();
    let destinations: Vec<mqtt::Status> = view.destinations.iter().map(mqtt::Watch::status).collect();
    let requests: Vec<_> = view.control_mqtt.iter().map(mqtt::control::Watch::status).collect();
    let report = json!({
        "ready": ready,
        "gateway": &*view.gateway,
        "version": env!("CARGO_PKG_VERSION"),
        "instanceId": view.journal.instance_id(),
        "startedAt": view.started.to_string(),
        "uptimeSeconds": (now.nanos() - view.started.nanos()) / 1_000_000_000,
        "journal": {
            "firstSequence": bounds.first,
            "nextSequence": bounds.next,
            "bufferSize": view.journal.buffer_size(),
            "durable": journal.durable,
            "problem": journal.problem,
            "setAside": journal.set_aside,
            "appended": stats.appended,
            "notWritten": stats.not_written,
            "writeFailures": stats.write_failures,
            "segments": stats.segments,
            "bytes": stats.bytes,
            "syncLagSeconds": stats.sync_lag.as_secs_f64(),
            "recoverySeconds": stats.recovery.as_secs_f64(),
            "recovered": stats.recovered,
            "gaps": view.journal.ledger().len(),
        },
        "adapters": adapters,
        "destinations": destinations,
        "opcua": view.opcua.get().map(|stats| opc_ua(stats)),
        "control": view.control.as_ref().map(of_control),
        "controlMqtt": requests,
    });
    (ready, report)
}

/// Control; null when no machine permits a command.
fn of_control(control: &Control) -> Value {
    let switch = control.switch().borrow().clone();
    let counters = control.counters();
    let ends = State::ALL.iter().map(|state| (state.as_str().to_owned(), counters.ended(*state).into()));
    let reasons =
        Reason::ALL.iter().map(|reason| (reason, counters.reason(*reason))).filter(|(_, count)| *count > 0);
    let reasons: Map<String, Value> =
        reasons.map(|(reason, count)| (reason.as_str().to_owned(), count.into())).collect();
    let devices = control.status().into_iter().map(|status| {
        let running = status.running.map(|running| {
            json!({
                "id": running.id.as_str(), "command": running.command.as_str(),
                "requester": running.requester.as_str(), "since": running.since.to_string(),
            })
        });
        let device = json!({
            "connected": status.is_up, "running": running,
            "releasePending": status.release_pending.as_deref(),
            "last": status.last.as_ref().map(End::to_json),
        });
        (status.name.to_string(), device)
    });
    json!({
        "enabled": switch.on,
        "by": switch.by.as_str(),
        "reason": switch.reason,
        "since": switch.since.to_string(),
        "ends": Map::from_iter(ends),
        "reasons": reasons,
        "unaudited": counters.unaudited(),
        "devices": Map::from_iter(devices),
    })
}

/// The OPC UA server; null when there is none.
fn opc_ua(stats: &opcua::Stats) -> Value {
    json!({
        "connections": stats.connections.load(Relaxed),
        "sessions": stats.sessions.load(Relaxed),
        "subscriptions": stats.subscriptions.load(Relaxed),
        "values": stats.values.load(Relaxed),
        "events": stats.events.load(Relaxed),
        "eventsLost": stats.events_lost.load(Relaxed),
        "missed": stats.missed.load(Relaxed),
        "turnedAway": stats.turned_away.load(Relaxed),
        "cutOff": stats.cut_off.load(Relaxed),
    })
}

fn describe(adapter: &AdapterView, tally: Option<&SourceCounters>, now: Timestamp) -> Value {
    let health = &adapter.health;
    let counters = &health.counters;
    let faults: Map<String, Value> =
        Fault::ALL.iter().map(|fault| (fault.as_str().into(), counters.faults(*fault).into())).collect();
    let examples: Map<String, Value> =
        health.examples().into_iter().map(|(fault, text)| (fault.as_str().into(), text.into())).collect();
    let pipeline: Map<String, Value> = tally.map_or_else(Map::new, |tally| {
        pipeline::Reason::ALL
            .iter()
            .map(|reason| (reason.as_str().into(), tally.get(*reason).into()))
            .collect()
    });
    let trouble: Map<String, Value> = tally.map_or_else(Map::new, |tally| {
        tally.examples().into_iter().map(|(reason, text)| (reason.as_str().into(), text.into())).collect()
    });
    let age = health.last_arrival().map(|at| (now.nanos() - at.nanos()).max(0) / 1_000_000);
    json!({
        "name": adapter.name,
        "protocol": adapter.protocol,
        "endpoint": adapter.endpoint,
        "connected": health.state() == ConnectionState::Established,
        "state": health.state().as_str(),
        "lastError": health.last_error(),
        "lastArrival": health.last_arrival().map(|at| at.to_string()),
        "lastArrivalAgeMs": age,
        "clockOffsetMs": health.clock_offset() as f64 / 1e6,
        "sessions": counters.sessions.load(Relaxed),
        "failedAttempts": counters.failed_attempts.load(Relaxed),
        "bytes": counters.bytes.load(Relaxed),
        "frames": counters.frames.load(Relaxed),
        "readings": counters.readings.load(Relaxed),
        "assets": counters.assets.load(Relaxed),
        "faults": faults,
        "firstFaults": examples,
        "pipeline": pipeline,
        "firstTrouble": trouble,
    })
}
