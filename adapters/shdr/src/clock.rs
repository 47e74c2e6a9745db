//! How the source's clock stands to ours.

use guideway_contract::Timestamp;

/// How long a minimum holds; then it makes room for that of the next window.
const WINDOW_NANOS: i64 = 30_000_000_000;
/// What arrives this soon after a connection was made may be a snapshot with old times.
const SNAPSHOT_NANOS: i64 = 2_000_000_000;

/// Estimates the source's clock minus ours from what arrives.
///
/// A value that is sent at once arrives after the shortest way there is; one that waited arrives
/// later, never sooner. So the least of (arrival − source time) over a sliding window is the clocks'
/// difference and the shortest way, and old values, bursts and stalls do not disturb it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockOffset {
    opened: i64,
    window: i64,
    current: Option<i64>,
    previous: Option<i64>,
    settled: bool,
}

impl ClockOffset {
    /// A connection begins. What was known before stays until something better is known.
    pub(crate) fn start(&mut self, now: Timestamp) {
        self.opened = now.nanos();
        self.window = now.nanos();
        if self.settled {
            self.previous = self.least();
        } else {
            self.previous = None;
        }
        self.current = None;
    }

    /// Something that happened at `source` by the source's clock arrived.
    #[inline]
    pub(crate) fn observe(&mut self, source: Timestamp, arrival: Timestamp) {
        let now = arrival.nanos();
        let delay = now.saturating_sub(source.nanos());
        let live = now.saturating_sub(self.opened) >= SNAPSHOT_NANOS;
        if live && !self.settled {
            // From here on only what is live counts.
            *self = Self { opened: self.opened, window: now, settled: true, ..Self::default() };
        } else if live && now.saturating_sub(self.window) >= WINDOW_NANOS {
            self.previous = self.current.or(self.previous);
            self.current = None;
            self.window = now;
        }
        // After a reconnect a snapshot must not spoil what is known.
        if live || !self.settled || self.previous.is_none_or(|previous| delay < previous) {
            self.current = Some(self.current.map_or(delay, |least| least.min(delay)));
        }
    }

    /// The source's clock minus ours, in nanoseconds; `None` before anything arrived.
    pub(crate) fn estimate(&self) -> Option<i64> {
        self.least().map(i64::saturating_neg)
    }

    /// What to take from the source's times. Soon after the first connection a source may send old
    /// values, so that only a clock that is ahead of ours is known to be wrong.
    pub(crate) fn correction(&self) -> i64 {
        let offset = self.estimate().unwrap_or(0);
        if self.settled { offset } else { offset.max(0) }
    }

    fn least(&self) -> Option<i64> {
        match (self.current, self.previous) {
            (Some(current), Some(previous)) => Some(current.min(previous)),
            (current, previous) => current.or(previous),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: i64 = 1_000_000;
    const SECOND: i64 = 1_000 * MILLI;
    const START: Timestamp = Timestamp::from_nanos(1_700_000_000 * SECOND, 6);

    /// A clock that is ahead by `offset`, seen at `at` over a way of `way`.
    fn see(clock: &mut ClockOffset, at: i64, offset: i64, way: i64) {
        clock.observe(START.shifted(at + offset - way), START.shifted(at));
    }

    fn started() -> ClockOffset {
        let mut clock = ClockOffset::default();
        clock.start(START);
        clock
    }

    #[test]
    fn the_shortest_way_tells_the_offset() {
        let mut clock = started();
        assert_eq!(clock.estimate(), None);
        for (step, way) in [40, 3, 900, 5, 12_000, 2].into_iter().enumerate() {
            see(&mut clock, (3 + step as i64) * SECOND, -7 * SECOND, way * MILLI);
        }
        assert_eq!(clock.estimate(), Some(-7 * SECOND - 2 * MILLI));
        assert_eq!(clock.correction(), -7 * SECOND - 2 * MILLI);
    }

    #[test]
    fn old_values_at_the_start_are_no_offset() {
        let mut clock = started();
        see(&mut clock, MILLI, 0, 36_000 * SECOND);
        assert_eq!(clock.correction(), 0);
        see(&mut clock, 3 * SECOND, 0, 4 * MILLI);
        assert_eq!(clock.correction(), -4 * MILLI);
    }

    #[test]
    fn a_clock_that_is_ahead_is_known_at_once() {
        let mut clock = started();
        see(&mut clock, MILLI, 3_600 * SECOND, 5 * MILLI);
        assert_eq!(clock.correction(), 3_600 * SECOND - 5 * MILLI);
    }

    #[test]
    fn a_clock_that_was_set_is_followed_within_two_windows() {
        let mut clock = started();
        for second in 3..200 {
            let offset = if second < 60 { 10 * SECOND } else { 0 };
            see(&mut clock, second * SECOND, offset, MILLI);
        }
        assert_eq!(clock.estimate(), Some(-MILLI));
    }

    #[test]
    fn a_snapshot_after_a_reconnect_does_not_spoil_what_is_known() {
        let mut clock = started();
        see(&mut clock, 3 * SECOND, -SECOND, MILLI);
        clock.start(START.shifted(10 * SECOND));
        see(&mut clock, 10 * SECOND + MILLI, -SECOND, 500 * SECOND);
        assert_eq!(clock.correction(), -SECOND - MILLI);
    }
}
