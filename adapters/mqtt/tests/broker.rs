//! Against mosquitto: every layout, wildcards, qualities of service, writes, browsing.

#![expect(clippy::unwrap_used, reason = "tests fail that way")]

mod common;

use std::time::Duration;

use common::{SOON, adapter, config, table};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Fault, Native, Outcome, Protocol, Signal, Value};
use guideway_mqtt::Mqtt;

async fn say(peer: &mut Peer, line: &str) {
    assert_eq!(peer.say(line).await, "ok", "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_kind_are_read_from_the_topics_of_their_points() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    for version in ["3.1.1", "5"] {
        let list = [
            ("plant/+/state#/temp", "f64", "{}"),
            ("plant/mill/#", "auto", r#"{"pointer":"/inner/v"}"#),
            ("plant/+/state", "auto", r#"{"topic_segment":1}"#),
            ("raw/hex", "u16", r#"{"format":"hex"}"#),
            ("raw/text", "string[20]", r#"{"format":"text"}"#),
            ("raw/list", "i16[3]", "{}"),
            ("raw/record", "auto", "{}"),
            ("raw/flag", "bool", "{}"),
            ("raw/big", "u64", "{}"),
        ];
        let config = config(peer.port(), &format!(r#"{{"version":"{version}"}}"#));
        let mut running = Running::start(adapter(config, &list));
        running.connected(SOON).await;
        say(&mut peer, r#"pub 1 0 plant/mill/state {"temp":20.5,"inner":"{\"v\":[1,2]}"}"#).await;
        say(&mut peer, "pub 0 0 raw/hex 03B9").await;
        say(&mut peer, "pub 2 0 raw/text Fräse 1").await;
        say(&mut peer, "pub 1 0 raw/list [1,2,-3]").await;
        say(&mut peer, r#"pub 1 0 raw/record {"b":1,"a":null}"#).await;
        say(&mut peer, "pub 1 0 raw/flag true").await;
        say(&mut peer, "pub 1 0 raw/big 18446744073709551615").await;
        let values: Vec<_> =
            running.all(list.len(), SOON).await.iter().map(|reading| reading.value.to_string()).collect();
        assert_eq!(
            values,
            [
                "20.5",
                "[1, 2]",
                "mill",
                "953",
                "Fräse 1",
                "[1, 2, -3]",
                "{b: 1, a: null}",
                "true",
                "18446744073709551615"
            ],
            "MQTT {version}"
        );
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_are_current_values_with_their_own_time() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    say(&mut peer, r#"pub 1 1 a {"v":1,"t":1700000000123}"#).await;
    for qos in [0, 1, 2] {
        let list = [
            ("a", "auto", r#"{"pointer":"/v","time":"/t"}"#),
            ("a", "auto", r#"{"pointer":"/v","retained":"ignore"}"#),
        ];
        let mut running = Running::start(adapter(config(peer.port(), &format!(r#"{{"qos":{qos}}}"#)), &list));
        let reading = running.latest(0).await;
        assert_eq!(
            (reading.value, reading.time.to_string().as_str()),
            (Native::Int(1), "2023-11-14T22:13:20.123Z")
        );
        say(&mut peer, r#"pub 2 0 a {"v":2}"#).await;
        let reading = running.latest(1).await;
        assert_eq!(reading.value, Native::Int(2), "at quality {qos}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_message_or_point_leaves_the_others() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    let mut list: Vec<(String, &str, &str)> =
        (0..100).map(|n| (format!("many#/v{n}"), "auto", "{}")).collect();
    list[50] = ("a/#/b".into(), "auto", "{}");
    list[51].1 = "bool";
    let list: Vec<(&str, &str, &str)> = list.iter().map(|(a, t, o)| (a.as_str(), *t, *o)).collect();
    let adapter = Mqtt::adapter(config(peer.port(), "{}"), common::points(&list));
    let mut running = Running::start(adapter);
    running.connected(SOON).await;
    assert!(running.latest(50).await.value.to_string().contains("addr: `a/#/b`"));
    let members: Vec<String> = (0..100).map(|n| format!(r#""v{n}":{n}"#)).collect();
    say(&mut peer, &format!("pub 1 0 many {{{}}}", members.join(","))).await;
    for point in [0, 49, 52, 99] {
        assert_eq!(running.latest(point).await.value, Native::Int(point.into()));
        say(&mut peer, &format!("pub 1 0 many {{{}}}", members.join(","))).await;
    }
    assert!(running.latest(51).await.value.is_bad(), "51 is neither true nor false");
    say(&mut peer, "pub 1 0 many {").await;
    let reading = running.reading(0, tokio::time::Instant::now() + SOON, Native::is_bad).await;
    assert!(reading.value.to_string().contains("no JSON on many"));
    say(&mut peer, r#"pub 1 0 many {"v0":7}"#).await;
    running.value(0, &Native::Int(7), SOON).await;
    let counters = &running.health().counters;
    assert_eq!(counters.faults(Fault::Malformed), 1);
    assert!(counters.faults(Fault::Rejected) > 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_points_and_topics_are_read() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    let list: Vec<(String, &str, &str)> = (0..3_000).map(|n| (format!("t/{n}"), "auto", "{}")).collect();
    let list: Vec<(&str, &str, &str)> = list.iter().map(|(a, t, o)| (a.as_str(), *t, *o)).collect();
    let mut running = Running::start(adapter(config(peer.port(), "{}"), &list));
    running.connected(SOON).await;
    for n in [0, 1_499, 2_999_u32] {
        say(&mut peer, &format!("pub 1 0 t/{n} {n}")).await;
        running.value(n, &Native::Int(n.into()), SOON).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_too_large_is_refused_and_counted_and_the_session_goes_on() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.json");
    std::fs::write(&file, format!("\"{}\"", "x".repeat(3_000_000))).unwrap();
    say(&mut peer, &format!("file 1 1 large {}", file.display())).await;
    for version in ["3.1.1", "5"] {
        let config = config(peer.port(), &format!(r#"{{"version":"{version}","max_payload":"1 MiB"}}"#));
        let mut running =
            Running::start(adapter(config, &[("large", "auto", "{}"), ("small", "auto", "{}")]));
        let reading = running.latest(0).await;
        assert_eq!(reading.value, Native::bad("a message of 3000002 bytes, which is more than max_payload"));
        say(&mut peer, "pub 1 0 small 1").await;
        running.value(1, &Native::Int(1), SOON).await;
        assert_eq!(running.health().counters.faults(Fault::Oversized), 1);
        assert_eq!(running.health().counters.sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_published_and_done_when_the_broker_has_them() {
    let mut peer = Peer::python("mqtt_peer.py", &[]).await;
    let list = [
        ("in", "auto", "{}"),
        ("x", "auto", r#"{"write":{"topic":"out/json","payload":"{\"value\": {value}}","qos":1}}"#),
        ("out/plain", "auto", r#"{"format":"text","write":{"qos":2}}"#),
    ];
    for version in ["3.1.1", "5"] {
        let config = config(peer.port(), &format!(r#"{{"version":"{version}"}}"#));
        let mut running = Running::start(adapter(config, &list));
        running.connected(SOON).await;
        let text = Native::text(&format!("on {version}"));
        let outcome = running.write(&[(1, Native::Float(1.5)), (2, text)]).await;
        assert_eq!(outcome, Outcome::Done);
        say(&mut peer, r#"wait out/json {"value": 1.5}"#).await;
        say(&mut peer, &format!("wait out/plain on {version}")).await;
        assert_eq!(peer.say("get out/plain").await, format!("2 on {version}"));
        let refused = running.write(&[(2, Native::text("not sent")), (0, Native::Int(1))]).await;
        assert_eq!(refused, Outcome::Refused("point 0 is not writable".into()));
        let refused = running.write(&[(1, Native::Float(f64::NAN))]).await;
        assert!(matches!(refused, Outcome::Refused(_)), "{refused:?}");
        assert_eq!(peer.say("get out/plain").await, format!("2 on {version}"));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_not_acknowledged_is_unknown_and_ends_the_session() {
    let peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    let proxy = guideway_contract::kit::Proxy::start(peer.port()).await;
    let list = [("out", "auto", r#"{"write":{}}"#)];
    let mut running = Running::start(adapter(config(proxy.port(), r#"{"keep_alive":"60s"}"#), &list));
    running.connected(SOON).await;
    proxy.set(guideway_contract::kit::Weather::Silent);
    let outcome = running.write(&[(0, Native::Int(1))]).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    running.disconnected(SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layouts_that_are_fed_by_key_find_their_points() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    let document = r#"{"MTConnectStreams":{"Header":{"instanceId":1},"Streams":{"DeviceStream":[{"uuid":"uuid-1",
        "ComponentStream":[{"Samples":{"Position":[{"dataItemId":"x","timestamp":"2023-11-14T22:13:20Z",
        "sequence":1,"value":1.5}]},"Events":{"Execution":[{"dataItemId":"exec",
        "timestamp":"2023-11-14T22:13:20Z","sequence":2,"value":"ACTIVE"}]}}]}]}}}"#;
    let document = document.replace('\n', " ");
    let cases = [
        (r#"{"layout":"mtconnect"}"#, format!("pub 1 0 MTConnect/Sample/uuid-1 {document}")),
        (
            r#"{"layout":"entity","topics":["plant/#"]}"#,
            r#"pub 1 0 plant/mill {"timestamp":"2023-11-14T22:13:20Z","x":1.5,"exec":"ACTIVE"}"#.into(),
        ),
        (
            r#"{"layout":"shdr","topics":["shdr/+"]}"#,
            "pub 1 0 shdr/mill 2023-11-14T22:13:20Z|x|1.5\\n2023-11-14T22:13:20Z|exec|ACTIVE".into(),
        ),
    ];
    for (keys, line) in cases {
        let adapter = Mqtt::adapter(config(peer.port(), keys), Vec::new());
        let mut running = Running::with(adapter, table(), Duration::from_millis(50));
        running.connected(SOON).await;
        say(&mut peer, &line).await;
        let readings = tokio::time::timeout(SOON, running.collector.readings(2)).await.unwrap();
        let values: Vec<_> =
            readings.iter().map(|reading| (reading.point.0, reading.value.clone())).collect();
        assert_eq!(values, [(0, Value::Number(1.5)), (1, Value::text("ACTIVE"))], "{keys}");
        assert_eq!(readings[0].time.to_string(), "2023-11-14T22:13:20Z");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_document_describes_its_device() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    let probe = r#"{"MTConnectDevices":{"Devices":{"Device":[{"id":"d","uuid":"uuid-1","name":"mill"}]}}}"#;
    say(&mut peer, &format!("pub 1 1 MTConnect/Probe/uuid-1 {probe}")).await;
    let adapter = Mqtt::adapter(config(peer.port(), r#"{"layout":"mtconnect"}"#), Vec::new());
    let mut running = Running::with(adapter, table(), Duration::from_millis(50));
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        if let Signal::Describe { device, name, value } = running.signal(deadline, "description").await {
            assert_eq!((device.as_str(), name.as_str()), ("uuid-1", "deviceModel"));
            assert_eq!(value, r#"<Device id="d" uuid="uuid-1" name="mill"></Device>"#);
            break;
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsing_lists_topics_and_what_their_messages_hold() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    say(&mut peer, r#"pub 1 1 plant/mill/state {"temp":20.5,"axes":[{"x":1}]}"#).await;
    say(&mut peer, "pub 1 1 plant/lathe ON").await;
    say(&mut peer, "pub 1 1 other/thing 5").await;
    let mut adapter = Mqtt::adapter(config(peer.port(), "{}"), Vec::new());
    let shown = |found: &[guideway_contract::Found]| -> Vec<String> {
        found.iter().map(|found| format!("{} = {}", found.address, found.value)).collect()
    };
    let all = adapter.browse("").await.unwrap();
    assert_eq!(
        shown(&all),
        [
            "other/thing = 5",
            "plant/lathe = ON",
            "plant/mill/state#/temp = 20.5",
            "plant/mill/state#/axes/0/x = 1"
        ]
    );
    assert_eq!(adapter.browse("plant/#").await.unwrap().len(), 3);
    // What is found is what a profile may write.
    let list: Vec<(&str, &str, &str)> =
        all.iter().map(|found| (found.address.as_str(), "auto", "{}")).collect();
    let mut running = Running::start(common::adapter(config(peer.port(), "{}"), &[list[2], list[3]]));
    let values: Vec<_> = running.all(2, SOON).await.iter().map(|reading| reading.value.to_string()).collect();
    assert_eq!(values, ["20.5", "1"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_of_a_topic_makes_its_points_bad_and_silence_of_all_ends_the_session() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    let list = [("a", "auto", r#"{"stale":"400ms"}"#), ("b", "auto", "{}")];
    let mut running = Running::start(adapter(config(peer.port(), r#"{"stale":"6s"}"#), &list));
    running.connected(SOON).await;
    say(&mut peer, "pub 1 0 a 1").await;
    running.value(0, &Native::Int(1), SOON).await;
    running.value(0, &Native::bad("nothing on a for 0.4 s"), SOON).await;
    say(&mut peer, "pub 1 0 a 2").await;
    running.value(0, &Native::Int(2), SOON).await;
    running.disconnected(SOON).await;
    assert!(running.health().last_error().is_none_or(|error| error.contains("no byte for 6000 ms")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_io_link_master_is_read_as_its_profile_says() {
    let mut peer = Peer::python("mqtt_peer.py", &["quiet"]).await;
    let of =
        |path: &str| format!(r#""pointer":"/data/payload/{}/data","missing":"bad""#, path.replace('/', "~1"));
    let pdin = of("/iolinkmaster/port[1]/iolinkdevice/pdin");
    let keys = [
        format!("{{{}}}", of("/processdatamaster/temperature")),
        format!("{{{}}}", of("/iolinkmaster/port[1]/iolinkdevice/status")),
        format!(r#"{{{pdin},"format":"hex","bit_offset":2,"bit_length":14}}"#),
        format!(r#"{{{pdin},"format":"hex","bit_offset":0,"bit_length":1}}"#),
    ];
    let types = ["f64", "u8", "i16", "bool"];
    let list: Vec<_> =
        types.iter().zip(&keys).map(|(kind, keys)| ("iolink/master-1", *kind, keys.as_str())).collect();
    let mut running = Running::start(adapter(config(peer.port(), r#"{"version":"3.1.1"}"#), &list));
    running.connected(SOON).await;
    let event = |pdin: &str| {
        format!(
            r#"pub 0 0 iolink/master-1 {{"code":"event","cid":4711,"adr":"","data":{{"eventno":"6317","srcurl":"/timer[1]/counter/datachanged","payload":{{"/timer[1]/counter":{{"code":200,"data":1}},"/processdatamaster/temperature":{{"code":200,"data":39}},"/iolinkmaster/port[1]/iolinkdevice/status":{{"code":200,"data":2}},"/iolinkmaster/port[1]/iolinkdevice/pdin":{pdin}}}}}}}"#
        )
    };
    say(&mut peer, &event(r#"{"code":200,"data":"03B9"}"#)).await;
    let values: Vec<_> = running.all(4, SOON).await.iter().map(|reading| reading.value.to_string()).collect();
    assert_eq!(values, ["39", "2", "238", "true"]);
    say(&mut peer, &event(r#"{"code":503}"#)).await;
    let deadline = tokio::time::Instant::now() + SOON;
    let gone = running.reading(2, deadline, Native::is_bad).await.value.to_string();
    assert!(
        gone.contains("there is no `/data/payload/~1iolinkmaster~1port[1]~1iolinkdevice~1pdin/data`"),
        "{gone}"
    );
    running.stop().await;
}
