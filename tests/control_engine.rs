//! The road of commands, in one process, at a foreign peer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use guideway::agent::{Agent, Surroundings};
use guideway::control::{Claim, Control, End, Face, Reason, State};
use guideway_contract::Timestamp;
use guideway_contract::kit::{Peer, Proxy, Weather};
use serde_json::{Value as Json, json};
use support::cell;

struct Hall {
    agent: Agent,
    control: Control,
    peer: Peer,
    folder: tempfile::TempDir,
    number: u32,
}

impl Hall {
    async fn start() -> Self {
        let mut hall = Self::with(cell::PROFILE, "burst = 1000").await;
        hall.ready("Cell", "load").await;
        hall
    }

    /// With a profile, and lines for `[control]`.
    async fn with(profile: &str, control: &str) -> Self {
        Self::with_more(profile, control, "").await
    }

    /// And with tables besides.
    async fn with_more(profile: &str, control: &str, more: &str) -> Self {
        let peer = Self::cell().await;
        let port = peer.port();
        Self::at(peer, port, profile, control, more).await
    }

    /// A cell that is ready.
    async fn cell() -> Peer {
        let mut peer = Peer::python("modbus_peer.py", &[]).await;
        for line in cell::READY {
            assert_eq!(peer.say(line).await, "ok", "{line}");
        }
        peer
    }

    /// The gateway reaches the cell at that port.
    async fn at(peer: Peer, port: u16, profile: &str, control: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cell.toml"), profile).unwrap();
        let text = format!(
            "[gateway]\nname = \"hall\"\n[mtconnect]\nenabled = false\n{more}\n[control]\n{control}\n\
             [[control.requester]]\nname = \"twin\"\nroles = [\"planner\"]\nsecret = \"{}\"\n\
             [[control.permit]]\nrole = \"planner\"\ndevices = [\"*\"]\ncommands = [\"*\"]\n{}",
            "s".repeat(40),
            cell::device("Cell", port)
        );
        let loaded = guideway::config::load_text(&folder.path().join("guideway.toml"), text);
        let (configuration, _) = loaded.unwrap_or_else(|findings| panic!("{findings:?}"));
        let surroundings = Surroundings { data_dir: Some(folder.path().join("data")), simulated: false };
        let agent = Box::pin(Agent::start(configuration, surroundings)).await.unwrap();
        let control = agent.view().control.clone().unwrap();
        Self { agent, control, peer, folder, number: 0 }
    }

    async fn ready(&mut self, device: &str, command: &str) {
        let wait = async {
            while !self.control.is_ready(device, command) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the machine is ready");
    }

    async fn answer_is_gone(&mut self) {
        let wait = async {
            loop {
                let claim = Claim { dry_run: true, ..self.claim("load", &json!({ "name": "O1", "job": 8 })) };
                if self.control.submit(claim).await.unwrap().state == State::Done {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the answer goes");
    }

    fn claim(&mut self, command: &str, arguments: &Json) -> Claim {
        self.number += 1;
        Claim {
            id: format!("id-{}", self.number).into(),
            device: "Cell".into(),
            command: command.into(),
            arguments: arguments.as_object().unwrap().clone(),
            requester: self.control.requester(Face::Local, "twin", &["planner"]),
            expires: Timestamp::from_nanos(Timestamp::now().nanos() + 60_000_000_000, 9),
            dry_run: false,
            reply_to: None,
        }
    }

    async fn ask(&mut self, command: &str, arguments: Json) -> End {
        let claim = self.claim(command, &arguments);
        self.control.submit(claim).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_switched_and_read_back() {
    let mut hall = Hall::start().await;
    let end = hall.ask("relay", json!({ "on": true })).await;
    assert_eq!(end.state, State::Done, "{end:?}");
    assert_eq!(hall.peer.say("get 1 coil 10 1").await, "true");
    let end = hall.ask("set_level", json!({ "level": 12.3 })).await;
    assert_eq!(end.state, State::Done, "{end:?}");
    assert_eq!(hall.peer.say("get 1 holding 10 1").await, "123");
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_selected_with_strobe_and_echo_and_let_go() {
    let mut hall = Hall::start().await;
    hall.peer.say("echo 1 30 31 50").await;
    let end = hall.ask("load", json!({ "name": "O1234", "job": 7 })).await;
    assert_eq!((end.state, end.released), (State::Done, Some(true)), "{end:?}");
    assert_eq!(hall.peer.say("get 1 holding 30 1").await, "0");
    assert_eq!(hall.peer.say("get 1 holding 20 1").await, "7");
    // The machine takes its answer back once the strobe is gone.
    hall.answer_is_gone().await;
    hall.peer.say("mute 1").await;
    hall.peer.say("set 1 holding 32 5").await;
    let end = hall.ask("load", json!({ "name": "O1", "job": 8 })).await;
    assert_eq!((end.state, end.reason), (State::Failed, Some(Reason::MachineRefused)), "{end:?}");
    assert_eq!(end.released, Some(true));
    hall.peer.say("set 1 holding 32 0").await;
    let end = hall.ask("load", json!({ "name": "O1", "job": 8 })).await;
    assert_eq!((end.state, end.reason), (State::TimedOut, Some(Reason::NotReadBack)), "{end:?}");
    assert_eq!(end.released, Some(true));
    assert_eq!(hall.peer.say("get 1 holding 30 1").await, "0");
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_release_step_is_tried_whatever_became_of_the_one_before() {
    let profile = cell::PROFILE
        .replace("ack = {", "brake = { addr = \"holding:60\", type = \"u16\", access = \"w\" }\nack = {")
        .replace("finally = [", "finally = [{ point = \"brake\", value = \"1\" }, ");
    let mut hall = Hall::with(&profile, "burst = 1000").await;
    hall.ready("Cell", "load").await;
    hall.peer.say("echo 1 30 31 20").await;
    hall.peer.say("bad 1 holding 60").await;
    let end = hall.ask("load", json!({ "name": "O1", "job": 7 })).await;
    assert_eq!((end.state, end.released), (State::Done, Some(false)), "{end:?}");
    assert_eq!(hall.peer.say("get 1 holding 30 1").await, "0", "the strobe is taken back all the same");
    assert!(hall.control.status()[0].release_pending.is_some());
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_not_read_lately_is_not_told_from_a_new_one() {
    let profile = cell::PROFILE.replace("max_age = \"10s\"", "max_age = \"1s\"").replace(
        "ack = { addr = \"holding:31\", type = \"u16\", group = \"fast\" }",
        "ack = { addr = \"holding:31\", type = \"u16\", group = \"once\" }",
    );
    let mut hall = Hall::with(&profile, "burst = 1000").await;
    hall.ready("Cell", "relay").await;
    let wait = async {
        while hall.ask("load", json!({ "name": "O1", "job": 7 })).await.reason != Some(Reason::Stale) {}
    };
    tokio::time::timeout(Duration::from_secs(10), wait)
        .await
        .expect("it was read once, and that is too long ago");
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_may_be_told_by_the_arguments() {
    let profile = cell::PROFILE.replace("refused = \"result != 0\"", "refused = \"result == args.job\"");
    let mut hall = Hall::with(&profile, "burst = 1000").await;
    hall.ready("Cell", "load").await;
    hall.peer.say("set 1 holding 32 7").await;
    let end = hall.ask("load", json!({ "name": "O1", "job": 7 })).await;
    assert_eq!((end.state, end.reason), (State::Failed, Some(Reason::MachineRefused)), "{end:?}");
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_often_fills_neither_the_audit_nor_the_journal() {
    let mut hall = Hall::with(cell::PROFILE, "burst = 1\nper_minute = 1").await;
    hall.ready("Cell", "relay").await;
    let end = hall.ask("relay", json!({ "on": true })).await;
    assert_eq!(end.state, State::Done, "{end:?}");
    let last = hall.agent.view().journal.bounds().next;
    let ends: Vec<End> = {
        let mut all = Vec::new();
        for _ in 0..400 {
            all.push(hall.ask("relay", json!({ "on": false })).await);
        }
        all
    };
    assert!(ends.iter().all(|end| end.reason == Some(Reason::RateLimited)), "{:?}", ends.last());
    let (told, counted) =
        (ends.iter().filter(|end| end.audit.0 > 0).count(), hall.control.counters().unaudited());
    assert!((200..210).contains(&told) && told as u64 + counted == 400, "{told} rows, {counted} without");
    let next = hall.agent.view().journal.bounds().next;
    assert!(next - last < 20, "the machine's own values only: {}", next - last);
    assert_eq!(hall.control.status()[0].last.as_ref().unwrap().state, State::Done);
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_the_moment_that_the_machine_came_waits_until_it_is_read() {
    let peer = Hall::cell().await;
    // The machine takes a while to say anything.
    let proxy = Proxy::start(peer.port()).await;
    proxy.set(Weather::Slow(Duration::from_millis(300)));
    let mut hall = Hall::at(peer, proxy.port(), cell::PROFILE, "burst = 1000", "").await;
    while !hall.control.status()[0].is_up {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let end = hall.ask("relay", json!({ "on": true })).await;
    assert_eq!(end.state, State::Done, "{end:?}");
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_while_control_was_off_does_not_act_when_it_is_on_again() {
    let mut hall = Hall::start().await;
    hall.control.set_switch(false, "anna", "").unwrap();
    let claim = hall.claim("relay", &json!({ "on": true }));
    let end = hall.control.submit(claim.clone()).await.unwrap();
    assert_eq!(end.reason, Some(Reason::ControlOff), "{end:?}");
    hall.control.set_switch(true, "anna", "").unwrap();
    let again = hall.control.submit(claim).await.unwrap();
    assert_eq!(
        (again.state, again.reason, again.replayed),
        (State::Rejected, Some(Reason::ControlOff), true)
    );
    assert_eq!(hall.peer.say("writes").await, "0");
    hall.agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_and_the_switch_outlast_a_gateway_whose_journal_does_not() {
    let mut hall = Hall::with_more(cell::PROFILE, "burst = 1000", "[journal]\ndurable = false").await;
    hall.ready("Cell", "relay").await;
    let end = hall.ask("relay", json!({ "on": true })).await;
    assert_eq!((end.state, end.audit.0 > 0), (State::Done, true), "{end:?}");
    hall.control.set_switch(false, "anna", "").unwrap();
    let data = hall.folder.path().join("data");
    assert!(data.join("audit").is_dir() && data.join("control.off").is_file());
    assert!(!data.join("journal").exists(), "the journal was not to be kept");
    hall.agent.stop().await.unwrap();
}
