use guideway_contract::kit;
use guideway_contract::{AssetChange, Condition, Level, Shape};
use std::sync::atomic::Ordering::Relaxed;

use super::*;

const ARRIVAL: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000, 6);

fn table() -> PointTable {
    let mut builder = PointTable::builder();
    let mill = builder.device(["mill", "uuid-1"]);
    builder.point(mill, "x", Shape::Number, ["Xact"]);
    builder.point(mill, "exec", Shape::Text, ["execution"]);
    builder.point(mill, "sys", Shape::Condition, ["system"]);
    builder.point(mill, "vars", Shape::DataSet, []);
    let lathe = builder.device(["lathe", "uuid-2"]);
    builder.point(lathe, "x", Shape::Number, []);
    builder.build()
}

struct Bench {
    keyed: Keyed,
    outlet: Outlet,
    table: Arc<PointTable>,
}

impl Bench {
    fn new(layout: Layout) -> Self {
        let (outlet, collector) = kit::outlet(table());
        let table = outlet.points();
        drop(collector);
        Self { keyed: Keyed::new(layout), outlet, table }
    }

    fn steps(&mut self, topic: &str, payload: &str, retained: bool) -> Vec<Step> {
        self.keyed.set_points(self.table.clone());
        let mut sink = Sink::new(&self.outlet);
        let message = Message { topic, payload: Ok(payload.as_bytes()), retained, arrival: ARRIVAL };
        self.keyed.read(message, &mut sink);
        sink.steps
    }

    fn readings(&mut self, topic: &str, payload: &str) -> Vec<(u32, Value, i64)> {
        self.kept(topic, payload, false)
    }

    fn kept(&mut self, topic: &str, payload: &str, retained: bool) -> Vec<(u32, Value, i64)> {
        let flat = |step| match step {
            Step::Readings(readings) => readings,
            Step::Signal(signal) => panic!("{signal:?}"),
        };
        let readings = self.steps(topic, payload, retained).into_iter().flat_map(flat);
        readings.map(|reading| (reading.point.0, reading.value, reading.time.nanos() / 1_000_000)).collect()
    }

    fn faults(&self, fault: Fault) -> u64 {
        self.outlet.health().counters.faults(fault)
    }
}

const AT: i64 = 1_700_000_000_123;
const WHEN: &str = "2023-11-14T22:13:20.123Z";

fn fault(code: &str) -> Value {
    let condition = Condition { level: Level::Fault, native_code: code.into(), ..Condition::normal() };
    Value::Condition(Arc::new(condition))
}

#[test]
fn entities_name_their_item_themselves_or_by_their_topic() {
    let mut bench = Bench::new(Layout::Entity);
    let full = format!(
        r#"{{"dataItemId":"x","name":"Xact","type":"POSITION","timestamp":"{WHEN}","result":"1.5","sequence":7}}"#
    );
    for topic in ["MTConnect/Devices/uuid-1/Observations/x", "plant/mill/any", "any"] {
        assert_eq!(bench.readings(topic, &full), [(0, Value::Number(1.5), AT)], "{topic}");
    }
    assert_eq!(
        bench.readings("MTConnect/Devices/uuid-2/Observations/x", &full),
        [(4, Value::Number(1.5), AT)]
    );
    let several =
        format!(r#"[{{"timestamp":"{WHEN}","Xact":2,"exec":"ACTIVE"}},{{"ts":{AT},"vars":{{"a":1}}}}]"#);
    let readings = bench.readings("plant/mill", &several);
    assert_eq!(readings[..2], [(0, Value::Number(2.0), AT), (1, Value::text("ACTIVE"), AT)]);
    assert_eq!((readings[2].0, readings[2].2), (3, AT));
    let arrival = ARRIVAL.nanos() / 1_000_000;
    assert_eq!(bench.readings("plant/mill/exec", "READY"), [(1, Value::text("READY"), arrival)]);
    assert_eq!(bench.readings("plant/lathe/x", "4.5"), [(4, Value::Number(4.5), arrival)]);
    assert_eq!(
        bench.readings("mill/x", r#"{"value":3,"time":1700000000.123}"#),
        [(0, Value::Number(3.0), AT)]
    );
    assert_eq!(bench.readings("any", r#"{"lathe:x":5}"#), [(4, Value::Number(5.0), arrival)]);
    assert_eq!(
        bench.readings("mill/sys", r#"{"level":"FAULT","nativeCode":"7"}"#),
        [(2, fault("7"), arrival)]
    );
    assert_eq!(
        bench.readings("any", r#"{"device":"lathe","x":"UNAVAILABLE"}"#),
        [(4, Value::Unavailable, arrival)]
    );
    for kind in Fault::ALL {
        assert_eq!(bench.faults(kind), 0, "{kind:?}");
    }
}

#[test]
fn what_an_entity_gets_wrong_is_counted() {
    let mut bench = Bench::new(Layout::Entity);
    assert_eq!(bench.readings("mill", r#"{"timestamp":"soon","nothing":1,"x":"abc"}"#).len(), 1);
    assert_eq!(bench.readings("mill", r#"{"x":1"#), []);
    assert_eq!(bench.readings("mill/nothing", "5"), []);
    assert_eq!(bench.readings("mill", ""), []);
    assert_eq!((bench.faults(Fault::Timestamp), bench.faults(Fault::Rejected)), (1, 1));
    assert_eq!((bench.faults(Fault::Malformed), bench.faults(Fault::Unmapped)), (2, 2));
}

fn streams(instance: u64, body: &str) -> String {
    format!(r#"{{"MTConnectStreams":{{"Header":{{"instanceId":{instance}}},"Streams":{body}}}}}"#)
}

fn second(observations: &str) -> String {
    format!(
        r#"{{"DeviceStream":[{{"name":"mill","uuid":"uuid-1","ComponentStream":[{{{observations}}}]}}]}}"#
    )
}

#[test]
fn documents_of_either_form_are_read_in_order_of_sequence() {
    let expected = [(0, Value::Number(1.5), AT), (2, fault("7"), AT), (1, Value::text("READY"), AT)];
    let of_second = second(&format!(
        r#""Samples":{{"Position":[{{"dataItemId":"x","timestamp":"{WHEN}","sequence":1,"value":1.5}}]}},
           "Events":{{"Execution":[{{"dataItemId":"exec","timestamp":"{WHEN}","sequence":3,"value":"READY"}}]}},
           "Condition":{{"Fault":[{{"dataItemId":"sys","timestamp":"{WHEN}","sequence":2,"nativeCode":"7"}}]}}"#
    ));
    let of_first = format!(
        r#"[{{"DeviceStream":{{"uuid":"uuid-1","ComponentStreams":[{{"ComponentStream":{{"component":"Axes",
           "Samples":[{{"Position":{{"dataItemId":"x","timestamp":"{WHEN}","sequence":"1","value":"1.5"}}}}],
           "Events":[{{"Execution":{{"dataItemId":"exec","timestamp":"{WHEN}","sequence":3,"value":"READY"}}}}],
           "Condition":[{{"Fault":{{"dataItemId":"sys","timestamp":"{WHEN}","sequence":2,"nativeCode":"7"}}}}]
           }}}}]}}}}]"#
    );
    for body in [of_second, of_first] {
        let mut bench = Bench::new(Layout::Mtconnect);
        assert_eq!(bench.readings("MTConnect/Sample/uuid-1", &streams(1, &body)), expected);
        assert_eq!(bench.readings("MTConnect/Current/uuid-1", &streams(1, &body)), [], "told before");
        assert_eq!(
            bench.readings("MTConnect/Current/uuid-1", &streams(2, &body)),
            expected,
            "another instance"
        );
        for kind in Fault::ALL {
            assert_eq!(bench.faults(kind), 0, "{kind:?}");
        }
    }
}

#[test]
fn an_agent_that_is_gone_leaves_nothing_known() {
    let mut bench = Bench::new(Layout::Mtconnect);
    let current = second(&format!(
        r#""S":{{"Position":[{{"dataItemId":"x","timestamp":"{WHEN}","sequence":1,"value":1}}]}}"#
    ));
    let current = streams(1, &current);
    let (topic, will) = ("MTConnect/Current/uuid-1", "MTConnect/Probe/Agent_a/Availability");
    assert_eq!(bench.kept(topic, &current, true).len(), 1);
    let gone = bench.kept(will, "UNAVAILABLE", true);
    assert_eq!(gone.len(), 5);
    assert!(gone.iter().all(|(_, value, _)| value.is_unavailable()));
    assert_eq!(bench.kept(will, "UNAVAILABLE", false), [], "told once");
    assert_eq!(bench.kept(topic, &current, true), [], "the broker's memory of an agent that is gone");
    assert_eq!(bench.kept(topic, &current, false).len(), 1, "it speaks again");
    bench.kept(will, "UNAVAILABLE", false);
    bench.kept(will, "AVAILABLE", false);
    assert_eq!(bench.kept(topic, &current, true).len(), 1);
}

#[test]
fn a_probe_describes_its_devices_once_and_again_when_they_change() {
    let mut bench = Bench::new(Layout::Mtconnect);
    let probe = |name: &str| {
        format!(
            r#"{{"MTConnectDevices":{{"Devices":{{"Device":[{{"id":"d","uuid":"uuid-9","name":"{name}"}}]}}}}}}"#
        )
    };
    let described = |steps: Vec<Step>| -> Vec<(String, String)> {
        let describe = |step| match step {
            Step::Signal(Signal::Describe { device, name, value }) if name == "deviceModel" => {
                (device.to_string(), value)
            }
            _ => panic!("no description"),
        };
        steps.into_iter().map(describe).collect()
    };
    let topic = "MTConnect/Probe/uuid-9";
    let xml = |name: &str| {
        ("uuid-9".to_owned(), format!(r#"<Device id="d" uuid="uuid-9" name="{name}"></Device>"#))
    };
    assert_eq!(described(bench.steps(topic, &probe("a"), true)), [xml("a")]);
    assert_eq!(described(bench.steps(topic, &probe("a"), false)), []);
    assert_eq!(described(bench.steps(topic, &probe("b"), false)), [xml("b")]);
}

#[test]
fn assets_of_either_form_come_and_go() {
    let mut bench = Bench::new(Layout::Mtconnect);
    let asset = format!(
        r#"{{"assetId":"t1","deviceUuid":"uuid-1","timestamp":"{WHEN}","CuttingToolLifeCycle":{{"Location":{{"type":"POT","value":5}}}}}}"#
    );
    let body = format!(
        "<CuttingTool assetId=\"t1\" deviceUuid=\"uuid-1\" timestamp=\"{WHEN}\"><CuttingToolLifeCycle>\
         <Location type=\"POT\">5</Location></CuttingToolLifeCycle></CuttingTool>"
    );
    for list in [format!(r#"{{"CuttingTool":[{asset}]}}"#), format!(r#"[{{"CuttingTool":{asset}}}]"#)] {
        let steps = bench.steps(
            "MTConnect/Asset/uuid-1/t1",
            &format!(r#"{{"MTConnectAssets":{{"Assets":{list}}}}}"#),
            true,
        );
        let [Step::Signal(Signal::Asset(AssetChange::Put { device, id, asset_type, body: found, .. }))] =
            &steps[..]
        else {
            panic!("no asset")
        };
        assert_eq!(
            (device.as_str(), id.as_str(), asset_type.as_str(), found),
            ("uuid-1", "t1", "CuttingTool", &body)
        );
    }
    let gone = r#"{"MTConnectAssets":{"Assets":{"CuttingTool":[{"assetId":"t1","removed":true}]}}}"#;
    let steps = bench.steps("MTConnect/Asset/uuid-1/t1", gone, false);
    assert!(matches!(&steps[..], [Step::Signal(Signal::Asset(AssetChange::Remove { .. }))]));
    assert_eq!(bench.outlet.health().counters.assets.load(Relaxed), 3);
}

#[test]
fn what_is_no_document_is_counted() {
    let mut bench = Bench::new(Layout::Mtconnect);
    for payload in ["{", "[]", r#"{"a":1}"#, r#"{"MTConnectDevices":{"Devices":{"Device":[{"id":"d"}]}}}"#] {
        assert_eq!(bench.readings("MTConnect/Probe/x", payload), [], "{payload}");
    }
    assert_eq!(bench.faults(Fault::Malformed), 4);
    let unknown = streams(1, r#"[{"DeviceStream":{"uuid":"other","a":{"dataItemId":"x","value":1}}}]"#);
    assert_eq!(bench.readings("MTConnect/Sample/other", &unknown), []);
    assert_eq!(bench.faults(Fault::Unmapped), 1);
}

#[test]
fn lines_of_shdr_belong_to_the_device_of_their_topic() {
    let mut bench = Bench::new(Layout::Shdr);
    let lines = format!("{WHEN}|x|1.5|exec|ACTIVE\r\n{WHEN}|sys|FAULT|7|||\n{WHEN}|lathe:x|9");
    let expected = [
        (0, Value::Number(1.5), AT),
        (1, Value::text("ACTIVE"), AT),
        (2, fault("7"), AT),
        (4, Value::Number(9.0), AT),
    ];
    assert_eq!(bench.readings("shdr", &lines), expected);
    assert_eq!(bench.readings("plant/mill/shdr", &lines), expected);
    assert_eq!(bench.readings("plant/lathe", &format!("{WHEN}|x|2")), [(4, Value::Number(2.0), AT)]);
    let steps = bench.steps("mill", &format!("{WHEN}|x|1\n* manufacturer: ACME\n{WHEN}|x|2"), false);
    let kinds: Vec<_> = steps.iter().map(|step| matches!(step, Step::Signal(_))).collect();
    assert_eq!(kinds, [false, true, false]);
    assert_eq!(bench.faults(Fault::Malformed) + bench.faults(Fault::Unmapped), 0);
    bench.readings("mill", "nonsense");
    assert_eq!(bench.faults(Fault::Malformed), 1);
}
