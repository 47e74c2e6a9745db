//! Control over MQTT, end to end: paho-mqtt and PyJWT ask, mosquitto carries, pymodbus is the machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test that fails says what the gateway said")]
#![allow(missing_docs, unreachable_pub, reason = "only the test beside it uses the stage")]

mod support;

#[path = "control_mqtt/stage.rs"]
mod stage;

use serde_json::json;

use stage::{BASE, Between, Requester, Stage, claims, now, start_claims};

/// What is read of the requester's own answers.
const OWN: &str = "guideway/hall/control/response/scheduler/#";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_to_the_response_topic_with_the_correlation_data() {
    let mut stage = Stage::set("").await;
    let mut scheduler = Requester::new(&stage.broker, &[]).await;
    scheduler.subscribe(OWN).await;
    let inbox = format!("{BASE}/response/scheduler/inbox");
    let ask = json!({ "claims": claims("a-1", 12), "response": inbox, "correlation": "00ff10" });
    let answer = scheduler.ask(ask).await;
    assert_eq!((answer.topic.as_str(), answer.correlation.as_deref()), (inbox.as_str(), Some("00ff10")));
    assert_eq!(
        (answer.content_type.as_deref(), answer.qos, answer.retain),
        (Some("application/json"), 1, false)
    );
    assert_eq!(answer.payload["state"], "done", "{answer:?}");
    assert_eq!((&answer.payload["id"], &answer.payload["readBack"]["job"]), (&json!("a-1"), &json!(12)));
    assert!(answer.payload["audit"]["row"].as_u64().unwrap() > 0, "{answer:?}");
    assert_eq!(stage.register(100).await, 12);

    // Without a response topic it goes where the id says; the topic may name device and command.
    let topic = format!("{BASE}/request/Cell-1/set_job");
    let answer = scheduler.ask(json!({ "claims": claims("a-2", 13), "topic": topic })).await;
    assert_eq!(answer.topic, format!("{BASE}/response/scheduler/a-2"));
    assert_eq!((&answer.payload["state"], stage.register(100).await), (&json!("done"), 13));

    // What is known of the requester and still not done is answered to them, too.
    let answer = scheduler.ask(json!({ "claims": claims("a-3", 1_000) })).await;
    assert_eq!(
        (&answer.payload["state"], &answer.payload["reason"]),
        (&json!("rejected"), &json!("bad-argument"))
    );
    let health = stage.until("three answers", |health| health["answers"] == 3);
    assert_eq!((&health["requests"], &health["refused"], &health["lost"]), (&json!(3), &json!(0), &json!(0)));
    let metrics = stage.gateway().get("/metrics");
    assert!(metrics.contains("control_mqtt_total{broker=\"plant\",what=\"requests\"} 3"), "{metrics}");
    stage.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_3_1_1_an_answer_is_found_by_the_requests_id() {
    let mut stage = Stage::set("version = \"3.1.1\"").await;
    let mut scheduler = Requester::new(&stage.broker, &["3.1.1"]).await;
    scheduler.subscribe(OWN).await;
    for (id, value) in [("b-1", 21), ("b/2", 22)] {
        let answer = scheduler.ask(json!({ "claims": claims(id, value) })).await;
        assert_eq!(answer.topic, format!("{BASE}/response/scheduler/{}", id.replace('/', "_")));
        assert_eq!(
            (&answer.payload["id"], &answer.payload["state"]),
            (&json!(id), &json!("done")),
            "{answer:?}"
        );
        assert_eq!(stage.register(100).await, value);
    }
    stage.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_have_the_gateway_publish_anywhere_else() {
    let mut stage = Stage::set("response_topics = [\"mes/{requester}/#\", \"scada/+/answers\"]").await;
    let mut scheduler = Requester::new(&stage.broker, &[]).await;
    scheduler.subscribe("#").await;
    let allowed = ["mes/scheduler/x", "scada/7/answers"];
    let forbidden = [
        "plant/emergency-stop",
        "mes/other/x",
        "scada/7/answers/x",
        &format!("{BASE}/state"),
        &format!("{BASE}/request"),
        &format!("{BASE}/request/Cell-1/start"),
        &format!("{BASE}/refused"),
        &format!("{BASE}/response/other/1"),
    ];
    for (number, asked) in allowed.iter().chain(&forbidden).enumerate() {
        let id = format!("c-{number}");
        let own = format!("{BASE}/response/scheduler/{id}");
        let ask =
            json!({ "claims": claims(&id, 30 + number as u16), "response": asked, "correlation": "07" });
        scheduler.publish(ask).await;
        let answer = loop {
            let message = scheduler.next().await;
            if message.payload["id"] == id {
                break message;
            }
        };
        let expected = if allowed.contains(asked) { *asked } else { own.as_str() };
        assert_eq!((answer.topic.as_str(), answer.correlation.as_deref()), (expected, Some("07")), "{asked}");
        assert_eq!(answer.payload["state"], "done", "{answer:?}");
    }
    stage.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_refused_to_everybody_and_leaves_the_machine_alone() {
    for version in ["5", "3.1.1"] {
        let mut stage = Stage::set(&format!("version = \"{version}\"\nmax_payload = \"4 KiB\"")).await;
        let mut scheduler =
            Requester::new(&stage.broker, if version == "5" { &[] } else { &["3.1.1"] }).await;
        scheduler.subscribe(&format!("{BASE}/refused")).await;
        let mut mistaken = claims("d-4", 5);
        mistaken["aud"] = "another-gateway".into();
        let forged = "another secret of 32 bytes or more.";
        let cases = [
            (json!({ "text": "" }), "malformed", ""),
            (json!({ "text": "{\"command\":\"set_job\"}" }), "malformed", ""),
            (json!({ "bytes": 4_097 }), "oversized", ""),
            (json!({ "bytes": 100_000 }), "oversized", ""),
            (json!({ "claims": claims("d-3", 5), "secret": forged }), "unauthenticated", "d-3"),
            (json!({ "claims": mistaken }), "unauthenticated", "d-4"),
            (
                json!({ "claims": claims("d-5", 5), "topic": format!("{BASE}/request/Cell-1/start") }),
                "malformed",
                "d-5",
            ),
            (
                json!({ "claims": claims("d-6", 5), "topic": format!("{BASE}/request/Cell-2/set_job") }),
                "malformed",
                "d-6",
            ),
        ];
        for (ask, reason, id) in &cases {
            let answer = scheduler.ask(ask.clone()).await;
            assert_eq!(
                (&answer.payload["state"], &answer.payload["reason"]),
                (&json!("rejected"), &json!(reason)),
                "{ask}"
            );
            assert_eq!(answer.payload["id"], *id, "{answer:?}");
            assert!(answer.payload["audit"]["row"].as_u64().unwrap() > 0, "{answer:?}");
        }
        assert_eq!(stage.register(100).await, 0);
        let health = stage.until("they are counted", |health| health["answers"] == cases.len());
        assert_eq!((&health["refused"], &health["reconnects"]), (&json!(cases.len()), &json!(0)));
        stage.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_broker_keeps_is_refused() {
    for version in ["5", "3.1.1"] {
        let mut stage = Stage::set(&format!("version = \"{version}\"")).await;
        let mut scheduler = Requester::new(&stage.broker, &[]).await;
        scheduler.subscribe(&format!("{BASE}/refused")).await;
        scheduler.subscribe(OWN).await;
        let ask = json!({ "claims": claims("e-1", 40), "retain": true });
        let first = scheduler.ask(ask).await;
        if version == "5" {
            // It is known for one at once.
            assert_eq!(first.payload["reason"], "malformed", "{first:?}");
            assert!(first.payload["detail"].as_str().unwrap().starts_with("retained"), "{first:?}");
        } else {
            // 3.1.1 says so only to who comes later.
            assert_eq!(first.payload["state"], "done", "{first:?}");
            stage.set_register(100, 0).await;
        }
        stage.stop();
        stage.start();
        let again = scheduler.next().await;
        assert_eq!(again.topic, format!("{BASE}/refused"));
        assert!(again.payload["detail"].as_str().unwrap().starts_with("retained"), "{again:?}");
        assert_eq!(stage.register(100).await, 0);
        stage.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_is_carried_out_once() {
    let between = Between::new();
    let mut stage = Stage::behind("", Some(&between), |_| "allow_anonymous true".to_owned()).await;
    let mut scheduler = Requester::new(&stage.broker, &[]).await;
    scheduler.subscribe(OWN).await;

    // Its requester sends it twice.
    let signed = scheduler.sign(&claims("f-1", 51)).await;
    let first = scheduler.ask(json!({ "text": signed })).await;
    assert_eq!((&first.payload["state"], first.payload.get("replayed")), (&json!("done"), None));
    stage.set_register(100, 7).await;
    let second = scheduler.ask(json!({ "text": signed, "correlation": "02" })).await;
    assert_eq!((&second.payload["state"], &second.payload["replayed"]), (&json!("done"), &json!(true)));
    assert_eq!((second.correlation.as_deref(), stage.register(100).await), (Some("02"), 7));

    // The broker sends it again, because it could not know that it had arrived: while it is carried out …
    between.swallow(true);
    scheduler.publish(json!({ "claims": start_claims("f-2") })).await;
    stage.until_register(101, 1).await;
    between.cut();
    stage.until("it has come again", |health| health["duplicates"] == 1);
    between.swallow(false);
    stage.set_register(102, 1).await;
    let started = scheduler.next().await;
    assert_eq!(
        (&started.payload["id"], &started.payload["state"]),
        (&json!("f-2"), &json!("done")),
        "{started:?}"
    );
    assert_eq!(started.payload.get("replayed"), None);
    stage.until_register(101, 0).await;

    // … and after it was. Its acknowledgement is out only when the answer is counted.
    stage.set_register(102, 0).await;
    stage.until("it is acknowledged", |health| health["answers"] == 3);
    between.cut();
    let again = scheduler.next().await;
    assert_eq!(
        (&again.payload["id"], &again.payload["replayed"]),
        (&json!("f-2"), &json!(true)),
        "{again:?}"
    );
    assert_eq!(again.payload["state"], "done");
    let health = stage.until("it is acknowledged", |health| health["answers"] == 4);
    assert_eq!((&health["requests"], &health["reconnects"]), (&json!(5), &json!(2)));
    assert_eq!(stage.register(101).await, 0);
    assert_eq!(stage.done(), 2, "two requests were carried out");
    stage.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_at_the_broker_while_the_gateway_is_away_but_not_longer_than_they_are_good() {
    for version in ["5", "3.1.1"] {
        let mut stage = Stage::set(&format!("version = \"{version}\"")).await;
        let mut scheduler = Requester::new(&stage.broker, &[]).await;
        scheduler.subscribe(OWN).await;
        stage.kill();
        let mut old = claims("g-1", 61);
        old["exp"] = json!(now() - 0.5);
        scheduler.publish(json!({ "claims": old, "correlation": "01" })).await;
        scheduler.publish(json!({ "claims": claims("g-2", 62), "correlation": "02" })).await;
        stage.start();
        let mut answers = [scheduler.next().await, scheduler.next().await];
        answers.sort_by_key(|answer| answer.payload["id"].to_string());
        let [expired, done] = &answers;
        assert_eq!(
            (&expired.payload["id"], &expired.payload["reason"]),
            (&json!("g-1"), &json!("expired")),
            "{expired:?}"
        );
        assert_eq!(
            (&done.payload["id"], &done.payload["state"]),
            (&json!("g-2"), &json!("done")),
            "{done:?}"
        );
        if version == "5" {
            assert_eq!(
                (expired.correlation.as_deref(), done.correlation.as_deref()),
                (Some("01"), Some("02"))
            );
        }
        assert_eq!(stage.register(100).await, 62);
        stage.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_while_the_broker_is_away() {
    let mut stage = Stage::set("").await;
    let mut scheduler = Requester::new(&stage.broker, &["id=scheduler"]).await;
    scheduler.subscribe(OWN).await;
    scheduler.publish(json!({ "claims": start_claims("h-1"), "correlation": "0a" })).await;
    stage.until_register(101, 1).await;
    stage.broker.stop();
    stage.set_register(102, 1).await;
    stage.until("the answer waits", |health| health["waiting"] == 1 && health["state"] != "connected");
    // The broker keeps it for whoever is not there again yet.
    stage.broker.resume();
    let answer = scheduler.next().await;
    assert_eq!(
        (&answer.payload["id"], &answer.payload["state"]),
        (&json!("h-1"), &json!("done")),
        "{answer:?}"
    );
    assert_eq!(answer.correlation.as_deref(), Some("0a"));
    let next = scheduler.ask(json!({ "claims": claims("h-2", 70) })).await;
    assert_eq!((&next.payload["state"], stage.register(100).await), (&json!("done"), 70), "{next:?}");
    stage.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_whether_control_is_on() {
    let mut stage = Stage::set("").await;
    let mut reader = Requester::new(&stage.broker, &[]).await;
    reader.subscribe(&format!("{BASE}/state")).await;
    let on = reader.next().await;
    assert_eq!((&on.payload["enabled"], on.retain), (&json!(true), true), "{on:?}");
    assert!(on.payload["since"].as_str().unwrap().ends_with('Z'), "{on:?}");
    let file = stage.folder.path().join("data/control.off");
    std::fs::write(&file, "").unwrap();
    let off = reader.next().await;
    assert_eq!(off.payload["enabled"], false, "{off:?}");
    assert_ne!(off.payload["by"], "", "{off:?}");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(reader.next().await.payload["enabled"], true);
    stage.kill();
    let lost = json!({ "enabled": false, "by": "gateway", "reason": "connection lost" });
    assert_eq!(reader.next().await.payload, lost);
    stage.start();
    assert_eq!(reader.next().await.payload["enabled"], true);
    stage.stop();
    let last = loop {
        let message = reader.next().await;
        if message.payload["reason"] == "stopped" {
            break message;
        }
    };
    assert_eq!((&last.payload["enabled"], &last.payload["by"]), (&json!(false), &json!("gateway")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_to_be_read_does_not_stop_the_face() {
    for version in ["5", "3.1.1"] {
        let mut stage = Stage::set(&format!("version = \"{version}\"")).await;
        let mut scheduler = Requester::new(&stage.broker, &[]).await;
        scheduler.subscribe(OWN).await;
        scheduler.publish(json!({ "bytes": 400_000 })).await;
        if version == "3.1.1" {
            stage.until("the session is begun anew", |health| {
                health["renewed"] == 1 && health["state"] == "connected"
            });
        }
        let answer = scheduler.ask(json!({ "claims": claims("i-1", 80) })).await;
        assert_eq!((&answer.payload["state"], stage.register(100).await), (&json!("done"), 80), "{answer:?}");
        stage.stop();
    }
}

/// The access rules that the page recommends, for this gateway and machine.
fn recommended_rules() -> String {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/control.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut blocks = text.split("```text\n").filter_map(|block| block.split("```").next());
    let rules = blocks.find(|block| block.starts_with("user guideway\n")).expect("the page has the rules");
    rules.replace("cell-7", "hall")
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_access_rules_of_the_page_nobody_reads_anothers_answers() {
    let more = "username = \"guideway\"\npassword = \"gate\"";
    let mut stage = Stage::behind(more, None, |folder| {
        let (passwords, rules) = (folder.join("passwords"), folder.join("acl"));
        for (index, (user, word)) in
            [("guideway", "gate"), ("scheduler", "one"), ("maintenance", "two")].into_iter().enumerate()
        {
            let mut command = std::process::Command::new("mosquitto_passwd");
            command.arg("-b").args((index == 0).then_some("-c")).arg(&passwords).args([user, word]);
            assert!(command.status().unwrap().success());
        }
        std::fs::write(&rules, recommended_rules()).unwrap();
        let (passwords, rules) = (passwords.display(), rules.display());
        format!("allow_anonymous false\npassword_file {passwords}\nacl_file {rules}")
    })
    .await;
    let mut scheduler = Requester::new(&stage.broker, &["user=scheduler", "password=one"]).await;
    let mut other = Requester::new(&stage.broker, &["user=maintenance", "password=two"]).await;
    other.subscribe("#").await;
    scheduler.subscribe(OWN).await;
    assert_eq!(other.next().await.topic, format!("{BASE}/state"));
    // Neither what another user may not ask for at the broker …
    let topic = |command: &str| format!("{BASE}/request/Cell-1/{command}");
    other.publish(json!({ "claims": claims("j-1", 91), "topic": topic("set_job") })).await;
    // … nor what this one may not ask for there, though it signs as it should, gets to the gateway.
    scheduler.publish(json!({ "claims": start_claims("j-2"), "topic": topic("start") })).await;
    scheduler.publish(json!({ "claims": claims("j-3", 92) })).await;
    let ask = json!({ "claims": claims("j-4", 90), "topic": topic("set_job"), "correlation": "09" });
    let answer = scheduler.ask(ask).await;
    assert_eq!(
        (&answer.payload["id"], &answer.payload["state"]),
        (&json!("j-4"), &json!("done")),
        "{answer:?}"
    );
    assert_eq!(stage.register(100).await, 90);
    assert_eq!(stage.health()["requests"], 1);
    // Of all that, the other one sees nothing: what comes next is the state.
    stage.stop();
    let seen = other.next().await;
    assert_eq!(seen.topic, format!("{BASE}/state"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_command_that_a_kill_has_cut_off_is_answered_after_the_restart() {
    for version in ["5", "3.1.1"] {
        let mut stage = Stage::set(&format!("version = \"{version}\"")).await;
        let mut scheduler = Requester::new(&stage.broker, &[]).await;
        scheduler.subscribe(OWN).await;
        scheduler.publish(json!({ "claims": start_claims("k-1"), "correlation": "0b" })).await;
        stage.until_register(101, 1).await;
        stage.kill();
        stage.start();
        let answer = scheduler.next().await;
        assert_eq!(answer.topic, format!("{BASE}/response/scheduler/k-1"));
        assert_eq!(answer.correlation.as_deref(), (version == "5").then_some("0b"));
        assert_eq!(answer.payload["state"], "timed-out", "{answer:?}");
        // The same request again has the same end, and nothing is written.
        stage.until_register(101, 0).await;
        let again = scheduler.ask(json!({ "claims": start_claims("k-1") })).await;
        assert_eq!(again.payload["id"], "k-1", "{again:?}");
        assert_eq!(
            (&again.payload["state"], &again.payload["replayed"]),
            (&json!("timed-out"), &json!(true)),
            "{again:?}"
        );
        assert_eq!(stage.register(101).await, 0);
        stage.stop();
    }
}
