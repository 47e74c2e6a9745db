//! Observations and bindings for the tests of events.

use super::*;
use crate::northbound::opcua::binding::Shape;

/// The namespace index that the tests give the companion specification.
pub(in super::super) const MTCONNECT: u16 = 2;

pub(in super::super) fn binding(id: &str) -> Binding {
    let device = NodeId::new(3, "d0");
    Binding {
        node: NodeId::new(3, format!("d0/{id}")),
        device: device.clone(),
        notifiers: [NodeId::new(3, "d0/path"), device].into(),
        source_name: "SystemCondition".into(),
        data_item_id: id.into(),
        type_name: "System".into(),
        sub_type_name: SmolStr::default(),
        shape: Shape::Condition,
        duration: None,
        reset_reason: None,
        extra: Vec::new(),
    }
}

pub(in super::super) fn source(id: &str) -> Arc<Source> {
    let class = |name: &str| (name == "SystemClassType").then(|| NodeId::new(MTCONNECT, 2423));
    Arc::new(Source::of(&binding(id), class))
}

pub(in super::super) fn entry(level: Level, code: &str, message: &str) -> Condition {
    Condition {
        level,
        native_code: code.into(),
        native_severity: SmolStr::default(),
        qualifier: None,
        message: message.into(),
        condition_id: SmolStr::default(),
    }
}

/// 2024-05-01T12:00:00Z and 5 ms later.
pub(in super::super) fn at() -> (Timestamp, Timestamp) {
    let time = Timestamp::from_nanos(1_714_564_800_000_000_000, 3);
    (time, time.shifted(5_000_000))
}

/// The event of an active entry.
pub(in super::super) fn active(ids: &Ids, level: Level, code: &str) -> Occurrence {
    let entry = Arc::new(entry(level, code, "Spindle over temperature"));
    let standing = Standing { key: code.into(), entry, active: Some(true), last_severity: NORMAL };
    Occurrence::condition(ids, source("system"), at(), "Spindle over temperature".into(), standing)
}

/// A field by its path with namespaces, such as `EnabledState/Id` or `2:NativeCode`.
pub(in super::super) fn field(event: &Occurrence, path: &str) -> Variant {
    event.field(MTCONNECT, AttributeId::Value, &NumericRange::None, &super::testing::path(path))
}

pub(in super::super) fn path(path: &str) -> Vec<QualifiedName> {
    let name = |part: &str| match part.split_once(':') {
        Some((namespace, name)) => QualifiedName::new(namespace.parse().unwrap(), name),
        None => QualifiedName::new(0, part),
    };
    path.split('/').filter(|part| !part.is_empty()).map(name).collect()
}
