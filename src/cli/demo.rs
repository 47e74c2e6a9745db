//! `guideway demo`: simulated machines, every face on, no file needed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context as _;
use guideway_simulator::{Fleet, Machine as Simulated, NativeMachine};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{DataDir, Logging, say};
use crate::agent::{Agent, Surroundings};
use crate::config::{self, Adapter, AdapterOptions, Configuration, Gateway, Log, LogLevel};
use crate::northbound::{mqtt, opcua};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Port of the MTConnect agent.
    #[arg(long, default_value_t = 5000)]
    port: u16,

    /// Address of the MTConnect agent and of the OPC UA server.
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,

    /// Port of the OPC UA server; the next free one is taken when it is in use.
    #[arg(long, default_value_t = 4840, value_name = "PORT")]
    opcua_port: u16,

    /// A folder with the node sets DI, IA, Machinery and MachineTool: shows the machines in those
    /// terms too.
    #[arg(long, value_name = "FOLDER")]
    opcua_nodesets: Option<PathBuf>,

    /// A broker to publish to, e.g. mqtt://localhost:1883, instead of one of the demo's own.
    #[arg(long, value_name = "URL")]
    broker: Option<String>,

    /// Port of the demo's own broker; the next free one is taken when it is in use.
    #[arg(long, default_value_t = 1883, value_name = "PORT")]
    broker_port: u16,

    /// Where the demo's journal is kept. Delete it to start afresh.
    #[command(flatten)]
    data: DataDir,

    /// The machines' random numbers; the same seed gives the same shift.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) fn run(arguments: Arguments, logging: &Logging) -> anyhow::Result<ExitCode> {
    // The terminal belongs to the live counts; what goes wrong is still told.
    logging.start(&Log { level: LogLevel::Warn, ..Log::default() })?;
    super::runtime()?.block_on(demo(arguments))
}

async fn demo(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let data_dir = arguments.data.resolve(&Gateway::default()).join("demo");
    let machines = CancellationToken::new();
    let fleet = Fleet::seeded(arguments.seed);
    let adapters = start_machines(fleet.machines, &data_dir, &machines).await?;
    let own_broker = match &arguments.broker {
        Some(_) => None,
        None => Some(start_broker(arguments.broker_port).await?),
    };
    let broker = match (&arguments.broker, &own_broker) {
        (Some(url), _) => url.clone(),
        (None, Some(broker)) => format!("mqtt://{}", broker.address()),
        (None, None) => unreachable!("without a broker of the user's there is one of our own"),
    };

    let (mut configuration, served) = start_native(fleet.native, &broker, &data_dir, &machines).await?;
    let told: Vec<(String, String)> = configuration
        .machines
        .iter()
        .map(|instance| (instance.options.name.clone(), instance.machine.adapter().endpoint()))
        .collect();
    configuration.model.devices =
        adapters.iter().map(|(settings, _)| data_dir.join(format!("{}.xml", settings.common.name))).collect();
    configuration.mtconnect.address = arguments.address;
    configuration.mtconnect.port = arguments.port;
    configuration.opcua = Some(opcua_options(&arguments)?);
    configuration.mqtt = vec![
        mqtt::Options { layout: mqtt::Layout::Entity, ..mqtt::Options::new("demo-entity", &broker) },
        mqtt::Options {
            layout: mqtt::Layout::Uns,
            uns: mqtt::UnsLayout {
                enterprise: "demo".into(),
                site: "hall-1".into(),
                ..mqtt::UnsLayout::default()
            },
            ..mqtt::Options::new("demo-uns", &broker)
        },
    ];
    configuration.adapters.shdr = adapters.iter().map(|(settings, _)| settings.clone()).collect();

    let surroundings = Surroundings { data_dir: Some(data_dir.clone()), simulated: true };
    let agent = Agent::start(configuration, surroundings).await.map_err(|error| {
        anyhow::Error::from(error).context("the demo cannot start (--port takes another port)")
    })?;
    welcome(&arguments, &agent, &adapters, &told, &broker, &data_dir);
    let counts = tokio::spawn(show_counts(agent.view().clone()));
    super::service::until_stopped(agent).await?;
    counts.abort();
    machines.cancel();
    for machine in served {
        // A machine that ended badly has said so.
        let _ = machine.await;
    }
    say("\nStopped. Start it again: the sequence goes on where it ended.");
    Ok(ExitCode::SUCCESS)
}

/// What the demo is called, which requests are signed for.
const NAME: &str = "guideway-demo";
/// Who may ask for commands, with which private key.
const REQUESTER: &str = "demo";
const KEY: &str = "demo.key";

type Machine = (Adapter<guideway_shdr::Config>, SocketAddr);

/// Serves the machines that speak protocols of their own, and writes down how the gateway finds them and who may
/// command them: as a user would, by a profile and an address, by a key and a permit.
async fn start_native(
    fleet: Vec<NativeMachine>,
    broker: &str,
    folder: &Path,
    cancel: &CancellationToken,
) -> anyhow::Result<(Configuration, Vec<JoinHandle<()>>)> {
    let key = folder.join(KEY);
    if !key.exists() {
        super::control::write_pair(&key)?;
    }
    let commands: Vec<_> = fleet.iter().flat_map(NativeMachine::commands).collect();
    let devices: Vec<_> =
        fleet.iter().filter(|it| !it.commands().is_empty()).map(NativeMachine::name).collect();
    let mut text = format!(
        "# The demo's machines and its control, as a guideway.toml has them.

[gateway]
name = {NAME:?}

[control]
http = true

# Whoever has the private key beside the public one.
[[control.requester]]
name = {REQUESTER:?}
roles = [\"operator\"]
public_key = {:?}

[[control.permit]]
role = \"operator\"
devices = {devices:?}
commands = {commands:?}

[[control.mqtt]]
name = {REQUESTER:?}
url = {broker:?}
",
        super::control::public_of(Path::new(KEY)),
    );
    let mut served = Vec::new();
    for machine in fleet {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = machine.address(listener.local_addr()?.port());
        let (name, profile) = (machine.name(), machine.profile());
        text.push_str(&format!(
            "\n[[device]]\nname = {name:?}\nprofile = {profile:?}\naddress = {address:?}\n"
        ));
        for (key, value) in machine.settings() {
            text.push_str(&format!("{key} = {value:?}\n"));
        }
        for (key, value) in machine.params() {
            text.push_str(&format!("params.{key} = {value:?}\n"));
        }
        if !machine.commands().is_empty() {
            text.push_str(&format!("commands = {:?}\n", machine.commands()));
        }
        served.push(tokio::spawn(machine.serve(listener, cancel.clone())));
    }
    let path = folder.join("machines.toml");
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    match config::load_text(&path, text) {
        Ok((configuration, _)) => Ok((configuration, served)),
        Err(findings) => {
            let first = findings.first().map(ToString::to_string).unwrap_or_default();
            anyhow::bail!("the demo's machines cannot be configured: {first}")
        }
    }
}

/// Serves the simulated machines, and writes down how they are described.
async fn start_machines(
    machines: Vec<Simulated>,
    folder: &Path,
    cancel: &CancellationToken,
) -> anyhow::Result<Vec<Machine>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut adapters = Vec::new();
    for machine in machines {
        let path: PathBuf = folder.join(format!("{}.xml", machine.name()));
        std::fs::write(&path, machine.device_xml())
            .with_context(|| format!("cannot write {}", path.display()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shdr = guideway_shdr::Config::new(address.ip().to_string(), address.port());
        let common = AdapterOptions { name: machine.name().to_owned(), ..AdapterOptions::default() };
        adapters.push((Adapter { common, config: shdr }, address));
        tokio::spawn(guideway_simulator::serve(machine, listener, cancel.clone()));
    }
    Ok(adapters)
}

/// Everything that a client may want to try is on: this is a try-out, of simulated machines, and
/// who is anonymous can change nothing.
fn opcua_options(arguments: &Arguments) -> anyhow::Result<opcua::Options> {
    // The host's name may lead to an address on which nothing listens.
    let hostnames = match arguments.address {
        address if address.is_unspecified() => Vec::new(),
        IpAddr::V4(address) if address.is_loopback() => vec![address.to_string(), "localhost".into()],
        address if address.is_loopback() => vec!["localhost".into()],
        address => vec![address.to_string()],
    };
    Ok(opcua::Options {
        address: arguments.address,
        port: free_port(arguments.address, arguments.opcua_port)?,
        hostnames,
        allow_none: true,
        anonymous: true,
        trust_all: true,
        nodesets: arguments.opcua_nodesets.clone(),
        ..opcua::Options::default()
    })
}

/// The first port from `first` on, of 21, on which nobody listens.
fn free_port(address: IpAddr, first: u16) -> anyhow::Result<u16> {
    let mut last = None;
    for port in first..=first.saturating_add(20) {
        match std::net::TcpListener::bind((address, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    let cause = last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into());
    anyhow::bail!(
        "the demo's OPC UA server found no free port from {first} on ({cause}); give another --opcua-port"
    )
}

async fn start_broker(port: u16) -> anyhow::Result<mqtt::LoopbackBroker> {
    let mut last = None;
    for port in port..=port.saturating_add(20) {
        match mqtt::LoopbackBroker::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
            Ok(broker) => return Ok(broker),
            Err(error) => last = Some(error),
        }
    }
    let cause = last.unwrap_or_default();
    anyhow::bail!("the demo's broker found no free port from {port} on ({cause}); give another --broker-port")
}

fn welcome(
    arguments: &Arguments,
    agent: &Agent,
    machines: &[Machine],
    native: &[(String, String)],
    broker: &str,
    data_dir: &Path,
) {
    let http = agent.http_address().map_or_else(String::new, |address| format!("http://{address}"));
    let (host, port) = broker.trim_start_matches("mqtt://").rsplit_once(':').unwrap_or((broker, "1883"));
    let opcua = agent.opcua_address().map_or_else(String::new, |address| format!("opc.tcp://{address}"));
    let program = std::env::args().next().unwrap_or_else(|| "guideway".into());
    let data = data_dir.display();
    say("Guideway demo: simulated machines, live.\n");
    for (settings, address) in machines {
        say(&format!("  {:<12} shdr://{address}", settings.common.name));
    }
    for (name, endpoint) in native {
        say(&format!("  {name:<12} {endpoint}"));
    }
    say(&format!(
        "\nOpen in a browser
  {http}/probe      what the machines are
  {http}/current    what is known now
  {http}/sample     what happened
  {http}/health     how the gateway is doing

Connect an OPC UA client (UaExpert, asyncua, node-opcua, ...)
  {opcua}      anonymous, without security or encrypted

Try in another terminal
  curl '{http}/current?path=//Path//DataItem\\[@type=\"EXECUTION\"\\]'
  curl -N '{http}/sample?interval=500&heartbeat=5000&path=//Linear'
  mosquitto_sub -h {host} -p {port} -t 'demo/#' -v
  mosquitto_sub -h {host} -p {port} -t 'MTConnect/#' -v
  {program} tap {http} --path '//DataItem[@type=\"EXECUTION\"]'
  {program} verify {http} {opcua} {broker} --trust

Command a machine: signed, permitted, read back, written down
  {program} control request {http} --as {REQUESTER} --key {data}/{KEY} \\
      --gateway {NAME} PressCell set_target parts=25
  {program} audit show --data-dir {data}
  {program} control off --data-dir {data}

How the machines and their control are configured is in {data}/machines.toml.
The journal is in {data}. Kill this process (even with -9) and start it again:
the sequence goes on, and nothing that was seen is missing. Ctrl-C ends.
"
    ));
    if !arguments.address.is_loopback() {
        say("The gateway listens beyond this computer, as --address says.\n");
    }
}

/// One line that keeps itself up to date on a terminal; a line every ten seconds elsewhere.
async fn show_counts(view: crate::telemetry::View) {
    use std::io::{IsTerminal as _, Write as _};
    let to_terminal = std::io::stderr().is_terminal();
    let pause = if to_terminal { Duration::from_secs(1) } else { Duration::from_secs(10) };
    let mut ticks = tokio::time::interval(pause);
    loop {
        ticks.tick().await;
        let connected = view
            .adapters
            .iter()
            .filter(|adapter| adapter.health.state() == guideway_contract::ConnectionState::Established);
        let readings: u64 =
            view.adapters.iter().map(|adapter| adapter.health.counters.readings.load(Relaxed)).sum();
        let bounds = view.journal.bounds();
        let backlog: u64 = view.destinations.iter().map(|destination| destination.status().backlog).sum();
        let line = format!(
            "{} of {} machines · {readings} readings · {} observations · {backlog} waiting for MQTT",
            connected.count(),
            view.adapters.len(),
            bounds.next - 1,
        );
        if to_terminal {
            let mut terminal = std::io::stderr().lock();
            // A terminal that is gone is no reason to stop.
            let _ = write!(terminal, "\r\x1b[K{line}").and_then(|()| terminal.flush());
        } else {
            say(&line);
        }
    }
}
