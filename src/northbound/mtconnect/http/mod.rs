//! HTTP/1.1 as an agent needs it: heads in, documents and streams out.
//!
//! Bytes and sockets only; what a request means is decided above, in
//! [`Service`](super::service::Service).

pub(super) mod body;
pub(super) mod connection;
pub(super) mod head;
pub(super) mod reply;
pub(super) mod wire;
