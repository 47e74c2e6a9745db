//! The OPC UA face: the machines in the terms of the MTConnect companion specification
//! (OPC 30070-1), from the same device model and journal as every other face.
//!
//! One node manager, [`Space`](space::Space), owns the standard's own nodes, the companion types and
//! the machines. The [`Feed`](feed::Feed) reads the journal and makes of each observation what its
//! [`Binding`](binding::Binding) says: new values of variables, or events.

mod binding;
mod control;
mod core;
mod events;
mod face;
mod feed;
mod history;
mod instances;
mod machine_tool;
pub mod nodeset;
mod options;
pub mod security;
mod space;
mod value;
mod watch;

use std::path::PathBuf;

use smol_str::SmolStr;

use crate::control::Control;
use crate::device_model::SharedModel;
use crate::journal::Journal;

pub use face::{Face, StartError, Stats};
pub use options::{Limits, Mode, Options, Policy, Role, User};

/// What the face shows, and where it keeps its own.
#[derive(Clone)]
pub struct Context {
    /// The gateway's name: part of the namespace of the machines' nodes.
    pub gateway: SmolStr,
    /// The device model.
    pub model: SharedModel,
    /// The journal.
    pub journal: Journal,
    /// Where `pki_dir` is by default: a folder that outlives the process.
    pub data_dir: PathBuf,
    /// Control of the machines; without it nothing can be called or written.
    pub control: Option<Control>,
}
