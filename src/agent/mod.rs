//! Wiring: from a configuration to a running gateway, and back down in order.

mod assets;
mod ingest;
mod learned;
mod routes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use guideway_contract::{Envelope, Health, ItemIndex, Outlet, Timestamp, Value, supervise};
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use learned::Learned;

use crate::adapters::{self, Source};
use crate::config::{Configuration, DeviceDetails, Gateway};
use crate::control::{self, Control, Live, Reach};
use crate::device_model::{AgentAdapter, AgentInfo, DeviceModel, ModelError, SchemaVersion, SharedModel};
use crate::documents::Dressing;
use crate::journal::{ItemState, Journal, OpenError, Writer};
use crate::northbound::{interfaces, mqtt, mtconnect, opcua};
use crate::pipeline::{AdapterRules, Pipeline};
use crate::telemetry::{AdapterView, View, server};

/// Signals that may wait for the ingest thread; an adapter that finds the channel full waits. Each may
/// carry 4,096 readings, so this bounds what is in memory between adapters and journal to some 12 MB.
const SIGNALS_WAITING: usize = 64;

/// Observations of control that may wait for the ingest thread; control waits for each.
const NOTES_WAITING: usize = 64;

/// What is decided outside of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Where the journal lives. `None`: nowhere, memory only.
    pub data_dir: Option<PathBuf>,
    /// The data are simulated or replayed; every document says so.
    pub simulated: bool,
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The device model is wrong.
    #[error("the device model cannot be used:\n{}", list(.0))]
    Model(Vec<ModelError>),
    /// An adapter has no device to feed.
    #[error("adapter \"{adapter}\": {cause}; the devices are {known}")]
    NoSuchDevice {
        /// Which adapter.
        adapter: String,
        /// What it names.
        cause: String,
        /// What there is.
        known: String,
    },
    /// The configuration describes a device that is not there.
    #[error("[[device]] \"{device}\": there is no such device; the devices are {known}")]
    NoSuchDetails {
        /// What it names.
        device: String,
        /// What there is.
        known: String,
    },
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The HTTP face cannot listen.
    #[error(transparent)]
    Bind(#[from] mtconnect::BindError),
    /// The telemetry's own address cannot be had.
    #[error("{0}")]
    Telemetry(String),
    /// A destination's settings cannot be used.
    #[error(transparent)]
    Destination(#[from] mqtt::StartError),
    /// The OPC UA server cannot start.
    #[error(transparent)]
    OpcUa(#[from] opcua::StartError),
    /// The request topics cannot be followed.
    #[error(transparent)]
    ControlMqtt(#[from] mqtt::control::StartError),
    /// Control cannot be had.
    #[error(transparent)]
    Control(#[from] control::StartError),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

fn list(findings: &[ModelError]) -> String {
    findings.iter().map(|finding| format!("  {finding}")).collect::<Vec<_>>().join("\n")
}

/// A running gateway.
pub struct Agent {
    view: View,
    http_address: Option<std::net::SocketAddr>,
    opcua_address: Option<std::net::SocketAddr>,
    heartbeat: watch::Receiver<u64>,
    stop_adapters: CancellationToken,
    stop_faces: CancellationToken,
    adapters: Vec<(String, JoinHandle<()>)>,
    /// Keeps the ingest thread going while there is no adapter.
    signals: mpsc::Sender<Envelope>,
    ingest: oneshot::Receiver<std::io::Result<Writer>>,
    faces: Vec<(String, JoinHandle<()>)>,
    shutdown_timeout: Duration,
}

impl Agent {
    /// Starts everything: model, journal, pipeline, faces, then the adapters. When this returns,
    /// the faces listen.
    pub async fn start(
        mut configuration: Configuration,
        surroundings: Surroundings,
    ) -> Result<Self, StartError> {
        let started = Timestamp::now();
        let gateway: Arc<str> = configuration.gateway.name().into();
        let mut sources = adapters::sources(&configuration);
        let answered = adapters::answered(&configuration);
        let durable = surroundings.data_dir.as_deref().filter(|_| configuration.journal.durable);
        let learned = Learned::new(durable);
        let model = load_model(&configuration, &gateway, &sources, &learned)?;
        if model.version() < SchemaVersion::new(2, 3) {
            adapters::without_condition_ids(&mut configuration.adapters);
            sources = adapters::sources(&configuration);
        }
        let rules = adapter_rules(&sources, &model, &learned)?;
        let shared: SharedModel = Arc::new(ArcSwap::new(model.clone()));

        let (writer, journal) = Journal::open(&configuration.journal, durable, shared.clone())?;
        let mut pipeline = restored_pipeline(model, rules.clone(), &journal);
        let pipeline_counters = pipeline.counters();

        let (signals, received) = mpsc::channel(SIGNALS_WAITING);
        let stop_adapters = CancellationToken::new();
        let mut feeds = Vec::new();
        let mut views = Vec::new();
        let mut ready_to_run = Vec::new();
        let mut reaches = Vec::new();
        for (index, (source, rules)) in sources.into_iter().zip(rules).enumerate() {
            let id = ingest::adapter_id(index);
            let Source { options, adapter, backoff, mapping, takes_over: _, controlled } = source;
            if let Some(mapping) = mapping {
                pipeline.set_mapping(id, mapping);
            }
            let points = Arc::new(ArcSwap::new(pipeline.routes_by_key(id).points));
            let health = Arc::new(Health::default());
            // Where nothing is permitted the sender is dropped here: nobody can send a command.
            let (commands, requests) = mpsc::channel(1);
            let live = controlled.as_ref().map(|machine| Arc::new(Live::new(machine)));
            if let (Some(machine), Some(live)) = (controlled, live.clone()) {
                reaches.push(Reach { machine, live, commands });
            }
            views.push(AdapterView {
                name: options.name.clone(),
                protocol: adapter.protocol(),
                endpoint: adapter.endpoint(),
                health: health.clone(),
            });
            let outlet_name = options.name.clone();
            feeds.push(ingest::Feed {
                options,
                uri: adapter.endpoint(),
                rules,
                points: points.clone(),
                health: health.clone(),
                live,
            });
            let cancel = stop_adapters.child_token();
            let outlet = Outlet::new(id, &outlet_name, points, signals.clone(), requests, health, cancel);
            ready_to_run.push((outlet_name, adapter, outlet, backoff));
        }

        let (notes, noted) = mpsc::channel(NOTES_WAITING);
        let control = (!reaches.is_empty()).then(|| {
            let context = control::Context {
                gateway: gateway.as_ref().into(),
                // The audit is kept also where the journal is not.
                data_dir: surroundings.data_dir.clone(),
                journal: journal.clone(),
                model: shared.clone(),
                notes,
            };
            Control::new(configuration.control.take(), reaches, context)
        });
        let control = control.transpose()?;
        for machine in control.iter().flat_map(Control::machines) {
            for id in [&machine.told, &machine.state] {
                if let Some(item) = shared.load().find_item(id) {
                    pipeline.adopt(item.index);
                }
            }
        }
        let (heartbeat, beats) = watch::channel(0);
        let mut ingest = ingest::Ingest {
            pipeline,
            writer,
            journal: journal.clone(),
            model: shared.clone(),
            feeds,
            heartbeat,
            out: Vec::new(),
            rates: ingest::Rates::default(),
            learned,
            notes: noted,
        };
        // Every item has a state before the first reader comes.
        ingest.begin(started);

        // From here on something runs: a start that fails takes it back.
        let stop_faces = CancellationToken::new();
        let take_back = stop_faces.clone().drop_guard();
        let mut faces = Vec::new();

        let dressing = dressing(&configuration.mtconnect);
        let mut watches = Vec::new();
        for options in configuration.mqtt {
            let context = mqtt::Context {
                gateway: gateway.as_ref().into(),
                model: shared.clone(),
                journal: journal.clone(),
                dressing: dressing.clone(),
                test_indicator: surroundings.simulated,
            };
            let destination = mqtt::Destination::start(options, context, stop_faces.child_token())?;
            watches.push(destination.watch());
            faces.push((format!("MQTT {}", destination.name()), destination.into_task()));
        }

        let mut control_watches = Vec::new();
        for options in &configuration.control_mqtt {
            let Some(control) = &control else {
                tracing::warn!(
                    face = options.name,
                    "no device permits commands: request topics are not followed"
                );
                continue;
            };
            let context =
                mqtt::control::Context { gateway: gateway.as_ref().into(), control: control.clone() };
            let face = mqtt::control::Face::start(options, context, stop_faces.child_token())?;
            control_watches.push(face.watch());
            faces.push((format!("control over MQTT {}", options.name), face.into_task()));
        }

        let view = View {
            gateway: gateway.clone(),
            started,
            adapters: views.into(),
            destinations: watches.into(),
            http: Arc::default(),
            opcua: Arc::default(),
            pipeline: pipeline_counters,
            journal: journal.clone(),
            model: shared.clone(),
            control: control.clone(),
            control_mqtt: control_watches.into(),
            ready: Arc::new(AtomicBool::new(false)),
        };
        let mut http_address = None;
        if configuration.mtconnect.enabled {
            let own = configuration.telemetry.listen.is_none();
            let context = mtconnect::Context {
                model: shared.clone(),
                journal: journal.clone(),
                dressing,
                sender: sender(&configuration.mtconnect, &gateway),
                test_indicator: surroundings.simulated,
                extra: own.then(|| routes::extra(view.clone(), configuration.telemetry.metrics)),
                control: control.clone(),
            };
            let face = mtconnect::Face::bind(&configuration.mtconnect, context)?;
            http_address = Some(face.local_addr());
            // Set once, here: an error would mean a second face.
            let _ = view.http.set(face.stats());
            faces.push(("MTConnect".to_owned(), serve(face, stop_faces.child_token())));
        }
        let mut opcua_address = None;
        if let Some(options) = configuration.opcua.filter(|options| options.enabled) {
            let context = opcua::Context {
                gateway: gateway.as_ref().into(),
                model: shared.clone(),
                journal: journal.clone(),
                data_dir: surroundings.data_dir.clone().unwrap_or_else(|| configuration.gateway.data_dir()),
                control: control.clone(),
            };
            let face = opcua::Face::start(&options, context).await?;
            opcua_address = Some(face.local_addr());
            let _ = view.opcua.set(face.stats());
            faces.push(("OPC UA".to_owned(), tokio::spawn(face.serve(stop_faces.child_token()))));
        }
        if let Some(address) = configuration.telemetry.listen {
            let listener = server::bind(address).await.map_err(StartError::Telemetry)?;
            let answers = routes::own(view.clone(), configuration.telemetry.metrics);
            let task = server::serve(listener, answers, stop_faces.child_token());
            faces.push(("telemetry".to_owned(), tokio::spawn(task)));
        }

        let ingest = start_ingest(ingest, received)?;
        let adapters = ready_to_run
            .into_iter()
            .map(|(name, adapter, outlet, backoff)| (name, tokio::spawn(supervise(adapter, outlet, backoff))))
            .collect();
        if let Some(control) = control.clone() {
            if !answered.is_empty() {
                let context = interfaces::Context {
                    control: control.clone(),
                    journal: journal.clone(),
                    model: shared.clone(),
                };
                let face = interfaces::Face::new(answered, context);
                faces.push(("interfaces".to_owned(), tokio::spawn(face.run(stop_faces.child_token()))));
            }
            faces.push(("control".to_owned(), tokio::spawn(control.run(stop_faces.child_token()))));
        }
        take_back.disarm();
        view.ready.store(true, Ordering::Relaxed);
        tracing::info!(
            gateway = &*gateway,
            instance = journal.instance_id(),
            next_sequence = journal.bounds().next,
            http = http_address.map(tracing::field::display),
            opcua = opcua_address.map(tracing::field::display),
            adapters = view.adapters.len(),
            destinations = view.destinations.len(),
            "running"
        );
        Ok(Self {
            view,
            http_address,
            opcua_address,
            heartbeat: beats,
            stop_adapters,
            stop_faces,
            adapters,
            signals,
            ingest,
            faces,
            shutdown_timeout: configuration.gateway.shutdown_timeout,
        })
    }

    /// What can be asked about it.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Where the HTTP face listens.
    pub fn http_address(&self) -> Option<std::net::SocketAddr> {
        self.http_address
    }

    /// Where the OPC UA server listens.
    pub fn opcua_address(&self) -> Option<std::net::SocketAddr> {
        self.opcua_address
    }

    /// Moves at least every ten seconds while the ingest thread is alive.
    pub fn heartbeat(&self) -> watch::Receiver<u64> {
        self.heartbeat.clone()
    }

    /// Stops everything, in order, within the configured time. Names who is late. Whether the
    /// journal was flushed.
    pub async fn stop(self) -> std::io::Result<()> {
        self.view.ready.store(false, Ordering::Relaxed);
        // Control, adapters and pipeline get at most a fifth of the time each; the faces, which talk to
        // others, get what is left but for the last flush.
        let begun = tokio::time::Instant::now();
        let step = self.shutdown_timeout / 5;
        // 0. Control: commands that run come to their end while the adapters are still there.
        if let Some(control) = &self.view.control {
            control.stop(step).await;
        }
        // 1. Adapters: nothing more comes in.
        self.stop_adapters.cancel();
        finish(self.adapters, begun + step * 2).await;
        // 2. The pipeline drains, 3. the journal is flushed. Both end when nobody can send any more.
        drop(self.signals);
        let flushed = match tokio::time::timeout_at(begun + step * 3, self.ingest).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(std::io::Error::other("the ingest thread ended without a word")),
            Err(_) => {
                tracing::error!(late = "ingest", "late; left behind");
                Err(std::io::ErrorKind::TimedOut.into())
            }
        };
        // 4. The faces: what is on its way is delivered, cursors are written.
        self.stop_faces.cancel();
        finish(self.faces, begun + self.shutdown_timeout * 9 / 10).await;
        // 5. Once more, for what the destinations have had acknowledged meanwhile.
        let ended = flushed.and_then(|mut writer| writer.flush());
        tracing::info!("stopped");
        ended
    }
}

async fn finish(tasks: Vec<(String, JoinHandle<()>)>, deadline: tokio::time::Instant) {
    for (name, mut task) in tasks {
        match tokio::time::timeout_at(deadline, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(task = name, %error, "ended badly"),
            Err(_) => {
                tracing::error!(late = name, "late; left behind");
                task.abort();
            }
        }
    }
}

fn load_model(
    configuration: &Configuration,
    gateway: &str,
    sources: &[Source],
    learned: &Learned,
) -> Result<Arc<DeviceModel>, StartError> {
    let agent = configuration.model.agent_device.then(|| AgentInfo {
        // The same after every restart and wherever the gateway listens.
        uuid: uuid::Uuid::new_v5(
            &uuid::Uuid::NAMESPACE_URL,
            format!("urn:guideway:{}:{gateway}", Gateway::default().name()).as_bytes(),
        )
        .to_string()
        .into(),
        name: SmolStr::default(),
        adapters: sources
            .iter()
            .map(|source| AgentAdapter {
                name: source.options.name.as_str().into(),
                uri: source.adapter.endpoint().into(),
            })
            .collect(),
    });
    let mut described = configuration.described();
    let itself = sources.iter().filter(|source| source.takes_over);
    described.extend(itself.flat_map(|source| learned.documents(&source.options.name)));
    // The configuration's paths have been made relative to the working directory when it was read.
    let mut model = DeviceModel::load_with(&configuration.model_options(), Path::new(""), &described, agent)
        .map_err(StartError::Model)?;
    for details in &configuration.devices {
        // A source that describes itself has perhaps not done so yet.
        if details.profile.is_some() && model.find_device(&details.name).is_none() {
            continue;
        }
        model = with_details(model, details)?;
    }
    Ok(Arc::new(model))
}

/// The model with what the configuration says of a device in place of what its file says.
fn with_details(mut model: DeviceModel, details: &DeviceDetails) -> Result<DeviceModel, StartError> {
    let Some(device) = model.find_device(&details.name).map(|device| device.index) else {
        return Err(StartError::NoSuchDetails { device: details.name.clone(), known: known_devices(&model) });
    };
    let said = [
        ("uuid", &details.uuid),
        ("manufacturer", &details.manufacturer),
        ("serialNumber", &details.serial_number),
        ("station", &details.station),
        ("description", &details.description),
    ];
    for (name, value) in said {
        if let Some(value) = value
            && let Some(changed) = model.with_description(device, name, value).map_err(StartError::Model)?
        {
            model = changed;
        }
    }
    Ok(model)
}

fn known_devices(model: &DeviceModel) -> String {
    let machines = model.devices().iter().filter(|device| !device.is_agent);
    machines.map(|device| device.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn adapter_rules(
    sources: &[Source],
    model: &DeviceModel,
    learned: &Learned,
) -> Result<Vec<AdapterRules>, StartError> {
    sources
        .iter()
        .map(|source| {
            if source.takes_over {
                let known = learned.uuids(&source.options.name);
                let devices = known.iter().filter_map(|uuid| Some(model.find_device(uuid)?.index)).collect();
                return Ok(source.options.rules_for(devices, model));
            }
            source.options.rules(model).map_err(|causes| StartError::NoSuchDevice {
                adapter: source.options.name.clone(),
                cause: causes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
                known: known_devices(model),
            })
        })
        .collect()
}

/// A pipeline that knows what the journal knows.
fn restored_pipeline(model: Arc<DeviceModel>, rules: Vec<AdapterRules>, journal: &Journal) -> Pipeline {
    let mut pipeline = Pipeline::new(model, rules);
    let Ok(snapshot) = journal.snapshot(None) else {
        return pipeline;
    };
    for (index, state) in (0_u32..).zip(&snapshot.items) {
        let values: Vec<Value> = match state {
            ItemState::Unknown => continue,
            ItemState::Latest((_, observation)) => vec![observation.value.clone()],
            ItemState::Chain(entries) => {
                entries.iter().map(|(_, observation)| observation.value.clone()).collect()
            }
        };
        pipeline.restore(ItemIndex(index), &values);
    }
    pipeline
}

fn sender(options: &mtconnect::Options, gateway: &str) -> SmolStr {
    options.sender.as_deref().unwrap_or(gateway).into()
}

fn serve(face: mtconnect::Face, cancel: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = face.serve(cancel).await {
            tracing::error!(%error, "the MTConnect face ended");
        }
    })
}

fn dressing(options: &mtconnect::Options) -> Dressing {
    Dressing {
        devices_namespaces: options.devices.namespaces.clone(),
        streams_namespaces: options.streams.namespaces.clone(),
        assets_namespaces: options.assets.namespaces.clone(),
        error_namespaces: options.error.namespaces.clone(),
        devices_style: options.devices.stylesheet.clone(),
        streams_style: options.streams.stylesheet.clone(),
        assets_style: options.assets.stylesheet.clone(),
        error_style: options.error.stylesheet.clone(),
    }
}

fn start_ingest(
    ingest: ingest::Ingest,
    signals: mpsc::Receiver<Envelope>,
) -> Result<oneshot::Receiver<std::io::Result<Writer>>, StartError> {
    let runtime = tokio::runtime::Handle::current();
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("ingest".into())
        .spawn(move || {
            let result = runtime.block_on(ingest.run(signals));
            // The agent may have given up waiting.
            let _ = done.send(result);
        })
        .map_err(StartError::Thread)?;
    Ok(ended)
}
