//! Every parameter, and every way to get it wrong.

use crate::stage::Stage;

#[tokio::test]
async fn what_is_wrong_is_refused_with_the_parameter_named() {
    let stage = Stage::with(|_| {}, 64);
    stage.positions(0, 200);
    let bounds = stage.journal.bounds();
    let (first, next) = (bounds.first, bounds.next);
    let cases = [
        ("/sample?count=10abc", "InvalidParameterValue", "10abc"),
        ("/sample?count=1.5", "InvalidParameterValue", "1.5"),
        ("/sample?count=1e3", "InvalidParameterValue", "1e3"),
        ("/sample?count=%2010", "InvalidParameterValue", "count"),
        ("/sample?count=+10", "InvalidParameterValue", "count"),
        ("/sample?count=", "InvalidParameterValue", "count"),
        ("/sample?count", "InvalidParameterValue", "count"),
        ("/sample?count=0x10", "InvalidParameterValue", "0x10"),
        ("/sample?count=18446744073709551616", "OutOfRange", "18446744073709551616"),
        ("/sample?count=340282366920938463463374607431768211456", "OutOfRange", "count"),
        ("/sample?count=0", "OutOfRange", "must not be 0"),
        ("/sample?count=65", "OutOfRange", "64"),
        ("/sample?count=-65", "OutOfRange", "-64"),
        ("/sample?from=-1", "OutOfRange", "from"),
        (&format!("/sample?from={}", first - 1), "OutOfRange", "from"),
        (&format!("/sample?from={}", next + 1), "OutOfRange", "from"),
        (&format!("/sample?to={}", next + 1), "OutOfRange", "to"),
        (&format!("/sample?to={first}"), "OutOfRange", "to"),
        (&format!("/sample?from={}&to={}", first + 5, first + 5), "OutOfRange", "to"),
        (&format!("/sample?to={}&count=-5", first + 5), "OutOfRange", "count"),
        ("/sample?interval=-1", "OutOfRange", "interval"),
        ("/sample?interval=1s", "InvalidParameterValue", "1s"),
        ("/sample?interval=10&heartbeat=1", "OutOfRange", "heartbeat"),
        ("/sample?heartbeat=x", "InvalidParameterValue", "heartbeat"),
        ("/sample?interval=10&count=-5", "OutOfRange", "count"),
        (&format!("/sample?interval=10&to={}", first + 5), "InvalidRequest", "to"),
        (&format!("/current?at={next}"), "OutOfRange", "at"),
        (&format!("/current?at={}", first - 1), "OutOfRange", "at"),
        (&format!("/current?at={first}&interval=100"), "InvalidRequest", "at"),
        ("/current?interval=0", "OutOfRange", "interval"),
        ("/current?from=1", "InvalidRequest", "interval, path"),
        ("/current?pretty=1", "InvalidParameterValue", "true or false"),
        ("/current?format=yaml", "InvalidParameterValue", "xml, json"),
        ("/current?deviceType=Robot", "InvalidParameterValue", "Device, Agent"),
        ("/current?Path=//Axes", "InvalidRequest", "'Path'"),
        ("/current?path=//Axes&path=//Axes", "InvalidRequest", "more than once"),
        ("/current?pa%zzth=1", "InvalidRequest", "percent"),
        ("/current?path=%ff", "InvalidRequest", "percent"),
        ("/probe?path=//Axes", "InvalidRequest", "'path'"),
        ("/assets?count=0", "OutOfRange", "count"),
        ("/assets?removed=yes", "InvalidParameterValue", "removed"),
        ("/Mill/assets?device=Mill", "InvalidRequest", "device"),
        ("/asset/a?type=b", "InvalidRequest", "'type'"),
    ];
    for (target, kind, hint) in cases {
        let response = stage.get(target).await;
        assert_eq!(response.status, 400, "{target}: {}", response.body);
        assert!(response.body.contains("<MTConnectError"), "{target}: {}", response.body);
        // A parameter that the schema of errors cannot name has another element.
        let other = if kind == "InvalidParameterValue" { "InvalidQueryParameter" } else { kind };
        let told = [kind, other].iter().any(|kind| response.body.contains(&format!("<{kind}>")));
        assert!(told && response.body.contains(hint), "{target}: {}", response.body);
    }
}

#[tokio::test]
async fn what_is_right_is_accepted() {
    let stage = Stage::with(|_| {}, 64);
    stage.positions(0, 200);
    let bounds = stage.journal.bounds();
    for target in [
        format!("/sample?from={}&count=64", bounds.first),
        format!("/sample?from={}", bounds.next),
        format!("/sample?to={}", bounds.next),
        format!("/sample?from={}&to={}", bounds.first, bounds.first + 1),
        format!("/current?at={}", bounds.first),
        format!("/current?at={}", bounds.next - 1),
        "/sample?count=-64&heartbeat=2&deviceType=Device&pretty=true&format=xml".to_owned(),
        "/probe?deviceType=Device&pretty=false&".to_owned(),
        "/current?&pretty=true".to_owned(),
    ] {
        let response = stage.get(&target).await;
        assert_eq!(response.status, 200, "{target}: {}", response.body);
    }
}

#[tokio::test]
async fn all_errors_of_a_request_come_in_one_document() {
    let stage = Stage::new();
    let response = stage.get("/sample?from=x&count=0&cuont=1").await;
    for hint in ["'from'", "'count'", "'cuont'"] {
        assert!(response.body.contains(hint), "{hint}: {}", response.body);
    }
}

#[tokio::test]
async fn pretty_is_indented() {
    let stage = Stage::new();
    let plain = stage.get("/current").await.body;
    let pretty = stage.get("/current?pretty=true").await.body;
    assert!(pretty.lines().count() > plain.lines().count() + 10, "{pretty}");
}

#[tokio::test]
async fn json_is_given_by_parameter_and_by_accept() {
    let stage = Stage::new();
    let by_parameter = stage.get("/probe?format=json").await;
    assert_eq!(by_parameter.field("Content-Type"), Some("application/mtconnect+json"));
    let ask = async |target: &str, accept: &str| {
        stage.ask(&format!("GET {target} HTTP/1.1\r\nAccept: {accept}\r\n\r\n")).await
    };
    let by_accept = ask("/probe", "application/json").await;
    assert_eq!(by_accept.field("Content-Type"), Some("application/mtconnect+json"));
    let parameter_wins = ask("/probe?format=xml", "application/json").await;
    assert_eq!(parameter_wins.field("Content-Type"), Some("application/xml"));
    // One was not given to the other out of the cache.
    assert_eq!(stage.get("/probe").await.field("Content-Type"), Some("application/xml"));
    let error = stage.get("/probe?format=json&nothing=1").await;
    assert_eq!(error.field("Content-Type"), Some("application/mtconnect+json"));
}
