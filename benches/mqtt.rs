//! MQTT: what a message costs to make, and messages a second to a real mosquitto on loopback.
//!
//! The second part needs mosquitto and is left out where there is none. Its figure is wall-clock
//! time with the broker, a second process, on the same machine.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails loudly and says what it left out"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use guideway::device_model::{DeviceModel, Options as ModelOptions, SharedModel};
use guideway::documents::Dressing;
use guideway::journal::{Journal, Options as JournalOptions, Writer};
use guideway::northbound::mqtt::{Context, Destination, Options};
use guideway_contract::{ItemIndex, Observation, Timestamp, Value};
use tokio_util::sync::CancellationToken;

const MESSAGES: u32 = 100_000;

struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn broker(port: u16, folder: &std::path::Path) -> Option<Broker> {
    let file = folder.join("mosquitto.conf");
    let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_dest stderr\n");
    std::fs::write(&file, text).unwrap();
    let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "mosquitto"];
    let mut child = program
        .iter()
        .find_map(|program| Command::new(program).arg("-c").arg(&file).stderr(Stdio::piped()).spawn().ok())?;
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("running")))?.unwrap();
    // The rest of the log is read away, so that the broker never waits for it.
    std::thread::spawn(move || lines.for_each(drop));
    Some(Broker(child))
}

fn machine() -> (SharedModel, Journal, Writer, ItemIndex) {
    let devices = r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.0"><Header version="2.0.0.0"/>
        <Devices><Device id="m" name="mill" uuid="mill-uuid"><DataItems>
        <DataItem id="m_x" name="Xpos" category="SAMPLE" type="POSITION" subType="ACTUAL" units="MILLIMETER"/>
        </DataItems></Device></Devices></MTConnectDevices>"#;
    let options = ModelOptions { agent_device: false, ..ModelOptions::default() };
    let model = DeviceModel::from_xml(&[("devices.xml".into(), devices.into())], &options, None).unwrap();
    let item = model.find_item("m_x").unwrap().index;
    let model: SharedModel = Arc::new(ArcSwap::from_pointee(model));
    let (writer, journal) = Journal::open(&JournalOptions::default(), None, model.clone()).unwrap();
    (model, journal, writer, item)
}

fn to_mosquitto(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(_broker) = broker(port, folder.path()) else {
        println!("SKIPPED: mosquitto is not installed");
        return;
    };
    // One thread: the figure is that of one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (model, journal, mut writer, item) = machine();
    let mut group = criterion.benchmark_group("mqtt");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10))
        .throughput(Throughput::Elements(MESSAGES.into()));
    for version in ["5", "3.1.1"] {
        for layout in ["uns", "entity", "template", "mtconnect"] {
            let options: Options = toml::from_str(&format!(
                "name = '{version}-{layout}'\nurl = 'mqtt://127.0.0.1:{port}'\nversion = '{version}'\nqos = 1\n\
                 layout = '{layout}'\nin_flight = 1000\nsample_interval = '1ms'\n[template]\n\
                 topic = 'plant/{{device}}/{{name}}'\npayload = '{{\"v\":{{value_json}},\"t\":{{time_ms}},\"s\":{{sequence}}}}'",
            ))
            .unwrap();
            let name = options.name.clone();
            let context = Context {
                journal: journal.clone(),
                model: model.clone(),
                gateway: "bench".into(),
                dressing: Dressing::default(),
                test_indicator: false,
            };
            let cancel = CancellationToken::new();
            let entered = runtime.enter();
            journal.acknowledge(&name, journal.bounds().next);
            let mut destination = Destination::start(options, context, cancel.clone()).unwrap();
            drop(entered);
            group.bench_function(format!("{layout}, version {version}, qos 1"), |bencher| {
                bencher.iter(|| {
                    let now = Timestamp::now();
                    let mut batch: Vec<_> = (0..MESSAGES)
                        .map(|n| Observation::new(item, now, now, Value::Number(f64::from(n) + 0.5)))
                        .collect();
                    let next = writer.append(&mut batch).end;
                    runtime.block_on(async {
                        let mut look = tokio::time::interval(Duration::from_millis(1));
                        while journal.cursor(&name) < next {
                            look.tick().await;
                        }
                    });
                });
            });
            cancel.cancel();
            runtime.block_on(destination.stopped());
        }
    }
}

criterion_group!(benches, to_mosquitto);
criterion_main!(benches);
