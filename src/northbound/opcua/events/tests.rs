//! Events on their way through a real server to a real client.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use guideway_contract::{ItemIndex, Level, Observation, Timestamp, Value};
use opcua_client::{ClientBuilder, EventCallback, IdentityToken, Session};
use opcua_core::sync::RwLock;
use opcua_crypto::SecurityPolicy;
use opcua_server::address_space::AddressSpace;
use opcua_server::node_manager::ServerContext;
use opcua_server::node_manager::memory::{InMemoryNodeManager, InMemoryNodeManagerBuilder};
use opcua_server::{MonitoredItemHandle, ServerBuilder, ServerHandle};
use opcua_types::{
    AttributeId, ContentFilter, ContentFilterBuilder, EventFilter, ExtensionObject, MessageSecurityMode,
    MethodId, MonitoredItemCreateRequest, MonitoredItemModifyRequest, MonitoringMode, MonitoringParameters,
    NodeId, NumericRange, ObjectId, ObjectTypeId, Operand, ReadValueId, SimpleAttributeOperand, StatusCode,
    TimestampsToReturn, UserTokenPolicy, Variant,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::occurrence::testing::{entry, path};
use super::{Announcer, PACE, delivery};
use crate::device_model::{DeviceModel, Options as ModelOptions, SharedModel};
use crate::journal::{Journal, Options as JournalOptions};
use crate::northbound::opcua::instances::Tree;
use crate::northbound::opcua::security::{Access, settings};
use crate::northbound::opcua::space::{Shared, Space};
use crate::northbound::opcua::{Context, Mode, Options, Policy, Stats};

const DEVICES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.0">
  <Header creationTime="2026-01-01T00:00:00Z" sender="test" instanceId="1" version="2.0.0.0"
          assetBufferSize="8" assetCount="0" bufferSize="8" deviceModelChangeTime="2026-01-01T00:00:00Z"/>
  <Devices>
    <Device id="m" name="mill" uuid="mill-uuid">
      <DataItems><DataItem id="m_avail" category="EVENT" type="AVAILABILITY"/></DataItems>
      <Components>
        <Axes id="m_axes"><DataItems>
          <DataItem id="m_axsys" category="CONDITION" type="SYSTEM"/>
        </DataItems></Axes>
        <Controller id="m_cont"><DataItems>
          <DataItem id="m_sys" category="CONDITION" type="SYSTEM"/>
          <DataItem id="m_msg" category="EVENT" type="MESSAGE"/>
        </DataItems></Controller>
      </Components>
    </Device>
  </Devices>
</MTConnectDevices>"#;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server with one machine.
struct Stage {
    announcer: Arc<Announcer>,
    shared: Arc<Shared>,
    model: Arc<DeviceModel>,
    tree: Tree,
    address_space: Arc<RwLock<AddressSpace>>,
    handle: ServerHandle,
    url: String,
    _directory: tempfile::TempDir,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.handle.cancel();
    }
}

impl Stage {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With an endpoint without security, and one for each policy, signed.
    async fn with(policies: &[Policy]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = ModelOptions { agent_device: false, ..ModelOptions::default() };
        let model = DeviceModel::from_xml(&[("devices.xml".into(), DEVICES.into())], &options, None)
            .unwrap_or_else(|findings| panic!("{findings:?}"));
        let model: SharedModel = Arc::new(ArcSwap::from_pointee(model));
        let (_writer, journal) = Journal::open(&JournalOptions::default(), None, model.clone()).unwrap();
        let context = Context {
            gateway: "cell".into(),
            model: model.clone(),
            journal,
            data_dir: directory.path().to_path_buf(),
            control: None,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = Options {
            address: Ipv4Addr::LOCALHOST.into(),
            hostnames: vec!["127.0.0.1".into()],
            policies: policies.to_vec(),
            modes: vec![Mode::Sign],
            allow_none: true,
            anonymous: true,
            trust_all: true,
            ..Options::default()
        };
        if !policies.is_empty() {
            let pki = options.pki(&context.data_dir);
            pki.unchecked().make_folders().unwrap();
            pki.prepare(&settings::subject(&options, &context.gateway)).unwrap();
        }
        let announcer = Arc::new(Announcer::default());
        let shared =
            Arc::new(Shared::new(context.clone(), announcer.clone(), &options, Arc::<Stats>::default()));
        let space = shared.clone();
        let (server, handle) = ServerBuilder::from_config(settings::config(&options, &context, port))
            .without_node_managers()
            .with_node_manager(InMemoryNodeManagerBuilder::new(
                move |context: ServerContext, address_space: &mut AddressSpace| {
                    Space::build(space, &context, address_space)
                },
            ))
            .with_authenticator(Arc::new(Access::of(&options, None).unwrap()))
            .build()
            .unwrap();
        announcer.install(&mut handle.info().type_loaders.write());
        let nodes = handle.node_managers().get_of_type::<InMemoryNodeManager<Space>>().unwrap();
        let address_space = nodes.address_space().clone();
        let model = model.load_full();
        let tree = Tree::of(&model, shared.types.get().unwrap(), *shared.machines.get().unwrap());
        tree.replace(&Tree::default(), &mut address_space.write());
        tokio::spawn(server.run_with(listener));
        let url = format!("opc.tcp://127.0.0.1:{port}/");
        Self { announcer, shared, model, tree, address_space, handle, url, _directory: directory }
    }

    fn item(&self, id: &str) -> ItemIndex {
        self.model.find_item(id).unwrap().index
    }

    fn node(&self, id: &str) -> NodeId {
        NodeId::new(*self.shared.machines.get().unwrap(), id)
    }

    /// Lets a data item say something, without delivering it.
    fn say(&self, id: &str, value: Value) {
        let item = self.item(id);
        let binding = self.tree.bindings().get(item).unwrap();
        let now = Timestamp::now();
        self.announcer.observed(item, binding, &Observation::new(item, now, now, value));
    }

    fn condition(&self, id: &str, level: Level, code: &str) {
        self.say(id, Value::Condition(Arc::new(entry(level, code, "Spindle over temperature"))));
    }

    fn deliver(&self) {
        self.announcer.deliver(self.handle.subscriptions());
    }

    /// Delivers as the feed does, until everything has been.
    async fn deliver_all(&self) {
        let mut pace = tokio::time::interval(PACE);
        let delivered = async {
            self.deliver();
            while self.announcer.waiting() {
                pace.tick().await;
                self.deliver();
            }
        };
        tokio::time::timeout(DEADLINE, delivered).await.expect("events still wait");
    }

    fn lost(&self) -> u64 {
        self.shared.stats.events_lost.load(Ordering::Relaxed)
    }

    async fn client(&self) -> Client {
        self.client_by(SecurityPolicy::None, MessageSecurityMode::None).await
    }

    async fn client_by(&self, policy: SecurityPolicy, mode: MessageSecurityMode) -> Client {
        let mut client = ClientBuilder::new()
            .application_name("test")
            .application_uri("urn:test")
            .pki_dir(self._directory.path().join("client"))
            .create_sample_keypair(policy != SecurityPolicy::None)
            .trust_server_certs(true)
            .verify_server_certs(false)
            .session_retry_limit(0)
            .client()
            .unwrap();
        let endpoint = (self.url.as_str(), policy.to_str(), mode, UserTokenPolicy::anonymous());
        let connect = async {
            let (session, events) =
                client.connect_to_matching_endpoint(endpoint, IdentityToken::Anonymous).await.unwrap();
            events.spawn();
            assert!(session.wait_for_connection().await);
            session
        };
        let session = tokio::time::timeout(DEADLINE, connect).await.expect("no connection");
        Client { session }
    }
}

struct Client {
    session: Arc<Session>,
}

/// A subscription with one item for events, and what comes.
struct Heard {
    subscription: u32,
    item: u32,
    events: UnboundedReceiver<Vec<Variant>>,
}

impl Heard {
    async fn next(&mut self) -> Vec<Variant> {
        tokio::time::timeout(DEADLINE, self.events.recv()).await.expect("no event came").unwrap()
    }

    /// The texts of one field of that many events.
    async fn texts(&mut self, field: usize, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(text(&self.next().await[field]));
        }
        texts
    }
}

fn text(value: &Variant) -> String {
    match value {
        Variant::String(text) => text.to_string(),
        Variant::LocalizedText(text) => text.text.to_string(),
        Variant::NodeId(id) => id.to_string(),
        Variant::Boolean(is) => is.to_string(),
        other => format!("{other:?}"),
    }
}

/// A field as most clients name it: whatever the type.
fn base(names: &str) -> SimpleAttributeOperand {
    of(ObjectTypeId::BaseEventType, names)
}

fn of(type_id: ObjectTypeId, names: &str) -> SimpleAttributeOperand {
    SimpleAttributeOperand {
        type_definition_id: type_id.into(),
        browse_path: Some(path(names)),
        attribute_id: AttributeId::Value as u32,
        index_range: NumericRange::None,
    }
}

/// How clients ask for the ConditionId.
fn condition_id() -> SimpleAttributeOperand {
    SimpleAttributeOperand { attribute_id: AttributeId::NodeId as u32, ..of(ObjectTypeId::ConditionType, "") }
}

/// EventType, Message, NativeCode, Retain.
fn short(where_clause: ContentFilter) -> EventFilter {
    let select_clauses = Some(["EventType", "Message", "2:NativeCode", "Retain"].map(base).to_vec());
    EventFilter { select_clauses, where_clause }
}

fn request(notifier: NodeId, filter: ExtensionObject, queue_size: u32) -> MonitoredItemCreateRequest {
    MonitoredItemCreateRequest {
        item_to_monitor: ReadValueId {
            node_id: notifier,
            attribute_id: AttributeId::EventNotifier as u32,
            ..ReadValueId::default()
        },
        monitoring_mode: MonitoringMode::Reporting,
        requested_parameters: MonitoringParameters {
            client_handle: 7,
            sampling_interval: 0.0,
            filter,
            queue_size,
            discard_oldest: true,
        },
    }
}

impl Client {
    /// Monitors events at the shortest publishing interval.
    async fn listen(&self, notifier: NodeId, filter: EventFilter, queue_size: u32) -> Heard {
        let (sender, events) = unbounded_channel();
        let callback = EventCallback::new(move |fields, _| {
            // A test that has what it wants no longer listens.
            let _ = sender.send(fields.unwrap_or_default());
        });
        let interval = Duration::from_millis(20);
        let subscription =
            self.session.create_subscription(interval, 1_000, 100, 0, 0, true, callback).await.unwrap();
        let request = request(notifier, ExtensionObject::from_message(filter), queue_size);
        let created = self
            .session
            .create_monitored_items(subscription, TimestampsToReturn::Both, vec![request])
            .await
            .unwrap();
        assert_eq!(created[0].result.status_code, StatusCode::Good);
        Heard { subscription, item: created[0].result.monitored_item_id, events }
    }

    async fn call(&self, method: MethodId, arguments: Vec<Variant>) -> StatusCode {
        let object = NodeId::from(ObjectTypeId::ConditionType);
        let answer = self.session.call_one((object, NodeId::from(method), Some(arguments))).await.unwrap();
        answer.status_code
    }

    async fn refresh(&self, subscription: u32) -> StatusCode {
        self.call(MethodId::ConditionType_ConditionRefresh, vec![subscription.into()]).await
    }
}

fn server() -> NodeId {
    ObjectId::Server.into()
}

fn everything() -> ContentFilter {
    ContentFilter::default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_shows_alarms_gets_every_field_it_asks_for() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    // What UaExpert and its like ask for, with the types that they give.
    let filter = EventFilter {
        select_clauses: Some(vec![
            of(ObjectTypeId::BaseEventType, "EventId"),
            of(ObjectTypeId::BaseEventType, "EventType"),
            of(ObjectTypeId::BaseEventType, "SourceNode"),
            of(ObjectTypeId::BaseEventType, "SourceName"),
            of(ObjectTypeId::BaseEventType, "Time"),
            of(ObjectTypeId::BaseEventType, "Message"),
            of(ObjectTypeId::BaseEventType, "Severity"),
            condition_id(),
            of(ObjectTypeId::ConditionType, "ConditionName"),
            of(ObjectTypeId::ConditionType, "ConditionClassId"),
            of(ObjectTypeId::ConditionType, "ConditionClassName"),
            of(ObjectTypeId::ConditionType, "BranchId"),
            of(ObjectTypeId::ConditionType, "Retain"),
            of(ObjectTypeId::ConditionType, "EnabledState/Id"),
            of(ObjectTypeId::ConditionType, "Comment"),
            of(ObjectTypeId::AcknowledgeableConditionType, "AckedState/Id"),
            of(ObjectTypeId::AcknowledgeableConditionType, "ConfirmedState"),
            of(ObjectTypeId::AlarmConditionType, "ActiveState"),
            of(ObjectTypeId::AlarmConditionType, "ActiveState/Id"),
            base("2:MTSeverity"),
        ]),
        where_clause: everything(),
    };
    let mut heard = client.listen(server(), filter, 100).await;
    stage.condition("m_sys", Level::Fault, "401");
    stage.deliver_all().await;
    let event = heard.next().await;
    let Variant::ByteString(id) = &event[0] else { panic!("{event:?}") };
    assert_eq!(id.len(), 16);
    let class = stage.shared.types.get().unwrap().id("SystemClassType").unwrap();
    let shown: Vec<String> = event[1..4].iter().chain(&event[5..6]).map(text).collect();
    assert_eq!(
        shown,
        ["ns=2;i=4326", "ns=3;s=mill-uuid/m_sys", "SystemCondition", "Spindle over temperature"]
    );
    assert_eq!(event[6], Variant::UInt16(1_000));
    assert_eq!(text(&event[7]), "ns=3;s=mill-uuid/m_sys#401");
    assert_eq!(text(&event[8]), "SystemCondition401");
    assert_eq!(event[9], Variant::from(class));
    assert_eq!(text(&event[10]), "SystemClassType");
    assert_eq!(event[11], Variant::from(NodeId::null()));
    assert_eq!(event[12..14], [Variant::Boolean(true), Variant::Boolean(true)]);
    assert_eq!(event[15..19], vec![Variant::Empty; 4], "not an alarm");
    assert_eq!(event[19], Variant::Int32(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_lists_all_event_types_gets_ours() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    // asyncua's own subscription: EventType in the list of all types that it found by browsing.
    let types = (2041..2155_u32).map(|number| NodeId::new(0, number));
    let types = types.chain([NodeId::new(2, 2656), NodeId::new(2, 4326)]);
    let list = types.map(Operand::literal).collect();
    let where_clause = ContentFilterBuilder::new().in_list(Operand::from(base("EventType")), list).build();
    let mut heard = client.listen(server(), short(where_clause), 0).await;
    stage.condition("m_sys", Level::Fault, "1");
    let message = guideway_contract::Message { native_code: "M6".into(), text: "Load".into() };
    stage.say("m_msg", Value::Message(Arc::new(message)));
    stage.deliver_all().await;
    assert_eq!(heard.texts(2, 2).await, ["1", "M6"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_heard_at_its_component_its_device_and_the_server_only() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    let mut server = client.listen(server(), short(everything()), 100).await;
    let mut device = client.listen(stage.node("mill-uuid"), short(everything()), 100).await;
    let mut controller = client.listen(stage.node("mill-uuid/m_cont"), short(everything()), 100).await;
    let mut axes = client.listen(stage.node("mill-uuid/m_axes"), short(everything()), 100).await;
    stage.condition("m_sys", Level::Fault, "controller");
    stage.condition("m_axsys", Level::Fault, "axes");
    stage.deliver_all().await;
    assert_eq!(server.texts(2, 2).await, ["controller", "axes"]);
    assert_eq!(device.texts(2, 2).await, ["controller", "axes"]);
    assert_eq!(controller.texts(2, 1).await, ["controller"]);
    assert_eq!(axes.texts(2, 1).await, ["axes"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_reaches_a_client_that_asked_for_no_queue_in_order() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    let mut heard = client.listen(server(), short(everything()), 0).await;
    let codes: Vec<String> = (0..100).map(|code| code.to_string()).collect();
    for code in &codes {
        stage.condition("m_sys", Level::Fault, code);
    }
    stage.deliver_all().await;
    assert_eq!(heard.texts(2, codes.len()).await, codes);
    assert_eq!(stage.lost(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_a_thousand_fits_into_a_queue_of_ten_and_the_backlog() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    let mut heard = client.listen(server(), short(everything()), 10).await;
    let codes: Vec<String> = (0..delivery::MOST_WAITING).map(|code| code.to_string()).collect();
    for code in &codes {
        stage.condition("m_sys", Level::Warning, code);
    }
    stage.deliver_all().await;
    assert_eq!(heard.texts(2, codes.len()).await, codes);
    assert_eq!(stage.lost(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stands_still_loses_the_oldest_and_is_told() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    let mut heard = client.listen(server(), short(everything()), 10).await;
    client.session.set_publishing_mode(&[heard.subscription], false).await.unwrap();
    // Warnings and faults of one code, one after the other: each is an event, and the condition stays one.
    for number in 0..2_000_u32 {
        let level = if number % 2 == 0 { Level::Warning } else { Level::Fault };
        let condition = entry(level, "1", &number.to_string());
        stage.say("m_sys", Value::Condition(Arc::new(condition)));
    }
    stage.deliver();
    let lost = stage.lost();
    assert!((2_000 - 1_000 - 10..=2_000 - 1_000).contains(&lost), "{lost}");
    client.session.set_publishing_mode(&[heard.subscription], true).await.unwrap();
    stage.deliver_all().await;
    let mut told = Vec::new();
    while told.last() != Some(&"1999".to_owned()) {
        told.push(text(&heard.next().await[1]));
    }
    let overflow = told.iter().position(|text| text.contains("lost")).expect("no overflow event");
    let numbers = |texts: &[String]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<u64>>();
    let (before, after) = (numbers(&told[..overflow]), numbers(&told[overflow + 1..]));
    assert_eq!(before, (0..before.len() as u64).collect::<Vec<_>>());
    assert_eq!(after, (2_000 - 1_000..2_000).collect::<Vec<_>>());
    assert_eq!(before.len() as u64 + lost, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_a_client_does_not_want_take_no_room_in_its_backlog() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    let severe =
        ContentFilterBuilder::new().gte(Operand::from(base("Severity")), Operand::literal(1_000_u16)).build();
    let mut heard = client.listen(server(), short(severe), 0).await;
    stage.condition("m_sys", Level::Fault, "first");
    stage.deliver();
    for code in 0..2_000 {
        stage.condition("m_axsys", Level::Warning, &code.to_string());
    }
    stage.condition("m_sys", Level::Fault, "last");
    stage.deliver_all().await;
    assert_eq!(heard.texts(2, 2).await, ["first", "last"]);
    assert_eq!(stage.lost(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_can_be_changed_and_an_item_deleted() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    let code = |code: &str| {
        let code = Operand::literal(code);
        short(ContentFilterBuilder::new().eq(Operand::from(base("2:NativeCode")), code).build())
    };
    let mut heard = client.listen(server(), code("a"), 100).await;
    let both = || {
        stage.condition("m_sys", Level::Normal, "");
        stage.condition("m_sys", Level::Fault, "a");
        stage.condition("m_sys", Level::Fault, "b");
    };
    stage.condition("m_sys", Level::Fault, "b");
    stage.condition("m_sys", Level::Fault, "a");
    stage.deliver_all().await;
    assert_eq!(heard.texts(2, 1).await, ["a"]);
    let changed = MonitoredItemModifyRequest {
        monitored_item_id: heard.item,
        requested_parameters: MonitoringParameters {
            filter: ExtensionObject::from_message(code("b")),
            queue_size: 100,
            ..request(server(), ExtensionObject::null(), 100).requested_parameters
        },
    };
    let modified = client
        .session
        .modify_monitored_items(heard.subscription, TimestampsToReturn::Both, &[changed])
        .await
        .unwrap();
    assert_eq!(modified[0].status_code, StatusCode::Good);
    both();
    stage.deliver_all().await;
    // The end of b, and b.
    assert_eq!(heard.texts(2, 2).await, ["b", "b"]);
    client.session.delete_monitored_items(heard.subscription, &[heard.item]).await.unwrap();
    assert!(!stage.announcer.desk.is_listening());
    both();
    assert!(!stage.announcer.waiting());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_tells_what_is_active_to_the_subscription_that_asks() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    stage.condition("m_sys", Level::Fault, "a");
    stage.condition("m_sys", Level::Warning, "gone");
    stage.condition("m_axsys", Level::Warning, "b");
    stage.condition("m_sys", Level::Normal, "gone");
    stage.deliver_all().await;
    let mut asks = client.listen(server(), short(everything()), 100).await;
    let mut other = client.listen(server(), short(everything()), 100).await;
    assert_eq!(client.refresh(asks.subscription).await, StatusCode::Good);
    stage.deliver_all().await;
    assert_eq!(asks.texts(0, 4).await, ["i=2787", "ns=2;i=4326", "ns=2;i=4326", "i=2788"]);
    // To the item alone; of its device alone; whatever its where clause says of the start and the end.
    let warnings =
        ContentFilterBuilder::new().lt(Operand::from(base("Severity")), Operand::literal(1_000_u16)).build();
    let mut axes = client.listen(stage.node("mill-uuid/m_axes"), short(warnings), 0).await;
    let both = vec![axes.subscription.into(), axes.item.into()];
    assert_eq!(client.call(MethodId::ConditionType_ConditionRefresh2, both).await, StatusCode::Good);
    stage.deliver_all().await;
    let told = [axes.next().await, axes.next().await, axes.next().await];
    assert_eq!(told.each_ref().map(|event| text(&event[0])), ["i=2787", "ns=2;i=4326", "i=2788"]);
    assert_eq!(text(&told[1][2]), "b");
    // Nothing came to the other; the next thing it hears is new.
    stage.condition("m_sys", Level::Fault, "new");
    stage.deliver_all().await;
    assert_eq!(other.texts(2, 1).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_of_what_is_not_the_clients_is_refused() {
    let stage = Stage::new().await;
    let (client, stranger) = (stage.client().await, stage.client().await);
    let heard = client.listen(server(), short(everything()), 100).await;
    let (refresh, refresh2) =
        (MethodId::ConditionType_ConditionRefresh, MethodId::ConditionType_ConditionRefresh2);
    let (subscription, item) = (Variant::from(heard.subscription), Variant::from(heard.item));
    assert_eq!(stranger.refresh(heard.subscription).await, StatusCode::BadSubscriptionIdInvalid);
    assert_eq!(client.refresh(999_999).await, StatusCode::BadSubscriptionIdInvalid);
    for (method, arguments, status) in [
        (refresh2, vec![subscription.clone(), 999_999_u32.into()], StatusCode::BadMonitoredItemIdInvalid),
        (refresh2, vec![999_999_u32.into(), item], StatusCode::BadSubscriptionIdInvalid),
        (refresh2, vec![subscription.clone()], StatusCode::BadArgumentsMissing),
        (refresh, vec![], StatusCode::BadArgumentsMissing),
        (refresh, vec![subscription.clone(), subscription.clone()], StatusCode::BadTooManyArguments),
        (refresh, vec!["1".into()], StatusCode::BadInvalidArgument),
        (MethodId::ConditionType_Disable, vec![], StatusCode::BadNotSupported),
    ] {
        assert_eq!(client.call(method, arguments.clone()).await, status, "{method:?} {arguments:?}");
    }
    let object = NodeId::from(ObjectTypeId::ConditionType);
    let wrong = (object, NodeId::from(refresh), Some(vec!["1".into()]));
    let answer = client.session.call_one(wrong).await.unwrap();
    assert_eq!(answer.input_argument_results, Some(vec![StatusCode::BadTypeMismatch]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_model_is_an_event_and_ends_the_conditions_that_went() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    let filter = EventFilter {
        select_clauses: Some(["EventType", "2:NativeCode", "Retain", "Changes"].map(base).to_vec()),
        where_clause: everything(),
    };
    let mut heard = client.listen(server(), filter, 100).await;
    stage.condition("m_sys", Level::Fault, "a");
    stage.deliver_all().await;
    assert_eq!(text(&heard.next().await[2]), "true");
    let gone = Tree::default();
    let changes = gone.replace(&stage.tree, &mut stage.address_space.write());
    stage.announcer.model_changed(&changes);
    stage.deliver_all().await;
    let change = heard.next().await;
    assert_eq!(text(&change[0]), "i=2133");
    let Variant::Array(named) = &change[3] else { panic!("{change:?}") };
    assert_eq!(named.values.len(), changes.len());
    let end = heard.next().await;
    assert_eq!((text(&end[1]), text(&end[2])), ("a".into(), "false".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_moves_to_another_session_takes_its_events_along() {
    let stage = Stage::with(&[Policy::Basic256Sha256]).await;
    let before = stage.client().await;
    let heard = before.listen(server(), short(everything()), 100).await;
    let after = stage.client_by(SecurityPolicy::Basic256Sha256, MessageSecurityMode::Sign).await;
    let moved = after.session.transfer_subscriptions(&[heard.subscription], false).await.unwrap();
    assert_eq!(moved[0].status_code, StatusCode::Good);
    stage.condition("m_sys", Level::Fault, "a");
    stage.deliver();
    assert!(!stage.announcer.waiting(), "the event went nowhere");
    assert_eq!(stage.lost(), 0);
    let handle = MonitoredItemHandle { subscription_id: heard.subscription, monitored_item_id: heard.item };
    let session = after.session.server_session_id().as_u32();
    assert_eq!(stage.announcer.desk.session_of(handle), session);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_item_without_an_event_filter_is_refused() {
    let stage = Stage::new().await;
    let client = stage.client().await;
    let heard = client.listen(server(), short(everything()), 100).await;
    let request = request(server(), ExtensionObject::null(), 10);
    let created = client
        .session
        .create_monitored_items(heard.subscription, TimestampsToReturn::Both, vec![request])
        .await
        .unwrap();
    assert_eq!(created[0].result.status_code, StatusCode::BadEventFilterInvalid);
}

#[test]
fn the_types_of_our_events_stand_where_the_node_set_has_them() {
    use opcua_nodes::{DefaultTypeTree, TypeTree};
    let mut address_space = AddressSpace::new();
    address_space.add_namespace("http://opcfoundation.org/UA/", 0);
    address_space.add_namespace("http://opcfoundation.org/UA/MTConnect/v2/", 2);
    let types = crate::northbound::opcua::nodeset::Types::load(&mut address_space, 2);
    let mut tree = DefaultTypeTree::new();
    address_space.load_into_type_tree(&mut tree);
    assert_eq!(types.id("MTConditionEventType"), Some(super::kind::Kind::Condition.type_id(2)));
    assert_eq!(types.id("MTMessageEventType"), Some(super::kind::Kind::Message.type_id(2)));
    for kind in super::kind::Kind::ALL {
        let mut own = Vec::new();
        let mut id = Some(kind.type_id(2));
        while let Some(at) = id {
            id = tree.get_supertype(&at).cloned();
            own.push(at);
        }
        let lineage = kind.lineage().iter();
        let lineage: Vec<_> =
            lineage.map(|&(companion, id)| NodeId::new(if companion { 2 } else { 0 }, id)).collect();
        assert_eq!(own, lineage, "{kind:?}");
    }
}
