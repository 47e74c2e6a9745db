//! The MTConnect face, spoken to in bytes over a socket.

#[path = "mtconnect_http/connections.rs"]
mod connections;
#[path = "mtconnect_http/parameters.rs"]
mod parameters;
#[path = "mtconnect_http/paths.rs"]
mod paths;
#[path = "mtconnect_http/routes.rs"]
mod routes;
#[path = "mtconnect_http/stage.rs"]
mod stage;
#[path = "mtconnect_http/streams.rs"]
mod streams;
