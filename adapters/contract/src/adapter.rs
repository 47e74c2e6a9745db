//! The trait every protocol implements.

use std::future::Future;
use std::pin::Pin;

use smol_str::SmolStr;

use crate::{DataType, Outlet};

/// Why a session ended. Everything that only concerns one request or one point is not an end: it
/// is quality on that point and a counter.
#[derive(Debug, thiserror::Error)]
pub enum SessionEnd {
    /// The agent asked for it.
    #[error("stopped")]
    Stopped,
    /// There was no connection to begin with.
    #[error("cannot connect to {endpoint}: {cause}")]
    NotConnected {
        /// The address tried.
        endpoint: String,
        /// What the system said.
        cause: String,
    },
    /// The peer closed, or the network broke.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The peer went silent.
    #[error("no byte for {} ms", .0.as_millis())]
    Silent(std::time::Duration),
    /// The peer broke the protocol in a way that leaves the stream unreadable.
    #[error("protocol error: {0}")]
    Protocol(String),
}

/// What a protocol can do; a face or a tool asks before it offers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Points are read in turn, at an interval.
    pub polled: bool,
    /// The source sends changes by itself.
    pub subscribed: bool,
    /// What is there can be listed with [`Adapter::browse`].
    pub browsable: bool,
    /// Points can be written: the session serves [`Outlet::commands`].
    pub writable: bool,
}

/// Something that browsing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its native address, as a profile would write it.
    pub address: SmolStr,
    /// What people call it.
    pub label: String,
    /// What more the machine says of it, such as a description; may be empty.
    pub note: String,
    /// How it is encoded, as a profile writes it; `None` for a folder.
    pub data_type: Option<DataType>,
    /// Its units, as the machine says them; may be empty.
    pub units: SmolStr,
    /// Its value now, where browsing told it; may be empty.
    pub value: String,
    /// Whether it can be written.
    pub writable: bool,
    /// Whether there is more below it: browse its address.
    pub folder: bool,
}

/// A session on its way to its end.
pub type SessionFuture<'a> = Pin<Box<dyn Future<Output = SessionEnd> + Send + 'a>>;

/// One native protocol, spoken to one endpoint.
///
/// An adapter is polled (it reads its points in turn), subscribed (the source sends) or both; it
/// may be browsable and writable. Whatever it is, one task owns its connection.
pub trait Adapter: Send + 'static {
    /// The configuration word, which is also the crate's folder: `shdr`, `modbus`, ….
    fn protocol(&self) -> &'static str;

    /// The address as a URI, without secrets, e.g. `shdr://mill-1:7878`.
    fn endpoint(&self) -> String;

    /// What this protocol can do.
    fn capabilities(&self) -> Capabilities;

    /// Connects and runs until the session is over. Calls [`Outlet::connected`] once it is up;
    /// returns [`SessionEnd::Stopped`] soon after [`Outlet::cancelled`] fires. Writes that are in
    /// flight when the session ends have [`Outcome::Unknown`](crate::Outcome::Unknown).
    fn session<'a>(&'a mut self, outlet: &'a mut Outlet) -> SessionFuture<'a>;

    /// Lists what is below `address` (empty: the root). An error says why it cannot.
    fn browse<'a>(
        &'a mut self,
        address: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Found>, SessionEnd>> + Send + 'a>> {
        let _ = address;
        let cause = format!("{} has nothing to browse", self.protocol());
        Box::pin(async move { Err(SessionEnd::Protocol(cause)) })
    }
}
