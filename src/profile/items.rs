//! A profile's items, compiled into rules of the mapping.

use std::path::Path;
use std::sync::Arc;

use guideway_contract::{Native, duration};
use smol_str::{SmolStr, format_smolstr};

use super::file::{Field, Head, Item, Row, Switch, Table};
use super::{Identity, model, table};
use crate::device_model::{SchemaVersion, vocabulary};
use crate::pipeline::mapping::{
    Alarm, ConditionRule, Entry, Enumeration, Expression, How, ItemRule, Parameters, Part, Template,
};
use crate::pipeline::units::Conversion;
use crate::reading::{Document, suggest};

/// What items are compiled with.
pub(super) struct Compiler<'c, 'd> {
    pub(super) document: &'c mut Document<'d>,
    pub(super) folder: &'c Path,
    pub(super) head: &'c Head,
    pub(super) identity: &'c Identity,
    pub(super) kind: &'c str,
    pub(super) parameters: &'c Parameters,
    pub(super) points: &'c [SmolStr],
    pub(super) readable: &'c [bool],
    /// How many bits each point has; `None` where it has none, or nobody knows.
    pub(super) bits: &'c [Option<u32>],
    /// A value of each point's type; `None` where only the machine knows the type.
    pub(super) samples: &'c [Option<Native>],
}

/// The keys that say where a value comes from.
const WAYS: [&str; 6] = ["from", "value", "bits", "condition", "entries", "shdr"];

impl Compiler<'_, '_> {
    /// The rule of an item; `None` for one that needs none (SHDR, the connection) or that is wrong, which is told.
    pub(super) fn item(&mut self, key: &str, item: &Item) -> Option<ItemRule> {
        let told = self.document.findings.errors();
        self.place(key, item);
        let how = self.how(key, item);
        let when = item.when.as_ref().and_then(|text| self.expression(key, "when", text));
        (self.document.findings.errors() == told).then_some(())?;
        Some(ItemRule { id: model::item_id(self.identity, key), how: how?, when })
    }

    fn error(&mut self, key: &str, field: &str, what: impl std::fmt::Display, cure: impl Into<String>) {
        let span = self.document.places.of(&format!("items.{key}.{field}"));
        self.document.error(span, format!("item {key:?}: {what}"), cure);
    }

    /// Where it stands in the device, and what it is.
    fn place(&mut self, key: &str, item: &Item) {
        if let Err(what) = model::path(&item.at) {
            self.error(key, "at", format!("at: {what}"), "");
        }
        let (item_type, sub_type) = model::type_of(item);
        if item_type.is_empty() {
            return self.error(key, "type", "`type` is missing", "add `type = \"POSITION.ACTUAL\"`");
        }
        let known = vocabulary::data_item_type(item_type);
        if known.is_none() && !item_type.contains(':') {
            let types = vocabulary::data_item_types().iter().map(|facts| facts.name);
            let cure = match suggest::nearest(item_type, types) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "write one of MTConnect's, or `x:TYPE` for one of your own".to_owned(),
            };
            self.error(key, "type", format!("`{item_type}` is no type of MTConnect"), cure);
        } else if model::category(item).is_none() {
            let cure = "add `category = \"SAMPLE\"`, \"EVENT\" or \"CONDITION\"";
            self.error(key, "type", format!("nobody knows the category of `{item_type}`"), cure);
        }
        if !sub_type.is_empty() && vocabulary::sub_type(sub_type).is_none() && !sub_type.contains(':') {
            self.error(
                key,
                "type",
                format!("`{sub_type}` is no sub-type of MTConnect"),
                "leave it out, or mend it",
            );
        }
        self.units(key, item);
        if let Some(period) = &item.period
            && duration::parse(period).is_none()
        {
            self.error(key, "period", format!("period {period:?} is no duration"), "write it as \"500ms\"");
        }
        if item.deadband.is_some_and(|band| !band.is_finite() || band < 0.0) {
            self.error(key, "deadband", "the deadband cannot be used", "write a number from 0 on");
        }
    }

    /// Units that the standard has, and that convert.
    fn units(&mut self, key: &str, item: &Item) {
        let (units, native) = (item.units.as_str(), item.native_units.as_str());
        if native.is_empty() || native == units || Conversion::between(native, units).is_some() {
            return;
        }
        if vocabulary::native_units(native).is_none() && !native.contains(':') {
            let cure = match suggest::nearest(native, vocabulary::unit_names()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "docs/profiles.md lists those that convert".to_owned(),
            };
            self.error(key, "native_units", format!("`{native}` are no units of MTConnect"), cure);
        } else if units.is_empty() {
            self.error(key, "native_units", "`native_units` need `units` to convert to", "add `units`");
        } else {
            let what = format!("{native} do not convert to {units}");
            self.error(key, "native_units", what, "scale the point, or compute `value`, instead");
        }
    }

    /// Words that the standard's vocabulary has not are told: such a value is of quality INVALID.
    fn vocabulary(&mut self, key: &str, item: &Item, words: &Enumeration) {
        let Some(facts) = vocabulary::data_item_type(model::type_of(item).0) else { return };
        if model::category(item) == Some("CONDITION") {
            return;
        }
        for word in words.words.values().chain(&words.otherwise) {
            if !facts.allows(word, SchemaVersion::NEWEST) {
                let all: Vec<&str> = facts.values.iter().map(|(word, _)| *word).collect();
                let span = self.document.places.of(&format!("items.{key}.enum"));
                let what = format!("item {key:?}: {} has no word `{word}`", facts.name);
                self.document.warning(span, what, suggest::cure(word, all));
            }
        }
    }

    fn how(&mut self, key: &str, item: &Item) -> Option<How> {
        let there = [
            item.from.is_some(),
            item.value.is_some(),
            item.bits.is_some(),
            item.condition.is_some(),
            item.entries.is_some(),
            item.shdr.is_some(),
        ];
        let ways: Vec<&str> =
            WAYS.iter().zip(there).filter(|(_, there)| *there).map(|(way, _)| *way).collect();
        match ways.as_slice() {
            [_] => {}
            [] => {
                let cure = format!("add one of {}", WAYS.join(", "));
                self.error(key, "type", "nothing says where its value comes from", cure);
                return None;
            }
            several => {
                let what = format!("{} say where its value comes from", several.join(" and "));
                self.error(key, several[1], what, "keep one of them");
                return None;
            }
        }
        for (field, there, with) in [
            ("field", item.field.is_some() && item.from.is_none(), "from"),
            ("rate", item.rate.is_some() && item.from.is_none() && item.shdr.is_none(), "from"),
            ("table", item.table.is_some() && item.bits.is_none(), "bits"),
        ] {
            if there {
                self.error(key, field, format!("`{field}` belongs to `{with}`"), "take it away");
            }
        }
        if item.shdr.is_some() {
            if self.kind != "shdr" {
                self.error(
                    key,
                    "shdr",
                    format!("{} has no SHDR keys", self.kind),
                    "write `from = \"POINT\"`",
                );
            }
            return None;
        }
        let words = match &item.words {
            Some(name) => Some(self.words(key, name)?),
            None => None,
        };
        if let Some(words) = &words {
            self.vocabulary(key, item, words);
        }
        if let Some(name) = &item.from {
            let point = self.point(key, "from", name)?;
            let part = item.field.as_ref().map(|field| match field {
                Field::Index(index) => Part::Index(*index),
                Field::Name(name) => Part::Field(name.clone()),
            });
            return Some(How::Point { point, part, words, rate: item.rate });
        }
        if let Some(text) = &item.value {
            if text.trim() == "link" {
                if model::type_of(item).0 != "AVAILABILITY" {
                    self.error(key, "value", "only an AVAILABILITY follows the link", "write an expression");
                }
                return None;
            }
            let expression = self.expression(key, "value", text)?;
            return Some(How::Expression { expression, words });
        }
        if let Some(entries) = &item.entries {
            let mut compiled = Vec::new();
            for (name, text) in entries {
                compiled.push((name.clone(), self.expression(key, "entries", text)?));
            }
            return Some(How::Entries(compiled));
        }
        if let Some(switches) = &item.condition {
            let mut rules = Vec::new();
            for (place, switch) in (1_u32..).zip(switches) {
                rules.push(self.switch(key, place, switch)?);
            }
            return Some(How::Conditions(rules));
        }
        let point = self.point(key, "bits", item.bits.as_ref()?)?;
        let rows = match &item.table {
            Some(Table::Rows(rows)) => rows.clone(),
            Some(Table::File(file)) => match table::read(&self.folder.join(file)) {
                Ok(rows) => rows,
                Err(what) => {
                    self.error(key, "table", what, "");
                    return None;
                }
            },
            None => {
                self.error(
                    key,
                    "bits",
                    "`table` is missing",
                    "add `table = [{ bit = 0, level = \"FAULT\", … }]`",
                );
                return None;
            }
        };
        let mut alarms = Vec::new();
        for row in &rows {
            if let Some(bits) = self.bits[point as usize].filter(|bits| row.bit >= *bits) {
                let what = format!("there is no bit {}: the point has {bits}, counted from 0", row.bit);
                self.error(key, "table", what, "mend the number, or give the point a wider type");
            }
            alarms.push(self.alarm(key, row)?);
        }
        Some(How::Bits { point, alarms })
    }

    fn switch(&mut self, key: &str, place: u32, switch: &Switch) -> Option<ConditionRule> {
        let when = self.expression(key, "condition", &switch.when)?;
        let own = format!("{place}");
        let code = self.template(key, "condition", switch.code.as_ref().unwrap_or(&own))?;
        let text = self.template(key, "condition", &switch.text)?;
        let entry = Entry {
            level: switch.level.into(),
            code,
            severity: switch.severity.clone(),
            qualifier: switch.qualifier.map(Into::into),
            text,
        };
        Some(ConditionRule { when, entry })
    }

    fn alarm(&mut self, key: &str, row: &Row) -> Option<Alarm> {
        let own = format_smolstr!("{}", row.bit);
        let code = self.template(key, "table", row.code.as_deref().unwrap_or(&own))?;
        let text = self.template(key, "table", &row.text)?;
        let (level, severity) = (row.level.into(), row.severity.clone());
        let entry = Entry { level, code, severity, qualifier: None, text };
        Some(Alarm { bit: row.bit, inverted: row.inverted, entry })
    }

    fn words(&mut self, key: &str, name: &SmolStr) -> Option<Arc<Enumeration>> {
        let Some(words) = self.head.enums.get(name) else {
            let cure = suggest::cure(name, self.head.enums.keys().map(SmolStr::as_str));
            self.error(key, "enum", format!("there is no enum `{name}`"), cure);
            return None;
        };
        let otherwise = words.get("_").cloned();
        let words =
            words.iter().filter(|(raw, _)| *raw != "_").map(|(raw, word)| (raw.clone(), word.clone()));
        Some(Arc::new(Enumeration { name: name.clone(), words: words.collect(), otherwise }))
    }

    fn point(&mut self, key: &str, field: &str, name: &SmolStr) -> Option<u32> {
        match (0_u32..).zip(self.points).find(|(_, known)| *known == name) {
            Some((index, _)) if !self.readable[index as usize] => {
                self.error(
                    key,
                    field,
                    format!("the point `{name}` is only written"),
                    "give it access = \"rw\"",
                );
                None
            }
            Some((index, _)) => Some(index),
            None => {
                let cure = suggest::cure(name, self.points.iter().map(SmolStr::as_str).collect::<Vec<_>>());
                self.error(key, field, format!("there is no point `{name}`"), cure);
                None
            }
        }
    }

    fn expression(&mut self, key: &str, field: &str, text: &str) -> Option<Expression> {
        let (points, readable) = (self.points, self.readable);
        let point = |name: &str| {
            let found = (0_u32..).zip(points).find(|(_, known)| *known == name).map(|(index, _)| index);
            found.filter(|index| readable[*index as usize])
        };
        match Expression::compile(text, self.parameters, point) {
            Ok(expression) => {
                // Types that do not go together are found by a trial; what only depends on values is not.
                if let Err(what) = expression.evaluate(|point| self.samples.get(point as usize)?.as_ref())
                    && what.contains("CEL does not mix")
                {
                    self.error(key, field, format!("{field}: {what} in `{text}`"), "");
                }
                Some(expression)
            }
            Err(what) => {
                self.error(key, field, format!("{field}: {what} in `{text}`"), "");
                None
            }
        }
    }

    fn template(&mut self, key: &str, field: &str, text: &str) -> Option<Template> {
        let points = self.points;
        let point =
            |name: &str| (0_u32..).zip(points).find(|(_, known)| *known == name).map(|(index, _)| index);
        match Template::compile(text, self.parameters, point) {
            Ok(template) => Some(template),
            Err(what) => {
                self.error(key, field, format!("{field}: {what} in `{text}`"), "");
                None
            }
        }
    }
}
