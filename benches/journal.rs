//! Appending, reading, snapshots, recovery and catching up.
//!
//! The time of one element is that of one observation. Batches are copied within the measured time
//! (`clone only` says what that costs), because appending takes them.

#![expect(clippy::print_stdout, reason = "a benchmark reports what it found")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use guideway::device_model::{self, DeviceModel, SharedModel};
use guideway::journal::{HistoryQuery, Journal, Options, Selection, Stretch, Writer};
use guideway_contract::{ItemIndex, Observation, Timestamp, Value};

/// Observations of one round.
const ROUND: usize = 10_000;

fn model(items: usize) -> SharedModel {
    let items: String = (0..items)
        .map(|n| format!(r#"<DataItem category="SAMPLE" id="item{n}" type="POSITION" units="MILLIMETER"/>"#))
        .collect();
    let xml = format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.7\"><Devices>\
         <Device id=\"d\" name=\"M\" uuid=\"d3f1c2a0-machine-0001\"><DataItems>{items}</DataItems></Device>\
         </Devices></MTConnectDevices>"
    );
    let options = device_model::Options { agent_device: false, ..device_model::Options::default() };
    let model = DeviceModel::from_xml(&[("bench.xml".into(), xml)], &options, None).expect("a model");
    Arc::new(arc_swap::ArcSwap::from_pointee(model))
}

/// Positions with three decimals, ten of one time, every millisecond.
fn batches(items: u32, size: usize) -> Vec<Vec<Observation>> {
    let observation = |n: usize| {
        let line = (n / 10) as i64;
        let time = Timestamp::from_nanos(1_770_000_000_000_000_000 + line * 1_000_000, 6);
        let value = Value::Number(((n * 7_919) % 400_000) as f64 / 1_000.0);
        Observation::new(ItemIndex(n as u32 % items), time, time.shifted(350_000), value)
    };
    let all: Vec<_> = (0..ROUND).map(observation).collect();
    all.chunks(size).map(<[_]>::to_vec).collect()
}

fn open(directory: Option<&Path>, model: &SharedModel) -> (Writer, Journal) {
    Journal::open(&Options::default(), directory, model.clone()).expect("a journal")
}

fn fill(writer: &mut Writer, items: u32, observations: usize) {
    for _ in 0..observations.div_ceil(ROUND) {
        for mut batch in batches(items, 100) {
            writer.append(&mut batch);
        }
    }
}

fn append(c: &mut Criterion) {
    let model = model(200);
    let mut group = c.benchmark_group("journal append");
    group.throughput(Throughput::Elements(ROUND as u64));
    for size in [1, 10, 1_000] {
        let batches = batches(200, size);
        let mut scratch = Vec::with_capacity(size);
        group.bench_function(BenchmarkId::new("clone only", size), |b| {
            b.iter(|| {
                for batch in &batches {
                    scratch.clear();
                    scratch.extend_from_slice(black_box(batch));
                }
            });
        });
        let folder = tempfile::tempdir().expect("a folder");
        for (name, directory) in [("memory", None), ("durable", Some(folder.path()))] {
            let (mut writer, journal) = open(directory, &model);
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| {
                    for batch in &batches {
                        scratch.clear();
                        scratch.extend_from_slice(batch);
                        writer.append(&mut scratch);
                    }
                });
            });
            let stats = journal.stats();
            if directory.is_some() && stats.appended > 0 {
                let each = stats.bytes as f64 / stats.appended as f64;
                println!("batches of {size}: {each:.1} bytes on disk for each observation");
            }
        }
    }
    group.finish();
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal read");
    for items in [200, 20_000] {
        let model = model(items);
        let (mut writer, journal) = open(None, &model);
        fill(&mut writer, items as u32, 140_000);
        let bounds = journal.bounds();
        let one = Selection::of([ItemIndex(7)]);
        group.bench_function(BenchmarkId::new("1000 in the middle", items), |b| {
            b.iter(|| journal.read(bounds.first + 50_000, None, 1_000, &Selection::All));
        });
        group.bench_function(BenchmarkId::new("one item in the whole ring", items), |b| {
            b.iter(|| journal.read(bounds.first, None, 1_000_000, &one));
        });
        group.bench_function(BenchmarkId::new("snapshot now", items), |b| {
            b.iter(|| journal.snapshot(None));
        });
        group.bench_function(BenchmarkId::new("snapshot of one item", items), |b| {
            b.iter(|| journal.snapshot_of(None, &one));
        });
        group.bench_function(BenchmarkId::new("snapshot at the ring's end", items), |b| {
            b.iter(|| journal.snapshot(Some(bounds.next - 2)));
        });
    }
    group.finish();
}

fn disk(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal disk");
    group.sample_size(10);
    for items in [200, 20_000] {
        let model = model(items);
        let folder = tempfile::tempdir().expect("a folder");
        drop(open(Some(folder.path()), &model));
        group.bench_function(BenchmarkId::new("open empty", items), |b| {
            b.iter(|| open(Some(folder.path()), &model));
        });
        let (mut writer, journal) = open(Some(folder.path()), &model);
        fill(&mut writer, items as u32, 1_000_000);
        group.throughput(Throughput::Elements(1_000_000));
        group.bench_function(BenchmarkId::new("catch up", items), |b| {
            b.iter(|| {
                let mut from = 1;
                while let Stretch::Observations(found) = journal.stretch("reader", from, 1_000) {
                    from += found.len() as u64;
                }
                assert_eq!(from, journal.bounds().next);
            });
        });
        drop((writer, journal));
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("open with a full ring", items), |b| {
            b.iter(|| {
                let opened = open(Some(folder.path()), &model);
                assert_eq!(opened.1.bounds().next, 1_000_001);
                opened
            });
        });
    }
    group.finish();
}

/// A million observations of 200 items in order of time, seven eighths of them on disk only.
fn history(c: &mut Criterion) {
    const ITEMS: u32 = 200;
    const ALL: i64 = 1_000_000;
    let model = model(ITEMS as usize);
    let folder = tempfile::tempdir().expect("a folder");
    let (mut writer, journal) = open(Some(folder.path()), &model);
    let time = |n: i64| Timestamp::from_nanos(1_770_000_000_000_000_000 + n * 100_000, 6);
    let observation = |n: i64| {
        let value = Value::Number(((n * 7_919) % 400_000) as f64 / 1_000.0);
        Observation::new(ItemIndex((n % i64::from(ITEMS)) as u32), time(n), time(n + 3), value)
    };
    for n in (0..ALL).step_by(100) {
        writer.append(&mut (n..n + 100).map(observation).collect());
    }
    let whole = |limit| HistoryQuery {
        item: ItemIndex(7),
        from: None,
        until: None,
        backward: false,
        limit,
        after: None,
    };
    let mut group = c.benchmark_group("journal history");
    group.sample_size(20);
    let mut measure = |name: &str, query: &HistoryQuery, expected: usize| {
        group.bench_function(name, |b| {
            b.iter(|| {
                let page = journal.history(query).expect("nothing was removed");
                assert_eq!(page.observations.len(), expected);
            });
        });
    };
    measure("one item, all 5,000", &whole(10_000), 5_000);
    measure("one item, the oldest 100", &whole(100), 100);
    measure("one item, the newest 100", &HistoryQuery { backward: true, ..whole(100) }, 100);
    let (from, until) = (Some(time(ALL / 2)), Some(time(ALL / 2 + 20_000)));
    measure("one item, 100 in the middle", &HistoryQuery { from, until, ..whole(1_000) }, 100);
    let absent = HistoryQuery { until: Some(time(0)), ..whole(100) };
    measure("one item, before everything", &absent, 0);
    let queries: Vec<_> = (0..100).map(|item| HistoryQuery { item: ItemIndex(item), ..whole(500) }).collect();
    group.bench_function("100 items, the oldest 500 of each", |b| {
        b.iter(|| {
            let pages = journal.histories(&queries);
            let found: usize = pages.into_iter().flatten().map(|page| page.observations.len()).sum();
            assert_eq!(found, 50_000);
        });
    });
    group.finish();
}

criterion_group!(benches, append, read, disk, history);
criterion_main!(benches);
