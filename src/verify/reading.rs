//! What a face said: of which data item, when, and what; and whether two faces said the same.

use std::collections::BTreeMap;
use std::fmt;

use smol_str::SmolStr;

/// A data item, by the uuid of its device and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// `uuid` of the device.
    pub device: SmolStr,
    /// `id` of the data item.
    pub id: SmolStr,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.device, self.id)
    }
}

/// One value of one data item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// Source time, in nanoseconds since 1970.
    pub(super) time: i64,
    /// The gateway's sequence, where the face tells it.
    pub(super) sequence: Option<u64>,
    /// What was said.
    pub(super) value: Value,
}

/// An entry of a data set, or a cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// The key is gone.
    Removed,
    /// A number or a text, as text.
    Plain(SmolStr),
    /// A table's row.
    Row(BTreeMap<SmolStr, SmolStr>),
}

/// Entries of a data set or table, by key.
pub(super) type Entries = BTreeMap<SmolStr, Cell>;

/// The level of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Nothing wrong.
    Normal,
    /// Something wants attention.
    Warning,
    /// The machine wants help.
    Fault,
}

/// One activation of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// How bad.
    pub(super) level: Level,
    /// The machine's own code; empty when there is none.
    pub(super) native_code: SmolStr,
    /// `conditionId`; empty when there is none, or when the face does not tell it.
    pub(super) condition_id: SmolStr,
    /// The machine's own severity.
    pub(super) native_severity: SmolStr,
    /// `HIGH`, `LOW` or nothing.
    pub(super) qualifier: SmolStr,
    /// The text.
    pub(super) message: SmolStr,
}

/// What was said. A face that writes numbers as texts (XML does) says the same as one that has
/// numbers: see [`same`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// UNAVAILABLE, null, Bad_NotConnected.
    Unavailable,
    /// A number.
    Number(f64),
    /// A text, or a number as text.
    Text(SmolStr),
    /// A position in space, or the values of a series.
    Numbers(Vec<f64>),
    /// A series whose rate is told.
    Series {
        /// Values per second.
        rate: f64,
        /// In order of time; the last one was at the time of the reading.
        values: Vec<f64>,
    },
    /// The entries of a data set that changed; all of them after a reset.
    Change {
        /// By key.
        entries: Entries,
        /// What was there before is gone.
        reset: bool,
    },
    /// A data set as it stands.
    Whole(Entries),
    /// An activation of a condition.
    Condition(Box<Condition>),
    /// A message.
    Message {
        /// The machine's own code.
        native_code: SmolStr,
        /// The text.
        text: SmolStr,
    },
    /// An asset was added, changed or removed.
    Asset {
        /// Such as `CuttingTool`.
        asset_type: SmolStr,
        /// Its id.
        asset_id: SmolStr,
    },
    /// What the face's form has no place for, such as a word outside of a vocabulary.
    Unfit,
    /// What this program cannot read; equal to nothing.
    Strange(String),
}

/// Whether two faces said the same of one item. Times may differ by less than 100 ns, the resolution of
/// OPC UA.
pub(super) fn same(a: &Reading, b: &Reading) -> bool {
    a.time.abs_diff(b.time) < 100 && same_value(&a.value, &b.value)
}

/// Whether two values say the same.
pub(super) fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => same_text(a, b),
        (Value::Change { entries: a, reset: first }, Value::Change { entries: b, reset: second }) => {
            first == second && same_entries(a, b)
        }
        // The schemas from 1.8 on have no place for the code of a message.
        (Value::Message { native_code: a, text: one }, Value::Message { native_code: b, text: other }) => {
            one == other && (a == b || a.is_empty() || b.is_empty())
        }
        (Value::Whole(a), Value::Whole(b)) => same_entries(a, b),
        (Value::Strange(_), _) | (_, Value::Strange(_)) => false,
        (a, b) => a == b || same_numbers(list(a), list(b)),
    }
}

/// The numbers that a value consists of.
fn list(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Number(number) => Some(vec![*number]),
        Value::Text(text) => numbers(text),
        Value::Numbers(list) | Value::Series { values: list, .. } => Some(list.clone()),
        _ => None,
    }
}

fn same_entries(a: &Entries, b: &Entries) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((key, a), (other, b))| key == other && same_cell(a, b))
}

fn same_cell(a: &Cell, b: &Cell) -> bool {
    match (a, b) {
        (Cell::Plain(a), Cell::Plain(b)) => same_text(a, b),
        (Cell::Row(a), Cell::Row(b)) => {
            let pairs = || a.iter().zip(b);
            a.len() == b.len() && pairs().all(|((key, a), (other, b))| key == other && same_text(a, b))
        }
        (a, b) => a == b,
    }
}

fn same_text(a: &str, b: &str) -> bool {
    a == b || same_numbers(numbers(a), numbers(b))
}

fn same_number(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

fn same_numbers(a: Option<Vec<f64>>, b: Option<Vec<f64>>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same_number(*a, *b))
}

/// The numbers that a text is; `None` when it is anything else.
fn numbers(text: &str) -> Option<Vec<f64>> {
    let found: Option<Vec<f64>> = text.split_ascii_whitespace().map(|part| part.parse().ok()).collect();
    found.filter(|list| !list.is_empty())
}

/// A time as the standard writes it, in nanoseconds since 1970.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.time)) {
            Ok(time) => write!(f, "{} at {time}", self.value)?,
            Err(_) => write!(f, "{} at {} ns", self.value, self.time)?,
        }
        match self.sequence {
            Some(sequence) => write!(f, " (sequence {sequence})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable => f.write_str("UNAVAILABLE"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Numbers(list) => write!(f, "{list:?}"),
            Self::Series { rate, values } => write!(f, "{values:?} at {rate} Hz"),
            Self::Unfit => f.write_str("a status that says that the value does not fit"),
            Self::Change { entries, reset } => {
                f.write_str(if *reset { "reset to " } else { "changed " })?;
                write_entries(f, entries)
            }
            Self::Whole(entries) => write_entries(f, entries),
            Self::Condition(it) => {
                write!(f, "{:?} {:?} {:?}", it.level, it.native_code, it.message)?;
                write!(f, " severity {:?} qualifier {:?}", it.native_severity, it.qualifier)
            }
            Self::Message { native_code, text } => write!(f, "message {native_code:?} {text:?}"),
            Self::Asset { asset_type, asset_id } => write!(f, "asset {asset_type} {asset_id}"),
            Self::Strange(what) => write!(f, "unreadable: {what}"),
        }
    }
}

/// The first entries; a set can have thousands.
fn write_entries(f: &mut fmt::Formatter<'_>, entries: &Entries) -> fmt::Result {
    f.write_str("{")?;
    for (key, cell) in entries.iter().take(6) {
        match cell {
            Cell::Removed => write!(f, "{key} removed, ")?,
            Cell::Plain(text) => write!(f, "{key}={text}, ")?,
            Cell::Row(row) => write!(f, "{key}={row:?}, ")?,
        }
    }
    write!(f, "{} entries}}", entries.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(it: &str) -> Value {
        Value::Text(it.into())
    }

    #[test]
    fn a_number_is_the_same_in_every_writing() {
        assert!(same_value(&text("5.000000"), &Value::Number(5.0)));
        assert!(same_value(&text("5.0"), &text("5")));
        assert!(same_value(&text("1 2.50 -3"), &Value::Numbers(vec![1.0, 2.5, -3.0])));
        assert!(same_value(&text("NaN"), &Value::Number(f64::NAN)));
        assert!(!same_value(&text("5.1"), &Value::Number(5.0)));
        assert!(!same_value(&text("1 2"), &Value::Numbers(vec![1.0, 2.0, 3.0])));
    }

    #[test]
    fn texts_and_unavailable_are_told_apart() {
        assert!(same_value(&text("READY"), &text("READY")));
        assert!(!same_value(&text("READY"), &text("ready")));
        assert!(!same_value(&text(""), &text(" ")));
        assert!(!same_value(&Value::Unavailable, &text("UNAVAILABLE")));
        let strange = Value::Strange("x".into());
        assert!(!same_value(&strange, &strange));
    }

    #[test]
    fn times_are_the_same_within_the_resolution_of_opc_ua() {
        let at = |time| Reading { time, sequence: None, value: Value::Number(1.0) };
        assert!(same(&at(199), &at(100)));
        assert!(!same(&at(200), &at(100)));
        assert_eq!(parse_time("1970-01-01T00:00:01.0000005Z"), Some(1_000_000_500));
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn sets_are_compared_by_key() {
        let set = |pairs: &[(&str, &str)]| {
            let cells = pairs.iter().map(|(key, cell)| ((*key).into(), Cell::Plain((*cell).into())));
            Value::Whole(cells.collect())
        };
        assert!(same_value(&set(&[("a", "1"), ("b", "x")]), &set(&[("b", "x"), ("a", "1.0")])));
        assert!(!same_value(&set(&[("a", "1")]), &set(&[("a", "1"), ("b", "x")])));
        assert!(!same_value(&set(&[("a", "1")]), &set(&[("b", "1")])));
    }
}
