//! The gateway as a process: how it starts, says that it is ready, and ends.

#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use support::broker::Broker;
use support::counting::configure;
use support::demo::Demo;
use support::gateway::{Gateway, free_port};
use support::source::Counting;
use support::{eventually, http};

fn guideway(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_guideway"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn sigterm_ends_it_within_five_seconds_with_clients_and_a_broker_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let source = Counting::start(500);
    let port = free_port();
    // Nobody listens at the broker's port.
    let configuration = configure(folder.path(), port, source.port, free_port());
    let gateway = Gateway::start(&configuration, folder.path(), port);
    let mut stream = http::Stream::open(gateway.address, "/sample?interval=50");
    stream.part().unwrap();
    let log = gateway.log.clone();
    let (status, took) = gateway.terminate();
    let said = std::fs::read_to_string(log).unwrap();
    assert!(status.success(), "{status}: {said}");
    assert!(took < Duration::from_secs(5), "{took:?}: {said}");
}

#[test]
fn after_a_stop_the_sequence_goes_on_and_values_are_back_before_the_source_is() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path());
    let source = Counting::start(500);
    let port = free_port();
    let configuration = configure(folder.path(), port, source.port, broker.port);
    let gateway = Gateway::start(&configuration, folder.path(), port);
    eventually("it counts", Duration::from_secs(10), || (gateway.next_sequence() > 200).then_some(()));
    let before = gateway.health();
    gateway.terminate();
    let gateway = Gateway::start(&configuration, folder.path(), port);
    let after = gateway.health();
    assert_eq!(before["instanceId"], after["instanceId"]);
    assert!(after["journal"]["nextSequence"].as_u64() >= before["journal"]["nextSequence"].as_u64());
    assert_eq!(after["journal"]["firstSequence"], 1);
    assert!(gateway.get("/sample?from=100&count=1").contains("sequence=\"100\""));
}

#[test]
fn two_signals_at_once_are_one_wish_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let configuration = configure(folder.path(), port, free_port(), free_port());
    let gateway = Gateway::start(&configuration, folder.path(), port);
    let signalled = Command::new("kill").arg("-INT").arg(gateway.pid().to_string()).status().unwrap();
    assert!(signalled.success());
    let (status, _) = gateway.terminate();
    assert!(status.success(), "{status}");
}

#[test]
fn a_second_process_on_one_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let configuration = configure(folder.path(), port, free_port(), free_port());
    let _first = Gateway::start(&configuration, folder.path(), port);
    let other = folder.path().join("other.toml");
    let text = std::fs::read_to_string(&configuration).unwrap();
    std::fs::write(&other, text.replace(&format!("port = {port}"), "port = 0")).unwrap();
    let output = guideway(&["run", "other.toml", "--data-dir", "data"], folder.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("in use by another process"), "{said}");
}

#[test]
fn a_port_in_use_is_named_with_its_cure() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    configure(folder.path(), port, free_port(), free_port());
    let output = guideway(&["run", "--data-dir", "data"], folder.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&port.to_string()), "{said}");
}

#[test]
fn systemd_is_told_when_the_faces_listen_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = free_port();
    configure(folder.path(), port, free_port(), free_port());
    let mut child = Command::new(env!("CARGO_BIN_EXE_guideway"))
        .arg("run")
        .current_dir(folder.path())
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .env("WATCHDOG_USEC", "600000")
        .env("STATE_DIRECTORY", folder.path().join("state"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = || {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let first = told();
    assert!(first.contains("READY=1"), "{first}");
    assert_eq!(http::get(([127, 0, 0, 1], port).into(), "/probe").status, 200, "ready means that it answers");
    for _ in 0..2 {
        let fed = told();
        assert!(fed.contains("WATCHDOG=1"), "{fed}");
    }
    assert!(folder.path().join("state").is_dir(), "the journal is in $STATE_DIRECTORY");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    while !told().contains("STOPPING=1") {}
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_wrong_configuration_ends_with_78_and_every_finding() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Devices.xml"), include_str!("support/counting.xml")).unwrap();
    let text = "[mtconnect]\nport = 70000\n\n[[adapter.shdr]]\nhost = \"mill\"\nprot = 7878\n";
    std::fs::write(folder.path().join("guideway.toml"), text).unwrap();
    for command in ["run", "check"] {
        let output = guideway(&[command, "guideway.toml"], folder.path());
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(78), "{command}: {said}");
        assert!(said.contains("guideway.toml:2:"), "{command}: {said}");
        assert!(said.contains("guideway.toml:6:"), "{command}: {said}");
        assert!(said.contains("port"), "the cure for `prot` is `port`: {said}");
    }
}

/// An OPC UA server answers a Hello with an Acknowledge (part 6, 7.1.2).
fn hello(address: std::net::SocketAddr) {
    use std::io::{Read as _, Write as _};
    let url = format!("opc.tcp://{address}");
    let mut message = b"HELF".to_vec();
    let length = u32::try_from(32 + url.len()).unwrap();
    // Protocol version, buffer sizes, largest message, most chunks.
    for number in [length, 0, 65_536, 65_536, 0, 0, u32::try_from(url.len()).unwrap()] {
        message.extend(number.to_le_bytes());
    }
    message.extend(url.as_bytes());
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&message).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ACKF");
}

#[test]
fn the_demo_shows_machines_that_run_on_every_face() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    eventually("all machines are connected", Duration::from_secs(30), || {
        let health: serde_json::Value =
            serde_json::from_str(&http::try_get(demo.http, "/health")?.body).ok()?;
        let adapters = health["adapters"].as_array()?;
        (adapters.len() == 8 && adapters.iter().all(|adapter| adapter["connected"] == true)).then_some(())
    });
    let current = http::get(demo.http, "/current").body;
    assert!(current.contains("testIndicator=\"true\""), "simulated data say so");
    let mut stream = http::Stream::open(demo.http, "/sample?interval=100&path=//Linear");
    assert!((0..5).any(|_| stream.part().unwrap().contains("<Position")), "axes move");
    let messages = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &demo.broker.to_string(), "-t", "#", "-C", "20", "-W", "20"])
        .output()
        .unwrap();
    assert!(messages.status.success(), "messages arrive at the demo's own broker");
    let welcome = demo.said();
    assert!(welcome.contains(&format!("http://{}/current", demo.http)), "{welcome}");
    assert!(welcome.contains(&format!("opc.tcp://{}", demo.opcua)), "{welcome}");
    hello(demo.opcua);
    // As it is told to do, word by word.
    let (_, told) = welcome.split_once(" control request ").unwrap();
    let (told, _) = told.split_once("parts=25").unwrap();
    eventually("the press takes a command", Duration::from_secs(30), || {
        let words = told.split_whitespace().filter(|word| *word != "\\");
        let mut request = Command::new(env!("CARGO_BIN_EXE_guideway"));
        request.args(["control", "request"]).args(words).arg("parts=25").current_dir(folder.path());
        request.output().unwrap().status.success().then_some(())
    });
    let current = http::get(demo.http, "/current?path=//Device[@name='PressCell']").body;
    assert!(current.contains("<Entry key=\"state\">done</Entry>"), "a twin sees how it ended: {current}");
    let url = format!("http://{}", demo.http);
    let tapped = guideway(&["tap", &url, "--path", "//Linear", "--for", "10s"], folder.path());
    let lines = String::from_utf8_lossy(&tapped.stdout).into_owned();
    assert!(tapped.status.success() && lines.contains("guideway-sim-mill/mill_x_"), "{tapped:?}");
    let tapped = guideway(&["tap", &url, "--path", "//Linear[", "--for", "2s"], folder.path());
    let said = String::from_utf8_lossy(&tapped.stderr);
    assert!(
        !tapped.status.success() && said.contains("the path is not an XPath") && !said.contains('<'),
        "{said}"
    );
    assert!(demo.stop().success());
}
