//! Control through the OPC UA server: methods that are commands, variables that are bound to one, and the switch.
//!
//! | node | is |
//! |---|---|
//! | object `Commands` of a device | one method for each command that the device permits |
//! | variable of a data item that a command is bound to | the command, by a write of its one argument |
//! | object `Control` below Objects | whether commands are carried out, and methods to switch that |
//!
//! The [`Desk`] knows who asks and hands every request to [`Control`], refusals included, so that nothing is refused
//! without a row in the audit. For that, calls come here before the library looks at them ([`Calls`]): it would refuse
//! some of them by itself.

mod argument;
mod asked;
mod calls;
mod describe;
mod nodes;
mod status;
mod switch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use guideway_contract::Timestamp;
use opcua_server::authenticator::UserToken;
use opcua_server::node_manager::{MethodCall, ParsedWriteValue};
use opcua_types::{AttributeId, NodeId, StatusCode, Variant};

use super::instances::Tree;
use super::{Role, User};
use crate::control::{Claim, Control, End, Face, Reason, Requester};
use crate::device_model::DeviceModel;
use asked::Asked;
pub(super) use calls::Calls;
use nodes::{Act, Command, Targets};

/// How long a request of this face may wait to be acted on: whoever asks waits for the answer.
const VALIDITY: Duration = Duration::from_secs(60);

/// Longest part of a NodeId that the audit is told.
const MOST_SHOWN: usize = 200;

/// Where commands are asked for.
pub(super) struct Desk {
    control: Control,
    users: HashMap<String, Role>,
    /// What the nodes mean; swapped when the model changes.
    targets: ArcSwap<Targets>,
}

impl Desk {
    /// For the users of the configuration.
    pub(super) fn new(control: Control, users: &[User]) -> Self {
        let users = users.iter().map(|user| (user.name.clone(), user.role)).collect();
        Self { control, users, targets: ArcSwap::default() }
    }

    /// Adds the nodes of control to those of a model, and keeps what they mean.
    pub(super) fn extend(&self, tree: &mut Tree, model: &DeviceModel, namespace: u16) {
        let targets = nodes::extend(tree, model, self.control.machines(), namespace);
        self.targets.store(Arc::new(targets));
    }

    /// UserExecutable: whether somebody may call a method now.
    pub(super) fn may_call(&self, token: &UserToken, method: &NodeId) -> bool {
        match self.targets.load().methods.get(method).map(|method| &method.act) {
            None => false,
            Some(Act::Run(command)) => self.permits(token, command),
            Some(Act::Switch { on }) => self.may_switch(token, *on),
        }
    }

    /// Whether somebody may write a variable now.
    pub(super) fn may_write(&self, token: &UserToken, variable: &NodeId) -> bool {
        self.targets.load().variables.get(variable).is_some_and(|bound| self.permits(token, &bound.command))
    }

    /// Carries out a call of a method in the machines' namespace, and waits for its end.
    async fn call(&self, token: &UserToken, call: &mut MethodCall) {
        let targets = self.targets.load_full();
        let method = targets.methods.get(call.method_id());
        let status =
            match method.filter(|method| method.object == *call.object_id()).map(|method| &method.act) {
                Some(Act::Run(command)) => self.command(token, command, call).await,
                Some(Act::Switch { on }) => self.switch_by(token, *on, call).await,
                None => {
                    let (method, object) = (shown(call.method_id()), shown(call.object_id()));
                    self.unknown(token, &format!("method {method} of {object} is no command"));
                    StatusCode::BadMethodInvalid
                }
            };
        call.set_status(status);
    }

    async fn command(&self, token: &UserToken, command: &Command, call: &mut MethodCall) -> StatusCode {
        let asked = match Asked::read(&command.definition, call.arguments()) {
            Ok(asked) => asked,
            Err(wrong) => {
                let status = self.refuse(token, command, Reason::BadArgument, &wrong.detail);
                if status == StatusCode::BadUserAccessDenied {
                    return status;
                }
                if !wrong.results.is_empty() {
                    call.set_argument_error(wrong.results);
                }
                return wrong.status;
            }
        };
        match self.submit(token, command, asked).await {
            Ok(end) => {
                let status = status::of_call(&end);
                if status.is_good() {
                    call.set_outputs(describe::answer(&end));
                }
                status
            }
            Err(status) => status,
        }
    }

    /// Carries out a write of a variable, and waits for its end. `None` where no command is bound to it.
    pub(super) async fn write(&self, token: &UserToken, wanted: &ParsedWriteValue) -> Option<StatusCode> {
        if wanted.attribute_id != AttributeId::Value {
            return None;
        }
        let targets = self.targets.load_full();
        let bound = targets.variables.get(&wanted.node_id)?;
        let command = &bound.command;
        let refuse = |reason: Reason, status: StatusCode, detail: &str| {
            let refused = self.refuse(token, command, reason, detail);
            Some(if refused == StatusCode::BadUserAccessDenied { refused } else { status })
        };
        if wanted.index_range.has_range() || wanted.value.status.is_some_and(|status| !status.is_good()) {
            let detail = "a part of a value, or one of another status than Good, cannot be written";
            return refuse(Reason::Malformed, StatusCode::BadWriteNotSupported, detail);
        }
        let argument = match bound.argument(wanted.value.value.as_ref().unwrap_or(&Variant::Empty)) {
            Ok(argument) => argument,
            Err(status) => {
                let detail = format!("the written value does not fit: {status}");
                return refuse(Reason::BadArgument, status, &detail);
            }
        };
        let end = self.submit(token, command, Asked::only(argument)).await;
        Some(end.map_or_else(|status| status, |end| status::of_write(&end)))
    }

    /// Tells the audit that somebody wrote to variables of machines to which no command is bound: one row for each
    /// request.
    pub(super) fn not_bound(&self, token: &UserToken, first: &NodeId, count: usize) {
        let first = shown(first);
        let more = if count > 1 { format!(" and {} others", count - 1) } else { String::new() };
        self.unknown(token, &format!("a write to {first}{more}, which no command is bound to"));
    }

    async fn submit(&self, token: &UserToken, command: &Command, asked: Asked) -> Result<End, StatusCode> {
        let Some(requester) = self.requester(token) else {
            return Err(self.refuse(token, command, Reason::Unauthenticated, ""));
        };
        let validity = VALIDITY.min(self.control.options().max_validity).as_nanos();
        let validity = i64::try_from(validity).unwrap_or(i64::MAX);
        let claim = Claim {
            id: asked.id,
            // Names can be shared, a uuid is one device's.
            device: command.machine.uuid.clone(),
            command: command.definition.name.clone(),
            arguments: asked.arguments,
            requester,
            expires: Timestamp::now().shifted(validity),
            dry_run: asked.dry_run,
            reply_to: None,
        };
        // The request goes on when this is dropped because its client is gone or does not wait any longer.
        self.control.submit(claim).await.map_err(|_| StatusCode::BadShutdown)
    }

    /// Whom control knows under that login; nobody when it is anonymous.
    fn requester(&self, token: &UserToken) -> Option<Requester> {
        let roles: &[&str] = match self.role(token) {
            Role::Viewer => &[],
            Role::Operator => &["operator"],
            Role::Engineer => &["engineer", "operator"],
        };
        (!token.is_anonymous()).then(|| self.control.requester(Face::OpcUa, &token.0, roles))
    }

    fn role(&self, token: &UserToken) -> Role {
        self.users.get(&token.0).copied().unwrap_or_default()
    }

    fn permits(&self, token: &UserToken, command: &Command) -> bool {
        let requester = self.requester(token);
        requester.is_some_and(|requester| {
            self.control.permits(&requester, &command.machine.name, &command.definition.name)
        })
    }

    /// Refuses a request before control sees it. Who may not ask at all is not told what else is wrong.
    fn refuse(&self, token: &UserToken, command: &Command, reason: Reason, detail: &str) -> StatusCode {
        let permitted = self.permits(token, command);
        let (reason, detail) = match (token.is_anonymous(), permitted) {
            (true, _) => (
                Reason::Unauthenticated,
                "commands are not for anonymous clients: log in as a user".to_owned(),
            ),
            (false, false) => (Reason::NotPermitted, format!("{}: no permit; and {detail}", token.0)),
            (false, true) => (reason, format!("{}: {detail}", token.0)),
        };
        self.control.refuse(
            Face::OpcUa,
            End::rejected("", &command.machine.name, &command.definition.name, reason, detail),
        );
        if permitted { StatusCode::BadInvalidArgument } else { StatusCode::BadUserAccessDenied }
    }

    /// Refuses what is no command.
    fn unknown(&self, token: &UserToken, what: &str) {
        let who = if token.is_anonymous() { "an anonymous client" } else { token.0.as_str() };
        let detail = format!("{who}: {what}");
        self.control.refuse(Face::OpcUa, End::rejected("", "", "", Reason::UnknownCommand, detail));
    }
}

/// A NodeId that a client sent, not too long.
fn shown(node: &NodeId) -> String {
    let text = node.to_string();
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
