//! What is made of the observations of a data item.

use std::sync::Arc;

use guideway_contract::ItemIndex;
use opcua_types::NodeId;
use smol_str::SmolStr;

use super::machine_tool::Meaning;

/// Where the observations of one data item go, and in which form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Binding {
    /// The variable; for a condition the object of MTConditionType.
    pub(super) node: NodeId,
    /// The device's object, which announces the events.
    pub(super) device: NodeId,
    /// Objects that announce its events: the component it belongs to and those above it, the device last.
    pub(super) notifiers: Arc<[NodeId]>,
    /// The text of the node's BrowseName: the SourceName of its events.
    pub(super) source_name: SmolStr,
    /// The `id` of the data item.
    pub(super) data_item_id: SmolStr,
    /// MTTypeName: the class in PascalCase, such as `PathPosition`.
    pub(super) type_name: SmolStr,
    /// MTSubTypeName; empty when there is none.
    pub(super) sub_type_name: SmolStr,
    /// The form.
    pub(super) shape: Shape,
    /// Its `Duration` property; there when the item has a statistic.
    pub(super) duration: Option<NodeId>,
    /// Its `ResetTriggeredReason` property; there when the item has a reset trigger.
    pub(super) reset_reason: Option<NodeId>,
    /// Variables beyond the companion specification that the item feeds, too.
    pub(super) extra: Vec<Extra>,
}

/// A variable of the machine-tool view.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extra {
    /// The variable.
    pub(super) node: NodeId,
    /// What an observation means there.
    pub(super) meaning: Meaning,
}

/// The form of a data item's values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A Double: SAMPLE, or a numeric EVENT.
    Number,
    /// A String.
    Text,
    /// A UInt32 into the class type's EnumStrings, and the word itself in `as_text`.
    Vocabulary {
        /// EnumStrings, in the order of the companion specification; words that only newer versions of
        /// MTConnect know come after them.
        words: Arc<[SmolStr]>,
        /// The `ValueAsText` property.
        as_text: NodeId,
    },
    /// A ThreeSpaceSampleDataType.
    ThreeSpace,
    /// A Double, one update for each value of a series.
    TimeSeries {
        /// The data item's own `sampleRate` in Hz, which holds for a series that gives none.
        rate: Option<f64>,
    },
    /// A data set, in the documented representation.
    DataSet,
    /// A table, in the documented representation.
    Table,
    /// A MessageDataType, and an event for each message.
    Message,
    /// An AssetEventDataType.
    AssetEvent,
    /// No value: an event for each activation.
    Condition,
}

/// The bindings of all data items, by [`ItemIndex`].
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings(pub(super) Vec<Option<Arc<Binding>>>);

impl Bindings {
    /// The binding of an item; `None` for one that is not shown.
    pub(super) fn get(&self, item: ItemIndex) -> Option<&Arc<Binding>> {
        self.0.get(item.index())?.as_ref()
    }

    /// All bindings, in order of their items.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ItemIndex, &Arc<Binding>)> {
        (0..).map(ItemIndex).zip(&self.0).filter_map(|(item, binding)| Some((item, binding.as_ref()?)))
    }

    /// The same, to be changed before it is shared.
    pub(super) fn get_mut(&mut self, item: ItemIndex) -> Option<&mut Binding> {
        self.0.get_mut(item.index())?.as_mut().map(Arc::make_mut)
    }
}
