//! The panic switch: who may, and what its variables show.

use opcua_server::authenticator::UserToken;
use opcua_server::node_manager::MethodCall;
use opcua_types::{DataTypeId, DataValue, NodeId, StatusCode, UAString, Variant};

use super::Desk;
use crate::control::{End, Face, Reason, Switch};
use crate::northbound::opcua::Role;
use crate::northbound::opcua::value::date_time;
use tokio::sync::watch;

/// Longest reason; of a longer one the beginning is taken, for a switch must not fail because of its words.
const MOST_CHARACTERS: usize = 500;

/// The variables of the object `Control`.
pub(super) const VARIABLES: [(&str, DataTypeId); 4] = [
    ("Enabled", DataTypeId::Boolean),
    ("SwitchedBy", DataTypeId::String),
    ("Reason", DataTypeId::String),
    ("Since", DataTypeId::UtcTime),
];

/// What they show, in that order.
fn values(switch: &Switch) -> [Variant; 4] {
    [
        switch.on.into(),
        switch.by.as_str().into(),
        switch.reason.as_str().into(),
        date_time(switch.since).into(),
    ]
}

impl Desk {
    /// The switch, with its changes.
    pub(in crate::northbound::opcua) fn switch(&self) -> watch::Receiver<Switch> {
        self.control.switch()
    }

    /// The variables that show the switch, with their values.
    pub(in crate::northbound::opcua) fn switch_values(&self) -> Vec<(NodeId, DataValue)> {
        let targets = self.targets.load();
        let switch = self.control.switch();
        let values = values(&switch.borrow());
        let since = date_time(switch.borrow().since);
        targets.switch.iter().cloned().zip(values.map(|value| DataValue::new_at(value, since))).collect()
    }

    /// Off is the safe direction: whoever may ask for anything may. On is for engineers.
    pub(super) fn may_switch(&self, token: &UserToken, on: bool) -> bool {
        if token.is_anonymous() {
            return false;
        }
        let role = self.role(token);
        role == Role::Engineer || (!on && (role == Role::Operator || self.may_switch_off(token)))
    }

    fn may_switch_off(&self, token: &UserToken) -> bool {
        self.requester(token).is_some_and(|requester| self.control.may_switch_off(&requester))
    }

    /// SwitchOff(Reason), SwitchOn().
    pub(super) async fn switch_by(&self, token: &UserToken, on: bool, call: &mut MethodCall) -> StatusCode {
        let refuse = |reason: Reason, detail: &str| {
            let name = if on { "control on" } else { "control off" };
            self.control
                .refuse(Face::OpcUa, End::rejected("", "", name, reason, format!("{}: {detail}", token.0)));
        };
        if !self.may_switch(token, on) {
            let anonymous = token.is_anonymous();
            let reason = if anonymous { Reason::Unauthenticated } else { Reason::NotPermitted };
            let whom = if on { "on is for engineers" } else { "off is for operators and engineers" };
            refuse(reason, whom);
            return StatusCode::BadUserAccessDenied;
        }
        let why = match words(on, call.arguments()) {
            Ok(why) => why,
            Err(status) => {
                refuse(Reason::BadArgument, "the arguments do not fit");
                if status == StatusCode::BadInvalidArgument {
                    call.set_argument_error(vec![StatusCode::BadTypeMismatch]);
                }
                return status;
            }
        };
        let (control, by) = (self.control.clone(), token.0.clone());
        let switched = tokio::task::spawn_blocking(move || control.set_switch(on, &by, &why)).await;
        match switched.map_err(std::io::Error::other) {
            Ok(Ok(())) => {
                call.set_outputs(vec![self.control.switch().borrow().on.into()]);
                StatusCode::Good
            }
            Ok(Err(error)) | Err(error) => {
                tracing::error!(user = token.0, on, %error, "OPC UA: control could not be switched");
                StatusCode::BadUnexpectedError
            }
        }
    }
}

/// The reason that was given. It may be left out.
fn words(on: bool, arguments: &[Variant]) -> Result<String, StatusCode> {
    match arguments {
        [] => Ok(String::new()),
        _ if on => Err(StatusCode::BadTooManyArguments),
        [Variant::Empty] => Ok(String::new()),
        [Variant::String(text)] => Ok(beginning(text)),
        [_] => Err(StatusCode::BadInvalidArgument),
        _ => Err(StatusCode::BadTooManyArguments),
    }
}

fn beginning(text: &UAString) -> String {
    text.as_ref().chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_may_be_left_out_and_a_long_one_is_cut() {
        assert_eq!(words(true, &[]), Ok(String::new()));
        assert_eq!(words(false, &[]), Ok(String::new()));
        assert_eq!(words(false, &[Variant::Empty]), Ok(String::new()));
        assert_eq!(words(false, &["smoke".into()]), Ok("smoke".to_owned()));
        let long = "ä".repeat(MOST_CHARACTERS + 1);
        assert_eq!(words(false, &[long.as_str().into()]), Ok("ä".repeat(MOST_CHARACTERS)));
        assert_eq!(words(false, &[Variant::Int32(1)]), Err(StatusCode::BadInvalidArgument));
        assert_eq!(words(false, &["a".into(), "b".into()]), Err(StatusCode::BadTooManyArguments));
        assert_eq!(words(true, &["a".into()]), Err(StatusCode::BadTooManyArguments));
    }
}
