//! `[[device]]` and `[bus]`: machines of profiles, and the lines that they share.

use std::path::{Path, PathBuf};

use smol_str::SmolStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::configuration::{AdapterOptions, Configuration, DeviceDetails, Instance};
use super::guideway_toml::Reader;
use super::{fields, suggest};
use crate::profile::{self, Identity, Library, Told};
use crate::protocols::BusConfig;
use crate::reading::Value;

impl Reader<'_> {
    /// `[bus.NAME]`
    pub(super) fn buses(&mut self, value: &Value<'_>, configuration: &mut Configuration) {
        let DeValue::Table(buses) = value.get_ref() else {
            let cure = "write `[bus.NAME]` and its keys below";
            return self.document.error(value.span(), "`bus` is a table of lines", cure);
        };
        for (name, value) in buses {
            if let Some(bus) =
                self.document.section::<BusConfig>(&format!("bus {:?}", name.get_ref()), value, &[])
            {
                for issue in bus.check() {
                    let span = self.document.places.of(&format!("bus.{}.{}", name.get_ref(), issue.key));
                    let what = format!("bus {:?}: {}: {}", name.get_ref(), issue.key, issue.what);
                    self.document.error(span, what, "");
                }
                configuration.buses.insert(name.get_ref().to_string(), bus);
            }
        }
    }

    /// `[[device]]`
    pub(super) fn devices(&mut self, value: &Value<'_>, configuration: &mut Configuration) {
        let base = self.document.source.path().parent().unwrap_or(Path::new("")).to_owned();
        let folders = match configuration.model.profiles.as_slice() {
            [] => vec![PathBuf::from("device-profiles")],
            folders => folders.to_vec(),
        };
        let library = Library::new(folders.into_iter().map(|folder| base.join(folder)).collect());
        let gateway = configuration.gateway.name();
        let (mut details, mut machines) = (Vec::new(), Vec::new());
        self.tables("device", value, &mut details, |reader, label, value| {
            let DeValue::Table(table) = value.get_ref() else { return None };
            if !table.contains_key("profile") {
                return reader.plain(label, value);
            }
            let (details, machine) = reader.instance(label, value, table, &library, &base, &gateway)?;
            machines.extend(machine);
            Some(details)
        });
        for instance in &machines {
            if let Some(bus) = &instance.bus
                && !configuration.buses.contains_key(bus)
            {
                let cure = suggest::cure(bus, configuration.buses.keys().map(String::as_str));
                let label = format!("device {:?}", instance.options.name);
                self.document.error(value.span(), format!("{label}: there is no [bus.{bus}]"), cure);
            }
        }
        configuration.devices = details;
        configuration.machines = machines;
    }

    /// A device with a profile.
    fn instance(
        &mut self,
        label: &str,
        value: &Value<'_>,
        table: &DeTable<'_>,
        library: &Library,
        base: &Path,
        gateway: &str,
    ) -> Option<(DeviceDetails, Option<Instance>)> {
        let keys = fields::of::<DeviceDetails>();
        let (common, own): (DeTable<'_>, DeTable<'_>) =
            table.clone().into_iter().partition(|(key, _)| keys.contains(&&**key.get_ref()));
        let common = Spanned::new(value.span(), DeValue::Table(common));
        let details: DeviceDetails = self.document.section(label, &common, &[])?;
        let span_of = |key: &str| table.get(key).map_or(value.span(), Spanned::span);
        let profile = details.profile.as_deref().unwrap_or_default();
        let source = match library.find(profile, base) {
            Ok(source) => source,
            Err(missing) => {
                let what = format!("{label}: {}", missing.what);
                self.document.error(span_of("profile"), what, missing.cure);
                return Some((details, None));
            }
        };
        if !profile::is_token(&details.name) {
            let what = format!("{label}: name {:?} cannot be a device's name", details.name);
            self.document.error(span_of("name"), what, "write letters, digits, `_`, `-` and `.`");
        }
        let uuid = details.uuid.clone().unwrap_or_else(|| {
            let text = format!("urn:guideway:{gateway}:device:{}", details.name);
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, text.as_bytes()).to_string()
        });
        let written = profile::Instance {
            identity: Identity::new(&details.name, &uuid),
            address: details.address.clone(),
            address_span: span_of("address"),
            base: base.to_owned(),
            is_controlled: !details.commands.is_empty(),
            interfaces: Some(details.interfaces.keys().cloned().collect()),
            params: details.params.clone(),
            settings: own,
            told: Some(Told {
                source: self.document.source,
                span: span_of("params"),
                label: label.to_owned(),
            }),
        };
        let machine = profile::machine(&source, &written, self.document.findings);
        let Some(machine) = machine else { return Some((details, None)) };
        match (&details.address, &details.bus) {
            (None, None) => {
                let what = format!("{label}: nothing says where it is");
                self.document.error(value.span(), what, "add `address = \"HOST\"`, or `bus = \"NAME\"`");
            }
            (Some(_), Some(_)) => {
                let what = format!("{label}: it has an address and a bus");
                self.document.error(span_of("bus"), what, "keep one of them: the bus has the address");
            }
            (None, Some(_)) if machine.kind != "modbus" => {
                let what = format!("{label}: {} has no buses", machine.kind);
                self.document.error(span_of("bus"), what, "write `address = \"HOST\"`");
            }
            _ => {}
        }
        for command in &details.commands {
            if !machine.commands.contains_key(command) {
                let what = format!("{label}: the profile {} has no command `{command}`", machine.profile);
                let cure = suggest::cure(command, machine.commands.keys().map(SmolStr::as_str));
                self.document.error(span_of("commands"), what, cure);
            }
        }
        for (key, request) in &details.interfaces {
            let Some(answered) = machine.interfaces.get(key) else {
                let what = format!("{label}: the profile {} has no interface `{key}`", machine.profile);
                let cure = suggest::cure(key, machine.interfaces.keys().map(SmolStr::as_str));
                self.document.error(span_of("interfaces"), what, cure);
                continue;
            };
            if !details.commands.contains(&answered.command) {
                let command = &answered.command;
                let what = format!("{label}: interface `{key}` asks for `{command}`, which is not permitted");
                self.document.error(
                    span_of("interfaces"),
                    what,
                    format!("add it: commands = [\"{command}\"]"),
                );
            }
            if !matches!(request.rsplit_once(':'), Some((device, item)) if !device.is_empty() && !item.is_empty())
            {
                let what = format!("{label}: interface `{key}`: {request:?} names no data item");
                self.document.error(span_of("interfaces"), what, "write \"DEVICE:DATAITEM\"");
            }
        }
        let options = AdapterOptions {
            name: details.name.clone(),
            devices: machine.device.is_some().then(|| details.name.clone()).into_iter().collect(),
            // A profile's words are written as they are to be.
            upcase: machine.device.is_none(),
            auto_available: machine.follows_link.then_some(true),
            accept_device_model: machine.device.is_none(),
            ..AdapterOptions::default()
        };
        let (bus, commands) = (details.bus.clone(), details.commands.clone());
        let interfaces = details.interfaces.clone();
        Some((details, Some(Instance { machine, options, bus, commands, interfaces })))
    }
}
