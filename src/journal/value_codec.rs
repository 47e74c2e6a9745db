//! Values as bytes. Docs: `docs/journal.md`.

use std::sync::Arc;

use guideway_contract::{
    Annotated, AssetEvent, Cell, Condition, DataSet, Entry, Level, Message, Qualifier, TimeSeries, Value,
};
use smol_str::SmolStr;

use super::bytes::{Bytes, put_count, put_text, put_varint, unzigzag, zigzag};

const UNAVAILABLE: u8 = 0;
const INTEGER: u8 = 1;
const DECIMAL: u8 = 2;
const SINGLE: u8 = 3;
const DOUBLE: u8 = 4;
const TEXT: u8 = 5;
const VECTOR: u8 = 6;
const TIME_SERIES: u8 = 7;
const DATA_SET: u8 = 8;
const CONDITION: u8 = 9;
const MESSAGE: u8 = 10;
const ASSET_EVENT: u8 = 11;
const ANNOTATED: u8 = 12;

const CELL_REMOVED: u8 = 0;
const CELL_INTEGER: u8 = 1;
const CELL_NUMBER: u8 = 2;
const CELL_TEXT: u8 = 3;
const CELL_ROW: u8 = 4;

/// Whole numbers up to here are exact in a double, and so are their decimal fractions once divided.
const EXACT: f64 = 9_007_199_254_740_992.0;

const POWERS: [f64; 7] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];

/// A number in its shortest exact form.
enum Short {
    Integer(i64),
    /// Whole number and count of decimals, 1 to 6.
    Decimal(i64, u8),
    Single(f32),
    Double(f64),
}

impl Short {
    /// Sources write most numbers with few decimals; those are a whole number and a scale. The
    /// division below is correctly rounded, so what compares equal comes back bit by bit.
    #[expect(clippy::cast_possible_truncation, reason = "the ranges are checked before")]
    fn of(number: f64) -> Self {
        let scaled = number * POWERS[6];
        if scaled.abs() < EXACT {
            let mut whole = scaled.round() as i64;
            if (whole as f64 / POWERS[6]).to_bits() == number.to_bits() {
                let mut decimals = 6;
                if whole % 1_000 == 0 {
                    whole /= 1_000;
                    decimals = 3;
                }
                while decimals > 0 && whole % 10 == 0 {
                    whole /= 10;
                    decimals -= 1;
                }
                return if decimals == 0 { Self::Integer(whole) } else { Self::Decimal(whole, decimals) };
            }
        }
        let single = number as f32;
        if f64::from(single).to_bits() == number.to_bits() {
            Self::Single(single)
        } else {
            Self::Double(number)
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Integer(_) => INTEGER,
            Self::Decimal(..) => DECIMAL,
            Self::Single(_) => SINGLE,
            Self::Double(_) => DOUBLE,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(whole) => put_varint(out, zigzag(*whole)),
            Self::Decimal(whole, decimals) => put_varint(out, zigzag(*whole) << 3 | u64::from(*decimals)),
            Self::Single(single) => out.extend_from_slice(&single.to_le_bytes()),
            Self::Double(double) => out.extend_from_slice(&double.to_le_bytes()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is written is exact; what is not was never written")]
fn read_number(kind: u8, bytes: &mut Bytes<'_>) -> Option<f64> {
    let number = match kind {
        INTEGER => unzigzag(bytes.varint()?) as f64,
        DECIMAL => {
            let packed = bytes.varint()?;
            unzigzag(packed >> 3) as f64 / POWERS.get((packed & 7) as usize)?
        }
        SINGLE => f64::from(f32::from_le_bytes(bytes.array()?)),
        DOUBLE => f64::from_le_bytes(bytes.array()?),
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    let short = Short::of(number);
    out.push(short.kind());
    short.put(out);
}

fn number(bytes: &mut Bytes<'_>) -> Option<f64> {
    let kind = bytes.byte()?;
    read_number(kind, bytes)
}

fn put_optional_text(out: &mut Vec<u8>, text: Option<&SmolStr>) {
    out.push(u8::from(text.is_some()));
    if let Some(text) = text {
        put_text(out, text);
    }
}

fn optional_text(bytes: &mut Bytes<'_>) -> Option<Option<SmolStr>> {
    match bytes.byte()? {
        0 => Some(None),
        1 => bytes.smol().map(Some),
        _ => None,
    }
}

fn put_optional_number(out: &mut Vec<u8>, number: Option<f64>) {
    match number {
        Some(number) => put_number(out, number),
        None => out.push(0),
    }
}

fn optional_number(bytes: &mut Bytes<'_>) -> Option<Option<f64>> {
    match bytes.byte()? {
        0 => Some(None),
        kind => read_number(kind, bytes).map(Some),
    }
}

/// Writes a value and gives its kind, 0 to 15, which the caller keeps.
pub(super) fn put_value(out: &mut Vec<u8>, value: &Value) -> u8 {
    match value {
        Value::Unavailable => UNAVAILABLE,
        Value::Number(number) => {
            let short = Short::of(*number);
            short.put(out);
            short.kind()
        }
        Value::Text(text) => {
            put_text(out, text);
            TEXT
        }
        Value::Vector3(vector) => {
            vector.iter().for_each(|number| put_number(out, *number));
            VECTOR
        }
        Value::TimeSeries(series) => {
            put_optional_number(out, series.rate);
            put_count(out, series.values.len());
            series.values.iter().for_each(|number| put_number(out, *number));
            TIME_SERIES
        }
        Value::DataSet(set) => {
            put_optional_text(out, set.reset.as_ref());
            put_entries(out, set.entries());
            DATA_SET
        }
        Value::Condition(condition) => {
            put_condition(out, condition);
            CONDITION
        }
        Value::Message(message) => {
            put_text(out, &message.native_code);
            put_text(out, &message.text);
            MESSAGE
        }
        Value::AssetEvent(event) => {
            put_text(out, &event.asset_type);
            put_text(out, &event.asset_id);
            ASSET_EVENT
        }
        Value::Annotated(annotated) => {
            put_optional_number(out, annotated.duration);
            put_optional_text(out, annotated.reset_triggered.as_ref());
            let place = out.len();
            out.push(0);
            out[place] = put_value(out, &annotated.value);
            ANNOTATED
        }
    }
}

/// Goes over a value of that kind.
pub(super) fn pass(kind: u8, bytes: &mut Bytes<'_>) -> Option<()> {
    match kind {
        UNAVAILABLE => {}
        INTEGER | DECIMAL => drop(bytes.varint()?),
        SINGLE => drop(bytes.take(size_of::<f32>())?),
        DOUBLE => drop(bytes.take(size_of::<f64>())?),
        TEXT => drop(bytes.text()?),
        // These are rarer.
        _ => drop(value(kind, bytes)?),
    }
    Some(())
}

/// Reads a value of that kind.
pub(super) fn value(kind: u8, bytes: &mut Bytes<'_>) -> Option<Value> {
    Some(match kind {
        UNAVAILABLE => Value::Unavailable,
        INTEGER | DECIMAL | SINGLE | DOUBLE => Value::Number(read_number(kind, bytes)?),
        TEXT => Value::Text(bytes.smol()?),
        VECTOR => Value::Vector3(Arc::new([number(bytes)?, number(bytes)?, number(bytes)?])),
        TIME_SERIES => {
            let rate = optional_number(bytes)?;
            let values = (0..bytes.count()?).map(|_| number(bytes)).collect::<Option<_>>()?;
            Value::TimeSeries(Arc::new(TimeSeries { rate, values }))
        }
        DATA_SET => {
            let reset = optional_text(bytes)?;
            Value::DataSet(Arc::new(DataSet::new(reset, entries(bytes, true)?)))
        }
        CONDITION => Value::Condition(Arc::new(condition(bytes)?)),
        MESSAGE => Value::Message(Arc::new(Message { native_code: bytes.smol()?, text: bytes.smol()? })),
        ASSET_EVENT => {
            Value::AssetEvent(Arc::new(AssetEvent { asset_type: bytes.smol()?, asset_id: bytes.smol()? }))
        }
        ANNOTATED => {
            let duration = optional_number(bytes)?;
            let reset_triggered = optional_text(bytes)?;
            let kind = bytes.byte()?;
            if kind == ANNOTATED || kind == UNAVAILABLE {
                return None;
            }
            let value = value(kind, bytes)?;
            Value::Annotated(Arc::new(Annotated { value, duration, reset_triggered }))
        }
        _ => return None,
    })
}

fn put_condition(out: &mut Vec<u8>, condition: &Condition) {
    let level = match condition.level {
        Level::Normal => 0,
        Level::Warning => 1,
        Level::Fault => 2,
    };
    let qualifier = match condition.qualifier {
        None => 0,
        Some(Qualifier::High) => 1,
        Some(Qualifier::Low) => 2,
    };
    out.push(level | qualifier << 2);
    put_text(out, &condition.native_code);
    put_text(out, &condition.native_severity);
    put_text(out, &condition.message);
    put_text(out, &condition.condition_id);
}

fn condition(bytes: &mut Bytes<'_>) -> Option<Condition> {
    let packed = bytes.byte()?;
    let level = match packed & 3 {
        0 => Level::Normal,
        1 => Level::Warning,
        2 => Level::Fault,
        _ => return None,
    };
    let qualifier = match packed >> 2 {
        0 => None,
        1 => Some(Qualifier::High),
        2 => Some(Qualifier::Low),
        _ => return None,
    };
    Some(Condition {
        level,
        native_code: bytes.smol()?,
        native_severity: bytes.smol()?,
        qualifier,
        message: bytes.smol()?,
        condition_id: bytes.smol()?,
    })
}

fn put_entries(out: &mut Vec<u8>, entries: &[Entry]) {
    put_count(out, entries.len());
    for entry in entries {
        put_text(out, &entry.key);
        match &entry.cell {
            Cell::Removed => out.push(CELL_REMOVED),
            Cell::Integer(number) => {
                out.push(CELL_INTEGER);
                put_varint(out, zigzag(*number));
            }
            Cell::Number(number) => {
                out.push(CELL_NUMBER);
                put_number(out, *number);
            }
            Cell::Text(text) => {
                out.push(CELL_TEXT);
                put_text(out, text);
            }
            Cell::Row(cells) => {
                out.push(CELL_ROW);
                put_entries(out, cells);
            }
        }
    }
}

/// Rows hold no rows: `rows` is false within one.
fn entries(bytes: &mut Bytes<'_>, rows: bool) -> Option<Vec<Entry>> {
    let count = bytes.count()?;
    // A count can promise more than follows; memory grows with what is really there.
    let mut entries = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let key = bytes.smol()?;
        let cell = match bytes.byte()? {
            CELL_REMOVED => Cell::Removed,
            CELL_INTEGER => Cell::Integer(unzigzag(bytes.varint()?)),
            CELL_NUMBER => Cell::Number(number(bytes)?),
            CELL_TEXT => Cell::Text(bytes.smol()?),
            CELL_ROW if rows => Cell::Row(self::entries(bytes, false)?),
            _ => return None,
        };
        entries.push(Entry { key, cell });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing;
    use super::*;

    fn length(number: f64) -> usize {
        let mut out = Vec::new();
        put_value(&mut out, &Value::Number(number));
        out.len()
    }

    proptest! {
        #[test]
        fn every_value_comes_back_bit_by_bit(observation in testing::observation()) {
            let mut out = Vec::new();
            let kind = put_value(&mut out, &observation.value);
            let mut bytes = Bytes::new(&out);
            let back = value(kind, &mut bytes).unwrap();
            // Debug text tells -0.0 from 0.0, equality does not.
            prop_assert_eq!(format!("{back:?}"), format!("{:?}", observation.value));
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn no_bytes_panic(kind in 0_u8..16, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = value(kind, &mut Bytes::new(&bytes));
        }
    }

    #[test]
    fn numbers_with_few_decimals_take_few_bytes() {
        assert_eq!(length(0.0), 1);
        assert_eq!(length(12_000.0), 3);
        assert_eq!(length(12.5), 2);
        assert_eq!(length(-123.456), 3);
        assert_eq!(length(0.1_f32.into()), 4);
        assert_eq!(length(std::f64::consts::PI), 8);
        assert_eq!(length(-0.0), 4);
    }
}
