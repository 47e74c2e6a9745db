//! What every adapter has to stand.

use guideway_contract::kit::{Peer, Pty, Running, trials};
use guideway_contract::{Adapter, Native};

use super::{SOON, adapter, own, register, tcp, weight};

fn points() -> Vec<guideway_contract::PointSpec<guideway_serial::Point>> {
    (0..4).map(register).chain([weight()]).collect()
}

fn make(port: u16) -> Box<dyn Adapter> {
    adapter(&tcp(port), points())
}

fn is_true(point: u32, value: &Native) -> bool {
    if point == 4 { *value == Native::Float(100.0) } else { *value == own(point) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_killed_twenty_times_is_back_each_time() {
    let mut peer = Peer::python("serial_peer.py", &[]).await;
    trials::restarts(make, &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_on_a_serial_line_that_is_killed_is_back_each_time() {
    let line = Pty::pair().await;
    let mut peer = Peer::python_on("serial_peer.py", &line.a, &[]).await;
    let mut running = Running::start(adapter(&line.b, points()));
    for _ in 0..4 {
        running.connected(SOON).await;
        running.value(4, &Native::Float(100.0), SOON).await;
        peer.kill().await;
        running.disconnected(SOON).await;
        peer.restart().await;
    }
    running.connected(SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_slow_and_late_devices_never_give_a_foreign_value() {
    let peer = Peer::python("serial_peer.py", &[]).await;
    trials::weather(make, &peer, |point, value| is_true(point.0, value)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_answers_do_no_harm() {
    let peer = Peer::python("serial_peer.py", &[]).await;
    trials::mutated(make, &peer, 1_000).await;
}
