//! Device profiles: one file for each kind of machine, from which its device, its adapter's settings, the mapping of
//! its points and its commands are made.
//!
//! `docs/profiles.md` is the reference; [`schema`] makes the JSON Schema that editors use.

mod commands;
mod draft;
pub mod file;
pub mod import;
mod interfaces;
mod items;
mod library;
mod model;
mod parameters;
mod read;
pub mod recording;
mod sample;
mod schema;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guideway_contract::{Access, Adapter};
use smol_str::SmolStr;
use toml::de::DeTable;

use crate::control::Definition;
use crate::pipeline::mapping::{Mapping, Parameters};
use crate::protocols::Settings;
use crate::reading::finding::Findings;
use crate::reading::{Report, Source};
pub use draft::draft;
use file::Scalar;
pub use interfaces::Answered;
pub use library::{Library, NotFound, Shipped, shipped};
pub(crate) use model::is_token;
use recording::Replay;
pub use schema::schema;

/// Who a machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Begins the ids of all that it has; made of its name.
    pub id: SmolStr,
    /// Its name; a name token of XML.
    pub name: SmolStr,
    /// Its uuid.
    pub uuid: SmolStr,
}

impl Identity {
    /// A machine of that name.
    pub fn new(name: &str, uuid: &str) -> Self {
        read::identity(name, uuid)
    }
}

/// A machine: what a profile says of its kind, and an instance of it.
#[derive(Clone)]
pub struct Machine {
    /// The profile's id.
    pub profile: SmolStr,
    /// The profile's version.
    pub version: String,
    /// The protocol.
    pub kind: SmolStr,
    /// Who it is.
    pub identity: Identity,
    /// The adapter's settings and points.
    pub(crate) settings: Arc<dyn Settings>,
    /// Its device, as an MTConnectDevices document; `None` where the source describes itself.
    pub device: Option<String>,
    /// Whether its AVAILABILITY follows the connection.
    pub follows_link: bool,
    /// How its points become values of data items.
    pub mapping: Arc<Mapping>,
    /// Its parameters' values.
    pub parameters: Arc<Parameters>,
    /// What it is for, in a line.
    pub about: String,
    /// How many data items it has.
    pub items: usize,
    /// A recording that is played in the machine's place.
    pub replay: Option<Replay>,
    /// Its commands, permitted or not.
    pub commands: BTreeMap<SmolStr, Arc<Definition>>,
    /// The interfaces of MTConnect that its profile can answer, by their keys.
    pub interfaces: BTreeMap<SmolStr, Answered>,
}

impl Machine {
    /// The adapter that reads it. Does no I/O.
    pub fn adapter(&self) -> Box<dyn Adapter> {
        match &self.replay {
            Some(replay) => {
                replay.adapter(self.mapping.points().iter().map(|point| point.name.clone()).collect())
            }
            None => self.settings.adapter(),
        }
    }

    /// By point: whether it is read, written or both.
    pub fn accesses(&self) -> Vec<Access> {
        self.settings.accesses()
    }

    /// By point: its native address.
    pub fn addresses(&self) -> Vec<String> {
        self.settings.addresses()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {}, {:?})", self.identity.name, self.profile, self.version, self.settings)
    }
}

/// Where an instance is written.
pub(crate) struct Told<'s> {
    pub(crate) source: &'s Arc<Source>,
    /// Where what is missing is told.
    pub(crate) span: Range<usize>,
    /// What it is called in messages.
    pub(crate) label: String,
}

/// What an instance says.
pub(crate) struct Instance<'s, 'i> {
    pub(crate) identity: Identity,
    pub(crate) address: Option<String>,
    pub(crate) address_span: Range<usize>,
    /// What relative paths are relative to.
    pub(crate) base: PathBuf,
    pub(crate) params: BTreeMap<SmolStr, Scalar>,
    /// Keys of the adapter's settings, put over those of the profile.
    pub(crate) settings: DeTable<'i>,
    /// Whether the instance permits commands: then its device has data items that tell of them.
    pub(crate) is_controlled: bool,
    /// Keys of the interfaces that the instance answers: only these have data items. `None`: all of them.
    pub(crate) interfaces: Option<Vec<SmolStr>>,
    /// `None` for a profile that is looked at alone.
    pub(crate) told: Option<Told<'s>>,
}

impl Instance<'_, '_> {
    /// Nobody in particular.
    fn nobody() -> Self {
        Self {
            identity: Identity::new("machine", "machine"),
            address: None,
            address_span: 0..0,
            base: PathBuf::new(),
            is_controlled: false,
            interfaces: None,
            params: BTreeMap::new(),
            settings: DeTable::new(),
            told: None,
        }
    }
}

/// Reads a profile for an instance; what is wrong goes into `findings`.
pub(crate) fn machine(
    source: &Arc<Source>,
    instance: &Instance<'_, '_>,
    findings: &mut Findings,
) -> Option<Machine> {
    let folder = source.path().parent().unwrap_or(Path::new(""));
    read::read(source, folder, instance, findings)
}

/// Everything wrong with a profile, and the machine it makes of an instance without a name.
pub fn check(source: &Arc<Source>) -> (Report, Option<Machine>) {
    let mut findings = Findings::default();
    let machine = machine(source, &Instance::nobody(), &mut findings);
    (Report { findings: findings.sorted() }, machine)
}

/// A machine of a profile at an address, with these parameters, and these settings put over those of its
/// `[adapter]`; for trying one out.
///
/// # Errors
/// Everything that is wrong.
pub fn instance(
    source: &Arc<Source>,
    name: &str,
    address: &str,
    params: BTreeMap<SmolStr, Scalar>,
    settings: DeTable<'static>,
) -> Result<Machine, Report> {
    let mut findings = Findings::default();
    let mut instance = Instance::nobody();
    instance.identity = Identity::new(name, name);
    instance.address = Some(address.to_owned());
    instance.params = params;
    instance.settings = settings;
    let machine = machine(source, &instance, &mut findings);
    machine.ok_or_else(|| Report { findings: findings.sorted() })
}
