//! A profile's points as rules: which topics are theirs, and how a message becomes a value.

use std::time::Duration;

use guideway_contract::{DataType, Issue, Kind, PointId, PointSpec, point_id};
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::address::{filter_issue, is_wild, subscriptions, unshared};
use crate::codec::{Cut, Pointer, Template, scalar_text};
use crate::config::{ByteOrder, Config, Format, Layout, Missing, Point, Retained, TimeFormat};

/// How a point is read from the messages of its topics.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: PointId,
    /// As topics are compared with it.
    pub(crate) filter: String,
    pub(crate) data_type: DataType,
    pub(crate) format: Format,
    /// Whether the payload has to be JSON.
    pub(crate) json: bool,
    pub(crate) pointer: Option<Pointer>,
    pub(crate) each: Option<Pointer>,
    pub(crate) only: Option<(Pointer, Value)>,
    pub(crate) time: Option<(Pointer, TimeFormat)>,
    pub(crate) segment: Option<i32>,
    pub(crate) stale: Option<Duration>,
    pub(crate) retained: bool,
    pub(crate) missing: Missing,
    pub(crate) cut: Cut,
}

/// How a point is written.
#[derive(Clone, Debug)]
pub(crate) struct WriteRule {
    pub(crate) topic: String,
    pub(crate) payload: Template,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

/// All that the points ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rules: Vec<Rule>,
    pub(crate) writes: FxHashMap<PointId, WriteRule>,
    /// Points that cannot be read, and why.
    pub(crate) broken: Vec<(PointId, String)>,
    /// What is subscribed.
    pub(crate) subscriptions: Vec<String>,
}

impl Plan {
    pub(crate) fn new(config: &Config, points: &[PointSpec<Point>]) -> Self {
        let mut plan = Self::default();
        let mut filters: Vec<String> = Vec::new();
        for (index, point) in points.iter().enumerate() {
            let id = point_id(index);
            let (rule, write, issues) = read(config, point, id);
            if let Some(issue) = issues.first() {
                plan.broken.push((id, format!("{}: {}", issue.key, issue.what)));
                continue;
            }
            if let Some(rule) = rule {
                filters.push(split(&point.address).0.to_owned());
                plan.rules.push(rule);
            }
            if let Some(write) = write {
                plan.writes.insert(id, write);
            }
        }
        plan.subscriptions = subscriptions(filters.iter().map(String::as_str));
        plan
    }
}

/// Everything that is wrong with a point.
pub(crate) fn issues(config: &Config, point: &PointSpec<Point>) -> Vec<Issue> {
    read(config, point, PointId(0)).2
}

/// The topic of an address, and the pointer behind it: `plant/mill#/temp`.
pub(crate) fn split(address: &str) -> (&str, Option<&str>) {
    // In a filter `#` is last, so that `#/` behind a level is never part of one.
    match address.find("#/") {
        Some(at) if at > 0 && !address[..at].ends_with('/') => (&address[..at], Some(&address[at + 1..])),
        _ => (address, None),
    }
}

fn read(
    config: &Config,
    point: &PointSpec<Point>,
    id: PointId,
) -> (Option<Rule>, Option<WriteRule>, Vec<Issue>) {
    let own = &point.own;
    let mut issues = Vec::new();
    if config.layout != Layout::Points {
        let what = "this layout is read by the keys of data items; points belong to layout = \"points\"";
        issues.push(Issue::new("addr", what));
    }
    let (topic, short) = split(&point.address);
    if let Some(what) = filter_issue(topic) {
        issues.push(Issue::new("addr", what));
    }
    if short.is_some() && own.pointer.is_some() {
        issues.push(Issue::new("pointer", "there is one in `addr` already, behind `#`"));
    }
    let mut pointer = |key: &'static str, text: Option<&str>| {
        text.and_then(|text| Pointer::parse(text).map_err(|what| issues.push(Issue::new(key, what))).ok())
    };
    let value = pointer("pointer", short.or(own.pointer.as_deref()));
    let each = pointer("each", own.each.as_deref());
    let time = pointer("time", own.time.as_deref().filter(|time| *time != "message"));
    let only = own
        .only
        .as_ref()
        .and_then(|only| Some((pointer("where", Some(&only.pointer))?, only.equals.clone())));
    if let Some((_, equals)) = &only
        && scalar_text(equals).is_none()
    {
        issues.push(Issue::new("where", "`equals` is a text, a number, or true or false"));
    }
    if own.stale.is_some_and(|stale| stale < Duration::from_millis(100)) {
        issues.push(Issue::new("stale", "must be at least 100ms"));
    }
    let json = value.is_some() || each.is_some() || time.is_some() || only.is_some();
    issues.extend(type_issues(point, json));
    let reads = point.access.reads().then(|| Rule {
        id,
        filter: unshared(topic).to_owned(),
        data_type: point.data_type,
        format: own.format,
        json: json || (own.format == Format::Json && own.topic_segment.is_none()),
        pointer: value,
        each,
        only,
        time: time.map(|time| (time, own.time_format)),
        segment: own.topic_segment,
        stale: own.stale,
        retained: own.retained == Retained::Use,
        missing: own.missing,
        cut: Cut {
            start: own.start,
            little: own.byte_order == ByteOrder::Little,
            bits: own.bit_length.map(|length| (own.bit_offset.unwrap_or_default(), length)),
        },
    });
    let writes = if point.access.writes() {
        write_rule(point, topic).map_err(|issue| issues.push(issue)).ok()
    } else {
        if own.write.is_some() {
            issues.push(Issue::new("write", "the point is read only; give it access = \"w\" or \"rw\""));
        }
        None
    };
    (reads, writes, issues)
}

/// What is wrong with the type and the keys that say how bytes are cut.
fn type_issues(point: &PointSpec<Point>, json: bool) -> Vec<Issue> {
    let own = &point.own;
    let mut issues = Vec::new();
    let bytes = matches!(own.format, Format::Hex | Format::Base64 | Format::Bytes);
    if own.format == Format::Bytes && json {
        issues.push(Issue::new(
            "format",
            "JSON holds no bytes; write `hex` or `base64`, or leave the pointers out",
        ));
    }
    let cut = own.start > 0
        || own.byte_order != ByteOrder::Big
        || own.bit_offset.is_some()
        || own.bit_length.is_some();
    if cut && !bytes {
        let what =
            "`start`, `byte_order` and bits are for values that are bytes: format hex, base64 or bytes";
        issues.push(Issue::new("format", what));
    }
    if own.bit_offset.is_some() && own.bit_length.is_none() {
        issues.push(Issue::new("bit_length", "`bit_offset` needs `bit_length`"));
    }
    if let Some(length) = own.bit_length {
        if !(1..=64).contains(&length) {
            issues.push(Issue::new("bit_length", "from 1 to 64"));
        }
        let whole = matches!(
            point.data_type.kind,
            Kind::Auto
                | Kind::Bool
                | Kind::I8
                | Kind::U8
                | Kind::I16
                | Kind::U16
                | Kind::I32
                | Kind::U32
                | Kind::I64
                | Kind::U64
                | Kind::F32
                | Kind::F64
        );
        if own.start > 0 || point.data_type.count.is_some() || !whole {
            issues.push(Issue::new("bit_length", "bits make a single number or bool, without `start`"));
        }
    }
    let unfit = match point.data_type.kind {
        Kind::Bcd(_) | Kind::Fields => true,
        Kind::Bits(_) | Kind::Bytes(_) => !bytes,
        Kind::WideText(_) => bytes,
        _ => false,
    };
    if unfit {
        let what = format!("MQTT has no `{}` in format {}", point.data_type, format_word(own.format));
        issues.push(Issue::new("type", what));
    }
    issues
}

const fn format_word(format: Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::Text => "text",
        Format::Number => "number",
        Format::Hex => "hex",
        Format::Base64 => "base64",
        Format::Bytes => "bytes",
    }
}

fn write_rule(point: &PointSpec<Point>, topic: &str) -> Result<WriteRule, Issue> {
    let write = point.own.write.clone().unwrap_or_default();
    let to = match write.topic {
        Some(topic) => topic,
        None if point.access.reads() => {
            let what = "a point that is read and written needs its topic: write = { topic = \"…\" }";
            return Err(Issue::new("write", what));
        }
        None => topic.to_owned(),
    };
    if is_wild(&to) || filter_issue(&to).is_some() {
        return Err(Issue::new("write", format!("`{to}` is not one topic; write = {{ topic = \"…\" }}")));
    }
    if !(1..=2).contains(&write.qos) {
        return Err(Issue::new(
            "write",
            "qos is 1 or 2: without an acknowledgement nobody knows what was written",
        ));
    }
    let plain = if point.own.format == Format::Json { "{value}" } else { "{text}" };
    let payload = Template::new(write.payload.as_deref().unwrap_or(plain));
    if !payload.has_value() {
        return Err(Issue::new("write", "the payload has neither {value} nor {text}"));
    }
    Ok(WriteRule { topic: to, payload, qos: write.qos, retain: write.retain })
}

#[cfg(test)]
mod tests {
    use super::*;
    use guideway_contract::Access;

    fn point(address: &str, data_type: &str, own: &str) -> PointSpec<Point> {
        PointSpec::new(address, data_type.parse().unwrap(), serde_json::from_str(own).unwrap())
    }

    fn keys(point: &PointSpec<Point>) -> Vec<&'static str> {
        issues(&Config::default(), point).iter().map(|issue| issue.key).collect()
    }

    #[test]
    fn an_address_may_hold_its_pointer() {
        for (address, topic, pointer) in [
            ("a/b", "a/b", None),
            ("a/b#/c/0", "a/b", Some("/c/0")),
            ("a/#", "a/#", None),
            ("a/##/c", "a/#", Some("/c")),
            ("##/c", "#", Some("/c")),
            ("#/c", "#/c", None),
            ("a/#/c", "a/#/c", None),
        ] {
            assert_eq!(split(address), (topic, pointer), "{address}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_before() {
        for (address, data_type, own, key) in [
            ("a/#/b", "auto", "{}", "addr"),
            ("a#/x", "auto", r#"{"pointer":"/y"}"#, "pointer"),
            ("a", "auto", r#"{"pointer":"y"}"#, "pointer"),
            ("a", "auto", r#"{"each":"y"}"#, "each"),
            ("a", "auto", r#"{"time":"y"}"#, "time"),
            ("a", "auto", r#"{"where":{"pointer":"/y","equals":[1]}}"#, "where"),
            ("a", "auto", r#"{"stale":"1ms"}"#, "stale"),
            ("a", "auto", r#"{"format":"bytes","pointer":"/a"}"#, "format"),
            ("a", "u16", r#"{"start":2}"#, "format"),
            ("a", "u16", r#"{"format":"hex","bit_offset":2}"#, "bit_length"),
            ("a", "u16[2]", r#"{"format":"hex","bit_length":2}"#, "bit_length"),
            ("a", "bcd4", "{}", "type"),
            ("a", "bytes[4]", "{}", "type"),
            ("a", "auto", r#"{"write":{"topic":"b"}}"#, "write"),
        ] {
            assert_eq!(keys(&point(address, data_type, own)), [key], "{own}");
        }
        assert_eq!(
            keys(&point("a/+", "u16[2]", r#"{"format":"hex","pointer":"/a","time":"message"}"#)),
            [""; 0]
        );
    }

    #[test]
    fn a_write_needs_one_topic_a_value_and_an_acknowledgement() {
        let mut it = point("a/+", "auto", "{}");
        for (access, own, good) in [
            (Access::Write, "{}", false),
            (Access::ReadWrite, "{}", false),
            (Access::ReadWrite, r#"{"write":{"topic":"b"}}"#, true),
            (Access::Write, r#"{"write":{"topic":"b","qos":0}}"#, false),
            (Access::Write, r#"{"write":{"topic":"b","payload":"on"}}"#, false),
            (Access::Write, r#"{"write":{"topic":"b","payload":"{text}","qos":2,"retain":true}}"#, true),
        ] {
            it.access = access;
            it.own = serde_json::from_str(own).unwrap();
            assert_eq!(keys(&it).is_empty(), good, "{own}");
        }
    }

    #[test]
    fn a_thousand_points_of_one_topic_are_one_subscription() {
        let points: Vec<_> = (0..1_000).map(|n| point(&format!("a/b#/v{n}"), "auto", "{}")).collect();
        let plan = Plan::new(&Config::default(), &points);
        assert_eq!((plan.subscriptions.as_slice(), plan.rules.len()), (&["a/b".to_owned()][..], 1_000));
    }

    #[test]
    fn a_point_that_cannot_be_read_leaves_the_others() {
        let plan = Plan::new(&Config::default(), &[point("a", "auto", "{}"), point("a/#/b", "auto", "{}")]);
        assert_eq!((plan.rules.len(), plan.broken.len()), (1, 1));
        assert_eq!(plan.broken[0].0, PointId(1));
    }
}
