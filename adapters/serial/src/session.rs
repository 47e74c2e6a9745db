//! One session with a device: what is asked, what comes by itself, what is written.

use std::collections::HashMap;
use std::time::Duration;

use guideway_contract::{
    Adapter, Capabilities, CommandRequest, Outcome, Outlet, RawReading, Schedule, SessionEnd, SessionFuture,
    Timestamp,
};
use regex::Regex;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};

use crate::answer::{answer, is_resting, note, send, take};
use crate::config::Config;
use crate::connection::Connection;
use crate::link::{self, Way};
use crate::plan::Plan;
use crate::point::Point;
use crate::write;

/// So many frames are taken between two questions; a device that sends more is asked all the same.
const MOST_WAITING: usize = 256;
/// How long a serial line must be silent before the first question.
const QUIET: Duration = Duration::from_millis(100);

/// Reads and writes one device that speaks text.
pub(crate) struct Texts {
    config: Config,
    plan: Plan,
    listener: Option<TcpListener>,
    /// A link that outlives its session: what a silent device sends meanwhile is not lost.
    kept: Option<Connection>,
    /// A device that has connected while another one was in session.
    next: Option<TcpStream>,
    /// Whether the last session ended because an answer did not come.
    owed: bool,
    /// Whether a session that waited for a first frame in vain has been told.
    waited: bool,
    /// The question with which the next session begins.
    first: usize,
    /// Questions that were not answered: how often in a row, and when last.
    unanswered: HashMap<usize, (u32, Instant)>,
}

impl Texts {
    pub(crate) fn new(config: Config, points: &[guideway_contract::PointSpec<Point>]) -> Self {
        let plan = Plan::new(&config, points);
        Self {
            config,
            plan,
            listener: None,
            kept: None,
            next: None,
            owed: false,
            waited: false,
            first: 0,
            unanswered: HashMap::new(),
        }
    }

    async fn run(&mut self, outlet: &mut Outlet) -> SessionEnd {
        let mut connection = match self.open(outlet).await {
            Ok(connection) => connection,
            Err(end) => return end,
        };
        if let Err(end) = self.begin(&mut connection, outlet).await {
            return self.ended(end, connection);
        }
        let mut session = Session {
            connection,
            plan: &self.plan,
            config: &self.config,
            unanswered: &mut self.unanswered,
            last: Instant::now(),
            heard: Instant::now(),
        };
        let end = match session.run(&mut self.listener, &mut self.next, outlet).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        let connection = session.connection;
        self.ended(end, connection)
    }

    /// What a session leaves for the next one.
    fn ended(&mut self, end: SessionEnd, connection: Connection) -> SessionEnd {
        let silent = matches!(end, SessionEnd::Silent(_));
        let asks = !self.plan.questions.is_empty();
        self.owed = silent && asks;
        // Whoever connects to us, or hangs on a line, is only silent; a host that is silent may be gone.
        if silent && !asks && !matches!(Way::of(&self.config), Ok(Way::Connect(_))) {
            self.kept = Some(connection);
        }
        end
    }

    /// Opens the link, or takes the one that is open.
    async fn open(&mut self, outlet: &mut Outlet) -> Result<Connection, SessionEnd> {
        let way = Way::of(&self.config);
        let endpoint = match &way {
            Ok(way) => way.to_string(),
            Err(_) => "serial:".into(),
        };
        let not_connected = |cause: String| SessionEnd::NotConnected { endpoint: endpoint.clone(), cause };
        if let Some(issue) = self.config.issues().first() {
            return Err(not_connected(format!("`{}`: {}", issue.key, issue.what)));
        }
        let way = way.map_err(&not_connected)?;
        if let Some(connection) = self.kept.take().filter(|_| self.next.is_none()) {
            return Ok(connection);
        }
        let connection = match way {
            Way::Serial(path) => {
                let stream = link::open_serial(&path, &self.config.serial).map_err(&not_connected)?;
                Connection::new(Box::new(stream), &self.config)
            }
            Way::Connect(host) => {
                let millis = self.config.connect_timeout.as_millis();
                let stream = match timeout(self.config.connect_timeout, link::connect(&host)).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(cause)) => return Err(not_connected(cause)),
                    Err(_) => return Err(not_connected(format!("no connection within {millis} ms"))),
                };
                Connection::new(Box::new(stream), &self.config)
            }
            Way::Listen(address) => {
                let stream = match self.next.take() {
                    Some(stream) => stream,
                    None => {
                        if self.listener.is_none() {
                            let bound = TcpListener::bind(address).await;
                            self.listener = Some(
                                bound.map_err(|error| not_connected(format!("cannot listen: {error}")))?,
                            );
                        }
                        accept(&self.listener, outlet).await
                    }
                };
                // Without it an answer may wait for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                self.waited = false;
                Connection::new(Box::new(stream), &self.config)
            }
        };
        self.waited &= matches!(Way::of(&self.config), Ok(Way::Serial(_)));
        Ok(connection)
    }

    /// Does what has to be done until the device has shown itself, and says that the session is up.
    async fn begin(&mut self, connection: &mut Connection, outlet: &mut Outlet) -> Result<(), SessionEnd> {
        if !self.config.hello.is_empty() {
            let hello = crate::codec::encode(&self.config.hello, self.config.encoding).unwrap_or_default();
            connection.send(&hello, self.config.timeout).await?;
        }
        let mut readings = Vec::new();
        if self.plan.questions.is_empty() {
            if let Some(stale) = self.config.stale {
                readings = self.first_frame(connection, stale, outlet).await?;
            }
        } else {
            if matches!(Way::of(&self.config), Ok(Way::Serial(_))) {
                let quiet = if self.owed { self.config.timeout.max(QUIET) } else { QUIET };
                connection.drain(quiet, outlet).await?;
            }
            readings = self.first_answer(connection, outlet).await?;
        }
        // What was asked for while there was no session is not done later, when nobody expects it any more.
        while let Some(request) = outlet.commands().try_recv() {
            not_sent(request);
        }
        outlet.connected().await;
        let now = Timestamp::now();
        let bad = self.plan.bad.iter().map(|(id, cause)| RawReading::bad(*id, cause, now));
        readings.extend(bad);
        send(outlet, readings).await;
        Ok(())
    }

    /// Waits for the first frame; in vain only once, so that a silent device is told as such and then waited
    /// for.
    async fn first_frame(
        &mut self,
        connection: &mut Connection,
        stale: Duration,
        outlet: &mut Outlet,
    ) -> Result<Vec<RawReading>, SessionEnd> {
        let until = Instant::now() + stale;
        let mut commanded = true;
        loop {
            if let Some(text) = connection.take(outlet) {
                self.waited = false;
                return Ok(take(&self.plan, &text, None, outlet).readings);
            }
            tokio::select! {
                biased;
                waited = connection.wait() => waited?,
                request = outlet.commands().recv(), if commanded => match request {
                    Some(request) => not_sent(request),
                    None => commanded = false,
                },
                stream = arrival(&self.listener) => {
                    self.next = Some(stream);
                    return Err(SessionEnd::Lost("the device has connected anew".into()));
                }
                () = sleep_until(until), if !self.waited => {
                    self.waited = true;
                    return Err(SessionEnd::Silent(stale));
                }
            }
        }
    }

    /// Asks one question until it is answered, or tells which one was not.
    async fn first_answer(
        &mut self,
        connection: &mut Connection,
        outlet: &Outlet,
    ) -> Result<Vec<RawReading>, SessionEnd> {
        let count = self.plan.questions.len();
        let resting = |question: &usize| is_resting(&self.unanswered, *question);
        let order = (0..count).map(|offset| (self.first + offset) % count);
        let question = order.clone().find(|question| !resting(question)).unwrap_or(self.first % count);
        let text = self.plan.questions[question].text.clone();
        let mut early = Vec::new();
        if answer(connection, &self.plan, &self.config, question, Some(&mut early), outlet).await? {
            self.unanswered.remove(&question);
            return Ok(early);
        }
        // Another question may be answered where this one is not.
        self.first = (question + 1) % count;
        self.owed = true;
        note(&mut self.unanswered, question);
        let millis = self.config.timeout.as_millis();
        let cause = format!("no answer to `{text}` within {millis} ms");
        let endpoint = self.endpoint();
        Err(SessionEnd::NotConnected { endpoint, cause })
    }
}

impl Adapter for Texts {
    fn protocol(&self) -> &'static str {
        "serial"
    }

    fn endpoint(&self) -> String {
        Way::of(&self.config).map_or_else(|_| "serial:".into(), |way| way.to_string())
    }

    fn capabilities(&self) -> Capabilities {
        let polled = !self.plan.questions.is_empty();
        Capabilities { polled, subscribed: true, writable: true, browsable: false }
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
}

/// A session has no good end.
pub(crate) enum Never {}

pub(crate) struct Session<'a> {
    pub(crate) connection: Connection,
    pub(crate) config: &'a Config,
    plan: &'a Plan,
    unanswered: &'a mut HashMap<usize, (u32, Instant)>,
    /// When the last answer came.
    last: Instant,
    /// When the last frame came.
    heard: Instant,
}

/// What a session wakes up for.
enum Wake {
    Command(Option<CommandRequest>),
    Due,
    Bytes(Result<(), SessionEnd>),
    Stale(Duration),
    Another(TcpStream),
}

impl Session<'_> {
    async fn run(
        &mut self,
        listener: &mut Option<TcpListener>,
        next: &mut Option<TcpStream>,
        outlet: &mut Outlet,
    ) -> Result<Never, SessionEnd> {
        let mut schedule = Schedule::new(self.plan.questions.iter().map(|question| question.period));
        let mut commanded = true;
        // A device that is asked is stale when it does not answer.
        let stale = self.config.stale.filter(|_| self.plan.questions.is_empty());
        loop {
            let silence = self.heard + stale.unwrap_or_default();
            let wake = tokio::select! {
                biased;
                request = outlet.commands().recv(), if commanded => Wake::Command(request),
                () = schedule.due() => Wake::Due,
                read = self.connection.wait() => Wake::Bytes(read),
                stream = arrival(listener) => Wake::Another(stream),
                () = sleep_until(silence), if stale.is_some() => Wake::Stale(stale.unwrap_or_default()),
            };
            match wake {
                Wake::Command(Some(request)) => write::serve(self, self.plan, request, outlet).await?,
                Wake::Command(None) => commanded = false,
                Wake::Due => {
                    for question in schedule.take() {
                        while let Some(request) = outlet.commands().try_recv() {
                            write::serve(self, self.plan, request, outlet).await?;
                        }
                        self.ask(question, outlet).await?;
                    }
                }
                Wake::Bytes(read) => {
                    read?;
                    while let Some(text) = self.connection.take(outlet) {
                        self.heard(&text, outlet).await;
                    }
                }
                Wake::Stale(stale) => return Err(SessionEnd::Silent(stale)),
                Wake::Another(stream) => {
                    *next = Some(stream);
                    return Err(SessionEnd::Lost("the device has connected anew".into()));
                }
            }
        }
    }

    /// Asks one question and waits for its answer.
    async fn ask(&mut self, question: usize, outlet: &Outlet) -> Result<(), SessionEnd> {
        let asked = &self.plan.questions[question];
        if is_resting(self.unanswered, question) {
            let cause =
                format!("the device does not answer `{}`; it is asked again after a while", asked.text);
            send(outlet, self.plan.unanswered(question, &cause, Timestamp::now())).await;
            return Ok(());
        }
        self.pause(outlet).await?;
        if answer(&mut self.connection, self.plan, self.config, question, None, outlet).await? {
            self.unanswered.remove(&question);
            self.last = Instant::now();
            return Ok(());
        }
        note(self.unanswered, question);
        Err(SessionEnd::Silent(self.config.timeout))
    }

    /// Sends a write and waits for the device's yes; its no is given back.
    ///
    /// # Errors
    /// No word came in time, or the link broke.
    pub(crate) async fn acknowledged(
        &mut self,
        bytes: &[u8],
        ack: &Regex,
        nak: Option<&Regex>,
        deadline: Instant,
        outlet: &Outlet,
    ) -> Result<Option<String>, SessionEnd> {
        self.pause(outlet).await?;
        self.connection.send(bytes, self.config.timeout).await?;
        let deadline = deadline.min(Instant::now() + self.config.timeout);
        while let Some(text) = self.connection.next(deadline, outlet).await? {
            let refused = nak.is_some_and(|nak| nak.is_match(&text));
            if refused || ack.is_match(&text) {
                self.last = Instant::now();
                return Ok(refused.then_some(text));
            }
            self.heard(&text, outlet).await;
        }
        Err(SessionEnd::Silent(self.config.timeout))
    }

    /// Lets the gap after an answer pass. What has come before a question is no answer to it.
    async fn pause(&mut self, outlet: &Outlet) -> Result<(), SessionEnd> {
        let until = self.last + self.config.min_gap;
        for _ in 0..MOST_WAITING {
            let Some(text) = self.connection.next(until, outlet).await? else { break };
            self.heard(&text, outlet).await;
        }
        Ok(())
    }

    /// Gives a frame that nobody asked for to its points.
    async fn heard(&mut self, text: &str, outlet: &Outlet) {
        self.heard = Instant::now();
        let taken = take(self.plan, text, None, outlet);
        send(outlet, taken.readings).await;
    }
}

/// Waits for a device to connect; commands are not sent meanwhile.
async fn accept(listener: &Option<TcpListener>, outlet: &mut Outlet) -> TcpStream {
    let mut commanded = true;
    loop {
        tokio::select! {
            stream = arrival(listener) => return stream,
            request = outlet.commands().recv(), if commanded => match request {
                Some(request) => not_sent(request),
                None => commanded = false,
            },
        }
    }
}

/// The next device that connects; never, where none is listened for.
async fn arrival(listener: &Option<TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Out of files, or the device was gone already: not again at once.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn not_sent(request: CommandRequest) {
    // A requester that has gone away no longer needs the answer.
    let _ = request.reply.send(Outcome::NotSent("no session".into()));
}
