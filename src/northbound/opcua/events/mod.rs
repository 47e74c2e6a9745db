//! Events: conditions, messages, changes of the model; and how they reach clients whole.

use std::sync::Arc;

use guideway_contract::{ItemIndex, Observation};
use opcua_server::node_manager::{MethodCall, MonitoredItemRef, RequestContext};
use opcua_server::{CreateMonitoredItem, SubscriptionCache};
use opcua_types::{StatusCode, TypeLoader};

use super::binding::{Binding, Bindings};
use super::instances::Change;
use crate::journal::Snapshot;

/// Announces events to the clients that monitor them.
#[derive(Default)]
pub(super) struct Announcer {}

impl Announcer {
    /// The loader that makes event filters of clients fit for the server; stands before all others.
    pub(super) fn loader(self: &Arc<Self>) -> Arc<dyn TypeLoader> {
        unimplemented!("by the owner of this file")
    }

    /// Takes up the conditions as they stand, without announcing them.
    pub(super) fn restore(&self, _snapshot: &Snapshot, _bindings: &Bindings) {}

    /// Announces what an observation of a condition or a message tells.
    pub(super) fn observed(&self, _item: ItemIndex, _binding: &Binding, _observation: &Observation) {}

    /// Announces a change of the address space.
    pub(super) fn model_changed(&self, _changes: &[Change]) {}

    /// Delivers what was announced, as far as the clients' queues have room. Called after each batch
    /// and at least every 50 ms while something waits.
    pub(super) fn deliver(&self, _subscriptions: &SubscriptionCache) {}

    /// Takes note of event items.
    pub(super) fn monitor(&self, _context: &RequestContext, _items: &mut [&mut &mut CreateMonitoredItem]) {}

    /// Forgets event items.
    pub(super) fn forget(&self, _items: &[&MonitoredItemRef]) {}

    /// Answers ConditionRefresh and ConditionRefresh2; `None` when the method is another one.
    pub(super) fn call(&self, _context: &RequestContext, _call: &mut MethodCall) -> Option<StatusCode> {
        None
    }
}
