//! Machines of profiles, from the wire of a foreign peer to the faces: what the gateway makes of them, and the tools to
//! work with one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use guideway_contract::kit::Peer;
use support::eventually;
use support::gateway::{Gateway, free_port};

const SOON: Duration = Duration::from_secs(10);

fn guideway(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_guideway"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn configure(folder: &Path, http: u16, machines: &str) -> PathBuf {
    let text = format!(
        "[gateway]\nname = \"hall\"\n[model]\nagent_device = false\n[mtconnect]\naddress = \"127.0.0.1\"\nport = {http}\n{machines}"
    );
    let path = folder.join("guideway.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The text of a data item in `/current`.
fn current(gateway: &Gateway, id: &str) -> String {
    let document = gateway.get("/current");
    let document = roxmltree::Document::parse(&document).unwrap();
    let found = document.descendants().find(|node| node.attribute("dataItemId") == Some(id));
    found.and_then(|node| node.text().map(str::to_owned)).unwrap_or_default()
}

const CELL: &str = r#"
schema = 1
id = "cell"
version = "1.0.0"
params = { base = { type = "int", default = 0 } }
groups = { fast = "50ms" }
[adapter]
kind = "modbus"
timeout = "2s"
[enums]
state = { 0 = "READY", 1 = "ACTIVE", _ = "INTERRUPTED" }
[points]
state = { addr = "holding:${base}", type = "u16", group = "fast" }
level = { addr = "holding:10", type = "i16", scale = 0.1, group = "fast" }
flags = { addr = "holding:20", type = "bits[16]", group = "fast" }
absent = { addr = "holding:9000", type = "u16", group = "fast" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
exec = { at = "Controller/Path[path]", type = "EXECUTION", from = "state", enum = "state" }
level = { at = "Systems/Coolant", type = "FILL_LEVEL", units = "PERCENT", from = "level" }
double = { at = "Systems/Coolant", type = "LOAD", units = "PERCENT", value = "level * 2.0" }
missing = { at = "Controller", type = "LINE_LABEL", from = "absent" }
alarms = { at = "Controller", type = "SYSTEM", bits = "flags", table = [{ bit = 0, level = "FAULT", code = "A0", text = "Guard {state}" }, { bit = 9, level = "WARNING" }] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_of_a_profile_is_shown_goes_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    for line in ["set 1 holding 0 1", "set 1 holding 10 123", "set 1 holding 20 1", "bad 1 holding 9000"] {
        assert_eq!(peer.say(line).await, "ok", "{line}");
    }
    std::fs::write(folder.path().join("cell.toml"), CELL).unwrap();
    let http = free_port();
    let machines = format!(
        "[[device]]\nname = \"Cell-1\"\nprofile = \"./cell.toml\"\naddress = \"127.0.0.1:{}\"\n",
        peer.port()
    );
    let configuration = configure(folder.path(), http, &machines);
    let checked = guideway(&["check"], folder.path());
    assert!(checked.status.success(), "{}", said(&checked));
    let gateway = Gateway::start(&configuration, folder.path(), http);
    // Each read is a reply of its own, so what is waited for is all of it.
    eventually("it is read", SOON, || {
        let said = ["avail", "exec", "level", "double", "missing"]
            .map(|item| current(&gateway, &format!("Cell-1_{item}")));
        (said == ["AVAILABLE", "ACTIVE", "12.3", "24.6", "UNAVAILABLE"]).then_some(())
    });
    eventually("its alarm is up", SOON, || {
        let alarms = gateway.get("/current?path=//DataItem[@id=\"Cell-1_alarms\"]");
        ["<Fault", "nativeCode=\"A0\"", "Guard 1"].iter().all(|part| alarms.contains(part)).then_some(())
    });
    eventually("what could not be computed is counted", SOON, || {
        gateway.get("/metrics").contains("reason=\"uncomputed\"").then_some(())
    });

    assert_eq!(peer.say("set 1 holding 20 512").await, "ok");
    eventually("the alarm goes and another comes", SOON, || {
        let alarms = gateway.get("/current?path=//DataItem[@id=\"Cell-1_alarms\"]");
        (alarms.contains("<Warning") && !alarms.contains("<Fault")).then_some(())
    });

    peer.kill().await;
    eventually("it is gone", SOON, || (current(&gateway, "Cell-1_avail") == "UNAVAILABLE").then_some(()));
    assert_eq!(current(&gateway, "Cell-1_exec"), "UNAVAILABLE");
    peer.restart().await;
    eventually("it is back", SOON, || (current(&gateway, "Cell-1_exec") != "UNAVAILABLE").then_some(()));
    let (status, _) = gateway.terminate();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn units_on_one_bus_are_machines_of_their_own_and_a_dead_one_leaves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut peer = Peer::python("modbus_peer.py", &["units=1,2,3"]).await;
    for line in
        ["set 1 holding 0 1", "set 2 holding 0 0", "dead 3", "set 1 holding 10 10", "set 2 holding 10 20"]
    {
        assert_eq!(peer.say(line).await, "ok", "{line}");
    }
    std::fs::write(folder.path().join("cell.toml"), CELL).unwrap();
    let http = free_port();
    let mut machines = format!("[bus.line]\naddress = \"127.0.0.1:{}\"\n", peer.port());
    for unit in 1..=3 {
        machines += &format!(
            "[[device]]\nname = \"u{unit}\"\nprofile = \"./cell.toml\"\nbus = \"line\"\nunit = {unit}\n"
        );
    }
    let configuration = configure(folder.path(), http, &machines);
    let gateway = Gateway::start(&configuration, folder.path(), http);
    eventually("two are read", SOON, || {
        let read = ["u1_exec", "u1_level", "u2_exec", "u2_level"].map(|id| current(&gateway, id));
        (read == ["ACTIVE", "1", "READY", "2"]).then_some(())
    });
    assert_eq!(current(&gateway, "u3_avail"), "UNAVAILABLE");
    assert_eq!(peer.say("alive 3").await, "ok");
    eventually("the third comes", Duration::from_secs(20), || {
        (current(&gateway, "u3_avail") == "AVAILABLE").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_in_front_of_a_gateway_says_the_same_and_keeps_it_over_a_restart() {
    let below = tempfile::tempdir().unwrap();
    let above = tempfile::tempdir().unwrap();
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    for line in ["set 1 holding 0 1", "set 1 holding 10 123", "set 1 holding 20 1", "bad 1 holding 9000"] {
        assert_eq!(peer.say(line).await, "ok", "{line}");
    }
    std::fs::write(below.path().join("cell.toml"), CELL).unwrap();
    let (first, second) = (free_port(), free_port());
    let mut machines = String::new();
    for name in ["a", "b"] {
        machines += &format!(
            "[[device]]\nname = \"{name}\"\nprofile = \"./cell.toml\"\naddress = \"127.0.0.1:{}\"\n",
            peer.port()
        );
    }
    let lower = Gateway::start(&configure(below.path(), first, &machines), below.path(), first);
    eventually("it is read", SOON, || (current(&lower, "b_exec") == "ACTIVE").then_some(()));
    let follower = format!(
        "[[device]]\nname = \"hall-1\"\nprofile = \"okuma-mtconnect\"\naddress = \"http://127.0.0.1:{first}\"\n"
    );
    let configuration = configure(above.path(), second, &follower);
    let checked = guideway(&["check"], above.path());
    assert!(checked.status.success(), "{}", said(&checked));
    let upper = Gateway::start(&configuration, above.path(), second);
    eventually("it is followed", SOON, || (current(&upper, "b_exec") == "ACTIVE").then_some(()));
    let observations = |gateway: &Gateway| {
        let document = gateway.get("/current");
        let document = roxmltree::Document::parse(&document).unwrap();
        let mut all: Vec<_> = document
            .descendants()
            .filter_map(|node| {
                let id = node.attribute("dataItemId")?;
                let text = node.text().unwrap_or_default();
                let code = node.attribute("nativeCode").unwrap_or_default();
                // What is not known since when is not known differs: each gateway's own start.
                let time = node.attribute("timestamp").filter(|_| text != "UNAVAILABLE").unwrap_or_default();
                Some([id, node.tag_name().name(), time, code, text].map(str::to_owned))
            })
            .filter(|[id, ..]| !id.contains("asset"))
            .collect();
        all.sort();
        all
    };
    let (mut above_said, mut below_said) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        (below_said, above_said) = (observations(&lower), observations(&upper));
        if below_said == above_said {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(above_said, below_said);
    assert_eq!(peer.say("set 1 holding 0 7").await, "ok");
    eventually("a change arrives", SOON, || (current(&upper, "a_exec") == "INTERRUPTED").then_some(()));

    lower.terminate();
    eventually("the source is gone", SOON, || (current(&upper, "a_exec") == "UNAVAILABLE").then_some(()));
    // Its items are known before the source is back.
    upper.terminate();
    let upper = Gateway::start(&configuration, above.path(), second);
    assert!(upper.get("/probe").contains("id=\"a_exec\""));
    let _lower = Gateway::start(&below.path().join("guideway.toml"), below.path(), first);
    eventually("it is followed again", Duration::from_secs(20), || {
        (current(&upper, "a_exec") == "INTERRUPTED").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_at_a_machine_becomes_a_draft_that_can_be_tried_recorded_and_played() {
    let folder = tempfile::tempdir().unwrap();
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    let url = format!("modbus://127.0.0.1:{}?unit=1&range=holding:0-7", peer.port());
    let address = format!("127.0.0.1:{}", peer.port());
    let browsed = guideway(&["browse", &url], folder.path());
    assert!(browsed.status.success() && said(&browsed).contains("holding:7"), "{}", said(&browsed));
    let draft = guideway(&["browse", &url, "--draft"], folder.path());
    std::fs::write(folder.path().join("mine.toml"), &draft.stdout).unwrap();
    let checked = guideway(&["check", "mine.toml"], folder.path());
    assert!(checked.status.success(), "{}\n{}", said(&checked), said(&draft));
    let tried = guideway(&["try", "mine.toml", &address], folder.path());
    assert!(tried.status.success() && said(&tried).contains("0 of 8 points failed"), "{}", said(&tried));
    let recorded = guideway(&["record", "mine.toml", &address, "a.rec", "--for", "2s"], folder.path());
    assert!(recorded.status.success(), "{}", said(&recorded));
    peer.kill().await;
    let gone = guideway(&["try", "mine.toml", &address, "--for", "2s"], folder.path());
    assert_eq!(gone.status.code(), Some(1), "{}", said(&gone));
    let played = guideway(&["try", "mine.toml", "replay:a.rec"], folder.path());
    assert!(played.status.success() && said(&played).contains("0 of 8 points failed"), "{}", said(&played));
}

/// Every point of a shipped profile is read by `guideway try`, but for those that are named.
async fn tried(
    profile: &str,
    script: &str,
    arguments: &[&str],
    lines: &[&str],
    more: &[&str],
    failing: usize,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut peer = match script.strip_suffix(".js") {
        Some(_) => Peer::node(script, arguments).await,
        None => Peer::python(script, arguments).await,
    };
    for line in lines {
        peer.say(line).await;
    }
    let address = format!("127.0.0.1:{}", peer.port());
    let output = guideway(&[&["try", profile, &address, "--for", "20s"], more].concat(), folder.path());
    let text = said(&output);
    assert!(text.contains(&format!("\n{failing} of ")), "{profile}:\n{text}");
    assert_eq!(output.status.success(), failing == 0, "{profile}:\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shipped_profiles_of_modbus_machines_read_every_point() {
    tried("eastron-sdm630", "modbus_peer.py", &[], &[], &[], 0).await;
    tried("universal-robots-modbus", "modbus_peer.py", &["units=1,255,0"], &[], &[], 0).await;
    tried("witmotion-wtvb01", "modbus_peer.py", &["units=1,80"], &[], &["--set", "framing=tcp"], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shipped_profiles_of_cells_read_every_point() {
    tried("siemens-s7-1500-cell", "s7_peer.js", &[], &["make DB100 172"], &[], 0).await;
    tried("rockwell-logix-cell", "eip_fake.py", &[], &[], &[], 0).await;
    tried("mitsubishi-iq-r-cell", "slmp_peer.py", &["4e"], &[], &[], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shipped_profiles_of_opc_ua_machines_read_every_point() {
    let open = ["--set", "security=none"];
    tried("siemens-840d-sl-opcua", "opcua_peer.py", &["sinumerik"], &[], &open, 0).await;
    // Counters and the like are nodes that an instance names.
    tried("abb-robot-opcua", "opcua_peer.py", &["abb"], &[], &open, 1).await;
    tried("fanuc-opcua", "opcua_peer.py", &["fanuc"], &[], &open, 3).await;
}

#[test]
fn every_shipped_profile_passes_its_check() {
    let folder = tempfile::tempdir().unwrap();
    for shipped in guideway::profile::shipped() {
        if shipped.id == "fanuc-focas" && !cfg!(feature = "focas") {
            continue;
        }
        let checked = guideway(&["check", shipped.id], folder.path());
        assert!(checked.status.success(), "{}:\n{}", shipped.id, said(&checked));
        assert!(said(&checked).contains("nothing to complain about"), "{}", said(&checked));
    }
    let listed = guideway(&["profiles"], folder.path());
    assert!(said(&listed).contains("haas-ngc-mill@1"), "{}", said(&listed));
    let schema = guideway(&["profiles", "schema"], folder.path());
    assert!(serde_json::from_slice::<serde_json::Value>(&schema.stdout).is_ok());
}

/// The fenced blocks of a page that begin with this line.
fn blocks<'t>(text: &'t str, fence: &str) -> Vec<&'t str> {
    let begin = format!("```{fence}\n");
    text.split(begin.as_str())
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block))
        .collect()
}

#[test]
fn every_example_of_the_pages_about_profiles_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |page: &Path| std::fs::read_to_string(page).unwrap();
    let right = |what: &str, text: &str| {
        let source = std::sync::Arc::new(guideway::reading::Source::new(what, text));
        let (report, _) = guideway::profile::check(&source);
        assert!(report.findings.is_empty(), "{what}:\n{}", report.render(false));
    };
    let page = read(&root.join("docs/profiles.md"));
    let profiles = blocks(&page, "toml profile");
    assert!(!profiles.is_empty());
    profiles.iter().for_each(|block| right("docs/profiles.md", block));
    let folder = tempfile::tempdir().unwrap();
    for block in blocks(&page, "toml") {
        let configuration = configure(folder.path(), 5000, &format!("{block}\n"));
        let checked = guideway(&["check", configuration.to_str().unwrap()], folder.path());
        assert!(checked.status.success(), "{block}\n{}", said(&checked));
    }
    let mut tried = 0;
    for entry in std::fs::read_dir(root.join("docs/protocols")).unwrap() {
        let path = entry.unwrap().path();
        let page = read(&path);
        let Some(block) = blocks(&page, "text").into_iter().find(|block| block.starts_with("[adapter]"))
        else {
            continue;
        };
        // The pages show settings and points; what else a profile needs stands around them.
        let items = "[items]\navail = { at = \".\", type = \"AVAILABILITY\", value = \"link\" }\n";
        let head = "schema = 1\nid = \"x\"\nversion = \"1.0.0\"\ngroups = { fast = \"1s\", slow = \"10s\", once = \"connect\" }\n";
        let items = if block.contains("[items]") { "" } else { items };
        right(path.to_str().unwrap(), &format!("{head}{block}\n{items}"));
        tried += 1;
    }
    assert!(tried >= 8, "{tried}");
}
