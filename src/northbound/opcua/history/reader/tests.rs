use std::sync::Arc;

use guideway_contract::{TimeSeries, Value};
use opcua_server::address_space::AddressSpace;
use opcua_types::ReadRawModifiedDetails;

use super::super::range::UNIX_EPOCH;
use super::*;
use crate::device_model::{self, DeviceModel};
use crate::journal::{self, Writer};

/// Five o'clock on some day.
const FIVE: i64 = 1_770_008_400_000_000_000;
const MINUTE: i64 = 60_000_000_000;

struct Historian {
    journal: Journal,
    writer: Writer,
    types: Types,
    target: Target,
}

fn historian(shape: Shape) -> Historian {
    let xml = r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.7"><Devices>
        <Device id="d" name="M" uuid="m"><DataItems>
        <DataItem category="SAMPLE" id="x" type="POSITION" units="MILLIMETER"/></DataItems></Device>
        </Devices></MTConnectDevices>"#;
    let options = device_model::Options { agent_device: false, ..device_model::Options::default() };
    let model = DeviceModel::from_xml(&[("m.xml".into(), xml.into())], &options, None).unwrap();
    let item = model.find_item("x").unwrap().index;
    let options = journal::Options { durable: false, ..journal::Options::default() };
    let model = Arc::new(arc_swap::ArcSwap::from_pointee(model));
    let (writer, journal) = Journal::open(&options, None, model).unwrap();
    let binding = Binding {
        node: NodeId::new(3, "m/x"),
        device: NodeId::new(3, "m"),
        notifiers: [NodeId::new(3, "m")].into(),
        source_name: "Position".into(),
        data_item_id: "x".into(),
        type_name: "Position".into(),
        sub_type_name: "".into(),
        shape,
        duration: None,
        reset_reason: None,
        extra: Vec::new(),
    };
    let target = Target::new(item.0, Arc::new(binding));
    Historian { journal, writer, types: Types::load(&mut AddressSpace::new(), 2), target }
}

impl Historian {
    fn observe(&mut self, nanos: i64, value: Value) {
        let time = Timestamp::from_nanos(nanos, 9);
        self.writer.append(&mut vec![Observation::new(self.target.item, time, time, value)]);
    }

    /// All answers together, and how many there were.
    fn read(&self, details: &ReadRawModifiedDetails, limit: usize) -> (Vec<DataValue>, usize) {
        let (mut all, mut answers) = (Vec::new(), 0);
        let mut place = Place::new(self.target.binding.node.clone(), Range::of(details).unwrap());
        loop {
            let mut readers = [Reader::new(self.target.clone(), place, limit)];
            read(&self.journal, &self.types, &mut readers);
            let [reader] = readers;
            let (values, next) = reader.finish().unwrap();
            assert!(values.len() <= limit);
            all.extend(values);
            answers += 1;
            match next {
                Some(next) => place = next,
                None => return (all, answers),
            }
        }
    }
}

/// So many minutes behind five.
fn clock(minute: i64) -> DateTime {
    DateTime::from((FIVE + minute * MINUTE) / 100 + UNIX_EPOCH)
}

/// A time as minutes behind five; none is not given.
fn details(start: Option<i64>, end: Option<i64>, number: u32, bounds: bool) -> ReadRawModifiedDetails {
    let time = |minute: Option<i64>| minute.map_or_else(DateTime::null, clock);
    ReadRawModifiedDetails {
        is_read_modified: false,
        start_time: time(start),
        end_time: time(end),
        num_values_per_node: number,
        return_bounds: bounds,
    }
}

/// Minutes of the values; a bound that is not there has its time in brackets, in seconds.
fn minutes(values: &[DataValue]) -> String {
    let text = |value: &DataValue| {
        let seconds = (tick(value) - tick(&not_found(clock(0).ticks()))) / SECOND;
        if value.status() == StatusCode::BadBoundNotFound {
            assert_eq!(value.value, Some(Variant::Empty));
            format!("[{seconds}]")
        } else {
            assert_eq!(value.value, Some(Variant::Double((seconds / 60) as f64)));
            (seconds / 60).to_string()
        }
    };
    values.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// The standard's own example (part 11, table 1): values at 5:00, 5:02, 5:03, 5:05 and 5:06. What
/// the first answer holds.
#[test]
fn bounds_are_those_of_the_standards_table() {
    let mut historian = historian(Shape::Number);
    for minute in [0, 2, 3, 5, 6] {
        historian.observe(FIVE + minute * MINUTE, Value::Number(minute as f64));
    }
    let at = Some;
    for (start, end, number, with_bounds, without) in [
        (at(0), at(5), 0, "0 2 3 5", "0 2 3"),
        (at(1), at(4), 0, "0 2 3 5", "2 3"),
        (at(5), at(0), 0, "5 3 2 0", "5 3 2"),
        (at(4), at(1), 0, "5 3 2 0", "3 2"),
        (at(-1), at(5), 0, "[-60] 0 2 3 5", "0 2 3"),
        (at(1), at(7), 0, "0 2 3 5 6 [420]", "2 3 5 6"),
        (at(7), at(1), 0, "[420] 6 5 3 2 0", "6 5 3 2"),
        (at(5), at(-1), 0, "5 3 2 0 [-60]", "5 3 2 0"),
        (at(0), at(5), 3, "0 2 3", "0 2 3"),
        (at(1), at(4), 3, "0 2 3", "2 3"),
        (at(5), at(0), 3, "5 3 2", "5 3 2"),
        (at(4), at(1), 3, "5 3 2", "3 2"),
        (at(-1), at(5), 3, "[-60] 0 2", "0 2 3"),
        (at(1), at(7), 3, "0 2 3", "2 3 5"),
        (at(0), None, 3, "0 2 3", "0 2 3"),
        (at(0), None, 6, "0 2 3 5 6 [361]", "0 2 3 5 6"),
        (at(0), None, 5, "0 2 3 5 6", "0 2 3 5 6"),
        (at(7), None, 6, "6 [361]", ""),
        (None, at(6), 3, "6 5 3", "6 5 3"),
        (None, at(6), 6, "6 5 3 2 0 [-1]", "6 5 3 2 0"),
        (None, at(-12), 6, "0 [-1]", ""),
        (at(-12), at(-12), 0, "[-720] 0", ""),
        (at(-12), at(-12), 1, "[-720]", ""),
        (at(-12), at(-12), 2, "[-720] 0", ""),
        (at(0), at(0), 0, "0 2", "0"),
        (at(0), at(0), 1, "0", "0"),
        (at(0), at(0), 2, "0 2", "0"),
        (at(1), at(1), 0, "0 2", ""),
        (at(1), at(1), 1, "0", ""),
        (at(1), at(1), 2, "0 2", ""),
        (at(6), at(6), 0, "6 [360]", "6"),
        (at(6), at(6), 1, "6", "6"),
        (at(6), at(6), 2, "6 [360]", "6"),
        (at(7), at(7), 0, "6 [420]", ""),
        (at(7), at(7), 1, "6", ""),
        (at(7), at(7), 2, "6 [420]", ""),
    ] {
        for (bounds, expected) in [(true, with_bounds), (false, without)] {
            let details = details(start, end, number, bounds);
            let place = Place::new(historian.target.binding.node.clone(), Range::of(&details).unwrap());
            let mut readers = [Reader::new(historian.target.clone(), place, 1_000)];
            read(&historian.journal, &historian.types, &mut readers);
            let [reader] = readers;
            let (values, next) = reader.finish().unwrap();
            let asked = format!("{start:?} to {end:?}, {number}, bounds {bounds}");
            assert_eq!(minutes(&values), expected, "{asked}");
            // Only where the range has an end can more follow than what was asked for.
            assert!(next.is_none() || (end.is_some() && start.is_some() && number > 0), "{asked}");
        }
    }
}

#[test]
fn short_answers_together_are_one_long_one() {
    let mut historian = historian(Shape::Number);
    for minute in [0, 2, 3, 5, 6] {
        historian.observe(FIVE + minute * MINUTE, Value::Number(minute as f64));
    }
    let ends = [None, Some(-1), Some(0), Some(1), Some(5), Some(7)];
    let ranges = ends.iter().flat_map(|start| ends.iter().map(move |end| (*start, *end)));
    for (start, end) in ranges {
        for (number, bounds) in [(0, false), (0, true), (4, false), (4, true), (1, true)] {
            let details = details(start, end, number, bounds);
            if Range::of(&details).is_err() {
                continue;
            }
            let (whole, _) = historian.read(&details, 1_000);
            for limit in 1..4 {
                let (parts, answers) = historian.read(&details, limit);
                assert_eq!(minutes(&parts), minutes(&whole), "{start:?} to {end:?}, {number}, {bounds}");
                let limit = if number == 0 || start.is_none() || end.is_none() {
                    limit
                } else {
                    limit.min(number as usize)
                };
                assert_eq!(answers, whole.len().div_ceil(limit).max(1), "no empty answer");
            }
        }
    }
}

#[test]
fn a_node_that_was_never_observed_has_bounds_that_are_not_found() {
    let historian = historian(Shape::Number);
    let read = |bounds, number, end| historian.read(&details(Some(1), end, number, bounds), 10).0;
    assert_eq!(minutes(&read(true, 0, Some(4))), "[60] [240]");
    assert_eq!(minutes(&read(true, 9, None)), "[60] [61]");
    assert_eq!(minutes(&read(false, 0, Some(4))), "");
}

fn series(rate: f64, values: &[f64]) -> Value {
    Value::TimeSeries(Arc::new(TimeSeries { rate: Some(rate), values: values.into() }))
}

/// Ten values a minute apart, in series of three, three and four that end at 2, 5 and 9.
fn series_of_minutes() -> Historian {
    let mut historian = historian(Shape::TimeSeries { rate: None });
    for (end, values) in [(2, &[0.0, 1.0, 2.0][..]), (5, &[3.0, 4.0, 5.0]), (9, &[6.0, 7.0, 8.0, 9.0])] {
        historian.observe(FIVE + end * MINUTE, series(1.0 / 60.0, values));
    }
    historian
}

#[test]
fn values_of_series_are_found_by_their_own_times() {
    let historian = series_of_minutes();
    for (start, end, number, bounds, expected) in [
        (Some(1), Some(4), 0, false, "1 2 3"),
        (Some(4), Some(1), 0, false, "4 3 2"),
        (Some(0), Some(20), 0, false, "0 1 2 3 4 5 6 7 8 9"),
        (Some(20), Some(-1), 0, false, "9 8 7 6 5 4 3 2 1 0"),
        (Some(7), Some(7), 0, false, "7"),
        (Some(4), None, 4, false, "4 5 6 7"),
        (None, Some(7), 4, false, "7 6 5 4"),
        (Some(1), Some(4), 0, true, "1 2 3 4"),
        (Some(4), Some(1), 0, true, "4 3 2 1"),
    ] {
        let details = details(start, end, number, bounds);
        for limit in [1, 2, 3, 4, 100] {
            let (values, _) = historian.read(&details, limit);
            assert_eq!(minutes(&values), expected, "{start:?} to {end:?}, {number}, {bounds}, by {limit}");
        }
    }
}

#[test]
fn the_bound_of_a_series_is_the_value_next_to_the_instant() {
    let historian = series_of_minutes();
    // Half a minute behind 1 and 4.
    let mut details = details(Some(1), Some(4), 0, true);
    for time in [&mut details.start_time, &mut details.end_time] {
        *time = DateTime::from(time.ticks() + 30 * SECOND);
    }
    assert_eq!(minutes(&historian.read(&details, 100).0), "1 2 3 4 5");
    std::mem::swap(&mut details.start_time, &mut details.end_time);
    assert_eq!(minutes(&historian.read(&details, 100).0), "5 4 3 2 1");
}

#[test]
fn a_time_that_a_client_was_told_finds_the_value_again() {
    let mut historian = historian(Shape::Number);
    // Not a multiple of 100 ns.
    for nanos in [FIVE + 123, FIVE + 250] {
        historian.observe(nanos, Value::Number(1.0));
    }
    let (all, _) = historian.read(&details(Some(0), None, 10, false), 10);
    assert_eq!(all.len(), 2);
    for value in &all {
        let time = value.source_timestamp.unwrap();
        for (start_time, end_time) in [(time, time), (time, DateTime::from(time.ticks() + 1))] {
            let details = ReadRawModifiedDetails { start_time, end_time, ..details(None, None, 0, false) };
            assert_eq!(historian.read(&details, 10).0, std::slice::from_ref(value));
        }
        let later = DateTime::from(time.ticks() - 1);
        let backward =
            ReadRawModifiedDetails { start_time: time, end_time: later, ..details(None, None, 0, false) };
        assert_eq!(historian.read(&backward, 10).0, std::slice::from_ref(value));
    }
}

#[test]
fn what_retention_took_makes_the_continuation_point_invalid() {
    let mut historian = historian(Shape::Number);
    historian.observe(FIVE, Value::Number(0.0));
    historian.observe(FIVE + MINUTE, Value::Number(1.0));
    let answer = |place| {
        let mut readers = [Reader::new(historian.target.clone(), place, 1)];
        read(&historian.journal, &historian.types, &mut readers);
        let [reader] = readers;
        reader.finish()
    };
    let range = Range::of(&details(Some(0), Some(9), 0, false)).unwrap();
    let (_, next) = answer(Place::new(historian.target.binding.node.clone(), range)).unwrap();
    for _ in 0..historian.journal.buffer_size() {
        let time = Timestamp::from_nanos(FIVE, 0);
        let value = Value::Number(2.0);
        historian.writer.append(&mut vec![Observation::new(historian.target.item, time, time, value)]);
    }
    let answer = |place| {
        let mut readers = [Reader::new(historian.target.clone(), place, 1)];
        read(&historian.journal, &historian.types, &mut readers);
        let [reader] = readers;
        reader.finish()
    };
    assert_eq!(answer(next.unwrap()).err(), Some(StatusCode::BadContinuationPointInvalid));
}
