//! One session at a broker: connect, subscribe, read what comes, write what is asked.

use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{
    Adapter, Capabilities, CommandRequest, Counters, Fault, Found, Outcome, Outlet, PointSpec, RawBatch,
    RawReading, SessionEnd, SessionFuture, Timestamp,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::address::Broker;
use crate::browse;
use crate::config::{Config, Layout, Point};
use crate::keyed::{Keyed, Sink};
use crate::link::{Ack, Cause, Coming, Delivery, Inbound, Link, Options, Outbound};
use crate::plan::Plan;
use crate::reader::{Message, Reader};
use crate::tls;

/// Most readings in one batch, about: the last message is always read whole.
const MAX_BATCH: usize = 4_096;
/// Most messages in one batch.
const MAX_MESSAGES: usize = 256;

/// The adapter.
pub(crate) struct Session {
    config: Config,
    plan: Arc<Plan>,
    /// What makes the client's id its own.
    suffix: String,
}

impl Session {
    pub(crate) fn new(config: Config, points: Vec<PointSpec<Point>>) -> Self {
        let plan = Arc::new(Plan::new(&config, &points));
        drop(points);
        Self { config, plan, suffix: random_suffix() }
    }

    /// How to connect; the error says what is wrong with the configuration.
    fn options(&self, client_id: String) -> Result<Options, Cause> {
        let config = &self.config;
        if config.address.is_empty() {
            return Err("there is no address; write mqtt://host:1883".into());
        }
        let broker = Broker::parse(&config.address)?;
        let password = config.password.as_deref().map(tls::secret).transpose()?.unwrap_or_default();
        Ok(Options {
            version: config.version,
            host: broker.host,
            port: broker.port,
            tls: broker.tls.then(|| tls::client_config(config)).transpose()?,
            client_id,
            credentials: config.user.clone().map(|user| (user, password)),
            keep_alive: config.keep_alive,
            connect_timeout: config.connect_timeout,
            clean: config.clean,
            session_expiry: u32::try_from(config.session_expiry.as_secs()).unwrap_or(u32::MAX),
            max_payload: config.max_payload,
        })
    }

    fn not_connected(&self, cause: Cause) -> SessionEnd {
        SessionEnd::NotConnected { endpoint: self.endpoint(), cause }
    }

    async fn run(&mut self, outlet: &mut Outlet) -> SessionEnd {
        let id = self.config.client_id.clone().filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("guideway-{}-{}", outlet.name(), self.suffix));
        let options = match self.options(id) {
            Ok(options) => options,
            Err(cause) => return self.not_connected(cause),
        };
        let link = match connect(&options, outlet).await {
            Ok(link) => link,
            Err(None) => return SessionEnd::Stopped,
            Err(Some(cause)) => return self.not_connected(cause),
        };
        let keyed = self.config.layout != Layout::Points;
        let filters = if keyed { self.config.keyed_topics() } else { self.plan.subscriptions.clone() };
        let mut up = Up {
            endpoint: self.endpoint(),
            config: &self.config,
            plan: &self.plan,
            reader: Reader::new(self.plan.clone(), Instant::now()),
            keyed: Keyed::new(self.config.layout),
            subscribing: Some(link.subscribe(filters.clone(), self.config.qos)),
            filters,
            link,
            told: false,
            writing: None,
            heard: Instant::now(),
        };
        let end = up.run(outlet).await;
        if let Some((_, Some(reply))) = up.writing.take() {
            // A requester that has gone away no longer needs the answer.
            let _ = reply.send(Outcome::Unknown(format!("{end} before the broker had acknowledged")));
        }
        if matches!(end, SessionEnd::Stopped) {
            up.link.disconnect().await;
        }
        end
    }
}

/// Connects; `Err(None)` when the adapter is to stop. Commands that come meanwhile are not sent.
async fn connect(options: &Options, outlet: &mut Outlet) -> Result<Link, Option<Cause>> {
    let cancel = outlet.cancelled().clone();
    let attempt = Link::connect(options);
    tokio::pin!(attempt);
    let mut commanded = true;
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(None),
            connected = &mut attempt => return connected.map_err(Some),
            request = outlet.commands().recv(), if commanded => match request {
                // A requester that has gone away no longer needs the answer.
                Some(request) => drop(request.reply.send(Outcome::NotSent("no session".into()))),
                None => commanded = false,
            },
        }
    }
}

impl Adapter for Session {
    fn protocol(&self) -> &'static str {
        "mqtt"
    }

    fn endpoint(&self) -> String {
        Broker::parse(&self.config.address).map_or_else(|_| "mqtt://".into(), |broker| broker.to_string())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            subscribed: true,
            browsable: true,
            writable: self.config.layout == Layout::Points,
            polled: false,
        }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(self.run(outlet))
    }

    fn browse<'a>(
        &'a mut self,
        address: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<Found>, SessionEnd>> + Send + 'a>> {
        Box::pin(async move {
            // A client of its own, which does not throw out the one that may be running.
            let options = self.options(format!("guideway-browse-{}", random_suffix()));
            let mut options = options.map_err(|cause| self.not_connected(cause))?;
            options.clean = true;
            browse::browse(&options, address).await.map_err(|cause| self.not_connected(cause))
        })
    }
}

/// What a write comes to, and the one who asked.
type Writing = (Coming<Outcome>, Option<oneshot::Sender<Outcome>>);

/// A session that is connected.
struct Up<'s> {
    endpoint: String,
    config: &'s Config,
    plan: &'s Plan,
    reader: Reader,
    keyed: Keyed,
    link: Link,
    filters: Vec<String>,
    /// The subscription on its way.
    subscribing: Option<Coming<Result<Vec<Option<Cause>>, Cause>>>,
    /// Whether the pipeline knows that the session is up.
    told: bool,
    writing: Option<Writing>,
    /// When the last message came.
    heard: Instant,
}

/// What the session wakes up for.
enum Wake {
    Stop,
    Subscribed(Result<Vec<Option<Cause>>, Cause>),
    Message(Option<Inbound>),
    Command(Option<CommandRequest>),
    Written(Outcome),
    Stale,
    Silence(Duration),
}

impl Up<'_> {
    async fn run(&mut self, outlet: &mut Outlet) -> SessionEnd {
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        loop {
            let look = self.reader.next_look();
            let silence = self.config.stale.map(|stale| (self.heard + stale, stale));
            // The order matters: what was asked of us is not kept waiting by a source that never pauses, and what
            // has arrived is read before silence is found.
            let wake = tokio::select! {
                biased;
                () = cancel.cancelled() => Wake::Stop,
                result = arrived(&mut self.subscribing) => Wake::Subscribed(result),
                outcome = written(&mut self.writing) => Wake::Written(outcome),
                request = outlet.commands().recv(), if commanded && self.writing.is_none() => Wake::Command(request),
                message = self.link.inbound.recv() => Wake::Message(message),
                () = at(look) => Wake::Stale,
                () = at(silence.map(|(at, _)| at)) => Wake::Silence(silence.map(|(_, stale)| stale).unwrap_or_default()),
            };
            let end = match wake {
                Wake::Stop => Some(SessionEnd::Stopped),
                Wake::Subscribed(result) => self.subscribed(result, outlet).await,
                Wake::Message(Some(message)) => self.messages(message, outlet).await,
                Wake::Message(None) => Some(self.over().await),
                Wake::Command(Some(request)) => {
                    self.command(request);
                    None
                }
                Wake::Command(None) => {
                    commanded = false;
                    None
                }
                Wake::Written(outcome) => self.written(outcome),
                Wake::Stale => {
                    let readings = self.reader.overdue(Instant::now());
                    send(readings, outlet).await
                }
                Wake::Silence(stale) => Some(SessionEnd::Silent(stale)),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Why the connection is over. A broker that lets nobody subscribe may simply close it.
    async fn over(&mut self) -> SessionEnd {
        let ended = self.link.over().await;
        if !self.told {
            let cause = format!("{}, before anything was subscribed", ended.cause);
            return SessionEnd::NotConnected { endpoint: self.endpoint.clone(), cause };
        }
        match ended.silent {
            Some(patience) => SessionEnd::Silent(patience),
            None => SessionEnd::Lost(ended.cause),
        }
    }

    /// Says that the session is up, and what can never be read in it.
    async fn connected(&mut self, outlet: &Outlet) -> Option<SessionEnd> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        outlet.connected().await;
        let now = Timestamp::now();
        let broken = self.plan.broken.iter().map(|(id, cause)| RawReading::bad(*id, cause, now)).collect();
        send(broken, outlet).await
    }

    async fn subscribed(
        &mut self,
        result: Result<Vec<Option<Cause>>, Cause>,
        outlet: &Outlet,
    ) -> Option<SessionEnd> {
        self.subscribing = None;
        let refused = match result {
            Ok(refused) => refused,
            Err(cause) => {
                // The connection knows better why it ended, where it did.
                let ended = tokio::time::timeout(Duration::from_secs(1), self.link.over()).await;
                let cause =
                    ended.map_or_else(|_| format!("the subscription failed: {cause}"), |ended| ended.cause);
                return Some(SessionEnd::Lost(cause));
            }
        };
        let refused: Vec<(&String, &Cause)> = self
            .filters
            .iter()
            .zip(&refused)
            .filter_map(|(filter, why)| Some((filter, why.as_ref()?)))
            .collect();
        if refused.len() == self.filters.len()
            && let Some((filter, why)) = refused.first()
        {
            let cause =
                format!("the broker lets {} subscribe to nothing ({filter}: {why})", who(self.config));
            return Some(SessionEnd::NotConnected { endpoint: self.endpoint.clone(), cause });
        }
        let now = Timestamp::now();
        let mut readings = Vec::new();
        for (filter, why) in refused {
            tracing::warn!(adapter = outlet.name(), filter, why, "the broker refuses a subscription");
            let hit = self.plan.rules.iter().filter(|rule| crate::address::covers(filter, &rule.filter));
            let cause = format!("the broker refuses the subscription to {filter} ({why})");
            readings.extend(hit.map(|rule| RawReading::bad(rule.id, &cause, now)));
        }
        if let Some(end) = self.connected(outlet).await {
            return Some(end);
        }
        send(readings, outlet).await
    }

    /// Reads a message and those that wait behind it, sends what they say, and then acknowledges them.
    async fn messages(&mut self, first: Inbound, outlet: &Outlet) -> Option<SessionEnd> {
        // A message can only come where a subscription was accepted.
        if let Some(end) = self.connected(outlet).await {
            return Some(end);
        }
        let now = Instant::now();
        let arrival = Timestamp::now();
        self.heard = now;
        let mut acks: Vec<Ack> = Vec::new();
        let mut readings = Vec::new();
        let mut sink = Sink::new(outlet);
        self.keyed.set_points(outlet.points());
        let mut next = Some(first);
        let mut messages = 0;
        while let Some(mut message) = next {
            messages += 1;
            acks.extend(message.ack.take());
            Counters::add(&outlet.health().counters.bytes, message.size);
            Counters::add(&outlet.health().counters.frames, 1);
            self.read(&message, arrival, now, &mut readings, &mut sink);
            let full = messages >= MAX_MESSAGES || readings.len() + sink.len() >= MAX_BATCH;
            next = if full { None } else { self.link.inbound.try_recv().ok() };
        }
        outlet.health().arrived(arrival);
        let cancel = outlet.cancelled().clone();
        let sent = async {
            outlet.raw(RawBatch { arrival, readings }).await;
            sink.send(arrival).await;
        };
        tokio::select! {
            () = sent => {}
            () = cancel.cancelled() => return Some(SessionEnd::Stopped),
        }
        for ack in acks {
            self.link.acknowledge(ack);
        }
        None
    }

    fn read(
        &mut self,
        message: &Inbound,
        arrival: Timestamp,
        now: Instant,
        readings: &mut Vec<RawReading>,
        sink: &mut Sink<'_>,
    ) {
        let outlet = sink.outlet;
        let Ok(topic) = std::str::from_utf8(&message.topic) else {
            return outlet
                .fault(Fault::Malformed, || format!("a topic that is no text: {:?}", message.topic));
        };
        let refused = message.size > self.config.max_payload;
        if refused {
            let most = self.config.max_payload;
            outlet.fault(Fault::Oversized, || {
                format!("{} bytes on {topic}; max_payload is {most} bytes", message.size)
            });
        }
        let payload = if refused { Err(message.size) } else { Ok(&*message.payload) };
        let message = Message { topic, payload, retained: message.retained, arrival };
        if self.config.layout == Layout::Points {
            let mut told = outlet;
            self.reader.read(message, now, readings, &mut told);
        } else {
            self.keyed.read(message, sink);
        }
    }

    /// Publishes what a command asks, after everything in it was found to be right.
    fn command(&mut self, request: CommandRequest) {
        let CommandRequest { command, reply } = request;
        let mut messages = Vec::with_capacity(command.writes.len());
        for write in &command.writes {
            let Some(rule) = self.plan.writes.get(&write.point) else {
                let cause = format!("point {} is not writable", write.point.0);
                // A requester that has gone away no longer needs the answer; so below.
                return drop(reply.send(Outcome::Refused(cause)));
            };
            match rule.payload.fill(&write.value, Timestamp::now()) {
                Ok(payload) => {
                    let (topic, qos, retain) = (rule.topic.clone(), rule.qos, rule.retain);
                    messages.push(Outbound { topic, payload, qos, retain });
                }
                Err(cause) => return drop(reply.send(Outcome::Refused(format!("{}: {cause}", rule.topic)))),
            }
        }
        let deadline = Instant::now() + command.timeout;
        // One after the other: a write that is not done ends the command.
        let client = self.link.publisher();
        let outcome = async move {
            let mut any = false;
            for message in messages {
                let topic = message.topic.clone();
                match tokio::time::timeout_at(deadline, client.publish(message)).await {
                    Ok(Delivery::Acknowledged) => any = true,
                    Ok(Delivery::Refused(cause)) => return Outcome::Refused(format!("{topic}: {cause}")),
                    Ok(Delivery::NotSent(cause)) if !any => {
                        return Outcome::NotSent(format!("{topic}: {cause}"));
                    }
                    Ok(Delivery::NotSent(cause) | Delivery::Unknown(cause)) => {
                        return Outcome::Unknown(format!("{topic}: {cause}"));
                    }
                    Err(_) => {
                        return Outcome::Unknown(format!("{topic}: the broker did not acknowledge in time"));
                    }
                }
            }
            Outcome::Done
        };
        self.writing = Some((Box::pin(outcome), Some(reply)));
    }

    fn written(&mut self, outcome: Outcome) -> Option<SessionEnd> {
        let reply = self.writing.take().and_then(|(_, reply)| reply);
        let end = match &outcome {
            // A late acknowledgement must not be taken for that of another message.
            Outcome::Unknown(cause) => Some(SessionEnd::Lost(format!("a write without an answer: {cause}"))),
            _ => None,
        };
        if let Some(reply) = reply {
            let _ = reply.send(outcome);
        }
        end
    }
}

/// Sends readings, however busy the pipeline is.
async fn send(readings: Vec<RawReading>, outlet: &Outlet) -> Option<SessionEnd> {
    let cancel = outlet.cancelled().clone();
    tokio::select! {
        () = outlet.raw(RawBatch { arrival: Timestamp::now(), readings }) => None,
        () = cancel.cancelled() => Some(SessionEnd::Stopped),
    }
}

/// Whom the broker knows.
fn who(config: &Config) -> String {
    config.user.as_ref().map_or_else(|| "a client without a user".into(), |user| format!("the user {user}"))
}

async fn arrived<T>(coming: &mut Option<Coming<T>>) -> T {
    match coming {
        Some(coming) => coming.await,
        None => pending().await,
    }
}

async fn written(writing: &mut Option<Writing>) -> Outcome {
    match writing {
        Some((outcome, _)) => outcome.await,
        None => pending().await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

/// Eight digits that no other gateway has, most likely.
fn random_suffix() -> String {
    format!("{:08x}", RandomState::new().hash_one(std::process::id()) >> 32)
}
