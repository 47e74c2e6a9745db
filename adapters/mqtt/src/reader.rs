//! Messages of layout `points` to raw values.

use std::borrow::Cow;
use std::sync::Arc;

use guideway_contract::{Fault, Native, Quality, RawReading, Timestamp};
use rustc_hash::FxHashMap;
use serde_json::Value;
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::address::matches;
use crate::codec::{base64, coerce, from_bytes, hex, native, parse, read_time, scalar_text};
use crate::config::{Format, Missing};
use crate::plan::{Plan, Rule};
use crate::stale::Silence;

/// Topics whose points are remembered; with wildcards there may be any number.
const MOST_TOPICS: usize = 4_096;
/// Readings that one array may give a point; the rest of a longer one is counted as oversized.
const MOST_ELEMENTS: usize = 10_000;

/// A message, as far as reading it goes.
#[derive(Clone, Copy)]
pub(crate) struct Message<'m> {
    pub(crate) topic: &'m str,
    /// The payload, or its size when it was refused.
    pub(crate) payload: Result<&'m [u8], usize>,
    pub(crate) retained: bool,
    pub(crate) arrival: Timestamp,
}

/// Where it is told what is wrong with a message.
pub(crate) trait Told {
    fn fault(&mut self, fault: Fault, detail: impl FnOnce() -> String);
}

impl Told for &guideway_contract::Outlet {
    fn fault(&mut self, fault: Fault, detail: impl FnOnce() -> String) {
        guideway_contract::Outlet::fault(self, fault, detail);
    }
}

/// Reads messages by the rules of a plan. It remembers, for one session, which points had a value.
pub(crate) struct Reader {
    plan: Arc<Plan>,
    /// Topic to the places of its rules.
    topics: FxHashMap<SmolStr, Arc<[usize]>>,
    had_value: Vec<bool>,
    silence: Silence,
}

impl Reader {
    pub(crate) fn new(plan: Arc<Plan>, now: Instant) -> Self {
        let silence = Silence::new(plan.rules.iter().map(|rule| rule.stale), now);
        let had_value = vec![false; plan.rules.len()];
        Self { plan, topics: FxHashMap::default(), had_value, silence }
    }

    /// When a point may have been silent for too long.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.silence.next()
    }

    /// The points that have been silent for too long.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<RawReading> {
        let at = Timestamp::now();
        let bad = |(index, limit): (usize, std::time::Duration)| {
            let rule = self.plan.rules.get(index)?;
            let cause = format!("nothing on {} for {} s", rule.filter, limit.as_secs_f64());
            Some(RawReading::bad(rule.id, cause, at))
        };
        self.silence.overdue(now).into_iter().filter_map(bad).collect()
    }

    /// Reads a message; its values go to the end of `readings`.
    pub(crate) fn read(
        &mut self,
        message: Message<'_>,
        now: Instant,
        readings: &mut Vec<RawReading>,
        told: &mut impl Told,
    ) {
        let rules = self.rules_of(message.topic);
        if rules.is_empty() {
            return told.fault(Fault::Unmapped, || format!("no point reads the topic {}", message.topic));
        }
        let plan = self.plan.clone();
        let mut json: Option<Result<Value, String>> = None;
        for &index in rules.iter() {
            let Some(rule) = plan.rules.get(index) else { continue };
            if message.retained && !rule.retained {
                continue;
            }
            let bad = |cause: String| RawReading::bad(rule.id, cause, message.arrival);
            let payload = match message.payload {
                Ok(payload) => payload,
                Err(size) => {
                    readings.push(bad(format!("a message of {size} bytes, which is more than max_payload")));
                    continue;
                }
            };
            if !rule.json {
                self.silence.heard(index, now);
                self.note(index, plain(rule, message, payload), message.arrival, readings, told);
                continue;
            }
            if payload.is_empty() {
                readings.push(bad(format!("the message on {} is empty", message.topic)));
                continue;
            }
            let first = json.is_none();
            match json.get_or_insert_with(|| parse(payload)) {
                Ok(value) => self.structured(index, rule, value, message, now, readings, told),
                Err(wrong) => {
                    if first {
                        told.fault(Fault::Malformed, || format!("no JSON on {}: {wrong}", message.topic));
                    }
                    readings.push(bad(format!("no JSON on {}: {wrong}", message.topic)));
                }
            }
        }
    }

    /// Reads JSON, whole or element by element.
    #[expect(clippy::too_many_arguments, reason = "what belongs to a message is in `message` already")]
    fn structured(
        &mut self,
        index: usize,
        rule: &Rule,
        value: &Value,
        message: Message<'_>,
        now: Instant,
        readings: &mut Vec<RawReading>,
        told: &mut impl Told,
    ) {
        let Some(each) = &rule.each else {
            if is_meant(rule, value) {
                self.silence.heard(index, now);
                let time = time_of(rule, value, message.arrival, told);
                self.note(index, member(rule, value, message), time, readings, told);
            }
            return;
        };
        let Some(array) = each.find(value) else {
            if rule.only.is_none() {
                self.silence.heard(index, now);
                let missing = Found::Missing(format!("there is no `{each}` on {}", message.topic));
                self.note(index, missing, message.arrival, readings, told);
            }
            return;
        };
        // A source that has only one may send it without the array.
        let elements = match &*array {
            Value::Array(elements) => elements.as_slice(),
            one => std::slice::from_ref(one),
        };
        if elements.len() > MOST_ELEMENTS {
            told.fault(Fault::Oversized, || format!("{} elements on {}", elements.len(), message.topic));
        }
        let mut found: Vec<(Timestamp, Found)> = Vec::new();
        for element in elements.iter().take(MOST_ELEMENTS).filter(|element| is_meant(rule, element)) {
            let time = time_of(rule, element, message.arrival, told);
            found.push((time, member(rule, element, message)));
        }
        if !found.is_empty() {
            self.silence.heard(index, now);
        }
        found.sort_by_key(|(time, _)| time.nanos());
        for (time, found) in found {
            self.note(index, found, time, readings, told);
        }
    }

    /// Makes a reading of what was found, where it is one.
    fn note(
        &mut self,
        index: usize,
        found: Found,
        time: Timestamp,
        readings: &mut Vec<RawReading>,
        told: &mut impl Told,
    ) {
        let Some(rule) = self.plan.rules.get(index) else { return };
        let value = match found {
            Found::Value(value) => match coerce(value, rule.data_type) {
                Ok(value) => value,
                Err(wrong) => return self.reject(index, wrong, time, readings, told),
            },
            Found::Unfit(wrong) => return self.reject(index, wrong, time, readings, told),
            Found::Cut(value) => value,
            Found::Missing(cause) => {
                if rule.missing == Missing::Bad || !self.had_value[index] {
                    readings.push(RawReading::bad(rule.id, cause, time));
                }
                return;
            }
        };
        self.had_value[index] = true;
        readings.push(RawReading { point: rule.id, value, time, quality: Quality::Good });
    }

    fn reject(
        &self,
        index: usize,
        wrong: String,
        time: Timestamp,
        readings: &mut Vec<RawReading>,
        told: &mut impl Told,
    ) {
        let Some(rule) = self.plan.rules.get(index) else { return };
        told.fault(Fault::Rejected, || format!("{}: {wrong}", rule.filter));
        readings.push(RawReading::bad(rule.id, wrong, time));
    }

    fn rules_of(&mut self, topic: &str) -> Arc<[usize]> {
        if let Some(rules) = self.topics.get(topic) {
            return rules.clone();
        }
        let meant = self.plan.rules.iter().enumerate().filter(|(_, rule)| matches(&rule.filter, topic));
        let rules: Arc<[usize]> = meant.map(|(index, _)| index).collect();
        if self.topics.len() >= MOST_TOPICS {
            self.topics.clear();
        }
        self.topics.insert(topic.into(), rules.clone());
        rules
    }
}

/// What a message holds for a point.
enum Found {
    /// A value that its type is still asked about.
    Value(Native),
    /// A value that was cut out of bytes by its type.
    Cut(Native),
    /// Something that is no value of its format or type.
    Unfit(String),
    /// Nothing.
    Missing(String),
}

/// A value of a payload that need not be JSON.
fn plain(rule: &Rule, message: Message<'_>, payload: &[u8]) -> Found {
    if rule.segment.is_some() {
        return segment(rule, message.topic);
    }
    if rule.format == Format::Bytes {
        return cut(rule, payload);
    }
    match std::str::from_utf8(payload) {
        Ok(text) => formatted(rule, text),
        Err(_) => Found::Unfit("the payload is no text".into()),
    }
}

/// A value of a JSON payload, or of an element of one.
fn member(rule: &Rule, value: &Value, message: Message<'_>) -> Found {
    if rule.segment.is_some() {
        return segment(rule, message.topic);
    }
    let found = match &rule.pointer {
        Some(pointer) => match pointer.find(value) {
            Some(found) => found,
            None => return Found::Missing(format!("there is no `{pointer}` on {}", message.topic)),
        },
        None => Cow::Borrowed(value),
    };
    match rule.format {
        Format::Json => Found::Value(native(&found)),
        _ if found.is_null() => Found::Value(Native::Null),
        Format::Text => {
            Found::Value(Native::text(&scalar_text(&found).unwrap_or_else(|| found.to_string().into())))
        }
        _ => match scalar_text(&found) {
            Some(text) => formatted(rule, &text),
            None => Found::Unfit("an array or object where text is".into()),
        },
    }
}

/// A value written as text.
fn formatted(rule: &Rule, text: &str) -> Found {
    match rule.format {
        Format::Json | Format::Text => Found::Value(Native::text(text)),
        Format::Number => {
            let text = text.trim();
            let number = match (text.parse::<i64>(), text.parse::<u64>()) {
                (Ok(whole), _) => Some(Native::Int(whole)),
                (_, Ok(whole)) => Some(Native::UInt(whole)),
                _ => guideway_shdr::codec::number(text).map(Native::Float),
            };
            let short = || text.chars().take(40).collect::<String>();
            number.map_or_else(|| Found::Unfit(format!("`{}` is no number", short())), Found::Value)
        }
        Format::Hex => match hex(text) {
            Some(bytes) => cut(rule, &bytes),
            None => Found::Unfit("the text is not hexadecimal".into()),
        },
        Format::Base64 => match base64(text) {
            Some(bytes) => cut(rule, &bytes),
            None => Found::Unfit("the text is not base64".into()),
        },
        Format::Bytes => cut(rule, text.as_bytes()),
    }
}

fn cut(rule: &Rule, bytes: &[u8]) -> Found {
    match from_bytes(bytes, rule.data_type, rule.cut) {
        Ok(value) => Found::Cut(value),
        Err(wrong) => Found::Unfit(wrong),
    }
}

fn segment(rule: &Rule, topic: &str) -> Found {
    let place = rule.segment.unwrap_or_default();
    let back = usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX);
    let found = if place < 0 { topic.rsplit('/').nth(back - 1) } else { topic.split('/').nth(back) };
    match found {
        Some(found) => Found::Value(Native::text(found)),
        None => Found::Missing(format!("{topic} has no level {place}")),
    }
}

/// Whether the `where` of a point is met. A number and the text that writes it are the same.
fn is_meant(rule: &Rule, value: &Value) -> bool {
    let Some((pointer, equals)) = &rule.only else { return true };
    let Some(found) = pointer.find(value) else { return false };
    match (found.as_f64(), equals.as_f64()) {
        #[expect(clippy::float_cmp, reason = "the very number is meant")]
        (Some(found), Some(equals)) => found == equals,
        _ => match (scalar_text(&found), scalar_text(equals)) {
            (Some(found), Some(equals)) => found == equals,
            _ => false,
        },
    }
}

fn time_of(rule: &Rule, value: &Value, arrival: Timestamp, told: &mut impl Told) -> Timestamp {
    let Some((pointer, format)) = &rule.time else { return arrival };
    let read = pointer.find(value).and_then(|found| read_time(&found, *format));
    read.unwrap_or_else(|| {
        told.fault(Fault::Timestamp, || {
            format!("no time at `{pointer}` on {}; taken is its arrival", rule.filter)
        });
        arrival
    })
}

#[cfg(test)]
mod tests;
