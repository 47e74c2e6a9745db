//! A line that several units share: one task owns it, one request is on it at a time.
//!
//! Fairness needs no queue for each unit: a unit has one request in the queue at most, because its session waits for
//! the answer before it asks again; so units take turns by themselves, and a dead one costs the others one time-out
//! each time its session is tried.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::codec::Request;
use crate::line::{Failure, Reply, Target};
use crate::wire::Wire;
use crate::{BusConfig, Framing};

/// Requests that may wait. Each unit has one at most, and there are at most 247 on a line.
const QUEUE: usize = 256;
/// How long a line that could not be opened is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// A handle on a shared line. The line is opened when a unit first asks something, by a task that ends with the last
/// handle.
#[derive(Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    running: OnceLock<Running>,
}

struct Running {
    jobs: mpsc::Sender<Job>,
    down: watch::Receiver<SmolStr>,
}

struct Job {
    unit: u8,
    request: Request,
    patience: Duration,
    reply: Reply,
    back: oneshot::Sender<(Reply, Result<(), Failure>)>,
}

impl Bus {
    /// A line as configured. Does no I/O.
    pub fn new(config: &BusConfig) -> Self {
        Self { shared: Arc::new(Shared { target: Target::of_bus(config), running: OnceLock::new() }) }
    }

    pub(crate) fn framing(&self) -> Framing {
        self.shared.target.framing
    }

    pub(crate) fn endpoint(&self, unit: u8) -> String {
        self.shared.target.endpoint(unit)
    }

    fn running(&self) -> &Running {
        self.shared.running.get_or_init(|| {
            let (jobs, queue) = mpsc::channel(QUEUE);
            let (down, seen) = watch::channel(SmolStr::default());
            tokio::spawn(run(Wire::new(self.shared.target.clone()), queue, down));
            Running { jobs, down: seen }
        })
    }

    /// Changes each time the line goes down, to the cause.
    pub(crate) fn down(&self) -> watch::Receiver<SmolStr> {
        let mut down = self.running().down.clone();
        down.mark_unchanged();
        down
    }

    /// Asks a unit when it is its turn.
    pub(crate) async fn transact(
        &self,
        unit: u8,
        request: &Request,
        patience: Duration,
        reply: &mut Reply,
    ) -> Result<(), Failure> {
        let (back, answer) = oneshot::channel();
        let job = Job { unit, request: request.clone(), patience, reply: std::mem::take(reply), back };
        let gone = || Failure::NotConnected("the bus has stopped".into());
        self.running().jobs.send(job).await.map_err(|_| gone())?;
        let (came, result) = answer.await.map_err(|_| gone())?;
        *reply = came;
        result
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("target", &self.shared.target).finish_non_exhaustive()
    }
}

/// Takes requests in turn until nobody can ask any more.
async fn run(mut wire: Wire, mut queue: mpsc::Receiver<Job>, down: watch::Sender<SmolStr>) {
    let mut refused: Option<(Instant, Failure)> = None;
    while let Some(mut job) = queue.recv().await {
        // A session that has ended meanwhile no longer wants to know.
        if job.back.is_closed() {
            continue;
        }
        if let Some((until, failure)) = &refused {
            if Instant::now() < *until {
                answer(job, Err(failure.clone()));
                continue;
            }
            refused = None;
        }
        let result = wire.transact(job.unit, &job.request, job.patience, &mut job.reply).await;
        if let Err(Failure::Lost(cause) | Failure::NotConnected(cause)) = &result {
            // Whoever waits would only find the same, one connect time-out after the other.
            let failure = Failure::NotConnected(cause.clone());
            down.send_replace(cause.into());
            while let Ok(waiting) = queue.try_recv() {
                answer(waiting, Err(failure.clone()));
            }
            refused = Some((Instant::now() + PAUSE, failure));
        }
        answer(job, result);
    }
}

fn answer(job: Job, result: Result<(), Failure>) {
    // A session that has ended meanwhile no longer wants to know.
    drop(job.back.send((job.reply, result)));
}
