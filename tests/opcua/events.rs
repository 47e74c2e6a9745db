//! Conditions and messages, as foreign clients subscribe to them by default.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::opcua::{Peer, Spoken, Stage, node};

const SOON: Duration = Duration::from_secs(120);

/// Collects events until enough of them are there.
fn collect(peer: &mut Peer, what: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let deadline = Instant::now() + SOON;
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    while !enough(&all) {
        let events = peer.get(json!({"do": "heard_events"}));
        all.extend(events.as_array().unwrap().iter().cloned());
        let last: String = all.last().map(ToString::to_string).unwrap_or_default();
        assert!(Instant::now() < deadline, "{}: not {what} but {}, at last {last}", peer.name, all.len());
        // A receiver that nobody sends to is a timer.
        let _ = never.recv_timeout(Duration::from_millis(50));
    }
    all
}

/// Events of that condition; (severity, message) each.
fn of<'e>(events: &'e [Value], id: &str) -> Vec<(&'e Value, &'e Value)> {
    let source = json!(node(id));
    let own = events.iter().filter(|event| event["SourceNode"] == source);
    own.map(|event| (&event["Severity"], &event["Message"])).collect()
}

#[test]
fn each_client_receives_conditions_and_messages_as_it_subscribes_by_default() {
    let machine = Spoken::start();
    let stage = Stage::open().machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    machine.say("|system|normal||||\n|travel|normal||||\n");
    for mut peer in Peer::all(stage.folder.path()) {
        let name = peer.name;
        peer.connect(&stage);
        peer.get(json!({"do": "events"}));
        // The same message twice would be one.
        machine.say(&format!(
            "|system|fault|E17|2|HIGH|Hydraulics low\n|travel|warning|W1|||near the end\n\
             |message|M7|close the door, {name}\n|system|normal|E17|||\n|travel|normal||||\n"
        ));
        let events = collect(&mut peer, "five events", |events| {
            of(events, "system").len() >= 2
                && of(events, "travel").len() >= 2
                && of(events, "message").len() == 1
        });
        let system = of(&events, "system");
        assert_eq!(system[0], (&json!(1000), &json!("Hydraulics low")), "{name}");
        assert_eq!(system[1].0, &json!(1), "{name}");
        let travel = of(&events, "travel");
        assert_eq!(travel[0], (&json!(500), &json!("near the end")), "{name}");
        assert_eq!(travel[1].0, &json!(1), "{name}");
        assert_eq!(of(&events, "message")[0].1, &json!(format!("close the door, {name}")));
        peer.leave();
    }
}

#[test]
fn conditions_have_the_fields_that_alarm_clients_ask_for_and_come_again_with_a_refresh() {
    let machine = Spoken::start();
    let stage = Stage::open().machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    machine.say("|system|fault|E17|2|HIGH|Hydraulics low\n|system|warning|W2|||Filter\n|travel|normal||||\n");
    for mut peer in Peer::all(stage.folder.path()) {
        let name = peer.name;
        peer.connect(&stage);
        let value = json!({"do": "value", "node": node("avail")});
        peer.get(value);
        peer.get(json!({"do": "conditions"}));
        peer.get(json!({"do": "refresh"}));
        let events = collect(&mut peer, "what is retained", |events| of(events, "system").len() >= 2);
        let by_message: BTreeMap<&str, &Value> =
            events.iter().filter_map(|event| Some((event["Message"].as_str()?, event))).collect();
        for (message, severity) in [("Hydraulics low", 1000), ("Filter", 500)] {
            let event = by_message[message];
            assert_eq!(event["Severity"], severity, "{name}: {event}");
            assert_eq!(event["Retain"], true, "{name}: {event}");
            assert!(event["ConditionName"].as_str().unwrap().contains(if severity == 1000 {
                "E17"
            } else {
                "W2"
            }));
            assert!(event["EventId"].is_string() || event["EventId"].is_array(), "{name}: {event}");
        }
        assert_eq!(of(&events, "travel"), [], "{name}: nothing is wrong there");
        machine.say("|system|fault|E18||HIGH|Coolant\n|system|normal|E18|||\n");
        let more =
            collect(&mut peer, "a fault that comes and goes", |events| of(events, "system").len() >= 2);
        assert_eq!(of(&more, "system")[0], (&json!(1000), &json!("Coolant")), "{name}");
        peer.leave();
    }
}

#[test]
fn a_burst_of_a_thousand_events_reaches_a_client_with_a_queue_of_zero_in_order() {
    let machine = Spoken::start();
    let stage = Stage::open().machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    machine.say("|system|normal||||\n");
    for mut peer in Peer::all(stage.folder.path()) {
        peer.connect(&stage);
        // A queue of one gets one event at each publishing, so the shortest interval is asked for.
        peer.get(json!({"do": "conditions", "interval": 10}));
        let burst: String = (0..1_000)
            .map(|number| format!("|system|warning|W{}|||number {number}\n", number % 10))
            .collect();
        machine.say(&burst);
        let is_one = |event: &&Value| event["Message"].as_str().is_some_and(|it| it.starts_with("number "));
        let events =
            collect(&mut peer, "a thousand events", |events| events.iter().filter(is_one).count() >= 1_000);
        let messages: Vec<&str> =
            events.iter().filter(is_one).filter_map(|it| it["Message"].as_str()).collect();
        let wanted: Vec<String> = (0..1_000).map(|number| format!("number {number}")).collect();
        assert_eq!(messages, wanted, "{}", peer.name);
        machine.say("|system|normal||||\n");
        peer.leave();
    }
}
