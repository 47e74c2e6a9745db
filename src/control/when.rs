//! On which days and at which hours something holds, by the clock on the wall.

use jiff::civil::{DateTime, Weekday};

/// As people write them, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Days and hours. The default holds always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// One bit a day, Monday the lowest.
    days: u8,
    /// Minutes of the day: from, and up to but without. The second may be the smaller one: then it passes midnight.
    hours: Option<(u16, u16)>,
    written: String,
}

impl Default for When {
    fn default() -> Self {
        Self { days: 0x7f, hours: None, written: String::new() }
    }
}

impl When {
    /// Days such as `mon-fri,sun`, and hours such as `06:00-22:00`; without them every day, always.
    ///
    /// # Errors
    /// Which of both (`days`, `hours`), and what is wrong with it.
    pub fn new(days: Option<&str>, hours: Option<&str>) -> Result<Self, (&'static str, String)> {
        let read_days = days.map(|text| read_days(text).map_err(|why| ("days", why))).transpose()?;
        let read_hours = hours.map(|text| read_hours(text).map_err(|why| ("hours", why))).transpose()?;
        let written: Vec<&str> = [days, hours].into_iter().flatten().map(str::trim).collect();
        Ok(Self { days: read_days.unwrap_or(0x7f), hours: read_hours, written: written.join(" ") })
    }

    /// Whether it holds then. Hours that pass midnight belong to the day on which they begin: with `fri` and
    /// `22:00-06:00` it holds until six o'clock of Saturday.
    pub fn holds(&self, time: DateTime) -> bool {
        let day = time.date().weekday();
        let minute = u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).unwrap_or(0);
        let Some((from, until)) = self.hours else { return self.is_on(day) };
        if from < until {
            return self.is_on(day) && (from..until).contains(&minute);
        }
        self.is_on(day) && minute >= from || self.is_on(day.previous()) && minute < until
    }

    fn is_on(&self, day: Weekday) -> bool {
        self.days & (1 << day.to_monday_zero_offset()) != 0
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.written.is_empty() { "always" } else { &self.written })
    }
}

fn read_days(text: &str) -> Result<u8, String> {
    let day = |text: &str| {
        let text = text.trim().to_ascii_lowercase();
        let found = DAYS.iter().position(|day| *day == text);
        found.ok_or_else(|| format!("`{text}` is no day: write {}", DAYS.join(", ")))
    };
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        for step in 0..=length {
            days |= 1 << ((first + step) % 7);
        }
    }
    Ok(days)
}

fn read_hours(text: &str) -> Result<(u16, u16), String> {
    let minute = |text: &str| {
        let digits = |text: &str| {
            let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            two.then(|| text.parse::<u16>().ok())?
        };
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute) = (digits(hour)?, digits(minute)?);
        (minute < 60 && (hour < 24 || (hour, minute) == (24, 0))).then_some(hour * 60 + minute)
    };
    let read = text.split_once('-').and_then(|(from, until)| Some((minute(from)?, minute(until)?)));
    match read {
        Some((from, until)) if from == until => {
            Err("they begin when they end; without them it holds always".into())
        }
        Some((1_440, _)) => Err("they begin at 24:00; write 00:00".into()),
        Some(hours) => Ok(hours),
        None => Err(format!("`{text}` is not such as 06:00-22:00")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    fn holds(days: Option<&str>, hours: Option<&str>, time: &str) -> bool {
        When::new(days, hours).unwrap().holds(at(time))
    }

    // 2026-11-23 is a Monday.

    #[test]
    fn days_are_single_ones_and_stretches_that_may_pass_the_week_end() {
        for (days, on) in [
            ("mon-fri,sun", "1111101"),
            ("MON", "1000000"),
            (" sat , sun ", "0000011"),
            ("fri-mon", "1000111"),
            ("sun-mon", "1000001"),
            ("mon-sun", "1111111"),
            ("wed-wed", "0010000"),
        ] {
            let seen: String = (23..30)
                .map(|day| if holds(Some(days), None, &format!("2026-11-{day}T12:00")) { '1' } else { '0' })
                .collect();
            assert_eq!(seen, on, "{days}");
        }
    }

    #[test]
    fn hours_begin_with_their_first_minute_and_end_before_their_last() {
        for (hours, time, on) in [
            ("06:00-22:00", "05:59:59", false),
            ("06:00-22:00", "06:00:00", true),
            ("06:00-22:00", "21:59:59.999", true),
            ("06:00-22:00", "22:00:00", false),
            ("00:00-24:00", "23:59:59", true),
            ("22:00-06:00", "21:59", false),
            ("22:00-06:00", "22:00", true),
            ("22:00-06:00", "05:59", true),
            ("22:00-06:00", "06:00", false),
            ("12:30-00:00", "23:59", true),
            ("12:30-00:00", "00:00", false),
        ] {
            assert_eq!(holds(None, Some(hours), &format!("2026-11-23T{time}")), on, "{hours} {time}");
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = |time: &str| holds(Some("fri"), Some("22:00-06:00"), time);
        assert!(night("2026-11-27T23:00") && night("2026-11-28T05:59"));
        assert!(!night("2026-11-27T05:59"), "that is the night of Thursday");
        assert!(!night("2026-11-28T06:00") && !night("2026-11-28T23:00"));
        let sunday = |time: &str| holds(Some("sun"), Some("22:00-06:00"), time);
        assert!(sunday("2026-11-30T05:00") && !sunday("2026-11-29T05:00"));
    }

    #[test]
    fn without_days_and_hours_it_holds_always() {
        assert!(holds(None, None, "2026-11-23T00:00"));
        assert_eq!(When::new(None, None).unwrap(), When::default());
        assert_eq!(When::default().to_string(), "always");
        assert_eq!(When::new(Some("mon"), Some("06:00-22:00")).unwrap().to_string(), "mon 06:00-22:00");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_to_write() {
        for days in ["", "monday", "mon-", "mon;tue", "mon,,tue", "1-5", "mon-fri-sun"] {
            let (field, why) = When::new(Some(days), None).unwrap_err();
            assert!(field == "days" && why.contains("write mon, tue"), "{days}: {why}");
        }
        for hours in
            ["", "6-22", "6:00-22:00", "06:00", "06:00-25:00", "06:60-07:00", "24:01-06:00", "+6:00-07:00"]
        {
            let (field, why) = When::new(None, Some(hours)).unwrap_err();
            assert!(field == "hours" && why.contains("06:00-22:00"), "{hours}: {why}");
        }
        assert!(When::new(None, Some("06:00-06:00")).unwrap_err().1.contains("holds always"));
        assert!(When::new(None, Some("24:00-06:00")).unwrap_err().1.contains("00:00"));
    }
}
