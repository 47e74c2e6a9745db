//! Values, types, writes and errors, with a peer written from the protocol's description.

use std::time::Duration;

use crate::common::{SOON, adapter, config, point, points};
use guideway_ads::{Ads, Config, Mode};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Native, Outcome, Period, Protocol};

fn list(numbers: &[f64]) -> Native {
    Native::List(numbers.iter().copied().map(Native::Float).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_type_come_by_name_in_both_modes() {
    let peer = Peer::python("ads_peer.py", &[]).await;
    let wanted = [
        ("GVL.bRun", Native::Bool(true)),
        ("GVL.nShort", Native::Int(-5)),
        ("GVL.nByte", Native::Int(250)),
        ("GVL.nInt", Native::Int(-1_234)),
        ("GVL.nWord", Native::Int(0xBEEF)),
        ("GVL.nCount", Native::Int(123_456)),
        ("GVL.nUdint", Native::Int(4_000_000_000)),
        ("GVL.nLong", Native::Int(-(1 << 40))),
        ("GVL.nLarge", Native::UInt(u64::MAX)),
        ("GVL.fReal", Native::Float(0.1)),
        ("GVL.fLong", Native::Float(0.1)),
        ("GVL.sName", Native::text("Größe")),
        ("GVL.wName", Native::text("€uro")),
        ("GVL.tCycle", Native::Int(1_500)),
        ("GVL.dtLast", Native::text("2024-03-01T06:30:00")),
        ("GVL.eState", Native::Int(3)),
        ("GVL.aLimits", list(&[1.0, 2.5, 3.0])),
        ("GVL.aLimits[1]", Native::Float(2.5)),
        ("GVL.aNames", Native::List([Native::text("ab"), Native::text("cde")].into())),
        ("gvl.stcell.ftemp", Native::Float(0.5)),
        ("ads:state", Native::text("RUN")),
    ];
    let names: Vec<_> = wanted.iter().map(|(name, _)| *name).chain(["GVL.stCell"]).collect();
    for mode in [Mode::Poll, Mode::Notify] {
        let mut running = Running::start(adapter(peer.port(), mode, points(&names)));
        running.connected(SOON).await;
        let readings = running.all(names.len(), SOON).await;
        for ((name, value), reading) in wanted.iter().zip(&readings) {
            assert_eq!(reading.value, *value, "{name} in mode {mode:?}");
        }
        assert_eq!(readings[wanted.len()].value.to_string(), "{nForce: 7, fTemp: 0.5, sId: abc}");
        assert_eq!(running.health().property("device").as_deref(), Some("Plc30 App"));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_group_and_declared_types_are_read_as_the_profile_says() {
    let peer = Peer::python("ads_peer.py", &[]).await;
    // GVL.bRun lies at 0, GVL.nShort at 5, GVL.nByte at 10, GVL.nInt at 15.
    let points = vec![
        point("0x4040:15", "i16"),
        point("GVL.nWord", "bits[16]"),
        point("GVL.stCell", "bytes[12]"),
        point("GVL.nInt", "u16"),
        point("0x4020:0", "i16"),
    ];
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, points));
    let readings = running.all(5, SOON).await;
    assert_eq!(readings[0].value, Native::Int(-1_234));
    assert_eq!(readings[1].value, Native::Bytes([0xEF, 0xBE].into()));
    assert_eq!(readings[2].value.to_string(), "070000000000003F61626300");
    assert_eq!(
        readings[3].value,
        Native::bad("the program has INT here, the profile u16; leave `type` out to take the program's")
    );
    assert_eq!(readings[4].value, Native::bad("ADS 0x702: no such index group"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_reach_the_controller_and_come_back() {
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    let names = ["GVL.nInt", "GVL.fReal", "GVL.sName", "GVL.aLimits", "GVL.bRun", "GVL.dtLast"];
    let mut running = Running::start(adapter(peer.port(), Mode::Notify, points(&names)));
    running.connected(SOON).await;
    running.all(names.len(), SOON).await;
    let limits = list(&[9.0, 8.0, 7.5]);
    let writes = [
        (0, Native::Int(77)),
        (1, Native::Float(2.5)),
        (2, Native::text("neu")),
        (3, limits.clone()),
        (4, Native::Bool(false)),
        (5, Native::text("2025-01-01T00:00:00")),
    ];
    assert_eq!(running.write(&writes).await, Outcome::Done);
    assert_eq!(peer.say("get GVL.nInt").await, "[77]");
    assert_eq!(peer.say("get GVL.sName").await, "[b'neu']");
    assert_eq!(peer.say("get GVL.aLimits").await, "[9.0, 8.0, 7.5]");
    assert_eq!(peer.say("get GVL.dtLast").await, "[1735689600]");
    assert_eq!(peer.say("handles").await, "0", "every handle is given back");
    running.value(3, &limits, SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_or_cannot_be_written_is_refused_before_anything_is_sent() {
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    let mut all = points(&["GVL.nInt", "GVL.nFixed", "GVL.nGone", "GVL.nCount"]);
    all[3].access = Access::Read;
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, all));
    running.all(4, SOON).await;
    let refused = [
        ((0, Native::Int(40_000)), "GVL.nInt: 40000 does not fit an integer of 16 bits"),
        ((1, Native::Int(1)), "GVL.nFixed is read-only in the PLC program"),
        ((2, Native::Int(1)), "GVL.nGone: ADS 0x710: no such symbol in the PLC program"),
        ((3, Native::Int(1)), "GVL.nCount is not writable: its `access` is \"r\""),
        ((9, Native::Int(1)), "there is no point 9"),
    ];
    for (write, why) in refused {
        let outcome = running.write(&[(0, Native::Int(5)), write]).await;
        assert_eq!(outcome, Outcome::Refused(why.into()));
    }
    assert_eq!(peer.say("get GVL.nInt").await, "[-1234]");
    assert_eq!(peer.say("count 3").await, "0", "no write went out");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_controller_refuses_or_leaves_unanswered_is_said() {
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    let mut all = vec![point("0x4040:15", "i16"), point("0x9999:0", "i16"), point("GVL.bRun", "auto")];
    all[0].access = Access::Write;
    all[1].access = Access::Write;
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, all));
    running.value(2, &Native::Bool(true), SOON).await;
    assert_eq!(running.write(&[(0, Native::Int(5))]).await, Outcome::Done);
    assert_eq!(peer.say("get GVL.nInt").await, "[5]");
    let outcome = running.write(&[(0, Native::Int(6)), (1, Native::Int(5))]).await;
    let why = "0x9999:0: ADS 0x702: no such index group (the first 1 of 2 writes were done)";
    assert_eq!(outcome, Outcome::Refused(why.into()));
    peer.say("route off").await;
    assert!(matches!(running.write(&[(0, Native::Int(7))]).await, Outcome::Unknown(_) | Outcome::NotSent(_)));
    running.disconnected(SOON).await;
    assert_eq!(peer.say("get GVL.nInt").await, "[6]");
    running.stop().await;
}

/// Why the last session ended, which is told a moment after its end is.
async fn last_error(running: &Running) -> String {
    loop {
        if let Some(error) = running.health().last_error() {
            return error;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_route_the_error_says_what_to_add() {
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    peer.say("route off").await;
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, points(&["GVL.bRun"])));
    running.disconnected(SOON).await;
    let error = last_error(&running).await;
    assert!(error.contains("add a route in the controller to AMS net id 127.0.0.1.1.1"), "{error}");
    peer.say("route on").await;
    running.value(0, &Native::Bool(true), SOON).await;
    running.stop().await;
    let other = Config { ams_port: 801, ..config(peer.port(), Mode::Poll) };
    let mut running = Running::start(Ads::adapter(other, points(&["GVL.bRun"])));
    running.disconnected(SOON).await;
    let error = last_error(&running).await;
    assert!(error.contains("AMS port 801: ADS 0x6: no server has this AMS port"), "{error}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_symbol_among_a_hundred_is_alone_bad_and_is_found_once_it_is_there() {
    let mut peer = Peer::python("ads_peer.py", &["100"]).await;
    for mode in [Mode::Poll, Mode::Notify] {
        let mut names: Vec<_> = (0..100).map(|index| format!("G.n{index}")).collect();
        names[40] = "G.nGone".into();
        let mut all: Vec<_> = names.iter().map(|name| point(name, "auto")).collect();
        all[7] = point("no address", "auto");
        peer.say("error G.n50 0x704").await;
        let mut running = Running::start(adapter(peer.port(), mode, all));
        let readings = running.all(100, SOON).await;
        for (index, reading) in readings.iter().enumerate() {
            match index {
                7 => assert!(matches!(&reading.value, Native::Bad(why) if why.contains("is no address"))),
                40 => assert_eq!(reading.value, Native::bad("ADS 0x710: no such symbol in the PLC program")),
                50 => assert_eq!(reading.value, Native::bad("ADS 0x704: access not allowed")),
                _ => assert_eq!(reading.value, Native::Int(index as i64 * 10)),
            }
        }
        peer.say("well G.n50").await;
        running.value(50, &Native::Int(500), SOON).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_points_are_read_within_the_limits() {
    let mut peer = Peer::python("ads_peer.py", &["3000"]).await;
    let all: Vec<_> = (0..3_000).map(|index| point(&format!("G.n{index}"), "auto")).collect();
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, all.clone()));
    let readings = running.all(3_000, Duration::from_secs(30)).await;
    assert!(
        readings.iter().enumerate().all(|(index, reading)| reading.value == Native::Int(index as i64 * 10))
    );
    running.stop().await;
    let largest = peer.say("largest").await;
    let (items, reply) = largest.split_once(' ').unwrap();
    // 499 variables and the program's version.
    assert_eq!(items.parse::<usize>().unwrap(), 500);
    assert!(reply.parse::<usize>().unwrap() < 66_000, "{reply}");
    // In mode notify 500 are watched and the others polled.
    let mut running = Running::start(adapter(peer.port(), Mode::Notify, all));
    running.all(3_000, Duration::from_secs(30)).await;
    assert_eq!(peer.say("notifications").await, "501");
    peer.say("set G.n3 -1").await;
    peer.say("set G.n2999 -2").await;
    running.value(3, &Native::Int(-1), SOON).await;
    running.value(2_999, &Native::Int(-2), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_of_period_once_are_read_once_and_write_only_ones_never() {
    let peer = Peer::python("ads_peer.py", &[]).await;
    let mut all = points(&["GVL.nInt", "GVL.nCount", "GVL.bRun"]);
    all[0].period = Period::Once;
    all[1].access = Access::Write;
    let mut running = Running::start(adapter(peer.port(), Mode::Poll, all));
    let mut seen = [0; 3];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while seen[2] < 5 {
        if let guideway_contract::Signal::Raw(batch) = running.signal(deadline, "readings").await {
            batch.readings.iter().for_each(|reading| seen[reading.point.index()] += 1);
        }
    }
    assert_eq!(seen[..2], [1, 0]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_without_sum_commands_is_read_one_by_one() {
    let mut peer = Peer::python("ads_peer.py", &["20"]).await;
    peer.say("sums off").await;
    let all: Vec<_> = (0..20).map(|index| point(&format!("G.n{index}"), "i32")).collect();
    for batch in [500, 1] {
        let config = Config { batch, ..config(peer.port(), Mode::Poll) };
        let mut running = Running::start(Ads::adapter(config, all.clone()));
        let readings = running.all(20, SOON).await;
        assert!(
            readings
                .iter()
                .enumerate()
                .all(|(index, reading)| reading.value == Native::Int(index as i64 * 10))
        );
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cell_of_the_shipped_profile_is_read_and_obeys() {
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../../device-profiles/beckhoff-twincat-cell.toml");
    let profile = std::fs::read_to_string(profile).unwrap();
    let mut all = Vec::new();
    let mut names = Vec::new();
    // Lines such as: cmd = { addr = "${gvl}.nCommand", type = "u16", group = "normal", access = "rw" }
    let quoted = |line: &str, key: &str| {
        let (_, rest) = line.split_once(&format!("{key} = \""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    for line in profile.lines().filter(|line| line.contains("{ addr = ")) {
        let address = quoted(line, "addr").unwrap().replace("${gvl}", "GVL_Guideway");
        let mut own = point(&address, &quoted(line, "type").unwrap_or("auto".into()));
        own.access = match quoted(line, "access").as_deref() {
            Some("rw") => Access::ReadWrite,
            Some("w") => Access::Write,
            _ => Access::Read,
        };
        assert!(Ads::check_point(&Config::default(), &own).is_empty(), "{line}");
        names.push(line.split_whitespace().next().unwrap().to_owned());
        all.push(own);
    }
    assert_eq!(all.len(), 22);
    let mut peer = Peer::python("ads_peer.py", &[]).await;
    let mut running = Running::start(adapter(peer.port(), Mode::Notify, all.clone()));
    let at = |name: &str| u32::try_from(names.iter().position(|own| own == name).unwrap()).unwrap();
    let mut missing: Vec<u32> = (0..22).filter(|index| all[*index as usize].access.reads()).collect();
    let deadline = tokio::time::Instant::now() + SOON;
    while !missing.is_empty() {
        if let guideway_contract::Signal::Raw(batch) = running.signal(deadline, "every point").await {
            for reading in batch.readings {
                assert!(!reading.value.is_bad(), "{}: {}", names[reading.point.index()], reading.value);
                missing.retain(|index| *index != reading.point.0);
            }
        }
    }
    let writes = [(at("cmd_recipe"), Native::text("R-77")), (at("cmd"), Native::Int(11))];
    assert_eq!(running.write(&writes).await, Outcome::Done);
    running.value(at("ack"), &Native::Int(11), SOON).await;
    assert_eq!(running.write(&[(at("cmd"), Native::Int(0))]).await, Outcome::Done);
    running.value(at("ack"), &Native::Int(0), SOON).await;
    assert_eq!(peer.say("get GVL_Guideway.sRecipe").await, "[b'R-77']");
    running.stop().await;
}
