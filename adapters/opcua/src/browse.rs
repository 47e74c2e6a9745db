//! Listing what is below a node.

use guideway_contract::{DataType, Found, Kind, SessionEnd};
use opcua_types::{
    AttributeId, BrowseDirection, EUInformation, NodeClass, NodeId, ObjectId, ReferenceDescription,
    ReferenceTypeId, Variant, VariantScalarTypeId,
};
use smol_str::SmolStr;

use crate::address::{Address, written};
use crate::codec::value::{native, words};
use crate::config::Config;
use crate::nodes::property;
use crate::server::{Server, attribute, references, value};
use crate::types::Types;

/// Most nodes in a list.
const MOST: usize = 10_000;
/// Most characters of a value.
const LONGEST: usize = 80;
/// The bit of AccessLevel that lets the value be written.
const MAY_WRITE: u8 = 2;

/// What is below an address; below the Objects folder without one.
pub(crate) async fn below(
    server: &mut Server,
    config: &Config,
    address: &str,
) -> Result<Vec<Found>, SessionEnd> {
    let start = start(server, config, address).await?;
    let all = references(start, ReferenceTypeId::HierarchicalReferences, BrowseDirection::Forward);
    let children = match server.browse(&[all], 0).await?.into_iter().next() {
        Some(Ok(children)) => children,
        Some(Err(status)) => return Err(SessionEnd::Protocol(format!("`{address}`: {}", words(status)))),
        None => Vec::new(),
    };
    let mut seen = std::collections::HashSet::new();
    let children: Vec<ReferenceDescription> = children
        .into_iter()
        .filter(|child| child.node_id.server_index == 0 && seen.insert(child.node_id.node_id.clone()))
        .take(MOST)
        .collect();
    let variables: Vec<NodeId> = children
        .iter()
        .filter(|child| child.node_class == NodeClass::Variable)
        .map(|child| child.node_id.node_id.clone())
        .collect();
    let mut details = describe(server, &variables).await?.into_iter();
    Ok(children
        .into_iter()
        .map(|child| {
            let mut found = Found {
                address: SmolStr::new(written(&child.node_id.node_id, &server.namespaces)),
                label: child.display_name.text.to_string(),
                note: String::new(),
                data_type: None,
                units: SmolStr::default(),
                value: String::new(),
                writable: false,
                folder: child.node_class != NodeClass::Method,
            };
            match child.node_class {
                NodeClass::Variable => {
                    if let Some(detail) = details.next() {
                        detail.into(&mut found);
                    }
                }
                NodeClass::Method => {
                    found.note = "a method: its point needs `method`, the object that it is of".into();
                    found.writable = true;
                }
                _ => {}
            }
            found
        })
        .collect())
}

async fn start(server: &mut Server, config: &Config, address: &str) -> Result<NodeId, SessionEnd> {
    if address.trim().is_empty() {
        return Ok(ObjectId::ObjectsFolder.into());
    }
    let wrong = |cause: String| SessionEnd::Protocol(format!("`{address}`: {cause}"));
    let parsed = Address::parse(address, None, &config.namespaces).map_err(wrong)?;
    match parsed.resolve(&server.namespaces).map_err(wrong)? {
        Ok(node) => Ok(node),
        Err(path) => match server.translate(&[path]).await?.into_iter().next() {
            Some(Ok(node)) => Ok(node),
            Some(Err(status)) => Err(wrong(words(status))),
            None => Err(wrong("no answer".into())),
        },
    }
}

/// What is to be told of a variable.
struct Detail {
    data_type: DataType,
    value: String,
    description: String,
    writable: bool,
    units: SmolStr,
    parent: bool,
}

impl Detail {
    fn into(self, found: &mut Found) {
        found.data_type = Some(self.data_type);
        found.value = self.value;
        found.note = self.description;
        found.writable = self.writable;
        found.units = self.units;
        found.folder = self.parent;
    }
}

async fn describe(server: &mut Server, variables: &[NodeId]) -> Result<Vec<Detail>, SessionEnd> {
    const ASKED: [AttributeId; 4] =
        [AttributeId::DataType, AttributeId::Value, AttributeId::Description, AttributeId::UserAccessLevel];
    let questions: Vec<_> =
        variables.iter().flat_map(|node| ASKED.map(|asked| attribute(node.clone(), asked))).collect();
    let answers = server.read(&questions, None).await?;
    let mut types = Types::default();
    let data_types = answers.chunks(ASKED.len()).filter_map(|answer| match &answer.first()?.value {
        Some(Variant::NodeId(id)) => Some((**id).clone()),
        _ => None,
    });
    types.learn(server, data_types.collect::<Vec<_>>()).await?;
    let below: Vec<_> = variables
        .iter()
        .map(|node| references(node.clone(), ReferenceTypeId::HasComponent, BrowseDirection::Forward))
        .collect();
    let parents = server.browse(&below, 1).await?;
    let units = units(server, variables).await?;
    server.shapes.ahead = server.link.ahead();
    Ok(answers
        .chunks(ASKED.len())
        .zip(parents)
        .zip(units)
        .map(|((answer, parent), units)| {
            let said = |at: usize| answer.get(at).and_then(|answer| answer.value.as_ref());
            let kind = match said(0) {
                Some(Variant::NodeId(id)) => types.kind(id),
                _ => None,
            };
            let shown = match (said(1), answer.get(1).and_then(|answer| answer.status)) {
                (_, Some(status)) if status.is_bad() => format!("({})", words(status)),
                (Some(value), _) => native(value, &server.shapes).to_string(),
                (None, _) => String::new(),
            };
            Detail {
                data_type: data_type(kind, said(1)),
                value: shown.chars().take(LONGEST).collect(),
                description: match said(2) {
                    Some(Variant::LocalizedText(text)) => text.text.value().clone().unwrap_or_default(),
                    _ => String::new(),
                },
                writable: matches!(said(3), Some(Variant::Byte(access)) if access & MAY_WRITE != 0),
                units,
                parent: parent.is_ok_and(|references| !references.is_empty()),
            }
        })
        .collect())
}

async fn units(server: &mut Server, variables: &[NodeId]) -> Result<Vec<SmolStr>, SessionEnd> {
    let paths: Vec<_> = variables.iter().map(|node| property(node.clone(), "EngineeringUnits")).collect();
    let found = server.translate(&paths).await?;
    let nodes: Vec<_> = found.iter().flatten().cloned().map(value).collect();
    let mut answers = server.read(&nodes, None).await?.into_iter();
    let mut word = || match answers.next()?.value? {
        Variant::ExtensionObject(object) => object
            .inner_as::<EUInformation>()
            .and_then(|unit| unit.display_name.text.value().as_deref().map(SmolStr::new)),
        _ => None,
    };
    Ok(found
        .iter()
        .map(|node| if node.is_ok() { word().unwrap_or_default() } else { SmolStr::default() })
        .collect())
}

fn data_type(kind: Option<VariantScalarTypeId>, now: Option<&Variant>) -> DataType {
    let kind = match kind {
        Some(VariantScalarTypeId::Variant) | None => now.and_then(Variant::scalar_type_id),
        known => known,
    };
    let word = match kind {
        Some(VariantScalarTypeId::Boolean) => Kind::Bool,
        Some(VariantScalarTypeId::SByte) => Kind::I8,
        Some(VariantScalarTypeId::Byte) => Kind::U8,
        Some(VariantScalarTypeId::Int16) => Kind::I16,
        Some(VariantScalarTypeId::UInt16) => Kind::U16,
        Some(VariantScalarTypeId::Int32) => Kind::I32,
        Some(VariantScalarTypeId::UInt32) => Kind::U32,
        Some(VariantScalarTypeId::Int64) => Kind::I64,
        Some(VariantScalarTypeId::UInt64) => Kind::U64,
        Some(VariantScalarTypeId::Float) => Kind::F32,
        Some(VariantScalarTypeId::Double) => Kind::F64,
        _ => Kind::Auto,
    };
    let count = match now {
        Some(Variant::Array(array))
            if word != Kind::Auto && array.dimensions.as_ref().is_none_or(|all| all.len() < 2) =>
        {
            match u32::try_from(array.values.len()) {
                Ok(count @ 1..=4_096) => Some(count),
                _ => return DataType::default(),
            }
        }
        Some(Variant::Array(_)) => return DataType::default(),
        _ => None,
    };
    DataType { kind: word, count }
}
