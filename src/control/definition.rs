//! Commands as profiles define them, compiled.

use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{Native, PointId};
use regex::Regex;
use smol_str::SmolStr;

use crate::pipeline::mapping::{Expression, Mapping};

/// How far a command's effects go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// A value that the machine takes into account.
    Setpoint,
    /// What the machine works on.
    Program,
    /// Something moves.
    Motion,
}

impl Risk {
    /// As profiles write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setpoint => "setpoint",
            Self::Program => "program",
            Self::Motion => "motion",
        }
    }
}

/// What kind of value an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number, 64 bits with sign.
    Int,
    /// A finite number.
    Float,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

impl Kind {
    /// As profiles write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Text => "string",
        }
    }
}

/// An argument of a command, and what it may be.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its name.
    pub name: SmolStr,
    /// What kind of value.
    pub kind: Kind,
    /// Least value of a number.
    pub min: Option<f64>,
    /// Greatest value of a number.
    pub max: Option<f64>,
    /// Longest text, in characters; never more than [`MOST_CHARACTERS`].
    pub max_len: u32,
    /// What a text has to match whole.
    pub pattern: Option<Regex>,
    /// The values that are allowed; empty: all.
    pub one_of: Vec<Native>,
    /// Its units, for people; may be empty.
    pub units: SmolStr,
    /// What it is; may be empty.
    pub about: String,
}

impl Argument {
    /// The pattern as the profile has written it, without the anchors that were put around it.
    pub fn pattern_text(&self) -> Option<&str> {
        let whole = self.pattern.as_ref()?.as_str();
        Some(whole.strip_prefix(r"\A(?:").and_then(|rest| rest.strip_suffix(r")\z")).unwrap_or(whole))
    }
}

/// What `args` is among the inputs of a command's expressions; below [`ITEMS`] are points.
pub const ARGUMENTS: u32 = u32::MAX;
/// What `item` is among the inputs of a command's expressions.
pub const ITEMS: u32 = u32::MAX - 1;

/// Longest text of an argument, whatever the profile says.
pub const MOST_CHARACTERS: u32 = 4_096;

/// One write.
#[derive(Clone, Debug)]
pub struct Step {
    /// The point.
    pub point: PointId,
    /// What is written, in the units of the point's value (scaled).
    pub value: Arc<Expression>,
}

/// What has to be read back.
#[derive(Clone, Debug)]
pub struct Verify {
    /// The point that is read.
    pub point: PointId,
    /// What it has to be equal to.
    pub equals: Arc<Expression>,
    /// How soon after the last write.
    pub within: Duration,
    /// How far a number may be off.
    pub tolerance: f64,
    /// Whether the value may stand there before. If not, a command whose answer already stands is rejected: it
    /// could not be told from the answer to the command before.
    pub standing: bool,
    /// When true over points that are read after the writes, the machine has said no.
    pub refused: Option<Arc<Expression>>,
}

/// A command that an instance permits.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name.
    pub name: SmolStr,
    /// What it does, for people.
    pub about: String,
    /// How far its effects go.
    pub risk: Risk,
    /// Its arguments, in the profile's order of names.
    pub arguments: Vec<Argument>,
    /// What has to be true.
    pub require: Option<Arc<Expression>>,
    /// Keys of the items that `require` and writes look at, with the ids of their data items.
    pub items: Vec<(SmolStr, SmolStr)>,
    /// How old the data may be that the command looks at.
    pub max_age: Duration,
    /// What is written, in order.
    pub writes: Vec<Step>,
    /// What has to be read back.
    pub verify: Option<Verify>,
    /// What is written at the end, however the command ended.
    pub release: Vec<Step>,
    /// The id of the data item whose variable, when written in OPC UA, is this command with its one argument.
    pub bound: Option<SmolStr>,
}

/// A machine with the commands that its instance permits.
#[derive(Clone, Debug)]
pub struct Controlled {
    /// The device's name.
    pub name: SmolStr,
    /// The device's uuid.
    pub uuid: SmolStr,
    /// The id of the data item that tells of commands (MESSAGE, DATA_SET).
    pub told: SmolStr,
    /// The id of the data item that tells whether control is on (INTERFACE_STATE).
    pub state: SmolStr,
    /// The permitted commands, by name.
    pub commands: Vec<Arc<Definition>>,
    /// Its points.
    pub mapping: Arc<Mapping>,
    /// Whether values come when they change, and are current as long as anything comes.
    pub subscribed: bool,
}

impl Controlled {
    /// The permitted command of that name.
    pub fn command(&self, name: &str) -> Option<&Arc<Definition>> {
        self.commands.iter().find(|command| command.name == name)
    }
}
