//! `kill -9` at every step of a command: afterwards its end is known or `timed-out`, nothing was done twice, and the
//! release steps are done or reported as not done.

#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(missing_docs, unreachable_pub, reason = "only the test beside it uses the stage")]

mod support;

#[path = "control_crash/stage.rs"]
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guideway::control::audit::What;
use serde_json::{Value as Json, json};

use stage::{SOON, Stage};
use support::{eventually, http};

/// Where the gateway dies, and what has to be known of the command afterwards.
struct Case {
    /// After which row of the audit; or, with `gulp N`, when the machine has done the Nth write and not answered.
    at: &'static str,
    /// What the machine is told before.
    before: &'static [&'static str],
    state: &'static str,
    reason: Option<&'static str>,
    /// Writes that came to the machine before the gateway died, and after.
    writes: (u64, u64),
    /// What the end says of the release steps.
    released: Option<bool>,
}

const fn case(
    at: &'static str,
    state: &'static str,
    reason: Option<&'static str>,
    writes: (u64, u64),
    released: Option<bool>,
) -> Case {
    Case { at, before: &[], state, reason, writes, released }
}

const STOPPED: Option<&str> = Some("gateway-stopped");

const CASES: [Case; 19] = [
    case("request", "rejected", STOPPED, (0, 0), None),
    case("begin", "rejected", STOPPED, (0, 0), None),
    // Whether a write has left that was about to be handed over cannot be known, but to the test.
    case("write:1", "timed-out", STOPPED, (0, 1), Some(false)),
    case("gulp 1", "timed-out", STOPPED, (1, 1), Some(false)),
    case("written:1", "timed-out", STOPPED, (1, 1), Some(false)),
    case("write:2", "timed-out", STOPPED, (1, 1), Some(false)),
    case("gulp 2", "timed-out", STOPPED, (2, 1), Some(false)),
    case("written:2", "timed-out", STOPPED, (2, 1), Some(false)),
    case("write:3", "timed-out", STOPPED, (2, 1), Some(false)),
    case("gulp 3", "timed-out", STOPPED, (3, 1), Some(false)),
    case("written:3", "timed-out", STOPPED, (3, 1), Some(false)),
    case("read-back", "done", None, (3, 1), Some(false)),
    case("release", "done", None, (3, 1), Some(false)),
    case("gulp 4", "done", None, (4, 1), Some(false)),
    case("released", "done", None, (4, 0), Some(true)),
    case("end", "done", None, (4, 0), Some(true)),
    // The machine says no, or says nothing.
    Case {
        before: &["mute 1", "set 1 holding 32 5"],
        ..case("read-back", "failed", Some("machine-refused"), (3, 1), Some(false))
    },
    Case {
        before: &["mute 1"],
        ..case("read-back", "timed-out", Some("not-read-back"), (3, 1), Some(false))
    },
    Case { before: &["refuse 1 4"], ..case("written:1", "rejected", Some("write-refused"), (1, 0), None) },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_killed_has_one_end_and_acts_once() {
    let mut stage = Stage::set().await;
    for (number, case) in CASES.iter().enumerate() {
        kill_and_look(&mut stage, number, case).await;
    }
    // The machine takes commands as ever.
    stage.tidy().await;
    stage.start(None);
    stage.ready();
    let end = stage.ask(&stage.request("last", 999), "load").unwrap();
    assert_eq!((&end["state"], &end["released"]), (&json!("done"), &json!(true)), "{end}");
}

async fn kill_and_look(stage: &mut Stage, number: usize, case: &Case) {
    let what = format!("{}, {:?}", case.at, case.before);
    let id = format!("step-{number}");
    stage.tidy().await;
    let gulp = case.at.strip_prefix("gulp ").map(|number| number.parse::<u64>().unwrap());
    stage.start(gulp.is_none().then_some(case.at));
    stage.ready();
    for line in case.before {
        stage.tell(line).await;
    }
    let before = stage.writes().await;
    if let Some(number) = gulp {
        stage.tell(&format!("gulp 1 {number}")).await;
    }
    let job = u16::try_from(number).unwrap() + 1;
    let request = stage.request(&id, job);
    stage.publish(&request).await;
    if let Some(number) = gulp {
        let deadline = tokio::time::Instant::now() + SOON;
        while stage.writes().await < before + number {
            assert!(tokio::time::Instant::now() < deadline, "{what}: the write never came");
        }
        // Done, and not answered.
        match number {
            2 => stage.until_register(20, job).await,
            3 => stage.until_register(30, 11).await,
            4 => stage.until_register(30, 0).await,
            _ => {}
        }
        stage.kill();
    } else {
        stage.dies();
    }
    let killed = stage.writes().await;
    assert_eq!(killed - before, case.writes.0, "{what}: writes before");
    stage.tell("spit 1").await;

    stage.start(None);
    let end = eventually("the end is known", SOON, || stage.end(&id));
    assert_eq!(
        (end["state"].as_str(), end["reason"].as_str()),
        (Some(case.state), case.reason),
        "{what}: {end}"
    );
    assert_eq!(end.get("released"), case.released.map(Json::from).as_ref(), "{what}: {end}");
    if case.writes.1 > 0 {
        eventually("the machine is let go of", SOON, || stage.is_released(&id).then_some(()));
    }
    eventually("no release is pending", SOON, || stage.cell()["releasePending"].is_null().then_some(()));
    assert_eq!(stage.register(30).await, 0, "{what}: the strobe stands");

    // Whoever has asked hears of it, perhaps twice: the broker could not know that the request had arrived.
    let answer = loop {
        let answer = stage.answer(20).await.unwrap_or_else(|| panic!("{what}: no answer"));
        // One of the request before may come once more.
        if answer["id"] == id {
            break answer;
        }
    };
    assert_eq!(answer["state"], end["state"], "{what}: {answer}");
    assert_eq!(answer.get("reason"), end.get("reason"), "{what}: {answer}");
    // The journal says it, too.
    let said = eventually("the journal says how it ended", SOON, || {
        stage.told().filter(|(_, state)| state != "running")
    });
    assert_eq!((said.0.as_str(), said.1.as_str()), (id.as_str(), case.state), "{what}");

    // Asked again, it is told again.
    let again = stage.ask(&request, "load").unwrap_or_else(|| panic!("{what}: no answer"));
    assert_eq!((&again["state"], &again["replayed"]), (&end["state"], &json!(true)), "{what}: {again}");
    let other = stage.ask(&stage.request(&id, 500), "load").unwrap();
    assert_eq!(other["reason"], "id-reused", "{what}: {other}");
    assert_eq!(stage.writes().await, killed + case.writes.1, "{what}: writes after");
    assert!(stage.count(&id, What::Write) <= 3, "{what}");
    // Answers that came twice are no surprise to the next one.
    while let Some(answer) = stage.answer(0).await {
        if answer["id"] == id {
            assert_eq!(answer["state"], end["state"], "{what}: {answer}");
        }
    }

    // A repetition that a kill cuts off takes nothing away from what is known.
    stage.kill();
    if number == 0 || case.at == "end" {
        stage.start(Some("request"));
        assert!(stage.ask(&request, "load").is_none(), "{what}: it was killed");
        stage.dies();
        stage.start(None);
        let again = stage.ask(&request, "load").unwrap();
        assert_eq!((&again["state"], &again["replayed"]), (&end["state"], &json!(true)), "{what}: {again}");
        assert_eq!(stage.writes().await, killed + case.writes.1, "{what}: writes at last");
        stage.kill();
    }
    println!("{what:<50} {} {:?}", case.state, case.released);
}

/// A small generator, so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// A request of the stream, and what was answered.
struct Asked {
    id: String,
    job: u16,
    request: String,
    answer: Option<Json>,
}

/// Asks as fast as it is answered, until nobody answers any more. A job that was rejected is asked for again, as another
/// request.
fn ask_on(
    address: std::net::SocketAddr,
    sign: &dyn Fn(&str, u16) -> String,
    next: &AtomicU16,
    all: &Mutex<Vec<Asked>>,
) {
    let (_keep, pause) = std::sync::mpsc::channel::<()>();
    loop {
        let job = next.fetch_add(1, Ordering::Relaxed);
        loop {
            let mut asked = all.lock().unwrap();
            let (at, id) = (asked.len(), format!("random-{}", asked.len()));
            let request = sign(&id, job);
            asked.push(Asked { id, job, request: request.clone(), answer: None });
            drop(asked);
            let Some(end) = http::try_control(address, "/control/Cell/load", &request) else { return };
            let is_rejected = end["state"] == "rejected";
            all.lock().unwrap()[at].answer = Some(end);
            if !is_rejected {
                break;
            }
            // Nobody sends: this is a timer.
            let _ = pause.recv_timeout(Duration::from_millis(10));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_any_time_lose_no_end_and_no_command_acts_twice() {
    let mut stage = Stage::set().await;
    stage.tidy().await;
    stage.start(None);
    stage.ready();
    let mut random = Random(20_261_123);
    stage.tell("lag 1 10").await;
    let next = Arc::new(AtomicU16::new(100));
    let all: Arc<Mutex<Vec<Asked>>> = Arc::default();
    for _ in 0..30 {
        let client = || {
            let (next, all, address, sign) = (next.clone(), all.clone(), stage.address(), stage.signer());
            std::thread::spawn(move || ask_on(address, &sign, &next, &all))
        };
        let clients = [client(), client()];
        tokio::time::sleep(Duration::from_millis(20 + random.below(1_000))).await;
        stage.kill();
        for client in clients {
            client.join().unwrap();
        }
        stage.start(None);
        stage.ready();
    }
    stage.tell("lag 1 0").await;
    let all = std::mem::take(&mut *all.lock().unwrap());
    let ends = stage.ends();
    let (mut cut, mut unheard) = (0, 0);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut states: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for Asked { id, job, request, answer } in &all {
        let end = ends.get(id);
        match (answer, end) {
            (Some(answer), Some(end)) => assert_eq!(answer["state"], end["state"], "{id}: {answer}"),
            (Some(answer), None) => panic!("{id} was answered {answer}, and has no end"),
            // What was cut off is answered with its end.
            (None, Some(end)) => {
                cut += 1;
                let again = stage.ask(request, "load").unwrap();
                assert_eq!(
                    (&again["state"], &again["replayed"]),
                    (&end["state"], &json!(true)),
                    "{id}: {again}"
                );
            }
            (None, None) => {
                unheard += 1;
                assert!(stage.rows(id).is_empty(), "{id} came, and has no end");
            }
        }
        if let Some(state) = end.and_then(|end| end["state"].as_str()) {
            *counts.entry(state.to_owned()).or_default() += 1;
            states.entry(*job).or_default().push(state.to_owned());
        }
    }
    let mut times: BTreeMap<u16, u32> = BTreeMap::new();
    let written = stage.machine.say("written 1 20").await;
    for job in written.split_whitespace().filter_map(|word| word.parse().ok()) {
        *times.entry(job).or_default() += 1;
    }
    for (job, states) in &states {
        let times = times.get(job).copied().unwrap_or_default();
        let is_fine = match states.iter().map(String::as_str).find(|state| *state != "rejected") {
            Some("done") => times == 1,
            Some(_) => times <= 1,
            None => times == 0,
        };
        assert!(is_fine, "job {job} is {states:?} and was written {times} times");
    }
    eventually("the machine is let go of", SOON, || stage.cell()["releasePending"].is_null().then_some(()));
    assert_eq!(stage.register(30).await, 0);
    println!("30 random kills: {counts:?}; {cut} without an answer and with an end, {unheard} never arrived");
    let number = |state: &str| counts.get(state).copied().unwrap_or_default();
    assert!(number("done") > 0 && number("timed-out") > 0 && cut > 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_holds_that_is_away_is_let_go_of_when_it_is_back() {
    let mut stage = Stage::set().await;
    stage.tidy().await;
    stage.start(Some("read-back"));
    stage.ready();
    let request = stage.request("away", 7);
    stage.publish(&request).await;
    stage.dies();
    assert_eq!(stage.register(30).await, 11);
    stage.machine.kill().await;

    // It dies again when it has ended what was left, and before anybody was told.
    stage.start(Some("end"));
    stage.dies();
    // Twice more without the machine: one end, and the release steps reported as not done.
    for last in [("away", "done"), ("b", "rejected")] {
        stage.start(None);
        let end = eventually("the end is known", SOON, || stage.end("away"));
        assert_eq!((&end["state"], &end["released"]), (&json!("done"), &json!(false)), "{end}");
        eventually("its release is pending", SOON, || {
            (stage.cell()["releasePending"] == "away").then_some(())
        });
        let said = eventually("the journal says how it ended", SOON, || {
            stage.told().filter(|(_, state)| state != "running")
        });
        assert_eq!((said.0.as_str(), said.1.as_str()), last);
        let refused = stage.ask(&stage.signed("b", "relay", &json!({ "on": true })), "relay").unwrap();
        assert!(refused["reason"] == "release-pending" || refused["replayed"] == true, "{refused}");
        assert!(!stage.is_released("away"));
        stage.kill();
    }

    // It is back, and the gateway dies once more while it lets go.
    stage.machine.restart().await;
    stage.tell("set 1 holding 30 11").await;
    stage.start(Some("release"));
    stage.dies();
    stage.start(None);
    eventually("the machine is let go of", SOON, || stage.is_released("away").then_some(()));
    eventually("nothing is pending", SOON, || stage.cell()["releasePending"].is_null().then_some(()));
    assert_eq!(stage.register(30).await, 0);
    assert_eq!(stage.writes().await, 1, "one release step, and nothing else");
    assert_eq!(stage.machine.say("written 1 20").await, "nothing");
    let again = stage.ask(&request, "load").unwrap();
    assert_eq!((&again["state"], &again["replayed"]), (&json!("done"), &json!(true)), "{again}");

    // And it stays done over a restart.
    stage.kill();
    stage.start(None);
    stage.tidy().await;
    stage.ready();
    let end = stage.ask(&stage.request("next", 8), "load").unwrap();
    assert_eq!(end["state"], "done", "{end}");
    assert_eq!(stage.writes().await, 1 + 4);
}

/// The newest file of an audit.
fn newest(audit: &Path) -> PathBuf {
    let files = std::fs::read_dir(audit).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|kind| kind == "jsonl")).max().unwrap()
}

/// The exit status of `guideway audit verify`, and what it said.
fn verify(data: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_guideway"))
        .args(["audit", "verify", "--data-dir"])
        .arg(data)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_audit_goes_on_and_a_cut_one_keeps_control_off() {
    let mut stage = Stage::set().await;
    stage.tidy().await;
    stage.start(None);
    stage.ready();
    let end = stage.ask(&stage.request("one", 1), "load").unwrap();
    assert_eq!(end["state"], "done", "{end}");
    let data = stage.folder.path().join("data");
    let (status, said) = verify(&data);
    assert_eq!(status, Some(0), "beside the running gateway: {said}");
    stage.kill();

    // A power cut in the middle of a row.
    let file = newest(&data.join("audit"));
    let whole = std::fs::read_to_string(&file).unwrap();
    let half = "{\"row\":999,\"time\":\"2026-01-01T00:00:00Z\",\"what\":\"wri";
    std::fs::write(&file, format!("{whole}{half}")).unwrap();
    let (status, said) = verify(&data);
    assert!(status == Some(0) && said.contains(&format!("{} bytes", half.len())), "{said}");
    stage.start(None);
    stage.ready();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with(&whole) && text.contains(&format!("\"torn\":{}", half.len())), "{text}");
    let again = stage.ask(&stage.request("two", 2), "load").unwrap();
    assert_eq!(again["state"], "done", "{again}");
    // The stop is the last row.
    stage.stop();
    assert_eq!(verify(&data).0, Some(0));

    // Somebody takes the last row away. A request whose release steps would be done is none to be trusted either.
    let whole = std::fs::read_to_string(&file).unwrap();
    let cut = whole.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n";
    std::fs::write(&file, &cut).unwrap();
    let (status, said) = verify(&data);
    assert!(status == Some(1) && said.contains("the audit ends with row"), "{said}");
    let writes = stage.writes().await;
    stage.start(None);
    let health = stage.gateway().health();
    assert_eq!((&health["control"]["enabled"], &health["control"]["by"]), (&json!(false), &json!("audit")));
    assert!(health["control"]["reason"].as_str().unwrap().contains("the audit ends with row"), "{health}");
    let control: Json = serde_json::from_str(&stage.gateway().get("/control")).unwrap();
    assert_eq!((&control["enabled"], &control["by"]), (&json!(false), &json!("audit")), "{control}");
    eventually("the machine's item says it", SOON, || {
        let document = stage.gateway().get("/current");
        let document = roxmltree::Document::parse(&document).unwrap();
        let item = document
            .descendants()
            .find(|node| node.attribute("dataItemId").is_some_and(|id| id.ends_with("_control")));
        item.and_then(|node| node.text()).filter(|text| *text == "DISABLED").map(|_| ())
    });
    let refused = stage.ask(&stage.request("three", 3), "load").unwrap();
    assert_eq!(refused["reason"], "control-off", "{refused}");
    let refused = stage.ask(&stage.request("one", 1), "load").unwrap();
    assert_eq!(refused["reason"], "control-off", "{refused}");
    assert_eq!(stage.writes().await, writes);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), cut, "it is left as it is");
    stage.kill();
}
