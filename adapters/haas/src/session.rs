//! One session with a control: the first answer, turns of questions, commands between them.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use guideway_contract::{
    Adapter, Capabilities, Fault, Found, Outcome, Outlet, RawBatch, RawReading, Schedule, SessionEnd,
    SessionFuture, Timestamp,
};
use tokio::time::{Instant, sleep_until, timeout};

use crate::codec::{Reply, decode};
use crate::config::{Config, Point};
use crate::line::{Answer, Line, SENTINEL};
use crate::plan::{Plan, Work, unusable};
use crate::{Address, link, write};

/// How long the control may take for the first question of a connection before it is asked again.
const FIRST: Duration = Duration::from_millis(500);
/// So many values of variables are held back at most until a keyword has been answered.
const WINDOW: usize = 8;
/// How often variables are asked for again when an answer too many came.
const ATTEMPTS: usize = 3;
/// After this long without a question one is asked, to see whether the control is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A question that ended two sessions is not asked again for so long at first, then for twice as long each
/// time.
const REST: Duration = Duration::from_secs(30);
/// The longest that it is not asked.
const MOST_REST: Duration = Duration::from_secs(600);
/// How long browsing may take.
const BROWSING: Duration = Duration::from_secs(30);

/// Reads and writes one Haas control.
pub(crate) struct Mdc {
    config: Config,
    plan: Plan,
    /// Questions that were not answered: how often in a row, and when last.
    unanswered: HashMap<Address, (u32, Instant)>,
}

impl Mdc {
    pub(crate) fn new(config: Config, points: &[guideway_contract::PointSpec<Point>]) -> Self {
        Self { config, plan: Plan::new(points), unanswered: HashMap::new() }
    }

    async fn run(&mut self, outlet: &mut Outlet) -> SessionEnd {
        let line = match connect(&self.config, outlet).await {
            Ok(line) => line,
            Err(end) => return end,
        };
        // What was asked for while there was no session is not done later, when nobody expects it any more.
        while let Some(request) = outlet.commands().try_recv() {
            let _ = request.reply.send(Outcome::NotSent("no session".into()));
        }
        outlet.connected().await;
        let mut session =
            Session { line, plan: &self.plan, config: &self.config, unanswered: &mut self.unanswered };
        match session.run(outlet).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }
}

impl Adapter for Mdc {
    fn protocol(&self) -> &'static str {
        "haas"
    }

    fn endpoint(&self) -> String {
        link::endpoint(&self.config)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { polled: true, browsable: true, writable: true, subscribed: false }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(async move {
            let cancel = outlet.cancelled().clone();
            tokio::select! {
                biased;
                () = cancel.cancelled() => SessionEnd::Stopped,
                end = self.run(outlet) => end,
            }
        })
    }

    fn browse<'a>(
        &'a mut self,
        address: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Found>, SessionEnd>> + Send + 'a>> {
        Box::pin(async move {
            if !address.is_empty() {
                return Ok(Vec::new());
            }
            let no_answer = |_| SessionEnd::Silent(BROWSING);
            timeout(BROWSING, browse(&self.config)).await.map_err(no_answer)?
        })
    }
}

/// Opens the connection and waits for its first answer, which proves that a control is there and that
/// whatever was asked before has been answered.
async fn connect(config: &Config, outlet: &Outlet) -> Result<Line, SessionEnd> {
    let endpoint = || link::endpoint(config);
    let not_connected = |cause: String| SessionEnd::NotConnected { endpoint: endpoint(), cause };
    if let Some(why) = unusable(config) {
        return Err(not_connected(why));
    }
    let deadline = Instant::now() + config.connect_timeout;
    let millis = config.connect_timeout.as_millis();
    let stream = match timeout(config.connect_timeout, link::open(config)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(cause)) => return Err(not_connected(cause)),
        Err(_) => return Err(not_connected(format!("no connection within {millis} ms"))),
    };
    let mut line = Line::new(stream, config);
    let mut patience = FIRST.min(config.timeout);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let cause =
                format!("no answer within {millis} ms; is setting 143 on, and are there other connections?");
            return Err(not_connected(cause));
        }
        match line.ask(Address::Query(100), &[], Some(patience.min(left)), outlet).await {
            Ok(_) => return Ok(line),
            Err(SessionEnd::Silent(_)) => patience = config.timeout,
            Err(SessionEnd::Lost(cause)) => {
                return Err(not_connected(format!("{cause}; a control takes two connections at most")));
            }
            Err(end) => return Err(end),
        }
    }
}

async fn browse(config: &Config) -> Result<Vec<Found>, SessionEnd> {
    let (signals, _received) = tokio::sync::mpsc::channel(1);
    let (_commands, requests) = tokio::sync::mpsc::channel(1);
    let outlet = Outlet::new(
        guideway_contract::AdapterId(0),
        "browse",
        std::sync::Arc::default(),
        signals,
        requests,
        std::sync::Arc::default(),
        tokio_util::sync::CancellationToken::new(),
    );
    let mut line = connect(config, &outlet).await?;
    let mut found = Vec::new();
    for (code, label) in Address::KNOWN {
        let Answer::Sure(reply) = line.ask(Address::Query(code), &[], None, &outlet).await? else { continue };
        let text = if code == 500 { "fields" } else { "auto" };
        found.push(Found {
            address: Address::Query(code).to_string().into(),
            label: label.into(),
            note: reply.text.to_string(),
            data_type: text.parse().ok(),
            units: Default::default(),
            value: reply.value().map(ToString::to_string).unwrap_or_default(),
            writable: false,
            folder: false,
        });
    }
    Ok(found)
}

/// A session has no good end.
enum Never {}

struct Session<'a> {
    line: Line,
    plan: &'a Plan,
    config: &'a Config,
    unanswered: &'a mut HashMap<Address, (u32, Instant)>,
}

impl Session<'_> {
    async fn run(&mut self, outlet: &mut Outlet) -> Result<Never, SessionEnd> {
        let now = Timestamp::now();
        let bad = self.plan.bad.iter().map(|(id, cause)| RawReading::bad(*id, cause, now)).collect();
        send(outlet, bad).await;
        let mut schedule = Schedule::new(self.plan.readers.iter().map(|reader| reader.period));
        let mut commanded = true;
        loop {
            let quiet = self.line.last() + KEEP_ALIVE;
            tokio::select! {
                biased;
                request = outlet.commands().recv(), if commanded => match request {
                    Some(request) => self.command(request, outlet).await?,
                    None => commanded = false,
                },
                () = schedule.due() => {
                    let due = schedule.take();
                    self.turn(&due, outlet).await?;
                }
                read = self.line.idle() => {
                    let count = read?;
                    self.line.pass_over(count, outlet);
                }
                () = sleep_until(quiet) => drop(self.line.ask(SENTINEL, &[], None, outlet).await?),
            }
        }
    }

    /// Asks everything that the points of one turn need.
    async fn turn(&mut self, due: &[usize], outlet: &mut Outlet) -> Result<(), SessionEnd> {
        let (variables, queries) = self.plan.work(due);
        let mut queries = queries.into_iter();
        for chunk in variables.chunks(WINDOW) {
            let mut held = self.variables(chunk, outlet).await?;
            for attempt in 1..=ATTEMPTS {
                if held.is_empty() {
                    break;
                }
                self.synchronise(&mut queries, outlet).await?;
                if !self.line.close_window() {
                    let readings = held
                        .drain(..)
                        .flat_map(|(work, reply, at)| self.readings(work, &reply, at, outlet))
                        .collect();
                    send(outlet, readings).await;
                } else if attempt < ATTEMPTS {
                    let again: Vec<Work> = held.iter().map(|(work, ..)| (*work).clone()).collect();
                    held = self.variables_again(chunk, &again, outlet).await?;
                }
            }
            let cause = "another client asks this control for variables too, and the control does not say whose \
                         its answers are";
            for (work, ..) in held {
                self.bad(work, cause, outlet).await;
            }
            self.line.close_window();
        }
        for work in queries {
            self.query(&work, outlet).await?;
        }
        Ok(())
    }

    async fn variables_again<'w>(
        &mut self,
        chunk: &'w [Work],
        again: &[Work],
        outlet: &mut Outlet,
    ) -> Result<Vec<(&'w Work, Reply, Timestamp)>, SessionEnd> {
        let mut held = Vec::new();
        for work in chunk.iter().filter(|work| again.contains(work)) {
            held.extend(self.variables(std::slice::from_ref(work), outlet).await?);
        }
        Ok(held)
    }

    /// Asks for variables; gives those back whose answers do not name them, to be held until it is sure that
    /// they are ours.
    async fn variables<'w>(
        &mut self,
        works: &'w [Work],
        outlet: &mut Outlet,
    ) -> Result<Vec<(&'w Work, Reply, Timestamp)>, SessionEnd> {
        let mut held = Vec::new();
        self.line.open_window();
        for work in works {
            match self.ask(work, outlet).await? {
                Some(Answer::Unnumbered(reply)) => held.push((work, reply, Timestamp::now())),
                Some(Answer::Sure(reply)) => {
                    let readings = self.readings(work, &reply, Timestamp::now(), outlet);
                    send(outlet, readings).await;
                }
                Some(Answer::Refused(why)) => {
                    self.bad(work, &format!("the control refuses it: {why}"), outlet).await;
                }
                None => {}
            }
        }
        Ok(held)
    }

    /// Has a question with a keyword of its own answered: one of this turn if there is one left.
    async fn synchronise(
        &mut self,
        queries: &mut impl Iterator<Item = Work>,
        outlet: &mut Outlet,
    ) -> Result<(), SessionEnd> {
        for work in queries {
            if self.query(&work, outlet).await? {
                return Ok(());
            }
        }
        self.line.ask(SENTINEL, &[], None, outlet).await?;
        Ok(())
    }

    /// Asks one question with a keyword of its own; whether it was answered.
    async fn query(&mut self, work: &Work, outlet: &mut Outlet) -> Result<bool, SessionEnd> {
        match self.ask(work, outlet).await? {
            Some(Answer::Sure(reply) | Answer::Unnumbered(reply)) => {
                let readings = self.readings(work, &reply, Timestamp::now(), outlet);
                send(outlet, readings).await;
                Ok(true)
            }
            Some(Answer::Refused(why)) => {
                self.bad(work, &format!("the control refuses it: {why}"), outlet).await;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Asks, after the commands that wait; `None` for a question that is not asked at present, whose points
    /// are bad.
    async fn ask(&mut self, work: &Work, outlet: &mut Outlet) -> Result<Option<Answer>, SessionEnd> {
        while let Some(request) = outlet.commands().try_recv() {
            self.command(request, outlet).await?;
        }
        let question = &self.plan.questions[work.0];
        let address = question.address;
        if let Some((times, last)) = self.unanswered.get(&address)
            && *times > 1
            && last.elapsed() < MOST_REST.min(REST * (1 << (times - 2).min(8)))
        {
            let cause = format!("the control does not answer {address}; it is asked again after a while");
            self.bad(work, &cause, outlet).await;
            return Ok(None);
        }
        match self.line.ask(address, &question.keywords, None, outlet).await {
            Ok(answer) => {
                self.unanswered.remove(&address);
                Ok(Some(answer))
            }
            Err(end) => {
                if matches!(end, SessionEnd::Silent(_)) {
                    let (times, last) = self.unanswered.entry(address).or_insert((0, Instant::now()));
                    (*times, *last) = (times.saturating_add(1), Instant::now());
                }
                Err(end)
            }
        }
    }

    async fn command(
        &mut self,
        request: guideway_contract::CommandRequest,
        outlet: &Outlet,
    ) -> Result<(), SessionEnd> {
        write::serve(&mut self.line, self.plan, self.config.acknowledge, request, outlet).await
    }

    /// What a reply says to each of the points that wait for it. A reply that is for others of the question's
    /// points leaves a point as it was.
    fn readings(&self, work: &Work, reply: &Reply, at: Timestamp, outlet: &Outlet) -> Vec<RawReading> {
        let address = self.plan.questions[work.0].address;
        let for_it =
            |expect: &[String]| expect.is_empty() || expect.iter().any(|keyword| reply.starts(keyword));
        let readers = work.1.iter().map(|&reader| &self.plan.readers[reader]);
        readers
            .filter(|reader| for_it(&reader.expect))
            .map(|reader| match decode(&reader.want, reply) {
                Ok(value) => RawReading::good(reader.id, value, at),
                Err(cause) => {
                    outlet.fault(Fault::Rejected, || format!("{address}: {cause}"));
                    RawReading::bad(reader.id, cause, at)
                }
            })
            .collect()
    }

    async fn bad(&self, work: &Work, cause: &str, outlet: &Outlet) {
        let now = Timestamp::now();
        let readers = work.1.iter().map(|&reader| RawReading::bad(self.plan.readers[reader].id, cause, now));
        send(outlet, readers.collect()).await;
    }
}

async fn send(outlet: &Outlet, readings: Vec<RawReading>) {
    outlet.raw(RawBatch { arrival: Timestamp::now(), readings }).await;
}
