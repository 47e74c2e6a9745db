//! The profiles that ship, each against a peer that holds their registers.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use guideway_contract::kit::{Peer, Pty, Running};
use guideway_contract::{Access, Native, Outcome, Period, PointSpec, Protocol};
use guideway_modbus::{Config, Modbus, Parity, Point};
use serde_json::{Map, Value};

/// What of a point is not the protocol's.
const COMMON: [&str; 7] = ["addr", "type", "group", "access", "scale", "offset", "invalid"];

/// A profile's configuration and points, with the defaults of its parameters.
fn profile(id: &str) -> (Config, Vec<PointSpec<Point>>) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join(format!("device-profiles/{id}.toml"));
    let script = "import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], 'rb'))))";
    let output =
        Command::new(root.join(".venv/bin/python")).args(["-c", script]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let profile: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut adapter = profile["adapter"].as_object().unwrap().clone();
    assert_eq!(adapter.remove("kind"), Some(Value::from(Modbus::KIND)));
    let config: Config = serde_json::from_value(adapter.into()).unwrap();
    let none = Map::new();
    let params = profile.get("params").and_then(Value::as_object).unwrap_or(&none);
    let points = profile["points"].as_object().unwrap().iter().map(|(name, point)| {
        let mut own = point.as_object().unwrap().clone();
        COMMON.iter().for_each(|key| drop(own.remove(*key)));
        let mut address = point["addr"].as_str().unwrap().to_owned();
        for (param, of) in params {
            address = address.replace(&format!("${{{param}}}"), &of["default"].to_string());
        }
        let access = point.get("access").cloned().unwrap_or_else(|| "r".into());
        PointSpec {
            name: name.as_str().into(),
            address: address.into(),
            data_type: point["type"].as_str().unwrap().parse().unwrap(),
            period: Period::Every(Duration::from_millis(100)),
            access: serde_json::from_value::<Access>(access).unwrap(),
            own: serde_json::from_value(own.into()).unwrap(),
        }
    });
    (config, points.collect())
}

/// Runs a profile and gives each point's first value.
async fn read(config: Config, points: &[PointSpec<Point>]) -> (Running, impl Fn(&str) -> Native) {
    assert_eq!(Modbus::check(&config), []);
    for point in points {
        assert_eq!(Modbus::check_point(&config, point), [], "{}", point.name);
    }
    let mut running = Running::start(Modbus::adapter(config, points.to_vec()));
    let readings = running.all(points.len(), Duration::from_secs(10)).await;
    let names: Vec<_> = points.iter().map(|point| point.name.clone()).collect();
    let value =
        move |name: &str| readings[names.iter().position(|other| other == name).unwrap()].value.clone();
    for point in points {
        assert!(!value(&point.name).is_bad(), "{}: {}", point.name, value(&point.name));
    }
    (running, value)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_phase_meter_is_read_on_a_serial_line() {
    let line = Pty::pair().await;
    let mut peer = Peer::python_on("modbus_peer.py", &line.b, &[]).await;
    for (at, number) in [(0, 230.6_f32), (6, 12.5), (52, 8_650.5), (70, 49.98), (72, 1_234.5), (200, 399.2)] {
        let bits = number.to_bits();
        assert_eq!(peer.say(&format!("set 1 input {at} {} {}", bits >> 16, bits & 0xFFFF)).await, "ok");
    }
    let (mut config, points) = profile("eastron-sdm630");
    Modbus::set_address(&mut config, &line.a).unwrap();
    assert_eq!(config.serial.parity, Parity::None);
    let (running, value) = read(config, &points).await;
    for (name, number) in
        [("v1", 230.6), ("i1", 12.5), ("p", 8_650.5), ("hz", 49.98), ("kwh_in", 1_234.5), ("v12", 399.2)]
    {
        assert_eq!(value(name), Native::Float(number), "{name}");
    }
    assert!(peer.say("most").await.parse::<u16>().unwrap() <= 60);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_robot_arm_is_read_and_takes_a_job() {
    let mut peer = Peer::python("modbus_peer.py", &[]).await;
    for line in [
        "set 1 holding 256 5 11 7",
        "set 1 holding 260 1 0 0 0 0 0 1",
        "set 1 coil 23 true",
        "set 1 holding 270 1571 3142",
        "set 1 holding 320 65535 0",
        "set 1 holding 400 1234 64302 5000",
        "set 1 holding 128 42 12",
    ] {
        assert_eq!(peer.say(line).await, "ok");
    }
    let (mut config, points) = profile("universal-robots-modbus");
    Modbus::set_address(&mut config, &format!("127.0.0.1:{}", peer.port())).unwrap();
    let (running, value) = read(config, &points).await;
    for (name, number) in [
        ("mode", 7),
        ("power", 1),
        ("a1", 1_571),
        ("n1", -1),
        ("x", 1_234),
        ("y", -1_234),
        ("z", 5_000),
        ("parts", 42),
        ("program", 12),
        ("safety", 1),
    ] {
        assert_eq!(value(name), Native::Int(number), "{name}");
    }
    assert_eq!(value("running"), Native::Bool(true));
    assert_eq!(value("emergency"), Native::Bool(false));
    let job = points.iter().position(|point| point.name == "job").unwrap();
    assert_eq!(running.write(&[(u32::try_from(job).unwrap(), Native::Int(7))]).await, Outcome::Done);
    assert_eq!(peer.say("get 1 holding 130 1").await, "7");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vibration_sensor_is_read_on_a_serial_line() {
    let line = Pty::pair().await;
    let mut peer = Peer::python_on("modbus_peer.py", &line.b, &["units=80"]).await;
    for set in [
        "set 80 holding 52 2048 65535 0",
        "set 80 holding 58 3 4 5",
        "set 80 holding 64 2534 120 130 140 500 501 502",
    ] {
        assert_eq!(peer.say(set).await, "ok");
    }
    let (mut config, points) = profile("witmotion-wtvb01");
    Modbus::set_address(&mut config, &line.a).unwrap();
    let (running, value) = read(config, &points).await;
    for (name, number) in [("ax", 2_048), ("ay", -1), ("vy", 4), ("temp", 2_534), ("dz", 140), ("fz", 502)] {
        assert_eq!(value(name), Native::Int(number), "{name}");
    }
    running.stop().await;
}
