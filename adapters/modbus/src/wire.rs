//! A line that is connected when it is needed and made clean after trouble.
//!
//! Modbus RTU has no transaction id, so an answer that comes too late looks like the answer to the next question of
//! the same kind. Three things together keep it from becoming a value: after a failure the line is emptied until it
//! is silent; whatever has arrived before a request is thrown away; and the first request to a unit that still owes an
//! answer is one whose answer has another length, so that the late one is seen for what it is.

use std::time::Duration;

use guideway_contract::SessionEnd;
use tokio::time::Instant;

use crate::codec::{Error, Request};
use crate::line::{Failure, Line, Reply, Target};
use crate::{Framing, Table};

/// A line, open or not.
pub(crate) struct Wire {
    pub(crate) target: Target,
    line: Option<Line>,
    /// Until when an answer that nobody waits for may still come; `None` when none is owed.
    owed_until: Option<Instant>,
    debts: Vec<Debt>,
}

/// What a unit was asked and never answered.
#[derive(Debug)]
struct Debt {
    unit: u8,
    table: Table,
    start: u16,
    /// How many bytes of data the answers that may still come have.
    lengths: [usize; 4],
    oldest: usize,
}

impl Wire {
    /// A line to there, not open yet.
    pub(crate) fn new(target: Target) -> Self {
        Self { target, line: None, owed_until: None, debts: Vec::new() }
    }

    /// Closes it.
    pub(crate) fn close(&mut self) {
        self.line = None;
    }

    /// Opens it if it is not open.
    pub(crate) async fn connect(&mut self) -> Result<&mut Line, Failure> {
        if self.line.is_some() && self.owed_until.is_some() && self.target.is_tcp() {
            self.line = None;
        }
        let is_new = self.line.is_none();
        if is_new {
            self.line = Some(self.target.open().await?);
        }
        let is_rtu = self.target.framing == Framing::Rtu;
        let Some(line) = self.line.as_mut() else { return Err(Failure::NotConnected("not open".into())) };
        // What a line still held from before it was opened answers nothing that was asked here.
        if is_rtu && (is_new || self.owed_until.is_some()) {
            line.drain(self.owed_until.unwrap_or_else(Instant::now)).await?;
        }
        self.owed_until = None;
        Ok(line)
    }

    /// Asks, on a clean line. A read whose answer is garbled on RTU is asked once more: noise is nothing special there.
    pub(crate) async fn transact(
        &mut self,
        unit: u8,
        request: &Request,
        patience: Duration,
        reply: &mut Reply,
    ) -> Result<(), Failure> {
        reply.garbled = None;
        // Unit 0 is everybody: all would do what one was asked, and none would answer.
        if self.target.framing == Framing::Rtu && !(1..=247).contains(&unit) {
            return Err(Failure::NotConnected(format!("{unit} is no unit on a serial line (1-247)")));
        }
        let first = self.attempt(unit, request, patience, reply).await;
        match first {
            Err(Failure::Garbled(error)) if request.is_read() && self.target.framing == Framing::Rtu => {
                let second = self.attempt(unit, request, patience, reply).await;
                reply.garbled = Some(error);
                second
            }
            first => first,
        }
    }

    async fn attempt(
        &mut self,
        unit: u8,
        request: &Request,
        patience: Duration,
        reply: &mut Reply,
    ) -> Result<(), Failure> {
        if let Err(failure) = self.connect().await {
            self.line = None;
            return Err(failure);
        }
        self.settle(unit, patience, reply).await?;
        self.ask(unit, request, patience, reply).await
    }

    /// Makes sure that what `unit` next answers is the answer to what it is next asked.
    async fn settle(&mut self, unit: u8, patience: Duration, reply: &mut Reply) -> Result<(), Failure> {
        let mut exceptions = 0;
        while let Some(debt) = self.debts.iter().find(|debt| debt.unit == unit) {
            let question = debt.question();
            self.ask(unit, &question, patience, reply).await?;
            // An exception has no length of its own: the first may be a late one, and the answer still to come.
            if reply.exception.is_some() && exceptions == 0 {
                exceptions += 1;
                self.note_debt(unit, &question);
                self.owed_until = Some(Instant::now());
                self.connect().await?;
                continue;
            }
            self.debts.retain(|debt| debt.unit != unit);
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        unit: u8,
        request: &Request,
        patience: Duration,
        reply: &mut Reply,
    ) -> Result<(), Failure> {
        let Some(line) = self.line.as_mut() else { return Err(Failure::NotConnected("not open".into())) };
        // Set first: if the one who asks is gone before the answer, it is owed too.
        self.owed_until = Some(Instant::now() + patience);
        let result = line.exchange(unit, request, patience, reply).await;
        match &result {
            Ok(()) => self.owed_until = None,
            // Damaged but whole: there is nothing more to wait for than silence.
            Err(Failure::Garbled(Error::Checksum)) => {
                self.owed_until = Some(Instant::now());
                self.note_debt(unit, request);
            }
            Err(Failure::Silent(_) | Failure::Garbled(_)) if self.target.framing == Framing::Rtu => {
                self.note_debt(unit, request);
            }
            Err(Failure::Silent(_) | Failure::Garbled(_)) => {}
            Err(Failure::Lost(_) | Failure::NotConnected(_)) => self.line = None,
        }
        result
    }

    fn note_debt(&mut self, unit: u8, request: &Request) {
        let (table, start) = match request {
            Request::Read { table, start, .. } => (*table, *start),
            _ => (Table::Holding, 0),
        };
        let length = request.data_bytes();
        match self.debts.iter_mut().find(|debt| debt.unit == unit) {
            Some(debt) => {
                debt.lengths[debt.oldest] = length;
                debt.oldest = (debt.oldest + 1) % debt.lengths.len();
            }
            None => self.debts.push(Debt { unit, table, start, lengths: [length; 4], oldest: 0 }),
        }
    }
}

impl Debt {
    /// A request whose answer has a length that none of those owed has.
    fn question(&self) -> Request {
        let per_count = if self.table.is_bits() { 1 } else { 2 };
        let count =
            (1..=5_u16).find(|count| !self.lengths.contains(&(per_count * usize::from(*count)))).unwrap_or(1);
        Request::Read {
            table: self.table,
            start: self.start,
            count: if self.table.is_bits() { 8 * count } else { count },
        }
    }
}

impl Failure {
    /// What it means for the session with `unit` at `endpoint`, which has been `up` or not.
    pub(crate) fn end(self, endpoint: String, unit: u8, up: bool) -> SessionEnd {
        let not_connected = |cause| SessionEnd::NotConnected { endpoint, cause };
        match self {
            Self::NotConnected(cause) if up => SessionEnd::Lost(cause),
            Self::NotConnected(cause) => not_connected(cause),
            Self::Lost(cause) => SessionEnd::Lost(cause),
            Self::Silent(time) if up => SessionEnd::Silent(time),
            Self::Silent(time) => {
                not_connected(format!("unit {unit} does not answer within {} ms", time.as_millis()))
            }
            Self::Garbled(error) => SessionEnd::Protocol(format!("unit {unit}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_question_after_a_debt_has_an_answer_of_another_length() {
        let mut debt = Debt { unit: 1, table: Table::Holding, start: 7, lengths: [2, 2, 2, 2], oldest: 0 };
        assert_eq!(debt.question(), Request::Read { table: Table::Holding, start: 7, count: 2 });
        debt.lengths = [2, 4, 8, 6];
        assert_eq!(debt.question(), Request::Read { table: Table::Holding, start: 7, count: 5 });
        debt.table = Table::Coil;
        debt.lengths = [1, 2, 2, 2];
        assert_eq!(debt.question(), Request::Read { table: Table::Coil, start: 7, count: 24 });
    }
}
