//! Whether two faces said the same of every data item.
//!
//! What the master said has sequences. Of the stretch `from..to` of them everything has to be there
//! on the other face; what lies before and behind may be, for no two faces begin and end at the same
//! moment.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::expect::{Shape, expected};
use super::opcua::word_of;
use super::reading::{Item, Level, Reading, Value, same};
use super::tape::Tape;

/// Where two faces did not say the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Of which data item.
    pub item: Item,
    /// What the master said; `None` for nothing.
    pub master: Option<String>,
    /// What the other face said.
    pub face: Option<String>,
}

/// What was compared, and what came out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Data items.
    pub items: usize,
    /// Observations that were found on both faces.
    pub observations: usize,
    /// Data items that could not be compared, for the master does not tell what they began with.
    pub skipped: usize,
    /// At most one of each item.
    pub differences: Vec<Difference>,
}

/// Compares with a face whose messages have sequences.
pub(super) fn by_sequence(master: &Tape, face: &Tape, stretch: &Range<u64>) -> Comparison {
    let mut found = Comparison::default();
    let items: BTreeSet<&Item> = master.items.keys().chain(face.items.keys()).collect();
    for item in items {
        found.items += 1;
        let within = |reading: &&Reading| reading.sequence.is_some_and(|it| stretch.contains(&it));
        let wanted: BTreeMap<Option<u64>, &Reading> =
            readings(master, item).iter().filter(within).map(|it| (it.sequence, it)).collect();
        let mut told: BTreeMap<Option<u64>, &Reading> = BTreeMap::new();
        let mut difference = None;
        for reading in readings(face, item).iter().filter(within) {
            let late = told.last_key_value().is_some_and(|(last, _)| *last > reading.sequence);
            match told.insert(reading.sequence, reading) {
                // At least once is what MQTT promises.
                Some(before) if same(before, reading) => {}
                Some(before) => difference = differ(item, Some(before), Some(reading), ", told before"),
                None if late => {
                    difference =
                        differ(item, wanted.get(&reading.sequence).copied(), Some(reading), ", too late");
                }
                None => {}
            }
        }
        let sequences: BTreeSet<Option<u64>> = wanted.keys().chain(told.keys()).copied().collect();
        for sequence in sequences {
            match (wanted.get(&sequence), told.get(&sequence)) {
                (Some(wanted), Some(told)) if same(wanted, told) => found.observations += 1,
                (wanted, told) => {
                    let first = differ(item, wanted.copied(), told.copied(), "");
                    difference = difference.or(first);
                }
            }
        }
        found.differences.extend(difference);
    }
    found
}

/// Compares with a face whose values come in order, without sequences, after the value that it had when it
/// was subscribed to. `complete` is whether the master told the state before `from`.
pub(super) fn by_order(
    master: &Tape,
    face: &Tape,
    shapes: &BTreeMap<Item, Shape>,
    stretch: &Range<u64>,
    complete: bool,
) -> Comparison {
    let mut found = Comparison::default();
    let is_word = |item: &Item| item.id.ends_with("/ValueAsText");
    let mut items: BTreeSet<&Item> = shapes.keys().filter(|item| !is_word(item)).collect();
    items.extend(master.items.keys().filter(|_| complete));
    for item in items {
        let observed = readings(master, item);
        let Some(shape) = shapes.get(item) else {
            found.items += 1;
            found.differences.extend(differ(item, observed.last(), None, ""));
            continue;
        };
        let partial = |reading: &Reading| matches!(reading.value, Value::Change { .. } | Value::Condition(_));
        if !complete && observed.iter().any(partial) {
            found.skipped += 1;
            continue;
        }
        found.items += 1;
        let mut compare = |item: &Item, shape: &Shape| {
            let wanted = expected(shape, observed);
            let told = readings(face, item);
            match align(&wanted, told, stretch, shape, complete) {
                Ok(()) => true,
                Err(mismatch) => {
                    let (wanted, told) = *mismatch;
                    found.differences.extend(differ(item, wanted.as_ref(), told.as_ref(), ""));
                    false
                }
            }
        };
        let equal = compare(item, shape)
            && (!matches!(shape, Shape::Vocabulary(_)) || compare(&word_of(item), &Shape::Word));
        if equal {
            let within = |reading: &&Reading| reading.sequence.is_some_and(|it| stretch.contains(&it));
            found.observations += observed.iter().filter(within).count();
        }
    }
    found
}

/// What was wanted, and what was told instead.
type Mismatch = Box<(Option<Reading>, Option<Reading>)>;

/// Finds where in what is wanted the told begins; then both have to go on alike; else
/// gives the first that are not.
fn align(
    wanted: &[Reading],
    told: &[Reading],
    stretch: &Range<u64>,
    shape: &Shape,
    complete: bool,
) -> Result<(), Mismatch> {
    let is_event = *shape == Shape::Condition;
    let (mut wanted, mut told) = (wanted.to_vec(), told.to_vec());
    if is_event {
        order_within_instants(&mut wanted);
        order_within_instants(&mut told);
    }
    let equal = |a: &Reading, b: &Reading| if is_event { same_event(a, b) } else { same(a, b) };
    let first = wanted.iter().position(|it| it.sequence >= Some(stretch.start)).unwrap_or(wanted.len());
    let end = wanted.iter().position(|it| it.sequence >= Some(stretch.end)).unwrap_or(wanted.len());
    // A value begins with the one that was there, an event with the next one.
    let latest = if is_event || !complete { first } else { first.saturating_sub(1) };
    if complete && wanted.is_empty() && !told.is_empty() {
        return Err(Box::new((None, told.first().cloned())));
    }
    if !complete && wanted.is_empty() {
        return Ok(());
    }
    // Without a state to begin with, the told may as well have begun before the wanted.
    let skips = if complete { 0 } else { told.len() };
    let begins = (0..=latest).map(|begin| (begin, 0)).chain((1..=skips).map(|skip| (0, skip)));
    let mut best: Option<(usize, usize, usize)> = None;
    for (begin, skip) in begins {
        let (wanted, told) = (&wanted[begin..], &told[skip..]);
        let alike = wanted.iter().zip(told).take_while(|(a, b)| equal(a, b)).count();
        let all = alike == told.len().min(wanted.len()) && begin + alike >= end;
        if all && (is_event || !told.is_empty() || skip > 0) {
            return Ok(());
        }
        if best.is_none_or(|(most, ..)| alike > most) {
            best = Some((alike, begin, skip));
        }
    }
    let (alike, begin, skip) = best.unwrap_or((0, latest, 0));
    // Where nothing was alike, the beginning says most.
    let begin = if alike == 0 { latest } else { begin };
    Err(Box::new((wanted.get(begin + alike).cloned(), told.get(skip + alike).cloned())))
}

/// Events of one instant have no order among themselves.
fn order_within_instants(list: &mut [Reading]) {
    let code = |reading: &Reading| match &reading.value {
        Value::Condition(condition) => condition.native_code.clone(),
        _ => "".into(),
    };
    for run in list.chunk_by_mut(|a, b| a.time.abs_diff(b.time) < 100) {
        run.sort_by_key(code);
    }
}

/// The text of an activation that has ended is not told by every face.
fn same_event(a: &Reading, b: &Reading) -> bool {
    let (Value::Condition(first), Value::Condition(second)) = (&a.value, &b.value) else { return same(a, b) };
    let ended = first.level == Level::Normal;
    a.time.abs_diff(b.time) < 100
        && first.level == second.level
        && first.native_code == second.native_code
        && (ended
            || (first.message == second.message
                && first.qualifier == second.qualifier
                && first.native_severity == second.native_severity))
}

fn readings<'t>(tape: &'t Tape, item: &Item) -> &'t [Reading] {
    tape.items.get(item).map_or(&[], Vec::as_slice)
}

fn differ(item: &Item, master: Option<&Reading>, face: Option<&Reading>, remark: &str) -> Option<Difference> {
    Some(Difference {
        item: item.clone(),
        master: master.map(ToString::to_string),
        face: face.map(|reading| format!("{reading}{remark}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        Item { device: "d".into(), id: "x".into() }
    }

    /// Numbers with their sequences; each at a second of its own.
    fn tape(list: &[(u64, f64)]) -> Tape {
        let mut tape = Tape::default();
        for (sequence, number) in list {
            let time = i64::try_from(*sequence).expect("small") * 1_000_000_000;
            tape.put(item(), Reading { time, sequence: Some(*sequence), value: Value::Number(*number) });
        }
        tape
    }

    fn without_sequences(list: &[(u64, f64)]) -> Tape {
        let mut tape = tape(list);
        tape.items.values_mut().flatten().for_each(|reading| reading.sequence = None);
        tape
    }

    const MASTER: [(u64, f64); 5] = [(1, 0.0), (5, 1.0), (6, 2.0), (7, 3.0), (9, 4.0)];

    fn sequenced(face: &[(u64, f64)]) -> Comparison {
        by_sequence(&tape(&MASTER), &tape(face), &(5..8))
    }

    #[test]
    fn all_of_the_stretch_has_to_be_there_and_what_is_around_it_may() {
        let equal = sequenced(&[(5, 1.0), (6, 2.0), (7, 3.0)]);
        assert_eq!((equal.items, equal.observations, equal.differences.len()), (1, 3, 0));
        assert_eq!(sequenced(&[(4, 9.0), (5, 1.0), (6, 2.0), (7, 3.0), (8, 9.0)]).differences, []);
        assert_eq!(sequenced(&[(5, 1.0), (6, 2.0), (6, 2.0), (5, 1.0), (7, 3.0)]).differences, []);
    }

    #[test]
    fn what_is_missing_wrong_late_or_invented_is_a_difference() {
        for face in [
            &[(5, 1.0), (7, 3.0)][..],
            &[(5, 1.0), (6, 2.5), (7, 3.0)],
            &[(5, 1.0), (7, 3.0), (6, 2.0)],
            &[(5, 1.0), (6, 2.0), (6, 2.5), (7, 3.0)],
            &[],
        ] {
            assert_eq!(sequenced(face).differences.len(), 1, "{face:?}");
        }
        let master = tape(&[(1, 0.0), (5, 1.0), (7, 3.0)]);
        let invented = by_sequence(&master, &tape(&[(5, 1.0), (6, 2.0), (7, 3.0)]), &(5..8));
        assert_eq!(invented.differences[0].master, None);
    }

    fn ordered(face: &[(u64, f64)]) -> Comparison {
        let shapes = BTreeMap::from([(item(), Shape::Number)]);
        by_order(&tape(&MASTER), &without_sequences(face), &shapes, &(5..8), true)
    }

    #[test]
    fn a_face_without_sequences_begins_with_what_was_there() {
        let equal = ordered(&[(1, 0.0), (5, 1.0), (6, 2.0), (7, 3.0)]);
        assert_eq!((equal.items, equal.observations, equal.differences.len()), (1, 3, 0));
        assert_eq!(ordered(&[(1, 0.0), (5, 1.0), (6, 2.0), (7, 3.0), (9, 4.0)]).differences, []);
    }

    #[test]
    fn a_face_without_sequences_may_leave_nothing_out_and_add_nothing() {
        for (face, wanted, told) in [
            (&[(1, 0.0), (5, 1.0), (7, 3.0)][..], Some("2 at"), Some("3 at")),
            (&[(1, 0.0), (5, 1.0), (6, 2.0)], Some("3 at"), None),
            (&[(1, 0.0), (5, 1.0), (6, 2.0), (6, 2.0), (7, 3.0)], Some("3 at"), Some("2 at")),
            (&[(5, 1.0), (6, 2.0), (7, 3.0)], Some("0 at"), Some("1 at")),
            (&[], Some("0 at"), None),
        ] {
            let found = ordered(face).differences;
            assert_eq!(found.len(), 1, "{face:?}");
            let begins = |said: &Option<String>, with: Option<&str>| match (said, with) {
                (Some(said), Some(with)) => said.starts_with(with),
                (said, with) => said.is_none() && with.is_none(),
            };
            assert!(begins(&found[0].master, wanted) && begins(&found[0].face, told), "{face:?}: {found:?}");
        }
    }

    #[test]
    fn without_a_state_to_begin_with_the_face_may_have_begun_before_the_master() {
        let shapes = BTreeMap::from([(item(), Shape::Number)]);
        let compare = |master: &[(u64, f64)], face: &[(u64, f64)]| {
            by_order(&tape(master), &without_sequences(face), &shapes, &(5..8), false).differences.len()
        };
        assert_eq!(compare(&[(5, 1.0), (6, 2.0)], &[(1, 0.0), (2, 0.5), (5, 1.0), (6, 2.0)]), 0);
        assert_eq!(compare(&[(3, 0.5), (5, 1.0), (6, 2.0)], &[(5, 1.0), (6, 2.0)]), 0);
        assert_eq!(compare(&[], &[(1, 0.0)]), 0);
        assert_eq!(compare(&[(5, 1.0), (6, 2.0)], &[(1, 0.0), (5, 1.0)]), 1);
        assert_eq!(compare(&[(5, 1.0), (6, 2.0)], &[(1, 0.0), (6, 2.0)]), 1);
    }

    #[test]
    fn an_item_that_only_one_face_has_is_a_difference() {
        let found = by_order(&tape(&MASTER), &Tape::default(), &BTreeMap::new(), &(5..8), true);
        assert_eq!(found.differences.len(), 1);
        let shapes = BTreeMap::from([(item(), Shape::Number)]);
        let invented = by_order(&Tape::default(), &without_sequences(&MASTER), &shapes, &(5..8), true);
        assert_eq!(invented.differences.len(), 1);
    }
}
