//! Raw values in the shape of their data item.

use std::sync::Arc;

use guideway_contract::{
    Cell, Condition, DataSet, Entry, Level, Message, Native, Shape, TimeSeries, Value, sort_unique,
};
use smol_str::{SmolStr, format_smolstr};

/// A decimal number with nothing but spaces around it.
pub(super) fn number(text: &str) -> Option<f64> {
    crate::pipeline::shape::number(text.trim())
}

/// The value that a data item of that shape makes of it; `rate` in hertz is for time series.
///
/// # Errors
/// Why it is none of its kind, in words.
pub(super) fn shaped(native: &Native, shape: Shape, rate: Option<f64>) -> Result<Value, String> {
    match native {
        Native::Bad(cause) => return Err(cause.to_string()),
        Native::Null => return Ok(Value::Unavailable),
        Native::Text(text) if text.eq_ignore_ascii_case("UNAVAILABLE") => return Ok(Value::Unavailable),
        _ => {}
    }
    let none = || format!("{native} is {} and no {}", native.kind(), name(shape));
    match shape {
        Shape::Number => finite(native).map(Value::Number).ok_or_else(none),
        Shape::Text => Ok(Value::Text(text(native))),
        Shape::Message => {
            Ok(Value::Message(Arc::new(Message { native_code: SmolStr::default(), text: text(native) })))
        }
        Shape::Vector3 => match numbers(native).as_deref() {
            Some([x, y, z]) => Ok(Value::Vector3(Arc::new([*x, *y, *z]))),
            _ => Err(none()),
        },
        Shape::TimeSeries => {
            let values = numbers(native).ok_or_else(none)?;
            Ok(Value::TimeSeries(Arc::new(TimeSeries { rate, values })))
        }
        Shape::DataSet | Shape::Table => {
            let entries: Vec<Entry> = match native {
                Native::Record(fields) => {
                    fields.iter().map(|(name, value)| entry(name, value, shape)).collect()
                }
                // Elements are counted as people count.
                Native::List(values) => (1_u32..)
                    .zip(values.iter())
                    .map(|(at, value)| entry(&format_smolstr!("{at}"), value, shape))
                    .collect(),
                _ => return Err(none()),
            };
            Ok(Value::DataSet(Arc::new(DataSet::new(None, entries))))
        }
        Shape::Condition => {
            let level = match text(native).to_ascii_uppercase().as_str() {
                "NORMAL" => Level::Normal,
                "WARNING" => Level::Warning,
                "FAULT" => Level::Fault,
                _ => return Err(none()),
            };
            Ok(Value::Condition(Arc::new(Condition { level, ..Condition::normal() })))
        }
        Shape::AssetEvent => Err(none()),
    }
}

/// As text: numbers by their shortest form, bytes in hexadecimal, lists with commas between.
pub(super) fn text(native: &Native) -> SmolStr {
    match native {
        Native::Text(text) => text.clone(),
        Native::List(values) => values.iter().map(text).collect::<Vec<_>>().join(",").into(),
        other => format_smolstr!("{other}"),
    }
}

fn finite(native: &Native) -> Option<f64> {
    let number = match native {
        Native::Text(text) => number(text),
        other => other.number(),
    };
    number.filter(|number| number.is_finite())
}

fn numbers(native: &Native) -> Option<Vec<f64>> {
    match native {
        Native::List(values) => values.iter().map(finite).collect(),
        Native::Record(fields) => fields.iter().map(|(_, value)| finite(value)).collect(),
        Native::Text(text) => text.split_whitespace().map(number).collect(),
        _ => None,
    }
}

/// An entry of a data set, or of a table.
pub(super) fn entry(name: &str, native: &Native, shape: Shape) -> Entry {
    Entry { key: key(name), cell: cell(native, shape) }
}

/// Of a table a record is a row.
fn cell(native: &Native, shape: Shape) -> Cell {
    match native {
        Native::Int(number) => Cell::Integer(*number),
        Native::Float(number) if number.is_finite() => Cell::Number(*number),
        Native::Record(fields) if shape == Shape::Table => {
            let mut row: Vec<Entry> =
                fields.iter().map(|(name, value)| entry(name, value, Shape::DataSet)).collect();
            row.retain(|entry| entry.cell != Cell::Removed);
            sort_unique(&mut row);
            Cell::Row(row)
        }
        Native::Null | Native::Bad(_) => Cell::Removed,
        other => Cell::Text(text(other)),
    }
}

/// Keys of data sets hold no white space: what a source puts there becomes `_`.
fn key(name: &str) -> SmolStr {
    if !name.is_empty() && !name.contains(char::is_whitespace) {
        return name.into();
    }
    let key: String = name.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
    if key.is_empty() { "_".into() } else { key.into() }
}

const fn name(shape: Shape) -> &'static str {
    match shape {
        Shape::Number => "number",
        Shape::Text => "text",
        Shape::Vector3 => "list of three numbers",
        Shape::TimeSeries => "list of numbers",
        Shape::DataSet => "record",
        Shape::Table => "record of records",
        Shape::Condition => "NORMAL, WARNING or FAULT",
        Shape::Message => "message",
        Shape::AssetEvent => "asset event",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_texts_and_lists_take_the_shape_of_their_item() {
        assert_eq!(shaped(&Native::Int(5), Shape::Number, None), Ok(Value::Number(5.0)));
        assert_eq!(shaped(&Native::text(" 5.50 "), Shape::Number, None), Ok(Value::Number(5.5)));
        assert_eq!(shaped(&Native::Float(5.0), Shape::Text, None), Ok(Value::text("5")));
        assert_eq!(shaped(&Native::Bool(true), Shape::Text, None), Ok(Value::text("true")));
        let list = Native::List([Native::Int(1), Native::Float(2.5), Native::Int(3)].into());
        let vector = Value::Vector3(Arc::new([1.0, 2.5, 3.0]));
        assert_eq!(shaped(&list, Shape::Vector3, None), Ok(vector));
        assert_eq!(shaped(&Native::Null, Shape::Number, None), Ok(Value::Unavailable));
        assert_eq!(shaped(&Native::text("unavailable"), Shape::Text, None), Ok(Value::Unavailable));
    }

    #[test]
    fn what_is_none_of_its_kind_says_so() {
        for (native, shape) in [
            (Native::text("5,0"), Shape::Number),
            (Native::Float(f64::NAN), Shape::Number),
            (Native::Int(1), Shape::Vector3),
            (Native::text("bad"), Shape::Condition),
            (Native::Int(1), Shape::DataSet),
        ] {
            assert!(shaped(&native, shape, None).is_err(), "{native:?}");
        }
        let bad = shaped(&Native::bad("no such tag"), Shape::Number, None);
        assert_eq!(bad, Err("no such tag".into()));
    }

    #[test]
    fn a_record_is_a_data_set_and_a_record_of_records_a_table() {
        let fields = [("x".into(), Native::Int(1)), ("a b".into(), Native::text("t"))];
        let row = Native::Record(fields.into());
        let Ok(Value::DataSet(set)) = shaped(&row, Shape::DataSet, None) else { panic!("no data set") };
        assert_eq!(set.get("x"), Some(&Cell::Integer(1)));
        assert_eq!(set.get("a_b"), Some(&Cell::Text("t".into())));
        let table = Native::Record([("r1".into(), row)].into());
        let Ok(Value::DataSet(set)) = shaped(&table, Shape::Table, None) else { panic!("no table") };
        assert!(matches!(set.get("r1"), Some(Cell::Row(_))));
    }
}
