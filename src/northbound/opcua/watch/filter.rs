//! What an item's filter takes for a change.
//!
//! The library keeps filters to itself: they can be named by nobody else, but they can be printed. The
//! tests hold this to what is printed.

use std::fmt::Debug;

use opcua_types::{
    DataChangeFilter, DataChangeTrigger, DataValue, Deadband, DeadbandType, ParsedDataChangeFilter,
};

/// A filter as the library applies it.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    /// None: a change of the value.
    Value,
    /// A DataChangeFilter.
    Change(ParsedDataChangeFilter),
    /// Takes everything for a change.
    Unknown,
}

impl Filter {
    /// Of the filter of an item that is being created.
    pub(super) fn of(filter: &impl Debug) -> Self {
        Self::printed(&format!("{filter:?}"))
    }

    /// Of an item that has one.
    pub(super) fn inside(item: &impl Debug) -> Self {
        let printed = format!("{item:?}");
        printed.split_once(" filter: ").map_or(Self::Unknown, |(_, filter)| Self::printed(filter))
    }

    fn printed(text: &str) -> Self {
        if text == "None" || text.starts_with("None,") {
            return Self::Value;
        }
        let change = text.strip_prefix("DataChangeFilter(").and_then(|text| {
            let trigger = match word(text, "trigger: ")? {
                "Status" => DataChangeTrigger::Status,
                "StatusValue" => DataChangeTrigger::StatusValue,
                "StatusValueTimestamp" => DataChangeTrigger::StatusValueTimestamp,
                _ => return None,
            };
            let (_, rest) = text.split_once("deadband: ")?;
            let deadband = if rest.starts_with("None") {
                Deadband::None
            } else if let Some(rest) = rest.strip_prefix("Absolute(") {
                Deadband::Absolute(rest.split_once(')')?.0.parse().ok()?)
            } else {
                let rest = rest.strip_prefix("Percent(")?;
                let number = |name| word(rest, name)?.parse::<f64>().ok();
                let (low, range) = (number("low: ")?, number("range: ")?);
                let filter = DataChangeFilter {
                    trigger,
                    deadband_type: DeadbandType::Percent as u32,
                    deadband_value: number("trigger: ")? * 100.0,
                };
                return ParsedDataChangeFilter::parse(filter, Some((low, low + range))).ok();
            };
            Some(ParsedDataChangeFilter { trigger, deadband })
        });
        change.map_or(Self::Unknown, Self::Change)
    }

    /// Whether `value` is a change from `last`.
    pub(super) fn is_changed(&self, value: &DataValue, last: &DataValue) -> bool {
        match self {
            Self::Value => value.value != last.value,
            Self::Change(filter) => filter.is_changed(value, last),
            Self::Unknown => true,
        }
    }
}

/// What follows a name, up to the next sign.
fn word<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(name)?;
    Some(rest.split([',', ' ', ')']).next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the library's own enum is printed around it.
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is printed")]
    enum FilterType {
        None,
        DataChangeFilter(ParsedDataChangeFilter),
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "it is printed")]
    struct MonitoredItem {
        client_handle: u32,
        filter: FilterType,
        discard_oldest: bool,
    }

    fn parsed(trigger: DataChangeTrigger, deadband: DeadbandType, value: f64) -> ParsedDataChangeFilter {
        let filter = DataChangeFilter { trigger, deadband_type: deadband as u32, deadband_value: value };
        ParsedDataChangeFilter::parse(filter, Some((-10.0, 90.0))).expect("a filter")
    }

    #[test]
    fn every_filter_is_known_by_how_it_is_printed() {
        let triggers = [
            DataChangeTrigger::Status,
            DataChangeTrigger::StatusValue,
            DataChangeTrigger::StatusValueTimestamp,
        ];
        for trigger in triggers {
            for (deadband, value) in [
                (DeadbandType::None, 0.0),
                (DeadbandType::Absolute, 0.5),
                (DeadbandType::Absolute, 1e-30),
                (DeadbandType::Percent, 5.0),
            ] {
                let filter = parsed(trigger, deadband, value);
                let printed = format!("{filter:?}");
                let item = MonitoredItem {
                    client_handle: 1,
                    filter: FilterType::DataChangeFilter(filter.clone()),
                    discard_oldest: true,
                };
                let read = [Filter::of(&FilterType::DataChangeFilter(filter)), Filter::inside(&item)];
                for read in read {
                    let Filter::Change(read) = read else { panic!("{printed} is not known") };
                    assert_eq!(format!("{read:?}"), printed);
                }
            }
        }
        let none = MonitoredItem { client_handle: 1, filter: FilterType::None, discard_oldest: true };
        assert!(matches!(Filter::inside(&none), Filter::Value));
        assert!(matches!(Filter::of(&FilterType::None), Filter::Value));
        assert!(matches!(Filter::of(&"EventFilter(..)"), Filter::Unknown));
    }
}
