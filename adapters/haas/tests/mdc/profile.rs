//! The profile that ships, against the peer.

use std::collections::BTreeMap;

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Native, Outcome, Period, PointSpec, Protocol as _, duration};
use guideway_haas::{Config, Haas, Point};
use serde_json::{Map, Value};

use super::SOON;

/// Python reads the TOML: this crate does not.
const READ: &str = "import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], 'rb'))))";

fn profile() -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let output = std::process::Command::new(format!("{root}.venv/bin/python"))
        .args(["-c", READ, &format!("{root}device-profiles/haas-ngc-mill.toml")])
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
    assert_eq!(adapter.remove("kind").unwrap(), Haas::KIND);
    let mut config: Config = serde_json::from_value(Value::Object(adapter)).unwrap();
    assert_eq!(Haas::check(&config), []);
    let points = points(&profile);
    for (name, point) in &points {
        assert_eq!(Haas::check_point(&config, point), [], "{name}");
    }
    let mut peer = Peer::python("haas_peer.py", &["plain", "deaf-first"]).await;
    for flag in ["v3030 0", "v3032 1", "v3033 0", "v4014 54"] {
        peer.say(&format!("set {flag}")).await;
    }
    Haas::set_address(&mut config, &format!("127.0.0.1:{}", peer.port())).unwrap();
    let (names, specs): (Vec<_>, Vec<_>) = points.into_iter().unzip();
    let mut running = Running::start(Haas::adapter(config, specs));
    for (name, reading) in names.iter().zip(running.all(names.len(), SOON * 2).await) {
        assert!(!reading.value.is_bad(), "{name}: {}", reading.value);
    }
    let job = u32::try_from(names.iter().position(|name| name == "job").unwrap()).unwrap();
    assert_eq!(running.write(&[(job, Native::Int(12))]).await, Outcome::Done);
    assert_eq!(peer.say("get v10600").await, "12.0");
    running.value(job, &Native::Float(12.0), SOON).await;
    running.stop().await;
}
