//! A connection's bytes, cut into pieces, through the SHDR line splitter and decoder.
#![no_main]

use std::sync::Arc;

use guideway_contract::{PointTable, Shape, Timestamp, Value};
use guideway_shdr::ShdrVersion;
use guideway_shdr::codec::{Decoder, Line, Lines, Settings, Tally};
use libfuzzer_sys::fuzz_target;

const SHAPES: [Shape; 9] = [
    Shape::Number,
    Shape::Text,
    Shape::Vector3,
    Shape::TimeSeries,
    Shape::DataSet,
    Shape::Table,
    Shape::Condition,
    Shape::Message,
    Shape::AssetEvent,
];

/// Points `a` to `i`, one for each shape, in two devices.
fn points() -> PointTable {
    let mut builder = PointTable::builder();
    for device in ["mill", "lathe"] {
        let scope = builder.device([device]);
        builder.uuid(scope, "0-1");
        for (key, shape) in ["a", "b", "c", "d", "e", "f", "g", "h", "i"].into_iter().zip(SHAPES) {
            let id = builder.point(scope, key, shape, []);
            if let Some(point) = builder.edit(id) {
                point.resets = key < "c";
            }
        }
    }
    builder.build()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let settings = Settings {
        version: if first & 1 == 0 { ShdrVersion::V1 } else { ShdrVersion::V2 },
        relative_time: first & 2 != 0,
        correct_timestamps: first & 4 != 0,
        max_body_length: 200,
        ..Settings::default()
    };
    let cap = 100;
    let arrival = Timestamp::from_nanos(1_700_000_000_000_000_000, 6);
    let mut decoder = Decoder::new(settings);
    decoder.set_points(Arc::new(points()));
    decoder.start(arrival);
    let mut lines = Lines::new(cap);
    let mut readings = Vec::new();
    let mut faults = Tally::default();
    for piece in bytes.chunks(usize::from(first >> 3) + 1) {
        lines.push(piece, |line| {
            if let Line::Bytes(line) = line {
                assert!(line.len() <= cap);
                decoder.line(line, arrival, &mut readings, &mut faults);
            }
        });
    }
    for reading in readings {
        match reading.value.plain() {
            Value::Number(number) => assert!(number.is_finite()),
            Value::Vector3(numbers) => assert!(numbers.iter().all(|number| number.is_finite())),
            Value::TimeSeries(series) => assert!(series.values.iter().all(|number| number.is_finite())),
            Value::DataSet(set) => assert!(set.entries().windows(2).all(|pair| pair[0].key < pair[1].key)),
            Value::Annotated(_) => panic!("annotated twice"),
            _ => {}
        }
        if let Value::Annotated(annotated) = &reading.value {
            assert!(!annotated.value.is_unavailable());
        }
    }
});
