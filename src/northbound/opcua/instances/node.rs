//! What a node shall be, light enough to be kept and compared; the library's node is made from it.

use opcua_nodes::{
    AccessLevel, EventNotifier, Method, NodeBase as _, NodeType, Object, ObjectType, Variable,
    VariableBuilder,
};
use opcua_types::{
    DataTypeId, DataValue, DateTime, LocalizedText, NodeId, QualifiedName, StatusCode, UAString, Variant,
};
use smol_str::SmolStr;

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::northbound::opcua) struct Node {
    pub(in crate::northbound::opcua) id: NodeId,
    /// Namespace and text of the BrowseName; the text is also the DisplayName.
    pub(in crate::northbound::opcua) name: (u16, SmolStr),
    /// Null for types.
    pub(in crate::northbound::opcua) type_definition: NodeId,
    pub(in crate::northbound::opcua) kind: Kind,
    /// References but for the type definition.
    pub(in crate::northbound::opcua) links: Vec<Link>,
}

/// What kind of node.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::northbound::opcua) enum Kind {
    /// An object; `notifies` when clients can subscribe to its events.
    Object { notifies: bool },
    /// An object type that can have instances.
    ObjectType,
    /// A method that can be called.
    Method {
        /// Its Description.
        about: SmolStr,
    },
    /// A variable or a property.
    Variable { data_type: NodeId, rank: i32, value: Held },
}

/// What a variable holds.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::northbound::opcua) enum Held {
    /// What the model says.
    Fixed(Variant),
    /// The value of a data item, with a history.
    Item,
    /// The same; a command is bound to it, so that it can be written.
    Bound,
    /// What comes with the value of a data item.
    Live,
    /// Nothing, for the machine does not say it.
    Nothing,
    /// When its parent was last changed (NodeVersion, part 3, 5.2.2).
    Version,
}

/// A reference.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::northbound::opcua) struct Link {
    pub(in crate::northbound::opcua) kind: NodeId,
    pub(in crate::northbound::opcua) other: NodeId,
    /// Whether the node is where it begins.
    pub(in crate::northbound::opcua) is_forward: bool,
}

impl Node {
    /// Whether it is a property, and so a part of its parent to those who follow changes.
    pub(in crate::northbound::opcua) fn is_property(&self) -> bool {
        self.type_definition == opcua_types::VariableTypeId::PropertyType
    }

    /// Whether a value that stands in the address space fits this node as well as it did `before`.
    pub(in crate::northbound::opcua) fn keeps_value_of(&self, before: &Self) -> bool {
        let form = |kind: &Kind| match kind {
            Kind::Variable {
                data_type,
                rank,
                value: held @ (Held::Item | Held::Bound | Held::Live | Held::Version),
            } => Some((data_type.clone(), *rank, held.clone())),
            _ => None,
        };
        form(&self.kind).is_some_and(|own| form(&before.kind) == Some(own))
    }

    /// The library's node. `version` is the text of NodeVersion, `now` the time of what is fixed.
    pub(in crate::northbound::opcua) fn build(&self, version: &str, now: DateTime) -> NodeType {
        let name = QualifiedName::new(self.name.0, self.name.1.as_str());
        let display = LocalizedText::new("", &self.name.1);
        match &self.kind {
            Kind::Object { notifies } => {
                let notifier =
                    if *notifies { EventNotifier::SUBSCRIBE_TO_EVENTS } else { EventNotifier::empty() };
                Object::new(&self.id, name, display, notifier).into()
            }
            Kind::ObjectType => ObjectType::new(&self.id, name, display, false).into(),
            Kind::Method { about } => {
                let mut method = Method::new(&self.id, name, display, true, true);
                method.set_description(LocalizedText::new("", about));
                method.into()
            }
            Kind::Variable { data_type, rank, value } => {
                // A variable without a data type is none; only a node set with gaps can lead here.
                let data_type =
                    if data_type.is_null() { DataTypeId::BaseDataType.into() } else { data_type.clone() };
                let mut access = AccessLevel::CURRENT_READ;
                let is_item = matches!(value, Held::Item | Held::Bound);
                if is_item {
                    access |= AccessLevel::HISTORY_READ;
                }
                if *value == Held::Bound {
                    access |= AccessLevel::CURRENT_WRITE;
                }
                let mut builder = VariableBuilder::new(&self.id, name, display)
                    .data_type(data_type)
                    .value_rank(*rank)
                    .access_level(access)
                    .user_access_level(access)
                    .historizing(is_item);
                if is_item {
                    builder = builder.minimum_sampling_interval(0.0);
                }
                if *rank == 1 {
                    builder = builder.array_dimensions(&[0]);
                }
                let mut variable: Variable = builder.build();
                variable.set_data_value(value.initial(version, now));
                variable.into()
            }
        }
    }
}

impl Held {
    fn initial(&self, version: &str, now: DateTime) -> DataValue {
        let (value, status) = match self {
            Self::Fixed(value) => (value.clone(), StatusCode::Good),
            Self::Version => (UAString::from(version).into(), StatusCode::Good),
            // Part 8, 6.3.4: it is to get its value from somewhere, and nothing is connected.
            Self::Nothing => (Variant::Empty, StatusCode::BadNotConnected),
            // The library forgets the status of a variable that has no value at all.
            Self::Item | Self::Bound | Self::Live => (Variant::Empty, StatusCode::BadWaitingForInitialData),
        };
        DataValue {
            value: Some(value),
            status: Some(status),
            source_timestamp: Some(now),
            server_timestamp: Some(now),
            ..DataValue::default()
        }
    }
}
