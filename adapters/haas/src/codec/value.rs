//! Fields to values, values to writes.

use guideway_contract::{DataType, Kind, Native};

use super::Reply;

/// The largest number that a control takes for a variable.
const MOST_VALUE: f64 = 99_999_999.0;

/// What a point wants of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// As what.
    pub data_type: DataType,
    /// Which field; `None` is the value, -1 the whole reply.
    pub field: Option<i32>,
    /// Whether it is a time as `HHHHH:MM:SS`, wanted in seconds.
    pub hms: bool,
}

/// The value that a point wants of a reply; an error says why there is none.
///
/// # Errors
/// The field is missing, or is not of the type.
pub fn decode(want: &Want, reply: &Reply) -> Result<Native, String> {
    if want.data_type.kind == Kind::Fields {
        return Ok(Native::List(reply.fields.iter().map(|field| Native::Text(field.clone())).collect()));
    }
    let text = match want.field {
        None => reply.value().ok_or_else(|| format!("`{}` has no value", reply.text))?,
        Some(field) if field < 0 => &reply.text,
        Some(field) => usize::try_from(field)
            .ok()
            .and_then(|field| reply.fields.get(field))
            .ok_or_else(|| format!("`{}` has no field {field}", reply.text))?,
    };
    if want.hms {
        let seconds = hms(text).ok_or_else(|| format!("`{text}` is no time as HH:MM:SS"))?;
        return scalar(want.data_type.kind, &seconds.to_string());
    }
    scalar(want.data_type.kind, text)
}

fn scalar(kind: Kind, text: &str) -> Result<Native, String> {
    let number = || text.parse::<f64>().map_err(|_| format!("`{text}` is not a number"));
    if text.is_empty() && !matches!(kind, Kind::Text(_) | Kind::Chars(_)) {
        return Ok(Native::Null);
    }
    Ok(match kind {
        Kind::Text(most) | Kind::Chars(most) => Native::text(cut(text, most)),
        Kind::F64 => Native::Float(number()?),
        Kind::F32 => Native::float32(text.parse().map_err(|_| format!("`{text}` is not a number"))?),
        Kind::Bool => match text.to_ascii_uppercase().as_str() {
            "TRUE" | "ON" | "YES" => Native::Bool(true),
            "FALSE" | "OFF" | "NO" => Native::Bool(false),
            _ => match number() {
                Ok(0.0) => Native::Bool(false),
                Ok(1.0) => Native::Bool(true),
                _ => return Err(format!("`{text}` is neither true nor false")),
            },
        },
        Kind::I8 => whole(text, i8::MIN.into(), i8::MAX.into())?,
        Kind::U8 => whole(text, 0, u8::MAX.into())?,
        Kind::I16 => whole(text, i16::MIN.into(), i16::MAX.into())?,
        Kind::U16 => whole(text, 0, u16::MAX.into())?,
        Kind::I32 => whole(text, i32::MIN.into(), i32::MAX.into())?,
        Kind::U32 => whole(text, 0, u32::MAX.into())?,
        Kind::I64 => whole(text, i64::MIN.into(), i64::MAX.into())?,
        Kind::U64 => whole(text, 0, u64::MAX.into())?,
        Kind::Auto => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Native::Int(number),
            (_, Ok(number)) if text.bytes().any(|byte| byte.is_ascii_digit()) || text == "NaN" => {
                Native::Float(number)
            }
            _ => Native::text(text),
        },
        other => return Err(format!("this protocol has no {}", DataType::one(other))),
    })
}

/// A whole number; variables write theirs with a fraction of zeros.
fn whole(text: &str, least: i128, most: i128) -> Result<Native, String> {
    if text.eq_ignore_ascii_case("nan") {
        return Ok(Native::Null);
    }
    let digits = match text.split_once('.') {
        Some((digits, zeros)) if zeros.bytes().all(|byte| byte == b'0') => digits,
        Some(_) => return Err(format!("`{text}` is not a whole number")),
        None => text,
    };
    match digits.parse::<i128>() {
        Ok(number) if number < least || number > most => {
            Err(format!("{number} does not fit ({least} to {most})"))
        }
        Ok(number) => Ok(i64::try_from(number)
            .map_or_else(|_| Native::unsigned(u64::try_from(number).unwrap_or(u64::MAX)), Native::Int)),
        Err(_) => Err(format!("`{text}` is not a whole number")),
    }
}

/// At most so many characters.
fn cut(text: &str, most: u32) -> &str {
    let end = text.char_indices().nth(most as usize).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

/// Seconds of `HHHHH:MM:SS`.
fn hms(text: &str) -> Option<u64> {
    let mut parts = text.split(':').map(|part| part.trim().parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && minutes < 60 && seconds < 60)
        .then(|| hours.checked_mul(3_600)?.checked_add(minutes * 60 + seconds))?
}

/// A value as it is written into a variable, with six digits after the point.
///
/// # Errors
/// Why it cannot be.
#[expect(clippy::cast_precision_loss, reason = "larger numbers are refused")]
pub fn write(value: &Native) -> Result<String, String> {
    let number = match value {
        Native::Bool(set) => f64::from(u8::from(*set)),
        Native::Int(number) => *number as f64,
        Native::UInt(number) => *number as f64,
        Native::Float(number) => *number,
        other => return Err(format!("a variable takes a number, not {}", other.kind())),
    };
    if !number.is_finite() || number.abs() > MOST_VALUE {
        return Err(format!("a variable takes numbers up to {MOST_VALUE}, not {number}"));
    }
    Ok(format!("{number:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, reply: &str) -> Result<Native, String> {
        decode(&Want { data_type: DataType::one(kind), field: None, hms: false }, &Reply::read(reply))
    }

    #[test]
    fn every_type_is_read() {
        assert_eq!(read(Kind::F64, "MACRO, 5021,    -4.633600"), Ok(Native::Float(-4.6336)));
        assert_eq!(read(Kind::F32, "MACRO, 0.1"), Ok(Native::Float(0.1)));
        assert_eq!(read(Kind::U64, "M30 #1, 553"), Ok(Native::Int(553)));
        assert_eq!(read(Kind::I16, "MACRO, -12.000000"), Ok(Native::Int(-12)));
        assert_eq!(read(Kind::Text(20), "MODE, (MDI)"), Ok(Native::text("(MDI)")));
        assert_eq!(read(Kind::Text(3), "MODEL, VF2SS"), Ok(Native::text("VF2")));
        assert_eq!(read(Kind::Bool, "MACRO, 1.000000"), Ok(Native::Bool(true)));
        assert_eq!(read(Kind::Auto, "USING TOOL, 12"), Ok(Native::Int(12)));
        assert_eq!(read(Kind::Auto, "MODE, INF"), Ok(Native::text("INF")));
        assert_eq!(read(Kind::Auto, "SOFTWARE, 100.16.000"), Ok(Native::text("100.16.000")));
        assert_eq!(
            read(Kind::Fields, "PROGRAM, O00110, IDLE, PARTS, 4523"),
            Ok(Native::List(["PROGRAM", "O00110", "IDLE", "PARTS", "4523"].map(Native::text).into()))
        );
    }

    #[test]
    fn a_vacant_variable_is_nan_or_nothing() {
        assert!(matches!(read(Kind::F64, "MACRO, NaN"), Ok(Native::Float(number)) if number.is_nan()));
        assert_eq!(read(Kind::I32, "MACRO, NaN"), Ok(Native::Null));
        assert_eq!(read(Kind::F64, "MACRO, "), Ok(Native::Null));
    }

    #[test]
    fn what_does_not_fit_says_so() {
        assert_eq!(read(Kind::F64, "MODE, (MDI)"), Err("`(MDI)` is not a number".into()));
        assert_eq!(read(Kind::U8, "M30 #1, 300"), Err("300 does not fit (0 to 255)".into()));
        assert_eq!(read(Kind::U8, "MACRO, 1.5"), Err("`1.5` is not a whole number".into()));
        assert_eq!(read(Kind::F64, "BUSY"), Err("`BUSY` has no value".into()));
        let want = Want { data_type: DataType::one(Kind::Auto), field: Some(4), hms: false };
        assert_eq!(decode(&want, &Reply::read("STATUS, BUSY")), Err("`STATUS, BUSY` has no field 4".into()));
    }

    #[test]
    fn times_become_seconds() {
        let want = Want { data_type: DataType::one(Kind::F64), field: None, hms: true };
        assert_eq!(decode(&want, &Reply::read("P.O. TIME, 06282:17:13")), Ok(Native::Float(22_616_233.0)));
        assert!(decode(&want, &Reply::read("P.O. TIME, 1:2")).is_err());
        assert!(decode(&want, &Reply::read("P.O. TIME, 99999999999999999999:00:00")).is_err());
    }

    #[test]
    fn only_numbers_are_written() {
        assert_eq!(write(&Native::Float(123.0)), Ok("123.000000".into()));
        assert_eq!(write(&Native::Int(-5)), Ok("-5.000000".into()));
        assert_eq!(write(&Native::Bool(true)), Ok("1.000000".into()));
        for value in [Native::text("1"), Native::Float(f64::NAN), Native::Float(1e9), Native::Null] {
            assert!(write(&value).is_err(), "{value}");
        }
    }
}
