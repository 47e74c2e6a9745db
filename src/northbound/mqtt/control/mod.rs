//! Control over MQTT: request topics, and answers.
//!
//! A face of its own: its connections are not those of the destinations. A request is a signed one, whatever the broker
//! lets through; it is acknowledged to the broker once control has it, so that the broker sends it again when the
//! gateway was killed before. Ends go to the topic that the requester asked for, if that is theirs, and wait when the
//! connection is away. See docs/control.md.

mod answers;
mod face;
mod health;
mod options;
mod pump;
mod topics;

pub use face::{Context, Face, StartError, Watch};
pub use health::Status;
pub use options::Options;
