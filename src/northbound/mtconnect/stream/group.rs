//! Clients that get the same bytes at the same time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::inbox::Inbox;
use super::part::Part;
use super::{Key, LEAST_GAP, Subject};
use crate::northbound::mtconnect::service::Service;

/// A group and where it stands.
pub(super) struct Group {
    key: Key,
    members: Mutex<Members>,
    /// Follows `position`; `u64::MAX` once the group has ended.
    moved: watch::Sender<u64>,
    left: Notify,
}

struct Members {
    /// What every member has got, or will get from its inbox: all before this sequence.
    position: u64,
    inboxes: Vec<Arc<Inbox>>,
    ended: bool,
}

/// What became of asking to join.
pub(super) enum Joined {
    /// From here on, everything comes through the inbox.
    Member(Arc<Inbox>),
    /// The group is further on; this is where.
    Behind(u64),
    /// The group has yet to come to the client's position.
    Ahead(watch::Receiver<u64>),
}

impl Group {
    pub(super) fn new(key: Key, position: u64) -> Self {
        let members = Members { position, inboxes: Vec::new(), ended: false };
        Self { key, members: Mutex::new(members), moved: watch::Sender::new(position), left: Notify::new() }
    }

    /// Takes a client in that has everything before `position`.
    pub(super) fn join(&self, position: u64, limit: usize) -> Joined {
        let mut members = self.members.lock();
        let current = matches!(self.key.subject, Subject::Current { .. });
        if members.position == position || current {
            let inbox = Arc::new(Inbox::new(limit));
            members.inboxes.push(Arc::clone(&inbox));
            Joined::Member(inbox)
        } else if members.position > position {
            Joined::Behind(members.position)
        } else {
            Joined::Ahead(self.moved.subscribe())
        }
    }

    /// Lets a client go.
    pub(super) fn leave(&self, inbox: &Arc<Inbox>) {
        let mut members = self.members.lock();
        members.inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
        if members.inboxes.is_empty() {
            self.left.notify_one();
        }
    }

    /// Ends the group if nobody is in it.
    pub(super) fn end_if_empty(&self) -> bool {
        let mut members = self.members.lock();
        if !members.inboxes.is_empty() {
            return false;
        }
        members.ended = true;
        self.moved.send_replace(u64::MAX);
        true
    }

    /// Ends the group; its members go on alone.
    pub(super) fn end(&self) {
        let mut members = self.members.lock();
        members.ended = true;
        for inbox in members.inboxes.drain(..) {
            inbox.detach();
        }
        self.moved.send_replace(u64::MAX);
    }

    fn position(&self) -> u64 {
        self.members.lock().position
    }

    /// Moves on to `next`, with a part or without, and says how many members could not keep up.
    fn advance(&self, next: u64, part: Option<&Part>) -> usize {
        let mut members = self.members.lock();
        let before = members.inboxes.len();
        if let Some(part) = part {
            // A member without room keeps what waits for it, which ends where the group stood.
            members.inboxes.retain(|inbox| inbox.push(part));
        }
        members.position = next;
        let lost = before - members.inboxes.len();
        if members.inboxes.is_empty() {
            self.left.notify_one();
        }
        drop(members);
        self.moved.send_replace(next);
        lost
    }

    /// Runs until nobody is left.
    pub(super) async fn run(self: Arc<Self>, service: Arc<Service>, last_part: Option<Instant>) {
        let _open = service.stats.groups.hold();
        match self.key.subject {
            Subject::Sample { interval, heartbeat, .. } => {
                self.run_sample(&service, interval, heartbeat, last_part).await;
            }
            Subject::Current { interval, .. } => self.run_current(&service, interval.max(LEAST_GAP)).await,
        }
        service.hub.remove(&self.key, &self);
        self.end();
    }

    async fn run_sample(
        &self,
        service: &Arc<Service>,
        interval: Duration,
        heartbeat: Duration,
        last_part: Option<Instant>,
    ) {
        let mut changes = service.journal().changes();
        let interval = interval.max(LEAST_GAP);
        // While something matches, `interval` says when it is sent, not the heartbeat.
        let heartbeat = heartbeat.max(interval);
        let now = Instant::now();
        let mut look_at = last_part.map_or(now, |last| last + interval);
        let mut heartbeat_at = last_part.unwrap_or(now) + heartbeat;
        loop {
            let position = self.position();
            tokio::select! {
                biased;
                () = self.left.notified() => {
                    if service.hub.end_if_empty(&self.key, self) {
                        return;
                    }
                    continue;
                }
                () = appended(&mut changes, position, look_at) => {}
                () = sleep_until(heartbeat_at) => {}
            }
            // While the group is behind, parts follow back to back.
            loop {
                let Ok(look) = service.look(&self.key, self.position(), None).await else {
                    // The buffer was overwritten between two looks; each member will find out.
                    return;
                };
                if let Some(part) = &look.part {
                    service.stats.shared_parts.add(1);
                    let now = Instant::now();
                    look_at = now + interval;
                    heartbeat_at = now + heartbeat;
                    service.stats.lagged.add(self.advance(look.next, Some(part)));
                } else {
                    self.advance(look.next, None);
                }
                if !look.more {
                    break;
                }
                tokio::task::yield_now().await;
            }
            let now = Instant::now();
            look_at = look_at.max(now + LEAST_GAP);
            if now >= heartbeat_at {
                heartbeat_at = now + heartbeat;
                let next = self.position();
                let part = service.heartbeat(&self.key, next);
                service.stats.shared_parts.add(1);
                service.stats.lagged.add(self.advance(next, Some(&part)));
            }
        }
    }

    async fn run_current(&self, service: &Arc<Service>, interval: Duration) {
        let mut tick = Instant::now() + interval;
        loop {
            tokio::select! {
                biased;
                () = self.left.notified() => {
                    if service.hub.end_if_empty(&self.key, self) {
                        return;
                    }
                    continue;
                }
                () = sleep_until(tick) => {}
            }
            // Ticks that were missed are not made up for.
            tick = (tick + interval).max(Instant::now());
            let Ok(part) = service.state(&self.key).await else { return };
            service.stats.shared_parts.add(1);
            // Who has not taken the last state wants the newest one instead.
            for inbox in &self.members.lock().inboxes {
                inbox.replace(&part);
            }
        }
    }
}

/// Waits until the journal goes on behind `position`, and then until `look_at`.
async fn appended(changes: &mut watch::Receiver<u64>, position: u64, look_at: Instant) {
    if changes.wait_for(|next| *next > position).await.is_err() {
        // The journal is closed: nothing will ever come, but heartbeats go on.
        std::future::pending::<()>().await;
    }
    sleep_until(look_at).await;
}
