//! Fields to values, by the shape of their point.

use std::sync::Arc;

use guideway_contract::{
    Annotated, AssetEvent, Condition, Level, Message, Qualifier, Shape, TimeSeries, Value,
};
use smol_str::{SmolStr, StrExt};

use super::Fields;
use super::keys::Target;

/// A value and what is wrong with it. What does not fit its shape comes as text, for the pipeline to
/// make of it what an item has that nobody knows.
pub(super) struct Read {
    pub(super) value: Value,
    pub(super) wrong: Option<&'static str>,
}

impl Read {
    const fn good(value: Value) -> Self {
        Self { value, wrong: None }
    }

    fn unfit(text: &str, wrong: &'static str) -> Self {
        Self { value: Value::text(text), wrong: Some(wrong) }
    }
}

/// A finite decimal number: sign, digits, fraction, exponent. No hexadecimal, no decimal comma, no
/// `inf` or `nan`, nothing behind it.
#[inline]
pub fn number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    // The library also reads `inf` and `nan`; only digits and a point may follow the sign.
    let first = match bytes {
        [b'+' | b'-', first, ..] | [first, ..] => *first,
        [] => return None,
    };
    if !(first.is_ascii_digit() || first == b'.') {
        return None;
    }
    fast_float2::parse(bytes).ok().filter(|number: &f64| number.is_finite())
}

/// How many fields an item of that shape has on a line.
pub(super) const fn width(shape: Shape) -> usize {
    match shape {
        Shape::Condition => 5,
        Shape::TimeSeries => 3,
        Shape::Message | Shape::AssetEvent => 2,
        Shape::Number | Shape::Text | Shape::Vector3 | Shape::DataSet | Shape::Table => 1,
    }
}

fn is_unavailable(text: &str) -> bool {
    text.len() == 11 && text.eq_ignore_ascii_case("UNAVAILABLE")
}

/// Reads what follows a key, up to the width of its shape or the end of the line. `first` is the
/// first of these fields.
#[inline]
pub(super) fn read(target: Target, first: &str, fields: &mut Fields<'_>, options: Options<'_>) -> Read {
    match target.shape {
        Shape::Number => numeric(target, first, options),
        Shape::Text => {
            if is_unavailable(first) {
                return Read::good(Value::Unavailable);
            }
            let (text, reset) = split_reset(target, first);
            Read::good(annotated(Value::text(text), reset, options))
        }
        _ => read_other(target, first, fields, options),
    }
}

/// What of a line and of the configuration bears on a value.
#[derive(Clone, Copy)]
pub(super) struct Options<'a> {
    /// Seconds over which the values of the line were gathered.
    pub(super) duration: Option<f64>,
    /// Whether a native code may carry a conditionId.
    pub(super) condition_ids: bool,
    /// What `@` in front of an asset's id stands for.
    pub(super) uuid: Option<&'a str>,
}

fn numeric(target: Target, first: &str, options: Options<'_>) -> Read {
    if let Some(number) = number(first) {
        return Read::good(annotated(Value::Number(number), None, options));
    }
    if is_unavailable(first) {
        return Read::good(Value::Unavailable);
    }
    let (text, reset) = split_reset(target, first);
    if text.is_empty() {
        return Read { value: Value::Unavailable, wrong: Some("is empty where a number is expected") };
    }
    match number(text.trim_ascii()) {
        Some(number) => Read::good(annotated(Value::Number(number), reset, options)),
        None => Read::unfit(first, "is not a number"),
    }
}

fn read_other(target: Target, first: &str, fields: &mut Fields<'_>, options: Options<'_>) -> Read {
    match target.shape {
        Shape::Number | Shape::Text => numeric(target, first, options),
        Shape::Vector3 => vector(target, first, options),
        Shape::DataSet | Shape::Table => {
            if is_unavailable(first) {
                return Read::good(Value::Unavailable);
            }
            let table = target.shape == Shape::Table;
            match if table { super::table(first) } else { super::data_set(first) } {
                Some(set) => Read::good(annotated(Value::DataSet(Arc::new(set)), None, options)),
                None if table => Read::unfit(first, "is not a table"),
                None => Read::unfit(first, "is not a data set"),
            }
        }
        Shape::TimeSeries => time_series(first, fields, options),
        Shape::Condition => condition(first, fields, options),
        Shape::Message => match fields.next() {
            Some(text) if is_unavailable(&text) => Read::good(Value::Unavailable),
            Some(text) if text.is_empty() && is_unavailable(first) => Read::good(Value::Unavailable),
            Some(text) => Read::good(Value::Message(Arc::new(Message {
                native_code: first.into(),
                text: SmolStr::from(text),
            }))),
            None if is_unavailable(first) => Read::good(Value::Unavailable),
            None => Read::unfit(first, "is a message's code without its text"),
        },
        Shape::AssetEvent => match fields.next() {
            Some(id) if is_unavailable(&id) => Read::good(Value::Unavailable),
            Some(id) if id.is_empty() && is_unavailable(first) => Read::good(Value::Unavailable),
            Some(id) => Read::good(Value::AssetEvent(Arc::new(AssetEvent {
                asset_type: first.into(),
                asset_id: asset_id(&id, options.uuid),
            }))),
            None if is_unavailable(first) => Read::good(Value::Unavailable),
            None => Read::unfit(first, "is an asset's type without its id"),
        },
    }
}

fn vector(target: Target, first: &str, options: Options<'_>) -> Read {
    if is_unavailable(first) {
        return Read::good(Value::Unavailable);
    }
    let (text, reset) = split_reset(target, first);
    let mut numbers = text.split_ascii_whitespace().map(number);
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(Some(x)), Some(Some(y)), Some(Some(z)), None) => {
            Read::good(annotated(Value::Vector3(Arc::new([x, y, z])), reset, options))
        }
        (None, ..) => Read { value: Value::Unavailable, wrong: Some("is empty where three numbers are") },
        _ => Read::unfit(first, "is not three numbers with spaces between"),
    }
}

fn time_series(first: &str, fields: &mut Fields<'_>, options: Options<'_>) -> Read {
    if is_unavailable(first) {
        // The short form: what may follow says nothing more.
        for _ in 1..width(Shape::TimeSeries) {
            let mut ahead = fields.clone();
            match ahead.next() {
                Some(field) if field.is_empty() || is_unavailable(&field) => *fields = ahead,
                _ => break,
            }
        }
        return Read::good(Value::Unavailable);
    }
    let rate = fields.next();
    let Some(samples) = fields.next() else {
        return Read::unfit(first, "is a time series without its samples");
    };
    if is_unavailable(&samples) {
        return Read::good(Value::Unavailable);
    }
    let rate = match rate.as_deref() {
        None | Some("") => None,
        Some(rate) => match number(rate) {
            Some(rate) if rate >= 0.0 => Some(rate).filter(|rate| *rate > 0.0),
            _ => return Read::unfit(&samples, "has a rate that is not a number"),
        },
    };
    let values: Option<Vec<f64>> = samples.split_ascii_whitespace().map(number).collect();
    let Some(values) = values else {
        return Read::unfit(&samples, "has samples that are not numbers");
    };
    if values.is_empty() && !matches!(first, "" | "0") {
        return Read { value: Value::Unavailable, wrong: Some("is a time series without its samples") };
    }
    let counted = first.is_empty() || first.parse() == Ok(values.len());
    let value = annotated(Value::TimeSeries(Arc::new(TimeSeries { rate, values })), None, options);
    Read { value, wrong: (!counted).then_some("has another number of samples than it says") }
}

fn condition(first: &str, fields: &mut Fields<'_>, options: Options<'_>) -> Read {
    let mut rest = std::iter::from_fn(|| fields.next()).take(width(Shape::Condition) - 1);
    let native_code = rest.next().unwrap_or_default();
    let native_severity = rest.next().unwrap_or_default();
    let qualifier = rest.next().unwrap_or_default();
    let message = rest.next().unwrap_or_default();
    let level = if is_unavailable(first) {
        return Read::good(Value::Unavailable);
    } else if first.eq_ignore_ascii_case("NORMAL") {
        Level::Normal
    } else if first.eq_ignore_ascii_case("WARNING") {
        Level::Warning
    } else if first.eq_ignore_ascii_case("FAULT") {
        Level::Fault
    } else {
        return Read::unfit(first, "is not NORMAL, WARNING, FAULT or UNAVAILABLE");
    };
    let (native_code, condition_id) = match native_code.split_once(':') {
        Some((code, id)) if options.condition_ids => (code.trim_ascii_end(), id.trim_ascii_start()),
        _ => (&*native_code, ""),
    };
    let (qualifier, wrong) = if qualifier.is_empty() {
        (None, None)
    } else if qualifier.eq_ignore_ascii_case("HIGH") {
        (Some(Qualifier::High), None)
    } else if qualifier.eq_ignore_ascii_case("LOW") {
        (Some(Qualifier::Low), None)
    } else {
        (None, Some("has a qualifier that is not HIGH or LOW"))
    };
    let value = Value::Condition(Arc::new(Condition {
        level,
        native_code: native_code.into(),
        native_severity: SmolStr::from(native_severity),
        qualifier,
        message: SmolStr::from(message),
        condition_id: condition_id.into(),
    }));
    Read { value, wrong }
}

/// An asset's id; a leading `@` stands for the device's uuid.
pub(super) fn asset_id(id: &str, uuid: Option<&str>) -> SmolStr {
    match (id.strip_prefix('@'), uuid) {
        (Some(id), Some(uuid)) => SmolStr::from(format!("{uuid}{id}")),
        _ => id.into(),
    }
}

/// `value:TRIGGER`, where the item can be reset.
fn split_reset(target: Target, text: &str) -> (&str, Option<SmolStr>) {
    if target.resets
        && let Some((value, trigger)) = text.split_once(':')
    {
        let trigger = trigger.trim_ascii();
        let reset = (!trigger.is_empty()).then(|| trigger.to_ascii_uppercase_smolstr());
        return (value.trim_ascii_end(), reset);
    }
    (text, None)
}

#[inline]
fn annotated(value: Value, reset_triggered: Option<SmolStr>, options: Options<'_>) -> Value {
    if options.duration.is_none() && reset_triggered.is_none() {
        return value;
    }
    Value::Annotated(Arc::new(Annotated { value, duration: options.duration, reset_triggered }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_is_decimal_and_whole() {
        for (text, expected) in
            [("12", 12.0), ("-0.5", -0.5), ("+1e3", 1_000.0), (".5", 0.5), ("5.", 5.0), ("1E-2", 0.01)]
        {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        for text in [
            "", "-", "+", ".", "12abc", "0x10", "1,5", "inf", "-inf", "nan", "infinity", "1e999", "1 2",
            "--1", "1e", "١", "+-1", "1_000", " 1",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_number_is_read_back(value in prop::num::f64::NORMAL) {
            prop_assert_eq!(number(&value.to_string()), Some(value));
            prop_assert_eq!(number(&format!("{value:e}")), Some(value));
        }
    }
}
