//! SHDR: bytes of a connection to readings, in values a second on one core.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use guideway_contract::{PointTable, Reading, Shape, Timestamp};
use guideway_shdr::codec::{Decoder, Line, Lines, Settings, Tally};

const ARRIVAL: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000, 6);
/// Bytes that one read of a busy connection brings.
const READ: usize = 64 << 10;

fn points(count: usize, shape: impl Fn(usize) -> Shape) -> Arc<PointTable> {
    let mut builder = PointTable::builder();
    let mill = builder.device(["mill"]);
    for number in 0..count {
        builder.point(mill, &format!("Xaxis_{number}_pos"), shape(number), []);
    }
    Arc::new(builder.build())
}

/// Lines of `width` keys out of `points` each, and how many values they hold.
fn lines(points: usize, width: usize, value: impl Fn(usize) -> String) -> (Vec<u8>, u64) {
    let (mut text, mut number) = (String::new(), 0);
    while text.len() < READ {
        let _ = write!(text, "2024-01-02T03:04:{:02}.{:06}Z", number / 1_000 % 60, number % 1_000_000);
        for _ in 0..width {
            let _ = write!(text, "|Xaxis_{}_pos|{}", number % points, value(number));
            number += 1;
        }
        text.push('\n');
    }
    (text.into_bytes(), number as u64)
}

fn read(lines: &mut Lines, decoder: &mut Decoder, bytes: &[u8], readings: &mut Vec<Reading>) {
    let mut faults = Tally::default();
    lines.push(bytes, |line| {
        if let Line::Bytes(line) = line {
            decoder.line(line, ARRIVAL, readings, &mut faults);
        }
    });
    assert_eq!(faults, Tally::default());
}

fn decode(criterion: &mut Criterion) {
    let float = |number: usize| format!("{}.{:03}", number % 500, number * 7 % 1_000);
    let word = |number: usize| ["ACTIVE", "READY", "AUTOMATIC", "INTERRUPTED"][number % 4].to_owned();
    let number = |_| Shape::Number;
    let text = |_| Shape::Text;
    let condition = |_| Shape::Condition;
    let alarm = |number: usize| format!("FAULT|{}|1|HIGH|Spindle overload", 100 + number % 10);
    let mut group = criterion.benchmark_group("shdr");
    for (name, table, (bytes, values)) in [
        ("ten numbers a line", points(20, number), lines(20, 10, float)),
        ("one number a line", points(20, number), lines(20, 1, float)),
        ("ten words a line", points(20, text), lines(20, 10, word)),
        ("ten numbers a line of 1000 keys", points(1_000, number), lines(1_000, 10, float)),
        ("one condition a line", points(20, condition), lines(20, 1, alarm)),
    ] {
        group.throughput(Throughput::Elements(values));
        let mut decoder = Decoder::new(Settings::default());
        decoder.set_points(table);
        decoder.start(ARRIVAL);
        let mut cutter = Lines::new(4 << 20);
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || Vec::with_capacity(16 << 10),
                |readings| read(&mut cutter, &mut decoder, black_box(&bytes), readings),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
