//! One session with an agent: probe, state, changes.

use std::time::Duration;

use guideway_contract::{CommandRequest, Counters, Fault, Outcome, Outlet, SessionEnd, Signal, Timestamp};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use tokio::time::{Instant, sleep, sleep_until};

use crate::address::Base;
use crate::assets::{Assets, Told};
use crate::client::{Client, Failure, Heard, Opened, Stream, decode, out_of_range};
use crate::codec::{Document, Header, Streams};
use crate::model::{Device, Model};
use crate::tell::{Aliases, Which, tell};
use crate::{Config, Mode};

/// MTConnect has no way back to the machine.
const NO_DOWNLINK: &str = "an MTConnect agent cannot write to its machines";
/// How long the gateway may take to take over a device model.
const TAKE_OVER: Duration = Duration::from_secs(5);
/// How long the points may stay as they are, without all that the model has, until the rest is given up.
const SETTLED: Duration = Duration::from_millis(500);
/// Parts or streams in a row that may fail before the agent is polled.
const MOST_FAILURES: u32 = 3;
/// A stream that ends sooner has failed.
const BRIEF: Duration = Duration::from_secs(1);

/// What outlives a session.
#[derive(Default)]
pub(crate) struct Memory {
    /// The run of the agent that `next` counts in.
    instance: SmolStr,
    /// The first sequence that was not told.
    next: Option<u64>,
    /// The device models that the gateway was told, by uuid.
    models: FxHashMap<SmolStr, String>,
    assets: Told,
    aliases: Aliases,
}

/// Runs a session until it is over.
pub(crate) async fn run(config: &Config, memory: &mut Memory, outlet: &mut Outlet) -> SessionEnd {
    match Session::start(config, memory, outlet).await {
        Ok(mut session) => match session.follow(outlet).await {
            Ok(never) => match never {},
            Err(end) => end,
        },
        Err(end) => end,
    }
}

/// Waits for something while commands are answered and a stop is obeyed.
async fn wait<T>(outlet: &mut Outlet, future: impl Future<Output = T>) -> Result<T, SessionEnd> {
    let cancel = outlet.cancelled().clone();
    let mut commanded = true;
    tokio::pin!(future);
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(SessionEnd::Stopped),
            request = outlet.commands().recv(), if commanded => commanded = refuse(request),
            done = &mut future => return Ok(done),
        }
    }
}

/// Answers a command; whether there may be more.
fn refuse(request: Option<CommandRequest>) -> bool {
    let Some(request) = request else { return false };
    // A requester that has gone away no longer needs the answer.
    drop(request.reply.send(Outcome::NotSent(NO_DOWNLINK.into())));
    true
}

/// A session has no good end.
enum Never {}

/// How one way of following ended without ending the session.
enum Step {
    /// The stream is to be opened again.
    Again,
    /// The agent does not stream, and why that is thought.
    Poll(String),
}

struct Session<'a> {
    config: &'a Config,
    memory: &'a mut Memory,
    client: Client,
    /// The agent.
    base: Base,
    /// What of it is asked for observations: the agent, or its only device.
    path: Base,
    model: Model,
    /// The first sequence that was not told.
    next: u64,
    instance: SmolStr,
    model_changed: SmolStr,
    count: u64,
    assets: Option<Assets>,
    /// Failures in a row.
    failures: u32,
    /// Parts of the stream that could be read.
    parts: u32,
    /// Gaps in a row.
    gaps: u32,
}

impl<'a> Session<'a> {
    /// Asks for everything first, so that only an agent that answers counts as connected.
    async fn start(
        config: &'a Config,
        memory: &'a mut Memory,
        outlet: &mut Outlet,
    ) -> Result<Self, SessionEnd> {
        let endpoint = config.base().map_or_else(|_| config.address.clone(), |base| base.uri());
        let not = |cause: String| SessionEnd::NotConnected { endpoint: endpoint.clone(), cause };
        let base = config.base().map_err(not)?;
        let client = Client::new(config).map_err(not)?;
        let (header, model) =
            probe(&client, &base, config, outlet).await?.map_err(|why| not(format!("probe: {why}")))?;
        let mut path = base.clone();
        if let ([device], true, false) = (model.followed.as_slice(), base.is_root(), model.others.is_empty())
        {
            path = base.of(if device.name.is_empty() { &device.uuid } else { &device.name });
        }
        let mut current = current(&client, &path, outlet).await?;
        if path != base && current.as_ref().is_err_and(Failure::is_answer) {
            path = base.clone();
            current = self::current(&client, &path, outlet).await?;
        }
        let (now, streams) = current.map_err(|failure| not(format!("current: {failure}")))?;
        if header.instance != now.instance && !header.instance.is_empty() && !now.instance.is_empty() {
            return Err(not("the agent restarts just now".into()));
        }
        let Some(next) = next_of(&now, &streams) else {
            return Err(not("current: the agent gives its observations no sequence".into()));
        };
        outlet.connected().await;
        let mut session = Self {
            config,
            client,
            base,
            path,
            model,
            next,
            instance: now.instance.clone(),
            model_changed: header.model_changed,
            count: u64::from(config.count).min(now.buffer.filter(|size| *size > 1).unwrap_or(u64::MAX)),
            assets: None,
            failures: 0,
            parts: 0,
            gaps: 0,
            memory,
        };
        session.describe(outlet).await?;
        session.state(&now, &streams, outlet).await;
        if config.assets {
            let (client, base, model) = (session.client.clone(), session.base.clone(), session.model.clone());
            session.assets = Some(Assets::start(client, base, model));
        }
        Ok(session)
    }

    /// Tells the device models that the gateway does not know yet, and waits until it has taken them over.
    async fn describe(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let mut is_changed = false;
        for device in &self.model.followed {
            let is_known = self.memory.models.get(&device.uuid).is_some_and(|known| *known == device.xml)
                && outlet.points().scope(&device.uuid).is_some();
            if !is_known {
                is_changed = true;
                // Points may have other numbers from now on.
                self.memory.aliases.clear();
                let describe = Signal::Describe {
                    device: SmolStr::default(),
                    name: "deviceModel".into(),
                    value: device.xml.clone(),
                };
                outlet.send(describe).await;
            }
        }
        if is_changed {
            let followed = self.model.followed.clone();
            let points = || outlet.points();
            let mut seen = points();
            let (deadline, mut since) = (Instant::now() + TAKE_OVER, Instant::now());
            while Instant::now() < deadline && !followed.iter().all(|device| is_taken(device, &seen)) {
                let settled = since.elapsed() >= SETTLED;
                if settled && followed.iter().all(|device| seen.scope(&device.uuid).is_some()) {
                    break;
                }
                wait(outlet, sleep(Duration::from_millis(10))).await?;
                let now = outlet.points();
                if !std::sync::Arc::ptr_eq(&now, &seen) {
                    (seen, since) = (now, Instant::now());
                }
            }
        }
        let points = outlet.points();
        let mut taken = 0;
        self.memory.models.clear();
        for device in &self.model.followed {
            if points.scope(&device.uuid).is_some() {
                taken += 1;
                self.memory.models.insert(device.uuid.clone(), device.xml.clone());
            } else {
                outlet.fault(Fault::Unmapped, || {
                    format!("the gateway did not take over device `{}`", device.uuid)
                });
            }
        }
        if taken == 0 {
            return Err(SessionEnd::Protocol(
                "the gateway did not take over the agent's device model".into(),
            ));
        }
        Ok(())
    }

    /// Tells the state: all of it, or, where the changes since the last session are still to be had, what is older.
    async fn state(&mut self, now: &Header, streams: &Streams, outlet: &Outlet) {
        let same_run = self.memory.instance == self.instance;
        let resume = self.memory.next.filter(|known| same_run && *known <= self.next);
        let from =
            resume.filter(|known| *known == self.next || now.first.is_some_and(|first| first <= *known));
        if let (Some(known), None) = (resume, from) {
            self.lost(now.first.unwrap_or(self.next).saturating_sub(known), outlet);
        }
        self.tell(streams, Which::State(from), outlet).await;
        self.reached(from.unwrap_or(self.next));
        self.memory.instance = self.instance.clone();
    }

    async fn follow(&mut self, outlet: &mut Outlet) -> Result<Never, SessionEnd> {
        let mut polls = self.config.mode == Mode::Poll;
        loop {
            if polls {
                self.poll(outlet).await?;
            }
            match self.stream(outlet).await? {
                Step::Again => {}
                Step::Poll(why) => {
                    tracing::warn!(
                        adapter = outlet.name(),
                        endpoint = self.base.uri(),
                        why,
                        "the agent does not stream; it is polled"
                    );
                    self.failures = 0;
                    polls = true;
                }
            }
        }
    }

    async fn stream(&mut self, outlet: &mut Outlet) -> Result<Step, SessionEnd> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let url = self.path.sample(&[
            ("from", self.next),
            ("interval", millis(self.config.interval)),
            ("heartbeat", millis(self.config.heartbeat)),
            ("count", self.count),
        ]);
        let opened = wait(outlet, self.client.open(url)).await?;
        let mut stream = match opened {
            Ok(Opened::Stream(stream)) => stream,
            Ok(Opened::Document(document)) => {
                if let Document::Streams(header, streams) = *document {
                    self.changes(&header, &streams, outlet).await?;
                }
                return Ok(Step::Poll("one document came instead of a stream".into()));
            }
            Err(failure) if failure.is_out_of_range() => {
                self.recover(outlet).await?;
                return Ok(Step::Again);
            }
            Err(failure) if failure.is_answer() => return Ok(Step::Poll(failure.to_string())),
            Err(failure) => return Err(lost(failure)),
        };
        let opened = Instant::now();
        self.parts = 0;
        let Some(why) = self.parts(&mut stream, outlet).await? else { return Ok(Step::Again) };
        // A stream that ends at once, or that cannot be read, again and again, is none.
        self.failures = if opened.elapsed() < BRIEF || self.parts == 0 { self.failures + 1 } else { 0 };
        Ok(if self.failures >= MOST_FAILURES { Step::Poll(why) } else { Step::Again })
    }

    /// Reads parts until the stream ends; why it did, where that was a failure.
    async fn parts(
        &mut self,
        stream: &mut Stream,
        outlet: &mut Outlet,
    ) -> Result<Option<String>, SessionEnd> {
        let silence = self.config.heartbeat * 2;
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        let (mut heard, mut begun) = (Instant::now(), Instant::now());
        loop {
            let assets = Assets::next(self.assets.as_mut());
            let heard_now = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                request = outlet.commands().recv(), if commanded => {
                    commanded = refuse(request);
                    continue;
                }
                found = assets => {
                    self.asset(found, outlet).await;
                    continue;
                }
                next = stream.next() => next,
                () = sleep_until(heard + silence) => return Err(SessionEnd::Silent(silence)),
            };
            Counters::add(&outlet.health().counters.bytes, stream.take_bytes());
            match heard_now {
                Ok(Heard::Part(bytes)) => {
                    Counters::add(&outlet.health().counters.frames, 1);
                    match decode(bytes).await {
                        Ok(Document::Streams(header, streams)) => {
                            self.changes(&header, &streams, outlet).await?
                        }
                        Ok(Document::Errors(problems)) if out_of_range(&problems) => {
                            self.recover(outlet).await?;
                            return Ok(None);
                        }
                        Ok(Document::Errors(problems)) => {
                            return Err(SessionEnd::Protocol(Failure::Refused(problems).to_string()));
                        }
                        Ok(other) => {
                            return Ok(Some(unreadable(&format!("{} came", other.kind()), outlet)));
                        }
                        Err(error) => return Ok(Some(unreadable(&error.to_string(), outlet))),
                    }
                    self.parts = self.parts.saturating_add(1);
                    // Only now: the pipeline may have been busy for longer than a heartbeat.
                    (heard, begun) = (Instant::now(), Instant::now());
                }
                Ok(Heard::Bytes) => {
                    heard = Instant::now();
                    // A part that drips in for ever is no sign of life.
                    if stream.is_within() && begun.elapsed() > silence * 2 + self.config.timeout {
                        return Err(SessionEnd::Protocol("a part of the stream does not end".into()));
                    }
                }
                Ok(Heard::End) => return Ok(Some("the stream ends at once".into())),
                Err(Failure::Malformed(error)) => {
                    return Ok(Some(unreadable(&error.to_string(), outlet)));
                }
                Err(failure) => return Ok(Some(failure.to_string())),
            }
        }
    }

    async fn poll(&mut self, outlet: &mut Outlet) -> Result<Never, SessionEnd> {
        let mut due = Instant::now();
        loop {
            self.idle(due, outlet).await?;
            due = Instant::now() + self.config.poll;
            let url = self.path.sample(&[("from", self.next), ("count", self.count)]);
            match wait(outlet, self.client.observations(url)).await? {
                Ok(Document::Streams(header, streams)) => {
                    Counters::add(&outlet.health().counters.frames, 1);
                    let before = self.next;
                    self.changes(&header, &streams, outlet).await?;
                    self.failures = 0;
                    // A full document: there is more.
                    if streams.observations.len() as u64 >= self.count && self.next > before {
                        due = Instant::now();
                    }
                }
                Err(failure) if failure.is_out_of_range() => self.recover(outlet).await?,
                Ok(other) => self.unread(format!("{} came", other.kind()), outlet)?,
                Err(Failure::Malformed(error)) => self.unread(error.to_string(), outlet)?,
                Err(Failure::Oversized(_)) if self.count > 1 => {
                    outlet.fault(Fault::Oversized, || {
                        format!("{} observations are too many at once", self.count)
                    });
                    self.count /= 2;
                    due = Instant::now();
                }
                Err(failure) => return Err(lost(failure)),
            }
        }
    }

    /// Counts a document that cannot be read. After some the session ends, and the next one begins with the state
    /// behind them: a document that nobody can read must not stop everything that follows it.
    fn unread(&mut self, why: String, outlet: &Outlet) -> Result<(), SessionEnd> {
        outlet.fault(Fault::Malformed, || why.clone());
        self.failures += 1;
        if self.failures < MOST_FAILURES {
            return Ok(());
        }
        self.memory.next = None;
        Err(SessionEnd::Protocol(why))
    }

    async fn idle(&mut self, until: Instant, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        loop {
            let assets = Assets::next(self.assets.as_mut());
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                request = outlet.commands().recv(), if commanded => commanded = refuse(request),
                found = assets => self.asset(found, outlet).await,
                () = sleep_until(until) => return Ok(()),
            }
        }
    }

    async fn asset(&mut self, found: crate::assets::Found, outlet: &Outlet) {
        if let Some(assets) = &mut self.assets {
            assets.take(found, &mut self.memory.assets, outlet).await;
        }
    }

    /// Tells the changes of a document.
    async fn changes(
        &mut self,
        header: &Header,
        streams: &Streams,
        outlet: &mut Outlet,
    ) -> Result<(), SessionEnd> {
        self.same_run(header)?;
        if !header.model_changed.is_empty() && header.model_changed != self.model_changed {
            self.model_again(&header.model_changed, outlet).await?;
        }
        if header.first.is_some_and(|first| first > self.next)
            && streams
                .observations
                .first()
                .and_then(|first| first.sequence)
                .is_none_or(|first| first > self.next)
        {
            self.lost(header.first.unwrap_or_default().saturating_sub(self.next), outlet);
        }
        self.tell(streams, Which::From(self.next), outlet).await;
        if let Some(next) = next_of(header, streams)
            && next > self.next
        {
            self.reached(next);
            self.gaps = 0;
        }
        Ok(())
    }

    /// Goes on behind a gap: what the agent no longer has is lost, and its state is told.
    async fn recover(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        self.gaps += 1;
        if self.gaps > MOST_FAILURES {
            return Err(SessionEnd::Protocol(
                "the agent forgets its observations before they can be read".into(),
            ));
        }
        let (header, streams) = current(&self.client, &self.path, outlet).await?.map_err(lost)?;
        self.same_run(&header)?;
        let Some(next) = next_of(&header, &streams) else {
            return Err(SessionEnd::Protocol("the agent gives its observations no sequence".into()));
        };
        // An agent whose sequence has gone back has begun anew, whether it says so or not.
        let known = if next < self.next { 0 } else { self.next };
        self.lost(header.first.unwrap_or(next).saturating_sub(known).max(1), outlet);
        self.tell(&streams, Which::Gap(known), outlet).await;
        self.reached(next);
        Ok(())
    }

    /// Reads the device model again after the agent has said that it changed.
    async fn model_again(&mut self, changed: &str, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        self.model_changed = changed.into();
        let read = probe(&self.client, &self.base, self.config, outlet).await?;
        let (_, model) = read.map_err(|why| SessionEnd::Protocol(format!("probe: {why}")))?;
        if model != self.model {
            self.model = model;
            self.describe(outlet).await?;
        }
        Ok(())
    }

    /// Ends the session when the agent has been restarted: its model and its sequence begin anew.
    fn same_run(&self, header: &Header) -> Result<(), SessionEnd> {
        if header.instance == self.instance || header.instance.is_empty() || self.instance.is_empty() {
            return Ok(());
        }
        Err(SessionEnd::Lost(format!(
            "the agent was restarted (instanceId {} is now {})",
            self.instance, header.instance
        )))
    }

    fn lost(&self, number: u64, outlet: &Outlet) {
        let next = self.memory.next.unwrap_or(self.next);
        tracing::warn!(
            adapter = outlet.name(),
            number,
            from = next,
            "the agent no longer has observations that were not read yet"
        );
        outlet.fault(Fault::Rejected, || {
            format!("{number} observations from sequence {next} on were lost: the agent no longer has them")
        });
    }

    fn reached(&mut self, next: u64) {
        self.next = next;
        self.memory.next = Some(next);
    }

    async fn tell(&mut self, streams: &Streams, which: Which, outlet: &Outlet) {
        let takes_assets = self.config.assets;
        let news = tell(streams, which, &self.model, &mut self.memory.aliases, takes_assets, outlet).await;
        if let Some(assets) = &mut self.assets {
            for (id, device) in news {
                assets.event(&id, &device, outlet);
            }
        }
        outlet.health().arrived(Timestamp::now());
    }
}

async fn probe(
    client: &Client,
    base: &Base,
    config: &Config,
    outlet: &mut Outlet,
) -> Result<Result<(Header, Model), String>, SessionEnd> {
    Ok(match wait(outlet, client.tree(base.probe())).await? {
        Ok(Document::Devices(header, tree)) => {
            Model::read(&tree, &config.devices, config.agent_device).map(|model| (header, model))
        }
        Ok(other) => Err(format!("{} came", other.kind())),
        Err(failure) => Err(failure.to_string()),
    })
}

async fn current(
    client: &Client,
    path: &Base,
    outlet: &mut Outlet,
) -> Result<Result<(Header, Streams), Failure>, SessionEnd> {
    Ok(match wait(outlet, client.observations(path.current())).await? {
        Ok(Document::Streams(header, streams)) => Ok((header, streams)),
        Ok(other) => Err(Failure::Other(other.kind(), "an MTConnectStreams document")),
        Err(failure) => Err(failure),
    })
}

/// The sequence behind a document: as its header says, or behind its last observation.
fn next_of(header: &Header, streams: &Streams) -> Option<u64> {
    let last = streams.observations.iter().filter_map(|observed| observed.sequence).max();
    header.next.or_else(|| last.map(|last| last.saturating_add(1)))
}

/// Whether the points have all that a device has.
fn is_taken(device: &Device, points: &guideway_contract::PointTable) -> bool {
    points
        .scope(&device.uuid)
        .is_some_and(|scope| device.ids.iter().all(|id| points.find(scope, id).is_some()))
}

/// Counts a part that cannot be read. Nothing of it is lost: the stream is opened again from where it was.
fn unreadable(why: &str, outlet: &Outlet) -> String {
    outlet.fault(Fault::Malformed, || format!("a part of the stream: {why}"));
    format!("its parts cannot be read: {why}")
}

fn lost(failure: Failure) -> SessionEnd {
    match failure {
        Failure::Late(long) => SessionEnd::Silent(long),
        Failure::Broken(why) => SessionEnd::Lost(why),
        other => SessionEnd::Protocol(other.to_string()),
    }
}
