//! What ISO 23247 asks of a gateway and no other test shows: rows of `guideway coverage` (docs/iso23247.md) whose
//! business is the whole gateway with several machines.

#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use guideway_contract::kit::{Peer, Proxy, Weather};
use support::eventually;
use support::gateway::{Gateway, free_port};
use support::source::Source;

const SOON: Duration = Duration::from_secs(20);

/// The longest pause between two attempts, and what connecting and the first reading take on a busy computer.
const BACK: Duration = Duration::from_secs(10 + 1);

fn configure(folder: &Path, http: u16, rest: &str) -> PathBuf {
    let text = format!(
        "[gateway]\nname = \"hall\"\n[model]\nagent_device = false\n{}[mtconnect]\naddress = \"127.0.0.1\"\nport = {http}\n{rest}",
        if rest.contains("[[adapter") { "devices = [\"devices.xml\"]\n" } else { "" }
    );
    let path = folder.join("guideway.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn device(name: &str, profile: &str, port: u16) -> String {
    format!("[[device]]\nname = \"{name}\"\nprofile = \"{profile}\"\naddress = \"127.0.0.1:{port}\"\n")
}

/// What `/current` says of the availability of a device; nothing where it does not have the device.
fn availability(gateway: &Gateway, device: &str) -> String {
    let document = gateway.get("/current");
    let document = roxmltree::Document::parse(&document).unwrap();
    let stream = document
        .descendants()
        .find(|node| node.tag_name().name() == "DeviceStream" && node.attribute("name") == Some(device));
    let said = stream
        .and_then(|stream| stream.descendants().find(|node| node.tag_name().name() == "Availability"))
        .and_then(|node| node.text().map(str::to_owned));
    said.unwrap_or_default()
}

/// The value of a metric of an adapter.
fn metric(gateway: &Gateway, name: &str, adapter: &str) -> f64 {
    let label = format!("adapter=\"{adapter}\"");
    let text = gateway.get("/metrics");
    let line = text.lines().find(|line| line.starts_with(name) && line.contains(&label));
    line.unwrap_or_else(|| panic!("no {name} of {adapter} in {text}"))
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// P1 and P3.
#[tokio::test(flavor = "multi_thread")]
async fn machines_are_back_soon_after_a_cut_of_thirty_seconds_and_the_others_never_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut s7 = Peer::node("s7_peer.js", &[]).await;
    s7.say("make DB100 172").await;
    let peers = [
        ("eastron-sdm630", Peer::python("modbus_peer.py", &[]).await),
        ("siemens-s7-1500-cell", s7),
        ("mitsubishi-iq-r-cell", Peer::python("slmp_peer.py", &["4e"]).await),
        ("rockwell-logix-cell", Peer::python("eip_fake.py", &[]).await),
    ];
    let stays = Peer::python("modbus_peer.py", &[]).await;
    let mut devices = device("stays", "eastron-sdm630", stays.port());
    let mut lines = Vec::new();
    for (profile, peer) in &peers {
        let proxy = Proxy::start(peer.port()).await;
        devices += &device(profile, profile, proxy.port());
        lines.push((*profile, proxy));
    }
    let http = free_port();
    let gateway = Gateway::start(&configure(folder.path(), http, &devices), folder.path(), http);
    let all =
        |wanted: &str| lines.iter().all(|(name, _)| availability(&gateway, name) == wanted).then_some(());
    eventually("every machine is connected", SOON * 2, || all("AVAILABLE"));
    eventually("so is the other one", SOON, || {
        (availability(&gateway, "stays") == "AVAILABLE").then_some(())
    });
    let stayed = metric(&gateway, "guideway_adapter_sessions_total", "stays");

    // At first nothing comes back any more; when that was noticed, nobody gets a connection.
    let cut = Instant::now();
    lines.iter().for_each(|(_, proxy)| proxy.set(Weather::Silent));
    eventually("the loss of every machine is seen", SOON, || all("UNAVAILABLE"));
    println!("lost after {:?}", cut.elapsed());
    lines.iter().for_each(|(_, proxy)| proxy.set(Weather::Refuse));
    while cut.elapsed() < Duration::from_secs(30) {
        assert_eq!(availability(&gateway, "stays"), "AVAILABLE", "after {:?}", cut.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(all("UNAVAILABLE").is_some(), "nothing is there during the cut");

    let clear = Instant::now();
    lines.iter().for_each(|(_, proxy)| proxy.set(Weather::Clear));
    for (name, _) in &lines {
        let left = BACK.saturating_sub(clear.elapsed());
        eventually(name, left, || (availability(&gateway, name) == "AVAILABLE").then_some(()));
        println!("{name} is back {:?} after the cut", clear.elapsed());
    }
    assert!((metric(&gateway, "guideway_adapter_sessions_total", "stays") - stayed).abs() < 0.5);
}

/// P5 and DT-composition: a gateway in front of two others gets a machine while it runs, and nobody is connected anew
/// for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_joins_a_running_gateway_and_no_other_is_connected_anew() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [left, right, upper] = &folders;
    let peer = Peer::python("modbus_peer.py", &[]).await;
    let ports = [free_port(), free_port(), free_port()];
    let one = device("left-1", "eastron-sdm630", peer.port());
    let lower = Gateway::start(&configure(left.path(), ports[0], &one), left.path(), ports[0]);
    let same = device("right-1", "eastron-sdm630", peer.port());
    let _right = Gateway::start(&configure(right.path(), ports[1], &same), right.path(), ports[1]);
    let mut devices = device("stays", "eastron-sdm630", peer.port());
    for (name, port) in [("left", ports[0]), ("right", ports[1])] {
        devices += &format!(
            "[[device]]\nname = \"{name}\"\nprofile = \"okuma-mtconnect\"\naddress = \"http://127.0.0.1:{port}\"\n"
        );
    }
    let gateway = Gateway::start(&configure(upper.path(), ports[2], &devices), upper.path(), ports[2]);
    let here = |name: &str| (availability(&gateway, name) == "AVAILABLE").then_some(());
    for name in ["stays", "left-1", "right-1"] {
        eventually(name, SOON, || here(name));
    }
    let started = gateway.health()["instanceId"].clone();
    let sessions =
        || ["stays", "right"].map(|name| metric(&gateway, "guideway_adapter_sessions_total", name) as u64);
    let before = sessions();

    // The gateway below gets another machine, by configuration; the one above is not touched.
    lower.terminate();
    let two = one + &device("left-2", "eastron-sdm630", peer.port());
    let _lower = Gateway::start(&configure(left.path(), ports[0], &two), left.path(), ports[0]);
    for name in ["left-1", "left-2", "stays", "right-1"] {
        eventually(name, SOON * 2, || here(name));
    }
    assert_eq!(sessions(), before, "nobody else was connected anew");
    assert_eq!(gateway.health()["instanceId"], started);
    let probe = gateway.get("/probe");
    let probe = roxmltree::Document::parse(&probe).unwrap();
    let mut ids: Vec<_> = probe.descendants().filter_map(|node| node.attribute("id")).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "no id stands twice");
}

/// A8: a machine whose clock is an hour ahead.
#[test]
fn the_offset_of_a_machines_clock_is_measured_and_its_own_time_goes_with_the_value() {
    let folder = tempfile::tempdir().unwrap();
    let ahead = guideway_contract::Timestamp::now().shifted(3_600_000_000_000);
    let source = Source::serve(format!("{ahead}|avail|AVAILABLE|execution|ACTIVE\n"));
    std::fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/opcua/machine.xml"),
        folder.path().join("devices.xml"),
    )
    .unwrap();
    let http = free_port();
    let adapter =
        format!("[[adapter.shdr]]\nname = \"machine\"\nhost = \"127.0.0.1\"\nport = {}\n", source.port);
    let gateway = Gateway::start(&configure(folder.path(), http, &adapter), folder.path(), http);
    eventually("it speaks", SOON, || (availability(&gateway, "machine") == "AVAILABLE").then_some(()));
    let current = gateway.get("/current?path=//DataItem[@id=\"execution\"]");
    assert!(current.contains(&format!("timestamp=\"{ahead}\"")), "{ahead}: {current}");
    let offset = metric(&gateway, "guideway_adapter_clock_offset_seconds", "machine");
    assert!((3_500.0..=3_600.0).contains(&offset), "{offset}");
}
