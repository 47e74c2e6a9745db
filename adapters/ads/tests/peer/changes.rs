//! What changes while a session is up: values, the program, the PLC's state.

use std::time::Duration;

use crate::common::{SOON, adapter, config, points};
use guideway_ads::{Ads, Config, Mode};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Fault, Native, Protocol, Quality, Timestamp};

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_with_the_controllers_time_and_without_polling() {
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    let mut running = Running::start(adapter(peer.port(), Mode::Notify, points(&["GVL.nInt", "GVL.nCount"])));
    running.all(2, SOON).await;
    peer.say("clock 133000000000000000").await;
    peer.say("set GVL.nInt 5").await;
    let reading = running.value(0, &Native::Int(5), SOON).await;
    assert_eq!(reading.time.to_string(), "2022-06-18T04:26:40.0000000Z");
    peer.say("clock 1").await;
    peer.say("set GVL.nInt 6").await;
    let before = Timestamp::now().shifted(-60_000_000_000);
    assert!(running.value(0, &Native::Int(6), SOON).await.time > before);
    assert_eq!(running.health().counters.faults(Fault::Timestamp), 1);
    let reads: u32 = peer.say("count 9").await.parse().unwrap();
    for number in 10..20 {
        peer.say(&format!("set GVL.nCount {number}")).await;
        running.value(1, &Native::Int(number), SOON).await;
    }
    assert_eq!(peer.say("count 9").await.parse::<u32>().unwrap(), reads, "nothing was read");
    running.stop().await;
    // The peer takes what was sent last in its own time.
    let deadline = tokio::time::Instant::now() + SOON;
    while peer.say("notifications").await != "0" {
        assert!(tokio::time::Instant::now() < deadline, "a stop gives notifications back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_may_be_polled_and_times_may_be_our_own() {
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    peer.say("clock 133000000000000000").await;
    let mut all = points(&["GVL.nInt", "GVL.nCount"]);
    all[0].own.notify = false;
    let config = Config { source_times: false, ..config(peer.port(), Mode::Notify) };
    let mut running = Running::start(Ads::adapter(config, all));
    let before = Timestamp::now().shifted(-60_000_000_000);
    assert!(running.all(2, SOON).await.iter().all(|reading| reading.time > before));
    assert_eq!(peer.say("notifications").await, "2", "one point and the program's version");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_online_change_no_value_is_read_from_where_another_lies_now() {
    let mut peer = Peer::python("ads_peer.py", &["200"]).await;
    for mode in [Mode::Poll, Mode::Notify] {
        let names: Vec<_> = (0..200).map(|index| format!("G.n{index}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mut running = Running::start(adapter(peer.port(), mode, points(&names)));
        running.all(200, SOON).await;
        for round in 0..5 {
            peer.say("move").await;
            let mark = format!("set G.n199 {}", 1_990 + round % 2);
            peer.say(&mark).await;
            let until = tokio::time::Instant::now() + Duration::from_secs(3);
            while let Ok(Some(signal)) = tokio::time::timeout_at(until, running.collector.next()).await {
                let guideway_contract::Signal::Raw(batch) = signal else { panic!("{signal:?}") };
                for reading in &batch.readings {
                    let right = reading.point.0 as i64 * 10;
                    let marked = [1_990, 1_991].map(Native::Int);
                    let own = |value: &Native| {
                        *value == Native::Int(right) || right == 1_990 && marked.contains(value)
                    };
                    assert!(reading.quality == Quality::Bad || own(&reading.value), "{mode:?}: {reading:?}");
                }
                if batch
                    .readings
                    .iter()
                    .any(|r| r.point.0 == 199 && r.value == Native::Int(1_990 + round % 2))
                {
                    break;
                }
            }
        }
        peer.say("drop G.n6").await;
        let gone = Native::bad("ADS 0x710: no such symbol in the PLC program");
        running.value(6, &gone, SOON).await;
        peer.say("set G.n5 51").await;
        running.value(5, &Native::Int(51), SOON).await;
        running.stop().await;
        peer.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plc_that_is_not_in_run_makes_everything_bad_but_its_state() {
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    for mode in [Mode::Poll, Mode::Notify] {
        let mut running = Running::start(adapter(peer.port(), mode, points(&["GVL.nInt", "ads:state"])));
        running.value(0, &Native::Int(-1_234), SOON).await;
        peer.say("state STOP").await;
        let stopped = Native::bad("the PLC is in STOP; its values stand still");
        running.value(0, &stopped, SOON).await;
        running.value(1, &Native::text("STOP"), SOON).await;
        let refused = running.write(&[(0, Native::Int(1))]).await;
        assert_eq!(refused, guideway_contract::Outcome::Refused("the PLC is not in RUN".into()));
        peer.say("state RUN").await;
        running.value(0, &Native::Int(-1_234), SOON).await;
        running.value(1, &Native::text("RUN"), SOON).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_nobody_here_asked_for_are_counted_and_given_back() {
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    let mut running = Running::start(adapter(peer.port(), Mode::Notify, points(&["GVL.nInt"])));
    running.all(1, SOON).await;
    peer.say("stray").await;
    peer.say("set GVL.nInt 9").await;
    running.value(0, &Native::Int(9), SOON).await;
    assert_eq!(running.health().counters.faults(Fault::Unmapped), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsing_shows_the_program_as_a_tree() {
    let peer = Peer::python("ads_peer.py", &["3"]).await;
    let mut browser = Ads::adapter(config(peer.port(), Mode::Notify), Vec::new());
    let rows = |found: Vec<guideway_contract::Found>| {
        let row = |f: guideway_contract::Found| {
            format!(
                "{} {}{}",
                f.address,
                f.data_type.map(|t| t.to_string()).unwrap_or_default(),
                if f.folder { "+" } else { "" }
            )
        };
        found.into_iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(rows(browser.browse("").await.unwrap()), ["G +", "GVL +", "GVL_Guideway +", "MAIN +"]);
    assert_eq!(rows(browser.browse("G").await.unwrap()), ["G.n0 i32", "G.n1 i32", "G.n2 i32"]);
    let variables = browser.browse("GVL").await.unwrap();
    let fixed = variables.iter().find(|found| found.address == "GVL.nFixed").unwrap();
    assert_eq!((fixed.writable, fixed.note.as_str()), (false, "INT: made up"));
    let rows_of = rows(variables);
    for row in [
        "GVL.aNames string[3][2]",
        "GVL.dtLast auto",
        "GVL.eState i16",
        "GVL.stCell +",
        "GVL.wName wstring[5]",
    ] {
        assert!(rows_of.iter().any(|found| found == row), "{row} in {rows_of:?}");
    }
    let members = rows(browser.browse("GVL.stCell").await.unwrap());
    assert_eq!(members, ["GVL.stCell.nForce i16", "GVL.stCell.fTemp f32", "GVL.stCell.sId string[3]"]);
    let error = browser.browse("GVL.nothing").await.unwrap_err().to_string();
    assert!(error.contains("no such symbol"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_busy_for_a_while_is_read_together_again() {
    let mut peer = Peer::python("ads_peer.py", &["50"]).await;
    let names: Vec<_> = (0..50).map(|index| format!("G.n{index}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, points(&names)));
    running.all(50, SOON).await;
    peer.say("busy 0x708").await;
    running.value(49, &Native::bad("ADS 0x708: the device is busy"), SOON).await;
    peer.say("busy 0").await;
    running.value(49, &Native::Int(490), SOON).await;
    let singles = peer.say("count 2").await;
    running.all(50, SOON).await;
    running.all(50, SOON).await;
    let more: u32 = peer.say("count 2").await.parse::<u32>().unwrap() - singles.parse::<u32>().unwrap();
    assert!(more <= 2, "{more} single reads");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_just_after_the_program_changed_is_not_sent() {
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    let mut all = points(&["GVL.nInt"]);
    all[0].period = guideway_contract::Period::Once;
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, all));
    running.value(0, &Native::Int(-1_234), SOON).await;
    peer.say("move").await;
    let outcome = running.write(&[(0, Native::Int(5))]).await;
    let why = "the PLC program has just changed; ask again";
    if outcome != guideway_contract::Outcome::Done {
        assert_eq!(outcome, guideway_contract::Outcome::NotSent(why.into()));
        assert_eq!(peer.say("get GVL.nInt").await, "[-1234]");
        running.value(0, &Native::Int(-1_234), SOON).await;
        assert_eq!(running.write(&[(0, Native::Int(5))]).await, guideway_contract::Outcome::Done);
    }
    assert_eq!(peer.say("get GVL.nInt").await, "[5]");
    running.stop().await;
}
