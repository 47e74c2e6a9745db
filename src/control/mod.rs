//! Control: commands back to the machine, deny by default.
//!
//! One road for every face: a [`Claim`] (who wants which command of which device, with which arguments, until when)
//! is audited, permitted, checked, interlocked, written, read back, and ends in exactly one [`State`]. Faces
//! authenticate (by a signed request, [`Control::open`], or by their own users, [`Control::requester`]), hand claims to
//! [`Control::submit`], and know nothing of how they end but the [`End`].
//!
//! A command is a thing that a device profile names ([`Definition`]); points cannot be written in any other way.
//!
//! | file | what it is about |
//! |---|---|
//! | `definition` | a command as a profile defines it, compiled |
//! | `request` | claims, ends, reasons |
//! | `token`, `claims`, `strict`, `key`, `password`, `login` | how somebody proves who they are |
//! | `plain` | a request that is not signed, behind a password |
//! | `permit`, `when`, `rate` | who may ask for what, and how often |
//! | `engine` | the road, from the first row in the audit to the last |
//! | `door` | everything that is looked at before a machine is touched |
//! | `interlock`, `live` | what a command looks at, and how old it is |
//! | `carry`, `unit` | writes, read-back, release; the machine that is held |
//! | `memory`, `recover` | ids that were used; requests that a stop has cut off |
//! | `guard`, `switch` | the panic switch and its file |
//! | `note`, `rows`, `counters` | what the journal, the audit and the metrics are told |
//! | `words` | enumerations of words for programs |
//! | `halt` | dying at a given step, for tests |
//! | `audit` | the hash-chained trail of all of it |

pub mod audit;
mod carry;
pub mod claims;
mod counters;
pub mod definition;
mod door;
mod engine;
mod guard;
#[cfg(debug_assertions)]
mod halt;
mod interlock;
pub mod key;
pub mod live;
mod login;
mod memory;
mod note;
pub mod options;
pub mod password;
pub mod permit;
pub mod plain;
pub mod rate;
mod recover;
pub mod request;
mod rows;
mod strict;
pub mod switch;
pub mod token;
mod unit;
pub mod values;
pub mod when;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{CommandRequest, Timestamp, Value};
use smol_str::SmolStr;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::device_model::SharedModel;
use crate::journal::Journal;
use audit::{Audit, AuditError, What};
pub use counters::Counters;
pub use definition::{Argument, Controlled, Definition, Kind, Risk, Step, Verify};
use engine::Inner;
use guard::Guard;
pub use live::Live;
use login::Logins;
pub use note::Note;
pub use options::Options;
use permit::Permits;
use rate::Rates;
pub use request::{Claim, End, Face, Reason, ReplyTo, Requester, State};
use token::Tokens;
use unit::Unit;
pub use unit::{DeviceStatus, Running};

/// How often the files of the panic switch are looked at while nothing is asked.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Rows that strangers together, and each requester who asks too often, get in the audit: so many at once, and then this
/// many a minute.
const REFUSALS: (u32, u32) = (200, 120);

/// Control of a running gateway. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

/// What control needs of the gateway.
pub struct Context {
    /// The gateway's name: what signed requests have to be for.
    pub gateway: SmolStr,
    /// Where the audit and the switch's file are; `None`: in memory only.
    pub data_dir: Option<PathBuf>,
    /// Where interlocks look.
    pub journal: Journal,
    /// What data items there are.
    pub model: SharedModel,
    /// Where observations go.
    pub notes: mpsc::Sender<Note>,
}

/// A machine, its points, and the sending end of its adapter's commands: nobody else holds one.
pub struct Reach {
    /// The machine.
    pub machine: Controlled,
    /// Its points, which the ingest thread keeps up to date.
    pub live: Arc<Live>,
    /// Where its adapter listens.
    pub commands: mpsc::Sender<CommandRequest>,
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

/// Why control cannot be.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A key or secret cannot be used.
    #[error("[control]: {0}")]
    Keys(String),
    /// A permit cannot be read.
    #[error("[control]: {0}")]
    Permits(String),
}

impl Control {
    /// Reads the audit of earlier runs. An audit that is broken keeps control off, and nothing else.
    ///
    /// # Errors
    /// What is wrong in `[control]`.
    pub fn new(options: Option<Options>, reaches: Vec<Reach>, context: Context) -> Result<Self, StartError> {
        let missing = options.is_none();
        let options = options.unwrap_or_default();
        let tokens = Tokens::new(&context.gateway, &options).map_err(StartError::Keys)?;
        let permits = Permits::new(&options, permit::system_zone()).map_err(StartError::Permits)?;
        let mut reader = recover::Reader::default();
        let opened = match &context.data_dir {
            Some(folder) => Audit::open(folder, |record| reader.take(record)),
            None => Ok(Audit::nowhere()),
        };
        let mut fixed = None;
        if missing {
            fixed = Some(("configuration", "there is no [control] in the configuration".to_owned()));
        } else if !options.enabled {
            fixed = Some(("configuration", "[control] enabled = false".to_owned()));
        }
        let mut is_whole = true;
        let audit = opened.unwrap_or_else(|error: AuditError| {
            is_whole = false;
            tracing::error!(%error, "control stays off");
            fixed = Some(("audit", error.to_string()));
            Audit::nowhere()
        });
        let mut left = reader.finish();
        if !is_whole {
            // Nothing is written to a machine, and no end is told again, because of rows that nobody can trust.
            left.memory = memory::Memory::default();
            left.last.clear();
            for orphan in left.orphans.drain(..) {
                tracing::error!("left as it is, for the audit cannot be trusted: {orphan}");
            }
        }
        let guard = Guard::new(context.data_dir.as_deref(), options.off_file.clone(), fixed);
        let switch = guard.look();
        let (mut machines, mut units) = (Vec::new(), Vec::new());
        for Reach { machine, live, commands } in reaches {
            let machine = Arc::new(machine);
            machines.push(machine.clone());
            units.push(Arc::new(Unit::new(machine, live, commands)));
        }
        let inner = Inner {
            logins: Logins::new(&options),
            rates: Rates::new(options.burst, options.per_minute),
            refusals: Rates::new(REFUSALS.0, REFUSALS.1),
            options,
            machines,
            units,
            audit,
            tokens,
            permits,
            memory: left.memory.into(),
            guard,
            turned: switch.clone().into(),
            switch: watch::Sender::new(switch),
            ended: broadcast::Sender::new(256),
            notes: context.notes,
            journal: context.journal,
            model: context.model,
            recovered: watch::Sender::new(left.orphans.is_empty() && left.last.is_empty()),
            orphans: left.orphans.into(),
            last: left.last.into(),
            counters: Counters::default(),
            started: tokio::time::Instant::now(),
            finished: watch::Sender::new(()),
            on_road: watch::Sender::new(0),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Ends what earlier runs have left, tells the journal how the switch stands, and goes on watching its files until
    /// the gateway stops. To be called once the ingest thread runs and faces listen for ends.
    pub async fn run(self, stop: tokio_util::sync::CancellationToken) {
        let inner = &self.0;
        let mut row = serde_json::Map::new();
        row.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        if let Err(error) = inner.log(What::Start, &SmolStr::default(), row, false) {
            tracing::error!(%error, "the audit cannot be written");
        }
        let mut told = inner.look().on;
        inner.tell_switch(told).await;
        inner.recover().await;
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            if let Err(error) = engine::aside(|| inner.audit.settle()) {
                tracing::error!(%error, "the audit cannot be written");
            }
            let on = inner.turn();
            if on != told {
                inner.tell_switch(on).await;
                told = on;
            }
        }
    }

    /// Takes no more requests, and waits until those that run have ended.
    pub async fn stop(&self, patience: Duration) {
        let inner = &self.0;
        inner.guard.stop();
        let mut on_road = inner.on_road.subscribe();
        if tokio::time::timeout(patience, on_road.wait_for(|count| *count == 0)).await.is_err() {
            tracing::warn!("commands are cut off by the stop; they get their end at the next start");
        }
        if let Err(error) = inner.log(What::Stop, &SmolStr::default(), serde_json::Map::new(), true) {
            tracing::error!(%error, "the stop is not in the audit");
        }
    }

    /// The machines that permit commands.
    pub fn machines(&self) -> &[Arc<Controlled>] {
        &self.0.machines
    }

    /// What is configured.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// How each machine stands, in the order of [`machines`](Self::machines).
    pub fn status(&self) -> Vec<DeviceStatus> {
        self.0.units.iter().map(|unit| unit.status()).collect()
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Reads a signed request that came through `face`: who asks is proved by its signature. `path` is the device and
    /// command that the request's address names, which have to be the ones in it.
    ///
    /// # Errors
    /// The end of a request that cannot be taken; it is in the audit already.
    pub fn open(&self, face: Face, signed: &[u8], path: Option<(&str, &str)>) -> Result<Claim, Box<End>> {
        let opened = self.0.tokens.open(signed).map_err(|refused| {
            let claimed = &refused.claimed;
            let end =
                End::rejected(&claimed.id, &claimed.device, &claimed.command, refused.reason, refused.detail);
            self.0.stranger(face, end, &claimed.requester, refused.why)
        })?;
        if let Some((device, command)) = path
            && (device, command) != (&*opened.device, &*opened.command)
        {
            let detail = "the request's address names another device or command than what was signed";
            let end = End::rejected(&opened.id, &opened.device, &opened.command, Reason::Malformed, detail);
            return Err(self.0.stranger(face, end, &opened.requester, "the signature fits"));
        }
        let requester = Requester { name: opened.requester, face, roles: opened.roles };
        Ok(Claim {
            id: opened.id,
            device: opened.device,
            command: opened.command,
            arguments: opened.arguments,
            requester,
            expires: opened.expires,
            dry_run: opened.dry_run,
            reply_to: None,
        })
    }

    /// Somebody whose password is `password` (HTTP Basic). Takes some 20 ms of a core, aside.
    ///
    /// # Errors
    /// The end of the request; it is in the audit already.
    pub async fn login(&self, face: Face, name: &str, password: &str) -> Result<Requester, Box<End>> {
        match self.0.logins.check(name, password).await {
            Some(roles) => Ok(Requester { name: name.into(), face, roles }),
            None => {
                let detail =
                    "user name or password is wrong, or passwords of this name were tried too often lately";
                let end = End::rejected("", "", "", Reason::Unauthenticated, detail);
                Err(self.0.stranger(face, end, name, ""))
            }
        }
    }

    /// Somebody whom the face knows (an OPC UA user) with the roles that the face gives, and those that
    /// `[[control.requester]]` gives to that name.
    pub fn requester(&self, face: Face, name: &str, roles: &[&str]) -> Requester {
        let mut all: Vec<SmolStr> = roles.iter().map(SmolStr::new).collect();
        all.extend(self.0.permits.roles_of(name));
        all.sort();
        all.dedup();
        Requester { name: name.into(), face, roles: all }
    }

    /// Puts a request into the audit that a face could not even read, and gives its end back.
    pub fn refuse(&self, face: Face, end: End) -> Box<End> {
        self.0.stranger(face, end, "", "")
    }

    /// Whether the machine of that name or uuid is connected.
    pub fn is_up(&self, device: &str) -> bool {
        self.0.unit(device).is_ok_and(|unit| unit.live.is_up())
    }

    /// Whether somebody may switch control off. That is the safe direction: whoever any permit speaks of may, at any hour
    /// and through any face.
    pub fn may_switch_off(&self, requester: &Requester) -> bool {
        let permits = &self.0.options.permit;
        permits.iter().any(|permit| requester.roles.contains(&permit.role))
    }

    /// Whether some permit covers it now, whatever the state of the machine.
    pub fn permits(&self, requester: &Requester, device: &str, command: &str) -> bool {
        let Ok(unit) = self.0.unit(device) else { return false };
        unit.machine.command(command).is_some()
            && self.0.permits.covers(requester, &unit.machine.name, command, Timestamp::now()).is_ok()
    }

    /// Whether the command could be carried out now but for who asks and its arguments: control is on, the machine is
    /// there and idle, its interlock holds, and the answer to the command before does not stand there any more, as far as
    /// these do not depend on arguments.
    pub fn is_ready(&self, device: &str, command: &str) -> bool {
        self.0.is_ready(device, command)
    }

    /// Takes a request on its road. It is in the audit when this returns, so that a face may say that it has arrived. It
    /// goes on when the receiver is dropped; exactly one end comes.
    pub fn submit(&self, claim: Claim) -> oneshot::Receiver<End> {
        let (done, end) = oneshot::channel();
        let inner = self.0.clone();
        let entered = inner.enter(claim);
        tokio::spawn(async move {
            // Who asked may have gone; the end is in the audit and in the journal.
            let _ = done.send(inner.road(entered).await);
        });
        end
    }

    /// The panic switch, with its changes.
    pub fn switch(&self) -> watch::Receiver<Switch> {
        self.0.switch.subscribe()
    }

    /// Switches control off, or on again; survives restarts. What another file or fault keeps off stays off.
    ///
    /// # Errors
    /// What the system said of the file. Control is off even so.
    pub fn set_switch(&self, on: bool, by: &str, reason: &str) -> std::io::Result<()> {
        let done = engine::aside(|| self.0.guard.set(on, by, reason));
        self.0.turn();
        done
    }

    /// Ends of requests whose answer nobody waits for: those that a restart has ended.
    pub fn ended(&self) -> broadcast::Receiver<(ReplyTo, End)> {
        self.0.ended.subscribe()
    }

    /// Tells the journal something of a face that acts for a machine; returns when it can be read.
    pub async fn note(&self, item: &SmolStr, value: Value) {
        note::send(&self.0.notes, item, value).await;
    }
}
