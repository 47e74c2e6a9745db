//! Commands, their arguments and ends in the words of OPC UA.

use guideway_contract::Native;
use opcua_types::{Argument as UaArgument, DataTypeId, LocalizedText, NodeId, Variant};

use super::asked::TRAILING;
use crate::control::{Argument, Definition, End, Kind};

/// What a command does, and how far its effects go.
pub(super) fn about(definition: &Definition) -> String {
    let risk = format!("risk: {}", definition.risk.as_str());
    match definition.about.trim() {
        "" => risk,
        about => format!("{about} ({risk})"),
    }
}

/// InputArguments of a command: its own, then those that may be left out.
pub(super) fn inputs(definition: &Definition) -> Vec<UaArgument> {
    let own = definition.arguments.iter().map(|argument| {
        let data_type = match argument.kind {
            Kind::Int => DataTypeId::Int64,
            Kind::Float => DataTypeId::Double,
            Kind::Bool => DataTypeId::Boolean,
            Kind::Text => DataTypeId::String,
        };
        one(&argument.name, data_type, &range(argument))
    });
    let [id, dry_run] = TRAILING;
    let trailing = [
        one(
            id,
            DataTypeId::String,
            "names the request for ever: asked again with the same id, it is not carried out again, and its end \
             is told again. Up to 64 characters; may be empty or left out, the gateway makes one then",
        ),
        one(dry_run, DataTypeId::Boolean, "true: everything but the writes. May be left out: false"),
    ];
    own.chain(trailing).collect()
}

/// OutputArguments of a command.
pub(super) fn outputs() -> Vec<UaArgument> {
    vec![
        one(
            "State",
            DataTypeId::String,
            "done, rejected (nothing was written), failed, or timed-out (nobody knows whether the machine did it)",
        ),
        one(
            "Reason",
            DataTypeId::String,
            "why it did not end well: a word that programs can go by; empty when done",
        ),
        one("Detail", DataTypeId::String, "the same for people; may be empty"),
        one("RequestId", DataTypeId::String, "the request's id"),
        one("ReadBack", DataTypeId::BaseDataType, "what was read back; null when nothing was"),
    ]
}

/// The values of [`outputs`].
pub(super) fn answer(end: &End) -> Vec<Variant> {
    let read_back = end.read_back.as_ref().map_or(Variant::Empty, |(_, value)| variant(value));
    vec![
        end.state.as_str().into(),
        end.reason.map_or("", |reason| reason.as_str()).into(),
        end.detail.as_str().into(),
        end.id.as_str().into(),
        read_back,
    ]
}

/// An argument of a method; a scalar.
pub(super) fn one(name: &str, data_type: DataTypeId, about: &str) -> UaArgument {
    UaArgument {
        name: name.into(),
        data_type: NodeId::from(data_type),
        value_rank: -1,
        array_dimensions: None,
        description: LocalizedText::new("", about),
    }
}

/// What an argument is and may be: `Feed override; 0 to 150 PERCENT`.
fn range(argument: &Argument) -> String {
    let number = |number: f64| Native::Float(number).to_string();
    let mut parts = Vec::new();
    if !argument.about.trim().is_empty() {
        parts.push(argument.about.trim().to_owned());
    }
    let bounds = match (argument.min, argument.max) {
        (Some(min), Some(max)) => format!("{} to {}", number(min), number(max)),
        (Some(min), None) => format!("at least {}", number(min)),
        (None, Some(max)) => format!("at most {}", number(max)),
        (None, None) => String::new(),
    };
    match (bounds.as_str(), argument.units.as_str()) {
        ("", "") => {}
        ("", units) => parts.push(format!("in {units}")),
        (bounds, "") => parts.push(bounds.to_owned()),
        (bounds, units) => parts.push(format!("{bounds} {units}")),
    }
    if argument.kind == Kind::Text {
        parts.push(format!("up to {} characters", argument.max_len));
    }
    if let Some(pattern) = argument.pattern_text() {
        parts.push(format!("matches {pattern}"));
    }
    if !argument.one_of.is_empty() {
        let allowed: Vec<String> = argument.one_of.iter().map(ToString::to_string).collect();
        parts.push(format!("one of: {}", allowed.join(", ")));
    }
    parts.join("; ")
}

/// A raw value; what OPC UA has no simple type for is text.
fn variant(value: &Native) -> Variant {
    match value {
        Native::Null => Variant::Empty,
        Native::Bool(set) => (*set).into(),
        Native::Int(number) => (*number).into(),
        Native::UInt(number) => (*number).into(),
        Native::Float(number) => (*number).into(),
        other => other.to_string().into(),
    }
}
