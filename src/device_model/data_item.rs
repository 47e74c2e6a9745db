//! Data items: what can be observed on a machine.

use guideway_contract::{ItemIndex, Shape};
use smol_str::SmolStr;

use super::{ComponentIndex, DeviceIndex};

/// The three kinds of observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// A measured quantity.
    Sample,
    /// A state or a message.
    Event,
    /// Normal, warning or fault.
    Condition,
}

/// How values are represented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Representation {
    /// One value (VALUE, and the deprecated DISCRETE).
    #[default]
    Value,
    /// TIME_SERIES.
    TimeSeries,
    /// DATA_SET.
    DataSet,
    /// TABLE.
    Table,
}

/// `<Source>`: where the value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The text: the key that SHDR adapters use.
    pub text: SmolStr,
    /// `componentId`, `dataItemId` and `compositionId`; empty when absent.
    pub component_id: SmolStr,
    /// See `component_id`.
    pub data_item_id: SmolStr,
    /// See `component_id`.
    pub composition_id: SmolStr,
}

/// `<Constraints>`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints {
    /// The only values that can occur; with exactly one, it is the item's constant value.
    pub values: Vec<SmolStr>,
    /// Least value.
    pub minimum: Option<f64>,
    /// Greatest value.
    pub maximum: Option<f64>,
    /// The expected value.
    pub nominal: Option<f64>,
}

/// `<Filters>`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Filters {
    /// MINIMUM_DELTA in the item's units (also `<Filter>` in Constraints, before 1.4).
    pub minimum_delta: Option<f64>,
    /// PERIOD in seconds.
    pub period: Option<f64>,
}

/// A data item with all that the gateway acts upon. What else the file said is in the element tree.
#[derive(Clone, Debug, PartialEq)]
pub struct DataItem {
    /// Its place in [`DeviceModel::items`](super::DeviceModel::items).
    pub index: ItemIndex,
    /// Unique in the model.
    pub id: SmolStr,
    /// The id that the file gave it, where a prefix was put before it; else empty. Sources know the
    /// item by this one.
    pub written_id: SmolStr,
    /// Empty when it has none.
    pub name: SmolStr,
    /// As written: `POSITION`, `x:VIBRATION`.
    pub item_type: SmolStr,
    /// As written; empty when it has none.
    pub sub_type: SmolStr,
    /// SAMPLE, EVENT or CONDITION.
    pub category: Category,
    /// VALUE, TIME_SERIES, DATA_SET or TABLE.
    pub representation: Representation,
    /// What its values look like, from category, type, representation and units.
    pub shape: Shape,
    /// The element's name in MTConnectStreams, without suffix: `Position`, `x:Vibration`.
    pub element_name: SmolStr,
    /// Units of the values that leave the gateway; empty when it has none.
    pub units: SmolStr,
    /// Units in which the source speaks; empty when these are `units`.
    pub native_units: SmolStr,
    /// Divides the native value.
    pub native_scale: Option<f64>,
    /// Digits that mean something.
    pub significant_digits: Option<u8>,
    /// Samples a second, for TIME_SERIES.
    pub sample_rate: Option<f64>,
    /// AVERAGE, MAXIMUM, …; empty when none.
    pub statistic: SmolStr,
    /// Part of the component; empty when none.
    pub composition_id: SmolStr,
    /// Where the value comes from.
    pub source: Option<Source>,
    /// What values can occur.
    pub constraints: Constraints,
    /// What is not worth reporting.
    pub filters: Filters,
    /// The value at start, instead of UNAVAILABLE; also used after a reset.
    pub initial_value: Option<SmolStr>,
    /// What resets the value; empty when nothing does.
    pub reset_trigger: SmolStr,
    /// Each occurrence counts, even if its value is the same.
    pub discrete: bool,
    /// The component it belongs to.
    pub component: ComponentIndex,
    /// The device it belongs to.
    pub device: DeviceIndex,
    /// Whether it went away with a model change; its old observations stay.
    pub retired: bool,
}

impl DataItem {
    /// Whether values are numbers that are converted and compared as such.
    pub fn is_numeric(&self) -> bool {
        matches!(self.shape, Shape::Number)
    }
}
