//! The one way by which every model is made: check, complete, tabulate.

use std::path::Path;
use std::sync::Arc;

use guideway_contract::Timestamp;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::findings::Findings;
use super::tables::Tables;
use super::{
    AgentInfo, DeviceIndex, DeviceModel, DuplicateIds, Element, ModelError, Namespace, SchemaVersion,
    additions, agent, corrections, ids,
};

/// Devices beyond this are refused; the aim is 200.
const MAX_DEVICES: usize = 10_000;

/// A device on its way into a model.
#[derive(Debug)]
pub(super) struct Sourced {
    pub(super) origin: Arc<Path>,
    pub(super) element: Arc<Element>,
    /// What was put before its ids, with the `_`; empty when nothing was.
    pub(super) prefix: SmolStr,
    /// Which device of the model before it is.
    pub(super) previous: Option<DeviceIndex>,
    /// Whether it just came, so that of two devices that clash it is the one to give way.
    pub(super) is_new: bool,
}

impl Sourced {
    pub(super) fn new(origin: Arc<Path>, element: Element) -> Self {
        Self { origin, element: Arc::new(element), prefix: SmolStr::default(), previous: None, is_new: true }
    }
}

/// What a model is made of.
pub(super) struct Parts<'p> {
    pub(super) version: SchemaVersion,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) devices: Vec<Sourced>,
    pub(super) duplicate_ids: DuplicateIds,
    pub(super) agent: Option<AgentInfo>,
    pub(super) change_time: Timestamp,
    /// The model that this one replaces: its indices keep their meaning.
    pub(super) previous: Option<&'p DeviceModel>,
    pub(super) findings: Findings,
}

/// Makes the model, or tells all that is wrong.
pub(super) fn assemble(parts: Parts<'_>) -> Result<DeviceModel, Vec<ModelError>> {
    let Parts { version, namespaces, mut devices, duplicate_ids, agent, change_time, previous, mut findings } =
        parts;
    let agent = agent.filter(|_| version >= SchemaVersion::new(1, 7));
    if devices.len() > MAX_DEVICES {
        let last = &devices[MAX_DEVICES];
        let what = format!("more than {MAX_DEVICES} devices");
        findings.error(&last.origin, &last.element, "", what, "spread them over several gateways");
        return Err(findings.finish().err().unwrap_or_default());
    }
    if previous.is_none() {
        leave_out_agents(&mut devices, agent.is_some(), &mut findings);
        // The schemas have the Agent before all devices.
        devices.sort_by_key(|device| device.element.name != "Agent");
    }
    check_identity(&devices, &mut findings);
    ids::make_unique(&mut devices, duplicate_ids, &mut findings);
    if let Some(info) = &agent
        && previous.is_none()
    {
        let element = agent::element(info, version, &ids::all(&devices));
        let own = Sourced::new(Path::new("the gateway's own Agent device").into(), element);
        devices.insert(0, own);
        check_identity(&devices[..1], &mut findings);
        check_agent_clash(&devices, &mut findings);
    }
    for device in devices.iter_mut().filter(|device| device.is_new) {
        let element = Arc::make_mut(&mut device.element);
        corrections::correct(element, version, &device.origin, &mut findings);
        additions::add(element, version);
    }
    let mut tables = Tables::new(version, previous);
    for device in &devices {
        tables.add_device(device, &mut findings);
    }
    let warnings = findings.finish()?;
    let agent_items = agent.as_ref().and_then(|info| agent::items(info, &tables));
    Ok(DeviceModel {
        version,
        namespaces,
        devices: tables.devices,
        components: tables.components,
        items: tables.items,
        items_by_id: tables.items_by_id,
        agent: agent_items,
        change_time: Some(change_time),
        warnings,
        duplicate_ids,
        agent_info: agent,
        origins: devices.into_iter().map(|device| (device.origin, device.prefix)).collect(),
    })
}

/// A document has one Agent at most, and the gateway's own comes first.
fn leave_out_agents(devices: &mut Vec<Sourced>, has_own: bool, findings: &mut Findings) {
    let mut has_one = has_own;
    devices.retain(|device| {
        if device.element.name != "Agent" {
            return true;
        }
        let stays = !std::mem::replace(&mut has_one, true);
        if !stays {
            let (what, cure) = if has_own {
                (
                    "this <Agent> is left out: a document has one at most, and the gateway describes itself",
                    "remove it, or set `agent_device = false`",
                )
            } else {
                ("this <Agent> is left out: a document has one at most", "remove it")
            };
            findings.warning(&device.origin, &device.element, "", what, cure);
        }
        stays
    });
}

fn check_identity(devices: &[Sourced], findings: &mut Findings) {
    let mut names: FxHashMap<(&str, &str), &Sourced> = FxHashMap::default();
    for device in devices {
        let element = &*device.element;
        for (attribute, cure) in [
            ("id", "give the device an id that no other element has"),
            ("uuid", "give the device a uuid: it tells the machine from all others, for good"),
            ("name", "give the device a name that no other device has"),
        ] {
            let value = element.attribute(attribute).unwrap_or_default();
            if value.trim().is_empty() {
                let what = format!("<{}> has no {attribute}", element.name);
                findings.error(&device.origin, element, attribute, what, cure);
            } else if attribute != "id"
                && let Some(first) = names.insert((attribute, value), device)
            {
                let at = super::findings::position(&first.origin, first.element.place);
                findings.error(
                    &device.origin,
                    element,
                    attribute,
                    format!("the {attribute} `{value}` is also that of the device at {at}"),
                    format!("give each device a {attribute} of its own; list each file only once"),
                );
            }
        }
    }
}

/// The own agent's name and uuid come from the configuration, not from a file.
fn check_agent_clash(devices: &[Sourced], findings: &mut Findings) {
    let Some((own, others)) = devices.split_first() else { return };
    for attribute in ["name", "uuid"] {
        let value = own.element.attribute(attribute);
        for other in others.iter().filter(|other| other.element.attribute(attribute) == value) {
            findings.error(
                &other.origin,
                &other.element,
                attribute,
                format!(
                    "the {attribute} `{}` is that of the gateway's own Agent device",
                    value.unwrap_or_default()
                ),
                "give the device another one, or set `agent_device = false`",
            );
        }
    }
}
