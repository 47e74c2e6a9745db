//! Commands on their way back to a machine.

use std::time::Duration;

use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot};

use crate::{Native, PointId};

/// One value to be written to one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Where to.
    pub point: PointId,
    /// What, as the machine is to have it: in native units, before any scale.
    pub value: Native,
}

/// What control asks of an adapter: writes, in order, all within `timeout`.
///
/// Only control makes these (invariant 5): permits, interlocks and read-back are behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The request's id, for logs and the audit trail.
    pub id: SmolStr,
    /// What to write, in order; a write that is not done ends the command.
    pub writes: Vec<Write>,
    /// How long the adapter may take.
    pub timeout: Duration,
}

/// How a command ended. There is no fifth way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The machine has acknowledged every write.
    Done,
    /// The machine or the adapter said no; what was refused is not written.
    Refused(String),
    /// Nothing left the gateway: no session, no such point, protocol without a downlink.
    NotSent(String),
    /// It left, and no answer came. Never retried: read back instead.
    Unknown(String),
}

/// A command with the way back for its outcome.
#[derive(Debug)]
pub struct CommandRequest {
    /// What is asked.
    pub command: Command,
    /// Where the outcome goes. Dropped without a word it counts as [`Outcome::Unknown`].
    pub reply: oneshot::Sender<Outcome>,
}

/// The commands that an adapter is asked for, in order. One whose requester no longer waits has ended as unknown, and
/// somebody may have acted on that: it is not given out any more.
#[derive(Debug)]
pub struct Commands(mpsc::Receiver<CommandRequest>);

impl Commands {
    pub(crate) const fn new(requests: mpsc::Receiver<CommandRequest>) -> Self {
        Self(requests)
    }

    /// The next one; `None` once nobody can ask any more. May be given up at any time: nothing is lost.
    pub async fn recv(&mut self) -> Option<CommandRequest> {
        loop {
            let request = self.0.recv().await?;
            if !request.reply.is_closed() {
                return Some(request);
            }
        }
    }

    /// One that is there already.
    pub fn try_recv(&mut self) -> Option<CommandRequest> {
        std::iter::from_fn(|| self.0.try_recv().ok()).find(|request| !request.reply.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_given_out() {
        let (requests, receiver) = mpsc::channel(8);
        let mut commands = Commands::new(receiver);
        let ask = |id: &str| {
            let (reply, outcome) = oneshot::channel();
            let command = Command { id: id.into(), writes: Vec::new(), timeout: Duration::from_secs(1) };
            requests.try_send(CommandRequest { command, reply }).unwrap();
            outcome
        };
        drop(ask("a"));
        let _waits = ask("b");
        assert_eq!(commands.try_recv().unwrap().command.id, "b");
        drop(ask("c"));
        assert!(commands.try_recv().is_none());
        drop(ask("d"));
        let _waits = ask("e");
        assert_eq!(commands.recv().await.unwrap().command.id, "e");
        drop((ask("f"), requests));
        assert!(commands.recv().await.is_none());
    }
}
