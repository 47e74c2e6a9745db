//! A day of four real machines: what an OPC UA subscriber sees is what `/sample` shows.
//!
//! `guideway verify` compares, which shares no code with the faces: see `src/verify`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::support::opcua::Stage;
use crate::support::{eventually, shared};

/// The recorded machines, as the testbed's Devices.xml calls them.
const MACHINES: [(&str, &str); 4] = [
    ("GFAgie01", "GFAgie01-20160513-20160514.shdr"),
    ("Mazak01", "Mazak01-20161129-20161130.shdr"),
    ("Mazak03", "Mazak03-20190130-20190131.shdr"),
    ("Hurco01", "Hurco01-20170518-20170519.shdr"),
];

/// Opens once for everybody.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }
}

/// Serves a recording at full speed to whoever has connected when the gate opens.
fn behind(gate: &Arc<Gate>, text: Vec<u8>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let gate = gate.clone();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        gate.wait();
        // The gateway may be gone already when the test has failed.
        let _ = stream.write_all(&text);
        // The connection stays, or everything would be UNAVAILABLE.
        let _ = BufReader::new(stream).lines().count();
    });
    port
}

#[test]
fn a_subscriber_sees_of_every_item_what_sample_shows() {
    let Some(shared) = shared("a_subscriber_sees_of_every_item_what_sample_shows") else { return };
    let testbed = shared.join("testbed").canonicalize().unwrap();
    let gate = Arc::<Gate>::default();
    let mut stage =
        Stage::new("allow_none = true\n\n[opcua.limits]\nqueue = 100000\nnotifications = 20000\n");
    let mut lines = 0_u64;
    for (machine, file) in MACHINES {
        let text = std::fs::read(testbed.join(file)).unwrap();
        lines += text.iter().filter(|byte| **byte == b'\n').count() as u64;
        let port = behind(&gate, text);
        stage.more +=
            &format!("\n[[adapter.shdr]]\nname = \"{machine}\"\nhost = \"127.0.0.1\"\nport = {port}\n");
    }
    stage.more += "\n[journal]\nbuffer_size = 1048576\n";
    stage.devices(&testbed.join("Devices.xml"));
    let gateway = stage.start();
    let mut verify = Command::new(env!("CARGO_BIN_EXE_guideway"))
        .args(["verify", &stage.http_url(), &stage.url(), "--for", "10m", "--patience", "60s"])
        .current_dir(stage.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(verify.stderr.take().unwrap()).lines();
    let mut told = Vec::new();
    loop {
        let line = said.next().unwrap_or_else(|| panic!("verify ended: {told:?}")).unwrap();
        let watching = line.starts_with("watching");
        told.push(line);
        if watching {
            break;
        }
    }
    gate.open();
    eventually("every line was read", Duration::from_secs(200), || {
        let health = gateway.health();
        let adapters = health["adapters"].as_array().unwrap();
        let frames: u64 = adapters.iter().filter_map(|adapter| adapter["frames"].as_u64()).sum();
        let next = health["journal"]["nextSequence"].as_u64().unwrap();
        // Nearly every line is an observation; a few name keys that no device has, or repeat.
        (frames >= lines && next > lines * 99 / 100).then_some(())
    });
    let enough = Command::new("kill").args(["-INT", &verify.id().to_string()]).status().unwrap();
    assert!(enough.success());
    let drained = std::thread::spawn(move || said.map_while(Result::ok).collect::<Vec<_>>());
    let output = verify.wait_with_output().unwrap();
    told.extend(drained.join().unwrap());
    let table = String::from_utf8_lossy(&output.stdout);
    println!("{table}");
    assert!(output.status.success(), "{}: {told:?}\n{table}", output.status);
    let compared = table.split_whitespace().rev().skip_while(|word| *word != "0").nth(2).unwrap();
    let compared: u64 = compared.parse().unwrap();
    assert!(compared > lines * 98 / 100, "{compared} of {lines}");
}
