//! Answers on their way to the broker.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

/// Answers that wait for the connection; the oldest goes when there is one more.
pub(super) const MOST_WAITING: usize = 1_000;
/// Answers that may be on their way unacknowledged.
pub(super) const MOST_SENT: usize = 64;

/// An end, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) correlation: Option<Bytes>,
}

/// Those that wait, and those that are sent and not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<Answer>,
    sent: BTreeMap<u64, Answer>,
    /// The number of the one sent last; from one.
    last: u64,
}

impl Answers {
    /// Adds one; whether the oldest had to go for it.
    pub(super) fn push(&mut self, answer: Answer) -> bool {
        self.waiting.push_back(answer);
        let full = self.len() > MOST_WAITING;
        if full {
            // Those that are sent are fewer than those that may wait.
            self.waiting.pop_front();
        }
        full
    }

    /// The next to send, with its number; none while so many are on their way.
    pub(super) fn send(&mut self) -> Option<(u64, Answer)> {
        if self.sent.len() >= MOST_SENT {
            return None;
        }
        let answer = self.waiting.pop_front()?;
        self.last += 1;
        self.sent.insert(self.last, answer.clone());
        Some((self.last, answer))
    }

    /// The broker has said something final of it.
    pub(super) fn settle(&mut self, number: u64) -> Option<Answer> {
        self.sent.remove(&number)
    }

    /// The connection is over: what is not acknowledged is sent again, in order.
    pub(super) fn take_back(&mut self) {
        while let Some((_, answer)) = self.sent.pop_last() {
            self.waiting.push_front(answer);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(number: usize) -> Answer {
        Answer { topic: number.to_string(), payload: Bytes::new(), correlation: None }
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_in_order() {
        let mut answers = Answers::default();
        (1..=4).for_each(|number| assert!(!answers.push(answer(number))));
        let sent: Vec<u64> = std::iter::from_fn(|| answers.send()).map(|(number, _)| number).collect();
        assert_eq!(sent, [1, 2, 3, 4]);
        assert_eq!(answers.settle(2), Some(answer(2)));
        assert_eq!(answers.settle(2), None);
        answers.take_back();
        let again: Vec<String> =
            std::iter::from_fn(|| answers.send()).map(|(_, answer)| answer.topic).collect();
        assert_eq!(again, ["1", "3", "4"]);
    }

    #[test]
    fn the_oldest_goes_when_too_many_wait() {
        let mut answers = Answers::default();
        let dropped = (0..MOST_WAITING + 10).filter(|number| answers.push(answer(*number))).count();
        assert_eq!((dropped, answers.len()), (10, MOST_WAITING));
        assert_eq!(answers.send().map(|(_, answer)| answer.topic), Some("10".into()));
        let sent = std::iter::from_fn(|| answers.send()).count() + 1;
        assert_eq!(sent, MOST_SENT);
        assert!(!answers.is_empty());
    }
}
