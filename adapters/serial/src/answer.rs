//! One question and its answer, and which questions are not asked because they were not answered.

use std::collections::HashMap;
use std::time::Duration;

use guideway_contract::{Fault, Outlet, RawBatch, RawReading, SessionEnd, Timestamp};
use tokio::time::Instant;

use crate::config::Config;
use crate::connection::Connection;
use crate::plan::{Plan, Taken};

/// So many readings are kept until a session is up.
const MOST_READINGS: usize = 4_096;
/// How long more frames of an answer may take after one has come, where not all of its points have theirs.
const REST_OF_ANSWER: Duration = Duration::from_millis(200);
/// A question that ended two sessions is not asked again for so long at first, then for twice as long each
/// time.
const REST: Duration = Duration::from_secs(30);
/// The longest that it is not asked.
const MOST_REST: Duration = Duration::from_secs(600);

/// Asks one question and waits for its answer, which has come when each of its points has taken a frame, or
/// some have and nothing more comes. Readings are sent, or kept where they are `early`.
///
/// # Errors
/// The link broke.
pub(crate) async fn answer(
    connection: &mut Connection,
    plan: &Plan,
    config: &Config,
    question: usize,
    mut early: Option<&mut Vec<RawReading>>,
    outlet: &Outlet,
) -> Result<bool, SessionEnd> {
    connection.send(&plan.questions[question].bytes, config.timeout).await?;
    let mut deadline = Instant::now() + config.timeout;
    let mut waiting = plan.waiting(question);
    let all = waiting.len();
    while let Some(text) = connection.next(deadline, outlet).await? {
        let taken = take(plan, &text, Some(question), outlet);
        for id in taken.answers {
            waiting.remove(&id);
        }
        match &mut early {
            None => send(outlet, taken.readings).await,
            Some(early) if early.len() < MOST_READINGS => early.extend(taken.readings),
            Some(_) => {}
        }
        if waiting.is_empty() {
            return Ok(true);
        }
        if waiting.len() < all {
            deadline = deadline.min(Instant::now() + REST_OF_ANSWER);
        }
    }
    Ok(waiting.len() < all)
}

/// What the points take from a frame; what is wrong with it is counted.
pub(crate) fn take(plan: &Plan, text: &str, asked: Option<usize>, outlet: &Outlet) -> Taken {
    let mut taken = plan.take(text, asked, Timestamp::now());
    if let Some(rejected) = taken.rejected.take() {
        outlet.fault(Fault::Rejected, || rejected);
    }
    if taken.readings.is_empty() {
        outlet.fault(Fault::Unmapped, || format!("no point takes `{text}`"));
    }
    taken
}

pub(crate) fn is_resting(unanswered: &HashMap<usize, (u32, Instant)>, question: usize) -> bool {
    unanswered.get(&question).is_some_and(|(times, last)| {
        *times > 1 && last.elapsed() < MOST_REST.min(REST * (1 << (times - 2).min(8)))
    })
}

pub(crate) fn note(unanswered: &mut HashMap<usize, (u32, Instant)>, question: usize) {
    let (times, last) = unanswered.entry(question).or_insert((0, Instant::now()));
    (*times, *last) = (times.saturating_add(1), Instant::now());
}

/// Sends readings that came now.
pub(crate) async fn send(outlet: &Outlet, readings: Vec<RawReading>) {
    outlet.raw(RawBatch { arrival: Timestamp::now(), readings }).await;
}
