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

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The gateway works, perhaps not as was meant.
    Warning,
    /// The model cannot be used.
    Error,
}

/// One thing that is wrong: where, what, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {what}")]
pub struct ModelError {
    /// Whether it keeps the model from being used.
    pub severity: Severity,
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub what: String,
    /// What to do about it; empty when nothing useful can be said.
    pub cure: String,
}
