//! History, as foreign clients ask for it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::opcua::{Peer, Spoken, Stage, node};

#[test]
fn each_client_reads_all_that_happened_in_order() {
    let machine = Spoken::start();
    let stage = Stage::open().machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    let lines: String = (1..=2_500).map(|number| format!("|xpos|{number}\n")).collect();
    machine.say(&lines);
    for mut peer in Peer::all(stage.folder.path()) {
        let name = peer.name;
        peer.connect(&stage);
        let all = json!({"do": "history", "node": node("xpos")});
        let numbers = |values: &Value| -> Vec<f64> {
            let values = values.as_array().unwrap();
            let good = values.iter().filter(|value| value["status"] == "Good");
            good.map(|value| value["value"].as_f64().unwrap()).collect()
        };
        // With continuation points, as the client wants it; without a limit of its own.
        let read = peer.hears("all 2,500", Duration::from_secs(20), all, |values| {
            let read = numbers(values);
            (read.len() >= 2_500).then_some(read)
        });
        assert_eq!(read, (1..=2_500).map(f64::from).collect::<Vec<_>>(), "{name}");
        let few = peer.get(json!({"do": "history", "node": node("xpos"), "count": 7}));
        assert_eq!(few.as_array().unwrap().len(), 7, "{name}");
        let none = peer.ask(json!({"do": "history", "node": node("xpos/EngineeringUnits")}));
        assert!(none.is_err(), "{name}: a property has no history");
        peer.leave();
    }
}
