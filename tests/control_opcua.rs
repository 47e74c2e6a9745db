//! Control through the OPC UA server: foreign clients call, write and switch, and a foreign machine is written to or
//! left alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "requests are made where they are used")]

mod support;

use std::time::Duration;

use guideway_contract::kit::Peer as Machine;
use serde_json::{Value as Json, json};
use support::gateway::Gateway;
use support::opcua::{PASSWORD, POLICIES, Peer, Stage, password_hash};
use support::{cell, eventually};

const SOON: Duration = Duration::from_secs(20);
const COMMANDS: &str = "ns=3;s=cell-1/Commands";
const LEVEL: &str = "ns=3;s=cell-1/Cell_level";

/// A gateway with a cell, and everybody who may log in: `vera` looks, `otto` operates, `anna` is an engineer.
struct Hall {
    stage: Stage,
    gateway: Gateway,
    machine: Machine,
}

impl Hall {
    async fn start() -> Self {
        let mut machine = Machine::python("modbus_peer.py", &[]).await;
        for line in cell::READY.into_iter().chain(["set 1 holding 10 0"]) {
            assert_eq!(machine.say(line).await, "ok", "{line}");
        }
        // A dollar sign would be a variable of the environment.
        let hash = password_hash().replace('$', "$$");
        let mut security = "allow_none = true\nanonymous = true\n".to_owned();
        for (name, role) in [("vera", "viewer"), ("otto", "operator"), ("anna", "engineer")] {
            security +=
                &format!("[[opcua.users]]\nname = \"{name}\"\npassword = \"{hash}\"\nrole = \"{role}\"\n");
        }
        let mut stage = Stage::new(&security);
        cell::write_patient(stage.folder.path());
        stage.more = format!(
            "{}uuid = \"cell-1\"\n[control]\nburst = 1000\n\
             [[control.permit]]\nrole = \"operator\"\ndevices = [\"Cell\"]\ncommands = [\"relay\", \"set_level\"]\n\
             [[control.permit]]\nrole = \"engineer\"\ndevices = [\"*\"]\ncommands = [\"*\"]\nfaces = [\"opcua\"]\n",
            cell::device("Cell", machine.port())
        );
        let gateway = stage.start();
        let hall = Self { stage, gateway, machine };
        eventually("the machine is read", SOON, || hall.current("Cell_level").filter(|level| level == "0"));
        hall
    }

    /// The text of a data item in `/current`.
    fn current(&self, id: &str) -> Option<String> {
        let document = self.gateway.get("/current");
        let document = roxmltree::Document::parse(&document).unwrap();
        let found = document.descendants().find(|node| node.attribute("dataItemId") == Some(id));
        found.and_then(|node| node.text().map(str::to_owned))
    }

    /// A client in a folder of its own, trusted from now on.
    fn client(&self, folder: &str) -> Peer {
        let mut peer = Peer::asyncua(&self.stage.folder.path().join(folder));
        self.introduce(&mut peer);
        peer
    }

    fn introduce(&self, peer: &mut Peer) {
        peer.login(&self.stage, Some((POLICIES[0], "SignAndEncrypt")), json!({}))
            .expect_err("not trusted yet");
        self.stage.trust();
    }

    fn log_in(&self, peer: &mut Peer, user: &str) {
        let login = match user {
            "" => json!({}),
            user => json!({ "user": user, "password": PASSWORD }),
        };
        peer.login(&self.stage, Some((POLICIES[0], "SignAndEncrypt")), login).unwrap();
    }

    /// The rows of the audit about the end of requests and what was refused.
    fn audit(&self) -> Vec<Json> {
        let mut rows = Vec::new();
        for entry in std::fs::read_dir(self.stage.folder.path().join("data/audit")).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            rows.extend(text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok()));
        }
        rows.retain(|row| row["what"] == "end" || row["what"] == "refused");
        rows.sort_by_key(|row| row["row"].as_u64());
        rows
    }

    /// What the last row of that kind says; its reason has to be this one.
    fn audited(&self, reason: &str) -> Json {
        let audit = self.audit();
        let last = audit.last().cloned().unwrap_or_default();
        assert!(last.to_string().contains(&format!("\"{reason}\"")), "{reason}: {last}");
        last
    }

    async fn machine(&mut self, line: &str) -> String {
        self.machine.say(line).await
    }
}

fn method(name: &str) -> String {
    format!("{COMMANDS}/{name}")
}

fn call(name: &str, arguments: Json) -> Json {
    json!({ "do": "command", "node": COMMANDS, "method": method(name), "arguments": arguments })
}

/// State and reason of an answer.
fn said(answer: &Json) -> (&str, &str) {
    let text = |at: usize| answer["outputs"][at].as_str().unwrap_or_default();
    (text(0), text(1))
}

fn switch(name: &str, arguments: Json) -> Json {
    let method = format!("ns=3;s=Control/{name}");
    json!({ "do": "command", "node": "ns=3;s=Control", "method": method, "arguments": arguments })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_calls_commands_as_far_as_its_user_may() {
    let mut hall = Hall::start().await;
    let mut clients = Peer::all(&hall.stage.folder.path().join("clients"));
    for peer in &mut clients {
        let name = peer.name;
        hall.introduce(peer);
        assert_eq!(hall.machine("set 1 coil 10 false").await, "ok");
        for (user, reason) in [("", "unauthenticated"), ("vera", "not-permitted")] {
            hall.log_in(peer, user);
            let answer = peer.get(call("relay", json!([["Boolean", true]])));
            assert_eq!(answer["status"], "BadUserAccessDenied", "{name}, {user}: {answer}");
            let row = hall.audited(reason);
            assert!(row.to_string().contains("relay"), "{row}");
            // Who may not ask is not told what else is wrong.
            let answer = peer.get(call("relay", json!([["Double", 1.0]])));
            assert_eq!(answer["status"], "BadUserAccessDenied", "{name}, {user}: {answer}");
            hall.audited(reason);
            peer.leave();
        }
        assert_eq!(hall.machine("get 1 coil 10 1").await, "false", "{name}");

        hall.log_in(peer, "otto");
        let id = format!("{name}-1");
        let answer = peer.get(call("relay", json!([["Boolean", true], ["String", id]])));
        assert_eq!(
            (&answer["status"], &answer["outputs"]),
            (&json!("Good"), &json!(["done", "", "", id, true])),
            "{name}"
        );
        assert_eq!(hall.machine("get 1 coil 10 1").await, "true", "{name}");
        let secret = peer.get(call("load", json!([["String", "A"], ["Byte", 1]])));
        assert_eq!(secret["status"], "BadUserAccessDenied", "{name}: not permitted to operators");
        hall.audited("not-permitted");
        let unlisted = peer.get(call("secret", json!([])));
        assert!(unlisted["status"].as_str().unwrap().starts_with("BadMethod"), "{name}: {unlisted}");
        hall.audited("unknown-command");
        peer.leave();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_describe_themselves_and_say_who_may_call_them() {
    let hall = Hall::start().await;
    let mut peer = hall.client("a");
    hall.log_in(&mut peer, "vera");
    let about = peer.get(json!({ "do": "attribute", "node": method("relay"), "name": "Description" }));
    assert_eq!(about, "Switches the relay (risk: motion)");
    let inputs =
        peer.get(json!({ "do": "value", "node": method("load") + "/InputArguments" }))["value"].clone();
    let of = |at: usize| {
        let text = |key: &str| inputs[at][key].as_str().unwrap_or_default().to_owned();
        let about = inputs[at]["Description"]
            .as_str()
            .map_or_else(|| inputs[at]["Description"]["Text"].to_string(), str::to_owned);
        (text("Name"), text("DataType"), about)
    };
    let of_int = of(0);
    assert_eq!((of_int.0.as_str(), of_int.1.as_str()), ("job", "i=8"), "{inputs}");
    assert!(of_int.2.contains("1 to 999"), "{inputs}");
    let of_text = of(1);
    assert_eq!((of_text.0.as_str(), of_text.1.as_str()), ("name", "i=12"), "{inputs}");
    assert!(of_text.2.contains("up to 16 characters") && of_text.2.contains("[A-Z0-9]+"), "{inputs}");
    assert_eq!((of(2).0.as_str(), of(3).0.as_str(), of(3).1.as_str()), ("RequestId", "DryRun", "i=1"));
    let outputs = peer.get(json!({ "do": "value", "node": method("relay") + "/OutputArguments" }));
    let names: Vec<_> =
        outputs["value"].as_array().unwrap().iter().map(|argument| argument["Name"].clone()).collect();
    assert_eq!(names, ["State", "Reason", "Detail", "RequestId", "ReadBack"]);
    let tree = peer.get(json!({ "do": "tree" }));
    assert_eq!(tree["faulty"], 0, "{tree}");
    peer.leave();

    for (user, relay, load, level, off, on) in [
        ("", false, false, 5, false, false),
        ("vera", false, false, 5, false, false),
        ("otto", true, false, 7, true, false),
        ("anna", true, true, 7, true, true),
    ] {
        hall.log_in(&mut peer, user);
        for (node, may) in [
            (method("relay"), relay),
            (method("load"), load),
            ("ns=3;s=Control/SwitchOff".to_owned(), off),
            ("ns=3;s=Control/SwitchOn".to_owned(), on),
        ] {
            let executable = peer.get(json!({ "do": "attribute", "node": node, "name": "UserExecutable" }));
            assert_eq!(executable, json!(may), "{user}: {node}");
            assert_eq!(peer.get(json!({ "do": "attribute", "node": node, "name": "Executable" })), true);
        }
        let mine = peer.get(json!({ "do": "attribute", "node": LEVEL, "name": "UserAccessLevel" }));
        assert_eq!(mine, json!(level), "{user}");
        assert_eq!(peer.get(json!({ "do": "attribute", "node": LEVEL, "name": "AccessLevel" })), 7);
        let other = json!({ "do": "attribute", "node": "ns=3;s=cell-1/Cell_job", "name": "AccessLevel" });
        assert_eq!(peer.get(other), 5);
        peer.leave();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_cannot_be_taken_are_refused_with_a_row_in_the_audit() {
    let mut hall = Hall::start().await;
    let mut peer = hall.client("a");
    hall.log_in(&mut peer, "anna");
    let before = hall.machine("writes").await;
    let (job, name) = (json!(["Int64", 7]), json!(["String", "O1"]));
    for (arguments, status, results) in [
        (json!([]), "BadArgumentsMissing", json!([])),
        (json!([job]), "BadArgumentsMissing", json!([])),
        (
            json!([job, name, ["String", ""], ["Boolean", false], ["Boolean", false]]),
            "BadTooManyArguments",
            json!([]),
        ),
        (json!([["String", "7"], name]), "BadInvalidArgument", json!(["BadTypeMismatch", "Good"])),
        (json!([["Double", 7.5], name]), "BadInvalidArgument", json!(["BadOutOfRange", "Good"])),
        (json!([job, ["Int64", 1]]), "BadInvalidArgument", json!(["Good", "BadTypeMismatch"])),
        (
            json!([job, name, ["String", "a b"]]),
            "BadInvalidArgument",
            json!(["Good", "Good", "BadOutOfRange"]),
        ),
        (
            json!([job, name, ["String", ""], ["Int32", 1]]),
            "BadInvalidArgument",
            json!(["Good", "Good", "Good", "BadTypeMismatch"]),
        ),
        (json!([job, ["String", "X".repeat(5_000)]]), "BadInvalidArgument", json!(["Good", "BadOutOfRange"])),
    ] {
        let rows = hall.audit().len();
        let answer = peer.get(call("load", arguments.clone()));
        assert_eq!((&answer["status"], &answer["arguments"]), (&json!(status), &results), "{arguments}");
        assert_eq!(hall.audit().len(), rows + 1, "{arguments}");
        hall.audited("bad-argument");
    }
    // What an argument may be is control's matter.
    for arguments in [json!([["Int64", 1_000], name]), json!([job, ["String", "lower"]])] {
        let answer = peer.get(call("load", arguments.clone()));
        assert_eq!(answer["status"], "Good", "{arguments}");
        assert_eq!(said(&answer), ("rejected", "bad-argument"), "{arguments}");
        hall.audited("bad-argument");
    }
    let elsewhere =
        json!({ "do": "command", "node": "ns=3;s=cell-1", "method": method("load"), "arguments": [] });
    assert_eq!(peer.get(elsewhere)["status"], "BadMethodInvalid");
    hall.audited("unknown-command");
    assert_eq!(hall.machine("writes").await, before, "nothing was written");
    peer.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_the_same_id_acts_once_and_a_dry_run_not_at_all() {
    let mut hall = Hall::start().await;
    let mut peer = hall.client("a");
    hall.log_in(&mut peer, "otto");
    let before = hall.machine("writes").await;
    let dry = peer.get(call("set_level", json!([["Double", 12.5], ["String", ""], ["Boolean", true]])));
    assert_eq!((&dry["status"], &dry["outputs"][0]), (&json!("Good"), &json!("done")), "{dry}");
    assert!(!dry["outputs"][3].as_str().unwrap().is_empty(), "the gateway has made an id: {dry}");
    assert_eq!(hall.machine("writes").await, before);

    let once = call("set_level", json!([["Double", 12.5], ["String", "level-1"]]));
    assert_eq!(peer.get(once.clone())["outputs"][0], "done");
    assert_eq!(hall.machine("get 1 holding 10 1").await, "125");
    assert_eq!(hall.machine("set 1 holding 10 50").await, "ok");
    let again = peer.get(once);
    assert_eq!((&again["outputs"][0], &again["outputs"][3]), (&json!("done"), &json!("level-1")), "{again}");
    assert_eq!(hall.machine("get 1 holding 10 1").await, "50", "it did not act again");
    let other = peer.get(call("set_level", json!([["Double", 13.0], ["String", "level-1"]])));
    assert_eq!(said(&other), ("rejected", "id-reused"), "{other}");
    peer.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_writes_a_variable_that_a_command_is_bound_to() {
    let mut hall = Hall::start().await;
    let mut clients = Peer::all(&hall.stage.folder.path().join("clients"));
    for peer in &mut clients {
        let name = peer.name;
        hall.introduce(peer);
        let write = |node: &str, value: f64, kind: &str| json!({ "do": "write", "node": node, "value": value, "type": kind });
        for user in ["", "vera"] {
            hall.log_in(peer, user);
            let refused = peer.ask(write(LEVEL, 10.0, "Double")).unwrap_err();
            assert_eq!(refused, "BadUserAccessDenied", "{name}, {user}");
            hall.audited(if user.is_empty() { "unauthenticated" } else { "not-permitted" });
            peer.leave();
        }
        hall.log_in(peer, "otto");
        peer.get(json!({ "do": "subscribe", "nodes": [LEVEL] }));
        peer.get(write(LEVEL, 42.5, "Double"));
        assert_eq!(hall.machine("get 1 holding 10 1").await, "425", "{name}");
        peer.get(write(LEVEL, 40.0, "Float"));
        assert_eq!(hall.machine("get 1 holding 10 1").await, "400", "{name}");
        peer.hears("the machine's answer", SOON, json!({ "do": "heard_values", "node": LEVEL }), |heard| {
            (heard.as_array()?.last()?["value"] == 40.0).then_some(())
        });
        let writes = hall.machine("writes").await;
        for (node, value, kind, status, reason) in [
            (LEVEL, 150.0, "Double", "BadOutOfRange", "bad-argument"),
            (LEVEL, 1.0, "Boolean", "BadTypeMismatch", "bad-argument"),
            ("ns=3;s=cell-1/Cell_job", 3.0, "Double", "BadNotWritable", "unknown-command"),
            ("ns=3;s=Control/Enabled", 1.0, "Boolean", "BadNotWritable", "unknown-command"),
        ] {
            let mut request = write(node, value, kind);
            if kind == "Boolean" {
                request["value"] = json!(true);
            }
            assert_eq!(peer.ask(request).unwrap_err(), status, "{name}: {node} {value} {kind}");
            hall.audited(reason);
        }
        assert_eq!(hall.machine("writes").await, writes, "{name}");
        peer.leave();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_is_seen_by_subscribers_and_stops_commands() {
    let mut hall = Hall::start().await;
    let (mut looker, mut doer) = (hall.client("a"), hall.client("b"));
    hall.log_in(&mut looker, "vera");
    let nodes: Vec<String> = ["Enabled", "SwitchedBy", "Reason", "Since"]
        .iter()
        .map(|name| format!("ns=3;s=Control/{name}"))
        .collect();
    looker.get(json!({ "do": "subscribe", "nodes": nodes }));
    let last = |peer: &mut Peer, node: &str, expected: Json| {
        peer.hears(
            &format!("{node} is {expected}"),
            SOON,
            json!({ "do": "heard_values", "node": node }),
            |heard| {
                let last = heard.as_array()?.last()?;
                (last["value"] == expected && last["status"] == "Good").then_some(())
            },
        );
    };
    last(&mut looker, &nodes[0], json!(true));
    let denied = looker.get(switch("SwitchOff", json!([["String", "no"]])));
    assert_eq!(denied["status"], "BadUserAccessDenied");
    hall.audited("not-permitted");

    hall.log_in(&mut doer, "otto");
    let off = doer.get(switch("SwitchOff", json!([["String", "smoke at the spindle"]])));
    assert_eq!((&off["status"], &off["outputs"]), (&json!("Good"), &json!([false])), "{off}");
    last(&mut looker, &nodes[0], json!(false));
    last(&mut looker, &nodes[1], json!("otto"));
    last(&mut looker, &nodes[2], json!("smoke at the spindle"));
    assert!(hall.stage.folder.path().join("data/control.off").exists());
    let before = hall.machine("writes").await;
    let refused = doer.get(call("relay", json!([["Boolean", true]])));
    assert_eq!(said(&refused), ("rejected", "control-off"), "{refused}");
    let write = json!({ "do": "write", "node": LEVEL, "value": 1.0 });
    assert_eq!(doer.ask(write).unwrap_err(), "BadInvalidState");
    assert_eq!(hall.machine("writes").await, before);
    let denied = doer.get(switch("SwitchOn", json!([])));
    assert_eq!(denied["status"], "BadUserAccessDenied", "on is for engineers");
    hall.audited("not-permitted");
    doer.leave();

    hall.log_in(&mut doer, "");
    assert_eq!(doer.get(switch("SwitchOn", json!([])))["status"], "BadUserAccessDenied");
    hall.audited("unauthenticated");
    doer.leave();
    hall.log_in(&mut doer, "anna");
    assert_eq!(doer.get(switch("SwitchOn", json!([["String", "x"]])))["status"], "BadTooManyArguments");
    hall.audited("bad-argument");
    let on = doer.get(switch("SwitchOn", json!([])));
    assert_eq!((&on["status"], &on["outputs"]), (&json!("Good"), &json!([true])), "{on}");
    last(&mut looker, &nodes[0], json!(true));
    let answer = doer.get(call("relay", json!([["Boolean", true]])));
    assert_eq!(answer["outputs"][0], "done", "{answer}");
    // Without a word, too: off is the safe direction.
    assert_eq!(doer.get(switch("SwitchOff", json!([])))["outputs"], json!([false]));
    last(&mut looker, &nodes[0], json!(false));
    doer.leave();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_command_runs_its_session_and_others_go_on_and_it_ends_without_its_client() {
    let mut hall = Hall::start().await;
    let (mut caller, mut other) = (hall.client("a"), hall.client("b"));
    hall.log_in(&mut caller, "anna");
    hall.log_in(&mut other, "otto");
    for peer in [&mut caller, &mut other] {
        peer.get(json!({ "do": "subscribe", "nodes": [LEVEL] }));
    }
    // Nothing echoes the strobe: it is not read back, for eight seconds.
    let begin = |id: &str| {
        let mut begin = call("load", json!([["Int64", 7], ["String", "O1"], ["String", id]]));
        begin["do"] = json!("begin");
        begin
    };
    caller.get(begin("slow-1"));
    let mut strobe = String::new();
    while strobe != "11" {
        strobe = hall.machine("get 1 holding 30 1").await;
    }
    assert_eq!(hall.machine("set 1 holding 10 333").await, "ok");
    for peer in [&mut caller, &mut other] {
        peer.hears("a value", SOON, json!({ "do": "heard_values", "node": LEVEL }), |heard| {
            (heard.as_array()?.last()?["value"] == 33.3).then_some(())
        });
    }
    let busy = other.get(call("relay", json!([["Boolean", true]])));
    assert_eq!(said(&busy), ("rejected", "busy"), "{busy}");
    let ended = caller.get(json!({ "do": "ended" }));
    assert_eq!(ended, Json::Null, "the command has not ended yet");
    let ended = caller.hears("its end", SOON * 2, json!({ "do": "ended" }), |ended| {
        (!ended.is_null()).then(|| ended.clone())
    });
    assert_eq!(ended["status"], "Good");
    assert_eq!(said(&ended), ("timed-out", "not-read-back"), "{ended}");

    let done =
        |hall: &Hall, id: &str| hall.audit().into_iter().any(|row| row["what"] == "end" && row["id"] == id);
    assert!(done(&hall, "slow-1"));
    caller.get(begin("slow-2"));
    strobe.clear();
    while strobe != "11" {
        strobe = hall.machine("get 1 holding 30 1").await;
    }
    assert!(!done(&hall, "slow-2"));
    drop(caller);
    eventually("it ends without its client", SOON * 2, || done(&hall, "slow-2").then_some(()));
    assert_eq!(hall.machine("get 1 holding 30 1").await, "0", "it was let go");
    other.leave();
}
