//! Commands on their way back to a machine.

use std::time::Duration;

use smol_str::SmolStr;
use tokio::sync::oneshot;

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
