//! Requests that get an error document.

use crate::documents::{Problem, ProblemKind};

/// Why a request is refused: an HTTP status and at least one entry for the error document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) problems: Vec<Problem>,
}

impl Refusal {
    /// One problem with the status that goes with its kind.
    pub(super) fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        let status = match kind {
            ProblemKind::NoDevice | ProblemKind::InvalidUri | ProblemKind::AssetNotFound { .. } => 404,
            ProblemKind::InternalError => 500,
            _ => 400,
        };
        Self { status, problems: vec![problem(kind, message)] }
    }

    /// The same with another status.
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// An entry that does not yet say which request it is about.
pub(super) fn problem(kind: ProblemKind, message: impl Into<String>) -> Problem {
    Problem { kind, message: message.into(), uri: None, request: None }
}

/// A number that is outside its limits.
pub(super) fn out_of_range(parameter: &'static str, value: i128, minimum: u64, maximum: u64) -> Problem {
    let as_limit = |limit: u64| i64::try_from(limit).unwrap_or(i64::MAX);
    signed_out_of_range(parameter, value, as_limit(minimum), as_limit(maximum))
}

/// A number that is outside its limits, which may be below zero.
pub(super) fn signed_out_of_range(
    parameter: &'static str,
    value: i128,
    minimum: i64,
    maximum: i64,
) -> Problem {
    problem(
        ProblemKind::OutOfRange { parameter, value: value.to_string(), minimum, maximum },
        format!("'{parameter}' is {value}, but must be between {minimum} and {maximum}"),
    )
}
