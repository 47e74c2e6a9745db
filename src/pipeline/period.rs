//! The period filter: at most one observation in each period, the last one of it.
//!
//! Periods are told by source times, so that a replay or a late batch is thinned out as the live
//! data were; the end of a period that nothing follows is told by the arrival clock. A held
//! observation keeps its own time: it says when the value was so, not when it was sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use guideway_contract::{ItemIndex, Observation, Timestamp, Value};
use rustc_hash::FxHashMap;

use super::counters::{Reason, Tally};
use super::data_set;

/// All items with a period filter that were observed.
#[derive(Debug, Default)]
pub(super) struct Periods {
    items: FxHashMap<ItemIndex, Period>,
    /// When which item's period ends, by the arrival clock; those only that hold something.
    due: BTreeSet<(i64, ItemIndex)>,
}

#[derive(Debug, Default)]
struct Period {
    /// When the period began, by the source's clock; `None` when the next observation begins one.
    start: Option<i64>,
    /// The last value that was sent.
    sent: Option<Value>,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    observation: Observation,
    due: i64,
    length: i64,
    source: u16,
    drop_same: bool,
}

impl Periods {
    /// An observation that passed every other filter: sends it, or holds it until its period ends.
    pub(super) fn offer(
        &mut self,
        observation: Observation,
        length: i64,
        (source, drop_same): (u16, bool),
        tally: &Tally,
        out: &mut Vec<Observation>,
    ) {
        let item = observation.item;
        let time = observation.time().nanos();
        let start = self.items.entry(item).or_default().start;
        let elapsed = start.map(|start| time.saturating_sub(start));
        let passes = observation.value.is_unavailable() || observation.value.reset_triggered().is_some();
        let remaining = match elapsed {
            _ if passes => None,
            Some(elapsed @ 0..) if elapsed < length => Some(length - elapsed),
            Some(elapsed @ 0..) if elapsed - length < length && self.holds(item) => {
                // The next period has begun: the last value of the old one goes, this one waits.
                self.release(item, out);
                Some(length - (elapsed - length))
            }
            // The first one, one after a quiet period, or one from before (a clock was set back).
            _ => None,
        };
        let Some(remaining) = remaining else {
            self.release(item, out);
            let period = self.items.entry(item).or_default();
            period.start = (!observation.value.is_unavailable()).then_some(time);
            period.sent = Some(observation.value.clone());
            out.push(observation);
            return;
        };
        tally.add(Reason::Held, 1);
        let period = self.items.entry(item).or_default();
        match &mut period.held {
            Some(held) => {
                tally.add(Reason::Replaced, 1);
                let value = composed(&held.observation.value, &observation.value);
                held.observation = observation;
                if let Some(value) = value {
                    held.observation.value = value;
                }
                (held.source, held.drop_same) = (source, drop_same);
            }
            none => {
                let due = observation.arrival().nanos().saturating_add(remaining);
                *none = Some(Held { observation, due, length, source, drop_same });
                self.due.insert((due, item));
            }
        }
    }

    /// When the next period ends.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| Timestamp::from_nanos(*due, 9))
    }

    /// Sends what is due by `now`; calls `count` with the source of each.
    pub(super) fn tick(
        &mut self,
        now: Timestamp,
        out: &mut Vec<Observation>,
        mut count: impl FnMut(u16, Reason),
    ) {
        while let Some((due, item)) = self.due.first().copied()
            && due <= now.nanos()
        {
            if let Some((source, reason)) = self.release(item, out) {
                count(source, reason);
            }
        }
    }

    /// Sends what the item holds, if anything.
    pub(super) fn release(&mut self, item: ItemIndex, out: &mut Vec<Observation>) -> Option<(u16, Reason)> {
        let period = self.items.get_mut(&item)?;
        let held = period.held.take()?;
        self.due.remove(&(held.due, item));
        period.start = period.start.map(|start| start.saturating_add(held.length));
        // The value may have gone away and come back while it was held.
        if held.drop_same && period.sent.as_ref() == Some(&held.observation.value) {
            return Some((held.source, Reason::Duplicate));
        }
        period.sent = Some(held.observation.value.clone());
        out.push(held.observation);
        Some((held.source, Reason::Observed))
    }

    /// Forgets an item with what it holds.
    pub(super) fn forget(&mut self, item: ItemIndex) {
        if let Some(held) = self.items.remove(&item).and_then(|period| period.held) {
            self.due.remove(&(held.due, item));
        }
    }

    fn holds(&self, item: ItemIndex) -> bool {
        self.items.get(&item).is_some_and(|period| period.held.is_some())
    }
}

/// Changes of a data set add up while they are held.
fn composed(held: &Value, new: &Value) -> Option<Value> {
    match (held, new) {
        (Value::DataSet(held), Value::DataSet(new)) => {
            Some(Value::DataSet(Arc::new(data_set::compose(held, new))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guideway_contract::{Cell, DataSet, Entry};

    const SECOND: i64 = 1_000_000_000;
    const ITEM: ItemIndex = ItemIndex(7);

    #[derive(Default)]
    struct Bench {
        periods: Periods,
        tally: Tally,
        out: Vec<Observation>,
    }

    impl Bench {
        /// A value at a source time in tenths of seconds; it arrives 100 s later.
        fn offer(&mut self, tenths: i64, value: Value) {
            let time = Timestamp::from_nanos(tenths * SECOND / 10, 1);
            let observation = Observation::new(ITEM, time, time.shifted(100 * SECOND), value);
            self.periods.offer(observation, SECOND, (0, true), &self.tally, &mut self.out);
        }

        fn number(&mut self, tenths: i64, number: f64) {
            self.offer(tenths, Value::Number(number));
        }

        fn tick(&mut self, tenths: i64) {
            let now = Timestamp::from_nanos(tenths * SECOND / 10 + 100 * SECOND, 1);
            self.periods.tick(now, &mut self.out, |_, _| {});
        }

        /// What was sent so far: source times in tenths of seconds, and values.
        fn sent(&mut self) -> Vec<(i64, f64)> {
            let number = |value: &Value| match value {
                Value::Number(number) => *number,
                _ => f64::NEG_INFINITY,
            };
            self.out.drain(..).map(|o| (o.time().nanos() / (SECOND / 10), number(&o.value))).collect()
        }
    }

    #[test]
    fn the_last_value_of_a_period_goes_at_its_end_with_its_own_time() {
        let mut bench = Bench::default();
        bench.number(0, 1.0);
        bench.number(3, 2.0);
        bench.number(6, 3.0);
        assert_eq!(bench.sent(), [(0, 1.0)]);
        assert_eq!(bench.periods.due(), Some(Timestamp::from_nanos(101 * SECOND, 0)));
        bench.tick(9);
        assert_eq!(bench.sent(), []);
        bench.tick(10);
        assert_eq!(bench.sent(), [(6, 3.0)]);
        assert_eq!(bench.periods.due(), None);
        assert_eq!((bench.tally.get(Reason::Held), bench.tally.get(Reason::Replaced)), (2, 1));
        // The next period began when the last one ended.
        bench.number(15, 4.0);
        assert_eq!(bench.sent(), []);
        bench.tick(20);
        assert_eq!(bench.sent(), [(15, 4.0)]);
    }

    #[test]
    fn a_value_of_the_next_period_sends_the_held_one_without_a_tick() {
        let mut bench = Bench::default();
        for (tenths, number) in [(0, 1.0), (5, 2.0), (12, 3.0), (24, 4.0)] {
            bench.number(tenths, number);
        }
        assert_eq!(bench.sent(), [(0, 1.0), (5, 2.0), (12, 3.0)]);
        bench.tick(40);
        assert_eq!(bench.sent(), [(24, 4.0)]);
    }

    #[test]
    fn a_value_after_a_quiet_period_passes_behind_the_held_one() {
        let mut bench = Bench::default();
        for (tenths, number) in [(0, 1.0), (5, 2.0), (35, 3.0)] {
            bench.number(tenths, number);
        }
        assert_eq!(bench.sent(), [(0, 1.0), (5, 2.0), (35, 3.0)]);
        assert_eq!(bench.periods.due(), None);
    }

    #[test]
    fn unavailable_passes_behind_the_held_value_and_begins_anew() {
        let mut bench = Bench::default();
        bench.number(0, 1.0);
        bench.number(2, 2.0);
        bench.offer(4, Value::Unavailable);
        bench.number(6, 3.0);
        assert_eq!(bench.sent(), [(0, 1.0), (2, 2.0), (4, f64::NEG_INFINITY), (6, 3.0)]);
    }

    #[test]
    fn a_clock_that_was_set_back_begins_a_period() {
        let mut bench = Bench::default();
        for (tenths, number) in [(500, 1.0), (505, 2.0), (100, 3.0), (104, 4.0)] {
            bench.number(tenths, number);
        }
        assert_eq!(bench.sent(), [(500, 1.0), (505, 2.0), (100, 3.0)]);
        bench.tick(110);
        assert_eq!(bench.sent(), [(104, 4.0)]);
    }

    #[test]
    fn a_value_that_came_back_while_it_was_held_is_not_sent_again() {
        let mut bench = Bench::default();
        for (tenths, number) in [(0, 1.0), (3, 2.0), (6, 1.0)] {
            bench.number(tenths, number);
        }
        bench.tick(10);
        assert_eq!(bench.sent(), [(0, 1.0)]);
    }

    #[test]
    fn held_changes_of_a_data_set_add_up() {
        let set = |key: &str| {
            let entry = Entry { key: key.into(), cell: Cell::Integer(1) };
            Value::DataSet(Arc::new(DataSet::new(None, vec![entry])))
        };
        let mut bench = Bench::default();
        bench.offer(0, set("a"));
        bench.offer(2, set("b"));
        bench.offer(4, set("c"));
        bench.tick(10);
        let Some(Value::DataSet(sent)) = bench.out.last().map(|o| o.value.clone()) else { panic!("a set") };
        assert_eq!(sent.entries().iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn a_forgotten_item_is_not_due() {
        let mut bench = Bench::default();
        bench.number(0, 1.0);
        bench.number(1, 2.0);
        bench.periods.forget(ITEM);
        assert_eq!(bench.periods.due(), None);
        bench.tick(50);
        assert_eq!(bench.sent(), [(0, 1.0)]);
    }
}
