//! What a client sees of namespace 0 and of the companion types: node by node, attribute by attribute,
//! reference by reference the published node set; and the server's word about itself.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and say what is skipped"
)]

#[path = "opcua_types/published.rs"]
mod published;
#[path = "opcua_types/server.rs"]
mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use opcua_client::DataChangeCallback;
use opcua_types::{
    AttributeId, DataValue, DateTime, EnumDefinition, ExtensionObject, MethodId, MonitoredItemCreateRequest,
    NodeId, ObjectId, ServerStatusDataType, StatusCode, StructureDefinition, TimestampsToReturn, VariableId,
    Variant,
};
use server::Running;

/// A value in the form that [`published`] gives to what it reads.
fn shown(value: &Variant) -> String {
    match value {
        Variant::Empty => "nothing".to_owned(),
        Variant::LocalizedText(text) => format!("{}:{}", text.locale.as_ref(), text.text),
        Variant::QualifiedName(name) => format!("{}:{}", name.namespace_index, name.name),
        Variant::DateTime(time) => time.as_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Variant::String(text) => text.to_string(),
        Variant::NodeId(id) => id.to_string(),
        Variant::Array(array) => {
            format!("[{}]", array.values.iter().map(shown).collect::<Vec<_>>().join("|"))
        }
        Variant::ExtensionObject(object) => definition(object),
        other => other.to_string(),
    }
}

fn definition(object: &ExtensionObject) -> String {
    if let Some(EnumDefinition { fields: Some(fields) }) = object.inner_as() {
        let word = |field: &opcua_types::EnumField| {
            assert_eq!(field.display_name.text, field.name);
            format!("{}={}", field.value, field.name)
        };
        return format!("enumeration {}", fields.iter().map(word).collect::<Vec<_>>().join("|"));
    }
    let StructureDefinition { default_encoding_id, base_data_type, structure_type, fields } =
        object.inner_as().expect("a definition");
    let field = |field: &opcua_types::StructureField| {
        assert_eq!((field.value_rank, field.max_string_length), (-1, 0));
        format!("{}{} {}", field.name, if field.is_optional { "?" } else { "" }, field.data_type)
    };
    let fields = fields.iter().flatten().map(field).collect::<Vec<_>>().join("|");
    format!("structure {} of {base_data_type} as {default_encoding_id}: {fields}", *structure_type as i32)
}

fn attribute(name: &str) -> AttributeId {
    match name {
        "NodeId" => AttributeId::NodeId,
        "NodeClass" => AttributeId::NodeClass,
        "BrowseName" => AttributeId::BrowseName,
        "DisplayName" => AttributeId::DisplayName,
        "WriteMask" => AttributeId::WriteMask,
        "UserWriteMask" => AttributeId::UserWriteMask,
        "IsAbstract" => AttributeId::IsAbstract,
        "EventNotifier" => AttributeId::EventNotifier,
        "Symmetric" => AttributeId::Symmetric,
        "InverseName" => AttributeId::InverseName,
        "DataType" => AttributeId::DataType,
        "ValueRank" => AttributeId::ValueRank,
        "Value" => AttributeId::Value,
        "DataTypeDefinition" => AttributeId::DataTypeDefinition,
        "AccessLevel" => AttributeId::AccessLevel,
        "UserAccessLevel" => AttributeId::UserAccessLevel,
        "Historizing" => AttributeId::Historizing,
        other => panic!("no attribute is called {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_sees_the_companion_types_as_they_are_published() {
    let Some(text) = published::companion() else { return };
    let running = Running::start().await;
    let namespaces = running.value(VariableId::Server_NamespaceArray).await.value.expect("namespaces");
    let Variant::Array(namespaces) = namespaces else { panic!("no list") };
    let is_companion = |uri: &Variant| shown(uri) == "http://opcfoundation.org/UA/MTConnect/v2/";
    let index = namespaces.values.iter().position(is_companion).expect("the companion namespace");
    let expected = published::read(&text, u16::try_from(index).expect("an index"));
    assert!(expected.nodes.len() > 500, "the node set was read");

    let id = |text: &str| text.parse::<NodeId>().expect("an id");
    let mut wanted = Vec::new();
    let mut values = Vec::new();
    for (node, published) in &expected.nodes {
        for (name, value) in &published.attributes {
            wanted.push((id(node), attribute(name)));
            values.push((node, *name, value));
        }
    }
    let mut wrong = Vec::new();
    for ((node, name, expected), seen) in values.iter().zip(running.read(&wanted).await) {
        let seen = match seen.status {
            Some(status) if !status.is_good() => status.to_string(),
            _ => shown(seen.value.as_ref().unwrap_or(&Variant::Empty)),
        };
        if seen != **expected {
            wrong.push(format!("{node} {name}: {seen} instead of {expected}"));
        }
    }

    let nodes: Vec<&String> = expected.nodes.keys().collect();
    let ids: Vec<NodeId> = nodes.iter().map(|node| id(node)).collect();
    for (node, found) in nodes.iter().zip(running.references(&ids).await) {
        let mut seen = BTreeSet::new();
        // The machines are instances of the types, and no part of the node set.
        let is_published = |namespace: u16| namespace == 0 || usize::from(namespace) == index;
        for reference in found.into_iter().filter(|other| is_published(other.node_id.node_id.namespace)) {
            let (kind, other) =
                (reference.reference_type_id.to_string(), reference.node_id.node_id.to_string());
            let link = if reference.is_forward {
                ((*node).clone(), kind, other)
            } else {
                (other, kind, (*node).clone())
            };
            assert!(seen.insert(link), "a reference of {node} is there twice");
        }
        let published =
            expected.links.iter().filter(|(source, _, target)| source == *node || target == *node);
        let published: BTreeSet<_> = published.cloned().collect();
        wrong.extend(published.difference(&seen).map(|link| format!("{link:?} is missing")));
        wrong.extend(seen.difference(&published).map(|link| format!("{link:?} is too much")));
    }
    running.stop().await;
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_says_what_is_so_of_itself() {
    let running = Running::start().await;
    let good = async |id: VariableId| {
        let value = running.value(id).await;
        assert!(value.status.is_none_or(|status| status.is_good()), "{id:?}: {value:?}");
        value.value.unwrap_or_default()
    };
    assert_eq!(good(VariableId::Server_ServerStatus_State).await, Variant::Int32(0), "running");
    let status = good(VariableId::Server_ServerStatus).await;
    let Variant::ExtensionObject(status) = status else { panic!("no structure: {status:?}") };
    let status: &ServerStatusDataType = status.inner_as().expect("a status");
    let age = DateTime::now().as_chrono() - status.current_time.as_chrono();
    assert!(age.num_seconds().abs() < 30, "the time is that of the reading, not {age}");
    assert!(!status.start_time.is_null());
    let uris = good(VariableId::Server_NamespaceArray).await;
    let servers = good(VariableId::Server_ServerArray).await;
    let (Variant::Array(uris), Variant::Array(servers)) = (uris, servers) else { panic!("no lists") };
    assert_eq!(shown(&uris.values[0]), "http://opcfoundation.org/UA/");
    assert_eq!(uris.values[1], servers.values[0], "index 1 is the server's own (part 5, 6.3.1)");
    assert!(uris.values.iter().all(|uri| !shown(uri).is_empty()));
    assert_eq!(good(VariableId::HistoryServerCapabilities_AccessHistoryDataCapability).await, true.into());
    assert_eq!(good(VariableId::HistoryServerCapabilities_AccessHistoryEventsCapability).await, false.into());
    assert_eq!(
        good(VariableId::HistoryServerCapabilities_MaxReturnDataValues).await,
        Variant::UInt32(10_000)
    );
    assert_eq!(good(VariableId::Server_ServerCapabilities_MaxArrayLength).await, Variant::UInt32(100_000));
    assert_eq!(good(VariableId::Server_ServiceLevel).await, Variant::Byte(255));
    let diagnostics = VariableId::Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSessionCount;
    let refused = running.value(diagnostics).await;
    assert_ne!(refused.value, Some(Variant::UInt32(1)), "diagnostics are not for everybody: {refused:?}");

    // Every value below the Server object can be read, and what the server has not is not there.
    let mut found = vec![NodeId::from(ObjectId::Server)];
    let mut next = 0;
    while next < found.len() {
        let part: Vec<NodeId> = found[next..].to_vec();
        next = found.len();
        for reference in running.references(&part).await.into_iter().flatten() {
            let target = reference.node_id.node_id;
            let is_part =
                [35, 46, 47, 49].map(|kind| NodeId::new(0, kind)).contains(&reference.reference_type_id);
            if reference.is_forward && is_part && target.namespace == 0 && !found.contains(&target) {
                found.push(target);
            }
        }
    }
    let classes = found.iter().map(|id| (id.clone(), AttributeId::NodeClass)).collect::<Vec<_>>();
    let classes = running.read(&classes).await;
    let variables: Vec<_> = found
        .into_iter()
        .zip(classes)
        .filter(|(_, class)| class.value == Some(Variant::Int32(2)))
        .map(|(id, _)| (id, AttributeId::Value))
        .collect();
    assert!(variables.len() > 80, "{} variables", variables.len());
    for ((id, _), value) in variables.iter().zip(running.read(&variables).await) {
        let is_refused = value.status == Some(StatusCode::BadUserAccessDenied);
        let is_diagnostics =
            (2275..=2288).contains(&id.as_u32().unwrap_or_default()) || *id == NodeId::new(0, 3705);
        let may_be_empty = is_diagnostics || (16134..=16136).contains(&id.as_u32().unwrap_or_default());
        assert!(may_be_empty || (!is_refused && value.value.is_some()), "{id}: {value:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_methods_of_the_server_check_what_they_are_given() {
    let running = Running::start().await;
    let session = &running.session;
    let (sender, mut ticks) = tokio::sync::mpsc::unbounded_channel();
    let seen = DataChangeCallback::new(move |value: DataValue, _| {
        let _ = sender.send(value);
    });
    let subscription = session
        .create_subscription(Duration::from_millis(100), 100, 20, 0, 0, true, seen)
        .await
        .expect("a subscription");
    let item = |handle| {
        let id = NodeId::from(VariableId::Server_ServerStatus_CurrentTime);
        let mut request = MonitoredItemCreateRequest::from(id);
        request.requested_parameters.client_handle = handle;
        request.requested_parameters.queue_size = 10;
        request
    };
    let created = session
        .create_monitored_items(subscription, TimestampsToReturn::Both, vec![item(7)])
        .await
        .expect("an answer");
    assert_eq!(created[0].result.status_code, StatusCode::Good);
    for _ in 0..3 {
        let tick = tokio::time::timeout(Duration::from_secs(30), ticks.recv()).await;
        assert!(tick.expect("the time goes on").is_some());
    }

    let call = async |method: MethodId, arguments: Vec<Variant>| {
        let request = (NodeId::from(ObjectId::Server), NodeId::from(method), Some(arguments));
        session.call_one(request).await.expect("an answer")
    };
    let answer = call(MethodId::Server_GetMonitoredItems, vec![subscription.into()]).await;
    assert_eq!(answer.status_code, StatusCode::Good);
    let outputs = answer.output_arguments.expect("two lists");
    assert_eq!(outputs, [vec![created[0].result.monitored_item_id].into(), vec![7_u32].into()]);
    assert_eq!(
        call(MethodId::Server_ResendData, vec![subscription.into()]).await.status_code,
        StatusCode::Good
    );
    for method in [MethodId::Server_GetMonitoredItems, MethodId::Server_ResendData] {
        let status = async |arguments| call(method, arguments).await.status_code;
        assert_eq!(status(vec![]).await, StatusCode::BadArgumentsMissing);
        assert_eq!(status(vec![1_u32.into(), 2_u32.into()]).await, StatusCode::BadTooManyArguments);
        assert_eq!(status(vec![999_u32.into()]).await, StatusCode::BadSubscriptionIdInvalid);
        let answer = call(method, vec!["one".into()]).await;
        assert_eq!(answer.status_code, StatusCode::BadInvalidArgument);
        assert_eq!(answer.input_argument_results, Some(vec![StatusCode::BadTypeMismatch]));
    }
    let gone = call(MethodId::Server_SetSubscriptionDurable, vec![1_u32.into(), 1_u32.into()]).await;
    assert_eq!(gone.status_code, StatusCode::BadMethodInvalid);
    running.stop().await;
}
