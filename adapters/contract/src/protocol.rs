//! What a protocol gives the agent so that a device profile can speak it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Adapter, DataType, PointId};

/// Whether a point is read, written or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    /// Read only.
    #[default]
    #[serde(rename = "r")]
    Read,
    /// Written by commands only, never polled.
    #[serde(rename = "w")]
    Write,
    /// Read, and written by commands.
    #[serde(rename = "rw")]
    ReadWrite,
}

impl Access {
    /// Whether it is polled or subscribed.
    pub const fn reads(self) -> bool {
        !matches!(self, Self::Write)
    }

    /// Whether commands may write it.
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read)
    }
}

/// When a point is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// Once after each connect.
    Once,
    /// Again and again; for subscriptions, how often the source looks (sampling interval).
    Every(Duration),
}

/// One point of a profile: what every protocol needs, and what `P`, the protocol's own part, adds.
///
/// Its place in the list given to [`Protocol::adapter`] is its [`PointId`].
#[derive(Clone, Debug, PartialEq)]
pub struct PointSpec<P> {
    /// Its key in the profile; for messages.
    pub name: SmolStr,
    /// Its native address, parameters filled in.
    pub address: SmolStr,
    /// How it is encoded.
    pub data_type: DataType,
    /// When it is read.
    pub period: Period,
    /// Read, written or both.
    pub access: Access,
    /// The protocol's own keys.
    pub own: P,
}

impl<P> PointSpec<P> {
    /// A read-only point polled each second, named like its address; for tests and browsing.
    pub fn new(address: &str, data_type: DataType, own: P) -> Self {
        let period = Period::Every(Duration::from_secs(1));
        Self { name: address.into(), address: address.into(), data_type, period, access: Access::Read, own }
    }
}

/// Something wrong in a profile or configuration: the key it is about, and what, with the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The key in its table: `timeout`, `addr`, `type`.
    pub key: &'static str,
    /// What is wrong and what to write instead: one line for an operator.
    pub what: String,
}

impl Issue {
    /// An issue with `key`.
    pub fn new(key: &'static str, what: impl Into<String>) -> Self {
        Self { key, what: what.into() }
    }
}

/// A protocol whose points come from a device profile.
///
/// The registry (`src/adapters.rs`) is generic over this: it reads `[adapter]` of a profile, merged with what the
/// instance says, as [`Config`](Self::Config), and each point's own keys as [`Point`](Self::Point). Both types
/// refuse unknown keys; their doc comments are the manual and become the JSON Schema.
pub trait Protocol: 'static {
    /// The word in `[adapter] kind = "…"`, which is the crate's folder.
    const KIND: &'static str;
    /// `[adapter]` but for `kind`. Everything has a default but what cannot have one.
    type Config: DeserializeOwned + JsonSchema + Clone + Send + 'static;
    /// What a point has beside `addr`, `type`, `group` and `access`.
    type Point: DeserializeOwned + JsonSchema + Clone + Send + 'static;

    /// Takes the instance's `address`: `host`, `host:port`, a device file, or a URL of the protocol.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    fn set_address(config: &mut Self::Config, address: &str) -> Result<(), String>;

    /// Everything wrong with the configuration. An address that is not set yet is none of it.
    fn check(config: &Self::Config) -> Vec<Issue>;

    /// Everything wrong with a point: an address that cannot be read, a type that the protocol has not.
    fn check_point(config: &Self::Config, point: &PointSpec<Self::Point>) -> Vec<Issue>;

    /// The adapter. Does no I/O. Points that [`check_point`](Self::check_point) objects to are bad from the first
    /// session on, and do not keep the others from being read.
    fn adapter(config: Self::Config, points: Vec<PointSpec<Self::Point>>) -> Box<dyn Adapter>;
}

/// The place in a list of points as an id.
pub fn point_id(index: usize) -> PointId {
    PointId(u32::try_from(index).unwrap_or(u32::MAX))
}
