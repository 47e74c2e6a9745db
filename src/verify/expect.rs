//! What a face has to say, given what the MTConnect face said: the rules of docs/opcua.md, written a
//! second time, from the observations and not from the server's code.

use std::sync::Arc;

use smol_str::SmolStr;

use super::reading::{Cell, Condition, Entries, Level, Reading, Value};

/// The form in which an OPC UA server shows a data item.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A Double; a series comes one value at a time.
    Number,
    /// The place of a word among these.
    Vocabulary(Arc<[SmolStr]>),
    /// The word beside a place.
    Word,
    /// A text, a structure, a whole data set.
    Other,
    /// Events.
    Condition,
}

/// What has to be seen of an item in that shape, given all that was observed, in order of sequence.
pub(super) fn expected(shape: &Shape, observed: &[Reading]) -> Vec<Reading> {
    match shape {
        Shape::Condition => events(observed),
        Shape::Other => whole_sets(observed),
        Shape::Word => observed.to_vec(),
        Shape::Number => observed.iter().flat_map(number).collect(),
        Shape::Vocabulary(words) => observed
            .iter()
            .map(|reading| match &reading.value {
                Value::Text(text) => {
                    let known = words.iter().find(|word| word.eq_ignore_ascii_case(text));
                    let value = known.map_or(Value::Unfit, |word| Value::Text(word.clone()));
                    Reading { value, ..reading.clone() }
                }
                _ => reading.clone(),
            })
            .collect(),
    }
}

fn number(reading: &Reading) -> Vec<Reading> {
    let with = |value| Reading { value, ..reading.clone() };
    match &reading.value {
        Value::Text(text) => {
            let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            vec![with(number.map_or(Value::Unfit, Value::Number))]
        }
        Value::Numbers(values) => series(reading, values, None),
        Value::Series { rate, values } => series(reading, values, Some(*rate)),
        _ => vec![reading.clone()],
    }
}

/// One reading for each value of a series, at its own time, the last one at the time of the whole.
fn series(reading: &Reading, values: &[f64], rate: Option<f64>) -> Vec<Reading> {
    if values.is_empty() {
        return vec![reading.clone()];
    }
    let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
    let at = |place: usize| {
        #[expect(clippy::cast_precision_loss, reason = "a series is far shorter than 2^52")]
        let before = rate.map_or(0.0, |rate| (values.len() - 1 - place) as f64 * 1e9 / rate);
        #[expect(clippy::cast_possible_truncation, reason = "times before 1678 are of no interest")]
        let before = before.round() as i64;
        reading.time.saturating_sub(before)
    };
    let one = |(place, value): (usize, &f64)| Reading {
        time: at(place),
        sequence: reading.sequence,
        value: Value::Number(*value),
    };
    values.iter().enumerate().map(one).collect()
}

fn whole_sets(observed: &[Reading]) -> Vec<Reading> {
    let mut state = Entries::new();
    let mut all = Vec::with_capacity(observed.len());
    for reading in observed {
        let value = match &reading.value {
            Value::Change { entries, reset } => {
                if *reset {
                    state.clear();
                }
                for (key, cell) in entries {
                    match cell {
                        Cell::Removed => {
                            state.remove(key);
                        }
                        cell => {
                            state.insert(key.clone(), cell.clone());
                        }
                    }
                }
                Value::Whole(state.clone())
            }
            Value::Unavailable => {
                state.clear();
                Value::Unavailable
            }
            other => other.clone(),
        };
        all.push(Reading { value, ..reading.clone() });
    }
    all
}

/// One event for each activation that begins, changes or ends.
fn events(observed: &[Reading]) -> Vec<Reading> {
    let mut active: Vec<Condition> = Vec::new();
    let mut all = Vec::new();
    for reading in observed {
        let Value::Condition(condition) = &reading.value else {
            active.clear();
            all.push(reading.clone());
            continue;
        };
        let key = key(condition);
        if condition.level == Level::Normal && key.is_empty() && !active.is_empty() {
            // It ends every activation, each with an event of its own.
            for ended in active.drain(..) {
                let ended = Condition { level: Level::Normal, ..ended };
                all.push(Reading { value: Value::Condition(Box::new(ended)), ..reading.clone() });
            }
            continue;
        }
        active.retain(|known| self::key(known) != key);
        if condition.level != Level::Normal {
            active.push((**condition).clone());
        }
        all.push(reading.clone());
    }
    all
}

fn key(condition: &Condition) -> &SmolStr {
    if condition.condition_id.is_empty() { &condition.native_code } else { &condition.condition_id }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sequence: u64, value: Value) -> Reading {
        Reading { time: 1_000_000_000, sequence: Some(sequence), value }
    }

    fn values(shape: &Shape, observed: &[Value]) -> Vec<Value> {
        let observed: Vec<Reading> =
            observed.iter().zip(1..).map(|(value, sequence)| said(sequence, value.clone())).collect();
        expected(shape, &observed).into_iter().map(|reading| reading.value).collect()
    }

    fn text(it: &str) -> Value {
        Value::Text(it.into())
    }

    #[test]
    fn a_word_outside_of_the_vocabulary_is_unfit_and_letter_case_does_not_matter() {
        let shape = Shape::Vocabulary(["READY".into(), "ACTIVE".into()].into());
        let seen = values(&shape, &[text("active"), text("LOST"), Value::Unavailable]);
        assert_eq!(seen, [text("ACTIVE"), Value::Unfit, Value::Unavailable]);
    }

    #[test]
    fn a_series_comes_one_value_at_a_time() {
        let observed = [said(7, Value::Series { rate: 10.0, values: vec![1.0, 2.0, 3.0] })];
        let seen = expected(&Shape::Number, &observed);
        let seen: Vec<(i64, &Value)> = seen.iter().map(|it| (it.time, &it.value)).collect();
        let number = Value::Number;
        assert_eq!(
            seen,
            [(800_000_000, &number(1.0)), (900_000_000, &number(2.0)), (1_000_000_000, &number(3.0))]
        );
    }

    #[test]
    fn a_text_where_a_number_belongs_is_unfit() {
        let seen = values(&Shape::Number, &[text("1.50"), text("NaN"), text("fast")]);
        assert_eq!(seen, [Value::Number(1.5), Value::Unfit, Value::Unfit]);
    }

    #[test]
    fn changes_of_a_set_add_up() {
        let plain = |text: &str| Cell::Plain(text.into());
        let change = |entries: &[(&str, Cell)], reset| Value::Change {
            entries: entries.iter().map(|(key, cell)| ((*key).into(), cell.clone())).collect(),
            reset,
        };
        let whole = |entries: &[(&str, Cell)]| {
            Value::Whole(entries.iter().map(|(key, cell)| ((*key).into(), cell.clone())).collect())
        };
        let seen = values(
            &Shape::Other,
            &[
                change(&[("a", plain("1")), ("b", plain("2"))], false),
                change(&[("a", Cell::Removed), ("c", plain("3"))], false),
                change(&[("d", plain("4"))], true),
            ],
        );
        assert_eq!(
            seen,
            [
                whole(&[("a", plain("1")), ("b", plain("2"))]),
                whole(&[("b", plain("2")), ("c", plain("3"))]),
                whole(&[("d", plain("4"))])
            ]
        );
    }

    #[test]
    fn a_normal_without_a_code_ends_every_activation() {
        let condition = |level, code: &str| {
            Value::Condition(Box::new(Condition {
                level,
                native_code: code.into(),
                condition_id: "".into(),
                native_severity: "".into(),
                qualifier: "".into(),
                message: "".into(),
            }))
        };
        let seen = values(
            &Shape::Condition,
            &[
                condition(Level::Fault, "E1"),
                condition(Level::Warning, "W1"),
                condition(Level::Normal, ""),
                condition(Level::Normal, ""),
            ],
        );
        assert_eq!(
            seen,
            [
                condition(Level::Fault, "E1"),
                condition(Level::Warning, "W1"),
                condition(Level::Normal, "E1"),
                condition(Level::Normal, "W1"),
                condition(Level::Normal, "")
            ]
        );
    }
}
