//! A gateway's OPC UA face: every data item monitored, every condition's events.

mod connect;
mod decode;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use opcua_client::OnSubscriptionNotification;
use opcua_types::{
    AttributeId, ContentFilter, DataChangeFilter, DataChangeTrigger, DataValue, EventFilter, ExtensionObject,
    MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NodeId, QualifiedName, ReadValueId,
    SimpleAttributeOperand, StatusChangeNotification, TimestampsToReturn, Variant,
};
use parking_lot::Mutex;

use connect::Connection;
pub use connect::OpcUaLogin;

use super::expect::Shape;
use super::reading::Item;
use super::tape::{SharedTape, Tape};

/// Items in one request.
const BATCH: usize = 1_000;

/// Values that may wait in the queue of an item; the server lowers it to what it allows.
const QUEUE: u32 = 100_000;

/// The face, being watched.
pub(super) struct OpcUa {
    /// Which items are there, and in which shape; a vocabulary has two, the place and the word.
    pub(super) shapes: BTreeMap<Item, Shape>,
    tape: SharedTape,
    /// Items whose first value has not come yet.
    waiting: Arc<Mutex<BTreeSet<Item>>>,
    connection: Connection,
}

/// What an item's notifications are about.
#[derive(Clone)]
struct Handle {
    item: Item,
    shape: Shape,
}

impl OpcUa {
    /// Connects, finds the data items, and monitors them.
    pub(super) async fn watch(url: &str, login: &OpcUaLogin, tape: SharedTape) -> Result<Self, String> {
        let connection = connect::connect(url, login).await?;
        let session = connection.session.clone();
        let tree = tree::walk(&session).await?;
        let mut handles: Vec<(NodeId, Handle)> = Vec::new();
        let mut conditions = BTreeMap::new();
        for shown in tree.items {
            if let Some(node) = shown.as_text {
                let item = word_of(&shown.item);
                handles.push((node, Handle { item, shape: Shape::Word }));
            }
            if matches!(shown.shape, Shape::Condition) {
                conditions.insert(shown.node.to_string(), shown.item);
            } else {
                handles.push((shown.node, Handle { item: shown.item, shape: shown.shape }));
            }
        }
        let mut shapes: BTreeMap<Item, Shape> =
            handles.iter().map(|(_, handle)| (handle.item.clone(), handle.shape.clone())).collect();
        shapes.extend(conditions.values().map(|item| (item.clone(), Shape::Condition)));
        let waiting: BTreeSet<Item> = handles.iter().map(|(_, handle)| handle.item.clone()).collect();
        let waiting = Arc::new(Mutex::new(waiting));
        let listener = Listener {
            tape: tape.clone(),
            waiting: waiting.clone(),
            handles: handles.iter().map(|(_, handle)| handle.clone()).collect(),
            conditions,
            mtconnect: tree.mtconnect,
        };
        let subscription = session
            .create_subscription(Duration::from_millis(100), 6_000, 10, 0, 0, true, listener)
            .await
            .map_err(|error| format!("the server made no subscription: {error}"))?;
        // Events first: they have no first value to begin with.
        let mut requests = vec![event_request(handles.len(), tree.mtconnect)];
        requests.extend(handles.iter().enumerate().map(|(place, (node, _))| data_request(place, node)));
        for batch in requests.chunks(BATCH) {
            let made = session
                .create_monitored_items(subscription, TimestampsToReturn::Both, batch.to_vec())
                .await
                .map_err(|error| format!("the server does not monitor the items: {error}"))?;
            if let Some(bad) = made.iter().find(|it| it.result.status_code.is_bad()) {
                let node = &bad.item_to_monitor.node_id;
                return Err(format!("the server does not monitor {node}: {}", bad.result.status_code));
            }
        }
        Ok(Self { shapes, tape, waiting, connection })
    }

    /// The items that have not told their first value yet.
    pub(super) fn waiting(&self) -> Vec<Item> {
        self.waiting.lock().iter().cloned().collect()
    }

    /// What it said so far.
    pub(super) fn tape(&self) -> &SharedTape {
        &self.tape
    }

    /// Whether the connection was lost.
    pub(super) fn is_lost(&self) -> bool {
        self.connection.running.is_finished()
    }

    /// Says goodbye, so that the server frees the session.
    pub(super) async fn close(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.connection.session.disconnect()).await;
    }
}

/// The name under which the word of a vocabulary is kept.
pub(super) fn word_of(item: &Item) -> Item {
    Item { device: item.device.clone(), id: format!("{}/ValueAsText", item.id).into() }
}

struct Listener {
    tape: SharedTape,
    waiting: Arc<Mutex<BTreeSet<Item>>>,
    handles: Vec<Handle>,
    conditions: BTreeMap<String, Item>,
    mtconnect: u16,
}

impl OnSubscriptionNotification for Listener {
    fn on_subscription_status_change(&mut self, notification: StatusChangeNotification) {
        self.tape.lock().broken = Some(format!("the server ended the subscription: {}", notification.status));
    }

    fn on_data_value(&mut self, notification: DataValue, item: &opcua_client::MonitoredItem) {
        let place = (item.client_handle() as usize).checked_sub(1);
        let Some(handle) = place.and_then(|place| self.handles.get(place)) else { return };
        let (reading, lost) = decode::reading(notification, &handle.shape);
        let mut tape = self.tape.lock();
        tape.lost += u64::from(lost);
        if let Some(reading) = reading {
            tape.put(handle.item.clone(), reading);
            self.waiting.lock().remove(&handle.item);
        }
    }

    fn on_event(&mut self, fields: Option<Vec<Variant>>, _item: &opcua_client::MonitoredItem) {
        let Some(fields) = fields else { return };
        if let Some((source, reading)) = decode::event(&fields, self.mtconnect)
            && let Some(item) = self.conditions.get(&source)
        {
            self.tape.lock().put(item.clone(), reading);
        } else if overflowed(&fields) {
            self.tape.lock().lost += 1;
        }
    }
}

/// EventQueueOverflowEventType.
fn overflowed(fields: &[Variant]) -> bool {
    matches!(fields.last(), Some(Variant::NodeId(kind)) if **kind == NodeId::new(0, 3035_u32))
}

/// A tape for a face that says nothing of sequences.
pub(super) fn blank() -> SharedTape {
    Arc::new(Mutex::new(Tape::default()))
}

fn data_request(place: usize, node: &NodeId) -> MonitoredItemCreateRequest {
    // A new time is news, though the value be the same.
    let filter = DataChangeFilter {
        trigger: DataChangeTrigger::StatusValueTimestamp,
        deadband_type: 0,
        deadband_value: 0.0,
    };
    request(place, node.clone(), AttributeId::Value, ExtensionObject::from_message(filter))
}

fn event_request(place: usize, mtconnect: u16) -> MonitoredItemCreateRequest {
    const SERVER: u32 = 2253;
    const CONDITION_EVENT: u32 = 4326;
    let operand = |(own, path): &(bool, &[&str])| SimpleAttributeOperand {
        type_definition_id: NodeId::new(mtconnect, CONDITION_EVENT),
        browse_path: Some(
            path.iter().map(|name| QualifiedName::new(if *own { mtconnect } else { 0 }, *name)).collect(),
        ),
        attribute_id: AttributeId::Value as u32,
        index_range: opcua_types::NumericRange::None,
    };
    let filter = EventFilter {
        select_clauses: Some(decode::FIELDS.iter().map(operand).collect()),
        where_clause: ContentFilter { elements: None },
    };
    request(place, NodeId::new(0, SERVER), AttributeId::EventNotifier, ExtensionObject::from_message(filter))
}

fn request(
    place: usize,
    node: NodeId,
    attribute: AttributeId,
    filter: ExtensionObject,
) -> MonitoredItemCreateRequest {
    MonitoredItemCreateRequest {
        item_to_monitor: ReadValueId {
            node_id: node,
            attribute_id: attribute as u32,
            ..ReadValueId::default()
        },
        monitoring_mode: MonitoringMode::Reporting,
        requested_parameters: MonitoringParameters {
            // The library takes 0 for none.
            client_handle: u32::try_from(place + 1).unwrap_or(u32::MAX),
            sampling_interval: 0.0,
            filter,
            queue_size: QUEUE,
            discard_oldest: true,
        },
    }
}
