//! Requests that no client should send.

use std::time::Duration;

use serde_json::json;

use crate::hall::{Client, Hall, post};

async fn hall(more: &str) -> Hall {
    let mtconnect = format!("address = \"127.0.0.1\"\nallow_origins = [\"*\"]\n{more}");
    Hall::with("http = true\nburst = 1000", &mtconnect).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_to_say_its_length_and_to_be_short() {
    let mut hall = hall("").await;
    let before = hall.writes().await;
    let signed = hall.signed("relay", json!({ "on": true }));
    let length = signed.len();
    for (fields, body, status) in [
        (String::new(), signed.clone(), 411),
        ("Transfer-Encoding: chunked\r\n".into(), format!("{length:x}\r\n{signed}\r\n0\r\n\r\n"), 411),
        ("Transfer-Encoding: gzip, chunked\r\nExpect: 100-continue\r\n".into(), String::new(), 411),
        // It is told so before a byte of it is here.
        ("Content-Length: 16385\r\n".into(), String::new(), 413),
        ("Content-Length: 18446744073709551615\r\n".into(), String::new(), 413),
        ("Content-Length: 16385\r\nExpect: 100-continue\r\n".into(), String::new(), 413),
    ] {
        let mut client = Client::new(hall.address).await;
        client.send(format!("POST /control/Cell/relay HTTP/1.1\r\nHost: hall\r\n{fields}\r\n{body}")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{fields}: {answer:?}");
        assert!(answer.has("connection: close"), "{}", answer.head);
        assert!(answer.json()["audit"]["row"].as_u64() > Some(0), "{answer:?}");
        assert!(client.is_ended().await, "{fields}");
    }
    // The end of these is doubtful: they are no requests at all.
    for fields in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: {length}\r\nHost: elsewhere\r\n"),
    ] {
        let mut client = Client::new(hall.address).await;
        client.send(format!("POST /control/Cell/relay HTTP/1.1\r\nHost: hall\r\n{fields}\r\n{signed}")).await;
        assert_eq!(client.answer().await.status, 400, "{fields}");
        assert!(client.is_ended().await, "{fields}");
    }
    assert_eq!(hall.writes().await, before, "the machine was touched");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_waited_for_a_moment_only() {
    let mut hall = hall("header_timeout = \"2s\"").await;
    let before = hall.writes().await;
    let whole = post("/control/Cell/relay", "", &hall.signed("relay", json!({ "on": true })));
    let mut slow = Client::new(hall.address).await;
    slow.send(&whole[..whole.len() - 1]).await;
    let mut gone = Client::new(hall.address).await;
    gone.send(&whole[..whole.len() - 1]).await;
    drop(gone);
    // Others are served meanwhile.
    assert_eq!(hall.get("/probe").await.status, 200);
    let answer = slow.answer().await;
    assert_eq!(answer.told(), (408, "rejected".into(), "malformed".into()), "{answer:?}");
    assert!(slow.is_ended().await);
    assert_eq!(hall.writes().await, before, "the machine was touched");
    let stats = hall.agent.view().http.get().unwrap().clone();
    assert_eq!((stats.timeouts.get(), stats.commands.get()), (1, 2));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_behind_a_body_are_answered_in_order() {
    let mut hall = hall("").await;
    let level = |level: u32| {
        post("/control/Cell/set_level", "", &hall.signed("set_level", json!({ "level": level })))
    };
    let get = "GET /probe HTTP/1.1\r\nHost: hall\r\n\r\n";
    let all = format!("{get}{}{get}{}{}{get}", level(11), level(12), level(13));
    // In one piece, and cut in the middle of a body.
    for cut in [all.len(), all.find("\r\n\r\n").unwrap() + 300] {
        let mut client = Client::new(hall.address).await;
        client.send(&all[..cut]).await;
        assert_eq!(client.answer().await.status, 200);
        client.send(&all[cut..]).await;
        for (what, is_command) in
            [("11", true), ("a probe", false), ("12", true), ("13", true), ("a probe", false)]
        {
            let answer = client.answer().await;
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
            assert_eq!(answer.body.starts_with('{'), is_command, "{what}: {answer:?}");
        }
    }
    assert_eq!(hall.peer.say("get 1 holding 10 1").await, "130");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_with_its_body_is_told_to_go_on() {
    let hall = hall("").await;
    let signed = hall.signed("relay", json!({ "on": true }));
    let length = signed.len();
    let mut client = Client::new(hall.address).await;
    let head = "POST /control/Cell/relay HTTP/1.1\r\nHost: hall\r\nExpect: 100-continue\r\n";
    client.send(format!("{head}Content-Length: {length}\r\n\r\n")).await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(&signed).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    client.send("GET /probe HTTP/1.1\r\nHost: hall\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_can_neither_ask_nor_read() {
    let mut hall = hall("").await;
    let before = hall.writes().await;
    let signed = hall.signed("relay", json!({ "on": true }));
    for origin in ["http://evil.example", "null", "http://hall:5001", "https://hall.evil.example", "file://"]
    {
        let answer = hall.post("/control/Cell/relay", &format!("Origin: {origin}\r\n"), &signed).await;
        assert_eq!(answer.told(), (403, "rejected".into(), "not-permitted".into()), "{origin}: {answer:?}");
        assert!(!answer.has("access-control"), "{}", answer.head);
    }
    assert_eq!(hall.writes().await, before, "the machine was touched");
    let ask = |method: &str, target: &str| {
        format!("{method} {target} HTTP/1.1\r\nHost: hall\r\nOrigin: http://evil.example\r\n\r\n")
    };
    let mut client = Client::new(hall.address).await;
    for (method, target, status, shared) in [
        ("OPTIONS", "/control/Cell/relay", 204, false),
        ("GET", "/control", 200, false),
        ("GET", "/probe", 200, true),
    ] {
        client.send(ask(method, target)).await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.has("access-control-allow-origin")),
            (status, shared),
            "{answer:?}"
        );
    }
    let answer = hall.post("/control/Cell/relay", "Origin: http://hall\r\n", &signed).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_that_send_half_a_request_hold_up_nobody() {
    let hall = Hall::start().await;
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut client = Client::new(hall.address).await;
        client
            .send("POST /control/Cell/relay HTTP/1.1\r\nHost: hall\r\nContent-Length: 16384\r\n\r\nx")
            .await;
        held.push(client);
    }
    let begun = std::time::Instant::now();
    let answer = hall.ask("relay", json!({ "on": true })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    println!("{:?} beside 200 that are held", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(held);
    hall.stop().await;
}
