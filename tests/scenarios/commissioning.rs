//! Virtual commissioning: a simulated PLC drives a simulated spindle, and a controller closes the loop through the
//! gateway. Then the real machine takes the simulator's place by one line of configuration.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use guideway_contract::Timestamp;
use guideway_contract::kit::Peer;
use guideway_simulator::Fleet;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::broker::Broker;
use crate::support::control::{SOON, Twin, Who, audited, current, mqtt, post};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::http::Stream;
use crate::support::opcua::Stage;

/// A drive: the speed it is to have, and the speed it has.
const DRIVE: &str = r#"
schema = 1
id = "drive"
version = "1.0.0"
groups = { fast = "10ms" }
[adapter]
kind = "modbus"
timeout = "2s"
[points]
target = { addr = "holding:40", type = "u16", scale = 0.1, access = "rw", group = "fast" }
speed = { addr = "holding:41", type = "u16", scale = 0.1, group = "fast" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
target = { at = "Axes/Rotary[S]", type = "ROTARY_VELOCITY.PROGRAMMED", units = "REVOLUTION/MINUTE", from = "target" }
speed = { at = "Axes/Rotary[S]", type = "ROTARY_VELOCITY.ACTUAL", units = "REVOLUTION/MINUTE", from = "speed" }
[commands.set_speed]
about = "Sets the spindle's speed"
risk = "setpoint"
args = { speed = { type = "float", min = 0, max = 6000, units = "REVOLUTION/MINUTE" } }
require = 'item.avail == "AVAILABLE"'
max_age = "10s"
write = [{ point = "target", value = "args.speed" }]
verify = { point = "target", equals = "args.speed", within = "10s", tolerance = 0.05 }
bind = "target"
"#;

const CONTROLLER: Who = Who { name: "controller", role: "commissioning" };
/// Looks at topics, and asks for nothing.
const WATCHER: Who = Who { name: "watcher", role: "viewer" };

/// Cycles with the simulator, and how many of them have the same wanted speed.
const CYCLES: usize = 1_000;
const LEG: usize = 100;
/// Wanted speeds, one after the other.
const WANTED: [f64; 4] = [1_000.0, 2_500.0, 1_800.0, 3_000.0];

/// The spindle: a lag of 100 ms, and 5 % slip, so that it gets to a speed only if somebody looks at it. It is a client
/// of the PLC's Modbus server, as an I/O simulator is.
struct Plant {
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
    failed: Arc<AtomicBool>,
}

impl Plant {
    fn start(plc: u16) -> Self {
        let (stop, stopped) = mpsc::channel();
        let failed = Arc::new(AtomicBool::new(false));
        let stream = TcpStream::connect(("127.0.0.1", plc)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let tell = failed.clone();
        let thread = std::thread::spawn(move || {
            tell.store(live(stream, &stopped).is_err(), Ordering::Relaxed);
        });
        Self { stop, thread: Some(thread), failed }
    }

    fn stop(mut self) {
        // It may have ended already; then `failed` says so.
        let _ = self.stop.send(());
        self.thread.take().unwrap().join().unwrap();
        assert!(!self.failed.load(Ordering::Relaxed), "the plant has lost its PLC");
    }
}

/// Every 10 ms, as long as nobody stops it.
fn live(mut stream: TcpStream, stop: &mpsc::Receiver<()>) -> std::io::Result<()> {
    let (mut speed, mut tick) = (0.0_f64, 0_u16);
    while stop.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
        let answer = ask::<11>(&mut stream, tick, [3, 0, 40, 0, 1])?;
        let target = f64::from(u16::from_be_bytes([answer[9], answer[10]]));
        speed += (target * 0.95 - speed) * 0.1;
        tick = tick.wrapping_add(1);
        // A bearing that is not quite round: the speed is never the same for long.
        let [high, low] = ((speed + f64::from(tick % 7)) as u16).to_be_bytes();
        ask::<12>(&mut stream, tick, [6, 0, 41, high, low])?;
    }
    Ok(())
}

/// A request of Modbus TCP to unit 1, and its answer of a known length.
fn ask<const LENGTH: usize>(
    stream: &mut TcpStream,
    number: u16,
    pdu: [u8; 5],
) -> std::io::Result<[u8; LENGTH]> {
    let [high, low] = number.to_be_bytes();
    let mut request = vec![high, low, 0, 0, 0, 6, 1];
    request.extend(pdu);
    stream.write_all(&request)?;
    let mut answer = [0; LENGTH];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer[7], pdu[0], "the PLC refuses");
    Ok(answer)
}

/// A controller that knows the plant by its observations, and acts on it by commands.
struct Controller {
    address: SocketAddr,
    stream: Stream,
    /// What came in the same document and was not looked at yet: when, and how fast.
    seen: Vec<(Timestamp, f64)>,
    integral: f64,
    asked: usize,
    prefix: &'static str,
    commands: Vec<Duration>,
    loops: Vec<Duration>,
}

impl Controller {
    fn start(gateway: &Gateway, prefix: &'static str) -> Self {
        eventually("the drive is read", SOON, || {
            current(gateway, "Drive_speed").filter(|text| text != "UNAVAILABLE")
        });
        let path = "//DataItem[@id=\"Drive_speed\"]";
        let target = format!("/sample?path={path}&from={}&interval=0&count=1000", gateway.next_sequence());
        Self {
            address: gateway.address,
            stream: Stream::open(gateway.address, &target),
            seen: Vec::new(),
            integral: 0.0,
            asked: 0,
            prefix,
            commands: Vec::new(),
            loops: Vec::new(),
        }
    }

    /// The plant's speed, as the gateway read it after `after`.
    fn speed(&mut self, after: Timestamp) -> (Timestamp, f64) {
        loop {
            self.seen.retain(|(at, _)| at.nanos() > after.nanos());
            if let Some(newest) = self.seen.last() {
                return *newest;
            }
            let part = self.stream.part().expect("the stream goes on");
            let document = roxmltree::Document::parse(&part).unwrap();
            let speeds =
                document.descendants().filter(|node| node.attribute("dataItemId") == Some("Drive_speed"));
            self.seen = speeds
                .map(|node| {
                    let at = Timestamp::parse(node.attribute("timestamp").unwrap()).unwrap();
                    (at, node.text().unwrap().parse().unwrap())
                })
                .collect();
        }
    }

    /// Reads, computes, writes, and has it read back; gives the speed that was read, and when it was done.
    fn cycle(&mut self, wanted: f64, after: Timestamp) -> (f64, Timestamp) {
        let (at, speed) = self.speed(after);
        let error = wanted - speed;
        self.integral = (self.integral + 0.2 * error).clamp(-1_000.0, 1_000.0);
        let next = (wanted + 0.5 * error + self.integral).clamp(0.0, 6_000.0);
        let next = (next * 10.0).round() / 10.0;
        self.asked += 1;
        let id = format!("{}-{}", self.prefix, self.asked);
        let begun = Instant::now();
        let request = CONTROLLER.request(&id, "Drive", "set_speed", &json!({ "speed": next }), 30.0);
        let (status, end) = post(self.address, "Drive", "set_speed", &request);
        assert_eq!((status, &end["state"]), (200, &json!("done")), "{end}");
        let read_back = end["readBack"]["target"].as_f64().unwrap();
        assert!((read_back - next).abs() < 0.05, "{next}: {end}");
        let done = Timestamp::now();
        self.commands.push(begun.elapsed());
        self.loops.push(Duration::from_nanos(done.nanos().abs_diff(at.nanos())));
        (speed, done)
    }

    /// So many cycles; at the end of each leg the plant has to be as fast as is wanted.
    fn run(&mut self, cycles: usize) {
        let mut after = Timestamp::now();
        for cycle in 1..=cycles {
            let wanted = WANTED[(cycle - 1) / LEG % WANTED.len()];
            let (speed, done) = self.cycle(wanted, after);
            after = done;
            if cycle % LEG == 0 {
                assert!((speed - wanted).abs() < wanted * 0.01, "cycle {cycle}: {speed} instead of {wanted}");
            }
        }
    }

    fn report(&mut self, what: &str) {
        let (command, all) = (quantiles(&mut self.commands), quantiles(&mut self.loops));
        println!(
            "{what}: {} cycles; observation to read-back p50 {:.1} ms, p99 {:.1} ms; of it the command p50 {:.1} ms, p99 {:.1} ms",
            self.loops.len(),
            all[0],
            all[1],
            command[0],
            command[1]
        );
    }
}

/// p50 and p99 in milliseconds.
fn quantiles(times: &mut [Duration]) -> [f64; 2] {
    times.sort();
    [0.5, 0.99].map(|part| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3)
}

/// A device model without what says when it was shown.
fn model(gateway: &Gateway) -> String {
    let probe = gateway.get("/probe");
    let document = roxmltree::Document::parse(&probe).unwrap();
    let header = document.descendants().find(|node| node.tag_name().name() == "Header").unwrap().range();
    format!("{}{}", &probe[..header.start], &probe[header.end..])
}

fn ids(gateway: &Gateway) -> BTreeSet<String> {
    let current = gateway.get("/current");
    let document = roxmltree::Document::parse(&current).unwrap();
    document.descendants().filter_map(|node| node.attribute("dataItemId")).map(str::to_owned).collect()
}

/// The topics of everything that a gateway has published until it stopped.
async fn topics(watcher: &mut Twin) -> BTreeSet<String> {
    let is_last = |topic: &str| topic.ends_with("/Availability");
    watcher
        .until("the gateway has gone", 0, |heard| {
            is_last(&heard.topic) && heard.payload == "UNAVAILABLE" && !heard.retained
        })
        .await;
    watcher.heard.iter().filter(|heard| !heard.retained).map(|heard| heard.topic.clone()).collect()
}

/// Commands that have ended, by the audit.
fn ends(folder: &Path) -> usize {
    audited(folder).iter().filter(|row| row.row.what.as_str() == "end").count()
}

fn configure(stage: &mut Stage, plc: u16, broker: &Broker) -> String {
    stage.more = format!(
        "[[device]]\nname = \"Drive\"\nuuid = \"drive-1\"\nprofile = \"./drive.toml\"\n\
         address = \"127.0.0.1:{plc}\"\ncommands = [\"set_speed\"]\n\
         [control]\nhttp = true\nburst = 1000\nper_minute = 6000\n{}\
         [[control.permit]]\nrole = \"commissioning\"\ndevices = [\"Drive\"]\ncommands = [\"*\"]\n{}",
        CONTROLLER.table(),
        mqtt(broker)
    );
    std::fs::read_to_string(stage.write()).unwrap()
}

/// What one gateway showed to its machine's twins.
struct Shown {
    model: String,
    ids: BTreeSet<String>,
    topics: BTreeSet<String>,
}

/// Starts the gateway, closes the loop for so many cycles, and stops everything.
async fn commission(stage: &Stage, broker: &Broker, plc: u16, name: &'static str, cycles: usize) -> Shown {
    let begun = Instant::now();
    let mut watcher = Twin::start(broker, WATCHER, &["#"]).await;
    let plant = Plant::start(plc);
    let gateway = stage.start();
    let mut controller = Controller::start(&gateway, name);
    let ready = begun.elapsed();
    controller.run(cycles);
    let run = begun.elapsed();
    controller.report(name);
    let (model, ids) = (model(&gateway), ids(&gateway));
    let (status, _) = gateway.terminate();
    assert!(status.success());
    plant.stop();
    let topics = topics(&mut watcher).await;
    println!(
        "{name}: ready after {ready:.1?}, run after {run:.1?}, looked at after {:.1?}; {} messages over MQTT",
        begun.elapsed(),
        watcher.heard.len()
    );
    Shown { model, ids, topics }
}

/// Plays the scenario.
pub async fn play() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let mut stage = Stage::open();
    std::fs::write(stage.folder.path().join("drive.toml"), DRIVE).unwrap();

    // The PLC is simulated, and has registers for whoever wants some.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let simulator = listener.local_addr().unwrap().port();
    let native = Fleet::seeded(7).native.into_iter().find(|machine| machine.profile() == "eastron-sdm630");
    let cancel = CancellationToken::new();
    tokio::spawn(native.unwrap().serve(listener, cancel.clone()));
    let first = configure(&mut stage, simulator, &broker);
    let simulated = commission(&stage, &broker, simulator, "simulated", CYCLES).await;
    cancel.cancel();

    // The machine itself: somebody else's controller at another address, and nothing else is changed.
    let mut machine = Peer::python("modbus_peer.py", &[]).await;
    assert_eq!(machine.say("set 1 holding 40 0 0").await, "ok");
    let second = configure(&mut stage, machine.port(), &broker);
    let changed: Vec<_> =
        first.lines().zip(second.lines()).filter(|(before, after)| before != after).collect();
    assert!(changed.len() == 1 && changed[0].0.starts_with("address = "), "{changed:?}");
    // What was simulated is never mixed with what is real: it stays in a data directory of its own.
    let data = stage.folder.path().join("data");
    assert_eq!(ends(stage.folder.path()), CYCLES, "each command has its end in the audit");
    std::fs::rename(&data, stage.folder.path().join("data.simulated")).unwrap();
    let real = commission(&stage, &broker, machine.port(), "real", LEG).await;
    assert!(machine.say("writes").await.parse::<usize>().unwrap() >= LEG, "the commands went to the machine");

    assert_eq!(simulated.model, real.model, "the device model");
    assert_eq!(simulated.ids, real.ids, "the ids of data items");
    assert_eq!(simulated.topics, real.topics, "the topics");
    for id in ["Drive_avail", "Drive_target", "Drive_speed", "Drive_command", "Drive_control"] {
        assert!(real.model.contains(&format!("id=\"{id}\"")) && real.ids.contains(id), "{id}");
        assert!(real.topics.contains(&format!("MTConnect/Devices/drive-1/Observations/{id}")), "{id}");
    }
    assert_eq!(ends(stage.folder.path()), LEG, "each command has its end in the audit");
    println!("{} ids and {} topics are the same", real.ids.len(), real.topics.len());
}
