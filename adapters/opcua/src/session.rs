//! One session: look the points up, subscribe, poll what cannot be subscribed to, and serve commands.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use guideway_contract::{
    Adapter, Capabilities, Counters, Fault, Found, Outlet, Period, PointSpec, RawBatch, RawReading, Schedule,
    SessionEnd, SessionFuture, Timestamp, point_id,
};
use opcua_types::{DataValue, StatusCode, VariableId};
use tokio::time::{Instant, sleep_until};

use crate::browse;
use crate::codec::value::words;
use crate::config::{Config, Point};
use crate::link::{Link, url};
use crate::nodes::{Node, look_up};
use crate::reading::{count, reading};
use crate::server::{Server, value};
use crate::subscription::{Item, Subscription};
use crate::types::Types;
use crate::wanted::Wanted;

/// How often the server may send changes, where the configuration says nothing.
const FASTEST: Duration = Duration::from_millis(50);
const SLOWEST: Duration = Duration::from_secs(1);
/// Nodes that are looked up together at first: what is found sends its values while the rest is looked up.
const AT_ONCE: usize = 5_000;

/// The adapter.
pub(crate) struct Client {
    config: Config,
    points: Vec<Result<Wanted, String>>,
}

impl Client {
    pub(crate) fn new(config: Config, points: &[PointSpec<Point>]) -> Self {
        let read = |(place, spec): (usize, &PointSpec<Point>)| {
            Wanted::parse(&config, place, spec).map_err(|issues| {
                let all: Vec<String> =
                    issues.iter().map(|issue| format!("{}: {}", issue.key, issue.what)).collect();
                all.join("; ")
            })
        };
        let points = points.iter().enumerate().map(read).collect();
        Self { config, points }
    }

    async fn connect(&self) -> Result<Server, SessionEnd> {
        let link = Link::open(&self.config).await?;
        Server::meet(link, &self.config).await
    }
}

impl Adapter for Client {
    fn protocol(&self) -> &'static str {
        "opcua"
    }

    fn endpoint(&self) -> String {
        url(&self.config)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { polled: true, subscribed: true, browsable: true, writable: true }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(async move {
            let cancel = outlet.cancelled().clone();
            let server = tokio::select! {
                server = self.connect() => match server {
                    Ok(server) => server,
                    Err(end) => return end,
                },
                () = cancel.cancelled() => return SessionEnd::Stopped,
            };
            let mut running = Running::new(&self.config, &self.points, outlet, server);
            let end = tokio::select! {
                end = Box::pin(running.run()) => end,
                () = cancel.cancelled() => SessionEnd::Stopped,
            };
            running.server.link.close().await;
            end
        })
    }

    fn browse<'a>(
        &'a mut self,
        address: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Found>, SessionEnd>> + Send + 'a>> {
        Box::pin(async move {
            let mut server = self.connect().await?;
            let found = browse::below(&mut server, &self.config, address).await;
            server.link.close().await;
            found
        })
    }
}

/// A session that is up.
pub(crate) struct Running<'a> {
    config: &'a Config,
    pub(crate) points: &'a [Result<Wanted, String>],
    pub(crate) outlet: &'a mut Outlet,
    pub(crate) server: Server,
    types: Types,
    pub(crate) nodes: Vec<Option<Node>>,
    /// Why points have no node, as far as it was told.
    causes: BTreeMap<usize, String>,
    subscription: Option<Subscription>,
    /// The monitored items of subscribed points.
    items: BTreeMap<usize, u32>,
    /// The points that are read at their turns.
    polled: Vec<usize>,
    schedule: Schedule,
    heard: Instant,
}

impl<'a> Running<'a> {
    fn new(
        config: &'a Config,
        points: &'a [Result<Wanted, String>],
        outlet: &'a mut Outlet,
        server: Server,
    ) -> Self {
        Self {
            config,
            points,
            outlet,
            server,
            types: Types::default(),
            nodes: vec![None; points.len()],
            causes: BTreeMap::new(),
            subscription: None,
            items: BTreeMap::new(),
            polled: Vec::new(),
            schedule: Schedule::new([]),
            heard: Instant::now(),
        }
    }

    async fn run(&mut self) -> SessionEnd {
        self.outlet.connected().await;
        match self.serve().await {
            Err(end) => end,
            Ok(never) => match never {},
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, SessionEnd> {
        let arrival = Timestamp::now();
        let unread = self.points.iter().enumerate().filter_map(|(place, point)| {
            point.as_ref().err().map(|cause| RawReading::bad(point_id(place), cause, arrival))
        });
        let readings = unread.collect();
        self.outlet.raw(RawBatch { arrival, readings }).await;
        self.subscribe().await?;
        let all: Vec<usize> = (0..self.points.len()).filter(|&place| self.points[place].is_ok()).collect();
        for places in all.chunks(AT_ONCE) {
            self.look_for(places).await?;
        }
        let mut again = Instant::now() + self.config.retry;
        let mut commanded = true;
        loop {
            let silence = self.heard + self.config.keep_alive;
            let answer = async {
                match &mut self.subscription {
                    Some(subscription) => subscription.answer().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                end = self.server.link.over() => return Err(end),
                request = self.outlet.commands().recv(), if commanded => match request {
                    Some(request) => self.obey(request).await?,
                    None => commanded = false,
                },
                answer = answer => {
                    let answer = answer?;
                    self.take(answer).await?;
                }
                () = self.schedule.due() => {
                    let due = self.schedule.take();
                    let due: Vec<usize> = due.into_iter().filter_map(|at| self.polled.get(at).copied()).collect();
                    self.poll(&due).await?;
                }
                () = sleep_until(again), if !self.causes.is_empty() => {
                    let missing: Vec<usize> = self.causes.keys().copied().collect();
                    self.look_for(&missing).await?;
                    again = Instant::now() + self.config.retry;
                }
                () = sleep_until(silence) => self.ask().await?,
            }
            if self.causes.is_empty() {
                again = Instant::now() + self.config.retry;
            }
        }
    }

    /// Makes the subscription, if any point wants one. Without one everything is polled.
    async fn subscribe(&mut self) -> Result<(), SessionEnd> {
        let subscribed =
            self.points.iter().flatten().filter(|point| point.spec.access.reads() && !point.is_polled());
        let Some(fastest) = subscribed.map(Wanted::sampling).min() else { return Ok(()) };
        let interval = self.config.publishing_interval.unwrap_or(fastest.clamp(FASTEST, SLOWEST));
        match Subscription::make(&self.server, interval, self.config.session_timeout).await? {
            Ok(subscription) => self.subscription = Some(subscription),
            Err(status) => self.outlet.fault(Fault::Rejected, || {
                format!("the server makes no subscription ({}): every point is polled", words(status))
            }),
        }
        Ok(())
    }

    /// Looks points up, and subscribes to those that are there or puts them among those that are polled.
    async fn look_for(&mut self, places: &[usize]) -> Result<(), SessionEnd> {
        let points = self.points;
        let wanted: Vec<&Wanted> = places.iter().filter_map(|&place| points[place].as_ref().ok()).collect();
        let found = look_up(&mut self.server, &mut self.types, &wanted).await?;
        self.heard = Instant::now();
        let mut missing = Vec::new();
        let mut subscribed = Vec::new();
        let polled = self.polled.len();
        for ((&place, wanted), found) in places.iter().zip(&wanted).zip(found) {
            match found {
                Ok(node) => {
                    self.causes.remove(&place);
                    self.nodes[place] = Some(node);
                    match wanted.spec.access.reads() {
                        true if wanted.is_polled() || self.subscription.is_none() => self.polled.push(place),
                        true => subscribed.push(place),
                        false => {}
                    }
                }
                Err(cause) => missing.push((place, cause)),
            }
        }
        let asked: Vec<_> = subscribed
            .iter()
            .filter_map(|&place| Some((place, points[place].as_ref().ok()?, self.nodes[place].as_ref()?)))
            .collect();
        if let (Some(subscription), false) = (&self.subscription, asked.is_empty()) {
            let items = subscription.add(&mut self.server, &asked).await?;
            for (place, item) in subscribed.into_iter().zip(items) {
                match item {
                    Item::Made(id) => {
                        self.items.insert(place, id);
                    }
                    Item::Missing(cause) => missing.push((place, cause)),
                    Item::Refused(status) => {
                        self.outlet.fault(Fault::Rejected, || {
                            let name = points[place].as_ref().map_or("", |point| point.spec.name.as_str());
                            format!("point {name} cannot be subscribed to ({}): it is polled", words(status))
                        });
                        self.polled.push(place);
                    }
                }
            }
        }
        self.miss(missing).await;
        if self.polled.len() != polled {
            self.plan();
        }
        Ok(())
    }

    /// Every polled point is due at once.
    fn plan(&mut self) {
        let points = self.points;
        let periods =
            self.polled.iter().filter_map(|&place| points[place].as_ref().ok()).map(|wanted| {
                match (wanted.spec.period, wanted.spec.own.sampling) {
                    (Period::Once, None) => Period::Once,
                    _ => Period::Every(wanted.sampling()),
                }
            });
        self.schedule = Schedule::new(periods);
    }

    /// Points whose node is not there are bad, and looked for again.
    async fn miss(&mut self, missing: Vec<(usize, String)>) {
        let arrival = Timestamp::now();
        let mut readings = Vec::new();
        for (place, cause) in missing {
            self.nodes[place] = None;
            if self.causes.get(&place) != Some(&cause) {
                if let Ok(point) = &self.points[place] {
                    self.outlet.fault(Fault::Unmapped, || format!("point {}: {cause}", point.spec.name));
                    if point.spec.access.reads() {
                        readings.push(RawReading::bad(point.id, &cause, arrival));
                    }
                }
                self.causes.insert(place, cause);
            }
        }
        self.outlet.raw(RawBatch { arrival, readings }).await;
    }

    async fn poll(&mut self, places: &[usize]) -> Result<(), SessionEnd> {
        let there: Vec<usize> = places.iter().copied().filter(|&place| self.nodes[place].is_some()).collect();
        let questions: Vec<_> =
            there.iter().filter_map(|&place| Some(self.nodes[place].as_ref()?.question())).collect();
        if questions.is_empty() {
            return Ok(());
        }
        let answers = self.server.read(&questions, Some(self.outlet.health())).await?;
        self.heard = Instant::now();
        self.tell(there.into_iter().zip(answers)).await
    }

    /// Takes an answer to a publish request.
    async fn take(
        &mut self,
        answer: Result<opcua_types::PublishResponse, opcua_types::Error>,
    ) -> Result<(), SessionEnd> {
        if answer.is_ok() {
            self.heard = Instant::now();
            Counters::add(&self.outlet.health().counters.frames, 1);
        }
        let Some(subscription) = &mut self.subscription else { return Ok(()) };
        let (changes, lost) = subscription.take(&self.server.link, answer).await?;
        if lost > 0 {
            self.outlet.fault(Fault::Malformed, || format!("{lost} messages of the subscription were lost"));
        }
        let known = self.points.len();
        let changes = changes.into_iter().filter_map(|(handle, value)| {
            let place = (handle as usize).checked_sub(1).filter(|place| *place < known)?;
            Some((place, value))
        });
        self.tell(changes.collect::<Vec<_>>()).await?;
        if lost > 0 {
            // What changed in a lost message would stay as it was.
            let subscribed: Vec<usize> = self.items.keys().copied().collect();
            self.poll(&subscribed).await?;
        }
        Ok(())
    }

    /// Sends what the server said of points.
    async fn tell(&mut self, said: impl IntoIterator<Item = (usize, DataValue)>) -> Result<(), SessionEnd> {
        let arrival = Timestamp::now();
        self.server.shapes.ahead = self.server.link.ahead();
        let mut readings = Vec::new();
        let mut gone = Vec::new();
        for (place, said) in said {
            let (Ok(wanted), Some(node)) = (&self.points[place], &self.nodes[place]) else { continue };
            let reading = reading(wanted, node, &said, &self.server.shapes, self.config.timestamps, arrival);
            count(self.outlet, wanted, &said, &reading);
            if matches!(said.status, Some(StatusCode::BadNodeIdUnknown | StatusCode::BadNodeIdInvalid)) {
                gone.push((place, words(StatusCode::BadNodeIdUnknown)));
            }
            readings.push(reading);
        }
        self.outlet.raw(RawBatch { arrival, readings }).await;
        if gone.is_empty() {
            return Ok(());
        }
        let items: Vec<u32> = gone.iter().filter_map(|(place, _)| self.items.remove(place)).collect();
        if let (Some(subscription), false) = (&self.subscription, items.is_empty()) {
            subscription.remove(&self.server.link, items).await?;
        }
        let polled = self.polled.len();
        self.polled.retain(|place| !gone.iter().any(|(one, _)| one == place));
        if self.polled.len() != polled {
            self.plan();
        }
        self.miss(gone).await;
        Ok(())
    }

    /// Asks a server that has been silent whether it lives.
    async fn ask(&mut self) -> Result<(), SessionEnd> {
        let question = value(VariableId::Server_ServerStatus_State.into());
        self.server.read(&[question], Some(self.outlet.health())).await?;
        self.heard = Instant::now();
        Ok(())
    }
}
