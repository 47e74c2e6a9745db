//! An adapter under supervision, with a test in the agent's place.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{Collector, outlet};
use crate::{
    Adapter, Backoff, Command, CommandRequest, Health, Native, Outcome, PointId, PointTable, RawReading,
    Signal, Write, supervise,
};

/// A supervised adapter; sessions follow each other with pauses of 50 to 500 ms.
#[derive(Debug)]
pub struct Running {
    /// The agent's end of its outlet.
    pub collector: Collector,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts it.
    pub fn start(adapter: Box<dyn Adapter>) -> Self {
        Self::with(adapter, PointTable::default(), Duration::from_millis(50))
    }

    /// Starts an adapter that is fed by key, or with another first pause.
    pub fn with(adapter: Box<dyn Adapter>, points: PointTable, pause: Duration) -> Self {
        let (outlet, collector) = outlet(points);
        let backoff = Backoff::new(pause, pause * 10);
        Self { collector, task: tokio::spawn(supervise(adapter, outlet, backoff)) }
    }

    /// What the adapter says of itself.
    pub fn health(&self) -> &Health {
        &self.collector.health
    }

    /// The next signal before `deadline`.
    pub async fn signal(&mut self, deadline: Instant, what: &str) -> Signal {
        match timeout_at(deadline, self.collector.next()).await {
            Ok(Some(signal)) => signal,
            Ok(None) => panic!("the adapter ended while waiting for {what}"),
            Err(_) => panic!("no {what} in time; last error: {:?}", self.health().last_error()),
        }
    }

    /// Waits for a session to be up.
    pub async fn connected(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        while !matches!(self.signal(deadline, "connection").await, Signal::Connected { .. }) {}
    }

    /// Waits for a session to be over.
    pub async fn disconnected(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        while !matches!(self.signal(deadline, "end of the session").await, Signal::Disconnected { .. }) {}
    }

    /// The next reading of a point, within 10 s.
    pub async fn latest(&mut self, point: u32) -> RawReading {
        let deadline = Instant::now() + Duration::from_secs(10);
        self.reading(point, deadline, |_| true).await
    }

    /// How many readings of a point wait to be looked at; they are gone then.
    pub fn waiting(&mut self, point: u32) -> usize {
        let of_batch = |signal: Signal| match signal {
            Signal::Raw(batch) => batch.readings.iter().filter(|reading| reading.point.0 == point).count(),
            _ => 0,
        };
        self.collector.drain().into_iter().map(of_batch).sum()
    }

    /// Waits until a point has that value.
    pub async fn value(&mut self, point: u32, wanted: &Native, within: Duration) -> RawReading {
        self.reading(point, Instant::now() + within, |value| value == wanted).await
    }

    /// Waits until a point has a value that suits.
    pub async fn reading(
        &mut self,
        point: u32,
        deadline: Instant,
        mut suits: impl FnMut(&Native) -> bool,
    ) -> RawReading {
        let mut last = None;
        loop {
            let next = timeout_at(deadline, self.collector.next()).await;
            let Ok(Some(signal)) = next else {
                panic!("point {point} was {last:?} to the end; last error: {:?}", self.health().last_error());
            };
            let Signal::Raw(batch) = signal else { continue };
            for reading in batch.readings {
                if reading.point == PointId(point) {
                    if suits(&reading.value) {
                        return reading;
                    }
                    last = Some(reading.value);
                }
            }
        }
    }

    /// One reading of each of the points 0 to `count`.
    pub async fn all(&mut self, count: usize, within: Duration) -> Vec<RawReading> {
        let deadline = Instant::now() + within;
        let mut found: Vec<Option<RawReading>> = vec![None; count];
        while let Some(missing) = found.iter().position(Option::is_none) {
            let what = format!("reading of point {missing}");
            if let Signal::Raw(batch) = self.signal(deadline, &what).await {
                for reading in batch.readings {
                    let index = reading.point.index();
                    if let Some(place) = found.get_mut(index) {
                        *place = Some(reading);
                    }
                }
            }
        }
        found.into_iter().flatten().collect()
    }

    /// Has the adapter write, in order, within 5 s; signals that come meanwhile wait.
    pub async fn write(&self, writes: &[(u32, Native)]) -> Outcome {
        let writes =
            writes.iter().map(|(point, value)| Write { point: PointId(*point), value: value.clone() });
        let command =
            Command { id: "test".into(), writes: writes.collect(), timeout: Duration::from_secs(5) };
        let (reply, outcome) = oneshot::channel();
        self.collector.commands.send(CommandRequest { command, reply }).await.unwrap();
        outcome.await.unwrap_or_else(|_| Outcome::Unknown("dropped without a word".into()))
    }

    /// Stops it, within 10 s. An adapter that panicked fails the test here.
    pub async fn stop(mut self) {
        self.collector.cancel.cancel();
        let deadline = Instant::now() + Duration::from_secs(10);
        // An adapter that waits for room in its channel must find some.
        while timeout_at(deadline, self.collector.next())
            .await
            .unwrap_or_else(|_| panic!("it does not stop"))
            .is_some()
        {}
        self.task.await.unwrap();
    }
}
