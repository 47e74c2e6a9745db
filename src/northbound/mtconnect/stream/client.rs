//! One client's way through a stream.

use std::sync::Arc;

use tokio::time::Instant;

use super::group::{Group, Joined};
use super::inbox::Inbox;
use super::part::Part;
use super::{Key, Subject};
use crate::journal::Selection;
use crate::northbound::mtconnect::refusal::Refusal;
use crate::northbound::mtconnect::service::{Service, content_type, gone, second};

/// What a client gets next.
pub(in super::super) enum Next {
    Part(Part),
    /// An error document, behind which the stream ends.
    Last(Part),
}

/// A client of a stream. Parts come in order, without a gap and without a repetition.
pub(in super::super) struct Client {
    service: Arc<Service>,
    key: Key,
    /// The client has everything before this sequence. `None` before the first part of a stream
    /// that begins at the oldest observation.
    position: Option<u64>,
    membership: Option<(Arc<Group>, Arc<Inbox>)>,
    last_part: Option<Instant>,
    started: bool,
}

impl Client {
    /// A client that wants everything from `from` on; without it, all that is in the buffer.
    pub(in super::super) fn new(service: Arc<Service>, key: Key, from: Option<u64>) -> Self {
        Self { service, key, position: from, membership: None, last_part: None, started: false }
    }

    pub(in super::super) fn service(&self) -> &Service {
        &self.service
    }

    /// Whether what it wants next is no longer in the buffer.
    pub(in super::super) fn is_lost(&self) -> bool {
        matches!(self.key.subject, Subject::Sample { .. })
            && self.membership.as_ref().is_none_or(|(_, inbox)| inbox.is_detached())
            && self.position.is_some_and(|position| position < self.service.journal().bounds().first)
    }

    /// Waits for what is to be sent next. Cancel safe.
    pub(in super::super) async fn next(&mut self) -> Next {
        let next = match self.key.subject {
            Subject::Sample { .. } => self.next_sample().await,
            Subject::Current { .. } => self.next_current().await,
        };
        match next {
            Ok(part) => {
                self.last_part = Some(Instant::now());
                self.position = Some(part.next);
                Next::Part(part)
            }
            Err(mut refusal) => {
                for problem in &mut refusal.problems {
                    problem.request = Some(match self.key.subject {
                        Subject::Sample { .. } => "MTConnectSample",
                        Subject::Current { .. } => "MTConnectCurrent",
                    });
                }
                let body = self.service.error_document(self.key.style, &refusal.problems);
                let kind = content_type(self.key.style.format);
                Next::Last(Part::new(&self.service.boundary, kind, &body, 0))
            }
        }
    }

    async fn next_sample(&mut self) -> Result<Part, Refusal> {
        loop {
            if let Some((_, inbox)) = &self.membership {
                if let Some(part) = inbox.next().await {
                    return Ok(part);
                }
                self.leave();
            }
            let position = match self.position {
                Some(position) => position,
                None => self.service.journal().bounds().first,
            };
            let (group, joined) = self.service.hub.join(&self.service, &self.key, position, self.last_part);
            match joined {
                Joined::Member(inbox) => {
                    self.position = Some(position);
                    self.membership = group.map(|group| (group, inbox));
                }
                Joined::Ahead(mut moved) => {
                    self.position = Some(position);
                    // An error means that the group has ended: look for another one.
                    let _ = moved.wait_for(|at| *at >= position).await;
                }
                Joined::Behind(until) => {
                    let look = match self.service.look(&self.key, position, Some(until)).await {
                        Ok(look) => look,
                        // The oldest observation went while it was being looked for.
                        Err(_) if self.position.is_none() => continue,
                        Err(error) => return Err(error),
                    };
                    self.position = Some(look.next);
                    if let Some(part) = look.part {
                        self.service.stats.own_parts.add(1);
                        return Ok(part);
                    }
                    // A long stretch without a match must not keep others waiting.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn next_current(&mut self) -> Result<Part, Refusal> {
        loop {
            if !self.started {
                let part = self.service.state(&self.key).await?;
                self.service.stats.own_parts.add(1);
                self.started = true;
                return Ok(part);
            }
            if let Some((_, inbox)) = &self.membership {
                if let Some(part) = inbox.next().await {
                    return Ok(part);
                }
                self.leave();
            }
            let (group, joined) = self.service.hub.join(&self.service, &self.key, 0, self.last_part);
            if let Joined::Member(inbox) = joined {
                self.membership = group.map(|group| (group, inbox));
            }
        }
    }

    fn leave(&mut self) {
        if let Some((group, inbox)) = self.membership.take() {
            group.leave(&inbox);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.leave();
    }
}

/// What a look at the journal found.
pub(super) struct Look {
    /// A document, if anything matched.
    pub(super) part: Option<Part>,
    /// Where to go on.
    pub(super) next: u64,
    /// Whether there is more to read already.
    pub(super) more: bool,
}

impl Service {
    /// Reads on from `from`, before `until`, and makes a part of what matches.
    pub(super) async fn look(
        self: &Arc<Self>,
        key: &Key,
        from: u64,
        until: Option<u64>,
    ) -> Result<Look, Refusal> {
        let count = match key.subject {
            Subject::Sample { count, .. } => count,
            Subject::Current { .. } => 1,
        };
        let edition = self.edition();
        let scope = key.subject.scope();
        // Only a new model brings a new selection; then the path may match nothing any more, and
        // the stream goes on with heartbeats.
        let selection = match edition.known_selection(scope) {
            Some(selection) => selection,
            None => {
                let (edition, scope) = (Arc::clone(&edition), scope.clone());
                let compiled = self.aside(true, move |_| edition.selection(&scope)).await;
                compiled.unwrap_or_else(|_| Arc::new(Selection::Items(Vec::new())))
            }
        };
        let style = key.style;
        let heavy = count > 4_096;
        self.aside(heavy, move |service| {
            let read = service.journal().read(from, until, count, &selection);
            let (observations, next) = read.map_err(|error| gone("from", &error, 0))?;
            let more = observations.len() >= count && next < service.journal().bounds().next;
            let part = (!observations.is_empty()).then(|| {
                let document = service.sample(style, &edition, second(), observations, next);
                Part::new(&service.boundary, content_type(style.format), &document, next)
            });
            Ok(Look { part, next, more })
        })
        .await
    }

    /// A part that only says where to go on.
    pub(super) fn heartbeat(&self, key: &Key, next: u64) -> Part {
        let document = self.sample(key.style, &self.edition(), second(), Vec::new(), next);
        Part::new(&self.boundary, content_type(key.style.format), &document, next)
    }

    /// The state as a part.
    pub(super) async fn state(self: &Arc<Self>, key: &Key) -> Result<Part, Refusal> {
        let edition = self.edition();
        let heavy =
            edition.model.items().len() > 4_096 || edition.known_selection(key.subject.scope()).is_none();
        let key = key.clone();
        self.aside(heavy, move |service| {
            let document = service.current(key.style, key.subject.scope(), None, &edition, second())?;
            Ok(Part::new(&service.boundary, content_type(key.style.format), &document, 0))
        })
        .await
    }
}
