//! From raw values of a profile's points to values of data items.
//!
//! A [`Mapping`] is what a profile says, compiled; a [`Mapper`] holds what is known of one machine's points.
//! It evaluates an item when a point that it needs has changed, and says nothing when nothing has.

mod condition;
mod expression;
mod rule;
mod template;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use guideway_contract::{
    Batch, DataSet, Native, PointId, PointTable, Quality, RawBatch, RawReading, Reading, Shape, Timestamp,
    Value,
};
use smol_str::SmolStr;

use condition::{Active, bits};
pub use expression::{Expression, MOST_CHARACTERS, Parameters};
pub use rule::{Alarm, ConditionRule, Entry, Enumeration, How, ItemRule, Part, PointRule};
pub use template::Template;

/// What a profile says of one machine's points and items. Immutable, shared.
#[derive(Debug, Default)]
pub struct Mapping {
    points: Vec<PointRule>,
    items: Vec<ItemRule>,
    /// By point: the items that need it.
    users: Vec<Vec<u32>>,
    /// By item: the points it needs.
    inputs: Vec<Vec<u32>>,
}

impl Mapping {
    /// A mapping of points, in the order of the adapter's, to items.
    pub fn new(points: Vec<PointRule>, items: Vec<ItemRule>) -> Self {
        let inputs: Vec<Vec<u32>> = items.iter().map(ItemRule::inputs).collect();
        let mut users = vec![Vec::new(); points.len()];
        for (item, needed) in (0_u32..).zip(&inputs) {
            for point in needed {
                if let Some(users) = users.get_mut(*point as usize) {
                    users.push(item);
                }
            }
        }
        Self { points, items, users, inputs }
    }

    /// The points.
    pub fn points(&self) -> &[PointRule] {
        &self.points
    }

    /// The items.
    pub fn items(&self) -> &[ItemRule] {
        &self.items
    }

    /// The points that an item needs.
    pub fn inputs(&self, item: usize) -> &[u32] {
        self.inputs.get(item).map_or(&[], Vec::as_slice)
    }
}

/// Why an item's value could not be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncomputed {
    /// The data item's id.
    pub item: SmolStr,
    /// Why.
    pub cause: String,
}

/// What is known of a point.
#[derive(Clone, Debug)]
struct Known {
    value: Native,
    time: Timestamp,
    quality: Quality,
}

/// Where an item's values go.
#[derive(Clone, Copy, Debug)]
struct Target {
    point: PointId,
    shape: Shape,
}

/// One machine's points as they were last, and its items' targets.
#[derive(Debug)]
pub struct Mapper {
    mapping: Arc<Mapping>,
    known: Vec<Option<Known>>,
    /// Points that have changed since items were last evaluated.
    changed: Vec<bool>,
    /// Items that are to be evaluated, without order.
    dirty: Vec<u32>,
    is_dirty: Vec<bool>,
    targets: Vec<Option<Target>>,
    /// Points whose every reading counts, for an item of theirs is discrete.
    every: Vec<bool>,
    /// By item: what a condition says.
    active: Vec<Active>,
}

impl Mapper {
    /// A mapper that knows nothing yet; without [`set_targets`](Self::set_targets) it says nothing.
    pub fn new(mapping: Arc<Mapping>) -> Self {
        let (points, items) = (mapping.points.len(), mapping.items.len());
        let mut mapper = Self {
            mapping,
            known: vec![None; points],
            changed: vec![false; points],
            dirty: Vec::new(),
            is_dirty: vec![false; items],
            targets: vec![None; items],
            every: vec![false; points],
            active: vec![Active::default(); items],
        };
        mapper.reset();
        mapper
    }

    /// Finds each item's point in a table of points by key; `is_discrete` is asked for points of that table.
    pub fn set_targets(&mut self, table: &PointTable, is_discrete: impl Fn(PointId) -> bool) {
        let scope = table.default_scope();
        self.every.fill(false);
        for (index, item) in self.mapping.items.iter().enumerate() {
            let found = scope.and_then(|scope| table.find(scope, &item.id));
            self.targets[index] = found.map(|point| Target { point: point.id, shape: point.shape });
            if found.is_some_and(|point| is_discrete(point.id) || point.shape == Shape::TimeSeries) {
                for input in &self.mapping.inputs[index] {
                    self.every[*input as usize] = true;
                }
            }
        }
    }

    /// Forgets everything: the source is lost.
    pub fn reset(&mut self) {
        self.known.fill(None);
        self.changed.fill(false);
        self.dirty.clear();
        self.is_dirty.fill(false);
        self.active.iter_mut().for_each(Active::forget);
        // What needs no point is told with the first batch.
        for (item, _) in (0_u32..).zip(&self.mapping.inputs).filter(|(_, inputs)| inputs.is_empty()) {
            self.dirty.push(item);
        }
    }

    /// The last value of a point, scaled.
    pub fn known(&self, point: PointId) -> Option<&Native> {
        self.known.get(point.index())?.as_ref().map(|known| &known.value)
    }

    /// Readings of data items' points from raw values. What could not be computed is a reading of bad quality,
    /// and told to `failed`.
    pub fn map(&mut self, batch: RawBatch, mut failed: impl FnMut(Uncomputed)) -> Batch {
        let mut readings = Vec::with_capacity(batch.readings.len());
        for RawReading { point, value, time, quality } in batch.readings {
            let index = point.index();
            let Some(rule) = self.mapping.points.get(index) else { continue };
            let value = rule.apply(value);
            let is_same = |known: &Known| known.value == value && known.quality == quality;
            if !self.every[index] && self.known[index].as_ref().is_some_and(is_same) {
                continue;
            }
            // Two values of one point in a batch are two things that happened.
            if self.changed[index] {
                self.evaluate(batch.arrival, &mut readings, &mut failed);
            }
            self.known[index] = Some(Known { value, time, quality });
            self.changed[index] = true;
            for user in &self.mapping.users[index] {
                if !std::mem::replace(&mut self.is_dirty[*user as usize], true) {
                    self.dirty.push(*user);
                }
            }
        }
        self.evaluate(batch.arrival, &mut readings, &mut failed);
        Batch { arrival: batch.arrival, readings }
    }

    fn evaluate(
        &mut self,
        arrival: Timestamp,
        readings: &mut Vec<Reading>,
        failed: &mut impl FnMut(Uncomputed),
    ) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        for item in dirty.drain(..) {
            let item = item as usize;
            self.is_dirty[item] = false;
            let Some(Target { point, shape }) = self.targets[item] else { continue };
            let Some((time, quality)) = self.said_when(item, arrival) else { continue };
            let before = readings.len();
            let mut say = |value| readings.push(Reading { point, value, time, quality });
            if let Err(cause) = self.item(item, shape, &mut say) {
                readings.truncate(before);
                self.active[item].forget();
                failed(Uncomputed { item: self.mapping.items[item].id.clone(), cause });
                readings.push(Reading { point, value: Value::Unavailable, time, quality: Quality::Bad });
            }
        }
        self.dirty = dirty;
        self.changed.fill(false);
    }

    /// The newest time of what an item needs and has changed, and the worst quality. `None` while something that
    /// it needs has not been read yet: then nothing is known of it.
    fn said_when(&self, item: usize, arrival: Timestamp) -> Option<(Timestamp, Quality)> {
        if self.mapping.inputs[item].is_empty() {
            return Some((arrival, Quality::Good));
        }
        let mut time = Timestamp::from_nanos(i64::MIN, 0);
        let mut quality = Quality::Good;
        for input in &self.mapping.inputs[item] {
            let known = self.known[*input as usize].as_ref()?;
            if self.changed[*input as usize] && known.time.nanos() > time.nanos() {
                time = known.time;
            }
            if known.quality as u8 > quality as u8 {
                quality = known.quality;
            }
        }
        Some((time, quality))
    }

    fn item(&mut self, index: usize, shape: Shape, say: &mut impl FnMut(Value)) -> Result<(), String> {
        let rule = &self.mapping.items[index];
        let known = &self.known;
        let value_of = |point: u32| known.get(point as usize)?.as_ref().map(|known| &known.value);
        if let Some(when) = &rule.when
            && !truth(when, value_of)?
        {
            return Ok(());
        }
        let unread = || "its point has not been read".to_owned();
        match &rule.how {
            How::Point { point, part, words, rate } => {
                let native = value_of(*point).ok_or_else(unread)?;
                let native = part.as_ref().map_or(Ok(native), |part| part.of(native))?;
                say(worded(native, words.as_deref(), shape, *rate)?);
            }
            How::Expression { expression, words } => {
                say(worded(&expression.evaluate(value_of)?, words.as_deref(), shape, None)?);
            }
            How::Entries(entries) => {
                // One entry that cannot be computed is missing; the others are true.
                let entry = |(key, expression): &(SmolStr, Expression)| {
                    let native = expression.evaluate(value_of).unwrap_or(Native::Null);
                    value::entry(key, &native, Shape::DataSet)
                };
                let set = DataSet::new(None, entries.iter().map(entry).collect());
                say(Value::DataSet(Arc::new(set)));
            }
            How::Conditions(rules) => {
                let mut active = Vec::new();
                for rule in rules {
                    if truth(&rule.when, value_of)? {
                        active.push(&rule.entry);
                    }
                }
                self.active[index].change(&active, value_of).into_iter().for_each(say);
            }
            How::Bits { point, alarms } => {
                let bits = bits(value_of(*point).ok_or_else(unread)?)?;
                let is_on = |alarm: &&Alarm| bits(alarm.bit) != alarm.inverted;
                let active: Vec<&Entry> = alarms.iter().filter(is_on).map(|alarm| &alarm.entry).collect();
                self.active[index].change(&active, value_of).into_iter().for_each(say);
            }
        }
        Ok(())
    }
}

fn truth<'n>(when: &Expression, value_of: impl Fn(u32) -> Option<&'n Native>) -> Result<bool, String> {
    match when.evaluate(value_of)? {
        Native::Bool(truth) => Ok(truth),
        other => Err(format!("`{}` is {other} and not true or false", when.text())),
    }
}

fn worded(
    native: &Native,
    words: Option<&Enumeration>,
    shape: Shape,
    rate: Option<f64>,
) -> Result<Value, String> {
    match words {
        Some(words) => value::shaped(&Native::Text(words.word(native)?), shape, rate),
        None => value::shaped(native, shape, rate),
    }
}
