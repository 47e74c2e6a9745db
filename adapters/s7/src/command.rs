//! Commands: checked first, then written in order, each acknowledged by the controller.

use guideway_contract::{Command, CommandRequest, Native, Outcome, PointId, SessionEnd};
use tokio::time::Instant;

use crate::address::Place;
use crate::codec::job::{self, Payload, Span};
use crate::codec::value::{self, Writing};
use crate::link::broken;
use crate::session::Session;

/// A command that did not end well, and the session's end where it ended with it.
struct Stop {
    outcome: Outcome,
    end: Option<SessionEnd>,
}

impl From<Outcome> for Stop {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, end: None }
    }
}

impl Session<'_> {
    /// Serves what waits.
    pub(crate) async fn pending_commands(&mut self) -> Result<(), SessionEnd> {
        while let Some(request) = self.outlet.commands().try_recv() {
            self.command(request).await?;
        }
        Ok(())
    }

    /// Serves one command.
    pub(crate) async fn command(&mut self, request: CommandRequest) -> Result<(), SessionEnd> {
        let CommandRequest { command, reply } = request;
        let (outcome, end) = match self.perform(&command).await {
            Ok(()) => (Outcome::Done, None),
            Err(stop) => (stop.outcome, stop.end),
        };
        // A requester that has gone away no longer needs the answer.
        let _ = reply.send(outcome);
        end.map_or(Ok(()), Err)
    }

    async fn perform(&mut self, command: &Command) -> Result<(), Stop> {
        let deadline = Instant::now() + command.timeout;
        let mut writings = Vec::with_capacity(command.writes.len());
        for write in &command.writes {
            let writing = self.prepared(write.point, &write.value)?;
            writings.push((self.points[write.point.index()].name.clone(), writing));
        }
        for (name, writing) in &writings {
            self.look_up(writing, deadline).await.map_err(|stop| named(name, stop))?;
        }
        let all = writings.len();
        for (done, (name, writing)) in writings.into_iter().enumerate() {
            self.write(writing, deadline, done > 0).await.map_err(|stop| {
                let mut stop = named(&name, stop);
                if let (Outcome::Refused(why), 1..) = (&mut stop.outcome, done) {
                    why.push_str(&format!("; {done} of {all} writes before it are done"));
                }
                stop
            })?;
        }
        Ok(())
    }

    /// What to send, before anything is sent.
    fn prepared(&self, point: PointId, value: &Native) -> Result<Writing, Outcome> {
        let (Some(spec), Some(layout)) = (self.points.get(point.index()), self.layouts.get(point.index()))
        else {
            return Err(Outcome::NotSent(format!("there is no point {}", point.index())));
        };
        let refused = |why: &str| Outcome::Refused(format!("{}: {why}", spec.name));
        let layout = layout.as_ref().map_err(|why| refused(why))?;
        if !spec.access.writes() {
            return Err(refused("it is read only; write access = \"rw\" in the profile"));
        }
        value::encode(layout, value).map_err(|why| refused(&why))
    }

    /// Whether a text fits the controller's string.
    async fn look_up(&mut self, writing: &Writing, deadline: Instant) -> Result<(), Stop> {
        let Some(string) = writing.string else { return Ok(()) };
        let within = self.config.timeout.min(deadline.saturating_duration_since(Instant::now()));
        if within.is_zero() {
            return Err(Outcome::NotSent("no time was left".to_owned()).into());
        }
        let spans = [Span { place: string.place, length: string.bytes() }];
        let found =
            self.read(&spans, within, |items| items.into_iter().next().map(|item| item.map(<[u8]>::to_vec)));
        let end = string.place.start + u32::from(string.bytes());
        match found.await {
            Ok(Ok(Some(Ok(bytes)))) => Ok(string.fits(&bytes).map_err(Outcome::Refused)?),
            Ok(Err(denial) | Ok(Some(Err(denial)))) => {
                Err(Outcome::Refused(denial.about(string.place, end)).into())
            }
            Ok(Ok(None)) => Err(Outcome::NotSent("the string's length cannot be read".to_owned()).into()),
            // Only a question was under way.
            Err(end) => Err(Stop { outcome: Outcome::NotSent(end.to_string()), end: Some(end) }),
        }
    }

    async fn write(&mut self, writing: Writing, deadline: Instant, begun: bool) -> Result<(), Stop> {
        // Of a value that takes several requests, what is not known to be whole is not known at all.
        let mut is_partly_done = false;
        for (place, payload) in pieces(writing.parts, self.limits.write()) {
            let within = self.config.timeout.min(deadline.saturating_duration_since(Instant::now()));
            if within.is_zero() {
                let why = "no time was left to write it".to_owned();
                return Err(match (is_partly_done, begun) {
                    (true, _) => Outcome::Unknown(format!("a part of it was written: {why}")),
                    (false, true) => Outcome::Refused(why),
                    (false, false) => Outcome::NotSent(why),
                }
                .into());
            }
            let answer = self.ask(within, |reference| job::write(reference, place, &payload)).await;
            let answer =
                answer.and_then(|(reference, pdu)| job::write_reply(&pdu, reference).map_err(broken));
            match answer {
                Ok(Ok(())) => is_partly_done = true,
                Ok(Err(denial)) => {
                    let bytes = if let Payload::Bytes(bytes) = &payload { bytes.len() } else { 1 };
                    let end = place.start + u32::try_from(bytes).unwrap_or(u32::MAX);
                    let why = denial.about(place, end);
                    return Err(match is_partly_done {
                        true => {
                            Outcome::Unknown(format!("a part of it was written, and the rest refused: {why}"))
                        }
                        false => Outcome::Refused(why),
                    }
                    .into());
                }
                Err(end) => {
                    let outcome = Outcome::Unknown(format!("it was sent, and no answer came: {end}"));
                    return Err(Stop { outcome, end: Some(end) });
                }
            }
        }
        Ok(())
    }
}

fn named(name: &str, mut stop: Stop) -> Stop {
    if let Outcome::Refused(why) | Outcome::NotSent(why) | Outcome::Unknown(why) = &mut stop.outcome {
        *why = format!("{name}: {why}");
    }
    stop
}

/// What is too long for one job goes in parts, the first one last: it holds the length of a string, which is not to
/// be there before its characters.
fn pieces(parts: Vec<(Place, Payload)>, most: usize) -> Vec<(Place, Payload)> {
    let mut pieces = Vec::with_capacity(parts.len());
    for (place, payload) in parts {
        match payload {
            Payload::Bytes(bytes) if bytes.len() > most => {
                let chunks = bytes.chunks(most.max(2)).enumerate().rev();
                pieces.extend(chunks.map(|(index, chunk)| {
                    let offset = u32::try_from(index * most).unwrap_or(0);
                    (Place { start: place.start + offset, ..place }, Payload::Bytes(chunk.to_vec()))
                }));
            }
            payload => pieces.push((place, payload)),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Area;
    use crate::plan::Limits;

    #[test]
    fn a_long_value_is_written_in_jobs_that_fit_and_its_beginning_last() {
        let place = Place { area: Area::Data, db: 1, start: 10 };
        for pdu in [240, 480, 960] {
            let most = Limits { pdu, max_gap: 0 }.write();
            let bytes: Vec<u8> = (0..=255).cycle().take(3_000).collect();
            let pieces = pieces(vec![(place, Payload::Bytes(bytes.clone()))], most);
            let mut written = vec![0; 3_000];
            for (place, payload) in &pieces {
                assert!(job::write(1, *place, payload).len() <= pdu);
                let Payload::Bytes(part) = payload else { panic!("bits") };
                let start = place.start as usize - 10;
                written[start..start + part.len()].copy_from_slice(part);
            }
            assert_eq!(written, bytes);
            assert_eq!(pieces.last().unwrap().0, place);
        }
    }
}
