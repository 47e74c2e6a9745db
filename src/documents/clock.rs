//! Timestamps, written fast when many fall into the same second.

use guideway_contract::Timestamp;

const NANOS: i64 = 1_000_000_000;

/// Remembers the second that was written last.
pub(super) struct Clock {
    second: i64,
    /// `YYYY-MM-DDTHH:MM:SS.` and room for nine digits and the `Z`.
    text: [u8; 30],
}

impl Clock {
    /// A clock that has written nothing yet.
    pub(super) fn new() -> Self {
        Self { second: i64::MIN, text: *b"0000-00-00T00:00:00.000000000Z" }
    }

    /// Writes what [`Timestamp::write`] would.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        let second = time.nanos().div_euclid(NANOS);
        if second != self.second {
            let Some(start) = second.checked_mul(NANOS) else {
                // The very beginning of the range, where a whole second does not fit.
                time.write(out);
                return;
            };
            let mut whole = Vec::with_capacity(20);
            Timestamp::from_nanos(start, 0).write(&mut whole);
            self.text[..19].copy_from_slice(&whole[..19]);
            self.second = second;
        }
        let digits = usize::from(time.digits());
        if digits == 0 {
            out.extend_from_slice(&self.text[..19]);
            out.push(b'Z');
            return;
        }
        let mut fraction = time.nanos().rem_euclid(NANOS).unsigned_abs();
        for _ in digits..9 {
            fraction /= 10;
        }
        let mut text = self.text;
        for place in (20..20 + digits).rev() {
            text[place] = b'0' + (fraction % 10) as u8;
            fraction /= 10;
        }
        text[20 + digits] = b'Z';
        out.extend_from_slice(&text[..=20 + digits]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_clock_writes_what_a_timestamp_writes(times in proptest::collection::vec((any::<i64>(), 0_u8..=9), 1..8)) {
            let mut clock = Clock::new();
            for (nanos, digits) in times {
                for step in [0, 1, 999] {
                    let time = Timestamp::from_nanos(nanos.saturating_add(step), digits);
                    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                    clock.write(&mut ours, time);
                    time.write(&mut theirs);
                    prop_assert_eq!(ours, theirs);
                }
            }
        }
    }
}
