//! What changes while clients look on: the device model, and the gateway itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::opcua::{Peer, Spoken, Stage, node};

/// A device model in SHDR, as a source sends it.
fn device_model(xml: &str) -> String {
    let begin = xml.find("<Device ").unwrap();
    let end = xml.find("</Device>").unwrap() + "</Device>".len();
    format!("* deviceModel: {}\n", xml[begin..end].replace('\n', " "))
}

#[test]
fn nodes_come_and_go_with_the_device_model_and_clients_are_told() {
    let machine = Spoken::start();
    let stage = Stage::open().machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    machine.say("|xpos|1\n");
    let new = "<DataItem id=\"ypos\" category=\"SAMPLE\" type=\"POSITION\" subType=\"COMMANDED\" units=\"MILLIMETER\"/>";
    let larger =
        crate::MACHINE_XML.replacen("<DataItem id=\"travel\"", &format!("{new}<DataItem id=\"travel\""), 1);
    for mut peer in Peer::all(stage.folder.path()) {
        let name = peer.name;
        peer.connect(&stage);
        peer.get(json!({"do": "events"}));
        peer.get(json!({"do": "subscribe", "nodes": [node("xpos")], "interval": 0}));
        let exists = json!({"do": "exists", "node": node("ypos")});
        assert_eq!(peer.get(exists.clone()), false, "{name}");
        machine.say(&device_model(&larger));
        peer.hears("the new node", Duration::from_secs(15), exists.clone(), |it| (*it == true).then_some(()));
        machine.say("|ypos|7\n|xpos|2\n");
        let value = json!({"do": "value", "node": node("ypos")});
        peer.hears("its value", Duration::from_secs(10), value, |it| (it["value"] == 7.0).then_some(()));
        // Who has subscribed to what was there goes on hearing of it.
        let heard = json!({"do": "heard_values", "node": node("xpos")});
        peer.hears("the old node's next value", Duration::from_secs(10), heard, |values| {
            values.as_array().unwrap().iter().any(|it| it["value"] == 2.0).then_some(())
        });
        // GeneralModelChangeEventType
        let mut kinds: Vec<Value> = Vec::new();
        peer.hears("a model change", Duration::from_secs(10), json!({"do": "heard_events"}), |events| {
            kinds.extend(events.as_array().unwrap().iter().map(|event| event["EventType"].clone()));
            kinds.contains(&json!("i=2133")).then_some(())
        });
        machine.say(&device_model(crate::MACHINE_XML));
        peer.hears("the node is gone", Duration::from_secs(15), exists, |it| (*it == false).then_some(()));
        machine.say("|xpos|1\n");
        peer.leave();
    }
}

/// Restarts the gateway; gives the moment at which it answers again.
fn restart(gateway: Gateway, stage: &Stage) -> (Gateway, Instant) {
    gateway.terminate();
    let gateway = stage.start();
    (gateway, Instant::now())
}

#[test]
fn clients_resume_within_ten_seconds_of_a_restart_and_history_has_no_gap() {
    let machine = Spoken::start();
    let stage = Stage::open().machine("machine", crate::MACHINE_XML, machine.port);
    let mut gateway = stage.start();
    machine.say("|xpos|1\n");
    let mut peer = Peer::node_opcua(stage.folder.path());
    peer.login(&stage, None, json!({"retry": true})).unwrap();
    peer.get(json!({"do": "subscribe", "nodes": [node("xpos")], "interval": 0}));
    let heard = json!({"do": "heard_values", "node": node("xpos")});
    let last = |wanted: f64| {
        move |values: &Value| values.as_array()?.iter().any(|it| it["value"] == wanted).then_some(())
    };
    peer.hears("a value", Duration::from_secs(10), heard.clone(), last(1.0));
    let since;
    (gateway, since) = restart(gateway, &stage);
    machine.say("|xpos|2\n|xpos|3\n");
    peer.hears("a value after the restart", Duration::from_secs(30), heard, last(3.0));
    let took = since.elapsed();
    println!("node-opcua resumed {took:?} after the gateway was ready");
    assert!(took < Duration::from_secs(10), "{took:?}");

    // asyncua's client does not reconnect by itself; programs that use it connect again.
    let mut other = Peer::asyncua(stage.folder.path());
    other.connect(&stage);
    let since;
    (gateway, since) = restart(gateway, &stage);
    let _ = other.ask(json!({"do": "disconnect"}));
    other.connect(&stage);
    other.get(json!({"do": "subscribe", "nodes": [node("xpos")], "interval": 0}));
    machine.say("|xpos|4\n");
    let heard = json!({"do": "heard_values", "node": node("xpos")});
    other.hears("a value after the restart", Duration::from_secs(30), heard, last(4.0));
    let took = since.elapsed();
    println!("asyncua was back {took:?} after the gateway was ready");
    assert!(took < Duration::from_secs(10), "{took:?}");

    let history = other.get(json!({"do": "history", "node": node("xpos")}));
    let numbers: Vec<f64> =
        history.as_array().unwrap().iter().filter_map(|it| it["value"].as_f64()).collect();
    assert_eq!(numbers, [1.0, 2.0, 3.0, 4.0], "over two restarts");
    drop(gateway);
}
