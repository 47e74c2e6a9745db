//! EtherNet/IP with CIP: tags, arrays and structures of Rockwell Logix controllers, tag discovery, writes.
//!
//! A session registers itself with the controller (or the module in front of it), opens a connection for messages
//! where the controller grants one, and reads what is due in packets of several requests, as full as the link allows.
//! Types come from the controller's replies; structures are read with the descriptions that the controller keeps.

mod address;
mod catalog;
pub mod codec;
mod command;
mod config;
mod link;
mod plan;
mod session;
mod target;

use std::pin::Pin;

use guideway_contract::{
    Access, Adapter, Capabilities, DataType, Found, Issue, Kind, Outlet, PointSpec, Protocol, SessionEnd,
    SessionFuture,
};

pub use address::{Address, Step};
pub use config::{Config, NoSlot, Point, Slot};

use session::{Session, Targets, opened};
use target::Target;

/// Rockwell Logix controllers by EtherNet/IP.
#[derive(Clone, Copy, Debug)]
pub struct EthernetIp;

impl Protocol for EthernetIp {
    const KIND: &'static str = "ethernet-ip";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        config.set_address(address)
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.issues()
    }

    fn check_point(_: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        let mut issues = Vec::new();
        let address = point.address.parse::<Address>();
        if let Err(what) = &address {
            issues.push(Issue::new("addr", what.as_str()));
        }
        let is_bit = address.is_ok_and(|address| address.bit.is_some());
        let DataType { kind, count } = point.data_type;
        if matches!(kind, Kind::WideText(_) | Kind::Fields) {
            issues.push(Issue::new("type", "Logix has no such type; `auto` takes the controller's own"));
        } else if is_bit && (count.is_some() || !matches!(kind, Kind::Auto | Kind::Bool)) {
            issues.push(Issue::new("type", "the address is a bit: write `bool`"));
        } else if count.is_some() && matches!(kind, Kind::Bits(_) | Kind::Bytes(_) | Kind::Chars(_)) {
            issues.push(Issue::new(
                "type",
                "there are no arrays of bits, bytes or chars; give the whole length once",
            ));
        }
        if point.access != Access::Read
            && matches!(kind, Kind::Bits(_) | Kind::Bytes(_) | Kind::Chars(_) | Kind::Bcd(_))
        {
            issues.push(Issue::new(
                "access",
                "bits, bytes, chars and bcd are only read; write a number or a string",
            ));
        }
        issues
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        let target = |point: &PointSpec<Point>| match Self::check_point(&config, point).into_iter().next() {
            Some(issue) => Err(issue.what),
            None => Target::new(point),
        };
        let targets = points.iter().map(target).collect();
        Box::new(Logix { config, points, targets })
    }
}

/// Reads and writes one controller.
struct Logix {
    config: Config,
    points: Vec<PointSpec<Point>>,
    targets: Targets,
}

impl Adapter for Logix {
    fn protocol(&self) -> &'static str {
        EthernetIp::KIND
    }

    fn endpoint(&self) -> String {
        self.config.endpoint()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { polled: true, browsable: true, writable: true, ..Capabilities::default() }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(async move {
            let opening = Session::open(&self.config, &self.points, &mut self.targets);
            let mut session = match opened(opening, outlet).await {
                Ok(session) => session,
                Err(end) => return end,
            };
            let cancel = outlet.cancelled().clone();
            let end = tokio::select! {
                biased;
                end = session.run(outlet) => end,
                // A request in flight is given up with the whole connection.
                () = cancel.cancelled() => return SessionEnd::Stopped,
            };
            if matches!(end, SessionEnd::Stopped) {
                session.link.close().await;
            }
            end
        })
    }

    fn browse<'a>(
        &'a mut self,
        address: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Found>, SessionEnd>> + Send + 'a>> {
        Box::pin(catalog::browse(&self.config, address))
    }
}
