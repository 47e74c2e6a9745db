//! Commands: writes and method calls, in order.

use guideway_contract::{Access, Command, CommandRequest, Native, Outcome, SessionEnd};
use opcua_types::{
    AttributeId, CallMethodRequest, DataValue, NumericRange, StatusCode, Variant, VariantScalarTypeId,
    WriteValue,
};
use tokio::time::{Instant, timeout_at};

use crate::codec::value::words;
use crate::codec::write::{Target, variant};
use crate::link::Failure;
use crate::nodes::{Node, Takes};
use crate::session::Running;
use crate::wanted::Wanted;

/// What is sent for one write.
enum Action {
    Write(WriteValue),
    Call(CallMethodRequest),
}

impl Running<'_> {
    /// Serves a command. An end of the session comes with an outcome that nobody knows.
    pub(crate) async fn obey(&mut self, request: CommandRequest) -> Result<(), SessionEnd> {
        let CommandRequest { command, reply } = request;
        let (outcome, end) = self.outcome(&command).await;
        // Whoever asked may have gone.
        drop(reply.send(outcome));
        end.map_or(Ok(()), Err)
    }

    async fn outcome(&mut self, command: &Command) -> (Outcome, Option<SessionEnd>) {
        let deadline = Instant::now() + command.timeout;
        let mut actions = Vec::with_capacity(command.writes.len());
        for write in &command.writes {
            match self.action(write.point.index(), &write.value) {
                Ok(action) => actions.push(action),
                Err(why) => return (Outcome::Refused(why), None),
            }
        }
        for (done, (name, action)) in actions.into_iter().enumerate() {
            let before = if done > 0 { format!(" ({done} written before)") } else { String::new() };
            let sent = async {
                match action {
                    Action::Write(value) => self.server.write(value).await,
                    Action::Call(call) => self.server.call(call).await.map(|result| {
                        let arguments = result.input_argument_results.unwrap_or_default();
                        let wrong = arguments.into_iter().find(StatusCode::is_bad);
                        if result.status_code.is_bad() {
                            wrong.unwrap_or(result.status_code)
                        } else {
                            result.status_code
                        }
                    }),
                }
            };
            match timeout_at(deadline, sent).await {
                Ok(Ok(status)) if status.is_good() => {}
                Ok(Ok(status) | Err(Failure::Request(status))) => {
                    return (Outcome::Refused(format!("{name}: {}{before}", words(status))), None);
                }
                Ok(Err(Failure::Over(end))) => {
                    return (Outcome::Unknown(format!("{name}: {end}{before}")), Some(end));
                }
                Err(_) => {
                    let why = format!("{name}: no answer within {} ms{before}", command.timeout.as_millis());
                    return (Outcome::Unknown(why), Some(SessionEnd::Silent(command.timeout)));
                }
            }
        }
        (Outcome::Done, None)
    }

    /// What is to be sent; an error refuses the whole command before anything is.
    fn action(&self, place: usize, value: &Native) -> Result<(String, Action), String> {
        let wanted = match self.points.get(place) {
            Some(Ok(wanted)) => wanted,
            Some(Err(why)) => return Err(why.clone()),
            None => return Err("there is no such point".into()),
        };
        let name = wanted.spec.name.to_string();
        let refuse = |why: String| format!("{name}: {why}");
        if wanted.spec.access == Access::Read {
            return Err(refuse("it is read only".into()));
        }
        let node = self.nodes.get(place).and_then(Option::as_ref);
        let node = node.ok_or_else(|| refuse("the server does not have it now".into()))?;
        let action = match node.takes.clone().map_err(refuse)? {
            Takes::Value(target) => Action::Write(write(wanted, node, value, target).map_err(refuse)?),
            Takes::Call { object, arguments } => Action::Call(CallMethodRequest {
                object_id: object,
                method_id: node.id.clone(),
                input_arguments: call(value, arguments.as_deref()).map_err(refuse)?,
            }),
        };
        Ok((name, action))
    }
}

fn write(wanted: &Wanted, node: &Node, value: &Native, target: Target) -> Result<WriteValue, String> {
    let value = match (&wanted.index, &node.range) {
        (None, _) => variant(value, target)?,
        // A server that does not know stretches would take the element for the whole array.
        (Some(_), NumericRange::None) => return Err("the server does not write elements of arrays".into()),
        (Some(index), _) => {
            let one;
            let values = match value {
                Native::List(_) => value,
                single => {
                    one = Native::List([single.clone()].into());
                    &one
                }
            };
            match values {
                Native::List(values) if values.len() != index.elements() => {
                    return Err(format!("{} values for {} elements", values.len(), index.elements()));
                }
                _ => variant(values, Target { array: true, ..target })?,
            }
        }
    };
    Ok(WriteValue {
        node_id: node.id.clone(),
        attribute_id: AttributeId::Value as u32,
        index_range: node.range.clone(),
        // Few servers take a time or a status with a value.
        value: DataValue { value: Some(value), ..DataValue::null() },
    })
}

fn call(value: &Native, arguments: Option<&[Target]>) -> Result<Option<Vec<Variant>>, String> {
    let one;
    let values: &[Native] = match (value, arguments) {
        // A method of one argument that is an array takes the list as that argument, unless it is in a list itself.
        (Native::List(values), Some([target]))
            if target.array && !matches!(values.as_ref(), [Native::List(_)]) =>
        {
            std::slice::from_ref(value)
        }
        (Native::List(values), _) => values,
        (Native::Null, _) => &[],
        (single, _) => {
            one = single.clone();
            std::slice::from_ref(&one)
        }
    };
    let any = Target { kind: VariantScalarTypeId::Variant, array: false };
    if let Some(arguments) = arguments
        && arguments.len() != values.len()
    {
        return Err(format!("{} arguments for a method that takes {}", values.len(), arguments.len()));
    }
    let targets = values
        .iter()
        .enumerate()
        .map(|(at, _)| arguments.and_then(|all| all.get(at)).copied().unwrap_or(any));
    let sent = values.iter().zip(targets).enumerate().map(|(at, (value, target))| {
        variant(value, target).map_err(|why| format!("argument {}: {why}", at + 1))
    });
    sent.collect::<Result<Vec<_>, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT: Target = Target { kind: VariantScalarTypeId::Int32, array: false };
    const INTS: Target = Target { kind: VariantScalarTypeId::Int32, array: true };

    fn list(numbers: &[i64]) -> Native {
        Native::List(numbers.iter().map(|number| Native::Int(*number)).collect())
    }

    #[test]
    fn a_value_is_the_one_argument_or_the_list_of_them() {
        assert_eq!(call(&Native::Int(1), Some(&[INT])), Ok(Some(vec![Variant::Int32(1)])));
        assert_eq!(
            call(&list(&[1, 2]), Some(&[INT, INT])),
            Ok(Some(vec![Variant::Int32(1), Variant::Int32(2)]))
        );
        assert_eq!(call(&list(&[1, 2]), Some(&[INTS])), Ok(Some(vec![Variant::from(vec![1, 2])])));
        assert_eq!(
            call(&Native::List([list(&[1])].into()), Some(&[INTS])),
            Ok(Some(vec![Variant::from(vec![1])]))
        );
        assert_eq!(call(&Native::Null, Some(&[])), Ok(Some(vec![])));
        assert_eq!(call(&Native::Int(1), None), Ok(Some(vec![Variant::Int64(1)])));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        assert!(
            call(&list(&[1, 2]), Some(&[INT])).unwrap_err().contains("2 arguments for a method that takes 1")
        );
        assert!(call(&Native::text("x"), Some(&[INT])).unwrap_err().starts_with("argument 1"));
        assert!(call(&Native::Int(1), Some(&[])).is_err());
    }
}
