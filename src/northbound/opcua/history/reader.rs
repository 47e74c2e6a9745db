//! Reads the values of nodes from the journal, bounds included.

use std::sync::Arc;

use guideway_contract::{ItemIndex, Observation, Timestamp};
use opcua_types::{DataValue, DateTime, NodeId, StatusCode, Variant};

use super::range::{Range, SECOND, instant};
use crate::journal::{Continuation, HistoryQuery, Journal};
use crate::northbound::opcua::binding::{Binding, Shape};
use crate::northbound::opcua::nodeset::Types;
use crate::northbound::opcua::value;

/// A node with history.
#[derive(Clone, Debug)]
pub(super) struct Target {
    item: ItemIndex,
    binding: Arc<Binding>,
}

impl Target {
    /// `item` is the place of the binding.
    pub(super) fn new(item: u32, binding: Arc<Binding>) -> Self {
        Self { item: ItemIndex(item), binding }
    }

    /// Whether one observation can have many values, at times of their own.
    fn is_series(&self) -> bool {
        matches!(self.binding.shape, Shape::TimeSeries { .. })
    }

    /// The values of an observation that are at the ticks that `holds` likes.
    fn values(
        &self,
        observation: &Observation,
        types: &Types,
        holds: impl Fn(i64) -> bool,
    ) -> Vec<DataValue> {
        let mut values = Vec::new();
        value::values(&self.binding, observation, types, &mut |node, value| {
            if *node == self.binding.node && holds(tick(&value)) {
                values.push(value);
            }
        });
        values
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The bound at the start.
    Start,
    /// What is in the range.
    Within,
    /// The bound at the end.
    End,
    Done,
}

/// Where an answer ended: what a continuation point stands for.
#[derive(Clone, Debug)]
pub(super) struct Place {
    node: NodeId,
    range: Range,
    /// The time behind the last observation that can have values in the range.
    until: Option<Timestamp>,
    stage: Stage,
    after: Option<Continuation>,
    /// Values of the next observation that were given.
    given: usize,
    /// Values that may follow, where the number of all is limited.
    left: usize,
    /// The time of the last value that was given.
    last: Option<i64>,
}

impl Place {
    /// At the beginning.
    pub(super) fn new(node: NodeId, range: Range) -> Self {
        Self {
            node,
            until: instant(range.until),
            stage: Stage::Start,
            after: None,
            given: 0,
            left: if range.end.is_none() { range.number } else { usize::MAX },
            last: None,
            range,
        }
    }

    /// Whether it is a place in the history of that node.
    pub(super) fn is_of(&self, node: &NodeId) -> bool {
        self.node == *node
    }
}

/// Reads one node's history for one answer.
pub(super) struct Reader {
    target: Target,
    place: Place,
    /// Values that still have room in this answer.
    room: usize,
    values: Vec<DataValue>,
    /// Why nothing can be given.
    refused: Option<StatusCode>,
}

/// Fills the answers of readers.
pub(super) fn read(journal: &Journal, types: &Types, readers: &mut [Reader]) {
    let archive = Archive { journal, types };
    for reader in readers.iter_mut() {
        reader.start(&archive);
    }
    loop {
        let mut waiting: Vec<&mut Reader> = readers.iter_mut().filter(|reader| reader.is_waiting()).collect();
        if waiting.is_empty() {
            break;
        }
        let queries: Vec<HistoryQuery> = waiting.iter().map(|reader| reader.query()).collect();
        for (reader, page) in waiting.iter_mut().zip(journal.histories(&queries)) {
            match page {
                Ok(mut page) => reader.take(&archive, &mut page),
                // What was to follow is gone, and the place with it (part 11, 6.3).
                Err(_) => reader.refused = Some(StatusCode::BadContinuationPointInvalid),
            }
        }
    }
    for reader in readers {
        reader.end(&archive);
    }
}

impl Reader {
    /// `limit` is the most values in an answer.
    pub(super) fn new(target: Target, place: Place, limit: usize) -> Self {
        let number = if place.range.number == 0 { usize::MAX } else { place.range.number };
        let room = limit.min(number).min(place.left);
        Self { target, place, room, values: Vec::new(), refused: None }
    }

    /// The values, and the place to go on from when there are more.
    pub(super) fn finish(self) -> Result<(Vec<DataValue>, Option<Place>), StatusCode> {
        match self.refused {
            Some(status) => Err(status),
            None => Ok((self.values, (self.place.stage != Stage::Done).then_some(self.place))),
        }
    }

    fn push(&mut self, value: DataValue) {
        self.place.last = Some(tick(&value));
        self.values.push(value);
        self.room -= 1;
        self.place.left -= 1;
        if self.place.left == 0 {
            self.place.stage = Stage::Done;
        }
    }

    /// Gives the bound at the start, unless there is a value at the very start.
    fn start(&mut self, archive: &Archive<'_>) {
        if self.place.stage != Stage::Start {
            return;
        }
        self.place.stage = Stage::Within;
        let range = self.place.range;
        if self.target.is_series() {
            self.reach(archive);
        }
        if range.bounds {
            let bound = archive.bound(&self.target, range.start, !range.backward);
            if bound.as_ref().is_none_or(|bound| tick(bound) != range.start) {
                self.push(bound.unwrap_or_else(|| not_found(range.start)));
            }
        }
    }

    /// Takes the series across the end in.
    fn reach(&mut self, archive: &Archive<'_>) {
        let range = self.place.range;
        let Some(end) = self.place.until else { return };
        if let Some(next) = archive.nearest(&self.target, Some(end), None, false)
            && !self.target.values(&next, archive.types, |tick| range.holds(tick)).is_empty()
        {
            self.place.until = Some(next.time().shifted(1));
        }
    }

    /// Whether another page is needed. A short answer will do, an empty one only at the end.
    fn is_waiting(&self) -> bool {
        let begun = self.place.after.is_none() || self.values.is_empty();
        self.place.stage == Stage::Within && self.refused.is_none() && self.room > 0 && begun
    }

    fn query(&self) -> HistoryQuery {
        HistoryQuery {
            item: self.target.item,
            from: instant(self.place.range.from),
            until: self.place.until,
            backward: self.place.range.backward,
            limit: self.room,
            after: self.place.after,
        }
    }

    /// Takes the values of a page, as far as there is room.
    fn take(&mut self, archive: &Archive<'_>, page: &mut crate::journal::HistoryPage) {
        let range = self.place.range;
        let mut length = 0;
        let observations = std::mem::take(&mut page.observations);
        for (_, observation) in &observations {
            if self.room == 0 {
                break;
            }
            let mut values = self.target.values(observation, archive.types, |tick| range.holds(tick));
            if range.backward {
                values.reverse();
            }
            let given = std::mem::take(&mut self.place.given);
            for (number, value) in values.into_iter().enumerate().skip(given) {
                if self.room == 0 {
                    self.place.given = number;
                    break;
                }
                self.push(value);
            }
            if self.place.given > 0 {
                break;
            }
            length += 1;
        }
        page.observations = observations;
        self.place.after = page.cut(length);
        if self.place.after.is_none() && self.place.stage == Stage::Within {
            self.place.stage = Stage::End;
        }
    }

    /// Gives the bound at the end, if there is room.
    fn end(&mut self, archive: &Archive<'_>) {
        let range = self.place.range;
        if self.place.stage != Stage::End || self.refused.is_some() {
            return;
        }
        if range.bounds {
            if self.room == 0 {
                return;
            }
            let step = if range.backward { -1 } else { 1 };
            let bound = match range.end {
                // With one instant as the range, what follows bounds it.
                Some(end) if end == range.start => archive.bound(&self.target, end.saturating_add(1), false),
                Some(end) => archive.bound(&self.target, end, range.backward),
                None => None,
            };
            // Without an end, a second behind the last value stands for it (part 11, table 1).
            let missing = || self.place.last.map_or(range.start, |last| last.saturating_add(step * SECOND));
            let bound = bound.unwrap_or_else(|| not_found(range.end.unwrap_or_else(missing)));
            self.push(bound);
        }
        self.place.stage = Stage::Done;
    }
}

/// Where values come from.
struct Archive<'a> {
    journal: &'a Journal,
    types: &'a Types,
}

impl Archive<'_> {
    /// The first observation of a range, or the last.
    fn nearest(
        &self,
        target: &Target,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        backward: bool,
    ) -> Option<Observation> {
        let query = HistoryQuery { item: target.item, from, until, backward, limit: 1, after: None };
        let page = self.journal.history(&query).ok()?;
        page.observations.into_iter().next().map(|(_, observation)| observation)
    }

    /// The last value at or `before` a tick, or the first at or behind it.
    fn bound(&self, target: &Target, at: i64, before: bool) -> Option<DataValue> {
        if !before {
            let next = self.nearest(target, instant(at), None, false)?;
            return target.values(&next, self.types, |tick| tick >= at).into_iter().next();
        }
        let behind = instant(at.saturating_add(1));
        let last =
            |observation: Observation| target.values(&observation, self.types, |tick| tick <= at).pop();
        let earlier = self.nearest(target, None, behind, true).and_then(last);
        // The next series may have begun before.
        let across = target.is_series().then(|| self.nearest(target, behind, None, false)).flatten();
        let across = across.and_then(last);
        earlier.into_iter().chain(across).max_by_key(tick)
    }
}

/// The source time of a value.
fn tick(value: &DataValue) -> i64 {
    value.source_timestamp.map_or(i64::MIN, |time| time.ticks())
}

/// What stands for a bound that is not there.
fn not_found(tick: i64) -> DataValue {
    let time = DateTime::from(tick);
    DataValue {
        value: Some(Variant::Empty),
        status: Some(StatusCode::BadBoundNotFound),
        source_timestamp: Some(time),
        server_timestamp: Some(time),
        ..DataValue::default()
    }
}

#[cfg(test)]
mod tests;
