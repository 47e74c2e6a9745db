//! An OPC UA server without security that holds the variables of a robot.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use opcua_server::address_space::{
    AddressSpace, EventNotifier, Object, ObjectType, ReferenceDirection, ReferenceType, Variable,
    VariableType,
};
use opcua_server::diagnostics::NamespaceMetadata;
use opcua_server::node_manager::ServerContext;
use opcua_server::node_manager::memory::{
    InMemoryNodeManager, InMemoryNodeManagerBuilder, InMemoryNodeManagerImpl,
};
use opcua_server::{ANONYMOUS_USER_TOKEN_ID, ServerBuilder, ServerEndpoint, ServerHandle};
use opcua_types::{
    DataTypeId, DataValue, DateTime, ExtensionObject, NodeId, ObjectId, ObjectTypeId, QualifiedName,
    ReferenceTypeId, ServerState, ServerStatusDataType, VariableId, VariableTypeId, Variant,
};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::arm::Arm;
use super::host::TICK;

/// The server's own namespace; it has index 1.
const OWN: &str = "urn:guideway:simulator:robot";
const DI: &str = "http://opcfoundation.org/UA/DI/";
const ROBOTICS: &str = "http://opcfoundation.org/UA/Robotics/";
/// Browse names that OPC 10000-100 (DI) gives; all others are of OPC 40010-1.
const NAMES_OF_DI: [&str; 4] = ["DeviceSet", "ParameterSet", "SerialNumber", "Model"];
/// How long the server may take to say goodbye to its clients.
const FAREWELL: Duration = Duration::from_millis(500);

/// One variable of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// Browse names, from the motion device system on.
    pub(crate) path: String,
    pub(crate) value: Variant,
    /// Whether it is a variable of the robot's program, which stands beside the motion device system.
    is_own: bool,
}

impl Leaf {
    /// A variable of the companion specification.
    pub(crate) fn new(path: impl Into<String>, value: impl Into<Variant>) -> Self {
        Self { path: path.into(), value: value.into(), is_own: false }
    }

    /// A variable of the installation's own, in the server's namespace.
    pub(crate) fn named(path: impl Into<String>, value: impl Into<Variant>) -> Self {
        Self { path: path.into(), value: value.into(), is_own: true }
    }
}

/// Serves the robot until `cancel`.
pub(crate) async fn serve(mut arm: Arm, listener: TcpListener, cancel: CancellationToken) {
    let Ok(address) = listener.local_addr() else { return };
    let folder = Folder::new(address.port());
    let leaves = arm.leaves();
    let mut ids = leaves.iter().map(node_id).collect::<Vec<_>>();
    ids.push(VariableId::Server_ServerStatus_CurrentTime.into());
    let space =
        move |context: ServerContext, space: &mut AddressSpace| Space::build(&leaves, &context, space);
    let built = ServerBuilder::new()
        .application_name("Simulated robot")
        .application_uri(OWN)
        .product_uri(OWN)
        .host(address.ip().to_string())
        .port(address.port())
        .pki_dir(folder.0.clone())
        .discovery_urls(vec!["/".to_owned()])
        .add_endpoint("none", ServerEndpoint::new_none("/", &[ANONYMOUS_USER_TOKEN_ID.to_owned()]))
        .max_sessions(8)
        .subscription_poll_interval_ms(50)
        .without_node_managers()
        .with_node_manager(InMemoryNodeManagerBuilder::new(space))
        .build();
    drop(folder);
    let (server, handle) = match built {
        Ok(built) => built,
        Err(error) => {
            tracing::error!(error, "the simulated robot's OPC UA server cannot be made");
            return;
        }
    };
    let mut server = tokio::spawn(server.run_with(listener));
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown: Vec<Variant> = Vec::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            ended = &mut server => {
                tracing::error!(?ended, "the simulated robot's OPC UA server ended by itself");
                return;
            }
            _ = ticks.tick() => {
                arm.step(TICK.as_secs_f64());
                let mut values: Vec<Variant> = arm.leaves().into_iter().map(|leaf| leaf.value).collect();
                values.push(clock().into());
                show(&handle, &ids, &values, &shown);
                shown = values;
            }
        }
    }
    handle.cancel();
    if tokio::time::timeout(FAREWELL, &mut server).await.is_err() {
        server.abort();
    }
}

/// Gives the server what has changed.
fn show(handle: &ServerHandle, ids: &[NodeId], values: &[Variant], shown: &[Variant]) {
    let Some(nodes) = handle.node_managers().get_of_type::<InMemoryNodeManager<Space>>() else { return };
    let changed = ids
        .iter()
        .zip(values)
        .enumerate()
        .filter(|(at, (_, value))| shown.get(*at) != Some(*value))
        .map(|(_, (id, value))| (id, None, DataValue::new_now(value.clone())));
    if let Err(status) = nodes.set_values(handle.subscriptions(), changed) {
        tracing::error!(%status, "the simulated robot cannot show its values");
    }
}

/// The time, to the second.
fn clock() -> DateTime {
    DateTime::from(DateTime::now().ticks() / 10_000_000 * 10_000_000)
}

/// What the server says of its own state.
fn state() -> Variant {
    let now = DateTime::now();
    let status = ServerStatusDataType {
        start_time: now,
        current_time: now,
        state: ServerState::Running,
        ..ServerStatusDataType::default()
    };
    Variant::from(ExtensionObject::from_message(status))
}

/// The folder that the library wants for certificates while a server is built, though there are none.
struct Folder(PathBuf);

impl Folder {
    fn new(port: u16) -> Self {
        let name = format!("guideway-simulated-robot-{}-{port}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Namespaces by their index: the standard's, then those above.
const NAMESPACES: [&str; 4] = ["http://opcfoundation.org/UA/", OWN, DI, ROBOTICS];

fn node_id(leaf: &Leaf) -> NodeId {
    if leaf.is_own { NodeId::new(1, leaf.path.clone()) } else { NodeId::new(3, leaf.path.clone()) }
}

/// The nodes.
struct Space;

impl Space {
    fn build(leaves: &[Leaf], context: &ServerContext, space: &mut AddressSpace) -> Self {
        for (index, uri) in (0..).zip(NAMESPACES) {
            context.type_tree.write().namespaces_mut().add_namespace(uri);
            space.add_namespace(uri, index);
        }
        types(space);
        standard(space);
        let mut made = HashSet::new();
        for leaf in leaves {
            let (index, mut parent) =
                if leaf.is_own { (1, ObjectId::ObjectsFolder.into()) } else { (3, system(space, &mut made)) };
            let mut end = 0;
            let mut names = leaf.path.split('/').peekable();
            while let Some(name) = names.next() {
                end += name.len();
                let id = NodeId::new(index, &leaf.path[..end]);
                end += 1;
                let browse = QualifiedName::new(if NAMES_OF_DI.contains(&name) { 2 } else { index }, name);
                if names.peek().is_none() {
                    variable(space, &id, browse, &parent, leaf.value.clone());
                } else if made.insert(id.clone()) {
                    object(space, &id, browse, &parent);
                }
                parent = id;
            }
        }
        Self
    }
}

#[async_trait]
impl InMemoryNodeManagerImpl for Space {
    async fn init(&self, _: &mut AddressSpace, _: ServerContext) {}

    fn name(&self) -> &'static str {
        "robot"
    }

    fn namespaces(&self) -> Vec<NamespaceMetadata> {
        let of = |(index, uri): (u16, &str)| NamespaceMetadata {
            namespace_uri: uri.to_owned(),
            namespace_index: index,
            ..NamespaceMetadata::default()
        };
        (0..).zip(NAMESPACES).map(of).collect()
    }
}

/// The motion device system in DeviceSet.
fn system(space: &mut AddressSpace, made: &mut HashSet<NodeId>) -> NodeId {
    let set = NodeId::new(2, 5_001);
    let system = NodeId::new(3, "MotionDeviceSystem");
    if made.insert(system.clone()) {
        object(space, &set, QualifiedName::new(2, "DeviceSet"), &ObjectId::ObjectsFolder.into());
        object(space, &system, QualifiedName::new(3, "MotionDeviceSystem"), &set);
    }
    system
}

fn object(space: &mut AddressSpace, id: &NodeId, name: QualifiedName, parent: &NodeId) {
    let text = name.name.as_ref().to_owned();
    let node = Object::new(id, name, text.as_str(), EventNotifier::empty());
    let kind = NodeId::from(ObjectTypeId::BaseObjectType);
    let reference = if *parent == ObjectId::ObjectsFolder {
        ReferenceTypeId::Organizes
    } else {
        ReferenceTypeId::HasComponent
    };
    space.insert(
        node,
        Some(&[
            (parent, &reference, ReferenceDirection::Inverse),
            (&kind, &ReferenceTypeId::HasTypeDefinition, ReferenceDirection::Forward),
        ]),
    );
}

fn variable(
    space: &mut AddressSpace,
    id: &NodeId,
    name: QualifiedName,
    parent: &NodeId,
    value: impl Into<Variant>,
) {
    let text = name.name.as_ref().to_owned();
    let mut node = Variable::new(id, name, text.as_str(), value);
    if *id == VariableId::Server_ServerStatus_State {
        node.set_data_type(NodeId::from(DataTypeId::ServerState));
    }
    let kind = NodeId::from(VariableTypeId::BaseDataVariableType);
    space.insert(
        node,
        Some(&[
            (parent, &ReferenceTypeId::HasComponent, ReferenceDirection::Inverse),
            (&kind, &ReferenceTypeId::HasTypeDefinition, ReferenceDirection::Forward),
        ]),
    );
}

/// As much of namespace 0 as clients ask for.
fn standard(space: &mut AddressSpace) {
    let (root, objects) = (NodeId::from(ObjectId::RootFolder), NodeId::from(ObjectId::ObjectsFolder));
    let server = NodeId::from(ObjectId::Server);
    let status = NodeId::from(VariableId::Server_ServerStatus);
    let folder = NodeId::from(ObjectTypeId::FolderType);
    for (id, name, parent) in [(&root, "Root", None), (&objects, "Objects", Some(&root))] {
        let definition = (&folder, &ReferenceTypeId::HasTypeDefinition, ReferenceDirection::Forward);
        let mut references = vec![definition];
        if let Some(parent) = parent {
            references.push((parent, &ReferenceTypeId::Organizes, ReferenceDirection::Inverse));
        }
        space.insert(Object::new(id, name, name, EventNotifier::empty()), Some(&references));
    }
    object(space, &server, "Server".into(), &objects);
    let uris = |uris: &[&str]| uris.iter().map(|uri| (*uri).to_owned()).collect::<Vec<_>>();
    let id = |variable: VariableId| NodeId::from(variable);
    variable(
        space,
        &id(VariableId::Server_NamespaceArray),
        "NamespaceArray".into(),
        &server,
        uris(&NAMESPACES),
    );
    variable(space, &id(VariableId::Server_ServerArray), "ServerArray".into(), &server, uris(&[OWN]));
    variable(space, &id(VariableId::Server_ServiceLevel), "ServiceLevel".into(), &server, 255_u8);
    variable(space, &status, "ServerStatus".into(), &server, state());
    // 0 is Running.
    variable(space, &id(VariableId::Server_ServerStatus_State), "State".into(), &status, 0_i32);
    let clock = id(VariableId::Server_ServerStatus_CurrentTime);
    variable(space, &clock, "CurrentTime".into(), &status, DateTime::now());
}

/// The types that paths are followed by.
fn types(space: &mut AddressSpace) {
    use ReferenceTypeId as R;
    for (id, name, parent) in [
        (R::References, "References", None),
        (R::NonHierarchicalReferences, "NonHierarchicalReferences", Some(R::References)),
        (R::HasTypeDefinition, "HasTypeDefinition", Some(R::NonHierarchicalReferences)),
        (R::HierarchicalReferences, "HierarchicalReferences", Some(R::References)),
        (R::Organizes, "Organizes", Some(R::HierarchicalReferences)),
        (R::HasChild, "HasChild", Some(R::HierarchicalReferences)),
        (R::HasSubtype, "HasSubtype", Some(R::HasChild)),
        (R::Aggregates, "Aggregates", Some(R::HasChild)),
        (R::HasComponent, "HasComponent", Some(R::Aggregates)),
        (R::HasProperty, "HasProperty", Some(R::Aggregates)),
    ] {
        let node = ReferenceType::new(&id.into(), name, name, None, false, parent.is_none());
        supertype(space, node, parent.map(NodeId::from).as_ref());
    }
    let base = NodeId::from(ObjectTypeId::BaseObjectType);
    let folder = NodeId::from(ObjectTypeId::FolderType);
    supertype(space, ObjectType::new(&base, "BaseObjectType", "BaseObjectType", false), None);
    supertype(space, ObjectType::new(&folder, "FolderType", "FolderType", false), Some(&base));
    let top = NodeId::from(VariableTypeId::BaseVariableType);
    let data = NodeId::from(VariableTypeId::BaseDataVariableType);
    let any = NodeId::from(DataTypeId::BaseDataType);
    let node = |id, name, is_abstract| VariableType::new(id, name, name, any.clone(), is_abstract, -2);
    supertype(space, node(&top, "BaseVariableType", true), None);
    supertype(space, node(&data, "BaseDataVariableType", false), Some(&top));
}

fn supertype(
    space: &mut AddressSpace,
    node: impl Into<opcua_server::address_space::NodeType>,
    parent: Option<&NodeId>,
) {
    let reference =
        parent.map(|parent| [(parent, &ReferenceTypeId::HasSubtype, ReferenceDirection::Inverse)]);
    space.insert(node, reference.as_ref().map(|reference| &reference[..]));
}
