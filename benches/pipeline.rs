//! Readings to observations: numbers, texts, conditions; one batch holds a line of ten values.
//!
//! The time of one element is that of one reading; batches are made outside the measured time.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use guideway::device_model::{DeviceModel, Options};
use guideway::pipeline::{AdapterRules, Pipeline};
use guideway_contract::{
    AdapterId, Batch, Condition, Level, Observation, PointId, Quality, Reading, Timestamp, Value,
};

const LINES: usize = 1_000;
const WIDTH: usize = 10;

fn pipeline(items: &str) -> Pipeline {
    let xml = format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.7\"><Devices>\
         <Device id=\"d\" name=\"M\" uuid=\"u\"><DataItems>{items}</DataItems></Device>\
         </Devices></MTConnectDevices>"
    );
    let options = Options { agent_device: false, ..Options::default() };
    let model = DeviceModel::from_xml(&[("bench.xml".into(), xml)], &options, None).expect("a model");
    let devices = model.devices().iter().map(|device| device.index).collect();
    let rules =
        AdapterRules { devices, upcase: true, convert: true, filter_duplicates: true, auto_available: false };
    Pipeline::new(Arc::new(model), vec![rules])
}

/// Items of one kind, and batches of readings for them.
fn case(item: &str, value: impl Fn(usize, usize) -> Value) -> (Pipeline, Vec<Batch>) {
    let items: String = (0..WIDTH).map(|n| item.replace("ID", &format!("i{n}"))).collect();
    let pipeline = pipeline(&items);
    let points = pipeline.routes_by_key(AdapterId(0)).points;
    let scope = points.default_scope().expect("a device");
    let ids: Vec<PointId> =
        (0..WIDTH).map(|n| points.find(scope, &format!("i{n}")).expect("a point").id).collect();
    let batch = |line: usize| {
        let time = Timestamp::from_nanos(line as i64 * 1_000_000, 6);
        let reading = |(n, point): (usize, &PointId)| Reading {
            point: *point,
            value: value(line, n),
            time,
            quality: Quality::Good,
        };
        Batch { arrival: time, readings: ids.iter().enumerate().map(reading).collect() }
    };
    (pipeline, (0..LINES).map(batch).collect())
}

fn bench(c: &mut Criterion) {
    let number = r#"<DataItem category="SAMPLE" id="ID" type="POSITION" units="MILLIMETER"/>"#;
    let inches =
        r#"<DataItem category="SAMPLE" id="ID" type="POSITION" units="MILLIMETER" nativeUnits="INCH"/>"#;
    let delta = r#"<DataItem category="SAMPLE" id="ID" type="LOAD" units="PERCENT"><Filters><Filter type="MINIMUM_DELTA">5</Filter></Filters></DataItem>"#;
    let period = r#"<DataItem category="SAMPLE" id="ID" type="LOAD" units="PERCENT"><Filters><Filter type="PERIOD">0.1</Filter></Filters></DataItem>"#;
    let program = r#"<DataItem category="EVENT" id="ID" type="PROGRAM"/>"#;
    let execution = r#"<DataItem category="EVENT" id="ID" type="EXECUTION"/>"#;
    let condition = r#"<DataItem category="CONDITION" id="ID" type="SYSTEM"/>"#;

    let changing = |line: usize, n: usize| Value::Number((line * 10 + n) as f64 * 0.001);
    let words = ["READY", "ACTIVE", "INTERRUPTED", "STOPPED"];
    let conditions: Vec<Value> = [Level::Fault, Level::Warning, Level::Normal]
        .into_iter()
        .map(|level| {
            Value::Condition(Arc::new(Condition {
                level,
                native_code: "ALM-500".into(),
                native_severity: "1".into(),
                qualifier: None,
                message: "SERVO OVERTRAVEL ON X AXIS".into(),
                condition_id: "".into(),
            }))
        })
        .collect();

    let cases: Vec<(&str, (Pipeline, Vec<Batch>))> = vec![
        ("numbers", case(number, changing)),
        ("numbers, inches to millimetres", case(inches, changing)),
        ("numbers, all duplicates", case(number, |_, n| Value::Number(n as f64))),
        ("numbers, delta filter", case(delta, changing)),
        ("numbers, period filter", case(period, changing)),
        ("texts, upper case", case(execution, |line, n| Value::text(words[(line + n) % 4]))),
        ("texts, lower case", case(program, |line, n| Value::text(["o1234.nc", "o5678.nc"][(line + n) % 2]))),
        (
            "texts, long",
            case(program, {
                let long = [Value::text(&"A".repeat(80)), Value::text(&"B".repeat(80))];
                move |line, n| long[(line + n) % 2].clone()
            }),
        ),
        ("conditions", case(condition, move |line, n| conditions[(line + n) % 3].clone())),
    ];

    let mut group = c.benchmark_group("pipeline");
    group.throughput(Throughput::Elements((LINES * WIDTH) as u64));
    for (name, (mut pipeline, batches)) in cases {
        let mut out: Vec<Observation> = Vec::with_capacity(LINES * WIDTH * 2);
        group.bench_function(name, |b| {
            b.iter_batched(
                || batches.clone(),
                |batches| {
                    out.clear();
                    for batch in batches {
                        pipeline.readings(AdapterId(0), batch, &mut out);
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
