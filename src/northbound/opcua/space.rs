//! The one node manager: the standard's own nodes, the companion types, and the machines.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use opcua_core::sync::RwLock;
use opcua_server::CreateMonitoredItem;
use opcua_server::address_space::{AddressSpace, NodeType};
use opcua_server::diagnostics::NamespaceMetadata;
use opcua_server::node_manager::memory::InMemoryNodeManagerImpl;
use opcua_server::node_manager::{
    HistoryNode, MethodCall, MonitoredItemRef, MonitoredItemUpdateRef, ParsedReadValueId, ParsedWriteValue,
    RequestContext, ServerContext, WriteNode,
};
use opcua_types::{
    AttributeId, DataEncoding, DataValue, NodeId, NumericRange, ReadRawModifiedDetails, StatusCode,
    TimestampsToReturn,
};

use super::binding::Bindings;
use super::control::Desk;
use super::core::Core;
use super::events::Announcer;
use super::machine_tool::{self, NodeSets};
use super::nodeset::{MTCONNECT, Types};
use super::watch::Watch;
use super::{Context, Options, Stats, history};

/// What the parts of the face have in common.
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) announcer: Arc<Announcer>,
    /// Where observations go; swapped when the model changes.
    pub(super) bindings: ArcSwap<Bindings>,
    /// Set when the address space is made.
    pub(super) types: OnceLock<Arc<Types>>,
    /// The index of the machines' namespace; set when the address space is made.
    pub(super) machines: OnceLock<u16>,
    /// The folder of further node sets, as the configuration says.
    nodesets: Option<PathBuf>,
    /// Set when the address space is made, where the folder has what it takes.
    pub(super) machine_tool: OnceLock<machine_tool::Types>,
    /// Most values in one answer to a history request.
    pub(super) history_values: usize,
    /// What the face counts.
    pub(super) stats: Arc<Stats>,
    /// Monitored items that need more than the library does.
    pub(super) watch: Watch,
    /// Where commands are asked for; not there without control.
    pub(super) desk: Option<Arc<Desk>>,
}

impl Shared {
    /// For a server that is about to be built.
    pub(super) fn new(
        context: Context,
        announcer: Arc<Announcer>,
        options: &Options,
        stats: Arc<Stats>,
    ) -> Self {
        let desk = context.control.clone().map(|control| Arc::new(Desk::new(control, &options.users)));
        Self {
            context,
            announcer,
            bindings: ArcSwap::default(),
            types: OnceLock::new(),
            machines: OnceLock::new(),
            nodesets: options.nodesets.clone(),
            machine_tool: OnceLock::new(),
            history_values: options.limits.history_values,
            stats,
            watch: Watch::default(),
            desk,
        }
    }

    /// The machines' namespace: the same after every restart, another one for every gateway.
    pub(super) fn machines_uri(&self) -> String {
        format!("urn:guideway:{}:machines", self.context.gateway)
    }
}

/// The node manager's own half; the library keeps the nodes.
pub(super) struct Space {
    shared: Arc<Shared>,
    core: Core,
    namespaces: Vec<NamespaceMetadata>,
}

impl Space {
    /// Fills the address space with everything but the machines, which come with the first run of the
    /// feed, before the server listens.
    pub(super) fn build(
        shared: Arc<Shared>,
        context: &ServerContext,
        address_space: &mut AddressSpace,
    ) -> Self {
        let machines_uri = shared.machines_uri();
        let (mtconnect, machines) = {
            let mut types = context.type_tree.write();
            let map = types.namespaces_mut();
            // Index 1 is the server's own by convention (part 3, 8.2.2).
            map.add_namespace(context.info.application_uri.as_ref());
            (map.add_namespace(MTCONNECT), map.add_namespace(&machines_uri))
        };
        address_space.add_namespace("http://opcfoundation.org/UA/", 0);
        address_space.add_namespace(MTCONNECT, mtconnect);
        address_space.add_namespace(&machines_uri, machines);
        let types = Arc::new(Types::load(address_space, mtconnect));
        shared.announcer.begin(types.clone(), shared.stats.clone());
        let core = Core::new(context, address_space, shared.history_values);
        let sets = shared
            .nodesets
            .as_deref()
            .map(|folder| NodeSets::load(folder, address_space, context.type_tree.write().namespaces_mut()));
        address_space.load_into_type_tree(&mut context.type_tree.write());
        if let Some(types) =
            sets.as_ref().and_then(|sets| sets.types(address_space, &*context.type_tree.read()))
        {
            let _ = shared.machine_tool.set(types);
        }
        // Set once: there is one address space.
        let _ = shared.types.set(types);
        let _ = shared.machines.set(machines);
        let namespace = |uri: &str, index| NamespaceMetadata {
            namespace_uri: uri.to_owned(),
            namespace_index: index,
            is_namespace_subset: Some(false),
            ..NamespaceMetadata::default()
        };
        let mut namespaces = vec![
            namespace("http://opcfoundation.org/UA/", 0),
            namespace(MTCONNECT, mtconnect),
            namespace(&machines_uri, machines),
        ];
        let sets = sets.iter().flat_map(NodeSets::namespaces);
        namespaces.extend(sets.map(|(uri, index)| namespace(uri, *index)));
        Self { core, shared, namespaces }
    }
}

/// The shortest sampling interval that the library lets us revise one to, in milliseconds: it counts in
/// microseconds, and this is 0 of them. Values are told when they come; with an interval of its own the
/// library would shift the source times of those that come sooner (see `watch` for what is left).
const EXCEPTION_BASED: f64 = 0.0004;

impl Space {
    fn value(
        &self,
        context: &RequestContext,
        address_space: &AddressSpace,
        node: &ParsedReadValueId,
        max_age: f64,
        timestamps: TimestampsToReturn,
    ) -> DataValue {
        if let Some(live) = self.core.read(context, node, timestamps) {
            return live;
        }
        let read = |node: &ParsedReadValueId| address_space.read(context, node, max_age, timestamps);
        if node.index_range.is_none() {
            return read(node);
        }
        // Null has no elements; that must not hide why the value is null.
        let whole = read(&ParsedReadValueId { index_range: NumericRange::None, ..node.clone() });
        if whole.status().is_bad() { whole } else { read(node) }
    }
}

/// Whether a status says that the item itself cannot be monitored, and not what state its value is in.
fn is_refusal(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BadNodeIdUnknown
            | StatusCode::BadAttributeIdInvalid
            | StatusCode::BadUserAccessDenied
            | StatusCode::BadNotReadable
            | StatusCode::BadDataEncodingInvalid
            | StatusCode::BadDataEncodingUnsupported
    )
}

/// Why an attribute is not written, unless a command is bound to it.
fn not_written(address_space: &AddressSpace, wanted: &ParsedWriteValue) -> StatusCode {
    match address_space.find(&wanted.node_id) {
        None => StatusCode::BadNodeIdUnknown,
        Some(found) if has_attribute(found, wanted.attribute_id) => StatusCode::BadNotWritable,
        Some(_) => StatusCode::BadAttributeIdInvalid,
    }
}

fn has_attribute(node: &NodeType, attribute: AttributeId) -> bool {
    let found = node.as_node().get_attribute(
        TimestampsToReturn::Neither,
        attribute,
        &NumericRange::None,
        &DataEncoding::Binary,
    );
    found.is_some()
}

#[async_trait]
impl InMemoryNodeManagerImpl for Space {
    async fn init(&self, _address_space: &mut AddressSpace, _context: ServerContext) {}

    fn name(&self) -> &'static str {
        "guideway"
    }

    fn namespaces(&self) -> Vec<NamespaceMetadata> {
        self.namespaces.clone()
    }

    fn owns_server_events(&self) -> bool {
        true
    }

    async fn read_values(
        &self,
        context: &RequestContext,
        address_space: &RwLock<AddressSpace>,
        nodes: &[&ParsedReadValueId],
        max_age: f64,
        timestamps: TimestampsToReturn,
    ) -> Vec<DataValue> {
        let address_space = address_space.read();
        nodes.iter().map(|node| self.value(context, &address_space, node, max_age, timestamps)).collect()
    }

    async fn create_value_monitored_items(
        &self,
        context: &RequestContext,
        address_space: &RwLock<AddressSpace>,
        items: &mut [&mut &mut CreateMonitoredItem],
    ) {
        let address_space = address_space.read();
        for item in items {
            let node = item.item_to_monitor();
            let mut value = self.value(context, &address_space, node, 0.0, TimestampsToReturn::Both);
            if is_refusal(value.status()) {
                item.set_status(value.status());
                continue;
            }
            if self.shared.machines.get() == Some(&node.node_id.namespace) {
                if value.status() == StatusCode::BadWaitingForInitialData {
                    // When nothing happened is no time that others lie before.
                    value.source_timestamp = None;
                }
                if item.sampling_interval() < 0.0 {
                    item.revise_queue_size(1);
                } else if item.sampling_interval() > 0.0 {
                    item.revise_sampling_interval(EXCEPTION_BASED);
                }
                self.shared.watch.enter(item, &value);
            }
            item.set_initial_value(value);
            item.set_status(StatusCode::Good);
            self.core.monitor(context, item);
        }
    }

    async fn modify_monitored_items(&self, context: &RequestContext, items: &[&MonitoredItemUpdateRef]) {
        self.shared.announcer.changed(items);
        let is_machine =
            |item: &&&MonitoredItemUpdateRef| self.shared.machines.get() == Some(&item.node_id().namespace);
        let items: Vec<_> = items.iter().filter(is_machine).copied().collect();
        self.shared.watch.modified(&items, context.subscriptions(), context.session_id());
    }

    async fn create_event_monitored_items(
        &self,
        context: &RequestContext,
        _address_space: &RwLock<AddressSpace>,
        items: &mut [&mut &mut CreateMonitoredItem],
    ) {
        self.shared.announcer.monitor(context, items);
    }

    async fn delete_monitored_items(&self, _context: &RequestContext, items: &[&MonitoredItemRef]) {
        self.core.forget(items);
        self.shared.watch.forget(items);
        self.shared.announcer.forget(items);
    }

    async fn history_read_raw_modified(
        &self,
        _context: &RequestContext,
        details: &ReadRawModifiedDetails,
        nodes: &mut [&mut &mut HistoryNode],
        timestamps_to_return: TimestampsToReturn,
    ) -> Result<(), StatusCode> {
        history::read_raw(&self.shared, details, nodes, timestamps_to_return).await
    }

    async fn write(
        &self,
        context: &RequestContext,
        address_space: &RwLock<AddressSpace>,
        nodes_to_write: &mut [&mut WriteNode],
    ) -> Result<(), StatusCode> {
        // Machines are written to by commands only: no node but those bound to one is writable for anybody.
        let machines = self.shared.machines.get();
        let mut not_bound: Option<(NodeId, usize)> = None;
        for node in nodes_to_write {
            let wanted = node.value();
            let mut status = not_written(&address_space.read(), wanted);
            if let Some(desk) = &self.shared.desk
                && status == StatusCode::BadNotWritable
                && machines == Some(&wanted.node_id.namespace)
            {
                match desk.write(context.user_token(), wanted).await {
                    Some(ended) => status = ended,
                    None => not_bound.get_or_insert_with(|| (wanted.node_id.clone(), 0)).1 += 1,
                }
            }
            node.set_status(status);
        }
        if let (Some(desk), Some((first, count))) = (&self.shared.desk, not_bound) {
            desk.not_bound(context.user_token(), &first, count);
        }
        Ok(())
    }

    async fn call(
        &self,
        context: &RequestContext,
        _address_space: &RwLock<AddressSpace>,
        methods_to_call: &mut [&mut &mut MethodCall],
    ) -> Result<(), StatusCode> {
        for call in methods_to_call {
            let answer = self.core.call(context, call);
            let answer = answer.or_else(|| self.shared.announcer.call(context, call));
            call.set_status(answer.unwrap_or(StatusCode::BadMethodInvalid));
        }
        Ok(())
    }
}
