//! Values on their way to a machine: arguments as they were given, points as they are written, and both in the audit.

use guideway_contract::Native;
use serde_json::{Map, Value as Json, json};

use super::definition::{Argument, Definition, Kind};
use super::request::json;
use crate::pipeline::mapping::PointRule;

/// The arguments of a command, checked: a record in the definition's order.
///
/// # Errors
/// What is wrong with the first that is wrong, and what it may be.
pub(super) fn arguments(definition: &Definition, given: &Map<String, Json>) -> Result<Native, String> {
    let names =
        || definition.arguments.iter().map(|argument| argument.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(unknown) =
        given.keys().find(|name| !definition.arguments.iter().any(|known| known.name == ***name))
    {
        let shown: String = unknown.chars().take(64).collect();
        return Err(format!("there is no argument `{shown}`; there are: {}", names()));
    }
    let checked = definition.arguments.iter().map(|argument| {
        let name = &argument.name;
        let value = given
            .get(name.as_str())
            .ok_or_else(|| format!("`{name}` is missing; it is {}", wanted(argument)))?;
        let native =
            native(argument, value).map_err(|what| format!("`{name}` {what}; it is {}", wanted(argument)))?;
        Ok((name.clone(), native))
    });
    Ok(Native::Record(checked.collect::<Result<_, String>>()?))
}

fn native(argument: &Argument, value: &Json) -> Result<Native, String> {
    let native = match (argument.kind, value) {
        (Kind::Int, Json::Number(number)) => {
            Native::Int(number.as_i64().ok_or("is no whole number of 64 bits")?)
        }
        (Kind::Float, Json::Number(number)) => {
            Native::Float(number.as_f64().filter(|number| number.is_finite()).ok_or("is no finite number")?)
        }
        (Kind::Bool, Json::Bool(set)) => Native::Bool(*set),
        (Kind::Text, Json::String(text)) => Native::text(text),
        (_, other) => return Err(format!("is {}", kind(other))),
    };
    if let Some(number) = native.number().filter(|_| argument.kind != Kind::Bool) {
        if argument.min.is_some_and(|min| number < min) {
            return Err(format!("is {native}: too small"));
        }
        if argument.max.is_some_and(|max| number > max) {
            return Err(format!("is {native}: too large"));
        }
    }
    if let Native::Text(text) = &native {
        let length = text.chars().count();
        if length > argument.max_len as usize {
            return Err(format!("has {length} characters: too long"));
        }
        if text.chars().any(char::is_control) {
            return Err("has control characters".to_owned());
        }
        if argument.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
            return Err("does not match".to_owned());
        }
    }
    if !argument.one_of.is_empty() && !argument.one_of.contains(&native) {
        return Err("is none of them".to_owned());
    }
    Ok(native)
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// What an argument may be, for people: `an int from 1 to 99`.
pub fn wanted(argument: &Argument) -> String {
    let mut text = match argument.kind {
        Kind::Int => "an int".to_owned(),
        Kind::Float => "a float".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Text => format!("a string of at most {} characters", argument.max_len),
    };
    if let Some(min) = argument.min {
        text += &format!(" from {min}");
    }
    if let Some(max) = argument.max {
        text += &format!(" to {max}");
    }
    if !argument.units.is_empty() {
        text += &format!(" {}", argument.units);
    }
    if let Some(pattern) = argument.pattern_text() {
        text += &format!(" that matches {pattern}");
    }
    if !argument.one_of.is_empty() {
        let all: Vec<String> = argument.one_of.iter().map(ToString::to_string).collect();
        text += &format!(", one of {}", all.join(", "));
    }
    text
}

/// What is written so that the point's value becomes `value`: the inverse of scale and offset.
///
/// # Errors
/// That it is no number where there is a scale.
pub(super) fn unscaled(rule: &PointRule, value: Native) -> Result<Native, String> {
    if let Native::Bad(cause) = &value {
        return Err(cause.to_string());
    }
    if matches!(value, Native::Null | Native::Record(_)) {
        return Err(format!("{} cannot be written to `{}`", value.kind(), rule.name));
    }
    if rule.scale.is_none() && rule.offset.is_none() {
        return Ok(value);
    }
    let number = value.number().filter(|number| number.is_finite());
    let number = number.ok_or_else(|| format!("`{}` is scaled, and {value} is no number", rule.name))?;
    let raw = (number - rule.offset.unwrap_or(0.0)) / rule.scale.unwrap_or(1.0);
    let whole = raw.round();
    // What is whole but for the error of the division is meant to be whole: registers are.
    #[expect(clippy::cast_possible_truncation, reason = "the magnitude was looked at")]
    if (raw - whole).abs() <= 1e-6 * raw.abs().max(1.0) && whole.abs() < 9e15 {
        return Ok(Native::Int(whole as i64));
    }
    Ok(Native::Float(raw))
}

/// Whether a value that was read is the one that was expected. Floats may differ by what 32 bits cannot hold.
pub(super) fn equal(read: &Native, expected: &Native, tolerance: f64) -> bool {
    match (read, expected) {
        (Native::Bool(_), Native::Bool(_)) | (Native::Text(_), Native::Text(_)) => read == expected,
        _ => match (read.number(), expected.number()) {
            (Some(a), Some(b)) => {
                let is_float = matches!(read, Native::Float(_)) || matches!(expected, Native::Float(_));
                let rounding = if is_float { f64::from(f32::EPSILON) * a.abs().max(b.abs()) } else { 0.0 };
                a == b || (a - b).abs() <= tolerance.max(rounding)
            }
            _ => read == expected,
        },
    }
}

/// A value that is written, so that it can be written again after a restart as it was.
pub(super) fn to_audit(value: &Native) -> Json {
    match value {
        Native::Int(number) => json!({ "int": number }),
        Native::UInt(number) => json!({ "int": number }),
        // JSON has no way to write 2.0 that everybody keeps.
        Native::Float(number) => json!({ "float": format!("{number:?}") }),
        Native::List(values) => json!({ "list": values.iter().map(to_audit).collect::<Vec<_>>() }),
        Native::Bytes(bytes) => json!({ "bytes": bytes.as_ref() }),
        other => json(other),
    }
}

/// The value that [`to_audit`] has written.
pub(super) fn from_audit(value: &Json) -> Option<Native> {
    match value {
        Json::Bool(set) => Some(Native::Bool(*set)),
        Json::String(text) => Some(Native::text(text)),
        Json::Object(object) => {
            let (kind, value) = object.iter().next()?;
            match kind.as_str() {
                "int" => value.as_i64().map(Native::Int).or_else(|| value.as_u64().map(Native::unsigned)),
                "float" => value.as_str()?.parse().ok().map(Native::Float),
                "list" => value
                    .as_array()?
                    .iter()
                    .map(from_audit)
                    .collect::<Option<Vec<_>>>()
                    .map(|all| Native::List(all.into())),
                "bytes" => {
                    let bytes = value.as_array()?.iter().map(|byte| u8::try_from(byte.as_u64()?).ok());
                    bytes.collect::<Option<Vec<u8>>>().map(|bytes| Native::Bytes(bytes.into()))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
    use super::*;

    fn rule(scale: f64, offset: f64) -> PointRule {
        PointRule { scale: Some(scale), offset: Some(offset), ..PointRule::plain("p") }
    }

    #[test]
    fn what_is_written_is_what_is_read_back() {
        for (scale, offset, value) in
            [(0.1, 0.0, 12.3), (0.01, -40.0, 21.57), (2.0, 1.0, 7.0), (1.0 / 3.0, 0.0, 1.0)]
        {
            let rule = rule(scale, offset);
            let raw = unscaled(&rule, Native::Float(value)).unwrap();
            assert!(matches!(raw, Native::Int(_)), "{raw:?}");
            assert!(equal(&rule.apply(raw), &Native::Float(value), 0.0));
        }
        assert_eq!(unscaled(&rule(0.5, 0.0), Native::Float(0.3)), Ok(Native::Float(0.6)));
        assert!(unscaled(&rule(0.5, 0.0), Native::text("a")).is_err());
        assert_eq!(unscaled(&PointRule::plain("p"), Native::text("a")), Ok(Native::text("a")));
        assert!(unscaled(&PointRule::plain("p"), Native::Null).is_err());
    }

    #[test]
    fn values_are_equal_within_their_tolerance_and_what_32_bits_lose() {
        assert!(equal(&Native::float32(12.3), &Native::Float(12.3), 0.0));
        assert!(!equal(&Native::Int(12), &Native::Int(13), 0.0));
        assert!(equal(&Native::Int(12), &Native::Int(13), 1.0));
        assert!(equal(&Native::Int(1), &Native::Bool(true), 0.0), "coils are read as numbers by some");
        assert!(!equal(&Native::text("1"), &Native::Int(1), 0.0));
        assert!(!equal(&Native::bad("x"), &Native::Int(1), 0.0));
    }

    #[test]
    fn values_survive_the_audit() {
        for value in [
            Native::Int(-5),
            Native::UInt(u64::MAX),
            Native::Float(2.0),
            Native::Float(0.1),
            Native::Bool(true),
            Native::text("O1234"),
            Native::List([Native::Int(1), Native::text("a")].into()),
            Native::Bytes([1, 2].into()),
        ] {
            let text = to_audit(&value).to_string();
            assert_eq!(from_audit(&serde_json::from_str(&text).unwrap()), Some(value), "{text}");
        }
    }
}
