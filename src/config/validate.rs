//! What the types cannot say: ranges, names, addresses, files.

mod control;
mod faces;
mod opcua;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::configuration::Configuration;
use super::finding::Findings;
use super::places::Places;
use super::source::Source;

/// Puts what is wrong with a configuration into `findings`.
pub(super) fn validate(
    configuration: &Configuration,
    places: &Places,
    source: &Arc<Source>,
    findings: &mut Findings,
) {
    let mut check = Check { places, source, findings };
    check.gateway(configuration);
    check.model(configuration);
    check.journal(configuration);
    check.sources(configuration);
    check.mtconnect(&configuration.mtconnect);
    check.opcua(configuration);
    check.mqtt(&configuration.mqtt);
    check.control(configuration);
    check.control_mqtt(configuration);
    check.telemetry(configuration);
}

struct Check<'a> {
    places: &'a Places,
    source: &'a Arc<Source>,
    findings: &'a mut Findings,
}

impl Check<'_> {
    fn error(&mut self, path: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.findings.error(self.source, self.places.of(path), what, cure);
    }

    fn warning(&mut self, path: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.findings.warning(self.source, self.places.of(path), what, cure);
    }

    fn range<T: Copy + PartialOrd + std::fmt::Display>(
        &mut self,
        path: &str,
        name: &str,
        value: T,
        least: T,
        most: T,
    ) {
        if value < least || value > most {
            let cure = format!("write a number from {least} to {most}");
            self.error(path, format!("{name} {value} is out of range ({least}-{most})"), cure);
        }
    }

    fn at_least(&mut self, path: &str, name: &str, duration: Duration, least: Duration) {
        if duration < least {
            let least = format!("{}ms", least.as_millis());
            self.error(
                path,
                format!("{name} is shorter than {least}"),
                format!("write at least \"{least}\""),
            );
        }
    }

    /// A file that is to be read.
    fn file(&mut self, at: &str, name: &str, path: &Path) {
        let shown = path.display();
        if path.is_dir() {
            self.error(at, format!("{name}: `{shown}` is a folder"), "name a file in it");
        } else if !path.exists() {
            self.error(at, format!("{name}: there is no file `{shown}`"), relative(path, self.source.path()));
        } else if let Err(error) = std::fs::File::open(path) {
            let what = format!("{name}: cannot read `{shown}`: {error}");
            self.error(at, what, "let the gateway's user read it");
        }
    }

    /// The second and any further place where one name is used.
    fn twice<'n>(&mut self, kind: &str, names: impl Iterator<Item = (String, &'n str)>) {
        let mut seen: BTreeMap<&str, String> = BTreeMap::new();
        for (path, name) in names {
            if let Some(first) = seen.get(name) {
                let (line, _) = self.source.position(self.places.of(first).start);
                let what = format!("{kind} {name:?} is there twice, first in line {line}");
                self.error(&path, what, "give each a name of its own");
            } else {
                seen.insert(name, path);
            }
        }
    }

    fn gateway(&mut self, configuration: &Configuration) {
        let gateway = &configuration.gateway;
        if let Some(name) = &gateway.name {
            if name.trim().is_empty() {
                self.error("gateway.name", "[gateway]: name is empty", "write one, or take the line away");
            } else if let Some(sign) = name.chars().find(|c| c.is_control() || "/+#".contains(*c)) {
                let what = format!("[gateway]: name has a {sign:?} in it");
                self.error(
                    "gateway.name",
                    what,
                    "MQTT topics allow no `/`, `+`, `#` or control characters here",
                );
            }
        }
        if let Some(folder) = &gateway.data_dir
            && folder.exists()
            && !folder.is_dir()
        {
            let what = format!("[gateway]: data_dir `{}` is not a folder", folder.display());
            self.error("gateway.data_dir", what, "name a folder; it is made where it does not exist");
        }
        let least = Duration::from_millis(100);
        self.at_least(
            "gateway.shutdown_timeout",
            "[gateway]: shutdown_timeout",
            gateway.shutdown_timeout,
            least,
        );
        if let Some(file) = &configuration.log.file {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) {
                let what = format!("[log]: there is no folder for `{}`", file.display());
                self.error("log.file", what, "make the folder, or leave `file` out for standard error");
            }
        }
    }

    fn model(&mut self, configuration: &Configuration) {
        let mut seen = BTreeSet::new();
        for (index, path) in configuration.model.devices.iter().enumerate() {
            let at = format!("model.devices[{index}]");
            self.file(&at, "[model]: devices", path);
            if !seen.insert(path) {
                let what = format!("[model]: `{}` is named twice", path.display());
                self.error(&at, what, "name each file once");
            }
        }
    }

    fn journal(&mut self, configuration: &Configuration) {
        let journal = &configuration.journal;
        self.range("journal.buffer_size", "[journal]: buffer_size", journal.buffer_size, 1, 16_777_216);
        self.range("journal.max_assets", "[journal]: max_assets", journal.max_assets, 1, 10_000_000);
        let least = 1 << 20;
        if journal.retention_bytes < least {
            let what = format!("[journal]: retention_bytes {} B is less than 1 MiB", journal.retention_bytes);
            self.error("journal.retention_bytes", what, "write at least \"1 MiB\"");
        }
        let age = Duration::from_secs(1);
        self.at_least("journal.retention_age", "[journal]: retention_age", journal.retention_age, age);
        if !journal.durable {
            for mqtt in &configuration.mqtt {
                if mqtt.qos > 0 {
                    let what = "[journal]: without `durable`, what a broker has not acknowledged is lost in a restart";
                    self.warning("journal.durable", what, "leave `durable` at true to lose nothing");
                    break;
                }
            }
        }
    }

    fn telemetry(&mut self, configuration: &Configuration) {
        let Some(listen) = configuration.telemetry.listen else {
            if !configuration.mtconnect.enabled {
                let what = "neither /health nor /metrics is served: [mtconnect] is switched off";
                self.warning("telemetry", what, "write `[telemetry] listen = \"127.0.0.1:9464\"`");
            }
            return;
        };
        let face = &configuration.mtconnect;
        if face.enabled && listen.port() != 0 && listen.port() == face.port {
            let same =
                listen.ip() == face.address || listen.ip().is_unspecified() || face.address.is_unspecified();
            if same {
                let what = format!("[telemetry]: port {} is that of [mtconnect]", listen.port());
                self.error("telemetry.listen", what, "take another port, or leave `listen` out to share it");
            }
        }
    }
}

fn relative(path: &Path, configuration: &Path) -> String {
    if path.is_absolute() && configuration.is_relative() {
        return "mend the path, or make the file".to_owned();
    }
    let folder = configuration.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| "this folder".to_owned(), |folder| format!("`{}`", folder.display()));
    format!("mend the path, or make the file; paths are relative to {folder}")
}
