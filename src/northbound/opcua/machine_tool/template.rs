//! What instances of a type consist of, read off the type's own nodes.

use std::collections::VecDeque;

use opcua_nodes::{NodeBase as _, NodeType, TypeTree, Variable};
use opcua_server::address_space::AddressSpace;
use opcua_types::{
    BrowseDirection, DataEncoding, DataTypeId, NodeId, NumericRange, ObjectId, ObjectTypeId, QualifiedName,
    ReferenceTypeId, TimestampsToReturn, Variant,
};

/// No companion specification nests deeper; types that hold themselves would never end.
const DEEPEST: usize = 12;
/// Nodes of one instance. MachineToolType has less than a hundred.
const MOST_NODES: usize = 2_000;
/// Object types that are looked through.
const MOST_TYPES: usize = 100_000;
/// Steps up from a type to the root of all types.
const MOST_SUPERTYPES: usize = 32;

/// A node that an instance has, and what is below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    /// Its BrowseName; at the root that of the type.
    pub(super) browse_name: QualifiedName,
    /// The reference from its parent; null at the root.
    pub(super) reference: NodeId,
    /// What it is.
    pub(super) kind: Kind,
    /// What is below it.
    pub(super) children: Vec<Template>,
}

/// What a node of an instance is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// An object of that type.
    Object { type_definition: NodeId },
    /// A variable of that type.
    Variable {
        /// VariableType.
        type_definition: NodeId,
        /// DataType.
        data_type: NodeId,
        /// ValueRank.
        value_rank: i32,
        /// What the type says its value is; empty when it says nothing.
        value: Variant,
    },
    /// A method; instances share the type's own node (part 3, 6.3.3.3).
    Method { node: NodeId },
}

/// Reads templates out of an address space that holds the types.
pub(super) struct Reader<'a> {
    pub(super) address_space: &'a AddressSpace,
    pub(super) types: &'a dyn TypeTree,
}

impl Reader<'_> {
    /// The ObjectType of that BrowseName: a type derived from BaseObjectType.
    pub(super) fn type_named(&self, namespace: u16, name: &str) -> Option<NodeId> {
        let mut left = MOST_TYPES;
        let mut next = vec![NodeId::from(ObjectTypeId::BaseObjectType)];
        while let Some(type_id) = next.pop() {
            left -= 1;
            let node = self.address_space.find(&type_id)?.as_node();
            let found = node.browse_name();
            if found.namespace_index == namespace && found.name.as_ref() == name {
                return Some(type_id);
            }
            if left == 0 {
                return None;
            }
            let below =
                self.references(&type_id, ReferenceTypeId::HasSubtype, false, BrowseDirection::Forward);
            next.extend(below.map(|(_, below)| below));
        }
        None
    }

    /// What an instance of `type_id` has: everything that is mandatory (part 3, 6.4.4.4), and of what
    /// is optional that which is in `optional`, by path: `Monitoring/MachineTool/FeedOverride`. `None`
    /// when there is no such ObjectType.
    pub(super) fn template(&self, type_id: &NodeId, optional: &[&str]) -> Option<Template> {
        let NodeType::ObjectType(node) = self.address_space.find(type_id)? else { return None };
        let mut left = MOST_NODES;
        let children = self.children(&self.chain(type_id), "", optional, DEEPEST, &mut left);
        Some(Template {
            browse_name: node.browse_name().clone(),
            reference: NodeId::null(),
            kind: Kind::Object { type_definition: type_id.clone() },
            children,
        })
    }

    /// The children that `sources` declare; an earlier source overrides a later one.
    fn children(
        &self,
        sources: &[NodeId],
        path: &str,
        optional: &[&str],
        depth: usize,
        left: &mut usize,
    ) -> Vec<Template> {
        let mut declared: Vec<(QualifiedName, NodeId, Vec<NodeId>)> = Vec::new();
        for source in sources {
            let mut own: Vec<_> = self
                .references(source, ReferenceTypeId::Aggregates, true, BrowseDirection::Forward)
                .filter_map(|(reference, target)| {
                    let name = self.address_space.find(&target)?.as_node().browse_name().clone();
                    self.rule(&target)?;
                    Some((name, reference, target))
                })
                .collect();
            // References have no order; instances shall look the same every time.
            own.sort_by(|a, b| a.0.name.as_ref().cmp(b.0.name.as_ref()));
            for (name, reference, target) in own {
                match declared.iter_mut().find(|(known, ..)| *known == name) {
                    Some((.., targets)) => targets.push(target),
                    None => declared.push((name, reference, vec![target])),
                }
            }
        }
        let mut children = Vec::new();
        for (browse_name, reference, declarations) in declared {
            let path = match path {
                "" => browse_name.name.to_string(),
                _ => format!("{path}/{}", browse_name.name),
            };
            let mandatory = declarations
                .iter()
                .any(|node| self.rule(node) == Some(ObjectId::ModellingRule_Mandatory.into()));
            let wanted = || {
                let rule = self.rule(&declarations[0]);
                rule == Some(ObjectId::ModellingRule_Optional.into())
                    && optional.iter().any(|wanted| {
                        wanted
                            .strip_prefix(path.as_str())
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    })
            };
            if !(mandatory || wanted()) || depth == 0 || *left == 0 {
                continue;
            }
            *left -= 1;
            children.extend(self.child(browse_name, reference, declarations, &path, optional, depth, left));
        }
        children
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one recursion")]
    fn child(
        &self,
        browse_name: QualifiedName,
        reference: NodeId,
        declarations: Vec<NodeId>,
        path: &str,
        optional: &[&str],
        depth: usize,
        left: &mut usize,
    ) -> Option<Template> {
        let node = self.address_space.find(&declarations[0])?;
        let kind = match node {
            NodeType::Object(_) => Kind::Object { type_definition: self.type_definition(&declarations)? },
            NodeType::Variable(variable) => Kind::Variable {
                type_definition: self.type_definition(&declarations)?,
                data_type: match variable.data_type() {
                    none if none.is_null() => DataTypeId::BaseDataType.into(),
                    data_type => data_type,
                },
                value_rank: variable.value_rank(),
                value: value_of(variable),
            },
            NodeType::Method(_) => {
                let kind = Kind::Method { node: declarations[0].clone() };
                return Some(Template { browse_name, reference, kind, children: Vec::new() });
            }
            _ => return None,
        };
        let mut sources = declarations;
        if let Kind::Object { type_definition } | Kind::Variable { type_definition, .. } = &kind {
            sources.extend(self.chain(type_definition));
        }
        let children = self.children(&sources, path, optional, depth - 1, left);
        Some(Template { browse_name, reference, kind, children })
    }

    /// A type and its supertypes, from the most derived on.
    fn chain(&self, type_id: &NodeId) -> Vec<NodeId> {
        let mut chain = vec![type_id.clone()];
        while let Some(last) = chain.last().filter(|_| chain.len() < MOST_SUPERTYPES) {
            let above =
                self.references(last, ReferenceTypeId::HasSubtype, false, BrowseDirection::Inverse).next();
            match above {
                Some((_, above)) => chain.push(above),
                None => break,
            }
        }
        chain
    }

    fn type_definition(&self, declarations: &[NodeId]) -> Option<NodeId> {
        declarations.iter().find_map(|node| {
            let mut types =
                self.references(node, ReferenceTypeId::HasTypeDefinition, false, BrowseDirection::Forward);
            types.next().map(|(_, target)| target)
        })
    }

    fn rule(&self, node: &NodeId) -> Option<NodeId> {
        let mut rules =
            self.references(node, ReferenceTypeId::HasModellingRule, false, BrowseDirection::Forward);
        rules.next().map(|(_, target)| target)
    }

    /// The states of a state machine type and of its supertypes, by BrowseName, with their numbers.
    pub(super) fn states(&self, type_id: &NodeId) -> Vec<State> {
        let mut states: Vec<State> = Vec::new();
        for source in self.chain(type_id) {
            let components =
                self.references(&source, ReferenceTypeId::HasComponent, true, BrowseDirection::Forward);
            for (_, node) in components {
                let Some(found) = self.address_space.find(&node) else { continue };
                let name = found.as_node().browse_name().name.to_string();
                let number = self
                    .references(&node, ReferenceTypeId::HasProperty, false, BrowseDirection::Forward)
                    .find_map(|(_, property)| match self.address_space.find(&property)? {
                        NodeType::Variable(variable)
                            if variable.browse_name().name.as_ref() == "StateNumber" =>
                        {
                            match value_of(variable) {
                                Variant::UInt32(number) => Some(number),
                                _ => None,
                            }
                        }
                        _ => None,
                    });
                if let Some(number) = number
                    && !states.iter().any(|state| state.name == name)
                {
                    states.push(State { name, node, number });
                }
            }
        }
        states
    }

    /// Reference type and target of each reference.
    fn references(
        &self,
        node: &NodeId,
        reference: ReferenceTypeId,
        subtypes: bool,
        direction: BrowseDirection,
    ) -> impl Iterator<Item = (NodeId, NodeId)> {
        let found =
            self.address_space.find_references(node, Some((reference, subtypes)), self.types, direction);
        let found: VecDeque<_> = found
            .map(|reference| (reference.reference_type.clone(), reference.target_node.clone()))
            .collect();
        found.into_iter()
    }
}

/// What the node set says of it; empty when it says nothing.
fn value_of(variable: &Variable) -> Variant {
    let value = variable.value(TimestampsToReturn::Neither, &NumericRange::None, &DataEncoding::Binary, 0.0);
    value.value.unwrap_or_default()
}

/// A state of a state machine.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct State {
    /// Its BrowseName, `Running` for instance.
    pub(super) name: String,
    /// Its node in the type.
    pub(super) node: NodeId,
    /// Its StateNumber.
    pub(super) number: u32,
}
