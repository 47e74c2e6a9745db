//! Asks the protocol itself whether it would take a point, so that a draft passes `guideway check`.

use std::sync::Arc;

use guideway_contract::{Issue, Period, PointSpec};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DraftPoint, Error};
use crate::protocols::{self, Settings};
use crate::reading::finding::Findings;
use crate::reading::{Document, Source};

/// Settings that points are tried on.
pub(super) struct Probe {
    settings: Box<dyn Settings>,
    taken: Vec<&'static str>,
}

impl Probe {
    /// With those settings that the protocol takes.
    pub(super) fn new(kind: &str, settings: &[(&'static str, String)]) -> Result<Self, Error> {
        let plain = || protocols::driver(kind).and_then(protocols::Driver::plain);
        let missing = || Error::new(format!("there is no protocol `{kind}` in this build"), "");
        let mut probe = Self { settings: plain().ok_or_else(missing)?, taken: Vec::new() };
        for (key, value) in settings {
            let text = format!("{key} = {value}");
            let Ok(table) = DeTable::parse(&text) else { continue };
            let Some(value) = table.get_ref().get(*key) else { continue };
            let before = probe.settings.issues().len();
            let set = probe.settings.set(&DeTable::new(), key, value);
            if set.is_ok() && probe.settings.issues().len() <= before {
                probe.taken.push(key);
            }
        }
        // Each was set alone: now all that are good together.
        let good: Vec<String> = settings
            .iter()
            .filter(|(key, _)| probe.taken.contains(key))
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let text = good.join("\n");
        if let (Ok(table), Some(mut together)) = (DeTable::parse(&text), plain()) {
            let table = table.into_inner();
            if let Some((key, value)) = table.iter().next()
                && together.set(&table, key.get_ref(), value).is_ok()
            {
                probe.settings = together;
            }
        }
        Ok(probe)
    }

    /// Whether a setting was good.
    pub(super) fn has_taken(&self, key: &str) -> bool {
        self.taken.contains(&key)
    }

    /// Everything wrong with a point.
    pub(super) fn issues(&mut self, point: &DraftPoint) -> Vec<Issue> {
        let data_type = if point.data_type.is_empty() { "auto" } else { &point.data_type };
        let data_type = match data_type.parse() {
            Ok(data_type) => data_type,
            Err(what) => return vec![Issue::new("type", what)],
        };
        let source = Arc::new(Source::new("tag", ""));
        let mut findings = Findings::default();
        let (mut document, _) = Document::open(&source, &mut findings);
        let own: Vec<String> = point.own.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let own = own.join("\n");
        let own = DeTable::parse(&own).map(Spanned::into_inner).unwrap_or_default();
        let own = Spanned::new(0..0, DeValue::Table(own));
        let spec = PointSpec {
            name: "tag".into(),
            address: point.address.as_str().into(),
            data_type,
            period: Period::Once,
            access: point.access,
            own: (),
        };
        let issues = self.settings.add_point(&mut document, "tag", &own, spec, &[]);
        issues.unwrap_or_else(|| vec![Issue::new("addr", "it cannot be written as a point")])
    }
}
