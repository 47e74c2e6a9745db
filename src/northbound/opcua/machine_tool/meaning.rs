//! What an observation means in the terms of a machine tool.

use guideway_contract::Value;
use opcua_types::{LocalizedText, Variant};

use super::template::State;

/// How the observations of a data item become values of a variable.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Meaning {
    /// CONTROLLER_MODE as MachineOperationMode (OPC 40501-1, 12.5).
    OperationMode,
    /// CONTROLLER_MODE as ChannelMode (12.2).
    ChannelMode,
    /// EXECUTION as ChannelState (12.1).
    ChannelState,
    /// EXECUTION as the state of the active program: its name.
    ProgramState(std::sync::Arc<[State]>),
    /// The same: the state's node.
    ProgramStateId(std::sync::Arc<[State]>),
    /// The same: the state's number.
    ProgramStateNumber(std::sync::Arc<[State]>),
    /// A number.
    Number,
    /// A text.
    Text,
    /// A velocity that is not zero.
    IsRotating,
    /// ROTARY_MODE: the spindle is moved like an axis.
    IsUsedAsAxis,
}

impl Meaning {
    /// The value of the variable; `None` when the observation has no meaning there, or is UNAVAILABLE.
    pub(in super::super) fn of(&self, value: &Value) -> Option<Variant> {
        let value = value.plain();
        let word = || match value {
            Value::Text(word) => Some(word.as_str()),
            _ => None,
        };
        match self {
            Self::OperationMode => operation_mode(word()?).map(Variant::Int32),
            Self::ChannelMode => channel_mode(word()?).map(Variant::Int32),
            Self::ChannelState => channel_state(word()?).map(Variant::Int32),
            Self::ProgramState(states) => {
                let state = program_state(word()?, states)?;
                Some(Variant::from(LocalizedText::new("en", &state.name)))
            }
            Self::ProgramStateId(states) => {
                program_state(word()?, states).map(|state| state.node.clone().into())
            }
            Self::ProgramStateNumber(states) => {
                program_state(word()?, states).map(|state| state.number.into())
            }
            Self::Number => number(value).map(Variant::Double),
            Self::Text => word().map(Variant::from),
            Self::IsRotating => number(value).map(|speed| Variant::Boolean(speed != 0.0)),
            Self::IsUsedAsAxis => match word()? {
                "SPINDLE" => Some(false.into()),
                "CONTOUR" | "INDEX" => Some(true.into()),
                _ => None,
            },
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Text(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        Value::TimeSeries(series) => series.values.last().copied(),
        _ => None,
    }
}

fn operation_mode(word: &str) -> Option<i32> {
    Some(match word {
        "MANUAL" | "MANUAL_DATA_INPUT" => 0,
        "AUTOMATIC" => 1,
        "SEMI_AUTOMATIC" => 3,
        "EDIT" => 5,
        _ => return None,
    })
}

fn channel_mode(word: &str) -> Option<i32> {
    Some(match word {
        "AUTOMATIC" | "SEMI_AUTOMATIC" => 0,
        "MANUAL_DATA_INPUT" => 1,
        "MANUAL" => 2,
        "EDIT" => 7,
        _ => return None,
    })
}

fn channel_state(word: &str) -> Option<i32> {
    Some(match word {
        // A channel that waits goes on by itself.
        "ACTIVE" | "WAIT" => 0,
        "INTERRUPTED" | "FEED_HOLD" | "OPTIONAL_STOP" | "PROGRAM_STOPPED" | "PROGRAM_OPTIONAL_STOP" => 1,
        "READY" | "STOPPED" | "PROGRAM_COMPLETED" => 2,
        _ => return None,
    })
}

fn program_state<'s>(word: &str, states: &'s [State]) -> Option<&'s State> {
    let name = match word {
        "READY" => "Initializing",
        "PROGRAM_COMPLETED" => "Ended",
        "STOPPED" => "Aborted",
        _ => match channel_state(word)? {
            0 => "Running",
            _ => "Interrupted",
        },
    };
    states.iter().find(|state| state.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opcua_types::NodeId;
    use smol_str::SmolStr;

    fn text(word: &str) -> Value {
        Value::Text(SmolStr::new(word))
    }

    #[test]
    fn every_word_of_execution_is_a_state_of_channel_and_program() {
        let names = ["Initializing", "Running", "Ended", "Interrupted", "Aborted"];
        let states: Vec<State> = names
            .iter()
            .zip(0..)
            .map(|(name, number)| State { name: (*name).into(), node: NodeId::new(9, number), number })
            .collect();
        for (word, channel, program) in [
            ("ACTIVE", 0, 1),
            ("WAIT", 0, 1),
            ("INTERRUPTED", 1, 3),
            ("FEED_HOLD", 1, 3),
            ("OPTIONAL_STOP", 1, 3),
            ("PROGRAM_STOPPED", 1, 3),
            ("READY", 2, 0),
            ("STOPPED", 2, 4),
            ("PROGRAM_COMPLETED", 2, 2),
        ] {
            assert_eq!(Meaning::ChannelState.of(&text(word)), Some(Variant::Int32(channel)), "{word}");
            let number = Meaning::ProgramStateNumber(states.clone().into()).of(&text(word));
            assert_eq!(number, Some(Variant::UInt32(program)), "{word}");
        }
        assert_eq!(Meaning::ChannelState.of(&text("DANCING")), None);
    }

    #[test]
    fn every_word_of_controller_mode_is_a_mode_of_machine_and_channel() {
        for (word, machine, channel) in [
            ("AUTOMATIC", 1, 0),
            ("MANUAL", 0, 2),
            ("MANUAL_DATA_INPUT", 0, 1),
            ("SEMI_AUTOMATIC", 3, 0),
            ("EDIT", 5, 7),
        ] {
            assert_eq!(Meaning::OperationMode.of(&text(word)), Some(Variant::Int32(machine)), "{word}");
            assert_eq!(Meaning::ChannelMode.of(&text(word)), Some(Variant::Int32(channel)), "{word}");
        }
    }

    #[test]
    fn an_override_is_a_number_whether_it_came_as_one_or_as_text() {
        assert_eq!(Meaning::Number.of(&Value::Number(80.0)), Some(Variant::Double(80.0)));
        assert_eq!(Meaning::Number.of(&text("80")), Some(Variant::Double(80.0)));
        assert_eq!(Meaning::Number.of(&text("NaN")), None);
        assert_eq!(Meaning::IsRotating.of(&Value::Number(-100.0)), Some(Variant::Boolean(true)));
        assert_eq!(Meaning::Number.of(&Value::Unavailable), None);
    }
}
