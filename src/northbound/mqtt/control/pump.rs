//! From the broker to control, and from control back.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use smol_str::SmolStr;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answers::{Answer, Answers};
use super::health::Health;
use super::topics::Topics;
use crate::control::{Control, End, Face, Reason, ReplyTo, Switch};
use crate::northbound::mqtt::session::{
    Delivery, Ended, Event, Incoming, Message, Properties, PublishError, Session,
};

/// Requests that wait for their end; while there are so many, no more are taken.
const MOST_OPEN: usize = 100;
/// Longest correlation data, in bytes; it is kept in the audit.
const MOST_CORRELATION: usize = 1_024;
/// How long the end may take.
const FAREWELL: Duration = Duration::from_millis(2_500);
/// The content type of answers and of the state.
const CONTENT_TYPE: &str = "application/json";

/// How a connection ended.
pub(super) enum Over {
    /// The gateway ends, and the broker knows.
    Stopped,
    /// The connection was lost; `progress` when a request was acknowledged on it.
    Lost { ended: Ended, progress: bool },
}

/// Takes requests and publishes answers; lives as long as the face.
pub(super) struct Pump {
    name: SmolStr,
    topics: Topics,
    max_payload: usize,
    control: Control,
    ends: Ends,
    answers: Answers,
    switch: watch::Receiver<Switch>,
    health: Arc<Health>,
}

impl Pump {
    pub(super) fn new(
        name: &str,
        topics: Topics,
        max_payload: usize,
        control: Control,
        health: Arc<Health>,
    ) -> Self {
        let name = SmolStr::new(name);
        let ends = Ends {
            destination: name.clone(),
            open: HashSet::new(),
            waits: JoinSet::new(),
            late: control.ended(),
        };
        let switch = control.switch();
        Self { name, topics, max_payload, control, ends, answers: Answers::default(), switch, health }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Waits for something, while ends become answers that wait for the connection.
    pub(super) async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                biased;
                done = &mut what => return done,
                (reply, end) = self.ends.next() => self.answer(reply, &end),
            }
        }
    }

    /// Works on this connection until it is over or the gateway ends.
    pub(super) async fn run(&mut self, mut session: Session, cancel: &CancellationToken) -> Over {
        let mut sent = JoinSet::new();
        let mut progress = false;
        let now = self.switch.borrow_and_update().clone();
        self.tell(&session, &mut sent, &state(&now));
        let ended = loop {
            if !self.send(&session, &mut sent) {
                break full();
            }
            let listening = self.ends.waits.len() < MOST_OPEN;
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    self.farewell(session, sent).await;
                    return Over::Stopped;
                }
                Some(told) = sent.join_next() => self.settle(told),
                (reply, end) = self.ends.next() => self.answer(reply, &end),
                Ok(()) = self.switch.changed() => {
                    let now = self.switch.borrow_and_update().clone();
                    self.tell(&session, &mut sent, &state(&now));
                }
                event = session.event(listening) => match event {
                    Event::Over(ended) => break ended,
                    Event::Listening => {
                        self.health.link.connected();
                        tracing::info!(face = %self.name, "follows request topics");
                    }
                    Event::Message(incoming) => {
                        if !self.take(*incoming, &session) {
                            break full();
                        }
                        progress = true;
                    }
                }
            }
        };
        self.answers.take_back();
        Over::Lost { ended, progress }
    }

    /// Hands a request to control, and then acknowledges it. False when the connection takes no acknowledgement.
    fn take(&mut self, incoming: Incoming, session: &Session) -> bool {
        Health::count(&self.health.requests);
        let Incoming { topic, payload, retained, response_topic, correlation, receipt, .. } = incoming;
        if !retained && self.ends.open.contains(&payload) {
            // The broker could not know that it has arrived, or its requester is impatient; its end is on the way.
            Health::count(&self.health.duplicates);
            return session.acknowledge(receipt);
        }
        match self.read(&topic, &payload, retained, correlation.as_ref()) {
            Ok(mut claim) => {
                let reply = ReplyTo {
                    destination: self.name.clone(),
                    topic: self
                        .topics
                        .answer(response_topic.as_deref(), &claim.requester.name, &claim.id)
                        .into(),
                    correlation: correlation.map(|data| data.to_vec()),
                };
                claim.reply_to = Some(reply.clone());
                let end = self.control.submit(claim);
                self.ends.wait(payload, reply, end);
            }
            Err(end) => {
                Health::count(&self.health.refused);
                // What is not even in the audit any more, because there is so much of it, gets no answer either.
                if end.audit.0 > 0 {
                    let topic = self.topics.refused();
                    let correlation = correlation.filter(|data| data.len() <= MOST_CORRELATION);
                    self.keep(Answer { topic, payload: json(&end), correlation });
                }
            }
        }
        session.acknowledge(receipt)
    }

    fn read(
        &self,
        topic: &str,
        payload: &[u8],
        retained: bool,
        correlation: Option<&Bytes>,
    ) -> Result<crate::control::Claim, Box<End>> {
        let named = self.topics.named(topic);
        let (device, command) = named.flatten().unwrap_or_default();
        let refuse = |reason, detail: String| {
            self.control.refuse(Face::Mqtt, End::rejected("", device, command, reason, detail))
        };
        if named.is_none() {
            let detail = "it came on a topic that is none of requests: an earlier topic_prefix, perhaps";
            return Err(refuse(Reason::Malformed, detail.to_owned()));
        }
        if retained {
            let detail = "retained: a request that the broker keeps would come again and again; \
                          publish it without the retain flag, and clear the topic";
            return Err(refuse(Reason::Malformed, detail.to_owned()));
        }
        if payload.len() > self.max_payload {
            let detail = format!("it has {} bytes; at most {} are read", payload.len(), self.max_payload);
            return Err(refuse(Reason::Oversized, detail));
        }
        if let Some(data) = correlation.filter(|data| data.len() > MOST_CORRELATION) {
            let detail = format!(
                "its correlation data have {} bytes; at most {MOST_CORRELATION} are kept",
                data.len()
            );
            return Err(refuse(Reason::Oversized, detail));
        }
        self.control.open(Face::Mqtt, payload, named.flatten())
    }

    /// Makes an answer of an end.
    fn answer(&mut self, reply: ReplyTo, end: &End) {
        let correlation = reply.correlation.map(Bytes::from);
        self.keep(Answer { topic: reply.topic.to_string(), payload: json(end), correlation });
    }

    fn keep(&mut self, answer: Answer) {
        if self.answers.push(answer) {
            Health::count(&self.health.lost);
        }
        self.health.waiting.store(self.answers.len() as u64, Relaxed);
    }

    /// Publishes answers as far as the window allows; false when the connection takes no more.
    fn send(&mut self, session: &Session, sent: &mut JoinSet<(u64, Delivery)>) -> bool {
        while let Some((number, answer)) = self.answers.send() {
            let Answer { topic, payload, correlation } = answer;
            let properties = Properties { content_type: Some(CONTENT_TYPE), correlation, origin: None };
            let qos = session.limits().qos.min(1);
            match session.publish(Message { topic, payload, qos, retain: false, properties }) {
                Ok(ack) => drop(sent.spawn(async move { (number, ack.await) })),
                Err(PublishError::Unfit(reason)) => {
                    drop(sent.spawn(async move { (number, Delivery::Unfit { reason }) }));
                }
                Err(PublishError::Over) => return false,
            }
        }
        true
    }

    /// What became of an answer, or of the state (number 0).
    fn settle(&mut self, told: Result<(u64, Delivery), tokio::task::JoinError>) {
        let Ok((number, delivery)) = told else { return };
        let reason = match delivery {
            Delivery::Acknowledged => None,
            Delivery::Refused { reason, .. } | Delivery::Unfit { reason } => Some(reason),
            // It stays among those that were sent, until the connection is over.
            Delivery::Unknown => return,
        };
        let answer = self.answers.settle(number);
        self.health.waiting.store(self.answers.len() as u64, Relaxed);
        let Some(reason) = reason else {
            if answer.is_some() {
                Health::count(&self.health.answers);
            }
            return;
        };
        let topic = answer.map_or_else(|| self.topics.state(), |answer| answer.topic);
        if number > 0 {
            Health::count(&self.health.lost);
        }
        let cause = format!("the broker does not take what is published to `{topic}`: {reason}");
        if self.health.link.set_error(Some(&cause)) {
            tracing::warn!(face = %self.name, topic, reason, "not taken by the broker; mend its access rules");
        }
    }

    fn tell(&self, session: &Session, sent: &mut JoinSet<(u64, Delivery)>, state: &serde_json::Value) {
        let message = Message {
            topic: self.topics.state(),
            payload: state.to_string().into(),
            qos: session.limits().qos.min(1),
            retain: session.limits().retain,
            properties: Properties { content_type: Some(CONTENT_TYPE), ..Properties::default() },
        };
        // A connection that takes no more is noticed when the next answer is to be sent, or ends by itself.
        if let Ok(ack) = session.publish(message) {
            sent.spawn(async move { (0, ack.await) });
        }
    }

    /// Waits for what is still carried out, publishes the answers, and says good-bye.
    async fn farewell(&mut self, mut session: Session, mut sent: JoinSet<(u64, Delivery)>) {
        let last = async {
            let mut told = false;
            loop {
                if !self.send(&session, &mut sent) {
                    return false;
                }
                if self.ends.waits.is_empty() && self.answers.is_empty() && !told {
                    told = true;
                    let state = serde_json::json!({
                        "enabled": false, "by": "gateway", "reason": "stopped",
                        "since": guideway_contract::Timestamp::now().to_string(),
                    });
                    self.tell(&session, &mut sent, &state);
                }
                if told && sent.is_empty() {
                    return true;
                }
                tokio::select! {
                    biased;
                    Some(told) = sent.join_next() => self.settle(told),
                    (reply, end) = self.ends.next() => self.answer(reply, &end),
                    event = session.event(false) => if let Event::Over(_) = event { return false },
                }
            }
        };
        let in_time = tokio::time::timeout(FAREWELL, last).await;
        if in_time == Ok(false) {
            return;
        }
        if in_time.is_err() {
            tracing::warn!(face = %self.name, waiting = self.answers.len(), "stopped with answers that wait");
        }
        // One that is late is closed without a good-bye.
        let _ = tokio::time::timeout(FAREWELL / 5, session.disconnect()).await;
    }
}

fn full() -> Ended {
    Ended { cause: "the connection takes no more messages".into(), silent: true, choked: false }
}

fn json(end: &End) -> Bytes {
    end.to_json().to_string().into()
}

/// What is published of the switch.
fn state(switch: &Switch) -> serde_json::Value {
    serde_json::json!({
        "enabled": switch.on,
        "by": switch.by.as_str(),
        "reason": switch.reason.as_str(),
        "since": switch.since.to_string(),
    })
}

/// The same as the broker publishes it when the gateway is lost.
pub(super) fn lost_state() -> String {
    serde_json::json!({ "enabled": false, "by": "gateway", "reason": "connection lost" }).to_string()
}

/// The ends that are to be answered.
struct Ends {
    /// The name that is meant in the audit.
    destination: SmolStr,
    /// The requests that wait for theirs, as they came.
    open: HashSet<Bytes>,
    waits: JoinSet<(Bytes, ReplyTo, Option<End>)>,
    /// Those of requests that a restart has ended.
    late: broadcast::Receiver<(ReplyTo, End)>,
}

impl Ends {
    fn wait(&mut self, request: Bytes, reply: ReplyTo, end: oneshot::Receiver<End>) {
        self.open.insert(request.clone());
        self.waits.spawn(async move { (request, reply, end.await.ok()) });
    }

    /// Waits for the next; may be given up at any time.
    async fn next(&mut self) -> (ReplyTo, End) {
        loop {
            tokio::select! {
                Some(ended) = self.waits.join_next() => {
                    // Nobody ends these tasks, and they do not panic.
                    let Ok((request, reply, end)) = ended else { continue };
                    self.open.remove(&request);
                    // None comes only where the gateway ends, and the next start tells of it.
                    if let Some(end) = end {
                        return (reply, end);
                    }
                }
                late = self.late.recv() => match late {
                    Ok((reply, end)) if reply.destination == self.destination => return (reply, end),
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(count)) => {
                        tracing::error!(count, "ends of requests before the restart are only in the audit");
                    }
                    // The pump holds control, so that this cannot be.
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                },
            }
        }
    }
}
