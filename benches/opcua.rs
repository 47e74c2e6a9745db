//! How fast observations become values of OPC UA: `cargo bench --bench opcua`.
//!
//! From the journal's append to the variables of a running server, without a client: value, address
//! space, and the look whether somebody monitors the node. The figure is what 4,000 variables take
//! together, however the updates are spread over them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use guideway::device_model::{self, DeviceModel, SharedModel};
use guideway::journal::{self, Journal};
use guideway::northbound::opcua::{Context, Face, Options};
use guideway_contract::{Observation, Shape, Timestamp, Value};
use tokio_util::sync::CancellationToken;

/// Machines, and data items of each.
const MACHINES: usize = 20;
const ITEMS: usize = 200;

/// Observations of one round: many batches of the feed, so that its pause before the first one counts
/// little.
const ROUND: usize = 262_144;

/// Three samples to one event with a vocabulary and one with a text.
fn model() -> DeviceModel {
    let item = |machine: usize, at: usize| match at % 5 {
        0 => format!("<DataItem category=\"EVENT\" id=\"m{machine}i{at}\" type=\"EXECUTION\"/>"),
        1 => format!("<DataItem category=\"EVENT\" id=\"m{machine}i{at}\" type=\"PROGRAM\"/>"),
        _ => format!(
            "<DataItem category=\"SAMPLE\" id=\"m{machine}i{at}\" type=\"TEMPERATURE\" units=\"CELSIUS\"/>"
        ),
    };
    let device = |machine: usize| {
        let items: String = (0..ITEMS).map(|at| item(machine, at)).collect();
        format!(
            "<Device id=\"m{machine}\" name=\"machine-{machine}\" uuid=\"machine-{machine}\">\
             <DataItems>{items}</DataItems></Device>"
        )
    };
    let devices: String = (0..MACHINES).map(device).collect();
    let xml = format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.0\"><Devices>{devices}</Devices>\
         </MTConnectDevices>"
    );
    let options = device_model::Options::default();
    DeviceModel::from_xml(&[("bench.xml".into(), xml)], &options, None).expect("a model")
}

fn observations(model: &DeviceModel, round: u64) -> Vec<Observation> {
    let items: Vec<_> = model.items().iter().filter(|item| !item.id.is_empty()).collect();
    let now = Timestamp::now();
    let observation = |at: usize| {
        let item = items[at % items.len()];
        let value = match (item.shape, item.item_type.as_str()) {
            (Shape::Number, _) => Value::Number(at as f64 * 0.25 + round as f64),
            (_, "EXECUTION") => Value::text(if at.is_multiple_of(2) { "ACTIVE" } else { "READY" }),
            (Shape::Text, _) => Value::text("O1000"),
            _ => Value::Unavailable,
        };
        Observation::new(item.index, now.shifted(at as i64 * 1_000), now, value)
    };
    (0..ROUND).map(observation).collect()
}

fn opcua(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let model: SharedModel = Arc::new(ArcSwap::from_pointee(model()));
    let options = journal::Options { buffer_size: 1 << 20, ..journal::Options::default() };
    let (mut writer, journal) = Journal::open(&options, None, model.clone()).expect("a journal");
    let folder = tempfile::tempdir().expect("a folder");
    let context = Context {
        gateway: "bench".into(),
        model: model.clone(),
        journal,
        data_dir: folder.path().to_path_buf(),
        control: None,
    };
    let options = Options { port: 0, allow_none: true, ..Options::default() };
    let face = runtime.block_on(Face::start(&options, context)).expect("a server");
    let stats = face.stats();
    let cancel = CancellationToken::new();
    let served = runtime.spawn(face.serve(cancel.clone()));

    let mut group = criterion.benchmark_group("opcua");
    group.throughput(Throughput::Elements(ROUND as u64));
    group.sample_size(10);
    let mut round = 0;
    group.bench_function("journal_to_address_space", |bencher| {
        bencher.iter_batched(
            || {
                round += 1;
                observations(&model.load(), round)
            },
            |mut observations| {
                // A word is two values: its place and its text.
                let is_word = |observation: &&Observation| matches!(&observation.value, Value::Text(word) if word != "O1000");
                let values = observations.len() + observations.iter().filter(is_word).count();
                let end = stats.values.load(Ordering::Relaxed) + values as u64;
                writer.append(&mut observations);
                while stats.values.load(Ordering::Relaxed) < end {
                    assert_eq!(stats.missed.load(Ordering::Relaxed), 0, "every observation is shown");
                    std::thread::yield_now();
                }
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
    cancel.cancel();
    runtime.block_on(served).expect("the server ends");
}

criterion_group!(benches, opcua);
criterion_main!(benches);
