//! The first field of a line: when, and over how long.

use std::time::Duration;

use guideway_contract::Timestamp;

/// How the first fields of lines become times. Remembers what the next one is likely to share.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// ISO instants count from the first one, too.
    relative: bool,
    /// The first bare number, in milliseconds, and the arrival that stands for it.
    base: Option<(f64, Timestamp)>,
    /// What turns the source's instants into ours, when they are relative.
    shift: Option<i64>,
    last: Last,
}

/// The minute that was read last: `YYYY-MM-DDTHH:MM:` and its first nanosecond.
#[derive(Clone, Debug, Default)]
struct Last {
    prefix: [u8; 17],
    nanos: i64,
}

/// A time field, read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeField {
    /// When.
    pub time: Timestamp,
    /// Seconds over which the values were gathered.
    pub duration: Option<f64>,
    /// Whether the time was written by the source's own clock, so that it tells how that clock
    /// stands to ours.
    pub from_source: bool,
    /// Whether it could be read; when it could not, `time` is the arrival.
    pub valid: bool,
}

impl Times {
    /// Whether ISO instants count from the first one seen, as bare numbers always do.
    pub const fn set_relative(&mut self, relative: bool) {
        self.relative = relative;
    }

    /// Forgets what relative times count from: a new connection.
    pub const fn clear(&mut self) {
        self.base = None;
        self.shift = None;
    }

    /// Reads `time[@duration]`. An empty time is the arrival; a bare number counts milliseconds from
    /// the first one seen, which is taken as its arrival.
    pub fn read(&mut self, field: &str, arrival: Timestamp) -> TimeField {
        if let Some(time) = self.iso_fast(field.as_bytes()) {
            return self.instant(time, arrival);
        }
        let (text, duration) = match field.split_once('@') {
            Some((text, duration)) => (text.trim_ascii_end(), Some(duration)),
            None => (field, None),
        };
        let mut read = if text.is_empty() {
            TimeField { time: arrival, duration: None, from_source: false, valid: true }
        } else if let Some(time) = Timestamp::parse(text) {
            self.remember(text.as_bytes(), time);
            self.instant(time, arrival)
        } else if let Some(millis) = super::number(text) {
            self.offset(millis, arrival)
        } else {
            TimeField { time: arrival, duration: None, from_source: false, valid: false }
        };
        if let Some(text) = duration {
            read.duration = super::number(text).filter(|seconds| *seconds >= 0.0);
            read.valid &= read.duration.is_some();
        }
        read
    }

    /// `YYYY-MM-DDTHH:MM:SS[.fraction]Z` within the minute that was read last.
    #[inline]
    fn iso_fast(&self, field: &[u8]) -> Option<Timestamp> {
        let (prefix, rest) = field.split_first_chunk::<17>()?;
        let (&[tens, ones], rest) = rest.split_first_chunk::<2>()?;
        if *prefix != self.last.prefix || !matches!(tens, b'0'..=b'5') || !ones.is_ascii_digit() {
            return None;
        }
        let seconds = i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
        let (fraction, digits) = match rest {
            b"Z" => (0, 0),
            [b'.', digits @ .., b'Z'] if matches!(digits.len(), 1..=9) => {
                let mut fraction = 0_i64;
                for digit in digits {
                    if !digit.is_ascii_digit() {
                        return None;
                    }
                    fraction = fraction * 10 + i64::from(digit - b'0');
                }
                const SCALE: [i64; 10] =
                    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
                // The length was just checked to be 1 to 9.
                (fraction * SCALE[digits.len()], digits.len() as u8)
            }
            _ => return None,
        };
        Some(Timestamp::from_nanos(self.last.nanos + seconds * 1_000_000_000 + fraction, digits))
    }

    /// Keeps the minute of an instant that was read the thorough way.
    fn remember(&mut self, text: &[u8], time: Timestamp) {
        // Only UTC and whole minutes: an offset or a leap second is read the thorough way each time.
        if let Some((prefix, _)) = text.split_first_chunk::<17>()
            && text.ends_with(b"Z")
            && &text[17..19] < b"60".as_slice()
        {
            let minute = time.nanos().div_euclid(60_000_000_000) * 60_000_000_000;
            self.last = Last { prefix: *prefix, nanos: minute };
        }
    }

    fn instant(&mut self, time: Timestamp, arrival: Timestamp) -> TimeField {
        if !self.relative {
            return TimeField { time, duration: None, from_source: true, valid: true };
        }
        let shift = *self.shift.get_or_insert(arrival.nanos().saturating_sub(time.nanos()));
        TimeField { time: time.shifted(shift), duration: None, from_source: false, valid: true }
    }

    fn offset(&mut self, millis: f64, arrival: Timestamp) -> TimeField {
        let (first, base) = *self.base.get_or_insert((millis, arrival));
        // Longer than the limits of a signed 64-bit count of nanoseconds saturates.
        let nanos = ((millis - first) * 1e6).round() as i64;
        TimeField { time: base.shifted(nanos), duration: None, from_source: false, valid: true }
    }
}

/// Milliseconds as in `PONG`; `None` when it is no whole number in the range that makes sense
/// (10 ms to 30 min).
pub(super) fn heartbeat(text: &str) -> Option<Duration> {
    let millis: u64 = text.trim_ascii().parse().ok()?;
    (10..=1_800_000).contains(&millis).then(|| Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_123_456_000, 6);

    #[test]
    fn an_empty_time_is_the_arrival() {
        let read = Times::default().read("", NOW);
        assert_eq!((read.time, read.from_source, read.valid), (NOW, false, true));
    }

    #[test]
    fn every_digit_of_a_fraction_is_kept() {
        let mut times = Times::default();
        for text in [
            "2017-05-18T08:57:45.4375000Z",
            "2017-05-18T08:57:46.4375000Z",
            "2017-05-18T08:57:59Z",
            "2017-05-18T08:57:00.000000001Z",
            "2017-05-18T08:58:00.1Z",
        ] {
            assert_eq!(times.read(text, NOW).time.to_string(), text);
        }
    }

    #[test]
    fn a_bare_number_counts_milliseconds_from_the_first_one() {
        let mut times = Times::default();
        assert_eq!(times.read("5000", NOW).time, NOW);
        let later = NOW.shifted(60_000_000_000);
        assert_eq!(times.read("5001.5", later).time, NOW.shifted(1_500_000));
        assert_eq!(times.read("4000", later).time, NOW.shifted(-1_000_000_000));
        times.clear();
        assert_eq!(times.read("9", later).time, later);
    }

    #[test]
    fn instants_count_from_the_first_one_where_they_are_relative() {
        let mut times = Times::default();
        times.set_relative(true);
        assert_eq!(times.read("2000-01-01T00:00:00Z", NOW).time, NOW);
        let read = times.read("2000-01-01T00:00:01.5Z", NOW.shifted(9));
        assert_eq!((read.time, read.from_source), (NOW.shifted(1_500_000_000), false));
    }

    #[test]
    fn a_duration_stands_behind_any_time() {
        let mut times = Times::default();
        for (text, duration, valid) in [
            ("2017-05-18T08:57:45.4375000Z@100.5", Some(100.5), true),
            ("@2", Some(2.0), true),
            ("17@0", Some(0.0), true),
            ("@", None, false),
            ("@-1", None, false),
            ("@inf", None, false),
        ] {
            let read = times.read(text, NOW);
            assert_eq!((read.duration, read.valid), (duration, valid), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_the_arrival_and_said_to_be_bad() {
        for text in ["yesterday", "2017-05-18", "2017-05-18T08:57:4xZ", "nan", "1,5"] {
            let read = Times::default().read(text, NOW);
            assert_eq!((read.time, read.valid), (NOW, false), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_and_the_thorough_way_agree(
            first in "2017-0[1-3]-[0-2][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|)",
            seconds in "[0-9]{2}(\\.[0-9]{0,10})?(Z|z||\\+01:00)",
        ) {
            let mut times = Times::default();
            times.read(&first, NOW);
            let text = format!("{}{seconds}", &first[..17]);
            let expected = Timestamp::parse(&text);
            let read = times.read(&text, NOW);
            prop_assert_eq!(read.valid.then_some(read.time), expected);
            prop_assert!(expected.is_none_or(|time| time.digits() == read.time.digits()));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = Times::default().read(&text, NOW);
        }
    }
}
