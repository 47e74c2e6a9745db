//! What an agent says arrives as it was said, whatever the form.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails the test")]

mod common;

use std::sync::Arc;

use common::{Gateway, Said, condition, config, pair};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{
    AssetChange, Cell, DataSet, Entry, Fault, Level, Message, Outcome, Protocol as _, TimeSeries, Timestamp,
    Value,
};
use guideway_mtconnect::{Format, Mode, MtConnect};

fn set(reset: Option<&str>, entries: &[(&str, Cell)]) -> Value {
    let entries = entries.iter().map(|(key, cell)| Entry { key: (*key).into(), cell: cell.clone() });
    Value::DataSet(Arc::new(DataSet::new(reset.map(Into::into), entries.collect())))
}

/// One value of every shape, before the connect and after it.
async fn every_shape(arguments: &[&str], format: Format) {
    let mut peer = Peer::python("mtconnect_agent.py", arguments).await;
    let say = |json: &str| format!("obs {json}");
    peer.say(&say(r#"{"id":"exec","value":"READY","time":"2026-01-02T03:04:05.1234567Z"}"#)).await;
    peer.say(&say(r#"{"id":"vars","value":{"a":1,"b":2.5,"c":"text"}}"#)).await;
    peer.say(&say(r#"{"id":"vars","value":{"a":null}}"#)).await;
    peer.say(&say(r#"{"id":"sys","level":"Fault","value":"Hot","attrs":{"nativeCode":"404"}}"#)).await;
    peer.say(&say(r#"{"id":"sys","level":"Warning","value":"Oil","attrs":{"nativeCode":"405"}}"#)).await;
    let mut config = config(peer.port());
    config.format = format;
    let mut gateway = Gateway::start(config);
    gateway.text("exec", "READY").await;
    let time = gateway.said.iter().find_map(|said| match said {
        Said::Told { id, time, .. } if id == "exec" => Some(time.to_string()),
        _ => None,
    });
    assert_eq!(time.as_deref(), Some("2026-01-02T03:04:05.1234567Z"));
    gateway.value("vars", &set(None, &[("b", Cell::Number(2.5)), ("c", Cell::Text("text".into()))])).await;
    gateway.value("sys", &condition(Level::Warning, "405", "Oil")).await;
    assert_eq!(gateway.told("sys")[0], condition(Level::Fault, "404", "Hot"));

    peer.say(&say(r#"{"id":"x","value":"-1.25","attrs":{"duration":"0.5"}}"#)).await;
    gateway
        .until("duration", |said| common::latest(said, "x").is_some_and(|x| x.duration() == Some(0.5)))
        .await;
    peer.say(&say(r#"{"id":"prog","value":"O1 <a> & \"b\" ä"}"#)).await;
    gateway.text("prog", "O1 <a> & \"b\" ä").await;
    peer.say(&say(r#"{"id":"path","value":[1,2.5,-3]}"#)).await;
    gateway.value("path", &Value::Vector3(Arc::new([1.0, 2.5, -3.0]))).await;
    peer.say(&say(r#"{"id":"wave","value":[1,2,3],"attrs":{"sampleRate":50}}"#)).await;
    let series = TimeSeries { rate: Some(50.0), values: vec![1.0, 2.0, 3.0] };
    gateway.value("wave", &Value::TimeSeries(Arc::new(series))).await;
    peer.say(&say(r#"{"id":"msg","value":"Oil low","attrs":{"nativeCode":"M7"}}"#)).await;
    let message = Message { native_code: "M7".into(), text: "Oil low".into() };
    gateway.value("msg", &Value::Message(Arc::new(message))).await;
    peer.say(&say(r#"{"id":"vars","value":{"b":null,"d":4}}"#)).await;
    gateway.value("vars", &set(None, &[("b", Cell::Removed), ("d", Cell::Integer(4))])).await;
    peer.say(&say(r#"{"id":"vars","value":{"z":1},"attrs":{"resetTriggered":"DAY"}}"#)).await;
    gateway.value("vars", &set(Some("DAY"), &[("z", Cell::Integer(1))])).await;
    peer.say(&say(r#"{"id":"offs","value":{"G54":{"X":1.5,"Y":2},"G55":null}}"#)).await;
    let row = [("X", Cell::Number(1.5)), ("Y", Cell::Integer(2))];
    let row = row.map(|(key, cell)| Entry { key: key.into(), cell });
    gateway.value("offs", &set(None, &[("G54", Cell::Row(row.to_vec())), ("G55", Cell::Removed)])).await;
    peer.say(&say(r#"{"id":"count","value":"0","attrs":{"resetTriggered":"DAY"}}"#)).await;
    gateway
        .until("reset", |said| {
            let count = common::latest(said, "count");
            count.is_some_and(|it| it.reset_triggered() == Some("DAY") && *it.plain() == Value::text("0"))
        })
        .await;
    peer.say(&say(r#"{"id":"sys","level":"Normal","attrs":{"nativeCode":"405"}}"#)).await;
    gateway.value("sys", &condition(Level::Normal, "405", "")).await;
    peer.say(&say(r#"{"id":"sys","level":"Unavailable","value":"UNAVAILABLE"}"#)).await;
    gateway.value("sys", &Value::Unavailable).await;
    peer.say(&say(r#"{"id":"x","value":"UNAVAILABLE"}"#)).await;
    gateway.value("x", &Value::Unavailable).await;
    for fault in Fault::ALL {
        assert_eq!(gateway.faults(fault), 0, "{:?}", gateway.running.health().examples());
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_shape_arrive_from_xml() {
    every_shape(&[], Format::Auto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_shape_arrive_from_xml_with_prefixes_and_packed() {
    every_shape(&["--prefix", "--gzip"], Format::Xml).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_shape_arrive_from_the_first_form_of_json() {
    every_shape(&["--json", "1"], Format::Json).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_shape_arrive_from_an_agent_that_speaks_json_only() {
    every_shape(&["--json", "2", "--always", "json"], Format::Auto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_shape_arrive_when_the_agent_is_polled() {
    let (mut peer, mut gateway) = pair(&["--gzip"], |config| config.mode = Mode::Poll).await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say("burst x 3000").await;
    gateway.number("x", 3_000).await;
    // The buffer has room for less than was said at once.
    let stat = peer.say("stat").await;
    assert!(!stat.contains("streams") && stat.contains("packed"), "{stat}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_old_versions_are_read() {
    for version in ["1.0", "1.1", "1.3"] {
        let (mut peer, mut gateway) = pair(&["--version", version], |_| {}).await;
        gateway.text("avail", "AVAILABLE").await;
        peer.say("burst x 500").await;
        gateway.number("x", 500).await;
        assert_eq!(gateway.numbers("x"), (1..=500).collect::<Vec<_>>(), "{version}");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_devices_but_the_agents_own_are_followed() {
    let (_peer, mut gateway) = pair(&[], |_| {}).await;
    gateway.text("avail2", "AVAILABLE").await;
    gateway.text("avail", "AVAILABLE").await;
    assert_eq!(gateway.models.keys().collect::<Vec<_>>(), ["uuid-M1", "uuid-M2"]);
    assert!(!gateway.models["uuid-M1"].contains("native") && !gateway.models["uuid-M1"].contains("Filter"));
    assert!(gateway.models["uuid-M1"].contains("<x:Extra"), "{}", gateway.models["uuid-M1"]);
    gateway.stop().await;

    let (_peer, mut gateway) = pair(&[], |config| config.agent_device = true).await;
    gateway.text("conn", "AVAILABLE").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_devices_only_the_one_wanted_is_asked_for() {
    let (mut peer, mut gateway) = pair(&[], |config| config.devices = vec!["uuid-M2".into()]).await;
    gateway.text("avail2", "AVAILABLE").await;
    peer.say("burst x 10").await;
    peer.say("burst x2 10").await;
    gateway.number("x2", 10).await;
    assert_eq!(gateway.models.keys().collect::<Vec<_>>(), ["uuid-M2"]);
    assert_eq!(gateway.faults(Fault::Unmapped), 0);
    let stat = peer.say("stat").await;
    assert!(stat.contains("\"/M2/sample?from="), "{stat}");
    gateway.stop().await;

    let mut wanted = config(peer.port());
    wanted.devices = vec!["M3".into()];
    let mut gateway = Gateway::start(wanted);
    gateway.down().await;
    let error = common::last_error(&mut gateway).await;
    assert!(error.contains("no device `M3`; it has `M1`, `M2`, `Agent`"), "{error}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_the_address_is_asked_for_itself() {
    let (mut peer, mut gateway) = pair(&[], |config| config.address += "/M1").await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say("burst x 5").await;
    gateway.number("x", 5).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_changes_while_the_agent_runs_is_taken_over() {
    let (mut peer, mut gateway) = pair(&[], |_| {}).await;
    gateway.text("avail", "AVAILABLE").await;
    let item = peer.say("model").await;
    gateway.text(&item, "NEW").await;
    assert!(!gateway.said.contains(&Said::Down));
    let told = gateway.said.iter().filter(|said| matches!(said, Said::Model(_))).count();
    peer.say("burst x2 3").await;
    gateway.number("x2", 3).await;
    assert_eq!(gateway.numbers("x2"), [1, 2, 3], "points have other numbers now");
    assert_eq!(told, 3, "both devices at the beginning, the changed one again");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_the_agent_gets_while_it_runs_is_followed() {
    let (mut peer, mut gateway) = pair(&[], |config| config.devices = Vec::new()).await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say("burst x 10").await;
    peer.say("device M3").await;
    peer.say("burst x 10").await;
    gateway.text("availM3", "AVAILABLE").await;
    gateway.number("x", 20).await;
    assert!(gateway.models.contains_key("uuid-M3"));
    let mut numbers = gateway.numbers("x");
    numbers.dedup();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>(), "nothing is lost");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_the_gateway_does_not_know_is_counted() {
    let (mut peer, mut gateway) = pair(&[], |_| {}).await;
    gateway.text("avail", "AVAILABLE").await;
    gateway.takes = false;
    peer.say("model").await;
    peer.say("burst x 1").await;
    gateway.number("x", 1).await;
    assert_eq!(gateway.faults(Fault::Unmapped), 2, "the model and the value");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_fetched_when_they_change() {
    let mut peer = Peer::python("mtconnect_agent.py", &[]).await;
    peer.say("asset A1 M1 first").await;
    let mut gateway = Gateway::start(config(peer.port()));
    let put = |wanted: &'static str, text: &'static str| {
        move |said: &[Said]| {
            said.iter().any(|said| match said {
                Said::Asset(AssetChange::Put { id, body, device, asset_type, .. }) => {
                    id == wanted && body.contains(text) && device == "uuid-M1" && asset_type == "Fixture"
                }
                _ => false,
            })
        }
    };
    gateway.until("asset at the beginning", put("A1", "first")).await;
    peer.say("asset A1 M1 second").await;
    gateway.until("changed asset", put("A1", "second")).await;
    peer.say("asset A2 M1 other").await;
    gateway.until("new asset", put("A2", "other")).await;
    peer.say("unasset A1").await;
    let removed = |said: &[Said]| {
        said.iter().any(|said| matches!(said, Said::Asset(AssetChange::Remove { id, .. }) if id == "A1"))
    };
    gateway.until("removal", removed).await;
    // The gateway says by itself that assets changed.
    assert_eq!(gateway.told("chg"), []);
    // A new session tells nothing that is known already, and what went meanwhile.
    gateway.said.clear();
    peer.say("restart").await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say("asset A3 M1 third").await;
    gateway.until("asset of the next session", put("A3", "third")).await;
    let told = gateway.said.iter().filter(|said| matches!(said, Said::Asset(_))).count();
    assert_eq!(told, 1, "{:?}", gateway.said);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_assets_their_events_are_readings() {
    let (mut peer, mut gateway) = pair(&[], |config| config.assets = false).await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say("asset A1 M1 first").await;
    gateway.until("event", |said| matches!(common::latest(said, "chg"), Some(Value::AssetEvent(_)))).await;
    assert!(!gateway.said.iter().any(|said| matches!(said, Said::Asset(_))));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsing_lists_the_data_items() {
    let peer = Peer::python("mtconnect_agent.py", &[]).await;
    let found = common::adapter(config(peer.port())).browse("").await.unwrap();
    let x = found.iter().find(|found| found.address == "x").unwrap();
    assert_eq!(x.label, "M1/Controller[ctl]/x");
    assert_eq!(x.units, "MILLIMETER");
    assert!(found.iter().any(|found| found.address == "conn"));
    let nobody = config(1);
    assert!(common::adapter(nobody).browse("").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_condition_has_the_id_of_its_beginning() {
    let (mut peer, mut gateway) = pair(&[], |_| {}).await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say(
        r#"obs {"id":"sys","level":"Fault","value":"Hot","attrs":{"nativeCode":"7","conditionId":"hot-1"}}"#,
    )
    .await;
    peer.say(r#"obs {"id":"sys","level":"Normal","attrs":{"nativeCode":"7"}}"#).await;
    let ended = |last: &Value| match last {
        Value::Condition(last) => last.level == Level::Normal && last.key() == "hot-1",
        _ => false,
    };
    let is_over = |said: &[Said]| common::latest(said, "sys").is_some_and(ended);
    gateway.until("end of the condition", is_over).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_refused_at_once() {
    let (_peer, mut gateway) = pair(&[], |_| {}).await;
    gateway.up().await;
    let outcome = gateway.running.write(&[]).await;
    assert!(matches!(&outcome, Outcome::NotSent(why) if why.contains("cannot write")), "{outcome:?}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_takes_no_model_is_told_nothing() {
    let peer = Peer::python("mtconnect_agent.py", &[]).await;
    let mut gateway = Gateway::with(Running::start(common::adapter(config(peer.port()))));
    gateway.takes = false;
    gateway.down().await;
    assert!(!gateway.said.iter().any(|said| matches!(said, Said::Told { .. })));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_model_and_many_values_are_all_read() {
    let (mut peer, mut gateway) = pair(&["--buffer", "100000"], |config| config.count = 10_000).await;
    gateway.text("avail", "AVAILABLE").await;
    peer.say("burst x 50000").await;
    gateway.number("x", 50_000).await;
    assert_eq!(gateway.numbers("x").len(), 50_000);
    gateway.stop().await;
}

#[test]
fn there_are_no_points_to_write() {
    use guideway_contract::{DataType, PointSpec};
    let point = PointSpec::new("x", DataType::default(), guideway_mtconnect::NoPoint {});
    let issues = MtConnect::check_point(&guideway_mtconnect::Config::default(), &point);
    assert!(issues[0].what.contains("taken over"));
    let mut config = guideway_mtconnect::Config::default();
    assert!(MtConnect::set_address(&mut config, "https://plant.example/M1").is_ok());
    assert_eq!(MtConnect::adapter(config.clone(), Vec::new()).endpoint(), "https://plant.example/M1");
    assert!(MtConnect::set_address(&mut config, "shdr://a").is_err());
    assert!(Timestamp::parse("2026-01-01T00:00:00Z").is_some());
}
