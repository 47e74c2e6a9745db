//! What a data item can say.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::DataSet;

/// One result, in the shape of its data item. 24 bytes; clones never allocate.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing is known: the source is lost or said so itself.
    Unavailable,
    /// A number in the item's units; always finite.
    Number(f64),
    /// Text as the source wrote it, at most the adapter's line length.
    Text(SmolStr),
    /// A position or orientation in space (`…_3D` units), always finite.
    Vector3(Arc<[f64; 3]>),
    /// Samples taken at a fixed rate.
    TimeSeries(Arc<TimeSeries>),
    /// A data set or table: as an observation the keys that changed, as a state the whole set.
    DataSet(Arc<DataSet>),
    /// One condition entry. `Unavailable` conditions are [`Value::Unavailable`].
    Condition(Arc<Condition>),
    /// A message to the operator.
    Message(Arc<Message>),
    /// An asset came, changed or went (ASSET_CHANGED, ASSET_REMOVED, ASSET_ADDED).
    AssetEvent(Arc<AssetEvent>),
    /// Another value with a duration or a reset trigger; never nested, never `Unavailable`.
    Annotated(Arc<Annotated>),
}

impl Value {
    /// Text of any length.
    pub fn text(text: &str) -> Self {
        Self::Text(SmolStr::new(text))
    }

    /// The value itself, without duration and reset trigger.
    pub fn plain(&self) -> &Self {
        match self {
            Self::Annotated(annotated) => &annotated.value,
            other => other,
        }
    }

    /// Whether this is [`Value::Unavailable`].
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable)
    }

    /// Duration in seconds over which the value was gathered (`duration` attribute).
    pub fn duration(&self) -> Option<f64> {
        match self {
            Self::Annotated(annotated) => annotated.duration,
            _ => None,
        }
    }

    /// What reset the value (`resetTriggered` attribute), e.g. `MANUAL`, `DAY`.
    pub fn reset_triggered(&self) -> Option<&str> {
        match self {
            Self::Annotated(annotated) => annotated.reset_triggered.as_deref(),
            Self::DataSet(set) => set.reset.as_deref(),
            _ => None,
        }
    }
}

/// A value with what was said about how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotated {
    /// The value; neither `Annotated` nor `Unavailable`.
    pub value: Value,
    /// Seconds, finite and not negative.
    pub duration: Option<f64>,
    /// The reset trigger, for values that start anew.
    pub reset_triggered: Option<SmolStr>,
}

/// A TIME_SERIES result.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeSeries {
    /// Samples a second; `None` when the data item's own `sampleRate` holds.
    pub rate: Option<f64>,
    /// The samples, oldest first; `sampleCount` is their number.
    pub values: Vec<f64>,
}

/// How bad a condition is. UNAVAILABLE is [`Value::Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// As it should be.
    Normal,
    /// May become a fault.
    Warning,
    /// Operator attention is needed.
    Fault,
}

/// On which side of its range a condition lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Qualifier {
    /// Above.
    High,
    /// Below.
    Low,
}

/// One entry of a condition; empty texts mean "not given".
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Normal, Warning or Fault.
    pub level: Level,
    /// The machine's own code, e.g. an alarm number.
    pub native_code: SmolStr,
    /// The machine's own severity.
    pub native_severity: SmolStr,
    /// High or low.
    pub qualifier: Option<Qualifier>,
    /// What the machine tells its operator.
    pub message: SmolStr,
    /// What tells entries of one condition apart (>= 2.3); the native code where not given.
    pub condition_id: SmolStr,
}

impl Condition {
    /// A Normal that says nothing else.
    pub fn normal() -> Self {
        Self {
            level: Level::Normal,
            native_code: SmolStr::default(),
            native_severity: SmolStr::default(),
            qualifier: None,
            message: SmolStr::default(),
            condition_id: SmolStr::default(),
        }
    }

    /// The key of this entry in its condition's chain: conditionId, else nativeCode; empty for an
    /// entry about the condition as a whole.
    pub fn key(&self) -> &str {
        if self.condition_id.is_empty() { &self.native_code } else { &self.condition_id }
    }
}

/// A MESSAGE event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The machine's own code; empty when not given.
    pub native_code: SmolStr,
    /// The text.
    pub text: SmolStr,
}

/// Which asset an ASSET_CHANGED, ASSET_REMOVED or ASSET_ADDED event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetEvent {
    /// The asset's type, e.g. `CuttingTool`.
    pub asset_type: SmolStr,
    /// The asset's id.
    pub asset_id: SmolStr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_three_words() {
        assert_eq!(size_of::<Value>(), 24);
    }
}
