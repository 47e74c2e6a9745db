//! What the servers of native protocols have in common: clients come and go while the machine lives.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How often a machine lives on, and for how long then.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// A client that takes nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// A machine's state, for as long as one request takes.
pub(crate) fn lock<M>(machine: &Mutex<M>) -> MutexGuard<'_, M> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves up to `most` clients at a time, and calls `live` with the seconds that have gone by, until `cancel`.
pub(crate) async fn host<F>(
    listener: TcpListener,
    cancel: CancellationToken,
    most: usize,
    mut live: impl FnMut(f64) + Send,
    serve: impl Fn(TcpStream) -> F + Send,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut clients = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if clients.len() < most => {
                    let _ = stream.set_nodelay(true);
                    clients.spawn(serve(stream));
                }
                // There is no room: it is closed at once.
                Ok(_) => {}
                Err(_) => sleep(TICK).await,
            },
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
            _ = ticks.tick() => live(TICK.as_secs_f64()),
        }
    }
    clients.shutdown().await;
}

/// Writes all of it; false when the client is gone or takes nothing.
pub(crate) async fn send(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    matches!(timeout(PATIENCE, stream.write_all(bytes)).await, Ok(Ok(())))
}

/// What is said to all clients goes to this one, and what it says to `hear`, until either ends.
pub(crate) async fn converse(
    mut stream: TcpStream,
    mut said: broadcast::Receiver<Vec<u8>>,
    mut hear: impl FnMut(&[u8]) + Send,
) {
    let mut buffer = [0; 1_024];
    loop {
        tokio::select! {
            text = said.recv() => match text {
                Ok(text) => {
                    if !send(&mut stream, &text).await {
                        return;
                    }
                }
                // What was too much for it is lost to it.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => hear(&buffer[..count]),
            },
        }
    }
}
