//! Mitsubishi SLMP (MC protocol, 3E and 4E frames in binary code over TCP): devices in batches, writes.
//!
//! The codec is our own. The crate `plc-comm-slmp` works and bounds what it reads, but it takes the kind of frame from a
//! fixed table of controllers, speaks IPv4 only, passes over replies that match nothing where a session should end, and
//! has no codec apart from its socket that could be fuzzed or whose bytes could be counted.

mod address;
pub mod codec;
mod command;
mod config;
mod link;
mod plan;
mod session;

use guideway_contract::{
    Adapter, Capabilities, Issue, Outlet, PointSpec, Protocol, SessionEnd, SessionFuture,
};

pub use codec::frame::Frame;
pub use config::{Config, Point, Series};

use address::Place;
use session::{Places, Session, opened};

/// Mitsubishi controllers by SLMP.
#[derive(Clone, Copy, Debug)]
pub struct Slmp;

impl Protocol for Slmp {
    const KIND: &'static str = "slmp";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        config.set_address(address)
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.issues()
    }

    fn check_point(config: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        match Place::parse(&point.address, point.data_type, config.series) {
            Err(what) => vec![Issue::new("addr", what)],
            Ok(place) if point.access.writes() => {
                command::check(&place).err().map(|what| Issue::new("access", what)).into_iter().collect()
            }
            Ok(_) => Vec::new(),
        }
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        let place = |point: &PointSpec<Point>| Place::parse(&point.address, point.data_type, config.series);
        let places = points.iter().map(place).collect();
        Box::new(Melsec { config, points, places })
    }
}

/// Reads and writes one controller.
struct Melsec {
    config: Config,
    points: Vec<PointSpec<Point>>,
    places: Places,
}

impl Adapter for Melsec {
    fn protocol(&self) -> &'static str {
        Slmp::KIND
    }

    fn endpoint(&self) -> String {
        self.config.endpoint()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { polled: true, writable: true, ..Capabilities::default() }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(async move {
            let opening = Session::open(&self.config, &self.points, &self.places);
            let mut session = match opened(opening, outlet).await {
                Ok(session) => session,
                Err(end) => return end,
            };
            let cancel = outlet.cancelled().clone();
            tokio::select! {
                biased;
                end = session.run(outlet) => end,
                // A request in flight is given up with the whole connection.
                () = cancel.cancelled() => SessionEnd::Stopped,
            }
        })
    }
}
