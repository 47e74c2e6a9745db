//! The nodes of the view, and which data items feed them.

use guideway_contract::ItemIndex;
use opcua_types::{
    EUInformation, ExtensionObject, Identifier, LocalizedText, NodeId, Range, ReferenceTypeId, Variant,
};
use rustc_hash::FxHashSet;

use super::super::binding::Extra;
use super::super::instances::{Held, Kind as NodeKind, Link, Node, Tree};
use super::meaning::Meaning;
use super::template::{Kind, Template};
use super::{Types, identity};
use crate::device_model::{Component, DataItem, Device, DeviceModel, Representation};

/// Of an override that does not say its limits.
const DEFAULT_OVERRIDE_RANGE: Range = Range { low: 0.0, high: 200.0 };

/// What becomes of a node of a template.
enum Fill<'m> {
    /// As the type says.
    Keep,
    /// Left out: it is optional, and there is nothing to show.
    Leave,
    /// It is this and stays so.
    Is(Variant),
    /// What the data item says.
    Fed(&'m DataItem, Meaning),
    /// It announces the events of the device.
    Notifies,
}

/// Adds the nodes of one device to a tree, and what feeds them to its bindings.
pub(super) struct Planner<'a> {
    pub(super) tree: &'a mut Tree,
    pub(super) model: &'a DeviceModel,
    pub(super) types: &'a Types,
    /// The index of the machines' namespace.
    pub(super) namespace: u16,
    pub(super) device: &'a Device,
}

impl<'a> Planner<'a> {
    /// The device as a machine tool.
    pub(super) fn machine(mut self) {
        let types = self.types;
        let (device, model) = (self.device, self.model);
        let components = self.components();
        let channels = self.channels(&components);
        let first = channels.first().copied();
        let near = |item_type: &str, sub_types: &[&str]| match first {
            Some(channel) => find(model, channel, item_type, sub_types),
            None => pick(model, &device.items, item_type, sub_types),
        };
        let mode = near("CONTROLLER_MODE", &[]);
        let execution = near("EXECUTION", &[]);
        let program = near("PROGRAM", &["", "ACTIVE", "MAIN"]);
        let states = || types.states.clone();
        let identity = identity::of(device);

        let root = NodeId::new(self.namespace, format!("MachineTool/{}", device.uuid));
        let parent = link(ReferenceTypeId::Organizes, false, types.machines.clone());
        self.plan(&types.machine, &root, &device.name, parent, &|path| match path {
            "Identification/Manufacturer" => {
                Fill::Is(LocalizedText::from(identity.manufacturer.as_str()).into())
            }
            "Identification/SerialNumber" => Fill::Is(identity.serial_number.as_str().into()),
            "Identification/ProductInstanceUri" => Fill::Is(identity.instance_uri.as_str().into()),
            "Identification/Model" if identity.model.is_empty() => Fill::Leave,
            "Identification/Model" => Fill::Is(LocalizedText::from(identity.model.as_str()).into()),
            "Identification/ComponentName" => Fill::Is(LocalizedText::from(device.name.as_str()).into()),
            "Monitoring/MachineTool/OperationMode" => fed(mode, || Meaning::OperationMode),
            "Production/ActiveProgram/Name" => fed(program, || Meaning::Text),
            // Which of the programs in the list; the list has this one only.
            "Production/ActiveProgram/NumberInList" => Fill::Is(0u16.into()),
            "Production/ActiveProgram/State/CurrentState" => {
                fed(execution, || Meaning::ProgramState(states()))
            }
            "Production/ActiveProgram/State/CurrentState/Id" => {
                fed(execution, || Meaning::ProgramStateId(states()))
            }
            "Production/ActiveProgram/State/CurrentState/Number" => {
                fed(execution, || Meaning::ProgramStateNumber(states()))
            }
            "Notification/Messages" => Fill::Notifies,
            _ => Fill::Keep,
        });

        let mut names: FxHashSet<String> =
            ["MachineTool", "Stacklight"].into_iter().map(str::to_owned).collect();
        let monitoring = below(&root, "Monitoring");
        for channel in channels {
            self.element(&types.channel, &monitoring, channel, &mut names);
        }
        for spindle in components.into_iter().filter(|component| is_spindle(model, component)) {
            self.element(&types.spindle, &monitoring, spindle, &mut names);
        }
    }

    /// A channel or a spindle, below `Monitoring`.
    fn element(
        &mut self,
        template: &Template,
        monitoring: &NodeId,
        component: &Component,
        names: &mut FxHashSet<String>,
    ) {
        let model = self.model;
        let mut name = if component.name.is_empty() { &component.id } else { &component.name }.to_string();
        if !names.insert(name.clone()) {
            name = format!("{name}[{}]", component.id);
            names.insert(name.clone());
        }
        let own = |item_type: &str, sub_types: &[&str]| pick(model, &component.items, item_type, sub_types);
        let feed = own("PATH_FEEDRATE_OVERRIDE", &["PROGRAMMED", ""])
            .or_else(|| own("PATH_FEEDRATE", &["OVERRIDE"]));
        let rapid = own("PATH_FEEDRATE_OVERRIDE", &["RAPID"]);
        let mode = find(model, component, "CONTROLLER_MODE", &[]);
        let execution = find(model, component, "EXECUTION", &[]);
        let speed = spindle_speed(model, component);
        let spindle = own("ROTARY_VELOCITY_OVERRIDE", &["PROGRAMMED", ""])
            .or_else(|| own("ROTARY_VELOCITY", &["OVERRIDE"]))
            .or_else(|| own("SPINDLE_SPEED", &["OVERRIDE"]));
        let rotary_mode = own("ROTARY_MODE", &[]);
        let range = |item: Option<&DataItem>| Fill::Is(ExtensionObject::from_message(range_of(item)).into());
        let parent = link(ReferenceTypeId::HasComponent, false, monitoring.clone());
        let id = below(monitoring, &name);
        self.plan(template, &id, &name, parent, &|path| match path {
            "Name" => Fill::Is(name.as_str().into()),
            "ChannelMode" => fed(mode, || Meaning::ChannelMode),
            "ChannelState" => fed(execution, || Meaning::ChannelState),
            "FeedOverride" => fed(feed, || Meaning::Number),
            "FeedOverride/EURange" => range(feed),
            "RapidOverride" if rapid.is_none() => Fill::Leave,
            "RapidOverride" => fed(rapid, || Meaning::Number),
            "RapidOverride/EURange" => range(rapid),
            "IsRotating" => fed(speed, || Meaning::IsRotating),
            "IsUsedAsAxis" if rotary_mode.is_none() => Fill::Leave,
            "IsUsedAsAxis" => fed(rotary_mode, || Meaning::IsUsedAsAxis),
            "Override" if spindle.is_none() => Fill::Leave,
            "Override" => fed(spindle, || Meaning::Number),
            "Override/EURange" => range(spindle),
            path if path.ends_with("/EngineeringUnits") => {
                Fill::Is(ExtensionObject::from_message(percent()).into())
            }
            _ => Fill::Keep,
        });
    }

    /// Plans an instance of the template and all that is below it.
    fn plan(
        &mut self,
        template: &Template,
        id: &NodeId,
        name: &str,
        parent: Link,
        fill: &dyn Fn(&str) -> Fill<'a>,
    ) {
        let Kind::Object { type_definition } = &template.kind else { return };
        self.tree.add(Node {
            id: id.clone(),
            name: (self.namespace, name.into()),
            type_definition: type_definition.clone(),
            kind: NodeKind::Object { notifies: false },
            links: methods(template).chain([parent]).collect(),
        });
        self.plan_children(template, id, "", fill);
    }

    fn plan_children(
        &mut self,
        template: &Template,
        parent: &NodeId,
        path: &str,
        fill: &dyn Fn(&str) -> Fill<'a>,
    ) {
        for child in &template.children {
            let name = child.browse_name.name.as_ref();
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            let id = below(parent, name);
            let mut links =
                vec![Link { kind: child.reference.clone(), other: parent.clone(), is_forward: false }];
            links.extend(methods(child));
            let filled = fill(&path);
            let (type_definition, kind) = match &child.kind {
                _ if matches!(filled, Fill::Leave) => continue,
                // Its parent refers to it.
                Kind::Method { .. } => continue,
                Kind::Object { type_definition } => {
                    let notifies = matches!(filled, Fill::Notifies);
                    if notifies {
                        links.push(link(ReferenceTypeId::HasNotifier, true, self.device_node()));
                        self.announce(&id);
                    }
                    (type_definition, NodeKind::Object { notifies })
                }
                Kind::Variable { type_definition, data_type, value_rank, value } => {
                    let value = match filled {
                        Fill::Is(value) => Held::Fixed(value),
                        Fill::Fed(item, meaning) => {
                            self.feed(item.index, Extra { node: id.clone(), meaning })
                        }
                        _ if value.is_empty() => Held::Nothing,
                        _ => Held::Fixed(value.clone()),
                    };
                    (
                        type_definition,
                        NodeKind::Variable { data_type: data_type.clone(), rank: *value_rank, value },
                    )
                }
            };
            self.tree.add(Node {
                id: id.clone(),
                name: (child.browse_name.namespace_index, name.into()),
                type_definition: type_definition.clone(),
                kind,
                links,
            });
            self.plan_children(child, &id, &path, fill);
        }
    }

    /// Lets the observations of the item go there, too.
    fn feed(&mut self, item: ItemIndex, extra: Extra) -> Held {
        match self.tree.bindings_mut().get_mut(item) {
            Some(binding) => {
                binding.extra.push(extra);
                Held::Live
            }
            None => Held::Nothing,
        }
    }

    /// Lets the object announce the events of all the device's data items.
    fn announce(&mut self, object: &NodeId) {
        for item in &self.device.items {
            if let Some(binding) = self.tree.bindings_mut().get_mut(*item) {
                let notifiers = binding.notifiers.iter().chain([object]).cloned();
                binding.notifiers = notifiers.collect();
            }
        }
    }

    /// The device's object in the terms of MTConnect.
    fn device_node(&self) -> NodeId {
        NodeId::new(self.namespace, self.device.uuid.as_str())
    }

    /// The device's components, each after the one above it.
    fn components(&self) -> Vec<&'a Component> {
        let mut found = vec![self.model.component(self.device.root)];
        let mut next = 0;
        while let Some(component) = found.get(next) {
            let children = component.children.iter().map(|child| self.model.component(*child));
            let children: Vec<_> = children.filter(|child| !child.retired).collect();
            found.extend(children);
            next += 1;
        }
        found
    }

    /// The channels: paths, or what else executes programs.
    fn channels(&self, components: &[&'a Component]) -> Vec<&'a Component> {
        let paths: Vec<_> =
            components.iter().copied().filter(|component| component.element_name == "Path").collect();
        if !paths.is_empty() {
            return paths;
        }
        let executes =
            |component: &&Component| pick(self.model, &component.items, "EXECUTION", &[]).is_some();
        components.iter().copied().filter(executes).collect()
    }
}

fn fed<'m>(item: Option<&'m DataItem>, meaning: impl FnOnce() -> Meaning) -> Fill<'m> {
    item.map_or(Fill::Keep, |item| Fill::Fed(item, meaning()))
}

/// The methods of a node: instances share those of the type.
fn methods(template: &Template) -> impl Iterator<Item = Link> {
    template.children.iter().filter_map(|child| match &child.kind {
        Kind::Method { node } => {
            Some(Link { kind: child.reference.clone(), other: node.clone(), is_forward: true })
        }
        _ => None,
    })
}

fn link(kind: ReferenceTypeId, is_forward: bool, other: NodeId) -> Link {
    Link { kind: kind.into(), other, is_forward }
}

fn below(parent: &NodeId, name: &str) -> NodeId {
    match &parent.identifier {
        Identifier::String(text) => NodeId::new(parent.namespace, format!("{text}/{name}")),
        // All ids here are texts.
        _ => NodeId::null(),
    }
}

/// The first item of that type; among those with the earliest of the sub-types, or with any when none
/// is asked for.
fn pick<'m>(
    model: &'m DeviceModel,
    items: &[ItemIndex],
    item_type: &str,
    sub_types: &[&str],
) -> Option<&'m DataItem> {
    let fits = |item: &&DataItem| {
        !item.retired && item.item_type == item_type && item.representation == Representation::Value
    };
    let mut items = items.iter().map(|index| model.item(*index)).filter(fits);
    if sub_types.is_empty() {
        return items.next();
    }
    let items: Vec<_> = items.collect();
    sub_types.iter().find_map(|wanted| items.iter().copied().find(|item| item.sub_type == *wanted))
}

/// The same, in the component or in the nearest one above it.
fn find<'m>(
    model: &'m DeviceModel,
    component: &Component,
    item_type: &str,
    sub_types: &[&str],
) -> Option<&'m DataItem> {
    let own = pick(model, &component.items, item_type, sub_types);
    own.or_else(|| find(model, model.component(component.parent?), item_type, sub_types))
}

fn is_spindle(model: &DeviceModel, component: &Component) -> bool {
    component.element_name == "Rotary" && spindle_speed(model, component).is_some()
}

fn spindle_speed<'m>(model: &'m DeviceModel, component: &Component) -> Option<&'m DataItem> {
    let sub_types = ["ACTUAL", ""];
    let own = |item_type| pick(model, &component.items, item_type, &sub_types);
    own("ROTARY_VELOCITY").or_else(|| own("SPINDLE_SPEED"))
}

fn range_of(item: Option<&DataItem>) -> Range {
    let limits = item.and_then(|item| item.constraints.minimum.zip(item.constraints.maximum));
    limits.map_or(DEFAULT_OVERRIDE_RANGE, |(low, high)| Range { low, high })
}

/// P1 of the UNECE table (part 8, 5.6.4.3).
fn percent() -> EUInformation {
    EUInformation {
        namespace_uri: "http://www.opcfoundation.org/UA/units/un/cefact".into(),
        unit_id: 20_529,
        display_name: "%".into(),
        description: "percent".into(),
    }
}
