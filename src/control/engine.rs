//! What control holds, and a request's road from its first row in the audit to its last.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use guideway_contract::{Native, Timestamp, Value};
use parking_lot::Mutex;
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

use super::audit::{Audit, Row, Stamp, What};
use super::counters::Counters;
use super::door::Door;
use super::guard::Guard;
use super::login::Logins;
use super::memory::Memory;
use super::note::{self, Note};
use super::permit::Permits;
use super::rate::Rates;
use super::recover::Orphan;
use super::rows::{clean, end_row, request_row, short, stamped};
use super::token::Tokens;
use super::unit::Unit;
use super::{Claim, Controlled, Definition, End, Options, Reason, ReplyTo, State, Switch};
use crate::device_model::SharedModel;
use crate::journal::Journal;

/// Largest arguments of a request, as JSON, in bytes.
const MOST_ARGUMENTS: usize = 16 * 1_024;
/// How long after the start a request that nobody waits for waits for its machine.
const MACHINES_PATIENCE: Duration = Duration::from_secs(10);
/// How long after its session came up a machine may take until it has been read for the first time. A request that comes
/// before waits for it.
const FIRST_READINGS: Duration = Duration::from_secs(3);
/// How often it is looked whether it has been.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Inner {
    pub(super) options: Options,
    pub(super) machines: Vec<Arc<Controlled>>,
    pub(super) units: Vec<Arc<Unit>>,
    pub(super) audit: Audit,
    pub(super) tokens: Tokens,
    pub(super) logins: Logins,
    pub(super) permits: Permits,
    pub(super) rates: Rates,
    /// Rows in the audit that strangers together have, and each requester who asks too often.
    pub(super) refusals: Rates,
    pub(super) memory: Mutex<Memory>,
    pub(super) guard: Guard,
    pub(super) switch: watch::Sender<Switch>,
    pub(super) ended: broadcast::Sender<(ReplyTo, End)>,
    pub(super) notes: mpsc::Sender<Note>,
    pub(super) journal: Journal,
    pub(super) model: SharedModel,
    pub(super) orphans: Mutex<Vec<Orphan>>,
    /// How the last command of each machine ended in an earlier run.
    pub(super) last: Mutex<Vec<(Claim, End)>>,
    /// Whether earlier runs are settled; requests wait for it.
    pub(super) recovered: watch::Sender<bool>,
    pub(super) counters: Counters,
    pub(super) started: Instant,
    /// Moves when a request has ended.
    pub(super) finished: watch::Sender<()>,
    /// How the switch stood when the audit was last told.
    pub(super) turned: Mutex<Switch>,
    /// Requests on their road; a stop waits until there are none.
    pub(super) on_road: watch::Sender<usize>,
}

/// A request in the audit: its id, and the row that it began with, for an id may come twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) id: SmolStr,
    pub(super) of: u64,
}

/// A request whose first row is in the audit, or could not be written.
pub(super) struct Entered {
    claim: Claim,
    /// Its arguments were too large, and are gone.
    oversized: bool,
    /// It comes too soon by so much.
    early: Option<Duration>,
    /// `None`: it is one of so many that come too soon that it has no row.
    tag: std::io::Result<Option<Tag>>,
}

/// Who is told of an end beside its requester and the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Nobody: the id belongs to another request or to the same one before, or its requester asks too often.
    Light,
    /// Whoever follows the machine.
    Told,
    /// They are, and the id is used from now on.
    Counts,
}

/// Keeps count of the requests on their road.
pub(super) struct OnRoad<'i>(&'i Inner);

impl Drop for OnRoad<'_> {
    fn drop(&mut self) {
        self.0.on_road.send_modify(|count| *count -= 1);
    }
}

impl Inner {
    /// Puts a request into the audit.
    pub(super) fn enter(&self, mut claim: Claim) -> Entered {
        let oversized = size(&claim.arguments) > MOST_ARGUMENTS;
        if oversized {
            claim.arguments.clear();
        }
        let early = self.rates.take(&claim.requester.name).err();
        // Who asks too often must not be able to fill the disk.
        if early.is_some() && self.refusals.take(&claim.requester.name).is_err() {
            self.counters.unaudited.fetch_add(1, Relaxed);
            return Entered { claim, oversized, early, tag: Ok(None) };
        }
        let row = self.log(What::Request, &claim.id, self.named(request_row(&claim), &claim), false);
        let tag = row.map(|stamp| Some(Tag { id: claim.id.clone(), of: stamp.number }));
        Entered { claim, oversized, early, tag }
    }

    /// A row that says what the device is called, where it was asked for by its uuid.
    fn named(&self, mut row: Map<String, Json>, claim: &Claim) -> Map<String, Json> {
        if let Ok(unit) = self.unit(&claim.device)
            && unit.machine.name != claim.device
        {
            row.insert("machine".to_owned(), unit.machine.name.as_str().into());
        }
        row
    }

    /// A request from its first row in the audit to its last.
    pub(super) async fn road(self: &Arc<Self>, entered: Entered) -> End {
        self.on_road.send_modify(|count| *count += 1);
        let _on_road = OnRoad(self);
        // A request that comes again has to find its end, and the machine has to be let go of first. This cannot fail:
        // the sender lives as long as this does.
        let _ = self.recovered.subscribe().wait_for(|done| *done).await;
        let Entered { claim, oversized, early, tag } = entered;
        self.machine_is_back(&claim).await;
        self.machine_is_read(&claim).await;
        let end =
            |reason, detail: String| End::rejected(&claim.id, &claim.device, &claim.command, reason, detail);
        let early = early
            .map(|wait| format!("{} asks too often; wait {:.1} s", claim.requester.name, wait.as_secs_f64()));
        let tag = match tag {
            Ok(Some(tag)) => tag,
            // Nothing is done that is not in the audit.
            other => {
                let end = match other {
                    Err(error) => end(Reason::AuditFailed, unwritten(&error)),
                    Ok(_) => end(Reason::RateLimited, early.unwrap_or_default()),
                };
                self.counters.count(&end);
                return end;
            }
        };
        let mut finished = self.finished.subscribe();
        let door = loop {
            finished.borrow_and_update();
            let door = match &early {
                Some(early) => Door::Refused(Reason::RateLimited, early.clone(), Weight::Light),
                None if oversized => {
                    let detail = format!("the arguments have more than {MOST_ARGUMENTS} bytes");
                    Door::Refused(Reason::Oversized, detail, Weight::Told)
                }
                None => self.door(&claim),
            };
            if !matches!(door, Door::Wait) {
                break door;
            }
            // This cannot fail, as above.
            let _ = finished.changed().await;
        };
        match door {
            Door::Wait => unreachable!("it was waited for"),
            Door::Refused(reason, detail, weight) => {
                let mut end = end(reason, detail);
                end.dry_run = claim.dry_run;
                self.finish(&claim, &tag, end, weight, None).await
            }
            Door::Again(end) => {
                let mut end = *end;
                end.replayed = true;
                let row = end_row(&claim, &end, Weight::Light);
                if let Ok(stamp) = self.note(What::End, &tag, row, false) {
                    end.audit = stamped(&stamp);
                }
                end
            }
            Door::Dry(detail, seen) => {
                let mut end =
                    End { state: State::Done, reason: None, dry_run: true, ..end(Reason::Malformed, detail) };
                if let Err(error) = self.note(What::Dry, &tag, seen, false) {
                    let (id, device, command) = (&claim.id, &claim.device, &claim.command);
                    end = End::rejected(id, device, command, Reason::AuditFailed, unwritten(&error));
                }
                self.finish(&claim, &tag, end, Weight::Counts, None).await
            }
            Door::Open(job) => {
                let unit = job.unit.clone();
                let end = self.carry_out(&claim, &tag, &job).await;
                let end = self.finish(&claim, &tag, end, Weight::Counts, Some(&unit)).await;
                if end.released == Some(false) {
                    let (inner, steps) = (self.clone(), job.release.clone());
                    tokio::spawn(async move { inner.release_until_done(tag, unit, steps).await });
                }
                // The machine is free for the next one only now.
                drop(job);
                end
            }
        }
    }

    /// After a start, what has waited at a broker would find no machine: they are still being connected.
    async fn machine_is_back(&self, claim: &Claim) {
        if claim.reply_to.is_none() {
            return;
        }
        let Ok(unit) = self.unit(&claim.device) else { return };
        let mut changes = unit.live.changes();
        let up = changes.wait_for(|_| unit.live.is_up());
        // Those who wait in vain are told so.
        let _ = tokio::time::timeout_at(self.started + MACHINES_PATIENCE, up).await;
    }

    /// Right after a session came up what a command looks at may not have been read yet: that takes a moment, and is no
    /// reason to refuse.
    async fn machine_is_read(&self, claim: &Claim) {
        let Ok(unit) = self.unit(&claim.device) else { return };
        let Some(definition) = unit.machine.command(&claim.command) else { return };
        // What an item is made of is read before the item has its value.
        while unit.live.up_for().is_some_and(|time| time < FIRST_READINGS) && !self.is_read(definition, unit)
        {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether everything that a command looks at has been read.
    fn is_read(&self, definition: &Definition, unit: &Unit) -> bool {
        let verified = definition.verify.iter().map(|verify| verify.point);
        verified.into_iter().all(|point| unit.live.point(point).is_some())
            && !matches!(
                self.inputs(definition, unit, Native::Record([].into())),
                Err((Reason::Unavailable, _))
            )
    }

    /// Why nothing is carried out, if so.
    pub(super) fn off(&self, switch: &Switch) -> Option<String> {
        (!switch.on).then(|| {
            let why = if switch.reason.is_empty() { String::new() } else { format!(": {}", switch.reason) };
            format!("control was switched off by {} at {}{why}", switch.by, switch.since)
        })
    }

    /// The switch as its files have it now, told to whoever follows it.
    pub(super) fn look(&self) -> Switch {
        // One after the other: who looked earlier must not be the last to tell.
        self.switch.send_if_modified(|known| {
            let now = self.guard.look();
            let is_new = *known != now;
            *known = now;
            is_new
        });
        self.switch.borrow().clone()
    }

    /// Tells the audit how the switch stands now, where that is news. Whether it is on.
    pub(super) fn turn(&self) -> bool {
        let mut known = self.turned.lock();
        let now = self.look();
        let on = now.on;
        if *known == now {
            return on;
        }
        let mut row = Map::new();
        row.insert("on".to_owned(), now.on.into());
        row.insert("by".to_owned(), now.by.as_str().into());
        row.insert("reason".to_owned(), now.reason.as_str().into());
        if let Err(error) = self.log(What::Switch, &SmolStr::default(), row, true) {
            tracing::error!(%error, "a switching of control is not in the audit");
        }
        if now.on {
            tracing::warn!(by = %now.by, "control is on");
        } else {
            tracing::warn!(by = %now.by, reason = now.reason, "control is off");
        }
        *known = now;
        on
    }

    /// The end of a request: in the audit, in the journal, in the memory of ids.
    pub(super) async fn finish(
        &self,
        claim: &Claim,
        tag: &Tag,
        mut end: End,
        weight: Weight,
        unit: Option<&Arc<Unit>>,
    ) -> End {
        // What was written has to have an end that survives a power cut.
        let durable = unit.is_some();
        match self.note(What::End, tag, self.named(end_row(claim, &end, weight), claim), durable) {
            Ok(stamp) => end.audit = stamped(&stamp),
            Err(error) => tracing::error!(id = %claim.id, %error, "the end of a request is not in the audit"),
        }
        if weight == Weight::Counts {
            self.memory.lock().end(&end);
            self.finished.send_replace(());
        }
        self.counters.count(&end);
        report(claim, &end);
        if weight == Weight::Light {
            return end;
        }
        let of = unit.cloned().or_else(|| self.unit(&claim.device).ok().cloned());
        if let Some(unit) = of {
            // What is told to whoever looks must not say who may what.
            let mut told = end.clone();
            if end.reason == Some(Reason::NotPermitted) {
                told.detail.clear();
            } else {
                unit.ended(&end);
            }
            note::send(&self.notes, &unit.machine.told, note::ended(claim, &claim.arguments, &told)).await;
        }
        end
    }

    /// A row about a request that has one already.
    pub(super) fn note(
        &self,
        what: What,
        tag: &Tag,
        mut fields: Map<String, Json>,
        durable: bool,
    ) -> std::io::Result<Stamp> {
        fields.insert("of".to_owned(), tag.of.into());
        self.log(what, &tag.id, fields, durable)
    }

    /// A row for the audit.
    pub(super) fn log(
        &self,
        what: What,
        id: &SmolStr,
        fields: Map<String, Json>,
        durable: bool,
    ) -> std::io::Result<Stamp> {
        #[cfg(debug_assertions)]
        let step = fields.get("step").and_then(Json::as_u64);
        let row = Row { time: Timestamp::now(), what, id: id.clone(), fields };
        let stamp = aside(|| self.audit.append(&row, durable));
        #[cfg(debug_assertions)]
        super::halt::after(what, step);
        stamp
    }

    /// A request that could not even be read, or whose requester could not prove who they are.
    ///
    /// `claimed` is who they say that they are, and `why` what is known of it; nobody else is told of that.
    pub(super) fn stranger(&self, face: super::Face, mut end: End, claimed: &str, why: &str) -> Box<End> {
        // Strangers must not be able to fill the disk.
        // Nor to write lines of their own into the log.
        end.detail = clean(&end.detail, usize::MAX);
        if self.refusals.take("").is_err() {
            self.counters.unaudited.fetch_add(1, Relaxed);
            self.counters.count(&end);
            return Box::new(end);
        }
        let mut fields = Map::new();
        let mut put = |key: &str, value: &str| drop(fields.insert(key.to_owned(), short(value).into()));
        put("face", face.as_str());
        put("device", &end.device);
        put("command", &end.command);
        put("reason", end.reason.map_or("", Reason::as_str));
        for (key, value) in [("claimed", claimed), ("why", why)] {
            if !value.is_empty() {
                put(key, value);
            }
        }
        fields.insert("detail".to_owned(), end.detail.clone().into());
        fields.insert("unaudited".to_owned(), self.counters.unaudited().into());
        match self.log(What::Refused, &short(&end.id).into(), fields, false) {
            Ok(stamp) => end.audit = stamped(&stamp),
            Err(error) => tracing::error!(%error, "a refusal is not in the audit"),
        }
        self.counters.count(&end);
        tracing::warn!(
            face = face.as_str(),
            reason = end.reason.map(Reason::as_str),
            "request refused: {}",
            end.detail
        );
        Box::new(end)
    }

    /// Tells every controllable device's item whether control is on.
    pub(super) async fn tell_switch(&self, on: bool) {
        for machine in &self.machines {
            let word = if on { "ENABLED" } else { "DISABLED" };
            note::send(&self.notes, &machine.state, Value::text(word)).await;
        }
    }

    pub(super) fn write_timeout(&self) -> Duration {
        self.options.write_timeout
    }
}

/// Does what may take the disk's time without holding up the adapters, which run on the same threads.
pub(super) fn aside<T>(what: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let shared =
        Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if shared { tokio::task::block_in_place(what) } else { what() }
}

/// What a requester is told when nothing is done for want of an audit.
pub(super) fn unwritten(error: &std::io::Error) -> String {
    format!("the audit cannot be written ({error}); look at the disk of the gateway's data directory")
}

/// The log's line of an end.
fn report(claim: &Claim, end: &End) {
    let (id, device, command) = (&claim.id, short(&claim.device), short(&claim.command));
    let requester = &claim.requester.name;
    let reason = end.reason.map(Reason::as_str);
    match end.state {
        State::Done => tracing::info!(%id, device, command, %requester, "command done"),
        State::Rejected => {
            tracing::info!(%id, device, command, %requester, reason, "command rejected: {}", end.detail);
        }
        State::Failed => {
            tracing::warn!(%id, device, command, %requester, reason, "command failed: {}", end.detail);
        }
        State::TimedOut => {
            let what = "nobody knows what became of a command; look at the machine";
            tracing::error!(%id, device, command, %requester, reason, "{what}: {}", end.detail);
        }
    }
}

fn size(arguments: &Map<String, Json>) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut count, arguments);
    count.0
}
