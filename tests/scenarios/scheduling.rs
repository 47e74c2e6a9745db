//! Scheduling and routing: one of three machines is lost in the middle of a job, and another one gets it, once.

use guideway_contract::kit::Peer;
use serde_json::{Value as Json, json};

use crate::support::broker::Broker;
use crate::support::control::{SOON, Twin, Who, audited, current, mqtt, rows_of, value_in};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::opcua::Stage;

/// What both kinds of machines have: a job that is handed over by strobe and echo, and shown as long as it runs.
const COMMON: &str = r#"
[enums]
exec = { 0 = "READY", 1 = "ACTIVE", _ = "UNAVAILABLE" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
exec = { at = "Controller/Path[path]", type = "EXECUTION", from = "state", enum = "exec" }
parts = { at = "Controller/Path[path]", type = "PART_COUNT.ALL", from = "parts" }
job = { at = "Controller/Path[path]", type = "PROCESS_AGGREGATE_ID.ORDER_NUMBER", from = "job" }
[commands.start_job]
about = "Hands a job over"
risk = "program"
args = { job = { type = "string", max_len = 16, pattern = "[A-Z0-9-]+" } }
require = 'item.exec == "READY"'
max_age = "10s"
write = [{ point = "job", value = "args.job" }, { point = "strobe", value = "21" }]
verify = { point = "echo", equals = "21", within = "10s" }
finally = [{ point = "strobe", value = "0" }]
"#;

const MODBUS: &str = r#"
schema = 1
id = "by-modbus"
version = "1.0.0"
groups = { fast = "30ms" }
[adapter]
kind = "modbus"
timeout = "2s"
[points]
state = { addr = "holding:0", type = "u16", group = "fast" }
parts = { addr = "holding:1", type = "u16", group = "fast" }
strobe = { addr = "holding:30", type = "u16", access = "w" }
echo = { addr = "holding:31", type = "u16", group = "fast" }
job = { addr = "holding:40", type = "string[16]", access = "rw", group = "fast" }
"#;

const S7: &str = r#"
schema = 1
id = "by-s7"
version = "1.0.0"
groups = { fast = "30ms" }
[adapter]
kind = "s7"
timeout = "2s"
[points]
state = { addr = "DB1.DBW0", type = "i16", group = "fast" }
parts = { addr = "DB1.DBW2", type = "i16", group = "fast" }
strobe = { addr = "DB1.DBW30", type = "i16", access = "w" }
echo = { addr = "DB1.DBW32", type = "i16", group = "fast" }
job = { addr = "DB1.DBB40", type = "string[16]", access = "rw", group = "fast" }
"#;

const SCHEDULER: Who = Who { name: "scheduler", role: "planner" };
const JOB: &str = "JOB-4711";

/// A controller with its program: it repeats the strobe, works and counts.
struct Machine {
    name: &'static str,
    peer: Peer,
    is_s7: bool,
}

impl Machine {
    async fn start(name: &'static str, is_s7: bool) -> Self {
        let script = if is_s7 { "s7_peer.py" } else { "modbus_peer.py" };
        let mut machine = Self { name, peer: Peer::python(script, &[]).await, is_s7 };
        machine.clear().await;
        machine
    }

    /// It has nothing to do.
    async fn clear(&mut self) {
        let lines = match self.is_s7 {
            true => ["set DB1 0 00000000", "set DB1 30 00000000", "set DB1 40 1000", "echo DB1 30 2 32 50"],
            false => [
                "set 1 holding 0 0 0",
                "set 1 holding 30 0 0",
                "set 1 holding 40 0 0 0 0 0 0 0 0",
                "echo 1 30 31 50",
            ],
        };
        for line in lines {
            self.tell(line).await;
        }
    }

    async fn tell(&mut self, line: &str) {
        assert_eq!(self.peer.say(line).await, "ok", "{}: {line}", self.name);
    }

    /// It works, and has made so many parts.
    async fn work(&mut self, parts: u16) {
        let line = match self.is_s7 {
            true => format!("set DB1 0 0001{parts:04x}"),
            false => format!("set 1 holding 0 1 {parts}"),
        };
        self.tell(&line).await;
    }

    async fn writes(&mut self) -> u32 {
        self.peer.say("writes").await.parse().unwrap()
    }

    /// The job in its memory.
    async fn job(&mut self) -> String {
        let bytes = match self.is_s7 {
            true => {
                let hex = self.peer.say("get DB1 41 17").await;
                let byte = |at: usize| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap();
                (1..=usize::from(byte(0))).map(byte).collect()
            }
            false => {
                let said = self.peer.say("get 1 holding 40 8").await;
                let registers = said.split(' ').map(|number| number.parse::<u16>().unwrap());
                registers.flat_map(u16::to_be_bytes).filter(|byte| *byte != 0).collect::<Vec<u8>>()
            }
        };
        String::from_utf8(bytes).unwrap()
    }

    fn table(&self) -> String {
        let profile = if self.is_s7 { "by-s7" } else { "by-modbus" };
        format!(
            "[[device]]\nname = \"{0}\"\nuuid = \"{0}\"\nprofile = \"./{profile}.toml\"\n\
             address = \"127.0.0.1:{1}\"\ncommands = [\"start_job\"]\n",
            self.name,
            self.peer.port()
        )
    }
}

/// What the scheduler goes by: the first machine that is there and has nothing to do, as far as it has heard.
fn free_machine(scheduler: &Twin) -> Option<&'static str> {
    let names = ["Mill-1", "Mill-2", "Press-3"];
    names.into_iter().find(|name| {
        scheduler.knows(&format!("{name}_avail")) == Some("AVAILABLE")
            && scheduler.knows(&format!("{name}_exec")) == Some("READY")
    })
}

fn is_done(answer: &Json) {
    assert_eq!(answer["state"], "done", "{answer}");
    assert_eq!(
        (&answer["readBack"], &answer["released"]),
        (&json!({ "echo": 21 }), &json!(true)),
        "{answer}"
    );
}

/// Observations of a machine behind a sequence number: each has the job in force when it was made.
fn rides(gateway: &Gateway, machine: &str, after: u64) -> usize {
    let sample = gateway.get(&format!("/{machine}/sample?from={}&count=1000", after + 1));
    let document = roxmltree::Document::parse(&sample).unwrap();
    let sequences = document.descendants().filter_map(|node| node.attribute("sequence"));
    let mut later: Vec<u64> = sequences.map(|sequence| sequence.parse().unwrap()).collect();
    later.retain(|sequence| *sequence > after);
    for sequence in &later {
        let then = gateway.get(&format!("/{machine}/current?at={sequence}"));
        assert_eq!(value_in(&then, &format!("{machine}_job")).as_deref(), Some(JOB), "at {sequence}");
    }
    later.len()
}

/// Plays the scenario.
pub async fn play() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let mut mill_1 = Machine::start("Mill-1", false).await;
    let mut mill_2 = Machine::start("Mill-2", false).await;
    let mut press = Machine::start("Press-3", true).await;
    let mut stage = Stage::open();
    for (name, head) in [("by-modbus", MODBUS), ("by-s7", S7)] {
        std::fs::write(stage.folder.path().join(format!("{name}.toml")), format!("{head}{COMMON}")).unwrap();
    }
    let devices: String = [&mill_1, &mill_2, &press].map(Machine::table).concat();
    stage.more = format!(
        "{devices}[control]\n{}[[control.permit]]\nrole = \"planner\"\ndevices = [\"*\"]\n\
         commands = [\"start_job\"]\n{}",
        SCHEDULER.table(),
        mqtt(&broker)
    );
    let mut scheduler = Twin::start(&broker, SCHEDULER, &["MTConnect/Devices/+/Observations/+"]).await;
    let gateway = stage.start();
    for name in ["Mill-1", "Mill-2", "Press-3"] {
        scheduler.sees(&format!("{name}_exec"), "READY", 0).await;
    }

    // The second machine has work of its own. The first one gets the job, accepts it, and is lost in the middle of it.
    mill_2.work(7).await;
    scheduler.sees("Mill-2_exec", "ACTIVE", 0).await;
    let first = free_machine(&scheduler).unwrap();
    assert_eq!(first, "Mill-1");
    is_done(&scheduler.ask("job-1", first, "start_job", &json!({ "job": JOB })).await);
    assert_eq!(mill_1.job().await, JOB);
    mill_1.work(1).await;
    scheduler.sees("Mill-1_parts", "1", 0).await;
    let from = scheduler.heard.len();
    mill_1.peer.kill().await;
    let lost = scheduler.sees("Mill-1_avail", "UNAVAILABLE", from).await;
    scheduler.sees("Mill-1_exec", "UNAVAILABLE", from).await;

    // It goes to the one that is left, which speaks another protocol, and is accepted there.
    let second = free_machine(&scheduler).unwrap();
    assert_eq!(second, "Press-3");
    let asked = scheduler.heard.len();
    let request = SCHEDULER.request("job-2", second, "start_job", &json!({ "job": JOB }), 60.0);
    let answer = scheduler.send(&request).await;
    is_done(&answer);
    assert!(answer.get("replayed").is_none(), "{answer}");
    assert_eq!(press.job().await, JOB);
    assert_eq!(press.writes().await, 3, "job, strobe, and the strobe let go");
    press.work(1).await;
    press.work(2).await;

    // The job's id stands before whatever the machine says of it.
    let job = scheduler.sees("Press-3_job", JOB, asked).await;
    let running = scheduler.until("it runs", asked, |heard| heard.state_of("job-2") == Some("running")).await;
    let done = scheduler.until("it is done", asked, |heard| heard.state_of("job-2") == Some("done")).await;
    let works = scheduler.sees("Press-3_exec", "ACTIVE", asked).await;
    let part = scheduler.sees("Press-3_parts", "2", asked).await;
    let order = [&lost, &running, &job, &done, &works].map(|heard| heard.sequence());
    assert!(order.is_sorted_by(|a, b| a < b), "lost, running, job, done, ACTIVE: {order:?}");
    assert!(part.sequence() > done.sequence());
    let later = rides(&gateway, second, job.sequence());
    assert!(later >= 3, "done, ACTIVE and a part at least, not {later}");

    // The same request once more, byte by byte, starts no second job; nor is one that comes too late begun.
    let again = scheduler.send(&request).await;
    assert_eq!((&again["state"], &again["replayed"]), (&json!("done"), &json!(true)), "{again}");
    assert_eq!((&again["time"], &again["readBack"]), (&answer["time"], &answer["readBack"]), "{again}");
    assert_eq!(press.writes().await, 3, "redelivered");
    let before = mill_2.writes().await;
    assert_eq!(mill_2.peer.say("set 1 holding 0 0").await, "ok");
    let from = scheduler.heard.len();
    scheduler.sees("Mill-2_exec", "READY", from).await;
    let late = SCHEDULER.request("job-3", "Mill-2", "start_job", &json!({ "job": "JOB-4712" }), -1.0);
    let late = scheduler.send(&late).await;
    assert_eq!((&late["state"], &late["reason"]), (&json!("rejected"), &json!("expired")), "{late}");
    assert_eq!(mill_2.writes().await, before, "expired");

    // The machine that was lost comes back, and nobody has told it anything.
    let from = scheduler.heard.len();
    mill_1.peer.restart().await;
    mill_1.clear().await;
    scheduler.sees("Mill-1_avail", "AVAILABLE", from).await;
    scheduler.sees("Mill-1_exec", "READY", from).await;
    assert_eq!((mill_1.job().await.as_str(), mill_1.writes().await), ("", 0));

    // A stop of the gateway does not make it forget: the redelivered request is answered from the audit.
    let (status, _) = gateway.terminate();
    assert!(status.success());
    let gateway = stage.start();
    eventually("the machine is back", SOON, || current(&gateway, "Press-3_job").filter(|job| job == JOB));
    let again = scheduler.send(&request).await;
    assert_eq!((&again["state"], &again["replayed"]), (&json!("done"), &json!(true)), "{again}");
    let writes = [mill_1.writes().await, mill_2.writes().await, press.writes().await];
    assert_eq!(writes, [0, before, 3], "redelivered after a restart");
    let (status, _) = gateway.terminate();
    assert!(status.success());
    let rows = audited(stage.folder.path());
    let begun = |id: &str| rows_of(&rows, id).iter().filter(|(what, _)| *what == "begin").count();
    assert_eq!((begun("job-1"), begun("job-2"), begun("job-3")), (1, 1, 0));
    println!(
        "{JOB}: lost at {}, done at {} of the sequence; {later} observations ride on",
        order[0], order[3]
    );
}
