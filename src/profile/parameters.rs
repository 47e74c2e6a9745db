//! A profile's parameters: their values for one machine, and `${name}` in its texts.

use std::collections::BTreeMap;

use guideway_contract::Native;
use smol_str::SmolStr;
use toml::de::{DeTable, DeValue};

use super::file::{Parameter, Scalar, ScalarType};
use crate::reading::{Value, expand};

/// The value of a parameter that is as the profile wants it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn value_of(parameter: &Parameter, given: &Scalar) -> Result<Native, String> {
    let native = match (parameter.kind, given) {
        (ScalarType::Int, Scalar::Int(number)) => Native::Int(*number),
        #[expect(clippy::cast_precision_loss, reason = "a number that a person wrote")]
        (ScalarType::Float, Scalar::Int(number)) => Native::Float(*number as f64),
        (ScalarType::Float, Scalar::Float(number)) => Native::Float(*number),
        (ScalarType::Bool, Scalar::Bool(set)) => Native::Bool(*set),
        (ScalarType::String, Scalar::Text(text)) => Native::Text(text.clone()),
        (kind, given) => return Err(format!("{given} is no {}", name(kind))),
    };
    if let Some(number) = native.number().filter(|_| !matches!(native, Native::Bool(_))) {
        let (least, most) =
            (parameter.min.unwrap_or(f64::NEG_INFINITY), parameter.max.unwrap_or(f64::INFINITY));
        // NaN is outside of every range.
        if !(least..=most).contains(&number) {
            return Err(format!("{given} is out of range ({least} to {most})"));
        }
    }
    Ok(native)
}

const fn name(kind: ScalarType) -> &'static str {
    match kind {
        ScalarType::Int => "whole number",
        ScalarType::Float => "number",
        ScalarType::Bool => "true or false",
        ScalarType::String => "text",
    }
}

/// Puts parameters in the place of `${name}` in every text below; names that are no parameters go to `unknown`
/// with the text's place.
pub(super) fn fill(
    table: &mut DeTable<'_>,
    values: &BTreeMap<SmolStr, Native>,
    unknown: &mut Vec<(std::ops::Range<usize>, String)>,
) {
    for (_, value) in table.iter_mut() {
        fill_value(value, values, unknown);
    }
}

fn fill_value(
    value: &mut Value<'_>,
    values: &BTreeMap<SmolStr, Native>,
    unknown: &mut Vec<(std::ops::Range<usize>, String)>,
) {
    let span = value.span();
    match value.get_mut() {
        DeValue::Table(table) => fill(table, values, unknown),
        DeValue::Array(elements) => {
            elements.iter_mut().for_each(|element| fill_value(element, values, unknown));
        }
        // A `$` without a brace is an ordinary sign here: regular expressions end with one.
        DeValue::String(text) if text.contains("${") => {
            let (filled, missing) = expand::braced(text, |name| values.get(name).map(ToString::to_string));
            unknown.extend(missing.into_iter().map(|name| (span.clone(), name)));
            *text = filled.into();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(kind: ScalarType) -> Parameter {
        Parameter { kind, default: None, min: Some(1.0), max: Some(10.0), about: String::new() }
    }

    #[test]
    fn a_value_of_the_right_kind_and_range_is_taken() {
        let float = parameter(ScalarType::Float);
        assert_eq!(value_of(&float, &Scalar::Int(4)), Ok(Native::Float(4.0)));
        assert!(value_of(&float, &Scalar::Float(f64::NAN)).is_err());
        assert_eq!(value_of(&float, &Scalar::Int(11)), Err("11 is out of range (1 to 10)".into()));
        assert_eq!(value_of(&float, &Scalar::Text("x".into())), Err("x is no number".into()));
        assert_eq!(value_of(&parameter(ScalarType::Bool), &Scalar::Bool(false)), Ok(Native::Bool(false)));
        assert!(value_of(&parameter(ScalarType::Int), &Scalar::Float(2.0)).is_err());
    }
}
