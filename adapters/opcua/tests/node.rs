//! The same at a server on node-opcua, which keeps its clients to narrow limits.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{SOON, int, own, point, writable};
use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Native, Outcome, PointSpec, Protocol as _};
use guideway_opcua::{Mode, OpcUa, Policy, Security, Trust};

#[tokio::test(flavor = "multi_thread")]

async fn node_opcua_is_read_written_and_browsed_within_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let mut peer = Peer::node("opcua_peer.js", &[folder.path().join("server").to_str().unwrap()]).await;
    let mut points: Vec<_> = (0..300).map(|number| point(&format!("N{number}"))).collect();
    for point in points.iter_mut().skip(150) {
        point.own.mode = Mode::Poll;
    }
    points.push(writable("Int16"));
    points.push(point("Text"));
    points.push(point("UInt64"));
    points.push(point("Float"));
    points.push(point("When"));
    points.push(PointSpec { access: Access::ReadWrite, ..own("Ints", |own| own.index = Some("3".into())) });
    points.extend((0..20).map(|number| point(&format!("/Objects/2:Machine/2:N{number}"))));
    points.push(point("Nowhere"));
    let mut running = Running::start(OpcUa::adapter(common::config(peer.port()), points));
    running.connected(SOON).await;
    let readings = running.all(327, SOON * 2).await;
    for (number, reading) in readings[..300].iter().enumerate() {
        assert_eq!(reading.value, Native::Float(number as f64));
    }
    let shown: Vec<String> = readings[300..306].iter().map(|reading| reading.value.to_string()).collect();
    assert_eq!(shown, ["-30000", "Größe 5", "7", "0.1", "2026-11-22T10:30:00.123Z", "4"]);
    assert_eq!(readings[325].value, Native::Float(19.0));
    assert!(readings[326].value.to_string().contains("BadNodeIdUnknown"));
    assert_eq!(running.write(&[(300, int(5)), (305, int(40))]).await, Outcome::Done);
    assert_eq!(peer.say("get Int16").await, "5");
    assert_eq!(peer.say("get Ints").await, "[1,2,3,40,5]");
    running.stop().await;
    let mut adapter = OpcUa::adapter(common::config(peer.port()), Vec::new());
    let below = adapter.browse("/Objects/2:Machine").await.unwrap();
    assert_eq!(below.len(), 307);
    assert_eq!(below.iter().find(|found| found.label == "N7").unwrap().value, "7");
    for policy in [Policy::Basic256Sha256, Policy::Aes256Sha256RsaPss] {
        let mut config = common::config(peer.port());
        config.security = Security::SignAndEncrypt;
        config.policy = policy;
        config.trust = Trust::All;
        config.pki = folder.path().join("pki");
        config.connect_timeout = Duration::from_secs(30);
        let mut running = Running::start(OpcUa::adapter(config, vec![point("Text")]));
        running.value(0, &Native::text("Größe 5"), SOON * 3).await;
        running.stop().await;
    }
}
