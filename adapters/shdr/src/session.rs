//! One connection to one SHDR source: the socket, the heartbeat, the batches.

use std::future::{Future, pending};
use std::time::Duration;

use guideway_contract::{
    Adapter, Batch, Capabilities, Counters, Fault, Outcome, Outlet, Reading, SessionEnd, SessionFuture,
    Signal, Timestamp,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::Config;
use crate::codec::{Decoder, Event, Line, Lines, Settings};

/// Most readings in one batch: enough to make its cost small, little enough to bound memory.
const MAX_BATCH: usize = 4_096;
/// How long the peer may take to accept seven bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// SHDR has no way back to the machine but the heartbeat.
const NO_DOWNLINK: &str = "SHDR cannot write to the machine";

/// The adapter that the agent runs for an `[[adapter.shdr]]` table.
pub fn adapter(config: Config) -> Box<dyn Adapter> {
    Box::new(Shdr::new(config))
}

/// Reads one SHDR source.
#[derive(Debug)]
pub struct Shdr {
    config: Config,
    decoder: Decoder,
    lines: Lines,
}

impl Shdr {
    /// An adapter for this source.
    pub fn new(config: Config) -> Self {
        let decoder = Decoder::new(Settings::from(&config));
        let lines = Lines::new(config.max_line_length);
        Self { config, decoder, lines }
    }

    /// Runs one session over any pair of byte streams until it is over.
    pub async fn serve<S>(&mut self, stream: S, outlet: &mut Outlet) -> SessionEnd
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        self.lines.clear();
        self.decoder.start(Timestamp::now());
        outlet.connected().await;
        let mut session = Session {
            stream,
            config: &self.config,
            decoder: &mut self.decoder,
            lines: &mut self.lines,
            beat: None,
            heard: Instant::now(),
            last_batch: 16,
        };
        match session.run(outlet).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn connect(&self, outlet: &mut Outlet) -> Result<TcpStream, SessionEnd> {
        let not_connected =
            |cause: String| SessionEnd::NotConnected { endpoint: self.config.endpoint(), cause };
        let cancel = outlet.cancelled().clone();
        let host = self.config.host.trim_matches(['[', ']']);
        let attempt = timeout(self.config.connect_timeout, TcpStream::connect((host, self.config.port)));
        tokio::pin!(attempt);
        let mut writable = true;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                connected = &mut attempt => {
                    return match connected {
                        Ok(Ok(stream)) => {
                            // Without it a PING may wait for the acknowledgement of the one before.
                            let _ = stream.set_nodelay(true);
                            Ok(stream)
                        }
                        Ok(Err(error)) => Err(not_connected(error.to_string())),
                        Err(_) => {
                            let millis = self.config.connect_timeout.as_millis();
                            Err(not_connected(format!("no answer within {millis} ms")))
                        }
                    };
                }
                request = outlet.commands().recv(), if writable => match request {
                    // A requester that has gone away no longer needs the answer.
                    Some(request) => drop(request.reply.send(Outcome::NotSent("no session".into()))),
                    None => writable = false,
                },
            }
        }
    }
}

impl Adapter for Shdr {
    fn protocol(&self) -> &'static str {
        "shdr"
    }

    fn endpoint(&self) -> String {
        self.config.endpoint()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { subscribed: true, ..Capabilities::default() }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(async move {
            match self.connect(outlet).await {
                Ok(stream) => self.serve(stream, outlet).await,
                Err(end) => end,
            }
        })
    }
}

/// The heartbeat, once the source has answered a PING.
#[derive(Clone, Copy, Debug)]
struct Beat {
    interval: Duration,
    next: Instant,
}

struct Session<'a, S> {
    stream: S,
    config: &'a Config,
    decoder: &'a mut Decoder,
    lines: &'a mut Lines,
    beat: Option<Beat>,
    /// When the last byte was read, or when we were last ready to read one.
    heard: Instant,
    last_batch: usize,
}

/// A session has no good end.
enum Never {}

/// What the session wakes up for.
enum Wake {
    Stop,
    Ping,
    Command(Option<guideway_contract::CommandRequest>),
    Read(std::io::Result<usize>),
    Silence,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<'_, S> {
    async fn run(&mut self, outlet: &mut Outlet) -> Result<Never, SessionEnd> {
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        self.ping().await?;
        loop {
            let limit = self.silence_limit();
            let silence = self.heard + limit;
            let wake = {
                let room = self.lines.room();
                // The order matters: a source that never pauses must not starve its own heartbeat,
                // and what has arrived is read before silence is found.
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => Wake::Stop,
                    () = ping_due(self.beat) => Wake::Ping,
                    request = outlet.commands().recv(), if commanded => Wake::Command(request),
                    read = self.stream.read(room) => Wake::Read(read),
                    () = sleep_until(silence) => Wake::Silence,
                }
            };
            match wake {
                Wake::Stop => return Err(SessionEnd::Stopped),
                Wake::Ping => self.ping().await?,
                Wake::Command(Some(request)) => {
                    // A requester that has gone away no longer needs the answer.
                    drop(request.reply.send(Outcome::NotSent(NO_DOWNLINK.into())));
                }
                Wake::Command(None) => commanded = false,
                Wake::Read(Ok(0)) => return Err(SessionEnd::Lost("closed by the source".into())),
                Wake::Read(Ok(count)) => {
                    self.lines.filled(count);
                    Counters::add(&outlet.health().counters.bytes, count);
                    self.decode(outlet).await?;
                    self.heard = Instant::now();
                }
                Wake::Read(Err(error)) => return Err(SessionEnd::Lost(error.to_string())),
                Wake::Silence => return Err(SessionEnd::Silent(limit)),
            }
        }
    }

    /// How long the source may say nothing.
    fn silence_limit(&self) -> Duration {
        self.beat.map_or(self.config.legacy_timeout, |beat| beat.interval * 2)
    }

    /// Reads every whole line that has arrived, batch by batch.
    async fn decode(&mut self, outlet: &Outlet) -> Result<(), SessionEnd> {
        let arrival = Timestamp::now();
        let mut faults = outlet;
        self.decoder.set_points(outlet.points());
        let mut readings = Vec::with_capacity(self.last_batch);
        let mut frames = 0;
        while let Some(line) = self.lines.next_line() {
            frames += 1;
            let event = match line {
                Line::Bytes(line) => self.decoder.line(line, arrival, &mut readings, &mut faults),
                Line::Oversized => {
                    let cap = self.config.max_line_length;
                    outlet.fault(Fault::Oversized, || format!("a line of more than {cap} bytes"));
                    None
                }
            };
            if readings.len() >= MAX_BATCH || event.is_some() {
                Counters::add(&outlet.health().counters.frames, std::mem::take(&mut frames));
                let full = std::mem::replace(&mut readings, Vec::with_capacity(self.last_batch));
                self.send(outlet, arrival, full).await?;
            }
            if let Some(event) = event {
                self.event(outlet, event).await?;
            }
        }
        Counters::add(&outlet.health().counters.frames, frames);
        // Sources send alike from read to read; what this one needed is room enough for the next.
        self.last_batch = readings.len().clamp(16, MAX_BATCH);
        self.send(outlet, arrival, readings).await?;
        outlet.health().arrived(arrival);
        if let Some(offset) = self.decoder.clock_offset() {
            outlet.health().set_clock_offset(offset);
        }
        Ok(())
    }

    /// Sends readings, at most [`MAX_BATCH`] at a time: one long line may hold more.
    async fn send(
        &mut self,
        outlet: &Outlet,
        arrival: Timestamp,
        mut readings: Vec<Reading>,
    ) -> Result<(), SessionEnd> {
        while readings.len() > MAX_BATCH {
            let rest = readings.split_off(MAX_BATCH);
            self.deliver(outlet, outlet.readings(Batch { arrival, readings })).await?;
            readings = rest;
        }
        if readings.is_empty() {
            return Ok(());
        }
        self.deliver(outlet, outlet.readings(Batch { arrival, readings })).await
    }

    async fn event(&mut self, outlet: &Outlet, event: Event) -> Result<(), SessionEnd> {
        match event {
            Event::Pong(asked) => {
                self.pong(asked);
                Ok(())
            }
            Event::Asset(change) => {
                Counters::add(&outlet.health().counters.assets, 1);
                self.deliver(outlet, outlet.send(Signal::Asset(change))).await
            }
            Event::Describe { device, name, value } => {
                if matches!(&*name, "adapterVersion" | "mtconnectVersion") {
                    outlet.health().set_property(&name, &value);
                }
                self.deliver(outlet, outlet.send(Signal::Describe { device, name, value })).await
            }
        }
    }

    /// The source keeps a heartbeat from now on, or at another interval than before.
    fn pong(&mut self, asked: Option<Duration>) {
        if let Some(interval) = self.config.heartbeat.or(asked)
            && self.beat.is_none_or(|beat| beat.interval != interval)
        {
            self.beat = Some(Beat { interval, next: Instant::now() + interval });
        }
    }

    /// Waits for a signal to be taken, however busy the pipeline is, and keeps the heartbeat up
    /// meanwhile.
    async fn deliver(&mut self, outlet: &Outlet, send: impl Future<Output = ()>) -> Result<(), SessionEnd> {
        tokio::pin!(send);
        loop {
            tokio::select! {
                biased;
                () = &mut send => return Ok(()),
                () = outlet.cancelled().cancelled() => return Err(SessionEnd::Stopped),
                () = ping_due(self.beat) => {}
            }
            self.ping().await?;
        }
    }

    async fn ping(&mut self) -> Result<(), SessionEnd> {
        if let Some(beat) = &mut self.beat {
            beat.next = Instant::now() + beat.interval;
        }
        match timeout(WRITE_TIMEOUT, self.stream.write_all(b"* PING\n")).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SessionEnd::Lost(error.to_string())),
            Err(_) => Err(SessionEnd::Lost("the source takes no PING".into())),
        }
    }
}

async fn ping_due(beat: Option<Beat>) {
    match beat {
        Some(beat) => sleep_until(beat.next).await,
        None => pending().await,
    }
}
