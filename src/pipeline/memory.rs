//! What is known of a data item, and the filters that compare with it: duplicates and deltas.

use std::sync::Arc;

use guideway_contract::{Quality, Value};

use super::counters::{Reason, Tally};
use super::plan::Plan;
use super::{condition_chain, data_set};

/// Who said an item's last value. Adapters are numbered from 0.
pub(super) mod owner {
    /// Nobody yet, or the device model.
    pub(in super::super) const NOBODY: u16 = u16::MAX;
    /// Someone before the gateway was restarted.
    pub(in super::super) const BEFORE: u16 = u16::MAX - 1;
    /// The gateway itself.
    pub(in super::super) const SELF: u16 = u16::MAX - 2;
}

/// The latest that was let through of one data item.
#[derive(Clone, Debug, Default)]
pub(super) enum Known {
    #[default]
    Nothing,
    /// Without annotation; of a data set the whole state.
    Value(Value),
    /// A condition's chain.
    Chain(Vec<Value>),
}

/// The state of one data item.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) known: Known,
    /// Source time of a time series, to tell one that was sent twice from one that looks the same.
    time: i64,
    pub(super) owner: u16,
    quality: Quality,
    /// The value was taken in other units (the model or a calibration changed): the next one is
    /// news whatever it says.
    pub(super) stale: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self { known: Known::Nothing, time: 0, owner: owner::NOBODY, quality: Quality::Good, stale: false }
    }
}

impl Memory {
    pub(super) fn is_unavailable(&self) -> bool {
        match &self.known {
            Known::Nothing => false,
            Known::Value(value) => value.is_unavailable(),
            Known::Chain(chain) => chain.iter().all(Value::is_unavailable),
        }
    }

    /// Takes up a value without asking any filter.
    pub(super) fn set(&mut self, plan: &Plan, value: &Value) {
        use guideway_contract::Shape;
        self.stale = false;
        self.known = match (plan.shape, value.plain()) {
            (Shape::Condition, value) => Known::Chain(vec![value.clone()]),
            (_, value) => Known::Value(value.clone()),
        };
    }

    /// Takes up `value` and gives what of it is news: everything, the changed keys of a data set,
    /// or nothing, which is counted.
    #[inline]
    pub(super) fn admit(
        &mut self,
        plan: &Plan,
        value: Value,
        (quality, time): (Quality, i64),
        filter_duplicates: bool,
        tally: &Tally,
    ) -> Option<Value> {
        let filter = filter_duplicates && !self.stale;
        let admitted = match value {
            Value::Number(new) => {
                if self.keeps_out_number(plan, new, quality, filter, tally) {
                    return None;
                }
                self.known = Known::Value(Value::Number(new));
                Some(value)
            }
            Value::Text(ref new) => {
                if filter
                    && !plan.discrete
                    && self.quality == quality
                    && matches!(&self.known, Known::Value(Value::Text(old)) if old == new)
                {
                    tally.add(Reason::Duplicate, 1);
                    return None;
                }
                self.known = Known::Value(value.clone());
                Some(value)
            }
            other => self.admit_rare(plan, other, (quality, time), filter, tally),
        };
        if admitted.is_some() {
            self.quality = quality;
            self.stale = false;
        }
        admitted
    }

    #[inline]
    fn keeps_out_number(&self, plan: &Plan, new: f64, quality: Quality, filter: bool, tally: &Tally) -> bool {
        let Known::Value(Value::Number(old)) = self.known else { return false };
        if self.stale || self.quality != quality {
            return false;
        }
        let difference = (new - old).abs();
        let reason = if filter && !plan.discrete && difference == 0.0 {
            Reason::Duplicate
        } else if difference < plan.delta {
            Reason::Delta
        } else {
            return false;
        };
        tally.add(reason, 1);
        true
    }

    fn admit_rare(
        &mut self,
        plan: &Plan,
        value: Value,
        (quality, time): (Quality, i64),
        filter: bool,
        tally: &Tally,
    ) -> Option<Value> {
        use guideway_contract::Shape;
        let duplicate = || {
            tally.add(Reason::Duplicate, 1);
            None
        };
        if plan.shape == Shape::Condition {
            if !matches!(self.known, Known::Chain(_)) {
                self.known = Known::Chain(Vec::new());
            }
            let Known::Chain(chain) = &mut self.known else { return None };
            let same_quality = self.quality == quality || value.is_unavailable();
            if filter && !plan.discrete && same_quality && condition_chain::is_duplicate(chain, &value) {
                return duplicate();
            }
            if let Some(gone) = condition_chain::fold(chain, value.clone()) {
                tally.trouble(Reason::Overflow, || format!("the oldest active entry was dropped: {gone:?}"));
            }
            return Some(value);
        }
        let known = match &self.known {
            Known::Value(known) => Some(known),
            Known::Nothing | Known::Chain(_) => None,
        };
        match &value {
            Value::Unavailable => {
                // Said twice it is no news, whatever the item: nothing can have happened between.
                if filter && self.is_unavailable() {
                    return duplicate();
                }
                self.known = Known::Value(Value::Unavailable);
                Some(value)
            }
            Value::DataSet(incoming) => {
                let state = match known {
                    Some(Value::DataSet(state)) => Some(&**state),
                    _ => None,
                };
                let news = if filter && !plan.discrete && self.quality == quality {
                    match data_set::difference(state, incoming) {
                        Some(news) => Arc::new(news),
                        None => return duplicate(),
                    }
                } else {
                    incoming.clone()
                };
                self.known = Known::Value(Value::DataSet(Arc::new(data_set::merge(state, &news))));
                Some(Value::DataSet(news))
            }
            _ => {
                let plain = value.plain();
                // A reset is an occurrence of its own, and so is every asset event.
                let exempt = value.reset_triggered().is_some()
                    || matches!(plain, Value::AssetEvent(_))
                    || plan.discrete;
                if !exempt && let Value::Number(number) = plain {
                    if self.keeps_out_number(plan, *number, quality, filter, tally) {
                        return None;
                    }
                } else if filter && !exempt && self.quality == quality && known == Some(plain) {
                    // Two stretches of samples that look alike are still two, unless one was resent.
                    if !matches!(plain, Value::TimeSeries(_)) || self.time == time {
                        return duplicate();
                    }
                }
                self.time = time;
                self.known = Known::Value(plain.clone());
                Some(value)
            }
        }
    }
}
