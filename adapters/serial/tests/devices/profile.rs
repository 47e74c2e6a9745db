//! The profile that ships, against the peer.

use std::collections::BTreeMap;

use guideway_contract::kit::{Peer, Pty, Running};
use guideway_contract::{Access, Native, Period, PointSpec, Protocol as _, duration};
use guideway_serial::{Config, Point, Serial};
use serde_json::{Map, Value};

use super::{SOON, tcp};

/// Python reads the TOML: this crate does not.
const READ: &str = "import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], 'rb'))))";

fn profile() -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let output = std::process::Command::new(format!("{root}.venv/bin/python"))
        .args(["-c", READ, &format!("{root}device-profiles/fanuc-dprnt-probe.toml")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let profile: Value = serde_json::from_str(&text).unwrap();
    let params = profile["params"].as_object().unwrap();
    let filled = params.iter().fold(text, |text, (name, param)| {
        let default = &param["default"];
        text.replace(&format!("${{{name}}}"), default.as_str().unwrap_or(&default.to_string()))
    });
    serde_json::from_str(&filled).unwrap()
}

fn points(profile: &Value) -> BTreeMap<String, PointSpec<Point>> {
    let group = |name: &str| profile["groups"][name].as_str().unwrap().to_owned();
    let read = |(name, value): (&String, &Value)| {
        let mut own: Map<String, Value> = value.as_object().unwrap().clone();
        let mut take = |key: &str| own.remove(key).map(|value| value.as_str().unwrap().to_owned());
        let (address, data_type) = (take("addr").unwrap(), take("type").unwrap());
        let (period, access) = (group(&take("group").unwrap()), take("access"));
        let spec = PointSpec {
            name: name.into(),
            period: duration::parse(&period).map_or(Period::Once, Period::Every),
            access: if access.as_deref() == Some("rw") { Access::ReadWrite } else { Access::Read },
            ..PointSpec::new(
                &address,
                data_type.parse().unwrap(),
                serde_json::from_value(Value::Object(own)).unwrap(),
            )
        };
        (name.clone(), spec)
    };
    profile["points"].as_object().unwrap().iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_point_of_the_profile_that_ships_is_read() {
    let profile = profile();
    let mut adapter = profile["adapter"].as_object().unwrap().clone();
    assert_eq!(adapter.remove("kind").unwrap(), Serial::KIND);
    let mut config: Config = serde_json::from_value(Value::Object(adapter)).unwrap();
    assert_eq!(Serial::check(&config), []);
    let points = points(&profile);
    for (name, point) in &points {
        assert_eq!(Serial::check_point(&config, point), [], "{name}");
    }
    let (names, specs): (Vec<_>, Vec<_>) = points.into_iter().unzip();
    for line in [true, false] {
        let pty = Pty::pair().await;
        let mut peer = if line {
            Peer::python_on("serial_peer.py", &pty.a, &[]).await
        } else {
            Peer::python("serial_peer.py", &[]).await
        };
        Serial::set_address(&mut config, &if line { pty.b.clone() } else { tcp(peer.port()) }).unwrap();
        // A pseudo-terminal has 8 bits and no parity.
        config.serial.data_bits = 8;
        config.serial.parity = guideway_serial::Parity::None;
        let mut running = Running::start(Serial::adapter(config.clone(), specs.clone()));
        running.connected(SOON).await;
        while !line && peer.say("get clients").await != "1" {}
        peer.say(
            r"send \0\0\x12%\r\nPROBE SEQ   118 PART     4711 FEAT   12 ACT   25.0132 NOM   25.0000 DEV    0.0132 STAT 0\r\n\x14",
        )
        .await;
        let portable = running.all(names.len(), SOON).await;
        peer.say(r"send PROBE,SEQ=119,PART=A7,FEAT=BORE1,ACT=24.99,NOM=25.0,DEV=-.01,STAT=1\r\n").await;
        let punctuated = running.all(names.len(), SOON).await;
        let wanted = |name: &str| match name {
            "seq" => [Native::Int(118), Native::Int(119)],
            "part" => [Native::text("4711"), Native::text("A7")],
            "feat" => [Native::text("12"), Native::text("BORE1")],
            "act" => [Native::Float(25.0132), Native::Float(24.99)],
            "nom" => [Native::Float(25.0), Native::Float(25.0)],
            "dev" => [Native::Float(0.0132), Native::Float(-0.01)],
            "stat" => [Native::Int(0), Native::Int(1)],
            _ => [&portable, &punctuated].map(|readings| {
                readings[names.iter().position(|own| own == name).unwrap_or_default()].value.clone()
            }),
        };
        for (index, name) in names.iter().enumerate() {
            assert_eq!(
                [&portable, &punctuated].map(|readings| readings[index].value.clone()),
                wanted(name),
                "{name}"
            );
            assert!(!portable[index].value.is_bad(), "{name}");
        }
        running.stop().await;
    }
}
