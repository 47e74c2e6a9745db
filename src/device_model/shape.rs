//! Which shape the values of a data item have.

use guideway_contract::Shape;

use super::vocabulary::{self, ValueKind};
use super::{Category, Representation};

/// The shape that follows from what a data item says of itself.
///
/// An event is a number when it has units, or when the standard says that its value has a fraction
/// (an override, a wait). Whole numbers without units (LINE_NUMBER, PART_COUNT, TOOL_NUMBER) stay
/// text, so that they leave as the source wrote them.
pub(super) fn shape(
    category: Category,
    representation: Representation,
    item_type: &str,
    units: &str,
) -> Shape {
    let is_3d = units.ends_with("_3D");
    match (category, representation) {
        (Category::Condition, _) => Shape::Condition,
        (_, Representation::DataSet) => Shape::DataSet,
        (_, Representation::Table) => Shape::Table,
        (_, Representation::TimeSeries) => Shape::TimeSeries,
        (_, Representation::Value) => {
            let kind = vocabulary::data_item_type(item_type).map(|facts| facts.value);
            match (category, item_type) {
                (_, "MESSAGE") => Shape::Message,
                (_, "ASSET_CHANGED" | "ASSET_REMOVED" | "ASSET_ADDED") => Shape::AssetEvent,
                _ if is_3d || (kind == Some(ValueKind::ThreeSpace)) => Shape::Vector3,
                (Category::Sample, _) => Shape::Number,
                _ if !units.is_empty() || kind == Some(ValueKind::Float) => Shape::Number,
                _ => Shape::Text,
            }
        }
    }
}
