//! What every adapter has to stand.

use guideway_contract::kit::{Peer, trials};
use guideway_contract::{Adapter, Native};

use super::{adapter, own, point};

fn make(port: u16) -> Box<dyn Adapter> {
    let variables = (5_021..5_025).map(|variable| point(&format!("Q600 {variable}"), "f64", 50));
    adapter(port, variables.chain([point("Q104", "string[20]", 50)]).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_that_is_killed_twenty_times_is_back_each_time() {
    let mut peer = Peer::python("haas_peer.py", &[]).await;
    trials::restarts(make, &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_slow_and_late_controls_never_give_a_foreign_value() {
    let peer = Peer::python("haas_peer.py", &[]).await;
    trials::weather(make, &peer, |point, value| match point.0 {
        4 => *value == Native::text("(MDI)"),
        variable => *value == own(5_021 + variable),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_replies_do_no_harm() {
    let peer = Peer::python("haas_peer.py", &["numbered"]).await;
    trials::mutated(make, &peer, 1_000).await;
}
