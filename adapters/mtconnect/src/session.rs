//! One session with an agent: probe, state, changes.

mod begin;
mod stream;

use std::time::Duration;

use guideway_contract::{CommandRequest, Counters, Fault, Outcome, Outlet, SessionEnd, Timestamp};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use tokio::time::{Instant, sleep_until};

use crate::address::Base;
use crate::assets::{Assets, Told};
use crate::client::{Client, Failure};
use crate::codec::{Document, Header, Streams};
use crate::model::Model;
use crate::tell::{Aliases, Which, tell};
use crate::{Config, Mode};

/// MTConnect has no way back to the machine.
const NO_DOWNLINK: &str = "an MTConnect agent cannot write to its machines";
/// Parts or streams in a row that may fail before the agent is polled.
const MOST_FAILURES: u32 = 3;
/// Pause between readings of a model that an agent says has changed; doubled when it has not.
const MODEL_PAUSE: Duration = Duration::from_secs(1);
const MOST_MODEL_PAUSE: Duration = Duration::from_secs(300);

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
    /// When the model may be read again, and the pause before the time after that.
    model_due: (Instant, Duration),
    count: u64,
    assets: Option<Assets>,
    /// Failures in a row.
    failures: u32,
    /// Parts of the stream that could be read.
    parts: u32,
    /// Gaps in a row.
    gaps: u32,
}

impl Session<'_> {
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

    /// Counts a document that cannot be read. After some the session ends, and the next one begins with the
    /// state behind them: a document that nobody can read must not stop everything that follows it.
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
        // Many agents write whole seconds, which say nothing of it.
        if let Some(created) = header.created.filter(|created| created.digits() >= 3) {
            outlet.health().set_clock_offset(created.nanos().saturating_sub(Timestamp::now().nanos()));
        }
        let is_changed = !header.model_changed.is_empty() && header.model_changed != self.model_changed;
        if is_changed && Instant::now() >= self.model_due.0 {
            self.model_again(&header.model_changed, outlet).await?;
        }
        if header.first.is_some_and(|first| first > self.next)
            && streams
                .observations
                .first()
                .and_then(|first| first.sequence)
                .is_none_or(|first| first > self.next)
        {
            self.lost(header.first.map(|first| first.saturating_sub(self.next)), outlet);
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
        self.lost(header.first.filter(|_| known > 0).map(|first| first.saturating_sub(known).max(1)), outlet);
        self.tell(&streams, Which::Gap(known), outlet).await;
        self.reached(next);
        Ok(())
    }

    /// Reads the device model again after the agent has said that it changed.
    async fn model_again(&mut self, changed: &str, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let read = probe(&self.client, &self.base, self.config, outlet).await?;
        let (_, model) = read.map_err(|why| SessionEnd::Protocol(format!("probe: {why}")))?;
        self.model_changed = changed.into();
        let pause =
            if model == self.model { (self.model_due.1 * 2).min(MOST_MODEL_PAUSE) } else { MODEL_PAUSE };
        self.model_due = (Instant::now() + pause, pause);
        let uuids =
            |model: &Model| model.followed.iter().map(|device| device.uuid.clone()).collect::<Vec<_>>();
        if uuids(&model) != uuids(&self.model) {
            // What is asked for may be another device now. Nothing is lost: the next session goes on from
            // here.
            return Err(SessionEnd::Lost("the agent has other devices now".into()));
        }
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

    /// Counts and tells what the agent no longer has; `None` where nobody knows how much that is.
    fn lost(&self, number: Option<u64>, outlet: &Outlet) {
        let next = self.memory.next.unwrap_or(self.next);
        let number = number.map_or_else(|| "some".to_owned(), |number| number.to_string());
        outlet.fault(Fault::Rejected, || {
            format!("{number} observations from sequence {next} on were lost: the agent no longer has them")
        });
        tracing::warn!(
            adapter = outlet.name(),
            number,
            from = next,
            "the agent no longer has observations that were not read yet"
        );
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
        Counters::add(&outlet.health().counters.bytes, self.client.take_bytes());
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

fn lost(failure: Failure) -> SessionEnd {
    match failure {
        Failure::Late(long) => SessionEnd::Silent(long),
        Failure::Broken(why) => SessionEnd::Lost(why),
        other => SessionEnd::Protocol(other.to_string()),
    }
}
