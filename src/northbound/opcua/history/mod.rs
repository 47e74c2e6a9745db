//! HistoryRead: the journal answers (part 11, 6.4.3).
//!
//! Raw values of every data item that is a variable, as a subscriber saw them: same value, status and
//! times. They come in order of their source times, which is not always the order in which they were
//! observed; values with equal times come as they were observed. Modified, processed and interpolated values are not offered: nothing in the journal is ever
//! changed, and calculating is for those who know what a value means.
//!
//! The values of a TIME_SERIES have their own times and are found by them. A series is taken to end after
//! the one before it; where series overlap, values are in the order of the series.

mod range;
mod reader;

use std::sync::Arc;

use opcua_server::ContinuationPoint;
use opcua_server::node_manager::HistoryNode;
use opcua_types::{
    DataValue, HistoryData, NodeId, NumericRange, QualifiedName, ReadRawModifiedDetails, StatusCode,
    TimestampsToReturn, Variant,
};
use rustc_hash::FxHashMap;
use tokio::sync::Semaphore;

use super::binding::{Bindings, Shape};
use super::space::Shared;
use range::Range;
use reader::{Place, Reader, Target};

/// Requests that read at the same time, of all clients: each takes a thread and some megabytes.
/// Others wait for their turn.
static TURNS: Semaphore = Semaphore::const_new(4);

/// Answers a request for raw values, node by node.
pub(super) async fn read_raw(
    shared: &Arc<Shared>,
    details: &ReadRawModifiedDetails,
    nodes: &mut [&mut &mut HistoryNode],
    timestamps: TimestampsToReturn,
) -> Result<(), StatusCode> {
    if matches!(timestamps, TimestampsToReturn::Neither | TimestampsToReturn::Invalid) {
        return Err(StatusCode::BadTimestampsToReturnInvalid);
    }
    if details.is_read_modified {
        return Err(StatusCode::BadHistoryOperationUnsupported);
    }
    let targets = targets(&shared.bindings.load(), nodes.iter().map(|node| node.node_id()));
    // Where each reader stands among the nodes.
    let mut places = Vec::with_capacity(nodes.len());
    let mut readers = Vec::with_capacity(nodes.len());
    let share = (shared.history_values / nodes.len().max(1)).max(1);
    for (number, node) in nodes.iter_mut().enumerate() {
        match reader(node, &targets, details, share) {
            Ok(reader) => {
                places.push(number);
                readers.push(reader);
            }
            Err(status) => node.set_status(status),
        }
    }
    if readers.is_empty() {
        return Ok(());
    }
    let turn = TURNS.acquire().await.map_err(|_| StatusCode::BadShutdown)?;
    let shared = shared.clone();
    let read = move || {
        let _turn = turn;
        let types = shared.types.get()?;
        reader::read(&shared.context.journal, types, &mut readers);
        Some(readers)
    };
    let readers = tokio::task::spawn_blocking(read).await.ok().flatten();
    for (number, reader) in places.into_iter().zip(readers.ok_or(StatusCode::BadInternalError)?) {
        let node = &mut nodes[number];
        let range = node.index_range().clone();
        match reader.finish() {
            Ok((values, next)) => {
                let nothing = values.is_empty() && next.is_none();
                node.set_status(if nothing { StatusCode::GoodNoData } else { StatusCode::Good });
                let values = values.into_iter().map(|value| shown(value, &range, timestamps)).collect();
                node.set_result(HistoryData { data_values: Some(values) });
                let next = next.map(|place| ContinuationPoint::new(Box::new(place)));
                node.set_next_continuation_point(next);
            }
            Err(status) => node.set_status(status),
        }
    }
    Ok(())
}

/// Prepares to read a node's history, from its beginning or from where an answer ended.
fn reader(
    node: &HistoryNode,
    targets: &FxHashMap<NodeId, Target>,
    details: &ReadRawModifiedDetails,
    limit: usize,
) -> Result<Reader, StatusCode> {
    check_encoding(node.data_encoding())?;
    let target = targets.get(node.node_id()).ok_or(StatusCode::BadHistoryOperationUnsupported)?;
    let place = match node.continuation_point() {
        Some(point) => point
            .get::<Place>()
            .filter(|place| place.is_of(node.node_id()))
            .cloned()
            .ok_or(StatusCode::BadContinuationPointInvalid)?,
        None => Place::new(node.node_id().clone(), Range::of(details)?),
    };
    Ok(Reader::new(target.clone(), place, limit))
}

/// Values are given in the encoding of the message, which is binary.
fn check_encoding(encoding: &QualifiedName) -> Result<(), StatusCode> {
    match encoding.name.as_ref() {
        "" | "Default Binary" => Ok(()),
        "Default XML" | "Default JSON" => Err(StatusCode::BadDataEncodingUnsupported),
        _ => Err(StatusCode::BadDataEncodingInvalid),
    }
}

/// Which data items the nodes show.
fn targets<'n>(bindings: &Bindings, nodes: impl Iterator<Item = &'n NodeId>) -> FxHashMap<NodeId, Target> {
    let mut targets: FxHashMap<&NodeId, Option<Target>> = nodes.map(|node| (node, None)).collect();
    for (item, binding) in (0..).zip(&bindings.0) {
        let Some(binding) = binding else { continue };
        if binding.shape != Shape::Condition
            && let Some(target) = targets.get_mut(&binding.node)
        {
            *target = Some(Target::new(item, binding.clone()));
        }
    }
    targets.into_iter().filter_map(|(node, target)| Some((node.clone(), target?))).collect()
}

/// The value as it was asked for.
fn shown(mut value: DataValue, range: &NumericRange, timestamps: TimestampsToReturn) -> DataValue {
    if range.has_range()
        && !value.status().is_bad()
        && let Some(whole) = value.value.take()
    {
        match whole.range_of_owned(range) {
            Ok(part) => value.value = Some(part),
            Err(status) => {
                value.value = Some(Variant::Empty);
                value.status = Some(status);
            }
        }
    }
    if timestamps == TimestampsToReturn::Server {
        (value.source_timestamp, value.source_picoseconds) = (None, None);
    }
    if timestamps == TimestampsToReturn::Source {
        (value.server_timestamp, value.server_picoseconds) = (None, None);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_asked_for_times_and_elements_are_shown() {
        let time = opcua_types::DateTime::ymd(2026, 1, 2);
        let value = DataValue {
            value: Some(Variant::from(vec![1.0, 2.0, 3.0])),
            status: Some(StatusCode::Good),
            source_timestamp: Some(time),
            server_timestamp: Some(time),
            ..DataValue::default()
        };
        let source = shown(value.clone(), &NumericRange::None, TimestampsToReturn::Source);
        assert_eq!((source.source_timestamp, source.server_timestamp), (Some(time), None));
        let server = shown(value.clone(), &NumericRange::None, TimestampsToReturn::Server);
        assert_eq!((server.source_timestamp, server.server_timestamp), (None, Some(time)));
        let part = shown(value.clone(), &NumericRange::Range(1, 2), TimestampsToReturn::Both);
        assert_eq!(part.value, Some(Variant::from(vec![2.0, 3.0])));
        let beyond = shown(value, &NumericRange::Range(7, 9), TimestampsToReturn::Both);
        assert_eq!(beyond.value, Some(Variant::Empty));
        assert!(beyond.status().is_bad());
    }

    #[test]
    fn values_are_given_in_binary_only() {
        assert_eq!(check_encoding(&QualifiedName::null()), Ok(()));
        assert_eq!(check_encoding(&QualifiedName::new(0, "Default Binary")), Ok(()));
        let refused = |name| check_encoding(&QualifiedName::new(0, name)).err();
        assert_eq!(refused("Default XML"), Some(StatusCode::BadDataEncodingUnsupported));
        assert_eq!(refused("Morse"), Some(StatusCode::BadDataEncodingInvalid));
    }
}
