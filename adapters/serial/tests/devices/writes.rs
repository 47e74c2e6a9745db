//! What is written.

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Access, Native, Outcome, PointSpec};
use guideway_serial::Point;

use super::{SOON, adapter, point, tcp, weight};

fn setpoint(command: &str, acknowledged: bool) -> PointSpec<Point> {
    let mut point = PointSpec { access: Access::Write, ..point("", "f64") };
    point.own.write = format!("{command} {{value:.2}}\r\n");
    if acknowledged {
        point.own.ack = Some("^SP A".into());
        point.own.nak = Some("^(SP L|ES)".into());
    }
    point
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_done_when_the_device_says_so() {
    let mut peer = Peer::python("serial_peer.py", &[]).await;
    let points = vec![weight(), setpoint("SP", true), setpoint("XX", true)];
    let mut running = Running::start(adapter(&tcp(peer.port()), points));
    running.connected(SOON).await;
    assert_eq!(running.write(&[(1, Native::Float(12.5))]).await, Outcome::Done);
    assert_eq!(peer.say("get setpoint").await, "12.50");
    for writes in [[(1, Native::Int(5_000))], [(2, Native::Int(1))]] {
        let outcome = running.write(&writes).await;
        assert!(matches!(&outcome, Outcome::Refused(why) if why.contains("the device says")), "{outcome:?}");
    }
    // Refused by the adapter: nothing is sent, not even the good write in front.
    for second in [(1, Native::text("5")), (0, Native::Int(5)), (7, Native::Int(5))] {
        assert!(matches!(running.write(&[(1, Native::Int(99)), second]).await, Outcome::Refused(_)));
    }
    assert_eq!(peer.say("get setpoint").await, "12.50");
    running.value(0, &Native::Float(100.0), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_a_word_of_the_device_is_unknown() {
    let mut peer = Peer::python("serial_peer.py", &[]).await;
    peer.say("set mute SP").await;
    let points = vec![weight(), setpoint("SP", true), setpoint("QP", false)];
    let mut running = Running::start(adapter(&tcp(peer.port()), points));
    running.connected(SOON).await;
    // No word is expected: the session goes on.
    assert!(matches!(running.write(&[(2, Native::Int(7))]).await, Outcome::Unknown(_)));
    while peer.say("get setpoint").await != "7.00" {}
    running.value(0, &Native::Float(100.0), SOON).await;
    // A word is expected and does not come: it ends.
    assert!(matches!(running.write(&[(1, Native::Int(8))]).await, Outcome::Unknown(_)));
    running.disconnected(SOON).await;
    running.connected(SOON).await;
    running.stop().await;
}
