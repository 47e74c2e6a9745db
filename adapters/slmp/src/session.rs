//! One session: reads what is due, serves commands between requests, proves the link alive when nothing is due.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use guideway_contract::{
    Counters, Fault, Native, Outcome, Outlet, PointSpec, RawBatch, RawReading, Schedule, SessionEnd,
    Timestamp, point_id,
};
use tokio::time::{Instant, sleep_until};

use crate::address::{Place, number};
use crate::codec::{end_code, frame, frame::command, value};
use crate::config::{Config, Point};
use crate::link::{EndCode, Link, broken};
use crate::plan::{Batch, Block, Limits, plan};

/// How long the link may be quiet before it is asked whether it is alive.
const QUIET: Duration = Duration::from_secs(5);
/// When a point that the controller refused is asked for again.
const AGAIN: Duration = Duration::from_secs(10);

pub(crate) type Places = Vec<Result<Place, String>>;

pub(crate) struct Session<'a> {
    pub(crate) link: Link,
    pub(crate) points: &'a [PointSpec<Point>],
    pub(crate) places: &'a Places,
    limits: Limits,
    model: String,
    /// Points that the controller refuses, why, and when they are tried again.
    refused: HashMap<usize, (String, Instant)>,
    /// Plans of turns that came before, by the points that were due.
    plans: HashMap<Vec<usize>, Vec<Batch>>,
}

impl<'a> Session<'a> {
    pub(crate) async fn open(
        config: &Config,
        points: &'a [PointSpec<Point>],
        places: &'a Places,
    ) -> Result<Self, SessionEnd> {
        let mut link = Link::open(config).await?;
        // A controller that does not tell its name answers all the same.
        let model = link.call(command::TYPE_NAME, &[]).await.map_err(|end| first(config, end))?;
        let model = model.ok().and_then(|data| frame::model(&data));
        let (limits, model) = (Limits::from(config), model.unwrap_or_default());
        Ok(Self { link, points, places, limits, model, refused: HashMap::new(), plans: HashMap::new() })
    }

    /// Runs until the session is over.
    pub(crate) async fn run(&mut self, outlet: &mut Outlet) -> SessionEnd {
        outlet.connected().await;
        if !self.model.is_empty() {
            outlet.health().set_property("model", &self.model);
        }
        match self.turns(outlet).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn turns(&mut self, outlet: &mut Outlet) -> Result<std::convert::Infallible, SessionEnd> {
        let polled: Vec<usize> = (0..self.points.len())
            .filter(|&at| self.points[at].access.reads() && self.places[at].is_ok())
            .collect();
        let mut schedule = Schedule::new(polled.iter().map(|&at| self.points[at].period));
        self.tell_unreadable(outlet).await?;
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        loop {
            let quiet = self.link.heard + QUIET;
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                request = outlet.commands().recv(), if commanded => match request {
                    Some(request) => self.command(request).await?,
                    None => commanded = false,
                },
                () = schedule.due() => {
                    let due: Vec<usize> = schedule.take().into_iter().map(|at| polled[at]).collect();
                    self.turn(due, outlet).await?;
                }
                () = sleep_until(quiet) => {
                    // Any answer proves it alive.
                    let _ = self.link.call(command::TYPE_NAME, &[]).await?;
                }
            }
            self.count(outlet);
        }
    }

    /// Points whose address cannot be read are bad from the start.
    async fn tell_unreadable(&self, outlet: &Outlet) -> Result<(), SessionEnd> {
        let now = Timestamp::now();
        let unreadable = self.places.iter().enumerate().filter(|(at, _)| self.points[*at].access.reads());
        let readings = unreadable
            .filter_map(|(at, place)| Some(RawReading::bad(point_id(at), place.as_ref().err()?, now)))
            .collect();
        deliver(outlet, RawBatch { arrival: now, readings }).await
    }

    fn count(&mut self, outlet: &Outlet) {
        let (bytes, frames) = std::mem::take(&mut self.link.read);
        Counters::add(&outlet.health().counters.bytes, bytes);
        Counters::add(&outlet.health().counters.frames, frames);
    }

    /// Reads these points, and serves what is commanded between requests.
    async fn turn(&mut self, due: Vec<usize>, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let mut work = VecDeque::from(self.planned(due, outlet).await?);
        while let Some(batch) = work.pop_front() {
            if let Some(request) = outlet.commands().try_recv() {
                self.command(request).await?;
            }
            if outlet.cancelled().is_cancelled() {
                return Err(SessionEnd::Stopped);
            }
            let readings = match batch {
                Batch::Block(block) => match self.block(&block).await? {
                    Ok(words) => self.values(&[(&block, &words)]),
                    Err(code) => self.refusal(block, code, &mut work),
                },
                Batch::Random(blocks) => match self.random(&blocks).await? {
                    Ok(words) => {
                        let found: Vec<(&Block, &[u8])> =
                            blocks.iter().zip(words.iter().map(Vec::as_slice)).collect();
                        self.values(&found)
                    }
                    Err(code) => self.random_refusal(blocks, code, &mut work),
                },
            };
            self.count(outlet);
            for reading in readings.iter().filter(|reading| reading.value.is_bad()) {
                outlet.fault(Fault::Rejected, || {
                    format!("{}: {}", self.points[reading.point.index()].name, reading.value)
                });
            }
            deliver(outlet, RawBatch { arrival: Timestamp::now(), readings }).await?;
        }
        Ok(())
    }

    /// The plan for points that are due. Those that the controller refuses are told bad without being asked for, until
    /// it is time to try them again, alone.
    async fn planned(&mut self, due: Vec<usize>, outlet: &Outlet) -> Result<Vec<Batch>, SessionEnd> {
        let now = Instant::now();
        let mut retried = Vec::new();
        let mut readings = Vec::new();
        let mut asked = Vec::with_capacity(due.len());
        for point in due {
            match self.refused.get(&point) {
                None => asked.push(point),
                Some((_, again)) if *again <= now => retried.push(point),
                Some((cause, _)) => readings.push(RawReading::bad(point_id(point), cause, Timestamp::now())),
            }
        }
        deliver(outlet, RawBatch { arrival: Timestamp::now(), readings }).await?;
        let mut batches = match self.plans.get(&asked) {
            Some(batches) => batches.clone(),
            None => {
                let batches = plan(
                    asked.iter().filter_map(|&point| Some((point, self.places[point].as_ref().ok()?))),
                    self.limits,
                );
                // There are as many as there are groups of periods that fall together; more are not kept.
                if self.plans.len() >= 64 {
                    self.plans.clear();
                }
                self.plans.insert(asked, batches.clone());
                batches
            }
        };
        for point in retried {
            batches
                .extend(self.places[point].as_ref().ok().map(|place| Batch::Block(Block::of(point, place))));
        }
        Ok(batches)
    }

    /// Words in a row, with as many requests as they need.
    async fn block(&mut self, block: &Block) -> Result<Result<Vec<u8>, EndCode>, SessionEnd> {
        let mut all = Vec::with_capacity(2 * block.words as usize);
        let mut done = 0;
        while done < block.words {
            let count = (block.words - done).min(self.limits.words);
            let points = u16::try_from(count).unwrap_or(u16::MAX);
            let data = frame::block(number(block.device, block.word + done), block.device.code, points);
            match self.link.call(command::READ, &data).await? {
                Ok(reply) => all.extend_from_slice(frame::words(&reply, count as usize).map_err(broken)?),
                Err(code) => return Ok(Err(code)),
            }
            done += count;
        }
        Ok(Ok(all))
    }

    /// Words one by one; the bytes of each block.
    async fn random(&mut self, blocks: &[Block]) -> Result<Result<Vec<Vec<u8>>, EndCode>, SessionEnd> {
        let words = |block: &Block| {
            (block.word..block.word + block.words)
                .map(|word| (number(block.device, word), block.device.code))
                .collect::<Vec<_>>()
        };
        let devices: Vec<(u32, u8)> = blocks.iter().flat_map(words).collect();
        let reply = match self.link.call(command::READ_RANDOM, &frame::random(&devices)).await? {
            Ok(reply) => reply,
            Err(code) => return Ok(Err(code)),
        };
        let mut rest = frame::words(&reply, devices.len()).map_err(broken)?;
        let mut found = Vec::with_capacity(blocks.len());
        for block in blocks {
            let Some((own, others)) = rest.split_at_checked(2 * block.words as usize) else {
                return Err(SessionEnd::Protocol("a reply of fewer words than asked for".into()));
            };
            found.push(own.to_vec());
            rest = others;
        }
        Ok(Ok(found))
    }

    /// What the words of blocks say of their points.
    fn values(&mut self, found: &[(&Block, &[u8])]) -> Vec<RawReading> {
        let now = Timestamp::now();
        let mut readings = Vec::new();
        for (block, words) in found {
            for &point in &block.points {
                let Ok(place) = &self.places[point] else { continue };
                let first = 2 * place.word.saturating_sub(block.word) as usize;
                let own = words.get(first..first + 2 * place.words as usize);
                let value = own.map_or_else(
                    || Err("the reply is too short".into()),
                    |own| value::decode(own, place.bit, place.data_type),
                );
                let address = &self.points[point].address;
                let value = value.unwrap_or_else(|cause| Native::bad(format!("`{address}`: {cause}")));
                self.refused.remove(&point);
                readings.push(match value {
                    Native::Bad(cause) => RawReading::bad(point_id(point), cause, now),
                    value => RawReading::good(point_id(point), value, now),
                });
            }
        }
        readings
    }

    /// Scattered words that the controller refused together are read block by block.
    fn random_refusal(
        &mut self,
        blocks: Vec<Block>,
        code: EndCode,
        work: &mut VecDeque<Batch>,
    ) -> Vec<RawReading> {
        let is_limit = end_code::is_too_many(code.0);
        if is_limit || end_code::is_unknown_command(code.0) {
            // This controller takes less than its family does, or nothing of the kind.
            let asked: usize = blocks.iter().map(|block| block.words as usize).sum();
            let most = if is_limit && asked > 4 { asked / 2 } else { 0 };
            self.limits.random = self.limits.random.min(most);
            self.plans.clear();
        } else if !end_code::is_about_points(code.0) {
            return refused_as_a_whole(blocks.iter().flat_map(|block| &block.points), code);
        }
        blocks.into_iter().rev().for_each(|block| work.push_front(Batch::Block(block)));
        Vec::new()
    }

    /// A block that the controller refused: halved until the cause stands alone, which is then left out for a while.
    fn refusal(&mut self, block: Block, code: EndCode, work: &mut VecDeque<Batch>) -> Vec<RawReading> {
        let asked = block.words.min(self.limits.words);
        if end_code::is_too_many(code.0) && asked > 32 {
            // This controller takes less than its family does.
            self.limits.words = asked / 2;
            self.plans.clear();
            if let [_] = block.points[..] {
                work.push_front(Batch::Block(block));
                return Vec::new();
            }
        }
        if !end_code::is_about_points(code.0) {
            return refused_as_a_whole(&block.points, code);
        }
        if let [point] = block.points[..] {
            let cause = format!("`{}`: {code}", self.points[point].address);
            let reading = RawReading::bad(point_id(point), &cause, Timestamp::now());
            self.refused.insert(point, (cause, Instant::now() + AGAIN));
            return vec![reading];
        }
        // Points are in the order of their words.
        let (low, high) = block.points.split_at(block.points.len() / 2);
        for half in [high, low] {
            let places = half.iter().filter_map(|&point| Some((point, self.places[point].as_ref().ok()?)));
            let limits = Limits { random: 0, gap: self.limits.words, ..self.limits };
            plan(places, limits).into_iter().for_each(|batch| work.push_front(batch));
        }
        Vec::new()
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }
}

/// The controller is busy, locked or not reached: asking for less would not help.
fn refused_as_a_whole<'a>(points: impl IntoIterator<Item = &'a usize>, code: EndCode) -> Vec<RawReading> {
    let now = Timestamp::now();
    points.into_iter().map(|&point| RawReading::bad(point_id(point), code.to_string(), now)).collect()
}

/// What an end on the very first request most likely means.
fn first(config: &Config, end: SessionEnd) -> SessionEnd {
    let cause = match end {
        SessionEnd::Silent(_) => format!(
            "connected, but no answer to a {} frame: the port has to be an SLMP connection in binary code; see also `frame`",
            if config.frame == frame::Frame::E4 { "4E" } else { "3E" }
        ),
        SessionEnd::Lost(cause) => {
            format!(
                "closed at the first request ({cause}): each SLMP port takes one connection, and another client may have it"
            )
        }
        end => return end,
    };
    SessionEnd::NotConnected { endpoint: config.endpoint(), cause }
}

/// Hands a batch to the pipeline, however busy it is, unless the agent stops.
async fn deliver(outlet: &Outlet, batch: RawBatch) -> Result<(), SessionEnd> {
    tokio::select! {
        biased;
        () = outlet.raw(batch) => Ok(()),
        () = outlet.cancelled().cancelled() => Err(SessionEnd::Stopped),
    }
}

/// Waits for a session that opens, and answers commands meanwhile.
pub(crate) async fn opened<T>(
    opening: impl Future<Output = Result<T, SessionEnd>>,
    outlet: &mut Outlet,
) -> Result<T, SessionEnd> {
    let cancel = outlet.cancelled().clone();
    tokio::pin!(opening);
    let mut commanded = true;
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(SessionEnd::Stopped),
            opened = &mut opening => return opened,
            request = outlet.commands().recv(), if commanded => match request {
                // A requester that has gone away no longer needs the answer.
                Some(request) => drop(request.reply.send(Outcome::NotSent("no session".into()))),
                None => commanded = false,
            },
        }
    }
}
