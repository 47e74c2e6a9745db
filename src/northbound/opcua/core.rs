//! What the server says of itself: the values and methods of namespace 0.
//!
//! What cannot change while the server runs (limits, capabilities) is put into the address space once;
//! what can is made when it is read, and once a second while a client monitors it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opcua_core::sync::RwLock;
use opcua_nodes::{AccessLevel, DefaultTypeTree, NodeType};
use opcua_server::address_space::AddressSpace;
use opcua_server::node_manager::{
    MethodCall, MonitoredItemRef, ParsedReadValueId, RequestContext, ServerContext, SyncSampler,
};
use opcua_server::{CreateMonitoredItem, ServerInfo, ServerStatusWrapper};
use opcua_types::{
    Array, AttributeId, BrowseDirection, DataEncoding, DataValue, DateTime, ExtensionObject, MethodId,
    MonitoringMode, NodeId, NumericRange, ObjectId, ReferenceTypeId, ServerStatusDataType, StatusCode,
    TimeZoneDataType, TimestampsToReturn, VariableId as Id, Variant, VariantScalarTypeId,
};

/// How often monitored live values are looked at.
const SAMPLING: Duration = Duration::from_secs(1);

/// Serves ServerStatus, NamespaceArray, ServerArray, limits and capabilities.
pub(super) struct Core {
    source: Arc<Source>,
    sampler: SyncSampler,
}

/// Where live values come from.
struct Source {
    info: Arc<ServerInfo>,
    status: Arc<ServerStatusWrapper>,
    types: Arc<RwLock<DefaultTypeTree>>,
}

impl Core {
    /// For the server of that context. Writes into the address space what does not change, and takes out
    /// what this server does not have. `history_values` is the most values in one answer to a history
    /// request.
    pub(super) fn new(
        context: &ServerContext,
        address_space: &mut AddressSpace,
        history_values: usize,
    ) -> Self {
        for root in absent() {
            remove(address_space, &root);
        }
        for (id, value) in constants(&context.info, &context.status, history_values) {
            if let Some(NodeType::Variable(variable)) = address_space.find_mut(&NodeId::from(id)) {
                variable.set_data_value(DataValue::new_now(value));
            }
        }
        let sampler = SyncSampler::new();
        sampler.run(SAMPLING, context.subscriptions.clone());
        let (info, status) = (context.info.clone(), context.status.clone());
        Self { source: Arc::new(Source { info, status, types: context.type_tree.clone() }), sampler }
    }

    /// The live value; `None` when the node has no other value than the one in the address space.
    pub(super) fn read(
        &self,
        context: &RequestContext,
        node: &ParsedReadValueId,
        timestamps: TimestampsToReturn,
    ) -> Option<DataValue> {
        let id = variable(&node.node_id).filter(|id| self.source.is_live(*id))?;
        let refused = |status| Some(DataValue { status: Some(status), ..DataValue::default() });
        let level = AccessLevel::CURRENT_READ;
        let level =
            context.authenticator().effective_user_access_level(context.user_token(), level, &node.node_id);
        if !level.contains(AccessLevel::CURRENT_READ) || !self.may_read(context, id) {
            return refused(StatusCode::BadUserAccessDenied);
        }
        if !matches!(node.data_encoding, DataEncoding::Binary) {
            return refused(StatusCode::BadDataEncodingInvalid);
        }
        let mut value = self.source.sample(id)?;
        if node.index_range != NumericRange::None {
            match value.value.take().map(|whole| whole.range_of(&node.index_range)) {
                Some(Ok(part)) => value.value = Some(part),
                Some(Err(status)) => return refused(status),
                None => {}
            }
        }
        if matches!(timestamps, TimestampsToReturn::Server | TimestampsToReturn::Neither) {
            value.source_timestamp = None;
        }
        if matches!(timestamps, TimestampsToReturn::Source | TimestampsToReturn::Neither) {
            value.server_timestamp = None;
        }
        Some(value)
    }

    /// Whether the user may: the diagnostics are for those who are allowed them.
    fn may_read(&self, context: &RequestContext, id: Id) -> bool {
        let is_open = !self.source.info.diagnostics.is_mapped(id);
        is_open || context.authenticator().core_permissions(context.user_token()).read_diagnostics
    }

    /// Takes note of a monitored item on a live value, to sample it.
    pub(super) fn monitor(&self, context: &RequestContext, item: &CreateMonitoredItem) {
        let wanted = item.item_to_monitor();
        let Some(id) = variable(&wanted.node_id).filter(|id| self.source.is_sampled(*id)) else { return };
        if wanted.attribute_id != AttributeId::Value || !self.may_read(context, id) {
            return;
        }
        let source = self.source.clone();
        // The mode of the item decides later whether the value goes anywhere; no interval of the sampler's
        // own, which would make it miss every other tick.
        self.sampler.add_sampler(
            wanted.node_id.clone(),
            AttributeId::Value,
            move || source.sample(id),
            MonitoringMode::Reporting,
            item.handle(),
            Duration::ZERO,
        );
    }

    /// Forgets monitored items.
    pub(super) fn forget(&self, items: &[&MonitoredItemRef]) {
        for item in items {
            if variable(item.node_id()).is_some_and(|id| self.source.is_sampled(id)) {
                self.sampler.remove_sampler(item.node_id(), item.attribute(), item.handle());
            }
        }
    }

    /// Answers GetMonitoredItems and ResendData; `None` when the method is another one.
    pub(super) fn call(&self, context: &RequestContext, call: &mut MethodCall) -> Option<StatusCode> {
        let method = call.method_id().as_method_id().ok()?;
        if !matches!(method, MethodId::Server_GetMonitoredItems | MethodId::Server_ResendData) {
            return None;
        }
        let subscription = match call.arguments() {
            [Variant::UInt32(subscription)] => *subscription,
            [] => return Some(StatusCode::BadArgumentsMissing),
            [_] => {
                call.set_argument_error(vec![StatusCode::BadTypeMismatch]);
                return Some(StatusCode::BadInvalidArgument);
            }
            _ => return Some(StatusCode::BadTooManyArguments),
        };
        let Some(own) = context.subscriptions().get_session_subscriptions(context.session_id()) else {
            return Some(StatusCode::BadSubscriptionIdInvalid);
        };
        let mut own = own.lock();
        let Some(subscription) = own.get_mut(subscription) else {
            return Some(StatusCode::BadSubscriptionIdInvalid);
        };
        if method == MethodId::Server_ResendData {
            subscription.set_resend_data();
        } else {
            let (servers, clients): (Vec<u32>, Vec<u32>) =
                subscription.items().map(|item| (item.id(), item.client_handle())).unzip();
            call.set_outputs(vec![servers.into(), clients.into()]);
        }
        Some(StatusCode::Good)
    }
}

impl Source {
    fn is_live(&self, id: Id) -> bool {
        self.is_sampled(id)
            || matches!(
                id,
                Id::Server_NamespaceArray
                    | Id::Server_ServiceLevel
                    | Id::Server_ServerStatus_StartTime
                    | Id::Server_ServerStatus_State
            )
    }

    /// Whether it changes without the library telling those who monitor it.
    fn is_sampled(&self, id: Id) -> bool {
        self.info.diagnostics.is_mapped(id)
            || matches!(
                id,
                Id::Server_ServerStatus
                    | Id::Server_ServerStatus_CurrentTime
                    | Id::Server_ServerStatus_SecondsTillShutdown
                    | Id::Server_ServerStatus_ShutdownReason
                    | Id::Server_LocalTime
            )
    }

    fn sample(&self, id: Id) -> Option<DataValue> {
        let status = &self.status;
        let value = match id {
            Id::Server_ServerStatus => structure(ServerStatusDataType {
                start_time: status.start_time(),
                current_time: DateTime::now(),
                state: status.state(),
                build_info: status.build_info(),
                seconds_till_shutdown: status.seconds_till_shutdown().unwrap_or_default(),
                shutdown_reason: status.shutdown_reason().unwrap_or_default(),
            }),
            Id::Server_ServerStatus_StartTime => status.start_time().into(),
            Id::Server_ServerStatus_CurrentTime => DateTime::now().into(),
            Id::Server_ServerStatus_State => Variant::Int32(status.state() as i32),
            Id::Server_ServerStatus_SecondsTillShutdown => {
                Variant::UInt32(status.seconds_till_shutdown().unwrap_or_default())
            }
            Id::Server_ServerStatus_ShutdownReason => status.shutdown_reason().unwrap_or_default().into(),
            Id::Server_ServiceLevel => Variant::Byte(self.info.service_level.load(Ordering::Relaxed)),
            Id::Server_LocalTime => structure(local_time()),
            Id::Server_NamespaceArray => self.namespaces().into(),
            _ => return self.info.diagnostics.get(id),
        };
        Some(DataValue::new_now(value))
    }

    /// By index; an index that nothing uses has an empty text.
    fn namespaces(&self) -> Vec<String> {
        let types = self.types.read();
        let known = types.namespaces().known_namespaces();
        let count = known.values().max().map_or(0, |last| usize::from(*last) + 1);
        let mut namespaces = vec![String::new(); count];
        for (uri, index) in known {
            namespaces[usize::from(*index)].clone_from(uri);
        }
        namespaces
    }
}

/// The variable of namespace 0 with that id.
fn variable(id: &NodeId) -> Option<Id> {
    id.as_variable_id().ok()
}

fn structure<T: opcua_types::DynEncodable>(value: T) -> Variant {
    ExtensionObject::from_message(value).into()
}

/// The offset of this machine's zone from UTC, with daylight saving in it.
fn local_time() -> TimeZoneDataType {
    let zone = jiff::Zoned::now();
    let info = zone.time_zone().to_offset_info(zone.timestamp());
    TimeZoneDataType {
        offset: i16::try_from(info.offset().seconds() / 60).unwrap_or_default(),
        daylight_saving_in_offset: info.dst().is_dst(),
    }
}

/// What does not change while the server runs.
fn constants(info: &ServerInfo, status: &ServerStatusWrapper, history_values: usize) -> Vec<(Id, Variant)> {
    let limits = &info.config.limits;
    let operational = &limits.operational;
    // A limit that is larger than its type is none that a client can meet.
    let long = |limit: usize| Variant::UInt32(u32::try_from(limit).unwrap_or(u32::MAX));
    let short = |limit: usize| Variant::UInt16(u16::try_from(limit).unwrap_or(u16::MAX));
    let none = |kind| Variant::from(Array { value_type: kind, values: Vec::new(), dimensions: None });
    let locales = vec![Variant::from("en")];
    let build = status.build_info();
    let mut values = vec![
        (Id::Server_ServerArray, info.servers.clone().into()),
        (Id::Server_ServerStatus_BuildInfo, structure(build.clone())),
        (Id::Server_ServerStatus_BuildInfo_ProductUri, build.product_uri.into()),
        (Id::Server_ServerStatus_BuildInfo_ManufacturerName, build.manufacturer_name.into()),
        (Id::Server_ServerStatus_BuildInfo_ProductName, build.product_name.into()),
        (Id::Server_ServerStatus_BuildInfo_SoftwareVersion, build.software_version.into()),
        (Id::Server_ServerStatus_BuildInfo_BuildNumber, build.build_number.into()),
        (Id::Server_ServerStatus_BuildInfo_BuildDate, build.build_date.into()),
        (Id::Server_Auditing, false.into()),
        (Id::Server_ServerRedundancy_RedundancySupport, Variant::Int32(0)),
        (Id::Server_ServerDiagnostics_EnabledFlag, info.diagnostics.enabled.into()),
        (
            Id::Server_ServerDiagnostics_SubscriptionDiagnosticsArray,
            none(VariantScalarTypeId::ExtensionObject),
        ),
        (
            Id::Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray,
            none(VariantScalarTypeId::ExtensionObject),
        ),
        (
            Id::Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray,
            none(VariantScalarTypeId::ExtensionObject),
        ),
        (Id::Server_ServerCapabilities_ServerProfileArray, info.capabilities.profiles.clone().into()),
        (
            Id::Server_ServerCapabilities_LocaleIdArray,
            Variant::from(Array {
                value_type: VariantScalarTypeId::String,
                values: locales,
                dimensions: None,
            }),
        ),
        (Id::Server_ServerCapabilities_SoftwareCertificates, none(VariantScalarTypeId::ExtensionObject)),
        (
            Id::Server_ServerCapabilities_MinSupportedSampleRate,
            Variant::Double(limits.subscriptions.min_sampling_interval_ms),
        ),
        (
            Id::Server_ServerCapabilities_MaxBrowseContinuationPoints,
            short(limits.max_browse_continuation_points),
        ),
        (
            Id::Server_ServerCapabilities_MaxQueryContinuationPoints,
            short(limits.max_query_continuation_points),
        ),
        (
            Id::Server_ServerCapabilities_MaxHistoryContinuationPoints,
            short(limits.max_history_continuation_points),
        ),
        (Id::Server_ServerCapabilities_MaxArrayLength, long(limits.max_array_length)),
        (Id::Server_ServerCapabilities_MaxStringLength, long(limits.max_string_length)),
        (Id::Server_ServerCapabilities_MaxByteStringLength, long(limits.max_byte_string_length)),
        (Id::Server_ServerCapabilities_MaxSessions, long(limits.max_sessions)),
        (
            Id::Server_ServerCapabilities_MaxSubscriptionsPerSession,
            long(limits.subscriptions.max_subscriptions_per_session),
        ),
        (
            Id::Server_ServerCapabilities_MaxMonitoredItemsPerSubscription,
            long(limits.subscriptions.max_monitored_items_per_sub),
        ),
        (
            Id::Server_ServerCapabilities_MaxMonitoredItemsQueueSize,
            long(limits.subscriptions.max_monitored_item_queue_size),
        ),
        (Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerRead, long(operational.max_nodes_per_read)),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
            long(operational.max_nodes_per_history_read_data),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadEvents,
            long(operational.max_nodes_per_history_read_events),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite,
            long(operational.max_nodes_per_write),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryUpdateData,
            long(operational.max_nodes_per_history_update),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryUpdateEvents,
            long(operational.max_nodes_per_history_update),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerMethodCall,
            long(operational.max_nodes_per_method_call),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
            long(operational.max_nodes_per_browse),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerRegisterNodes,
            long(operational.max_nodes_per_register_nodes),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
            long(operational.max_nodes_per_translate_browse_paths_to_node_ids),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxNodesPerNodeManagement,
            long(operational.max_nodes_per_node_management),
        ),
        (
            Id::Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
            long(operational.max_monitored_items_per_call),
        ),
        (Id::HistoryServerCapabilities_AccessHistoryDataCapability, true.into()),
        (Id::HistoryServerCapabilities_MaxReturnDataValues, long(history_values)),
        (Id::HistoryServerCapabilities_MaxReturnEventValues, Variant::UInt32(0)),
        // Observations keep the time they arrived at.
        (Id::HistoryServerCapabilities_ServerTimestampSupported, true.into()),
    ];
    let refused = [
        Id::HistoryServerCapabilities_AccessHistoryEventsCapability,
        Id::HistoryServerCapabilities_InsertDataCapability,
        Id::HistoryServerCapabilities_ReplaceDataCapability,
        Id::HistoryServerCapabilities_UpdateDataCapability,
        Id::HistoryServerCapabilities_DeleteRawCapability,
        Id::HistoryServerCapabilities_DeleteAtTimeCapability,
        Id::HistoryServerCapabilities_InsertEventCapability,
        Id::HistoryServerCapabilities_ReplaceEventCapability,
        Id::HistoryServerCapabilities_UpdateEventCapability,
        Id::HistoryServerCapabilities_DeleteEventCapability,
        Id::HistoryServerCapabilities_InsertAnnotationCapability,
    ];
    values.extend(refused.map(|id| (id, false.into())));
    values
}

/// What namespace 0 has instances of and this server has not: an object or method that does nothing, or a
/// property that has no value, tells clients something that is not so.
fn absent() -> [NodeId; 19] {
    [
        MethodId::Server_SetSubscriptionDurable.into(),
        MethodId::Server_RequestServerStateChange.into(),
        // Server: UrisVersion, EstimatedReturnTime.
        NodeId::new(0, 15004),
        NodeId::new(0, 12885),
        // ServerCapabilities: RoleSet, and the limits that are not set.
        NodeId::new(0, 15606),
        Id::Server_ServerCapabilities_MaxSubscriptions.into(),
        Id::Server_ServerCapabilities_MaxMonitoredItems.into(),
        Id::Server_ServerCapabilities_MaxSelectClauseParameters.into(),
        Id::Server_ServerCapabilities_MaxWhereClauseParameters.into(),
        Id::Server_ServerCapabilities_ConformanceUnits.into(),
        Id::Server_ServerDiagnostics_SamplingIntervalDiagnosticsArray.into(),
        // ServerRedundancy: RedundantServerArray.
        NodeId::new(0, 11313),
        // DefaultHAConfiguration, DefaultHEConfiguration.
        NodeId::new(0, 32637),
        NodeId::new(0, 32754),
        // ServerConfiguration, PublishSubscribe, Aliases, Resources, ServerLog.
        ObjectId::ServerConfiguration.into(),
        ObjectId::PublishSubscribe.into(),
        NodeId::new(0, 23470),
        NodeId::new(0, 24226),
        NodeId::new(0, 19372),
    ]
}

/// Takes a node out with all that is part of it alone.
fn remove(address_space: &mut AddressSpace, root: &NodeId) {
    let parts =
        [ReferenceTypeId::HasComponent, ReferenceTypeId::HasProperty, ReferenceTypeId::HasOrderedComponent];
    let is_part = |kind: &NodeId| kind.as_reference_type_id().is_ok_and(|kind| parts.contains(&kind));
    let mut found = vec![root.clone()];
    let mut next = 0;
    while let Some(node) = found.get(next).cloned() {
        next += 1;
        let types = DefaultTypeTree::new();
        let all = None::<(NodeId, bool)>;
        let below: Vec<NodeId> = address_space
            .find_references(&node, all.clone(), &types, BrowseDirection::Forward)
            .filter(|reference| is_part(reference.reference_type))
            .map(|reference| reference.target_node.clone())
            .collect();
        for part in below {
            let parents = address_space
                .find_references(&part, all.clone(), &types, BrowseDirection::Inverse)
                .filter(|reference| is_part(reference.reference_type));
            if parents.count() == 1 {
                found.push(part);
            }
        }
    }
    for node in &found {
        address_space.delete(node, true);
    }
}
