//! `template`: topic and payload of the user's own making.

use std::fmt::Write as _;

use guideway_contract::Observation;

use super::{Origin, Single};
use crate::device_model::{DataItem, DeviceModel};
use crate::northbound::mqtt::{TemplateLayout, json, topic};

/// A text with `{placeholders}`, taken apart.
///
/// `{word}` with lower-case letters, digits and `_` is a placeholder, `{{` is a brace, and a brace
/// before anything else stands for itself, so that JSON can be written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::northbound::mqtt) struct Template {
    parts: Vec<Part>,
    /// Whether the item that it was made for has numbers for values.
    numeric: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Placeholder),
}

/// A template that cannot be used: where (in characters, from 1), and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {what}")]
pub(in crate::northbound::mqtt) struct TemplateError {
    /// Counted in characters from 1.
    pub(in crate::northbound::mqtt) position: usize,
    /// What is wrong and what to write.
    pub(in crate::northbound::mqtt) what: String,
}

macro_rules! placeholders {
    ($($variant:ident $word:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Placeholder { $($variant,)* }

        impl Placeholder {
            const WORDS: &[&str] = &[$($word,)*];

            fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

placeholders! {
    Device "device",
    DeviceUuid "device_uuid",
    Component "component",
    ComponentPath "component_path",
    Name "name",
    Id "id",
    Type "type",
    SubType "sub_type",
    Category "category",
    Units "units",
    Value "value",
    ValueJson "value_json",
    Time "time",
    TimeMs "time_ms",
    TimeNs "time_ns",
    Arrival "arrival",
    ArrivalMs "arrival_ms",
    ArrivalNs "arrival_ns",
    Duration "duration",
    ResetTriggered "reset_triggered",
    Sequence "sequence",
    Instance "instance",
    Quality "quality",
}

impl Placeholder {
    /// Whether it is the same for all observations of an item.
    const fn is_of_item(self) -> bool {
        matches!(
            self,
            Self::Device
                | Self::DeviceUuid
                | Self::Component
                | Self::ComponentPath
                | Self::Name
                | Self::Id
                | Self::Type
                | Self::SubType
                | Self::Category
                | Self::Units
        )
    }
}

impl Template {
    /// Takes a text apart.
    pub(in crate::northbound::mqtt) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            plain.push_str(&rest[..open]);
            let inner = &rest[open + 1..];
            let length = inner
                .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
                .unwrap_or(inner.len());
            let word = &inner[..length];
            if let Some(after) = inner.strip_prefix('{') {
                plain.push('{');
                rest = after;
            } else if word.is_empty() || !inner[length..].starts_with('}') {
                plain.push('{');
                rest = inner;
            } else {
                let Some(place) = Placeholder::of(word) else {
                    let before = text.len() - rest.len() + open;
                    return Err(TemplateError {
                        position: text[..before].chars().count() + 1,
                        what: format!(
                            "`{{{word}}}` is not known; write one of {}, or `{{{{{word}}}` for the text itself",
                            Placeholder::WORDS.join(", ")
                        ),
                    });
                };
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Place(place));
                rest = &inner[length + 1..];
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts, numeric: false })
    }

    /// Takes a topic apart; its own text has to be allowed in a topic.
    pub(in crate::northbound::mqtt) fn parse_topic(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            let what =
                "the topic is empty; write for example `plant/{device}/{component_path}/{name}`".into();
            return Err(TemplateError { position: 1, what });
        }
        if let Some(at) = text.chars().position(|c| matches!(c, '+' | '#') || c.is_control()) {
            let what = "`+`, `#` and control characters are not allowed in a topic; leave them out".into();
            return Err(TemplateError { position: at + 1, what });
        }
        if text.starts_with('$') {
            let what = "topics that begin with `$` belong to the broker; begin with something else".into();
            return Err(TemplateError { position: 1, what });
        }
        Self::parse(text)
    }

    /// Whether what it makes is meant to be JSON, so that texts in it are escaped.
    pub(in crate::northbound::mqtt) fn is_json(&self) -> bool {
        match self.parts.first() {
            Some(Part::Text(text)) => text.trim_start().starts_with(['{', '[', '"']),
            Some(Part::Place(place)) => *place == Placeholder::ValueJson,
            None => false,
        }
    }

    /// The payload with plausible values, to see whether it comes out as JSON.
    pub(in crate::northbound::mqtt) fn example(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Place(Placeholder::Time | Placeholder::Arrival) => {
                    text.push_str("2026-01-01T00:00:00Z");
                }
                Part::Place(
                    Placeholder::ValueJson
                    | Placeholder::TimeMs
                    | Placeholder::TimeNs
                    | Placeholder::ArrivalMs
                    | Placeholder::ArrivalNs
                    | Placeholder::Sequence
                    | Placeholder::Instance
                    | Placeholder::Duration,
                ) => text.push('1'),
                Part::Place(_) => text.push('x'),
            }
        }
        text
    }

    /// The same template for one item: everything that is the same for all its observations is
    /// text.
    fn of_item(&self, facts: &Facts<'_>, escape: Escape) -> Self {
        let mut parts: Vec<Part> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => text.clone(),
                Part::Place(place) if place.is_of_item() => facts.text(*place, escape),
                Part::Place(_) => {
                    parts.push(part.clone());
                    continue;
                }
            };
            match parts.last_mut() {
                Some(Part::Text(before)) => before.push_str(&text),
                _ => parts.push(Part::Text(text)),
            }
        }
        Self { parts, numeric: facts.item.is_numeric() }
    }

    fn write(&self, origin: Origin, observation: &Observation, escape: Escape, out: &mut Vec<u8>) {
        let time = observation.time();
        let arrival = observation.arrival();
        for part in &self.parts {
            let place = match part {
                Part::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                Part::Place(place) => *place,
            };
            match place {
                Placeholder::Value => {
                    let from = out.len();
                    json::plain_text(out, &observation.value);
                    escape.apply(out, from);
                }
                Placeholder::ValueJson => {
                    let from = out.len();
                    json::item_value(out, &observation.value, self.numeric);
                    // In a JSON payload it stands as a value of its own.
                    if escape == Escape::Topic {
                        escape.apply(out, from);
                    }
                }
                Placeholder::Time => time.write(out),
                Placeholder::TimeMs => json::integer(out, time.nanos().div_euclid(1_000_000)),
                Placeholder::TimeNs => json::integer(out, time.nanos()),
                Placeholder::Arrival => arrival.write(out),
                Placeholder::ArrivalMs => json::integer(out, arrival.nanos().div_euclid(1_000_000)),
                Placeholder::ArrivalNs => json::integer(out, arrival.nanos()),
                Placeholder::Duration => match observation.value.duration() {
                    Some(duration) => json::number(out, duration),
                    None => out.extend_from_slice(b"0"),
                },
                Placeholder::ResetTriggered => {
                    let from = out.len();
                    out.extend_from_slice(observation.value.reset_triggered().unwrap_or("").as_bytes());
                    escape.apply(out, from);
                }
                Placeholder::Sequence => json::integer(out, origin.sequence),
                Placeholder::Instance => json::integer(out, origin.instance),
                Placeholder::Quality => {
                    out.extend_from_slice(json::quality(observation.quality, &observation.value).as_bytes());
                }
                // These became text when the item was prepared.
                _ => {}
            }
        }
    }
}

/// What has to be done to a value that goes into a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// One level of a topic.
    Topic,
    /// A part of a JSON string.
    Json,
    /// Nothing.
    Plain,
}

impl Escape {
    /// Escapes what was written from `from` on.
    fn apply(self, out: &mut Vec<u8>, from: usize) {
        let special = |byte: &u8| match self {
            Self::Plain => false,
            Self::Json => *byte < 0x20 || matches!(byte, b'"' | b'\\'),
            Self::Topic => true,
        };
        if !out[from..].iter().any(special) {
            return;
        }
        let raw = String::from_utf8_lossy(&out[from..]).into_owned();
        out.truncate(from);
        match self {
            Self::Topic => {
                let mut level = String::with_capacity(raw.len());
                topic::push_level(&mut level, &raw);
                out.extend_from_slice(level.as_bytes());
            }
            _ => json::escaped(out, &raw),
        }
    }
}

struct Facts<'m> {
    model: &'m DeviceModel,
    item: &'m DataItem,
}

impl Facts<'_> {
    fn text(&self, place: Placeholder, escape: Escape) -> String {
        let Self { model, item } = self;
        let device = model.device(item.device);
        let component = model.component(item.component);
        let text = match place {
            Placeholder::Device => device.name.as_str(),
            Placeholder::DeviceUuid => &device.uuid,
            Placeholder::Component if component.name.is_empty() => &component.element_name,
            Placeholder::Component => &component.name,
            Placeholder::ComponentPath => return self.path(escape),
            Placeholder::Name => super::item_name(item),
            Placeholder::Id => &item.id,
            Placeholder::Type => &item.item_type,
            Placeholder::SubType => &item.sub_type,
            Placeholder::Category => super::category(item.category),
            Placeholder::Units => &item.units,
            _ => "",
        };
        escaped(text, escape)
    }

    fn path(&self, escape: Escape) -> String {
        let mut path = String::new();
        super::component_path(self.model, self.item, |component| {
            let separator = if path.is_empty() { "" } else { "/" };
            // Writing to a String cannot fail.
            let _ = write!(path, "{separator}{}", escaped(component, escape));
        });
        path
    }
}

fn escaped(text: &str, escape: Escape) -> String {
    let mut out = text.as_bytes().to_vec();
    escape.apply(&mut out, 0);
    String::from_utf8_lossy(&out).into_owned()
}

/// The layout: a topic and a payload template, prepared for each item.
pub(super) struct Layout {
    topic: Template,
    payload: Template,
    escape: Escape,
    retain: bool,
    items: Vec<(Template, Template)>,
}

impl Layout {
    pub(super) fn new(options: &TemplateLayout) -> Result<Self, String> {
        let topic = Template::parse_topic(&options.topic).map_err(|error| format!("topic, {error}"))?;
        let payload = Template::parse(&options.payload).map_err(|error| format!("payload, {error}"))?;
        let escape = if payload.is_json() { Escape::Json } else { Escape::Plain };
        Ok(Self { topic, payload, escape, retain: options.retain, items: Vec::new() })
    }
}

impl Single for Layout {
    fn prepare(&mut self, model: &DeviceModel) {
        let of_item = |item| {
            let facts = Facts { model, item };
            (self.topic.of_item(&facts, Escape::Topic), self.payload.of_item(&facts, self.escape))
        };
        self.items = model.items().iter().map(of_item).collect();
    }

    fn write(&self, origin: Origin, observation: &Observation, topic: &mut String, payload: &mut Vec<u8>) {
        let Some((name, content)) = self.items.get(observation.item.index()) else { return };
        if let [Part::Text(text)] = name.parts.as_slice() {
            topic.push_str(text);
        } else {
            // The payload's buffer is free until the topic is done.
            name.write(origin, observation, Escape::Topic, payload);
            topic.push_str(&String::from_utf8_lossy(payload));
            payload.clear();
        }
        topic::drop_empty_levels(topic);
        content.write(origin, observation, self.escape, payload);
    }

    fn content_type(&self) -> Option<&'static str> {
        Some(if self.escape == Escape::Json { "application/json" } else { "text/plain" })
    }

    fn retain(&self) -> bool {
        self.retain
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_can_be_written_as_it_is() {
        let template = Template::parse(r#"{"v":{value_json},"n":{"x":{time_ms}}}"#).expect("a template");
        assert!(template.is_json());
        assert_eq!(template.example(), r#"{"v":1,"n":{"x":1}}"#);
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_its_place() {
        let error = Template::parse("größe/{device}/{vale}").expect_err("unknown");
        assert_eq!(error.position, 16);
        assert!(error.what.contains("{vale}") && error.what.contains("value_json"), "{error}");
    }

    #[test]
    fn a_doubled_brace_is_a_brace() {
        let template = Template::parse("{{value}").expect("a template");
        assert_eq!(template.example(), "{value}");
        assert_eq!(Template::parse("{").expect("a brace").example(), "{");
    }

    #[test]
    fn a_topic_without_text_or_with_wildcards_is_refused() {
        assert_eq!(Template::parse_topic("").expect_err("empty").position, 1);
        assert_eq!(Template::parse_topic("a/#").expect_err("wildcard").position, 3);
        assert_eq!(Template::parse_topic("$SYS/{id}").expect_err("the broker's").position, 1);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Template::parse(&text);
            let _ = Template::parse_topic(&text);
        }

        #[test]
        fn text_without_braces_is_kept(text in "[^{]*") {
            prop_assert_eq!(Template::parse(&text).expect("no placeholder").example(), text);
        }
    }
}
