//! One session: reads what is due, serves commands between requests, proves the link alive when nothing is due.

use std::collections::VecDeque;
use std::time::Duration;

use guideway_contract::{
    Counters, Fault, Native, Outlet, PointSpec, RawBatch, RawReading, Schedule, SessionEnd, Timestamp,
    point_id,
};
use tokio::time::{Instant, sleep_until};

use crate::catalog::Catalog;
use crate::codec::cip::{self, Reply, Status, service};
use crate::codec::template::MOST_BYTES;
use crate::codec::value::{self, Shape};
use crate::link::{Link, broken};
use crate::plan::{Batch, Item, Limits, plan};
use crate::target::Target;
use crate::{Config, Point};

/// How long the link may be quiet before it is asked whether it is alive.
const QUIET: Duration = Duration::from_secs(5);

/// A point, and why it has no target.
pub(crate) type Targets = Vec<Result<Target, String>>;

pub(crate) struct Session<'a> {
    pub(crate) link: Link,
    pub(crate) points: &'a [PointSpec<Point>],
    pub(crate) targets: &'a mut Targets,
    pub(crate) catalog: Catalog,
    limits: Limits,
}

/// How reading one point went.
enum Read {
    Value(Native),
    Bad(String),
    /// It is to be read again, in another way.
    Again(Batch),
}

impl<'a> Session<'a> {
    pub(crate) async fn open(
        config: &Config,
        points: &'a [PointSpec<Point>],
        targets: &'a mut Targets,
    ) -> Result<Self, SessionEnd> {
        let mut link = Link::open(config).await.map_err(|end| first(config, end))?;
        // That the module answers says nothing of the controller behind it.
        link.call(service::GET_ATTRIBUTE, &[&cip::IDENTITY[..], &[0x30, 7]].concat(), &[]).await?;
        targets.iter_mut().flatten().for_each(Target::forget);
        let limits = link.limits(config.max_batch);
        Ok(Self { link, points, targets, catalog: Catalog::default(), limits })
    }

    /// Runs until the session is over.
    pub(crate) async fn run(&mut self, outlet: &mut Outlet) -> SessionEnd {
        outlet.connected().await;
        outlet.health().set_property(
            "messaging",
            &format!(
                "{}, {} bytes",
                if self.link.is_connected() { "connected" } else { "unconnected" },
                self.limits.request
            ),
        );
        match self.turns(outlet).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn turns(&mut self, outlet: &mut Outlet) -> Result<std::convert::Infallible, SessionEnd> {
        let polled: Vec<usize> = (0..self.points.len())
            .filter(|&at| self.points[at].access.reads() && self.targets[at].is_ok())
            .collect();
        let mut schedule = Schedule::new(polled.iter().map(|&at| self.points[at].period));
        self.tell_unreadable(outlet).await?;
        let mut commanded = true;
        loop {
            let quiet = self.link.heard + QUIET;
            tokio::select! {
                biased;
                () = outlet.cancelled().clone().cancelled_owned() => return Err(SessionEnd::Stopped),
                request = outlet.commands().recv(), if commanded => match request {
                    Some(request) => self.command(request).await?,
                    None => commanded = false,
                },
                () = schedule.due() => {
                    let due: Vec<usize> = schedule.take().into_iter().map(|at| polled[at]).collect();
                    self.turn(&due, outlet).await?;
                }
                () = sleep_until(quiet) => {
                    let path = [&cip::IDENTITY[..], &[0x30, 5]].concat();
                    self.link.call(service::GET_ATTRIBUTE, &path, &[]).await?;
                }
            }
            self.count(outlet);
        }
    }

    /// Points whose address cannot be read are bad from the start.
    async fn tell_unreadable(&self, outlet: &Outlet) -> Result<(), SessionEnd> {
        let now = Timestamp::now();
        let unreadable = self.targets.iter().enumerate().filter(|(at, _)| self.points[*at].access.reads());
        let readings = unreadable
            .filter_map(|(at, target)| Some(RawReading::bad(point_id(at), target.as_ref().err()?, now)))
            .collect();
        deliver(outlet, RawBatch { arrival: now, readings }).await
    }

    fn count(&mut self, outlet: &Outlet) {
        let (bytes, packets) = std::mem::take(&mut self.link.read);
        Counters::add(&outlet.health().counters.bytes, bytes);
        Counters::add(&outlet.health().counters.frames, packets);
    }

    /// Reads these points, and serves what is commanded between requests.
    async fn turn(&mut self, due: &[usize], outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let items: Vec<Item> = due.iter().filter_map(|&point| self.item(point)).collect();
        let mut work = VecDeque::from(plan(&items, self.limits));
        while let Some(batch) = work.pop_front() {
            if let Some(request) = outlet.commands().try_recv() {
                self.command(request).await?;
            }
            if outlet.cancelled().is_cancelled() {
                return Err(SessionEnd::Stopped);
            }
            let mut read = Vec::new();
            match batch {
                Batch::Packet(points) => self.packet(points, &mut read, &mut work).await?,
                Batch::Single(point) => {
                    let request = self.targets[point].as_ref().map(Target::request).unwrap_or_default();
                    let reply = self.link.send(service::READ, request).await?;
                    read.push((point, self.settle(point, &reply)));
                }
                Batch::Pieces(point) => {
                    let found = self.pieces(point).await?;
                    let found = found.map(|(shape, data)| self.take(point, shape, &data));
                    read.push((point, found.unwrap_or_else(Read::Bad)));
                }
                Batch::Describe(point) => {
                    self.describe(point).await?;
                    work.push_front(Batch::Single(point));
                }
            }
            let now = Timestamp::now();
            let mut readings = Vec::with_capacity(read.len());
            for (point, read) in read {
                match read {
                    Read::Value(value) => readings.push(RawReading::good(point_id(point), value, now)),
                    Read::Bad(cause) => {
                        outlet.fault(Fault::Rejected, || format!("{}: {cause}", self.points[point].name));
                        readings.push(RawReading::bad(point_id(point), cause, now));
                    }
                    Read::Again(batch) => work.push_front(batch),
                }
            }
            self.count(outlet);
            deliver(outlet, RawBatch { arrival: now, readings }).await?;
        }
        Ok(())
    }

    fn item(&self, point: usize) -> Option<Item> {
        let target = self.targets[point].as_ref().ok()?;
        Some(Item { point, request: target.request().len(), reply: target.expected() })
    }

    /// Several points in one packet. One that is refused as a whole is halved until the cause stands alone.
    async fn packet(
        &mut self,
        points: Vec<usize>,
        read: &mut Vec<(usize, Read)>,
        work: &mut VecDeque<Batch>,
    ) -> Result<(), SessionEnd> {
        let request = |&point: &usize| self.targets[point].as_ref().map(Target::request).unwrap_or_default();
        let requests: Vec<&[u8]> = points.iter().map(request).collect();
        let reply =
            self.link.call(service::MULTIPLE, &cip::MESSAGE_ROUTER, &cip::multiple(&requests)).await?;
        if !matches!(reply.status.general, Status::SUCCESS | Status::EMBEDDED) {
            if reply.status.general == Status::NO_SERVICE {
                self.limits.items = 1;
                points.iter().rev().for_each(|&point| work.push_front(Batch::Single(point)));
                return Ok(());
            }
            let (first, second) = points.split_at(points.len() / 2);
            for half in [second, first] {
                match half[..] {
                    [] => {}
                    [point] => work.push_front(Batch::Single(point)),
                    _ => work.push_front(Batch::Packet(half.to_vec())),
                }
            }
            return Ok(());
        }
        let replies = cip::multiple_replies(&reply.data).map_err(broken)?;
        if replies.len() != points.len() {
            let (asked, answered) = (points.len(), replies.len());
            return Err(SessionEnd::Protocol(format!("{asked} requests in a packet, {answered} replies")));
        }
        for (&point, reply) in points.iter().zip(replies) {
            let reply = cip::reply(reply).map_err(broken)?;
            if !reply.answers(service::READ) {
                return Err(SessionEnd::Protocol("a packet's reply answers another request".into()));
            }
            read.push((point, self.settle(point, &reply)));
        }
        Ok(())
    }

    /// What the reply to a Read Tag says of a point.
    fn settle(&mut self, point: usize, reply: &Reply) -> Read {
        if reply.status.is_partial() {
            return Read::Again(Batch::Pieces(point));
        }
        if !reply.status.is_success() {
            return self.refused(point, reply.status);
        }
        match value::split_type(&reply.data) {
            Ok((shape, data)) => self.take(point, shape, data),
            Err(error) => Read::Bad(error.to_string()),
        }
    }

    fn refused(&mut self, point: usize, status: Status) -> Read {
        let address = &self.points[point].address;
        if status.is_path() {
            if self.targets[point].as_mut().is_ok_and(Target::turn) {
                return Read::Again(Batch::Single(point));
            }
            return Read::Bad(format!("no tag, member or element `{address}`: {status}"));
        }
        Read::Bad(format!("`{address}`: {status}"))
    }

    fn take(&mut self, point: usize, shape: Shape, data: &[u8]) -> Read {
        let templates = &self.catalog.templates;
        let Ok(target) = &mut self.targets[point] else { return Read::Bad("no address".into()) };
        if target.is_turned_by(shape) && target.turn() {
            return Read::Again(Batch::Single(point));
        }
        if target.wants_description(shape, templates) {
            return Read::Again(Batch::Describe(point));
        }
        match target.value(shape, data, templates) {
            Ok(value) => Read::Value(value),
            Err(cause) => Read::Bad(format!("`{}`: {cause}", self.points[point].address)),
        }
    }

    /// One point that is larger than a reply: Read Tag Fragmented until there is no more.
    pub(crate) async fn pieces(
        &mut self,
        point: usize,
    ) -> Result<Result<(Shape, Vec<u8>), String>, SessionEnd> {
        let Ok((path, elements)) = self.targets[point].as_ref().map(Target::place) else {
            return Ok(Err("no address".into()));
        };
        let mut found: Option<(Shape, Vec<u8>)> = None;
        loop {
            let offset = found.as_ref().map_or(0, |(_, data)| data.len());
            let mut data = elements.to_le_bytes().to_vec();
            data.extend_from_slice(&u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes());
            let reply = self.link.call(service::READ_FRAGMENTED, &path, &data).await?;
            if !reply.status.is_success() && !reply.status.is_partial() {
                let address = &self.points[point].address;
                return Ok(Err(format!("`{address}`: {}", reply.status)));
            }
            let (shape, piece) = value::split_type(&reply.data).map_err(broken)?;
            let (first, whole) = found.get_or_insert_with(|| (shape, Vec::new()));
            let stuck = reply.status.is_partial() && piece.is_empty();
            if *first != shape || stuck || whole.len() + piece.len() > MOST_BYTES as usize {
                return Ok(Err("its pieces do not fit together, or are more than 64 KiB".into()));
            }
            whole.extend_from_slice(piece);
            if reply.status.is_success() {
                return found.map(Ok).ok_or_else(|| SessionEnd::Protocol("a tag without a value".into()));
            }
        }
    }

    /// Learns the members of a point's structure.
    pub(crate) async fn describe(&mut self, point: usize) -> Result<(), SessionEnd> {
        let Ok(address) = self.targets[point].as_ref().map(|target| target.address.clone()) else {
            return Ok(());
        };
        if self.targets[point].as_ref().is_ok_and(|target| target.described.is_some()) {
            // What was listed before is no longer so.
            self.catalog = Catalog::default();
        }
        let described = self.catalog.describe(&mut self.link, &address).await?;
        if let Ok(target) = &mut self.targets[point] {
            target.described = Some((Instant::now(), described));
        }
        Ok(())
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }
}

/// What silence while a session is opened most likely means.
fn first(config: &Config, end: SessionEnd) -> SessionEnd {
    let cause = match end {
        SessionEnd::Silent(_) => {
            "connected, but no answer in EtherNet/IP: is this the controller's port?".into()
        }
        SessionEnd::Lost(cause) => {
            format!("closed while a session was opened ({cause}); the device may have none free")
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
                Some(request) => drop(request.reply.send(guideway_contract::Outcome::NotSent("no session".into()))),
                None => commanded = false,
            },
        }
    }
}
