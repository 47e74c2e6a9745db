//! The machine-tool view (OPC 40501-1): machines in the terms of DI, Machinery and MachineTool, where
//! those node sets are there.
//!
//! The node sets are files of the OPC Foundation in a folder that the configuration names. What an
//! instance of their types must have is read off the types' own nodes, so that any version of the
//! specification that has the types named below gives complete instances.

mod files;
mod identity;
mod meaning;
mod template;
#[cfg(test)]
mod tests;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use opcua_nodes::TypeTree;
use opcua_server::address_space::AddressSpace;
use opcua_types::{NamespaceMap, NodeId};

use super::instances::Tree;
use super::nodeset::File;
use crate::device_model::{Device, DeviceModel};
pub(super) use meaning::Meaning;
use template::{Reader, State, Template};
use view::Planner;

/// `Machines` in the Machinery namespace.
const MACHINES: u32 = 1001;

/// What of the optional nodes is shown where there is something to show.
const MACHINE_EXTRAS: [&str; 3] =
    ["Identification/Model", "Identification/ComponentName", "Notification/Messages"];
const CHANNEL_EXTRAS: [&str; 1] = ["RapidOverride"];
const SPINDLE_EXTRAS: [&str; 2] = ["IsUsedAsAxis", "Override"];

/// The node sets of a folder, in the address space.
#[derive(Debug)]
pub(super) struct NodeSets {
    folder: PathBuf,
    /// The namespaces that they define, with their indices.
    namespaces: Vec<(String, u16)>,
}

impl NodeSets {
    /// Puts the node sets of the folder that the view needs into the address space. What is missing or
    /// broken is logged; without it there is no view.
    pub(super) fn load(folder: &Path, address_space: &mut AddressSpace, map: &mut NamespaceMap) -> Self {
        let (heads, warnings) = files::needed(folder);
        for what in &warnings {
            tracing::warn!("[opcua] nodesets: {what}");
        }
        let mut namespaces = Vec::new();
        let mut files = Vec::new();
        for head in heads {
            match File::read(&head.path) {
                Ok(file) => files.push(file),
                Err(error) => {
                    tracing::warn!(
                        "[opcua] nodesets: {error}; there is no machine-tool view; get the file anew"
                    );
                    return Self { folder: folder.to_owned(), namespaces };
                }
            }
        }
        for file in files {
            file.import(address_space, map);
            for model in file.models() {
                namespaces.push((model.uri.to_string(), map.add_namespace(&model.uri)));
            }
        }
        Self { folder: folder.to_owned(), namespaces }
    }

    /// The namespaces that they define, with their indices.
    pub(super) fn namespaces(&self) -> &[(String, u16)] {
        &self.namespaces
    }

    /// What the view is made of; `None`, with a warning, when the node sets do not have it.
    /// `types` knows the types of the address space.
    pub(super) fn types(&self, address_space: &AddressSpace, types: &dyn TypeTree) -> Option<Types> {
        let index =
            |uri: &str| self.namespaces.iter().find(|(known, _)| known == uri).map(|(_, index)| *index);
        let (machinery, machine_tool) = (index(files::MACHINERY)?, index(files::MACHINE_TOOL)?);
        let reader = Reader { address_space, types };
        let template = |name: &str, optional: &[&str]| {
            let found = reader.type_named(machine_tool, name).and_then(|id| reader.template(&id, optional));
            if found.is_none() {
                tracing::warn!(
                    "[opcua] nodesets: {}: the model {} has no {name}; there is no machine-tool view; put the \
                     node set of MachineTool 1.00 or later there",
                    self.folder.display(),
                    files::MACHINE_TOOL
                );
            }
            found
        };
        let state_machine = reader.type_named(machine_tool, "ProductionProgramStateMachineType");
        let state_machine =
            state_machine.or_else(|| reader.type_named(machine_tool, "ProductionStateMachineType"));
        Some(Types {
            machines: NodeId::new(machinery, MACHINES),
            machine: template("MachineToolType", &MACHINE_EXTRAS)?,
            channel: template("ChannelMonitoringType", &CHANNEL_EXTRAS)?,
            spindle: template("SpindleMonitoringType", &SPINDLE_EXTRAS)?,
            states: state_machine.map(|id| reader.states(&id)).unwrap_or_default().into(),
        })
    }
}

/// What the view is made of.
#[derive(Debug)]
pub(super) struct Types {
    /// The folder that holds all machines.
    machines: NodeId,
    machine: Template,
    channel: Template,
    spindle: Template,
    /// Of the active program.
    states: Arc<[State]>,
}

impl Types {
    /// Adds all machines of the model but the gateway itself to the tree, as machine tools.
    /// `namespace` is the index of the machines' namespace.
    pub(super) fn extend(&self, tree: &mut Tree, model: &DeviceModel, namespace: u16) {
        let is_shown = |device: &&Device| !device.is_agent && !model.component(device.root).retired;
        for device in model.devices().iter().filter(is_shown) {
            Planner { tree, model, types: self, namespace, device }.machine();
        }
    }
}
