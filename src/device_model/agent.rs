//! The Agent device: what the gateway says about itself (MTConnect >= 1.7).

use guideway_contract::ItemIndex;
use rustc_hash::FxHashSet;
use smol_str::{SmolStr, format_smolstr};

use super::ids::to_ncname;
use super::tables::Tables;
use super::{Element, SchemaVersion};

/// Who the gateway is and what it is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentInfo {
    /// Unique in the world, and the same after every restart.
    pub uuid: SmolStr,
    /// The Agent device's name; `Agent` when empty.
    pub name: SmolStr,
    /// Its adapters, in order of their [`AdapterId`](guideway_contract::AdapterId)s.
    pub adapters: Vec<AgentAdapter>,
}

/// An adapter as the Agent device shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentAdapter {
    /// Its name in the configuration, unique there. Ids are made from it and from nothing else, so
    /// they stay when the source gets another address.
    pub name: SmolStr,
    /// Where its source is, e.g. `shdr://192.168.1.5:7878`; empty when that is not to be shown, and
    /// then there is no ADAPTER_URI.
    pub uri: SmolStr,
}

/// The Agent device's data items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentItems {
    /// AVAILABILITY.
    pub availability: ItemIndex,
    /// DEVICE_ADDED: the value is a device's uuid. The same for the two that follow.
    pub device_added: ItemIndex,
    /// DEVICE_REMOVED.
    pub device_removed: ItemIndex,
    /// DEVICE_CHANGED.
    pub device_changed: ItemIndex,
    /// By adapter, in the order of [`AgentInfo::adapters`].
    pub adapters: Vec<AgentAdapterItems>,
}

/// The data items of one adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAdapterItems {
    /// CONNECTION_STATUS: LISTEN, ESTABLISHED or CLOSED.
    pub connection_status: ItemIndex,
    /// ADAPTER_URI; the value is [`AgentAdapter::uri`].
    pub adapter_uri: Option<ItemIndex>,
    /// OBSERVATION_UPDATE_RATE: observations a second.
    pub observation_update_rate: ItemIndex,
    /// ASSET_UPDATE_RATE: assets a second.
    pub asset_update_rate: ItemIndex,
    /// ADAPTER_SOFTWARE_VERSION, as the source says (`* adapterVersion`).
    pub software_version: ItemIndex,
    /// MTCONNECT_VERSION, as the source says (`* mtconnectVersion`).
    pub mtconnect_version: ItemIndex,
}

/// The Agent device as an element. Its ids begin with one that no device uses.
pub(super) fn element(info: &AgentInfo, version: SchemaVersion, taken: &FxHashSet<SmolStr>) -> Element {
    let mut id = SmolStr::new("agent");
    let mut number = 1;
    while taken.iter().any(|other| {
        other.strip_prefix(id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }) {
        number += 1;
        id = format_smolstr!("agent{number}");
    }
    let name = if info.name.is_empty() { "Agent" } else { &info.name };
    let event = |suffix: &str, item_type: &str| {
        Element::new("DataItem")
            .with("category", "EVENT")
            .with("id", format_smolstr!("{id}_{suffix}"))
            .with("type", item_type)
    };
    let mut items = Element::new("DataItems");
    for (suffix, item_type) in DEVICE_ITEMS {
        let mut item = event(suffix, item_type);
        // A device can change twice in a row, and both count.
        if item_type.starts_with("DEVICE_") {
            item.set("discrete", "true");
        }
        items = items.with_child(item);
    }
    let mut agent = Element::new("Agent")
        .with("id", id.clone())
        .with("mtconnectVersion", version.to_string())
        .with("name", name)
        .with("uuid", info.uuid.clone())
        .with_child(items);
    if info.adapters.is_empty() {
        return agent;
    }
    let mut list = Element::new("Components");
    let keys = adapter_keys(info);
    for (adapter, key) in info.adapters.iter().zip(keys) {
        let mut items = Element::new("DataItems");
        for (suffix, item_type) in ADAPTER_ITEMS {
            if item_type == "ADAPTER_URI" && adapter.uri.is_empty() {
                continue;
            }
            let mut item = event(&format!("{key}_{suffix}"), item_type);
            if item_type.ends_with("_UPDATE_RATE") {
                item.set("category", "SAMPLE");
                item.set("units", "COUNT/SECOND");
                item.set("statistic", "AVERAGE");
            }
            items = items.with_child(item);
        }
        list = list.with_child(
            Element::new("Adapter")
                .with("id", format_smolstr!("{id}_{key}"))
                .with("name", adapter.name.clone())
                .with_child(items),
        );
    }
    let adapters = Element::new("Adapters").with("id", format_smolstr!("{id}_adapters")).with_child(list);
    agent = agent.with_child(Element::new("Components").with_child(adapters));
    agent
}

const DEVICE_ITEMS: [(&str, &str); 4] = [
    ("avail", "AVAILABILITY"),
    ("device_added", "DEVICE_ADDED"),
    ("device_removed", "DEVICE_REMOVED"),
    ("device_changed", "DEVICE_CHANGED"),
];

const ADAPTER_ITEMS: [(&str, &str); 6] = [
    ("connection_status", "CONNECTION_STATUS"),
    ("adapter_uri", "ADAPTER_URI"),
    ("observation_update_rate", "OBSERVATION_UPDATE_RATE"),
    ("asset_update_rate", "ASSET_UPDATE_RATE"),
    ("adapter_software_version", "ADAPTER_SOFTWARE_VERSION"),
    ("mtconnect_version", "MTCONNECT_VERSION"),
];

/// What each adapter's ids have in their middle. Two names can look the same once what cannot
/// stand in an id has been replaced; then a digest of the name tells them apart.
fn adapter_keys(info: &AgentInfo) -> Vec<SmolStr> {
    let key = |adapter: &AgentAdapter| format_smolstr!("adapter_{}", to_ncname(&adapter.name));
    let keys: Vec<SmolStr> = info.adapters.iter().map(key).collect();
    let is_plain = |(adapter, key): (&AgentAdapter, &SmolStr)| {
        if key.strip_prefix("adapter_") == Some(adapter.name.as_str()) {
            return key.clone();
        }
        let digest =
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, adapter.name.as_bytes()).simple().to_string();
        format_smolstr!("{key}_{}", &digest[..8])
    };
    info.adapters.iter().zip(&keys).map(is_plain).collect()
}

/// Finds the items of the own Agent device, which is the first device.
pub(super) fn items(info: &AgentInfo, tables: &Tables<'_>) -> Option<AgentItems> {
    let device = tables.devices.first().filter(|device| device.is_agent)?;
    let find = |suffix: &str| tables.items_by_id.get(&format_smolstr!("{}_{suffix}", device.id)).copied();
    let adapters = adapter_keys(info).into_iter().map(|key| {
        let find = |suffix: &str| find(&format!("{key}_{suffix}"));
        Some(AgentAdapterItems {
            connection_status: find("connection_status")?,
            adapter_uri: find("adapter_uri"),
            observation_update_rate: find("observation_update_rate")?,
            asset_update_rate: find("asset_update_rate")?,
            software_version: find("adapter_software_version")?,
            mtconnect_version: find("mtconnect_version")?,
        })
    });
    Some(AgentItems {
        availability: find("avail")?,
        device_added: find("device_added")?,
        device_removed: find("device_removed")?,
        device_changed: find("device_changed")?,
        adapters: adapters.collect::<Option<_>>()?,
    })
}
