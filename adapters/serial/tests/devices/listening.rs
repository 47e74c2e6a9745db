//! Devices that connect to the gateway.

use std::time::Duration;

use guideway_contract::kit::{Peer, Running};
use guideway_contract::{Native, Outcome, Protocol as _};
use guideway_serial::{Config, Serial};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{SOON, adapter, point, weight};

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_connects_sends_goes_and_comes_back() {
    let port = free_port();
    let mut running =
        Running::start(adapter(&format!("listen://127.0.0.1:{port}"), vec![point("line", "u32")]));
    let mut peer = Peer::python_on("serial_peer.py", &port.to_string(), &["connect"]).await;
    for round in 1..=5 {
        running.connected(SOON).await;
        peer.say(&format!(r"send {round}\r\n")).await;
        running.value(0, &Native::Int(round), SOON).await;
        peer.say("hangup").await;
        running.disconnected(SOON).await;
        assert!(matches!(running.write(&[(0, Native::Int(1))]).await, Outcome::NotSent(_)));
        peer.say("dial").await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_connects_can_be_asked() {
    let port = free_port();
    let mut running = Running::start(adapter(&format!("listen://127.0.0.1:{port}"), vec![weight()]));
    let _peer = Peer::python_on("serial_peer.py", &port.to_string(), &["connect"]).await;
    running.value(0, &Native::Float(100.0), SOON).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_replaces_one_that_may_be_dead() {
    let port = free_port();
    let mut config = Config { stale: Some(Duration::from_secs(60)), ..Config::default() };
    config.listen = format!("127.0.0.1:{port}");
    let mut running = Running::start(Serial::adapter(config, vec![point("line", "u32")]));
    let mut devices = Vec::new();
    for round in 1..=5 {
        let mut device = loop {
            match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(device) => break device,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        device.write_all(format!("{round}\r\n").as_bytes()).await.unwrap();
        running.value(0, &Native::Int(round), SOON).await;
        devices.push(device);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut running =
        Running::start(adapter(&format!("listen://127.0.0.1:{port}"), vec![point("line", "u32")]));
    running.disconnected(SOON).await;
    drop(taken);
    let _peer = Peer::python_on("serial_peer.py", &port.to_string(), &["connect"]).await;
    running.connected(SOON).await;
    running.stop().await;
}
