//! What an answer's data mean for an address.

use std::sync::Arc;

use guideway_contract::{DataType, Kind, Native};
use smol_str::SmolStr;

use crate::address::{Address, STATUS};

/// The fields of `sysinfo`, with their bytes after the two numbers in front.
pub const SYSTEM: [&str; 5] = ["type", "machine", "series", "version", "axes"];
const SYSTEM_BYTES: [usize; 5] = [2, 2, 4, 4, 2];
/// Bytes of one alarm message: four numbers and its text.
const ALARM: usize = 80;
/// An address of each kind; for the fuzz target.
pub(super) const EVERY: [&str; 20] = [
    "sysinfo",
    "sysinfo.series",
    "stat",
    "stat.run",
    "position.machine",
    "position.machine.2",
    "load.axis.1",
    "load.spindle",
    "speed",
    "program.number",
    "program.main",
    "program.name",
    "program.sequence",
    "alarm.bits",
    "alarm.list",
    "alarm.text",
    "axes",
    "time.cutting",
    "macro:1",
    "param:1",
];

/// Why there is no value, in words for an operator.
const SHORT: &str = "the control's answer is shorter than it should be";
const VACANT: &str = "the control has no value here (vacant, or no such axis)";

/// The value of an address in the data of its answer, which start at the address. For macro variables and PMC
/// addresses `data_type` says how much there is of it and what; for all else the control does.
pub fn decode(address: Address, data: &[u8], data_type: DataType) -> Native {
    match address {
        Address::System(field) => system(data, field),
        Address::Status(field) => status(data, field),
        Address::Position(_, index) | Address::AxisLoad(index) | Address::SpindleLoad(index) => {
            scaled_list(data, index)
        }
        Address::Speed | Address::Feed => scaled_list(data, Some(1)),
        Address::Program | Address::Sequence | Address::AlarmBits => match int(data, 0) {
            Some(number) if address == Address::AlarmBits => Native::Int(i64::from(number.cast_unsigned())),
            Some(number) => Native::Int(i64::from(number)),
            None => Native::bad(SHORT),
        },
        Address::MainProgram => {
            int(data, 4).map_or_else(|| Native::bad(SHORT), |number| Native::Int(number.into()))
        }
        Address::ProgramName => match data.get(4..) {
            Some(name) => Native::Text(text(name)),
            None => Native::bad(SHORT),
        },
        Address::AlarmList => Native::List(alarms(data).map(Alarm::record).collect()),
        Address::AlarmCount => Native::Int(i64::try_from(alarms(data).count()).unwrap_or(i64::MAX)),
        Address::AlarmText => {
            let texts: Vec<String> =
                alarms(data).map(|alarm| format!("{} {}", alarm.number, alarm.text)).collect();
            Native::text(&texts.join("; "))
        }
        Address::Axes => {
            Native::List(data.chunks_exact(4).map(|name| Native::Text(text(&name[..2]))).collect())
        }
        Address::Timer(_) => timer(data),
        Address::Macro(_) => match data_type.count {
            Some(count) => {
                let values = data
                    .chunks_exact(8)
                    .take(count as usize)
                    .map(|value| scaled(value).unwrap_or(Native::Null));
                Native::List(values.collect())
            }
            None => scaled_list(data, Some(1)),
        },
        Address::Parameter(number, _) => parameter(number, data),
        Address::Pmc(_, _, Some(bit)) => {
            data.first().map_or_else(|| Native::bad(SHORT), |byte| Native::Bool(byte >> bit & 1 == 1))
        }
        Address::Pmc(_, _, None) => pmc(data, data_type),
    }
}

fn int(data: &[u8], at: usize) -> Option<i32> {
    data.get(at..at.checked_add(4)?)?.try_into().ok().map(i32::from_be_bytes)
}

/// Letters up to a NUL, without the spaces around.
fn text(bytes: &[u8]) -> SmolStr {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    SmolStr::new(String::from_utf8_lossy(text).trim())
}

/// Eight bytes: a whole number, a base (10, rarely 2) and an exponent below the line; `None` where the exponent says
/// that there is no value. What is neither is no value too.
fn scaled(bytes: &[u8]) -> Option<Native> {
    let number = f64::from(int(bytes, 0)?);
    let base = u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?]);
    let exponent = u16::from_be_bytes([*bytes.get(6)?, *bytes.get(7)?]);
    if !matches!(base, 2 | 10) || exponent > 20 {
        return None;
    }
    Some(Native::Float(number / f64::from(base).powi(i32::from(exponent))))
}

/// All values, or the one of an axis (from 1).
fn scaled_list(data: &[u8], index: Option<u8>) -> Native {
    let mut values = data.chunks_exact(8).map(scaled);
    match index {
        Some(index) => match values.nth(usize::from(index).saturating_sub(1)) {
            Some(Some(value)) => value,
            Some(None) => Native::bad(VACANT),
            None => Native::bad("the control has no such axis or spindle"),
        },
        None => Native::List(values.map(|value| value.unwrap_or(Native::Null)).collect()),
    }
}

/// The texts of `sysinfo`.
pub fn system_fields(data: &[u8]) -> Option<[SmolStr; 5]> {
    let mut rest = data.get(4..)?;
    let mut fields = <[SmolStr; 5]>::default();
    for (field, bytes) in fields.iter_mut().zip(SYSTEM_BYTES) {
        let (own, others) = rest.split_at_checked(bytes)?;
        *field = text(own);
        rest = others;
    }
    Some(fields)
}

fn system(data: &[u8], field: Option<&'static str>) -> Native {
    let Some(fields) = system_fields(data) else { return Native::bad(SHORT) };
    let mut named = SYSTEM.into_iter().zip(fields);
    match field {
        Some(field) => named
            .find(|(name, _)| *name == field)
            .map_or_else(|| Native::bad(SHORT), |(_, value)| Native::Text(value)),
        None => Native::Record(named.map(|(name, value)| (name.into(), Native::Text(value))).collect()),
    }
}

/// Seven words. Older series answer in another form, which is not taken for this one.
fn status(data: &[u8], field: Option<usize>) -> Native {
    let (words, []) = data.as_chunks::<2>() else { return Native::bad(SHORT) };
    if words.len() != STATUS.len() {
        return Native::bad("this series' status has another form, which is not known");
    }
    let value = |word: &[u8; 2]| Native::Int(i64::from(i16::from_be_bytes(*word)));
    match field {
        Some(field) => words.get(field).map_or_else(|| Native::bad(SHORT), value),
        None => {
            let fields: Arc<[(SmolStr, Native)]> =
                STATUS.iter().zip(words).map(|(name, word)| (SmolStr::new(name), value(word))).collect();
            Native::Record(fields)
        }
    }
}

struct Alarm {
    number: i32,
    kind: i32,
    axis: i32,
    text: SmolStr,
}

impl Alarm {
    fn record(self) -> Native {
        let number = |number: i32| Native::Int(i64::from(number));
        let fields = [
            (SmolStr::new_static("number"), number(self.number)),
            (SmolStr::new_static("type"), number(self.kind)),
            (SmolStr::new_static("axis"), number(self.axis)),
            (SmolStr::new_static("text"), Native::Text(self.text)),
        ];
        Native::Record(Arc::new(fields))
    }
}

fn alarms(data: &[u8]) -> impl Iterator<Item = Alarm> + '_ {
    data.chunks_exact(ALARM).filter_map(|entry| {
        let length = usize::try_from(int(entry, 12)?).ok()?.min(ALARM - 16);
        let text = text(entry.get(16..16 + length)?);
        Some(Alarm { number: int(entry, 0)?, kind: int(entry, 4)?, axis: int(entry, 8)?, text })
    })
}

/// Minutes and milliseconds, as seconds. Some controls send them in the other byte order.
fn timer(data: &[u8]) -> Native {
    let Some((minutes, millis)) = int(data, 0).zip(int(data, 4)) else { return Native::bad(SHORT) };
    // No machine is 19 years old.
    let fits =
        |minutes: i32, millis: i32| (0..10_000_000).contains(&minutes) && (0..60_000).contains(&millis);
    let (minutes, millis) =
        if fits(minutes, millis) { (minutes, millis) } else { (minutes.swap_bytes(), millis.swap_bytes()) };
    if fits(minutes, millis) {
        Native::Float((f64::from(minutes) * 60_000.0 + f64::from(millis)) / 1_000.0)
    } else {
        Native::bad("the control's timer is no time")
    }
}

/// A parameter: its number again, its axis, its type, then values of 4 bytes (older series) or 8 (30i and later). Of
/// a parameter that has an axis each, the control sends the one asked for in the first place.
fn parameter(number: u32, data: &[u8]) -> Native {
    let (Some(own), Some(kind)) = (int(data, 0), data.get(6..8)) else { return Native::bad(SHORT) };
    if u32::try_from(own) != Ok(number) {
        return Native::bad("the control answered for another parameter");
    }
    let kind = u16::from_be_bytes([kind[0], kind[1]]);
    let value = data.get(8..).unwrap_or_default();
    match (kind, int(value, 0)) {
        (0 | 1, Some(number)) => Native::Int(i64::from(number & 0xFF)),
        #[expect(clippy::cast_possible_truncation, reason = "a word parameter has 16 bits")]
        (2, Some(number)) => Native::Int(i64::from(number as i16)),
        (3, Some(number)) => Native::Int(i64::from(number)),
        (4, Some(_)) => scaled(value).unwrap_or_else(|| Native::bad(VACANT)),
        (_, None) => Native::bad(SHORT),
        (kind, _) => Native::bad(format!("a parameter of type {kind}, which is not known")),
    }
}

/// Bytes of a PMC address that a type needs.
pub fn pmc_bytes(data_type: DataType) -> Option<u16> {
    let element = match data_type.kind {
        Kind::Auto => 1,
        Kind::Bcd(_) | Kind::Text(_) | Kind::WideText(_) | Kind::Fields | Kind::Bool => return None,
        _ => data_type.element_bytes()?,
    };
    u16::try_from(element.checked_mul(data_type.elements())?).ok().filter(|bytes| (1..=256).contains(bytes))
}

/// PMC memory has its lower byte first.
fn pmc(data: &[u8], data_type: DataType) -> Native {
    let Some(bytes) = pmc_bytes(data_type).and_then(|bytes| data.get(..usize::from(bytes))) else {
        return Native::bad(SHORT);
    };
    let element = bytes.len() / data_type.elements().max(1) as usize;
    let one = |bytes: &[u8]| {
        let number = bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let unused = 64_u32.saturating_sub(8 * u32::try_from(bytes.len()).unwrap_or(8));
        match data_type.kind {
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 => {
                Native::Int((number << unused).cast_signed() >> unused)
            }
            Kind::F32 => Native::float32(f32::from_bits(u32::try_from(number).unwrap_or(0))),
            Kind::F64 => Native::Float(f64::from_bits(number)),
            Kind::Chars(_) => Native::Text(text(bytes)),
            Kind::Bits(_) | Kind::Bytes(_) => Native::Bytes(Arc::from(bytes)),
            _ => Native::unsigned(number),
        }
    };
    match data_type.count {
        Some(_) => Native::List(bytes.chunks_exact(element.max(1)).map(one).collect()),
        None => one(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(address: &str, data: &[u8]) -> Native {
        decode(address.parse().unwrap(), data, DataType::default())
    }

    fn typed(address: &str, data_type: &str, data: &[u8]) -> Native {
        decode(address.parse().unwrap(), data, data_type.parse().unwrap())
    }

    #[test]
    fn a_number_has_a_base_and_an_exponent_and_may_be_vacant() {
        let axes = [
            0x00, 0x2F, 0x7A, 0xE9, 0, 0x0A, 0, 4, // 311.1657
            0xFF, 0xEC, 0xED, 0x30, 0, 0x0A, 0, 4, // -125
            0, 0, 0, 3, 0, 2, 0, 1, // 1.5
            0, 0, 0, 0, 0, 0x0A, 0xFF, 0xFF, // nothing
        ];
        let wanted = [311.1657, -125.0, 1.5].map(Native::Float);
        assert_eq!(
            value("position.absolute", &axes),
            Native::List([&wanted[..], &[Native::Null]].concat().into())
        );
        assert_eq!(value("position.absolute.2", &axes), Native::Float(-125.0));
        assert_eq!(value("position.absolute.4", &axes), Native::bad(VACANT));
        assert!(value("position.absolute.5", &axes).is_bad());
        assert_eq!(value("macro:500", &axes), Native::Float(311.1657));
        assert_eq!(typed("macro:500", "f64[2]", &axes), Native::List(wanted[..2].into()));
        let odd = [0, 0, 0, 1, 0, 3, 0, 1];
        assert!(value("feed", &odd).is_bad());
    }

    #[test]
    fn status_and_system_have_their_fields() {
        let data = [0, 1, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(value("stat.run", &data), Native::Int(3));
        assert_eq!(value("stat.emergency", &data), Native::Int(1));
        assert!(value("stat", &data).to_string().starts_with("{aut: 1, run: 3, motion: 0"));
        assert!(value("stat.run", &data[..10]).is_bad());
        let data = b"\x00\x02\x00\x2031 MG30106.003";
        assert_eq!(value("sysinfo.series", data), Native::text("G301"));
        assert_eq!(value("sysinfo.axes", data), Native::text("03"));
        assert_eq!(
            value("sysinfo", data).to_string(),
            "{type: 31, machine: M, series: G301, version: 06.0, axes: 03}"
        );
    }

    #[test]
    fn alarms_are_numbers_with_texts() {
        let mut data = [0_u8; 160];
        data[..16].copy_from_slice(&[0, 0, 3, 0xE8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5]);
        data[16..21].copy_from_slice(b"DOOR ");
        data[80..96].copy_from_slice(&[0, 0, 0, 100, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 200]);
        data[96..101].copy_from_slice(b"WATER");
        assert_eq!(value("alarm.count", &data), Native::Int(2));
        assert_eq!(value("alarm.text", &data), Native::text("1000 DOOR; 100 WATER"));
        assert!(
            value("alarm.list", &data)
                .to_string()
                .starts_with("[{number: 1000, type: 1, axis: 2, text: DOOR}")
        );
        assert_eq!(value("alarm.text", &[]), Native::text(""));
    }

    #[test]
    fn timers_are_read_in_either_byte_order() {
        assert_eq!(value("time.cycle", &[0, 0, 0, 2, 0, 0, 0x3A, 0x98]), Native::Float(135.0));
        assert_eq!(value("time.cycle", &[2, 0, 0, 0, 0x98, 0x3A, 0, 0]), Native::Float(135.0));
        assert_eq!(value("time.cycle", &[5, 0, 0, 0, 0, 0, 0, 0]), Native::Float(300.0));
        assert!(value("time.cycle", &[0xFF; 8]).is_bad());
    }

    #[test]
    fn parameters_say_their_own_type() {
        let data = |kind: u8, value: [u8; 8]| [&[0, 0, 0x1A, 0x37, 0, 0, 0, kind][..], &value].concat();
        assert_eq!(value("param:6711", &data(3, [0, 0, 1, 0, 0, 0, 0, 0])), Native::Int(256));
        assert_eq!(value("param:6711", &data(2, [0, 0, 0xFF, 0xFE, 0, 0, 0, 0])), Native::Int(-2));
        assert_eq!(value("param:6711", &data(0, [0, 0, 0, 0x81, 0, 0, 0, 0])), Native::Int(0x81));
        assert_eq!(value("param:6711", &data(4, [0, 0, 0, 15, 0, 10, 0, 1])), Native::Float(1.5));
        assert!(value("param:6711", &data(9, [0; 8])).is_bad());
        assert!(value("param:6712", &data(3, [0; 8])).is_bad());
    }

    #[test]
    fn pmc_memory_has_its_lower_byte_first() {
        let data = [0x34, 0x12, 0xFF, 0xFF];
        assert_eq!(value("pmc:R100", &data), Native::Int(0x34));
        assert_eq!(value("pmc:R100.2", &data), Native::Bool(true));
        assert_eq!(typed("pmc:R100", "u16", &data), Native::Int(0x1234));
        assert_eq!(
            typed("pmc:R100", "i16[2]", &data),
            Native::List([Native::Int(0x1234), Native::Int(-1)].into())
        );
        assert_eq!(typed("pmc:R100", "bits[16]", &data), Native::Bytes([0x34, 0x12].into()));
        assert!(typed("pmc:R100", "u64", &data).is_bad());
        assert_eq!(pmc_bytes("bytes[300]".parse().unwrap()), None);
    }
}
