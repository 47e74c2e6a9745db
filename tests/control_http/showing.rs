//! What people see, and the panic switch.

use serde_json::json;

use crate::hall::{Client, Hall, basic};

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_there_is_to_ask_for_and_no_secrets() {
    let hall = Hall::start().await;
    let answer = hall.get("/control").await;
    assert_eq!(answer.status, 200);
    let shown = answer.json();
    assert_eq!(
        (&shown["enabled"], shown["devices"].as_array().unwrap().len()),
        (&json!(true), 1),
        "{shown:#}"
    );
    let cell = &shown["devices"][0];
    let names: Vec<_> = cell["commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|command| command["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["relay", "set_level", "load", "stale", "pick"]);
    let load = &cell["commands"][2];
    assert_eq!((&load["risk"], &load["ready"]), (&json!("program"), &json!(true)), "{load:#}");
    assert_eq!(
        load["arguments"],
        json!([
            { "name": "job", "type": "int", "min": 1.0, "max": 999.0 },
            { "name": "name", "type": "string", "maxLength": 16, "pattern": "[A-Z0-9]+" },
        ])
    );
    assert_eq!(cell["commands"][4]["arguments"][0]["oneOf"], json!([1, 2]));
    for secret in ["ssss", "argon2", "gggg", "twin", "anna"] {
        assert!(!answer.body.contains(secret), "{secret}");
    }
    let uuid = cell["uuid"].as_str().unwrap();
    for name in ["Cell", uuid, "Cell/", "%43ell"] {
        let one = hall.get(&format!("/control/{name}")).await;
        assert_eq!((one.status, one.json()["name"].as_str()), (200, Some("Cell")), "{name}");
    }
    for (target, status) in [
        ("/control/Press", 404),
        ("/control/Cell/relay", 405),
        ("/control/a/b/c", 404),
        ("/control/%zz", 404),
    ] {
        assert_eq!(hall.get(target).await.status, status, "{target}");
    }
    let mut client = Client::new(hall.address).await;
    for method in ["PUT", "DELETE", "PATCH"] {
        client.send(format!("{method} /control/Cell/relay HTTP/1.1\r\nHost: hall\r\n\r\n")).await;
        let answer = client.answer().await;
        assert!(answer.status == 405 && answer.has("allow: POST"), "{answer:?}");
    }
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_http_is_not_switched_on_there_is_nothing() {
    let mut hall = Hall::with("http = false", "address = \"127.0.0.1\"").await;
    let before = hall.writes().await;
    assert_eq!(hall.get("/control").await.status, 404);
    assert_eq!(hall.get("/control/Cell/relay").await.status, 404);
    let signed = hall.signed("relay", json!({ "on": true }));
    let answer = hall.post("/control/Cell/relay", "", &signed).await;
    assert!(answer.status == 405 && answer.body.contains("MTConnectError"), "{answer:?}");
    assert_eq!(hall.post("/control/off", "", &signed).await.status, 405);
    assert!(hall.control.switch().borrow().on);
    assert_eq!(hall.writes().await, before, "the machine was touched");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_ask_for_something_may_stop_all_of_it() {
    let hall = Hall::start().await;
    let now = jiff::Timestamp::now().as_second();
    let off = |change: &dyn Fn(&mut serde_json::Value)| {
        hall.signed_by("*", "off", json!({ "reason": "smoke\nin the hall" }), |claims| change(claims))
    };
    for (body, status) in [
        (off(&|claims| claims["iss"] = "guest".into()), 403),
        (off(&|claims| claims["exp"] = (now - 1).into()), 410),
        (off(&|claims| claims["exp"] = (now + 9_999).into()), 400),
        (hall.signed("relay", json!({ "on": true })), 400),
        (off(&|claims| claims["dry_run"] = true.into()), 200),
    ] {
        let answer = hall.post("/control/off", "", &body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(hall.control.switch().borrow().on, "{answer:?}");
    }
    let answer = hall.post("/control/off", "", &off(&|_| ())).await;
    assert_eq!(answer.json()["state"], "done", "{answer:?}");
    let shown = hall.get("/control").await.json();
    assert_eq!(shown["enabled"], false, "{shown:#}");
    assert_eq!((&shown["by"], &shown["reason"]), (&json!("twin"), &json!("smoke in the hall")), "{shown:#}");
    assert_eq!(hall.ask("relay", json!({ "on": true })).await.status, 503);
    assert_eq!(hall.post("/control/on", "", &off(&|_| ())).await.status, 404);

    // A switch does not fail because of its words.
    hall.control.set_switch(true, "test", "").unwrap();
    let wordy = off(&|claims| claims["args"] = json!({ "why": 1, "reason": "x".repeat(300) }));
    assert_eq!(hall.post("/control/off", "", &wordy).await.status, 200);
    let switch = hall.control.switch().borrow().clone();
    assert!(!switch.on && (1..300).contains(&switch.reason.len()), "{switch:?}");

    hall.control.set_switch(true, "test", "").unwrap();
    let anna = format!("{}Content-Type: application/json\r\n", basic("anna", "open sesame"));
    assert_eq!(hall.post("/control/off", &anna, &hall.plain(&json!({}))).await.status, 200);
    assert_eq!(hall.control.switch().borrow().by, "anna");
    hall.stop().await;
}
