//! From the journal to the broker and back: what is published, and how far the cursor moves.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use guideway_contract::{Backoff, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::course::{Course, Errand, Sent};
use super::health::Health;
use super::layout::{self, CONTENT_TYPE, Origin, Publisher, Sheaf, Single};
use super::session::{Ack, Delivery, Ended, Message, Properties, PublishError, Session, Will};
use super::suspicion::Suspicion;
use super::window::Window;
use super::{Context, Layout, Options};
use crate::device_model::{DeviceIndex, DeviceModel};
use crate::journal::{AssetQuery, Gap, GapCause, Recorded, Stretch};

/// Observations that are read at a time: large enough that reading from disk costs little for each,
/// small enough to be held in memory beside the window.
const STRETCH: usize = 4_096;
/// How long the oldest message may be unacknowledged before the connection is given up.
const ACK_PATIENCE: Duration = Duration::from_secs(60);
/// How long the end may take.
const FAREWELL: Duration = Duration::from_millis(2_500);
/// Bytes of a packet that are not payload, generously: topic, properties, headers.
const ROOM_BESIDE_PAYLOAD: u32 = 1_024;

/// How a connection ended.
pub(super) enum End {
    /// The gateway ends, and the broker knows.
    Stopped,
    /// The connection was lost; `progress` when anything was acknowledged on it.
    Lost { cause: String, progress: bool },
}

/// What the broker may be choking on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Suspect {
    /// The observation of that sequence.
    Sequence(u64),
    /// The document for that topic.
    Topic(String),
}

/// Reads the journal and publishes; lives as long as the destination.
pub(super) struct Pump {
    options: Options,
    context: Context,
    will: Option<Will>,
    health: Arc<Health>,
    single: Option<Box<dyn Single>>,
    publisher: Option<Publisher>,
    model: Arc<DeviceModel>,
    suspicion: Suspicion<Suspect>,
    given_up: Vec<String>,
    /// One past the highest sequence that was ever published.
    highest: u64,
    refusals: Backoff,
}

impl Pump {
    pub(super) fn new(
        options: Options,
        context: Context,
        will: Option<Will>,
        single: Option<Box<dyn Single>>,
        health: Arc<Health>,
    ) -> Self {
        let model = context.model.load_full();
        let mut pump = Self {
            options,
            context,
            will,
            health,
            single,
            publisher: None,
            model: model.clone(),
            suspicion: Suspicion::default(),
            given_up: Vec::new(),
            highest: 0,
            refusals: Backoff::default(),
        };
        pump.take_model(model);
        pump
    }

    pub(super) fn name(&self) -> &str {
        &self.options.name
    }

    pub(super) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Publishes on this connection until it is over or the gateway ends.
    pub(super) async fn run(&mut self, mut session: Session, cancel: &CancellationToken) -> End {
        let mut changes = self.context.journal.changes();
        let mut course = self.begin(&session);
        let mut tick = tokio::time::interval(self.options.current_interval.max(Duration::from_millis(10)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut writer_gone = false;
        let ended = loop {
            // Whatever woke this loop, a change is not taken notice of without being read: the watch
            // would not tell of it again.
            if *changes.borrow_and_update() > course.read {
                course.caught_up = false;
            }
            self.fill(&session, &mut course).await;
            if course.over {
                break tokio::time::timeout(Duration::from_secs(1), session.over()).await.unwrap_or_else(
                    |_| Ended {
                        cause: "the connection takes no more messages".into(),
                        silent: true,
                        choked: false,
                    },
                );
            }
            let wake = course.wake();
            let stalled = course.last_progress + ACK_PATIENCE;
            let in_flight = !course.window.is_empty();
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    self.farewell(session, course).await;
                    return End::Stopped;
                }
                settled = poll_fn(|context| course.window.poll_oldest(context)) => {
                    self.settle(&mut course, settled);
                    self.settle_ready(&mut course).await;
                    self.keep_cursor(&course);
                }
                ended = session.over() => {
                    self.settle_ready(&mut course).await;
                    self.keep_cursor(&course);
                    break ended;
                }
                _ = tick.tick() => self.tick(&mut course),
                () = tokio::time::sleep_until(wake.unwrap_or(stalled)), if wake.is_some() => {
                    course.resume_if_due();
                }
                changed = changes.changed(), if course.caught_up && !writer_gone => {
                    writer_gone = changed.is_err();
                    course.caught_up = false;
                }
                () = tokio::time::sleep_until(stalled), if in_flight => {
                    let cause = format!("no acknowledgement for {} s", ACK_PATIENCE.as_secs());
                    break Ended { cause, silent: true, choked: false };
                }
            }
        };
        // Silence is a broker or a network in trouble; no message is to blame for it. Nor is one when
        // the broker refused something: it may do so again when asked again.
        if !ended.silent && !course.can_refuse {
            self.suspect(&course);
        }
        End::Lost { cause: ended.cause, progress: course.progress }
    }

    fn begin(&self, session: &Session) -> Course {
        let limits = session.limits();
        let in_flight = usize::from(self.options.in_flight.min(limits.in_flight));
        let alone = self.suspicion.is_alone();
        if limits.qos < self.options.qos {
            tracing::warn!(
                destination = self.name(),
                qos = limits.qos,
                "the broker allows a lower quality of service only"
            );
        }
        let cursor = self.context.journal.cursor(self.name());
        let now = Instant::now();
        let mut course = Course {
            window: Window::new(if alone { 1 } else { in_flight }),
            errands: VecDeque::new(),
            deferred: Vec::new(),
            stretch: Vec::new().into_iter(),
            sheaves: VecDeque::new(),
            cursor,
            read: cursor,
            caught_up: false,
            read_again: now,
            refused: false,
            resume: None,
            one_by_one: if alone { cursor + 1 } else { 0 },
            last_progress: now,
            progress: false,
            can_refuse: false,
            over: false,
            qos: self.options.qos.min(limits.qos),
            retain: limits.retain,
            most_payload: limits.packet_bytes.saturating_sub(ROOM_BESIDE_PAYLOAD) as usize,
        };
        if self.will.is_some() {
            course.errands.push_back(Errand::Online);
        }
        self.introduce(&mut course);
        if self.publisher.is_some() {
            for asset in self.context.journal.assets(&AssetQuery::default()) {
                course.errands.push_back(Errand::Asset(asset.id.clone()));
            }
        }
        course
    }

    fn introduce(&self, course: &mut Course) {
        if self.publisher.is_some() {
            course.errands.extend(self.model.devices().iter().map(|device| Errand::Probe(device.index)));
        }
    }

    fn take_model(&mut self, model: Arc<DeviceModel>) {
        if let Some(single) = &mut self.single {
            single.prepare(&model);
        }
        if matches!(self.options.layout, Layout::Mtconnect | Layout::Entity) {
            self.publisher = Some(Publisher::new(
                self.context.journal.clone(),
                model.clone(),
                self.context.dressing.clone(),
                layout::prefix(&self.options),
                self.context.gateway.clone(),
                self.context.test_indicator,
            ));
        }
        self.given_up.clear();
        self.model = model;
    }

    fn tick(&self, course: &mut Course) {
        course.errands.extend(course.deferred.drain(..));
        let waiting = course.errands.iter().any(|errand| matches!(errand, Errand::Current(..)));
        if self.options.layout != Layout::Mtconnect || waiting {
            return;
        }
        // `None` is always in range.
        if let Ok(snapshot) = self.context.journal.snapshot(None) {
            let snapshot = Arc::new(snapshot);
            let current = |index| Errand::Current(index, snapshot.clone());
            course.errands.extend(self.model.devices().iter().map(|device| current(device.index)));
        }
    }

    /// Publishes until the window is full or there is nothing to publish.
    async fn fill(&mut self, session: &Session, course: &mut Course) {
        let now = Arc::clone(&self.context.model.load());
        if !Arc::ptr_eq(&now, &self.model) {
            self.take_model(now);
            self.introduce(course);
        }
        while course.window.has_room() && !course.over {
            if let Some(errand) = course.errands.pop_front() {
                self.run_errand(session, course, errand);
            } else if course.refused {
                return;
            } else if let Some((sheaf, next)) = course.sheaves.pop_front() {
                self.publish_sheaf(session, course, sheaf, next);
            } else if let Some(recorded) = course.stretch.next() {
                self.publish_one(session, course, &recorded);
            } else if course.caught_up || Instant::now() < course.read_again {
                return;
            } else {
                self.read(course).await;
            }
        }
    }

    async fn read(&self, course: &mut Course) {
        let journal = self.context.journal.clone();
        let from = course.read;
        let limit = match self.options.layout {
            _ if from < course.one_by_one => 1,
            Layout::Mtconnect => self.options.sample_count,
            _ => STRETCH,
        };
        let stretch = if from < journal.bounds().first {
            let name = self.name().to_owned();
            let read = tokio::task::spawn_blocking(move || journal.stretch(&name, from, limit)).await;
            read.unwrap_or_else(|error| {
                tracing::error!(destination = self.name(), %error, "reading the journal failed");
                Stretch::End
            })
        } else {
            journal.stretch(self.name(), from, limit)
        };
        match stretch {
            Stretch::Observations(observations) => {
                let Some((last, _)) = observations.last() else {
                    course.caught_up = true;
                    return;
                };
                course.read = last + 1;
                self.note_assets(&observations, course);
                if self.single.is_some() {
                    course.stretch = observations.into_iter();
                } else {
                    self.take_documents(&observations, limit, course);
                }
            }
            Stretch::Gap(gap) => {
                Health::count(&self.health.gaps);
                tracing::warn!(
                    destination = self.name(),
                    from = gap.from,
                    to = gap.to,
                    cause = ?gap.cause,
                    "observations are gone before they were sent"
                );
                course.read = gap.to + 1;
                course.send_nothing(course.read);
            }
            Stretch::End => course.caught_up = true,
        }
    }

    fn take_documents(&self, observations: &[Recorded], limit: usize, course: &mut Course) {
        let Some(publisher) = &self.publisher else { return };
        let sheaves = publisher.samples(observations, course.read, course.most_payload);
        if sheaves.is_empty() {
            course.send_nothing(course.read);
        }
        let last = sheaves.len().saturating_sub(1);
        for (place, sheaf) in sheaves.into_iter().enumerate() {
            course.sheaves.push_back((sheaf, (place == last).then_some(course.read)));
        }
        // A full stretch means that there is more: catch up without a pause.
        if observations.len() < limit {
            course.read_again = Instant::now() + self.options.sample_interval;
        }
    }

    /// An asset that changed is published by itself.
    fn note_assets(&self, observations: &[Recorded], course: &mut Course) {
        if self.publisher.is_none() {
            return;
        }
        for (_, observation) in observations {
            if let guideway_contract::Value::AssetEvent(event) = observation.value.plain() {
                let known = |errand: &Errand| matches!(errand, Errand::Asset(id) if *id == event.asset_id);
                if !event.asset_id.is_empty() && !course.errands.iter().any(known) {
                    course.errands.push_back(Errand::Asset(event.asset_id.clone()));
                }
            }
        }
    }

    fn publish_one(&mut self, session: &Session, course: &mut Course, (sequence, observation): &Recorded) {
        let Some(single) = &self.single else { return };
        let origin = Origin { instance: self.context.journal.instance_id(), sequence: *sequence };
        let mut topic = String::new();
        let mut payload = Vec::with_capacity(256);
        single.write(origin, observation, &mut topic, &mut payload);
        if topic.is_empty() {
            self.note_gap(*sequence, *sequence, GapCause::ItemRemoved);
            course.send_nothing(sequence + 1);
            return;
        }
        let message = Message {
            topic,
            payload: payload.into(),
            qos: course.qos,
            retain: single.retain() && course.retain,
            properties: Properties {
                content_type: single.content_type(),
                origin: Some((origin.instance, origin.sequence)),
                correlation: None,
            },
        };
        self.publish_observations(session, course, message, (*sequence, *sequence, 1), Some(sequence + 1));
    }

    fn publish_sheaf(&mut self, session: &Session, course: &mut Course, sheaf: Sheaf, next: Option<u64>) {
        let message = Message {
            topic: sheaf.topic,
            payload: sheaf.payload,
            qos: course.qos,
            retain: false,
            properties: Properties {
                content_type: Some(CONTENT_TYPE),
                origin: Some((self.context.journal.instance_id(), sheaf.first)),
                correlation: None,
            },
        };
        let range = (sheaf.first, sheaf.last, sheaf.count);
        self.publish_observations(session, course, message, range, next);
    }

    fn publish_observations(
        &mut self,
        session: &Session,
        course: &mut Course,
        message: Message,
        (first, last, count): (u64, u64, usize),
        next: Option<u64>,
    ) {
        let sent = Sent::Observations { first, last, count, next };
        match session.publish(message) {
            Ok(ack) => {
                Health::count(&self.health.published);
                if first < self.highest {
                    Health::count(&self.health.retried);
                }
                self.highest = self.highest.max(last + 1);
                course.push(sent, ack);
            }
            Err(PublishError::Unfit(reason)) => {
                course.push(sent, Ack::known(Delivery::Unfit { reason }));
            }
            Err(PublishError::Over) => course.over = true,
        }
    }

    fn run_errand(&mut self, session: &Session, course: &mut Course, errand: Errand) {
        let Some((topic, payload, retain, content_type)) = self.errand_message(&errand) else { return };
        if self.given_up.contains(&topic) {
            return;
        }
        let message = Message {
            topic,
            payload,
            qos: course.qos,
            retain: retain && course.retain,
            properties: Properties { content_type, ..Properties::default() },
        };
        match session.publish(message) {
            Ok(ack) => {
                Health::count(&self.health.published);
                course.push(Sent::Errand(errand), ack);
            }
            Err(PublishError::Unfit(reason)) => {
                course.push(Sent::Errand(errand), Ack::known(Delivery::Unfit { reason }));
            }
            Err(PublishError::Over) => course.over = true,
        }
    }

    fn errand_message(&self, errand: &Errand) -> Option<(String, Bytes, bool, Option<&'static str>)> {
        if matches!(errand, Errand::Online) {
            let will = self.will.as_ref()?;
            let online = self.options.last_will.as_ref().map_or("AVAILABLE", |will| &will.online);
            return Some((will.topic.clone(), online.to_owned().into(), will.retain, None));
        }
        let publisher = self.publisher.as_ref()?;
        // A device may have gone with the model that the errand was made for.
        let exists = |device: &DeviceIndex| self.model.devices().get(usize::from(device.0)).is_some();
        let document = match errand {
            Errand::Probe(device) if exists(device) => publisher.probe(*device),
            Errand::Current(device, snapshot) if exists(device) => publisher.current(snapshot, *device),
            Errand::Asset(id) => publisher.asset(id)?,
            _ => return None,
        };
        Some((document.topic, document.payload, true, Some(CONTENT_TYPE)))
    }

    /// Takes note of everything whose fate is known by now.
    async fn settle_ready(&mut self, course: &mut Course) {
        poll_fn(|context| {
            while let Poll::Ready(settled) = course.window.poll_oldest(context) {
                self.settle(course, settled);
            }
            Poll::Ready(())
        })
        .await;
    }

    fn settle(&mut self, course: &mut Course, (sent, delivery): (Sent, Delivery)) {
        course.last_progress = Instant::now();
        let (reason, permanent) = match delivery {
            Delivery::Unknown => {
                course.keep_oldest(sent);
                return;
            }
            Delivery::Acknowledged => {
                self.acknowledged(course, &sent);
                return;
            }
            Delivery::Refused { reason, permanent } => {
                course.can_refuse = true;
                (reason, permanent)
            }
            Delivery::Unfit { reason } => (reason, true),
        };
        Health::count(&self.health.refused);
        let news = self.health.link.set_error(Some(&format!("the broker refused a message: {reason}")));
        if news {
            let first = match &sent {
                Sent::Observations { first, .. } => Some(*first),
                _ => None,
            };
            tracing::warn!(
                destination = self.name(),
                reason,
                permanent,
                first,
                "the broker refused a message; further ones of this kind are counted"
            );
        }
        match sent {
            Sent::Errand(Errand::Current(..)) | Sent::Nothing { .. } => {}
            Sent::Errand(errand) if !permanent => course.deferred.push(errand),
            Sent::Errand(_) => {}
            Sent::Observations { .. } if course.refused => {}
            Sent::Observations { first, last, count: 1, next } if permanent => {
                self.note_gap(first, last, GapCause::Refused);
                course.move_cursor(next);
            }
            Sent::Observations { last, .. } => {
                if permanent {
                    course.one_by_one = last + 1;
                }
                let pause = if permanent { Duration::ZERO } else { self.refusals.pause() };
                course.refused = true;
                course.resume = Some(Instant::now() + pause);
            }
        }
    }

    fn acknowledged(&mut self, course: &mut Course, sent: &Sent) {
        match sent {
            Sent::Nothing { next } => {
                course.move_cursor(Some(*next));
                return;
            }
            Sent::Observations { next, .. } => {
                if !course.refused {
                    course.move_cursor(*next);
                    self.refusals.reset();
                }
            }
            Sent::Errand(_) => {}
        }
        course.progress = true;
        Health::count(&self.health.acknowledged);
    }

    fn note_gap(&self, from: u64, to: u64, cause: GapCause) {
        Health::count(&self.health.gaps);
        self.context.journal.note_gap(Gap {
            reader: self.name().to_owned(),
            from,
            to,
            count: to - from + 1,
            cause,
            time: Timestamp::now(),
        });
    }

    fn keep_cursor(&self, course: &Course) {
        self.context.journal.acknowledge(self.name(), course.cursor);
    }

    /// The connection was lost: what was the broker given last that it did not acknowledge?
    fn suspect(&mut self, course: &Course) {
        let suspect = match course.window.oldest() {
            Some(Sent::Observations { first, .. }) => Suspect::Sequence(*first),
            Some(Sent::Errand(errand)) => match self.errand_message(errand) {
                Some((topic, ..)) => Suspect::Topic(topic),
                None => return,
            },
            Some(Sent::Nothing { .. }) | None => return,
        };
        if !self.suspicion.lost(suspect.clone()) {
            return;
        }
        tracing::error!(
            destination = self.name(),
            message = ?suspect,
            "the broker closes the connection whenever it gets this message; it is given up"
        );
        Health::count(&self.health.refused);
        match suspect {
            Suspect::Topic(topic) => self.given_up.push(topic),
            Suspect::Sequence(sequence) => {
                self.note_gap(sequence, sequence, GapCause::Refused);
                self.context.journal.acknowledge(self.name(), sequence + 1);
            }
        }
    }

    /// Waits for what is on its way, tells that the gateway goes, and disconnects.
    async fn farewell(&mut self, session: Session, mut course: Course) {
        let deadline = Instant::now() + FAREWELL;
        let drained = tokio::time::timeout_at(deadline, async {
            while !course.window.is_empty() && !course.over {
                let settled = poll_fn(|context| course.window.poll_oldest(context)).await;
                self.settle(&mut course, settled);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                destination = self.name(),
                "not everything was acknowledged before the end; it is sent again at the next start"
            );
        }
        self.keep_cursor(&course);
        let goodbye = async {
            if let Some(will) = &self.will {
                let message = Message {
                    topic: will.topic.clone(),
                    payload: will.payload.clone().into(),
                    qos: course.qos,
                    retain: will.retain && course.retain,
                    properties: Properties::default(),
                };
                if let Ok(ack) = session.publish(message) {
                    ack.await;
                }
            }
            session.disconnect().await;
        };
        if tokio::time::timeout_at(deadline, goodbye).await.is_err() {
            tracing::warn!(destination = self.name(), "the broker did not take the good-bye in time");
        }
    }
}
