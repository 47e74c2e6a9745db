//! What a command looks at before it is carried out.

use std::time::Duration;

use guideway_contract::{Level, Native, Quality, Value};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::Definition;
use super::definition::{ARGUMENTS, ITEMS};
use super::live::{Live, Seen};
use super::request::{Reason, json};
use crate::device_model::DeviceModel;
use crate::journal::{ItemState, Journal, Selection};
use crate::pipeline::mapping::Expression;

/// Values by the ids that expressions have for them.
pub(super) struct Inputs {
    pub(super) arguments: Native,
    items: Native,
    points: Vec<(u32, Native)>,
    /// The same for the audit.
    pub(super) shown: Map<String, Json>,
}

impl Inputs {
    /// Everything that a command's expressions look at, as it is now.
    ///
    /// # Errors
    /// What has no value, or is older than the command allows.
    pub(super) fn gather(
        definition: &Definition,
        live: &Live,
        journal: &Journal,
        model: &DeviceModel,
        arguments: Native,
    ) -> Result<Self, (Reason, String)> {
        let mut shown = Map::new();
        let mut items = Vec::new();
        let index_of = |id: &SmolStr| model.find_item(id).map(|item| item.index);
        let all = definition.items.iter().filter_map(|(_, id)| index_of(id));
        let snapshot = journal.snapshot_of(None, &Selection::of(all));
        for (key, id) in &definition.items {
            let called = format!("item.{key}");
            let index = index_of(id)
                .ok_or_else(|| (Reason::Unavailable, format!("`{called}` is not in the device model")))?;
            let value = snapshot.as_ref().ok().and_then(|snapshot| of_state(snapshot.get(index)));
            let value = value.ok_or_else(|| (Reason::Unavailable, format!("`{called}` is UNAVAILABLE")))?;
            shown.insert(called.clone(), json(&value));
            for point in live.inputs(id) {
                fresh(live, *point, definition.max_age, &called)?;
            }
            items.push((key.clone(), value));
        }
        let mut points: Vec<(u32, Native)> = Vec::new();
        let expressions = definition.require.iter().chain(definition.writes.iter().map(|step| &step.value));
        let expressions = expressions
            .chain(definition.release.iter().map(|step| &step.value))
            .chain(definition.verify.iter().map(|verify| &verify.equals));
        for expression in expressions {
            for point in expression.inputs().filter(|input| *input < ITEMS) {
                if points.iter().any(|(known, _)| *known == point) {
                    continue;
                }
                let seen = reading(live, point, definition.max_age)?;
                shown.insert(live.name(point).to_owned(), json(&seen.value));
                points.push((point, seen.value));
            }
        }
        Ok(Self { arguments, items: Native::Record(items.into()), points, shown })
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// Why it has none.
    pub(super) fn evaluate(&self, expression: &Expression) -> Result<Native, String> {
        expression.evaluate(|input| match input {
            ARGUMENTS => Some(&self.arguments),
            ITEMS => Some(&self.items),
            point => self.points.iter().find(|(known, _)| *known == point).map(|(_, value)| value),
        })
    }

    /// Whether the command may be carried out now.
    ///
    /// # Errors
    /// Why not, with the values that were looked at.
    pub(super) fn judge(&self, definition: &Definition) -> Result<(), String> {
        let Some(require) = &definition.require else { return Ok(()) };
        let values = || {
            let all: Vec<String> =
                self.shown.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
        };
        match self.evaluate(require) {
            Ok(Native::Bool(true)) => Ok(()),
            Ok(Native::Bool(false)) => Err(format!("`{}` is not the case{}", require.text(), values())),
            Ok(other) => Err(format!("`{}` is {other} and not true or false", require.text())),
            Err(cause) => Err(format!("`{}` cannot be computed: {cause}{}", require.text(), values())),
        }
    }
}

/// A point as it is now.
///
/// # Errors
/// That it has no value, or one that is too old.
pub(super) fn reading(live: &Live, point: u32, most: Duration) -> Result<Seen, (Reason, String)> {
    let name = live.name(point);
    fresh(live, point, most, name)?;
    live.point(guideway_contract::PointId(point))
        .filter(|seen| seen.quality != Quality::Bad && !seen.value.is_bad())
        .ok_or_else(|| (Reason::Unavailable, format!("`{name}` could not be read")))
}

/// Points that expressions look at after the writes, as they were last read.
pub(super) fn now(live: &Live, expression: &Expression) -> Option<Vec<(u32, Seen)>> {
    let inputs = expression.inputs().filter(|input| *input < ITEMS);
    inputs.map(|point| Some((point, live.point(guideway_contract::PointId(point))?))).collect()
}

fn fresh(live: &Live, point: u32, most: Duration, called: &str) -> Result<(), (Reason, String)> {
    match live.age(point) {
        Some(age) if age <= most => Ok(()),
        Some(age) => {
            let detail = format!(
                "`{called}` was last read {:.1} s ago, and may be {:.1} s old (max_age)",
                age.as_secs_f64(),
                most.as_secs_f64()
            );
            Err((Reason::Stale, detail))
        }
        None => Err((Reason::Unavailable, format!("`{called}` has not been read since the session came up"))),
    }
}

/// An item's value as expressions see it: numbers, texts; of a condition its worst level.
fn of_state(state: &ItemState) -> Option<Native> {
    match state {
        ItemState::Unknown => None,
        ItemState::Latest((_, observation)) if observation.quality == Quality::Bad => None,
        ItemState::Latest((_, observation)) => of_value(observation.value.plain()),
        ItemState::Chain(entries) => {
            let levels: Option<Vec<Level>> = entries
                .iter()
                .map(|(_, observation)| match &observation.value {
                    Value::Condition(condition) => Some(condition.level),
                    _ => None,
                })
                .collect();
            let levels = levels?;
            let worst = [Level::Fault, Level::Warning].into_iter().find(|level| levels.contains(level));
            Some(Native::text(match worst {
                Some(Level::Fault) => "FAULT",
                Some(_) => "WARNING",
                None => "NORMAL",
            }))
        }
    }
}

fn of_value(value: &Value) -> Option<Native> {
    match value {
        Value::Number(number) => Some(Native::Float(*number)),
        Value::Text(text) => Some(Native::Text(text.clone())),
        Value::Vector3(vector) => Some(Native::List(vector.iter().copied().map(Native::Float).collect())),
        Value::Message(message) => Some(Native::Text(message.text.clone())),
        Value::DataSet(set) => {
            let fields = set.entries().iter().filter_map(|entry| {
                let value = match &entry.cell {
                    guideway_contract::Cell::Integer(number) => Native::Int(*number),
                    guideway_contract::Cell::Number(number) => Native::Float(*number),
                    guideway_contract::Cell::Text(text) => Native::Text(text.clone()),
                    _ => return None,
                };
                Some((entry.key.clone(), value))
            });
            Some(Native::Record(fields.collect()))
        }
        _ => None,
    }
}
