//! With pyads' own test server: names, types, sum reads, handles. It sends no notifications.

use crate::common::{SOON, adapter, config, points};
use guideway_ads::{Ads, Config, Mode};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Native, Outcome, Protocol};

const NAMES: [&str; 12] = [
    "GVL.bRun",
    "GVL.nShort",
    "GVL.nInt",
    "GVL.nWord",
    "GVL.nCount",
    "GVL.nLong",
    "GVL.nLarge",
    "GVL.fReal",
    "GVL.fLong",
    "GVL.sName",
    "GVL.eState",
    "GVL.aReal",
];

fn wanted() -> Vec<Native> {
    vec![
        Native::Bool(true),
        Native::Int(-5),
        Native::Int(-1_234),
        Native::Int(0xBEEF),
        Native::Int(123_456),
        Native::Int(-(1 << 40)),
        Native::UInt(u64::MAX),
        Native::Float(0.1),
        Native::Float(0.1),
        Native::text("hello"),
        Native::Int(3),
        Native::List([1.0, 2.0, 3.0].map(Native::Float).into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_type_are_read_together_and_one_by_one() {
    let peer = Peer::python("ads_pyads_peer.py", &[]).await;
    for batch in [500, 1] {
        let config = Config { batch, ..config(peer.port(), Mode::Poll) };
        let mut running = Running::start(Ads::adapter(config, points(&NAMES)));
        let readings = running.all(NAMES.len(), SOON).await;
        let values: Vec<_> = readings.into_iter().map(|reading| reading.value).collect();
        assert_eq!(values, wanted());
        assert_eq!(running.health().property("device").as_deref(), Some("TestServer"));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_symbol_is_alone_bad_and_writes_are_read_back() {
    let mut peer = Peer::python("ads_pyads_peer.py", &[]).await;
    let mut names = NAMES.to_vec();
    names.push("GVL.nGone");
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, points(&names)));
    let readings = running.all(names.len(), SOON).await;
    assert_eq!(readings[12].value, Native::bad("ADS 0x710: no such symbol in the PLC program"));
    assert_eq!(readings[11].value, wanted()[11]);
    let list = Native::List([4.0, 5.5, 6.0].map(Native::Float).into());
    let writes = [(4, Native::Int(-9)), (9, Native::text("written")), (11, list.clone())];
    assert_eq!(running.write(&writes).await, Outcome::Done);
    assert_eq!(peer.say("get GVL.nCount").await, "-9");
    assert_eq!(peer.say("get GVL.sName").await, "written");
    assert_eq!(peer.say("get GVL.aReal").await, "(4.0, 5.5, 6.0)");
    running.value(11, &list, SOON).await;
    peer.say("set GVL.nInt 77").await;
    running.value(2, &Native::Int(77), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_makes_a_whole_sum_fail_is_found_and_read_by_itself() {
    // The test server answers a sum read with one unknown place as a whole with an error.
    let peer = Peer::python("ads_pyads_peer.py", &[]).await;
    let mut all = points(&NAMES);
    all.push(crate::common::point("0x4020:99", "i16"));
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, all));
    let readings = running.all(NAMES.len() + 1, SOON).await;
    let values: Vec<_> = readings.iter().map(|reading| reading.value.clone()).collect();
    assert_eq!(values[..12], wanted());
    assert_eq!(values[12], Native::bad("ADS 0x702: no such index group"));
    running.stop().await;
}
