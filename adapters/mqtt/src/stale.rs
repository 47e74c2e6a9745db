//! Points whose topics have gone silent.

use std::time::Duration;

use tokio::time::Instant;

/// Watches how long each of some points was silent.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    watched: Vec<Option<Watched>>,
    /// No deadline is earlier than this.
    next: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    most: Duration,
    heard: Instant,
    told: bool,
}

impl Silence {
    /// Watches as many points as there are, those with a limit; all have just been heard.
    pub(crate) fn new(limits: impl IntoIterator<Item = Option<Duration>>, now: Instant) -> Self {
        let watch = |limit: Option<Duration>| limit.map(|most| Watched { most, heard: now, told: false });
        let watched: Vec<_> = limits.into_iter().map(watch).collect();
        let next = watched.iter().flatten().map(|point| point.heard + point.most).min();
        Self { watched, next }
    }

    /// There was a message for that point.
    pub(crate) fn heard(&mut self, index: usize, now: Instant) {
        if let Some(Some(point)) = self.watched.get_mut(index) {
            point.heard = now;
            if std::mem::take(&mut point.told) {
                let due = now + point.most;
                self.next = Some(self.next.map_or(due, |next| next.min(due)));
            }
        }
    }

    /// When to look next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// The points that have become stale, each once, with their limits.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<(usize, Duration)> {
        let mut overdue = Vec::new();
        self.next = None;
        for (index, point) in self.watched.iter_mut().enumerate() {
            let Some(point) = point.as_mut().filter(|point| !point.told) else { continue };
            let due = point.heard + point.most;
            if due <= now {
                point.told = true;
                overdue.push((index, point.most));
            } else {
                self.next = Some(self.next.map_or(due, |next| next.min(due)));
            }
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_point_is_told_once_and_again_after_it_was_heard() {
        let limit = Duration::from_secs(30);
        let start = Instant::now();
        let mut silence = Silence::new([None, Some(limit), Some(limit * 2)], start);
        assert_eq!(silence.next(), Some(start + limit));
        silence.heard(1, start + Duration::from_secs(10));
        assert_eq!(silence.overdue(start + limit), []);
        assert_eq!(silence.next(), Some(start + Duration::from_secs(40)));
        assert_eq!(silence.overdue(start + Duration::from_secs(40)), [(1, limit)]);
        assert_eq!(silence.overdue(start + Duration::from_secs(59)), []);
        assert_eq!(silence.next(), Some(start + limit * 2));
        silence.heard(1, start + Duration::from_secs(59));
        assert_eq!(silence.overdue(start + Duration::from_secs(100)), [(1, limit), (2, limit * 2)]);
        assert_eq!(silence.next(), None);
    }
}
