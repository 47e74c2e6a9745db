//! What the stages need to know of a data item, worked out once when the model is set.

use guideway_contract::{Shape, Validity, Value};
use smol_str::SmolStr;

use super::units::Conversion;
use super::{shape, validate};
use crate::device_model::{Category, DataItem, SchemaVersion};

/// How a data item's values are treated.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) shape: Shape,
    /// An EVENT whose text becomes upper case, where the adapter wants that.
    pub(super) is_event_text: bool,
    /// A numeric EVENT whose text leaves as it came, as long as its units stay the same.
    keeps_text: bool,
    /// Each occurrence counts.
    pub(super) discrete: bool,
    /// No reading changes it: constant by its constraints, or gone.
    pub(super) fixed: bool,
    pub(super) units: Units,
    /// Numbers closer than this to the last one are dropped; 0 when there is no such filter.
    pub(super) delta: f64,
    /// Nanoseconds; 0 when there is no such filter.
    pub(super) period: i64,
    pub(super) checks: validate::Checks,
    /// The value at start.
    pub(super) initial: Value,
    /// The value after a reset that gives none; `None` when the item has no reset trigger.
    pub(super) reset: Option<Value>,
}

/// What is to be done about native units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Units {
    /// Nothing.
    Same,
    /// This.
    Convert(Conversion),
    /// Something, but nobody knows how.
    Unknown,
}

impl Plan {
    pub(super) fn new(item: &DataItem, version: SchemaVersion) -> Self {
        let only = match item.constraints.values.as_slice() {
            [only] => shape::constant(item.shape, only),
            _ => None,
        };
        let given = item.initial_value.as_ref().and_then(|text| shape::constant(item.shape, text));
        // Each entry of a condition counts; none is held.
        let period = item.filters.period.filter(|seconds| *seconds > 0.0 && item.shape != Shape::Condition);
        let resets = !item.reset_trigger.is_empty();
        Self {
            shape: item.shape,
            is_event_text: item.category == Category::Event && item.shape == Shape::Text,
            keeps_text: keeps_text(item),
            discrete: item.discrete,
            fixed: only.is_some() || item.retired,
            units: units(item),
            delta: item.filters.minimum_delta.filter(|delta| *delta > 0.0).unwrap_or(0.0),
            // A float to integer conversion saturates; a period of 292 years holds for ever.
            period: (period.unwrap_or(0.0) * 1e9) as i64,
            checks: validate::Checks::new(item, version),
            reset: resets.then(|| given.clone().unwrap_or_else(|| zero(item.shape))),
            initial: only.or(given).unwrap_or(Value::Unavailable),
        }
    }

    /// Whether a text that stands for a number stays that text: `5.000000` is what was said.
    pub(super) fn keeps_text(&self) -> bool {
        self.keeps_text && self.units == Units::Same
    }

    pub(super) fn validity(&self, value: &Value) -> Validity {
        self.checks.validity(value)
    }
}

/// Whether an item is an EVENT that is a number and needs no conversion or filter: then what the
/// source wrote is checked to be a number and leaves as it is.
pub(super) fn keeps_text(item: &DataItem) -> bool {
    item.category == Category::Event
        && item.shape == Shape::Number
        && item.reset_trigger.is_empty()
        && item.filters.minimum_delta.is_none()
        && units(item) == Units::Same
}

fn units(item: &DataItem) -> Units {
    let native = if item.native_units.is_empty() { &item.units } else { &item.native_units };
    let scale = item.native_scale.unwrap_or(1.0);
    let conversion = if item.units.is_empty() {
        Conversion::IDENTITY
    } else if let Some(conversion) = Conversion::between(native, &item.units) {
        conversion
    } else {
        return Units::Unknown;
    };
    match conversion.scaled(scale) {
        Conversion::IDENTITY => Units::Same,
        conversion => Units::Convert(conversion),
    }
}

fn zero(shape: Shape) -> Value {
    match shape {
        Shape::Number => Value::Number(0.0),
        Shape::Text => Value::Text(SmolStr::default()),
        _ => Value::Unavailable,
    }
}
