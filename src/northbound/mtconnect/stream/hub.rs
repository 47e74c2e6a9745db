//! The groups that there are.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::group::{Group, Joined};
use super::{Key, Subject};
use crate::northbound::mtconnect::service::Service;

/// Groups by what they send. Groups without members are taken out.
#[derive(Default)]
pub(in super::super) struct Hub(Mutex<FxHashMap<Key, Arc<Group>>>);

impl Hub {
    /// Finds the group for a key, or founds one if the client, which has everything before
    /// `position`, has caught up with the journal. `None`: it has not, up to the sequence given.
    pub(super) fn join(
        &self,
        service: &Arc<Service>,
        key: &Key,
        position: u64,
        last_part: Option<Instant>,
    ) -> (Option<Arc<Group>>, Joined) {
        let limit = usize::try_from(service.options.max_client_backlog).unwrap_or(usize::MAX);
        let mut groups = self.0.lock();
        if let Some(group) = groups.get(key) {
            return (Some(Arc::clone(group)), group.join(position, limit));
        }
        let next = service.journal().bounds().next;
        if position < next && matches!(key.subject, Subject::Sample { .. }) {
            return (None, Joined::Behind(next));
        }
        let group = Arc::new(Group::new(key.clone(), position));
        let joined = group.join(position, limit);
        groups.insert(key.clone(), Arc::clone(&group));
        drop(groups);
        tokio::spawn(Arc::clone(&group).run(Arc::clone(service), last_part));
        (Some(group), joined)
    }

    /// Takes a group out and ends it, if nobody is in it.
    pub(super) fn end_if_empty(&self, key: &Key, group: &Group) -> bool {
        let mut groups = self.0.lock();
        let empty = group.end_if_empty();
        if empty && groups.get(key).is_some_and(|known| std::ptr::eq(Arc::as_ptr(known), group)) {
            groups.remove(key);
        }
        empty
    }

    /// Takes a group out.
    pub(super) fn remove(&self, key: &Key, group: &Arc<Group>) {
        let mut groups = self.0.lock();
        if groups.get(key).is_some_and(|known| Arc::ptr_eq(known, group)) {
            groups.remove(key);
        }
    }
}
