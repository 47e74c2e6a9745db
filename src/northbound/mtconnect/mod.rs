//! The MTConnect agent: REST over HTTP.
//!
//! A connection ([`http`]) reads heads and writes answers. The service reads a head as a request and
//! makes the document, or finds it in the cache: while nothing changes, everybody who asks the same
//! within a second gets the same bytes. Clients of the same stream are fed by one group ([`stream`])
//! that encodes each part once. docs/mtconnect.md says what is served and how.

mod accept;
mod cache;
mod control;
mod edition;
mod face;
mod files;
mod http;
mod options;
mod query;
mod refusal;
mod request;
mod route;
mod service;
mod stats;
mod stream;
mod xpath;

pub use face::{BindError, Context, Extra, Face};
pub use http::reply::Reply;
pub use options::{FileMount, Options, Style};
pub use stats::{Count, Stats};
