use guideway_contract::{Cell, Level};

use super::*;

const POINTS: [&str; 4] = ["state", "x", "alarms", "line"];

fn point(name: &str) -> Option<u32> {
    (0_u32..).zip(POINTS).find(|(_, known)| *known == name).map(|(at, _)| at)
}

fn expression(text: &str) -> Expression {
    Expression::compile(text, &Parameters::default(), point).expect("an expression")
}

fn template(text: &str) -> Template {
    Template::compile(text, &Parameters::default(), point).expect("a template")
}

fn entry(level: Level, code: &str) -> Entry {
    let (severity, qualifier, text) = (SmolStr::default(), None, template("text {state}"));
    Entry { level, code: template(code), severity, qualifier, text }
}

/// A mapper for one item, `i`, of that shape.
fn mapper(how: How, when: Option<&str>, shape: Shape, discrete: bool) -> Mapper {
    let points = POINTS.iter().map(|name| PointRule::plain(name)).collect();
    let item = ItemRule { id: "i".into(), how, when: when.map(expression) };
    let mut mapper = Mapper::new(Arc::new(Mapping::new(points, vec![item])));
    let mut table = PointTable::builder();
    let scope = table.device(["device"]);
    table.point(scope, "i", shape, []);
    mapper.set_targets(&table.build(), |_| discrete);
    mapper
}

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos, 3)
}

/// The values that come of these raw ones, given as (point, value, time), with what could not be computed.
fn mapped(mapper: &mut Mapper, raw: &[(&str, Native, i64)]) -> (Vec<(Value, i64)>, Vec<String>) {
    let readings = raw.iter().map(|(name, value, time)| {
        let id = PointId(point(name).expect("known"));
        match value {
            Native::Bad(cause) => RawReading::bad(id, cause, at(*time)),
            value => RawReading::good(id, value.clone(), at(*time)),
        }
    });
    let batch = RawBatch { arrival: at(99), readings: readings.collect() };
    let mut failed = Vec::new();
    let batch = mapper.map(batch, |uncomputed| failed.push(uncomputed.cause));
    (batch.readings.into_iter().map(|reading| (reading.value, reading.time.nanos())).collect(), failed)
}

fn from(name: &str) -> How {
    How::Point { point: point(name).expect("known"), part: None, words: None, rate: None }
}

#[test]
fn a_value_is_told_when_it_changes_and_with_its_own_time() {
    let mut mapper = mapper(from("x"), None, Shape::Number, false);
    let raw = [("x", Native::Int(1), 10), ("x", Native::Int(1), 20), ("x", Native::Int(2), 30)];
    assert_eq!(mapped(&mut mapper, &raw).0, [(Value::Number(1.0), 10), (Value::Number(2.0), 30)]);
    assert_eq!(mapped(&mut mapper, &[("x", Native::Int(2), 40)]).0, []);
}

#[test]
fn every_reading_of_a_discrete_item_counts() {
    let mut mapper = mapper(from("line"), None, Shape::Text, true);
    let same = [("line", Native::text("A"), 1), ("line", Native::text("A"), 2)];
    assert_eq!(mapped(&mut mapper, &same).0, [(Value::text("A"), 1), (Value::text("A"), 2)]);
}

#[test]
fn an_expression_waits_for_all_its_points_and_runs_once_a_batch() {
    let how = How::Expression { expression: expression("state + x"), words: None };
    let mut mapper = mapper(how, None, Shape::Number, false);
    assert_eq!(mapped(&mut mapper, &[("state", Native::Int(1), 10)]).0, []);
    assert_eq!(mapped(&mut mapper, &[("x", Native::Int(2), 20)]).0, [(Value::Number(3.0), 20)]);
    let both = [("state", Native::Int(5), 30), ("x", Native::Int(6), 31)];
    assert_eq!(mapped(&mut mapper, &both).0, [(Value::Number(11.0), 31)]);
}

#[test]
fn a_point_that_cannot_be_read_makes_its_items_unavailable_with_the_cause() {
    let how = How::Expression { expression: expression("x * 2"), words: None };
    let mut mapper = mapper(how, None, Shape::Number, false);
    let (values, failed) = mapped(&mut mapper, &[("x", Native::bad("no such register"), 10)]);
    assert_eq!(values, [(Value::Unavailable, 10)]);
    assert_eq!(failed, ["`x`: no such register"]);
    assert_eq!(mapped(&mut mapper, &[("x", Native::Int(4), 20)]).0, [(Value::Number(8.0), 20)]);
}

#[test]
fn while_when_is_false_the_last_value_stands() {
    let how = How::Point { point: 3, part: Some(Part::Index(1)), words: None, rate: None };
    let mut mapper = mapper(how, Some(r#"line[0] == "PROGRAM""#), Shape::Text, false);
    let line = |first: &str, second: &str| Native::List([Native::text(first), Native::text(second)].into());
    assert_eq!(mapped(&mut mapper, &[("line", line("PROGRAM", "O1"), 1)]).0, [(Value::text("O1"), 1)]);
    assert_eq!(mapped(&mut mapper, &[("line", line("STATUS", "BUSY"), 2)]).0, []);
}

fn codes(values: &[(Value, i64)]) -> Vec<String> {
    let code = |(value, _): &(Value, i64)| match value {
        Value::Condition(condition) => format!("{:?} {}", condition.level, condition.native_code),
        other => format!("{other:?}"),
    };
    values.iter().map(code).collect()
}

#[test]
fn entries_of_a_condition_come_and_go_by_their_codes() {
    let rules = vec![
        ConditionRule { when: expression("state > 0"), entry: entry(Level::Fault, "{state}") },
        ConditionRule { when: expression("x > 5"), entry: entry(Level::Warning, "HOT") },
    ];
    let mut mapper = mapper(How::Conditions(rules), None, Shape::Condition, false);
    let (values, _) = mapped(&mut mapper, &[("state", Native::Int(0), 1), ("x", Native::Int(1), 1)]);
    assert_eq!(codes(&values), ["Normal "]);
    let (values, _) = mapped(&mut mapper, &[("state", Native::Int(7), 2), ("x", Native::Int(9), 2)]);
    assert_eq!(codes(&values), ["Fault 7", "Warning HOT"]);
    let (values, _) = mapped(&mut mapper, &[("state", Native::Int(8), 3)]);
    // The warning's text names the state, so it says something else now.
    assert_eq!(codes(&values), ["Normal 7", "Fault 8", "Warning HOT"]);
    let (values, _) = mapped(&mut mapper, &[("state", Native::Int(0), 4), ("x", Native::Int(0), 4)]);
    assert_eq!(codes(&values), ["Normal 8", "Normal HOT"]);
    let (values, failed) = mapped(&mut mapper, &[("x", Native::bad("gone"), 5)]);
    assert_eq!((codes(&values), failed.len()), (vec!["Unavailable".to_owned()], 1));
    let (values, _) = mapped(&mut mapper, &[("x", Native::Int(0), 6)]);
    assert_eq!(codes(&values), ["Normal "]);
}

#[test]
fn bits_switch_the_entries_of_a_table() {
    let alarm = |bit, inverted, code: &str| Alarm { bit, inverted, entry: entry(Level::Fault, code) };
    let alarms = vec![alarm(0, false, "A"), alarm(9, false, "B"), alarm(1, true, "C")];
    let mut mapper = mapper(How::Bits { point: 2, alarms }, None, Shape::Condition, false);
    let first = [("state", Native::Int(0), 0), ("alarms", Native::Bytes([0b11, 0].into()), 1)];
    assert_eq!(codes(&mapped(&mut mapper, &first).0), ["Fault A"]);
    let (values, _) = mapped(&mut mapper, &[("alarms", Native::Int(0b10_0000_0010), 2)]);
    assert_eq!(codes(&values), ["Normal A", "Fault B"]);
    let (values, failed) = mapped(&mut mapper, &[("alarms", Native::text("x"), 3)]);
    assert_eq!(values[0].0, Value::Unavailable);
    assert_eq!(failed, ["x is text and no bits"]);
}

#[test]
fn a_data_set_is_put_together_from_several_points() {
    let entries = vec![("a".into(), expression("x")), ("b".into(), expression("state / 0"))];
    let mut mapper = mapper(How::Entries(entries), None, Shape::DataSet, false);
    let (values, _) = mapped(&mut mapper, &[("x", Native::Int(1), 1), ("state", Native::Int(1), 1)]);
    let Value::DataSet(set) = &values[0].0 else { panic!("{values:?}") };
    assert_eq!(set.get("a"), Some(&Cell::Integer(1)));
    assert_eq!(set.get("b"), Some(&Cell::Removed));
}

#[test]
fn a_constant_is_told_once_with_the_first_batch() {
    let how = How::Expression { expression: expression("'MILLIMETER'"), words: None };
    let mut mapper = mapper(how, None, Shape::Text, false);
    assert_eq!(mapped(&mut mapper, &[("x", Native::Int(1), 10)]).0, [(Value::text("MILLIMETER"), 99)]);
    assert_eq!(mapped(&mut mapper, &[("x", Native::Int(2), 20)]).0, []);
}

#[test]
fn after_a_lost_session_everything_is_told_again() {
    let mut mapper = mapper(from("x"), None, Shape::Number, false);
    mapped(&mut mapper, &[("x", Native::Int(1), 10)]);
    mapper.reset();
    assert_eq!(mapped(&mut mapper, &[("x", Native::Int(1), 20)]).0, [(Value::Number(1.0), 20)]);
}
