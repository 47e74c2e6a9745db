//! `guideway verify`: true when the faces say the same, and named where one does not.

#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::process::Command;

use support::broker::Broker;
use support::opcua::{Hall, MACHINE, Spoken, Stage};

const MACHINE_XML: &str = include_str!("opcua/machine.xml");

fn publishing(broker: &Broker) -> String {
    let mut text = String::new();
    for layout in ["entity", "uns", "mtconnect"] {
        text += &format!(
            "\n[[mqtt]]\nname = \"{layout}\"\nurl = \"mqtt://127.0.0.1:{}\"\nlayout = \"{layout}\"\n",
            broker.port
        );
    }
    text
}

#[test]
fn three_machines_say_the_same_over_http_opc_ua_and_mqtt() {
    let hall = Hall::open();
    let mut stage = hall.on(Stage::open());
    let broker = Broker::start(stage.folder.path());
    stage.more = publishing(&broker);
    let _gateway = stage.start();
    let broker = format!("mqtt://127.0.0.1:{}", broker.port);
    let urls = [stage.http_url(), stage.url(), broker];
    let arguments = ["verify", &urls[0], &urls[1], &urls[2], "--for", "5s"];
    let table = stage.guideway(&arguments).unwrap_or_else(|table| panic!("{table}"));
    println!("{table}");
    for face in ["opc.tcp://", "(entity)", "(uns)", "(mtconnect)"] {
        assert!(table.contains(face), "{table}");
    }
}

#[test]
fn two_faces_without_http_are_compared_with_each_other() {
    let hall = Hall::open();
    let mut stage = hall.on(Stage::open());
    let broker = Broker::start(stage.folder.path());
    stage.more = publishing(&broker);
    let _gateway = stage.start();
    let broker = format!("mqtt://127.0.0.1:{}", broker.port);
    let arguments = ["verify", &stage.url(), &broker, "--for", "4s"];
    let table = stage.guideway(&arguments).unwrap_or_else(|table| panic!("{table}"));
    println!("{table}");
    assert!(table.contains("were not compared; that takes the gateway's http:// URL"), "{table}");
}

#[test]
fn a_face_that_lies_is_found_out_and_the_item_is_named() {
    let machine = Spoken::start();
    let mut stage = Stage::open().machine("machine", MACHINE_XML, machine.port);
    let broker = Broker::start(stage.folder.path());
    stage.more = publishing(&broker);
    let gateway = stage.start();
    machine.say("|xpos|1\n");
    let http = stage.http_url();
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let watched = std::thread::scope(|scope| {
        let watched =
            scope.spawn(|| stage.guideway(&["verify", &http, &url, "--for", "8s", "--patience", "1s"]));
        let health = gateway.health();
        let instance = health["instanceId"].as_u64().unwrap();
        // Somebody else publishes in the gateway's name what was never so: verify may not have connected
        // yet, so it is said again and again, with sequences that are still to come.
        for round in 0..20_u64 {
            machine.say(&format!("|xpos|{}\n", round + 2));
            let next = gateway.next_sequence() + 1;
            let lie = format!(
                "{{\"dataItemId\":\"xpos\",\"category\":\"SAMPLE\",\"timestamp\":\"2026-01-01T00:00:00Z\",\
                 \"result\":\"666\",\"sequence\":{next},\"instanceId\":{instance}}}"
            );
            let topic = format!("MTConnect/Devices/{MACHINE}/Observations/xpos");
            let port = broker.port.to_string();
            let sent = Command::new("mosquitto_pub")
                .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", &topic, "-m", &lie])
                .status()
                .unwrap();
            assert!(sent.success());
            let (_keep, never) = std::sync::mpsc::channel::<()>();
            // A receiver that nobody sends to is a timer.
            let _ = never.recv_timeout(std::time::Duration::from_millis(500));
        }
        watched.join().unwrap()
    });
    let table = watched.expect_err("a difference");
    println!("{table}");
    assert!(table.contains(&format!("{MACHINE}/xpos")), "{table}");
    assert!(table.contains("666") && table.contains("The faces do not say the same."), "{table}");
}

#[test]
fn what_cannot_be_watched_is_named_with_its_cure() {
    let machine = Spoken::start();
    let stage = Stage::new("").machine("machine", MACHINE_XML, machine.port);
    let _gateway = stage.start();
    let http = stage.http_url();
    let refused = |arguments: &[&str], parts: &[&str]| {
        let said = stage.guideway(&[&["verify"], arguments].concat()).expect_err("refused");
        for part in parts {
            assert!(said.contains(part), "{arguments:?}: {part} is not in {said}");
        }
    };
    refused(&[&http], &["at least two URLs"]);
    refused(&[&http, &http], &["only one HTTP URL"]);
    refused(&[&http, "ftp://x"], &["ftp://x", "opc.tcp://"]);
    refused(&[&http, "mqtt://127.0.0.1:1"], &["mqtt://127.0.0.1:1", "refused"]);
    refused(&["http://127.0.0.1:1", &stage.url()], &["http://127.0.0.1:1", "refused"]);
    refused(&[&http, &stage.url()], &["--user"]);
    refused(&[&http, &stage.url(), "--user", "anna"], &["GUIDEWAY_PASSWORD"]);
}
