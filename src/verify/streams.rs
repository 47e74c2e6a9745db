//! MTConnectStreams documents in XML, read.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::reading::{Cell, Condition, Entries, Item, Level, Reading, Value, parse_time};

/// What a streams document says.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// `instanceId`.
    pub(super) instance: u64,
    /// `nextSequence`.
    pub(super) next: u64,
    /// In the order of sequence.
    pub(super) readings: Vec<(Item, Reading)>,
}

/// An observation, while its element is open.
#[derive(Default)]
struct Open {
    category: Category,
    element: String,
    attributes: FxHashMap<String, String>,
    text: String,
    entries: Entries,
    entry: Option<OpenEntry>,
}

#[derive(Default)]
struct OpenEntry {
    key: SmolStr,
    removed: bool,
    text: String,
    row: Option<std::collections::BTreeMap<SmolStr, SmolStr>>,
    cell: Option<SmolStr>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Category {
    #[default]
    None,
    Samples,
    Events,
    Condition,
}

/// Reads a document. The error says what is wrong with it; an MTConnectError document is an error with
/// its text.
pub(super) fn read(document: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(document).map_err(|_| "the document is not UTF-8".to_owned())?;
    if text.contains("<MTConnectError") {
        let plain: String = text.chars().take(1_000).collect();
        return Err(format!("the agent answered an error: {plain}"));
    }
    let mut reader = Reader::from_str(text);
    let mut found = Document::default();
    let mut device = SmolStr::default();
    let mut category = Category::None;
    let mut open: Option<Open> = None;
    let mut root = false;
    loop {
        let event = reader.read_event().map_err(|error| format!("the document is no XML: {error}"))?;
        let empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                let name = local(start.name().as_ref());
                match (&mut open, name.as_str()) {
                    (Some(open), _) => open.begin(&name, &start)?,
                    (None, "MTConnectStreams") => root = true,
                    (None, "Header") => {
                        let header = attributes(&start)?;
                        found.instance = number(&header, "instanceId")?;
                        found.next = number(&header, "nextSequence")?;
                    }
                    (None, "DeviceStream") => {
                        device = attributes(&start)?.remove("uuid").unwrap_or_default().into();
                    }
                    (None, "Samples") if !empty => category = Category::Samples,
                    (None, "Events") if !empty => category = Category::Events,
                    (None, "Condition") if !empty => category = Category::Condition,
                    (None, _) if category != Category::None => {
                        let attributes = attributes(&start)?;
                        let begun = Open { category, element: name, attributes, ..Open::default() };
                        if empty {
                            found.readings.push(begun.reading(&device)?);
                        } else {
                            open = Some(begun);
                        }
                    }
                    _ => {}
                }
                if empty && let Some(open) = &mut open {
                    open.end(&local(start.name().as_ref()));
                }
            }
            Event::End(end) => {
                let name = local(end.name().as_ref());
                match open.take() {
                    Some(done) if done.element == name && done.entry.is_none() => {
                        found.readings.push(done.reading(&device)?);
                    }
                    Some(mut other) => {
                        other.end(&name);
                        open = Some(other);
                    }
                    None if matches!(name.as_str(), "Samples" | "Events" | "Condition") => {
                        category = Category::None;
                    }
                    None => {}
                }
            }
            Event::Text(text) => {
                if let Some(open) = &mut open {
                    open.text(&text);
                }
            }
            Event::CData(text) => {
                if let Some(open) = &mut open {
                    open.text(&text);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(open) = &mut open {
                    match reference.resolve_char_ref() {
                        Ok(Some(character)) => open.text(character.encode_utf8(&mut [0; 4])),
                        _ => open.text(
                            quick_xml::escape::resolve_predefined_entity(&reference).unwrap_or_default(),
                        ),
                    }
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if !root {
        return Err("the document is no MTConnectStreams".into());
    }
    found.readings.sort_by_key(|(_, reading)| reading.sequence);
    Ok(found)
}

impl Open {
    fn begin(&mut self, name: &str, start: &BytesStart<'_>) -> Result<(), String> {
        let mut attributes = attributes(start)?;
        let key: SmolStr = attributes.remove("key").unwrap_or_default().into();
        match (&mut self.entry, name) {
            (None, "Entry") => {
                let removed = attributes.get("removed").is_some_and(|it| it == "true");
                self.entry = Some(OpenEntry { key, removed, ..OpenEntry::default() });
            }
            (Some(entry), "Cell") => {
                entry.row.get_or_insert_default();
                entry.cell = Some(key);
                entry.text.clear();
            }
            _ => return Err(format!("a <{name}> within an observation")),
        }
        Ok(())
    }

    fn end(&mut self, name: &str) {
        let Some(entry) = &mut self.entry else { return };
        if let (Some(cell), "Cell") = (entry.cell.take(), name) {
            let text = std::mem::take(&mut entry.text);
            entry.row.get_or_insert_default().insert(cell, text.into());
            return;
        }
        if name == "Entry"
            && let Some(done) = self.entry.take()
        {
            let cell = match (done.removed, done.row) {
                (true, _) => Cell::Removed,
                (false, Some(row)) => Cell::Row(row),
                (false, None) => Cell::Plain(done.text.into()),
            };
            self.entries.insert(done.key, cell);
        }
    }

    fn text(&mut self, text: &str) {
        match &mut self.entry {
            Some(entry) if entry.row.is_none() || entry.cell.is_some() => entry.text.push_str(text),
            Some(_) => {}
            None => self.text.push_str(text),
        }
    }

    fn reading(self, device: &SmolStr) -> Result<(Item, Reading), String> {
        let attribute = |name: &str| SmolStr::from(self.attributes.get(name).map_or("", String::as_str));
        let id = attribute("dataItemId");
        let time = attribute("timestamp");
        let time = parse_time(&time).ok_or_else(|| format!("{id}: `{time}` is no time"))?;
        let sequence = Some(number(&self.attributes, "sequence")?);
        let element = self.element.as_str();
        let kind = |suffix: &str| element.ends_with(suffix);
        let value = if self.text == "UNAVAILABLE" || element == "Unavailable" {
            Value::Unavailable
        } else if self.category == Category::Condition {
            let level = match element {
                "Normal" => Level::Normal,
                "Warning" => Level::Warning,
                "Fault" => Level::Fault,
                other => return Err(format!("{id}: <{other}> is no level of a condition")),
            };
            Value::Condition(Box::new(Condition {
                level,
                native_code: attribute("nativeCode"),
                condition_id: attribute("conditionId"),
                native_severity: attribute("nativeSeverity"),
                qualifier: attribute("qualifier"),
                message: self.text.into(),
            }))
        } else if kind("DataSet") || kind("Table") || !self.entries.is_empty() {
            let reset = self.attributes.contains_key("resetTriggered");
            Value::Change { entries: self.entries, reset }
        } else if kind("TimeSeries") {
            let numbers: Result<Vec<f64>, _> = self.text.split_ascii_whitespace().map(str::parse).collect();
            match (numbers, attribute("sampleRate").parse()) {
                (Ok(values), Ok(rate)) => Value::Series { rate, values },
                (Ok(values), Err(_)) => Value::Numbers(values),
                (Err(_), _) => Value::Strange(self.text),
            }
        } else if self.attributes.contains_key("assetType") {
            Value::Asset { asset_type: attribute("assetType"), asset_id: self.text.into() }
        } else if element == "Message" {
            Value::Message { native_code: attribute("nativeCode"), text: self.text.into() }
        } else {
            Value::Text(self.text.into())
        };
        Ok((Item { device: device.clone(), id }, Reading { time, sequence, value }))
    }
}

/// The name without its prefix.
fn local(name: &str) -> String {
    name.rsplit(':').next().unwrap_or_default().to_owned()
}

fn attributes(start: &BytesStart<'_>) -> Result<FxHashMap<String, String>, String> {
    let mut found = FxHashMap::default();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value =
            quick_xml::escape::unescape(&attribute.value).map_err(|error| error.to_string())?.into_owned();
        found.insert(local(attribute.key.as_ref()), value);
    }
    Ok(found)
}

fn number(attributes: &FxHashMap<String, String>, name: &str) -> Result<u64, String> {
    let text = attributes.get(name).map_or("", String::as_str);
    text.parse().map_err(|_| format!("{name}=\"{text}\" is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"<?xml version="1.0"?>
<MTConnectStreams xmlns="urn:mtconnect.org:MTConnectStreams:2.7" xmlns:x="urn:example">
 <Header instanceId="7" nextSequence="12" firstSequence="1" lastSequence="11"/>
 <Streams><DeviceStream name="m" uuid="u&amp;1"><ComponentStream component="Device" componentId="d">
  <Samples>
   <Position dataItemId="x" sequence="2" timestamp="1970-01-01T00:00:01Z">1.5</Position>
   <LoadTimeSeries dataItemId="s" sequence="3" timestamp="1970-01-01T00:00:01Z" sampleCount="2">1 2.5</LoadTimeSeries>
  </Samples>
  <Events>
   <x:Gripper dataItemId="g" sequence="1" timestamp="1970-01-01T00:00:01Z">a &lt; &#98;</x:Gripper>
   <VariableDataSet dataItemId="v" sequence="4" timestamp="1970-01-01T00:00:01Z" count="2" resetTriggered="DAY"><Entry key="a">1</Entry><Entry key="b" removed="true"/></VariableDataSet>
   <WorkOffsetTable dataItemId="t" sequence="5" timestamp="1970-01-01T00:00:01Z" count="1"><Entry key="G54"><Cell key="X">1</Cell><Cell key="Y"/></Entry></WorkOffsetTable>
   <Message dataItemId="m" sequence="6" timestamp="1970-01-01T00:00:01Z" nativeCode="7">door</Message>
   <AssetChanged dataItemId="c" sequence="7" timestamp="1970-01-01T00:00:01Z" assetType="CuttingTool">T1</AssetChanged>
   <Program dataItemId="p" sequence="8" timestamp="1970-01-01T00:00:01Z"/>
   <Block dataItemId="b" sequence="9" timestamp="1970-01-01T00:00:01Z">UNAVAILABLE</Block>
  </Events>
  <Condition>
   <Fault dataItemId="f" sequence="10" timestamp="1970-01-01T00:00:01Z" type="SYSTEM" nativeCode="E1" qualifier="HIGH">hot</Fault>
   <Unavailable dataItemId="f" sequence="11" timestamp="1970-01-01T00:00:01Z" type="SYSTEM"/>
  </Condition>
 </ComponentStream></DeviceStream></Streams>
</MTConnectStreams>"#;

    #[test]
    fn every_kind_of_observation_is_read() {
        let found = read(DOCUMENT.as_bytes()).expect("a document");
        assert_eq!((found.instance, found.next), (7, 12));
        let says = |sequence: u64| {
            let (item, reading) = &found.readings[sequence as usize - 1];
            assert_eq!((item.device.as_str(), reading.sequence), ("u&1", Some(sequence)));
            assert_eq!(reading.time, 1_000_000_000);
            (item.id.to_string(), reading.value.clone())
        };
        let plain = |text: &str| Cell::Plain(text.into());
        assert_eq!(says(1), ("g".into(), Value::Text("a < b".into())));
        assert_eq!(says(2), ("x".into(), Value::Text("1.5".into())));
        assert_eq!(says(3), ("s".into(), Value::Numbers(vec![1.0, 2.5])));
        let entries = Entries::from([("a".into(), plain("1")), ("b".into(), Cell::Removed)]);
        assert_eq!(says(4), ("v".into(), Value::Change { entries, reset: true }));
        let row = [("X".into(), "1".into()), ("Y".into(), "".into())].into();
        let entries = Entries::from([("G54".into(), Cell::Row(row))]);
        assert_eq!(says(5), ("t".into(), Value::Change { entries, reset: false }));
        assert_eq!(says(6).1, Value::Message { native_code: "7".into(), text: "door".into() });
        assert_eq!(says(7).1, Value::Asset { asset_type: "CuttingTool".into(), asset_id: "T1".into() });
        assert_eq!(says(8).1, Value::Text("".into()));
        assert_eq!(says(9).1, Value::Unavailable);
        let Value::Condition(condition) = says(10).1 else { panic!("a condition") };
        assert_eq!((condition.level, condition.native_code.as_str()), (Level::Fault, "E1"));
        assert_eq!((condition.qualifier.as_str(), condition.message.as_str()), ("HIGH", "hot"));
        assert_eq!(says(11), ("f".into(), Value::Unavailable));
        assert_eq!(found.readings.len(), 11);
    }

    #[test]
    fn an_error_document_and_another_one_are_refused() {
        let error =
            read(b"<MTConnectError><Errors>OUT_OF_RANGE</Errors></MTConnectError>").expect_err("error");
        assert!(error.contains("OUT_OF_RANGE"), "{error}");
        assert!(read(b"<html/>").is_err());
        assert!(read(b"<a").is_err());
    }
}
