//! Haas machine data collection (MDC): Q commands over TCP and serial lines, macro variables.
//!
//! The gateway asks `?Q104`, the control answers `MODE, (MDI)`; `?Q600 5021` asks for a macro or system
//! variable, `?E10600 12.5` writes one. There are two dialects, and both are read at any time: framed (STX …
//! ETB, after an echo of the question where the control is set so) and plain lines behind a prompt `>`.
//!
//! # What a reply belongs to
//!
//! The protocol has no request numbers, and the control sends each reply to **all** of its connections (two
//! at most). So a reply counts only if it starts with a keyword of the question that is in flight; there is
//! never more than one. Replies of other keywords are another client's and passed over. A reply to `Q600`
//! names its variable on some controls (`MACRO, 5021, -4.63`): another number is passed over too. Other
//! controls leave it out (`MACRO, -4.63`); there a second client's answer looks like ours. Values of such
//! variables are therefore held back until a question with a keyword of its own has been answered after them:
//! replies come in the order in which the control worked, so if exactly one MACRO reply came for each
//! question till then, each is ours. If one came too many, all of them are thrown away and asked for again;
//! after three attempts the points are bad. What remains: a second client that asks for variables *and* for
//! that same keyword, within one gap of ours, on a control that answers more slowly than `min_gap`. Where two
//! clients must poll variables, use a control that names them.
//!
//! After a question without an answer the session ends. The next one begins with `Q100`, and since replies
//! keep their order, nothing that is late can pass for an answer once the serial number has come.

mod address;
pub mod codec;
mod config;
mod line;
mod link;
mod plan;
mod session;
mod write;

use guideway_contract::{Adapter, HostPort, Issue, PointSpec, Protocol, serial_path};

pub use address::Address;
pub use config::{Acknowledge, Config, Flow, Format, Parity, Point, SerialLine};

/// The protocol `haas`.
#[derive(Clone, Copy, Debug)]
pub struct Haas;

impl Protocol for Haas {
    const KIND: &'static str = "haas";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        if serial_path(address).is_none() {
            HostPort::parse(address, &["haas", "tcp"])
                .map_err(|error| format!("{error}, or the device file of a serial line"))?;
        }
        address.trim().clone_into(&mut config.address);
        Ok(())
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.issues()
    }

    fn check_point(_: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        plan::issues(point)
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        Box::new(session::Mdc::new(config, &points))
    }
}
