//! The profiles that ship, each at a server with the nodes of its machine.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::SOON;
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Native, Period, PointSpec, Protocol as _, duration};
use guideway_opcua::{Config, OpcUa, Point, Security};
use toml::{Table, Value};

/// The adapter's part of a profile, its parameters at their defaults.
fn read(profile: &str) -> (Config, Vec<PointSpec<Point>>) {
    let path = format!("{}/../../device-profiles/{profile}", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(path).unwrap();
    let whole: Table = text.parse().unwrap();
    for (name, parameter) in whole["params"].as_table().unwrap() {
        let default = match &parameter["default"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text = text.replace(&format!("${{{name}}}"), &default);
    }
    let whole: Table = text.parse().unwrap();
    let mut adapter = whole["adapter"].as_table().unwrap().clone();
    assert_eq!(adapter.remove("kind"), Some("opcua".into()));
    let config: Config = Value::Table(adapter).try_into().unwrap();
    let groups = &whole["groups"];
    let points = whole["points"].as_table().unwrap().iter().map(|(name, point)| {
        let mut own = point.as_table().unwrap().clone();
        let address = own.remove("addr").unwrap();
        let group = own.remove("group").unwrap();
        let period = match groups[group.as_str().unwrap()].as_str().unwrap() {
            "connect" => Period::Once,
            every => Period::Every(duration::parse(every).unwrap()),
        };
        let data_type = own.remove("type").map_or("auto".into(), |text| text.as_str().unwrap().to_owned());
        let own: Point = Value::Table(own).try_into().unwrap();
        let spec = PointSpec::new(address.as_str().unwrap(), data_type.parse().unwrap(), own);
        PointSpec { name: name.as_str().into(), period, ..spec }
    });
    let points: Vec<_> = points.collect();
    (config, points)
}

/// Reads every point of a profile; those in `absent` are all that are bad.
async fn try_out(profile: &str, machine: &str, absent: &[&str], known: &[(&str, Native)]) {
    let (mut config, points) = read(profile);
    assert_eq!(OpcUa::check(&config), []);
    for point in &points {
        assert_eq!(OpcUa::check_point(&config, point), [], "{}", point.name);
    }
    assert_eq!(config.security, Security::SignAndEncrypt);
    let peer = Peer::python("opcua_peer.py", &[machine]).await;
    OpcUa::set_address(&mut config, &format!("opc.tcp://127.0.0.1:{}", peer.port())).unwrap();
    config.security = Security::None;
    let names: Vec<String> = points.iter().map(|point| point.name.to_string()).collect();
    let mut running = Running::start(OpcUa::adapter(config, points));
    running.connected(SOON).await;
    let readings = running.all(names.len(), Duration::from_secs(20)).await;
    for (name, reading) in names.iter().zip(&readings) {
        assert_eq!(reading.value.is_bad(), absent.contains(&name.as_str()), "{name}: {}", reading.value);
    }
    for (name, wanted) in known {
        let at = names.iter().position(|one| one == name).unwrap();
        assert_eq!(&readings[at].value, wanted, "{name}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sinumerik_is_read_by_its_profile() {
    let known = [
        ("mode", Native::Int(2)),
        ("status", Native::Int(3)),
        ("main", Native::text("/_N_WKS_DIR/_N_FLANGE_WPD/_N_FLANGE_MPF")),
        ("z", Native::Float(31.5)),
        ("estop", Native::Bool(false)),
    ];
    try_out("siemens-840d-sl-opcua.toml", "sinumerik", &[], &known).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fanuc_is_read_by_its_profile() {
    let known = [
        ("status", Native::Int(1)),
        ("main", Native::text("O1000")),
        ("z", Native::Float(25.0)),
        ("s_speed", Native::Float(3_000.0)),
    ];
    try_out("fanuc-opcua.toml", "fanuc", &["parts", "alarm", "estop"], &known).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abb_robot_is_read_by_its_profile() {
    let known = [
        ("mode", Native::Int(3)),
        ("program", Native::text("PickPlace")),
        ("a6", Native::Float(60.0)),
        ("l1", Native::Int(30)),
        ("model", Native::text("IRB 1200-5/0.9")),
        ("started", Native::text("2026-11-01T06:00:00.000Z")),
    ];
    try_out("abb-robot-opcua.toml", "abb", &["parts"], &known).await;
}
