//! One session: resolve, subscribe, poll, keep alive, write.

use std::time::Duration;

use guideway_contract::{
    Fault, Outlet, Period, PointSpec, RawBatch, RawReading, Schedule, SessionEnd, Timestamp,
};
use rustc_hash::FxHashMap;
use tokio::time::{Instant, sleep_until};

use crate::codec::command::{SUM_READ, SYMBOL_VERSION, sum_read, sum_read_items};
use crate::codec::return_code::{ReturnCode, state_word};
use crate::config::{Config, Point};
use crate::link::{Link, RequestError, SESSION_FRAME};
use crate::plan::{Item, batches};
use crate::resolve::Resolver;
use crate::slot::{Place, Slot};

/// ADS state RUN.
const RUN: u16 = 5;
/// How often the state is asked for: what keeps the connection alive, and notices a dead one.
const PULSE: Duration = Duration::from_secs(2);
/// How often symbols that were not found are asked for again.
const RETRY: Duration = Duration::from_secs(30);
/// How soon a symbol that was found, and then was not where it should be, is asked for again.
const SOON: Duration = Duration::from_secs(1);

/// Connects and runs until the session is over.
pub(crate) async fn run(
    config: &Config,
    points: &[PointSpec<Point>],
    invoke_id: &mut u32,
    outlet: &mut Outlet,
) -> SessionEnd {
    let cancel = outlet.cancelled().clone();
    let connected = Link::connect(config, *invoke_id, SESSION_FRAME, cancel).await;
    let (mut link, info) = match connected {
        Ok(connected) => connected,
        Err(end) => return end,
    };
    let state = match link.state().await {
        Ok(state) => state,
        Err(RequestError::Refused(code)) => return SessionEnd::Protocol(format!("no ADS state: {code}")),
        Err(RequestError::End(end)) => return end,
    };
    outlet.health().set_property("device", &info.name);
    outlet.health().set_property("version", &info.version);
    outlet.health().set_property("amsAddress", &link.target().to_string());
    outlet.connected().await;
    let slots: Vec<_> = points.iter().enumerate().map(|(index, spec)| Slot::new(index, spec)).collect();
    let readable: Vec<_> = (0..slots.len()).filter(|index| points[*index].access.reads()).collect();
    let mut session = Session {
        config,
        link,
        resolver: Resolver::new(config.batch > 1),
        schedule: Schedule::new([]),
        slots,
        readable,
        handles: FxHashMap::default(),
        strays: Vec::new(),
        version: None,
        version_handle: None,
        changed: false,
        state,
        sums: config.batch > 1,
        retry: Instant::now() + RETRY,
    };
    let end = session.serve(outlet).await;
    let Session { mut link, handles, version_handle, .. } = session;
    link.count(outlet.health());
    *invoke_id = link.invoke_id();
    if matches!(end, SessionEnd::Stopped) {
        link.farewell(handles.into_keys().chain(version_handle)).await;
    }
    end
}

/// A session that is up.
pub(crate) struct Session<'a> {
    pub(crate) config: &'a Config,
    pub(crate) link: Link,
    pub(crate) slots: Vec<Slot<'a>>,
    /// The slots that are read, by which the schedule counts.
    readable: Vec<usize>,
    resolver: Resolver,
    schedule: Schedule,
    /// Which slot a notification is of.
    pub(crate) handles: FxHashMap<u32, usize>,
    /// Notifications that nobody here asked for, to be given back.
    pub(crate) strays: Vec<u32>,
    /// The program's version; `None` where the device has none.
    pub(crate) version: Option<u8>,
    pub(crate) version_handle: Option<u32>,
    /// The program is not the one that was asked.
    pub(crate) changed: bool,
    pub(crate) state: u16,
    /// Whether several variables are read in one request.
    sums: bool,
    retry: Instant,
}

/// Whether what was going on makes sense still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    /// The program has changed: places are not what they were.
    Over,
}

impl Session<'_> {
    async fn serve(&mut self, outlet: &mut Outlet) -> SessionEnd {
        match self.turns(outlet).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn turns(&mut self, outlet: &mut Outlet) -> Result<std::convert::Infallible, SessionEnd> {
        self.establish(outlet).await?;
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        let mut pulse = Instant::now() + PULSE;
        loop {
            self.deliver(outlet).await;
            self.link.count(outlet.health());
            if self.changed {
                tracing::info!(
                    adapter = outlet.name(),
                    "the PLC program has changed; its symbols are asked for anew"
                );
                self.establish(outlet).await?;
            }
            // Time-driven turns come first: a controller that never stops sending must not starve them.
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                request = outlet.commands().recv(), if commanded => match request {
                    Some(request) => self.command(request).await?,
                    None => commanded = false,
                },
                () = sleep_until(pulse) => {
                    self.pulse(outlet).await?;
                    pulse = Instant::now() + PULSE;
                }
                () = self.schedule.due() => self.poll(outlet).await?,
                () = sleep_until(self.retry) => self.resolve(outlet).await?,
                heard = self.link.listen() => heard?,
            }
        }
    }

    /// Asks the program for everything anew, and has the controller watch what is to be watched.
    async fn establish(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        self.unsubscribe().await?;
        self.changed = false;
        self.slots.iter_mut().for_each(Slot::forget);
        self.resolver.forget();
        if self.state == RUN {
            self.version = self.read_version().await?;
            self.watch_version().await?;
            self.resolve(outlet).await?;
        }
        self.restart_schedule();
        Ok(())
    }

    /// Everything is due at once.
    fn restart_schedule(&mut self) {
        self.schedule = Schedule::new(self.readable.iter().map(|slot| self.slots[*slot].spec.period));
    }

    /// The program's version now; `None` where the device has none.
    pub(crate) async fn read_version(&mut self) -> Result<Option<u8>, SessionEnd> {
        match self.link.read(SYMBOL_VERSION, 0, 1).await {
            Ok(version) => Ok(version.first().copied()),
            Err(RequestError::Refused(_)) => Ok(None),
            Err(RequestError::End(end)) => Err(end),
        }
    }

    /// Asks for the symbols whose place is not known.
    async fn resolve(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        self.retry = Instant::now() + RETRY;
        if self.state != RUN {
            return Ok(());
        }
        let wanted: Vec<usize> =
            (0..self.slots.len()).filter(|slot| self.slots[*slot].wanted().is_some()).collect();
        let names: Vec<&str> =
            wanted.iter().filter_map(|slot| Some(self.slots[*slot].wanted()?.as_str())).collect();
        let symbols = self.resolver.symbols(&mut self.link, &names).await?;
        for (slot, symbol) in wanted.iter().zip(symbols) {
            let slot = &mut self.slots[*slot];
            slot.resolve(symbol, &mut self.resolver, &mut self.link).await?;
            if let Err(why) = &slot.place {
                outlet.fault(Fault::Unmapped, || format!("{}: {why}", slot.spec.address));
            }
        }
        self.subscribe().await
    }

    /// Proves that the controller is alive, and notices changes of its state and program.
    async fn pulse(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let state = match self.link.state().await {
            Ok(state) => state,
            Err(RequestError::Refused(code)) => return Err(SessionEnd::Lost(code.to_string())),
            Err(RequestError::End(end)) => return Err(end),
        };
        if state != self.state {
            tracing::info!(
                adapter = outlet.name(),
                state = state_word(state),
                "the PLC has changed its state"
            );
            self.state = state;
            return self.establish(outlet).await;
        }
        if self.state == RUN && self.version.is_some() {
            self.changed |= self.read_version().await? != self.version;
        }
        self.return_strays().await
    }

    /// Reads what is due.
    async fn poll(&mut self, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let due: Vec<usize> = self.schedule.take().into_iter().map(|index| self.readable[index]).collect();
        let now = Timestamp::now();
        let mut readings = Vec::new();
        let mut items = Vec::new();
        for index in due {
            let slot = &self.slots[index];
            if self.state != RUN && !matches!(slot.place, Ok(Place::State)) {
                let cause = format!("the PLC is in {}; its values stand still", state_word(self.state));
                readings.push(RawReading::bad(slot.id, cause, now));
            } else if let Some(reading) = slot.without_memory(self.state, now) {
                readings.push(reading);
            } else if !slot.sampled {
                items.extend(slot.item(index));
            }
        }
        outlet.raw(RawBatch { arrival: now, readings }).await;
        // The program's version is read with each batch.
        let most = usize::from(self.config.batch).saturating_sub(usize::from(self.version.is_some()));
        let most = if self.sums { most.max(1) } else { 1 };
        for batch in batches(items, most) {
            if self.batch(batch, outlet).await? == Flow::Over {
                break;
            }
            self.deliver(outlet).await;
            while let Some(request) = outlet.commands().try_recv() {
                self.command(request).await?;
            }
            if self.changed {
                break;
            }
        }
        Ok(())
    }

    /// Reads a batch; what the controller refuses as a whole is halved until the one that it objects to is alone.
    async fn batch(&mut self, batch: Vec<Item>, outlet: &Outlet) -> Result<Flow, SessionEnd> {
        let mut todo = vec![batch];
        while let Some(mut batch) = todo.pop() {
            let answers = match batch.as_slice() {
                [] => continue,
                [item] if item.alone || !self.sums => self.single(*item).await,
                _ => self.sum(&batch).await,
            };
            match answers {
                Ok(Some(answers)) => self.tell(&batch, answers, outlet).await,
                Ok(None) => return Ok(Flow::Over),
                Err(RequestError::End(end)) => return Err(end),
                Err(RequestError::Refused(code)) => {
                    self.sums &= !matches!(code.0, 0x08 | 0x0B | 0x701);
                    if !self.sums {
                        todo.extend(batch.into_iter().map(|item| vec![Item { alone: true, ..item }]));
                    } else if !code.is_about_one() {
                        let answers = batch.iter().map(|_| Err(code)).collect();
                        self.tell(&batch, answers, outlet).await;
                    } else if let [item] = batch.as_slice() {
                        self.slots[item.slot].alone = true;
                        todo.push(vec![Item { alone: true, ..*item }]);
                    } else {
                        let half = batch.split_off(batch.len() / 2);
                        todo.extend([half, batch]);
                    }
                }
            }
        }
        Ok(Flow::On)
    }

    async fn single(&mut self, item: Item) -> Result<Option<Answers>, RequestError> {
        match self.link.read(item.group, item.offset, item.size).await {
            Ok(data) => Ok(Some(vec![Ok(data)])),
            Err(RequestError::Refused(code)) => Ok(Some(vec![Err(code)])),
            Err(end) => Err(end),
        }
    }

    /// Reads several variables and the program's version, in one request; `None` when the program has changed.
    async fn sum(&mut self, batch: &[Item]) -> Result<Option<Answers>, RequestError> {
        let version = self.version.map(|_| (SYMBOL_VERSION, 0, 1));
        let places = version.into_iter().chain(batch.iter().map(|item| (item.group, item.offset, item.size)));
        let places: Vec<_> = places.collect();
        let sizes: Vec<_> = places.iter().map(|(_, _, size)| *size).collect();
        let room = sizes.iter().map(|size| 4 + size).sum();
        let count = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let question = sum_read_items(places.into_iter());
        let data = self.link.read_write(SUM_READ, count, room, &question).await?;
        let mut answers = sum_read(&data, &sizes)?;
        if let Some(known) = self.version {
            match answers.remove(0) {
                Ok(now) if now.first() != Some(&known) => {
                    self.changed = true;
                    return Ok(None);
                }
                Ok(_) => {}
                // The device tells its version, but not together with others.
                Err(_) => self.version = None,
            }
        }
        Ok(Some(answers))
    }

    async fn tell(&mut self, batch: &[Item], answers: Answers, outlet: &Outlet) {
        let now = Timestamp::now();
        let mut readings = Vec::with_capacity(batch.len());
        for (item, answer) in batch.iter().zip(answers) {
            let slot = &mut self.slots[item.slot];
            // A sample may have come meanwhile, and is newer.
            if slot.sampled {
                continue;
            }
            match answer {
                Ok(data) => match slot.read(&data, now) {
                    Some(reading) => readings.push(reading),
                    None => outlet
                        .fault(Fault::Rejected, || format!("{}: {} bytes", slot.spec.address, data.len())),
                },
                Err(code) => {
                    outlet.fault(Fault::Rejected, || format!("{}: {code}", slot.spec.address));
                    let (reading, stale) = slot.refused(code, now);
                    readings.push(reading);
                    if stale {
                        self.retry = self.retry.min(Instant::now() + SOON);
                    }
                }
            }
            slot.sampled = slot.handle.is_some();
        }
        outlet.raw(RawBatch { arrival: now, readings }).await;
    }

    /// Whether a point is read again and again.
    pub(crate) fn recurs(&self, slot: usize) -> Option<Duration> {
        match self.slots[slot].spec.period {
            Period::Every(period) if self.slots[slot].spec.access.reads() => Some(period),
            _ => None,
        }
    }

    /// Whether the PLC works.
    pub(crate) const fn runs(&self) -> bool {
        self.state == RUN
    }
}

/// What became of each variable of a batch.
type Answers = Vec<Result<bytes::Bytes, ReturnCode>>;
