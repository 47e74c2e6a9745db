//! Requests that a stop of the gateway has cut off: how far they had come stands in the audit.

use std::collections::BTreeMap;
use std::sync::Arc;

use guideway_contract::{Cell, Native, Timestamp, Value};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::audit::{Record, What};
use super::engine::Weight;
use super::engine::{Inner, Tag};
use super::memory::{Begun, Memory};
use super::note;
use super::unit::Written;
use super::{Claim, End, Face, Reason, ReplyTo, Requester, State, values};
use crate::journal::{ItemState, Selection};

/// A request without an end.
#[derive(Debug)]
pub(super) struct Orphan {
    tag: Tag,
    claim: Claim,
    /// Only its release steps are left.
    has_end: bool,
    /// A write was on its way.
    wrote: bool,
    /// What the machine had to answer, and how it did.
    reads: bool,
    answered: Option<Answered>,
    /// The machine, or the adapter, has said no to the last write that was tried, and how many were taken before.
    refused: Option<(Reason, String)>,
    taken: u64,
    writes: u64,
    /// Points and values of release steps.
    release: Vec<(SmolStr, Json)>,
    released: bool,
}

/// What a read-back has found.
#[derive(Debug)]
enum Answered {
    /// What had to be.
    Well(Option<(SmolStr, Native)>),
    /// Something else.
    Not(Reason, String),
}

impl std::fmt::Display for Orphan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.has_end { "the release steps" } else { "the end" };
        let Claim { id, device, command, .. } = &self.claim;
        write!(f, "{what} of request `{id}` ({command} of {device})")
    }
}

/// Reads the audit, record by record, for what is to be known of earlier runs.
#[derive(Default)]
pub(super) struct Reader {
    memory: Memory,
    /// By the number of its first row.
    open: BTreeMap<u64, Orphan>,
    /// Requests that have ended and whose release steps are not done.
    unreleased: BTreeMap<u64, Orphan>,
    /// How the last command of each device ended.
    last: BTreeMap<SmolStr, (Claim, End)>,
}

/// What earlier runs have left.
pub(super) struct Left {
    pub(super) memory: Memory,
    pub(super) orphans: Vec<Orphan>,
    pub(super) last: Vec<(Claim, End)>,
}

fn text<'r>(fields: &'r Map<String, Json>, key: &str) -> &'r str {
    fields.get(key).and_then(Json::as_str).unwrap_or_default()
}

impl Reader {
    pub(super) fn take(&mut self, record: Record) {
        let Record { row, number, hash } = record;
        let (id, fields) = (row.id, row.fields);
        let of = fields.get("of").and_then(Json::as_u64).unwrap_or_default();
        if row.what == What::Request {
            self.open.insert(number, Orphan::new(Tag { id: id.clone(), of: number }, claim(&id, &fields)));
            return;
        }
        if row.what == What::Released && fields.contains_key("done") {
            self.unreleased.remove(&of);
        }
        let Some(orphan) = self.open.get_mut(&of) else { return };
        match row.what {
            What::Begin => {
                orphan.writes = fields.get("writes").and_then(Json::as_u64).unwrap_or_default();
                orphan.reads = fields.get("reads") != Some(&Json::Bool(false));
                let steps = fields.get("release").and_then(Json::as_array).into_iter().flatten();
                let step =
                    |step: &Json| Some((step.get("point")?.as_str()?.into(), step.get("value")?.clone()));
                orphan.release = steps.filter_map(step).collect();
            }
            What::Write => (orphan.wrote, orphan.refused) = (true, None),
            What::Written => {
                let cause = text(&fields, "cause").to_owned();
                match text(&fields, "outcome") {
                    "done" => orphan.taken += 1,
                    "refused" => orphan.refused = Some((Reason::WriteRefused, cause)),
                    "not-sent" => orphan.refused = Some((Reason::NotSent, cause)),
                    _ => {}
                }
            }
            What::ReadBack => {
                let value = || Some((text(&fields, "point").into(), native(fields.get("value")?)?));
                orphan.answered = Some(match fields.get("ok") {
                    Some(Json::Bool(true)) => Answered::Well(value()),
                    _ => Answered::Not(
                        reason(&fields).unwrap_or(Reason::NotReadBack),
                        text(&fields, "detail").to_owned(),
                    ),
                });
            }
            What::Released => orphan.released = fields.contains_key("done"),
            What::End => {
                let Some(mut orphan) = self.open.remove(&of) else { return };
                if fields.contains_key("replayed") || fields.get("counts") == Some(&Json::Bool(false)) {
                    return;
                }
                let end = end(&orphan.claim, &fields, row.time, (number, hash));
                self.memory.begin(&orphan.claim, row.time);
                self.memory.end(&end);
                if orphan.writes > 0 {
                    self.last.insert(orphan.claim.device.clone(), (orphan.claim.clone(), end));
                }
                if fields.get("released") == Some(&Json::Bool(false)) && !orphan.released {
                    orphan.has_end = true;
                    self.unreleased.insert(of, orphan);
                }
            }
            _ => {}
        }
    }

    pub(super) fn finish(mut self) -> Left {
        // A request of which nothing is known but that it came may be one that came again.
        let now = Timestamp::now();
        self.open
            .retain(|_, orphan| self.memory.begin(&orphan.claim, now) != Begun::Known || orphan.writes > 0);
        let mut orphans: Vec<Orphan> = self.open.into_values().collect();
        orphans.extend(self.unreleased.into_values());
        Left { memory: self.memory, orphans, last: self.last.into_values().collect() }
    }
}

impl Orphan {
    fn new(tag: Tag, claim: Claim) -> Self {
        Self {
            tag,
            claim,
            has_end: false,
            wrote: false,
            reads: true,
            answered: None,
            refused: None,
            taken: 0,
            writes: 0,
            release: Vec::new(),
            released: false,
        }
    }

    /// How it ended, as far as that is known.
    fn end(&self) -> End {
        let claim = &self.claim;
        let detail = "the gateway stopped before anything was written";
        let mut end = End::rejected(&claim.id, &claim.device, &claim.command, Reason::GatewayStopped, detail);
        end.dry_run = claim.dry_run;
        if !self.wrote {
            return end;
        }
        if let Some(Answered::Well(read_back)) = &self.answered {
            end.read_back.clone_from(read_back);
        }
        (end.state, end.reason, end.detail) = match (&self.answered, &self.refused) {
            (Some(Answered::Well(_)), _) => (State::Done, None, String::new()),
            (Some(Answered::Not(Reason::MachineRefused, detail)), _) => {
                (State::Failed, Some(Reason::MachineRefused), detail.clone())
            }
            (Some(Answered::Not(reason, detail)), _) => (State::TimedOut, Some(*reason), detail.clone()),
            (None, None) if self.taken == self.writes && !self.reads => (State::Done, None, String::new()),
            (None, Some((reason, cause))) if self.taken == 0 => {
                (State::Rejected, Some(*reason), format!("nothing was written: {cause}"))
            }
            (None, Some((reason, cause))) => {
                let detail = format!("{} of {} writes were done: {cause}", self.taken, self.writes);
                (State::Failed, Some(*reason), detail)
            }
            (None, None) => {
                let detail = format!(
                    "the gateway stopped after {} of {} writes were known to be done, and before anything was read back",
                    self.taken, self.writes
                );
                (State::TimedOut, Some(Reason::GatewayStopped), detail)
            }
        };
        let untouched = self.refused.is_some() && self.taken == 0;
        if !self.release.is_empty() && !untouched {
            end.released = Some(self.released);
        }
        end
    }
}

impl Inner {
    /// Ends what earlier runs have left, and lets go of what they held.
    pub(super) async fn recover(self: &Arc<Self>) {
        let orphans = std::mem::take(&mut *self.orphans.lock());
        for orphan in orphans {
            let unit = self.unit(&orphan.claim.device).ok().cloned();
            let end = orphan.end();
            let mut lets_go = end.released == Some(false) || orphan.has_end;
            if let (true, Some(unit)) = (lets_go, &unit) {
                let steps: Option<Vec<Written>> = orphan
                    .release
                    .iter()
                    .map(|(name, value)| {
                        let point = unit.live.find(name)?;
                        Some(Written { point, name: name.clone(), raw: values::from_audit(value)? })
                    })
                    .collect();
                match steps {
                    Some(steps) => {
                        let (inner, tag, unit) = (self.clone(), orphan.tag.clone(), unit.clone());
                        unit.set_pending(Some(tag.id.clone()));
                        tokio::spawn(async move { inner.release_until_done(tag, unit, steps).await });
                    }
                    None => lets_go = false,
                }
            }
            if (end.released == Some(false) || orphan.has_end) && (!lets_go || unit.is_none()) {
                tracing::error!(
                    id = %orphan.claim.id, device = %orphan.claim.device,
                    "release steps are not done and never will be: the device or its points are gone"
                );
            }
            if orphan.has_end {
                continue;
            }
            let end = self.finish(&orphan.claim, &orphan.tag, end, Weight::Counts, unit.as_ref()).await;
            if let Some(reply_to) = orphan.claim.reply_to {
                // Nobody may be listening: the answer stays in the audit.
                let _ = self.ended.send((reply_to, end));
            }
        }
        let last = std::mem::take(&mut *self.last.lock());
        for (claim, end) in last {
            let Ok(unit) = self.unit(&claim.device) else { continue };
            if self.is_told_to_run(&unit.machine.told, &claim.id) {
                // The end came into the audit, and the gateway was gone before it told anybody.
                let value = note::ended(&claim, &claim.arguments, &end);
                note::send(&self.notes, &unit.machine.told, value).await;
                if let Some(reply_to) = claim.reply_to {
                    let _ = self.ended.send((reply_to, end));
                }
            }
        }
        self.recovered.send_replace(true);
    }

    /// Whether the last that the journal was told of a machine's commands is that this one runs.
    fn is_told_to_run(&self, item: &str, id: &str) -> bool {
        let model = self.model.load();
        let Some(index) = model.find_item(item).map(|item| item.index) else { return false };
        let Ok(snapshot) = self.journal.snapshot_of(None, &Selection::of([index])) else { return false };
        let ItemState::Latest((_, observation)) = snapshot.get(index) else { return false };
        let Value::DataSet(set) = &observation.value else { return false };
        let says = |key: &str, text: &str| {
            set.entries()
                .iter()
                .any(|entry| entry.key == key && matches!(&entry.cell, Cell::Text(said) if &**said == text))
        };
        says("state", "running") && says("id", id)
    }
}

fn reason(fields: &Map<String, Json>) -> Option<Reason> {
    Reason::parse(text(fields, "reason"))
}

/// A value that was read back, as ends have it.
fn native(value: &Json) -> Option<Native> {
    match value {
        Json::Number(number) => {
            number.as_i64().map(Native::Int).or_else(|| number.as_f64().map(Native::Float))
        }
        other => values::from_audit(other),
    }
}

fn claim(id: &SmolStr, fields: &Map<String, Json>) -> Claim {
    let face = Face::parse(text(fields, "face"));
    let reply_to = fields.get("reply").map(|reply| ReplyTo {
        destination: reply.get("destination").and_then(Json::as_str).unwrap_or_default().into(),
        topic: reply.get("topic").and_then(Json::as_str).unwrap_or_default().into(),
        correlation: reply.get("correlation").and_then(Json::as_str).and_then(bytes),
    });
    Claim {
        id: id.clone(),
        device: text(fields, "device").into(),
        command: text(fields, "command").into(),
        arguments: fields.get("arguments").and_then(Json::as_object).cloned().unwrap_or_default(),
        requester: Requester {
            name: text(fields, "requester").into(),
            face: face.unwrap_or(Face::Local),
            roles: Vec::new(),
        },
        expires: Timestamp::parse(text(fields, "expires")).unwrap_or_else(Timestamp::now),
        dry_run: fields.get("dryRun").and_then(Json::as_bool).unwrap_or_default(),
        reply_to,
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

fn end(claim: &Claim, fields: &Map<String, Json>, time: Timestamp, audit: (u64, SmolStr)) -> End {
    let read_back = fields.get("readBack").and_then(Json::as_object).and_then(|all| all.iter().next());
    End {
        state: State::parse(text(fields, "state")).unwrap_or(State::TimedOut),
        reason: reason(fields),
        detail: text(fields, "detail").to_owned(),
        dry_run: claim.dry_run,
        read_back: read_back.and_then(|(name, value)| Some((name.as_str().into(), native(value)?))),
        released: fields.get("released").and_then(Json::as_bool),
        time,
        audit,
        ..End::rejected(&claim.id, &claim.device, &claim.command, Reason::GatewayStopped, "")
    }
}
