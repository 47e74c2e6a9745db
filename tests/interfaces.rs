//! Machines that answer the requests of other machines: a lathe that speaks SHDR asks, and a bar feeder that speaks
//! Modbus, by a foreign implementation of it, answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guideway::config::Severity;
use guideway_contract::kit::Peer;
use support::eventually;
use support::gateway::{Gateway, free_port};

const SOON: Duration = Duration::from_secs(30);

const FEEDER: &str = r#"
schema = 1
id = "feeder"
version = "1.0.0"
groups = { fast = "30ms" }
[adapter]
kind = "modbus"
timeout = "2s"
[points]
ready = { addr = "coil:1", type = "bool", group = "fast" }
feed = { addr = "holding:30", type = "u16", access = "w" }
fed = { addr = "holding:31", type = "u16", group = "fast" }
[items]
avail = { at = ".", type = "AVAILABILITY", value = "link" }
mode = { at = "Controller", type = "CONTROLLER_MODE", value = 'ready ? "AUTOMATIC" : "MANUAL"' }
[commands.feed_bar]
about = "Feeds one bar"
risk = "motion"
require = 'item.mode == "AUTOMATIC"'
write = [{ point = "feed", value = "1" }]
verify = { point = "fed", equals = "1", within = "10s" }
finally = [{ point = "feed", value = "0" }]
[interfaces.feed]
at = "Interfaces/BarFeederInterface"
type = "MATERIAL_FEED"
command = "feed_bar"
"#;

const LATHE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.0">
  <Header creationTime="2026-01-01T00:00:00Z" sender="s" instanceId="1" version="2.0" bufferSize="1" assetBufferSize="1" assetCount="0" deviceModelChangeTime="2026-01-01T00:00:00Z"/>
  <Devices>
    <Device id="lathe" name="Lathe" uuid="lathe-1">
      <DataItems><DataItem id="lathe_av" type="AVAILABILITY" category="EVENT"/></DataItems>
      <Components>
        <Interfaces id="lathe_ifs">
          <DataItems>
            <DataItem id="lathe_feed" name="material_feed_request" type="MATERIAL_FEED" subType="REQUEST" category="EVENT"/>
          </DataItems>
        </Interfaces>
      </Components>
    </Device>
  </Devices>
</MTConnectDevices>"#;

/// A lathe: tells every agent that connects what its REQUEST is, and when it changes.
struct Lathe {
    port: u16,
    state: Arc<Mutex<(String, Vec<TcpStream>)>>,
}

impl Lathe {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(("READY".to_owned(), Vec::new())));
        let shared = state.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut state = shared.lock().unwrap();
                let _ = writeln!(stream, "|lathe_av|AVAILABLE|lathe_feed|{}", state.0);
                state.1.push(stream);
            }
        });
        Self { port, state }
    }

    fn asks(&self, word: &str) {
        let mut state = self.state.lock().unwrap();
        word.clone_into(&mut state.0);
        for stream in &mut state.1 {
            let _ = writeln!(stream, "|lathe_feed|{word}");
        }
    }

    /// Ends the connections; the agent comes again.
    fn hangs_up(&self) {
        self.state.lock().unwrap().1.clear();
    }
}

/// The bar feeder, the lathe and what the gateway makes of them.
struct Hall {
    folder: tempfile::TempDir,
    feeder: Peer,
    lathe: Lathe,
    http: u16,
}

impl Hall {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut feeder = Peer::python("modbus_peer.py", &[]).await;
        for line in ["set 1 coil 1 true", "set 1 holding 30 0 0", "echo 1 30 31 60"] {
            assert_eq!(feeder.say(line).await, "ok", "{line}");
        }
        let hall = Self { folder, feeder, lathe: Lathe::new(), http: free_port() };
        hall.write(FEEDER, &hall.configuration("Lathe:material_feed_request"));
        hall
    }

    fn configuration(&self, request: &str) -> String {
        format!(
            "[gateway]\nname = \"hall\"\n[model]\nagent_device = false\ndevices = [\"lathe.xml\"]\n\
             [mtconnect]\naddress = \"127.0.0.1\"\nport = {}\n\
             [[adapter.shdr]]\nhost = \"127.0.0.1\"\nport = {}\ndevices = [\"Lathe\"]\nreconnect_min = \"50ms\"\nreconnect_max = \"100ms\"\n\
             [control]\n[[control.permit]]\nrole = \"interface\"\ndevices = [\"Feeder\"]\ncommands = [\"feed_bar\"]\nfaces = [\"interface\"]\n\
             [[device]]\nname = \"Feeder\"\nprofile = \"./feeder.toml\"\naddress = \"127.0.0.1:{}\"\ncommands = [\"feed_bar\"]\n\
             interfaces = {{ feed = \"{request}\" }}\n",
            self.http,
            self.lathe.port,
            self.feeder.port(),
        )
    }

    fn write(&self, profile: &str, configuration: &str) {
        let folder = self.folder.path();
        std::fs::write(folder.join("feeder.toml"), profile).unwrap();
        std::fs::write(folder.join("lathe.xml"), LATHE).unwrap();
        std::fs::write(folder.join("guideway.toml"), configuration).unwrap();
    }

    fn start(&self) -> Gateway {
        let gateway = self.start_again();
        // Only a change of what was seen is a request.
        eventually("the lathe is heard", SOON, || (current(&gateway, "lathe_feed") == "READY").then_some(()));
        gateway
    }

    fn start_again(&self) -> Gateway {
        Gateway::start(&self.folder.path().join("guideway.toml"), self.folder.path(), self.http)
    }

    /// How often somebody has written to the feeder.
    async fn writes(&mut self) -> u32 {
        self.feeder.say("writes").await.parse().unwrap()
    }
}

/// The text of a data item in `/current`.
fn current(gateway: &Gateway, id: &str) -> String {
    let document = gateway.get("/current");
    let document = roxmltree::Document::parse(&document).unwrap();
    let found = document.descendants().find(|node| node.attribute("dataItemId") == Some(id));
    found.and_then(|node| node.text().map(str::to_owned)).unwrap_or_default()
}

/// Every word of a data item so far, but for UNAVAILABLE.
fn words(gateway: &Gateway, id: &str) -> Vec<String> {
    let document = gateway.get("/sample?count=10000");
    let document = roxmltree::Document::parse(&document).unwrap();
    let found = document.descendants().filter(|node| node.attribute("dataItemId") == Some(id));
    found.filter_map(|node| node.text()).filter(|word| *word != "UNAVAILABLE").map(str::to_owned).collect()
}

fn answers(gateway: &Gateway, word: &str) {
    let what = format!("RESPONSE is {word}");
    eventually(&what, SOON, || (current(gateway, "Feeder_feed_response") == word).then_some(()));
}

/// The entries of the observation that tells of commands.
fn told(gateway: &Gateway, key: &str) -> String {
    let document = gateway.get("/current");
    let document = roxmltree::Document::parse(&document).unwrap();
    let set = document.descendants().find(|node| node.attribute("dataItemId") == Some("Feeder_command"));
    let entry = set.and_then(|set| set.children().find(|entry| entry.attribute("key") == Some(key)));
    entry.and_then(|entry| entry.text().map(str::to_owned)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lathe_that_asks_for_a_bar_gets_one_each_time() {
    let mut hall = Hall::new().await;
    let gateway = hall.start();
    answers(&gateway, "READY");
    assert_eq!(current(&gateway, "Feeder_feed_state"), "ENABLED");
    let probe = gateway.get("/probe");
    if let Some(shared) = support::shared("the probe of a machine with an interface") {
        support::schema::assert_valid(&shared, &probe);
    }
    assert!(
        probe.contains("id=\"Feeder_feed_response\"") && probe.contains("subType=\"RESPONSE\""),
        "{probe}"
    );
    for round in 1..=3 {
        hall.lathe.asks("ACTIVE");
        answers(&gateway, "COMPLETE");
        assert_eq!(hall.writes().await, 2 * round, "one write and one release a bar");
        hall.lathe.asks("READY");
        answers(&gateway, "READY");
    }
    // NOT_READY stands between, as long as the feeder has not taken back what it has answered.
    let mut words = words(&gateway, "Feeder_feed_response");
    words.retain(|word| word != "NOT_READY");
    words.dedup();
    let round = ["READY", "ACTIVE", "COMPLETE"];
    assert_eq!(words, [&round[..], &round, &round, &["READY"]].concat());
    assert_eq!(
        (told(&gateway, "requester").as_str(), told(&gateway, "face").as_str()),
        ("Lathe", "interface")
    );
    assert!(told(&gateway, "id").starts_with("interface-"), "{}", told(&gateway, "id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_asks_while_the_machine_cannot_is_told_so_and_nothing_moves() {
    let mut hall = Hall::new().await;
    let gateway = hall.start();
    answers(&gateway, "READY");
    hall.feeder.say("set 1 coil 1 false").await;
    answers(&gateway, "NOT_READY");
    assert_eq!(current(&gateway, "Feeder_feed_state"), "ENABLED");
    hall.lathe.asks("ACTIVE");
    answers(&gateway, "FAIL");
    assert_eq!(told(&gateway, "reason"), "interlock");
    hall.lathe.asks("FAIL");
    answers(&gateway, "NOT_READY");
    // It does not ask any more: what it asked for does not happen later.
    hall.feeder.say("set 1 coil 1 true").await;
    answers(&gateway, "READY");

    // The panic switch.
    std::fs::write(hall.folder.path().join("data/control.off"), "").unwrap();
    answers(&gateway, "NOT_READY");
    eventually("it is disabled", SOON, || {
        (current(&gateway, "Feeder_feed_state") == "DISABLED").then_some(())
    });
    hall.lathe.asks("ACTIVE");
    answers(&gateway, "FAIL");
    assert_eq!(told(&gateway, "reason"), "control-off");
    std::fs::remove_file(hall.folder.path().join("data/control.off")).unwrap();
    // As long as it is asked for, FAIL stands.
    eventually("it is enabled", SOON, || (current(&gateway, "Feeder_feed_state") == "ENABLED").then_some(()));
    assert_eq!(current(&gateway, "Feeder_feed_response"), "FAIL");
    hall.lathe.asks("NOT_READY");
    answers(&gateway, "READY");
    assert_eq!(hall.writes().await, 0, "the feeder was touched");

    // It is gone.
    hall.feeder.kill().await;
    answers(&gateway, "NOT_READY");
    assert_eq!(current(&gateway, "Feeder_feed_state"), "DISABLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_machine_does_not_do_is_a_failure() {
    let mut hall = Hall::new().await;
    let gateway = hall.start();
    answers(&gateway, "READY");
    hall.feeder.say("mute 1").await;
    hall.lathe.asks("ACTIVE");
    answers(&gateway, "ACTIVE");
    answers(&gateway, "FAIL");
    assert_eq!((hall.writes().await, told(&gateway, "reason").as_str()), (2, "not-read-back"));
    hall.lathe.asks("NOT_READY");
    answers(&gateway, "READY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_still_stands_after_a_restart_feeds_no_second_bar() {
    let mut hall = Hall::new().await;
    let gateway = hall.start();
    answers(&gateway, "READY");
    hall.lathe.asks("ACTIVE");
    answers(&gateway, "COMPLETE");
    assert_eq!(hall.writes().await, 2);
    hall.feeder.say("set 1 holding 31 0").await;
    // The lathe's connection flaps: the request is still the same.
    hall.lathe.hangs_up();
    eventually("it was away and is back", SOON, || {
        let seen = words(&gateway, "lathe_feed");
        (seen.iter().filter(|word| *word == "ACTIVE").count() == 2).then_some(())
    });
    gateway.kill();
    let gateway = hall.start_again();
    eventually("the lathe is back", SOON, || (current(&gateway, "lathe_feed") == "ACTIVE").then_some(()));
    eventually("the feeder is back", SOON, || {
        (current(&gateway, "Feeder_feed_state") == "ENABLED").then_some(())
    });
    assert_eq!(current(&gateway, "Feeder_feed_response"), "COMPLETE");
    hall.lathe.asks("READY");
    answers(&gateway, "READY");
    assert_eq!(hall.writes().await, 2, "a second bar was fed");
    hall.lathe.asks("ACTIVE");
    answers(&gateway, "COMPLETE");
    assert_eq!(hall.writes().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_kill_has_cut_off_fails_and_is_not_carried_out_again() {
    let mut hall = Hall::new().await;
    hall.feeder.say("mute 1").await;
    let gateway = hall.start();
    answers(&gateway, "READY");
    hall.lathe.asks("ACTIVE");
    answers(&gateway, "ACTIVE");
    eventually("it is written", SOON, || (told(&gateway, "state") == "running").then_some(()));
    let written = async { while hall.writes().await == 0 {} };
    assert!(tokio::time::timeout(SOON, written).await.is_ok(), "not soon: it is written");
    gateway.kill();
    let gateway = hall.start_again();
    answers(&gateway, "FAIL");
    hall.lathe.asks("NOT_READY");
    // Not before the release of what was cut off.
    answers(&gateway, "READY");
    assert_eq!(hall.feeder.say("get 1 holding 30 1").await, "0");
    assert_eq!(hall.writes().await, 2, "it was written once and released once");
}

#[test]
fn what_cannot_be_answered_is_found_before_the_gateway_runs() {
    let folder = tempfile::tempdir().unwrap();
    let tried = |profile: &str, interfaces: &str| {
        std::fs::write(folder.path().join("feeder.toml"), profile).unwrap();
        std::fs::write(folder.path().join("lathe.xml"), LATHE).unwrap();
        let text = format!(
            "[model]\ndevices = [\"lathe.xml\"]\n[[adapter.shdr]]\nhost = \"127.0.0.1\"\ndevices = [\"Lathe\"]\n\
             [control]\n[[control.permit]]\nrole = \"interface\"\ndevices = [\"*\"]\ncommands = [\"*\"]\n\
             [[device]]\nname = \"Feeder\"\nprofile = \"./feeder.toml\"\naddress = \"127.0.0.1\"\n{interfaces}\n"
        );
        findings(&folder.path().join("guideway.toml"), &text)
    };
    let good = "commands = [\"feed_bar\"]\ninterfaces = { feed = \"lathe-1:lathe_feed\" }";
    assert_eq!(tried(FEEDER, good), "");
    for (interfaces, said) in [
        (good.replace("lathe-1", "Mill"), "there is no device `Mill`"),
        (good.replace("lathe_feed", "feed"), "lathe-1 has no data item `feed`"),
        (good.replace("lathe_feed", "lathe_av"), "is no MATERIAL_FEED with sub-type REQUEST"),
        (good.replace("lathe-1:", ""), "names no data item"),
        (good.replace("{ feed", "{ fed"), "no interface `fed`"),
        (good.replace("[\"feed_bar\"]", "[]"), "`feed_bar`, which is not permitted"),
    ] {
        let found = tried(FEEDER, &interfaces);
        assert!(found.contains(said), "{interfaces}: {found}");
    }
    for (from, to, said) in [
        ("MATERIAL_FEED", "MATERIAL_FEAD", "did you mean `MATERIAL_FEED`"),
        ("command = \"feed_bar\"", "command = \"feed\"", "there is no command `feed`"),
        ("Interfaces/Bar", "Interfaces/Barr", "no component of MTConnect"),
        ("risk = \"motion\"", "risk = \"motion\"\nargs = { n = { type = \"int\" } }", "has arguments"),
        (
            "[items]",
            "[items]\nfeed_state = { at = \".\", type = \"PROGRAM\", value = \"'x'\" }",
            "the item `feed_state`",
        ),
    ] {
        let found = tried(&FEEDER.replace(from, to), good);
        assert!(found.contains(said), "{to}: {found}");
    }
}

/// The errors in a configuration.
fn findings(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    let report = guideway::config::check(path);
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| format!("{finding}\n")).collect()
}
