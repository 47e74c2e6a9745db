//! The conditions as they stand, and the events that their changes are.

use std::sync::Arc;

use guideway_contract::{Condition, ItemIndex, Level, Timestamp, Value};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::occurrence::{Ids, NORMAL, Occurrence, Source, Standing};
use crate::pipeline::condition_chain::MOST_ACTIVE;

/// The conditions of all data items. Their entries are those of the pipeline's chains; each keeps the event
/// that told of it last, which is what a refresh repeats.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    chains: FxHashMap<ItemIndex, Chain>,
}

#[derive(Debug)]
struct Chain {
    source: Arc<Source>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was heard yet.
    Unknown,
    /// The source is lost.
    Lost,
    /// What is active, oldest first; nothing is when it is empty.
    Known(Vec<Entry>),
}

#[derive(Debug)]
struct Entry {
    condition: Arc<Condition>,
    event: Arc<Occurrence>,
}

/// A value of a condition and when it came: by its source's clock, and here.
#[derive(Clone, Debug)]
pub(super) struct Report<'r> {
    /// A condition's entry, or Unavailable; anything else counts as Unavailable.
    pub(super) value: &'r Value,
    /// Time and arrival.
    pub(super) at: (Timestamp, Timestamp),
}

impl Conditions {
    /// Takes a report into the state of its item and hands the events that it makes to `tell`: one for each
    /// entry that became active, changed or ended.
    ///
    /// Loss of the source makes one event for each entry, or one for the condition as a whole when nothing
    /// was active; so does the first Normal when nothing was known before.
    pub(super) fn take(
        &mut self,
        ids: &Ids,
        item: ItemIndex,
        source: &Arc<Source>,
        report: &Report<'_>,
        tell: &mut dyn FnMut(Arc<Occurrence>),
    ) {
        let new = || Chain { source: source.clone(), state: State::Unknown };
        let chain = self.chains.entry(item).or_insert_with(new);
        if !Arc::ptr_eq(&chain.source, source) {
            chain.source = source.clone();
        }
        chain.take(ids, report, tell);
    }

    /// Makes an item stand as the journal's chain says, and hands the events of the difference to `tell`.
    pub(super) fn reconcile(
        &mut self,
        ids: &Ids,
        item: ItemIndex,
        source: &Arc<Source>,
        chain: &[Report<'_>],
        tell: &mut dyn FnMut(Arc<Occurrence>),
    ) {
        let Some(last) = chain.last() else { return };
        let gone: Vec<Value> = match self.chains.get(&item).map(|chain| &chain.state) {
            Some(State::Known(entries)) => entries
                .iter()
                .filter(|old| !chain.iter().any(|new| key_of(new.value) == Some(old.condition.key())))
                .map(|old| ended(&old.condition))
                .collect(),
            _ => Vec::new(),
        };
        if matches!(last.value, Value::Condition(last) if last.level != Level::Normal) {
            for value in &gone {
                self.take(ids, item, source, &Report { value, at: last.at }, tell);
            }
        }
        for report in chain {
            let known = self.chains.get(&item).is_some_and(|chain| chain.has(report.value));
            if !known {
                self.take(ids, item, source, report, tell);
            }
        }
    }

    /// Ends the conditions of data items that are no longer there.
    pub(super) fn forget(
        &mut self,
        ids: &Ids,
        is_gone: impl Fn(&Source) -> bool,
        tell: &mut dyn FnMut(Arc<Occurrence>),
    ) {
        let now = Timestamp::now();
        self.chains.retain(|_, chain| {
            let gone = is_gone(&chain.source);
            if gone {
                chain.take(ids, &Report { value: &Value::Unavailable, at: (now, now) }, tell);
            }
            !gone
        });
    }

    /// The last event of everything that is active, in the order in which they happened.
    pub(super) fn retained(&self) -> Vec<Arc<Occurrence>> {
        let known = self.chains.values().filter_map(|chain| match &chain.state {
            State::Known(entries) => Some(entries),
            _ => None,
        });
        let mut events: Vec<_> = known.flatten().map(|entry| entry.event.clone()).collect();
        events.sort_unstable_by_key(|event| event.number);
        events
    }
}

impl Chain {
    /// Whether a report would change nothing.
    fn has(&self, value: &Value) -> bool {
        match (&self.state, value) {
            (State::Unknown, _) => false,
            (State::Lost, value) => !matches!(value, Value::Condition(_)),
            (State::Known(entries), Value::Condition(new)) if new.level == Level::Normal => {
                entries.is_empty()
            }
            (State::Known(entries), Value::Condition(new)) => entries.iter().any(|old| old.condition == *new),
            (State::Known(_), _) => false,
        }
    }

    fn take(&mut self, ids: &Ids, report: &Report<'_>, tell: &mut dyn FnMut(Arc<Occurrence>)) {
        let source = self.source.clone();
        let event = |entry: Arc<Condition>, key: SmolStr, active, before: u16| {
            let message = entry.message.clone();
            let standing = Standing { key, entry, active, last_severity: before };
            Arc::new(Occurrence::condition(ids, source.clone(), report.at, message, standing))
        };
        let whole =
            |condition: &Arc<Condition>, active| event(condition.clone(), SmolStr::default(), active, NORMAL);
        let Value::Condition(new) = report.value else {
            match std::mem::replace(&mut self.state, State::Lost) {
                State::Lost => {}
                State::Known(entries) if !entries.is_empty() => {
                    for Entry { condition, event: last } in entries {
                        let key = SmolStr::new(condition.key());
                        tell(event(condition, key, None, last.severity()));
                    }
                }
                State::Known(_) | State::Unknown => tell(whole(&Arc::new(Condition::normal()), None)),
            }
            return;
        };
        let key = SmolStr::new(new.key());
        let is_normal = new.level == Level::Normal;
        let State::Known(entries) = &mut self.state else {
            self.state = State::Known(Vec::new());
            if is_normal {
                return tell(whole(new, Some(false)));
            }
            return self.take(ids, report, tell);
        };
        // What the end of an entry says: its own code, and the rest from the report as far as it says it.
        let end = |old: Entry| {
            let own = &old.condition;
            let text = |new: &SmolStr, own: &SmolStr| if new.is_empty() { own.clone() } else { new.clone() };
            let last = Condition {
                level: Level::Normal,
                native_code: own.native_code.clone(),
                native_severity: text(&new.native_severity, &own.native_severity),
                qualifier: new.qualifier.or(own.qualifier),
                message: text(&new.message, &own.message),
                condition_id: own.condition_id.clone(),
            };
            event(Arc::new(last), SmolStr::new(own.key()), Some(false), old.event.severity())
        };
        if is_normal && key.is_empty() {
            for old in std::mem::take(entries) {
                tell(end(old));
            }
            return;
        }
        let place = entries.iter().position(|old| old.condition.key() == key);
        let before = place.map(|place| entries.remove(place));
        if is_normal {
            if let Some(old) = before {
                tell(end(old));
            }
            return;
        }
        if entries.len() >= MOST_ACTIVE {
            let oldest = Entry { condition: entries[0].condition.clone(), event: entries.remove(0).event };
            let last = Arc::new(Condition { level: Level::Normal, ..(*oldest.condition).clone() });
            tell(event(last, SmolStr::new(oldest.condition.key()), Some(false), oldest.event.severity()));
        }
        let severity = before.map_or(NORMAL, |before| before.event.severity());
        let event = event(new.clone(), key, Some(true), severity);
        entries.push(Entry { condition: new.clone(), event: event.clone() });
        tell(event);
    }
}

/// The key of an entry that is active.
fn key_of(value: &Value) -> Option<&str> {
    match value {
        Value::Condition(condition) if condition.level != Level::Normal => Some(condition.key()),
        _ => None,
    }
}

/// A Normal for that entry alone.
fn ended(condition: &Condition) -> Value {
    Value::Condition(Arc::new(Condition {
        level: Level::Normal,
        message: SmolStr::default(),
        ..condition.clone()
    }))
}

#[cfg(test)]
mod tests {
    use super::super::occurrence::testing::*;
    use super::*;
    use crate::pipeline::condition_chain;
    use opcua_types::{AttributeId, LocalizedText, NodeId, NumericRange, Variant};
    use proptest::prelude::*;

    /// Conditions of one item, and what was told.
    #[derive(Default)]
    struct Bench {
        ids: Ids,
        conditions: Conditions,
        source: Option<Arc<Source>>,
    }

    impl Bench {
        fn source(&mut self) -> Arc<Source> {
            self.source.get_or_insert_with(|| source("system")).clone()
        }

        fn take(&mut self, value: &Value) -> Vec<Arc<Occurrence>> {
            let (source, mut told) = (self.source(), Vec::new());
            let report = Report { value, at: at() };
            self.conditions.take(&self.ids, ItemIndex(0), &source, &report, &mut |event| told.push(event));
            told
        }

        fn reconcile(&mut self, values: &[Value]) -> Vec<Arc<Occurrence>> {
            let (source, mut told) = (self.source(), Vec::new());
            let chain: Vec<_> = values.iter().map(|value| Report { value, at: at() }).collect();
            self.conditions
                .reconcile(&self.ids, ItemIndex(0), &source, &chain, &mut |event| told.push(event));
            told
        }

        fn active(&self) -> Vec<String> {
            self.conditions.retained().iter().map(|event| summary(event)).collect()
        }
    }

    fn value(level: Level, code: &str) -> Value {
        Value::Condition(Arc::new(entry(level, code, "")))
    }

    /// `<code> <severity> <last severity> active|ended|lost`.
    fn summary(event: &Occurrence) -> String {
        let Variant::NodeId(id) = event.field(MTCONNECT, AttributeId::NodeId, &NumericRange::None, &[])
        else {
            panic!("no ConditionId");
        };
        let number = |name| match field(event, name) {
            Variant::UInt16(number) => number,
            other => panic!("{name}: {other:?}"),
        };
        let state = match (field(event, "EnabledState/Id"), field(event, "Retain")) {
            (Variant::Boolean(false), Variant::Boolean(false)) => "lost",
            (Variant::Boolean(true), Variant::Boolean(true)) => "active",
            (Variant::Boolean(true), Variant::Boolean(false)) => "ended",
            other => panic!("{other:?}"),
        };
        let id = id.to_string();
        let key = id.split_once('#').map_or("", |(_, key)| key);
        format!("{key} {} {} {state}", number("Severity"), number("LastSeverity"))
    }

    fn summaries(events: &[Arc<Occurrence>]) -> Vec<String> {
        events.iter().map(|event| summary(event)).collect()
    }

    #[test]
    fn each_activation_change_and_end_is_one_event() {
        let mut bench = Bench::default();
        assert_eq!(summaries(&bench.take(&value(Level::Warning, "1"))), ["1 500 1 active"]);
        assert_eq!(summaries(&bench.take(&value(Level::Fault, "2"))), ["2 1000 1 active"]);
        assert_eq!(summaries(&bench.take(&value(Level::Fault, "1"))), ["1 1000 500 active"]);
        assert_eq!(bench.active(), ["2 1000 1 active", "1 1000 500 active"]);
        assert_eq!(summaries(&bench.take(&value(Level::Normal, "2"))), ["2 1 1000 ended"]);
        assert_eq!(summaries(&bench.take(&value(Level::Normal, "9"))), [""; 0]);
        assert_eq!(bench.active(), ["1 1000 500 active"]);
    }

    #[test]
    fn a_normal_without_a_code_ends_every_active_one() {
        let mut bench = Bench::default();
        bench.take(&value(Level::Warning, "1"));
        bench.take(&value(Level::Fault, "2"));
        let told = bench.take(&value(Level::Normal, ""));
        assert_eq!(summaries(&told), ["1 1 500 ended", "2 1 1000 ended"]);
        assert_eq!(field(&told[0], "2:NativeCode"), Variant::from("1"));
        assert_eq!(bench.active(), [""; 0]);
        assert_eq!(summaries(&bench.take(&value(Level::Normal, ""))), [""; 0], "nothing was active");
    }

    #[test]
    fn the_loss_of_the_source_disables_every_entry_or_the_condition_as_a_whole() {
        let mut bench = Bench::default();
        assert_eq!(summaries(&bench.take(&Value::Unavailable)), [" 1 1 lost"]);
        assert_eq!(summaries(&bench.take(&Value::Unavailable)), [""; 0]);
        assert_eq!(summaries(&bench.take(&value(Level::Normal, ""))), [" 1 1 ended"]);
        bench.take(&value(Level::Warning, "1"));
        bench.take(&value(Level::Fault, "2"));
        assert_eq!(summaries(&bench.take(&Value::Unavailable)), ["1 500 500 lost", "2 1000 1000 lost"]);
        assert_eq!(bench.active(), [""; 0]);
        assert_eq!(summaries(&bench.take(&value(Level::Fault, "2"))), ["2 1000 1 active"]);
    }

    #[test]
    fn the_end_says_what_the_source_says_and_keeps_the_rest() {
        let mut bench = Bench::default();
        let mut fault = entry(Level::Fault, "1", "over temperature");
        fault.native_severity = "9".into();
        bench.take(&Value::Condition(Arc::new(fault)));
        let told = bench.take(&Value::Condition(Arc::new(entry(Level::Normal, "1", "cool again"))));
        assert_eq!(field(&told[0], "Message"), Variant::from(LocalizedText::new("", "cool again")));
        assert_eq!(field(&told[0], "2:NativeSeverity"), Variant::from("9"));
        assert_eq!(field(&told[0], "2:MTSeverity"), Variant::Int32(1));
    }

    #[test]
    fn a_condition_has_one_id_whenever_it_comes_back() {
        let id = |event: &Occurrence| event.field(MTCONNECT, AttributeId::NodeId, &NumericRange::None, &[]);
        let (mut before, mut after) = (Bench::default(), Bench::default());
        let first = before.take(&value(Level::Fault, "1"));
        before.take(&value(Level::Normal, ""));
        let again = before.take(&value(Level::Warning, "1"));
        let restarted = after.take(&value(Level::Fault, "1"));
        assert_eq!(id(&first[0]), Variant::from(NodeId::new(3, "d0/system#1")));
        assert_eq!(id(&first[0]), id(&again[0]));
        assert_eq!(id(&first[0]), id(&restarted[0]));
        assert_ne!(field(&first[0], "EventId"), field(&again[0], "EventId"));
    }

    #[test]
    fn of_too_many_entries_the_oldest_ends() {
        let mut bench = Bench::default();
        for code in 0..MOST_ACTIVE {
            bench.take(&value(Level::Fault, &code.to_string()));
        }
        let told = bench.take(&value(Level::Fault, "new"));
        assert_eq!(summaries(&told), ["0 1 1000 ended", "new 1000 1 active"]);
        assert_eq!(bench.active().len(), MOST_ACTIVE);
    }

    #[test]
    fn a_chain_of_the_journal_makes_events_of_the_difference_only() {
        let mut bench = Bench::default();
        let chain = [value(Level::Warning, "1"), value(Level::Fault, "2")];
        assert_eq!(summaries(&bench.reconcile(&chain)), ["1 500 1 active", "2 1000 1 active"]);
        assert_eq!(summaries(&bench.reconcile(&chain)), [""; 0]);
        let chain = [value(Level::Fault, "2"), value(Level::Fault, "3")];
        assert_eq!(summaries(&bench.reconcile(&chain)), ["1 1 500 ended", "3 1000 1 active"]);
        assert_eq!(
            summaries(&bench.reconcile(&[value(Level::Normal, "")])),
            ["2 1 1000 ended", "3 1 1000 ended"]
        );
        assert_eq!(summaries(&bench.reconcile(&[value(Level::Normal, "")])), [""; 0]);
        assert_eq!(summaries(&bench.reconcile(&[Value::Unavailable])), [" 1 1 lost"]);
    }

    #[test]
    fn conditions_of_data_items_that_go_end_with_them() {
        let mut bench = Bench::default();
        bench.take(&value(Level::Fault, "1"));
        let mut told = Vec::new();
        let gone = NodeId::new(3, "d0/system");
        bench.conditions.forget(&bench.ids, |source| source.node != gone, &mut |event| told.push(event));
        assert_eq!(summaries(&told), [""; 0]);
        bench.conditions.forget(&bench.ids, |source| source.node == gone, &mut |event| told.push(event));
        assert_eq!(summaries(&told), ["1 1000 1000 lost"]);
        assert_eq!(bench.active(), [""; 0]);
    }

    proptest! {
        /// What is active is what the pipeline's chain holds, whatever comes.
        #[test]
        fn what_is_active_is_what_the_pipelines_chain_holds(
            reports in proptest::collection::vec((0..4_u8, "[0-3]?"), 0..40),
        ) {
            let mut bench = Bench::default();
            let mut chain: Vec<Value> = Vec::new();
            let mut standing = std::collections::BTreeSet::new();
            for (level, code) in reports {
                let report = match level {
                    0 => value(Level::Normal, &code),
                    1 => value(Level::Warning, &code),
                    2 => value(Level::Fault, &code),
                    _ => Value::Unavailable,
                };
                condition_chain::fold(&mut chain, report.clone());
                for event in bench.take(&report) {
                    // A client that only follows the events knows as much.
                    let id = event.field(MTCONNECT, AttributeId::NodeId, &NumericRange::None, &[]);
                    let id = format!("{id:?}");
                    if event.retain() { standing.insert(id); } else { standing.remove(&id); }
                }
                let active = chain.iter().filter(|value| key_of(value).is_some()).count();
                prop_assert_eq!(bench.active().len(), active);
                prop_assert_eq!(standing.len(), active);
            }
        }
    }
}
