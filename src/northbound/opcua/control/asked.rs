//! What a call of a command's method asks for.

use opcua_types::{StatusCode, Variant};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::argument;
use crate::control::Definition;
use crate::control::claims::is_id;

/// The arguments that may be left out, behind those of the command.
pub(super) const TRAILING: [&str; 2] = ["RequestId", "DryRun"];

/// A request as far as its arguments say it.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    /// The client's, or one of our own making.
    pub(super) id: SmolStr,
    pub(super) arguments: Map<String, Json>,
    pub(super) dry_run: bool,
}

/// Why arguments cannot be taken.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong {
    pub(super) status: StatusCode,
    /// One for each argument that was given; empty when their number is wrong.
    pub(super) results: Vec<StatusCode>,
    /// The same for the audit.
    pub(super) detail: String,
}

impl Asked {
    /// A request with that one argument.
    pub(super) fn only((name, value): (SmolStr, Json)) -> Self {
        let arguments = std::iter::once((name.to_string(), value)).collect();
        Self { id: own_id(), arguments, dry_run: false }
    }

    /// Reads the arguments of a call.
    ///
    /// # Errors
    /// When there are too few or too many, or some do not fit. What a fitting value may be is asked of control, later.
    pub(super) fn read(definition: &Definition, given: &[Variant]) -> Result<Self, Wrong> {
        let wanted = definition.arguments.len();
        if given.len() < wanted {
            return Err(Wrong::number(StatusCode::BadArgumentsMissing, given.len(), wanted));
        }
        if given.len() > wanted + TRAILING.len() {
            return Err(Wrong::number(StatusCode::BadTooManyArguments, given.len(), wanted));
        }
        let (own, trailing) = given.split_at(wanted);
        let mut arguments = Map::new();
        let mut results = Vec::with_capacity(given.len());
        for (argument, value) in definition.arguments.iter().zip(own) {
            let read = argument::of(argument.kind, value);
            results.push(read.as_ref().map_or_else(|status| *status, |_| StatusCode::Good));
            if let Ok(value) = read {
                arguments.insert(argument.name.to_string(), value);
            }
        }
        let id = match trailing.first() {
            None | Some(Variant::Empty) => Ok(own_id()),
            Some(Variant::String(text)) if text.is_empty() => Ok(own_id()),
            Some(Variant::String(text)) => id(text.as_ref()),
            Some(_) => Err(StatusCode::BadTypeMismatch),
        };
        let dry_run = match trailing.get(1) {
            None | Some(Variant::Empty) => Ok(false),
            Some(Variant::Boolean(dry)) => Ok(*dry),
            Some(_) => Err(StatusCode::BadTypeMismatch),
        };
        let of_trailing = [id.as_ref().err().copied(), dry_run.as_ref().err().copied()];
        let of_trailing = of_trailing.into_iter().take(trailing.len());
        results.extend(of_trailing.map(|status| status.unwrap_or(StatusCode::Good)));
        match (id, dry_run) {
            (Ok(id), Ok(dry_run)) if results.iter().all(StatusCode::is_good) => {
                Ok(Self { id, arguments, dry_run })
            }
            _ => Err(Wrong::values(definition, results)),
        }
    }
}

impl Wrong {
    fn number(status: StatusCode, given: usize, wanted: usize) -> Self {
        let detail =
            format!("{given} arguments; {wanted} belong to the command, and RequestId and DryRun may follow");
        Self { status, results: Vec::new(), detail }
    }

    fn values(definition: &Definition, results: Vec<StatusCode>) -> Self {
        let names = definition.arguments.iter().map(|argument| argument.name.as_str()).chain(TRAILING);
        let bad = names.zip(&results).filter(|(_, status)| !status.is_good());
        let bad: Vec<String> = bad.map(|(name, status)| format!("{name}: {status}")).collect();
        Self { status: StatusCode::BadInvalidArgument, detail: bad.join(", "), results }
    }
}

/// A request's id, as control takes it: no spaces, no quotes, nothing but ASCII.
fn id(text: &str) -> Result<SmolStr, StatusCode> {
    if is_id(text) { Ok(text.into()) } else { Err(StatusCode::BadOutOfRange) }
}

fn own_id() -> SmolStr {
    uuid::Uuid::new_v4().to_string().into()
}
