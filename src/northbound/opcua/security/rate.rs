//! So many at once, and then one more every so often.

use tokio::time::Instant;

/// A bucket that is emptied by what happens and filled by time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    most: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Rate {
    /// `most` at once, then one more every `every` seconds.
    pub(super) fn new((most, every): (f64, f64)) -> Self {
        Self { most, per_second: 1.0 / every, left: most, at: Instant::now() }
    }

    /// Whether there have been too many lately.
    pub(super) fn is_empty(&mut self) -> bool {
        self.fill();
        self.left < 1.0
    }

    /// One has happened. Whether it was not too many.
    pub(super) fn take(&mut self) -> bool {
        self.fill();
        let there = self.left >= 1.0;
        self.left = (self.left - 1.0).max(0.0);
        there
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.most);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_let_through_and_then_one_by_one() {
        let mut rate = Rate::new((3.0, 2.0));
        assert!(rate.take() && rate.take() && rate.take());
        assert!(rate.is_empty() && !rate.take());
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        assert!(rate.take() && !rate.take());
        tokio::time::advance(std::time::Duration::from_secs(3_600)).await;
        assert!(rate.take() && rate.take() && rate.take() && !rate.take());
    }
}
