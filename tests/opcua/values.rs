//! The whole tree, every value, and all items of three machines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::opcua::{Hall, Peer, Spoken, Stage, node};

#[test]
fn each_client_walks_the_whole_tree_and_reads_every_attribute_and_value() {
    let hall = Hall::open();
    let stage = hall.on(Stage::open());
    let gateway = stage.start();
    for mut peer in Peer::all(stage.folder.path()) {
        let name = peer.name;
        peer.connect(&stage);
        let tree = peer.get(json!({"do": "tree"}));
        println!("{name}: {tree}");
        assert_eq!(tree["faulty"], 0, "{name}: {tree}");
        // The machines, the types of the companion specification and of the standard.
        assert!(
            tree["machines"].as_u64() > Some(500) && tree["nodes"].as_u64() > Some(4_000),
            "{name}: {tree}"
        );
        if name == "asyncua" {
            let types = peer.get(json!({"do": "types"}));
            for wanted in ["ThreeSpaceSampleDataType", "MessageDataType", "AssetEventDataType"] {
                assert!(types.as_array().unwrap().contains(&json!(wanted)), "{types}");
            }
        }
        let values = peer.get(json!({"do": "values"}));
        println!("{name}: {values}");
        assert_eq!(values["unstamped"], json!([]), "{name}");
        let statuses = values["statuses"].as_object().unwrap();
        assert!(statuses.keys().all(|it| it == "Good" || it == "BadNotConnected"), "{name}: {values}");
        assert!(statuses["Good"].as_u64() > Some(500), "{name}: {values}");
        peer.leave();
    }
    drop(gateway);
}

#[test]
fn each_client_follows_all_items_of_three_machines_at_100_ms() {
    let hall = Hall::open();
    let stage = hall.on(Stage::open());
    let _gateway = stage.start();
    let mut peers = Peer::all(stage.folder.path());
    for peer in &mut peers {
        peer.connect(&stage);
        let subscribed = peer.get(json!({"do": "subscribe", "interval": 100}));
        assert_eq!(subscribed["bad"], json!([]), "{}", peer.name);
        assert!(subscribed["items"].as_u64() > Some(500), "{}: {subscribed}", peer.name);
        // Every item tells the value that it has; what moves tells more.
        let items = subscribed["items"].as_u64().unwrap() as usize;
        let counts = peer.hears(
            "all items, and what moves",
            Duration::from_secs(20),
            json!({"do": "heard_values"}),
            |counts| {
                let counts = counts.as_object().unwrap();
                let moving = counts.values().filter(|count| count.as_u64() > Some(10)).count();
                (counts.len() == items && moving > 20).then(|| counts.clone())
            },
        );
        let all: u64 = counts.values().filter_map(Value::as_u64).sum();
        println!("{}: {all} values of {} items", peer.name, counts.len());
    }
}

#[test]
fn every_representation_is_read_as_it_is_meant() {
    let machine = Spoken::start();
    let stage = Stage::open().machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    let time = "2026-03-04T05:06:07.1234567Z";
    machine.say(&format!(
        "{time}|xpos|1.5|execution|ACTIVE|program|O1234|line|42|tip|1 2.5 -3\n\
         {time}|message|M7|close the door\n{time}|variables|a=1 b='two words'\n\
         {time}|offsets|G54={{x=1.5 y=2}} G55={{x=3}}\n{time}|xload|3|100|1 2 3\n"
    ));
    for mut peer in Peer::all(stage.folder.path()) {
        let name = peer.name;
        peer.connect(&stage);
        peer.get(json!({"do": "value", "node": node("xpos")}));
        if name == "asyncua" {
            peer.get(json!({"do": "types"}));
        }
        let mut said = |id: &str| {
            let request = json!({"do": "value", "node": node(id)});
            let is_there = |value: &Value| (value["status"] == "Good").then(|| value.clone());
            peer.hears(id, Duration::from_secs(10), request, is_there)
        };
        let position = said("xpos");
        assert_eq!(position["value"], 1.5, "{name}");
        assert!(
            position["time"].as_str().unwrap().starts_with("2026-03-04T05:06:07.123"),
            "{name}: {position}"
        );
        assert!(said("execution")["value"].is_u64(), "{name}: a place in EnumStrings");
        assert_eq!(said("execution/ValueAsText")["value"], "ACTIVE", "{name}");
        assert_eq!(said("program")["value"], "O1234", "{name}");
        assert_eq!(said("line")["value"], 42.0, "{name}");
        assert_eq!(said("xload")["value"], 3.0, "{name}: the last one of the series");
        // What node-opcua makes of structures is its own; asyncua has loaded their definitions.
        if name == "asyncua" {
            assert_eq!(said("tip")["value"], json!({"X": 1.0, "Y": 2.5, "Z": -3.0}), "{name}");
            assert_eq!(
                said("message")["value"],
                json!({"NativeCode": "M7", "Text": "close the door"}),
                "{name}"
            );
            let pair = |key: &str, value: Value| json!({"Key": format!("3:{key}"), "Value": value});
            assert_eq!(
                said("variables")["value"],
                json!([pair("a", json!(1.0)), pair("b", json!("two words"))])
            );
            let row = json!([pair("x", json!(1.5)), pair("y", json!(2.0))]);
            let table = json!([pair("G54", row), pair("G55", json!([pair("x", json!(3.0))]))]);
            assert_eq!(said("offsets")["value"], table);
        }
        peer.leave();
    }
}
