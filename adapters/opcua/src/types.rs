//! Data types that a server defines: what they are made of.

use std::collections::{HashMap, HashSet};

use guideway_contract::SessionEnd;
use opcua_types::{
    AttributeId, BrowseDirection, EnumDefinition, NodeId, ReferenceTypeId, StructureDefinition,
    StructureType, Variant, VariantScalarTypeId,
};
use smol_str::SmolStr;

use crate::codec::structure::{Field, Holds, Layout, Shape};
use crate::server::{Server, attribute, references};

/// Most types that are looked up in a session.
const MOST_TYPES: usize = 2_000;
/// Types in types, and supertypes of types, are followed so far.
const DEEPEST: usize = 24;

/// The built-in types behind the data types met so far.
#[derive(Debug, Default)]
pub(crate) struct Types {
    kinds: HashMap<NodeId, VariantScalarTypeId>,
}

impl Types {
    /// The built-in type of a data type that was [learnt](Self::learn).
    pub(crate) fn kind(&self, data_type: &NodeId) -> Option<VariantScalarTypeId> {
        built_in(data_type).or_else(|| self.kinds.get(data_type).copied())
    }

    /// Looks up what data types are, and what structures among them are made of.
    pub(crate) async fn learn(
        &mut self,
        server: &mut Server,
        data_types: impl IntoIterator<Item = NodeId>,
    ) -> Result<(), SessionEnd> {
        let mut open: Vec<NodeId> = unknown(data_types, |one| self.kind(one).is_some());
        let mut structures: HashMap<NodeId, (StructureDefinition, bool)> = HashMap::new();
        for _ in 0..DEEPEST {
            if open.is_empty() || self.kinds.len() + open.len() > MOST_TYPES {
                break;
            }
            self.learn_kinds(server, &open).await?;
            let made_of: Vec<NodeId> = open
                .drain(..)
                .filter(|one| self.kind(one) == Some(VariantScalarTypeId::ExtensionObject))
                .collect();
            let questions: Vec<_> = made_of
                .iter()
                .flat_map(|one| {
                    [AttributeId::DataTypeDefinition, AttributeId::IsAbstract]
                        .map(|id| attribute(one.clone(), id))
                })
                .collect();
            let answers = server.read(&questions, None).await?;
            for (data_type, answers) in made_of.into_iter().zip(answers.chunks(2)) {
                let Some(Variant::ExtensionObject(object)) =
                    answers.first().and_then(|answer| answer.value.as_ref())
                else {
                    continue;
                };
                let is_abstract =
                    matches!(answers.get(1).and_then(|one| one.value.as_ref()), Some(Variant::Boolean(true)));
                if let Some(definition) = object.inner_as::<StructureDefinition>() {
                    open.extend(definition.fields.iter().flatten().map(|field| field.data_type.clone()));
                    structures.insert(data_type, (definition.clone(), is_abstract));
                } else if object.inner_as::<EnumDefinition>().is_some() {
                    self.kinds.insert(data_type, VariantScalarTypeId::Int32);
                }
            }
            open = unknown(std::mem::take(&mut open), |one| self.kind(one).is_some());
        }
        self.add(server, &structures).await
    }

    /// The supertypes of each, until one is built in.
    async fn learn_kinds(&mut self, server: &mut Server, open: &[NodeId]) -> Result<(), SessionEnd> {
        let mut climbing: Vec<(NodeId, NodeId)> = open.iter().map(|one| (one.clone(), one.clone())).collect();
        for _ in 0..DEEPEST {
            climbing.retain(|(data_type, at)| match self.kind(at) {
                Some(kind) => {
                    self.kinds.insert(data_type.clone(), kind);
                    false
                }
                None => true,
            });
            if climbing.is_empty() {
                return Ok(());
            }
            let questions: Vec<_> = climbing
                .iter()
                .map(|(_, at)| references(at.clone(), ReferenceTypeId::HasSubtype, BrowseDirection::Inverse))
                .collect();
            let answers = server.browse(&questions, 0).await?;
            climbing = climbing
                .into_iter()
                .zip(answers)
                .filter_map(|((data_type, _), answer)| {
                    let up = answer.ok()?.into_iter().next()?;
                    Some((data_type, up.node_id.node_id))
                })
                .collect();
        }
        Ok(())
    }

    async fn add(
        &self,
        server: &mut Server,
        structures: &HashMap<NodeId, (StructureDefinition, bool)>,
    ) -> Result<(), SessionEnd> {
        let nameless: Vec<&NodeId> = structures
            .iter()
            .filter(|(_, (definition, is_abstract))| !is_abstract && definition.default_encoding_id.is_null())
            .map(|(data_type, _)| data_type)
            .collect();
        let questions: Vec<_> = nameless
            .iter()
            .map(|one| references((*one).clone(), ReferenceTypeId::HasEncoding, BrowseDirection::Forward))
            .collect();
        let answers = server.browse(&questions, 0).await?;
        let mut encodings: HashMap<&NodeId, NodeId> = HashMap::new();
        for (data_type, answer) in nameless.into_iter().zip(answers) {
            let found = answer.unwrap_or_default().into_iter();
            let binary = found.into_iter().find(|one| one.browse_name.name.as_ref() == "Default Binary");
            if let Some(binary) = binary {
                encodings.insert(data_type, binary.node_id.node_id);
            }
        }
        for (data_type, (definition, _)) in structures {
            let encoding = match encodings.remove(data_type) {
                Some(encoding) => encoding,
                None => definition.default_encoding_id.clone(),
            };
            if let Some(shape) = self.shape(definition, structures) {
                server.shapes.add(data_type.clone(), Some(encoding), shape);
            }
        }
        Ok(())
    }

    fn shape(
        &self,
        definition: &StructureDefinition,
        structures: &HashMap<NodeId, (StructureDefinition, bool)>,
    ) -> Option<Shape> {
        let layout = match definition.structure_type {
            StructureType::Structure => Layout::Plain,
            StructureType::StructureWithOptionalFields => Layout::Optional,
            StructureType::Union => Layout::Union,
            _ => return None,
        };
        let fields = definition.fields.iter().flatten().map(|field| {
            let kind = self.kind(&field.data_type)?;
            let is_whole = structures.get(&field.data_type).is_some_and(|(_, is_abstract)| !is_abstract);
            let holds = if kind == VariantScalarTypeId::ExtensionObject && is_whole {
                Holds::Structure(field.data_type.clone())
            } else {
                Holds::Scalar(kind)
            };
            let dimensions = match field.value_rank {
                -1 => 0,
                0 | 1 => 1,
                more => u8::try_from(more).ok().filter(|more| *more <= 8)?,
            };
            Some(Field {
                name: SmolStr::new(field.name.as_ref()),
                holds,
                dimensions,
                optional: field.is_optional && layout == Layout::Optional,
            })
        });
        Some(Shape { layout, fields: fields.collect::<Option<_>>()? })
    }
}

fn unknown(all: impl IntoIterator<Item = NodeId>, is_known: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
    let once: HashSet<NodeId> = all.into_iter().filter(|one| !one.is_null() && !is_known(one)).collect();
    once.into_iter().collect()
}

/// The built-in type that a data type of OPC UA itself is (OPC 10000-6, table 1).
fn built_in(data_type: &NodeId) -> Option<VariantScalarTypeId> {
    if data_type.namespace != 0 {
        return None;
    }
    match data_type.as_u32()? {
        // Any number; any enumeration.
        26..=28 => Some(VariantScalarTypeId::Variant),
        29 => Some(VariantScalarTypeId::Int32),
        id @ 1..=25 => VariantScalarTypeId::try_from(id).ok(),
        _ => None,
    }
}
