//! A TOML text that is read in parts, each part again and again without what was refused last.

use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::finding::Findings;
use super::places::Places;
use super::source::Source;
use super::{expand, explain, suggest};

/// Findings in one section after which the rest of it is left unread.
const MOST_FINDINGS: usize = 200;

/// A value with its place.
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// The text with what has been found in it so far.
pub(crate) struct Document<'a> {
    pub(crate) source: &'a Arc<Source>,
    pub(crate) findings: &'a mut Findings,
    pub(crate) places: Places,
    /// Lines that are not TOML; what was made of them means nothing.
    broken: Vec<u32>,
}

impl<'a> Document<'a> {
    /// The root table of a text, its syntax errors told.
    pub(crate) fn open(source: &'a Arc<Source>, findings: &'a mut Findings) -> (Self, DeTable<'a>) {
        let (root, errors) = DeTable::parse_recoverable(source.text());
        let mut broken = Vec::new();
        for error in errors {
            let span = error.span().unwrap_or_default();
            broken.push(source.position(span.start).0);
            findings.error(source, span, format!("not TOML: {}", error.message()), String::new());
        }
        let mut document = Self { source, findings, places: Places::default(), broken };
        let root = root.into_inner();
        document.places_of(&root, "");
        (document, root)
    }

    pub(crate) fn error(&mut self, span: Range<usize>, what: impl Into<String>, cure: impl Into<String>) {
        self.findings.error(self.source, span, what, cure);
    }

    pub(crate) fn warning(&mut self, span: Range<usize>, what: impl Into<String>, cure: impl Into<String>) {
        self.findings.warning(self.source, span, what, cure);
    }

    /// Reads one table as a `T`, reporting and leaving out what is refused. `None` when what is left
    /// is not enough. `more` names keys that are allowed beside those of `T`, for suggestions.
    pub(crate) fn section<T: DeserializeOwned>(
        &mut self,
        label: &str,
        value: &Value<'_>,
        more: &[&str],
    ) -> Option<T> {
        let mut value = value.clone();
        let mut refused = Vec::new();
        for _ in 0..MOST_FINDINGS {
            let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(read) => return Some(read),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_else(|| value.span());
            // What stands beside the keys of `T` cannot stand in tables below it.
            let is_own = |table: &DeTable<'_>| table.keys().any(|key| key.span() == span);
            let is_own = matches!(value.get_ref(), DeValue::Table(table) if is_own(table));
            let more = if is_own { more } else { &[] };
            let key = take_out(value.get_mut(), &span);
            let explained = explain::serde_message(error.message(), key.as_deref(), more);
            let missing_by_us = explained.missing.is_some_and(|missing| refused.contains(&missing));
            let broken = self.broken.contains(&self.source.position(span.start).0);
            if !missing_by_us && !broken {
                let what = format!("{label}: {}", explained.what);
                self.findings.error(self.source, span, what, explained.cure);
            }
            refused.push(key?);
        }
        None
    }

    pub(crate) fn unknown(&mut self, what: &str, name: &str, span: Range<usize>, known: &[&str]) {
        let cure = suggest::cure(name, known.iter().copied());
        self.findings.error(self.source, span, format!("unknown {what} `{name}`"), cure);
    }

    fn places_of(&mut self, table: &DeTable<'_>, prefix: &str) {
        for (key, value) in table {
            let path = if prefix.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{prefix}.{}", key.get_ref())
            };
            self.place_of(value, path);
        }
    }

    fn place_of(&mut self, value: &Value<'_>, path: String) {
        match value.get_ref() {
            DeValue::Table(table) => self.places_of(table, &path),
            DeValue::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.place_of(element, format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
        self.places.insert(path, value.span());
    }

    /// Puts the environment's variables in the place of `$NAME` and `${NAME}` in every text below.
    pub(crate) fn expand_table(&mut self, table: &mut DeTable<'_>) {
        for (_, value) in table.iter_mut() {
            self.expand_value(value);
        }
    }

    fn expand_value(&mut self, value: &mut Value<'_>) {
        let span = value.span();
        match value.get_mut() {
            DeValue::Table(table) => self.expand_table(table),
            DeValue::Array(elements) => elements.iter_mut().for_each(|element| self.expand_value(element)),
            // A password's hash is full of dollar signs and names no variable.
            DeValue::String(text) if text.starts_with("$argon2") => {}
            DeValue::String(text) if text.contains('$') => {
                let (expanded, unknown) = expand::expand(text, true, expand::environment);
                for name in unknown {
                    self.findings.error(
                        self.source,
                        span.clone(),
                        format!("the environment has no variable `{name}`"),
                        format!("set {name}, or write `$$` for a dollar sign"),
                    );
                }
                *text = expanded.into();
            }
            _ => {}
        }
    }
}

/// Takes out the innermost entry or element whose key or value has that span; its key.
fn take_out(value: &mut DeValue<'_>, span: &Range<usize>) -> Option<String> {
    match value {
        DeValue::Table(table) => {
            if let Some(key) = table.iter_mut().find_map(|(_, value)| take_out(value.get_mut(), span)) {
                return Some(key);
            }
            let key = table
                .iter()
                .find(|(key, value)| key.span() == *span || value.span() == *span)
                .map(|(key, _)| key.get_ref().to_string())?;
            table.remove(key.as_str());
            Some(key)
        }
        DeValue::Array(elements) => {
            if let Some(key) = elements.iter_mut().find_map(|element| take_out(element.get_mut(), span)) {
                return Some(key);
            }
            let at = elements.iter().position(|element| element.span() == *span)?;
            let kept = elements.iter().enumerate().filter(|(index, _)| *index != at);
            let mut rest = toml::de::DeArray::new();
            kept.for_each(|(_, element)| rest.push(element.clone()));
            *elements = rest;
            Some(format!("[{at}]"))
        }
        _ => None,
    }
}
