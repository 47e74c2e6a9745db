//! What control holds, and a request's way up to the first write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use guideway_contract::{Native, Timestamp, Value};
use parking_lot::Mutex;
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use tokio::sync::{broadcast, mpsc, watch};

use super::audit::{Audit, Row, Stamp, What};
use super::guard::Guard;
use super::interlock::Inputs;
use super::login::Logins;
use super::memory::{Known, Memory};
use super::note::{self, Note};
use super::permit::Permits;
use super::rate::Rates;
use super::recover::Orphan;
use super::token::Tokens;
use super::unit::{Hold, Running, Unit, Written};
use super::{Claim, Controlled, Definition, End, Options, Reason, ReplyTo, State, Switch, values};
use crate::device_model::SharedModel;
use crate::journal::Journal;

/// Longest id of a request, in characters.
const MOST_ID: usize = 64;
/// Largest arguments of a request, as JSON, in bytes.
const MOST_ARGUMENTS: usize = 16 * 1_024;

pub(super) struct Inner {
    pub(super) options: Options,
    pub(super) machines: Vec<Arc<Controlled>>,
    pub(super) units: Vec<Arc<Unit>>,
    pub(super) audit: Audit,
    pub(super) tokens: Tokens,
    pub(super) logins: Logins,
    pub(super) permits: Permits,
    pub(super) rates: Rates,
    pub(super) strangers: Rates,
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
    /// Requests on their road; a stop waits until there are none.
    pub(super) on_road: watch::Sender<usize>,
}

/// Ends since the process started.
#[derive(Debug, Default)]
pub struct Counters {
    ends: [AtomicU64; 4],
    reasons: [AtomicU64; Reason::ALL.len()],
    unaudited: AtomicU64,
}

impl Counters {
    /// Requests that ended so.
    pub fn ended(&self, state: State) -> u64 {
        self.ends[state as usize].load(Relaxed)
    }

    /// Requests that ended for that reason.
    pub fn reason(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize].load(Relaxed)
    }

    /// Requests of strangers that came so fast that they have no row of their own in the audit.
    pub fn unaudited(&self) -> u64 {
        self.unaudited.load(Relaxed)
    }

    fn count(&self, end: &End) {
        self.ends[end.state as usize].fetch_add(1, Relaxed);
        if let Some(reason) = end.reason {
            self.reasons[reason as usize].fetch_add(1, Relaxed);
        }
    }
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
    tag: std::io::Result<Tag>,
}

/// What became of a request at the door.
enum Door {
    /// It is not acted on; whether its id counts as used.
    Refused(Reason, String, bool),
    /// It has ended before; this is told again.
    Again(Box<End>),
    /// It only asked whether.
    Dry(String, Map<String, Json>),
    /// It is carried out.
    Open(Box<Job>),
}

/// A command that is about to be carried out.
pub(super) struct Job {
    pub(super) unit: Arc<Unit>,
    pub(super) definition: Arc<Definition>,
    pub(super) writes: Vec<Written>,
    pub(super) release: Vec<Written>,
    pub(super) expected: Option<Native>,
    /// The expected value stood there before.
    pub(super) stood: bool,
    /// What was looked at.
    pub(super) seen: Map<String, Json>,
    _hold: Hold,
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
        let row = self.log(What::Request, &claim.id, request_row(&claim), false);
        let tag = row.map(|stamp| Tag { id: claim.id.clone(), of: stamp.number });
        Entered { claim, oversized, tag }
    }

    /// A request from its first row in the audit to its last.
    pub(super) async fn road(self: &Arc<Self>, entered: Entered) -> End {
        self.on_road.send_modify(|count| *count += 1);
        let _on_road = OnRoad(self);
        // A request that comes again has to find its end, and the machine has to be let go of first. This cannot fail:
        // the sender lives as long as this does.
        let _ = self.recovered.subscribe().wait_for(|done| *done).await;
        let Entered { claim, oversized, tag } = entered;
        let end =
            |reason, detail: String| End::rejected(&claim.id, &claim.device, &claim.command, reason, detail);
        let tag = match tag {
            Ok(tag) => tag,
            Err(error) => {
                // Nothing is done that is not in the audit.
                let end = end(Reason::AuditFailed, format!("the audit cannot be written: {error}"));
                self.counters.count(&end);
                return end;
            }
        };
        let door = if oversized {
            Door::Refused(
                Reason::Oversized,
                format!("the arguments have more than {MOST_ARGUMENTS} bytes"),
                false,
            )
        } else {
            self.door(&claim)
        };
        match door {
            Door::Refused(reason, detail, counts) => {
                let mut end = end(reason, detail);
                end.dry_run = claim.dry_run;
                self.finish(&claim, &tag, end, counts, None).await
            }
            Door::Again(end) => {
                let mut end = *end;
                end.replayed = true;
                let row = end_row(&claim, &end, false);
                if let Ok(stamp) = self.note(What::End, &tag, row, false) {
                    end.audit = stamped(&stamp);
                }
                end
            }
            Door::Dry(detail, seen) => {
                let mut end =
                    End { state: State::Done, reason: None, dry_run: true, ..end(Reason::Malformed, detail) };
                if let Err(error) = self.note(What::Dry, &tag, seen, false) {
                    end = End::rejected(
                        &claim.id,
                        &claim.device,
                        &claim.command,
                        Reason::AuditFailed,
                        error.to_string(),
                    );
                }
                self.finish(&claim, &tag, end, true, None).await
            }
            Door::Open(job) => {
                let unit = job.unit.clone();
                let end = self.carry_out(&claim, &tag, &job).await;
                let end = self.finish(&claim, &tag, end, true, Some(&unit)).await;
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

    /// Everything that is looked at before the machine is touched, in this order.
    fn door(&self, claim: &Claim) -> Door {
        let now = Timestamp::now();
        let refused = |reason, detail: String| Door::Refused(reason, detail, false);
        let is_id =
            |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
        if !is_id(&claim.id) || claim.id.len() > MOST_ID {
            let detail =
                format!("an id has 1 to {MOST_ID} printable characters of ASCII without spaces and quotes");
            return refused(Reason::Malformed, detail);
        }
        let unit = match self.unit(&claim.device) {
            Ok(unit) => unit,
            Err((reason, detail)) => return refused(reason, detail),
        };
        let Some(definition) = unit.machine.command(&claim.command) else {
            let detail = format!("{} permits no command `{}`", unit.machine.name, short(&claim.command));
            return refused(Reason::UnknownCommand, detail);
        };
        if let Err(detail) = self.permits.covers(&claim.requester, &unit.machine.name, &claim.command, now) {
            return refused(Reason::NotPermitted, detail);
        }
        if let Err(wait) = self.rates.take(&claim.requester.name) {
            let detail = format!("{} asks too often; wait {:.1} s", claim.requester.name, wait.as_secs_f64());
            return refused(Reason::RateLimited, detail);
        }
        // Whoever asks again for what was carried out is told its end, also when its time is over by now.
        match self.memory.lock().find(claim) {
            Known::New => {}
            Known::Running => {
                return refused(Reason::Busy, format!("request `{}` is being carried out", claim.id));
            }
            Known::Ended(end) => return Door::Again(end),
            Known::Forgotten => {
                let detail = format!("request `{}` has ended; how is in the audit", claim.id);
                return refused(Reason::IdReused, detail);
            }
            Known::Other => {
                let detail = format!("another request had the id `{}`", claim.id);
                return refused(Reason::IdReused, detail);
            }
        }
        if let Some(off) = self.off() {
            return refused(Reason::ControlOff, off);
        }
        if claim.expires.nanos() <= now.nanos() {
            return refused(Reason::Expired, format!("it expired at {}, and now is {now}", claim.expires));
        }
        let most = i64::try_from(self.options.max_validity.as_nanos()).unwrap_or(i64::MAX);
        if claim.expires.nanos().saturating_sub(now.nanos()) > most {
            let most = self.options.max_validity.as_secs();
            let detail = format!(
                "it would be valid until {}; at most {most} s are allowed (max_validity)",
                claim.expires
            );
            return refused(Reason::ValidTooLong, detail);
        }
        // Two that come at once have both been new a moment ago.
        if !self.memory.lock().begin(claim) {
            return refused(Reason::Busy, format!("request `{}` is being carried out", claim.id));
        }
        self.prepare(claim, unit, definition)
            .unwrap_or_else(|(reason, detail)| Door::Refused(reason, detail, true))
    }

    /// Arguments, interlock and what is to be written.
    fn prepare(
        &self,
        claim: &Claim,
        unit: &Arc<Unit>,
        definition: &Arc<Definition>,
    ) -> Result<Door, (Reason, String)> {
        let bad = |detail| (Reason::BadArgument, detail);
        let arguments = values::arguments(definition, &claim.arguments).map_err(bad)?;
        let running = Running {
            id: claim.id.clone(),
            command: claim.command.clone(),
            requester: claim.requester.name.clone(),
            since: Timestamp::now(),
        };
        let hold = unit.hold(running)?;
        if !unit.live.is_up() {
            return Err((Reason::Offline, format!("{} is not connected", unit.machine.name)));
        }
        let model = self.model.load();
        let inputs = Inputs::gather(definition, &unit.live, &self.journal, &model, arguments)?;
        inputs.judge(definition).map_err(|detail| (Reason::Interlock, detail))?;
        let values_of = |steps: &[super::Step]| -> Result<Vec<Written>, (Reason, String)> {
            let value = |step: &super::Step| {
                let rule = unit.live.rule(step.point).ok_or("there is no such point")?;
                let raw = values::unscaled(rule, inputs.evaluate(&step.value)?)?;
                Ok(Written { point: step.point, name: rule.name.clone(), raw })
            };
            let failed = |step: &super::Step, cause| {
                (Reason::BadArgument, format!("`{}` cannot be computed: {cause}", step.value.text()))
            };
            steps.iter().map(|step| value(step).map_err(|cause: String| failed(step, cause))).collect()
        };
        let writes = values_of(&definition.writes)?;
        let release = values_of(&definition.release)?;
        let mut expected = None;
        let mut stood = false;
        if let Some(verify) = &definition.verify {
            let value = inputs.evaluate(&verify.equals).map_err(|cause| {
                (Reason::BadArgument, format!("`{}` cannot be computed: {cause}", verify.equals.text()))
            })?;
            let before = unit.live.point(verify.point);
            stood = before.is_some_and(|seen| values::equal(&seen.value, &value, verify.tolerance));
            if stood && !verify.standing {
                let name = unit.live.name(verify.point.0);
                let detail = format!(
                    "`{name}` is {value} already, so that nobody could tell whether the machine took this command"
                );
                return Err((Reason::AnswerStands, detail));
            }
            expected = Some(value);
        }
        if claim.dry_run {
            let list = |all: &[Written]| {
                all.iter().map(|one| format!("{} = {}", one.name, one.raw)).collect::<Vec<_>>().join(", ")
            };
            let mut detail = format!("would write {}", list(&writes));
            if !release.is_empty() {
                detail += &format!(", and at the end {}", list(&release));
            }
            return Ok(Door::Dry(detail, inputs.shown));
        }
        Ok(Door::Open(Box::new(Job {
            unit: unit.clone(),
            definition: definition.clone(),
            writes,
            release,
            expected,
            stood,
            seen: inputs.shown,
            _hold: hold,
        })))
    }

    /// The machine of that name or uuid.
    pub(super) fn unit(&self, called: &str) -> Result<&Arc<Unit>, (Reason, String)> {
        let is_it = |unit: &&Arc<Unit>| unit.machine.name == called || unit.machine.uuid == called;
        let mut found = self.units.iter().filter(is_it);
        match (found.next(), found.next()) {
            (Some(unit), None) => Ok(unit),
            (Some(_), Some(_)) => Err((
                Reason::AmbiguousDevice,
                format!("several devices are called `{}`; name a uuid", short(called)),
            )),
            (None, _) => {
                Err((Reason::UnknownDevice, format!("no device `{}` permits commands", short(called))))
            }
        }
    }

    /// Whether a command without arguments could be carried out now.
    pub(super) fn is_ready(&self, device: &str, command: &str) -> bool {
        let Ok(unit) = self.unit(device) else { return false };
        let Some(definition) = unit.machine.command(command) else { return false };
        let model = self.model.load();
        self.switch.borrow().on
            && unit.live.is_up()
            && !unit.is_taken()
            && Inputs::gather(definition, &unit.live, &self.journal, &model, Vec::new())
                .is_ok_and(|inputs| inputs.judge(definition).is_ok() && !stands(definition, unit, &inputs))
    }

    /// Why nothing is carried out; looks at the files.
    pub(super) fn off(&self) -> Option<String> {
        let switch = self.look();
        (!switch.on).then(|| {
            let why = if switch.reason.is_empty() { String::new() } else { format!(": {}", switch.reason) };
            format!("control was switched off by {} at {}{why}", switch.by, switch.since)
        })
    }

    /// The switch as its files have it now, told to whoever follows it.
    pub(super) fn look(&self) -> Switch {
        let now = self.guard.look();
        self.switch.send_if_modified(|known| {
            let is_new = *known != now;
            if is_new {
                known.clone_from(&now);
            }
            is_new
        });
        now
    }

    /// The end of a request: in the audit, in the journal, in the memory of ids.
    pub(super) async fn finish(
        &self,
        claim: &Claim,
        tag: &Tag,
        mut end: End,
        counts: bool,
        unit: Option<&Arc<Unit>>,
    ) -> End {
        // What was written has to have an end that survives a power cut.
        let durable = unit.is_some();
        match self.note(What::End, tag, end_row(claim, &end, counts), durable) {
            Ok(stamp) => end.audit = stamped(&stamp),
            Err(error) => tracing::error!(id = %claim.id, %error, "the end of a request is not in the audit"),
        }
        if counts {
            self.memory.lock().end(&end);
        }
        self.counters.count(&end);
        report(claim, &end);
        let of = unit.cloned().or_else(|| self.unit(&claim.device).ok().cloned());
        if let Some(unit) = of {
            unit.ended(&end);
            note::send(&self.notes, &unit.machine.told, note::ended(claim, &claim.arguments, &end)).await;
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
        let stamp = self.audit.append(&Row { time: Timestamp::now(), what, id: id.clone(), fields }, durable);
        #[cfg(debug_assertions)]
        super::halt::after(what, step);
        stamp
    }

    /// A request that could not even be read, or whose requester could not prove who they are.
    pub(super) fn stranger(&self, face: super::Face, mut end: End) -> Box<End> {
        // Strangers must not be able to fill the disk.
        if self.strangers.take("").is_err() {
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

/// Whether the answer to the command stands there already, as far as that does not depend on arguments.
fn stands(definition: &Definition, unit: &Unit, inputs: &Inputs) -> bool {
    let Some(verify) = definition.verify.as_ref().filter(|verify| !verify.standing) else { return false };
    let Ok(value) = inputs.evaluate(&verify.equals) else { return false };
    unit.live.point(verify.point).is_some_and(|seen| values::equal(&seen.value, &value, verify.tolerance))
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

/// How a row is named to those outside.
pub(super) fn stamped(stamp: &Stamp) -> (u64, SmolStr) {
    (stamp.number, stamp.hash.clone())
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

/// As much of somebody's text as a message needs.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn request_row(claim: &Claim) -> Map<String, Json> {
    let mut row = who(claim);
    row.insert(
        "roles".to_owned(),
        claim.requester.roles.iter().map(|role| role.as_str().into()).collect::<Vec<Json>>().into(),
    );
    row.insert("arguments".to_owned(), Json::Object(claim.arguments.clone()));
    row.insert("expires".to_owned(), claim.expires.to_string().into());
    row.insert("dryRun".to_owned(), claim.dry_run.into());
    if let Some(reply) = &claim.reply_to {
        let correlation = reply
            .correlation
            .as_ref()
            .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let reply = serde_json::json!({
            "destination": reply.destination.as_str(), "topic": reply.topic.as_str(), "correlation": correlation,
        });
        row.insert("reply".to_owned(), reply);
    }
    row
}

fn who(claim: &Claim) -> Map<String, Json> {
    let mut row = Map::new();
    row.insert("requester".to_owned(), claim.requester.name.as_str().into());
    row.insert("face".to_owned(), claim.requester.face.as_str().into());
    row.insert("device".to_owned(), short(&claim.device).into());
    row.insert("command".to_owned(), short(&claim.command).into());
    row
}

fn end_row(claim: &Claim, end: &End, counts: bool) -> Map<String, Json> {
    let mut row = who(claim);
    let Json::Object(said) = end.to_json() else { return row };
    for (key, value) in said {
        if !["id", "device", "command", "time", "audit"].contains(&key.as_str()) {
            row.insert(key, value);
        }
    }
    if !counts {
        row.insert("counts".to_owned(), false.into());
    }
    row
}
