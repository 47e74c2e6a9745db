//! How fast documents are written: `cargo bench --bench documents`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use guideway::device_model::{DeviceModel, Options};
use guideway::documents::{Documents, Dressing, Format, Header};
use guideway::journal::Recorded;
use guideway_contract::{Condition, Level, Observation, Shape, Timestamp, Value};

/// A machine of twenty items: twelve samples, six events, two conditions.
fn model() -> Arc<DeviceModel> {
    let mut axes = String::new();
    for axis in ["x", "y", "z", "c"] {
        axes.push_str(&format!(
            "<Linear id=\"{axis}\" name=\"{axis}\"><DataItems>\
             <DataItem category=\"SAMPLE\" id=\"{axis}pos\" name=\"{axis}position\" type=\"POSITION\" subType=\"ACTUAL\" units=\"MILLIMETER\"/>\
             <DataItem category=\"SAMPLE\" id=\"{axis}load\" name=\"{axis}load\" type=\"LOAD\" units=\"PERCENT\"/>\
             <DataItem category=\"SAMPLE\" id=\"{axis}temp\" type=\"TEMPERATURE\" units=\"CELSIUS\"/>\
             </DataItems></Linear>"
        ));
    }
    let events: String = ["EXECUTION", "PROGRAM", "LINE_NUMBER", "PART_COUNT", "CONTROLLER_MODE"]
        .iter()
        .map(|name| format!("<DataItem category=\"EVENT\" id=\"{}\" type=\"{name}\"/>", name.to_lowercase()))
        .collect();
    let xml = format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:1.6\"><Devices><Device id=\"d\" name=\"mill\" uuid=\"mill-1\">\
         <DataItems><DataItem category=\"EVENT\" id=\"avail\" type=\"AVAILABILITY\"/></DataItems>\
         <Components><Axes id=\"a\"><Components>{axes}</Components></Axes><Controller id=\"ct\"><DataItems>{events}\
         <DataItem category=\"CONDITION\" id=\"system\" type=\"SYSTEM\"/><DataItem category=\"CONDITION\" id=\"motion\" type=\"MOTION_PROGRAM\"/>\
         </DataItems></Controller></Components></Device></Devices></MTConnectDevices>"
    );
    let model = DeviceModel::from_xml(&[("bench.xml".into(), xml)], &Options::default(), None);
    Arc::new(model.expect("a model"))
}

/// `count` observations over all items, a millisecond apart.
fn observations(model: &DeviceModel, count: usize) -> Vec<Recorded> {
    let start = Timestamp::parse("2026-01-02T03:04:05.123456Z").expect("a timestamp");
    let fault = Arc::new(Condition {
        level: Level::Fault,
        native_code: "E401".into(),
        native_severity: "3".into(),
        qualifier: None,
        message: "VRDY off".into(),
        condition_id: "".into(),
    });
    (0..count)
        .map(|at| {
            let item = &model.items()[at % model.items().len()];
            let value = match item.shape {
                Shape::Number => Value::Number(at as f64 * 0.0137),
                Shape::Condition => Value::Condition(fault.clone()),
                _ => Value::text("ACTIVE"),
            };
            let time = start.shifted(at as i64 * 1_000_000);
            (at as u64 + 1_000_000, Observation::new(item.index, time, time, value))
        })
        .collect()
}

fn header() -> Header {
    Header {
        creation_time: Timestamp::EPOCH,
        sender: "bench".into(),
        instance_id: 1,
        device_model_change_time: Timestamp::EPOCH,
        asset_buffer_size: 1024,
        asset_count: 0,
        buffer_size: 131_072,
        first_sequence: 1,
        last_sequence: 4,
        next_sequence: 5,
        test_indicator: false,
    }
}

fn documents(criterion: &mut Criterion) {
    let model = model();
    let documents = Documents::new(model.clone(), Dressing::default());
    let header = header();
    for (name, count) in [("sample of 1000", 1_000), ("current of 20", 20)] {
        let observations = observations(&model, count);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(count as u64));
        for (form, format) in [("xml", Format::Xml), ("json v1", Format::JsonV1), ("json v2", Format::JsonV2)]
        {
            group.bench_function(form, |bencher| {
                bencher
                    .iter(|| documents.streams(format, false, black_box(&header), black_box(&observations)));
            });
        }
        group.bench_function("xml, pretty", |bencher| {
            bencher
                .iter(|| documents.streams(Format::Xml, true, black_box(&header), black_box(&observations)));
        });
        group.finish();
    }
    let devices: Vec<_> = model.devices().iter().map(|device| device.index).collect();
    criterion.bench_function("probe", |bencher| {
        bencher.iter(|| documents.devices(Format::Xml, false, black_box(&header), &devices, &[]));
    });
}

criterion_group!(benches, documents);
criterion_main!(benches);
