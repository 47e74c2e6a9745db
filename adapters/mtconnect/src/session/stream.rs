//! Changes as a stream.

use std::time::Duration;

use guideway_contract::{Counters, Fault, Outlet, SessionEnd};
use tokio::time::{Instant, sleep_until};

use super::{MOST_FAILURES, Session, Step, lost, refuse, wait};
use crate::assets::Assets;
use crate::client::{Failure, Heard, Opened, Stream, decode, out_of_range};
use crate::codec::Document;

/// A stream that ends sooner has failed.
const BRIEF: Duration = Duration::from_secs(1);

/// How a stream ended.
enum Ended {
    /// Behind a gap; the state has been told.
    Gap,
    /// Nothing whole came for too long.
    Silent(SessionEnd),
    /// Otherwise, and why.
    Failed(String),
}

impl Session<'_> {
    /// Follows one stream to its end.
    pub(super) async fn stream(&mut self, outlet: &mut Outlet) -> Result<Step, SessionEnd> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let url = self.path.sample(&[
            ("from", self.next),
            ("interval", millis(self.config.interval)),
            ("heartbeat", millis(self.config.heartbeat)),
            ("count", self.count),
        ]);
        let opened = wait(outlet, self.client.open(url)).await?;
        let mut stream = match opened {
            Ok(Opened::Stream(stream)) => stream,
            Ok(Opened::Document(document)) => {
                if let Document::Streams(header, streams) = *document {
                    self.changes(&header, &streams, outlet).await?;
                }
                return Ok(Step::Poll("one document came instead of a stream".into()));
            }
            Err(failure) if failure.is_out_of_range() => {
                self.recover(outlet).await?;
                return Ok(Step::Again);
            }
            // Where the agent itself is silent, polling it ends the session.
            Err(failure) if failure.is_answer() || matches!(failure, Failure::Late(_)) => {
                return Ok(Step::Poll(failure.to_string()));
            }
            Err(failure) => return Err(lost(failure)),
        };
        let opened = Instant::now();
        self.parts = 0;
        let why = match self.parts(&mut stream, outlet).await? {
            Ended::Gap => return Ok(Step::Again),
            Ended::Silent(why) if self.parts == 0 => return Ok(Step::Poll(why.to_string())),
            Ended::Silent(end) => return Err(end),
            Ended::Failed(why) => why,
        };
        // A stream that ends at once, or that cannot be read, again and again, is none.
        self.failures = if opened.elapsed() < BRIEF || self.parts == 0 { self.failures + 1 } else { 0 };
        Ok(if self.failures >= MOST_FAILURES { Step::Poll(why) } else { Step::Again })
    }

    /// Reads parts until the stream ends.
    async fn parts(&mut self, stream: &mut Stream, outlet: &mut Outlet) -> Result<Ended, SessionEnd> {
        let silence = self.config.heartbeat * 2;
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        let (mut heard, mut begun) = (Instant::now(), Instant::now());
        loop {
            let assets = Assets::next(self.assets.as_mut());
            // In no order: neither may many assets hold up observations, nor a busy stream the assets.
            let heard_now = tokio::select! {
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                request = outlet.commands().recv(), if commanded => {
                    commanded = refuse(request);
                    continue;
                }
                found = assets => {
                    let taken = Instant::now();
                    self.asset(found, outlet).await;
                    // Nobody listened meanwhile.
                    heard += taken.elapsed();
                    begun += taken.elapsed();
                    continue;
                }
                next = stream.next() => next,
                () = sleep_until(heard + silence) => return Ok(Ended::Silent(SessionEnd::Silent(silence))),
            };
            Counters::add(&outlet.health().counters.bytes, stream.take_bytes());
            match heard_now {
                Ok(Heard::Part(bytes)) => {
                    Counters::add(&outlet.health().counters.frames, 1);
                    match decode(bytes).await {
                        Ok(Document::Streams(header, streams)) => {
                            self.changes(&header, &streams, outlet).await?;
                        }
                        Ok(Document::Errors(problems)) if out_of_range(&problems) => {
                            self.recover(outlet).await?;
                            return Ok(Ended::Gap);
                        }
                        Ok(Document::Errors(problems)) => {
                            return Ok(Ended::Failed(Failure::Refused(problems).to_string()));
                        }
                        Ok(other) => {
                            return Ok(unreadable(&format!("{} came", other.kind()), outlet));
                        }
                        Err(error) => return Ok(unreadable(&error.to_string(), outlet)),
                    }
                    self.parts = self.parts.saturating_add(1);
                    // Only now: the pipeline may have been busy for longer than a heartbeat.
                    (heard, begun) = (Instant::now(), Instant::now());
                }
                Ok(Heard::Bytes) => {
                    heard = Instant::now();
                    // What drips in for ever is no sign of life.
                    if begun.elapsed() > silence * 2 + self.config.timeout {
                        let why = "the stream holds no whole part any more".into();
                        return Ok(Ended::Silent(SessionEnd::Protocol(why)));
                    }
                }
                Ok(Heard::End) => return Ok(Ended::Failed("the stream ends at once".into())),
                Err(Failure::Malformed(error)) => {
                    return Ok(unreadable(&error.to_string(), outlet));
                }
                Err(failure) => return Ok(Ended::Failed(failure.to_string())),
            }
        }
    }
}

/// Counts a part that cannot be read. Nothing of it is lost: the stream is opened again from where it was.
fn unreadable(why: &str, outlet: &Outlet) -> Ended {
    outlet.fault(Fault::Malformed, || format!("a part of the stream: {why}"));
    Ended::Failed(format!("its parts cannot be read: {why}"))
}
