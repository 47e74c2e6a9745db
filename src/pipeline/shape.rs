//! Values in the shape of their data item, whatever their source made of them.

use std::sync::Arc;

use guideway_contract::{Annotated, Message, Shape, Value};
use smol_str::SmolStr;

/// The value in that shape. `None` when it is none of its kind: the pipeline then says UNAVAILABLE,
/// for keeping an old value, or half of a new one, would be a lie.
///
/// `UNAVAILABLE` in any letter case is [`Value::Unavailable`]. Where the item has a reset trigger
/// (`reset`: the value it starts anew with, when the source gives none), `value:TRIGGER` is split.
pub(super) fn fit(shape: Shape, reset: Option<&Value>, value: Value) -> Option<Value> {
    match value {
        Value::Unavailable => Some(Value::Unavailable),
        Value::Annotated(annotated) => {
            let value = fit(shape, None, annotated.value.clone())?;
            let (duration, reset_triggered) = (annotated.duration, annotated.reset_triggered.clone());
            Some(annotate(value, duration, reset_triggered))
        }
        Value::Text(text) => fit_text(shape, reset, &text),
        Value::Number(number) => match shape {
            Shape::Number => number.is_finite().then_some(value),
            Shape::Text => Some(Value::Text(SmolStr::new(zmij::Buffer::new().format(number)))),
            _ => None,
        },
        Value::Vector3(ref numbers) => {
            (shape == Shape::Vector3 && numbers.iter().all(|number| number.is_finite())).then_some(value)
        }
        Value::TimeSeries(ref series) => {
            let fits = shape == Shape::TimeSeries && series.values.iter().all(|number| number.is_finite());
            fits.then_some(value)
        }
        Value::DataSet(_) => matches!(shape, Shape::DataSet | Shape::Table).then_some(value),
        Value::Condition(_) => (shape == Shape::Condition).then_some(value),
        Value::Message(ref message) => match shape {
            Shape::Message => Some(value),
            Shape::Text => Some(Value::Text(message.text.clone())),
            _ => None,
        },
        Value::AssetEvent(_) => (shape == Shape::AssetEvent).then_some(value),
    }
}

fn fit_text(shape: Shape, reset: Option<&Value>, text: &SmolStr) -> Option<Value> {
    if text.eq_ignore_ascii_case("UNAVAILABLE") {
        return Some(Value::Unavailable);
    }
    if let Some(initial) = reset
        && let Some((head, trigger)) = split_trigger(text)
    {
        let value = if head.is_empty() { initial.clone() } else { fit_text(shape, None, &head.into())? };
        return Some(annotate(value, None, Some(trigger.into())));
    }
    match shape {
        Shape::Number => number(text).map(Value::Number),
        Shape::Text => Some(Value::Text(text.clone())),
        Shape::Vector3 => {
            let mut numbers = text.split_whitespace().map(number);
            let all = [numbers.next()??, numbers.next()??, numbers.next()??];
            numbers.next().is_none().then(|| Value::Vector3(Arc::new(all)))
        }
        Shape::Message => {
            Some(Value::Message(Arc::new(Message { native_code: SmolStr::default(), text: text.clone() })))
        }
        Shape::TimeSeries | Shape::DataSet | Shape::Table | Shape::Condition | Shape::AssetEvent => None,
    }
}

/// The value that a text of the device model (a constraint, an initial value) stands for.
pub(super) fn constant(shape: Shape, text: &SmolStr) -> Option<Value> {
    if shape == Shape::Condition {
        return text.eq_ignore_ascii_case("NORMAL").then(super::condition_chain::normal);
    }
    fit_text(shape, None, &text.trim().into())
}

/// A finite decimal number with nothing around it; `inf`, `nan`, `0x10`, `1,5` are none.
pub(super) fn number(text: &str) -> Option<f64> {
    fast_float2::parse::<f64, _>(text).ok().filter(|number| number.is_finite())
}

/// `value:TRIGGER`, the trigger being a word such as MANUAL or POWER_ON.
fn split_trigger(text: &str) -> Option<(&str, &str)> {
    let (head, trigger) = text.rsplit_once(':')?;
    let is_word = trigger.starts_with(|c: char| c.is_ascii_uppercase())
        && trigger.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_word.then_some((head, trigger))
}

fn annotate(value: Value, duration: Option<f64>, reset_triggered: Option<SmolStr>) -> Value {
    if value.is_unavailable() || (duration.is_none() && reset_triggered.is_none()) {
        return value;
    }
    match value {
        Value::Annotated(inner) => Value::Annotated(Arc::new(Annotated {
            value: inner.value.clone(),
            duration: duration.or(inner.duration),
            reset_triggered: reset_triggered.or_else(|| inner.reset_triggered.clone()),
        })),
        value => Value::Annotated(Arc::new(Annotated { value, duration, reset_triggered })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_decimal_numbers_are_numbers() {
        for (text, expected) in
            [("12", 12.0), ("-0.5", -0.5), ("1e3", 1_000.0), ("1.79769e308", 1.797_69e308)]
        {
            assert_eq!(fit(Shape::Number, None, Value::text(text)), Some(Value::Number(expected)), "{text}");
        }
        for text in ["", "12abc", "0x10", "1,5", "inf", "-Infinity", "nan", "1 2", "1e999", "- 1", "--1"] {
            assert_eq!(fit(Shape::Number, None, Value::text(text)), None, "{text}");
        }
        assert_eq!(fit(Shape::Number, None, Value::Number(f64::NAN)), None);
    }

    #[test]
    fn unavailable_in_any_letter_case_is_unavailable_in_every_shape() {
        for shape in [Shape::Number, Shape::Text, Shape::Condition, Shape::DataSet, Shape::Message] {
            for text in ["UNAVAILABLE", "Unavailable", "unavailable"] {
                assert_eq!(fit(shape, None, Value::text(text)), Some(Value::Unavailable));
            }
        }
    }

    #[test]
    fn what_is_not_of_the_kind_is_rejected_and_never_stored_as_something_empty() {
        assert_eq!(fit(Shape::DataSet, None, Value::text("no set")), None);
        assert_eq!(fit(Shape::Condition, None, Value::text("BROKEN")), None);
        assert_eq!(fit(Shape::Vector3, None, Value::text("1 2")), None);
        assert_eq!(fit(Shape::Vector3, None, Value::text("1 2 3 4")), None);
        assert_eq!(fit(Shape::TimeSeries, None, Value::Number(1.0)), None);
        assert_eq!(fit(Shape::Vector3, None, Value::Vector3(Arc::new([0.0, 0.0, f64::INFINITY]))), None);
    }

    #[test]
    fn a_number_for_a_text_and_a_text_for_a_message_are_taken() {
        assert_eq!(fit(Shape::Text, None, Value::Number(12.5)), Some(Value::text("12.5")));
        let message = fit(Shape::Message, None, Value::text("change filter"));
        assert!(matches!(message, Some(Value::Message(m)) if m.text == "change filter"));
        let vector = Value::Vector3(Arc::new([1.0, 2.0, 3.5]));
        assert_eq!(fit(Shape::Vector3, None, Value::text("1 2 3.5")), Some(vector));
    }

    #[test]
    fn a_reset_is_split_from_its_value_only_where_the_item_can_be_reset() {
        let zero = Value::Number(0.0);
        let split = fit(Shape::Number, Some(&zero), Value::text("12:MANUAL")).expect("fits");
        assert_eq!((split.plain(), split.reset_triggered()), (&Value::Number(12.0), Some("MANUAL")));
        let bare = fit(Shape::Number, Some(&zero), Value::text(":DAY")).expect("fits");
        assert_eq!((bare.plain(), bare.reset_triggered()), (&zero, Some("DAY")));
        assert_eq!(fit(Shape::Number, None, Value::text("12:MANUAL")), None);
        assert_eq!(fit(Shape::Text, None, Value::text("a:B")), Some(Value::text("a:B")));
        assert_eq!(fit(Shape::Text, Some(&zero), Value::text("10:30")), Some(Value::text("10:30")));
    }

    #[test]
    fn an_annotated_value_is_fitted_within() {
        let annotated = |value| annotate(value, Some(1.5), None);
        assert_eq!(
            fit(Shape::Number, None, annotated(Value::text("3"))),
            Some(annotated(Value::Number(3.0)))
        );
        assert_eq!(fit(Shape::Number, None, annotated(Value::text("x"))), None);
    }
}
