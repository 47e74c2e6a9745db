//! One connection with at most one question in flight.

use std::time::Duration;

use guideway_contract::{Counters, Fault, Outlet, SessionEnd};
use smol_str::SmolStr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::Address;
use crate::codec::{Frames, Oversized, Reply, Verdict};
use crate::config::Config;
use crate::link::Stream;

/// How long after a lone `?` or a `BUSY` the answer itself may still come.
const GRACE: Duration = Duration::from_secs(1);
/// The keyword that is asked for when one is needed to know where we are.
pub(crate) const SENTINEL: Address = Address::Query(104);

/// An answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// A reply that is ours beyond doubt.
    Sure(Reply),
    /// A variable's value in a reply that does not name the variable.
    Unnumbered(Reply),
    /// The control's no.
    Refused(SmolStr),
}

/// What the control said to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// `!`.
    Done,
    /// `?`, and why.
    Refused(String),
    /// Nothing.
    Silence,
}

pub(crate) struct Line {
    stream: Box<dyn Stream>,
    frames: Frames,
    timeout: Duration,
    gap: Duration,
    /// When something was last sent or heard.
    last: Instant,
    /// Whether answers that do not name their variable are being held back.
    window: bool,
    /// Whether such an answer came too many since the window was opened.
    tainted: bool,
}

impl Line {
    pub(crate) fn new(stream: Box<dyn Stream>, config: &Config) -> Self {
        Self {
            stream,
            frames: Frames::default(),
            timeout: config.timeout,
            gap: config.min_gap,
            last: Instant::now(),
            window: false,
            tainted: false,
        }
    }

    /// When something was last sent or heard.
    pub(crate) const fn last(&self) -> Instant {
        self.last
    }

    /// From now on an answer too many that does not name its variable is remembered.
    pub(crate) const fn open_window(&mut self) {
        self.window = true;
    }

    /// Ends the window; whether an answer too many came in it.
    pub(crate) const fn close_window(&mut self) -> bool {
        self.window = false;
        std::mem::replace(&mut self.tainted, false)
    }

    /// Whether an answer too many came in the window so far.
    pub(crate) const fn is_tainted(&self) -> bool {
        self.tainted
    }

    /// Asks, and waits for the answer; `keywords` are those of the reply, where they are not the question's
    /// own.
    ///
    /// # Errors
    /// No answer came in time, or the connection broke: the session is over.
    pub(crate) async fn ask(
        &mut self,
        asked: Address,
        keywords: &[String],
        patience: Option<Duration>,
        outlet: &Outlet,
    ) -> Result<Answer, SessionEnd> {
        self.settle(outlet).await?;
        self.send(&format!("?{asked}\r\n")).await?;
        let limit = patience.unwrap_or(self.timeout);
        let patient = Instant::now() + limit;
        let mut deadline = patient;
        let mut doubt: Option<SmolStr> = None;
        loop {
            let Some(reply) = self.next(deadline, outlet).await? else {
                return doubt.map(Answer::Refused).ok_or(SessionEnd::Silent(limit));
            };
            match reply.judge(asked, keywords) {
                Verdict::Ours => return Ok(Answer::Sure(reply)),
                Verdict::Unnumbered => return Ok(Answer::Unnumbered(reply)),
                Verdict::Refused(why) => return Ok(Answer::Refused(why)),
                Verdict::Doubt => {
                    deadline = deadline.min(Instant::now() + GRACE);
                    doubt = Some(reply.text);
                }
                // So the `?` was the echo's beginning.
                Verdict::Echo => (deadline, doubt) = (patient, None),
                Verdict::Foreign => self.foreign(&reply),
            }
        }
    }

    /// Writes a variable and waits for what the control says to it, no longer than until `deadline`.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn tell(
        &mut self,
        variable: u32,
        value: &str,
        deadline: Instant,
        outlet: &Outlet,
    ) -> Result<Told, SessionEnd> {
        self.settle(outlet).await?;
        self.send(&format!("?E{variable} {value}\r\n")).await?;
        let patient = deadline.min(Instant::now() + self.timeout);
        let mut deadline = patient;
        let mut doubt = false;
        loop {
            let Some(reply) = self.next(deadline, outlet).await? else {
                return Ok(if doubt { Told::Refused("?".into()) } else { Told::Silence });
            };
            let text = reply.text.as_str();
            if text == "!" {
                return Ok(Told::Done);
            }
            // A no to a question names it; a no to a write does not.
            match reply.judge(Address::Variable(variable), &[]) {
                Verdict::Refused(why) if !why.contains("?Q") => return Ok(Told::Refused(why.to_string())),
                Verdict::Doubt if text == "?" => {
                    deadline = deadline.min(Instant::now() + GRACE);
                    doubt = true;
                }
                // So the `?` was the echo's beginning, and no no.
                Verdict::Echo => (deadline, doubt) = (patient, false),
                _ => self.foreign(&reply),
            }
        }
    }

    /// Waits for bytes while nothing is asked, and gives their number. Can be cancelled.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn idle(&mut self) -> Result<usize, SessionEnd> {
        self.read().await
    }

    /// Passes over what came while nothing was asked: it is nobody's answer.
    pub(crate) fn pass_over(&mut self, count: usize, outlet: &Outlet) {
        Counters::add(&outlet.health().counters.bytes, count);
        while let Some(reply) = self.take(outlet) {
            self.foreign(&reply);
        }
    }

    /// Lets the gap pass; what comes meanwhile is nobody's answer.
    async fn settle(&mut self, outlet: &Outlet) -> Result<(), SessionEnd> {
        let until = self.last + self.gap;
        loop {
            tokio::select! {
                biased;
                read = self.read() => {
                    let count = read?;
                    self.pass_over(count, outlet);
                }
                () = sleep_until(until) => break,
            }
            if Instant::now() > until + self.timeout {
                return Err(SessionEnd::Protocol("the control does not stop sending".into()));
            }
        }
        self.pass_over(0, outlet);
        Ok(())
    }

    async fn send(&mut self, text: &str) -> Result<(), SessionEnd> {
        match timeout(self.timeout, self.stream.write_all(text.as_bytes())).await {
            Ok(Ok(())) => {
                self.last = Instant::now();
                Ok(())
            }
            Ok(Err(error)) => Err(SessionEnd::Lost(error.to_string())),
            Err(_) => Err(SessionEnd::Lost("the control takes no more questions".into())),
        }
    }

    /// The next reply; `None` when none came before the deadline.
    async fn next(&mut self, deadline: Instant, outlet: &Outlet) -> Result<Option<Reply>, SessionEnd> {
        loop {
            if let Some(reply) = self.take(outlet) {
                return Ok(Some(reply));
            }
            match timeout_at(deadline, self.read()).await {
                Ok(read) => Counters::add(&outlet.health().counters.bytes, read?),
                Err(_) => return Ok(None),
            }
            // A source that never pauses does not move the deadline.
            if Instant::now() > deadline {
                return Ok(self.take(outlet));
            }
        }
    }

    /// The next reply of what has been read.
    fn take(&mut self, outlet: &Outlet) -> Option<Reply> {
        loop {
            match self.frames.take() {
                Ok(None) => return None,
                Ok(Some(text)) => {
                    Counters::add(&outlet.health().counters.frames, 1);
                    return Some(Reply::read(&text));
                }
                Err(oversized @ Oversized) => outlet.fault(Fault::Oversized, || oversized.to_string()),
            }
        }
    }

    /// Reads once; can be cancelled.
    async fn read(&mut self) -> Result<usize, SessionEnd> {
        let mut buffer = [0; 512];
        match self.stream.read(&mut buffer).await {
            Ok(0) => Err(SessionEnd::Lost("closed by the control".into())),
            Ok(count) => {
                self.frames.push(&buffer[..count]);
                self.last = Instant::now();
                Ok(count)
            }
            Err(error) => Err(SessionEnd::Lost(error.to_string())),
        }
    }

    fn foreign(&mut self, reply: &Reply) {
        if self.window && reply.is_unnumbered_variable() {
            self.tainted = true;
        }
        tracing::trace!(text = reply.text.as_str(), "a reply to someone else");
    }
}
