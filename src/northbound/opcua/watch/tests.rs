use std::collections::HashMap;

use opcua_types::DateTime;

use super::*;

const OTHER: u32 = 99;

fn node() -> NodeId {
    NodeId::new(3, "mill-1/temp")
}

fn handle(item: u32) -> MonitoredItemHandle {
    MonitoredItemHandle { subscription_id: 1, monitored_item_id: item }
}

/// A value of a time.
fn value(number: f64, ticks: i64) -> DataValue {
    DataValue {
        source_timestamp: Some(DateTime::from(134_000_000_000_000_000 + ticks)),
        status: Some(StatusCode::Good),
        ..DataValue::value_only(number)
    }
}

fn untimed(number: f64) -> DataValue {
    DataValue { source_timestamp: None, ..value(number, 0) }
}

fn item(pace: Pace, single: bool, filter: Filter, first: &DataValue) -> Item {
    Item {
        handle: handle(7),
        pace,
        single,
        filter,
        range: NumericRange::None,
        last: Some(Arc::new(first.clone())),
        pending: Some(Pending { values: VecDeque::new(), since: Instant::now() }),
    }
}

/// What each item has been sent, in order.
#[derive(Default)]
struct Server {
    registered: Vec<u32>,
    sent: HashMap<u32, Vec<DataValue>>,
}

impl Server {
    fn tell(&mut self, watch: &Watch, values: &[DataValue]) {
        let Self { registered, sent } = self;
        let mut listeners = |_: &NodeId, each: &mut EachListener<'_>| {
            for item in registered.iter() {
                each(&handle(*item), &mut |value| sent.entry(*item).or_default().push(value));
            }
        };
        let mut items = watch.begin(&mut listeners);
        for value in values {
            items.tell(&node(), value, &mut listeners);
        }
    }

    fn sent(&self, item: u32) -> &[DataValue] {
        self.sent.get(&item).map(Vec::as_slice).unwrap_or_default()
    }
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<DataValue> {
    numbers.map(|n| value(n as f64, n as i64)).collect()
}

#[test]
fn a_newcomer_misses_nothing_and_gets_nothing_twice() {
    let (watch, mut server) = (Watch::default(), Server::default());
    server.registered.push(OTHER);
    server.tell(&watch, &numbered(1..2));
    watch.add(&node(), item(Pace::Every, false, Filter::Value, &value(1.0, 1)));
    server.tell(&watch, &numbered(2..4));
    assert!(watch.has_newcomers());
    assert_eq!(server.sent(7), []);
    server.registered.push(7);
    server.tell(&watch, &numbered(4..5));
    server.tell(&watch, &numbered(5..6));
    assert_eq!(server.sent(7), numbered(2..6));
    assert_eq!(server.sent(OTHER), numbered(1..6));
    assert!(!watch.has_newcomers());
    assert!(watch.items.lock().by_node.is_empty(), "it is the library's now");
}

#[test]
fn a_newcomer_is_made_good_without_a_new_value() {
    let (watch, mut server) = (Watch::default(), Server::default());
    watch.add(&node(), item(Pace::Apart(0), false, Filter::Value, &value(1.0, 1)));
    server.tell(&watch, &numbered(2..3));
    server.registered.push(7);
    server.tell(&watch, &[]);
    assert_eq!(server.sent(7), numbered(2..3));
}

#[test]
fn what_a_newcomer_is_to_get_is_bounded() {
    let (watch, mut server) = (Watch::default(), Server::default());
    watch.add(&node(), item(Pace::Every, false, Filter::Value, &value(0.0, 0)));
    server.tell(&watch, &numbered(0..2 * MOST_PENDING));
    server.registered.push(7);
    server.tell(&watch, &[]);
    assert_eq!(server.sent(7), numbered(MOST_PENDING..2 * MOST_PENDING));
}

/// What an item is sent after its first value, 1.0 of tick 10.
fn sent(pace: Pace, single: bool, filter: Filter, values: &[DataValue]) -> Vec<DataValue> {
    let (watch, mut server) = (Watch::default(), Server::default());
    server.registered.push(7);
    watch.add(&node(), item(pace, single, filter, &value(1.0, 10)));
    server.tell(&watch, values);
    server.sent(7).to_vec()
}

#[test]
fn an_item_of_the_publishing_interval_gets_a_spacer_without_time_before_each_value() {
    let values = [value(2.0, 11), value(2.0, 12), value(3.0, 13)];
    let expected = [spacer(), value(2.0, 11), value(2.0, 12), spacer(), value(3.0, 13)];
    // What is no change is left to the library, which holds it back.
    assert_eq!(sent(Pace::Publishing, true, Filter::Value, &values), expected);
    assert_eq!(spacer().source_timestamp, None);
}

#[test]
fn a_step_back_in_time_costs_one_source_time_and_no_later_one() {
    let values = [value(2.0, 11), value(3.0, 5), value(4.0, 6), value(5.0, 7)];
    let expected = [value(2.0, 11), untimed(3.0), value(4.0, 6), value(5.0, 7)];
    assert_eq!(sent(Pace::Apart(0), false, Filter::Value, &values), expected);
}

#[test]
fn a_step_back_in_time_costs_nothing_where_the_queue_is_one_or_the_filter_looks_at_the_time() {
    let values = [value(2.0, 11), value(3.0, 5), value(4.0, 6)];
    let single = [value(2.0, 11), spacer(), value(3.0, 5), value(4.0, 6)];
    assert_eq!(sent(Pace::Apart(0), true, Filter::Value, &values), single);
    let timed = Filter::of(&"x");
    let both = [value(2.0, 11), untimed(3.0), value(3.0, 5), value(4.0, 6)];
    assert_eq!(sent(Pace::Apart(0), false, timed, &values), both);
}

#[test]
fn what_the_filter_holds_back_does_not_count_as_the_value_before() {
    // The library still compares with 1.0 of tick 10 when 2.0 comes.
    let values = [value(1.0, 5), value(2.0, 6), value(3.0, 7)];
    let expected = [value(1.0, 5), untimed(2.0), value(3.0, 7)];
    assert_eq!(sent(Pace::Apart(0), false, Filter::Value, &values), expected);
}

#[test]
fn intervals_are_counted_as_the_library_counts_them() {
    assert_eq!(Pace::of(0.0), Pace::Every);
    assert_eq!(Pace::of(-1.0), Pace::Publishing);
    assert_eq!(Pace::of(0.0004), Pace::Apart(0));
    assert_eq!(Pace::of(100.0), Pace::Apart(1_000_000));
}
