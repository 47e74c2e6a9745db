//! Raw values of a profile's points to observations: straight, by words, by expressions. A batch holds 100 points.
//!
//! The time of one element is that of one point; batches are made outside the measured time.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use guideway::device_model::{DeviceIndex, DeviceModel, Options};
use guideway::pipeline::{AdapterRules, Pipeline};
use guideway::profile;
use guideway::reading::Source;
use guideway_contract::{AdapterId, Native, Observation, RawBatch, RawReading, Timestamp, point_id};

const BATCHES: usize = 200;
const POINTS: usize = 100;

/// The pipeline of a profile whose items are all like `item`, in which `P` stands for the point.
fn pipeline(item: &str) -> Pipeline {
    let mut text = String::from(
        "schema = 1\nid = \"b\"\nversion = \"1.0.0\"\n[adapter]\nkind = \"modbus\"\n\
         [enums]\nstate = { 0 = \"READY\", 1 = \"ACTIVE\", _ = \"INTERRUPTED\" }\n[points]\n",
    );
    for point in 0..POINTS {
        text.push_str(&format!("p{point} = {{ addr = \"holding:{point}\", type = \"u16\" }}\n"));
    }
    text.push_str("[items]\n");
    for point in 0..POINTS {
        let item = item.replace("POINT", &format!("p{point}")).replace("PLACE", &format!("e{point}"));
        text.push_str(&format!("i{point} = {{ {item} }}\n"));
    }
    let (_, machine) = profile::check(&Arc::new(Source::new("bench.toml", text)));
    let machine = machine.expect("a profile without mistakes");
    let document = [("bench".into(), machine.device.clone().expect("a device"))];
    let options = Options { agent_device: false, ..Options::default() };
    let model = DeviceModel::from_xml(&document, &options, None).expect("a model");
    let rules = AdapterRules {
        devices: vec![DeviceIndex(0)],
        upcase: false,
        convert: true,
        filter_duplicates: true,
        auto_available: false,
    };
    let mut pipeline = Pipeline::new(Arc::new(model), vec![rules]);
    pipeline.set_mapping(AdapterId(0), machine.mapping);
    pipeline
}

fn batches(value: impl Fn(usize, usize) -> i64) -> Vec<RawBatch> {
    let batch = |number: usize| {
        let time = Timestamp::from_nanos(number as i64 * 1_000_000, 6);
        let reading = |point| RawReading::good(point_id(point), Native::Int(value(number, point)), time);
        RawBatch { arrival: time, readings: (0..POINTS).map(reading).collect() }
    };
    (0..BATCHES).map(batch).collect()
}

fn bench(c: &mut Criterion) {
    let place = "at = \"Systems/Electric[PLACE]\"";
    let voltage = format!("{place}, type = \"VOLTAGE_DC\", units = \"VOLT\"");
    let straight = format!("{voltage}, from = \"POINT\"");
    let cases = [
        ("straight, every value changes", straight.clone(), batches(|n, p| (n + p) as i64)),
        ("straight, nothing changes", straight, batches(|_, p| p as i64)),
        (
            "words",
            format!("{place}, type = \"EXECUTION\", from = \"POINT\", enum = \"state\""),
            batches(|n, p| ((n + p) % 3) as i64),
        ),
        (
            "expressions",
            format!("{voltage}, value = \"double(POINT) * 0.5 + 1.0\""),
            batches(|n, p| (n + p) as i64),
        ),
    ];
    let mut group = c.benchmark_group("mapping");
    group.throughput(Throughput::Elements((BATCHES * POINTS) as u64));
    for (name, item, batches) in cases {
        let mut pipeline = pipeline(&item);
        let mut out: Vec<Observation> = Vec::with_capacity(BATCHES * POINTS);
        group.bench_function(name, |b| {
            b.iter_batched(
                || batches.clone(),
                |batches| {
                    out.clear();
                    for batch in batches {
                        pipeline.raw(AdapterId(0), batch, &mut out);
                    }
                    black_box(out.len())
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
