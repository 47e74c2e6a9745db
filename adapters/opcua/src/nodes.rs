//! Points looked up on a server: their nodes, and what these take.

use guideway_contract::SessionEnd;
use opcua_types::{
    Argument, AttributeId, BrowsePath, DataValue, NodeId, NumericRange, QualifiedName, ReadValueId,
    ReferenceTypeId, RelativePath, RelativePathElement, StatusCode, Variant, VariantScalarTypeId,
};

use crate::address::Address;
use crate::codec::value::words;
use crate::codec::write::Target;
use crate::server::{Server, attribute};
use crate::types::Types;
use crate::wanted::Wanted;

/// The bit of AccessLevel that lets the value be written.
const MAY_WRITE: u8 = 2;

/// A point's node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// The stretch of the array that the server is asked for; without one the whole comes.
    pub(crate) range: NumericRange,
    /// What it takes, or why nothing can be written.
    pub(crate) takes: Result<Takes, String>,
}

/// What a command does to a node.
#[derive(Clone, Debug)]
pub(crate) enum Takes {
    /// A value.
    Value(Target),
    /// Arguments of a method of this object.
    Call { object: NodeId, arguments: Option<Vec<Target>> },
}

impl Node {
    /// The question for its value.
    pub(crate) fn question(&self) -> ReadValueId {
        ReadValueId { index_range: self.range.clone(), ..attribute(self.id.clone(), AttributeId::Value) }
    }
}

/// Looks points up. For each its node, or why there is none.
pub(crate) async fn look_up(
    server: &mut Server,
    types: &mut Types,
    wanted: &[&Wanted],
) -> Result<Vec<Result<Node, String>>, SessionEnd> {
    let addresses: Vec<&Address> = wanted.iter().map(|one| &one.address).collect();
    let ids = find(server, &addresses).await?;
    let places: Vec<usize> = (0..wanted.len()).filter(|&at| wanted[at].object.is_some()).collect();
    let objects: Vec<&Address> = places.iter().filter_map(|&at| wanted[at].object.as_ref()).collect();
    let objects = find(server, &objects).await?;
    let mut nodes: Vec<Result<Node, String>> = ids
        .into_iter()
        .map(|id| id.map(|id| Node { id, range: NumericRange::None, takes: Err("it is read only".into()) }))
        .collect();
    for (at, object) in places.into_iter().zip(objects) {
        let Ok(node) = &nodes[at] else { continue };
        nodes[at] = match object {
            Err(cause) => Err(format!("the object: {cause}")),
            Ok(object) => {
                let arguments = arguments(server, types, node.id.clone()).await?;
                Ok(Node { takes: Ok(Takes::Call { object, arguments }), ..node.clone() })
            }
        };
    }
    describe(server, types, wanted, &mut nodes).await?;
    try_ranges(server, wanted, &mut nodes).await?;
    Ok(nodes)
}

async fn find(
    server: &mut Server,
    addresses: &[&Address],
) -> Result<Vec<Result<NodeId, String>>, SessionEnd> {
    let mut ids: Vec<Result<NodeId, String>> = Vec::with_capacity(addresses.len());
    let (mut paths, mut places) = (Vec::new(), Vec::new());
    for address in addresses {
        ids.push(match address.resolve(&server.namespaces) {
            Ok(Ok(id)) => Ok(id),
            Ok(Err(path)) => {
                places.push(ids.len());
                paths.push(path);
                Err(String::new())
            }
            Err(cause) => Err(cause),
        });
    }
    let found = server.translate(&paths).await?;
    for (place, found) in places.into_iter().zip(found) {
        ids[place] = found.map_err(|status| match status {
            StatusCode::BadNoMatch => "the server has no node at the end of this path".into(),
            other => words(other),
        });
    }
    Ok(ids)
}

/// What the variables are: whether they are there, of what type, and what they take.
async fn describe(
    server: &mut Server,
    types: &mut Types,
    wanted: &[&Wanted],
    nodes: &mut [Result<Node, String>],
) -> Result<(), SessionEnd> {
    let places: Vec<usize> =
        (0..wanted.len()).filter(|&at| nodes[at].is_ok() && wanted[at].object.is_none()).collect();
    let mut questions = Vec::new();
    for &at in &places {
        let Ok(node) = &nodes[at] else { continue };
        questions.push(attribute(node.id.clone(), AttributeId::DataType));
        if wanted[at].spec.access.writes() {
            for id in [AttributeId::Value, AttributeId::ValueRank, AttributeId::UserAccessLevel] {
                questions.push(attribute(node.id.clone(), id));
            }
        }
    }
    let mut answers = server.read(&questions, None).await?.into_iter();
    let mut said = Vec::with_capacity(places.len());
    for &at in &places {
        let Some(data_type) = answers.next() else { break };
        let more: Vec<DataValue> =
            if wanted[at].spec.access.writes() { answers.by_ref().take(3).collect() } else { Vec::new() };
        let data_type = match data_type.value {
            Some(Variant::NodeId(id)) => Some(*id),
            _ => {
                nodes[at] = match data_type.status.unwrap_or(StatusCode::Good) {
                    status @ (StatusCode::BadNodeIdUnknown | StatusCode::BadNodeIdInvalid) => {
                        Err(words(status))
                    }
                    StatusCode::BadAttributeIdInvalid => Err("the node is no variable".into()),
                    // Whoever may not read its type may yet read its value.
                    _ => nodes[at].clone(),
                };
                None
            }
        };
        said.push((at, data_type, more));
    }
    types.learn(server, said.iter().filter_map(|(_, data_type, _)| data_type.clone())).await?;
    for (at, data_type, more) in said {
        let (Ok(node), true) = (&mut nodes[at], wanted[at].spec.access.writes()) else { continue };
        let kind = data_type.and_then(|data_type| types.kind(&data_type));
        node.takes = takes(kind, &more);
    }
    Ok(())
}

/// What a variable takes, by its type, its value now, its rank and its access level.
fn takes(kind: Option<VariantScalarTypeId>, said: &[DataValue]) -> Result<Takes, String> {
    let said = |at: usize| said.get(at).and_then(|said| said.value.as_ref());
    if let Some(Variant::Byte(access)) = said(2)
        && access & MAY_WRITE == 0
    {
        return Err("the server does not let this user write it".into());
    }
    let now = said(0).and_then(Target::of);
    let target = match (kind, now) {
        // A type that may be many: what it is now decides.
        (Some(VariantScalarTypeId::Variant) | None, Some(now)) => now,
        (Some(kind), Some(now)) => Target { kind, array: now.array },
        (Some(kind), None) => {
            let array = matches!(said(1), Some(Variant::Int32(rank)) if *rank >= 0);
            Target { kind, array }
        }
        (None, None) => return Err("the server does not say of what type it is".into()),
    };
    Ok(Takes::Value(target))
}

/// What a method takes: its InputArguments, or nothing if it has none.
async fn arguments(
    server: &mut Server,
    types: &mut Types,
    method: NodeId,
) -> Result<Option<Vec<Target>>, SessionEnd> {
    let path = property(method, "InputArguments");
    let Some(Ok(id)) = server.translate(&[path]).await?.into_iter().next() else {
        return Ok(Some(Vec::new()));
    };
    let answer = server.read(&[attribute(id, AttributeId::Value)], None).await?.into_iter().next();
    let Some(Variant::Array(array)) = answer.and_then(|answer| answer.value) else { return Ok(None) };
    let arguments: Option<Vec<&Argument>> =
        array
            .values
            .iter()
            .map(|one| {
                if let Variant::ExtensionObject(object) = one { object.inner_as::<Argument>() } else { None }
            })
            .collect();
    let Some(arguments) = arguments else { return Ok(None) };
    types.learn(server, arguments.iter().map(|one| one.data_type.clone())).await?;
    Ok(arguments
        .into_iter()
        .map(|one| Some(Target { kind: types.kind(&one.data_type)?, array: one.value_rank >= 0 }))
        .collect())
}

/// The way to a property that OPC UA itself names.
pub(crate) fn property(node: NodeId, name: &str) -> BrowsePath {
    let step = RelativePathElement {
        reference_type_id: ReferenceTypeId::HasProperty.into(),
        is_inverse: false,
        include_subtypes: true,
        target_name: QualifiedName::new(0, name),
    };
    BrowsePath { starting_node: node, relative_path: RelativePath { elements: Some(vec![step]) } }
}

/// Whether the server gives parts of arrays: some ignore the index and would pass the first element for any.
async fn try_ranges(
    server: &mut Server,
    wanted: &[&Wanted],
    nodes: &mut [Result<Node, String>],
) -> Result<(), SessionEnd> {
    let mut places = Vec::new();
    let mut questions = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        if let (Ok(node), Some(index)) = (node, &wanted[at].index) {
            let whole = attribute(node.id.clone(), AttributeId::Value);
            questions.push(ReadValueId { index_range: index.range(), ..whole.clone() });
            questions.push(whole);
            places.push(at);
        }
    }
    let answers = server.read(&questions, None).await?;
    for (at, answers) in places.into_iter().zip(answers.chunks(2)) {
        let (Ok(node), Some(index), [part, whole]) = (&mut nodes[at], &wanted[at].index, answers) else {
            continue;
        };
        let length = |answer: &DataValue| answer.value.as_ref().and_then(Variant::as_array).map(Vec::len);
        let (Some(part), Some(whole)) = (length(part), length(whole)) else { continue };
        if part < whole && (part == index.elements() || index.is_one() && part == 1) {
            node.range = index.range();
        }
    }
    Ok(())
}
