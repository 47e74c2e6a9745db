//! The MTConnect agent: REST over HTTP.

mod options;

pub use options::{FileMount, Options, Style};
