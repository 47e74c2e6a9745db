//! Dates and times of the PLC as text: they have no zone, most programs keep local time in them.

use guideway_contract::Timestamp;
use smol_str::SmolStr;

const SECOND: i64 = 1_000_000_000;

/// Which text a time is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calendar {
    /// `2024-03-01`.
    Date,
    /// `2024-03-01T06:30:00`, with a fraction where there is one.
    DateTime,
    /// `06:30:00`, with a fraction where there is one.
    TimeOfDay,
}

impl Calendar {
    /// Nanoseconds since 1970, or since midnight, as text.
    pub fn text(self, nanos: i64) -> SmolStr {
        let fraction = nanos.rem_euclid(SECOND);
        let digits = [(SECOND, 0), (SECOND / 1_000, 3), (SECOND / 1_000_000, 6)]
            .into_iter()
            .find_map(|(step, digits)| (fraction % step == 0).then_some(digits))
            .unwrap_or(9);
        let whole = Timestamp::from_nanos(nanos, digits).to_string();
        let text = whole.trim_end_matches('Z');
        match (self, text.split_once('T')) {
            (Self::Date, Some((date, _))) => date.into(),
            (Self::TimeOfDay, Some((_, time))) => time.into(),
            _ => text.into(),
        }
    }

    /// Text as nanoseconds since 1970, or since midnight.
    pub fn nanos(self, text: &str) -> Option<i64> {
        let whole = match self {
            Self::Date => format!("{text}T00:00:00"),
            Self::DateTime => text.to_owned(),
            Self::TimeOfDay => format!("1970-01-01T{text}"),
        };
        Timestamp::parse(&whole).map(Timestamp::nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_written_and_read() {
        let day = 1_709_251_200 * SECOND;
        let written = [
            (Calendar::Date, day, "2024-03-01"),
            (Calendar::DateTime, day + 23_400 * SECOND, "2024-03-01T06:30:00"),
            (Calendar::TimeOfDay, 23_400 * SECOND + 250_000_000, "06:30:00.250"),
        ];
        for (calendar, nanos, text) in written {
            assert_eq!(calendar.text(nanos), text);
            assert_eq!(calendar.nanos(text), Some(nanos));
        }
        assert_eq!(Calendar::Date.nanos("yesterday"), None);
    }
}
