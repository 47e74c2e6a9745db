//! Load for the OPC UA face of a whole gateway, as a process of its own, with its CPU time read from
//! the system. Machines, clients and gateway run on this computer; the clients are this process.
//!
//! ```sh
//! cargo build --release && cargo run --release --example opcua_load
//! cargo run --release --example opcua_load -- load restart     # only these parts
//! cargo run --example opcua_load -- small                      # try it, in little
//! ```
//!
//! Parts: `start`, `load`, `restart`, `history`. Figures are in docs/performance.md.
//!
//! Each data item counts: its first value is 1, the next 2. What a client misses is seen by the count.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that goes wrong has no figures")]
#![allow(clippy::print_stdout, reason = "figures go to standard output")]
#![allow(clippy::cast_precision_loss, reason = "figures are rounded anyway")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are small and not negative"
)]

mod gateway_process;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gateway_process::{cpu_time, free_port, next_sequence, pause, resident_mib};
use opcua_client::{ClientBuilder, DataChangeCallback, HistoryReadAction, IdentityToken, Session};
use opcua_types::{
    DateTime, HistoryData, HistoryReadValueId, MessageSecurityMode, MonitoredItemCreateRequest,
    MonitoringMode, MonitoringParameters, NodeId, ReadRawModifiedDetails, ReadValueId, TimestampsToReturn,
    UserTokenPolicy, Variant,
};

/// How much of everything.
#[derive(Clone, Copy)]
struct Scale {
    machines: usize,
    items: usize,
    /// Updates a second of all machines together.
    rate: usize,
    /// Clients, and items that each of them monitors.
    loads: &'static [(usize, usize)],
    /// How long a load is measured.
    time: Duration,
    starts: usize,
}

const FULL: Scale = Scale {
    machines: 20,
    items: 200,
    rate: 10_000,
    loads: &[(0, 0), (1, 1_000), (10, 1_000), (10, 4_000)],
    time: Duration::from_secs(20),
    starts: 10,
};

const SMALL: Scale = Scale {
    machines: 2,
    items: 20,
    rate: 200,
    loads: &[(0, 0), (2, 40)],
    time: Duration::from_secs(2),
    starts: 2,
};

/// What clients ask for.
const INTERVAL: Duration = Duration::from_millis(100);
const QUEUE: u32 = 100;

/// The index of the machines' namespace.
const MACHINES: u16 = 3;

fn main() {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    let small = wanted.iter().any(|name| name == "small");
    wanted.retain(|name| name != "small");
    let scale = if small { SMALL } else { FULL };
    let runs = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if runs("start") {
        start(scale);
    }
    if runs("load") {
        runtime.block_on(load(scale));
    }
    if runs("restart") {
        runtime.block_on(restart(scale));
    }
    if runs("history") {
        runtime.block_on(history(scale));
    }
}

/// Machines that count while somebody listens.
struct Floor {
    ports: Vec<u16>,
    stop: Arc<AtomicBool>,
    /// Updates that were sent.
    sent: Arc<AtomicU64>,
}

impl Floor {
    fn open(scale: Scale) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::<AtomicU64>::default();
        let machine = |_| {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        let listeners: Vec<TcpListener> = (0..scale.machines).map(machine).collect();
        let ports = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let (stopped, counted) = (stop.clone(), sent.clone());
        std::thread::spawn(move || work(scale, &listeners, &stopped, &counted));
        Self { ports, stop, sent }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends updates of one item after the other, ten to a line, every few milliseconds.
fn work(scale: Scale, listeners: &[TcpListener], stop: &AtomicBool, sent: &AtomicU64) {
    struct Machine {
        stream: Option<TcpStream>,
        next: usize,
        counts: Vec<u64>,
    }
    let idle = || Machine { stream: None, next: 0, counts: vec![0; scale.items] };
    let mut machines: Vec<Machine> = listeners.iter().map(|_| idle()).collect();
    let begun = Instant::now();
    let mut due_before = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = (begun.elapsed().as_secs_f64() * scale.rate as f64) as usize / scale.machines;
        let updates = due - due_before;
        due_before = due;
        for (number, (machine, listener)) in machines.iter_mut().zip(listeners).enumerate() {
            if let Ok((stream, _)) = listener.accept() {
                stream.set_nodelay(true).unwrap();
                machine.stream = Some(stream);
            }
            let Some(stream) = &mut machine.stream else { continue };
            let (mut next, mut counts) = (machine.next, machine.counts.clone());
            let mut text = String::new();
            for update in 0..updates {
                if update % 10 == 0 && update > 0 {
                    text.push('\n');
                }
                counts[next] += 1;
                write!(text, "|m{number}i{next}|{}", counts[next]).unwrap();
                next = (next + 1) % scale.items;
            }
            text.push('\n');
            if updates == 0 {
                continue;
            }
            // What could not be sent was not counted.
            if stream.write_all(text.as_bytes()).is_ok() {
                (machine.next, machine.counts) = (next, counts);
                sent.fetch_add(updates as u64, Ordering::Relaxed);
            } else {
                machine.stream = None;
            }
        }
        pause(Duration::from_millis(10));
    }
}

/// A gateway with its folder.
struct Gateway {
    child: Option<Child>,
    http: SocketAddr,
    opcua: u16,
    folder: PathBuf,
}

impl Gateway {
    /// Configures it; does not start it yet.
    fn of(scale: Scale, ports: &[u16]) -> Self {
        let folder = std::env::temp_dir().join(format!("guideway-opcua-load-{}", std::process::id()));
        // What an earlier part left behind; there may be nothing.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut devices = String::new();
        let mut adapters = String::new();
        for (machine, port) in (0..scale.machines).zip(ports) {
            let mut items = String::new();
            for item in 0..scale.items {
                let id = format!("m{machine}i{item}");
                writeln!(
                    items,
                    r#"<DataItem id="{id}" category="SAMPLE" type="POSITION" units="MILLIMETER"/>"#
                )
                .unwrap();
            }
            writeln!(
                devices,
                r#"<Device id="m{machine}" name="machine{machine}" uuid="load-{machine}"><DataItems>{items}</DataItems></Device>"#
            )
            .unwrap();
            writeln!(
                adapters,
                "[[adapter.shdr]]\nname = \"machine{machine}\"\nhost = \"127.0.0.1\"\nport = {port}\n\
                 reconnect_max = \"1s\""
            )
            .unwrap();
        }
        let devices = format!(
            r#"<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.7"><Devices>{devices}</Devices></MTConnectDevices>"#
        );
        std::fs::write(folder.join("Devices.xml"), devices).unwrap();
        let (http, opcua) = (free_port(), free_port());
        let configuration = format!(
            "[model]\ndevices = [\"Devices.xml\"]\nagent_device = false\n\
             [mtconnect]\naddress = \"127.0.0.1\"\nport = {http}\n\
             [opcua]\naddress = \"127.0.0.1\"\nport = {opcua}\nhostnames = [\"127.0.0.1\"]\nallow_none = true\n\
             {adapters}"
        );
        std::fs::write(folder.join("guideway.toml"), configuration).unwrap();
        let http = SocketAddr::from(([127, 0, 0, 1], http));
        Self { child: None, http, opcua, folder }
    }

    /// Starts it; how long it took until a client was answered.
    fn start(&mut self) -> Duration {
        let begun = Instant::now();
        self.child = Some(gateway_process::spawn(&self.folder));
        while !is_opcua(self.opcua) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the gateway does not answer");
            pause(Duration::from_millis(1));
        }
        begun.elapsed()
    }

    /// Ends it as a service manager does.
    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
            child.wait().unwrap();
        }
    }

    /// The process, while it runs.
    fn process(&self) -> &Child {
        self.child.as_ref().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Whether a server says ACK to a Hello (part 6, 7.1.2).
fn is_opcua(port: u16) -> bool {
    let hello = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let url = format!("opc.tcp://127.0.0.1:{port}/");
        let mut message = b"HELF".to_vec();
        let size = 8 + 20 + 4 + url.len();
        for number in [size as u32, 0, 65_536, 65_536, 0, 0, url.len() as u32] {
            message.extend(number.to_le_bytes());
        }
        message.extend(url.as_bytes());
        stream.write_all(&message).ok()?;
        let mut kind = [0; 3];
        stream.read_exact(&mut kind).ok()?;
        (kind == *b"ACK").then_some(())
    };
    hello().is_some()
}

/// What a client has seen.
#[derive(Default)]
struct Seen {
    notifications: AtomicU64,
    /// Values that were missed between two that came.
    lost: AtomicU64,
    /// Values that came again or out of order.
    stray: AtomicU64,
    /// Values whose status says that the queue was too short.
    overflows: AtomicU64,
}

impl Seen {
    fn get(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }
}

/// A client with a subscription.
struct Client {
    session: Arc<Session>,
    seen: Arc<Seen>,
    /// Whether what came before does not count: it was connected anew.
    anew: Arc<AtomicU64>,
}

impl Client {
    async fn connect(port: u16, number: usize, folder: &Path) -> Arc<Session> {
        let mut client = ClientBuilder::new()
            .application_name("guideway load")
            .application_uri(format!("urn:guideway-load:{number}"))
            .pki_dir(folder.join("client-pki"))
            .trust_server_certs(true)
            .session_retry_limit(-1)
            .session_retry_initial(Duration::from_millis(100))
            .session_retry_max(Duration::from_secs(1))
            .max_array_length(100_000)
            .max_message_size(64 << 20)
            .max_chunk_count(1_100)
            .client()
            .unwrap();
        let url = format!("opc.tcp://127.0.0.1:{port}/");
        let endpoint = (url.as_str(), "None", MessageSecurityMode::None, UserTokenPolicy::anonymous());
        let (session, events) =
            client.connect_to_matching_endpoint(endpoint, IdentityToken::Anonymous).await.unwrap();
        events.spawn();
        let connected = tokio::time::timeout(Duration::from_secs(30), session.wait_for_connection());
        assert!(connected.await.expect("a connection"));
        session
    }

    /// Monitors `count` items, from the `number`-th share of all on.
    async fn subscribe(scale: Scale, gateway: &Gateway, number: usize, count: usize) -> Self {
        let session = Self::connect(gateway.opcua, number, &gateway.folder).await;
        let seen = Arc::<Seen>::default();
        let anew = Arc::<AtomicU64>::default();
        let (told, renewed) = (seen.clone(), anew.clone());
        let mut last = vec![(0_u64, 0_u64); count];
        let callback = DataChangeCallback::new(move |value, item| {
            told.notifications.fetch_add(1, Ordering::Relaxed);
            if value.status.is_some_and(|status| status.overflow()) {
                told.overflows.fetch_add(1, Ordering::Relaxed);
            }
            let Some(Variant::Double(count)) = value.value else { return };
            let count = count as u64;
            let round = renewed.load(Ordering::Relaxed);
            let (before, of_round) = &mut last[item.client_handle() as usize - 1];
            if *before != 0 && *of_round == round {
                if count > *before {
                    told.lost.fetch_add(count - *before - 1, Ordering::Relaxed);
                } else {
                    told.stray.fetch_add(1, Ordering::Relaxed);
                }
            }
            (*before, *of_round) = (count, round);
        });
        let subscription =
            session.create_subscription(INTERVAL, 600, 20, 0, 0, true, callback).await.unwrap();
        let all = scale.machines * scale.items;
        let request = |place: usize| {
            let item = (number * count + place) % all;
            let (machine, item) = (item / scale.items, item % scale.items);
            MonitoredItemCreateRequest {
                item_to_monitor: ReadValueId::new_value(node(machine, item)),
                monitoring_mode: MonitoringMode::Reporting,
                requested_parameters: MonitoringParameters {
                    client_handle: place as u32 + 1,
                    sampling_interval: INTERVAL.as_secs_f64() * 1_000.0,
                    queue_size: QUEUE,
                    discard_oldest: true,
                    ..MonitoringParameters::default()
                },
            }
        };
        let requests: Vec<_> = (0..count).map(request).collect();
        for part in requests.chunks(1_000) {
            let both = TimestampsToReturn::Both;
            let made = session.create_monitored_items(subscription, both, part.to_vec()).await.unwrap();
            let refused = made.iter().find(|made| made.result.status_code.is_bad());
            assert!(refused.is_none(), "refused: {refused:?}");
        }
        Self { session, seen, anew }
    }

    /// Asks for notifications again when none come: the library forgets to after a restart of the server.
    fn persist(&self) -> tokio::task::JoinHandle<()> {
        let (session, seen) = (self.session.clone(), self.seen.clone());
        tokio::spawn(async move {
            let mut before = 0;
            loop {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let now = Seen::get(&seen.notifications);
                if now == before {
                    session.trigger_publish_now();
                }
                before = now;
            }
        })
    }
}

fn node(machine: usize, item: usize) -> NodeId {
    NodeId::new(MACHINES, format!("load-{machine}/m{machine}i{item}"))
}

fn start(scale: Scale) {
    let idle = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let ports = vec![idle.local_addr().unwrap().port(); scale.machines];
    let mut gateway = Gateway::of(scale, &ports);
    let first = gateway.start();
    let mut times: Vec<Duration> = (0..scale.starts)
        .map(|_| {
            gateway.stop();
            gateway.start()
        })
        .collect();
    times.sort();
    println!(
        "start with {} x {} items until OPC UA answers: {:?} (median of {}), {:?} at most; {first:?} with a new key",
        scale.machines,
        scale.items,
        times[times.len() / 2],
        times.len(),
        times[times.len() - 1],
    );
}

async fn load(scale: Scale) {
    for (clients, items) in scale.loads {
        let floor = Floor::open(scale);
        let mut gateway = Gateway::of(scale, &floor.ports);
        gateway.start();
        let mut connected = Vec::new();
        for number in 0..*clients {
            connected.push(Client::subscribe(scale, &gateway, number, *items).await);
        }
        // Connecting, and the first values of all items, are no part of it.
        tokio::time::sleep(scale.time / 4).await;
        let sum = |count: fn(&Seen) -> &AtomicU64| {
            connected.iter().map(|client| Seen::get(count(&client.seen))).sum::<u64>()
        };
        let before = (sum(|seen| &seen.notifications), floor.sent.load(Ordering::Relaxed));
        let (cpu, begun) = (cpu_time(gateway.process()), Instant::now());
        tokio::time::sleep(scale.time).await;
        let (cpu, wall) = (cpu_time(gateway.process()) - cpu, begun.elapsed());
        let notifications = sum(|seen| &seen.notifications) - before.0;
        let sent = floor.sent.load(Ordering::Relaxed) - before.1;
        let all = scale.machines * scale.items;
        println!(
            "{clients} clients x {items} items at {INTERVAL:?}, {:.0} updates/s of {all} items: {:.1} % of a core, \
             {:.1} MiB resident; {:.0} notifications/s of {:.0} expected, {} lost, {} with overflow, {} out of order",
            sent as f64 / wall.as_secs_f64(),
            cpu.as_secs_f64() / wall.as_secs_f64() * 100.0,
            resident_mib(gateway.process()),
            notifications as f64 / wall.as_secs_f64(),
            (sent as f64 / wall.as_secs_f64()) * (clients * items) as f64 / all as f64,
            sum(|seen| &seen.lost),
            sum(|seen| &seen.overflows),
            sum(|seen| &seen.stray),
        );
        for client in connected {
            // The gateway goes in a moment anyway.
            let _ = client.session.disconnect().await;
        }
    }
}

async fn restart(scale: Scale) {
    let (clients, items) = scale.loads[scale.loads.len() - 1];
    let (clients, items) = (clients, items.min(1_000));
    let floor = Floor::open(scale);
    let mut gateway = Gateway::of(scale, &floor.ports);
    gateway.start();
    let mut connected = Vec::new();
    for number in 0..clients {
        connected.push(Client::subscribe(scale, &gateway, number, items).await);
    }
    let persisting: Vec<_> = connected.iter().map(Client::persist).collect();
    tokio::time::sleep(scale.time / 2).await;
    gateway.stop();
    for client in &connected {
        client.anew.fetch_add(1, Ordering::Relaxed);
    }
    let counts: Vec<u64> = connected.iter().map(|client| Seen::get(&client.seen.notifications)).collect();
    let begun = Instant::now();
    let ready = gateway.start();
    let mut back = Vec::new();
    for (client, before) in connected.iter().zip(counts) {
        // As soon as the first value of every item has come again.
        while Seen::get(&client.seen.notifications) < before + items as u64 {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{} of {clients} clients are back",
                back.len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        back.push(begun.elapsed());
    }
    tokio::time::sleep(scale.time / 2).await;
    persisting.iter().for_each(tokio::task::JoinHandle::abort);
    let lost: u64 = connected.iter().map(|client| Seen::get(&client.seen.lost)).sum();
    println!(
        "restart under load: ready after {ready:?}, the first of {clients} clients has all values again after {:?}, \
         the last after {:?}; {lost} lost but for the pause",
        back.iter().min().unwrap(),
        back.iter().max().unwrap(),
    );
    let mut missing = 0;
    let mut values = 0;
    for machine in 0..scale.machines {
        let history = whole_history(&connected[0].session, &node(machine, 0)).await;
        missing += history.windows(2).map(|pair| pair[1].saturating_sub(pair[0] + 1)).sum::<u64>();
        values += history.len();
    }
    println!(
        "history of one item of each machine over the restart: {values} values, {missing} missing (what a machine \
         had written to a connection that was closed before it was read counts)",
    );
}

/// All counts in the history of an item; those times when it was not available are left out.
async fn whole_history(session: &Session, node: &NodeId) -> Vec<u64> {
    let details = ReadRawModifiedDetails {
        start_time: DateTime::ymd(2000, 1, 1),
        end_time: DateTime::ymd(2200, 1, 1),
        ..ReadRawModifiedDetails::default()
    };
    let mut wanted = [HistoryReadValueId { node_id: node.clone(), ..HistoryReadValueId::default() }];
    let mut counts = Vec::new();
    loop {
        let action = HistoryReadAction::ReadRawModifiedDetails(details.clone());
        let mut results =
            session.history_read(action, TimestampsToReturn::Both, false, &wanted).await.unwrap();
        let result = results.remove(0);
        assert!(result.status_code.is_good(), "{node}: {}", result.status_code);
        let data = result.history_data.inner_as::<HistoryData>().unwrap();
        let values = data.data_values.as_deref().unwrap_or_default();
        counts.extend(values.iter().filter_map(|value| match value.value {
            Some(Variant::Double(count)) => Some(count as u64),
            _ => None,
        }));
        if result.continuation_point.is_null_or_empty() {
            return counts;
        }
        wanted[0].continuation_point = result.continuation_point;
    }
}

async fn history(scale: Scale) {
    let floor = Floor::open(Scale { rate: scale.rate * 10, ..scale });
    let mut gateway = Gateway::of(scale, &floor.ports);
    gateway.start();
    let wanted = (scale.rate as u64 * 10).min(1_000_000) * scale.time.as_secs() / 2;
    while next_sequence(gateway.http) < wanted {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let session = Client::connect(gateway.opcua, 0, &gateway.folder).await;
    let (cpu, begun) = (cpu_time(gateway.process()), Instant::now());
    let values = whole_history(&session, &node(0, 0)).await.len();
    println!(
        "history of one item among {wanted} observations: {values} values in {:?}, {:?} of CPU (with what comes in \
         meanwhile)",
        begun.elapsed(),
        cpu_time(gateway.process()) - cpu,
    );
}
