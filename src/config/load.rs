//! From a file to a configuration, and from a configuration to its device model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::configuration::{Configuration, Gateway};
use super::finding::{Finding, Findings, Report, Severity};
use super::format::{self, Format};
use super::places::Places;
use super::source::{MAX_BYTES, Source};
use super::{agent_cfg, guideway_toml, machines, paths, validate};

/// Reads a configuration of either format, with the warnings that go with it. The devices files are
/// not read; see [`check`].
///
/// # Errors
/// Everything that was found, when an error is among it.
pub fn load(path: &Path) -> Result<(Configuration, Vec<Finding>), Vec<Finding>> {
    match text_of(path) {
        Ok(text) => load_text(path, text),
        Err((what, cure)) => {
            let nothing = Arc::new(Source::new(path, ""));
            Err(vec![Finding::new(Severity::Error, &nothing, 0..0, what, cure)])
        }
    }
}

/// Reads a configuration that is in memory already, as if it were in the file `path`.
///
/// # Errors
/// As [`load`].
pub fn load_text(
    path: &Path,
    text: impl Into<String>,
) -> Result<(Configuration, Vec<Finding>), Vec<Finding>> {
    let mut findings = Findings::default();
    let configuration = read(&Arc::new(Source::new(path, text)), &mut findings);
    match configuration {
        Some((configuration, _)) if findings.errors() == 0 => Ok((configuration, findings.sorted())),
        _ => Err(findings.sorted()),
    }
}

/// Reads a configuration and the devices files that it names, and tells everything that was found.
/// Does not touch the network.
pub fn check(path: &Path) -> Report {
    let mut findings = Findings::default();
    match text_of(path) {
        Ok(text) => {
            let source = Arc::new(Source::new(path, text));
            if let Some((configuration, places)) = read(&source, &mut findings) {
                machines::check(&configuration, &places, &source, &mut findings);
            }
        }
        Err((what, cure)) => findings.error(&Arc::new(Source::new(path, "")), 0..0, what, cure),
    }
    Report { findings: findings.sorted() }
}

/// What the panic switch needs of a configuration, which may be wrong in any other respect: `[gateway]`, and
/// `off_file` of `[control]`. Whoever stops the machines has not always the gateway's environment, nor the time to
/// mend what somebody else has just written.
///
/// # Errors
/// Why the data directory is not known.
pub fn load_for_switch(path: &Path) -> Result<(Gateway, Option<PathBuf>), String> {
    let text = text_of(path).map_err(|(what, _)| what)?;
    let source = Arc::new(Source::new(path, text));
    let mut findings = Findings::default();
    let Some((configuration, places)) = read(&source, &mut findings) else {
        return Err(format!("`{}` is no configuration", path.display()));
    };
    let gateway = configuration.gateway;
    let off_file = configuration.control.and_then(|control| control.off_file);
    let at = "gateway.data_dir";
    let lost = places.has(at) && gateway.data_dir.is_none();
    let unset = gateway.data_dir.as_ref().is_some_and(|folder| folder.to_string_lossy().contains('$'));
    if lost || unset {
        let written = source.text().get(places.of(at)).unwrap_or_default();
        return Err(format!("`{}`: data_dir = {written} cannot be made out here", path.display()));
    }
    Ok((gateway, off_file))
}

fn read(source: &Arc<Source>, findings: &mut Findings) -> Option<(Configuration, Places)> {
    let folder = source.path().parent().unwrap_or(Path::new(""));
    let (mut configuration, places) = match format::of(source) {
        Ok(Format::Toml) => guideway_toml::read(source, findings),
        Ok(Format::AgentCfg) => {
            let (mut configuration, places) = agent_cfg::read(source, findings);
            agent_cfg::find_devices(&mut configuration, folder);
            (configuration, places)
        }
        Err((what, cure)) => {
            findings.error(source, 0..0, what, cure);
            return None;
        }
    };
    let has_profiles = configuration.devices.iter().any(|device| device.profile.is_some());
    if configuration.model.devices.is_empty() && !has_profiles {
        configuration.model.devices.push(PathBuf::from("Devices.xml"));
    }
    for adapter in &mut configuration.adapters.shdr {
        adapter.settle_name(adapter.config.endpoint().trim_start_matches("shdr://").to_owned());
    }
    // The faces look for `$NAME` in their secrets once more, and must not find another one in
    // what has been put in for the first.
    let control =
        configuration.control_mqtt.iter_mut().flat_map(|mqtt| [&mut mqtt.username, &mut mqtt.password]);
    let secrets = configuration.mqtt.iter_mut().flat_map(|mqtt| [&mut mqtt.username, &mut mqtt.password]);
    for secret in secrets.chain(control) {
        if let Some(secret) = secret.as_mut().filter(|secret| secret.starts_with('$')) {
            secret.insert(0, '$');
        }
    }
    paths::anchor(&mut configuration, folder);
    configuration.path = source.path().to_path_buf();
    validate::validate(&configuration, &places, source, findings);
    Some((configuration, places))
}

fn text_of(path: &Path) -> Result<String, (String, String)> {
    let shown = path.display();
    let cannot = |error: &std::io::Error| {
        let cure = match error.kind() {
            std::io::ErrorKind::NotFound => "`guideway demo` runs without one",
            std::io::ErrorKind::PermissionDenied => "let the gateway's user read it",
            _ => "",
        };
        (format!("cannot read `{shown}`: {error}"), cure.to_owned())
    };
    let metadata = std::fs::metadata(path).map_err(|error| cannot(&error))?;
    if metadata.is_dir() {
        return Err((format!("`{shown}` is a folder"), "name the file in it".to_owned()));
    }
    if metadata.len() > MAX_BYTES {
        let what = format!("`{shown}` has {} bytes, more than any configuration", metadata.len());
        return Err((what, format!("at most {MAX_BYTES} bytes are read")));
    }
    let bytes = std::fs::read(path).map_err(|error| cannot(&error))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        (format!("`{shown}` is not UTF-8 in line {line}"), "save it as UTF-8".to_owned())
    })
}
