//! From an observation as a document has it to the value of its point.

use std::sync::Arc;

use guideway_contract::{
    Annotated, AssetEvent, Cell, Condition, DataSet, Entry, Level, Message, Qualifier, Shape, TimeSeries,
    Value,
};
use smol_str::{SmolStr, StrExt};

use crate::codec::Element;

/// Entries of one data set, and cells of one row.
const MAX_ENTRIES: usize = 100_000;

/// A value and what is wrong with it. What does not fit its shape comes as text, for the pipeline to
/// make of it what an item has that nobody knows.
#[derive(Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) wrong: Option<&'static str>,
}

impl Read {
    const fn good(value: Value) -> Self {
        Self { value, wrong: None }
    }

    fn unfit(text: &str, wrong: &'static str) -> Self {
        Self { value: Value::text(text), wrong: Some(wrong) }
    }
}

/// The value of an observation in that shape.
pub(crate) fn read(shape: Shape, element: &Element) -> Read {
    if shape == Shape::Condition {
        return condition(element);
    }
    let text = element.text();
    if is_unavailable(&text) {
        return Read::good(Value::Unavailable);
    }
    let read = match shape {
        Shape::Text => Read::good(Value::text(&text)),
        Shape::Number | Shape::Condition => numeric(&text),
        Shape::Vector3 => vector(&text),
        Shape::TimeSeries => time_series(element, &text),
        Shape::DataSet => set(element, false),
        Shape::Table => set(element, true),
        Shape::Message => Read::good(Value::Message(Arc::new(Message {
            native_code: attribute(element, "nativeCode"),
            text: SmolStr::new(&text),
        }))),
        Shape::AssetEvent => Read::good(Value::AssetEvent(Arc::new(AssetEvent {
            asset_type: attribute(element, "assetType"),
            asset_id: text.trim().into(),
        }))),
    };
    annotated(read, element)
}

fn is_unavailable(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("UNAVAILABLE")
}

fn attribute(element: &Element, name: &str) -> SmolStr {
    element.attribute(name).map(SmolStr::new).unwrap_or_default()
}

/// A finite decimal number, with nothing around it.
fn number(text: &str) -> Option<f64> {
    // The library also reads `inf`, `nan` and `infinity`; only digits and a point may follow the sign.
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn numeric(text: &str) -> Read {
    match number(text.trim()) {
        Some(number) => Read::good(Value::Number(number)),
        None if text.trim().is_empty() => {
            Read { value: Value::Unavailable, wrong: Some("is empty where a number is expected") }
        }
        None => Read::unfit(text, "is not a number"),
    }
}

fn vector(text: &str) -> Read {
    let mut numbers = text.split_ascii_whitespace().map(number);
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(Some(x)), Some(Some(y)), Some(Some(z)), None) => {
            Read::good(Value::Vector3(Arc::new([x, y, z])))
        }
        (None, ..) => Read { value: Value::Unavailable, wrong: Some("is empty where three numbers are") },
        _ => Read::unfit(text, "is not three numbers with spaces between"),
    }
}

fn time_series(element: &Element, text: &str) -> Read {
    let values: Option<Vec<f64>> = text.split_ascii_whitespace().map(number).collect();
    let Some(values) = values else { return Read::unfit(text, "has samples that are not numbers") };
    let count = element.attribute("sampleCount").and_then(|text| text.trim().parse::<usize>().ok());
    if values.is_empty() && count != Some(0) {
        return Read { value: Value::Unavailable, wrong: Some("is a time series without its samples") };
    }
    let rate =
        element.attribute("sampleRate").and_then(|text| number(text.trim())).filter(|rate| *rate > 0.0);
    let counted = count.is_none_or(|count| count == values.len());
    let value = Value::TimeSeries(Arc::new(TimeSeries { rate, values }));
    Read { value, wrong: (!counted).then_some("has another number of samples than it says") }
}

fn set(element: &Element, is_table: bool) -> Read {
    let reset = element.attribute("resetTriggered").map(str::to_ascii_uppercase_smolstr);
    let mut wrong = None;
    let mut entries = Vec::new();
    for entry in element.elements().filter(|child| child.is("Entry")).take(MAX_ENTRIES) {
        match key(entry) {
            Some(key) => entries.push(Entry { key, cell: cell(entry, is_table) }),
            None => wrong = Some("has an entry without a key"),
        }
    }
    let text = element.text();
    if entries.is_empty() && !text.trim().is_empty() {
        return Read::unfit(&text, if is_table { "is not a table" } else { "is not a data set" });
    }
    Read { value: Value::DataSet(Arc::new(DataSet::new(reset, entries))), wrong }
}

fn key(element: &Element) -> Option<SmolStr> {
    element.attribute("key").filter(|key| !key.contains(char::is_whitespace)).map(SmolStr::new)
}

fn cell(entry: &Element, is_table: bool) -> Cell {
    if entry.attribute("removed").is_some_and(|removed| removed.eq_ignore_ascii_case("true")) {
        return Cell::Removed;
    }
    let mut cells: Vec<Entry> = entry
        .elements()
        .filter(|child| child.is("Cell"))
        .take(MAX_ENTRIES)
        .filter_map(|child| Some(Entry { key: key(child)?, cell: plain(&child.text()) }))
        .collect();
    if is_table || !cells.is_empty() {
        guideway_contract::sort_unique(&mut cells);
        return Cell::Row(cells);
    }
    plain(&entry.text())
}

/// A whole number, a number with a fraction or exponent, else text. Numbers with leading zeros are
/// text, for they are names (`007`).
fn plain(text: &str) -> Cell {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text).as_bytes();
    let zeros = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    if !zeros && !digits.is_empty() {
        if digits.iter().all(u8::is_ascii_digit) {
            if let Ok(integer) = text.parse() {
                return Cell::Integer(integer);
            }
        } else if let Some(number) = number(text) {
            return Cell::Number(number);
        }
    }
    Cell::Text(text.into())
}

fn condition(element: &Element) -> Read {
    let level = if element.is("Unavailable") {
        return Read::good(Value::Unavailable);
    } else if element.is("Normal") {
        Level::Normal
    } else if element.is("Warning") {
        Level::Warning
    } else if element.is("Fault") {
        Level::Fault
    } else if element.is("Alarm") {
        alarm_level(element)
    } else {
        return Read::unfit(element.local(), "is not Normal, Warning, Fault or Unavailable");
    };
    let mut wrong = None;
    let qualifier = match element.attribute("qualifier") {
        Some(text) if text.eq_ignore_ascii_case("HIGH") => Some(Qualifier::High),
        Some(text) if text.eq_ignore_ascii_case("LOW") => Some(Qualifier::Low),
        None => None,
        Some(_) => {
            wrong = Some("has a qualifier that is not HIGH or LOW");
            None
        }
    };
    let native_code = attribute(element, "nativeCode");
    // Agents that know conditionId write it always: the native code, or the data item's id, where there is
    // none.
    let own_id = |id: &SmolStr| Some(id.as_str()) == element.attribute("dataItemId");
    let condition_id = attribute(element, "conditionId");
    let told_anyway = condition_id == native_code || (native_code.is_empty() && own_id(&condition_id));
    let severity = if element.is("Alarm") { "severity" } else { "nativeSeverity" };
    let value = Value::Condition(Arc::new(Condition {
        level,
        native_code,
        native_severity: attribute(element, severity),
        qualifier,
        message: SmolStr::new(element.text()),
        condition_id: if told_anyway { SmolStr::default() } else { condition_id },
    }));
    Read { value, wrong }
}

/// The alarms of MTConnect 1.0 have a state and a severity.
fn alarm_level(element: &Element) -> Level {
    let is =
        |name: &str, word: &str| element.attribute(name).is_some_and(|text| text.eq_ignore_ascii_case(word));
    if is("state", "CLEARED") {
        Level::Normal
    } else if is("severity", "WARNING") || is("severity", "INFORMATION") {
        Level::Warning
    } else {
        Level::Fault
    }
}

/// Puts duration and reset trigger to it.
fn annotated(read: Read, element: &Element) -> Read {
    let duration = element.attribute("duration").and_then(|text| number(text.trim())).filter(|it| *it >= 0.0);
    let reset_triggered = match read.value {
        Value::DataSet(_) => None,
        _ => element.attribute("resetTriggered").map(str::to_ascii_uppercase_smolstr),
    };
    if (duration.is_none() && reset_triggered.is_none()) || read.value.is_unavailable() {
        return read;
    }
    let value = Value::Annotated(Arc::new(Annotated { value: read.value, duration, reset_triggered }));
    Read { value, wrong: read.wrong }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Document, document};

    fn of(shape: Shape, xml: &str) -> Value {
        let read = read_any(shape, xml);
        assert_eq!(read.wrong, None, "{xml}");
        read.value
    }

    fn read_any(shape: Shape, xml: &str) -> Read {
        let text = format!(
            "<MTConnectStreams><DeviceStream><ComponentStream><Events>{xml}</Events></ComponentStream>\
             </DeviceStream></MTConnectStreams>"
        );
        let Document::Streams(_, streams) = document(text.as_bytes()).unwrap() else { unreachable!() };
        read(shape, &streams.observations[0].element)
    }

    #[test]
    fn plain_values_are_read_by_their_shape() {
        assert_eq!(of(Shape::Number, "<P> 1.50 </P>"), Value::Number(1.5));
        assert_eq!(of(Shape::Number, "<P>UNAVAILABLE</P>"), Value::Unavailable);
        assert_eq!(of(Shape::Text, "<P>O001 &lt;A&gt;</P>"), Value::text("O001 <A>"));
        assert_eq!(of(Shape::Text, "<P/>"), Value::text(""));
        assert_eq!(of(Shape::Vector3, "<P>1 2\n3</P>"), Value::Vector3(Arc::new([1.0, 2.0, 3.0])));
        let message = Message { native_code: "7".into(), text: "Oil".into() };
        assert_eq!(of(Shape::Message, "<P nativeCode='7'>Oil</P>"), Value::Message(Arc::new(message)));
        let event = AssetEvent { asset_type: "CuttingTool".into(), asset_id: "T1".into() };
        assert_eq!(
            of(Shape::AssetEvent, "<P assetType='CuttingTool'>T1</P>"),
            Value::AssetEvent(Arc::new(event))
        );
    }

    #[test]
    fn a_value_carries_its_duration_and_what_reset_it() {
        let value = of(Shape::Number, "<P duration='10.5' resetTriggered='day'>3</P>");
        assert_eq!(value.plain(), &Value::Number(3.0));
        assert_eq!((value.duration(), value.reset_triggered()), (Some(10.5), Some("DAY")));
        assert_eq!(of(Shape::Number, "<P duration='10.5'>UNAVAILABLE</P>"), Value::Unavailable);
    }

    #[test]
    fn time_series_keep_their_rate() {
        let series = TimeSeries { rate: Some(100.0), values: vec![1.0, 2.0, -3.5] };
        let xml = "<P sampleRate='100' sampleCount='3'>1 2 -3.5</P>";
        assert_eq!(of(Shape::TimeSeries, xml), Value::TimeSeries(Arc::new(series)));
        assert!(read_any(Shape::TimeSeries, "<P sampleCount='4'>1 2 3</P>").wrong.is_some());
    }

    #[test]
    fn data_sets_and_tables_are_read_with_what_was_removed() {
        let xml = "<P resetTriggered='MANUAL'><Entry key='b'>1</Entry><Entry key='a' removed='true'/>\
            <Entry key='c'>1.5</Entry><Entry key='d'>007</Entry></P>";
        let entry = |key: &str, cell| Entry { key: key.into(), cell };
        let entries = vec![
            entry("a", Cell::Removed),
            entry("b", Cell::Integer(1)),
            entry("c", Cell::Number(1.5)),
            entry("d", Cell::Text("007".into())),
        ];
        let expected = DataSet::new(Some("MANUAL".into()), entries);
        assert_eq!(of(Shape::DataSet, xml), Value::DataSet(Arc::new(expected)));
        let xml = "<P count='1'><Entry key='r'><Cell key='x'>1</Cell><Cell key='n'>abc</Cell></Entry></P>";
        let row = vec![entry("n", Cell::Text("abc".into())), entry("x", Cell::Integer(1))];
        let expected = DataSet::new(None, vec![entry("r", Cell::Row(row))]);
        assert_eq!(of(Shape::Table, xml), Value::DataSet(Arc::new(expected)));
        assert_eq!(of(Shape::Table, "<P count='0'>UNAVAILABLE</P>"), Value::Unavailable);
    }

    #[test]
    fn conditions_are_read_with_all_they_say() {
        let xml = "<Fault dataItemId='c' nativeCode='404' nativeSeverity='2' qualifier='HIGH' conditionId='404'>Hot</Fault>";
        let condition = Condition {
            level: Level::Fault,
            native_code: "404".into(),
            native_severity: "2".into(),
            qualifier: Some(Qualifier::High),
            message: "Hot".into(),
            condition_id: "".into(),
        };
        assert_eq!(of(Shape::Condition, xml), Value::Condition(Arc::new(condition)));
        assert_eq!(of(Shape::Condition, "<Unavailable/>"), Value::Unavailable);
        assert_eq!(of(Shape::Condition, "<NORMAL/>"), Value::Condition(Arc::new(Condition::normal())));
        let Value::Condition(other) = of(Shape::Condition, "<Warning nativeCode='1' conditionId='x'/>")
        else {
            unreachable!()
        };
        assert_eq!((other.key(), other.level), ("x", Level::Warning));
        let Value::Condition(alarm) =
            of(Shape::Condition, "<Alarm state='ACTIVE' severity='CRITICAL'>E</Alarm>")
        else {
            unreachable!()
        };
        assert_eq!((alarm.level, alarm.native_severity.as_str()), (Level::Fault, "CRITICAL"));
    }

    #[test]
    fn what_does_not_fit_is_told_and_passed_as_text() {
        for (shape, xml) in [
            (Shape::Number, "<P>12abc</P>"),
            (Shape::Number, "<P>NaN</P>"),
            (Shape::Vector3, "<P>1 2</P>"),
            (Shape::TimeSeries, "<P>1 x</P>"),
            (Shape::DataSet, "<P>a=1</P>"),
            (Shape::Condition, "<Strange/>"),
        ] {
            let read = read_any(shape, xml);
            assert!(read.wrong.is_some() && matches!(read.value, Value::Text(_)), "{xml}: {read:?}");
        }
    }
}
