//! The profile that ships, against the real Snap7 with the profile's data block in it.

use std::collections::HashMap;
use std::process::Command;

use crate::points::{SOON, config};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Native, Outcome, Period, PointSpec, Protocol as _};
use guideway_s7::{Config, Point, S7};
use serde_json::Value;

/// What of a point is not the protocol's.
const COMMON: [&str; 7] = ["addr", "type", "group", "access", "scale", "offset", "invalid"];

/// The profile's configuration and points, for data block 100.
#[expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test")]
fn profile() -> (Config, Vec<PointSpec<Point>>) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let script = "import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], 'rb'))))";
    let path = format!("{root}device-profiles/siemens-s7-1500-cell.toml");
    let output =
        Command::new(format!("{root}.venv/bin/python")).args(["-c", script, &path]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let profile: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut adapter = profile["adapter"].as_object().unwrap().clone();
    assert_eq!(adapter.remove("kind"), Some(Value::from(S7::KIND)));
    let points = profile["points"].as_object().unwrap().iter().map(|(name, point)| {
        let mut own = point.as_object().unwrap().clone();
        COMMON.iter().for_each(|key| drop(own.remove(*key)));
        let text = |key: &str, default: &str| point[key].as_str().unwrap_or(default).to_owned();
        PointSpec {
            name: name.as_str().into(),
            address: text("addr", "")
                .replace("${db}", &profile["params"]["db"]["default"].to_string())
                .into(),
            data_type: text("type", "auto").parse().unwrap(),
            period: Period::Every(std::time::Duration::from_millis(100)),
            access: serde_json::from_value::<Access>(text("access", "r").into()).unwrap(),
            own: serde_json::from_value(own.into()).unwrap(),
        }
    });
    (serde_json::from_value(adapter.into()).unwrap(), points.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_press_cell_is_read_and_takes_a_recipe() {
    let (shipped, points) = profile();
    assert_eq!(S7::check(&shipped), []);
    for point in &points {
        assert_eq!(S7::check_point(&shipped, point), [], "{}", point.name);
    }
    let mut peer = Peer::node("s7_peer.js", &[]).await;
    // Exactly as long as the table in the profile says.
    peer.say("make DB100 172").await;
    for (at, bytes) in [
        (0, "00010001".to_owned()),
        (4, "05".into()),
        (6, "1E044E375F41".into()),
        (38, "1E02".to_owned() + "5031"),
        (70, "000003E8".into()),
        (82, "000030D4".into()),
        (86, format!("{:08X}", 812.5_f32.to_bits())),
        (122, "0100000002000000".into()),
        (140, "1E00".into()),
    ] {
        assert_eq!(peer.say(&format!("set DB100 {at} {bytes}")).await, "ok");
    }
    let place: HashMap<String, u32> =
        (0..).zip(&points).map(|(id, point)| (point.name.to_string(), id)).collect();
    let local = config(peer.port());
    let configured = Config { address: local.address, port: local.port, ..shipped };
    let mut running = Running::start(S7::adapter(configured, points.clone()));
    for (name, value) in [
        ("state", Native::Int(1)),
        ("mode", Native::Int(1)),
        ("estop_ok", Native::Bool(true)),
        ("guard", Native::Bool(false)),
        ("pump", Native::Bool(true)),
        ("recipe", Native::text("N7_A")),
        ("part", Native::text("P1")),
        ("good", Native::Int(1_000)),
        ("cycle", Native::Float(12.5)),
        ("force", Native::Float(812.5)),
        ("alarms", Native::Bytes([1, 0, 0, 0, 2, 0, 0, 0][..].into())),
        ("ack", Native::Int(0)),
    ] {
        running.value(place[name], &value, SOON).await;
    }
    let mut polled: Vec<u32> =
        (0..).zip(&points).filter(|(_, point)| point.access.reads()).map(|(id, _)| id).collect();
    while let Some(id) = polled.pop() {
        let reading = running.latest(id).await;
        assert!(!reading.value.is_bad(), "{}: {}", points[id as usize].name, reading.value);
    }
    let writes = [(place["cmd_recipe"], Native::text("PRESS_12")), (place["cmd"], Native::Int(11))];
    assert_eq!(running.write(&writes).await, Outcome::Done);
    assert_eq!(peer.say("get DB100 130 2").await, "000b");
    assert_eq!(peer.say("get DB100 140 10").await.to_uppercase(), "1E0850524553535F3132");
    peer.say("set DB100 132 000B").await;
    running.value(place["ack"], &Native::Int(11), SOON).await;
    assert_eq!(running.write(&[(place["cmd"], Native::Int(0))]).await, Outcome::Done);
    assert_eq!(peer.say("get DB100 130 2").await, "0000");
    assert_eq!(running.write(&[(place["cmd_target"], Native::Int(500))]).await, Outcome::Done);
    assert_eq!(peer.say("get DB100 136 4").await, "000001f4");
    running.stop().await;
}
