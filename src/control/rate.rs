//! How often somebody may ask: so many requests at once, and then so many a minute.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::time::Instant;

/// Requesters that are told apart at a time. Names are proved before they come here, so that there are no more
/// than somebody has configured; this is for the case that there are very many.
const MOST_REQUESTERS: usize = 4_096;

/// A bucket for each requester.
#[derive(Debug)]
pub struct Rates {
    burst: f64,
    per_second: f64,
    buckets: Mutex<HashMap<SmolStr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// `burst` requests of one requester at once, and then `per_minute` a minute; at least one of each.
    pub fn new(burst: u32, per_minute: u32) -> Self {
        Self {
            burst: f64::from(burst.max(1)),
            per_second: f64::from(per_minute.max(1)) / 60.0,
            buckets: Mutex::default(),
        }
    }

    /// One request more.
    ///
    /// # Errors
    /// How long to wait for the next one; this one is not counted.
    pub fn take(&self, requester: &str) -> Result<(), Duration> {
        let now = Instant::now();
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MOST_REQUESTERS && !buckets.contains_key(requester) {
            // One that is full again is as good as none.
            buckets.retain(|_, bucket| self.filled(bucket, now) < self.burst);
        }
        // Those for whom there is no room share one, which has no name that anybody has.
        let room = buckets.len() < MOST_REQUESTERS || buckets.contains_key(requester);
        let name = if room { SmolStr::new(requester) } else { SmolStr::default() };
        let bucket = buckets.entry(name).or_insert(Bucket { left: self.burst, at: now });
        *bucket = Bucket { left: self.filled(bucket, now), at: now };
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.left) / self.per_second))
    }

    /// One request less: it was none of those that are counted.
    pub fn give_back(&self, requester: &str) {
        if let Some(bucket) = self.buckets.lock().get_mut(requester) {
            bucket.left = (bucket.left + 1.0).min(self.burst);
        }
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + passed * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_let_through_and_then_one_by_one() {
        let rates = Rates::new(3, 30);
        for _ in 0..3 {
            assert_eq!(rates.take("a"), Ok(()));
        }
        let wait = rates.take("a").unwrap_err();
        assert!((1.99..=2.0).contains(&wait.as_secs_f64()), "{wait:?}");
        assert_eq!(rates.take("b"), Ok(()), "each has its own");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(
            (0.9..=1.1).contains(&rates.take("a").unwrap_err().as_secs_f64()),
            "asking again costs nothing"
        );
        tokio::time::advance(Duration::from_millis(1_001)).await;
        assert_eq!(rates.take("a"), Ok(()));
        assert!(rates.take("a").is_err());
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!((0..10).filter(|_| rates.take("a").is_ok()).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn buckets_do_not_grow_without_bound() {
        let rates = Rates::new(1, 60);
        for index in 0..3 * MOST_REQUESTERS {
            let _ = rates.take(&format!("r{index}"));
        }
        assert!(rates.buckets.lock().len() <= MOST_REQUESTERS + 1);
        assert!(rates.take("r0").is_err(), "who has asked is remembered");
        assert!(rates.take("one more").is_err(), "those without room share one");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(rates.take("one more"), Ok(()));
        assert_eq!(rates.buckets.lock().len(), 1, "what is full again is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_configured_means_one_not_none() {
        let rates = Rates::new(0, 0);
        assert_eq!(rates.take("a"), Ok(()));
        assert_eq!(rates.take("a").unwrap_err().as_secs(), 60);
    }
}
