//! From a request head to an answer.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use guideway_contract::Timestamp;
use smol_str::SmolStr;
use tokio::sync::Semaphore;

use super::cache::{Cache, Stamp};
use super::edition::{Edition, Scope};
use super::files::{FileReply, Files};
use super::http::head::{Fault, Head, Method};
use super::http::reply::{self, Ready, Reply};
use super::options::Options;
use super::query::Query;
use super::refusal::{Refusal, out_of_range, problem};
use super::request::{Defaults, Request, Style, What};
use super::route::Route;
use super::stats::Stats;
use super::stream::{Client, Hub, Key, Subject};
use super::{Context, accept};
use crate::device_model::DeviceModel;
use crate::documents::{Format, Header, Problem, ProblemKind};
use crate::journal::{AssetQuery, Bounds, ItemState, Journal, OutOfRange, Recorded};

/// Observations from which on a document is made aside, so that others are served meanwhile.
const HEAVY: usize = 4_096;
/// Heavy documents that are made at once.
const HEAVY_AT_ONCE: usize = 4;
/// What can be done with a resource here.
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Everything a request can need. One for each face.
pub(super) struct Service {
    pub(super) options: Options,
    pub(super) context: Context,
    edition: ArcSwap<Edition>,
    cache: Cache,
    files: Files,
    pub(super) stats: Arc<Stats>,
    pub(super) hub: Hub,
    /// Between the parts of every stream.
    pub(super) boundary: String,
    heavy: Semaphore,
    date: ArcSwap<(i64, String)>,
}

/// What is sent back.
pub(super) enum Answer {
    Ready(Arc<Ready>),
    File(FileReply),
    /// The head, without the empty line and the transfer encoding, and what feeds the stream.
    Stream(Vec<u8>, Box<Client>),
}

impl Service {
    pub(super) fn new(options: &Options, context: Context, stats: Arc<Stats>) -> Self {
        let model = context.model.load_full();
        let edition = Edition::new(1, model, context.dressing.clone());
        Self {
            cache: Cache::default(),
            files: Files::new(&options.files),
            edition: ArcSwap::from_pointee(edition),
            hub: Hub::default(),
            boundary: format!("guideway-{:032x}", rand::random::<u128>()),
            heavy: Semaphore::new(HEAVY_AT_ONCE),
            date: ArcSwap::from_pointee((0, reply::date(0))),
            options: options.clone(),
            stats,
            context,
        }
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.context.journal
    }

    /// The device model as it is now.
    pub(super) fn edition(&self) -> Arc<Edition> {
        let edition = self.edition.load_full();
        let model: Arc<DeviceModel> = self.context.model.load_full();
        if Arc::ptr_eq(&edition.model, &model) {
            return edition;
        }
        // Two requests may do this at once; both make the same, and one of them stays.
        let dressing = self.context.dressing.clone();
        let fresh = Arc::new(Edition::new(edition.number + 1, model, dressing));
        self.edition.store(Arc::clone(&fresh));
        fresh
    }

    /// An answer that was given within this second and still holds.
    pub(super) fn cached(&self, head: &Head<'_>) -> Option<Arc<Ready>> {
        if !matches!(head.method, Method::Get | Method::Head) {
            return None;
        }
        let edition = self.edition.load();
        if !std::ptr::eq(Arc::as_ptr(&edition.model), Arc::as_ptr(&self.context.model.load())) {
            return None;
        }
        let next = self.journal().bounds().next;
        let stamp = Stamp { next, second: second(), edition: edition.number };
        let found = self.cache.get(head.target, self.accepts_json(head), stamp)?;
        self.stats.requests.add(1);
        self.stats.cached.add(1);
        Some(found)
    }

    /// Answers a request that is not in the cache.
    pub(super) async fn answer(self: &Arc<Self>, head: &Head<'_>) -> Answer {
        self.stats.requests.add(1);
        let path = head.path();
        if let Some(reply) = self.of_control(head) {
            return self.ready(&reply);
        }
        match head.method {
            Method::Get | Method::Head => {}
            Method::Options => return self.ready(&Reply::new(204, "", "").with("Allow", ALLOW)),
            Method::Post | Method::Other => return self.writes_are_off(head),
        }
        if let Some(reply) = self.context.extra.as_ref().and_then(|extra| extra(path, head.query())) {
            return self.ready(&reply);
        }
        if let Some(file) = self.files.find(path).await {
            return file.map_or_else(
                |message| {
                    let refusal = Refusal::new(ProblemKind::InvalidUri, message);
                    self.refuse(head, self.plain_style(head), None, refusal)
                },
                Answer::File,
            );
        }
        match Route::of(path) {
            Some(route) => self.serve(head, route).await,
            None => {
                let message = format!(
                    "there is nothing at '{path}'; there are /probe, /current, /sample and /assets, also \
                     behind the name of a device"
                );
                let refusal = Refusal::new(ProblemKind::InvalidUri, message);
                self.refuse(head, self.plain_style(head), None, refusal)
            }
        }
    }

    /// The answer to bytes that are no request, and to a peer that is too late.
    pub(super) fn fault(&self, fault: Fault) -> Arc<Ready> {
        let (status, message) = match fault {
            Fault::Malformed(what) => (400, format!("this is not an HTTP request: {what}")),
            Fault::TooLarge => (431, "the request's head is too long, or has too many fields".to_owned()),
            Fault::Version => (505, "only HTTP/1.0 and HTTP/1.1 are spoken here".to_owned()),
        };
        self.complaint(status, ProblemKind::InvalidRequest, message)
    }

    /// An error document outside of any request.
    pub(super) fn complaint(&self, status: u16, kind: ProblemKind, message: String) -> Arc<Ready> {
        let style = Style { format: Format::Xml, pretty: self.options.pretty };
        let body = self.error_document(style, &[problem(kind, message)]);
        Arc::new(Ready::new(&Reply::new(status, content_type(style.format), body), &self.date()))
    }

    /// The value of `Access-Control-Allow-Origin` for a page of that origin.
    pub(super) fn allowed_origin<'o>(&self, origin: &'o str) -> Option<&'o str> {
        let allowed = &self.options.allow_origins;
        if allowed.iter().any(|allowed| allowed == "*") {
            return Some("*");
        }
        allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)).then_some(origin)
    }

    async fn serve(self: &Arc<Self>, head: &Head<'_>, route: Route) -> Answer {
        let edition = self.edition();
        let bounds = self.journal().bounds();
        let stamp = Stamp { next: bounds.next, second: second(), edition: edition.number };
        let defaults = Defaults {
            pretty: self.options.pretty,
            format: if self.accepts_json(head) { self.json() } else { Format::Xml },
            json: self.json(),
            buffer_size: self.journal().buffer_size(),
            first: bounds.first,
            next: bounds.next,
        };
        let word = route.request();
        let mut query = Query::read(head.query(), route.parameters());
        let style = Request::style(&mut query, &defaults);
        let answer = match Request::read(route, query, style, &defaults) {
            Ok(request) => self.fulfil(request, edition, stamp.second).await,
            Err(refusal) => Err(refusal),
        };
        let (ready, keep) = match answer {
            Ok(Made::Reply(reply, keep)) => (Arc::new(Ready::new(&reply, &self.date())), keep),
            Ok(Made::Stream(client)) => {
                let kind = format!("multipart/x-mixed-replace;boundary={}", self.boundary);
                let reply = Reply::new(200, kind, "");
                return Answer::Stream(reply::head(&reply, None, &self.date()), client);
            }
            Err(refusal) => return self.refuse(head, style, Some(word), refusal),
        };
        if keep {
            self.cache.put(head.target, self.accepts_json(head), stamp, &ready);
        }
        Answer::Ready(ready)
    }

    async fn fulfil(
        self: &Arc<Self>,
        request: Request,
        edition: Arc<Edition>,
        second: i64,
    ) -> Result<Made, Refusal> {
        let Request { style, what } = request;
        let subject = match what {
            What::CurrentStream { scope, interval } => Some((Subject::Current { scope, interval }, None)),
            What::SampleStream { scope, from, count, interval, heartbeat } => {
                Some((Subject::Sample { scope, count, interval, heartbeat }, from))
            }
            What::Probe(_) | What::Assets { .. } | What::AssetIds(_) => {
                let keep = matches!(what, What::Probe(_));
                let heavy = keep && edition.model.items().len() > HEAVY;
                let body = self.aside(heavy, move |service| service.inventory(style, what, &edition, second));
                let body = body.await?;
                return Ok(Made::Reply(Reply::new(200, content_type(style.format), body), keep));
            }
            What::Current { ref scope, .. } | What::Sample { ref scope, .. } => {
                let heavy = self.is_heavy(&what, scope, &edition);
                let body = self.aside(heavy, move |service| service.streams(style, &what, &edition, second));
                let body = body.await?;
                return Ok(Made::Reply(Reply::new(200, content_type(style.format), body), true));
            }
        };
        let Some((subject, from)) = subject else {
            return Err(Refusal::new(ProblemKind::InternalError, "a request led nowhere"));
        };
        // A wrong path or device is an error document, not a stream that ends at once.
        let scope = subject.scope().clone();
        let heavy = scope.path.is_some();
        self.aside(heavy, move |_| edition.selection(&scope).map(drop)).await?;
        let key = Key { subject, style };
        Ok(Made::Stream(Box::new(Client::new(Arc::clone(self), key, from))))
    }

    /// Whether making a document takes long.
    fn is_heavy(&self, what: &What, scope: &Scope, edition: &Edition) -> bool {
        let size = match what {
            What::Sample { count, .. } => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
            _ => edition.model.items().len(),
        };
        size > HEAVY || edition.known_selection(scope).is_none()
    }

    /// Does work here, or on a thread for long work; of that only so much at once.
    pub(super) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        heavy: bool,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        if !heavy {
            return work(self);
        }
        let _permit = self.heavy.acquire().await;
        let service = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&service)).await.unwrap_or_else(|_| {
            Err(Refusal::new(ProblemKind::InternalError, "the document could not be made"))
        })
    }

    /// MTConnectDevices and MTConnectAssets.
    fn inventory(
        &self,
        style: Style,
        what: What,
        edition: &Edition,
        second: i64,
    ) -> Result<Vec<u8>, Refusal> {
        let journal = self.journal();
        let mut header = self.header(edition, second, journal.bounds());
        let counts = journal.asset_counts();
        header.asset_buffer_size = journal.asset_buffer_size();
        header.asset_count = counts.iter().map(|(_, count)| count).sum();
        let Style { format, pretty } = style;
        let assets = match what {
            What::Probe(scope) => {
                let devices = edition.devices(&scope)?;
                self.stats.encoded.add(1);
                return Ok(edition.documents.devices(format, pretty, &header, &devices, &counts));
            }
            What::Assets { device, asset_type, removed, count } => {
                let device_uuid = match device {
                    None => None,
                    device => {
                        let scope = Scope { device, ..Scope::default() };
                        let found = edition.devices(&scope)?;
                        found.first().map(|device| edition.model.device(*device).uuid.clone())
                    }
                };
                journal.assets(&AssetQuery { asset_type, device_uuid, removed, count: Some(count) })
            }
            What::AssetIds(ids) => {
                let found: Vec<_> = ids.iter().filter_map(|id| journal.asset(id)).collect();
                if found.is_empty() {
                    return Err(Refusal { status: 404, problems: ids.iter().map(no_asset).collect() });
                }
                found
            }
            What::Current { .. }
            | What::CurrentStream { .. }
            | What::Sample { .. }
            | What::SampleStream { .. } => Vec::new(),
        };
        self.stats.encoded.add(1);
        Ok(edition.documents.assets(format, pretty, &header, &assets))
    }

    /// MTConnectStreams.
    fn streams(&self, style: Style, what: &What, edition: &Edition, second: i64) -> Result<Vec<u8>, Refusal> {
        match what {
            What::Current { scope, at } => self.current(style, scope, *at, edition, second),
            What::Sample { scope, from, to, count } => {
                let (observations, next) = self.observations(scope, *from, *to, *count, edition)?;
                Ok(self.sample(style, edition, second, observations, next))
            }
            _ => Err(Refusal::new(ProblemKind::InternalError, "a request led nowhere")),
        }
    }

    /// The state of a scope as a document.
    pub(super) fn current(
        &self,
        style: Style,
        scope: &Scope,
        at: Option<u64>,
        edition: &Edition,
        second: i64,
    ) -> Result<Vec<u8>, Refusal> {
        let selection = edition.selection(scope)?;
        let snapshot = self.journal().snapshot_of(at, &selection).map_err(|error| gone("at", &error, 1))?;
        let mut observations = Vec::with_capacity(snapshot.items.len());
        for (state, item) in snapshot.items.into_iter().zip(edition.model.items()) {
            if item.retired || !selection.contains(item.index) {
                continue;
            }
            match state {
                ItemState::Unknown => {}
                ItemState::Latest(recorded) => observations.push(recorded),
                ItemState::Chain(chain) => observations.extend(chain),
            }
        }
        observations.sort_by_key(|(sequence, _)| *sequence);
        let header = self.header(edition, second, snapshot.bounds);
        self.stats.encoded.add(1);
        Ok(edition.documents.streams(style.format, style.pretty, &header, &observations))
    }

    /// Observations as a document that says to go on at `next`.
    pub(super) fn sample(
        &self,
        style: Style,
        edition: &Edition,
        second: i64,
        mut observations: Vec<Recorded>,
        next: u64,
    ) -> Vec<u8> {
        // The model may have grown after this edition was taken; what it does not know has no name.
        let known = edition.model.items().len();
        observations.retain(|(_, observation)| observation.item.index() < known);
        let mut header = self.header(edition, second, self.journal().bounds());
        header.next_sequence = next;
        self.stats.encoded.add(1);
        edition.documents.streams(style.format, style.pretty, &header, &observations)
    }

    /// What `/sample` asks for, oldest first, and where to go on.
    fn observations(
        &self,
        scope: &Scope,
        from: Option<u64>,
        to: Option<u64>,
        count: i64,
        edition: &Edition,
    ) -> Result<(Vec<Recorded>, u64), Refusal> {
        let selection = edition.selection(scope)?;
        let limit = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        let journal = self.journal();
        // Without `from` the oldest observation is meant, which may go while it is looked for.
        let mut tries = 0;
        let read = loop {
            let bounds = journal.bounds();
            if bounds.first == bounds.next {
                break Ok((Vec::new(), bounds.next));
            }
            let last = bounds.next - 1;
            let read = if let Some(to) = to {
                // The newest up to `to`, as the reference agent has it; going on is behind `to`.
                let end = to.min(last);
                journal.read_back(end, limit, &selection).map(|(mut found, _)| {
                    found.retain(|(sequence, _)| from.is_none_or(|from| *sequence >= from));
                    found.reverse();
                    (found, end + 1)
                })
            } else if count < 0 {
                journal.read_back(from.unwrap_or(last).min(last), limit, &selection).map(
                    |(mut found, next)| {
                        found.reverse();
                        // Sequences begin at 1 in every document.
                        (found, next.max(1))
                    },
                )
            } else {
                journal.read(from.unwrap_or(bounds.first), None, limit, &selection)
            };
            tries += 1;
            if read.is_ok() || from.is_some() || tries == 10 {
                break read;
            }
        };
        read.map_err(|error| gone(if to.is_some() { "to" } else { "from" }, &error, 0))
    }

    pub(super) fn header(&self, edition: &Edition, second: i64, bounds: Bounds) -> Header {
        Header {
            creation_time: Timestamp::from_nanos(second.saturating_mul(1_000_000_000), 0),
            sender: self.context.sender.clone(),
            instance_id: self.journal().instance_id(),
            device_model_change_time: edition.model.model_change_time(),
            asset_buffer_size: 0,
            asset_count: 0,
            buffer_size: self.journal().buffer_size(),
            first_sequence: bounds.first,
            last_sequence: bounds.next.saturating_sub(1).max(1),
            next_sequence: bounds.next,
            test_indicator: self.context.test_indicator,
        }
    }

    /// An error document.
    pub(super) fn error_document(&self, style: Style, problems: &[Problem]) -> Vec<u8> {
        let edition = self.edition();
        let header = self.header(&edition, second(), self.journal().bounds());
        self.stats.encoded.add(1);
        edition.documents.error(style.format, style.pretty, &header, problems)
    }

    fn refuse(
        &self,
        head: &Head<'_>,
        style: Style,
        request: Option<&'static str>,
        mut refusal: Refusal,
    ) -> Answer {
        self.stats.refused.add(1);
        for problem in &mut refusal.problems {
            problem.uri = Some(head.target.to_owned());
            problem.request = request;
        }
        let body = self.error_document(style, &refusal.problems);
        let mut reply = Reply::new(refusal.status, content_type(style.format), body);
        if refusal.status == 405 {
            reply = reply.with("Allow", ALLOW);
        }
        self.ready(&reply)
    }

    fn writes_are_off(&self, head: &Head<'_>) -> Answer {
        let message = "this agent is read only: GET, HEAD and OPTIONS are allowed";
        let refusal = Refusal::new(ProblemKind::Unsupported, message).with_status(405);
        self.refuse(head, self.plain_style(head), None, refusal)
    }

    fn ready(&self, reply: &Reply) -> Answer {
        Answer::Ready(Arc::new(Ready::new(reply, &self.date())))
    }

    /// The style of an error document for a request whose parameters are not read.
    fn plain_style(&self, head: &Head<'_>) -> Style {
        let format = if self.accepts_json(head) { self.json() } else { Format::Xml };
        Style { format, pretty: self.options.pretty }
    }

    fn accepts_json(&self, head: &Head<'_>) -> bool {
        !head.accept.is_empty() && accept::prefers_json(head.accept)
    }

    const fn json(&self) -> Format {
        if self.options.json_version == 1 { Format::JsonV1 } else { Format::JsonV2 }
    }

    /// `Date`, written once a second.
    pub(super) fn date(&self) -> String {
        let second = second();
        let known = self.date.load();
        if known.0 == second {
            return known.1.clone();
        }
        let date = reply::date(second);
        self.date.store(Arc::new((second, date.clone())));
        date
    }
}

/// What came of a request.
enum Made {
    /// A reply, and whether it may be given again while nothing changes.
    Reply(Reply, bool),
    Stream(Box<Client>),
}

/// Seconds since the Unix epoch.
pub(super) fn second() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The type of a document.
pub(super) const fn content_type(format: Format) -> &'static str {
    match format {
        Format::Xml => "application/xml",
        Format::JsonV1 | Format::JsonV2 => "application/mtconnect+json",
    }
}

/// What was asked for fell out of the buffer, or is not in it yet.
pub(super) fn gone(parameter: &'static str, error: &OutOfRange, before_next: u64) -> Refusal {
    let OutOfRange { asked, bounds } = *error;
    let last = bounds.next.saturating_sub(before_next);
    Refusal { status: 400, problems: vec![out_of_range(parameter, asked.into(), bounds.first, last)] }
}

fn no_asset(id: &SmolStr) -> Problem {
    problem(ProblemKind::AssetNotFound { asset_id: id.to_string() }, format!("there is no asset '{id}'"))
}
