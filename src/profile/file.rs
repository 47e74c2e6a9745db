//! A profile as it is written: `device-profiles/<vendor>-<model>.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use guideway_contract::{Access, DataType, Level, Native, Qualifier};
use schemars::JsonSchema;
use serde::Deserialize;
use smol_str::SmolStr;

/// What stands at the top of a profile.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Version of this format: 1.
    pub schema: u32,
    /// What instances call it: the file's name without `.toml`.
    pub id: SmolStr,
    /// `major.minor.patch`. Instances name the major; a change that takes items or commands away, or gives
    /// them another meaning, raises it.
    pub version: String,
    /// The machine's manufacturer, as devices tell it in their Description.
    #[serde(default)]
    pub vendor: String,
    /// The machine's or control's model.
    #[serde(default)]
    pub model: String,
    /// What it is for, in a line.
    #[serde(default)]
    pub description: String,
    /// What instances may set. `${name}` in any text of the profile, `params.name` in expressions.
    #[serde(default)]
    pub params: BTreeMap<SmolStr, Parameter>,
    /// How often points are read, by group: a duration, or `connect` for once after each connect. The group
    /// `default` is for points that name none; without it they are read every second.
    #[serde(default)]
    pub groups: BTreeMap<SmolStr, String>,
    /// Words for raw values: `{ 0 = "READY", 1 = "ACTIVE", _ = "UNAVAILABLE" }`; `_` is anything else.
    #[serde(default)]
    pub enums: BTreeMap<SmolStr, BTreeMap<SmolStr, SmolStr>>,
}

/// What kind of value a parameter or an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScalarType {
    /// A whole number.
    #[serde(alias = "i64")]
    Int,
    /// A number.
    #[serde(alias = "f64")]
    Float,
    /// True or false.
    Bool,
    /// Text.
    String,
}

/// A single value, as TOML writes it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(SmolStr),
}

impl Scalar {
    /// As raw values are compared with.
    pub fn native(&self) -> Native {
        match self {
            Self::Bool(set) => Native::Bool(*set),
            Self::Int(number) => Native::Int(*number),
            Self::Float(number) => Native::Float(*number),
            Self::Text(text) => Native::Text(text.clone()),
        }
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.native().fmt(f)
    }
}

/// Something that differs from machine to machine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What kind of value.
    #[serde(rename = "type")]
    pub kind: ScalarType,
    /// The value where an instance gives none; without it every instance has to.
    #[serde(default)]
    pub default: Option<Scalar>,
    /// Least value of a number.
    #[serde(default)]
    pub min: Option<f64>,
    /// Greatest value of a number.
    #[serde(default)]
    pub max: Option<f64>,
    /// What it is, and where to find it on the machine.
    #[serde(default)]
    pub about: String,
}

/// A point: what is read off the wire. The protocol adds its own keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Point {
    /// Its native address, in the protocol's own form.
    pub addr: SmolStr,
    /// How it is encoded. Default: as the protocol says.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// When it is read: one of `groups`.
    pub group: Option<SmolStr>,
    /// `r`, `w` or `rw`; only commands write.
    pub access: Access,
    /// Factor of its number.
    pub scale: Option<f64>,
    /// What is added to its number after scaling.
    pub offset: Option<f64>,
    /// Raw values that mean "no value".
    pub invalid: Vec<Scalar>,
    /// What it is.
    pub about: String,
}

/// A data item, and where its value comes from: one of `from`, `value`, `bits`, `condition`, `entries`, `shdr`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Item {
    /// Its place: components below the device, `Axes/Linear[X]`; `.` is the device itself. Names in brackets.
    pub at: String,
    /// MTConnect's type with its sub-type: `POSITION.ACTUAL`.
    #[serde(rename = "type")]
    pub item_type: SmolStr,
    /// `SAMPLE`, `EVENT` or `CONDITION`, for types that the standard does not know.
    pub category: Option<SmolStr>,
    /// `VALUE`, `DATA_SET`, `TABLE` or `TIME_SERIES`.
    pub representation: Option<SmolStr>,
    /// Units of the values that leave.
    pub units: SmolStr,
    /// Units of the machine's values, where they are others: they are converted.
    pub native_units: SmolStr,
    /// Statistic over a period: AVERAGE, MAXIMUM, ….
    pub statistic: Option<SmolStr>,
    /// Its name in the device model. Default: its key.
    pub name: Option<SmolStr>,
    /// A point.
    pub from: Option<SmolStr>,
    /// A part of that point: a field by its name, or an element counted from 0 (negative: from the end).
    pub field: Option<Field>,
    /// A CEL expression over points and `params`; `link` alone for the state of the connection.
    pub value: Option<String>,
    /// Words for its value: one of `enums`.
    #[serde(rename = "enum")]
    pub words: Option<SmolStr>,
    /// A CEL expression; while it is false the item keeps its last value.
    pub when: Option<String>,
    /// A point whose bits are alarms; the entries are in `table`.
    pub bits: Option<SmolStr>,
    /// The alarms of `bits`: a list, or a CSV file beside the profile (bit,level,code,text).
    pub table: Option<Table>,
    /// The entries of a condition, each with an expression that switches it.
    pub condition: Option<Vec<Switch>>,
    /// The entries of a data set, each an expression.
    pub entries: Option<BTreeMap<SmolStr, String>>,
    /// The key in an SHDR stream.
    pub shdr: Option<SmolStr>,
    /// Numbers closer than this to the last one that was told are not told (filter MINIMUM_DELTA).
    pub deadband: Option<f64>,
    /// Values are told at most this often (filter PERIOD).
    pub period: Option<SmolStr>,
    /// Every reading counts, also one that equals the last: scans, parts, results.
    pub discrete: bool,
    /// Samples a second, of a TIME_SERIES.
    pub rate: Option<f64>,
}

/// A part of a point.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Field {
    /// An element.
    Index(i32),
    /// A field.
    Name(SmolStr),
}

/// An entry of a condition.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Active while this CEL expression is true.
    pub when: String,
    /// `WARNING` or `FAULT`.
    pub level: Severity,
    /// The native code; `{expressions}` are filled in. Default: its place in the list.
    #[serde(default)]
    pub code: Option<String>,
    /// The native severity.
    #[serde(default)]
    pub severity: SmolStr,
    /// `HIGH` or `LOW`.
    #[serde(default)]
    pub qualifier: Option<Side>,
    /// For the operator; `{expressions}` are filled in.
    #[serde(default)]
    pub text: String,
}

/// How bad an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// May become a fault.
    Warning,
    /// Operator attention is needed.
    Fault,
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Warning,
            Severity::Fault => Self::Fault,
        }
    }
}

/// On which side of its range a condition lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Side {
    /// Above.
    High,
    /// Below.
    Low,
}

impl From<Side> for Qualifier {
    fn from(side: Side) -> Self {
        match side {
            Side::High => Self::High,
            Side::Low => Self::Low,
        }
    }
}

/// The alarms of a point's bits.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Table {
    /// A CSV file beside the profile, with the columns bit, level, code, text.
    File(String),
    /// The alarms.
    Rows(Vec<Row>),
}

/// An alarm that a bit switches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Bit 0 is the lowest of the word, or of the first byte.
    pub bit: u32,
    /// `WARNING` or `FAULT`.
    pub level: Severity,
    /// The native code. Default: the bit's number.
    #[serde(default)]
    pub code: Option<String>,
    /// The native severity.
    #[serde(default)]
    pub severity: SmolStr,
    /// For the operator.
    #[serde(default)]
    pub text: String,
    /// Active while the bit is clear.
    #[serde(default)]
    pub inverted: bool,
}

/// A command that instances may permit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What it does, for whoever is to permit it.
    #[serde(default)]
    pub about: String,
    /// How far its effects go.
    pub risk: Risk,
    /// Its arguments.
    #[serde(default)]
    pub args: BTreeMap<SmolStr, Argument>,
    /// A CEL expression over `item.…`, `args.…` and points that has to be true.
    #[serde(default)]
    pub require: Option<String>,
    /// How old the data may be that the command looks at. Default: 10 s.
    #[serde(default, with = "guideway_contract::duration::optional")]
    #[schemars(with = "Option<String>")]
    pub max_age: Option<Duration>,
    /// What is written, in order.
    pub write: Vec<Step>,
    /// What has to be read back.
    #[serde(default)]
    pub verify: Option<Verify>,
    /// What is written at the end, however the command ended. It may be written again until the machine has taken it.
    #[serde(default)]
    pub finally: Vec<Step>,
    /// An item whose variable in OPC UA is written to give this command, which has one argument then.
    #[serde(default)]
    pub bind: Option<SmolStr>,
}

/// An interface of MTConnect that instances may answer: another device's REQUEST is this machine's command.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Its place: components below the device, `Interfaces/BarFeederInterface`.
    pub at: String,
    /// What is asked for: `OPEN_DOOR`, `CLOSE_DOOR`, `OPEN_CHUCK`, `CLOSE_CHUCK`, `MATERIAL_LOAD`, `MATERIAL_UNLOAD`,
    /// `MATERIAL_FEED`, `MATERIAL_CHANGE`, `MATERIAL_RETRACT` or `PART_CHANGE`.
    #[serde(rename = "type")]
    pub kind: SmolStr,
    /// The command that is carried out: one of this profile, without arguments.
    pub command: SmolStr,
}

/// How far a command's effects go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// A value that the machine takes into account.
    Setpoint,
    /// What the machine works on.
    Program,
    /// Something moves.
    Motion,
}

/// An argument of a command.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// What kind of value.
    #[serde(rename = "type")]
    pub kind: ScalarType,
    /// Least value of a number.
    #[serde(default)]
    pub min: Option<f64>,
    /// Greatest value of a number.
    #[serde(default)]
    pub max: Option<f64>,
    /// Longest text, in characters.
    #[serde(default)]
    pub max_len: Option<u32>,
    /// A regular expression that a text has to match whole.
    #[serde(default)]
    pub pattern: Option<String>,
    /// The values that are allowed.
    #[serde(default)]
    pub one_of: Vec<Scalar>,
    /// Its units, for people.
    #[serde(default)]
    pub units: SmolStr,
    /// What it is.
    #[serde(default)]
    pub about: String,
}

/// One write.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A point that may be written.
    pub point: SmolStr,
    /// A CEL expression over `args.…`, `item.…` and points.
    pub value: String,
}

/// What has to be read back, and how soon.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// A point that is read.
    pub point: SmolStr,
    /// A CEL expression: what it has to be equal to.
    pub equals: String,
    /// How soon.
    #[serde(with = "guideway_contract::duration")]
    #[schemars(with = "String")]
    pub within: Duration,
    /// How far a number may be off.
    #[serde(default)]
    pub tolerance: f64,
    /// The value may stand there before the command, for it is a state and no answer to this command. Points that the
    /// command writes are such; of others the command is rejected while the answer stands there already.
    #[serde(default)]
    pub standing: bool,
    /// A CEL expression over points; when it is true after the writes, the machine has refused.
    #[serde(default)]
    pub refused: Option<String>,
}
