//! The MTConnect face under load: one thread serves, another one asks.
//!
//! `cargo bench --bench http` measures; `cargo bench --bench http -- serve` only serves, for a load
//! tool of your own such as `wrk -t1 -c16 -d5s http://127.0.0.1:5555/current`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use guideway::device_model::{self, DeviceModel, SharedModel};
use guideway::documents::Dressing;
use guideway::journal::{self, Journal, Writer};
use guideway::northbound::mtconnect::{Context, Face, Options, Stats};
use guideway_contract::{ItemIndex, Observation, Timestamp, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const ITEMS: u32 = 20;
const CONNECTIONS: usize = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    // `cargo test --benches` only wants to know whether it runs.
    let length =
        if has("--test") || !has("--bench") { Duration::from_millis(50) } else { Duration::from_secs(3) };
    if has("serve") {
        let (server, mut writer) = Server::start(5_555);
        say(&format!("serving on http://{}, 1,000 observations/s", server.address));
        feed(&mut writer, Duration::from_secs(86_400));
        return;
    }
    let (server, mut writer) = Server::start(0);
    requests(&server, "/current", "/current of 20 items", length);
    requests(&server, "/sample?count=1000", "/sample?count=1000, nothing changes", length);
    {
        let live = std::thread::scope(|scope| {
            let feeding = scope.spawn(|| feed(&mut writer, length + Duration::from_millis(200)));
            requests(&server, "/current", "/current of 20 items, 1,000 observations/s", length / 2);
            requests(&server, "/sample?count=1000", "/sample?count=1000, 1,000 observations/s", length / 2);
            feeding.join()
        });
        live.expect("the feeder runs");
    }
    different(&server, length);
    for interval in [0, 100, 1_000] {
        streams(&server, &mut writer, interval, length.max(Duration::from_millis(interval * 2)));
    }
}

/// A face on a thread of its own.
struct Server {
    address: SocketAddr,
    stats: Arc<Stats>,
    journal: Journal,
}

impl Server {
    fn start(port: u16) -> (Self, Writer) {
        let model: SharedModel = Arc::new(ArcSwap::from_pointee(model()));
        let options = journal::Options { durable: false, ..journal::Options::default() };
        let (mut writer, journal) = Journal::open(&options, None, Arc::clone(&model)).expect("a journal");
        let options = Options { address: std::net::Ipv4Addr::LOCALHOST.into(), port, ..Options::default() };
        let context = Context {
            model,
            journal: journal.clone(),
            dressing: Dressing::default(),
            sender: "bench".into(),
            test_indicator: true,
            extra: None,
            control: None,
        };
        let face = Face::bind(&options, context).expect("a free port");
        let server = Self { address: face.local_addr(), stats: face.stats(), journal };
        std::thread::Builder::new()
            .name("face".to_owned())
            .spawn(move || runtime().block_on(face.serve(CancellationToken::new())))
            .expect("a thread");
        // Some history, so that there is something to sample.
        for batch in 0..100 {
            append(&mut writer, batch * 100, 100);
        }
        (server, writer)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn model() -> DeviceModel {
    let mut items = String::new();
    for number in 0..ITEMS {
        let _ = write!(
            items,
            "<DataItem id=\"p{number}\" name=\"pos{number}\" type=\"POSITION\" subType=\"ACTUAL\" \
             category=\"SAMPLE\" units=\"MILLIMETER\"/>"
        );
    }
    let text = format!(
        "<MTConnectDevices xmlns=\"urn:mtconnect.org:MTConnectDevices:2.0\"><Devices>\
         <Device id=\"d\" name=\"M\" uuid=\"u\"><DataItems>{items}</DataItems></Device></Devices></MTConnectDevices>"
    );
    // Without what a newer version adds, so that there are just so many items.
    let options = device_model::Options { agent_device: false, ..device_model::Options::default() };
    DeviceModel::from_xml(&[("bench.xml".into(), text)], &options, None).expect("a model")
}

fn append(writer: &mut Writer, from: u32, count: u32) {
    let time = Timestamp::now();
    let mut batch: Vec<_> = (from..from + count)
        .map(|number| {
            let value = Value::Number(f64::from(number) / 7.0);
            Observation::new(ItemIndex(number % ITEMS), time, time, value)
        })
        .collect();
    writer.append(&mut batch);
}

/// Appends 1,000 observations a second, ten at a time.
fn feed(writer: &mut Writer, length: Duration) {
    runtime().block_on(async {
        let started = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let mut number = 0;
        while started.elapsed() < length {
            ticks.tick().await;
            append(writer, number, 10);
            number = (number + 10) % 1_000_000;
        }
    });
}

/// Nanoseconds the thread of that name has run (Linux), else zero.
fn cpu(name: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mine = tasks.filter(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    });
    mine.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    })
    .sum()
}

/// The same request again and again on keep-alive connections.
fn requests(server: &Server, target: &str, label: &str, length: Duration) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
    load(server, &move |_| request.clone(), label, length);
}

/// A request that nobody has made before, so that no cache helps.
fn different(server: &Server, length: Duration) {
    let bounds = server.journal.bounds();
    let request = move |number: u64| {
        let from = bounds.first + number % (bounds.next - bounds.first - 1_000);
        format!("GET /sample?count=1000&from={from} HTTP/1.1\r\nHost: bench\r\n\r\n")
    };
    load(server, &request, "/sample?count=1000, each from another sequence", length);
}

fn load(server: &Server, request: &dyn Fn(u64) -> String, label: &str, length: Duration) {
    let (before, started) = (cpu("face"), Instant::now());
    let number = std::cell::Cell::new(0_u64);
    let (mut bytes, mut asked) = (0_u64, 0_u64);
    runtime().block_on(async {
        let clients = (0..CONNECTIONS).map(|_| async {
            let mut socket = TcpStream::connect(server.address).await.expect("a connection");
            socket.set_nodelay(true).expect("an option");
            let mut input = Vec::with_capacity(1 << 20);
            let (mut bytes, mut asked) = (0_u64, 0_u64);
            while started.elapsed() < length {
                number.set(number.get() + 1);
                socket.write_all(request(number.get()).as_bytes()).await.expect("to be heard");
                bytes += response(&mut socket, &mut input).await as u64;
                asked += 1;
            }
            (bytes, asked)
        });
        for (more_bytes, more_asked) in join_all(clients.collect()).await {
            bytes += more_bytes;
            asked += more_asked;
        }
    });
    let (busy, took) = (cpu("face") - before, started.elapsed());
    let rate = asked as f64 / took.as_secs_f64();
    say(&format!(
        "{label}: {rate:.0} requests/s, {:.1} MB/s, server thread {:.0} % busy, {:.1} us each",
        bytes as f64 / took.as_secs_f64() / 1e6,
        busy as f64 / took.as_nanos() as f64 * 100.0,
        busy as f64 / asked.max(1) as f64 / 1e3,
    ));
}

/// Polls all of them until all are done; a `JoinSet` would want them `Send`.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, done) in &mut futures {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(output) => *done = Some(output),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    futures.into_iter().filter_map(|(_, done)| done).collect()
}

/// Reads one response and says how long it was.
async fn response(socket: &mut TcpStream, input: &mut Vec<u8>) -> usize {
    input.clear();
    let mut need = usize::MAX;
    while input.len() < need {
        assert!(socket.read_buf(input).await.expect("an answer") > 0, "the server hung up");
        if need == usize::MAX
            && let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&input[..end]);
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let length =
                head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
            need = end + 4 + length.parse::<usize>().expect("a number");
        }
    }
    input.len()
}

/// 100 clients of one stream at 1,000 observations/s.
fn streams(server: &Server, writer: &mut Writer, interval: u64, length: Duration) {
    const CLIENTS: usize = 100;
    let stop = CancellationToken::new();
    let next = server.journal.bounds().next;
    let readers = {
        let (stop, address) = (stop.clone(), server.address);
        std::thread::spawn(move || {
            runtime().block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for _ in 0..CLIENTS {
                    let stop = stop.clone();
                    tasks.spawn(async move {
                        let mut socket = TcpStream::connect(address).await.expect("a connection");
                        let request = format!(
                            "GET /sample?interval={interval}&count=10000&from={next} HTTP/1.1\r\nHost: bench\r\n\r\n"
                        );
                        socket.write_all(request.as_bytes()).await.expect("to be heard");
                        let mut input = vec![0; 1 << 16];
                        while let Some(Ok(1..)) = stop.run_until_cancelled(socket.read(&mut input)).await {}
                    });
                }
                while tasks.join_next().await.is_some() {}
            });
        })
    };
    while server.stats.streams.get() < CLIENTS as u64 {
        std::thread::yield_now();
    }
    // Let everybody fall into step before it counts.
    feed(writer, (length / 4).max(Duration::from_millis(interval * 2)));
    let (before, encoded, sent) = (cpu("face"), server.stats.encoded.get(), server.stats.sent_parts.get());
    let started = Instant::now();
    feed(writer, length);
    let took = started.elapsed();
    let (busy, encoded, sent) =
        (cpu("face") - before, server.stats.encoded.get() - encoded, server.stats.sent_parts.get() - sent);
    say(&format!(
        "{CLIENTS} streams, interval={interval}, 1,000 observations/s: {:.1} % of a core, {:.0} parts/s sent, {:.1} \
         encoded/s",
        busy as f64 / took.as_nanos() as f64 * 100.0,
        sent as f64 / took.as_secs_f64(),
        encoded as f64 / took.as_secs_f64(),
    ));
    stop.cancel();
    readers.join().expect("the readers end");
    while server.stats.streams.get() > 0 {
        std::thread::yield_now();
    }
}

#[expect(clippy::print_stdout, reason = "a bench tells its figures to whoever runs it")]
fn say(line: &str) {
    println!("{line}");
}
