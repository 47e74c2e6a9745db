//! S7's times: durations as seconds, dates and times of day as text.

use guideway_contract::Native;

use crate::Format;

/// Every format; for the fuzz target and tests.
pub const ALL: [Format; 9] = [
    Format::Time,
    Format::Ltime,
    Format::S5time,
    Format::Date,
    Format::TimeOfDay,
    Format::LtimeOfDay,
    Format::DateAndTime,
    Format::Ldt,
    Format::Dtl,
];

const DAY_NANOS: u64 = 86_400_000_000_000;
/// Days from 1970-01-01 to 1990-01-01, where DATE begins.
const DATE_EPOCH: i64 = 7_305;
/// The year LDT ends in, by 64 bits of nanoseconds.
const LAST_LDT_YEAR: i64 = 2262;

/// The value of these bytes.
///
/// # Errors
/// Why they are no such time.
pub fn decode(format: Format, bytes: &[u8]) -> Result<Native, String> {
    let bad = || format!("{} is no {}", Native::Bytes(bytes.into()), name(format));
    decoded(format, bytes).ok_or_else(bad)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of more than 104 days round, which is documented"
)]
fn decoded(format: Format, bytes: &[u8]) -> Option<Native> {
    Some(match format {
        Format::Time => Native::Float(f64::from(i32::from_be_bytes(bytes.try_into().ok()?)) / 1e3),
        Format::Ltime => Native::Float(i64::from_be_bytes(bytes.try_into().ok()?) as f64 / 1e9),
        Format::S5time => {
            let word = u16::from_be_bytes(bytes.try_into().ok()?);
            let [high, low] = word.to_be_bytes();
            let digits = bcd(high & 0x0F)? * 100 + bcd(low)?;
            let step = [0.01, 0.1, 1.0, 10.0][usize::from(high >> 4 & 3)];
            // Hundredths, so that 0.1 s comes out as 0.1.
            Native::Float((f64::from(digits) * step * 100.0).round() / 100.0)
        }
        Format::Date => {
            let days = u16::from_be_bytes(bytes.try_into().ok()?);
            Native::text(&date_text(civil(i64::from(days) + DATE_EPOCH)))
        }
        Format::TimeOfDay => {
            let millis = u32::from_be_bytes(bytes.try_into().ok()?);
            Native::text(&clock_text(u64::from(millis) * 1_000_000, 3)?)
        }
        Format::LtimeOfDay => Native::text(&clock_text(u64::from_be_bytes(bytes.try_into().ok()?), 9)?),
        Format::DateAndTime => {
            let &[year, month, day, hour, minute, second, high, low] = bytes else { return None };
            let year = bcd(year)?;
            let year = i64::from(year) + if year < 90 { 2000 } else { 1900 };
            let date = (year, i64::from(bcd(month)?), i64::from(bcd(day)?));
            let millis = bcd(high)? * 10 + bcd(low & 0xF0)? / 10;
            let nanos = clock(bcd(hour)?, bcd(minute)?, bcd(second)?)? + u64::from(millis) * 1_000_000;
            Native::text(&moment_text(date, nanos, 3)?)
        }
        Format::Ldt => {
            let nanos = i64::from_be_bytes(bytes.try_into().ok()?);
            let day = i64::try_from(DAY_NANOS).ok()?;
            let of_day = u64::try_from(nanos.rem_euclid(day)).ok()?;
            Native::text(&moment_text(civil(nanos.div_euclid(day)), of_day, 9)?)
        }
        Format::Dtl => {
            let &[y0, y1, month, day, _weekday, hour, minute, second, n0, n1, n2, n3] = bytes else {
                return None;
            };
            let nanos = u32::from_be_bytes([n0, n1, n2, n3]);
            let date = (i64::from(u16::from_be_bytes([y0, y1])), month.into(), day.into());
            let of_day = clock(hour.into(), minute.into(), second.into())? + u64::from(nanos);
            (nanos < 1_000_000_000).then_some(())?;
            Native::text(&moment_text(date, of_day, 9)?)
        }
    })
}

/// The bytes for a value: seconds for durations, text for the others.
///
/// # Errors
/// Why the value does not fit.
pub fn encode(format: Format, value: &Native) -> Result<Vec<u8>, String> {
    let bad = || format!("`{value}` is no {}; write {}", name(format), example(format));
    encoded(format, value).ok_or_else(bad)
}

fn encoded(format: Format, value: &Native) -> Option<Vec<u8>> {
    let text = || if let Native::Text(text) = value { Some(text.as_str()) } else { None };
    Some(match format {
        Format::Time => i32::try_from(steps(value, 1e3)?).ok()?.to_be_bytes().into(),
        Format::Ltime => steps(value, 1e9)?.to_be_bytes().into(),
        Format::S5time => return None,
        Format::Date => {
            let days = days(date(text()?)?) - DATE_EPOCH;
            u16::try_from(days).ok()?.to_be_bytes().into()
        }
        Format::TimeOfDay => {
            let millis = of_day(text()?)? / 1_000_000;
            u32::try_from(millis).ok()?.to_be_bytes().into()
        }
        Format::LtimeOfDay => of_day(text()?)?.to_be_bytes().into(),
        Format::DateAndTime => {
            let (date @ (year, month, day), nanos) = moment(text()?)?;
            (1990..2090).contains(&year).then_some(())?;
            let millis = nanos / 1_000_000 % 1_000;
            let numbers = [year % 100, month, day].map(|number| u64::try_from(number).unwrap_or(0));
            let [hour, minute, second] = parts(nanos);
            let mut bytes = Vec::with_capacity(8);
            for number in numbers.into_iter().chain([hour, minute, second, millis / 10]) {
                bytes.push(to_bcd(number)?);
            }
            bytes.push((to_bcd(millis % 10)? << 4) | weekday(date));
            bytes
        }
        Format::Ldt => {
            let (date @ (year, ..), nanos) = moment(text()?)?;
            (1970..=LAST_LDT_YEAR).contains(&year).then_some(())?;
            let day = i64::try_from(DAY_NANOS).ok()?;
            let start = days(date).checked_mul(day)?;
            start.checked_add(i64::try_from(nanos).ok()?)?.to_be_bytes().into()
        }
        Format::Dtl => {
            let (date @ (year, month, day), nanos) = moment(text()?)?;
            (1970..=LAST_LDT_YEAR).contains(&year).then_some(())?;
            let mut bytes: Vec<u8> = u16::try_from(year).ok()?.to_be_bytes().into();
            bytes.extend([u8::try_from(month).ok()?, u8::try_from(day).ok()?, weekday(date)]);
            for part in parts(nanos) {
                bytes.push(u8::try_from(part).ok()?);
            }
            bytes.extend(u32::try_from(nanos % 1_000_000_000).ok()?.to_be_bytes());
            bytes
        }
    })
}

/// As Siemens calls it.
const fn name(format: Format) -> &'static str {
    match format {
        Format::Time => "TIME",
        Format::Ltime => "LTIME",
        Format::S5time => "S5TIME",
        Format::Date => "DATE",
        Format::TimeOfDay => "TIME_OF_DAY",
        Format::LtimeOfDay => "LTIME_OF_DAY",
        Format::DateAndTime => "DATE_AND_TIME",
        Format::Ldt => "LDT",
        Format::Dtl => "DTL",
    }
}

const fn example(format: Format) -> &'static str {
    match format {
        Format::Time | Format::Ltime | Format::S5time => "seconds",
        Format::Date => "2026-11-22",
        Format::TimeOfDay | Format::LtimeOfDay => "13:45:00.250",
        Format::DateAndTime | Format::Ldt | Format::Dtl => "2026-11-22T13:45:00.250",
    }
}

/// Seconds as a whole number of steps.
#[expect(clippy::cast_possible_truncation, reason = "checked to be well inside the range")]
fn steps(value: &Native, per_second: f64) -> Option<i64> {
    let (Native::Int(_) | Native::UInt(_) | Native::Float(_)) = value else { return None };
    let steps = (value.number()? * per_second).round();
    (steps.is_finite() && steps.abs() < 9.2e18).then_some(steps as i64)
}

/// Two digits in a byte.
fn bcd(byte: u8) -> Option<u16> {
    let (high, low) = (byte >> 4, byte & 0x0F);
    (high < 10 && low < 10).then(|| u16::from(high) * 10 + u16::from(low))
}

fn to_bcd(number: u64) -> Option<u8> {
    let number = u8::try_from(number).ok().filter(|number| *number < 100)?;
    Some(((number / 10) << 4) | (number % 10))
}

fn clock(hour: u16, minute: u16, second: u16) -> Option<u64> {
    (hour < 24 && minute < 60 && second < 60)
        .then(|| (u64::from(hour) * 3_600 + u64::from(minute) * 60 + u64::from(second)) * 1_000_000_000)
}

/// Hour, minute and second of nanoseconds since midnight.
const fn parts(nanos: u64) -> [u64; 3] {
    let seconds = nanos / 1_000_000_000;
    [seconds / 3_600, seconds / 60 % 60, seconds % 60]
}

fn clock_text(nanos: u64, digits: usize) -> Option<String> {
    let [hour, minute, second] = parts(nanos);
    let fraction = format!("{:09}", nanos % 1_000_000_000);
    (nanos < DAY_NANOS).then(|| format!("{hour:02}:{minute:02}:{second:02}.{}", &fraction[..digits]))
}

fn date_text((year, month, day): (i64, i64, i64)) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

fn moment_text(date: (i64, i64, i64), nanos: u64, digits: usize) -> Option<String> {
    let text = format!("{}T{}", date_text(date), clock_text(nanos, digits)?);
    valid(date).then_some(text)
}

/// Day 0 is 1970-01-01; proleptic Gregorian calendar.
fn days((year, month, day): (i64, i64, i64)) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day; the reverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn valid(date: (i64, i64, i64)) -> bool {
    (1..=12).contains(&date.1) && (1..=31).contains(&date.2) && civil(days(date)) == date
}

/// 1 is Sunday.
fn weekday(date: (i64, i64, i64)) -> u8 {
    u8::try_from((days(date) + 4).rem_euclid(7) + 1).unwrap_or(1)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn date(text: &str) -> Option<(i64, i64, i64)> {
    let mut fields = text.split('-');
    let mut field = |digits| number(fields.next()?, digits).and_then(|number| i64::try_from(number).ok());
    let date = (field(4)?, field(2)?, field(2)?);
    (fields.next().is_none() && valid(date)).then_some(date)
}

fn of_day(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut fields = whole.split(':');
    let mut field = || number(fields.next()?, 2).and_then(|number| u16::try_from(number).ok());
    let nanos = clock(field()?, field()?, field()?)?;
    (fields.next().is_none() && fraction.len() <= 9).then_some(())?;
    Some(nanos + number(&format!("{fraction:0<9}"), 9)?)
}

fn moment(text: &str) -> Option<((i64, i64, i64), u64)> {
    let (day, time) = text.strip_suffix('Z').unwrap_or(text).split_once(['T', ' '])?;
    Some((date(day)?, of_day(time)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, bytes: &[u8]) -> Native {
        decode(format, bytes).unwrap()
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(read(Format::Time, &1_500_i32.to_be_bytes()), Native::Float(1.5));
        assert_eq!(read(Format::Time, &(-1_i32).to_be_bytes()), Native::Float(-0.001));
        assert_eq!(read(Format::Ltime, &2_500_000_000_i64.to_be_bytes()), Native::Float(2.5));
        assert_eq!(read(Format::S5time, &[0x21, 0x27]), Native::Float(127.0));
        assert_eq!(read(Format::S5time, &[0x00, 0x07]), Native::Float(0.07));
        assert_eq!(read(Format::S5time, &[0x39, 0x99]), Native::Float(9_990.0));
        assert!(decode(Format::S5time, &[0x0A, 0x00]).is_err());
    }

    #[test]
    fn dates_and_times_are_text_without_a_zone() {
        assert_eq!(read(Format::Date, &[0, 0]), Native::text("1990-01-01"));
        assert_eq!(read(Format::Date, &13_474_u16.to_be_bytes()), Native::text("2026-11-22"));
        assert_eq!(read(Format::TimeOfDay, &49_500_250_u32.to_be_bytes()), Native::text("13:45:00.250"));
        let bytes = [0x26, 0x11, 0x22, 0x13, 0x45, 0x00, 0x25, 0x01];
        assert_eq!(read(Format::DateAndTime, &bytes), Native::text("2026-11-22T13:45:00.250"));
        let bytes = [0x07, 0xEA, 11, 22, 1, 13, 45, 0, 0, 0, 0, 7];
        assert_eq!(read(Format::Dtl, &bytes), Native::text("2026-11-22T13:45:00.000000007"));
        assert_eq!(read(Format::Ldt, &[0; 8]), Native::text("1970-01-01T00:00:00.000000000"));
    }

    #[test]
    fn bytes_that_are_no_time_are_said_to_be_none() {
        assert_eq!(decode(Format::Dtl, &[0; 12]).unwrap_err(), "000000000000000000000000 is no DTL");
        assert!(decode(Format::DateAndTime, &[0xFF; 8]).is_err());
        assert!(decode(Format::TimeOfDay, &86_400_000_u32.to_be_bytes()).is_err());
        assert!(decode(Format::Date, &[1]).is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let texts = [
            (Format::Date, "2024-02-29"),
            (Format::TimeOfDay, "23:59:59.999"),
            (Format::LtimeOfDay, "00:00:00.000000001"),
            (Format::DateAndTime, "1999-12-31T23:59:59.999"),
            (Format::Ldt, "2026-11-22T13:45:00.250000001"),
            (Format::Dtl, "2026-11-22T13:45:00.250000001"),
        ];
        for (format, text) in texts {
            let bytes = encode(format, &Native::text(text)).unwrap();
            assert_eq!(decode(format, &bytes), Ok(Native::text(text)), "{format:?}");
        }
        for format in [Format::Time, Format::Ltime] {
            let bytes = encode(format, &Native::Float(-12.345)).unwrap();
            assert_eq!(decode(format, &bytes), Ok(Native::Float(-12.345)));
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_how_to_write_it() {
        for (format, value) in [
            (Format::Date, Native::text("2026-02-29")),
            (Format::Date, Native::text("1989-12-31")),
            (Format::Date, Native::Int(4)),
            (Format::TimeOfDay, Native::text("24:00:00")),
            (Format::DateAndTime, Native::text("2090-01-01T00:00:00")),
            (Format::Dtl, Native::text("2026-01-01")),
            (Format::Dtl, Native::text("9999-01-01T00:00:00")),
            (Format::Time, Native::Float(f64::NAN)),
            (Format::Time, Native::Float(3e6)),
            (Format::Time, Native::text("1")),
        ] {
            let why = encode(format, &value).unwrap_err();
            assert!(why.contains("; write "), "{format:?} {value}: {why}");
        }
    }

    proptest::proptest! {
        #[test]
        fn days_and_dates_are_each_others_reverse(day in -700_000_i64..3_000_000) {
            proptest::prop_assert_eq!(days(civil(day)), day);
        }

        #[test]
        fn what_is_read_can_be_written(format in 0_usize..9, bytes in proptest::collection::vec(proptest::num::u8::ANY, 12)) {
            let format = ALL[format];
            let bytes = &bytes[..format.bytes() as usize];
            if let Ok(value) = decode(format, bytes)
                && let Ok(written) = encode(format, &value)
            {
                proptest::prop_assert_eq!(decode(format, &written), Ok(value));
            }
        }

        #[test]
        fn no_text_panics(format in 0_usize..9, text in "[0-9T:. é-]{0,30}") {
            let _ = encode(ALL[format], &Native::text(&text));
        }
    }
}
