//! What is on its way to the broker.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::session::{Ack, Delivery};

/// Messages in the order they were published. They are looked at in that order too, so that the
/// cursor never passes one whose fate is unknown, whatever the order of the acknowledgements.
pub(super) struct Window<T> {
    entries: VecDeque<(T, Ack)>,
    limit: usize,
}

impl<T> Window<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::with_capacity(limit.min(1_024)), limit: limit.max(1) }
    }

    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < self.limit
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push(&mut self, entry: T, ack: Ack) {
        self.entries.push_back((entry, ack));
    }

    /// The oldest message.
    pub(super) fn oldest(&self) -> Option<&T> {
        self.entries.front().map(|(entry, _)| entry)
    }

    /// Puts back what was the oldest.
    pub(super) fn put_back(&mut self, entry: T, ack: Ack) {
        self.entries.push_front((entry, ack));
    }

    /// What became of the oldest message; waits for ever when there is none.
    pub(super) fn poll_oldest(&mut self, context: &mut Context<'_>) -> Poll<(T, Delivery)> {
        let Some((_, ack)) = self.entries.front_mut() else { return Poll::Pending };
        let delivery = ready!(Pin::new(ack).poll(context));
        match self.entries.pop_front() {
            Some((entry, _)) => Poll::Ready((entry, delivery)),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn an_early_acknowledgement_waits_for_those_before_it() {
        let mut window = Window::new(2);
        let (tell, told) = tokio::sync::oneshot::channel::<Delivery>();
        window.push(1, Ack::when(told));
        assert!(window.has_room());
        window.push(2, Ack::known(Delivery::Acknowledged));
        assert!(!window.has_room());
        let waited = poll_fn(|context| Poll::Ready(window.poll_oldest(context).is_pending())).await;
        assert!(waited);
        tell.send(Delivery::Unknown).expect("it is waited for");
        assert_eq!(poll_fn(|context| window.poll_oldest(context)).await, (1, Delivery::Unknown));
        assert_eq!(poll_fn(|context| window.poll_oldest(context)).await, (2, Delivery::Acknowledged));
        assert!(window.is_empty());
    }
}
