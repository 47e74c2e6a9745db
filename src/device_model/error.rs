//! What can be wrong with a device model.

use std::fmt;
use std::path::PathBuf;

/// A place in a file; line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file.
    pub file: PathBuf,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One thing that is wrong: where, what, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {what}")]
pub struct ModelError {
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub what: String,
    /// What to do about it; empty when nothing useful can be said.
    pub cure: String,
}
