//! What every adapter and the agent agree on.
//!
//! An adapter speaks one native protocol. It is given a [`PointTable`] (what to look for), sends
//! [`Signal`]s (what it saw) through an [`Outlet`], and runs one session at a time; [`supervise`]
//! starts the next one after a jittered pause. Commands come back through the same outlet and end
//! in exactly one of four [`Outcome`]s.
//!
//! This crate knows no protocol and reads no file.

mod adapter;
mod address;
mod backoff;
mod command;
mod data_type;
mod dataset;
pub mod duration;
mod health;
#[cfg(feature = "test-kit")]
pub mod kit;
mod native;
mod observation;
mod point;
mod protocol;
mod schedule;
mod signal;
pub mod size;
mod supervise;
mod timestamp;
mod value;

pub use adapter::{Adapter, Capabilities, Found, SessionEnd, SessionFuture};
pub use address::{HostPort, serial_path};
pub use backoff::Backoff;
pub use command::{Command, CommandRequest, Commands, Outcome, Write};
pub use data_type::{DataType, Kind, MOST_ELEMENTS};
pub use dataset::{Cell, DataSet, Entry, sort_unique};
pub use health::{ConnectionState, Counters, Fault, Health};
pub use native::{Native, RawBatch, RawReading};
pub use observation::{ItemIndex, Observation, Quality, Validity};
pub use point::{Point, PointId, PointTable, PointTableBuilder, Scope, Shape};
pub use protocol::{Access, Issue, Period, PointSpec, Protocol, point_id};
pub use schedule::Schedule;
pub use signal::{AdapterId, AssetChange, Batch, Envelope, Outlet, Reading, Signal};
pub use supervise::supervise;
pub use timestamp::Timestamp;
pub use value::{Annotated, AssetEvent, Condition, Level, Message, Qualifier, TimeSeries, Value};
