//! The methods of conditions (part 9, 5.5).

use opcua_server::node_manager::{MethodCall, RequestContext};
use opcua_types::{AttributeId, MethodId, StatusCode, Variant};

/// What ConditionRefresh or ConditionRefresh2 is asked to do.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    /// Of which subscription.
    pub(super) subscription: u32,
    /// Of which of its items; of all, by ConditionRefresh.
    pub(super) item: Option<u32>,
}

impl Wanted {
    /// What a call wants, or why not; `None` for methods that are not about conditions.
    ///
    /// Conditions are the machines': Enable, Disable, AddComment, Acknowledge and Confirm answer
    /// BadNotSupported.
    pub(super) fn of(call: &mut MethodCall) -> Option<Result<Self, StatusCode>> {
        let method = call.method_id();
        let is = |known: MethodId| *method == (0, known as u32);
        let wanted = if is(MethodId::ConditionType_ConditionRefresh) {
            1
        } else if is(MethodId::ConditionType_ConditionRefresh2) {
            2
        } else if is(MethodId::ConditionType_Enable)
            || is(MethodId::ConditionType_Disable)
            || is(MethodId::ConditionType_AddComment)
            || is(MethodId::AcknowledgeableConditionType_Acknowledge)
            || is(MethodId::AcknowledgeableConditionType_Confirm)
        {
            return Some(Err(StatusCode::BadNotSupported));
        } else {
            return None;
        };
        let wanted = Self::read(call.arguments(), wanted);
        Some(wanted.map_err(|wrong| match wrong {
            Wrong::Number(status) => status,
            Wrong::Types(types) => {
                call.set_argument_error(types);
                StatusCode::BadInvalidArgument
            }
        }))
    }

    fn read(arguments: &[Variant], wanted: usize) -> Result<Self, Wrong> {
        let id = |argument: &Variant| match argument {
            Variant::UInt32(id) => Some(*id),
            _ => None,
        };
        match (arguments.len().cmp(&wanted), arguments) {
            (std::cmp::Ordering::Less, _) => Err(Wrong::Number(StatusCode::BadArgumentsMissing)),
            (std::cmp::Ordering::Greater, _) => Err(Wrong::Number(StatusCode::BadTooManyArguments)),
            (_, [Variant::UInt32(subscription)]) => Ok(Self { subscription: *subscription, item: None }),
            (_, [Variant::UInt32(subscription), Variant::UInt32(item)]) => {
                Ok(Self { subscription: *subscription, item: Some(*item) })
            }
            _ => {
                let fits = |argument| match id(argument) {
                    Some(_) => StatusCode::Good,
                    None => StatusCode::BadTypeMismatch,
                };
                Err(Wrong::Types(arguments.iter().map(fits).collect()))
            }
        }
    }

    /// Whether the subscription and the item are the caller's.
    pub(super) fn check(&self, context: &RequestContext) -> Result<(), StatusCode> {
        let subscriptions = context.subscriptions.get_session_subscriptions(context.session_id);
        let subscriptions = subscriptions.ok_or(StatusCode::BadSubscriptionIdInvalid)?;
        let subscriptions = subscriptions.lock();
        let subscription =
            subscriptions.get(self.subscription).ok_or(StatusCode::BadSubscriptionIdInvalid)?;
        let Some(item) = &self.item else { return Ok(()) };
        let item = subscription.get(item).ok_or(StatusCode::BadMonitoredItemIdInvalid)?;
        if item.item_to_monitor().attribute_id == AttributeId::EventNotifier {
            Ok(())
        } else {
            Err(StatusCode::BadMonitoredItemIdInvalid)
        }
    }
}

#[derive(Debug, PartialEq)]
enum Wrong {
    Number(StatusCode),
    Types(Vec<StatusCode>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;

    #[test]
    fn arguments_are_two_numbers_or_one() {
        let (one, text) = (Variant::UInt32(1), Variant::from("1"));
        let read = Wanted::read;
        assert_eq!(read(from_ref(&one), 1), Ok(Wanted { subscription: 1, item: None }));
        assert_eq!(
            read(&[one.clone(), Variant::UInt32(2)], 2),
            Ok(Wanted { subscription: 1, item: Some(2) })
        );
        assert_eq!(read(&[], 1), Err(Wrong::Number(StatusCode::BadArgumentsMissing)));
        assert_eq!(read(from_ref(&one), 2), Err(Wrong::Number(StatusCode::BadArgumentsMissing)));
        assert_eq!(read(&[one.clone(), one.clone()], 1), Err(Wrong::Number(StatusCode::BadTooManyArguments)));
        assert_eq!(read(from_ref(&text), 1), Err(Wrong::Types(vec![StatusCode::BadTypeMismatch])));
        let types = Wrong::Types(vec![StatusCode::Good, StatusCode::BadTypeMismatch]);
        assert_eq!(read(&[one, text], 2), Err(types));
    }
}
