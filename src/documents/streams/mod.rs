//! MTConnectStreams.

mod order;
mod prepared;
mod xml;

pub(super) use prepared::Prepared;
pub(super) use xml::xml_body;
