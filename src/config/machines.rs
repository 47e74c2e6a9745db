//! The device model of a configuration, with what is wrong in it as findings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::configuration::{Configuration, DeviceDetails, UnknownDevice};
use super::finding::{Finding, Findings, Severity};
use super::places::Places;
use super::source::Source;
use super::suggest;
use crate::device_model::{self, DeviceModel, ModelError};
use crate::northbound::interfaces;

/// Reads the devices files and looks whether every adapter finds its devices in them.
pub(super) fn check(
    configuration: &Configuration,
    places: &Places,
    source: &Arc<Source>,
    findings: &mut Findings,
) {
    // Files that are missing have been told already, with their place in the configuration.
    if !configuration.model.devices.iter().all(|path| path.is_file()) {
        return;
    }
    let described = configuration.described();
    let nowhere = std::path::Path::new("");
    let model = match DeviceModel::load_with(&configuration.model_options(), nowhere, &described, None) {
        Ok(model) => model,
        Err(errors) => return errors_of(&errors).into_iter().for_each(|finding| findings.push(finding)),
    };
    errors_of(model.warnings()).into_iter().for_each(|finding| findings.push(finding));
    for (index, adapter) in configuration.adapters.shdr.iter().enumerate() {
        let path = places.path_of("adapter.shdr", index);
        for unknown in adapter.common.rules(&model).err().unwrap_or_default() {
            let (span, cure) = match &unknown {
                UnknownDevice::NoSuch(called) => {
                    let at = adapter.common.devices.iter().position(|device| device == called);
                    (places.of(&format!("{path}.devices[{}]", at.unwrap_or(0))), nearest(called, &model))
                }
                UnknownDevice::Undecided => (places.of(&path), nearest(&adapter.common.name, &model)),
            };
            findings.error(source, span, format!("adapter {:?}: {unknown}", adapter.common.name), cure);
        }
    }
    for (index, details) in configuration.devices.iter().enumerate() {
        if details.profile.is_none() && details.device_in(&model).is_none() {
            let span = places.of(&format!("{}.name", places.path_of("device", index)));
            let what = format!("device {:?}: there is no such device in the devices files", details.name);
            findings.error(source, span, what, nearest(&details.name, &model));
        }
    }
    fed(configuration, &model, places, source, findings);
    followed(configuration, &model, places, source, findings);
}

/// The REQUEST of every interface that a machine answers, where its device is known before it runs.
fn followed(
    configuration: &Configuration,
    model: &DeviceModel,
    places: &Places,
    source: &Arc<Source>,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for instance in &configuration.machines {
        let name = &instance.options.name;
        let index = configuration.devices.iter().position(|device| device.name == *name).unwrap_or(0);
        let span = places.of(&format!("{}.interfaces", places.path_of("device", index)));
        for (key, answered) in &instance.machine.interfaces {
            let Some(request) = instance.interfaces.get(key) else { continue };
            let mut error = |what: String, cure: &str| {
                findings.error(
                    source,
                    span.clone(),
                    format!("device {name:?}: interface `{key}`: {what}"),
                    cure,
                );
            };
            if !seen.insert(request) {
                error(format!("another one follows `{request}` too"), "a request is answered by one machine");
            }
            match interfaces::Followed::find(model, request, &answered.item_type) {
                Ok(_) => {}
                // A source that describes itself is not known yet.
                Err(missing)
                    if missing.may_come
                        && configuration.machines.iter().any(|it| it.machine.device.is_none()) => {}
                Err(missing) => error(missing.what, "write \"DEVICE:DATAITEM\", the requester's REQUEST"),
            }
        }
    }
}

/// A machine that nobody feeds stays UNAVAILABLE for ever.
fn fed(
    configuration: &Configuration,
    model: &DeviceModel,
    places: &Places,
    source: &Arc<Source>,
    findings: &mut Findings,
) {
    let adapters = &configuration.adapters.shdr;
    let machines = configuration.machines.iter().map(|instance| &instance.options);
    let sources: Vec<_> = adapters.iter().map(|adapter| &adapter.common).chain(machines).collect();
    let rules: Vec<_> = sources.iter().filter_map(|options| options.rules(model).ok()).collect();
    if rules.len() < sources.len() || sources.is_empty() {
        return;
    }
    let without: Vec<_> = model
        .devices()
        .iter()
        .filter(|device| !device.is_agent)
        .filter(|device| !rules.iter().any(|rules| rules.devices.contains(&device.index)))
        .map(|device| format!("`{}`", device.name))
        .collect();
    if !without.is_empty() {
        let what = format!("no adapter feeds {}", without.join(", "));
        let cure = "an adapter names them in `devices`, or they stay UNAVAILABLE";
        findings.warning(source, places.of("adapter"), what, cure);
    }
}

fn nearest(called: &str, model: &DeviceModel) -> String {
    let machines = || model.devices().iter().filter(|device| !device.is_agent);
    if let Some(nearest) = suggest::nearest(called, machines().map(|device| device.name.as_str())) {
        return format!("did you mean `{nearest}`?");
    }
    let names: Vec<_> = machines().take(20).map(|device| format!("`{}`", device.name)).collect();
    format!("name one of these in `devices`: {}", names.join(", "))
}

impl Configuration {
    /// The devices that profiles describe, as documents, each with the name that findings give it.
    pub fn described(&self) -> Vec<(PathBuf, String)> {
        let devices = self.machines.iter().filter_map(|instance| {
            let name = format!("{}: device {:?}", self.path.display(), instance.options.name);
            Some((PathBuf::from(name), instance.machine.device.clone()?))
        });
        devices.collect()
    }

    /// `[model]`, fit for sources that describe themselves: their ids are not ours to choose.
    pub fn model_options(&self) -> device_model::Options {
        let mut options = self.model.clone();
        if self.machines.iter().any(|instance| instance.machine.device.is_none()) {
            options.duplicate_ids = device_model::DuplicateIds::Prefix;
        }
        options
    }
}

impl DeviceDetails {
    /// The device in the model that is meant.
    pub fn device_in<'m>(&self, model: &'m DeviceModel) -> Option<&'m device_model::Device> {
        model.find_device(&self.name).filter(|device| !device.is_agent)
    }
}

/// Findings of the device model's loader, each with the line it is about.
pub fn errors_of(errors: &[ModelError]) -> Vec<Finding> {
    let mut sources: BTreeMap<PathBuf, Arc<Source>> = BTreeMap::new();
    let mut findings = Vec::new();
    for error in errors {
        let path = &error.position.file;
        let source = sources.entry(path.clone()).or_insert_with(|| {
            // The text is only wanted for the line to show; without it the place is named all the same.
            Arc::new(Source::new(path, std::fs::read_to_string(path).unwrap_or_default()))
        });
        let start = source.offset(error.position.line, error.position.column);
        let rest = &source.text()[start..];
        let length = rest.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(rest.len()).max(1);
        let severity = match error.severity {
            device_model::Severity::Warning => Severity::Warning,
            device_model::Severity::Error => Severity::Error,
        };
        let span = start..start.saturating_add(length);
        findings.push(Finding::new(severity, source, span, error.what.as_str(), error.cure.as_str()));
    }
    findings
}
