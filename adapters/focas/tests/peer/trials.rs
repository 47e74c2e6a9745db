//! What every adapter has to stand.

use std::time::Duration;

use guideway_contract::kit::{Peer, trials};
use guideway_contract::{Adapter, Native, PointId, Protocol};
use guideway_focas::{Config, Focas};

use crate::{adapter, config, points};

const POINTS: [(&str, &str); 3] = [("macro:500", "auto"), ("stat.run", "auto"), ("pmc:R100", "auto")];

fn own(PointId(point): PointId, value: &Native) -> bool {
    *value == [Native::Float(62.5), Native::Int(3), Native::Int(135)][point as usize]
}

fn make(port: u16) -> Box<dyn Adapter> {
    adapter(port, points(&POINTS))
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_restarts() {
    let mut peer = Peer::python("focas_peer.py", &[]).await;
    trials::restarts(make, &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_weather() {
    let peer = Peer::python("focas_peer.py", &[]).await;
    trials::weather(make, &peer, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_answers_over_a_thousand_connections() {
    let peer = Peer::python("focas_peer.py", &[]).await;
    let make = |port| {
        let impatient = Config { timeout: Duration::from_millis(200), ..config(port) };
        Focas::adapter(impatient, points(&POINTS))
    };
    trials::mutated(make, &peer, 1_000).await;
}
