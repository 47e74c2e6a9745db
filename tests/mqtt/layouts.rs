//! Topics and payloads as they come from the wire.

use std::sync::Arc;

use guideway::journal::Asset;
use guideway_contract::{
    AssetEvent, Cell, Condition, DataSet, Entry, Level, Message, Quality, Timestamp, Value,
};
use serde_json::json;

use crate::broker::Broker;
use crate::machine::Machine;

fn fault() -> Value {
    Value::Condition(Arc::new(Condition {
        level: Level::Fault,
        native_code: "E17".into(),
        native_severity: "2".into(),
        qualifier: None,
        message: "Hydraulics \"low\"".into(),
        condition_id: "".into(),
    }))
}

fn variables() -> Value {
    let entry = |key: &str, cell| Entry { key: key.into(), cell };
    let entries = vec![entry("a", Cell::Integer(1)), entry("b", Cell::Removed)];
    Value::DataSet(Arc::new(DataSet::new(None, entries)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_entity_layout_has_a_topic_for_each_data_item() {
    let Some(broker) = Broker::start("") else { return };
    let subscriber = broker.subscribe("MTConnect/#", &[]);
    let mut machine = Machine::new();
    machine.say("m_xpos", Value::Number(150.5));
    machine.say("m_sys", fault());
    machine.say("m_vars", variables());
    machine.say("m_avail", Value::Unavailable);
    let message = Message { native_code: "7".into(), text: "close the door".into() };
    machine.say("m_msg", Value::Message(Arc::new(message)));
    let running = machine.start(&format!("name = 'e'\nurl = '{}'\nlayout = 'entity'", broker.url()));
    running.wait_until_sent().await;
    let of = |id: &str| {
        let topic = format!("MTConnect/Devices/mill-uuid/Observations/{id}");
        let message = subscriber.wait_for(id, |message| message.topic == topic);
        assert_eq!(message.properties["content-type"], "application/json");
        message
    };
    let instance = machine.journal.instance_id();
    let position = of("m_xpos");
    assert_eq!(
        position.json(),
        json!({
            "dataItemId": "m_xpos", "name": "Xpos", "type": "POSITION", "subType": "ACTUAL",
            "category": "SAMPLE", "timestamp": "2026-01-02T03:04:05.6780000Z",
            "arrival": "2026-01-02T03:04:05.679500Z", "result": "150.5", "quality": "GOOD",
            "sequence": 1, "instanceId": instance
        })
    );
    assert_eq!(position.properties["user-properties"]["sequence"], "1");
    assert_eq!(position.properties["user-properties"]["instance"], instance.to_string());
    let condition = of("m_sys").json();
    assert_eq!((&condition["level"], &condition["nativeCode"]), (&json!("FAULT"), &json!("E17")));
    assert_eq!(condition["message"], "Hydraulics \"low\"");
    assert_eq!(of("m_vars").json()["result"], json!({"a": 1, "b": null}));
    let availability = of("m_avail").json();
    assert_eq!((&availability["result"], &availability["quality"]), (&json!("UNAVAILABLE"), &json!("BAD")));
    let message = of("m_msg").json();
    assert_eq!((&message["result"], &message["nativeCode"]), (&json!("close the door"), &json!("7")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_uns_layout_follows_the_isa_95_path() {
    let Some(broker) = Broker::start("") else { return };
    let subscriber = broker.subscribe("acme/#", &[]);
    let mut machine = Machine::new();
    let mut uncertain = machine.observation("m_xpos", Value::Number(1.25));
    uncertain.quality = Quality::Uncertain;
    machine.writer.append(&mut vec![uncertain]);
    machine.say("m_avail", Value::Unavailable);
    machine.say("m_sys", fault());
    let running = machine.start(&format!(
        "name = 'u'\nurl = '{}'\nlayout = 'uns'\n[uns]\nenterprise = 'acme'\nsite = 'west'\ncell = 'c+1'",
        broker.url()
    ));
    running.wait_until_sent().await;
    let received = subscriber.wait_for_count(3);
    assert_eq!(received[0].topic, "acme/west/c_1/mill_1/Axes/X/Xpos");
    assert_eq!(
        received[0].json(),
        json!({
            "value": 1.25, "timestamp": "2026-01-02T03:04:05.6780000Z", "timestamp_ms": 1_767_323_045_678_u64,
            "arrival": "2026-01-02T03:04:05.679500Z", "quality": "UNCERTAIN", "sequence": 1,
            "instance": machine.journal.instance_id(), "units": "MILLIMETER", "type": "POSITION",
            "sub_type": "ACTUAL", "category": "SAMPLE", "data_item": "m_xpos", "device_uuid": "mill-uuid"
        })
    );
    assert_eq!(received[1].topic, "acme/west/c_1/mill_1/m_avail");
    assert_eq!(received[1].json()["value"], json!(null));
    assert_eq!(received[1].json()["quality"], "BAD");
    assert_eq!(received[2].json()["value"]["level"], "FAULT");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_layout_says_what_the_user_wrote() {
    let Some(broker) = Broker::start("") else { return };
    let subscriber = broker.subscribe("plant/#", &[]);
    let mut machine = Machine::new();
    machine.say("m_xpos", Value::Number(1.5));
    machine.say("l_pos", Value::Unavailable);
    machine.say("m_prog", Value::text("O\"1\"/#"));
    machine.say("m_sys", fault());
    let payload = r#"{"d":"{device}","v":{value_json},"t":"{value}","ms":{time_ms},"at":"{time}","q":"{quality}","u":"{units}","k":"{instance}-{sequence}"}"#;
    let running = machine.start(&format!(
        "name = 't'\nurl = '{}'\nlayout = 'template'\n[template]\n\
         topic = 'plant/{{device}}/{{component_path}}/{{name}}/{{sub_type}}/{{value}}'\npayload = '{payload}'",
        broker.url()
    ));
    running.wait_until_sent().await;
    let received = subscriber.wait_for_count(4);
    assert_eq!(received[0].topic, "plant/mill_1/Axes/X/Xpos/ACTUAL/1.5");
    assert_eq!(
        received[0].json(),
        json!({
            "d": "mill/1", "v": 1.5, "t": "1.5", "ms": 1_767_323_045_678_u64, "q": "GOOD", "u": "MILLIMETER",
            "at": "2026-01-02T03:04:05.6780000Z", "k": format!("{}-1", machine.journal.instance_id())
        })
    );
    assert_eq!(received[1].topic, "plant/lathe/pos/ACTUAL/UNAVAILABLE");
    assert_eq!(received[1].json()["v"], json!(null));
    assert_eq!(received[2].topic, "plant/mill_1/Controller/program/O\"1\"__");
    assert_eq!(received[2].json()["t"], "O\"1\"/#");
    assert_eq!(received[3].json()["v"]["nativeCode"], "E17");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mtconnect_layout_publishes_documents_as_the_reference_agent_does() {
    let Some(broker) = Broker::start("") else { return };
    let subscriber = broker.subscribe("MTConnect/#", &[]);
    let mut machine = Machine::new();
    machine.say("m_avail", Value::text("AVAILABLE"));
    machine.say("l_pos", Value::Number(2.0));
    let running = machine.start(&format!(
        "name = 'm'\nurl = '{}'\nlayout = 'mtconnect'\nsample_interval = '1ms'\nsample_count = 100\n\
         current_interval = '200ms'",
        broker.url()
    ));
    let wait = |topic: &'static str| subscriber.wait_for(topic, |message| message.topic == topic);
    let instance = machine.journal.instance_id();

    assert_eq!(wait("MTConnect/Probe/Agent_cell-7/Availability").payload, "AVAILABLE");
    let probe = wait("MTConnect/Probe/mill-uuid");
    assert_eq!(probe.properties["content-type"], "application/mtconnect+json");
    assert_eq!(probe.json()["MTConnectDevices"]["Header"]["instanceId"], instance);
    assert!(probe.payload.contains("m_xpos") && !probe.payload.contains("l_pos"));
    wait("MTConnect/Probe/lathe-uuid");

    let sample = wait("MTConnect/Sample/lathe-uuid");
    let header = &sample.json()["MTConnectStreams"]["Header"];
    assert_eq!((header["instanceId"].as_u64(), header["nextSequence"].as_u64()), (Some(instance), Some(3)));
    assert!(sample.payload.contains("l_pos") && !sample.payload.contains("m_avail"));
    assert!(!sample.retained);

    let next = machine.count(1_000);
    running.wait_until_sent().await;
    let last = |message: &crate::broker::Received| {
        message.topic == "MTConnect/Sample/mill-uuid"
            && message.json()["MTConnectStreams"]["Header"]["nextSequence"] == next
    };
    subscriber.wait_for("the last sample", last);
    let samples = subscriber.received().into_iter().filter(|it| it.topic == "MTConnect/Sample/mill-uuid");
    assert!(samples.count() >= 11, "at most 100 observations in each of them");

    let current = |message: &crate::broker::Received| {
        message.topic == "MTConnect/Current/mill-uuid"
            && message.json()["MTConnectStreams"]["Header"]["nextSequence"] == next
    };
    assert!(subscriber.wait_for("a later current", current).payload.contains("m_xpos"));

    machine.writer.put_asset(Asset {
        id: "tool/1".into(),
        asset_type: "CuttingTool".into(),
        device_uuid: "mill-uuid".into(),
        time: Timestamp::now(),
        removed: false,
        body: r#"<CuttingTool assetId="tool/1" deviceUuid="mill-uuid" serialNumber="1" timestamp="2026-01-01T00:00:00Z" toolId="T1"/>"#.into(),
    });
    let event = AssetEvent { asset_type: "CuttingTool".into(), asset_id: "tool/1".into() };
    machine.say("m_asset_chg", Value::AssetEvent(Arc::new(event)));
    let asset = wait("MTConnect/Asset/mill-uuid/tool_1");
    assert!(asset.payload.contains("MTConnectAssets") && asset.payload.contains("tool/1"));

    // A subscriber that comes later gets everything but the samples.
    let late = broker.subscribe("MTConnect/#", &[]);
    late.wait_for("the kept current", |it| it.retained && it.topic == "MTConnect/Current/lathe-uuid");
    late.wait_for("the kept probe", |it| it.retained && it.topic == "MTConnect/Probe/mill-uuid");
    late.wait_for("the kept asset", |it| it.retained && it.topic == "MTConnect/Asset/mill-uuid/tool_1");
    assert!(!late.received().iter().any(|it| it.retained && it.topic.starts_with("MTConnect/Sample/")));

    running.stop().await;
    subscriber.wait_for("the good-bye", |message| {
        message.topic == "MTConnect/Probe/Agent_cell-7/Availability" && message.payload == "UNAVAILABLE"
    });
}
