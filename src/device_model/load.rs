//! From devices files to a model.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use guideway_contract::Timestamp;

use super::assemble::{Parts, Sourced, assemble};
use super::element::Place;
use super::findings::Findings;
use super::{
    AgentInfo, DeviceModel, Element, ModelError, Namespace, Node, Options, SchemaVersion, Severity, source,
    tree,
};

impl DeviceModel {
    /// Reads the devices files of the configuration; paths are relative to `base`. All that is
    /// wrong is told at once; what is merely odd is found in [`DeviceModel::warnings`].
    ///
    /// # Errors
    /// All findings, warnings included, when one of them is an error.
    pub fn load(options: &Options, base: &Path, agent: Option<AgentInfo>) -> Result<Self, Vec<ModelError>> {
        Self::load_with(options, base, &[], agent)
    }

    /// As [`load`](Self::load), with devices that are in memory already, each with the name that findings shall
    /// give it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        options: &Options,
        base: &Path,
        more: &[(PathBuf, String)],
        agent: Option<AgentInfo>,
    ) -> Result<Self, Vec<ModelError>> {
        let mut findings = Findings::default();
        let mut texts = Vec::new();
        let mut youngest = None;
        for path in &options.devices {
            let path = base.join(path);
            match source::read(&path) {
                Ok(text) => {
                    let modified = std::fs::metadata(&path).and_then(|data| data.modified()).ok();
                    youngest = youngest.max(modified);
                    texts.push((path, text));
                }
                Err((what, cure)) => {
                    findings.push(Severity::Error, &path.into(), Place::default(), what, cure);
                }
            }
        }
        texts.extend_from_slice(more);
        let since_epoch = youngest.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let change_time = since_epoch
            .and_then(|time| i64::try_from(time.as_nanos()).ok())
            .map_or_else(Timestamp::now, |nanos| Timestamp::from_nanos(nanos, 6));
        from_texts(&texts, options, agent, change_time, findings)
    }

    /// The model of texts that are in memory already, each with the name that findings shall give
    /// it. `options.devices` is not looked at.
    ///
    /// # Errors
    /// As [`DeviceModel::load`].
    pub fn from_xml(
        sources: &[(PathBuf, String)],
        options: &Options,
        agent: Option<AgentInfo>,
    ) -> Result<Self, Vec<ModelError>> {
        from_texts(sources, options, agent, Timestamp::now(), Findings::default())
    }
}

fn from_texts(
    texts: &[(PathBuf, String)],
    options: &Options,
    agent: Option<AgentInfo>,
    change_time: Timestamp,
    mut findings: Findings,
) -> Result<DeviceModel, Vec<ModelError>> {
    let mut namespaces = Vec::new();
    let mut devices = Vec::new();
    let mut version = None;
    for (path, text) in texts {
        let file: Arc<Path> = path.as_path().into();
        findings.add_text(&file, text.as_str().into());
        let Some(found) = read(&file, text, &mut namespaces, &mut findings) else { continue };
        version = version.or(found.version);
        devices.extend(found.devices.into_iter().map(|element| Sourced::new(file.clone(), element)));
    }
    assemble(Parts {
        version: options.schema_version.or(version).unwrap_or_default(),
        namespaces,
        devices,
        duplicate_ids: options.duplicate_ids,
        agent: agent.filter(|_| options.agent_device),
        change_time,
        previous: None,
        findings,
    })
}

/// What a text held.
pub(super) struct Found {
    pub(super) version: Option<SchemaVersion>,
    pub(super) devices: Vec<Element>,
}

/// Reads a text, whether a whole document or only its `Devices` or `Device`.
pub(super) fn read(
    file: &Arc<Path>,
    text: &str,
    namespaces: &mut Vec<Namespace>,
    findings: &mut Findings,
) -> Option<Found> {
    let known = namespaces.len();
    let document = match tree::parse(text, namespaces.clone()) {
        Ok(document) => document,
        Err(fault) => {
            findings.push(Severity::Error, file, fault.place, fault.what, fault.cure);
            return None;
        }
    };
    for (prefix, used) in document.renamed {
        findings.warning(
            file,
            &document.root,
            &format!("xmlns:{prefix}"),
            format!(
                "the prefix `{prefix}` means another namespace in an earlier file; elements here get `{used}`"
            ),
            "use one prefix for one namespace in all devices files",
        );
    }
    if let (Some(urn), None) = (document.strange, document.version) {
        findings.warning(
            file,
            &document.root,
            "xmlns",
            format!("the namespace `{urn}` says no version that is known"),
            format!("write one of 1.0 to {}, or set `schema_version`", SchemaVersion::NEWEST),
        );
    }
    let root = document.root;
    *namespaces = document.namespaces;
    debug_assert!(namespaces.len() >= known, "namespaces are only ever added");
    let header = root.child("Header").and_then(|header| header.attribute("version"));
    let version = document.version.or_else(|| header.and_then(|version| version.parse().ok()));
    let devices = match root.name.as_str() {
        "Device" | "Agent" => vec![root],
        "Devices" => device_elements(file, root, findings),
        "MTConnectDevices" => {
            let place = root.place;
            let list = root.children.into_iter().find_map(|node| match node {
                Node::Element(element) if element.name == "Devices" => Some(element),
                _ => None,
            });
            match list {
                Some(list) => device_elements(file, list, findings),
                None => {
                    let what = "there is no <Devices> in the document".to_owned();
                    let cure = "write <Devices> with a <Device> in it below the header".to_owned();
                    findings.push(Severity::Error, file, place, what, cure);
                    return None;
                }
            }
        }
        other => {
            let cure = match other {
                "MTConnectStreams" | "MTConnectAssets" | "MTConnectError" => {
                    "this is another kind of MTConnect document; save the answer to /probe instead"
                }
                _ => "the root element shall be <MTConnectDevices>, <Devices> or <Device>",
            };
            findings.error(file, &root, "", format!("<{other}> is not a devices document"), cure);
            return None;
        }
    };
    Some(Found { version, devices })
}

fn device_elements(file: &Arc<Path>, list: Element, findings: &mut Findings) -> Vec<Element> {
    let place = list.place;
    let mut devices = Vec::new();
    for node in list.children {
        match node {
            Node::Element(element) if matches!(element.name.as_str(), "Device" | "Agent") => {
                devices.push(element);
            }
            Node::Element(element) => findings.warning(
                file,
                &element,
                "",
                format!("<{}> within <Devices> is left out", element.name),
                "only <Device> and <Agent> can stand here",
            ),
            Node::Text(_) => {}
        }
    }
    if devices.is_empty() {
        let what = "there is no device in <Devices>".to_owned();
        findings.push(Severity::Warning, file, place, what, "write a <Device> for each machine".to_owned());
    }
    devices
}
