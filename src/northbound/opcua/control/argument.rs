//! From a value of OPC UA to an argument.

use opcua_types::{StatusCode, UAString, Variant};
use serde_json::{Number, Value as Json};

use crate::control::Kind;
use crate::control::definition::MOST_CHARACTERS;

/// A whole number, or another one.
enum Figure {
    Whole(i128),
    Other(f64),
}

/// The argument that a value stands for, whatever its numeric type, when nothing of it is lost.
///
/// # Errors
/// BadTypeMismatch when it is of another kind, BadOutOfRange when no value of the kind is equal to it.
pub(super) fn of(kind: Kind, value: &Variant) -> Result<Json, StatusCode> {
    match (kind, value) {
        (Kind::Bool, Variant::Boolean(set)) => Ok((*set).into()),
        (Kind::Text, Variant::String(text)) => self::text(text).map(Json::from),
        (Kind::Int, value) => match figure(value).ok_or(StatusCode::BadTypeMismatch)? {
            Figure::Whole(number) => {
                i64::try_from(number).map(Json::from).map_err(|_| StatusCode::BadOutOfRange)
            }
            Figure::Other(number) => whole(number).map(Json::from).ok_or(StatusCode::BadOutOfRange),
        },
        (Kind::Float, value) => {
            let number = match figure(value).ok_or(StatusCode::BadTypeMismatch)? {
                Figure::Whole(number) => exact(number).ok_or(StatusCode::BadOutOfRange)?,
                Figure::Other(number) => number,
            };
            Number::from_f64(number).map(Json::Number).ok_or(StatusCode::BadOutOfRange)
        }
        _ => Err(StatusCode::BadTypeMismatch),
    }
}

/// A text of a length that arguments can have; null is the empty one.
///
/// # Errors
/// BadOutOfRange when it is longer.
pub(super) fn text(text: &UAString) -> Result<&str, StatusCode> {
    let text: &str = text.as_ref();
    if text.chars().nth(MOST_CHARACTERS as usize).is_some() {
        return Err(StatusCode::BadOutOfRange);
    }
    Ok(text)
}

/// The place in a list of words that a value names; BadOutOfRange when there are not as many.
pub(super) fn place(value: &Variant) -> Option<Result<usize, StatusCode>> {
    match figure(value)? {
        Figure::Whole(number) => Some(usize::try_from(number).map_err(|_| StatusCode::BadOutOfRange)),
        Figure::Other(_) => None,
    }
}

fn figure(value: &Variant) -> Option<Figure> {
    Some(match value {
        Variant::SByte(number) => Figure::Whole((*number).into()),
        Variant::Byte(number) => Figure::Whole((*number).into()),
        Variant::Int16(number) => Figure::Whole((*number).into()),
        Variant::UInt16(number) => Figure::Whole((*number).into()),
        Variant::Int32(number) => Figure::Whole((*number).into()),
        Variant::UInt32(number) => Figure::Whole((*number).into()),
        Variant::Int64(number) => Figure::Whole((*number).into()),
        Variant::UInt64(number) => Figure::Whole((*number).into()),
        // By its shortest decimal, as everywhere in the gateway: 0.1 stays 0.1.
        Variant::Float(number) => Figure::Other(number.to_string().parse().unwrap_or(f64::NAN)),
        Variant::Double(number) => Figure::Other(*number),
        _ => return None,
    })
}

/// 2^53: up to there every whole number is a double.
const EXACT: i128 = 1 << 53;

#[expect(clippy::cast_precision_loss, reason = "up to 2^53 none is lost")]
fn exact(number: i128) -> Option<f64> {
    (number.abs() <= EXACT).then_some(number as f64)
}

#[expect(clippy::cast_possible_truncation, reason = "what is whole and in range is not cut")]
fn whole(number: f64) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && (-END..END).contains(&number)).then_some(number as i64)
}
