//! How requests end, as status codes.

use opcua_types::StatusCode;

use crate::control::{End, Reason, State};

/// Of a call: how the request ended is in its outputs. Only who may not ask at all gets none.
pub(super) fn of_call(end: &End) -> StatusCode {
    match end.reason {
        Some(Reason::NotPermitted | Reason::Unauthenticated) => StatusCode::BadUserAccessDenied,
        _ => StatusCode::Good,
    }
}

/// Of a write, which has nothing but its status.
pub(super) fn of_write(end: &End) -> StatusCode {
    match (end.state, end.reason) {
        (State::Done, _) => StatusCode::Good,
        // Nobody knows whether the machine did it.
        (State::TimedOut, _) => StatusCode::BadTimeout,
        (State::Rejected, Some(reason)) => rejected(reason),
        (State::Rejected | State::Failed, _) => StatusCode::BadUnexpectedError,
    }
}

fn rejected(reason: Reason) -> StatusCode {
    match reason {
        Reason::NotPermitted | Reason::Unauthenticated => StatusCode::BadUserAccessDenied,
        Reason::BadArgument => StatusCode::BadOutOfRange,
        Reason::Interlock
        | Reason::Busy
        | Reason::Stale
        | Reason::Unavailable
        | Reason::Offline
        | Reason::ControlOff
        | Reason::AnswerStands
        | Reason::ReleasePending
        | Reason::Expired => StatusCode::BadInvalidState,
        Reason::RateLimited => StatusCode::BadResourceUnavailable,
        _ => StatusCode::BadUnexpectedError,
    }
}
