//! HistoryRead of a running gateway says what `/sample` says, over answers, directions and a restart.

#![allow(clippy::print_stdout, reason = "a test says what it counted")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use opcua_client::{ClientBuilder, HistoryReadAction, IdentityToken, Session};
use opcua_types::{
    ByteString, DataValue, DateTime, HistoryData, HistoryReadResult, HistoryReadValueId, KeyValuePair,
    MessageSecurityMode, NodeId, NumericRange, QualifiedName, ReadProcessedDetails, ReadRawModifiedDetails,
    ReadValueId, StatusCode, TimestampsToReturn, UserTokenPolicy, Variant,
};
use support::eventually;
use support::gateway::{Gateway, free_port};

const DEVICES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.7">
  <Header creationTime="2026-01-01T00:00:00Z" sender="tests" instanceId="1" version="2.7" bufferSize="1024"
          assetBufferSize="8" assetCount="0" deviceModelChangeTime="2026-01-01T00:00:00Z"/>
  <Devices>
    <Device id="m" name="mill" uuid="tests-mill-1">
      <DataItems>
        <DataItem id="avail" category="EVENT" type="AVAILABILITY"/>
        <DataItem id="x" category="SAMPLE" type="POSITION" subType="ACTUAL" units="MILLIMETER"/>
        <DataItem id="exec" category="EVENT" type="EXECUTION"/>
        <DataItem id="prog" category="EVENT" type="PROGRAM"/>
        <DataItem id="wave" category="SAMPLE" type="VOLTAGE" units="VOLT" representation="TIME_SERIES" sampleRate="100"/>
        <DataItem id="vars" category="EVENT" type="VARIABLE" representation="DATA_SET"/>
        <DataItem id="load" category="CONDITION" type="LOAD"/>
      </DataItems>
    </Device>
  </Devices>
</MTConnectDevices>
"#;

/// The data items that have a history.
const ITEMS: [&str; 6] = ["avail", "x", "exec", "prog", "wave", "vars"];

/// What one answer holds at most.
const ANSWER: usize = 100;

/// Sends the next text to each that connects.
fn source(texts: Vec<String>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for text in texts {
            let mut stream = listener.accept().unwrap().0;
            std::thread::spawn(move || {
                stream.write_all(text.as_bytes()).unwrap();
                // Open until the gateway goes.
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    port
}

/// Lines of a shift, with times that go back now and then, as those of real adapters do.
fn shift(hour: u32) -> String {
    let mut text = format!("2026-01-01T{hour:02}:00:00Z|avail|AVAILABLE\n");
    for n in 0..500_u32 {
        let second = n + if n % 50 == 7 { 0 } else { 20 };
        let time = format!("2026-01-01T{hour:02}:{:02}:{:02}.{:07}Z", second / 60, second % 60, n * 19_999);
        writeln!(text, "{time}|x|{}.{:03}", n / 7, n).unwrap();
        if n % 5 == 0 {
            writeln!(
                text,
                "{time}|exec|{}",
                ["ACTIVE", "READY", "STOPPED", "UNAVAILABLE"][n as usize / 5 % 4]
            )
            .unwrap();
        }
        if n % 10 == 0 {
            writeln!(text, "{time}|prog|O{n}").unwrap();
            writeln!(text, "{time}|wave|4|100|{n} {n}.25 {n}.5 {n}.75").unwrap();
            writeln!(text, "{time}|vars|k{}={n} all={n}", n / 10 % 7).unwrap();
        }
        if n % 100 == 0 {
            writeln!(text, "{time}|load|WARNING|{n}|1|HIGH|too much").unwrap();
        }
    }
    text
}

fn configure(folder: &Path, http: u16, opcua: u16, source: u16, buffer_size: u32) -> PathBuf {
    std::fs::write(folder.join("Devices.xml"), DEVICES).unwrap();
    let text = format!(
        r#"
[model]
devices = ["Devices.xml"]
agent_device = false

[journal]
buffer_size = {buffer_size}

[mtconnect]
address = "127.0.0.1"
port = {http}

[opcua]
address = "127.0.0.1"
port = {opcua}
hostnames = ["127.0.0.1"]
allow_none = true

[opcua.limits]
history_values = {ANSWER}

[[adapter.shdr]]
name = "mill"
host = "127.0.0.1"
port = {source}
"#
    );
    let path = folder.join("guideway.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Ticks of 100 ns of a time as `/sample` writes it.
fn ticks(text: &str) -> i64 {
    let time = guideway_contract::Timestamp::parse(text).unwrap();
    DateTime::from(time.nanos().div_euclid(100) + DateTime::ymd(1970, 1, 1).ticks()).ticks()
}

/// What `/sample` says of a data item: sequence, time, and text or entries.
type Said = (u64, String, String, BTreeMap<String, Option<String>>);

/// By data item.
fn sample(gateway: &Gateway) -> BTreeMap<String, Vec<Said>> {
    let document = gateway.get("/sample?count=100000");
    let tree = roxmltree::Document::parse(&document).unwrap();
    let mut said: BTreeMap<String, Vec<Said>> = BTreeMap::new();
    for node in tree.descendants().filter(|node| node.attribute("sequence").is_some()) {
        let attribute = |name| node.attribute(name).unwrap().to_owned();
        let entries = node.children().filter(|child| child.is_element()).map(|entry| {
            let removed = entry.attribute("removed") == Some("true");
            let value = (!removed).then(|| entry.text().unwrap_or_default().to_owned());
            (entry.attribute("key").unwrap().to_owned(), value)
        });
        said.entry(attribute("dataItemId")).or_default().push((
            attribute("sequence").parse().unwrap(),
            attribute("timestamp"),
            node.text().unwrap_or_default().to_owned(),
            entries.collect(),
        ));
    }
    said
}

/// A value as both faces can say it: source time, good or not, and text.
type Shown = (i64, bool, String);

/// What the history of a data item should be.
fn expected(id: &str, said: &[Said]) -> Vec<Shown> {
    let mut all = Vec::new();
    let mut set = BTreeMap::new();
    for (sequence, time, text, entries) in said {
        let time = ticks(time);
        // An empty series is one that is not available: the schema allows nothing but numbers.
        let good = text != "UNAVAILABLE" && !(id == "wave" && text.is_empty());
        if id == "wave" && good {
            let values: Vec<&str> = text.split_whitespace().collect();
            for (n, value) in values.iter().enumerate() {
                // A hundred values a second; the time is that of the last one.
                let at = time - 100_000 * (values.len() - 1 - n) as i64;
                all.push((time, *sequence, (at, true, number(value))));
            }
            continue;
        }
        let shown = match id {
            _ if !good => {
                set.clear();
                String::new()
            }
            "x" => number(text),
            "vars" => {
                for (key, value) in entries {
                    match value {
                        Some(value) => set.insert(key.clone(), number(value)),
                        None => set.remove(key),
                    };
                }
                set.iter().map(|(key, value)| format!("{key}={value} ")).collect()
            }
            _ => text.clone(),
        };
        all.push((time, *sequence, (time, good, shown)));
    }
    all.sort_by_key(|(time, sequence, _)| (*time, *sequence));
    all.into_iter().map(|(_, _, shown)| shown).collect()
}

fn number(text: &str) -> String {
    text.parse::<f64>().unwrap().to_string()
}

fn shown(value: &DataValue, words: &BTreeMap<u32, String>) -> Shown {
    let text = match value.value.as_ref().unwrap_or(&Variant::Empty) {
        Variant::Empty => String::new(),
        Variant::Double(number) => number.to_string(),
        Variant::String(text) => text.to_string(),
        Variant::UInt32(place) => words[place].clone(),
        Variant::Array(array) => {
            let pair = |value: &Variant| {
                let Variant::ExtensionObject(object) = value else { panic!("{value:?}") };
                let pair = object.inner_as::<KeyValuePair>().expect("a KeyValuePair");
                let Variant::Double(number) = pair.value else { panic!("{:?}", pair.value) };
                format!("{}={number} ", pair.key.name)
            };
            let mut pairs: Vec<String> = array.values.iter().map(pair).collect();
            pairs.sort();
            pairs.concat()
        }
        other => panic!("{other:?}"),
    };
    assert!(value.server_timestamp.is_some());
    let good = value.status() == StatusCode::Good;
    assert!(good || value.status() == StatusCode::BadNotConnected, "{value:?}");
    (value.source_timestamp.unwrap().ticks(), good, text)
}

struct Historian {
    session: Arc<Session>,
    namespace: u16,
    /// Words of AVAILABILITY and of EXECUTION, by their numbers.
    words: BTreeMap<String, BTreeMap<u32, String>>,
}

impl Historian {
    async fn connect(port: u16, folder: &Path) -> Self {
        let mut client = ClientBuilder::new()
            .application_name("history test")
            .application_uri("urn:history-test")
            .pki_dir(folder.join("client-pki"))
            .trust_server_certs(true)
            .session_retry_limit(3)
            .client()
            .unwrap();
        let endpoint = format!("opc.tcp://127.0.0.1:{port}/");
        let endpoint = (endpoint.as_str(), "None", MessageSecurityMode::None, UserTokenPolicy::anonymous());
        let (session, events) =
            client.connect_to_matching_endpoint(endpoint, IdentityToken::Anonymous).await.unwrap();
        events.spawn();
        let connected = tokio::time::timeout(Duration::from_secs(20), session.wait_for_connection());
        assert!(connected.await.expect("a connection"));
        let array = ReadValueId::new_value(NodeId::new(0, 2_255_u32));
        let read = session.read(&[array], TimestampsToReturn::Both, 0.0).await.unwrap().remove(0);
        let Some(Variant::Array(namespaces)) = read.value else { panic!("{read:?}") };
        let is_machines = |uri: &Variant| uri.to_string().ends_with(":machines");
        let namespace =
            namespaces.values.iter().position(is_machines).expect("the machines' namespace") as u16;
        // What their numbers stand for is seen by comparing.
        let words = ["avail", "exec"].map(|id| (id.to_owned(), BTreeMap::new())).into();
        Self { session, namespace, words }
    }

    fn node(&self, id: &str) -> NodeId {
        NodeId::new(self.namespace, format!("tests-mill-1/{id}"))
    }

    async fn answer(
        &self,
        node: &NodeId,
        details: &ReadRawModifiedDetails,
        place: ByteString,
        timestamps: TimestampsToReturn,
        release: bool,
    ) -> HistoryReadResult {
        let wanted = HistoryReadValueId {
            node_id: node.clone(),
            index_range: NumericRange::None,
            data_encoding: QualifiedName::null(),
            continuation_point: place,
        };
        let action = HistoryReadAction::ReadRawModifiedDetails(details.clone());
        let wanted = [wanted];
        let read = self.session.history_read(action, timestamps, release, &wanted);
        let mut results = read.await.unwrap();
        assert_eq!(results.len(), 1);
        results.remove(0)
    }

    async fn status(&self, node: &NodeId, details: &ReadRawModifiedDetails) -> StatusCode {
        self.answer(node, details, ByteString::null(), TimestampsToReturn::Both, false).await.status_code
    }

    /// All answers, one after the other.
    async fn read(&self, id: &str, details: &ReadRawModifiedDetails) -> Vec<DataValue> {
        let mut all = Vec::new();
        let mut place = ByteString::null();
        loop {
            let both = TimestampsToReturn::Both;
            let answer = self.answer(&self.node(id), details, place, both, false).await;
            assert!(answer.status_code.is_good(), "{id}: {}", answer.status_code);
            let values = data(&answer);
            assert!(values.len() <= ANSWER);
            all.extend(values);
            place = answer.continuation_point;
            if place.is_null_or_empty() {
                return all;
            }
        }
    }

    /// The words by their numbers, found by comparing.
    fn learn(&mut self, id: &str, values: &[DataValue], expected: &[Shown]) {
        let Some(words) = self.words.get_mut(id) else { return };
        assert_eq!(values.len(), expected.len());
        for (value, (_, _, word)) in values.iter().zip(expected) {
            if let Some(Variant::UInt32(place)) = &value.value {
                let known = words.entry(*place).or_insert_with(|| word.clone());
                assert_eq!(known, word, "{id}: {place} stands for one word");
            }
        }
        let distinct: BTreeSet<_> = words.values().collect();
        assert_eq!(distinct.len(), words.len(), "{id}: no two numbers for one word");
    }
}

fn data(answer: &HistoryReadResult) -> Vec<DataValue> {
    answer
        .history_data
        .inner_as::<HistoryData>()
        .expect("history data")
        .data_values
        .clone()
        .unwrap_or_default()
}

fn raw(start: DateTime, end: DateTime, number: u32) -> ReadRawModifiedDetails {
    ReadRawModifiedDetails {
        is_read_modified: false,
        start_time: start,
        end_time: end,
        num_values_per_node: number,
        return_bounds: false,
    }
}

fn everything() -> ReadRawModifiedDetails {
    raw(DateTime::ymd(2000, 1, 1), DateTime::ymd(2200, 1, 1), 0)
}

/// Waits until the last line of a shift has come.
fn settled(gateway: &Gateway, shifts: usize) {
    eventually("the shift is over", Duration::from_secs(30), || {
        let document = gateway.get("/current");
        let tree = roxmltree::Document::parse(&document).unwrap();
        let x = tree.descendants().find(|node| node.attribute("dataItemId") == Some("x")).unwrap();
        let hour = format!("T{:02}:", 5 + shifts);
        let is_last = x.text() == Some("71.499") && x.attribute("timestamp").unwrap().contains(&hour);
        is_last.then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_what_sample_says_over_answers_directions_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (http, opcua) = (free_port(), free_port());
    let source = source(vec![shift(6), shift(7), String::new()]);
    let configuration = configure(folder.path(), http, opcua, source, 100_000);
    let gateway = Gateway::start(&configuration, folder.path(), http);
    settled(&gateway, 1);
    let said = sample(&gateway);
    let mut historian = Historian::connect(opcua, folder.path()).await;
    let mut count = 0;
    for id in ITEMS {
        let expected = expected(id, &said[id]);
        let values = historian.read(id, &everything()).await;
        historian.learn(id, &values, &expected);
        let none = BTreeMap::new();
        let words = historian.words.get(id).unwrap_or(&none);
        let found: Vec<Shown> = values.iter().map(|value| shown(value, words)).collect();
        assert_alike(id, &found, &expected);
        count += found.len();

        let details = everything();
        let backward = historian.read(id, &raw(details.end_time, details.start_time, 0)).await;
        let mut turned = values.clone();
        turned.reverse();
        assert_eq!(backward, turned, "{id} backward");

        // A part of it, by number and by time.
        let some = values.len().min(7);
        let first = historian.read(id, &raw(details.start_time, DateTime::null(), 7)).await;
        assert_eq!(first, values[..some]);
        let last = historian.read(id, &raw(DateTime::null(), details.end_time, 7)).await;
        assert_eq!(last, turned[..some]);
    }
    let from = DateTime::from(ticks("2026-01-01T06:02:00Z"));
    let until = DateTime::from(ticks("2026-01-01T06:04:00Z"));
    let part = historian.read("x", &raw(from, until, 0)).await;
    let within = |shown: &Shown| (from.ticks()..until.ticks()).contains(&shown.0);
    let wanted: Vec<Shown> = expected("x", &said["x"]).into_iter().filter(within).collect();
    assert!(wanted.len() > 100);
    assert_eq!(part.iter().map(|value| shown(value, &BTreeMap::new())).collect::<Vec<_>>(), wanted);

    refusals(&historian).await;
    historian.session.disconnect().await.unwrap();
    gateway.terminate();

    // Now all but sixteen observations are on disk only.
    configure(folder.path(), http, opcua, source, 16);
    let gateway = Gateway::start(&configuration, folder.path(), http);
    settled(&gateway, 2);
    let next = gateway.next_sequence();
    let words = historian.words;
    let historian = Historian { words, ..Historian::connect(opcua, folder.path()).await };
    let mut histories = BTreeMap::new();
    for id in ITEMS {
        histories.insert(id, historian.read(id, &everything()).await);
    }
    historian.session.disconnect().await.unwrap();
    gateway.terminate();

    // And now all is in memory, for `/sample` to show.
    configure(folder.path(), http, opcua, source, 100_000);
    let gateway = Gateway::start(&configuration, folder.path(), http);
    let mut said = sample(&gateway);
    let mut again = 0;
    for (id, values) in &histories {
        let said = said.get_mut(*id).unwrap();
        said.retain(|said| said.0 < next);
        let none = BTreeMap::new();
        let words = historian.words.get(*id).unwrap_or(&none);
        let found: Vec<Shown> = values.iter().map(|value| shown(value, words)).collect();
        assert_alike(id, &found, &expected(id, said));
        again += found.len();
    }
    println!("{count} values from memory, {again} from disk");
}

fn assert_alike(id: &str, found: &[Shown], expected: &[Shown]) {
    let same = found.iter().zip(expected).take_while(|(one, other)| one == other).count();
    assert_eq!(found.get(same), expected.get(same), "{id}: the first {same} are alike");
}

async fn refusals(historian: &Historian) {
    let x = historian.node("x");
    let status = async |node: &NodeId, details| historian.status(node, &details).await;
    let unknown = historian.node("nobody");
    assert_eq!(status(&unknown, everything()).await, StatusCode::BadNodeIdUnknown);
    let condition = historian.node("load");
    assert_eq!(status(&condition, everything()).await, StatusCode::BadHistoryOperationUnsupported);
    let modified = ReadRawModifiedDetails { is_read_modified: true, ..everything() };
    assert_eq!(status(&x, modified).await, StatusCode::BadHistoryOperationUnsupported);
    let neither = raw(DateTime::null(), DateTime::null(), 5);
    assert_eq!(status(&x, neither).await, StatusCode::BadHistoryOperationInvalid);
    let long_ago = raw(DateTime::ymd(1990, 1, 1), DateTime::ymd(1991, 1, 1), 0);
    assert_eq!(status(&x, long_ago).await, StatusCode::GoodNoData);

    let none = TimestampsToReturn::Neither;
    let answer = historian.answer(&x, &everything(), ByteString::null(), none, false).await;
    assert_eq!(answer.status_code, StatusCode::BadTimestampsToReturnInvalid);

    let processed = HistoryReadAction::ReadProcessedDetails(ReadProcessedDetails {
        start_time: DateTime::ymd(2026, 1, 1),
        end_time: DateTime::ymd(2026, 1, 2),
        processing_interval: 1_000.0,
        aggregate_type: Some(vec![NodeId::new(0, 2_342_u32)]),
        ..ReadProcessedDetails::default()
    });
    let wanted = HistoryReadValueId { node_id: x.clone(), ..HistoryReadValueId::default() };
    let both = TimestampsToReturn::Both;
    let results = historian.session.history_read(processed, both, false, &[wanted]).await.unwrap();
    assert_eq!(results[0].status_code, StatusCode::BadHistoryOperationUnsupported);

    // A continuation point that was released, and one of another node.
    let begin = async || historian.answer(&x, &everything(), ByteString::null(), both, false).await;
    let place = begin().await.continuation_point;
    assert!(!place.is_null_or_empty());
    let released = historian.answer(&x, &everything(), place.clone(), both, true).await;
    assert_eq!(released.status_code, StatusCode::Good);
    let again = historian.answer(&x, &everything(), place, both, false).await;
    assert_eq!(again.status_code, StatusCode::BadContinuationPointInvalid);
    let place = begin().await.continuation_point;
    let other = historian.answer(&historian.node("prog"), &everything(), place, both, false).await;
    assert_eq!(other.status_code, StatusCode::BadContinuationPointInvalid);
}
