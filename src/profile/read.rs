//! From a profile's text and what an instance says to a machine: settings, device, mapping, commands.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guideway_contract::{Native, Period, PointSpec, duration};
use smol_str::SmolStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{Command, Head, Item, Point, Scalar};
use super::recording::Replay;
use super::{Identity, Instance, Machine, commands, interfaces, items, model, parameters, sample};
use crate::control::Definition;
use crate::device_model::{DeviceModel, Options, Severity};
use crate::pipeline::mapping::{Mapping, Parameters, PointRule};
use crate::protocols::{self, Settings};
use crate::reading::finding::Findings;
use crate::reading::{Document, Source, Value, fields, suggest};

/// How often points are read that name no group, where there is no group `default`.
const EVERY: Duration = Duration::from_secs(1);
/// A profile of more points or items is a mistake.
const MOST: usize = 50_000;

const ROOT: [&str; 5] = ["adapter", "points", "items", "commands", "interfaces"];

/// Reads a profile for one machine. What is wrong goes into `findings`; `None` when nothing can be made of it.
pub(super) fn read(
    source: &Arc<Source>,
    folder: &Path,
    instance: &Instance<'_, '_>,
    findings: &mut Findings,
) -> Option<Machine> {
    let before = findings.errors();
    let (document, mut root) = Document::open(source, findings);
    let mut reader = Reader {
        document,
        folder,
        points: Vec::new(),
        readable: Vec::new(),
        bits: Vec::new(),
        samples: Vec::new(),
    };
    let head = reader.head(&root)?;
    let values = reader.parameters(&head, instance);
    let mut unknown = Vec::new();
    let is_text = |name: &str| ["id", "vendor", "model", "description"].contains(&name);
    for (key, value) in root.iter_mut() {
        if !is_text(key.get_ref())
            && let DeValue::Table(table) = value.get_mut()
        {
            parameters::fill(table, &values, &mut unknown);
        }
    }
    for (span, name) in unknown {
        let cure = suggest::cure(&name, values.keys().map(SmolStr::as_str));
        reader.document.error(span, format!("there is no parameter `{name}`"), cure);
    }
    let machine = reader.machine(&root, &head, values, instance);
    let errors = reader.document.findings.errors();
    machine.filter(|_| errors == before)
}

struct Reader<'a> {
    document: Document<'a>,
    folder: &'a Path,
    /// Names of points, in order of their ids.
    points: Vec<SmolStr>,
    /// Whether each point is read.
    readable: Vec<bool>,
    bits: Vec<Option<u32>>,
    /// A value of each point's type, scaled.
    samples: Vec<Option<Native>>,
}

impl Reader<'_> {
    fn head(&mut self, root: &DeTable<'_>) -> Option<Head> {
        let entries = root.clone().into_iter().filter(|(key, _)| !ROOT.contains(&&**key.get_ref()));
        let table = Spanned::new(0..0, DeValue::Table(entries.collect()));
        let head: Head = self.document.section("profile", &table, &ROOT)?;
        if head.schema != 1 {
            let span = self.document.places.of("schema");
            let what = format!("schema {} is not known to this gateway", head.schema);
            self.document.error(span, what, "write `schema = 1`");
        }
        if head.version.split('.').count() != 3
            || head.version.split('.').any(|part| part.parse::<u32>().is_err())
        {
            let span = self.document.places.of("version");
            self.document.error(
                span,
                format!("version {:?} is no version", head.version),
                "write it as \"1.0.0\"",
            );
        }
        Some(head)
    }

    fn parameters(&mut self, head: &Head, instance: &Instance<'_, '_>) -> BTreeMap<SmolStr, Native> {
        let mut values = BTreeMap::new();
        for (name, parameter) in &head.params {
            let given = instance.params.get(name);
            let Some(scalar) = given.or(parameter.default.as_ref()) else {
                let about =
                    if parameter.about.is_empty() { String::new() } else { format!(": {}", parameter.about) };
                let what = format!("the profile's parameter `{name}` has no default{about}");
                match &instance.told {
                    Some(place) => {
                        let cure = format!("write `params = {{ {name} = … }}`");
                        self.document.findings.error(place.source, place.span.clone(), what, cure);
                    }
                    // A profile alone is looked at with something in the place of what instances have to say.
                    None => {
                        values.insert(name.clone(), commands::sample(parameter));
                    }
                }
                continue;
            };
            match parameters::value_of(parameter, scalar) {
                Ok(value) => {
                    values.insert(name.clone(), value);
                }
                Err(what) => match (&instance.told, given) {
                    (Some(place), Some(_)) => {
                        let what = format!("params.{name}: {what}");
                        self.document.findings.error(place.source, place.span.clone(), what, "");
                    }
                    _ => {
                        let span = self.document.places.of(&format!("params.{name}.default"));
                        self.document.error(span, format!("the default of `{name}`: {what}"), "");
                    }
                },
            }
        }
        if let Some(place) = &instance.told {
            for name in instance.params.keys().filter(|name| !head.params.contains_key(*name)) {
                let what = format!("the profile has no parameter `{name}`");
                let cure = suggest::cure(name, head.params.keys().map(SmolStr::as_str));
                self.document.findings.error(place.source, place.span.clone(), what, cure);
            }
        }
        values
    }

    fn machine(
        &mut self,
        root: &DeTable<'_>,
        head: &Head,
        values: BTreeMap<SmolStr, Native>,
        instance: &Instance<'_, '_>,
    ) -> Option<Machine> {
        let (kind, mut settings, adapter) = self.adapter(root)?;
        let replay = self.instance(&mut *settings, &adapter, instance);
        let driver = protocols::driver(&kind)?;
        let groups = self.groups(head);
        let mut rules = Vec::new();
        for (key, value) in in_order(table(root, "points")) {
            if let Some(rule) = self.point(driver, &mut *settings, &groups, key, value) {
                rules.push(rule);
            }
        }
        let mut written = Vec::new();
        for (key, value) in in_order(table(root, "items")) {
            let label = format!("item {key:?}");
            if !model::is_token(key) {
                let span = self.document.places.of(&format!("items.{key}"));
                let cure = "write letters, digits, `_`, `-` and `.`";
                self.document.error(span, format!("{label}: this cannot be an id"), cure);
            } else if let Some(item) = self.document.section::<Item>(&label, value, &[]) {
                written.push((SmolStr::new(key), item));
            }
        }
        let parameters = Parameters::new(values.into_iter().collect());
        let told = self.document.findings.errors();
        let mut compiler = items::Compiler {
            document: &mut self.document,
            folder: self.folder,
            head,
            identity: &instance.identity,
            kind: &kind,
            parameters: &parameters,
            points: &self.points,
            readable: &self.readable,
            bits: &self.bits,
            samples: &self.samples,
        };
        let mut compiled = Vec::new();
        let mut follows_link = false;
        for (key, item) in &written {
            follows_link |= item.value.as_deref().map(str::trim) == Some("link");
            compiled.extend(compiler.item(key, item));
        }
        let commands = self.commands(root, &*settings, &parameters, &written, &instance.identity);
        let has_own_model = !written.is_empty();
        let count = written.len();
        let answered = in_order(table(root, "interfaces"));
        let answered = interfaces::read(&mut self.document, &answered, &commands, &mut written, instance);
        let (xml, lines) = model::document(head, &instance.identity, &written, instance.is_controlled);
        // What is wrong with items has been told in the profile's own words.
        if has_own_model && self.document.findings.errors() == told {
            self.judge(&xml, &lines, &written);
        }
        Some(Machine {
            profile: head.id.clone(),
            version: head.version.clone(),
            kind,
            identity: instance.identity.clone(),
            settings: settings.into(),
            about: head.description.clone(),
            items: count,
            replay,
            device: has_own_model.then_some(xml),
            follows_link,
            mapping: Arc::new(Mapping::new(rules, compiled)),
            parameters: Arc::new(parameters),
            commands,
            interfaces: answered,
        })
    }

    fn commands(
        &mut self,
        root: &DeTable<'_>,
        settings: &dyn Settings,
        parameters: &Parameters,
        items: &[(SmolStr, Item)],
        identity: &Identity,
    ) -> BTreeMap<SmolStr, Arc<Definition>> {
        let written = in_order(table(root, "commands"));
        for (key, _) in items {
            if !written.is_empty() && commands::RESERVED.contains(&key.as_str()) {
                let span = self.document.places.of(&format!("items.{key}"));
                let what = format!("item {key:?}: the gateway's own items for commands are called so");
                self.document.error(span, what, "take another key");
            }
        }
        let accesses = settings.accesses();
        let mut definitions = BTreeMap::new();
        for (key, value) in written {
            let label = format!("command {key:?}");
            let Some(command) = self.document.section::<Command>(&label, value, &[]) else { continue };
            let mut compiler = commands::Compiler {
                document: &mut self.document,
                identity,
                parameters,
                points: &self.points,
                accesses: &accesses,
                items,
            };
            if let Some(definition) = compiler.command(key, &command) {
                definitions.insert(SmolStr::new(key), definition);
            }
        }
        definitions
    }

    fn adapter<'i>(&mut self, root: &DeTable<'i>) -> Option<(SmolStr, Box<dyn Settings>, DeTable<'i>)> {
        let Some(value) = root.get("adapter") else {
            let cure = "write `[adapter]` with `kind = \"modbus\"` or another protocol below";
            self.document.error(0..0, "the profile has no [adapter]", cure);
            return None;
        };
        let DeValue::Table(adapter) = value.get_ref() else {
            self.document.error(value.span(), "`adapter` is a table", "write `[adapter]` and its keys below");
            return None;
        };
        let kinds = || protocols::DRIVERS.iter().map(|driver| driver.kind());
        let kind =
            adapter.get("kind").and_then(|kind| Some((kind.get_ref().as_str()?.to_owned(), kind.span())));
        let Some((kind, span)) = kind else {
            let all: Vec<_> = kinds().collect();
            self.document.error(
                value.span(),
                "[adapter] has no `kind`",
                format!("one of {}", all.join(", ")),
            );
            return None;
        };
        let Some(driver) = protocols::driver(&kind) else {
            let cure = match kind.as_str() {
                "focas" => "this gateway was built without it: build with `--features focas` (docs/focas.md)"
                    .to_owned(),
                kind => suggest::cure(kind, kinds().collect::<Vec<_>>()),
            };
            self.document.error(span, format!("there is no protocol `{kind}`"), cure);
            return None;
        };
        let mut own = adapter.clone();
        own.remove("kind");
        let settings = driver.read(
            &mut self.document,
            "[adapter]",
            &Spanned::new(value.span(), DeValue::Table(own.clone())),
        )?;
        for issue in settings.issues() {
            let span = self.document.places.of(&format!("adapter.{}", issue.key));
            self.document.error(span, format!("[adapter]: {}: {}", issue.key, issue.what), "");
        }
        Some((kind.into(), settings, own))
    }

    /// What the instance says, put over what the profile says.
    ///
    /// Gives the recording that is to be played in the machine's place.
    fn instance(
        &mut self,
        settings: &mut dyn Settings,
        adapter: &DeTable<'_>,
        instance: &Instance<'_, '_>,
    ) -> Option<Replay> {
        let address = instance.address.as_deref();
        let mut merged = adapter.clone();
        for (key, value) in &instance.settings {
            let name: &str = key.get_ref();
            match settings.set(&merged, name, value) {
                Ok(()) => drop(merged.insert(key.clone(), value.clone())),
                Err((what, cure)) => {
                    let is_key = what.starts_with("unknown key");
                    let span = if is_key { key.span() } else { value.span() };
                    self.tell(instance, span, &what, cure);
                }
            }
        }
        let (replay, told) = match address.and_then(|address| Replay::parse(address, &instance.base)) {
            Some(Ok(replay)) => (Some(replay), Ok(())),
            Some(Err(what)) => (None, Err(what)),
            None => (None, address.map_or(Ok(()), |address| settings.set_address(address))),
        };
        if let Err(what) = told {
            self.tell(instance, instance.address_span.clone(), &format!("address: {what}"), String::new());
        }
        if !instance.settings.is_empty() {
            for issue in settings.issues() {
                let at = instance.settings.iter().find(|(key, _)| &**key.get_ref() == issue.key);
                let span = at.map_or(instance.address_span.clone(), |(_, value)| value.span());
                self.tell(instance, span, &format!("{}: {}", issue.key, issue.what), String::new());
            }
        }
        replay
    }

    /// Something wrong with what the instance says: told where it is written, if it is written anywhere.
    fn tell(&mut self, instance: &Instance<'_, '_>, span: Range<usize>, what: &str, cure: String) {
        match &instance.told {
            Some(place) => {
                let what = format!("{}: {what}", place.label);
                self.document.findings.error(place.source, span, what, cure);
            }
            None => self.document.error(0..0, what, cure),
        }
    }

    fn groups(&mut self, head: &Head) -> BTreeMap<SmolStr, Period> {
        let mut groups = BTreeMap::new();
        for (name, text) in &head.groups {
            let period = match text.as_str() {
                "connect" => Some(Period::Once),
                text => duration::parse(text).filter(|period| !period.is_zero()).map(Period::Every),
            };
            match period {
                Some(period) => drop(groups.insert(name.clone(), period)),
                None => {
                    let span = self.document.places.of(&format!("groups.{name}"));
                    let what = format!("group `{name}`: {text:?} is no period");
                    self.document.error(span, what, "write a duration such as \"500ms\", or \"connect\"");
                }
            }
        }
        groups
    }

    fn point(
        &mut self,
        driver: &dyn protocols::Driver,
        settings: &mut dyn Settings,
        groups: &BTreeMap<SmolStr, Period>,
        key: &str,
        value: &Value<'_>,
    ) -> Option<PointRule> {
        let label = format!("point {key:?}");
        let path = format!("points.{key}");
        if self.points.len() >= MOST {
            self.document.error(value.span(), format!("more than {MOST} points"), "use several profiles");
            return None;
        }
        if !is_identifier(key) {
            let span = self.document.places.of(&path);
            let cure = "expressions name points: write letters, digits and `_`, a letter first";
            self.document.error(span, format!("{label} cannot be named in expressions"), cure);
            return None;
        }
        let DeValue::Table(table) = value.get_ref() else {
            self.document.error(value.span(), format!("{label} is a table"), "write `{ addr = … }`");
            return None;
        };
        let common_keys = fields::of::<Point>();
        let (common, own): (DeTable<'_>, DeTable<'_>) =
            table.clone().into_iter().partition(|(key, _)| common_keys.contains(&&**key.get_ref()));
        let within = |table| Spanned::new(value.span(), DeValue::Table(table));
        let common: Option<Point> = self.document.section(&label, &within(common), driver.point_keys());
        let own = within(own);
        let common = common.unwrap_or_default();
        let period = match &common.group {
            None => groups.get("default").copied().unwrap_or(Period::Every(EVERY)),
            Some(group) => groups.get(group).copied().unwrap_or_else(|| {
                let span = self.document.places.of(&format!("{path}.group"));
                let cure = suggest::cure(group, groups.keys().map(SmolStr::as_str));
                self.document.error(span, format!("{label}: there is no group `{group}`"), cure);
                Period::Every(EVERY)
            }),
        };
        for (name, number) in [("scale", common.scale), ("offset", common.offset)] {
            if number.is_some_and(|number| !number.is_finite() || (name == "scale" && number == 0.0)) {
                let span = self.document.places.of(&format!("{path}.{name}"));
                self.document.error(
                    span,
                    format!("{label}: {name} cannot be used"),
                    "write a number that is not 0",
                );
            }
        }
        let spec = PointSpec {
            name: key.into(),
            address: common.addr.clone(),
            data_type: common.data_type,
            period,
            access: common.access,
            own: (),
        };
        let issues = settings.add_point(&mut self.document, &label, &own, spec, common_keys)?;
        for issue in issues {
            let span = self.document.places.of(&format!("{path}.{}", issue.key));
            self.document.error(span, format!("{label}: {}", issue.what), "");
        }
        for invalid in common.invalid.iter().filter_map(|scalar| scalar.native().number()) {
            if let Some((least, most)) = sample::range(common.data_type)
                && !(least..=most).contains(&invalid)
            {
                let span = self.document.places.of(&format!("{path}.invalid"));
                let what = format!("{label}: {} is never {invalid}", common.data_type);
                let twin = invalid - (most - least + 1.0);
                let cure = match (least..=most).contains(&twin) {
                    true => format!("those bits are {twin} in this type"),
                    false => format!("it holds {least} to {most}"),
                };
                self.document.error(span, what, cure);
            }
        }
        let rule = PointRule {
            name: key.into(),
            scale: common.scale,
            offset: common.offset,
            invalid: common.invalid.iter().map(Scalar::native).collect(),
        };
        self.points.push(key.into());
        self.readable.push(common.access.reads());
        self.bits.push(common.data_type.bits());
        self.samples.push(sample::value(common.data_type).map(|value| rule.apply(value)));
        Some(rule)
    }

    /// What the device model's loader says of the device, told at the items it is about.
    fn judge(&mut self, xml: &str, lines: &BTreeMap<u32, usize>, items: &[(SmolStr, Item)]) {
        let sources = [(PathBuf::from("device"), xml.to_owned())];
        let options = Options { agent_device: false, ..Options::default() };
        let told = match DeviceModel::from_xml(&sources, &options, None) {
            Ok(model) => model.warnings().to_vec(),
            Err(errors) => errors,
        };
        for error in told {
            let item = lines.get(&error.position.line).and_then(|index| items.get(*index));
            let (label, place) = match item {
                Some((key, _)) => (format!("item {key:?}"), format!("items.{key}")),
                None => ("the device".to_owned(), "items".to_owned()),
            };
            let span = self.document.places.of(&place);
            let what = format!("{label}: {}", error.what);
            match error.severity {
                Severity::Error => self.document.error(span, what, error.cure),
                Severity::Warning => self.document.warning(span, what, error.cure),
            }
        }
    }
}

/// Whether expressions have another meaning for a name.
pub(super) fn is_reserved(name: &str) -> bool {
    ["params", "item", "args", "true", "false", "null", "in", "link"].contains(&name)
}

/// A name that CEL takes for a variable.
fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !is_reserved(text)
}

fn table<'t, 'i>(root: &'t DeTable<'i>, name: &str) -> Option<&'t DeTable<'i>> {
    match root.get(name)?.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// The entries of a table in the order in which they are written.
fn in_order<'t, 'i>(table: Option<&'t DeTable<'i>>) -> Vec<(&'t str, &'t Value<'i>)> {
    let mut entries: Vec<(Range<usize>, &str, &Value<'i>)> =
        table.into_iter().flatten().map(|(key, value)| (key.span(), &**key.get_ref(), value)).collect();
    entries.sort_by_key(|(span, ..)| span.start);
    entries.into_iter().map(|(_, key, value)| (key, value)).collect()
}

/// Who a machine is, made of its name.
pub(super) fn identity(name: &str, uuid: &str) -> Identity {
    // An id is an XML NCName: no digit first, no spaces.
    let mut id: String =
        name.chars().map(|c| if c.is_alphanumeric() || "_-.".contains(c) { c } else { '_' }).collect();
    if !id.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        id.insert(0, 'd');
    }
    Identity { id: id.into(), name: name.into(), uuid: uuid.into() }
}
