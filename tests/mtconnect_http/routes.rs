//! Every route, every method.

use guideway_contract::Value;

use crate::stage::Stage;

#[tokio::test]
async fn every_route_gives_its_document() {
    let stage = Stage::new();
    for (target, root, inside, outside) in [
        ("/", "MTConnectDevices", "Lathe 2", ""),
        ("/probe", "MTConnectDevices", "Lathe 2", ""),
        ("/probe/", "MTConnectDevices", "Lathe 2", ""),
        ("/Mill", "MTConnectDevices", "m_xpos", "Lathe 2"),
        ("/mill-1/probe", "MTConnectDevices", "m_xpos", "Lathe 2"),
        ("/Lathe%202/probe/", "MTConnectDevices", "l_pos", "m_xpos"),
        ("/current", "MTConnectStreams", "l_pos", ""),
        ("/Mill/current/", "MTConnectStreams", "m_xpos", "l_pos"),
        ("/lathe-2/current", "MTConnectStreams", "l_pos", "m_xpos"),
        ("/sample", "MTConnectStreams", "l_pos", ""),
        ("/Mill/sample", "MTConnectStreams", "m_xpos", "l_pos"),
        ("/asset", "MTConnectAssets", "", ""),
        ("/assets/", "MTConnectAssets", "", ""),
        ("/Mill/assets", "MTConnectAssets", "", ""),
        ("http://stage:5000/current", "MTConnectStreams", "l_pos", ""),
    ] {
        let response = stage.get(target).await;
        assert_eq!(response.status, 200, "{target}: {}", response.body);
        assert_eq!(response.field("Content-Type"), Some("application/xml"), "{target}");
        assert!(response.body.contains(&format!("<{root}")), "{target}: {}", response.body);
        assert!(response.body.contains(inside), "{target}: {}", response.body);
        assert!(outside.is_empty() || !response.body.contains(outside), "{target}: {}", response.body);
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_with_a_document_that_says_what_is() {
    let stage = Stage::new();
    for (target, code, hint) in [
        ("/Drill", "NoDevice", "Mill"),
        ("/Drill/current", "NoDevice", "Mill"),
        ("/Mill/nothing", "InvalidURI", "/current"),
        ("/a/b/c", "InvalidURI", "/current"),
        ("/asset/none;nothing", "AssetNotFound", "none"),
        ("/assets?device=Drill", "NoDevice", "Mill"),
        ("/Mill/current?deviceType=Agent", "NoDevice", "Mill"),
    ] {
        let response = stage.get(target).await;
        assert_eq!(response.status, 404, "{target}: {}", response.body);
        assert!(response.body.contains("<MTConnectError"), "{target}: {}", response.body);
        assert!(response.body.contains(code) && response.body.contains(hint), "{target}: {}", response.body);
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let stage = Stage::new();
    let got = stage.get("/probe").await;
    let mut client = stage.connect().await;
    client.send("HEAD /probe HTTP/1.1\r\n\r\nHEAD /none HTTP/1.1\r\n\r\nGET /probe HTTP/1.1\r\n\r\n").await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", got.body.len())), "{head}");
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
    assert_eq!(client.response().await.body.len(), got.body.len());
}

#[tokio::test]
async fn writing_is_405_with_a_document_and_allow() {
    let stage = Stage::new();
    for method in ["PUT", "POST", "DELETE", "PATCH", "BREW"] {
        let request = format!("{method} /asset/a?device=Mill HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
        let mut client = stage.connect().await;
        client.send(&request).await;
        let response = client.response().await;
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.field("Allow"), Some("GET, HEAD, OPTIONS"));
        assert!(response.body.contains("<MTConnectError") && response.body.contains("read only"));
        // The body was taken out of the way.
        client.send("GET /health HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.response().await.body, "well ");
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_read() {
    let stage = Stage::with(|options| options.allow_origins = vec!["https://twin.example".to_owned()], 64);
    let ask = async |method: &str, origin: &str| {
        stage.ask(&format!("{method} /current HTTP/1.1\r\nOrigin: {origin}\r\n\r\n")).await
    };
    let allowed = ask("GET", "https://twin.example").await;
    assert_eq!(allowed.field("Access-Control-Allow-Origin"), Some("https://twin.example"));
    assert_eq!(allowed.field("Vary"), Some("Origin"));
    assert_eq!(ask("GET", "https://other.example").await.field("Access-Control-Allow-Origin"), None);
    let preflight = ask("OPTIONS", "https://twin.example").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.field("Access-Control-Allow-Methods"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(preflight.field("Content-Length"), None);
}

#[tokio::test]
async fn current_shows_the_last_of_each_and_at_what_was() {
    let stage = Stage::new();
    let before = stage.journal.bounds().next;
    stage.positions(1, 3);
    let now = stage.get("/current?path=//DataItem[@id='m_xpos']").await;
    assert_eq!(now.sequences(), [before + 2]);
    assert_eq!(now.header("nextSequence"), before + 3);
    assert_eq!(now.header("lastSequence"), before + 2);
    let then = stage.get(&format!("/current?path=//DataItem[@id='m_xpos']&at={before}")).await;
    assert_eq!(then.sequences(), [before], "{}", then.body);
}

#[tokio::test]
async fn sample_pages_forward_backward_and_up_to() {
    let stage = Stage::new();
    let first = stage.journal.bounds().next;
    stage.positions(0, 50);
    let get = async |query: String| {
        let response = stage.get(&format!("/sample?path=//DataItem[@id='m_xpos']&{query}")).await;
        assert_eq!(response.status, 200, "{query}: {}", response.body);
        (response.sequences(), response.header("nextSequence"))
    };
    let range = |from: u64, until: u64| (first + from..first + until).collect::<Vec<_>>();
    assert_eq!(get(format!("from={first}&count=10")).await, (range(0, 10), first + 10));
    assert_eq!(get(format!("from={}&count=100", first + 40)).await, (range(40, 50), first + 50));
    assert_eq!(get(format!("from={}", first + 50)).await, (vec![], first + 50));
    assert_eq!(get("count=-10".to_owned()).await, (range(40, 50), first + 39));
    assert_eq!(get(format!("from={}&count=-10", first + 20)).await, (range(11, 21), first + 10));
    assert_eq!(get(format!("to={}&count=10", first + 20)).await, (range(11, 21), first + 21));
    assert_eq!(get(format!("from={}&to={}", first + 5, first + 9)).await, (range(5, 10), first + 10));
    assert_eq!(get(format!("to={}&count=3", first + 50)).await, (range(47, 50), first + 50));
}

#[tokio::test]
async fn a_filtered_sample_says_how_far_it_has_looked() {
    let stage = Stage::new();
    let first = stage.journal.bounds().next;
    stage.append(
        (0..20).map(|number| {
            (if number % 2 == 0 { "m_xpos" } else { "l_pos" }, Value::Number(f64::from(number)))
        }),
    );
    let target = format!("/Mill/sample?from={first}&count=3");
    let response = stage.get(&target).await;
    assert_eq!(response.sequences(), [first, first + 2, first + 4]);
    assert_eq!(response.header("nextSequence"), first + 5);
    let rest = stage.get(&format!("/Mill/sample?from={}&count=100", first + 5)).await;
    assert_eq!(rest.header("nextSequence"), first + 20);
}

#[tokio::test]
async fn assets_are_found_by_id_type_device_and_number() {
    let stage = Stage::new();
    stage.put_asset("t1", "CuttingTool", "mill-1", false);
    stage.put_asset("t2", "CuttingTool", "lathe-2", false);
    stage.put_asset("f1", "Fixture", "mill-1", false);
    stage.put_asset("t3", "CuttingTool", "mill-1", true);
    let ids = async |target: &str| {
        let response = stage.get(target).await;
        assert_eq!(response.status, 200, "{target}: {}", response.body);
        ["t1", "t2", "f1", "t3"]
            .into_iter()
            .filter(|id| response.body.contains(&format!("\"{id}\"")))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("/assets").await, ["t1", "t2", "f1"]);
    assert_eq!(ids("/asset?removed=true").await, ["t1", "t2", "f1", "t3"]);
    assert_eq!(ids("/assets?type=CuttingTool").await, ["t1", "t2"]);
    assert_eq!(ids("/assets?type=CuttingTool&device=Mill").await, ["t1"]);
    assert_eq!(ids("/mill-1/assets").await, ["t1", "f1"]);
    assert_eq!(ids("/assets?count=1").await, ["f1"]);
    assert_eq!(ids("/asset/t2").await, ["t2"]);
    assert_eq!(ids("/assets/t2;none;f1/").await, ["t2", "f1"]);
}

#[tokio::test]
async fn further_paths_and_files_are_served() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.xsd"), "<schema/>").expect("a file");
    let path = folder.path().to_owned();
    let stage = Stage::with(
        move |options| {
            let mount = guideway::northbound::mtconnect::FileMount { location: "/schemas/".to_owned(), path };
            options.files.push(mount);
        },
        64,
    );
    assert_eq!(stage.get("/health?verbose").await.body, "well verbose");
    let file = stage.get("/schemas/a.xsd").await;
    assert_eq!((file.status, file.body.as_str()), (200, "<schema/>"));
    assert_eq!(file.field("Content-Type"), Some("text/xml"));
    let none = stage.get("/schemas/../stage.rs").await;
    assert_eq!(none.status, 404);
    assert!(none.body.contains("<MTConnectError"));
}

#[tokio::test]
async fn a_changed_model_is_served_at_once() {
    let stage = Stage::new();
    assert!(stage.get("/probe").await.body.contains("name=\"Mill\""));
    assert_eq!(stage.get("/current?path=//Linear").await.status, 200);
    let options = guideway::device_model::Options { agent_device: false, ..Default::default() };
    let text = "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.0\"><Devices>\
        <Device id=\"d\" name=\"New\" uuid=\"new\"><DataItems>\
        <DataItem id=\"d_av\" type=\"AVAILABILITY\" category=\"EVENT\"/></DataItems></Device>\
        </Devices></MTConnectDevices>";
    let model =
        guideway::device_model::DeviceModel::from_xml(&[("new.xml".into(), text.into())], &options, None);
    stage.model.store(std::sync::Arc::new(model.expect("a model")));
    let probe = stage.get("/probe").await;
    assert!(probe.body.contains("name=\"New\"") && !probe.body.contains("name=\"Mill\""));
    assert_eq!(stage.get("/current?path=//Linear").await.status, 400);
}

#[tokio::test]
async fn the_same_question_within_a_second_is_encoded_once() {
    let stage = Stage::new();
    let mut client = stage.connect().await;
    let before = stage.stats.encoded.get();
    let started = std::time::SystemTime::now();
    for _ in 0..200 {
        client.send("GET /current HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.response().await.status, 200);
    }
    // `creationTime` is in seconds, so each second that passes costs one encoding.
    let seconds = started.elapsed().map_or(0, |elapsed| elapsed.as_secs()) + 2;
    let encoded = stage.stats.encoded.get() - before;
    assert!(encoded <= seconds, "{encoded} encodings in {seconds} seconds");
    stage.positions(1, 1);
    client.send("GET /current HTTP/1.1\r\n\r\n").await;
    let fresh = client.response().await;
    assert_eq!(fresh.header("nextSequence"), stage.journal.bounds().next);
}
