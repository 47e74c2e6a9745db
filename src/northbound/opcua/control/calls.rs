//! The node manager, with calls of commands taken before the library looks at them.
//!
//! The library refuses by itself who may not call a method, too many arguments, and methods that are not there. A
//! refusal of a command has to be in the audit, so such calls do not get that far. Everything else is handed on.

use std::sync::Arc;

use async_trait::async_trait;
use opcua_core::sync::RwLock;
use opcua_nodes::DefaultTypeTree;
use opcua_server::CreateMonitoredItem;
use opcua_server::address_space::AddressSpace;
use opcua_server::diagnostics::NamespaceMetadata;
use opcua_server::node_manager::memory::{InMemoryNodeManager, InMemoryNodeManagerBuilder};
use opcua_server::node_manager::{
    BrowseNode, BrowsePathItem, DynNodeManager, ExternalReferenceRequest, HistoryNode, HistoryUpdateNode,
    MethodCall, MonitoredItemRef, MonitoredItemUpdateRef, NodeManager, NodeManagerBuilder, ReadNode,
    RequestContext, ServerContext, WriteNode,
};
use opcua_types::{
    MonitoringMode, NodeId, ReadAnnotationDataDetails, ReadAtTimeDetails, ReadEventDetails,
    ReadProcessedDetails, ReadRawModifiedDetails, StatusCode, TimestampsToReturn,
};

use crate::northbound::opcua::space::{Shared, Space};

type Done = Result<(), StatusCode>;

/// The node manager of a server.
pub(in crate::northbound::opcua) struct Calls {
    shared: Arc<Shared>,
    inner: Arc<DynNodeManager>,
}

impl Calls {
    /// With the space that is shared, filled with everything but the machines.
    pub(in crate::northbound::opcua) fn build(shared: Arc<Shared>, context: ServerContext) -> Self {
        let space = shared.clone();
        let builder = InMemoryNodeManagerBuilder::new(
            move |context: ServerContext, address_space: &mut AddressSpace| {
                Space::build(space, &context, address_space)
            },
        );
        Self { shared, inner: Box::new(builder).build(context) }
    }

    /// Its nodes.
    pub(in crate::northbound::opcua) fn address_space(&self) -> Option<Arc<RwLock<AddressSpace>>> {
        let inner = self.inner.clone().into_any_arc().downcast::<InMemoryNodeManager<Space>>().ok()?;
        Some(inner.address_space().clone())
    }
}

#[async_trait]
impl NodeManager for Calls {
    async fn call(&self, context: &RequestContext, calls: &mut [&mut MethodCall]) -> Done {
        let Some(desk) = &self.shared.desk else { return self.inner.call(context, calls).await };
        // No other method is in the machines' namespace.
        let machines = self.shared.machines.get();
        let is_own = |call: &&mut MethodCall| machines == Some(&call.method_id().namespace);
        let (own, mut others): (Vec<_>, Vec<_>) = calls.iter_mut().map(|call| &mut **call).partition(is_own);
        if !others.is_empty()
            && let Err(status) = self.inner.call(context, &mut others).await
        {
            for call in others {
                call.set_status(status);
            }
        }
        // One after the other: a device carries out one command at a time.
        for call in own {
            desk.call(context.user_token(), call).await;
        }
        Ok(())
    }

    fn owns_node(&self, id: &NodeId) -> bool {
        self.inner.owns_node(id)
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn owns_server_events(&self) -> bool {
        self.inner.owns_server_events()
    }

    fn namespaces_for_user(&self, context: &RequestContext) -> Vec<NamespaceMetadata> {
        self.inner.namespaces_for_user(context)
    }

    async fn init(&self, types: &mut DefaultTypeTree, context: ServerContext) {
        self.inner.init(types, context).await;
    }

    async fn resolve_external_references(
        &self,
        context: &RequestContext,
        items: &mut [&mut ExternalReferenceRequest],
    ) {
        self.inner.resolve_external_references(context, items).await;
    }

    async fn read(
        &self,
        context: &RequestContext,
        max_age: f64,
        timestamps: TimestampsToReturn,
        nodes: &mut [&mut ReadNode],
    ) -> Done {
        self.inner.read(context, max_age, timestamps, nodes).await
    }

    async fn write(&self, context: &RequestContext, nodes: &mut [&mut WriteNode]) -> Done {
        self.inner.write(context, nodes).await
    }

    async fn history_read_raw_modified(
        &self,
        context: &RequestContext,
        details: &ReadRawModifiedDetails,
        nodes: &mut [&mut HistoryNode],
        timestamps: TimestampsToReturn,
    ) -> Done {
        self.inner.history_read_raw_modified(context, details, nodes, timestamps).await
    }

    async fn history_read_processed(
        &self,
        context: &RequestContext,
        details: &ReadProcessedDetails,
        nodes: &mut [&mut HistoryNode],
        timestamps: TimestampsToReturn,
    ) -> Done {
        self.inner.history_read_processed(context, details, nodes, timestamps).await
    }

    async fn history_read_at_time(
        &self,
        context: &RequestContext,
        details: &ReadAtTimeDetails,
        nodes: &mut [&mut HistoryNode],
        timestamps: TimestampsToReturn,
    ) -> Done {
        self.inner.history_read_at_time(context, details, nodes, timestamps).await
    }

    async fn history_read_events(
        &self,
        context: &RequestContext,
        details: &ReadEventDetails,
        nodes: &mut [&mut HistoryNode],
        timestamps: TimestampsToReturn,
    ) -> Done {
        self.inner.history_read_events(context, details, nodes, timestamps).await
    }

    async fn history_read_annotations(
        &self,
        context: &RequestContext,
        details: &ReadAnnotationDataDetails,
        nodes: &mut [&mut HistoryNode],
        timestamps: TimestampsToReturn,
    ) -> Done {
        self.inner.history_read_annotations(context, details, nodes, timestamps).await
    }

    async fn history_update(&self, context: &RequestContext, nodes: &mut [&mut HistoryUpdateNode]) -> Done {
        self.inner.history_update(context, nodes).await
    }

    async fn browse(&self, context: &RequestContext, nodes: &mut [BrowseNode]) -> Done {
        self.inner.browse(context, nodes).await
    }

    async fn translate_browse_paths_to_node_ids(
        &self,
        context: &RequestContext,
        nodes: &mut [&mut BrowsePathItem],
    ) -> Done {
        self.inner.translate_browse_paths_to_node_ids(context, nodes).await
    }

    async fn create_monitored_items(
        &self,
        context: &RequestContext,
        items: &mut [&mut CreateMonitoredItem],
    ) -> Done {
        self.inner.create_monitored_items(context, items).await
    }

    async fn modify_monitored_items(&self, context: &RequestContext, items: &[&MonitoredItemUpdateRef]) {
        self.inner.modify_monitored_items(context, items).await;
    }

    async fn set_monitoring_mode(
        &self,
        context: &RequestContext,
        mode: MonitoringMode,
        items: &[&MonitoredItemRef],
    ) {
        self.inner.set_monitoring_mode(context, mode, items).await;
    }

    async fn delete_monitored_items(&self, context: &RequestContext, items: &[&MonitoredItemRef]) {
        self.inner.delete_monitored_items(context, items).await;
    }
}
