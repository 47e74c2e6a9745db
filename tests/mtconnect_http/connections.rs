//! Connections that are used well, badly, or not at all.

use std::time::Duration;

use tokio::time::timeout;

use crate::stage::{PATIENCE, Stage};

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let stage = Stage::new();
    let mut client = stage.connect().await;
    client
        .send("GET /health?1 HTTP/1.1\r\n\r\nGET /probe HTTP/1.1\r\n\r\nGET /health?3 HTTP/1.1\r\n\r\n")
        .await;
    assert_eq!(client.response().await.body, "well 1");
    assert!(client.response().await.body.contains("<MTConnectDevices"));
    assert_eq!(client.response().await.body, "well 3");
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let stage = Stage::new();
    let mut client = stage.connect().await;
    for byte in "GET /health HTTP/1.1\r\nHost: x\r\n\r\n".chars() {
        client.send(&byte.to_string()).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_no_head_is_answered_and_the_connection_ends() {
    let stage = Stage::new();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(40_000));
    let fields = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100));
    for (bytes, status) in [
        ("\x16\x03\x01 hello\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        ("GET current HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        (long.as_str(), 431),
        (fields.as_str(), 431),
        ("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
    ] {
        let mut client = stage.connect().await;
        client.send(bytes).await;
        let response = client.response().await;
        let start: String = bytes.chars().take(40).collect();
        assert_eq!(response.status, status, "{start}");
        assert!(response.body.contains("<MTConnectError"), "{start}: {}", response.body);
        assert_eq!(response.field("Connection"), Some("close"), "{start}");
        assert!(client.ends().await, "{start}");
    }
    assert_eq!(stage.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_body_of_unknown_length_gets_its_answer_and_the_connection_ends() {
    let stage = Stage::new();
    for fields in ["Transfer-Encoding: chunked", "Content-Length: 5\r\nExpect: 100-continue"] {
        let mut client = stage.connect().await;
        client.send(&format!("PUT /asset/a HTTP/1.1\r\n{fields}\r\n\r\n")).await;
        let response = client.response().await;
        assert_eq!((response.status, response.field("Connection")), (405, Some("close")), "{fields}");
        assert!(client.ends().await);
    }
}

#[tokio::test]
async fn old_clients_are_answered_in_their_way() {
    let stage = Stage::new();
    let mut client = stage.connect().await;
    client.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!(response.field("Connection"), Some("keep-alive"));
    client.send("GET /health HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.field("Connection"), Some("close"));
    assert!(client.ends().await);
}

#[tokio::test]
async fn a_client_that_sends_its_head_too_slowly_is_told_so() {
    let stage = Stage::with(|options| options.header_timeout = Duration::from_millis(500), 64);
    let mut slow = stage.connect().await;
    slow.send("GET /current HTTP/1.1\r\nX: ").await;
    let response = slow.response().await;
    assert_eq!(response.status, 408);
    assert!(slow.ends().await);
    // Who says nothing at all is not answered.
    assert!(stage.connect().await.ends().await);
    assert_eq!(stage.stats.timeouts.get(), 1);
}

#[tokio::test]
async fn too_many_clients_are_told_so_and_those_who_are_served_are_not_disturbed() {
    let stage = Stage::with(|options| options.max_connections = 2, 64);
    let mut first = stage.connect().await;
    let mut second = stage.connect().await;
    for client in [&mut first, &mut second] {
        client.send("GET /health HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.response().await.status, 200);
    }
    let mut third = stage.connect().await;
    let response = third.response().await;
    assert_eq!(response.status, 503);
    assert!(response.body.contains("max_connections"), "{}", response.body);
    first.send("GET /health HTTP/1.1\r\n\r\n").await;
    assert_eq!(first.response().await.status, 200);
    drop(first);
    // A place is free again as soon as the face has noticed.
    let again = async {
        loop {
            let mut client = stage.connect().await;
            client.send("GET /health HTTP/1.1\r\n\r\n").await;
            if client.response().await.status == 200 {
                break;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("a free place");
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_the_port_is_free() {
    let stage = Stage::new();
    let mut idle = stage.connect().await;
    idle.send("GET /health HTTP/1.1\r\n\r\n").await;
    assert_eq!(idle.response().await.status, 200);
    let mut half = stage.connect().await;
    half.send("GET /heal").await;
    stage.cancel.cancel();
    let started = tokio::time::Instant::now();
    timeout(PATIENCE, stage.serving).await.expect("in time").expect("no panic").expect("no error");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(idle.ends().await);
    std::net::TcpListener::bind(stage.address).expect("a free port");
}

#[tokio::test]
async fn a_large_document_reaches_a_client_that_reads_late() {
    let stage = Stage::with(|_| {}, 16_384);
    stage.positions(0, 16_000);
    let mut client = stage.connect().await;
    client.send("GET /sample?count=16000 HTTP/1.1\r\n\r\n").await;
    // Others are served while it does not read.
    assert_eq!(stage.get("/health").await.status, 200);
    let response = client.response().await;
    assert_eq!(response.sequences().len(), 16_000);
}
