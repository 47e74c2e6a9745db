//! One subscription: items, publish requests in flight, acknowledgements, and gaps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::SessionEnd;
use opcua_client::services::{CreateMonitoredItems, CreateSubscription, DeleteMonitoredItems, Publish};
use opcua_client::{Session, UARequest as _};
use opcua_types::{
    DataChangeFilter, DataChangeNotification, DataChangeTrigger, DataValue, DeadbandType, Error,
    ExtensionObject, MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NotificationMessage,
    PublishResponse, StatusChangeNotification, StatusCode, TimestampsToReturn,
};

use crate::codec::value::words;
use crate::link::{Failure, Guarded, Link};
use crate::nodes::Node;
use crate::plan::requests;
use crate::server::{Server, bad, is_too_many};
use crate::wanted::Wanted;

/// Publish requests that wait at the server: one is being answered while the next one waits.
const IN_FLIGHT: usize = 2;
/// How often a subscription without changes says that it lives.
const ALIVE: Duration = Duration::from_secs(5);
/// Most notifications in one message.
const MOST_NOTIFICATIONS: u32 = 5_000;
/// Most messages that are asked for again.
const MOST_GAP: u32 = 100;

/// What came of asking for an item.
pub(crate) enum Item {
    /// It is there, with this id.
    Made(u32),
    /// The node is not there.
    Missing(String),
    /// It cannot be subscribed to.
    Refused(StatusCode),
}

/// A subscription that the server has made.
pub(crate) struct Subscription {
    id: u32,
    session: Arc<Session>,
    in_flight: VecDeque<Guarded<Result<PublishResponse, Error>>>,
    most_in_flight: usize,
    acknowledge: Vec<u32>,
    last: Option<u32>,
    patience: Duration,
    refused: u32,
}

impl Subscription {
    /// Makes one that publishes at this interval. `None` if the server does not let us.
    pub(crate) async fn make(
        server: &Server,
        interval: Duration,
        lives: Duration,
    ) -> Result<Result<Self, StatusCode>, SessionEnd> {
        let session = server.link.session().clone();
        let count = |time: Duration| {
            let periods = time.as_millis() / interval.as_millis().max(1);
            u32::try_from(periods).unwrap_or(u32::MAX).max(1)
        };
        let alive = count(ALIVE);
        let request = CreateSubscription::new(&session)
            .publishing_interval(interval)
            .max_keep_alive_count(alive)
            .max_lifetime_count(count(lives).max(alive.saturating_mul(4)))
            .max_notifications_per_publish(MOST_NOTIFICATIONS)
            .publishing_enabled(true);
        let made = match server.link.within(request.send(session.channel())).await {
            Ok(made) => made,
            Err(error) => {
                return match server.link.failure(&error) {
                    Failure::Over(end) => Err(end),
                    Failure::Request(status) => Ok(Err(bad(status))),
                };
            }
        };
        let period = made.revised_publishing_interval.clamp(1.0, 3_600_000.0)
            * f64::from(made.revised_max_keep_alive_count.clamp(1, 100_000));
        // Requests wait for each other, each for up to a period.
        let patience = Duration::from_secs_f64((period / 1_000.0).min(3_600.0)) * (IN_FLIGHT as u32 + 1);
        let mut subscription = Self {
            id: made.subscription_id,
            session: session.clone(),
            in_flight: VecDeque::new(),
            most_in_flight: IN_FLIGHT,
            acknowledge: Vec::new(),
            last: None,
            patience: patience + Duration::from_secs(5),
            refused: 0,
        };
        subscription.refill();
        Ok(Ok(subscription))
    }

    /// Asks for items: a point's place in the list is its handle less one.
    pub(crate) async fn add(
        &self,
        server: &mut Server,
        items: &[(usize, &Wanted, &Node)],
    ) -> Result<Vec<Item>, SessionEnd> {
        let mut made = self.ask(server, items, true).await?;
        // A server that knows no deadband is asked without it: the gateway has its own.
        let again: Vec<usize> = (0..items.len())
            .filter(|&at| items[at].1.spec.own.deadband.is_some() && matches!(made[at], Item::Refused(_)))
            .collect();
        if !again.is_empty() {
            let plain: Vec<_> = again.iter().map(|&at| items[at]).collect();
            for (at, item) in again.into_iter().zip(self.ask(server, &plain, false).await?) {
                made[at] = item;
            }
        }
        Ok(made)
    }

    async fn ask(
        &self,
        server: &mut Server,
        items: &[(usize, &Wanted, &Node)],
        deadband: bool,
    ) -> Result<Vec<Item>, SessionEnd> {
        let mut made = Vec::with_capacity(items.len());
        let mut open: Vec<std::ops::Range<usize>> = requests(items.len(), server.limits.items).collect();
        open.reverse();
        while let Some(range) = open.pop() {
            let asked: Vec<_> = items[range.clone()].iter().map(|item| question(*item, deadband)).collect();
            let request = CreateMonitoredItems::new(self.id, &self.session)
                .timestamps_to_return(TimestampsToReturn::Both)
                .items_to_create(asked);
            match server.link.within(request.send(self.session.channel())).await {
                Ok(created) => {
                    made.extend(created.results.iter().map(|item| match item.result.status_code {
                        status if !status.is_bad() => Item::Made(item.result.monitored_item_id),
                        status @ (StatusCode::BadNodeIdUnknown | StatusCode::BadNodeIdInvalid) => {
                            Item::Missing(words(status))
                        }
                        status => Item::Refused(status),
                    }));
                }
                Err(error) => match server.link.failure(&error) {
                    Failure::Over(end) => return Err(end),
                    Failure::Request(status) if range.len() == 1 => made.push(Item::Refused(bad(status))),
                    Failure::Request(status) => {
                        let half = range.len() / 2;
                        if is_too_many(status) {
                            server.limits.items = half;
                        }
                        open.push(range.start + half..range.end);
                        open.push(range.start..range.start + half);
                    }
                },
            }
        }
        Ok(made)
    }

    /// Takes items away, as well as it goes.
    pub(crate) async fn remove(&self, link: &Link, items: Vec<u32>) -> Result<(), SessionEnd> {
        let request = DeleteMonitoredItems::new(self.id, &self.session).items_to_delete(items);
        match link.within(request.send(self.session.channel())).await {
            Ok(_) => Ok(()),
            Err(error) => match link.failure(&error) {
                Failure::Over(end) => Err(end),
                Failure::Request(_) => Ok(()),
            },
        }
    }

    /// Keeps publish requests at the server.
    fn refill(&mut self) {
        while self.in_flight.len() < self.most_in_flight {
            let mut request = Publish::new(&self.session).timeout(self.patience);
            for number in self.acknowledge.drain(..) {
                request = request.ack(self.id, number);
            }
            let session = self.session.clone();
            self.in_flight.push_back(Guarded::spawn(async move { request.send(session.channel()).await }));
        }
    }

    /// Waits for the next answer to a publish request; may be cancelled.
    pub(crate) async fn answer(&mut self) -> Result<Result<PublishResponse, Error>, SessionEnd> {
        let Some(next) = self.in_flight.front_mut() else { return std::future::pending().await };
        let answer = next.result().await;
        self.in_flight.pop_front();
        answer
    }

    /// Takes an answer: the notifications in it, by handle, and how many messages were lost for good.
    pub(crate) async fn take(
        &mut self,
        link: &Link,
        answer: Result<PublishResponse, Error>,
    ) -> Result<(Vec<(u32, DataValue)>, u32), SessionEnd> {
        let mut changes = Vec::new();
        let mut lost = 0;
        match answer {
            Ok(answer) => {
                self.refused = 0;
                let message = answer.notification_message;
                let is_change = message.notification_data.as_ref().is_some_and(|data| !data.is_empty());
                // Without a change the number is only that of the next message.
                if answer.subscription_id == self.id && is_change {
                    let number = message.sequence_number;
                    if let Some(gap) = gap(self.last, number) {
                        lost = gap.lost;
                        for missed in gap.missed {
                            match link.within(self.session.republish(self.id, missed)).await {
                                Ok(message) => {
                                    self.acknowledge.push(missed);
                                    changes.extend(notifications(message)?);
                                }
                                Err(error) => match link.failure(&error) {
                                    Failure::Over(end) => return Err(end),
                                    Failure::Request(_) => lost += 1,
                                },
                            }
                        }
                        self.last = Some(number);
                        changes.extend(notifications(message)?);
                    }
                    self.acknowledge.push(number);
                }
            }
            Err(error) => match error.status() {
                StatusCode::BadTooManyPublishRequests => self.most_in_flight = 1,
                StatusCode::BadTimeout => return Err(SessionEnd::Silent(self.patience)),
                StatusCode::BadNoSubscription | StatusCode::BadSubscriptionIdInvalid => {
                    return Err(SessionEnd::Lost("the server has dropped the subscription".into()));
                }
                status => match link.failure(&error) {
                    Failure::Over(end) => return Err(end),
                    Failure::Request(_) => {
                        self.refused += 1;
                        if self.refused > 3 {
                            return Err(SessionEnd::Lost(format!(
                                "the server does not publish: {}",
                                words(status)
                            )));
                        }
                    }
                },
            },
        }
        self.refill();
        Ok((changes, lost))
    }
}

/// Messages between the last one and the next.
#[derive(Debug, PartialEq, Eq)]
struct Gap {
    /// Those to be asked for again.
    missed: Vec<u32>,
    /// How many there are no numbers for, or too many.
    lost: u32,
}

/// What is missing before a message; `None` for one that has been taken already.
fn gap(last: Option<u32>, number: u32) -> Option<Gap> {
    let Some(last) = last else { return Some(Gap { missed: Vec::new(), lost: 0 }) };
    let expected = following(last);
    match number.wrapping_sub(expected) {
        // Behind the last one.
        ahead if ahead > u32::MAX / 2 => None,
        ahead if ahead > MOST_GAP => Some(Gap { missed: Vec::new(), lost: ahead }),
        _ => {
            let numbers = std::iter::successors(Some(expected), |number| Some(following(*number)));
            // No number follows up to 0, which is none.
            let missed = numbers.take_while(|one| *one != number).take(MOST_GAP as usize);
            Some(Gap { missed: missed.collect(), lost: 0 })
        }
    }
}

/// Sequence numbers begin again at 1 (OPC 10000-4, 5.14.1.1).
fn following(number: u32) -> u32 {
    number.checked_add(1).unwrap_or(1)
}

fn question((place, wanted, node): (usize, &Wanted, &Node), deadband: bool) -> MonitoredItemCreateRequest {
    let own = &wanted.spec.own;
    let filter = match own.deadband.filter(|_| deadband) {
        Some(deadband) => ExtensionObject::from_message(DataChangeFilter {
            trigger: DataChangeTrigger::StatusValue,
            deadband_type: DeadbandType::Absolute as u32,
            deadband_value: deadband,
        }),
        None => ExtensionObject::null(),
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a period are far below 2^53")]
    let sampling_interval = wanted.sampling().as_millis() as f64;
    MonitoredItemCreateRequest {
        item_to_monitor: node.question(),
        monitoring_mode: MonitoringMode::Reporting,
        requested_parameters: MonitoringParameters {
            client_handle: u32::try_from(place).unwrap_or(u32::MAX - 1) + 1,
            sampling_interval,
            filter,
            queue_size: own.queue,
            discard_oldest: true,
        },
    }
}

fn notifications(message: NotificationMessage) -> Result<Vec<(u32, DataValue)>, SessionEnd> {
    let mut changes = Vec::new();
    for data in message.notification_data.unwrap_or_default() {
        if let Some(status) = data.inner_as::<StatusChangeNotification>() {
            return Err(SessionEnd::Lost(format!(
                "the server ended the subscription: {}",
                words(status.status)
            )));
        }
        if let Some(change) = data.into_inner_as::<DataChangeNotification>() {
            let items = change.monitored_items.unwrap_or_default();
            changes.extend(items.into_iter().map(|item| (item.client_handle, item.value)));
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(last: u32, number: u32) -> Option<Vec<u32>> {
        gap(Some(last), number).map(|gap| gap.missed)
    }

    #[test]
    fn what_is_missing_is_asked_for_and_what_comes_again_is_passed_over() {
        assert_eq!(missed(4, 5), Some(vec![]));
        assert_eq!(missed(4, 7), Some(vec![5, 6]));
        assert_eq!(missed(4, 4), None);
        assert_eq!(missed(4, 3), None);
        assert_eq!(missed(u32::MAX, 1), Some(vec![]));
        assert_eq!(missed(u32::MAX - 1, 2), Some(vec![u32::MAX, 1]));
        assert_eq!(missed(u32::MAX - 1, 0).map(|missed| missed.len()), Some(MOST_GAP as usize));
        assert_eq!(gap(None, 9), Some(Gap { missed: Vec::new(), lost: 0 }));
        assert_eq!(gap(Some(4), 1_000), Some(Gap { missed: Vec::new(), lost: 995 }));
    }

    proptest::proptest! {
        #[test]
        fn no_number_asks_for_more_than_the_limit(last: Option<u32>, number: u32) {
            if let Some(gap) = gap(last, number) {
                proptest::prop_assert!(gap.missed.len() <= MOST_GAP as usize);
            }
        }
    }
}
