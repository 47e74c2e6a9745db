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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_follows_from_category_representation_type_and_units() {
        use Category::{Condition, Event, Sample};
        use Representation::{DataSet, Table, TimeSeries, Value};
        for (category, representation, item_type, units, expected) in [
            (Sample, Value, "POSITION", "MILLIMETER", Shape::Number),
            (Sample, Value, "x:VIBRATION", "", Shape::Number),
            (Sample, Value, "PATH_POSITION", "MILLIMETER_3D", Shape::Vector3),
            (Sample, Value, "PATH_POSITION", "", Shape::Vector3),
            (Sample, Value, "x:FORCE", "NEWTON_3D", Shape::Vector3),
            (Sample, Value, "ORIENTATION", "DEGREE_3D", Shape::Vector3),
            (Event, Value, "TRANSLATION", "MILLIMETER_3D", Shape::Vector3),
            (Event, DataSet, "TRANSLATION", "MILLIMETER_3D", Shape::DataSet),
            (Sample, TimeSeries, "POSITION", "MILLIMETER", Shape::TimeSeries),
            (Sample, DataSet, "TEMPERATURE", "CELSIUS", Shape::DataSet),
            (Event, DataSet, "VARIABLE", "", Shape::DataSet),
            (Event, Table, "WORK_OFFSET", "MILLIMETER", Shape::Table),
            (Condition, Value, "POSITION", "MILLIMETER", Shape::Condition),
            (Condition, DataSet, "SYSTEM", "", Shape::Condition),
            (Event, Value, "MESSAGE", "", Shape::Message),
            (Event, Value, "ASSET_CHANGED", "", Shape::AssetEvent),
            (Event, Value, "ASSET_ADDED", "", Shape::AssetEvent),
            (Event, DataSet, "ASSET_COUNT", "", Shape::DataSet),
            (Event, Value, "PATH_FEEDRATE_OVERRIDE", "PERCENT", Shape::Number),
            (Event, Value, "ROTARY_VELOCITY_OVERRIDE", "", Shape::Number),
            (Event, Value, "x:STROKES", "COUNT", Shape::Number),
            (Event, Value, "LINE_NUMBER", "", Shape::Text),
            (Event, Value, "PART_COUNT", "", Shape::Text),
            (Event, Value, "TOOL_NUMBER", "", Shape::Text),
            (Event, Value, "EXECUTION", "", Shape::Text),
            (Event, Value, "x:MOTION", "", Shape::Text),
        ] {
            assert_eq!(shape(category, representation, item_type, units), expected, "{item_type} {units}");
        }
    }
}
