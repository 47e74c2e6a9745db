//! Text over serial lines and TCP: lines and frames, fields, patterns; DPRNT, gauges, scales, barcode
//! readers.
//!
//! The gateway opens a serial line, connects to a host, or listens for a device that connects to it. What
//! arrives is cut into frames ([`Frame`]), each frame is a text, and each point takes from it what its
//! address says:
//!
//! | `addr` | takes |
//! |---|---|
//! | empty or `line` | the whole text |
//! | `field:2` | the third of its fields (they count from 0; `field:-1` is the last) |
//! | `key:TEMP` | what follows `TEMP=` or `TEMP:`, up to a comma, semicolon or space |
//! | `word:X` | the number after the letter or word, as in `X   1.234 Y  -2.5` |
//! | `regex:ACT=(\S+)` | the group `value`, else the first group, else all that matches |
//!
//! Frames are for a point if its `match` finds something in them; `key`, `word` and `regex` choose by
//! themselves too. A frame that is for a point and has no such field, or no such value, makes the point bad;
//! other frames leave it as it was. Points with a `query` are asked for; the others listen.
//!
//! An answer may have several frames: a question is answered when each of its points has taken one; or when
//! some have, and nothing more has come for 200 ms.
//!
//! There are no request numbers: an answer is the next frame that a point of the question takes. After a
//! question without an answer the session ends, and a serial line must then be silent for a while before the
//! next question. Where a device is asked different questions, give each point a `match`, so that no answer
//! passes for another.

mod address;
pub mod codec;
mod config;
mod connection;
mod line;
mod link;
mod plan;
mod point;
mod session;
mod write;

use guideway_contract::{Adapter, HostPort, Issue, PointSpec, Protocol, serial_path};

pub use config::{Checksum, Config, Encoding, Frame};
pub use line::{Flow, Parity, SerialLine};
pub use point::{Decimal, Point};

/// The protocol `serial`.
#[derive(Clone, Copy, Debug)]
pub struct Serial;

impl Protocol for Serial {
    const KIND: &'static str = "serial";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        let address = address.trim();
        if let Some(listen) = address.strip_prefix("listen://") {
            link::listening(listen)?;
            listen.trim_end_matches('/').clone_into(&mut config.listen);
            config.address.clear();
            return Ok(());
        }
        if serial_path(address).is_none() {
            let host = HostPort::parse(address, &["tcp"])
                .map_err(|error| format!("{error}, a serial line's device file, or listen://ADDRESS:PORT"))?;
            if host.port.is_none() && config.port == 0 {
                return Err(format!("`{address}`: write HOST:PORT; there is no port that all devices use"));
            }
        }
        config.listen.clear();
        address.clone_into(&mut config.address);
        Ok(())
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.issues()
    }

    fn check_point(config: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        plan::issues(config, point)
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        Box::new(session::Texts::new(config, &points))
    }
}
