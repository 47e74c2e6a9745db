//! Values of every type, from an asyncua server.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{SOON, URI, adapter, int, own, point, start};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Native, Period, PointSpec, Quality, Signal};
use guideway_opcua::Mode;
use tokio::time::Instant;

const TYPES: [(&str, &str); 24] = [
    ("Boolean", "true"),
    ("SByte", "-8"),
    ("Byte", "200"),
    ("Int16", "-30000"),
    ("UInt16", "60000"),
    ("Int32", "-2000000000"),
    ("UInt32", "4000000000"),
    ("Int64", "-9000000000000000000"),
    ("UInt64", "18000000000000000000"),
    ("Float", "0.1"),
    ("String", "Größe 5"),
    ("DateTime", "2026-11-22T10:30:00.123456Z"),
    ("Guid", "12345678-1234-5678-1234-567812345678"),
    ("ByteString", "0001FF"),
    ("XmlElement", "<a/>"),
    ("NodeId", "ns=2;s=x"),
    ("QualifiedName", "2:name"),
    ("LocalizedText", "Hallo"),
    ("StatusCode", "BadNodeIdUnknown"),
    ("Ints", "[1, 2, 3, 4, 5]"),
    ("Texts", "[a, b]"),
    ("Empty", "[]"),
    ("Matrix", "[[1, 2, 3], [4, 5, 6]]"),
    ("Mode", "1"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_by_subscription_and_by_polling() {
    let mut points: Vec<_> = TYPES.iter().map(|(name, _)| point(name)).collect();
    points.extend(TYPES.iter().map(|(name, _)| own(name, |own| own.mode = Mode::Poll)));
    let (_peer, mut running) = start(&["plain"], points).await;
    let readings = running.all(2 * TYPES.len(), SOON).await;
    for (reading, (name, wanted)) in readings.iter().zip(TYPES.iter().chain(&TYPES)) {
        assert_eq!(&reading.value.to_string(), wanted, "{name}");
        assert_eq!(reading.quality, Quality::Good);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_elements_and_fields_are_found() {
    let points = vec![
        point("/Objects/nsu=urn:guideway:peer;Machine/nsu=urn:guideway:peer;Int16"),
        point("/Objects/2:Machine/2:Pose"),
        own("Pose", |own| own.field = Some("Position.X".into())),
        own("Pose", |own| own.field = Some("Path.Label".into())),
        own("Points", |own| {
            own.index = Some("1".into());
            own.field = Some("Y".into());
        }),
        own("Ints", |own| own.index = Some("3".into())),
        own("Ints", |own| own.index = Some("1:2".into())),
        own("Matrix", |own| own.index = Some("1,2".into())),
        own("/2:Int16", |own| own.start = Some(format!("{URI};s=Machine"))),
        own("Ints", |own| own.index = Some("9".into())),
        own("Pose", |own| own.field = Some("Z".into())),
        own("Int16", |own| own.field = Some("X".into())),
    ];
    let (_peer, mut running) = start(&["plain"], points).await;
    let shown: Vec<String> =
        running.all(12, SOON).await.iter().map(|reading| reading.value.to_string()).collect();
    assert_eq!(shown[0], "-30000");
    assert_eq!(
        shown[1],
        "{Position: {X: 1.5, Y: 2.5, Label: here}, Path: [{X: 3, Y: 4, Label: null}, {X: 5, Y: 6, Label: end}], Mode: 1}"
    );
    assert_eq!(shown[2..9], ["1.5", "[null, end]", "4", "4", "[2, 3]", "6", "-30000"]);
    assert!(shown[9].contains("there is no 9") || shown[9].contains("BadIndexRange"), "{}", shown[9]);
    assert!(shown[10].contains("it has Position, Path, Mode"), "{}", shown[10]);
    assert!(shown[11].contains("not a structure"), "{}", shown[11]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_source_time_come_with_the_value() {
    let points = vec![point("Unsure"), point("Broken"), point("ReadOnly")];
    let (mut peer, mut running) = start(&["plain"], points).await;
    let readings = running.all(3, SOON).await;
    assert_eq!((&readings[0].value, readings[0].quality), (&int(5), Quality::Uncertain));
    assert_eq!(readings[0].time.to_string(), "2026-11-22T10:30:00.123456Z");
    assert_eq!(readings[1].quality, Quality::Bad);
    assert!(readings[1].value.to_string().contains("BadDeviceFailure: "), "{}", readings[1].value);
    assert_eq!(peer.say("set ReadOnly 77").await, "ok");
    let changed = running.value(2, &int(77), SOON).await;
    assert_eq!(changed.time.to_string(), "2026-11-22T10:30:00.123456Z");
    assert_eq!(peer.say("status ReadOnly BadSensorFailure").await, "ok");
    running.reading(2, Instant::now() + SOON, Native::is_bad).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_lost_between_two_publishings() {
    let fast = own("ReadOnly", |own| {
        own.sampling = Some(Duration::from_millis(0));
        own.queue = 100;
    });
    let (mut peer, mut running) = start(&["plain"], vec![fast]).await;
    running.value(0, &int(1), SOON).await;
    for number in 2..40 {
        peer.say(&format!("set ReadOnly {number}")).await;
    }
    let deadline = Instant::now() + SOON;
    let mut seen = Vec::new();
    while seen.len() < 38 {
        if let Signal::Raw(batch) = running.signal(deadline, "next change").await {
            seen.extend(batch.readings.into_iter().map(|reading| reading.value));
        }
    }
    assert_eq!(seen, (2..40).map(int).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_point_among_many_keeps_no_other_from_being_read() {
    let mut points: Vec<_> = (0..100).map(|number| point(&format!("N{number}"))).collect();
    points.push(point("Nowhere"));
    points.push(point("/Objects/2:Machine/2:Nothing"));
    points.push(point("nsu=urn:other;s=x"));
    points.push(point("no address ="));
    points.push(own("Nowhere", |own| own.mode = Mode::Poll));
    points.push(point("Machine"));
    points.push(PointSpec { data_type: "u8".parse().unwrap(), ..point("Int32") });
    let (_peer, mut running) = start(&["plain", "many=100"], points).await;
    let readings = running.all(107, SOON).await;
    for (number, reading) in readings[..100].iter().enumerate() {
        assert_eq!(reading.value, Native::Float(number as f64));
    }
    let causes = [
        "BadNodeIdUnknown",
        "no node at the end",
        "no namespace `urn:other`",
        "is no node",
        "BadNodeIdUnknown",
        "no variable",
        "where the profile says u8",
    ];
    for (reading, cause) in readings[100..].iter().zip(causes) {
        assert_eq!(reading.quality, Quality::Bad);
        assert!(reading.value.to_string().contains(cause), "{} for {cause}", reading.value);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_later_is_found_and_one_that_goes_is_bad() {
    let peer = Peer::python("opcua_peer.py", &["plain"]).await;
    let mut config = common::config(peer.port());
    config.retry = Duration::from_millis(300);
    let points = vec![point("Later"), own("Later", |own| own.mode = Mode::Poll), point("Int16")];
    let mut running =
        Running::start(<guideway_opcua::OpcUa as guideway_contract::Protocol>::adapter(config, points));
    let mut peer = peer;
    let readings = running.all(3, SOON).await;
    assert!(readings[0].value.is_bad() && readings[1].value.is_bad() && !readings[2].value.is_bad());
    assert_eq!(peer.say("add Later 2.5").await, "ok");
    running.value(0, &Native::Float(2.5), SOON).await;
    running.value(1, &Native::Float(2.5), SOON).await;
    assert_eq!(peer.say("remove Later").await, "ok");
    running.reading(1, Instant::now() + SOON, Native::is_bad).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_points_are_read_within_the_limits() {
    let mut points: Vec<_> = (0..2_000).map(|number| point(&format!("N{number}"))).collect();
    for point in points.iter_mut().skip(1_000) {
        point.own.mode = Mode::Poll;
        point.period = Period::Every(Duration::from_secs(1));
    }
    let peer = Peer::python("opcua_peer.py", &["plain", "many=2000"]).await;
    let mut config = common::config(peer.port());
    config.max_nodes = 300;
    let mut running =
        Running::start(<guideway_opcua::OpcUa as guideway_contract::Protocol>::adapter(config, points));
    running.connected(SOON).await;
    for (number, reading) in running.all(2_000, SOON * 3).await.iter().enumerate() {
        assert_eq!(reading.value, Native::Float(number as f64));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_by_uri_is_found_wherever_it_is() {
    let points = vec![point("Int16"), point("ns=2;s=Int16"), point("ns=3;s=Int16")];
    let (_peer, mut running) = start(&["shifted"], points).await;
    let readings = running.all(3, SOON).await;
    assert_eq!(readings[0].value, int(-30_000));
    assert!(readings[1].value.is_bad());
    assert_eq!(readings[2].value, int(-30_000));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_once_is_read_after_each_connect() {
    let once = PointSpec { period: Period::Once, ..point("Byte") };
    let write_only = PointSpec { access: Access::Write, ..point("Int16") };
    let (mut peer, mut running) = start(&["plain"], vec![once, write_only]).await;
    assert_eq!(running.latest(0).await.value, int(200));
    peer.kill().await;
    peer.restart().await;
    assert_eq!(running.latest(0).await.value, int(200));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsing_tells_type_units_value_and_whether_it_can_be_written() {
    let peer = Peer::python("opcua_peer.py", &["plain"]).await;
    let mut adapter = adapter(peer.port(), Vec::new());
    let top = adapter.browse("").await.unwrap();
    let machine = top.iter().find(|found| found.label == "Machine").unwrap();
    assert_eq!(machine.address, format!("{URI};s=Machine"));
    assert!(machine.folder && machine.data_type.is_none());
    let below = adapter.browse(&machine.address).await.unwrap();
    let found = |label: &str| below.iter().find(|found| found.label == label).unwrap();
    let speed = found("Speed");
    assert_eq!(speed.address, format!("{URI};s=Speed"));
    assert_eq!(speed.data_type, Some("f64".parse().unwrap()));
    assert_eq!((speed.units.as_str(), speed.value.as_str()), ("rpm", "1500"));
    assert_eq!(speed.note, "Speed of the spindle");
    assert!(!speed.writable && !speed.folder);
    assert!(found("Int32").writable);
    assert_eq!(found("Ints").data_type, Some("i32[5]".parse().unwrap()));
    assert_eq!(found("Mode").data_type, Some("i32".parse().unwrap()));
    assert!(found("Broken").value.contains("BadDeviceFailure"));
    assert!(found("Pose").value.starts_with("{Position: {X: 1.5"), "{}", found("Pose").value);
    assert!(found("Add").note.contains("method") && found("Add").data_type.is_none());
    assert!(adapter.browse("/Objects/2:Nothing").await.unwrap_err().to_string().contains("BadNoMatch"));
    assert_eq!(adapter.browse("/Objects/2:Machine").await.unwrap().len(), below.len());
}
