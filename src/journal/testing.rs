//! Random histories for the tests of this module.

use std::sync::Arc;

use guideway_contract::{
    Annotated, AssetEvent, Cell, Condition, DataSet, Entry, ItemIndex, Level, Message, Observation,
    Qualifier, Quality, TimeSeries, Timestamp, Validity, Value,
};
use proptest::collection::vec;
use proptest::prelude::*;
use smol_str::SmolStr;

use super::catalog::{Catalog, FixedItem};

/// Items in [`catalog`]: numbers, texts and the like from 0, data sets from 6, conditions from 8.
pub(super) const CATALOG_SIZE: usize = 10;

pub(super) fn catalog() -> Catalog {
    let item = |index: usize| FixedItem {
        device_uuid: format!("machine-{}", index % 2),
        id: format!("item-{index}"),
        condition: index >= 8,
    };
    Catalog::Fixed(Arc::new((0..CATALOG_SIZE).map(item).collect()))
}

/// An observation of a number at a fixed time.
pub(super) fn number(item: u32, value: f64) -> Observation {
    let time = Timestamp::parse("2026-01-02T03:04:05.678Z").unwrap();
    Observation::new(ItemIndex(item), time, time.shifted(1_234_000), Value::Number(value))
}

/// Observations of the items of [`catalog`].
pub(super) fn history(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Observation>> {
    vec(observation(), length)
}

pub(super) fn observation() -> impl Strategy<Value = Observation> {
    let valued: BoxedStrategy<_> = prop_oneof![
        8 => (0_u32..6, simple()),
        2 => (6_u32..8, data_set()),
        4 => (8_u32..10, condition()),
    ]
    .boxed();
    (valued, times(), 0_u8..3, 0_u8..3).prop_map(|((item, value), (time, arrival), quality, validity)| {
        let mut observation = Observation::new(ItemIndex(item), time, arrival, value);
        observation.quality = [Quality::Good, Quality::Uncertain, Quality::Bad][usize::from(quality)];
        observation.validity =
            [Validity::Valid, Validity::Invalid, Validity::Unverifiable][usize::from(validity)];
        observation
    })
}

fn times() -> impl Strategy<Value = (Timestamp, Timestamp)> {
    let usual = 1_700_000_000_000_000_i64..1_700_000_100_000_000;
    let instant = prop_oneof![
        6 => usual.prop_map(|micros| Timestamp::from_nanos(micros * 1_000, 6)),
        2 => (any::<i64>(), 0_u8..10).prop_map(|(nanos, digits)| Timestamp::from_nanos(nanos, digits)),
        1 => Just(Timestamp::EPOCH),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX)].prop_map(|nanos| Timestamp::from_nanos(nanos, 9)),
    ];
    let offset = prop_oneof![Just(0_i64), Just(1_000), any::<i64>()];
    (instant, offset).prop_map(|(time, offset)| (time, time.shifted(offset)))
}

fn text() -> impl Strategy<Value = SmolStr> {
    prop_oneof![Just(String::new()), "[A-Z]{1,8}", "\\PC{0,40}"].prop_map(SmolStr::from)
}

fn finite() -> BoxedStrategy<f64> {
    prop_oneof![
        (-1_000_000_i32..1_000_000, 0_i32..5)
            .prop_map(|(digits, scale)| f64::from(digits) / 10_f64.powi(scale)),
        any::<f32>().prop_filter("finite", |number| number.is_finite()).prop_map(f64::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()),
        prop_oneof![Just(0.0), Just(-0.0), Just(f64::MAX), Just(f64::MIN_POSITIVE)],
    ]
    .boxed()
}

fn simple() -> BoxedStrategy<Value> {
    let plain = prop_oneof![
        6 => finite().prop_map(Value::Number),
        4 => text().prop_map(Value::Text),
        1 => [finite(), finite(), finite()].prop_map(|vector| Value::Vector3(Arc::new(vector))),
        1 => (proptest::option::of(finite()), vec(finite(), 0..20))
            .prop_map(|(rate, values)| Value::TimeSeries(Arc::new(TimeSeries { rate, values }))),
        1 => (text(), text())
            .prop_map(|(native_code, text)| Value::Message(Arc::new(Message { native_code, text }))),
        1 => (text(), text())
            .prop_map(|(asset_type, asset_id)| Value::AssetEvent(Arc::new(AssetEvent { asset_type, asset_id }))),
    ];
    prop_oneof![1 => Just(Value::Unavailable), 8 => annotated(plain.boxed())].boxed()
}

fn annotated(plain: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    (plain, prop::bool::weighted(0.1), proptest::option::of(finite()), proptest::option::of(text())).prop_map(
        |(value, wrap, duration, reset_triggered)| {
            if wrap {
                Value::Annotated(Arc::new(Annotated { value, duration, reset_triggered }))
            } else {
                value
            }
        },
    )
}

fn cell() -> BoxedStrategy<Cell> {
    let flat = prop_oneof![
        Just(Cell::Removed),
        any::<i64>().prop_map(Cell::Integer),
        finite().prop_map(Cell::Number),
        text().prop_map(Cell::Text),
    ];
    let row = vec(("[a-d]", any::<i64>().prop_map(Cell::Integer)), 0..3).prop_map(|cells| {
        let mut row: Vec<_> = cells.into_iter().map(|(key, cell)| Entry { key: key.into(), cell }).collect();
        guideway_contract::sort_unique(&mut row);
        Cell::Row(row)
    });
    prop_oneof![4 => flat.boxed(), 1 => row.boxed()].boxed()
}

fn data_set() -> BoxedStrategy<Value> {
    let entries = vec(("[a-f]", cell()).prop_map(|(key, cell)| Entry { key: key.into(), cell }), 0..5);
    let reset = prop::bool::weighted(0.1).prop_map(|reset| reset.then(|| SmolStr::new("MANUAL")));
    let set =
        (reset, entries).prop_map(|(reset, entries)| Value::DataSet(Arc::new(DataSet::new(reset, entries))));
    prop_oneof![1 => Just(Value::Unavailable), 8 => annotated(set.boxed())].boxed()
}

fn condition() -> BoxedStrategy<Value> {
    let level = prop_oneof![Just(Level::Normal), Just(Level::Warning), Just(Level::Fault)];
    let qualifier = prop_oneof![Just(None), Just(Some(Qualifier::High)), Just(Some(Qualifier::Low))];
    let code = prop_oneof![Just(SmolStr::default()), "[1-3]".prop_map(SmolStr::from)];
    let id = prop_oneof![3 => Just(SmolStr::default()), 1 => "[x-z]".prop_map(SmolStr::from)];
    let condition = (level, code, text(), qualifier, text(), id).prop_map(
        |(level, native_code, native_severity, qualifier, message, condition_id)| {
            Value::Condition(Arc::new(Condition {
                level,
                native_code,
                native_severity,
                qualifier,
                message,
                condition_id,
            }))
        },
    );
    prop_oneof![1 => Just(Value::Unavailable), 8 => condition.boxed()].boxed()
}
