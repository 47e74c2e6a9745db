//! Node sets: the standard's namespace 0 and the MTConnect types from compact tables of our own, and
//! others from NodeSet2 files.

mod error;
mod file;
mod import;
mod literal;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod xml;
mod xml_value;

pub use error::NodesetError;
pub use file::{File, Model, Omitted, Required};
pub(super) use types::{MTCONNECT, Types};
