//! Reading TOML and other texts that people write, so that everything wrong in them is found in one go, each
//! finding with its place and its cure. Knows nothing of what the texts are about.

mod document;
pub(crate) mod expand;
pub(crate) mod explain;
pub(crate) mod fields;
pub(crate) mod finding;
pub(crate) mod places;
pub(crate) mod source;
pub(crate) mod suggest;

pub(crate) use document::{Document, Value};
pub use finding::{Finding, Report, Severity};
pub use source::{MAX_BYTES, Source};
