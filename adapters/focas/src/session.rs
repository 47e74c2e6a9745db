//! One session: open, see what the control is, poll.

use std::time::Duration;

use guideway_contract::{
    Fault, Outcome, Outlet, PointSpec, RawBatch, RawReading, Schedule, SessionEnd, Timestamp, point_id,
};
use tokio::time::{Instant, sleep_until};

use crate::address::Address;
use crate::codec::{Answer, Query, answer, code_words};
use crate::config::{Config, Point};
use crate::link::Link;
use crate::plan::{Question, Wanted, questions, requests};

/// How long nothing may be asked before the control is asked for its status, to see that it is there.
const PULSE: Duration = Duration::from_secs(3);
/// FOCAS: there is no such function.
const NO_FUNCTION: i16 = 1;

/// Connects and runs until the session is over.
pub(crate) async fn run(config: &Config, points: &[PointSpec<Point>], outlet: &mut Outlet) -> SessionEnd {
    let cancel = outlet.cancelled().clone();
    let mut link = match Link::open(config, cancel).await {
        Ok(link) => link,
        Err(end) => return end,
    };
    let query = Address::System(None).query(1, false);
    let system = match link.ask(&[query]).await {
        Ok(Some(answers)) => match answers.first() {
            Some(Ok(data)) => answer::system_fields(data),
            _ => None,
        },
        Ok(None) => None,
        Err(end) => return end,
    };
    let Some(system) = system else {
        return SessionEnd::Protocol("the control does not say which series it is".into());
    };
    for (name, value) in answer::SYSTEM.iter().zip(&system) {
        outlet.health().set_property(name, value);
    }
    outlet.connected().await;
    let mut session = Session {
        config,
        points,
        addresses: points.iter().map(crate::address_of).collect(),
        alone: vec![false; points.len()],
        schedule: Schedule::new(points.iter().map(|point| point.period)),
        long_parameters: matches!(system[0].as_str(), "30" | "31" | "32" | "35"),
        parameters_tried: false,
        asked: Instant::now(),
        link,
    };
    let end = match session.turns(outlet).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    session.link.count(outlet.health());
    if matches!(end, SessionEnd::Stopped) {
        session.link.close().await;
    }
    end
}

struct Session<'a> {
    config: &'a Config,
    points: &'a [PointSpec<Point>],
    addresses: Vec<Result<Address, String>>,
    /// Points that are asked for by themselves.
    alone: Vec<bool>,
    schedule: Schedule,
    /// Whether parameters are asked for in the form of series 30i and later.
    long_parameters: bool,
    /// Whether that has been tried.
    parameters_tried: bool,
    asked: Instant,
    link: Link,
}

impl Session<'_> {
    async fn turns(&mut self, outlet: &mut Outlet) -> Result<std::convert::Infallible, SessionEnd> {
        let cancel = outlet.cancelled().clone();
        let mut commanded = true;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(SessionEnd::Stopped),
                request = outlet.commands().recv(), if commanded => match request {
                    Some(request) => {
                        // A requester that has gone away no longer needs the answer.
                        let _ = request.reply.send(Outcome::NotSent("this adapter only reads".into()));
                    }
                    None => commanded = false,
                },
                () = self.schedule.due() => self.poll(outlet).await?,
                () = sleep_until(self.asked + PULSE) => {
                    self.ask(&[Address::Status(None).query(1, false)]).await?;
                }
            }
            self.link.count(outlet.health());
        }
    }

    async fn ask(&mut self, queries: &[Query]) -> Result<Option<Vec<Answer>>, SessionEnd> {
        let answers = self.link.ask(queries).await?;
        self.asked = Instant::now();
        Ok(answers)
    }

    /// Reads what is due.
    async fn poll(&mut self, outlet: &Outlet) -> Result<(), SessionEnd> {
        let now = Timestamp::now();
        let mut wanted = Vec::new();
        let mut readings = Vec::new();
        for slot in self.schedule.take() {
            match &self.addresses[slot] {
                Ok(address) => wanted.push(Wanted {
                    slot,
                    address: *address,
                    data_type: self.points[slot].data_type,
                    alone: self.alone[slot],
                }),
                Err(why) => readings.push(RawReading::bad(point_id(slot), why, now)),
            }
        }
        outlet.raw(RawBatch { arrival: now, readings }).await;
        let questions = questions(&wanted, self.config.max_gap, self.long_parameters);
        let mut todo = requests(questions, usize::from(self.config.batch));
        todo.reverse();
        while let Some(mut request) = todo.pop() {
            let queries: Vec<Query> = request.iter().map(|question| question.query).collect();
            match self.ask(&queries).await? {
                Some(answers) => {
                    let again = self.tell(&request, &answers, outlet).await;
                    todo.extend(requests(again, usize::from(self.config.batch)));
                }
                None if request.len() > 1 => {
                    let half = request.split_off(request.len() / 2);
                    todo.extend([half, request]);
                }
                // Nothing says why; the others of the request are not to suffer for it.
                None => {
                    self.tell(&request, &[Err(NO_FUNCTION)], outlet).await;
                }
            }
        }
        Ok(())
    }

    /// Sends on what was answered; what is to be asked in another way comes back.
    async fn tell(&mut self, request: &[Question], answers: &[Answer], outlet: &Outlet) -> Vec<Question> {
        let now = Timestamp::now();
        let mut readings = Vec::new();
        let mut again = Vec::new();
        for (question, answer) in request.iter().zip(answers) {
            match answer {
                Err(NO_FUNCTION) if self.other_parameters(question.query) => {
                    let parts = question.parts.iter().filter_map(|(slot, _)| self.by_itself(*slot));
                    again.extend(questions(&parts.collect::<Vec<_>>(), 0, self.long_parameters));
                }
                Ok(data) => readings
                    .extend(question.parts.iter().map(|(slot, at)| self.reading(*slot, *at, data, now))),
                Err(code) => {
                    outlet.fault(Fault::Rejected, || {
                        let (slot, _) = question.parts[0];
                        format!("{}: {}", self.points[slot].address, code_words(*code))
                    });
                    if question.parts.len() > 1 && matches!(question.query.function, 0x15 | 0x8001) {
                        // One of several neighbours may be what is refused: each by itself from now on.
                        let parts = question.parts.iter().filter_map(|(slot, _)| self.by_itself(*slot));
                        let parts: Vec<Wanted> = parts.collect();
                        parts.iter().for_each(|part| self.alone[part.slot] = true);
                        again.extend(questions(&parts, 0, self.long_parameters));
                    } else {
                        let bad = |(slot, _): &(usize, usize)| {
                            RawReading::bad(point_id(*slot), code_words(*code), now)
                        };
                        readings.extend(question.parts.iter().map(bad));
                    }
                }
            }
        }
        outlet.raw(RawBatch { arrival: now, readings }).await;
        again
    }

    /// Whether a parameter that was refused is to be asked for in the other of the two forms: the series said
    /// which, and was wrong.
    fn other_parameters(&mut self, query: Query) -> bool {
        let long = match query.function {
            0x8D => true,
            0x0E => false,
            _ => return false,
        };
        if !self.parameters_tried {
            self.parameters_tried = true;
            self.long_parameters = !long;
        }
        self.long_parameters != long
    }

    fn by_itself(&self, slot: usize) -> Option<Wanted> {
        let address = *self.addresses[slot].as_ref().ok()?;
        Some(Wanted { slot, address, data_type: self.points[slot].data_type, alone: true })
    }

    fn reading(&self, slot: usize, at: usize, data: &[u8], now: Timestamp) -> RawReading {
        let id = point_id(slot);
        let Ok(address) = &self.addresses[slot] else { return RawReading::bad(id, "no address", now) };
        let value = answer::decode(*address, data.get(at..).unwrap_or_default(), self.points[slot].data_type);
        match value {
            guideway_contract::Native::Bad(why) => RawReading::bad(id, why, now),
            value => RawReading::good(id, value, now),
        }
    }
}
