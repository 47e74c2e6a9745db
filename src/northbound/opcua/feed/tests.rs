//! The feed behind a real server, seen by a real client.

use std::path::PathBuf;

use arc_swap::ArcSwap;
use guideway_contract::{Cell, Entry, TimeSeries};
use opcua_client::{ClientBuilder, DataChangeCallback, IdentityToken, Session};
use opcua_server::diagnostics::DiagnosticsNodeManagerBuilder;
use opcua_server::node_manager::ServerContext;
use opcua_server::node_manager::memory::{InMemoryNodeManager, InMemoryNodeManagerBuilder};
use opcua_server::{ANONYMOUS_USER_TOKEN_ID, Limits, ServerBuilder, ServerEndpoint, SubscriptionLimits};
use opcua_types::{
    AttributeId, DataChangeFilter, DataChangeTrigger, ExtensionObject, KeyValuePair, MessageSecurityMode,
    MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NumericRange, QualifiedName,
    ReadValueId, TimestampsToReturn, UserTokenPolicy, Variant, WriteValue,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::*;
use crate::device_model::SharedModel;
use crate::journal::{self, Journal, Writer};
use crate::northbound::opcua::events::Announcer;
use crate::northbound::opcua::space::Space;
use crate::northbound::opcua::{Context, Options, Stats};

const ITEMS: &str = r#"
    <DataItem id="avail" category="EVENT" type="AVAILABILITY"/>
    <DataItem id="temp" category="SAMPLE" type="TEMPERATURE" units="CELSIUS"/>
    <DataItem id="load" category="SAMPLE" type="LOAD" units="PERCENT"/>
    <DataItem id="amps" category="SAMPLE" type="AMPERAGE" units="AMPERE" representation="TIME_SERIES" sampleRate="1000"/>
    <DataItem id="vars" category="EVENT" type="VARIABLE" representation="DATA_SET"/>
    <DataItem id="program" category="EVENT" type="PROGRAM"/>"#;

fn model(items: &str) -> DeviceModel {
    let xml = format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.0\"><Devices>\
         <Device id=\"d\" name=\"Mill\" uuid=\"mill-1\"><DataItems>{items}</DataItems></Device>\
         </Devices></MTConnectDevices>"
    );
    let options = crate::device_model::Options::default();
    DeviceModel::from_xml(&[(PathBuf::from("shop.xml"), xml)], &options, None).expect("a model")
}

/// A gateway with its journal in memory, a server, and a client.
struct Site {
    writer: Writer,
    journal: Journal,
    model: SharedModel,
    shared: Arc<Shared>,
    feed: Option<Feed>,
    session: Arc<Session>,
    cancel: CancellationToken,
    _stop: DropGuard,
    _folder: tempfile::TempDir,
}

impl Site {
    /// The feed has begun, and does not run yet.
    async fn new(buffer_size: u32) -> Self {
        let model: SharedModel = Arc::new(ArcSwap::from_pointee(model(ITEMS)));
        let options = journal::Options { buffer_size, ..journal::Options::default() };
        let (writer, journal) = Journal::open(&options, None, model.clone()).expect("a journal");
        let folder = tempfile::tempdir().expect("a folder");
        let context = Context {
            gateway: "test".into(),
            model: model.clone(),
            journal: journal.clone(),
            data_dir: folder.path().to_path_buf(),
            control: None,
        };
        let announcer = Arc::new(Announcer::default());
        let shared = Arc::new(Shared::new(context, announcer, &Options::default(), Arc::<Stats>::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let space = shared.clone();
        let limits = Limits {
            subscriptions: SubscriptionLimits {
                min_sampling_interval_ms: 0.0,
                min_publishing_interval_ms: 10.0,
                max_monitored_item_queue_size: 1_000,
                ..SubscriptionLimits::default()
            },
            ..Limits::default()
        };
        let (server, handle) = ServerBuilder::new()
            .application_name("test")
            .application_uri("urn:test")
            .host("127.0.0.1")
            .port(port)
            .pki_dir(folder.path().join("server"))
            .limits(limits)
            .subscription_poll_interval_ms(10)
            .discovery_urls(vec!["/".to_owned()])
            .add_endpoint("none", ServerEndpoint::new_none("/", &[ANONYMOUS_USER_TOKEN_ID.to_owned()]))
            .without_node_managers()
            .with_node_manager(InMemoryNodeManagerBuilder::new(
                move |context: ServerContext, address_space: &mut AddressSpace| {
                    Space::build(space, &context, address_space)
                },
            ))
            .with_node_manager(DiagnosticsNodeManagerBuilder)
            .build()
            .expect("a server");
        let nodes = handle.node_managers().get_of_type::<InMemoryNodeManager<Space>>().expect("the nodes");
        let address_space = nodes.address_space().clone();
        let feed = Feed::begin(shared.clone(), address_space, handle.subscriptions().clone());
        let cancel = CancellationToken::new();
        tokio::spawn(server.run_with(listener));
        let stopped = cancel.clone();
        tokio::spawn(async move {
            stopped.cancelled().await;
            handle.cancel();
        });
        let session = connect(port, &folder.path().join("client")).await;
        let stop = cancel.clone().drop_guard();
        let feed = Some(feed);
        Self { writer, journal, model, shared, feed, session, cancel, _stop: stop, _folder: folder }
    }

    async fn running(buffer_size: u32) -> Self {
        let mut site = Self::new(buffer_size).await;
        site.run();
        site
    }

    fn run(&mut self) {
        let feed = self.feed.take().expect("a feed that does not run yet");
        tokio::spawn(feed.run(self.cancel.clone()));
    }

    fn item(&self, id: &str) -> ItemIndex {
        self.model.load().find_item(id).expect("an item").index
    }

    /// An observation `millis` after a fixed time.
    fn seen(&self, id: &str, millis: i64, value: Value) -> Observation {
        let time = at(millis);
        Observation::new(self.item(id), time, time.shifted(5_000), value)
    }

    fn append(&mut self, observations: impl IntoIterator<Item = Observation>) {
        self.writer.append(&mut observations.into_iter().collect());
    }

    /// Until the feed has shown as many values.
    async fn shown(&self, values: u64) {
        let stats = &self.shared.stats;
        let all = async {
            while stats.values.load(Ordering::Relaxed) < values {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.expect("the values");
    }

    async fn read(&self, id: &str) -> DataValue {
        self.read_as(ReadValueId { node_id: node(id), ..ReadValueId::default() }).await
    }

    async fn read_as(&self, wanted: ReadValueId) -> DataValue {
        let wanted = ReadValueId {
            attribute_id: if wanted.attribute_id == 0 {
                AttributeId::Value as u32
            } else {
                wanted.attribute_id
            },
            ..wanted
        };
        let read = self.session.read(&[wanted], TimestampsToReturn::Both, 0.0).await;
        read.expect("an answer").remove(0)
    }

    /// Until reading gives what is wanted.
    async fn read_until(&self, id: &str, is_wanted: impl Fn(&DataValue) -> bool) -> DataValue {
        let wait = async {
            loop {
                let value = self.read(id).await;
                if is_wanted(&value) {
                    return value;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("that value")
    }

    async fn subscribe(&self, id: &str, parameters: MonitoringParameters) -> Seen {
        let (send, receive) = mpsc::unbounded_channel();
        let callback = DataChangeCallback::new(move |value, _| {
            let _ = send.send(value);
        });
        let every = Duration::from_millis(20);
        let subscription = self.session.create_subscription(every, 1_000, 100, 0, 0, true, callback);
        let subscription = subscription.await.expect("a subscription");
        let item = MonitoredItemCreateRequest {
            item_to_monitor: ReadValueId {
                node_id: node(id),
                attribute_id: AttributeId::Value as u32,
                ..ReadValueId::default()
            },
            monitoring_mode: MonitoringMode::Reporting,
            requested_parameters: parameters,
        };
        let created =
            self.session.create_monitored_items(subscription, TimestampsToReturn::Both, vec![item]).await;
        let result = created.expect("an answer").remove(0).result;
        assert_eq!(result.status_code, StatusCode::Good);
        Seen { values: receive, revised: (result.revised_sampling_interval, result.revised_queue_size) }
    }
}

struct Seen {
    values: mpsc::UnboundedReceiver<DataValue>,
    revised: (f64, u32),
}

impl Seen {
    async fn next(&mut self) -> DataValue {
        let next = tokio::time::timeout(Duration::from_secs(30), self.values.recv()).await;
        next.expect("a value in time").expect("a living subscription")
    }

    async fn take(&mut self, count: usize) -> Vec<DataValue> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            all.push(self.next().await);
        }
        all
    }
}

async fn connect(port: u16, pki: &std::path::Path) -> Arc<Session> {
    let mut client = ClientBuilder::new()
        .application_name("client")
        .application_uri("urn:client")
        .pki_dir(pki)
        .session_retry_limit(0)
        .client()
        .expect("a client");
    let url = format!("opc.tcp://127.0.0.1:{port}/");
    let endpoint = (url.as_str(), "None", MessageSecurityMode::None, UserTokenPolicy::anonymous());
    let connected = client.connect_to_endpoint_directly(endpoint, IdentityToken::Anonymous);
    let (session, events) = connected.expect("a session");
    drop(events.spawn());
    let connected = tokio::time::timeout(Duration::from_secs(30), session.wait_for_connection()).await;
    assert!(connected.expect("a connection in time"));
    session
}

fn at(millis: i64) -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00.123456Z").expect("a timestamp").shifted(millis * 1_000_000)
}

fn node(id: &str) -> NodeId {
    NodeId::new(3, format!("mill-1/{id}"))
}

/// Everything that changes, time too: what a client asks for that wants every observation.
fn everything() -> MonitoringParameters {
    let filter = DataChangeFilter {
        trigger: DataChangeTrigger::StatusValueTimestamp,
        deadband_type: 0,
        deadband_value: 0.0,
    };
    MonitoringParameters {
        client_handle: 0,
        sampling_interval: 100.0,
        filter: ExtensionObject::from_message(filter),
        queue_size: 1_000,
        discard_oldest: true,
    }
}

fn ticks(value: &DataValue) -> i64 {
    value.source_timestamp.expect("a source time").ticks()
}

fn of(time: Timestamp) -> i64 {
    time.nanos().div_euclid(100) + 116_444_736_000_000_000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stood_in_the_journal_before_is_there_from_the_first_moment() {
    let mut site = Site::new(1_024).await;
    site.append([site.seen("temp", 0, Value::Number(21.5)), site.seen("avail", 1, Value::text("AVAILABLE"))]);
    let (shared, old) = (site.shared.clone(), site.feed.take().expect("a feed"));
    // A second start, with what the journal holds now.
    let feed = Feed::begin(shared, old.address_space.clone(), old.subscriptions.clone());
    assert_eq!(feed.next, site.journal.bounds().next);
    let value = site.read("temp").await;
    assert_eq!(value.value, Some(Variant::Double(21.5)));
    assert_eq!(ticks(&value), of(at(0)));
    assert_eq!(value.server_timestamp.map(|time| time.ticks()), Some(of(at(0)) + 50));
    assert_eq!(site.read("avail/ValueAsText").await.value, Some(Variant::from("AVAILABLE")));
    assert!(matches!(site.read("avail").await.value, Some(Variant::UInt32(_))));
    assert_eq!(site.read("load").await.status, Some(StatusCode::BadWaitingForInitialData));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_reaches_a_client_in_order_with_its_own_time() {
    let mut site = Site::running(8_192).await;
    let wanted = MonitoringParameters { sampling_interval: 0.0, ..everything() };
    let mut seen = site.subscribe("temp", wanted).await;
    let mut sampled = site.subscribe("temp", everything()).await;
    let untroubled = MonitoringParameters { filter: ExtensionObject::null(), ..everything() };
    let mut untroubled = site.subscribe("temp", untroubled).await;
    assert_eq!((seen.revised, sampled.revised), ((0.0, 1_000), (0.0, 1_000)), "no interval is kept to");
    for seen in [&mut seen, &mut sampled, &mut untroubled] {
        assert_eq!(seen.next().await.status, Some(StatusCode::BadWaitingForInitialData));
    }
    // Now and then the source's clock stands still, or goes back.
    let millis: Vec<i64> = (0..600).map(|n| if n % 50 == 49 { n - 20 } else { n / 2 * 2 }).collect();
    for (part, chunk) in millis.chunks(60).enumerate() {
        let value =
            |(n, millis): (usize, &i64)| site.seen("temp", *millis, Value::Number((part * 60 + n) as f64));
        let observations: Vec<_> = chunk.iter().enumerate().map(value).collect();
        site.append(observations);
    }
    let expected: Vec<_> = millis
        .iter()
        .enumerate()
        .map(|(n, millis)| (Some(Variant::Double(n as f64)), Some(of(at(*millis)))))
        .collect();
    let seen_so = |value: DataValue| {
        assert_eq!(value.status, Some(StatusCode::Good));
        (value.value, value.source_timestamp.map(|time| time.ticks()))
    };
    let all: Vec<_> = seen.take(600).await.into_iter().map(seen_so).collect();
    assert_eq!(all, expected);
    // Who asks for an interval is told of a step back in time by a value without time, and then, if the
    // filter looks at the time, with it. No time is false.
    let steps = 12;
    let all: Vec<_> = sampled.take(600 + steps).await.into_iter().map(seen_so).collect();
    let timed: Vec<_> = all.into_iter().filter(|(_, time)| time.is_some()).collect();
    assert_eq!(timed, expected);
    let all: Vec<_> = untroubled.take(600).await.into_iter().map(seen_so).collect();
    assert_eq!(all.iter().filter(|(_, time)| time.is_none()).count(), steps);
    for (seen, expected) in all.iter().zip(&expected) {
        assert_eq!(seen.0, expected.0);
        assert!(seen.1.is_none() || seen.1 == expected.1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_sampled_at_the_publishing_interval_gets_the_newest_value_with_its_own_time() {
    let mut site = Site::running(1_024).await;
    let wanted = MonitoringParameters {
        sampling_interval: -1.0,
        filter: ExtensionObject::null(),
        queue_size: 10,
        ..everything()
    };
    let mut seen = site.subscribe("temp", wanted).await;
    assert_eq!(seen.revised, (-1.0, 1), "one value each publishing interval");
    assert_eq!(seen.next().await.status, Some(StatusCode::BadWaitingForInitialData));
    for round in 0..5 {
        let value = |n| site.seen("temp", round * 1_000 + n, Value::Number((round * 10 + n) as f64));
        let observations: Vec<_> = (0..10).map(value).collect();
        site.append(observations);
        let newest = Variant::Double((round * 10 + 9) as f64);
        let value = loop {
            let value = seen.next().await;
            if value.value == Some(newest.clone()) {
                break value;
            }
        };
        assert_eq!(ticks(&value), of(at(round * 1_000 + 9)));
        assert!(value.status.is_some_and(|status| status.is_good()));
    }
    site.append([site.seen("temp", 9_000, Value::Unavailable)]);
    let lost = seen.next().await;
    assert_eq!(lost.value, Some(Variant::Empty));
    assert_eq!(lost.status.map(|status| status.set_overflow(false)), Some(lost.status().set_overflow(false)));
    assert!(lost.status().bits() & 0xFFFF_0000 == StatusCode::BadNotConnected.bits());
    assert_eq!(ticks(&lost), of(at(9_000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_series_reaches_a_client_value_by_value() {
    let mut site = Site::running(1_024).await;
    let mut seen = site.subscribe("amps", everything()).await;
    seen.next().await;
    let series =
        |values: &[f64]| Value::TimeSeries(Arc::new(TimeSeries { rate: None, values: values.to_vec() }));
    site.append([
        site.seen("amps", 10, series(&[1.0, 2.0, 3.0])),
        site.seen("amps", 14, series(&[4.0, 5.0])),
    ]);
    let all = seen.take(5).await;
    let found: Vec<_> = all.iter().map(|value| (value.value.clone(), ticks(value))).collect();
    let expected = [(1.0, 8), (2.0, 9), (3.0, 10), (4.0, 13), (5.0, 14)]
        .map(|(value, millis)| (Some(Variant::Double(value)), of(at(millis))));
    assert_eq!(found, expected);
}

fn keys(value: &DataValue) -> Vec<(String, Variant)> {
    let Some(Variant::Array(array)) = &value.value else { return Vec::new() };
    let pair = |value: &Variant| match value {
        Variant::ExtensionObject(object) => {
            let pair = object.inner_as::<KeyValuePair>().expect("a KeyValuePair");
            (pair.key.name.to_string(), pair.value.clone())
        }
        _ => panic!("{value:?} is no structure"),
    };
    array.values.iter().map(pair).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_set_is_shown_whole_though_the_journal_carries_changes() {
    let mut site = Site::running(1_024).await;
    let set = |reset: Option<&str>, entries: &[(&str, Cell)]| {
        let entry = |(key, cell): &(&str, Cell)| Entry { key: (*key).into(), cell: cell.clone() };
        let reset = reset.map(Into::into);
        Value::DataSet(Arc::new(DataSet::new(reset, entries.iter().map(entry).collect())))
    };
    let number = |value: f64| Variant::Double(value);
    let one = Cell::Integer(1);
    let mut seen = site.subscribe("vars", everything()).await;
    seen.next().await;
    for (millis, change, whole) in [
        (1, set(None, &[("a", one.clone()), ("b", Cell::Integer(2))]), vec![("a", 1.0), ("b", 2.0)]),
        (2, set(None, &[("b", Cell::Integer(3))]), vec![("a", 1.0), ("b", 3.0)]),
        (3, set(None, &[("a", Cell::Removed)]), vec![("b", 3.0)]),
        (4, set(Some("DAY"), &[("c", Cell::Integer(4))]), vec![("c", 4.0)]),
        (5, Value::Unavailable, vec![]),
        (6, set(None, &[("d", Cell::Integer(5))]), vec![("d", 5.0)]),
    ] {
        site.append([site.seen("vars", millis, change)]);
        let value = seen.next().await;
        assert_eq!(ticks(&value), of(at(millis)));
        let expected: Vec<_> =
            whole.into_iter().map(|(key, value)| (key.to_owned(), number(value))).collect();
        assert_eq!(keys(&value), expected);
    }
    let value = site.read("vars").await;
    assert_eq!(keys(&value), [("d".to_owned(), number(5.0))]);
    let one =
        ReadValueId { node_id: node("vars"), index_range: NumericRange::Index(0), ..Default::default() };
    assert_eq!(keys(&site.read_as(one).await), [("d".to_owned(), number(5.0))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn falling_behind_is_counted_entered_in_the_ledger_and_made_good() {
    let mut site = Site::new(64).await;
    let mut seen = site.subscribe("temp", everything()).await;
    seen.next().await;
    site.append([site.seen("load", 0, Value::Number(7.0))]);
    let observations: Vec<_> = (1..=1_000).map(|n| site.seen("temp", n, Value::Number(n as f64))).collect();
    site.append(observations);
    let begun = site.feed.as_ref().expect("a feed").next;
    site.run();
    let value = site.read_until("temp", |value| value.value == Some(Variant::Double(1_000.0))).await;
    assert_eq!(ticks(&value), of(at(1_000)));
    assert_eq!(
        site.read("load").await.value,
        Some(Variant::Double(7.0)),
        "older than the buffer, and not lost"
    );
    let missed = site.shared.stats.missed.load(Ordering::Relaxed);
    let gaps = site.journal.ledger();
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].reader.as_str(), gaps[0].from, gaps[0].count), ("opcua", begun, missed));
    assert_eq!(gaps[0].to, begun + missed - 1);
    assert!(missed > 900 && missed < 1_001, "half of what is in memory is shown: {missed}");
    // What is shown is shown in order, to the last.
    let mut last = 0.0;
    while last < 1_000.0 {
        let Some(Variant::Double(value)) = seen.next().await.value else { panic!("no number") };
        assert!(value > last);
        last = value;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_model_brings_new_items_their_values_and_tells_of_items_that_are_gone() {
    let mut site = Site::running(1_024).await;
    site.append([site.seen("temp", 1, Value::Number(20.0)), site.seen("load", 1, Value::Number(55.0))]);
    let mut load = site.subscribe("load", everything()).await;
    let mut temp = site.subscribe("temp", everything()).await;
    while load.next().await.value != Some(Variant::Double(55.0)) {}
    while temp.next().await.value != Some(Variant::Double(20.0)) {}
    let without_load =
        ITEMS.replace("id=\"load\" category=\"SAMPLE\" type=\"LOAD\" units=\"PERCENT\"", "").replace(
            "<DataItem />",
            "<DataItem id=\"speed\" category=\"SAMPLE\" type=\"AXIS_FEEDRATE\" units=\"MILLIMETER/SECOND\"/>",
        );
    let device = format!(
        "<Device id=\"d\" name=\"Mill\" uuid=\"mill-1\"><DataItems>{without_load}</DataItems></Device>"
    );
    let changed =
        site.model.load().with_device_xml(std::path::Path::new("new.xml"), &device).expect("a model").0;
    site.model.store(Arc::new(changed));
    site.append([site.seen("speed", 2, Value::Number(12.5)), site.seen("temp", 3, Value::Number(21.0))]);
    let value = site.read_until("speed", |value| value.status == Some(StatusCode::Good)).await;
    assert_eq!(value.value, Some(Variant::Double(12.5)));
    assert_eq!(load.next().await.status, Some(StatusCode::BadNodeIdUnknown));
    assert_eq!(site.read("load").await.status, Some(StatusCode::BadNodeIdUnknown));
    let next = temp.next().await;
    assert_eq!((next.value, ticks(&site.read("temp").await)), (Some(Variant::Double(21.0)), of(at(3))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_fetches_nothing_does_not_hold_up_the_feed() {
    let mut site = Site::running(131_072).await;
    let callback = DataChangeCallback::new(|_, _| {});
    let hour = Duration::from_secs(3_600);
    let subscription = site.session.create_subscription(hour, 10, 3, 0, 0, true, callback).await;
    let item = MonitoredItemCreateRequest {
        item_to_monitor: ReadValueId {
            node_id: node("temp"),
            attribute_id: AttributeId::Value as u32,
            ..ReadValueId::default()
        },
        monitoring_mode: MonitoringMode::Reporting,
        requested_parameters: everything(),
    };
    let subscription = subscription.expect("a subscription");
    let created = site.session.create_monitored_items(subscription, TimestampsToReturn::Both, vec![item]);
    created.await.expect("an answer");
    let observations: Vec<_> = (1..=50_000).map(|n| site.seen("temp", n, Value::Number(n as f64))).collect();
    site.append(observations);
    site.shown(50_000).await;
    assert_eq!(site.read("temp").await.value, Some(Variant::Double(50_000.0)));
    assert_eq!(site.shared.stats.missed.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_refused_for_what_they_are() {
    let site = Site::running(1_024).await;
    let write = |node_id: NodeId, attribute: AttributeId| WriteValue {
        node_id,
        attribute_id: attribute as u32,
        index_range: NumericRange::None,
        value: DataValue::from(1.0),
    };
    let writes = [
        write(node("temp"), AttributeId::Value),
        write(node("temp"), AttributeId::DisplayName),
        write(node("nothing"), AttributeId::Value),
        write(NodeId::new(3, "mill-1"), AttributeId::Value),
        write(NodeId::new(0, 2_258), AttributeId::Value),
    ];
    let expected = [
        StatusCode::BadNotWritable,
        StatusCode::BadNotWritable,
        StatusCode::BadNodeIdUnknown,
        StatusCode::BadAttributeIdInvalid,
        StatusCode::BadNotWritable,
    ];
    assert_eq!(site.session.write(&writes).await.expect("answers"), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_ranges_and_encodings_are_answered_properly() {
    let mut site = Site::running(1_024).await;
    site.append([site.seen("program", 1, Value::text("O1000")), site.seen("temp", 1, Value::Number(1.0))]);
    site.read_until("temp", |value| value.value == Some(Variant::Double(1.0))).await;
    let read = |id: &str, attribute: u32, range: NumericRange, encoding: &str| ReadValueId {
        node_id: node(id),
        attribute_id: attribute,
        index_range: range,
        data_encoding: QualifiedName::from(encoding),
    };
    let value = AttributeId::Value as u32;
    let range = || NumericRange::Range(1, 2);
    let part = site.read_as(read("program", value, range(), "")).await;
    assert_eq!(part.value, Some(Variant::from("10")));
    for (wanted, status) in [
        (read("temp", value, range(), ""), StatusCode::BadIndexRangeDataMismatch),
        (read("program", value, NumericRange::Index(99), ""), StatusCode::BadIndexRangeNoData),
        // Not that null has no elements, but why it is null.
        (read("load", value, range(), ""), StatusCode::BadWaitingForInitialData),
        (read("temp", value, NumericRange::None, "Default XML"), StatusCode::BadDataEncodingInvalid),
        (
            read("temp", AttributeId::EventNotifier as u32, NumericRange::None, ""),
            StatusCode::BadAttributeIdInvalid,
        ),
        (read("temp", 99, NumericRange::None, ""), StatusCode::BadAttributeIdInvalid),
        (read("nothing", value, NumericRange::None, ""), StatusCode::BadNodeIdUnknown),
    ] {
        let text = format!("{wanted:?}");
        assert_eq!(site.read_as(wanted).await.status, Some(status), "{text}");
    }
    let access = site.read_as(read("temp", AttributeId::AccessLevel as u32, NumericRange::None, "")).await;
    let Some(Variant::Byte(access)) = access.value else { panic!("no access level") };
    assert_eq!(access & 0b10, 0, "no variable says that it can be written");
}
