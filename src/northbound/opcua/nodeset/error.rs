//! Why a node set cannot be read.

use std::path::PathBuf;

/// Why a node set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NodesetError {
    /// The file cannot be opened or read.
    #[error("{path}: {source}; check that the file is there and may be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not what a node set has.
    #[error("{place}{line}: {what}")]
    Text {
        /// `FILE:` for a file, else empty.
        place: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and the cure where there is one.
        what: String,
    },
}
