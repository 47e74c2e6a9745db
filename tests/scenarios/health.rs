//! Machine health: a twin sees a machine get hot and fail, asks its PLC for a feed hold, and sees it everywhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guideway_contract::Timestamp;
use guideway_contract::kit::Peer;
use guideway_simulator::{Progress, Replay, Speed, replay};
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

use crate::support::broker::Broker;
use crate::support::control::{SOON, Twin, Who, audited, current, mqtt, rows_of};
use crate::support::gateway::Gateway;
use crate::support::opcua::{self, Stage};
use crate::support::{eventually, shared};

/// The machine's PLC: a bit that holds the feed, and what it says of itself.
const PLC: &str = r#"
schema = 1
id = "plc"
version = "1.0.0"
groups = { fast = "30ms" }
[adapter]
kind = "modbus"
timeout = "2s"
[enums]
exec = { 0 = "READY", 1 = "ACTIVE", 2 = "FEED_HOLD", _ = "UNAVAILABLE" }
estop = { true = "ARMED", false = "TRIGGERED" }
[points]
state = { addr = "holding:0", type = "u16", group = "fast" }
estop = { addr = "coil:1", type = "bool", group = "fast" }
hold = { addr = "coil:10", type = "bool", access = "rw", group = "fast" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
exec = { at = "Controller/Path[path]", type = "EXECUTION", from = "state", enum = "exec" }
estop = { at = "Controller", type = "EMERGENCY_STOP", from = "estop", enum = "estop" }
hold = { at = "Controller/Path[path]", type = "ACTUATOR_STATE", value = 'hold ? "ACTIVE" : "INACTIVE"' }
# The bit is set, and the machine has to stand.
[commands.feed_hold]
about = "Holds the feed"
risk = "motion"
require = 'item.exec == "ACTIVE" && item.estop == "ARMED"'
max_age = "10s"
write = [{ point = "hold", value = "true" }]
verify = { point = "state", equals = "2", within = "10s" }
"#;

/// The twin may hold the feed; the visitor is known, and may not.
const TWIN: Who = Who { name: "twin", role: "health" };
const VISITOR: Who = Who { name: "visitor", role: "viewer" };

/// A machine that is replayed, and where the test speaks of it.
struct Machine {
    name: &'static str,
    uuid: &'static str,
    devices: PathBuf,
    /// What is played first.
    recording: PathBuf,
    /// Key in SHDR and id of the spindle's temperature.
    temperature: (&'static str, &'static str),
    /// Key in SHDR and id of the condition of type SYSTEM.
    system: (&'static str, &'static str),
}

/// The morning of a Mazak in the NIST testbed as far as the spindle has worked, or where that is not at hand one that
/// is made up.
fn machine(folder: &Path) -> Machine {
    let recording = folder.join("machine.shdr");
    let test = "machine_health: a generated machine is replayed instead of the testbed's";
    if let Some(testbed) = shared(test).map(|shared| shared.join("testbed")) {
        let day = std::fs::read_to_string(testbed.join("Mazak01-20161129-20161130.shdr")).unwrap();
        let morning: Vec<&str> = day.lines().take(12_000).collect();
        std::fs::write(&recording, morning.join("\n") + "\n").unwrap();
        return Machine {
            name: "Mazak01",
            uuid: "mtc_adapter002",
            devices: testbed.join("Devices.xml"),
            recording,
            temperature: ("Stemp", "Mazak01-C_7"),
            system: ("system_cond", "Mazak01-controller_3"),
        };
    }
    let mut text = "2026-05-01T06:00:00.000000Z|system|NORMAL||||\n".to_owned();
    for second in 0..600 {
        let (minute, second, load) = (second / 60, second % 60, second % 40);
        writeln!(text, "2026-05-01T06:{minute:02}:{second:02}.000000Z|load|{load}|temp|43").unwrap();
    }
    std::fs::write(&recording, text).unwrap();
    let devices = folder.join("Devices.xml");
    std::fs::write(&devices, MADE_UP).unwrap();
    Machine {
        name: "Mill",
        uuid: "mill-9",
        devices,
        recording,
        temperature: ("temp", "temp"),
        system: ("system", "system"),
    }
}

const MADE_UP: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.0">
<Header creationTime="2026-05-01T06:00:00Z" sender="test" instanceId="1" version="2.0" bufferSize="1" assetBufferSize="1" assetCount="0"/>
<Devices><Device id="mill" name="Mill" uuid="mill-9"><DataItems>
<DataItem id="avail" category="EVENT" type="AVAILABILITY"/></DataItems><Components>
<Axes id="axes"><Components><Rotary id="c" name="C"><DataItems>
<DataItem id="load" category="SAMPLE" type="LOAD" units="PERCENT"/>
<DataItem id="temp" category="SAMPLE" type="TEMPERATURE" units="CELSIUS"/></DataItems></Rotary></Components></Axes>
<Controller id="ctrl"><DataItems><DataItem id="system" category="CONDITION" type="SYSTEM"/></DataItems></Controller>
</Components></Device></Devices></MTConnectDevices>
"#;

/// How the spindle gets hot.
const RAMP: [u32; 10] = [46, 49, 53, 58, 64, 71, 79, 88, 98, 109];

/// Something that is played behind the recording: the spindle gets hot, and then the machine fails.
fn inject(machine: &Machine, folder: &Path) -> PathBuf {
    let day = std::fs::read_to_string(&machine.recording).unwrap();
    let last = day.lines().filter_map(|line| line.split('|').next()).next_back().unwrap();
    let begun = Timestamp::parse(last).unwrap().nanos();
    let at = |second: usize| Timestamp::from_nanos(begun + second as i64 * 1_000_000_000, 6);
    let mut text = String::new();
    for (second, degrees) in (1..).zip(RAMP) {
        writeln!(text, "{}|{}|{degrees}", at(second), machine.temperature.0).unwrap();
    }
    let fault = at(RAMP.len() + 1);
    writeln!(text, "{fault}|{}|FAULT|E4711|2||Spindle is too hot", machine.system.0).unwrap();
    let path = folder.join("injected.shdr");
    std::fs::write(&path, text).unwrap();
    path
}

/// Serves the machine to the gateway, as fast as it reads; the port.
async fn serve(files: Vec<PathBuf>) -> u16 {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let what = Replay { files, speed: Speed::Max, restamp: false, repeat: false };
    tokio::spawn(replay(what, listener, Arc::new(Progress::default()), CancellationToken::new()));
    port
}

/// A PLC that works, and holds when its bit says so.
async fn plc() -> Peer {
    let mut plc = Peer::python("modbus_peer.py", &[]).await;
    work(&mut plc).await;
    assert_eq!(plc.say("follow 1 10 0 2 1 100").await, "ok");
    plc
}

async fn work(plc: &mut Peer) {
    for line in ["set 1 coil 10 false", "set 1 coil 1 true", "set 1 holding 0 1"] {
        assert_eq!(plc.say(line).await, "ok", "{line}");
    }
}

fn configure(machine: &Machine, shdr: u16, plc: u16, broker: &Broker) -> Stage {
    let mut stage = Stage::open();
    std::fs::write(stage.folder.path().join("plc.toml"), PLC).unwrap();
    stage.devices(&machine.devices);
    stage.more = format!(
        "[[adapter.shdr]]\nname = \"{}\"\nhost = \"127.0.0.1\"\nport = {shdr}\n\
         [[device]]\nname = \"PLC\"\nuuid = \"plc-1\"\nprofile = \"./plc.toml\"\naddress = \"127.0.0.1:{plc}\"\n\
         commands = [\"feed_hold\"]\n\
         [control]\n{}{}\
         [[control.permit]]\nrole = \"{}\"\ndevices = [\"PLC\"]\ncommands = [\"feed_hold\"]\nfaces = [\"mqtt\"]\n{}",
        machine.name,
        TWIN.table(),
        VISITOR.table(),
        TWIN.role,
        mqtt(broker)
    );
    stage
}

fn wait_until(gateway: &Gateway, item: &str, is: &str) {
    let what = format!("{item} is {is} over HTTP");
    eventually(&what, SOON, || current(gateway, item).filter(|value| value == is));
}

fn micros(time: &str) -> i64 {
    let time = time.replace("+00:00", "Z");
    Timestamp::parse(&time).unwrap_or_else(|| panic!("no time: {time}")).nanos() / 1_000
}

/// Plays the scenario.
pub async fn play() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let machine = machine(folder.path());
    let injected = inject(&machine, folder.path());
    let mut plc = plc().await;
    let of = |id: &str| format!("MTConnect/Devices/{}/Observations/{id}", machine.uuid);
    let filters =
        [of(machine.temperature.1), of(machine.system.1), "MTConnect/Devices/plc-1/Observations/+".into()];
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let mut twin = Twin::start(&broker, TWIN, &filters).await;
    let mut visitor = Twin::start(&broker, VISITOR, &filters[2..]).await;
    let shdr = serve(vec![machine.recording.clone(), injected]).await;
    let stage = configure(&machine, shdr, plc.port(), &broker);
    let gateway = stage.start();
    let mut opcua = opcua::Peer::asyncua(&stage.folder.path().join("opcua"));
    opcua.connect(&stage);

    // The twin sees it coming: the ramp, then the fault, each behind the other.
    let fault = twin.sees(machine.system.1, "FAULT", 0).await;
    assert_eq!(
        (&fault.payload["nativeCode"], &fault.payload["message"]),
        (&json!("E4711"), &json!("Spindle is too hot"))
    );
    let of_machine = |item: &str| item == machine.temperature.1 || item == machine.system.1;
    let seen: Vec<_> = twin.heard.iter().filter(|heard| of_machine(heard.item())).collect();
    assert!(seen.is_sorted_by(|a, b| a.sequence() < b.sequence()), "{seen:?}");
    assert_eq!(seen.last().unwrap().sequence(), fault.sequence(), "the fault comes last");
    let hot = seen.iter().filter(|heard| heard.item() == machine.temperature.1);
    let ramp: Vec<&str> = hot.map(|heard| heard.result()).collect();
    let wanted = RAMP.map(|degrees| degrees.to_string());
    assert!(ramp.ends_with(&wanted.each_ref().map(String::as_str)), "{ramp:?}");
    assert!(ramp.len() > RAMP.len(), "the machine was replayed before");
    println!("{}: {} temperatures, then the fault", machine.name, ramp.len());

    // It asks for a feed hold; the machine stands, and the read-back is the answer.
    twin.sees("PLC_exec", "ACTIVE", 0).await;
    twin.sees("PLC_estop", "ARMED", 0).await;
    twin.sees("PLC_control", "ENABLED", 0).await;
    let writes: u32 = plc.say("writes").await.parse().unwrap();
    let asked = twin.heard.len();
    let answer = twin.ask("hold-1", "PLC", "feed_hold", &json!({})).await;
    assert_eq!((&answer["id"], &answer["state"]), (&json!("hold-1"), &json!("done")), "{answer}");
    assert_eq!(answer["readBack"], json!({ "state": 2 }));
    assert_eq!(plc.say("get 1 coil 10 1").await, "true", "the PLC's bit");
    assert_eq!(plc.say("writes").await, (writes + 1).to_string());

    // On every face.
    wait_until(&gateway, "PLC_exec", "FEED_HOLD");
    wait_until(&gateway, "PLC_hold", "ACTIVE");
    assert_eq!(current(&gateway, machine.system.1).as_deref(), Some("Fault"));
    for (item, value) in [("exec", "FEED_HOLD"), ("hold", "ACTIVE")] {
        // The variable of a vocabulary is a number, and has the word beside it.
        let read = json!({ "do": "value", "node": format!("ns=3;s=plc-1/PLC_{item}/ValueAsText") });
        let shown = |said: &Json| (said["status"] == "Good" && said["value"] == value).then(|| said.clone());
        let shown = opcua.hears(&format!("{item} is {value}"), SOON, read, shown);
        // It is one observation: of one time, on each face.
        let id = format!("PLC_{item}");
        let heard = twin.sees(&id, value, asked).await;
        let document = gateway.get("/current");
        let document = roxmltree::Document::parse(&document).unwrap();
        let node = document.descendants().find(|node| node.attribute("dataItemId") == Some(&id)).unwrap();
        assert_eq!(node.attribute("sequence").unwrap(), heard.sequence().to_string());
        let times =
            [node.attribute("timestamp"), heard.payload["timestamp"].as_str(), shown["time"].as_str()];
        let times = times.map(|time| micros(time.unwrap()));
        assert!(times.iter().all(|time| *time == times[0]), "{id} over HTTP, MQTT and OPC UA: {times:?}");
    }
    let running = twin.until("it runs", asked, |heard| heard.state_of("hold-1") == Some("running")).await;
    let bit = twin.sees("PLC_hold", "ACTIVE", asked).await;
    let stands = twin.sees("PLC_exec", "FEED_HOLD", asked).await;
    let done = twin.until("it is done", asked, |heard| heard.state_of("hold-1") == Some("done")).await;

    // In the sequence: the fault, that the command runs, what the machine does, that it is done.
    let order = [&fault, &running, &stands, &done].map(|heard| heard.sequence());
    assert!(order.is_sorted_by(|a, b| a < b), "fault, running, FEED_HOLD, done: {order:?}");
    assert!(running.sequence() < bit.sequence(), "the bit changes after the command runs");
    assert_eq!(done.payload["result"]["requester"], "twin");
    let audit = format!("{}:{}", answer["audit"]["row"], answer["audit"]["hash"].as_str().unwrap());
    assert_eq!(done.payload["result"]["audit"], audit.as_str());

    // Somebody goes on with the work. Who has the wrong role does not stop it.
    work(&mut plc).await;
    wait_until(&gateway, "PLC_exec", "ACTIVE");
    wait_until(&gateway, "PLC_hold", "INACTIVE");
    let writes = plc.say("writes").await;
    let refused = visitor.ask("hold-2", "PLC", "feed_hold", &json!({})).await;
    assert_eq!(
        (&refused["state"], &refused["reason"]),
        (&json!("rejected"), &json!("not-permitted")),
        "{refused}"
    );
    visitor
        .until("it is rejected in the sequence, too", 0, |heard| {
            assert_ne!(heard.state_of("hold-2"), Some("running"));
            heard.state_of("hold-2") == Some("rejected")
        })
        .await;
    let (status, _) = gateway.terminate();
    assert!(status.success());
    assert_eq!(plc.say("writes").await, writes, "nothing was written");
    assert_eq!(plc.say("get 1 coil 10 1").await, "false");
    let rows = audited(stage.folder.path());
    let of_hold = rows_of(&rows, "hold-1");
    let whats: Vec<&str> = of_hold.iter().map(|(what, _)| *what).collect();
    assert_eq!(whats, ["request", "begin", "write", "written", "read-back", "end"], "{of_hold:?}");
    let of_visitor = rows_of(&rows, "hold-2");
    let whats: Vec<&str> = of_visitor.iter().map(|(what, _)| *what).collect();
    assert_eq!(whats, ["request", "end"], "{of_visitor:?}");
    assert!(of_visitor[0].1.contains("\"visitor\""), "{of_visitor:?}");
    assert!(of_visitor[1].1.contains("\"not-permitted\""), "{of_visitor:?}");
}
