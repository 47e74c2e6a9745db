//! A machine under control: its points, its adapter's ear, and the one command that may run.

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{Command, CommandRequest, Native, Outcome, PointId, Timestamp, Write};
use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot};

use super::live::Live;
use super::{Controlled, End, Reason};

/// Beyond the adapter's own time for a write: an adapter that is late has lost count.
const GRACE: Duration = Duration::from_secs(2);

/// A machine and what control needs to write to it. Nothing else holds an adapter's sending end.
pub(super) struct Unit {
    pub(super) machine: Arc<Controlled>,
    pub(super) live: Arc<Live>,
    commands: mpsc::Sender<CommandRequest>,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    running: Option<Running>,
    last: Option<End>,
    /// Release steps that are not done yet, of which request.
    pending: Option<SmolStr>,
}

/// A command that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The request's id.
    pub id: SmolStr,
    /// Which command.
    pub command: SmolStr,
    /// Who has asked for it.
    pub requester: SmolStr,
    /// Since when.
    pub since: Timestamp,
}

/// How a machine stands.
#[derive(Clone, Debug)]
pub struct DeviceStatus {
    /// The device's name.
    pub name: SmolStr,
    /// Whether its session is up.
    pub is_up: bool,
    /// The command that runs.
    pub running: Option<Running>,
    /// The request whose release steps are not done yet.
    pub release_pending: Option<SmolStr>,
    /// How the last request ended, rejected ones included.
    pub last: Option<End>,
}

/// Holds a machine for one command.
pub(super) struct Hold(Arc<Unit>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.slot.lock().running = None;
    }
}

/// Room for one write at the adapter: what is written now leaves at once.
pub(super) struct Room<'u>(mpsc::Permit<'u, CommandRequest>);

/// A value on its way to a point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    pub(super) point: PointId,
    pub(super) name: SmolStr,
    /// As the adapter gets it: before any scale.
    pub(super) raw: Native,
}

impl Unit {
    pub(super) fn new(
        machine: Arc<Controlled>,
        live: Arc<Live>,
        commands: mpsc::Sender<CommandRequest>,
    ) -> Self {
        Self { machine, live, commands, slot: Mutex::default() }
    }

    pub(super) fn status(&self) -> DeviceStatus {
        let slot = self.slot.lock();
        DeviceStatus {
            name: self.machine.name.clone(),
            is_up: self.live.is_up(),
            running: slot.running.clone(),
            release_pending: slot.pending.clone(),
            last: slot.last.clone(),
        }
    }

    /// Holds the machine for a command.
    ///
    /// # Errors
    /// What it is busy with.
    pub(super) fn hold(self: &Arc<Self>, running: Running) -> Result<Hold, (Reason, String)> {
        let mut slot = self.slot.lock();
        if let Some(id) = &slot.pending {
            let detail = format!(
                "the release steps of request `{id}` are not done yet; they are tried until the machine has taken them"
            );
            return Err((Reason::ReleasePending, detail));
        }
        if let Some(other) = &slot.running {
            let detail = format!("`{}` of {} runs (request `{}`)", other.command, other.requester, other.id);
            return Err((Reason::Busy, detail));
        }
        slot.running = Some(running);
        Ok(Hold(self.clone()))
    }

    pub(super) fn set_pending(&self, id: Option<SmolStr>) {
        self.slot.lock().pending = id;
    }

    pub(super) fn ended(&self, end: &End) {
        self.slot.lock().last = Some(end.clone());
    }

    /// Whether it would take no command now.
    pub(super) fn is_taken(&self) -> bool {
        let slot = self.slot.lock();
        slot.running.is_some() || slot.pending.is_some()
    }

    /// Waits until the adapter takes a write; it is made by [`write`](Self::write).
    ///
    /// # Errors
    /// Why it takes none.
    pub(super) async fn reserve(&self, timeout: Duration) -> Result<Room<'_>, String> {
        match tokio::time::timeout(timeout, self.commands.reserve()).await {
            Ok(Ok(room)) => Ok(Room(room)),
            Ok(Err(_)) => Err("the adapter has ended".to_owned()),
            Err(_) => Err("the adapter did not take it".to_owned()),
        }
    }

    /// Hands one write to the adapter and waits for what becomes of it.
    pub(super) async fn write(
        &self,
        room: Room<'_>,
        id: &SmolStr,
        written: &Written,
        timeout: Duration,
    ) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let write = Write { point: written.point, value: written.raw.clone() };
        let command = Command { id: id.clone(), writes: vec![write], timeout };
        room.0.send(CommandRequest { command, reply });
        match tokio::time::timeout(timeout + GRACE, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::Unknown("the adapter gave no answer".to_owned()),
            Err(_) => Outcome::Unknown(format!(
                "the adapter gave no answer within {} ms",
                (timeout + GRACE).as_millis()
            )),
        }
    }
}
