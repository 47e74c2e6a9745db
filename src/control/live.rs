//! What is known of a machine's points right now: what interlocks and read-backs look at.
//!
//! The ingest thread writes here what arrives, beside what it makes of it for the journal: of points that a command needs
//! only, and before duplicates and deadbands are filtered, for here the age of a value counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guideway_contract::{Native, PointId, Quality, RawBatch, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::definition::ITEMS;
use super::{Controlled, Definition};
use crate::pipeline::mapping::{Mapping, PointRule};

/// A machine's points. Shared by the ingest thread and control.
#[derive(Debug)]
pub struct Live {
    mapping: Arc<Mapping>,
    /// By point: whether a command needs it.
    needed: Vec<bool>,
    /// Values come when they change.
    subscribed: bool,
    state: Mutex<State>,
    /// Moves with everything that arrives.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// Since when the session is up.
    up: Option<Instant>,
    points: Vec<Option<Seen>>,
    /// When anything last arrived.
    heard: Option<Instant>,
}

/// A value as it was last read.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Scaled, as items see it.
    pub value: Native,
    /// As the adapter judged it.
    pub quality: Quality,
    /// When its reply came.
    pub arrival: Timestamp,
    at: Instant,
}

impl Live {
    /// Nothing is known yet.
    pub fn new(machine: &Controlled) -> Self {
        let mapping = machine.mapping.clone();
        let mut needed = vec![false; mapping.points().len()];
        for point in machine.commands.iter().flat_map(|command| points_of(command, &mapping)) {
            if let Some(needed) = needed.get_mut(point as usize) {
                *needed = true;
            }
        }
        let state = State { up: None, points: vec![None; needed.len()], heard: None };
        Self {
            mapping,
            needed,
            subscribed: machine.subscribed,
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
        }
    }

    /// The session is up.
    pub fn connected(&self) {
        let mut state = self.state.lock();
        state.points.fill(None);
        let now = Some(Instant::now());
        (state.up, state.heard) = (now, now);
        drop(state);
        self.changes.send_modify(|count| *count += 1);
    }

    /// The session is over: nothing is known any more.
    pub fn disconnected(&self) {
        let mut state = self.state.lock();
        state.points.fill(None);
        (state.up, state.heard) = (None, None);
        drop(state);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Takes note of what arrived.
    pub fn take(&self, batch: &RawBatch) {
        // It may have waited for the ingest thread.
        let waited = Timestamp::now().nanos().saturating_sub(batch.arrival.nanos());
        let waited = Duration::from_nanos(u64::try_from(waited).unwrap_or_default());
        let now = Instant::now();
        let at = now.checked_sub(waited).unwrap_or(now);
        let mut state = self.state.lock();
        state.heard = Some(at);
        for reading in &batch.readings {
            let index = reading.point.index();
            if self.needed.get(index).copied().unwrap_or_default() {
                let value = self.mapping.points()[index].apply(reading.value.clone());
                let seen = Seen { value, quality: reading.quality, arrival: batch.arrival, at };
                state.points[index] = Some(seen);
            }
        }
        drop(state);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Whether the session is up.
    pub fn is_up(&self) -> bool {
        self.state.lock().up.is_some()
    }

    /// For how long the session has been up.
    pub fn up_for(&self) -> Option<Duration> {
        self.state.lock().up.map(|since| since.elapsed())
    }

    /// Moves with everything that arrives, and with the session.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A point as it was last read; `None` when it has not been since the session came up.
    pub fn point(&self, point: PointId) -> Option<Seen> {
        self.state.lock().points.get(point.index())?.clone()
    }

    /// How long ago it was known that the point has this value. Of a source that tells changes, a value is known as
    /// long as anything comes.
    pub fn age(&self, point: u32) -> Option<Duration> {
        let state = self.state.lock();
        let seen = state.points.get(point as usize)?.as_ref()?.at;
        let known = if self.subscribed { state.heard.map_or(seen, |heard| heard.max(seen)) } else { seen };
        Some(known.elapsed())
    }

    /// What a point is called.
    pub fn name(&self, point: u32) -> &str {
        self.mapping.points().get(point as usize).map_or("?", |rule| rule.name.as_str())
    }

    /// What is done to a point's raw value.
    pub fn rule(&self, point: PointId) -> Option<&PointRule> {
        self.mapping.points().get(point.index())
    }

    /// The point of that name.
    pub fn find(&self, name: &str) -> Option<PointId> {
        self.mapping.points().iter().position(|rule| rule.name == name).map(guideway_contract::point_id)
    }

    /// The points of an item, by the id of the item.
    pub fn inputs(&self, id: &str) -> &[u32] {
        let item = self.mapping.items().iter().position(|item| item.id == id);
        item.map_or(&[], |item| self.mapping.inputs(item))
    }
}

/// The points that a command needs to know.
fn points_of(command: &Definition, mapping: &Mapping) -> Vec<u32> {
    let mut points = Vec::new();
    let steps = command.writes.iter().chain(&command.release).map(|step| &step.value);
    let verify = command.verify.iter().flat_map(|verify| [Some(&verify.equals), verify.refused.as_ref()]);
    for expression in steps.chain(verify.flatten()).chain(&command.require) {
        points.extend(expression.inputs().filter(|input| *input < ITEMS));
    }
    points.extend(command.verify.iter().map(|verify| verify.point.0));
    for (_, id) in &command.items {
        let item = mapping.items().iter().position(|item| item.id == *id);
        points.extend(item.into_iter().flat_map(|item| mapping.inputs(item)));
    }
    points
}
