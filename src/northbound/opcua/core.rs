//! What the server says of itself: the live values and methods of namespace 0.

use opcua_server::CreateMonitoredItem;
use opcua_server::node_manager::{
    MethodCall, MonitoredItemRef, ParsedReadValueId, RequestContext, ServerContext,
};
use opcua_types::{DataValue, StatusCode};

/// Serves ServerStatus, NamespaceArray, ServerArray, limits and capabilities.
pub(super) struct Core {}

impl Core {
    /// For the server of that context.
    pub(super) fn new(_context: &ServerContext) -> Self {
        Self {}
    }

    /// The live value; `None` when the node has no other value than the one in the address space.
    pub(super) fn read(&self, _context: &RequestContext, _node: &ParsedReadValueId) -> Option<DataValue> {
        None
    }

    /// Takes note of a monitored item on a live value, to sample it.
    pub(super) fn monitor(&self, _context: &RequestContext, _item: &CreateMonitoredItem) {}

    /// Forgets monitored items.
    pub(super) fn forget(&self, _items: &[&MonitoredItemRef]) {}

    /// Answers GetMonitoredItems and ResendData; `None` when the method is another one.
    pub(super) fn call(&self, _context: &RequestContext, _call: &mut MethodCall) -> Option<StatusCode> {
        None
    }
}
