//! How long to wait before the next attempt.

use std::time::Duration;

use rand::Rng;

/// Doubling pauses with jitter: each pause is drawn from the upper half of its step, so that
/// adapters that lost one switch together do not come back together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    step: u32,
}

impl Backoff {
    /// Pauses from `first` to `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, step: 0 }
    }

    /// Starts again at the first pause: the peer has answered.
    pub const fn reset(&mut self) {
        self.step = 0;
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.step.min(16)).min(self.most);
        self.step = self.step.saturating_add(1);
        let jitter = rand::rng().random_range(0.5..=1.0);
        full.mul_f64(jitter).max(self.first.min(self.most))
    }
}

impl Default for Backoff {
    /// 500 ms to 10 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_most_and_start_again_after_a_reset() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..12).map(|_| backoff.pause()).collect();
        assert!(pauses.iter().all(|pause| (500..=10_000).contains(&pause.as_millis())));
        assert!(pauses[8] >= Duration::from_secs(5));
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_secs(1));
    }
}
