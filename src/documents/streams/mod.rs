//! MTConnectStreams.

mod json;
mod order;
mod prepared;
mod xml;

pub(super) use json::json_body;
pub(super) use prepared::{Prepared, nmtoken};
pub(super) use xml::xml_body;
