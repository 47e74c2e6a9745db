//! From the journal into the address space and to the clients.

use std::sync::Arc;

use opcua_core::sync::RwLock;
use opcua_server::SubscriptionCache;
use opcua_server::address_space::AddressSpace;
use tokio_util::sync::CancellationToken;

use super::instances::Tree;
use super::space::Shared;
use crate::device_model::DeviceModel;

/// Follows the journal and the device model.
pub(super) struct Feed {
    shared: Arc<Shared>,
    address_space: Arc<RwLock<AddressSpace>>,
    subscriptions: Arc<SubscriptionCache>,
    model: Arc<DeviceModel>,
    tree: Tree,
    /// The sequence to go on from.
    next: u64,
}

impl Feed {
    /// Puts the machines and their values as they stand into the address space.
    pub(super) fn begin(
        shared: Arc<Shared>,
        address_space: Arc<RwLock<AddressSpace>>,
        subscriptions: Arc<SubscriptionCache>,
    ) -> Self {
        let model = shared.context.model.load_full();
        Self { shared, address_space, subscriptions, model, tree: Tree::default(), next: 1 }
    }

    /// Runs until `cancel`.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let _ = (&self.shared, &self.address_space, &self.subscriptions, &self.model, &self.tree, self.next);
        cancel.cancelled().await;
    }
}
