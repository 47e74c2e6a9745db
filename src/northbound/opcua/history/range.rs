//! The range of a request for raw values.

use guideway_contract::Timestamp;
use opcua_types::{DateTime, ReadRawModifiedDetails, StatusCode};

/// Ticks of 100 ns from 1601, where OPC UA begins to count, to 1970.
pub(super) const UNIX_EPOCH: i64 = 116_444_736_000_000_000;

/// Ticks in a second.
pub(super) const SECOND: i64 = 10_000_000;

/// What a request asks for, by the rules of part 11, 6.4.3.2. Times are ticks of 100 ns since 1601; ends
/// that are not given are those of the range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The first tick.
    pub(super) from: i64,
    /// The tick behind the last one.
    pub(super) until: i64,
    /// Newest first.
    pub(super) backward: bool,
    /// Where it begins, in the direction of reading.
    pub(super) start: i64,
    /// Where it ends; `None` when it ends with the last of `number` values.
    pub(super) end: Option<i64>,
    /// Whether the values at the ends, or next to them outside, are wanted too.
    pub(super) bounds: bool,
    /// How many values at most: in an answer, or where `end` is `None` in all of them together. 0: any.
    pub(super) number: usize,
}

impl Range {
    /// Two of start, end and number must be given.
    pub(super) fn of(details: &ReadRawModifiedDetails) -> Result<Self, StatusCode> {
        let given = |time: DateTime| (!time.is_null()).then(|| time.ticks());
        let number = usize::try_from(details.num_values_per_node).unwrap_or(usize::MAX);
        // A range that ends here has the end in it, one tick long.
        let behind = |tick: i64| tick.saturating_add(1);
        let (from, until, backward, start, end) = match (given(details.start_time), given(details.end_time)) {
            (Some(start), Some(end)) if end < start => (behind(end), behind(start), true, start, Some(end)),
            // The one instant; otherwise the end is not in the range.
            (Some(start), Some(end)) if end == start => (start, behind(start), false, start, Some(end)),
            (Some(start), Some(end)) => (start, end, false, start, Some(end)),
            (Some(start), None) if number > 0 => (start, i64::MAX, false, start, None),
            (None, Some(end)) if number > 0 => (i64::MIN, behind(end), true, end, None),
            _ => return Err(StatusCode::BadHistoryOperationInvalid),
        };
        Ok(Self { from, until, backward, start, end, bounds: details.return_bounds, number })
    }

    /// Whether a value of that time is in the range.
    pub(super) const fn holds(&self, tick: i64) -> bool {
        self.from <= tick && tick < self.until
    }
}

/// The instant of a tick; `None` beyond the times that there are.
pub(super) fn instant(tick: i64) -> Option<Timestamp> {
    let nanos = tick.checked_sub(UNIX_EPOCH)?.checked_mul(100)?;
    Some(Timestamp::from_nanos(nanos, 9))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64, number: u32) -> Result<Range, StatusCode> {
        Range::of(&ReadRawModifiedDetails {
            is_read_modified: false,
            start_time: DateTime::from(start),
            end_time: DateTime::from(end),
            num_values_per_node: number,
            return_bounds: false,
        })
    }

    fn ticks(range: Result<Range, StatusCode>) -> (i64, i64, bool) {
        let range = range.unwrap();
        (range.from, range.until, range.backward)
    }

    #[test]
    fn the_start_is_in_the_range_and_the_end_is_not() {
        assert_eq!(ticks(range(100, 200, 0)), (100, 200, false));
        assert_eq!(ticks(range(200, 100, 0)), (101, 201, true));
        assert_eq!(ticks(range(100, 100, 0)), (100, 101, false));
        assert_eq!(ticks(range(100, 0, 1)), (100, i64::MAX, false));
        assert_eq!(ticks(range(0, 100, 1)), (i64::MIN, 101, true));
    }

    #[test]
    fn two_of_start_end_and_number_must_be_given() {
        for (start, end, number) in [(0, 0, 0), (0, 0, 7), (100, 0, 0), (0, 100, 0)] {
            assert_eq!(range(start, end, number), Err(StatusCode::BadHistoryOperationInvalid));
        }
    }

    #[test]
    fn a_tick_is_an_instant() {
        assert_eq!(instant(UNIX_EPOCH + 15), Some(Timestamp::from_nanos(1_500, 9)));
        assert_eq!(instant(i64::MAX), None);
        assert_eq!(instant(i64::MIN), None);
    }
}
