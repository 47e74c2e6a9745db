//! What every adapter has to stand.

use std::time::Duration;

use crate::common::{adapter, config, points};
use guideway_ads::{Ads, Config, Mode};
use guideway_contract::kit::{Peer, trials};
use guideway_contract::{Adapter, Native, PointId, Protocol};

const NAMES: [&str; 3] = ["G.n1", "G.n2", "G.n7"];

fn own(point: PointId, value: &Native) -> bool {
    [10, 20, 70].get(point.index()).is_some_and(|number| *value == Native::Int(*number))
}

fn make(mode: Mode) -> impl Fn(u16) -> Box<dyn Adapter> {
    move |port| adapter(port, mode, points(&NAMES))
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_restarts_when_polling() {
    let mut peer = Peer::python("ads_peer.py", &["10"]).await;
    trials::restarts(make(Mode::Poll), &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_restarts_with_notifications() {
    let mut peer = Peer::python("ads_peer.py", &["10"]).await;
    trials::restarts(make(Mode::Notify), &mut peer, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_weather_when_polling() {
    let peer = Peer::python("ads_peer.py", &["10"]).await;
    trials::weather(make(Mode::Poll), &peer, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_weather_with_notifications() {
    let peer = Peer::python("ads_peer.py", &["10"]).await;
    // Watched values that stand still send nothing; this one is polled.
    let make = |port| {
        let mut all = points(&NAMES);
        all[2].own.notify = false;
        adapter(port, Mode::Notify, all)
    };
    trials::weather(make, &peer, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_answers_over_a_thousand_connections() {
    let peer = Peer::python("ads_peer.py", &["10"]).await;
    let make = |port| {
        let impatient = Config { timeout: Duration::from_millis(200), ..config(port, Mode::Notify) };
        let mut all = points(&NAMES);
        all[1].own.notify = false;
        Ads::adapter(impatient, all)
    };
    trials::mutated(make, &peer, 1_000).await;
}
