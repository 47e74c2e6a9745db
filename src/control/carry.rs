//! Writing, reading back and releasing.

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{Native, Outcome, Quality, Timestamp};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use tokio::time::Instant;

use super::audit::What;
use super::definition::ARGUMENTS;
use super::door::{Job, stands};
use super::engine::{Inner, Tag, unwritten};
use super::interlock;
use super::note;
use super::unit::{Unit, Written};
use super::{Claim, End, Reason, State, Verify, values};

/// How soon release steps are tried again that the machine has not taken.
const RELEASE_FIRST: Duration = Duration::from_secs(1);
/// How often at least: each time has its rows in the audit, which must not grow without bound for a machine that says no.
const RELEASE_LAST: Duration = Duration::from_secs(10);

/// How it ended when it did not end well.
type Fault = (State, Reason, String);

/// When the first write was handed to the adapter, and when the last was known to be taken.
#[derive(Clone, Copy)]
struct Moment {
    sent: Timestamp,
    taken: Timestamp,
}

impl Inner {
    /// Carries a command out; the machine is held by the job.
    pub(super) async fn carry_out(&self, claim: &Claim, tag: &Tag, job: &Job) -> End {
        let mut end = End::rejected(&claim.id, &claim.device, &claim.command, Reason::AuditFailed, "");
        if !note::send(&self.notes, &job.unit.machine.told, note::running(claim, &claim.arguments)).await {
            // What the machine does must not come before what made it do it.
            let what = "the journal is behind: nobody could be told that the command runs";
            (end.reason, end.detail) = (Some(Reason::NotSent), what.to_owned());
            return end;
        }
        if let Err(error) = self.note(What::Begin, tag, begin_row(job), true) {
            end.detail = unwritten(&error);
            return end;
        }
        let mut touched = false;
        let result = match self.write_all(claim, tag, job, &mut touched).await {
            Ok(moment) => self.read_back(tag, job, moment).await,
            Err(fault) => Err(fault),
        };
        if touched && !job.release.is_empty() {
            end.released = Some(self.release(tag, &job.unit, &job.release).await);
        }
        end.time = Timestamp::now();
        match result {
            Ok(read_back) => {
                (end.state, end.reason, end.read_back) = (State::Done, None, read_back);
            }
            Err((state, reason, detail)) => {
                (end.state, end.reason, end.detail) = (state, Some(reason), detail);
            }
        }
        if end.released == Some(false) {
            let what = "the release steps are not done; they are tried until the machine has taken them";
            end.detail =
                if end.detail.is_empty() { what.to_owned() } else { format!("{}; {what}", end.detail) };
        }
        end
    }

    /// Writes, one after the other. `touched`: whether the machine may have noticed something.
    async fn write_all(
        &self,
        claim: &Claim,
        tag: &Tag,
        job: &Job,
        touched: &mut bool,
    ) -> Result<Moment, Fault> {
        let mut moment = Moment { sent: Timestamp::now(), taken: Timestamp::now() };
        for (index, write) in job.writes.iter().enumerate() {
            let state = if index == 0 { State::Rejected } else { State::Failed };
            let at = format!("`{}` = {}", write.name, write.raw);
            let room = job.unit.reserve(self.write_timeout()).await;
            let room = room.map_err(|why| (state, Reason::NotSent, format!("{at} was not sent: {why}")))?;
            // The machine may have kept it waiting.
            let may =
                |inner: &Self| inner.may_write(claim, job, index).map_err(|(why, what)| (state, why, what));
            may(self)?;
            if let Err(error) = self.note(What::Write, tag, write_row(index, write), true) {
                return Err((state, Reason::AuditFailed, unwritten(&error)));
            }
            // So may the disk.
            if let Err(fault) = may(self) {
                self.log_outcome(What::Written, tag, index, &Outcome::NotSent(fault.2.clone()));
                return Err(fault);
            }
            // An answer may come to the first of several already.
            if index == 0 {
                moment.sent = Timestamp::now();
            }
            let outcome = job.unit.write(room, &claim.id, write, self.write_timeout()).await;
            moment.taken = Timestamp::now();
            self.log_outcome(What::Written, tag, index, &outcome);
            match outcome {
                Outcome::Done => *touched = true,
                Outcome::Refused(cause) => {
                    return Err((state, Reason::WriteRefused, format!("{at} was refused: {cause}")));
                }
                Outcome::NotSent(cause) => {
                    return Err((state, Reason::NotSent, format!("{at} was not sent: {cause}")));
                }
                Outcome::Unknown(cause) => {
                    *touched = true;
                    return Err((State::TimedOut, Reason::NoAnswer, format!("{at} was sent, and {cause}")));
                }
            }
        }
        Ok(moment)
    }

    /// Whether a write may leave now. Whoever switches off means the next write too, also of a command that runs; its
    /// time and what its interlock sees count until the first.
    fn may_write(&self, claim: &Claim, job: &Job, index: usize) -> Result<(), (Reason, String)> {
        if let Some(off) = self.off(&self.guard.look_on()) {
            return Err((Reason::ControlOff, off));
        }
        if index > 0 {
            return Ok(());
        }
        if claim.expires.nanos() <= Timestamp::now().nanos() {
            return Err((Reason::Expired, format!("it expired at {}", claim.expires)));
        }
        self.inputs(&job.definition, &job.unit, job.arguments.clone())?;
        if let (Some(verify), Some(expected)) = (&job.definition.verify, &job.expected) {
            stands(&job.definition, verify, &job.unit, expected)?;
        }
        Ok(())
    }

    /// Waits for what has to be read back.
    async fn read_back(
        &self,
        tag: &Tag,
        job: &Job,
        moment: Moment,
    ) -> Result<Option<(SmolStr, Native)>, Fault> {
        let (Some(verify), Some(expected)) = (&job.definition.verify, &job.expected) else { return Ok(None) };
        let name: SmolStr = job.unit.live.name(verify.point.0).into();
        let until = Instant::now() + verify.within;
        let mut changes = job.unit.live.changes();
        let result = loop {
            changes.borrow_and_update();
            if let Some(result) = answer(job, verify, expected, moment) {
                break result;
            }
            match tokio::time::timeout_at(until, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => {
                    let last = match job.unit.live.point(verify.point) {
                        Some(seen) => format!("is {}", seen.value),
                        None => "has not been read".to_owned(),
                    };
                    let detail = format!(
                        "`{name}` {last} and not {expected} after {} ms; nobody knows whether it is done",
                        verify.within.as_millis()
                    );
                    break Err((State::TimedOut, Reason::NotReadBack, detail));
                }
            }
        };
        let mut row = Map::new();
        row.insert("point".to_owned(), name.as_str().into());
        row.insert("expected".to_owned(), super::request::json(expected));
        match &result {
            Ok(value) => drop(row.insert("value".to_owned(), super::request::json(value))),
            Err((_, reason, detail)) => {
                row.insert("reason".to_owned(), reason.as_str().into());
                row.insert("detail".to_owned(), detail.as_str().into());
            }
        }
        row.insert("ok".to_owned(), result.is_ok().into());
        if let Err(error) = self.note(What::ReadBack, tag, row, false) {
            tracing::error!(id = %tag.id, %error, "a read-back is not in the audit");
        }
        result.map(|value| Some((name, value)))
    }

    /// Writes the release steps, each of them whatever became of those before. What the machine does not take is tried
    /// again aside until it has, and meanwhile the machine takes no other command.
    pub(super) async fn release(&self, tag: &Tag, unit: &Arc<Unit>, steps: &[Written]) -> bool {
        let mut row = Map::new();
        row.insert("device".to_owned(), unit.machine.name.as_str().into());
        if let Err(error) = self.note(What::Release, tag, row, true) {
            // To let go is safer than not to.
            tracing::error!(id = %tag.id, %error, "release steps are not in the audit");
        }
        let mut all = true;
        for (index, step) in steps.iter().enumerate() {
            let outcome = match unit.reserve(self.write_timeout()).await {
                Ok(room) => unit.write(room, &tag.id, step, self.write_timeout()).await,
                Err(why) => Outcome::NotSent(why),
            };
            if outcome != Outcome::Done {
                self.log_outcome(What::Released, tag, index, &outcome);
                all = false;
            }
        }
        if !all {
            unit.set_pending(Some(tag.id.clone()));
            return false;
        }
        let mut row = Map::new();
        row.insert("done".to_owned(), true.into());
        if let Err(error) = self.note(What::Released, tag, row, true) {
            tracing::error!(id = %tag.id, %error, "release steps are not in the audit");
        }
        unit.set_pending(None);
        true
    }

    /// Tries the release steps of a request until the machine has taken them.
    pub(super) async fn release_until_done(&self, tag: Tag, unit: Arc<Unit>, steps: Vec<Written>) {
        let id = &tag.id;
        unit.set_pending(Some(id.clone()));
        let mut changes = unit.live.changes();
        tracing::error!(%id, device = %unit.machine.name, "release steps are not done; they are tried until they are");
        let mut pause = RELEASE_FIRST;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RELEASE_LAST);
            while !unit.live.is_up() {
                pause = RELEASE_FIRST;
                if changes.changed().await.is_err() {
                    return;
                }
            }
            if self.release(&tag, &unit, &steps).await {
                tracing::info!(%id, device = %unit.machine.name, "release steps are done");
                return;
            }
        }
    }

    fn log_outcome(&self, what: What, tag: &Tag, index: usize, outcome: &Outcome) {
        let (word, cause) = match outcome {
            Outcome::Done => ("done", None),
            Outcome::Refused(cause) => ("refused", Some(cause)),
            Outcome::NotSent(cause) => ("not-sent", Some(cause)),
            Outcome::Unknown(cause) => ("unknown", Some(cause)),
        };
        let mut row = Map::new();
        row.insert("step".to_owned(), (index + 1).into());
        row.insert("outcome".to_owned(), word.into());
        if let Some(cause) = cause {
            row.insert("cause".to_owned(), cause.as_str().into());
        }
        if let Err(error) = self.note(what, tag, row, false) {
            tracing::error!(id = %tag.id, %error, "the outcome of a write is not in the audit");
        }
    }
}

/// What the machine says after the writes; `None` while it says nothing.
fn answer(job: &Job, verify: &Verify, expected: &Native, moment: Moment) -> Option<Result<Native, Fault>> {
    let live = &job.unit.live;
    let subscribed = job.unit.machine.subscribed;
    // A source that tells changes may do so before it confirms the write; one that is asked, is asked afterwards.
    let since = if subscribed { moment.sent } else { moment.taken };
    let is_new = |seen: &super::live::Seen| seen.arrival.nanos() > since.nanos();
    // What a source that tells changes has not told again still is so.
    let is_told = |all: &[(u32, super::live::Seen)]| match subscribed {
        true => all.iter().any(|(_, seen)| is_new(seen)),
        false => all.iter().all(|(_, seen)| is_new(seen)),
    };
    if let Some(refused) = &verify.refused
        && let Some(seen) = interlock::now(live, refused)
        && is_told(&seen)
    {
        let value = refused.evaluate(|input| match input {
            ARGUMENTS => Some(&job.arguments),
            point => seen.iter().find(|(known, _)| *known == point).map(|(_, seen)| &seen.value),
        });
        if value == Ok(Native::Bool(true)) {
            let all: Vec<String> =
                seen.iter().map(|(point, seen)| format!("{} = {}", live.name(*point), seen.value)).collect();
            let detail = format!("the machine has refused: {}", all.join(", "));
            return Some(Err((State::Failed, Reason::MachineRefused, detail)));
        }
    }
    let seen = live.point(verify.point)?;
    // Who tells changes says nothing when a value is written that stands there already.
    let stands = subscribed && job.stood && verify.standing;
    let is_good = seen.quality != Quality::Bad && !seen.value.is_bad();
    let is_it =
        is_good && (is_new(&seen) || stands) && values::equal(&seen.value, expected, verify.tolerance);
    is_it.then_some(Ok(seen.value))
}

fn begin_row(job: &Job) -> Map<String, Json> {
    let mut row = Map::new();
    row.insert("interlock".to_owned(), Json::Object(job.seen.clone()));
    row.insert("writes".to_owned(), job.writes.len().into());
    row.insert("reads".to_owned(), job.definition.verify.is_some().into());
    let release: Vec<Json> = job.release.iter().map(step_json).collect();
    row.insert("release".to_owned(), release.into());
    row
}

fn step_json(step: &Written) -> Json {
    serde_json::json!({ "point": step.name.as_str(), "value": values::to_audit(&step.raw) })
}

fn write_row(index: usize, write: &Written) -> Map<String, Json> {
    let mut row = Map::new();
    row.insert("step".to_owned(), (index + 1).into());
    row.insert("point".to_owned(), write.name.as_str().into());
    row.insert("value".to_owned(), values::to_audit(&write.raw));
    row
}
