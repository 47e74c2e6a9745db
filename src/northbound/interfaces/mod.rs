//! MTConnect interfaces: machines that answer the requests of other machines.
//!
//! A REQUEST data item of one device (MATERIAL_FEED, OPEN_DOOR, …) becomes ACTIVE, and the machine behind another
//! device carries out a command of its profile; its RESPONSE tells how it goes. The face reads the journal, asks
//! [`Control`](crate::control::Control) as anybody else does, and holds nothing that the journal does not.
//! docs/interfaces.md says what follows what.

mod face;
mod followed;
mod responder;

pub use face::{Context, Face, Interface};
pub use followed::{Followed, Missing};

/// The role that requesters of this face have; permits speak of it.
pub const ROLE: &str = "interface";
