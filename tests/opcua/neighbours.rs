//! What others build on the server: discovery servers, and clients that know machine tools only.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::gateway::free_port;
use crate::support::opcua::{MACHINE, Peer, Spoken, Stage};

#[test]
fn the_gateway_is_found_at_the_discovery_server_where_it_registers() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("opc.tcp://127.0.0.1:{}", free_port());
    let mut directory = Peer::asyncua(folder.path());
    directory.get(json!({"do": "discovery", "url": url}));
    let machine = Spoken::start();
    let stage = Stage::new(&format!("allow_none = true\ndiscovery_url = \"{url}\"\n"));
    let stage = stage.machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    let mut client = Peer::asyncua(stage.folder.path());
    let found = client.hears(
        "the gateway's name",
        Duration::from_secs(60),
        json!({"do": "find_servers", "url": url}),
        |servers| servers.to_string().contains("guideway").then(|| servers.to_string()),
    );
    println!("found {found}");
}

#[test]
fn a_client_that_knows_machine_tools_sees_the_machine_as_one() {
    let machine = Spoken::start();
    let nodesets =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/node_modules/node-opcua-nodesets/nodesets");
    let stage = Stage::new(&format!("allow_none = true\nnodesets = {nodesets:?}\n"));
    let stage = stage.machine("machine", crate::MACHINE_XML, machine.port);
    let _gateway = stage.start();
    machine.say("|execution|ACTIVE|program|O1234\n");
    for mut peer in Peer::all(stage.folder.path()) {
        peer.connect(&stage);
        for (below, expected) in [
            ("Production/ActiveProgram/Name", json!("O1234")),
            ("Identification/ProductInstanceUri", json!(format!("urn:guideway:machine:{MACHINE}"))),
        ] {
            let node = format!("ns=3;s=MachineTool/{MACHINE}/{below}");
            let request = json!({"do": "value", "node": node});
            peer.hears(below, Duration::from_secs(20), request, |value| {
                (value["value"] == expected).then_some(())
            });
        }
        peer.leave();
    }
}
