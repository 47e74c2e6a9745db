//! The nodes of control, and what they mean.
//!
//! **Ids** are like those of the machines' other nodes, made of uuid and names: `<uuid>/Commands`,
//! `<uuid>/Commands/<command>`, and `Control` with `Control/<BrowseName>`.

use std::sync::Arc;

use opcua_types::{
    Argument, DataTypeId, ExtensionObject, Identifier, NodeId, ObjectId, ObjectTypeId, ReferenceTypeId,
    StatusCode, VariableTypeId, Variant, VariantScalarTypeId,
};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value as Json;
use smol_str::SmolStr;

use super::{argument, describe, switch};
use crate::control::{Controlled, Definition, Kind as ArgumentKind};
use crate::device_model::DeviceModel;
use crate::northbound::opcua::binding::Shape;
use crate::northbound::opcua::instances::{Held, Kind, Link, Node, Tree};

/// What the nodes mean.
#[derive(Default)]
pub(super) struct Targets {
    pub(super) methods: FxHashMap<NodeId, Method>,
    pub(super) variables: FxHashMap<NodeId, Bound>,
    /// The variables of the switch, in the order of [`switch::VARIABLES`].
    pub(super) switch: Vec<NodeId>,
}

/// A method.
pub(super) struct Method {
    /// The object that it is to be called on.
    pub(super) object: NodeId,
    pub(super) act: Act,
}

/// What a method does.
pub(super) enum Act {
    /// A command.
    Run(Command),
    /// Switches control.
    Switch {
        /// Whether on.
        on: bool,
    },
}

/// A command of a machine.
#[derive(Clone)]
pub(super) struct Command {
    pub(super) machine: Arc<Controlled>,
    pub(super) definition: Arc<Definition>,
}

/// A variable that is a command.
pub(super) struct Bound {
    pub(super) command: Command,
    /// The words of a controlled vocabulary, whose variable is a number.
    words: Option<Arc<[SmolStr]>>,
}

impl Bound {
    /// The command's argument, by name, that a written value stands for.
    ///
    /// # Errors
    /// BadTypeMismatch or BadOutOfRange.
    pub(super) fn argument(&self, value: &Variant) -> Result<(SmolStr, Json), StatusCode> {
        let argument = self.command.definition.arguments.first().ok_or(StatusCode::BadNotWritable)?;
        let named = |value: Json| (argument.name.clone(), value);
        if let (Some(words), Some(place)) = (&self.words, argument::place(value)) {
            let word = words.get(place?).ok_or(StatusCode::BadOutOfRange)?;
            return Ok(named(word.as_str().into()));
        }
        argument::of(argument.kind, value).map(named)
    }
}

/// Adds to the tree what there is of control: the switch, the commands of the machines that the model has, and that
/// variables can be written. `namespace` is the index of the machines' namespace.
pub(super) fn extend(
    tree: &mut Tree,
    model: &DeviceModel,
    machines: &[Arc<Controlled>],
    namespace: u16,
) -> Targets {
    let taken = tree.ids().cloned().collect();
    let mut planner = Planner { tree, taken, namespace, targets: Targets::default() };
    planner.switch();
    for machine in machines {
        let is_shown = model
            .devices()
            .iter()
            .any(|device| device.uuid == machine.uuid && !model.component(device.root).retired);
        if is_shown {
            planner.commands(machine);
            planner.variables(machine, model);
        }
    }
    planner.targets
}

struct Planner<'t> {
    tree: &'t mut Tree,
    taken: FxHashSet<NodeId>,
    namespace: u16,
    targets: Targets,
}

impl Planner<'_> {
    fn switch(&mut self) {
        let object = self.object(
            "Control".to_owned(),
            "Control",
            link(ReferenceTypeId::Organizes, &ObjectId::ObjectsFolder.into()),
        );
        for (name, data_type) in switch::VARIABLES {
            let id = self.below(&object, name);
            self.add(
                id.clone(),
                self.own(name),
                VariableTypeId::BaseDataVariableType.into(),
                Kind::Variable { data_type: data_type.into(), rank: -1, value: Held::Live },
                link(ReferenceTypeId::HasComponent, &object),
            );
            self.targets.switch.push(id);
        }
        let enabled =
            || vec![describe::one("Enabled", DataTypeId::Boolean, "whether commands are carried out now")];
        let reason = describe::one(
            "Reason",
            DataTypeId::String,
            "why, for whoever looks for the cause; may be left out",
        );
        let off = "Stops all commands at once, whatever asks for them, until control is switched on again";
        self.method(&object, "SwitchOff", off, vec![reason], enabled(), Act::Switch { on: false });
        let on =
            "Lets commands be carried out again; for engineers. What else keeps control off keeps it off";
        self.method(&object, "SwitchOn", on, Vec::new(), enabled(), Act::Switch { on: true });
    }

    fn commands(&mut self, machine: &Arc<Controlled>) {
        let device = NodeId::new(self.namespace, machine.uuid.as_str());
        let folder = self.object(
            format!("{}/Commands", machine.uuid),
            "Commands",
            link(ReferenceTypeId::HasComponent, &device),
        );
        for definition in &machine.commands {
            let command = Command { machine: machine.clone(), definition: definition.clone() };
            let (inputs, outputs) = (describe::inputs(definition), describe::outputs());
            let about = describe::about(definition);
            self.method(&folder, &definition.name, &about, inputs, outputs, Act::Run(command));
        }
    }

    /// Variables of data items to which a command is bound.
    fn variables(&mut self, machine: &Arc<Controlled>, model: &DeviceModel) {
        for definition in &machine.commands {
            let Some(bound) = &definition.bound else { continue };
            let Some(item) = model.find_item(bound).filter(|item| !item.retired) else { continue };
            let Some(binding) = self.tree.bindings().get(item.index).cloned() else { continue };
            let [argument] = definition.arguments.as_slice() else { continue };
            let words = match (&binding.shape, argument.kind) {
                (Shape::Number | Shape::Text, _) => None,
                (Shape::Vocabulary { words, .. }, ArgumentKind::Text) => Some(words.clone()),
                _ => {
                    tracing::warn!(
                        command = %definition.name,
                        data_item = %bound,
                        "OPC UA: a value of this data item is no argument of the command; its variable cannot be written"
                    );
                    continue;
                }
            };
            if self.tree.bind(&binding.node) {
                let command = Command { machine: machine.clone(), definition: definition.clone() };
                self.targets.variables.insert(binding.node.clone(), Bound { command, words });
            }
        }
    }

    fn method(
        &mut self,
        object: &NodeId,
        name: &str,
        about: &str,
        inputs: Vec<Argument>,
        outputs: Vec<Argument>,
        act: Act,
    ) {
        let id = self.below(object, name);
        self.add(
            id.clone(),
            self.own(name),
            NodeId::null(),
            Kind::Method { about: about.into() },
            link(ReferenceTypeId::HasComponent, object),
        );
        for (property, arguments) in [("InputArguments", inputs), ("OutputArguments", outputs)] {
            if arguments.is_empty() {
                continue;
            }
            let arguments: Vec<Variant> = arguments
                .into_iter()
                .map(|argument| ExtensionObject::from_message(argument).into())
                .collect();
            let value = Held::Fixed(Variant::from((VariantScalarTypeId::ExtensionObject, arguments)));
            let property_id = self.below(&id, property);
            self.add(
                property_id,
                (0, property.into()),
                VariableTypeId::PropertyType.into(),
                Kind::Variable { data_type: DataTypeId::Argument.into(), rank: 1, value },
                link(ReferenceTypeId::HasProperty, &id),
            );
        }
        self.targets.methods.insert(id, Method { object: object.clone(), act });
    }

    fn object(&mut self, id: String, name: &str, link: Link) -> NodeId {
        let id = self.fresh(id);
        let kind = Kind::Object { notifies: false };
        self.add(id.clone(), self.own(name), ObjectTypeId::BaseObjectType.into(), kind, link);
        id
    }

    fn add(&mut self, id: NodeId, name: (u16, SmolStr), type_definition: NodeId, kind: Kind, link: Link) {
        self.tree.add(Node { id, name, type_definition, kind, links: vec![link] });
    }

    /// A BrowseName in the machines' namespace.
    fn own(&self, name: &str) -> (u16, SmolStr) {
        (self.namespace, name.into())
    }

    fn below(&mut self, parent: &NodeId, name: &str) -> NodeId {
        let text = match &parent.identifier {
            Identifier::String(text) => format!("{}/{name}", text.as_ref()),
            _ => name.to_owned(),
        };
        self.fresh(text)
    }

    /// An id that no other node has, as the builder of instances makes them.
    fn fresh(&mut self, mut text: String) -> NodeId {
        loop {
            let id = NodeId::new(self.namespace, text.as_str());
            if self.taken.insert(id.clone()) {
                return id;
            }
            text.push('\'');
        }
    }
}

fn link(kind: ReferenceTypeId, parent: &NodeId) -> Link {
    Link { kind: kind.into(), other: parent.clone(), is_forward: false }
}
