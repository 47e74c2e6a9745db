//! Siemens S7 communication (S7-300/400/1200/1500 with PUT/GET): codec and session.
//!
//! A point's `addr` is an S7 address, its `type` what is read there: see [`Point`] and the manual in `docs`.
//! The connection is one ISO-on-TCP connection with one job in flight. Batches are planned after each connect, when
//! the PDU size is known: ranges that lie close together are merged, as many as fit are asked for in one job, and
//! what is longer than a reply is read in parts. A point that the controller denies is bad with its cause, the others
//! stay good.

pub mod address;
mod browse;
pub mod codec;
mod command;
mod config;
pub mod layout;
mod link;
pub mod plan;
mod session;

use guideway_contract::{Adapter, Issue, PointSpec, Protocol};

pub use config::{Config, Format, Link, Point};

/// The protocol `s7`.
#[derive(Debug)]
pub struct S7;

impl Protocol for S7 {
    const KIND: &'static str = "s7";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        config.set_address(address)
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.issues()
    }

    fn check_point(_: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        layout::Layout::new(point).err().into_iter().collect()
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        Box::new(session::Plc::new(config, points))
    }
}
