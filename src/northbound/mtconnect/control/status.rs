//! Which HTTP status tells how a request ended.

use crate::control::{End, Reason, State};

/// The status that goes with an end.
pub(super) fn of(end: &End) -> u16 {
    match end.state {
        State::Done => 200,
        State::Failed => 502,
        State::TimedOut => 504,
        State::Rejected => end.reason.map_or(400, of_reason),
    }
}

const fn of_reason(reason: Reason) -> u16 {
    match reason {
        Reason::Malformed | Reason::BadArgument | Reason::ValidTooLong => 400,
        Reason::Unauthenticated => 401,
        Reason::NotPermitted => 403,
        Reason::UnknownDevice | Reason::UnknownCommand => 404,
        Reason::AmbiguousDevice
        | Reason::IdReused
        | Reason::Busy
        | Reason::Stale
        | Reason::Unavailable
        | Reason::Interlock
        | Reason::AnswerStands
        | Reason::ReleasePending => 409,
        Reason::Expired => 410,
        Reason::Oversized => 413,
        Reason::RateLimited => 429,
        Reason::ControlOff
        | Reason::Offline
        | Reason::NotSent
        | Reason::AuditFailed
        | Reason::GatewayStopped => 503,
        // Of the first write, so that nothing is changed; the others come after one.
        Reason::WriteRefused | Reason::NoAnswer | Reason::NotReadBack | Reason::MachineRefused => 502,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_is_an_error_and_only_what_is_done_is_200() {
        for reason in Reason::ALL {
            let mut end = End::rejected("", "", "", *reason, "");
            assert!((400..600).contains(&of(&end)), "{reason:?}");
            end.state = State::TimedOut;
            assert_eq!(of(&end), 504, "{reason:?}");
            end.state = State::Failed;
            assert_eq!(of(&end), 502, "{reason:?}");
            end.state = State::Done;
            assert_eq!(of(&end), 200, "{reason:?}");
        }
    }
}
