//! What is asked, and with which status it ends.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::hall::{Client, Hall, basic, post};

fn told(status: u16, state: &str, reason: &str) -> (u16, String, String) {
    (status, state.to_owned(), reason.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_is_carried_out_once_and_its_end_is_told_again() {
    let mut hall = Hall::start().await;
    let signed = hall.signed("relay", json!({ "on": true }));
    let answer = hall.post("/control/Cell/relay", "Content-Type: application/jose\r\n", &signed).await;
    assert_eq!(answer.told(), told(200, "done", ""), "{answer:?}");
    assert!(answer.has("content-type: application/json"), "{}", answer.head);
    assert!(answer.json()["audit"]["row"].as_u64() > Some(0), "{answer:?}");
    assert_eq!(hall.peer.say("get 1 coil 10 1").await, "true");
    let writes = hall.writes().await;

    // What a file has behind it, and what clients say of a body whose kind they do not know, makes no difference.
    let fields = "Content-Type: application/x-www-form-urlencoded\r\n";
    let again = hall.post("/control/Cell/relay/", fields, &format!("{signed}\n")).await;
    assert_eq!(again.told(), told(200, "done", ""), "{again:?}");
    assert_eq!(again.json()["replayed"], true, "{again:?}");
    assert_eq!(hall.writes().await, writes, "it was carried out twice");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_password_asks_from_this_computer() {
    let mut hall = Hall::start().await;
    let anna = format!("{}Content-Type: application/json\r\n", basic("anna", "open sesame"));
    let answer = hall.post("/control/Cell/relay", &anna, &hall.plain(&json!({ "on": true }))).await;
    assert_eq!(answer.told(), told(200, "done", ""), "{answer:?}");
    assert_eq!(hall.peer.say("get 1 coil 10 1").await, "true");

    let body = hall.plain(&json!({ "on": false })).replace('{', "{\"id\":\"twice\",");
    let answer = hall.post("/control/Cell/relay", &anna, &body).await;
    assert_eq!(answer.told(), told(400, "rejected", "malformed"), "{answer:?}");
    let body = hall.plain(&json!({ "on": false })).replacen('{', "{\"requester\":\"twin\",", 1);
    let answer = hall.post("/control/Cell/relay", &anna, &body).await;
    assert_eq!(answer.told(), told(400, "rejected", "malformed"), "{answer:?}");
    assert!(answer.body.contains("unknown key `requester`"), "{answer:?}");

    // Nobody, somebody else, and somebody with another kind of proof.
    let body = hall.plain(&json!({ "on": false }));
    for fields in
        [basic("anna", "open"), basic("nobody", "x"), "Authorization: Bearer x\r\n".into(), String::new()]
    {
        let fields = format!("{fields}Content-Type: application/json\r\n");
        let answer = hall.post("/control/Cell/relay", &fields, &body).await;
        assert_eq!(answer.told(), told(401, "rejected", "unauthenticated"), "{fields}: {answer:?}");
        assert!(answer.has("www-authenticate: basic"), "{}", answer.head);
    }
    assert_eq!(hall.peer.say("get 1 coil 10 1").await, "true");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_from_another_computer_is_not_taken() {
    let hall = Hall::with("http = true", "address = \"0.0.0.0\"").await;
    // An address of this computer that is not loopback: what comes from there could come from anywhere.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    let Some(own) = own.ok().map(|own| own.ip()).filter(|ip| !ip.is_loopback()) else {
        println!("SKIPPED: this computer has no address but loopback");
        return;
    };
    let mut client = Client::new((own, hall.address.port()).into()).await;
    let fields = format!("{}Content-Type: application/json\r\n", basic("anna", "open sesame"));
    client.send(post("/control/Cell/relay", &fields, &hall.plain(&json!({ "on": true })))).await;
    let answer = client.answer().await;
    assert_eq!(answer.told(), told(401, "rejected", "unauthenticated"), "{answer:?}");
    assert!(!answer.has("www-authenticate"), "{}", answer.head);
    client.send(post("/control/Cell/relay", "", &hall.signed("relay", json!({ "on": true })))).await;
    assert_eq!(client.answer().await.status, 200);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_has_its_status_and_a_row_and_touches_nothing() {
    let mut hall = Hall::start().await;
    let before = hall.writes().await;
    let on = || json!({ "on": true });
    let by = |change: &dyn Fn(&mut Json)| hall.signed_by("Cell", "relay", on(), |claims| change(claims));
    let now = jiff::Timestamp::now().as_second();
    let reused = hall.signed_by("Cell", "relay", json!({}), |claims| claims["jti"] = "one".into());
    let cases = [
        ("/control/Cell/relay", "nonsense".to_owned(), 400, "malformed"),
        ("/control/Cell/relay", String::new(), 400, "malformed"),
        ("/control/Cell/relay", format!("{}x", by(&|_| ())), 401, "unauthenticated"),
        ("/control/Cell/relay", by(&|claims| claims["iss"] = "nobody".into()), 401, "unauthenticated"),
        ("/control/Cell/relay", by(&|claims| claims["aud"] = "other".into()), 401, "unauthenticated"),
        ("/control/Cell/relay", by(&|claims| claims["iss"] = "guest".into()), 403, "not-permitted"),
        ("/control/Cell/load", by(&|_| ()), 400, "malformed"),
        ("/control/Press/relay", hall.signed_by("Press", "relay", on(), |_| ()), 404, "unknown-device"),
        ("/control/Cell/secret", hall.signed("secret", json!({})), 404, "unknown-command"),
        ("/control/Cell/relay", hall.signed("relay", json!({ "on": 1 })), 400, "bad-argument"),
        ("/control/Cell/relay", by(&|claims| claims["exp"] = (now - 1).into()), 410, "expired"),
        ("/control/Cell/relay", by(&|claims| claims["exp"] = (now + 9_999).into()), 400, "valid-too-long"),
        ("/control/Cell/relay", reused.clone(), 400, "bad-argument"),
        ("/control/Cell/relay", by(&|claims| claims["jti"] = "one".into()), 409, "id-reused"),
        ("/control/Cell", by(&|_| ()), 404, "unknown-command"),
        ("/control", by(&|_| ()), 404, "unknown-command"),
        ("/control/Cell/relay/now", by(&|_| ()), 404, "unknown-command"),
        ("/control/Cell/relay?on=true", by(&|_| ()), 400, "malformed"),
    ];
    for (target, body, status, reason) in &cases {
        let answer = hall.post(target, "", body).await;
        assert_eq!(answer.told(), told(*status, "rejected", reason), "{target} {body}: {answer:?}");
        assert!(answer.json()["audit"]["row"].as_u64() > Some(0), "{answer:?}");
        assert!(!answer.body.contains("ssss"), "{answer:?}");
    }
    hall.peer.say("set 1 holding 0 1").await;
    hall.until("the cell is at work", |hall| !hall.control.is_ready("Cell", "load")).await;
    let answer = hall.ask("relay", on()).await;
    assert_eq!(answer.told(), told(409, "rejected", "interlock"), "{answer:?}");
    hall.control.set_switch(false, "test", "for a test").unwrap();
    let answer = hall.ask("relay", on()).await;
    assert_eq!(answer.told(), told(503, "rejected", "control-off"), "{answer:?}");
    assert_eq!(hall.writes().await, before, "the machine was touched");
    println!(
        "{} rejections, {} requests",
        cases.len() + 2,
        hall.agent.view().http.get().unwrap().commands.get()
    );
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let hall = Hall::with("http = true\nburst = 2\nper_minute = 1", "address = \"127.0.0.1\"").await;
    for number in 0..2 {
        assert_eq!(hall.ask("set_level", json!({ "level": number })).await.status, 200);
    }
    let answer = hall.ask("set_level", json!({ "level": 3 })).await;
    assert_eq!(answer.told(), told(429, "rejected", "rate-limited"), "{answer:?}");
    assert!(answer.has("retry-after: 60\r\n"), "{}", answer.head);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_command_runs_others_are_served_and_one_who_leaves_does_not_stop_it() {
    let mut hall = Hall::start().await;
    let load = || json!({ "name": "O1", "job": 7 });
    // The machine gives no answer, so that the command runs for some seconds.
    let mut client = Client::new(hall.address).await;
    client.send(post("/control/Cell/load", "", &hall.signed("load", load()))).await;
    let is_running = |hall: &Hall| hall.control.status()[0].running.is_some();
    hall.until("the command runs", is_running).await;
    let begun = Instant::now();
    let answer = hall.ask("relay", json!({ "on": true })).await;
    assert_eq!(answer.told(), told(409, "rejected", "busy"), "{answer:?}");
    assert_eq!(hall.get("/current").await.status, 200);
    let shown = hall.get("/control/Cell").await.json();
    assert_eq!(shown["running"]["command"], "load", "{shown:#}");
    println!("served within {:?} meanwhile", begun.elapsed());
    assert!(is_running(&hall), "the others had to wait for it");
    drop(client);
    hall.until("it has ended", |hall| {
        let cell = &hall.control.status()[0];
        cell.running.is_none() && cell.last.as_ref().is_some_and(|end| end.command == "load")
    })
    .await;
    let last = hall.get("/control/Cell").await.json()["last"].clone();
    assert_eq!(
        (last["reason"].as_str(), last["released"].as_bool()),
        (Some("not-read-back"), Some(true)),
        "{last:#}"
    );
    assert_eq!(hall.peer.say("get 1 holding 30 1").await, "0");

    let answer = hall.ask("load", load()).await;
    println!("{:?}", answer.told());
    assert_eq!(answer.told(), told(504, "timed-out", "not-read-back"), "{answer:?}");
    hall.peer.say("set 1 holding 32 5").await;
    let answer = hall.ask("load", load()).await;
    assert_eq!(answer.told(), told(502, "failed", "machine-refused"), "{answer:?}");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_the_gateway_waits_for_the_command_and_its_answer() {
    let mut hall = Hall::start().await;
    let before = hall.writes().await;
    let mut client = Client::new(hall.address).await;
    client
        .send(post("/control/Cell/load", "", &hall.signed("load", json!({ "name": "O1", "job": 7 }))))
        .await;
    // A stop between the writes lets the others follow, too.
    let written = async { while hall.writes().await == before {} };
    assert!(tokio::time::timeout(Duration::from_secs(10), written).await.is_ok(), "not soon: it is written");
    assert!(hall.control.status()[0].running.is_some());
    let (answer, ()) = tokio::join!(client.answer(), hall.stop());
    assert_eq!(answer.json()["reason"], "not-read-back", "{answer:?}");
}
