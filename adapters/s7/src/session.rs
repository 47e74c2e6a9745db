//! One session: connect, poll, find out which point is to blame, write, notice a dead peer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{
    Adapter, Capabilities, Counters, Fault, Found, Outcome, Outlet, PointSpec, RawBatch, RawReading,
    Schedule, SessionEnd, SessionFuture, Timestamp, point_id,
};
use tokio::time::Instant;

use crate::address::{Area, Place};
use crate::codec::cause::Denial;
use crate::codec::job::{self, MOST_ITEMS, Span};
use crate::codec::{CodecError, user_data, value};
use crate::layout::Layout;
use crate::link::{Link, broken, endpoint};
use crate::plan::{Block, Limits, Plan, blocks};
use crate::{Config, Point, browse};

/// After so long without an answer something cheap is asked, so that a dead peer is noticed.
const IDLE: Duration = Duration::from_secs(5);
/// How long a denied point is left alone.
const RETRY: Duration = Duration::from_secs(10);
/// Most plans that are kept; each set of points that fall due together has one.
const MOST_PLANS: usize = 64;

/// One controller and its points.
#[derive(Debug)]
pub(crate) struct Plc {
    config: Config,
    points: Vec<PointSpec<Point>>,
    /// Where each point lies, or why it cannot be read or written.
    layouts: Vec<Result<Layout, Arc<str>>>,
    /// It did not answer when asked who it is, and is not asked again.
    mute: bool,
}

impl Plc {
    pub(crate) fn new(config: Config, points: Vec<PointSpec<Point>>) -> Self {
        let layouts =
            points.iter().map(|point| Layout::new(point).map_err(|issue| issue.what.into())).collect();
        Self { config, points, layouts, mute: false }
    }

    /// Opens the connection; commands that come meanwhile are not sent.
    async fn connect(&self, outlet: &mut Outlet) -> Result<Link, SessionEnd> {
        let cancel = outlet.cancelled().clone();
        let attempt = Link::open(&self.config);
        tokio::pin!(attempt);
        let mut writable = true;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                connected = &mut attempt => return connected,
                request = outlet.commands().recv(), if writable => match request {
                    // A requester that has gone away no longer needs the answer.
                    Some(request) => drop(request.reply.send(Outcome::NotSent("no session".into()))),
                    None => writable = false,
                },
            }
        }
    }

    async fn run(&mut self, outlet: &mut Outlet) -> Result<Never, SessionEnd> {
        let link = self.connect(outlet).await?;
        let mute = self.mute;
        let limits = Limits { pdu: link.pdu, max_gap: self.config.max_gap.into() };
        let mut session = Session {
            config: &self.config,
            points: &self.points,
            layouts: &self.layouts,
            link,
            limits,
            outlet,
            plans: HashMap::new(),
            denied: HashMap::new(),
            counted: 0,
            heard: Instant::now(),
        };
        if !mute && let Err(end) = session.identify().await {
            // Some stacks answer jobs only. The question has made this connection useless; the next goes without.
            self.mute = !matches!(end, SessionEnd::Stopped);
            return Err(end);
        }
        session.run().await
    }
}

impl Adapter for Plc {
    fn protocol(&self) -> &'static str {
        "s7"
    }

    fn endpoint(&self) -> String {
        endpoint(&self.config)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { polled: true, browsable: true, writable: true, subscribed: false }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(async move {
            match self.run(outlet).await {
                Ok(never) => match never {},
                Err(end) => {
                    if let SessionEnd::Protocol(what) = &end {
                        outlet.fault(Fault::Malformed, || what.clone());
                    }
                    end
                }
            }
        })
    }

    fn browse<'a>(
        &'a mut self,
        address: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<Found>, SessionEnd>> + Send + 'a>> {
        Box::pin(browse::browse(&self.config, address))
    }
}

/// A session has no good end.
pub(crate) enum Never {}

/// Why a point cannot be read at present.
#[derive(Debug)]
struct Denied {
    cause: Arc<str>,
    denial: Denial,
    again: Instant,
}

pub(crate) struct Session<'a> {
    pub(crate) config: &'a Config,
    pub(crate) points: &'a [PointSpec<Point>],
    pub(crate) layouts: &'a [Result<Layout, Arc<str>>],
    link: Link,
    pub(crate) limits: Limits,
    pub(crate) outlet: &'a mut Outlet,
    /// By the points that are read together.
    plans: HashMap<Vec<usize>, Arc<Plan>>,
    denied: HashMap<usize, Denied>,
    /// Bytes that health knows of.
    counted: usize,
    heard: Instant,
}

impl Session<'_> {
    /// Asks for the order number. A refusal is no matter.
    async fn identify(&mut self) -> Result<(), SessionEnd> {
        use user_data::{Group, MODULE, order_number, reply, request};
        let (reference, pdu) =
            self.ask(self.config.timeout, |reference| request(reference, Group::Szl, &MODULE)).await?;
        match reply(&pdu, reference, Group::Szl) {
            Ok(part) => {
                if let Some(order) = order_number(part.data) {
                    self.outlet.health().set_property("plc", &order);
                }
            }
            // The answer of a stack that knows no user data may be a refused job.
            Err(CodecError::Unexpected { .. } | CodecError::Short(_)) => {}
            Err(error) => return Err(broken(error)),
        }
        Ok(())
    }

    async fn run(&mut self) -> Result<Never, SessionEnd> {
        self.outlet.health().set_property("pduSize", &self.limits.pdu.to_string());
        self.outlet.connected().await;
        let polled: Vec<usize> =
            (0..self.points.len()).filter(|index| self.points[*index].access.reads()).collect();
        let mut schedule = Schedule::new(polled.iter().map(|index| self.points[*index].period));
        let cancel = self.outlet.cancelled().clone();
        let mut writable = true;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                request = self.outlet.commands().recv(), if writable => match request {
                    Some(request) => self.command(request).await?,
                    None => writable = false,
                },
                () = schedule.due() => {
                    let due = schedule.take().into_iter().map(|place| polled[place]).collect();
                    self.turn(due).await?;
                }
                () = tokio::time::sleep_until(self.heard + IDLE) => self.knock().await?,
            }
        }
    }

    /// A cheap question; any answer to it will do.
    async fn knock(&mut self) -> Result<(), SessionEnd> {
        let span = Span { place: Place { area: Area::Memory, db: 0, start: 0 }, length: 1 };
        self.read(&[span], self.config.timeout, |_| ()).await.map(|_| ())
    }

    /// Reads the points that are due.
    async fn turn(&mut self, due: Vec<usize>) -> Result<(), SessionEnd> {
        let now = Instant::now();
        let (mut fine, mut once_more, mut known) = (Vec::with_capacity(due.len()), Vec::new(), Vec::new());
        for point in due {
            match (&self.layouts[point], self.denied.get(&point)) {
                (Err(cause), _) => known.push((point, cause.clone())),
                (_, Some(denied)) if denied.again > now => known.push((point, denied.cause.clone())),
                (Ok(layout), Some(denied)) => once_more.push((point, layout, denied.denial.of_whole_area())),
                (Ok(_), None) => fine.push(point),
            }
        }
        if !known.is_empty() {
            let arrival = Timestamp::now();
            let bad = |(point, cause): (usize, Arc<str>)| RawReading::bad(point_id(point), cause, arrival);
            let readings = known.into_iter().map(bad).collect();
            self.outlet.raw(RawBatch { arrival, readings }).await;
        }
        let plan = self.plan(fine);
        let mut again = self.follow(&plan).await?;
        // What a missing block denied is asked for together, the others each on its own.
        let limits = self.limits;
        for merge in [true, false] {
            let these = once_more.iter().filter(|(.., whole)| *whole == merge);
            let these = these.map(|(point, layout, _)| (*point, *layout));
            again.together.extend(blocks(these, limits, merge));
        }
        // Each round halves what failed, so that there are only a few.
        while !again.together.is_empty() || !again.alone.is_empty() {
            let Again { together, alone } = again;
            again = self.follow(&Plan::new(together, limits, MOST_ITEMS)).await?;
            let more = self.follow(&Plan::new(alone, limits, 1)).await?;
            again.together.extend(more.together);
            again.alone.extend(more.alone);
        }
        Ok(())
    }

    fn plan(&mut self, points: Vec<usize>) -> Arc<Plan> {
        if let Some(plan) = self.plans.get(&points) {
            return plan.clone();
        }
        if self.plans.len() >= MOST_PLANS {
            self.plans.clear();
        }
        let layouts = points.iter().filter_map(|point| Some((*point, self.layouts[*point].as_ref().ok()?)));
        let plan = Arc::new(Plan::new(blocks(layouts, self.limits, true), self.limits, MOST_ITEMS));
        self.plans.insert(points, plan.clone());
        plan
    }

    /// Does what a plan says; gives what has to be tried again in smaller parts. Commands go between requests.
    async fn follow(&mut self, plan: &Plan) -> Result<Again, SessionEnd> {
        let mut again = Again::default();
        // Bytes of a block of which more is to come; only one at a time, as parts are in their order.
        let mut part: Vec<u8> = Vec::new();
        let mut lost_block = None;
        for request in &plan.requests {
            self.pending_commands().await?;
            let spans: Vec<Span> = request.iter().map(|piece| piece.span).collect();
            let answer = self
                .read(&spans, self.config.timeout, |items| {
                    items.into_iter().map(|item| item.map(<[u8]>::to_vec)).collect::<Vec<_>>()
                })
                .await?;
            let arrival = Timestamp::now();
            let mut readings = Vec::new();
            let items = match answer {
                Ok(items) => items,
                Err(denial) if request.len() == 1 => vec![Err(denial)],
                Err(_) => {
                    // One item of many may be what the controller does not like.
                    for piece in request {
                        if lost_block.replace(piece.block) != Some(piece.block) {
                            again.alone.push(plan.blocks[piece.block].clone());
                        }
                    }
                    part.clear();
                    continue;
                }
            };
            for (piece, item) in request.iter().zip(items) {
                let block = &plan.blocks[piece.block];
                if lost_block == Some(piece.block) {
                    continue;
                }
                match item {
                    Ok(bytes) if bytes.len() == block.length as usize => {
                        self.take(block, &bytes, arrival, &mut readings);
                    }
                    Ok(bytes) => {
                        part.extend(bytes);
                        if part.len() == block.length as usize {
                            self.take(block, &part, arrival, &mut readings);
                            part.clear();
                        }
                    }
                    Err(denial) => {
                        part.clear();
                        lost_block = Some(piece.block);
                        self.deny(block, denial, arrival, &mut readings, &mut again);
                    }
                }
            }
            self.outlet.raw(RawBatch { arrival, readings }).await;
        }
        Ok(again)
    }

    fn take(&mut self, block: &Block, bytes: &[u8], arrival: Timestamp, readings: &mut Vec<RawReading>) {
        for &point in &block.points {
            let Ok(layout) = &self.layouts[point] else { continue };
            let start = (layout.place.start - block.place.start) as usize;
            let own = bytes.get(start..start + layout.bytes() as usize).unwrap_or_default();
            if self.denied.remove(&point).is_some() {
                tracing::info!(adapter = self.outlet.name(), point = %self.points[point].name, "point can be read again");
            }
            readings.push(match value::decode(layout, own) {
                Ok(value) => RawReading::good(point_id(point), value, arrival),
                Err(cause) => {
                    let name = &self.points[point].name;
                    self.outlet.fault(Fault::Rejected, || format!("{name}: {cause}"));
                    RawReading::bad(point_id(point), cause, arrival)
                }
            });
        }
    }

    fn deny(
        &mut self,
        block: &Block,
        denial: Denial,
        arrival: Timestamp,
        readings: &mut Vec<RawReading>,
        again: &mut Again,
    ) {
        let layouts = self.layouts;
        if block.points.len() > 1 && !denial.of_whole_area() {
            let (left, right) = block.points.split_at(block.points.len() / 2);
            for half in [left, right] {
                let half = half.iter().filter_map(|point| Some((*point, layouts[*point].as_ref().ok()?)));
                again.together.extend(blocks(half, self.limits, true));
            }
            return;
        }
        for &point in &block.points {
            let Ok(layout) = &layouts[point] else { continue };
            let cause: Arc<str> = denial.about(layout.place, layout.place.start + layout.bytes()).into();
            let name = &self.points[point].name;
            readings.push(RawReading::bad(point_id(point), &*cause, arrival));
            let again = Instant::now() + RETRY;
            if self.denied.insert(point, Denied { cause: cause.clone(), denial, again }).is_none() {
                self.outlet.fault(Fault::Unmapped, || format!("{name}: {cause}"));
            }
        }
    }

    /// Reads spans in one job; the inner results are each span's.
    pub(crate) async fn read<T>(
        &mut self,
        spans: &[Span],
        within: Duration,
        take: impl FnOnce(Vec<job::Answer<&[u8]>>) -> T,
    ) -> Result<job::Answer<T>, SessionEnd> {
        let (reference, pdu) = self.ask(within, |reference| job::read(reference, spans)).await?;
        let lengths: Vec<u16> = spans.iter().map(|span| span.length).collect();
        let answer = job::read_reply(&pdu, reference, &lengths).map_err(broken)?;
        Ok(answer.map(take))
    }

    /// One request and its answer. A stop ends it, and with it the connection.
    pub(crate) async fn ask(
        &mut self,
        within: Duration,
        request: impl FnOnce(u16) -> Vec<u8>,
    ) -> Result<(u16, Vec<u8>), SessionEnd> {
        let cancel = self.outlet.cancelled().clone();
        let answer = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(SessionEnd::Stopped),
            answer = self.link.ask(within, request) => answer,
        };
        let counters = &self.outlet.health().counters;
        Counters::add(&counters.bytes, self.link.received - self.counted);
        self.counted = self.link.received;
        let answer = answer?;
        Counters::add(&counters.frames, 1);
        self.heard = Instant::now();
        Ok(answer)
    }
}

/// Blocks to be tried again.
#[derive(Debug, Default)]
struct Again {
    /// In requests of many items.
    together: Vec<Block>,
    /// Each in a request of its own.
    alone: Vec<Block>,
}
