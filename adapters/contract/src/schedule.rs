//! When which points are due: periods without drift and without catching up.

use std::time::Duration;

use tokio::time::Instant;

use crate::Period;

/// Turns of polling. Points with the same period are read together; a turn that was missed because reading took
/// longer than the period is skipped and counted, never made up for.
#[derive(Debug)]
pub struct Schedule {
    groups: Vec<Group>,
    missed: u64,
}

#[derive(Debug)]
struct Group {
    period: Period,
    /// Indices of its points, in the order given.
    points: Vec<usize>,
    due: Option<Instant>,
}

impl Schedule {
    /// A schedule for points with these periods; all are due at once.
    pub fn new(periods: impl IntoIterator<Item = Period>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let now = Instant::now();
        for (index, period) in periods.into_iter().enumerate() {
            // A period of nothing would keep the task from ever sleeping.
            let period = match period {
                Period::Every(every) => Period::Every(every.max(Duration::from_millis(1))),
                Period::Once => Period::Once,
            };
            match groups.iter_mut().find(|group| group.period == period) {
                Some(group) => group.points.push(index),
                None => groups.push(Group { period, points: vec![index], due: Some(now) }),
            }
        }
        Self { groups, missed: 0 }
    }

    /// When something is next due; `None` when nothing ever is.
    pub fn next(&self) -> Option<Instant> {
        self.groups.iter().filter_map(|group| group.due).min()
    }

    /// Waits until something is due; for ever when nothing is.
    pub async fn due(&self) {
        match self.next() {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// The points that are due now, in ascending order, and on to their next turns.
    pub fn take(&mut self) -> Vec<usize> {
        let now = Instant::now();
        let mut points = Vec::new();
        for group in &mut self.groups {
            let Some(due) = group.due.filter(|due| *due <= now) else { continue };
            points.extend_from_slice(&group.points);
            group.due = match group.period {
                Period::Once => None,
                Period::Every(every) => {
                    let late = now.duration_since(due).as_nanos() / every.as_nanos();
                    let late = u32::try_from(late).unwrap_or(u32::MAX - 1);
                    self.missed += u64::from(late);
                    Some(every.checked_mul(late + 1).map_or(now + every, |step| due + step))
                }
            };
        }
        points.sort_unstable();
        points
    }

    /// Turns that were skipped because reading took too long.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Period = Period::Every(Duration::from_millis(100));
    const SLOW: Period = Period::Every(Duration::from_millis(250));

    #[tokio::test(start_paused = true)]
    async fn everything_is_due_at_first_then_by_its_period() {
        let mut schedule = Schedule::new([FAST, SLOW, Period::Once, FAST]);
        assert_eq!(schedule.take(), [0, 1, 2, 3]);
        assert!(schedule.take().is_empty());
        schedule.due().await;
        assert_eq!(schedule.take(), [0, 3]);
        schedule.due().await;
        assert_eq!(schedule.take(), [0, 3]);
        schedule.due().await;
        assert_eq!(schedule.take(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn missed_turns_are_skipped_and_counted() {
        let mut schedule = Schedule::new([FAST]);
        schedule.take();
        tokio::time::advance(Duration::from_millis(350)).await;
        assert_eq!(schedule.take(), [0]);
        assert_eq!(schedule.missed(), 2);
        assert!(schedule.take().is_empty());
        tokio::time::advance(Duration::from_millis(50)).await;
        assert_eq!(schedule.take(), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_once_is_never_due_again() {
        let mut schedule = Schedule::new([Period::Once]);
        assert_eq!(schedule.take(), [0]);
        assert_eq!(schedule.next(), None);
    }
}
