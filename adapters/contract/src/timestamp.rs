//! Points in time as sources write them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A UTC instant with nanosecond resolution that remembers how many fraction digits its source
/// wrote, so that `…45.4375000Z` leaves the gateway as it came in.
///
/// Range: years 1678 to 2261. Ordering and equality look at the instant only.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    nanos: i64,
    digits: u8,
}

impl Timestamp {
    /// The Unix epoch, whole seconds.
    pub const EPOCH: Self = Self { nanos: 0, digits: 0 };

    /// An instant from nanoseconds since the Unix epoch, printed with `digits` (0 to 9, larger
    /// numbers count as 9) fraction digits.
    pub const fn from_nanos(nanos: i64, digits: u8) -> Self {
        let digits = if digits > 9 { 9 } else { digits };
        Self { nanos, digits }
    }

    /// Now, by the system's clock, in microseconds.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX / 1_000);
        Self { nanos: micros.saturating_mul(1_000), digits: 6 }
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.nanos
    }

    /// How many fraction digits are printed, 0 to 9.
    pub const fn digits(self) -> u8 {
        self.digits
    }

    /// The same instant moved by `nanos`, printed with as many digits as before; saturates at the
    /// ends of the range.
    #[must_use]
    pub const fn shifted(self, nanos: i64) -> Self {
        Self { nanos: self.nanos.saturating_add(nanos), digits: self.digits }
    }

    /// Reads an ISO 8601 / RFC 3339 instant: `T` or a space between date and time, any number of
    /// fraction digits (those past the ninth are cut), `Z`, an offset such as `+02:00`, or nothing,
    /// which means UTC. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let civil = Civil::read(bytes)?;
        let mut rest = bytes.get(19..)?;
        let mut digits = 0_u8;
        let mut fraction = 0_i64;
        if let Some((b'.' | b',', tail)) = rest.split_first() {
            let length = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length == 0 {
                return None;
            }
            for byte in &tail[..length.min(9)] {
                fraction = fraction * 10 + i64::from(byte - b'0');
                digits += 1;
            }
            for _ in digits..9 {
                fraction *= 10;
            }
            rest = &tail[length..];
        }
        let offset = match rest {
            b"" | b"Z" | b"z" => 0,
            [sign @ (b'+' | b'-'), zone @ ..] => {
                let (hours, minutes) = match zone {
                    [a, b] => (pair(*a, *b)?, 0),
                    [a, b, c, d] | [a, b, b':', c, d] => (pair(*a, *b)?, pair(*c, *d)?),
                    _ => return None,
                };
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = hours * 3_600 + minutes * 60;
                if *sign == b'-' { -seconds } else { seconds }
            }
            _ => return None,
        };
        let seconds = civil.seconds()? - offset;
        let nanos = seconds.checked_mul(1_000_000_000)?.checked_add(fraction)?;
        Some(Self { nanos, digits })
    }

    /// Writes `YYYY-MM-DDTHH:MM:SS[.fraction]Z` at the end of `out`.
    pub fn write(self, out: &mut Vec<u8>) {
        let seconds = self.nanos.div_euclid(1_000_000_000);
        let fraction = self.nanos.rem_euclid(1_000_000_000);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        put(&mut text[0..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], of_day / 3_600);
        put(&mut text[14..16], of_day / 60 % 60);
        put(&mut text[17..19], of_day % 60);
        put(&mut text[20..29], fraction);
        match usize::from(self.digits) {
            0 => out.extend_from_slice(&text[..19]),
            digits => out.extend_from_slice(&text[..20 + digits]),
        }
        out.push(b'Z');
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(30);
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    of_day: i64,
}

impl Civil {
    fn read(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; 19] = bytes.get(..19)?.try_into().ok()?;
        let [
            y0,
            y1,
            y2,
            y3,
            b'-',
            m0,
            m1,
            b'-',
            d0,
            d1,
            b'T' | b't' | b' ',
            h0,
            h1,
            b':',
            n0,
            n1,
            b':',
            s0,
            s1,
        ] = *head
        else {
            return None;
        };
        let year = pair(y0, y1)? * 100 + pair(y2, y3)?;
        let (month, day) = (pair(m0, m1)?, pair(d0, d1)?);
        let (hour, minute, second) = (pair(h0, h1)?, pair(n0, n1)?, pair(s0, s1)?);
        // A leap second (60) is taken as the first instant of the next minute.
        let fits = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        fits.then_some(Self { year, month, day, of_day: hour * 3_600 + minute * 60 + second })
    }

    fn seconds(&self) -> Option<i64> {
        // Instants outside this range do not fit 64 bits of nanoseconds.
        (1678..=2261)
            .contains(&self.year)
            .then(|| days_from_civil(self.year, self.month, self.day) * 86_400 + self.of_day)
    }
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

fn put(field: &mut [u8], mut number: i64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date (years counted from March, in eras of 400).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(text: &str) -> Option<String> {
        Timestamp::parse(text).map(|time| time.to_string())
    }

    #[test]
    fn a_timestamp_keeps_the_digits_its_source_wrote() {
        for text in [
            "2017-05-18T08:57:45.4375000Z",
            "2016-05-13T05:00:00.000000Z",
            "2019-01-29T17:34:03.938Z",
            "1970-01-01T00:00:00Z",
        ] {
            assert_eq!(round(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_offset_is_converted_and_a_missing_zone_is_utc() {
        assert_eq!(round("2024-03-01T01:30:00+02:00").as_deref(), Some("2024-02-29T23:30:00Z"));
        assert_eq!(round("2024-03-01 01:30:00.5").as_deref(), Some("2024-03-01T01:30:00.5Z"));
    }

    #[test]
    fn what_is_not_a_timestamp_is_refused() {
        for text in [
            "",
            "2024",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00Zx",
            "9999-01-01T00:00:00Z",
            "2024-01-01T00:00:00+99:00",
        ] {
            assert_eq!(round(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same_instant(nanos in i64::MIN / 2..i64::MAX / 2) {
            let time = Timestamp::from_nanos(nanos, 9);
            prop_assert_eq!(Timestamp::parse(&time.to_string()).map(Timestamp::nanos), Some(nanos));
        }

        #[test]
        fn the_calendar_agrees_with_jiff(seconds in -9_000_000_000_i64..9_000_000_000) {
            let ours = Timestamp::from_nanos(seconds * 1_000_000_000, 0).to_string();
            let theirs = jiff::Timestamp::from_second(seconds).map(|time| time.to_string());
            prop_assert_eq!(Some(ours), theirs.ok());
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = Timestamp::parse(&text);
        }
    }
}
