//! Fanuc FOCAS over Ethernet, read-only, by a codec of our own from published descriptions of the frames.
//!
//! FANUC's library is neither used nor shipped. Nothing in this crate can write: it has no function for it. What it
//! asks, and what the answers mean, comes from captures that others have published; see `docs/focas.md` for its
//! limits. It is a feature of the gateway, off by default.

pub mod address;
pub mod codec;
pub mod config;
mod link;
pub mod plan;
mod session;

use guideway_contract::{
    Adapter, Capabilities, HostPort, Issue, Kind, Outlet, PointSpec, Protocol, SessionFuture,
};

use address::Address;
pub use config::{Config, Point};

/// The protocol.
#[derive(Clone, Copy, Debug)]
pub struct Focas;

impl Protocol for Focas {
    const KIND: &'static str = "focas";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        HostPort::parse(address, &["focas"])?;
        address.trim().clone_into(&mut config.address);
        Ok(())
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.issues()
    }

    fn check_point(_: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        let mut issues = Vec::new();
        match point.address.parse::<Address>() {
            Err(why) => issues.push(Issue::new("addr", why)),
            Ok(address) => issues.extend(unfit(address, point).map(|why| Issue::new("type", why))),
        }
        if point.access.writes() {
            issues.push(Issue::new("access", "this adapter only reads: write \"r\" or leave it out"));
        }
        issues
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        Box::new(FocasAdapter { config, points })
    }
}

/// Why a point's type does not fit its address.
fn unfit(address: Address, point: &PointSpec<Point>) -> Option<String> {
    let data_type = point.data_type;
    let (fits, words) = match address {
        Address::Pmc(_, _, Some(_)) => (
            matches!(data_type.kind, Kind::Auto | Kind::Bool) && data_type.count.is_none(),
            "a bit is a bool",
        ),
        Address::Pmc(_, _, None) => (
            plan::units(address, data_type).is_some(),
            "PMC memory is u8 to u64, i8 to i64, f32, f64, bits, bytes, chars, or arrays of them, of at most 256 bytes",
        ),
        Address::Macro(_) => (
            matches!(data_type.kind, Kind::Auto | Kind::F64) && plan::units(address, data_type).is_some(),
            "a macro variable is f64, several are f64[2] to f64[32]",
        ),
        _ => (data_type.kind == Kind::Auto, "leave `type` out: it is as the control has it"),
    };
    (!fits).then(|| format!("`{data_type}`: {words}"))
}

/// A point's address, or why it cannot be read.
fn address_of(point: &PointSpec<Point>) -> Result<Address, String> {
    let address = point.address.parse::<Address>()?;
    unfit(address, point).map_or(Ok(address), Err)
}

/// One control.
#[derive(Debug)]
struct FocasAdapter {
    config: Config,
    points: Vec<PointSpec<Point>>,
}

impl Adapter for FocasAdapter {
    fn protocol(&self) -> &'static str {
        Focas::KIND
    }

    fn endpoint(&self) -> String {
        match self.config.host() {
            Ok((host, port)) => format!("focas://{}", HostPort { host, port: Some(port) }),
            Err(_) => format!("focas://{}", self.config.address),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { polled: true, ..Capabilities::default() }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(session::run(&self.config, &self.points, outlet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guideway_contract::Access;

    fn issues(address: &str, data_type: &str) -> Vec<&'static str> {
        let point = PointSpec::new(address, data_type.parse().unwrap(), Point::default());
        Focas::check_point(&Config::default(), &point).iter().map(|issue| issue.key).collect()
    }

    #[test]
    fn points_are_checked_without_a_control() {
        for (address, data_type) in [
            ("stat", "auto"),
            ("pmc:R100", "u16"),
            ("pmc:R100.1", "bool"),
            ("macro:500", "f64[10]"),
            ("feed", "auto"),
        ] {
            assert!(issues(address, data_type).is_empty(), "{address} {data_type}");
        }
        for (address, data_type) in [
            ("stat", "u16"),
            ("pmc:R100", "string[4]"),
            ("pmc:R1.1", "u8"),
            ("macro:500", "f64[33]"),
            ("macro:1", "u8"),
        ] {
            assert_eq!(issues(address, data_type), ["type"], "{address} {data_type}");
        }
        let mut point = PointSpec::new("position", "auto".parse().unwrap(), Point::default());
        point.access = Access::ReadWrite;
        let found = Focas::check_point(&Config::default(), &point);
        assert_eq!(found.iter().map(|issue| issue.key).collect::<Vec<_>>(), ["addr", "access"]);
    }

    #[test]
    fn it_says_that_it_only_reads() {
        assert!(!Focas::adapter(Config::default(), Vec::new()).capabilities().writable);
    }
}
