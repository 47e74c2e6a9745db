//! A TCP proxy between an adapter and its peer that makes bad weather.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What happens to replies on their way back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weather {
    /// Nothing.
    Clear,
    /// They are swallowed.
    Silent,
    /// Each comes later by this much.
    Slow(Duration),
    /// Each is held back until the next request has gone out.
    Stale,
    /// Bytes are flipped, dropped, doubled; some replies are cut short or run together with junk.
    Mutate {
        /// Where the random numbers start.
        seed: u64,
    },
    /// Connections are closed at once.
    Refuse,
}

/// A proxy to a port of 127.0.0.1; ends with all its connections when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    connections: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Proxy {
    /// A proxy in clear weather.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, seen) = watch::channel(Weather::Clear);
        let connections = Arc::new(AtomicU64::new(0));
        let count = connections.clone();
        let task = tokio::spawn(async move {
            let mut relays = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else { return };
                let number = count.fetch_add(1, Relaxed);
                while relays.try_join_next().is_some() {}
                if *seen.borrow() != Weather::Refuse {
                    relays.spawn(relay(client, target, seen.clone(), number));
                }
            }
        });
        Self { port, weather, connections, task: task.abort_handle() }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the weather, for connections that are open too.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections came so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(client: TcpStream, target: u16, weather: watch::Receiver<Weather>, number: u64) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (asked, mut requests) = watch::channel(0_u64);
    let up = async move {
        let mut buffer = vec![0; 65_536];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            if to_server.write_all(&buffer[..count]).await.is_err() {
                break;
            }
            asked.send_modify(|count| *count += 1);
        }
    };
    let down = async move {
        let mut buffer = vec![0; 65_536];
        let mut mutation = None;
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            let now = *weather.borrow();
            let mut reply = buffer[..count].to_vec();
            match now {
                Weather::Clear => {}
                Weather::Silent => continue,
                Weather::Refuse => break,
                Weather::Slow(late) => tokio::time::sleep(late).await,
                Weather::Stale => {
                    requests.mark_unchanged();
                    if requests.changed().await.is_err() {
                        break;
                    }
                }
                Weather::Mutate { seed } => {
                    let random = mutation.get_or_insert_with(|| StdRng::seed_from_u64(seed ^ (number << 20)));
                    mutate(&mut reply, random);
                }
            }
            if to_client.write_all(&reply).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// Changes two replies of three.
fn mutate(reply: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(0..3) {
        if reply.is_empty() {
            return;
        }
        let at = random.random_range(0..reply.len());
        match random.random_range(0..7) {
            0 => reply[at] ^= 1 << random.random_range(0..8),
            1 => reply[at] = random.random(),
            2 => reply[at] = 0xFF,
            3 => reply.truncate(at),
            4 => drop(reply.remove(at)),
            5 => reply.insert(at, random.random()),
            _ => reply.extend_from_within(at..),
        }
    }
}
