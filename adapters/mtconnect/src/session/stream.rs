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
            Err(failure) if failure.is_answer() => return Ok(Step::Poll(failure.to_string())),
            Err(failure) => return Err(lost(failure)),
        };
        let opened = Instant::now();
        self.parts = 0;
        let Some(why) = self.parts(&mut stream, outlet).await? else { return Ok(Step::Again) };
        // A stream that ends at once, or that cannot be read, again and again, is none.
        self.failures = if opened.elapsed() < BRIEF || self.parts == 0 { self.failures + 1 } else { 0 };
        Ok(if self.failures >= MOST_FAILURES { Step::Poll(why) } else { Step::Again })
    }

    /// Reads parts until the stream ends; why it did, where that was a failure.
    async fn parts(
        &mut self,
        stream: &mut Stream,
        outlet: &mut Outlet,
    ) -> Result<Option<String>, SessionEnd> {
        let silence = self.config.heartbeat * 2;
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        let (mut heard, mut begun) = (Instant::now(), Instant::now());
        loop {
            let assets = Assets::next(self.assets.as_mut());
            let heard_now = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                request = outlet.commands().recv(), if commanded => {
                    commanded = refuse(request);
                    continue;
                }
                found = assets => {
                    self.asset(found, outlet).await;
                    continue;
                }
                next = stream.next() => next,
                () = sleep_until(heard + silence) => return Err(SessionEnd::Silent(silence)),
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
                            return Ok(None);
                        }
                        Ok(Document::Errors(problems)) => {
                            return Err(SessionEnd::Protocol(Failure::Refused(problems).to_string()));
                        }
                        Ok(other) => {
                            return Ok(Some(unreadable(&format!("{} came", other.kind()), outlet)));
                        }
                        Err(error) => return Ok(Some(unreadable(&error.to_string(), outlet))),
                    }
                    self.parts = self.parts.saturating_add(1);
                    // Only now: the pipeline may have been busy for longer than a heartbeat.
                    (heard, begun) = (Instant::now(), Instant::now());
                }
                Ok(Heard::Bytes) => {
                    heard = Instant::now();
                    // A part that drips in for ever is no sign of life.
                    if stream.is_within() && begun.elapsed() > silence * 2 + self.config.timeout {
                        return Err(SessionEnd::Protocol("a part of the stream does not end".into()));
                    }
                }
                Ok(Heard::End) => return Ok(Some("the stream ends at once".into())),
                Err(Failure::Malformed(error)) => {
                    return Ok(Some(unreadable(&error.to_string(), outlet)));
                }
                Err(failure) => return Ok(Some(failure.to_string())),
            }
        }
    }
}

/// Counts a part that cannot be read. Nothing of it is lost: the stream is opened again from where it was.
fn unreadable(why: &str, outlet: &Outlet) -> String {
    outlet.fault(Fault::Malformed, || format!("a part of the stream: {why}"));
    format!("its parts cannot be read: {why}")
}
