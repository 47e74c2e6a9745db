//! HistoryRead: the journal answers.

use opcua_server::node_manager::HistoryNode;
use opcua_types::{ReadRawModifiedDetails, StatusCode, TimestampsToReturn};

use super::space::Shared;

/// Answers a request for raw values (part 11, 6.4.3), node by node.
pub(super) async fn read_raw(
    _shared: &Shared,
    _details: &ReadRawModifiedDetails,
    _nodes: &mut [&mut &mut HistoryNode],
    _timestamps: TimestampsToReturn,
) -> Result<(), StatusCode> {
    Err(StatusCode::BadHistoryOperationUnsupported)
}
