//! One event: what happened, once, to whom it is announced, and its fields.

use std::sync::Arc;

use guideway_contract::{Condition, Level, Qualifier, Timestamp};
use opcua_types::{
    AttributeId, ByteString, DateTime, ExtensionObject, LocalizedText, ModelChangeStructureDataType, NodeId,
    NumericRange, ObjectId, ObjectTypeId, QualifiedName, StatusCode, TimeZoneDataType, UAString, Variant,
};
use smol_str::SmolStr;

use super::kind::Kind;
use super::operator;
use crate::northbound::opcua::binding::Binding;
use crate::northbound::opcua::instances::Change;

/// Severity of a Fault.
pub(super) const FAULT: u16 = 1_000;
/// Severity of a Warning.
pub(super) const WARNING: u16 = 500;
/// Severity of what is as it should be, and of what only informs.
pub(super) const NORMAL: u16 = 1;

/// 100 ns ticks from 1601, where OPC UA's time begins, to 1970.
const TICKS_TO_UNIX: i64 = 116_444_736_000_000_000;

/// Where events come from: what of a data item's binding an event tells.
#[derive(Debug, PartialEq)]
pub(super) struct Source {
    /// SourceNode.
    pub(super) node: NodeId,
    /// SourceName.
    pub(super) name: SmolStr,
    /// The notifiers that announce it, from the component up to the device. The Server always does.
    pub(super) notifiers: Arc<[NodeId]>,
    /// The device; announces it too.
    pub(super) device: NodeId,
    data_item_id: SmolStr,
    type_name: SmolStr,
    sub_type_name: SmolStr,
    class: (NodeId, SmolStr),
    sub_class: Option<(NodeId, SmolStr)>,
}

impl Source {
    /// The source of a data item's events. `class_type` finds a type of the companion specification by
    /// name: the class types of data items are condition classes there.
    pub(super) fn of(binding: &Binding, class_type: impl Fn(&str) -> Option<NodeId>) -> Self {
        let named = |name: String| Some((class_type(&name)?, SmolStr::from(name)));
        let base = || (ObjectTypeId::BaseConditionClassType.into(), SmolStr::new("BaseConditionClassType"));
        let sub_class = (!binding.sub_type_name.is_empty())
            .then(|| named(format!("{}SubClassType", binding.sub_type_name)))
            .flatten();
        Self {
            node: binding.node.clone(),
            name: binding.source_name.clone(),
            notifiers: binding.notifiers.clone(),
            device: binding.device.clone(),
            data_item_id: binding.data_item_id.clone(),
            type_name: binding.type_name.clone(),
            sub_type_name: binding.sub_type_name.clone(),
            class: named(format!("{}ClassType", binding.type_name)).unwrap_or_else(base),
            sub_class,
        }
    }
}

/// How a condition stands.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// What tells entries of one condition apart; empty for the condition as a whole.
    pub(super) key: SmolStr,
    /// The entry as last reported.
    pub(super) entry: Arc<Condition>,
    /// Whether it is active; `None` when nobody knows, because the source is lost.
    pub(super) active: Option<bool>,
    /// The severity before.
    pub(super) last_severity: u16,
}

/// What only events of one kind have.
#[derive(Debug)]
enum Detail {
    Plain,
    Condition(Standing),
    Message(SmolStr),
    ModelChange(Vec<Change>),
}

/// An event.
#[derive(Debug)]
pub(super) struct Occurrence {
    pub(super) kind: Kind,
    /// Its place in the order of this server's events.
    pub(super) number: u64,
    id: [u8; 16],
    /// `None` for the Server itself.
    source: Option<Arc<Source>>,
    time: DateTime,
    arrival: DateTime,
    severity: u16,
    message: SmolStr,
    detail: Detail,
}

/// What makes the ids of events: no two events of any server have one id.
#[derive(Debug)]
pub(super) struct Ids {
    instance: u64,
    next: std::sync::atomic::AtomicU64,
}

impl Default for Ids {
    fn default() -> Self {
        Self { instance: rand::random(), next: std::sync::atomic::AtomicU64::new(1) }
    }
}

impl Ids {
    fn next(&self) -> (u64, [u8; 16]) {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.instance.to_be_bytes());
        id[8..].copy_from_slice(&number.to_be_bytes());
        (number, id)
    }
}

impl Occurrence {
    /// An event about a condition, at the time `at` of its source.
    pub(super) fn condition(
        ids: &Ids,
        source: Arc<Source>,
        at: (Timestamp, Timestamp),
        message: SmolStr,
        standing: Standing,
    ) -> Self {
        let severity = match (standing.active, standing.entry.level) {
            (Some(false), _) | (_, Level::Normal) => NORMAL,
            (_, Level::Warning) => WARNING,
            (_, Level::Fault) => FAULT,
        };
        Self::new(ids, Kind::Condition, Some(source), at, severity, message, Detail::Condition(standing))
    }

    /// An event about a message to the operator.
    pub(super) fn message(
        ids: &Ids,
        source: Arc<Source>,
        at: (Timestamp, Timestamp),
        message: &guideway_contract::Message,
    ) -> Self {
        let detail = Detail::Message(message.native_code.clone());
        Self::new(ids, Kind::Message, Some(source), at, NORMAL, message.text.clone(), detail)
    }

    /// An event about the nodes that came and went; of more than `most` the event does not say which.
    pub(super) fn model_change(ids: &Ids, changes: &[Change], most: usize) -> Self {
        let (kind, detail) = match changes.len() {
            0 => (Kind::AnyModelChange, Detail::Plain),
            count if count > most => (Kind::AnyModelChange, Detail::Plain),
            _ => (Kind::ModelChange, Detail::ModelChange(changes.to_vec())),
        };
        let now = Timestamp::now();
        let message = SmolStr::new("The device model has changed");
        Self::new(ids, kind, None, (now, now), NORMAL, message, detail)
    }

    /// An event about the client's own subscription.
    pub(super) fn notice(ids: &Ids, kind: Kind) -> Self {
        let message = SmolStr::new(match kind {
            Kind::RefreshStart => "Conditions that are active follow",
            Kind::RefreshEnd => "These were the conditions that are active",
            Kind::Overflow => "Events were lost: they came faster than the client took them",
            _ => "",
        });
        let now = Timestamp::now();
        Self::new(ids, kind, None, (now, now), NORMAL, message, Detail::Plain)
    }

    fn new(
        ids: &Ids,
        kind: Kind,
        source: Option<Arc<Source>>,
        (time, arrival): (Timestamp, Timestamp),
        severity: u16,
        message: SmolStr,
        detail: Detail,
    ) -> Self {
        let (number, id) = ids.next();
        let (time, arrival) = (date_time(time), date_time(arrival));
        Self { kind, number, id, source, time, arrival, severity, message, detail }
    }

    /// When it happened.
    pub(super) fn time(&self) -> &DateTime {
        &self.time
    }

    /// Its severity.
    pub(super) fn severity(&self) -> u16 {
        self.severity
    }

    /// Whether it is announced by that object: by the Server every event, by others those of what is
    /// below them.
    pub(super) fn is_announced_by(&self, notifier: &NodeId) -> bool {
        notifier == &ObjectId::Server
            || self.source.as_deref().is_some_and(|source| {
                source.device == *notifier || source.node == *notifier || source.notifiers.contains(notifier)
            })
    }

    /// The value of a field; null for one that the event does not have. `mtconnect` is the namespace index
    /// of the companion specification.
    pub(super) fn field(
        &self,
        mtconnect: u16,
        attribute: AttributeId,
        range: &NumericRange,
        path: &[QualifiedName],
    ) -> Variant {
        let value = match (attribute, path) {
            // Part 9, 5.5.2: how a client asks for the ConditionId.
            (AttributeId::NodeId, []) => self.condition_id(),
            (AttributeId::Value, [name]) if name.namespace_index == 0 => match name.name.as_ref() {
                "EventType" => Variant::from(self.kind.type_id(mtconnect)),
                name => self.standard(name),
            },
            (AttributeId::Value, [name]) if name.namespace_index == mtconnect => {
                self.companion(name.name.as_ref())
            }
            (AttributeId::Value, [parent, child])
                if parent.namespace_index == 0 && child.namespace_index == 0 =>
            {
                self.nested(parent.name.as_ref(), child.name.as_ref())
            }
            _ => return Variant::Empty,
        };
        operator::part(value, range)
    }

    /// Fields of BaseEventType, ConditionType and the model change events.
    fn standard(&self, name: &str) -> Variant {
        match name {
            "EventId" => Variant::ByteString(ByteString::from(self.id.to_vec())),
            "SourceNode" => Variant::from(match &self.source {
                Some(source) => source.node.clone(),
                None => ObjectId::Server.into(),
            }),
            "SourceName" => Variant::from(self.source.as_ref().map_or("Server", |source| &source.name)),
            "Time" => Variant::from(self.time),
            "ReceiveTime" => Variant::from(self.arrival),
            "LocalTime" => local_time(&self.time),
            "Message" => Variant::from(LocalizedText::new("", &self.message)),
            "Severity" => Variant::UInt16(self.severity),
            "Changes" => self.changes(),
            _ => self.of_condition(name),
        }
    }

    /// Fields of ConditionType.
    fn of_condition(&self, name: &str) -> Variant {
        let (Detail::Condition(standing), Some(source)) = (&self.detail, self.source.as_deref()) else {
            return Variant::Empty;
        };
        match name {
            "ConditionClassId" => Variant::from(source.class.0.clone()),
            "ConditionClassName" => Variant::from(LocalizedText::new("", &source.class.1)),
            "ConditionSubClassId" => {
                Variant::from(source.sub_class.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>())
            }
            "ConditionSubClassName" => {
                let names = source.sub_class.iter().map(|(_, name)| LocalizedText::new("", name));
                Variant::from(names.collect::<Vec<_>>())
            }
            "ConditionName" => Variant::from(format!("{}{}", source.name, standing.key)),
            // The branch of how things stand now.
            "BranchId" => Variant::from(NodeId::null()),
            "Retain" => Variant::Boolean(self.retain()),
            "SupportsFilteredRetain" => Variant::Boolean(false),
            "EnabledState" => Variant::from(LocalizedText::new(
                "en",
                if standing.active.is_some() { "Enabled" } else { "Disabled" },
            )),
            "Quality" => Variant::StatusCode(match standing.active {
                Some(_) => StatusCode::Good,
                None => StatusCode::BadNotConnected,
            }),
            "LastSeverity" => Variant::UInt16(standing.last_severity),
            // Nobody comments on a machine's conditions here.
            "Comment" => Variant::from(LocalizedText::null()),
            "ClientUserId" => Variant::String(UAString::null()),
            _ => Variant::Empty,
        }
    }

    /// Fields below those of ConditionType.
    fn nested(&self, parent: &str, child: &str) -> Variant {
        let Detail::Condition(standing) = &self.detail else { return Variant::Empty };
        match (parent, child) {
            ("EnabledState", "Id") => Variant::Boolean(standing.active.is_some()),
            ("Quality" | "LastSeverity" | "Comment", "SourceTimestamp") => Variant::from(self.time),
            _ => Variant::Empty,
        }
    }

    /// Fields of the companion specification.
    fn companion(&self, name: &str) -> Variant {
        let (standing, source) = match (&self.detail, self.source.as_deref()) {
            (Detail::Message(code), _) if name == "NativeCode" => return given(code),
            (Detail::Condition(standing), Some(source)) => (standing, source),
            _ => return Variant::Empty,
        };
        match name {
            "ActiveState" => Variant::from(LocalizedText::new(
                "en",
                if standing.active == Some(true) { "Active" } else { "Inactive" },
            )),
            "DataItemId" => Variant::from(source.data_item_id.as_str()),
            // MTSeverityDataType.
            "MTSeverity" => match (standing.active, standing.entry.level) {
                (None, _) => Variant::Empty,
                (Some(false), _) | (_, Level::Normal) => Variant::Int32(1),
                (_, Level::Fault) => Variant::Int32(0),
                (_, Level::Warning) => Variant::Int32(2),
            },
            "MTTypeName" => Variant::from(source.type_name.as_str()),
            "MTSubTypeName" => Variant::from(source.sub_type_name.as_str()),
            "NativeCode" => given(&standing.entry.native_code),
            "NativeSeverity" => given(&standing.entry.native_severity),
            // QualifierDataType.
            "Qualifier" => match standing.entry.qualifier {
                Some(Qualifier::High) => Variant::Int32(0),
                Some(Qualifier::Low) => Variant::Int32(1),
                None => Variant::Empty,
            },
            _ => Variant::Empty,
        }
    }

    /// Whether the condition is of interest to a client that only wants to know how things stand.
    pub(super) fn retain(&self) -> bool {
        matches!(&self.detail, Detail::Condition(standing) if standing.active == Some(true))
    }

    /// A NodeId for each entry of each condition, the same whenever it comes back.
    fn condition_id(&self) -> Variant {
        let (Detail::Condition(standing), Some(source)) = (&self.detail, self.source.as_deref()) else {
            return Variant::Empty;
        };
        let id = match &source.node.identifier {
            opcua_types::Identifier::String(id) => format!("{}#{}", id.as_ref(), standing.key),
            _ => format!("{}#{}", source.node, standing.key),
        };
        Variant::from(NodeId::new(source.node.namespace, id))
    }

    fn changes(&self) -> Variant {
        let Detail::ModelChange(changes) = &self.detail else { return Variant::Empty };
        let change = |change: &Change| {
            ExtensionObject::from_message(ModelChangeStructureDataType {
                affected: change.affected.clone(),
                affected_type: change.affected_type.clone(),
                verb: change.verb,
            })
        };
        Variant::from(changes.iter().map(change).collect::<Vec<_>>())
    }
}

/// A text that may be left out.
fn given(text: &SmolStr) -> Variant {
    if text.is_empty() { Variant::Empty } else { Variant::from(text.as_str()) }
}

/// A time of MTConnect as one of OPC UA, which has 100 ns ticks.
fn date_time(time: Timestamp) -> DateTime {
    DateTime::from(time.nanos().div_euclid(100) + TICKS_TO_UNIX)
}

/// How far the gateway's clock on the wall is from `time`.
fn local_time(time: &DateTime) -> Variant {
    let micros = (time.ticks() - TICKS_TO_UNIX) / 10;
    let Ok(time) = jiff::Timestamp::from_microsecond(micros) else { return Variant::Empty };
    let zone = jiff::tz::TimeZone::system();
    let local = zone.to_offset_info(time);
    Variant::from(ExtensionObject::from_message(TimeZoneDataType {
        offset: i16::try_from(local.offset().seconds() / 60).unwrap_or_default(),
        daylight_saving_in_offset: local.dst().is_dst(),
    }))
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
