//! Beckhoff ADS: symbols, sum reads, notifications, writes.
//!
//! The adapter opens one TCP connection to the controller's AMS router, asks for each point's symbol by name (place,
//! size and type), and then has the controller watch the points ([`config::Mode::Notify`]) or reads many at a time
//! ([`config::Mode::Poll`]). What it holds about symbols is good for one version of the PLC program: the version is
//! read with every batch, and all is asked for anew when it has changed. Writes go through a handle of the symbol's
//! name, so that they cannot hit what has moved.
//!
//! While the PLC is not in RUN its values stand still: every point is bad then, and says which state it is; only
//! `ads:state` stays readable.

pub mod address;
mod browse;
pub mod calendar;
pub mod codec;
pub mod config;
pub mod layout;
mod link;
pub mod net_id;
pub mod plan;
mod resolve;
mod session;
mod slot;
mod subscription;
pub mod text;
mod type_name;
mod writing;

use std::pin::Pin;

use guideway_contract::{
    Adapter, Capabilities, Found, HostPort, Issue, Kind, Outlet, PointSpec, Protocol, SessionEnd,
    SessionFuture,
};

use address::Address;
pub use config::{Config, Mode, Point};

/// The protocol.
#[derive(Clone, Copy, Debug)]
pub struct Ads;

impl Protocol for Ads {
    const KIND: &'static str = "ads";
    type Config = Config;
    type Point = Point;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        HostPort::parse(address, &["ads"])?;
        address.trim().clone_into(&mut config.address);
        Ok(())
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.issues()
    }

    fn check_point(_: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
        let mut issues = Vec::new();
        let address = point.address.parse::<Address>();
        match &address {
            Err(why) => issues.push(Issue::new("addr", why.clone())),
            Ok(Address::Index { .. }) if point.data_type.kind == Kind::Auto => {
                let what = "an index group and offset say nothing of the type: write `type`, such as \"i16\"";
                issues.push(Issue::new("type", what));
            }
            Ok(Address::State) if point.access.writes() => {
                issues.push(Issue::new("access", "the state can only be read"));
            }
            Ok(_) => {}
        }
        if matches!(point.data_type.kind, Kind::Bcd(_) | Kind::Fields) {
            issues.push(Issue::new("type", format!("`{}` is no type of ADS", point.data_type)));
        }
        issues
    }

    fn adapter(config: Config, points: Vec<PointSpec<Point>>) -> Box<dyn Adapter> {
        Box::new(AdsAdapter { config, points, invoke_id: 0 })
    }
}

/// One controller.
#[derive(Debug)]
struct AdsAdapter {
    config: Config,
    points: Vec<PointSpec<Point>>,
    /// Goes on from session to session, so that no answer to an earlier one can be taken for a later one's.
    invoke_id: u32,
}

impl Adapter for AdsAdapter {
    fn protocol(&self) -> &'static str {
        Ads::KIND
    }

    fn endpoint(&self) -> String {
        match self.config.host() {
            Ok((host, port)) => format!("ads://{}", HostPort { host, port: Some(port) }),
            Err(_) => format!("ads://{}", self.config.address),
        }
    }

    fn capabilities(&self) -> Capabilities {
        let subscribed = self.config.mode == Mode::Notify;
        Capabilities { polled: true, subscribed, browsable: true, writable: true }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(session::run(&self.config, &self.points, &mut self.invoke_id, outlet))
    }

    fn browse<'a>(
        &'a mut self,
        address: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Found>, SessionEnd>> + Send + 'a>> {
        Box::pin(browse::browse(&self.config, address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guideway_contract::DataType;

    fn issues(address: &str, data_type: &str) -> Vec<&'static str> {
        let data_type: DataType = data_type.parse().unwrap();
        let point = PointSpec::new(address, data_type, Point::default());
        Ads::check_point(&Config::default(), &point).iter().map(|issue| issue.key).collect()
    }

    #[test]
    fn points_are_checked_without_a_controller() {
        assert!(issues("MAIN.nCount", "auto").is_empty());
        assert!(issues("0x4020:0", "i16").is_empty());
        assert_eq!(issues("0x4020:0", "auto"), ["type"]);
        assert_eq!(issues("MAIN nCount", "bcd4"), ["addr", "type"]);
    }

    #[test]
    fn an_address_is_a_host_with_or_without_a_port() {
        let mut config = Config::default();
        for address in ["10.0.0.5", "ads://plc:48898", "plc:1"] {
            Ads::set_address(&mut config, address).unwrap();
        }
        assert_eq!(Ads::adapter(config.clone(), Vec::new()).endpoint(), "ads://plc:1");
        assert!(Ads::set_address(&mut config, "opc.tcp://plc").is_err());
    }
}
