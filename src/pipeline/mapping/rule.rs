//! What a profile says of points and items, compiled: how raw values become values of data items.

use std::sync::Arc;

use guideway_contract::{Level, Native, Qualifier};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::{Expression, Template, value};

/// What is done to a point's raw value before anyone sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointRule {
    /// Its key in the profile.
    pub name: SmolStr,
    /// Factor of numbers, elements of lists included; `None` leaves integers integers.
    pub scale: Option<f64>,
    /// What is added after scaling.
    pub offset: Option<f64>,
    /// Raw values that mean "no value".
    pub invalid: Vec<Native>,
}

impl PointRule {
    /// A point whose raw value is its value.
    pub fn plain(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Value from raw value: `raw * scale + offset`.
    pub fn apply(&self, raw: Native) -> Native {
        if self.invalid.iter().any(|invalid| same(invalid, &raw)) {
            return Native::bad(format!("{raw} means no value"));
        }
        if self.scale.is_none() && self.offset.is_none() {
            return raw;
        }
        scaled(raw, self.scale.unwrap_or(1.0), self.offset.unwrap_or(0.0))
    }
}

fn scaled(raw: Native, scale: f64, offset: f64) -> Native {
    let number = match &raw {
        Native::List(values) => {
            return Native::List(values.iter().map(|value| scaled(value.clone(), scale, offset)).collect());
        }
        Native::Text(text) => value::number(text),
        Native::Bool(_) => None,
        other => other.number(),
    };
    number.map_or(raw, |number| Native::Float(multiplied(number, scale) + offset))
}

/// A scale such as 0.1 is a division by ten: 3 × 0.1 is 0.3 then, and not 0.30000000000000004.
fn multiplied(number: f64, scale: f64) -> f64 {
    let inverse = 1.0 / scale;
    let whole = inverse.round();
    let is_decimal = scale.abs() < 1.0 && whole.abs() <= 1e15 && (inverse - whole).abs() < 1e-9 * whole.abs();
    if is_decimal { number / whole } else { number * scale }
}

/// Equal as numbers, whatever their width; else equal.
fn same(a: &Native, b: &Native) -> bool {
    match (a.number(), b.number()) {
        (Some(x), Some(y)) => x == y || (x.is_nan() && y.is_nan()),
        _ => a == b,
    }
}

/// Words for raw values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Enumeration {
    /// Its key in the profile.
    pub name: SmolStr,
    /// By the raw value as text: `3`, `true`, `FEED HOLD`.
    pub words: FxHashMap<SmolStr, SmolStr>,
    /// The word for anything else.
    pub otherwise: Option<SmolStr>,
}

impl Enumeration {
    /// The word for a value.
    ///
    /// # Errors
    /// That there is none.
    pub(super) fn word(&self, value: &Native) -> Result<SmolStr, String> {
        if let Native::Bad(cause) = value {
            return Err(cause.to_string());
        }
        let text = value::text(value);
        let word = self.words.get(text.trim()).or(self.otherwise.as_ref());
        word.cloned().ok_or_else(|| format!("the enum `{}` has no word for `{text}`", self.name))
    }
}

/// A part of a point's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Element of a list, counted from 0; negative from the end.
    Index(i32),
    /// Field of a record.
    Field(SmolStr),
}

impl Part {
    pub(super) fn of<'n>(&self, value: &'n Native) -> Result<&'n Native, String> {
        let found = match (self, value) {
            (_, Native::Bad(cause)) => return Err(cause.to_string()),
            (Self::Index(index), Native::List(values)) => {
                let size = index.unsigned_abs() as usize;
                let at = if *index < 0 { values.len().checked_sub(size) } else { Some(size) };
                at.and_then(|at| values.get(at))
            }
            (Self::Field(name), Native::Record(fields)) => {
                fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
            }
            _ => None,
        };
        found.ok_or_else(|| match self {
            Self::Index(index) => format!("{value} has no field {index}"),
            Self::Field(name) => format!("{value} has no field `{name}`"),
        })
    }
}

/// A condition's entry that an expression switches on and off.
#[derive(Debug)]
pub struct ConditionRule {
    /// Active while it is true.
    pub when: Expression,
    /// What it says while active.
    pub entry: Entry,
}

/// What a condition says while it is active.
#[derive(Debug)]
pub struct Entry {
    /// WARNING or FAULT.
    pub level: Level,
    /// The native code; what tells entries of a condition apart.
    pub code: Template,
    /// The native severity; may be empty.
    pub severity: SmolStr,
    /// High or low.
    pub qualifier: Option<Qualifier>,
    /// For the operator.
    pub text: Template,
}

/// A condition's entry that a bit switches on and off.
#[derive(Debug)]
pub struct Alarm {
    /// Bit 0 is the lowest of the word, or of the first byte.
    pub bit: u32,
    /// Active while the bit is clear.
    pub inverted: bool,
    /// What it says while active.
    pub entry: Entry,
}

/// How an item's value comes about.
#[derive(Debug)]
pub enum How {
    /// From a point, or a part of it, perhaps by an enumeration.
    Point {
        /// Which point.
        point: u32,
        /// Which part of it; `None`: all of it.
        part: Option<Part>,
        /// Words for it.
        words: Option<Arc<Enumeration>>,
        /// Hertz, for time series.
        rate: Option<f64>,
    },
    /// By an expression, perhaps by an enumeration of its result.
    Expression {
        /// The expression.
        expression: Expression,
        /// Words for its result.
        words: Option<Arc<Enumeration>>,
    },
    /// A data set of several expressions.
    Entries(Vec<(SmolStr, Expression)>),
    /// A condition of entries that expressions switch.
    Conditions(Vec<ConditionRule>),
    /// A condition of entries that bits switch.
    Bits {
        /// Which point.
        point: u32,
        /// The entries.
        alarms: Vec<Alarm>,
    },
}

/// One data item of a profile.
#[derive(Debug)]
pub struct ItemRule {
    /// The data item's id in the device model.
    pub id: SmolStr,
    /// How its value comes about.
    pub how: How,
    /// While it is false the item keeps its last value.
    pub when: Option<Expression>,
}

impl ItemRule {
    /// The points it needs, in ascending order.
    pub fn inputs(&self) -> Vec<u32> {
        let mut inputs: Vec<u32> = self.when.iter().flat_map(Expression::inputs).collect();
        match &self.how {
            How::Point { point, .. } => inputs.push(*point),
            How::Expression { expression, .. } => inputs.extend(expression.inputs()),
            How::Entries(entries) => inputs.extend(entries.iter().flat_map(|(_, entry)| entry.inputs())),
            How::Conditions(rules) => {
                inputs.extend(rules.iter().flat_map(|rule| rule.when.inputs().chain(rule.entry.inputs())));
            }
            How::Bits { point, alarms } => {
                inputs.push(*point);
                inputs.extend(alarms.iter().flat_map(|alarm| alarm.entry.inputs()));
            }
        }
        inputs.sort_unstable();
        inputs.dedup();
        inputs
    }
}

impl Entry {
    fn inputs(&self) -> impl Iterator<Item = u32> + '_ {
        self.code.inputs().chain(self.text.inputs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_scale_gives_decimal_numbers() {
        let rule = PointRule { scale: Some(0.1), ..PointRule::plain("p") };
        assert_eq!(rule.apply(Native::Int(3)), Native::Float(0.3));
        let rule = PointRule { scale: Some(2.5), offset: Some(-40.0), ..PointRule::plain("p") };
        let list = Native::List([Native::Int(2)].into());
        assert_eq!(rule.apply(list), Native::List([Native::Float(-35.0)].into()));
        assert_eq!(PointRule::plain("p").apply(Native::UInt(u64::MAX)), Native::UInt(u64::MAX));
    }

    #[test]
    fn a_raw_value_that_means_nothing_is_none() {
        let invalid = vec![Native::Int(0xFFFF)];
        let rule = PointRule { invalid, scale: Some(0.1), ..PointRule::plain("p") };
        assert!(rule.apply(Native::Int(0xFFFF)).is_bad());
        assert_eq!(rule.apply(Native::Int(10)), Native::Float(1.0));
    }

    #[test]
    fn words_are_found_by_number_truth_and_text() {
        let words = [("3", "ACTIVE"), ("true", "ON"), ("FEED HOLD", "INTERRUPTED")];
        let words = words.map(|(raw, word)| (raw.into(), word.into())).into_iter().collect();
        let mut enumeration = Enumeration { name: "exec".into(), words, otherwise: None };
        assert_eq!(enumeration.word(&Native::Int(3)), Ok("ACTIVE".into()));
        assert_eq!(enumeration.word(&Native::Float(3.0)), Ok("ACTIVE".into()));
        assert_eq!(enumeration.word(&Native::Bool(true)), Ok("ON".into()));
        assert_eq!(enumeration.word(&Native::text("FEED HOLD ")), Ok("INTERRUPTED".into()));
        let unknown = enumeration.word(&Native::Int(4));
        assert_eq!(unknown, Err("the enum `exec` has no word for `4`".into()));
        enumeration.otherwise = Some("READY".into());
        assert_eq!(enumeration.word(&Native::Int(4)), Ok("READY".into()));
    }

    #[test]
    fn parts_are_counted_from_either_end_or_named() {
        let list = Native::List([Native::Int(1), Native::Int(2)].into());
        assert_eq!(Part::Index(-1).of(&list), Ok(&Native::Int(2)));
        assert!(Part::Index(2).of(&list).is_err() && Part::Index(-3).of(&list).is_err());
        let record = Native::Record([("a".into(), Native::Int(1))].into());
        assert_eq!(Part::Field("a".into()).of(&record), Ok(&Native::Int(1)));
        assert_eq!(Part::Field("b".into()).of(&record), Err("{a: 1} has no field `b`".into()));
    }
}
