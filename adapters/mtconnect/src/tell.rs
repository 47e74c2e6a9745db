//! From the observations of a document to readings of points.

use guideway_contract::{
    AssetEvent, Batch, Condition, Fault, Level, Outlet, Point, PointId, Quality, Reading, Shape, Timestamp,
    Value,
};
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;
use std::sync::Arc;

use crate::codec::{Element, Observed, Streams};
use crate::model::{Device, Model};
use crate::value::read;

/// Most readings in one batch: enough to make its cost small, little enough to bound memory.
const MAX_BATCH: usize = 4_096;
/// Conditions whose entries are remembered.
const MAX_ALIASES: usize = 65_536;

/// Which observations of a document are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Changes from this sequence on.
    From(u64),
    /// A state after nothing was known.
    All,
    /// Of a state what is older than this sequence and no data set; the rest comes as changes.
    Before(u64),
    /// Of a state the data sets and tables. Changes make whole ones only on top of those from before them;
    /// where these are not to be had, those of now stand in for them, and the changes bring them to
    /// themselves again.
    Sets,
    /// A state after changes were lost, of which those before this sequence were told.
    Gap(u64),
}

/// Keys of conditions whose end names the native code only: item and native code to conditionId.
pub(crate) type Aliases = FxHashMap<(PointId, SmolStr), SmolStr>;

/// An asset that a document says something of: id and the uuid of its device.
pub(crate) type AssetNews = (SmolStr, SmolStr);

/// Sends what is to be told of a document. With `takes_assets` what it says of assets is given back instead.
pub(crate) async fn tell(
    streams: &Streams,
    which: Which,
    model: &Model,
    aliases: &mut Aliases,
    takes_assets: bool,
    outlet: &Outlet,
) -> Vec<AssetNews> {
    let arrival = Timestamp::now();
    let points = outlet.points();
    let devices: Vec<_> = streams
        .devices
        .iter()
        .map(|(name, uuid)| {
            let device = model.followed(name, uuid);
            if device.is_none() && !model.is_other(name, uuid) {
                outlet.fault(Fault::Unmapped, || {
                    format!("device `{name}` (uuid `{uuid}`) is not in the probe")
                });
            }
            device.map(|device| (device, points.scope(&device.uuid)))
        })
        .collect();
    let mut news = Vec::new();
    let mut emptied = FxHashSet::default();
    let mut readings = Vec::with_capacity(streams.observations.len().min(MAX_BATCH));
    for observed in &streams.observations {
        let Some(Some((device, scope))) = devices.get(observed.device) else { continue };
        if takes_assets && is_of_assets(&observed.element) {
            if is_told(which, observed, Shape::Text) {
                news.extend(asset(observed, device));
            }
            continue;
        }
        let key = observed.element.attribute("dataItemId").or_else(|| observed.element.attribute("name"));
        let found = scope.zip(key).and_then(|(scope, key)| points.find(scope, key));
        let Some(point) = found else {
            if is_told(which, observed, Shape::Text) {
                let key = key.unwrap_or("without an id").to_owned();
                outlet.fault(Fault::Unmapped, || format!("data item `{key}` of device `{}`", device.uuid));
            }
            continue;
        };
        if !is_told(which, observed, point.shape) {
            continue;
        }
        let time = time_of(&observed.element, arrival, outlet);
        let mut read = read(point.shape, &observed.element);
        if let Some(wrong) = read.wrong {
            outlet.fault(Fault::Rejected, || {
                format!("`{}` {wrong}: {:.80}", point.address, observed.element.text())
            });
        }
        if let Value::Condition(condition) = &mut read.value {
            alias(point, condition, aliases);
        }
        if matches!(which, Which::Gap(_)) && is_partial(&read.value) && emptied.insert(point.id) {
            // What was lost may have ended entries that the state does not show.
            let value = Value::Unavailable;
            readings.push(Reading { point: point.id, value, time: arrival, quality: Quality::Good });
        }
        readings.push(Reading { point: point.id, value: read.value, time, quality: Quality::Good });
        if readings.len() >= MAX_BATCH {
            outlet.readings(Batch { arrival, readings: std::mem::take(&mut readings) }).await;
        }
    }
    outlet.readings(Batch { arrival, readings }).await;
    news
}

fn is_told(which: Which, observed: &Observed, shape: Shape) -> bool {
    let is_set = matches!(shape, Shape::DataSet | Shape::Table);
    match (which, observed.sequence) {
        (Which::Sets, _) => is_set,
        (Which::Before(_), _) if is_set => false,
        (Which::All, _) | (_, None) => true,
        (Which::From(from), Some(sequence)) => sequence >= from,
        (Which::Before(known), Some(sequence)) => sequence < known,
        // An entry that is left keeps its sequence when another of its condition ends.
        (Which::Gap(known), Some(sequence)) => {
            sequence >= known || (shape == Shape::Condition && !observed.element.is("Normal"))
        }
    }
}

/// Whether it says only a part of what its item says.
fn is_partial(value: &Value) -> bool {
    match value {
        Value::DataSet(set) => set.reset.is_none(),
        Value::Condition(condition) => condition.level != Level::Normal,
        _ => false,
    }
}

fn is_of_assets(element: &Element) -> bool {
    ["AssetChanged", "AssetAdded", "AssetRemoved", "AssetCountDataSet", "AssetCount"]
        .iter()
        .any(|it| element.is(it))
}

/// Which asset the observation is about, if about one.
fn asset(observed: &Observed, device: &Device) -> Option<AssetNews> {
    match read(Shape::AssetEvent, &observed.element).value.plain() {
        Value::AssetEvent(event)
            if !observed.element.local().to_ascii_lowercase().starts_with("assetcount") =>
        {
            let AssetEvent { asset_id, .. } = &**event;
            (!asset_id.is_empty()).then(|| (asset_id.clone(), device.uuid.clone()))
        }
        _ => None,
    }
}

fn time_of(element: &Element, arrival: Timestamp, outlet: &Outlet) -> Timestamp {
    let text = element.attribute("timestamp").unwrap_or_default();
    Timestamp::parse(text.trim()).unwrap_or_else(|| {
        outlet.fault(Fault::Timestamp, || format!("`{text}` is no time"));
        arrival
    })
}

/// A `Normal` has no conditionId in documents: it gets that of the entry with its native code.
fn alias(point: &Point, condition: &mut Arc<Condition>, aliases: &mut Aliases) {
    if condition.native_code.is_empty() {
        return;
    }
    let key = (point.id, condition.native_code.clone());
    if condition.level == Level::Normal {
        if let Some(id) = aliases.remove(&key)
            && condition.condition_id.is_empty()
        {
            Arc::make_mut(condition).condition_id = id;
        }
    } else if condition.condition_id.is_empty() {
        aliases.remove(&key);
    } else if aliases.len() < MAX_ALIASES {
        aliases.insert(key, condition.condition_id.clone());
    }
}
