//! Follows another MTConnect agent over HTTP: its device model, observations and assets.
//!
//! A session asks for `/probe`, tells the gateway the devices it follows, asks for `/current` and follows
//! `/sample` as a stream, or, where the agent cannot stream, by asking again and again. Where a session ended
//! is remembered: while the same run of the agent still has them, the changes made meanwhile are told after
//! the next connect, in order and with their own times.
//!
//! Values, times and ids are the agent's. They come in the data items' units and filtered, so the device
//! model is told without native units and filters: nothing is converted or filtered twice.

mod address;
mod assets;
mod client;
pub mod codec;
pub mod config;
mod model;
mod secret;
mod session;
mod tell;
mod tls;
mod value;

use std::pin::Pin;

use guideway_contract::{
    Adapter, Capabilities, Found, Issue, Outlet, PointSpec, Protocol, SessionEnd, SessionFuture,
};

pub use config::{Config, Format, Mode, NoPoint};

use session::Memory;

/// The protocol of an MTConnect agent.
#[derive(Debug)]
pub struct MtConnect;

impl Protocol for MtConnect {
    const KIND: &'static str = "mtconnect";
    type Config = Config;
    type Point = NoPoint;

    fn set_address(config: &mut Config, address: &str) -> Result<(), String> {
        address::Base::parse(address, config.port)?;
        config.address = address.trim().to_owned();
        Ok(())
    }

    fn check(config: &Config) -> Vec<Issue> {
        config.issues()
    }

    fn check_point(_: &Config, _: &PointSpec<NoPoint>) -> Vec<Issue> {
        vec![Issue::new("addr", config::NO_POINTS)]
    }

    fn adapter(config: Config, points: Vec<PointSpec<NoPoint>>) -> Box<dyn Adapter> {
        Box::new(Follower { config, points: points.len(), memory: Memory::default() })
    }
}

/// Follows one agent.
struct Follower {
    config: Config,
    /// Points that there cannot be.
    points: usize,
    memory: Memory,
}

impl Adapter for Follower {
    fn protocol(&self) -> &'static str {
        MtConnect::KIND
    }

    fn endpoint(&self) -> String {
        self.config.base().map_or_else(|_| self.config.address.clone(), |base| base.uri())
    }

    fn capabilities(&self) -> Capabilities {
        let polled = self.config.mode == Mode::Poll;
        Capabilities { polled, subscribed: !polled, browsable: true, writable: false }
    }

    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a> {
        Box::pin(async move {
            if self.points > 0 {
                outlet.fault(guideway_contract::Fault::Unmapped, || config::NO_POINTS.into());
            }
            session::run(&self.config, &mut self.memory, outlet).await
        })
    }

    fn browse<'a>(
        &'a mut self,
        _address: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Found>, SessionEnd>> + Send + 'a>> {
        Box::pin(async move {
            let not = |cause: String| SessionEnd::NotConnected { endpoint: self.endpoint(), cause };
            let base = self.config.base().map_err(not)?;
            let client = client::Client::new(&self.config).map_err(not)?;
            match client.tree(base.probe()).await {
                Ok(codec::Document::Devices(_, tree)) => Ok(model::found(&tree)),
                Ok(other) => Err(SessionEnd::Protocol(format!("{} came", other.kind()))),
                Err(failure) => Err(not(failure.to_string())),
            }
        })
    }
}
