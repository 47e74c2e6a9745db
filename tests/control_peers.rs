//! Commands end to end, from an HTTP request to foreign machines and back: a relay, a program with strobe and echo, a
//! macro variable, a method and a variable.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use guideway::agent::{Agent, Surroundings};
use guideway::control::key::SigningKey;
use guideway::control::token::sign;
use guideway_contract::Timestamp;
use guideway_contract::kit::Peer;
use serde_json::{Value as Json, json};
use support::{cell, eventually, http};

const SECRET: &str = "0123456789abcdef0123456789abcdef-twin";
const SOON: Duration = Duration::from_secs(20);

struct Hall {
    agent: Agent,
    address: SocketAddr,
    number: u32,
    #[expect(dead_code, reason = "goes with the hall")]
    folder: tempfile::TempDir,
}

impl Hall {
    /// A gateway with a machine of a profile.
    async fn start(profile: &str, device: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("machine.toml"), profile).unwrap();
        let text = format!(
            "[gateway]\nname = \"hall\"\n[mtconnect]\naddress = \"127.0.0.1\"\nport = 0\n\
             [control]\nhttp = true\nburst = 1000\n\
             [[control.requester]]\nname = \"twin\"\nroles = [\"planner\"]\nsecret = \"{SECRET}\"\n\
             [[control.permit]]\nrole = \"planner\"\ndevices = [\"M1\"]\ncommands = [\"*\"]\n\
             [[device]]\nname = \"M1\"\n{device}"
        );
        let loaded = guideway::config::load_text(&folder.path().join("guideway.toml"), text);
        let (configuration, _) = loaded.unwrap_or_else(|found| {
            panic!("{}", found.iter().map(|one| format!("{} {}\n", one.what, one.cure)).collect::<String>())
        });
        let surroundings = Surroundings { data_dir: Some(folder.path().join("data")), simulated: false };
        let agent = Box::pin(Agent::start(configuration, surroundings)).await.unwrap();
        let address = agent.http_address().unwrap();
        Self { agent, address, number: 0, folder }
    }

    /// Sends a command, and waits for its end.
    fn ask(&mut self, command: &str, args: &Json) -> (u16, Json) {
        self.number += 1;
        let now = Timestamp::now().nanos() / 1_000_000_000;
        let claims = json!({
            "iss": "twin", "aud": "hall", "jti": format!("r{}", self.number), "exp": now + 60,
            "device": "M1", "command": command, "args": args,
        });
        let signed = sign(&SigningKey::secret(SECRET).unwrap(), &claims).unwrap();
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "POST /control/M1/{command} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/jose\r\n\
             Content-Length: {}\r\n\r\n{signed}",
            signed.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer[9..12].parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }

    fn done(&mut self, command: &str, args: &Json) -> Json {
        let (status, end) = self.ask(command, args);
        assert_eq!((status, &end["state"]), (200, &json!("done")), "{command}: {end}");
        end
    }

    fn current(&self, id: &str) -> String {
        let document = http::get(self.address, "/current").body;
        let document = roxmltree::Document::parse(&document).unwrap();
        let found = document.descendants().find(|node| node.attribute("dataItemId") == Some(id));
        found.and_then(|node| node.text().map(str::to_owned)).unwrap_or_default()
    }

    /// The entries of the data set that tells of commands.
    fn told(&self) -> std::collections::BTreeMap<String, String> {
        let document = http::get(self.address, "/current").body;
        let document = roxmltree::Document::parse(&document).unwrap();
        let set =
            document.descendants().find(|node| node.attribute("dataItemId") == Some("M1_command")).unwrap();
        let entry = |node: roxmltree::Node<'_, '_>| {
            Some((node.attribute("key")?.to_owned(), node.text().unwrap_or_default().to_owned()))
        };
        set.children().filter_map(entry).collect()
    }

    fn until(&self, what: &str, id: &str, is: &str) {
        eventually(what, SOON, || (self.current(id) == is).then_some(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modbus_relay_is_switched_and_read_back_everywhere() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    for line in cell::READY {
        assert_eq!(peer.say(line).await, "ok", "{line}");
    }
    let device = format!(
        "profile = \"./machine.toml\"\naddress = \"127.0.0.1:{}\"\ncommands = [\"relay\", \"load\"]\n",
        peer.port()
    );
    let mut hall = Hall::start(cell::PROFILE, &device).await;
    hall.until("it is read", "M1_relay", "OFF");
    hall.until("it is under control", "M1_control", "ENABLED");
    let end = hall.done("relay", &json!({ "on": true }));
    assert_eq!(end["readBack"], json!({ "relay": true }));
    assert_eq!(peer.say("get 1 coil 10 1").await, "true");
    hall.until("the twin sees it", "M1_relay", "ON");
    let told = hall.told();
    let of = |key: &str| told.get(key).map(String::as_str);
    assert_eq!(
        (of("command"), of("state"), of("requester")),
        (Some("relay"), Some("done"), Some("twin")),
        "{told:?}"
    );
    assert_eq!(
        of("audit"),
        Some(&*format!("{}:{}", end["audit"]["row"], end["audit"]["hash"].as_str().unwrap()))
    );
    // In the sequence: it runs, the machine moves, it is done.
    let sample = http::get(hall.address, "/sample?count=1000").body;
    let document = roxmltree::Document::parse(&sample).unwrap();
    let mut seen: Vec<(u64, String)> = Vec::new();
    for node in document.descendants() {
        let Some(sequence) = node.attribute("sequence").and_then(|text| text.parse().ok()) else { continue };
        match node.attribute("dataItemId") {
            Some("M1_relay") => seen.push((sequence, node.text().unwrap_or_default().to_owned())),
            Some("M1_command") => {
                let state = node.children().find(|entry| entry.attribute("key") == Some("state"));
                seen.extend(state.map(|state| (sequence, state.text().unwrap_or_default().to_owned())));
            }
            _ => {}
        }
    }
    seen.sort();
    let words: Vec<&str> =
        seen.iter().map(|(_, word)| word.as_str()).filter(|word| *word != "UNAVAILABLE").collect();
    assert_eq!(words, ["OFF", "running", "ON", "done"]);
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s7_program_is_selected_with_strobe_and_echo() {
    const PROFILE: &str = r#"
schema = 1
id = "machine"
version = "1.0.0"
groups = { fast = "30ms" }
[adapter]
kind = "s7"
[points]
ready = { addr = "DB1.DBW0", type = "i16", group = "fast" }
program = { addr = "DB1.DBB10", type = "string[20]", access = "rw", group = "fast" }
strobe = { addr = "DB1.DBW100", type = "i16", access = "w" }
echo = { addr = "DB1.DBW102", type = "i16", group = "fast" }
result = { addr = "DB1.DBW104", type = "i16", group = "fast" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
exec = { at = "Controller/Path[path]", type = "EXECUTION", value = 'ready == 1 ? "READY" : "ACTIVE"' }
program = { at = "Controller/Path[path]", type = "PROGRAM", from = "program" }
[commands.select]
risk = "program"
args = { name = { type = "string", max_len = 20, pattern = "[A-Z0-9_]+" } }
require = 'item.exec == "READY"'
write = [{ point = "program", value = "args.name" }, { point = "strobe", value = "7" }]
verify = { point = "echo", equals = "7", within = "10s", refused = "echo == 7 && result != 0" }
finally = [{ point = "strobe", value = "0" }]
"#;
    let mut peer = Peer::python("s7_peer.py", &[]).await;
    for line in ["set DB1 0 0001", "set DB1 10 1400", "set DB1 100 000000000000"] {
        assert_eq!(peer.say(line).await, "ok");
    }
    let device = format!(
        "profile = \"./machine.toml\"\naddress = \"127.0.0.1:{}\"\ncommands = [\"select\"]\n",
        peer.port()
    );
    let mut hall = Hall::start(PROFILE, &device).await;
    hall.until("it is read", "M1_exec", "READY");
    // The controller's program: it repeats the strobe when it has the name, with its result.
    let controller = tokio::spawn(async move {
        let mut seen = Vec::new();
        for result in ["0000", "0005"] {
            while peer.say("get DB1 100 2").await != "0007" {
                tokio::task::yield_now().await;
            }
            seen.push(peer.say("get DB1 12 6").await);
            assert_eq!(peer.say(&format!("set DB1 104 {result}")).await, "ok");
            assert_eq!(peer.say("set DB1 102 0007").await, "ok");
            while peer.say("get DB1 100 2").await != "0000" {
                tokio::task::yield_now().await;
            }
            assert_eq!(peer.say("set DB1 102 00000000").await, "ok");
        }
        (seen, peer)
    });
    let end = hall.done("select", &json!({ "name": "PART_A" }));
    assert_eq!((&end["readBack"], &end["released"]), (&json!({ "echo": 7 }), &json!(true)), "{end}");
    hall.until("the twin sees it", "M1_program", "PART_A");
    // The answer of before has to be gone first.
    let (status, end) = eventually("the echo is gone", SOON, || {
        let answer = hall.ask("select", &json!({ "name": "PART_B" }));
        (answer.1["reason"] != "answer-stands").then_some(answer)
    });
    assert_eq!(
        (status, &end["state"], &end["reason"]),
        (502, &json!("failed"), &json!("machine-refused")),
        "{end}"
    );
    assert_eq!(end["released"], true);
    let (seen, _peer) = controller.await.unwrap();
    let text = |name: &str| name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(seen, [text("PART_A"), text("PART_B")]);
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_haas_macro_variable_is_set_by_the_profile_that_ships() {
    let mut peer = Peer::python("haas_peer.py", &[]).await;
    let device = format!(
        "profile = \"haas-ngc-mill@1\"\naddress = \"127.0.0.1:{}\"\ncommands = [\"set_job\"]\n",
        peer.port()
    );
    let mut hall = Hall::start("", &device).await;
    hall.until("it is read", "M1_exec", "READY");
    let end = hall.done("set_job", &json!({ "value": 12.0 }));
    assert_eq!(end["readBack"]["job"], 12.0, "{end}");
    let written: f64 = peer.say("get v10600").await.parse().unwrap();
    assert!((written - 12.0).abs() < 1e-9, "{written}");
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opc_ua_method_is_called_and_a_variable_written() {
    const PROFILE: &str = r#"
schema = 1
id = "machine"
version = "1.0.0"
[adapter]
kind = "opcua"
security = "none"
[points]
number = { addr = "/Objects/nsu=urn:guideway:peer;Machine/nsu=urn:guideway:peer;Int16", access = "rw" }
text = { addr = "/Objects/nsu=urn:guideway:peer;Machine/nsu=urn:guideway:peer;String", access = "rw" }
start = { addr = "nsu=urn:guideway:peer;s=Start", method = "nsu=urn:guideway:peer;s=Machine", access = "w" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
line = { at = "Controller", type = "LINE_NUMBER.ABSOLUTE", from = "number" }
label = { at = "Controller", type = "LINE_LABEL", from = "text" }
[commands.start]
risk = "motion"
args = { program = { type = "string", max_len = 20 } }
write = [{ point = "start", value = "args.program" }]
[commands.set_line]
risk = "setpoint"
args = { line = { type = "int", min = -100, max = 100 } }
require = "number(item.line) > -40000.0"
write = [{ point = "number", value = "args.line" }]
verify = { point = "number", equals = "args.line", within = "10s" }
"#;
    let mut peer = Peer::python("opcua_peer.py", &["plain"]).await;
    let device = format!(
        "profile = \"./machine.toml\"\naddress = \"opc.tcp://127.0.0.1:{}\"\ncommands = [\"start\", \"set_line\"]\n",
        peer.port()
    );
    let mut hall = Hall::start(PROFILE, &device).await;
    hall.until("it is read", "M1_line", "-30000");
    hall.done("start", &json!({ "program": "O77" }));
    assert_eq!(peer.say("calls").await, "['O77']");
    let end = hall.done("set_line", &json!({ "line": 42 }));
    assert_eq!(end["readBack"], json!({ "number": 42 }));
    hall.until("the twin sees it", "M1_line", "42");
    // What stands there already is not told again by the server, and is so all the same.
    hall.done("set_line", &json!({ "line": 42 }));
    let (status, end) = hall.ask("start", &json!({ "program": "" }));
    assert_eq!((status, &end["reason"]), (502, &json!("write-refused")), "{end}");
    assert_eq!(end["state"], "rejected");
    assert_eq!(peer.say("calls").await, "['O77']");
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_written_and_writes_nothing() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    for line in cell::READY {
        assert_eq!(peer.say(line).await, "ok", "{line}");
    }
    let device = format!(
        "profile = \"./machine.toml\"\naddress = \"127.0.0.1:{}\"\ncommands = [\"load\"]\n",
        peer.port()
    );
    let hall = Hall::start(cell::PROFILE, &device).await;
    hall.until("it is read", "M1_exec", "READY");
    let control = hall.agent.view().control.clone().unwrap();
    let claim = guideway::control::Claim {
        id: "dry".into(),
        device: "M1".into(),
        command: "load".into(),
        arguments: json!({ "name": "O1", "job": 5 }).as_object().unwrap().clone(),
        requester: control.requester(guideway::control::Face::Local, "twin", &[]),
        expires: Timestamp::from_nanos(Timestamp::now().nanos() + 60_000_000_000, 9),
        dry_run: true,
        reply_to: None,
    };
    eventually("it takes a command", SOON, || control.is_ready("M1", "load").then_some(()));
    let begun = Instant::now();
    let end = control.submit(claim).await.unwrap();
    println!("{:?} {}", begun.elapsed(), end.to_json());
    assert_eq!(end.state, guideway::control::State::Done, "{end:?}");
    assert_eq!(end.detail, "would write name = O1, job = 5, cmd = 11, and at the end cmd = 0");
    assert_eq!(peer.say("writes").await, "0");
    hall.agent.stop().await.unwrap();
}
