//! Times in messages.

use guideway_contract::Timestamp;
use serde_json::Value;

use crate::config::TimeFormat;

/// Nanoseconds in one unit of a count since 1970, and the digits a fraction of a second then has.
const SECONDS: (i64, u8) = (1_000_000_000, 0);
const MILLIS: (i64, u8) = (1_000_000, 3);
const MICROS: (i64, u8) = (1_000, 6);
const NANOS: (i64, u8) = (1, 9);

/// Reads a time; `None` when it is not one of that format.
pub(crate) fn read(value: &Value, format: TimeFormat) -> Option<Timestamp> {
    let unit = match format {
        TimeFormat::Auto => None,
        TimeFormat::Iso => return Timestamp::parse(value.as_str()?.trim()),
        TimeFormat::S => Some(SECONDS),
        TimeFormat::Ms => Some(MILLIS),
        TimeFormat::Us => Some(MICROS),
        TimeFormat::Ns => Some(NANOS),
    };
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => count(whole, unit),
            None => fraction(number.as_f64()?, unit),
        },
        Value::String(text) => {
            let text = text.trim();
            if let Ok(whole) = text.parse::<i64>() {
                return count(whole, unit);
            }
            if unit.is_none()
                && let Some(time) = Timestamp::parse(text)
            {
                return Some(time);
            }
            fraction(guideway_shdr::codec::number(text)?, unit)
        }
        _ => None,
    }
}

fn count(whole: i64, unit: Option<(i64, u8)>) -> Option<Timestamp> {
    #[expect(clippy::cast_precision_loss, reason = "only its size matters")]
    let (nanos, digits) = unit.unwrap_or_else(|| guess(whole as f64));
    Some(Timestamp::from_nanos(whole.checked_mul(nanos)?, digits))
}

/// A count with a fraction, kept to microseconds: an `f64` holds no more of today's seconds.
fn fraction(number: f64, unit: Option<(i64, u8)>) -> Option<Timestamp> {
    let (nanos, digits) = unit.unwrap_or_else(|| guess(number));
    #[expect(clippy::cast_precision_loss, reason = "powers of ten up to 10^9 are exact")]
    let micros = (number * (nanos as f64 / 1_000.0)).round();
    // Beyond this range the nanoseconds do not fit 64 bits.
    (micros.abs() < 9e15).then(|| {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        let micros = micros as i64;
        Timestamp::from_nanos(micros * 1_000, digits.max(6))
    })
}

/// By its size: a count in seconds between 1973 and 5138 is less than in milliseconds from 1973 on, and so on.
fn guess(number: f64) -> (i64, u8) {
    match number.abs() {
        size if size < 1e11 => SECONDS,
        size if size < 1e14 => MILLIS,
        size if size < 1e17 => MICROS,
        _ => NANOS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn auto(value: &Value) -> Option<String> {
        read(value, TimeFormat::Auto).map(|time| time.to_string())
    }

    #[test]
    fn a_time_is_iso_or_a_count_of_any_unit() {
        let day = |fraction: &str| Some(format!("2023-11-14T22:13:20{fraction}Z"));
        assert_eq!(auto(&json!("2023-11-14T23:13:20+01:00")), day(""));
        assert_eq!(auto(&json!(1_700_000_000)), day(""));
        assert_eq!(auto(&json!("1700000000")), day(""));
        assert_eq!(auto(&json!(1_700_000_000.25)), day(".250000"));
        assert_eq!(auto(&json!("1700000000.25")), day(".250000"));
        assert_eq!(auto(&json!(1_700_000_000_123_i64)), day(".123"));
        assert_eq!(auto(&json!(1_700_000_000_123.5)), day(".123500"));
        assert_eq!(auto(&json!(1_700_000_000_123_456_i64)), day(".123456"));
        assert_eq!(auto(&json!(1_700_000_000_123_456_789_i64)), day(".123456789"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for value in [json!(null), json!(true), json!("soon"), json!({}), json!(1e300), json!("")] {
            assert_eq!(auto(&value), None, "{value}");
        }
        assert_eq!(read(&json!(1_700_000_000), TimeFormat::Iso), None);
        assert_eq!(read(&json!(i64::MAX), TimeFormat::S), None);
        assert_eq!(read(&json!("2023-11-14T22:13:20Z"), TimeFormat::Ms), None);
    }

    proptest! {
        #[test]
        fn whole_counts_are_exact(millis in 200_000_000_000_i64..9_000_000_000_000) {
            let time = read(&json!(millis), TimeFormat::Auto).unwrap();
            prop_assert_eq!(time.nanos(), millis * 1_000_000);
        }
    }
}
