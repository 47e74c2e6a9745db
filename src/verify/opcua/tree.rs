//! The machines as a server shows them: which data items there are, and how their values are to be read.

use std::sync::Arc;

use opcua_client::Session;
use opcua_types::{
    AttributeId, BrowseDescription, BrowseDirection, BrowseResultMaskFlags, ExpandedNodeId, Identifier,
    NodeId, ReadValueId, ReferenceDescription, TimestampsToReturn, Variant,
};
use smol_str::SmolStr;

use crate::verify::expect::Shape;
use crate::verify::reading::Item;

/// The namespace of the companion specification.
const MTCONNECT: &str = "http://opcfoundation.org/UA/MTConnect/v2/";

/// Nodes in one request.
const BATCH: usize = 200;

/// Types of the companion specification by which data items are known.
const DEVICE: u32 = 2015;
const CONDITION: u32 = 2660;
const VOCABULARY: u32 = 2626;
const NUMBERS: [u32; 2] = [2429, 2438];
const OTHERS: [u32; 4] = [2433, 2471, 2621, 2641];

/// Data sets and tables, for which the specification has no type, are plain data variables.
const DATA_VARIABLE: u32 = 63;

/// References of namespace 0.
const HIERARCHICAL: u32 = 33;
const HAS_PROPERTY: u32 = 46;
const OBJECTS: u32 = 85;

/// A data item that a server shows.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) item: Item,
    pub(super) node: NodeId,
    pub(super) shape: Shape,
    /// Of a vocabulary: the property with the word.
    pub(super) as_text: Option<NodeId>,
}

/// What is there.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) items: Vec<Shown>,
    /// The index of the companion specification's namespace.
    pub(super) mtconnect: u16,
}

/// Walks down from the Objects folder, within the gateway's own namespace.
pub(super) async fn walk(session: &Session) -> Result<Tree, String> {
    let namespaces = namespaces(session).await?;
    let index = |wanted: &dyn Fn(&str) -> bool| {
        let place = namespaces.iter().position(|uri| wanted(uri));
        place.and_then(|place| u16::try_from(place).ok())
    };
    let mtconnect = index(&|uri| uri == MTCONNECT)
        .ok_or_else(|| format!("the server does not know {MTCONNECT}; is it a Guideway?"))?;
    let machines = index(&|uri| uri.starts_with("urn:guideway:") && uri.ends_with(":machines"))
        .ok_or("the server has no namespace urn:guideway:…:machines; is it a Guideway?")?;
    let mut tree = Tree { items: Vec::new(), mtconnect };
    let mut classes: Vec<(usize, NodeId)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    // A node, and the uuid of the device that it is in.
    let mut level: Vec<(NodeId, Option<SmolStr>)> = vec![(NodeId::new(0, OBJECTS), None)];
    while !level.is_empty() {
        let mut below = Vec::new();
        for batch in level.chunks(BATCH) {
            let nodes: Vec<NodeId> = batch.iter().map(|(node, _)| node.clone()).collect();
            let found = browse(session, &nodes, &NodeId::new(0, HIERARCHICAL)).await?;
            for ((_, device), references) in batch.iter().zip(found) {
                for reference in references {
                    let node = reference.node_id.node_id.clone();
                    if node.namespace != machines || !seen.insert(node.to_string()) {
                        continue;
                    }
                    let Identifier::String(name) = &node.identifier else { continue };
                    let kind = own_type(&reference.type_definition, mtconnect);
                    let is_set = reference.type_definition.node_id == NodeId::new(0, DATA_VARIABLE);
                    let device = match (device, kind) {
                        (None, Some(DEVICE)) => Some(SmolStr::from(name.as_ref())),
                        (device, _) => device.clone(),
                    };
                    let shape = if is_set { Some(Shape::Other) } else { kind.and_then(shape) };
                    if let (Some(uuid), Some(shape)) = (&device, shape) {
                        let id = name.as_ref().strip_prefix(&format!("{uuid}/")).unwrap_or(name.as_ref());
                        let item = Item { device: uuid.clone(), id: id.into() };
                        if matches!(shape, Shape::Vocabulary(_)) {
                            classes.push((tree.items.len(), node.clone()));
                        }
                        tree.items.push(Shown { item, node, shape, as_text: None });
                    } else {
                        below.push((node, device));
                    }
                }
            }
        }
        level = below;
    }
    vocabularies(session, &mut tree, &classes).await?;
    Ok(tree)
}

/// The number of a type of the companion specification.
fn own_type(id: &ExpandedNodeId, mtconnect: u16) -> Option<u32> {
    match (&id.node_id.identifier, id.node_id.namespace == mtconnect) {
        (Identifier::Numeric(number), true) => Some(*number),
        _ => None,
    }
}

fn shape(kind: u32) -> Option<Shape> {
    match kind {
        CONDITION => Some(Shape::Condition),
        VOCABULARY => Some(Shape::Vocabulary(Arc::default())),
        _ if NUMBERS.contains(&kind) => Some(Shape::Number),
        _ if OTHERS.contains(&kind) => Some(Shape::Other),
        _ => None,
    }
}

/// The words of the vocabularies, and where the word of a value is told.
async fn vocabularies(session: &Session, tree: &mut Tree, items: &[(usize, NodeId)]) -> Result<(), String> {
    for batch in items.chunks(BATCH) {
        let nodes: Vec<NodeId> = batch.iter().map(|(_, node)| node.clone()).collect();
        let properties = browse(session, &nodes, &NodeId::new(0, HAS_PROPERTY)).await?;
        for ((place, node), properties) in batch.iter().zip(properties) {
            let property = |name: &str| {
                let found = properties.iter().find(|it| it.browse_name.name.as_ref() == name);
                found.map(|it| it.node_id.node_id.clone()).ok_or_else(|| format!("{node} has no {name}"))
            };
            let words = enum_strings(session, property("EnumStrings")?).await?;
            let Some(shown) = tree.items.get_mut(*place) else { continue };
            shown.shape = Shape::Vocabulary(words.into());
            shown.as_text = Some(property("ValueAsText")?);
        }
    }
    Ok(())
}

async fn enum_strings(session: &Session, node: NodeId) -> Result<Vec<SmolStr>, String> {
    let value = read(session, node.clone()).await?;
    let Variant::Array(array) = value else { return Err(format!("{node} is {value:?}")) };
    let word = |it: &Variant| match it {
        Variant::LocalizedText(text) => Ok(SmolStr::from(text.text.as_ref())),
        other => Err(format!("{node} holds {other:?}")),
    };
    array.values.iter().map(word).collect()
}

async fn namespaces(session: &Session) -> Result<Vec<String>, String> {
    match read(session, NodeId::new(0, 2255_u32)).await? {
        Variant::Array(array) => Ok(array.values.iter().map(ToString::to_string).collect()),
        other => Err(format!("NamespaceArray is {other:?}")),
    }
}

async fn read(session: &Session, node: NodeId) -> Result<Variant, String> {
    let wanted = ReadValueId {
        node_id: node.clone(),
        attribute_id: AttributeId::Value as u32,
        ..ReadValueId::default()
    };
    let read = session.read(&[wanted], TimestampsToReturn::Neither, 0.0).await;
    let value = read.map_err(|error| error.to_string())?.into_iter().next().and_then(|read| read.value);
    value.ok_or_else(|| format!("{node} has no value"))
}

/// All forward references of that type (or a kind of it), of each node.
async fn browse(
    session: &Session,
    nodes: &[NodeId],
    reference: &NodeId,
) -> Result<Vec<Vec<ReferenceDescription>>, String> {
    let wanted = |node: &NodeId| BrowseDescription {
        node_id: node.clone(),
        browse_direction: BrowseDirection::Forward,
        reference_type_id: reference.clone(),
        include_subtypes: true,
        node_class_mask: 0,
        result_mask: BrowseResultMaskFlags::all().bits(),
    };
    let wanted: Vec<_> = nodes.iter().map(wanted).collect();
    let results = session.browse(&wanted, 0, None).await.map_err(|error| format!("browse: {error}"))?;
    let mut all = Vec::with_capacity(results.len());
    for (result, node) in results.into_iter().zip(nodes) {
        if result.status_code.is_bad() {
            return Err(format!("browse of {node}: {}", result.status_code));
        }
        let mut references = result.references.unwrap_or_default();
        let mut more = result.continuation_point;
        while !more.is_null() {
            let next =
                session.browse_next(false, &[more]).await.map_err(|error| format!("browse: {error}"))?;
            let Some(next) = next.into_iter().next() else { break };
            references.extend(next.references.unwrap_or_default());
            more = next.continuation_point;
        }
        all.push(references);
    }
    Ok(all)
}
