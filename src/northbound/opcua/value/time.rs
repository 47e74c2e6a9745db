//! Timestamps in ticks of 100 ns since 1601 (part 6, 5.2.2.5).

use guideway_contract::Timestamp;
use opcua_types::DateTime;

/// Ticks from the epoch of OPC UA, 1601-01-01, to that of Unix.
const UNIX_EPOCH: i64 = 116_444_736_000_000_000;

/// The instant, cut to 100 ns.
pub(in crate::northbound::opcua) fn date_time(time: Timestamp) -> DateTime {
    DateTime::from(time.nanos().div_euclid(100) + UNIX_EPOCH)
}

/// The instant, and what 100 ns do not hold of it: "the number of 10 picosecond intervals" (part 4,
/// 7.11), `None` when there is nothing more.
pub(super) fn split(time: Timestamp) -> (DateTime, Option<u16>) {
    // Below 100 ns, so below 10,000 intervals.
    let rest = u16::try_from(time.nanos().rem_euclid(100) * 100).unwrap_or(0);
    (date_time(time), (rest > 0).then_some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_of_a_timestamp_goes_along() {
        let time = Timestamp::parse("2026-11-22T18:45:12.123456789Z").expect("a timestamp");
        let (ticks, picoseconds) = split(time);
        assert_eq!(ticks.to_rfc3339(), "2026-11-22T18:45:12.123Z");
        assert_eq!(ticks.ticks() % 10_000_000, 1_234_567);
        assert_eq!(picoseconds, Some(8_900));
        let (_, picoseconds) = split(Timestamp::parse("2026-11-22T18:45:12.1234567Z").expect("a timestamp"));
        assert_eq!(picoseconds, None);
    }

    #[test]
    fn the_ends_of_the_range_and_the_time_before_1970_are_times_too() {
        for (text, ticks) in [
            ("1970-01-01T00:00:00Z", UNIX_EPOCH),
            ("1969-12-31T23:59:59.9999999Z", UNIX_EPOCH - 1),
            ("2000-01-01T00:00:00Z", 125_911_584_000_000_000),
        ] {
            assert_eq!(date_time(Timestamp::parse(text).expect("a timestamp")).ticks(), ticks, "{text}");
        }
        for nanos in [i64::MIN, i64::MAX] {
            let (time, _) = split(Timestamp::from_nanos(nanos, 9));
            assert_eq!(time.ticks(), nanos.div_euclid(100) + UNIX_EPOCH);
        }
    }
}
