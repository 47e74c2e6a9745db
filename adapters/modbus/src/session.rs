//! One unit's session: turns of reading, commands between requests, and a sign of life when there is nothing to read.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{
    Adapter, Capabilities, Command, CommandRequest, Counters, Fault, Found, Native, Outcome, Outlet, PointId,
    PointSpec, Quality, RawBatch, RawReading, Schedule, SessionEnd, SessionFuture, Timestamp,
};
use smol_str::SmolStr;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::bus::Bus;
use crate::codec::{self, Request};
use crate::field::{self, Field};
use crate::line::{Failure, Reply, Target};
use crate::plan::{Batch, Plan};
use crate::wire::Wire;
use crate::{Config, Point, Table, browse};

/// After so much silence the unit is asked for something, so that a dead one is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Turns in a row that a unit may be busy before its points are bad.
const BUSY_TURNS: u32 = 3;

/// A machine with a line of its own.
pub(crate) fn adapter(config: Config, points: &[PointSpec<Point>]) -> Box<dyn Adapter> {
    let wire = Wire::new(Target::of_machine(&config));
    Box::new(Machine::new(config, points, Link::Own(Box::new(wire))))
}

/// A unit on a shared line: `address`, `port`, `serial`, `framing`, `connect_timeout` and `min_gap` of its
/// configuration are the bus's.
pub fn adapter_on(bus: Bus, config: Config, points: &[PointSpec<Point>]) -> Box<dyn Adapter> {
    let config = Config { framing: Some(bus.framing()), ..config };
    Box::new(Machine::new(config, points, Link::Shared(bus)))
}

/// The way to the unit.
pub(crate) enum Link {
    /// The session's own line.
    Own(Box<Wire>),
    /// A line shared with others.
    Shared(Bus),
}

impl Link {
    /// Asks a unit.
    pub(crate) async fn transact(
        &mut self,
        unit: u8,
        request: &Request,
        patience: Duration,
        reply: &mut Reply,
    ) -> Result<(), Failure> {
        match self {
            Self::Own(wire) => wire.transact(unit, request, patience, reply).await,
            Self::Shared(bus) => bus.transact(unit, request, patience, reply).await,
        }
    }

    fn endpoint(&self, unit: u8) -> String {
        match self {
            Self::Own(wire) => wire.target.endpoint(unit),
            Self::Shared(bus) => bus.endpoint(unit),
        }
    }
}

struct Machine {
    config: Config,
    fields: Vec<Field>,
    /// Points that cannot be used, and why.
    broken: Vec<(PointId, Arc<str>)>,
    link: Link,
}

impl Machine {
    fn new(config: Config, points: &[PointSpec<Point>], link: Link) -> Self {
        let (fields, broken) = field::fields(&config, points);
        Self { config, fields, broken, link }
    }
}

impl Adapter for Machine {
    fn protocol(&self) -> &'static str {
        "modbus"
    }

    fn endpoint(&self) -> String {
        self.link.endpoint(self.config.unit)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { polled: true, browsable: true, writable: true, subscribed: false }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(async move {
            let plan = Plan::new(&self.fields, &self.config);
            let down = match &self.link {
                Link::Shared(bus) => Some(bus.down()),
                Link::Own(_) => None,
            };
            let mut session = Session {
                schedule: Schedule::new(plan.groups.iter().map(|group| group.period)),
                plan,
                down,
                reply: Reply::default(),
                turns: VecDeque::new(),
                left: Vec::new(),
                up: false,
                heard: Instant::now(),
                machine: self,
            };
            let end = match session.run(outlet).await {
                Ok(never) => match never {},
                Err(end) => end,
            };
            if let Link::Own(wire) = &mut self.link {
                wire.close();
            }
            end
        })
    }

    fn browse<'a>(
        &'a mut self,
        address: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Found>, SessionEnd>> + Send + 'a>> {
        let mut link = match &self.link {
            Link::Own(wire) => Link::Own(Box::new(Wire::new(wire.target.clone()))),
            Link::Shared(bus) => Link::Shared(bus.clone()),
        };
        Box::pin(async move { browse::browse(&mut link, &self.config, address).await })
    }
}

struct Session<'a> {
    machine: &'a mut Machine,
    plan: Plan,
    /// Of the plan's groups.
    schedule: Schedule,
    /// What is being read.
    turns: VecDeque<Turn>,
    down: Option<watch::Receiver<SmolStr>>,
    reply: Reply,
    /// Readings of points that are left alone in this turn.
    left: Vec<RawReading>,
    /// Whether the unit has answered.
    up: bool,
    /// When it last did.
    heard: Instant,
}

/// A group of points on its way through its batches.
struct Turn {
    group: usize,
    /// The next batch.
    at: usize,
    /// Whether batches have been divided, so that some may be joined again.
    changed: bool,
}

impl Session<'_> {
    async fn run(&mut self, outlet: &mut Outlet) -> Result<Infallible, SessionEnd> {
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        loop {
            let idle = self.heard + KEEP_ALIVE;
            self.begin();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                cause = went_down(&mut self.down) => return Err(SessionEnd::Lost(cause)),
                request = outlet.commands().recv(), if commanded => match request {
                    Some(request) => self.command(outlet, request).await?,
                    None => commanded = false,
                },
                () = ready(()), if !self.turns.is_empty() => self.step(outlet).await?,
                () = self.schedule.due() => {}
                () = sleep_until(if self.up { idle } else { self.heard }) => self.probe(outlet).await?,
            }
        }
    }

    /// Asks, and ends the session if there is no answer. The exception, if that was the answer.
    async fn ask(
        &mut self,
        outlet: &mut Outlet,
        unit: u8,
        request: &Request,
        patience: Duration,
    ) -> Result<Option<u8>, SessionEnd> {
        let cancel = outlet.cancelled().clone();
        let result = {
            let asked = self.machine.link.transact(unit, request, patience, &mut self.reply);
            tokio::pin!(asked);
            let mut waiting = !self.up;
            loop {
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                    result = &mut asked => break result,
                    request = outlet.commands().recv(), if waiting => match request {
                        // A requester that has gone away no longer needs the answer.
                        Some(CommandRequest { reply, .. }) => drop(reply.send(Outcome::NotSent("no session".into()))),
                        None => waiting = false,
                    },
                }
            }
        };
        if let Some(error) = self.reply.garbled.take() {
            outlet.fault(Fault::Malformed, || format!("unit {unit}: {error}"));
        }
        let endpoint = || self.machine.link.endpoint(unit);
        if let Err(failure) = result {
            if let Failure::Garbled(error) = &failure {
                outlet.fault(Fault::Malformed, || format!("unit {unit}: {error}"));
            }
            return Err(failure.end(endpoint(), unit, self.up));
        }
        self.heard = Instant::now();
        Counters::add(&outlet.health().counters.frames, 1);
        Counters::add(&outlet.health().counters.bytes, self.reply.data.len() + 9);
        if let Some(code @ (0x0A | 0x0B)) = self.reply.exception {
            let cause = format!("unit {unit}: {}", codec::exception(code));
            return Err(if self.up {
                SessionEnd::Lost(cause)
            } else {
                SessionEnd::NotConnected { endpoint: endpoint(), cause }
            });
        }
        if !self.up {
            self.up = true;
            outlet.connected().await;
            let now = Timestamp::now();
            let broken = &self.machine.broken;
            let readings = broken.iter().map(|(id, cause)| bad(*id, cause.clone(), now)).collect();
            self.send(outlet, RawBatch { arrival: now, readings }).await?;
        }
        Ok(self.reply.exception)
    }

    /// Sends readings, but not beyond the agent's stop.
    async fn send(&self, outlet: &Outlet, batch: RawBatch) -> Result<(), SessionEnd> {
        tokio::select! {
            biased;
            () = outlet.cancelled().cancelled() => Err(SessionEnd::Stopped),
            () = outlet.raw(batch) => Ok(()),
        }
    }

    /// Puts what has become due before what is still being read, the fastest first.
    fn begin(&mut self) {
        for group in self.schedule.take().into_iter().rev() {
            // A turn that is not over when the next one is due takes its place.
            if !self.turns.iter().any(|turn| turn.group == group) {
                self.turns.push_front(Turn { group, at: 0, changed: false });
            }
        }
    }

    /// Reads one batch. Turns take turns: a long one neither holds a short one up nor is held up by it.
    async fn step(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let Some(mut turn) = self.turns.pop_front() else { return Ok(()) };
        turn.changed |= self.batch(outlet, turn.group, &mut turn.at).await?;
        if turn.at < self.plan.groups[turn.group].batches.len() {
            self.turns.push_back(turn);
            return Ok(());
        }
        if turn.changed {
            self.plan.join(turn.group);
        }
        let readings = std::mem::take(&mut self.left);
        self.send(outlet, RawBatch { arrival: Timestamp::now(), readings }).await
    }

    /// Reads one batch and goes on to the next, or divides it. Whether the plan has changed.
    async fn batch(&mut self, outlet: &mut Outlet, group: usize, at: &mut usize) -> Result<bool, SessionEnd> {
        let batch = &self.plan.groups[group].batches[*at];
        if let Some(cause) = batch.refused() {
            let now = Timestamp::now();
            let fields = batch.fields.iter().map(|index| &self.machine.fields[*index]);
            self.left.extend(fields.map(|field| bad(field.id, cause.clone(), now)));
            *at += 1;
            return Ok(false);
        }
        let (unit, request) = (batch.unit, batch.request());
        let exception = self.ask(outlet, unit, &request, self.machine.config.timeout).await?;
        let now = Timestamp::now();
        let batch = &mut self.plan.groups[group].batches[*at];
        let Some(code) = exception else {
            batch.busy = 0;
            let healed = batch.bad.take().is_some();
            let readings = self.decode(outlet, group, *at, now);
            *at += 1;
            self.send(outlet, readings).await?;
            return Ok(healed);
        };
        if matches!(code, 5 | 6) {
            batch.busy += 1;
            let batch = &self.plan.groups[group].batches[*at];
            *at += 1;
            if batch.busy >= BUSY_TURNS {
                let readings = self.all_bad(batch, &codec::exception(code).into(), now);
                self.send(outlet, readings).await?;
            }
            return Ok(false);
        }
        // Without the function dividing helps nothing; any other exception may be one point's alone.
        if code != 1 && self.plan.split(group, *at, &self.machine.fields) {
            return Ok(true);
        }
        let cause: Arc<str> = codec::exception(code).into();
        let batch = &mut self.plan.groups[group].batches[*at];
        if batch.bad.is_none() {
            let first = self.machine.fields[batch.fields[0]].place();
            outlet.fault(Fault::Unmapped, || format!("unit {unit}, {first}: {cause}"));
        }
        batch.refuse(cause.clone());
        let readings = self.all_bad(&self.plan.groups[group].batches[*at], &cause, now);
        *at += 1;
        self.send(outlet, readings).await?;
        Ok(true)
    }

    /// The values of a batch in the reply.
    fn decode(&self, outlet: &Outlet, group: usize, at: usize, now: Timestamp) -> RawBatch {
        let batch = &self.plan.groups[group].batches[at];
        let mut readings = Vec::with_capacity(batch.fields.len());
        for index in &batch.fields {
            let field = &self.machine.fields[*index];
            readings.push(match field.decode(&self.reply.data, batch.start) {
                Ok(value) => RawReading::good(field.id, value, now),
                Err(cause) => {
                    outlet.fault(Fault::Rejected, || format!("{}: {cause}", field.place()));
                    bad(field.id, cause.into(), now)
                }
            });
        }
        RawBatch { arrival: now, readings }
    }

    fn all_bad(&self, batch: &Batch, cause: &Arc<str>, now: Timestamp) -> RawBatch {
        let fields = batch.fields.iter().map(|index| &self.machine.fields[*index]);
        RawBatch { arrival: now, readings: fields.map(|field| bad(field.id, cause.clone(), now)).collect() }
    }

    /// Asks for one register or bit, to know that the unit is alive. Any answer will do.
    async fn probe(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let batches = self.plan.groups.iter().flat_map(|group| &group.batches);
        let (unit, table, start) = batches
            .filter(|batch| batch.bad.is_none())
            .map(|batch| (batch.unit, batch.table, batch.start))
            .next()
            .or_else(|| self.machine.fields.first().map(|field| (field.unit, field.table, field.start)))
            .unwrap_or((self.machine.config.unit, Table::Holding, 0));
        let request = Request::Read { table, start, count: 1 };
        self.ask(outlet, unit, &request, self.machine.config.timeout).await.map(drop)
    }

    /// Carries a command out and says how it ended.
    async fn command(&mut self, outlet: &mut Outlet, request: CommandRequest) -> Result<(), SessionEnd> {
        let CommandRequest { command, reply } = request;
        let (outcome, end) = if self.up {
            self.write(outlet, &command).await
        } else {
            (Outcome::NotSent("no session".into()), Ok(()))
        };
        // A requester that has gone away no longer needs the answer.
        drop(reply.send(outcome));
        end
    }

    async fn write(&mut self, outlet: &mut Outlet, command: &Command) -> (Outcome, Result<(), SessionEnd>) {
        let mut requests = Vec::with_capacity(command.writes.len());
        for write in &command.writes {
            let Some(field) = self.machine.fields.iter().find(|field| field.id == write.point) else {
                return (Outcome::Refused(format!("point {} has no usable address", write.point.0)), Ok(()));
            };
            match field.write(&write.value) {
                Ok(request) => requests.push((field.unit, field.place(), request)),
                Err(why) => return (Outcome::Refused(format!("{}: {why}", field.place())), Ok(())),
            }
        }
        let deadline = Instant::now() + command.timeout;
        let count = requests.len();
        for (done, (unit, place, request)) in requests.into_iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = format!("no time was left after {done} of {count} writes");
                return (if done == 0 { Outcome::NotSent(why) } else { Outcome::Refused(why) }, Ok(()));
            }
            match self.write_one(outlet, unit, &request, left.min(self.machine.config.timeout)).await {
                Ok(None) => {}
                Ok(Some(code)) => {
                    let before =
                        if done == 0 { String::new() } else { format!(", after {done} of {count} writes") };
                    let mut why = format!("{place}: {}{before}", codec::exception(code));
                    if code == 1 && matches!(request, Request::MaskWrite { .. }) {
                        why.push_str(
                            "; a bit or byte of a register is written with function 22 only: reading the register and \
                             writing it back could undo what the machine writes between",
                        );
                    }
                    return (Outcome::Refused(why), Ok(()));
                }
                // Of a command that is half done it cannot be said that nothing was sent.
                Err((Outcome::NotSent(why), end)) if done > 0 => {
                    return (Outcome::Unknown(format!("after {done} of {count} writes: {why}")), Err(end));
                }
                Err((outcome, end)) => return (outcome, Err(end)),
            }
        }
        (Outcome::Done, Ok(()))
    }

    /// Writes; the exception, if that was the answer. On failure also what the command's outcome is.
    async fn write_one(
        &mut self,
        outlet: &mut Outlet,
        unit: u8,
        request: &Request,
        patience: Duration,
    ) -> Result<Option<u8>, (Outcome, SessionEnd)> {
        let cancel = outlet.cancelled().clone();
        let result = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                return Err((Outcome::Unknown("the gateway stopped before the answer".into()), SessionEnd::Stopped));
            }
            result = self.machine.link.transact(unit, request, patience, &mut self.reply) => result,
        };
        if let Err(failure) = result {
            let never_left = matches!(failure, Failure::NotConnected(_));
            if let Failure::Garbled(error) = &failure {
                outlet.fault(Fault::Malformed, || format!("unit {unit}: {error}"));
            }
            let end = failure.end(self.machine.link.endpoint(unit), unit, true);
            let outcome = if never_left {
                Outcome::NotSent(end.to_string())
            } else {
                Outcome::Unknown(end.to_string())
            };
            return Err((outcome, end));
        }
        self.heard = Instant::now();
        Counters::add(&outlet.health().counters.frames, 1);
        if let Some(code @ (0x0A | 0x0B)) = self.reply.exception {
            // A gateway that gave up waiting does not know whether the unit has done it.
            let cause = format!("unit {unit}: {}", codec::exception(code));
            return Err((Outcome::Unknown(cause.clone()), SessionEnd::Lost(cause)));
        }
        Ok(self.reply.exception)
    }
}

fn bad(point: PointId, cause: Arc<str>, time: Timestamp) -> RawReading {
    RawReading { point, value: Native::Bad(cause), time, quality: Quality::Bad }
}

/// Waits until the shared line goes down; for ever on a line of one's own.
async fn went_down(down: &mut Option<watch::Receiver<SmolStr>>) -> String {
    match down {
        Some(down) => match down.changed().await {
            Ok(()) => down.borrow().to_string(),
            Err(_) => "the bus has stopped".into(),
        },
        None => pending().await,
    }
}
