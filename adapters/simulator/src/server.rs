//! Serves a simulated machine to any number of SHDR clients.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::Timestamp;
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Machine;
use crate::client::{self, Sink};

/// How a simulated machine's time goes by.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// How often the machine tells what has changed, and how long its steps are.
    pub tick: Duration,
    /// The time of the first line; the others follow tick by tick. `None`: the system's clock.
    pub start: Option<Timestamp>,
}

impl Default for Clock {
    /// Twenty times a second, by the system's clock.
    fn default() -> Self {
        Self { tick: Duration::from_millis(50), start: None }
    }
}

/// Serves the machine until `cancel` fires, by the default [`Clock`].
///
/// # Errors
/// When the listener fails for good; a single connection that fails is passed over.
pub async fn serve(machine: Machine, listener: TcpListener, cancel: CancellationToken) -> io::Result<()> {
    serve_with(machine, listener, Clock::default(), cancel).await
}

/// Serves the machine until `cancel` fires. A client gets everything that is known when it connects,
/// then what changes; one that does not take its lines is let go.
///
/// # Errors
/// As [`serve`].
pub async fn serve_with(
    mut machine: Machine,
    listener: TcpListener,
    clock: Clock,
    cancel: CancellationToken,
) -> io::Result<()> {
    let mut clients: Vec<Sink> = Vec::new();
    let mut ticks = tokio::time::interval(clock.tick.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut elapsed = Duration::ZERO;
    let now = |elapsed: Duration| match clock.start {
        Some(start) => start.shifted(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)),
        None => Timestamp::now(),
    };
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            accepted = listener.accept() => {
                // A connection that broke before it was taken up is no reason to stop.
                if let Ok((stream, peer)) = accepted {
                    tracing::debug!(machine = machine.name(), %peer, "client connected");
                    let client = client::spawn(stream);
                    let _ = client.try_send(Arc::from(machine.snapshot(now(elapsed))));
                    clients.push(client);
                }
            }
            _ = ticks.tick() => {
                elapsed += clock.tick;
                let lines = machine.advance(clock.tick, now(elapsed));
                if !lines.is_empty() {
                    let lines: Arc<str> = Arc::from(lines);
                    clients.retain(|client| client.try_send(lines.clone()).is_ok());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fleet;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
    use tokio::net::TcpStream;

    async fn connect(listener: &std::net::SocketAddr) -> Lines<BufReader<TcpStream>> {
        BufReader::new(TcpStream::connect(listener).await.expect("it listens")).lines()
    }

    async fn start() -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, cancel) = (listener.local_addr().expect("bound"), CancellationToken::new());
        let machine = Fleet::standard().machines.remove(0);
        let clock = Clock { tick: Duration::from_millis(10), start: Some(Timestamp::from_nanos(0, 3)) };
        let task = tokio::spawn(serve_with(machine, listener, clock, cancel.clone()));
        (address, cancel, task)
    }

    #[tokio::test]
    async fn a_client_gets_everything_first_and_then_what_changes() {
        let (address, cancel, task) = start().await;
        for _ in 0..2 {
            let mut client = connect(&address).await;
            let first = client.next_line().await.expect("a line").expect("open");
            for key in ["mill_avail|AVAILABLE", "mill_x_pos|", "mill_parts|", "mill_door_state|"] {
                assert!(first.contains(key), "{key} in {first}");
            }
            let mut rest = Vec::new();
            while rest.len() < 20 {
                rest.push(client.next_line().await.expect("a line").expect("open"));
            }
            for part in
                ["|mill_vars|PARTS=", "|mill_system|", "|@ASSET@|mill-FACE-50-1|CuttingTool|<CuttingTool "]
            {
                assert!(rest.iter().any(|line| line.contains(part)), "{part}");
            }
            let last = rest.last().expect("lines");
            assert!(last.len() < first.len(), "changes are shorter than everything");
        }
        cancel.cancel();
        task.await.expect("no panic").expect("no error");
    }

    #[tokio::test]
    async fn a_ping_is_answered_with_the_heartbeat() {
        let (address, cancel, _task) = start().await;
        let mut client = connect(&address).await;
        client.get_mut().write_all(b"* PING\r\n").await.expect("open");
        loop {
            let line = client.next_line().await.expect("a line").expect("open");
            if line.starts_with('*') {
                assert_eq!(line, "* PONG 10000");
                break;
            }
        }
        cancel.cancel();
    }

    #[tokio::test]
    async fn cancelling_closes_every_connection() {
        let (address, cancel, task) = start().await;
        let mut client = connect(&address).await;
        client.next_line().await.expect("a line");
        cancel.cancel();
        task.await.expect("no panic").expect("no error");
        while client.next_line().await.expect("no error").is_some() {}
    }
}
