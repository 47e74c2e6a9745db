//! Text through the readers of SHDR's data sets, tables, fields, numbers and times.
#![no_main]

use guideway_contract::{DataSet, Timestamp};
use guideway_shdr::codec::{Fields, Times, data_set, number, table};
use libfuzzer_sys::fuzz_target;

fn check(set: Option<DataSet>) {
    for entry in set.iter().flat_map(DataSet::entries) {
        assert!(!entry.key.is_empty() && !entry.key.contains(char::is_whitespace));
    }
}

fuzz_target!(|text: &str| {
    check(data_set(text));
    check(table(text));
    assert!(number(text).is_none_or(f64::is_finite));
    let arrival = Timestamp::EPOCH;
    let mut times = Times::default();
    for (count, field) in Fields::new(text).enumerate() {
        assert!(count <= text.len());
        let read = times.read(&field, arrival);
        assert!(read.duration.is_none_or(|seconds| seconds >= 0.0 && seconds.is_finite()));
    }
});
