//! An observation as a value of OPC UA.

use guideway_contract::Observation;
use opcua_types::{DataValue, NodeId};

use super::binding::Binding;
use super::nodeset::Types;

/// Calls `put` for every value that the observation gives to a variable, in order: the item's own
/// node, once or (time series) several times, and properties that go with it. Conditions give none.
pub(super) fn values(
    _binding: &Binding,
    _observation: &Observation,
    _types: &Types,
    _put: &mut dyn FnMut(&NodeId, DataValue),
) {
}
